"""Source headers made fit to build on: decoded, type 2 complete, nothing illegal, nothing private."""

import logging
import re
from collections import deque
from collections.abc import Iterator
from copy import deepcopy
from datetime import timedelta, timezone

from pydicom import config
from pydicom.charset import default_encoding
from pydicom.datadict import dictionary_VR, tag_for_keyword
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset
from pydicom.valuerep import validate_value

from structured_reports.errors import SourceError

logger = logging.getLogger(__name__)

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
_IDENTIFIERS = ("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID", "SOPClassUID")
_LAST_GROUP = 0x5400
"""Beyond lie curves, overlays, pixel data and trailing padding."""
_ESCAPE = re.compile(r"\x1b(?:\$[()*+-]?|[()*+.-])[0-~]")
_UID = re.compile(r"[0-9.]{1,64}")
"""Looser than PS3.5 9.1: what archives file by is kept even with a leading zero."""
_CODE_STRING = re.compile(r"[A-Z0-9 _]{1,16}")
_TEXT_VRS = {"LO", "LT", "PN", "SH", "ST", "UT"}
_SEXES = {"", "M", "F", "O"}


def identified(source: Dataset) -> Dataset:
    """Give a header back if references can be made to it.

    Raises:
        SourceError: Study, Series or SOP Instance or Class UID is missing or not a UID.
    """
    for keyword in _IDENTIFIERS:
        try:
            uid = str(source.get(keyword) or "")
        except (NotImplementedError, ValueError) as error:
            raise SourceError(f"a source has an unreadable {keyword}") from error
        if not uid:
            raise SourceError(f"a source has no {keyword}")
        if _UID.fullmatch(uid) is None:
            raise SourceError(f"a source has a {keyword} that is not a UID")
    return source


def normalised(source: Dataset) -> Dataset:
    """Copy a source header so that a result can be built on it; `source` is left as it is.

    Text of nested items is decoded with the character set of the source, which results do not keep. Absent
    type 2 attributes are added empty, illegal values blanked or dropped, empty sequences dropped, pixel data
    left behind. The name is left out until the object is finished: highdicom prints it in warnings.

    Raises:
        SourceError: as `identified`.
    """
    identified(source)
    with config.disable_value_validation():
        uids = {keyword: str(source[keyword].value) for keyword in _IDENTIFIERS}
        header = Dataset()
        header.update({element.tag: deepcopy(element) for element in _readable(source)})
        header.set_original_encoding(None, None, source.get("SpecificCharacterSet") or default_encoding)
        header.decode()
        _drop_illegal(header)
        for keyword in NOT_COPIED:
            header.pop(keyword, None)
        for keyword in TYPE_2:
            if keyword not in header:
                setattr(header, keyword, "")
        if header.PatientSex not in _SEXES:
            header.PatientSex = ""
        header.PatientName = ""
        _say_deidentification(header)
        for keyword, uid in uids.items():
            setattr(header, keyword, uid)
    return header


def literal_identity(source: Dataset) -> dict[str, DataElement]:
    """Take the identifying attributes as the source has them, in Unicode; absent ones are left out."""
    literals: dict[str, DataElement] = {}
    with config.disable_value_validation():
        for keyword in IDENTITY:
            text = _without_controls(without_escapes(str(source.get(keyword) or "")))
            if text and not (keyword == "PatientSex" and _CODE_STRING.fullmatch(text) is None):
                element = empty_element(keyword)
                element.value = text
                literals[keyword] = element
    return literals


def _without_controls(text: str) -> str:
    return "".join(character for character in text if not _is_control(character))


def _is_control(character: str) -> bool:
    return ord(character) < 32 or 127 <= ord(character) < 160


def without_escapes(text: str) -> str:
    """Remove ISO 2022 escape sequences that pydicom leaves in some texts (PS3.3 C.12.1.1.2)."""
    return _ESCAPE.sub("", text)


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


def _say_deidentification(header: Dataset) -> None:
    """Name some method where identity was removed: it is type 1C there (PS3.3 C.7.1.1) and often too long."""
    method = header.get("DeidentificationMethod") or header.get("DeidentificationMethodCodeSequence")
    if header.get("PatientIdentityRemoved") == "YES" and not method:
        header.DeidentificationMethod = "as of the source"


def _readable(source: Dataset) -> Iterator[DataElement]:
    """Yield what a result may be built on; an element whose value cannot be read is as good as absent."""
    for tag in list(source.keys()):
        if tag.is_private or tag.group > _LAST_GROUP:
            continue
        try:
            element = source[tag]
            if element.VR == "SQ":
                for item in element.value:
                    deque(item.iterall(), maxlen=0)  # read now what would fail later
            yield element
        except (NotImplementedError, ValueError, TypeError) as error:
            fault = type(error).__name__
            logger.warning("unreadable attribute left out", extra={"tag": str(tag), "fault": fault})


def _drop_illegal(ds: Dataset) -> None:
    for element in list(ds):
        if element.tag.is_private:
            del ds[element.tag]
        elif element.VR == "SQ":
            _drop_illegal_items(ds, element)
        elif element.VR in _CHECKED_VRS:
            _strip_escapes(element)
            if not _is_legal(element):
                _blank(ds, element)


def _drop_illegal_items(ds: Dataset, element: DataElement) -> None:
    for item in element.value or ():
        _drop_illegal(item)
    if not element.value or all(len(item) == 0 for item in element.value):
        del ds[element.tag]


def _strip_escapes(element: DataElement) -> None:
    if element.VR in _TEXT_VRS and "\x1b" in str(element.value):
        values = element.value if element.VM > 1 else [element.value]
        stripped = [without_escapes(str(value)) for value in values]
        element.value = stripped if len(stripped) > 1 else stripped[0]


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
        if element.VR in _TEXT_VRS and _has_controls(text, element.VR):
            return False
    return True


def _is_date(text: str) -> bool:
    return len(text) == 8 and text.isdigit() and 1 <= int(text[4:6]) <= 12 and 1 <= int(text[6:]) <= 31


def _is_time(text: str) -> bool:
    whole = text.strip().split(".")[0]
    limits = (24, 60, 61)
    return all(int(whole[2 * n : 2 * n + 2]) < limit for n, limit in enumerate(limits) if whole[2 * n :])


def _has_controls(text: str, vr: str) -> bool:
    allowed = "\r\n\f\t" if vr in {"ST", "LT", "UT"} else ""
    return any(_is_control(character) and character not in allowed for character in text)


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
