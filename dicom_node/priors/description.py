"""Candidates from what a source answers: one data set of a study, and one of each of its series."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Final

from pydicom import Dataset, dcmread

from dicom_node.admission import Patient
from dicom_node.priors.source import Candidate
from dicom_node.study import StudyInstanceUID
from dicom_node.unreadable import UNREADABLE

STUDY_KEYS: Final = (
    *("PatientName", "PatientID", "IssuerOfPatientID", "PatientBirthDate", "PatientSex"),
    *("StudyInstanceUID", "StudyDate", "StudyTime", "ModalitiesInStudy", "StudyDescription"),
)
SERIES_KEYS: Final = (
    *("StudyInstanceUID", "SeriesInstanceUID", "Modality", "BodyPartExamined", "Laterality"),
    "SeriesDescription",
)
"""What a source is asked for at each level."""
PROCEDURES: Final = "ProcedureCodeSequence"
IMAGE_KEYS: Final = ("ImageLaterality", "ViewPosition")
"""What describes a candidate at the level of instances; taken where a source gives it."""

_DESCRIBING: Final = (*STUDY_KEYS, PROCEDURES, *SERIES_KEYS, *IMAGE_KEYS)


def described(study: Dataset, series: Sequence[Dataset]) -> Candidate:
    """Describe a study; the header of one instance of each series serves as well as answers to queries."""
    modalities = {text(one, "Modality") for one in series} | set(texts(study, "ModalitiesInStudy"))
    return Candidate(
        study_instance_uid=StudyInstanceUID(text(study, "StudyInstanceUID")),
        study_date=text(study, "StudyDate"),
        study_time=text(study, "StudyTime"),
        modalities=tuple(sorted(modalities - {""})),
        body_parts=_distinct(series, "BodyPartExamined"),
        descriptions=_distinct([study, *series], "StudyDescription", "SeriesDescription"),
        patient=Patient(
            text(study, "PatientID"),
            text(study, "IssuerOfPatientID"),
            text(study, "PatientBirthDate"),
            text(study, "PatientSex"),
        ),
        patient_name=text(study, "PatientName"),
        procedures=tuple(sorted({code for ds in (study, *series) for code in _procedures(ds)})),
        lateralities=_distinct(series, "Laterality", "ImageLaterality"),
        views=_distinct(series, "ViewPosition"),
    )


def header_of(path: Path) -> Dataset | None:
    """Read what describes a study from the head of a stored instance; None if it cannot be read."""
    try:
        ds = dcmread(path, stop_before_pixels=True, specific_tags=[*_DESCRIBING])
        described(ds, [ds])  # values are converted when they are asked for
    except UNREADABLE:
        return None
    return ds


def text(ds: Dataset, keyword: str) -> str:
    """Return a value as text; empty if it is absent."""
    value = ds.get(keyword)
    return "" if value is None else str(value).strip()


def texts(ds: Dataset, keyword: str) -> list[str]:
    """Return all values of an element."""
    value = ds.get(keyword)
    if value is None:
        return []
    return [value] if isinstance(value, str) else [str(one) for one in value]


def _procedures(ds: Dataset) -> Iterable[str]:
    for item in ds.get(PROCEDURES) or ():
        if value := text(item, "CodeValue"):
            yield f"{text(item, 'CodingSchemeDesignator')} {value}"


def _distinct(datasets: Sequence[Dataset], *keywords: str) -> tuple[str, ...]:
    return tuple(sorted({found for ds in datasets for key in keywords if (found := text(ds, key))}))
