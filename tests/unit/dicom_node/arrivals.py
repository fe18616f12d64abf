"""Instances as they would arrive, built without any of the code under test."""

import zlib
from dataclasses import dataclass
from pathlib import Path

from pydicom import Dataset, dcmwrite
from pydicom.dataset import FileMetaDataset
from pydicom.filebase import DicomBytesIO
from pydicom.filewriter import write_dataset
from pydicom.uid import (
    CTImageStorage,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    generate_uid,
)

from dicom_node.admission import StoreCommand
from dicom_node.intake import Intake, Outcome
from dicom_node.study import Origin


def dataset(**elements: object) -> Dataset:
    """A small CT instance; keywords replace or remove (None) elements."""
    values: dict[str, object] = {
        "SOPClassUID": CTImageStorage,
        "SOPInstanceUID": generate_uid(),
        "StudyInstanceUID": "1.2.3.100",
        "SeriesInstanceUID": "1.2.3.100.1",
        "StudyDate": "20260102",
        "StudyTime": "101500",
        "Modality": "CT",
        "PatientID": "P1",
        "PatientName": "Marker^Name",
        "PatientBirthDate": "19500101",
        "PatientSex": "F",
        "BodyPartExamined": "CHEST",
        "Rows": 2,
        "Columns": 2,
        "BitsAllocated": 16,
        "PixelData": b"\0\1\2\3\4\5\6\7",
    } | elements
    ds = Dataset()
    for keyword, value in values.items():
        if value is not None:
            setattr(ds, keyword, value)
    return ds


def encoded(ds: Dataset, transfer_syntax_uid: str = ExplicitVRLittleEndian) -> bytes:
    """The data set without file meta, as C-STORE carries it."""
    buffer = DicomBytesIO()
    buffer.is_implicit_VR = transfer_syntax_uid == ImplicitVRLittleEndian
    buffer.is_little_endian = transfer_syntax_uid != ExplicitVRBigEndian
    write_dataset(buffer, ds)
    content = buffer.getvalue()
    if transfer_syntax_uid == DeflatedExplicitVRLittleEndian:
        deflate = zlib.compressobj(wbits=-zlib.MAX_WBITS)
        content = deflate.compress(content) + deflate.flush()
    return content


def write(folder: Path, **elements: object) -> Path:
    """Write `dataset(**elements)` as a DICOM file."""
    ds = dataset(**elements)
    ds.file_meta = FileMetaDataset()
    ds.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    path = folder / f"{ds.SOPInstanceUID}.dcm"
    dcmwrite(path, ds, enforce_file_format=True)
    return path


@dataclass(frozen=True)
class Sender:
    """Sends data sets straight into an intake."""

    intake: Intake
    calling_ae_title: str = "MODALITY"
    origin: Origin = Origin.ROUTED

    def send(self, ds: Dataset, **command: str) -> Outcome:
        values = {
            "sop_class_uid": str(ds.get("SOPClassUID", "")),
            "sop_instance_uid": str(ds.get("SOPInstanceUID", "")),
            "transfer_syntax_uid": str(ExplicitVRLittleEndian),
        } | command
        store = StoreCommand(**values, calling_ae_title=self.calling_ae_title, origin=self.origin)
        reception = self.intake.begin(store)
        content = encoded(ds, values["transfer_syntax_uid"])
        for at in range(0, len(content), 100):
            reception.write(memoryview(content)[at : at + 100])
        return reception.finish()
