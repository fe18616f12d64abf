"""What a radiologist stores about an image: a report in words, a corrected result, a segmentation."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from highdicom.seg import Segmentation, SegmentDescription
from numpy.typing import NDArray
from pydicom import Dataset, dcmread
from pydicom.dataset import FileMetaDataset
from pydicom.sequence import Sequence as DicomSequence
from pydicom.sr.coding import Code
from pydicom.uid import ExplicitVRLittleEndian, generate_uid

BASIC_TEXT_SR = "1.2.840.10008.5.1.4.1.1.88.11"


def coded(value: str, scheme: str, meaning: str) -> DicomSequence:
    item = Dataset()
    item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning = value, scheme, meaning
    return DicomSequence([item])


def text_item(value: str, concept: DicomSequence) -> Dataset:
    item = Dataset()
    item.RelationshipType, item.ValueType, item.TextValue = "CONTAINS", "TEXT", value
    item.ConceptNameCodeSequence = concept
    return item


def written_report(image: Dataset, findings: str, impression: str) -> Dataset:
    """A Basic Text SR as reporting systems write it, signed by a physician."""
    ds = Dataset()
    for keyword in (
        "PatientName",
        "PatientID",
        "PatientBirthDate",
        "PatientSex",
        "StudyInstanceUID",
        "StudyDate",
    ):
        setattr(ds, keyword, image[keyword].value)
    ds.SpecificCharacterSet = "ISO_IR 192"
    ds.SOPClassUID, ds.SOPInstanceUID = BASIC_TEXT_SR, generate_uid()
    ds.SeriesInstanceUID, ds.Modality = generate_uid(), "SR"
    ds.Manufacturer = "Reporting works"
    ds.ContentDate, ds.ContentTime = image.StudyDate, "171500"
    ds.ValueType, ds.ContinuityOfContent = "CONTAINER", "SEPARATE"
    ds.CompletionFlag, ds.VerificationFlag = "COMPLETE", "VERIFIED"
    ds.ConceptNameCodeSequence = coded("18748-4", "LN", "Diagnostic imaging report")
    signature = Dataset()
    signature.VerifyingObserverName, signature.VerifyingOrganization = "Featherstone^Una", "Nonesuch Clinic"
    signature.VerificationDateTime = f"{image.StudyDate}172000"
    ds.VerifyingObserverSequence = [signature]
    observer = Dataset()
    observer.RelationshipType, observer.ValueType = "HAS OBS CONTEXT", "PNAME"
    observer.ConceptNameCodeSequence = coded("121008", "DCM", "Person Observer Name")
    observer.PersonName = "Featherstone^Una"
    ds.ContentSequence = [
        observer,
        text_item(findings, coded("121071", "DCM", "Finding")),
        text_item(impression, coded("121073", "DCM", "Impression")),
    ]
    return filed(ds)


def corrected(result: Dataset) -> Dataset:
    """A result of ours as a viewer stores it again after a reader has worked on it."""
    ds = dcmread_copy(result)
    ds.Manufacturer = "Viewer works"
    ds.SOPInstanceUID, ds.SeriesInstanceUID = generate_uid(), generate_uid()
    return filed(ds)


def dcmread_copy(ds: Dataset) -> Dataset:
    copy = Dataset()
    copy.update({tag: ds[tag] for tag in ds.keys()})  # noqa: SIM118 - a data set iterates over elements
    return copy


def drawn_segmentation(images: Sequence[Dataset], mask: NDArray[np.bool_], structure: Code) -> Dataset:
    """A SEG of one structure, (frames, J, I), drawn by hand."""
    description = SegmentDescription(
        segment_number=1,
        segment_label="whatever Una called it",
        segmented_property_category=Code("91723000", "SCT", "Anatomical Structure"),
        segmented_property_type=structure,
        algorithm_type="MANUAL",
    )
    return filed(
        Segmentation(
            source_images=list(images),
            pixel_array=mask.astype(np.uint8),
            segmentation_type="BINARY",
            segment_descriptions=[description],
            series_instance_uid=generate_uid(),
            series_number=7,
            sop_instance_uid=generate_uid(),
            instance_number=1,
            manufacturer="Viewer works",
            manufacturer_model_name="Brush",
            software_versions="1",
            device_serial_number="SERIAL-4711",
            content_creator_name="Featherstone^Una",
        )
    )


def filed(ds: Dataset) -> Dataset:
    ds.file_meta = FileMetaDataset()
    ds.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    ds.file_meta.MediaStorageSOPClassUID = ds.SOPClassUID
    ds.file_meta.MediaStorageSOPInstanceUID = ds.SOPInstanceUID
    return ds


def read_all(files: Sequence[Path]) -> list[Dataset]:
    return [dcmread(file) for file in files]
