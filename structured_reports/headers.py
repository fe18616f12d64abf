"""Source headers made fit to build on: decoded, type 2 complete, nothing illegal, nothing private."""

from copy import deepcopy
from datetime import timedelta, timezone

from pydicom import config
from pydicom.charset import default_encoding
from pydicom.datadict import dictionary_VR, tag_for_keyword
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset
from pydicom.tag import BaseTag
from pydicom.valuerep import validate_value

from structured_reports.errors import SourceError

TYPE_2 = (
    "AccessionNumber",
    "PatientBirthDate",
    "PatientID",
    "PatientName",
    "PatientSex",
    "ReferringPhysicianName",
    "StudyDate",
    "StudyID",
    "StudyTime",
)
"""Type 2 of Patient and General Study (PS3.3 C.7.1.1, C.7.2.1): results must have them, sources may not."""

IDENTITY = ("PatientID", "PatientName", "PatientSex", "AccessionNumber", "StudyID", "IssuerOfPatientID")
"""What an archive files by: written back as the source has it, or the result would be someone else's."""

NOT_COPIED = ("PatientComments", "OperatorsName", "AdditionalPatientHistory", "SpecificCharacterSet")
"""Free text and names that no result needs."""

_CHECKED_VRS = {"AE", "AS", "CS", "DA", "DS", "DT", "IS", "LO", "LT", "PN", "SH", "ST", "TM", "UI", "UT"}
_PIXEL_GROUP = 0x7FE0
_SEXES = {"", "M", "F", "O"}


def normalised(source: Dataset) -> Dataset:
    """Copy a source header so that a result can be built on it; `source` is left as it is.

    Text of nested items is decoded with the character set of the source, which results do not keep. Absent
    type 2 attributes are added empty, illegal values blanked or dropped, empty sequences dropped, pixel data
    left behind. The name is left out until the object is finished: highdicom prints it in warnings.

    Raises:
        SourceError: Study, Series or SOP Instance UID is missing.
    """
    for keyword in ("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID", "SOPClassUID"):
        if not source.get(keyword):
            raise SourceError(f"a source has no {keyword}")
    with config.disable_value_validation():
        header = Dataset()
        header.update({element.tag: element for element in source if _is_kept(element.tag)})
        header = deepcopy(header)
        header.set_original_encoding(None, None, source.get("SpecificCharacterSet") or default_encoding)
        header.decode()
        _drop_illegal(header)
        for keyword in NOT_COPIED:
            header.pop(keyword, None)
        for keyword in TYPE_2:
            if keyword not in header:
                setattr(header, keyword, "")
        if header.PatientSex not in _SEXES:
            header.PatientSex = "O"
        header.PatientName = ""
    return header


def literal_identity(source: Dataset) -> dict[str, DataElement]:
    """Take the identifying attributes exactly as the source has them; absent ones are left out."""
    with config.disable_value_validation():
        return {keyword: deepcopy(source[keyword]) for keyword in IDENTITY if source.get(keyword)}


def timezone_of(source: Dataset) -> timezone | None:
    """Read Timezone Offset From UTC (0008,0201); None where absent or malformed."""
    text = str(source.get("TimezoneOffsetFromUTC") or "").strip()
    if len(text) != 5 or text[0] not in "+-" or not text[1:].isdigit() or int(text[3:]) > 59:
        return None
    minutes = int(text[1:3]) * 60 + int(text[3:])
    return (
        timezone(timedelta(minutes=-minutes if text[0] == "-" else minutes)) if minutes <= 14 * 60 else None
    )


def patient_key(header: Dataset) -> str:
    """Key a patient for tracking; one without Patient ID is known within the study only."""
    if not str(header.get("PatientID") or "").strip():
        return str(header.StudyInstanceUID)
    return f"{header.get('IssuerOfPatientID') or ''}|{header.PatientID}"


def _is_kept(tag: BaseTag) -> bool:
    return not tag.is_private and tag.group < _PIXEL_GROUP and not 0x6000 <= tag.group <= 0x60FF


def _drop_illegal(ds: Dataset) -> None:
    for element in list(ds):
        if element.tag.is_private:
            del ds[element.tag]
        elif element.VR == "SQ":
            _drop_illegal_items(ds, element)
        elif element.VR in _CHECKED_VRS and not _is_legal(element):
            _blank(ds, element)


def _drop_illegal_items(ds: Dataset, element: DataElement) -> None:
    for item in element.value or ():
        _drop_illegal(item)
    if not element.value or all(len(item) == 0 for item in element.value):
        del ds[element.tag]


def _is_legal(element: DataElement) -> bool:
    values = element.value if element.VM > 1 else [element.value]
    for value in values:
        if value is None or value == "":
            continue
        original = getattr(value, "original_string", None)
        text = original if isinstance(original, str) else str(value)
        try:
            validate_value(element.VR, text, config.RAISE)
        except ValueError:
            return False
        if element.VR == "DA" and not _is_date(text):
            return False
        if element.VR == "TM" and not _is_time(text):
            return False
        if element.VR in {"LO", "SH", "PN", "ST", "LT", "UT"} and _has_controls(text, element.VR):
            return False
    return True


def _is_date(text: str) -> bool:
    return len(text) == 8 and text.isdigit() and 1 <= int(text[4:6]) <= 12 and 1 <= int(text[6:]) <= 31


def _is_time(text: str) -> bool:
    whole = text.strip().split(".")[0]
    limits = (24, 60, 61)
    return all(int(whole[2 * n : 2 * n + 2]) < limit for n, limit in enumerate(limits) if whole[2 * n :])


def _has_controls(text: str, vr: str) -> bool:
    allowed = "\r\n\f\t\x1b" if vr in {"ST", "LT", "UT"} else "\x1b"
    return any(ord(character) < 32 and character not in allowed for character in text)


def _blank(ds: Dataset, element: DataElement) -> None:
    """Empty a required attribute, drop an optional one."""
    keyword = element.keyword
    if keyword in TYPE_2 or keyword in {"PatientOrientation", "Laterality"}:
        ds[element.tag] = DataElement(element.tag, element.VR, "")
    else:
        del ds[element.tag]


def empty_element(keyword: str) -> DataElement:
    """Make an empty element of a keyword of the dictionary."""
    tag = tag_for_keyword(keyword)
    if tag is None:
        raise SourceError(f"{keyword} is no keyword of the dictionary")
    return DataElement(tag, dictionary_VR(tag), None)
