"""Which attributes a search matches and returns at each level (PS3.18 Tables 10.6.1-5 and 10.6.3-3 to -5)."""

import re
from collections.abc import Mapping
from typing import Final

from pydicom.datadict import tag_for_keyword

from dicom_node.database.catalogue import Level

_HEXADECIMAL: Final = re.compile(r"[0-9A-Fa-f]{8}")
STUDY_ATTRIBUTES: Final = (
    "SpecificCharacterSet",
    "StudyDate",
    "StudyTime",
    "AccessionNumber",
    "InstanceAvailability",
    "ModalitiesInStudy",
    "ReferringPhysicianName",
    "TimezoneOffsetFromUTC",
    "RetrieveURL",
    "StudyDescription",
    "PatientName",
    "PatientID",
    "IssuerOfPatientID",
    "PatientBirthDate",
    "PatientSex",
    "StudyInstanceUID",
    "StudyID",
    "NumberOfStudyRelatedSeries",
    "NumberOfStudyRelatedInstances",
)
SERIES_ATTRIBUTES: Final = (
    "SpecificCharacterSet",
    "Modality",
    "TimezoneOffsetFromUTC",
    "SeriesDescription",
    "RetrieveURL",
    "BodyPartExamined",
    "Laterality",
    "StudyInstanceUID",
    "SeriesInstanceUID",
    "SeriesNumber",
    "NumberOfSeriesRelatedInstances",
    "PerformedProcedureStepStartDate",
    "PerformedProcedureStepStartTime",
    "RequestAttributesSequence",
)
INSTANCE_ATTRIBUTES: Final = (
    "SpecificCharacterSet",
    "SOPClassUID",
    "SOPInstanceUID",
    "InstanceAvailability",
    "TimezoneOffsetFromUTC",
    "RetrieveURL",
    "StudyInstanceUID",
    "SeriesInstanceUID",
    "InstanceNumber",
    "Rows",
    "Columns",
    "BitsAllocated",
    "NumberOfFrames",
)
RETURNED: Final[Mapping[Level, tuple[str, ...]]] = {
    Level.STUDY: STUDY_ATTRIBUTES,
    Level.SERIES: SERIES_ATTRIBUTES,
    Level.INSTANCE: INSTANCE_ATTRIBUTES,
}
"""What each level returns without being asked; where the path names no study, those of the study as well."""

_STUDY_KEYS: Final = (
    "StudyDate",
    "StudyTime",
    "AccessionNumber",
    "ReferringPhysicianName",
    "StudyDescription",
    "PatientName",
    "PatientID",
    "IssuerOfPatientID",
    "PatientBirthDate",
    "PatientSex",
    "StudyInstanceUID",
    "StudyID",
)
_SERIES_KEYS: Final = (
    "Modality",
    "SeriesDescription",
    "BodyPartExamined",
    "Laterality",
    "SeriesInstanceUID",
    "SeriesNumber",
    "PerformedProcedureStepStartDate",
    "PerformedProcedureStepStartTime",
    "RequestAttributesSequence.ScheduledProcedureStepID",
    "RequestAttributesSequence.RequestedProcedureID",
)
_INSTANCE_KEYS: Final = (
    "SOPClassUID",
    "SOPInstanceUID",
    "InstanceNumber",
    "Rows",
    "Columns",
    "BitsAllocated",
    "NumberOfFrames",
)
MATCHED: Final[Mapping[Level, tuple[str, ...]]] = {
    Level.STUDY: (*_STUDY_KEYS, "ModalitiesInStudy"),
    Level.SERIES: (*_STUDY_KEYS, *_SERIES_KEYS),
    Level.INSTANCE: (*_STUDY_KEYS, *_SERIES_KEYS, *_INSTANCE_KEYS),
}
"""What each level matches; other keys are ignored, with a warning."""


def path_of(name: str) -> tuple[int, ...]:
    """Return the tags of an attribute named by keywords or hexadecimal tags, with dots between levels.

    Raises:
        ValueError: one of them names no attribute.
    """
    return tuple(_tag(each) for each in name.split("."))


def _tag(name: str) -> int:
    if _HEXADECIMAL.fullmatch(name):
        return int(name, 16)
    # Some retired attributes have no keyword: an empty one is found.
    found = tag_for_keyword(name) if name else None
    if found is None:
        raise ValueError("no attribute")
    return found
