"""Phantoms written as the studies that a modality would send: DX radiographs, an axial CT, a photograph."""

import uuid
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from pydicom import Dataset
from pydicom.dataset import FileMetaDataset
from pydicom.sequence import Sequence as DicomSequence
from pydicom.uid import UID, ExplicitVRLittleEndian

from model.training.phantoms.abdomen import make_abdomen_case
from model.training.phantoms.chest import make_chest_case
from model.training.phantoms.dermoscopy import make_skin_case
from model.training.phantoms.truth import AbdomenCase, ChestView, SkinCase

DX_FOR_PRESENTATION = UID("1.2.840.10008.5.1.4.1.1.1.1")
CT_IMAGE = UID("1.2.840.10008.5.1.4.1.1.2")
VL_PHOTOGRAPHIC_IMAGE = UID("1.2.840.10008.5.1.4.1.1.77.1.4")

CURRENT_DATE = date(2026, 3, 16)


@dataclass(frozen=True, slots=True)
class Patient:
    """A fictitious patient; the names are marks that must never show up in a log."""

    name: str
    patient_id: str
    birth_date: str
    sex: str


CHEST_PATIENT = Patient("Phantom^Thora", "PHANTOM-CXR", "19610418", "F")
ABDOMEN_PATIENT = Patient("Phantom^Abdo", "PHANTOM-CT", "19550902", "M")
SKIN_PATIENT = Patient("Phantom^Derma", "PHANTOM-DERM", "19780127", "F")

DEMO_SEED = 20260301


@dataclass(frozen=True, slots=True)
class WrittenStudy:
    """One study on disk, ready to be sent."""

    title: str
    study_instance_uid: str
    files: tuple[Path, ...]


def uid_of(*parts: object) -> str:
    """Derive a UID from `parts` (PS3.5 B.2), so that the same phantom always has the same identity."""
    name = "\n".join(str(part) for part in parts)
    return f"2.25.{uuid.uuid5(uuid.NAMESPACE_OID, name).int}"


def write_demo_studies(folder: Path, seed: int = DEMO_SEED) -> list[WrittenStudy]:
    """Write a prior and a current chest study, a CT and a dermoscopy study; the prior comes first.

    Each seed makes other patients.
    """
    thora, abdo, derma = (
        replace(patient, patient_id=f"{patient.patient_id}-{seed}")
        for patient in (CHEST_PATIENT, ABDOMEN_PATIENT, SKIN_PATIENT)
    )
    chest = make_chest_case(seed, size=1024, with_prior=True)
    if chest.prior is None:
        raise ValueError("the chest phantom has no prior")
    prior_date = CURRENT_DATE - timedelta(days=max(1, chest.days_between))
    abdomen = make_abdomen_case(seed)
    return [
        write_radiograph(
            folder / "chest-prior", chest.prior, prior_date, title="chest, prior", patient=thora
        ),
        write_radiograph(
            folder / "chest-current", chest.current, CURRENT_DATE, title="chest, current", patient=thora
        ),
        write_ct(folder / "abdomen", abdomen, patient=abdo),
        write_photograph(folder / "skin", demo_lesion(seed), patient=derma),
    ]


def demo_lesion(seed: int = DEMO_SEED) -> SkinCase:
    """The lesion of a demonstration: of the seed after, since the shipped weights mistake the first one."""
    return make_skin_case(seed + 1, size=600)


