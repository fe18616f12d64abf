"""Rejection notes as an archive or a workstation sends them (IHE RAD TF-3 4.66.4.1.3), built by hand."""

from collections.abc import Sequence

from pydicom import Dataset
from pydicom.uid import generate_uid

KEY_OBJECTS = "1.2.840.10008.5.1.4.1.1.88.59"
QUALITY, SAFETY, WRONG_ORDER, EXPIRED, OF_INTEREST = "113001", "113037", "113038", "113039", "113000"


def coded(value: str) -> Dataset:
    code = Dataset()
    code.CodeValue, code.CodingSchemeDesignator, code.CodeMeaning = value, "DCM", "a title"
    return code


def rejection_note(study: Dataset, named: Sequence[Dataset], title: str = SAFETY) -> Dataset:
    """A Key Object Selection in the study of `study` that names some objects."""
    note = Dataset()
    for keyword in ("PatientID", "PatientName", "PatientBirthDate", "PatientSex", "StudyInstanceUID"):
        setattr(note, keyword, study.get(keyword, ""))
    note.StudyDate, note.StudyTime = study.get("StudyDate", ""), study.get("StudyTime", "")
    note.SOPClassUID, note.SOPInstanceUID = KEY_OBJECTS, generate_uid()
    note.SeriesInstanceUID, note.Modality = generate_uid(), "KO"
    note.ValueType, note.ContinuityOfContent = "CONTAINER", "SEPARATE"
    note.ConceptNameCodeSequence = [coded(title)]
    note.ContentSequence = [_text(), *map(_item, named)]
    return note


def _text() -> Dataset:
    item = Dataset()
    item.RelationshipType, item.ValueType, item.TextValue = "CONTAINS", "TEXT", "as the technician says"
    item.ConceptNameCodeSequence = [coded("113012")]
    return item


def _item(ds: Dataset) -> Dataset:
    item, reference = Dataset(), Dataset()
    item.RelationshipType, item.ValueType = "CONTAINS", "IMAGE"
    reference.ReferencedSOPClassUID = ds.SOPClassUID
    reference.ReferencedSOPInstanceUID = ds.SOPInstanceUID
    item.ReferencedSOPSequence = [reference]
    return item
