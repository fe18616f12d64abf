"""Sixty studies of one patient and of those who are taken for her, with a trap for each way to go wrong."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from pydicom import Dataset, dcmwrite
from pydicom.dataset import FileMetaDataset
from pydicom.uid import (
    ComprehensiveSRStorage,
    ComputedRadiographyImageStorage,
    CTImageStorage,
    DigitalXRayImageStorageForPresentation,
    ExplicitVRLittleEndian,
)

from tests.unit.dicom_node.arrivals import dataset

ROOT = "1.2.826.0.1.3680043.8.498.60"
ANNA = {
    "PatientID": "P4711",
    "IssuerOfPatientID": "HOSPITAL",
    "PatientName": "Meier^Anna",
    "PatientBirthDate": "19500101",
    "PatientSex": "F",
}
CHEST = {"BodyPartExamined": "CHEST", "StudyDescription": "Chest PA", "ViewPosition": "PA"}
LEFT_KNEE = {"BodyPartExamined": "KNEE", "StudyDescription": "Knee left", "Laterality": "L"}
RIGHT_KNEE = {"BodyPartExamined": "KNEE", "StudyDescription": "Knee right", "Laterality": "R"}
DX = {"Modality": "DX", "SOPClassUID": DigitalXRayImageStorageForPresentation}
CR = {"Modality": "CR", "SOPClassUID": ComputedRadiographyImageStorage}
CT = {"Modality": "CT", "SOPClassUID": CTImageStorage}
SR = {
    "Modality": "SR",
    "SOPClassUID": ComprehensiveSRStorage,
    "PixelData": None,
    "Rows": None,
    "Columns": None,
}

GOOD: dict[str, dict[str, object]] = {
    "chest 9 days": {**CHEST, **DX, "StudyDate": "20260301"},
    "chest 59 days": {**CHEST, **CR, "StudyDate": "20260110"},
    "chest 181 days": {**CHEST, **DX, "StudyDate": "20250910"},
    "left knee 54 days": {**LEFT_KNEE, **DX, "StudyDate": "20260115"},
    "left knee 240 days": {**LEFT_KNEE, **DX, "StudyDate": "20250713"},
    "left knee 365 days": {**LEFT_KNEE, **CR, "StudyDate": "20250310"},
}
TRAPS: dict[str, dict[str, object]] = {
    "the same number, another patient": {
        **{**CHEST, **DX, "StudyDate": "20260309"},
        **{"PatientName": "Huber^Karl", "PatientBirthDate": "19710815", "PatientSex": "M"},
    },
    "the same name, another number": {**CHEST, **DX, "StudyDate": "20260309", "PatientID": "P4712"},
    "number that begins alike": {**CHEST, **DX, "StudyDate": "20260309", "PatientID": "P47110"},
    "another issuer": {**CHEST, **DX, "StudyDate": "20260308", "IssuerOfPatientID": "CLINIC"},
    "another issuer, knee": {**LEFT_KNEE, **DX, "StudyDate": "20260308", "IssuerOfPatientID": "CLINIC"},
    "another body part": {
        **DX,
        "BodyPartExamined": "SKULL",
        "StudyDescription": "Skull",
        "StudyDate": "20260307",
    },
    "the other side": {**RIGHT_KNEE, **DX, "StudyDate": "20260307"},
    "the other side, long ago": {**RIGHT_KNEE, **DX, "StudyDate": "20190307"},
    "in the future": {**CHEST, **DX, "StudyDate": "20260401"},
    "in the future, knee": {**LEFT_KNEE, **DX, "StudyDate": "20260402"},
    "without a date": {**CHEST, **DX, "StudyDate": ""},
    "AI results only": {
        **SR,
        "StudyDescription": "Chest PA",
        "BodyPartExamined": None,
        "StudyDate": "20260309",
    },
    "another kind of image": {**CT, "StudyDescription": "Chest", "StudyDate": "20260305"},
}
DELETED = "deleted"
_DELETED: dict[str, object] = {**CHEST, **DX, "StudyDate": "20260306"}


@dataclass(frozen=True)
class PatientHistory:
    """The files of all studies, by what they are."""

    files: dict[str, Path]
    uids: dict[str, str]

    @property
    def name_of(self) -> dict[str, str]:
        return {uid: name for name, uid in self.uids.items()}


def studies() -> Iterator[tuple[str, dict[str, object]]]:
    """Name sixty studies; true ones come first, since an archive may keep one identity for each number."""
    yield from GOOD.items()
    older = 60 - len(GOOD) - len(TRAPS) - 1
    for n in range(older):
        part = LEFT_KNEE if n % 4 == 0 else CHEST
        yield f"older {n}", {**part, **DX, "StudyDate": f"{2022 - n // 3}{n % 3 + 4:02}15"}
    yield from TRAPS.items()
    yield DELETED, _DELETED


def study(n: int, elements: dict[str, object]) -> Dataset:
    uids = {
        "StudyInstanceUID": f"{ROOT}.{n}",
        "SeriesInstanceUID": f"{ROOT}.{n}.1",
        "SOPInstanceUID": f"{ROOT}.{n}.1.1",
    }
    return dataset(**{**ANNA, **uids, **elements})


def current(part: dict[str, object], n: int = 900) -> Dataset:
    return study(n, {**part, **DX, "StudyDate": "20260310"})


def written(folder: Path) -> PatientHistory:
    files: dict[str, Path] = {}
    uids: dict[str, str] = {}
    for n, (name, elements) in enumerate(studies(), start=1):
        ds = study(n, elements)
        ds.file_meta = FileMetaDataset()
        ds.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
        files[name] = folder / f"{n}.dcm"
        dcmwrite(files[name], ds, enforce_file_format=True)
        uids[name] = f"{ROOT}.{n}"
    return PatientHistory(files, uids)


def names(history: PatientHistory, uids: Sequence[str]) -> list[str]:
    return [history.name_of[uid] for uid in uids]