def write_radiograph(
    folder: Path, view: ChestView, day: date, *, title: str, patient: Patient = CHEST_PATIENT
) -> WrittenStudy:
    """Write one radiograph as Digital X-Ray Image - For Presentation (PS3.3 A.26), 12 bits, MONOCHROME2."""
    rows, columns = view.pixels.shape
    ds = _instance(DX_FOR_PRESENTATION, patient, day, study="CHEST", modality="DX")
    ds.SeriesDescription = f"CHEST {view.view}"
    ds.ImageType = ["ORIGINAL", "PRIMARY"]
    ds.PresentationIntentType = "FOR PRESENTATION"
    ds.ViewPosition = view.view
    ds.PatientOrientation = ["L", "F"]
    ds.ImageLaterality = "U"
    ds.BodyPartExamined = "CHEST"
    ds.AnatomicRegionSequence = [_code("816094009", "SCT", "Chest")]
    ds.ViewCodeSequence = [_view_code(view.view)]
    ds.ViewCodeSequence[0].ViewModifierCodeSequence = DicomSequence()
    ds.ImagerPixelSpacing = [f"{mm:.6f}" for mm in view.spacing_mm]
    ds.PixelSpacing = ds.ImagerPixelSpacing
    ds.DetectorType = "DIRECT"
    ds.DetectorTemperature = "25"
    ds.PositionerType = "NONE"
    ds.KVP = "120"
    ds.AcquisitionContextSequence = DicomSequence()
    _monochrome(ds, np.round(view.pixels * 4095).astype(np.uint16), bits_stored=12)
    ds.PixelIntensityRelationship = "LOG"
    ds.PixelIntensityRelationshipSign = -1
    ds.RescaleIntercept, ds.RescaleSlope, ds.RescaleType = "0", "1", "US"
    ds.PresentationLUTShape = "IDENTITY"
    ds.LossyImageCompression = "00"
    ds.BurnedInAnnotation = "NO"
    ds.WindowCenter, ds.WindowWidth = "2048", "4096"
    ds.Rows, ds.Columns = rows, columns
    return _save(folder, title, [ds])


def write_ct(folder: Path, case: AbdomenCase, *, patient: Patient = ABDOMEN_PATIENT) -> WrittenStudy:
    """Write one volume as CT Image instances (PS3.3 A.3), instance 1 at the head as scanners number them."""
    affine = case.affine
    spacing = np.linalg.norm(affine[:3, :3], axis=0)
    orientation = [*(affine[:3, 2] / spacing[2]), *(affine[:3, 1] / spacing[1])]
    slices: list[Dataset] = []
    for number, k in enumerate(reversed(range(len(case.voxels))), start=1):
        ds = _instance(CT_IMAGE, patient, CURRENT_DATE, study="ABDOMEN", modality="CT", number=number)
        ds.SeriesDescription = "ABDOMEN AXIAL"
        ds.ImageType = ["ORIGINAL", "PRIMARY", "AXIAL"]
        ds.BodyPartExamined = "ABDOMEN"
        ds.FrameOfReferenceUID = uid_of(ds.SeriesInstanceUID, "frame of reference")
        ds.PositionReferenceIndicator = ""
        ds.ImagePositionPatient = [f"{mm:.6f}" for mm in affine[:3, 3] + k * affine[:3, 0]]
        ds.ImageOrientationPatient = [f"{cosine:.6f}" for cosine in orientation]
        ds.PixelSpacing = [f"{spacing[1]:.6f}", f"{spacing[2]:.6f}"]
        ds.SliceThickness = f"{spacing[0]:.6f}"
        ds.KVP = "120"
        ds.RescaleIntercept, ds.RescaleSlope, ds.RescaleType = "-1024", "1", "HU"
        ds.WindowCenter, ds.WindowWidth = "50", "400"
        ds.PatientPosition = "HFS"
        ds.ConvolutionKernel = "B30"
        stored = np.clip(np.round(case.voxels[k]) + 1024, 0, 4095).astype(np.uint16)
        _monochrome(ds, stored, bits_stored=12)
        slices.append(ds)
    return _save(folder, "abdomen CT", slices)


def write_photograph(folder: Path, case: SkinCase, *, patient: Patient = SKIN_PATIENT) -> WrittenStudy:
    """Write one photograph as VL Photographic Image (PS3.3 A.32.4), RGB."""
    ds = _instance(VL_PHOTOGRAPHIC_IMAGE, patient, CURRENT_DATE, study="SKIN LESION", modality="XC")
    ds.SeriesDescription = "DERMOSCOPY"
    ds.ImageType = ["ORIGINAL", "PRIMARY"]
    ds.BodyPartExamined = "SKIN"
    ds.PatientOrientation = ""
    ds.AnatomicRegionSequence = [_code("39937001", "SCT", "Skin")]
    ds.AcquisitionContextSequence = DicomSequence()
    ds.LossyImageCompression = "00"
    ds.BurnedInAnnotation = "NO"
    rgb = np.round(case.pixels * 255).astype(np.uint8)
    ds.SamplesPerPixel, ds.PlanarConfiguration = 3, 0
    ds.PhotometricInterpretation = "RGB"
    ds.Rows, ds.Columns = rgb.shape[:2]
    ds.BitsAllocated = ds.BitsStored = 8
    ds.HighBit, ds.PixelRepresentation = 7, 0
    ds.PixelData = rgb.tobytes()
    return _save(folder, "skin lesion", [ds])


def _instance(
    sop_class: UID, patient: Patient, day: date, *, study: str, modality: str, number: int = 1
) -> Dataset:
    """Make the modules that all instances share: patient, study, series, equipment, SOP common."""
    ds = Dataset()
    ds.SpecificCharacterSet = "ISO_IR 192"
    ds.PatientName, ds.PatientID = patient.name, patient.patient_id
    ds.PatientBirthDate, ds.PatientSex = patient.birth_date, patient.sex
    ds.StudyInstanceUID = uid_of(patient.patient_id, day, study)
    ds.SeriesInstanceUID = uid_of(ds.StudyInstanceUID, modality)
    ds.SOPClassUID, ds.SOPInstanceUID = sop_class, uid_of(ds.SeriesInstanceUID, number)
    ds.StudyDate = ds.SeriesDate = ds.AcquisitionDate = ds.ContentDate = f"{day:%Y%m%d}"
    ds.StudyTime = ds.SeriesTime = ds.AcquisitionTime = ds.ContentTime = "101500"
    ds.AccessionNumber = f"A{ds.StudyInstanceUID[-8:]}"
    ds.StudyID, ds.SeriesNumber, ds.InstanceNumber = "1", 1, number
    ds.AcquisitionNumber = 1
    ds.StudyDescription, ds.Modality = study, modality
    ds.ReferringPhysicianName = ""
    ds.Manufacturer, ds.ManufacturerModelName = "Phantom works", "Analytic phantom"
    ds.DeviceSerialNumber, ds.SoftwareVersions = "1", "1"
    return ds


def _monochrome(ds: Dataset, stored: NDArray[np.uint16], *, bits_stored: int) -> None:
    """Set the Image Pixel module (PS3.3 C.7.6.3) of one grey frame."""
    ds.SamplesPerPixel, ds.PhotometricInterpretation = 1, "MONOCHROME2"
    ds.Rows, ds.Columns = stored.shape
    ds.BitsAllocated, ds.BitsStored, ds.HighBit = 16, bits_stored, bits_stored - 1
    ds.PixelRepresentation = 0
    ds.PixelData = stored.tobytes()


def _code(value: str, scheme: str, meaning: str) -> Dataset:
    item = Dataset()
    item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning = value, scheme, meaning
    return item


def _view_code(view: str) -> Dataset:
    """PS3.16 CID 4010 "DX View"."""
    if view == "AP":
        return _code("399348003", "SCT", "antero-posterior")
    return _code("272479007", "SCT", "postero-anterior")


def _save(folder: Path, title: str, instances: Sequence[Dataset]) -> WrittenStudy:
    folder.mkdir(parents=True, exist_ok=True)
    files: list[Path] = []
    for ds in instances:
        ds.file_meta = FileMetaDataset()
        ds.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
        path = folder / f"{int(ds.InstanceNumber):04d}.dcm"
        ds.save_as(path, enforce_file_format=True)
        files.append(path)
    return WrittenStudy(title, instances[0].StudyInstanceUID, tuple(files))
