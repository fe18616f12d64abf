"""Makes of a data set another one that names nobody: built anew from what may stay, item by item.

PS3.15 Annex E: Basic Application Level Confidentiality Profile with the options Clean Structured Content,
Retain Longitudinal Temporal Information With Modified Dates, and Retain Patient Characteristics. Stricter
than these in one way: an attribute that the profile does not list stays only if its value cannot name
anybody (`profile.is_safe`).
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from pydicom.datadict import dictionary_has_tag, dictionary_VR, keyword_for_tag
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset
from pydicom.multival import MultiValue
from pydicom.sequence import Sequence

from model.imaging.elements import text
from worker.archive_export.ages import age_at, capped_age
from worker.archive_export.coded_entries import MACRO, is_coded_entry, safe_entry
from worker.archive_export.elements import read_element, tolerant
from worker.archive_export.lookup_tables import safe_lookup_table
from worker.archive_export.profile import Action, is_safe, resolve, rule_of, type_of
from worker.archive_export.pseudonyms import Patient, Pseudonyms, is_registered
from worker.archive_export.report_text import GAP, TextCleaner

METHOD = "medversa-node: PS3.15 Basic Profile, values by list"
METHOD_CODES: Mapping[str, str] = {
    "113100": "Basic Application Confidentiality Profile",
    "113104": "Clean Structured Content Option",
    "113107": "Retain Longitudinal Temporal Information Modified Dates Option",
    "113108": "Retain Patient Characteristics Option",
}
"""PS3.16 CID 7050."""

_NUMBERS = frozenset(("DS", "FD", "FL", "IS", "SL", "SS", "SV", "UL", "US", "UV", "AT"))
_WRITTEN_NUMBERS = frozenset(("DS", "IS"))
_NUMBER = re.compile(r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?")
_BYTES = frozenset(("OB", "OD", "OF", "OL", "OV", "OW", "UN"))
_DUMMIES: Mapping[str, object] = {
    **dict.fromkeys(("AE", "CS", "LO", "LT", "PN", "SH", "ST", "UC", "UT"), "REMOVED"),
    **{"AS": "000D", "DA": "19000101", "DT": "19000101", "TM": "000000", "UR": "urn:removed"},
}
"""What stands for a value that the IOD needs and that must not stay."""

_TIME = re.compile(r"\d{2}(?:\d{2}(?:\d{2}(?:\.\d{1,6})?)?)?")

_PIXELS = frozenset(("PixelData", "FloatPixelData", "DoubleFloatPixelData"))
_TEXT_VALUE = "TextValue"
_KEPT_WHOLE = frozenset(("ContentSequence", "VerifyingObserverSequence"))
"""Sequences with action D whose items are walked instead of replaced: Clean Structured Content."""


@dataclass(frozen=True, slots=True)
class Deidentifier:
    """Cleans the data sets of one patient's study."""

    pseudonyms: Pseudonyms
    patient: Patient
    texts: TextCleaner

    def clean(self, source: Dataset) -> Dataset:
        """Return a new data set without identity and without pixels; `source` stays as it is.

        It has no file meta information: whoever writes the file makes that.
        """
        with tolerant():
            cleaned = _Walk(self, text(source, "SOPClassUID")).data_set(source, nested=False)
        cleaned.SpecificCharacterSet = "ISO_IR 192"
        subject = self.pseudonyms.subject(self.patient)
        cleaned.PatientID = cleaned.PatientName = subject
        age = capped_age(text(source, "PatientAge")) or age_at(source)
        if age:
            cleaned.PatientAge = age
        cleaned.PatientIdentityRemoved = "YES"
        cleaned.DeidentificationMethod = METHOD
        cleaned.DeidentificationMethodCodeSequence = Sequence(
            _method_code(code, meaning) for code, meaning in METHOD_CODES.items()
        )
        cleaned.LongitudinalTemporalInformationModified = "MODIFIED"
        return cleaned


def _method_code(code: str, meaning: str) -> Dataset:
    item = Dataset()
    item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning = code, "DCM", meaning
    return item


@dataclass(frozen=True, slots=True)
class _Walk:
    """One data set's walk, for which the types of its IOD count."""

    tools: Deidentifier
    sop_class_uid: str

    def data_set(self, source: Dataset, *, nested: bool) -> Dataset:
        cleaned = safe_entry(source) if is_coded_entry(source) else Dataset()
        skipped = MACRO if is_coded_entry(source) else frozenset[str]()
        for tag in sorted(source.keys()):
            keyword = keyword_for_tag(tag)
            if not keyword or keyword in skipped or keyword in _PIXELS or not _is_public(tag):
                continue
            element = self._element(source, tag, keyword, nested=nested)
            if element is not None:
                cleaned.add(element)
        return cleaned

    def _element(self, source: Dataset, tag: int, keyword: str, *, nested: bool) -> DataElement | None:
        vr = dictionary_VR(tag)
        found = read_element(source, tag)
        if found is not None and found.VR in vr.split(" or "):
            kept = self._kept(source, found, keyword)
            if kept is not None:
                return DataElement(tag, found.VR, kept)
        return self._replaced(tag, keyword, vr, nested=nested)

    def _kept(self, source: Dataset, found: DataElement, keyword: str) -> object | None:
        """Return the value that may stay in some form; None if it is to be replaced or removed."""
        rule = rule_of(found.tag)
        if found.VR == "SQ":
            is_walked = rule is None or keyword in _KEPT_WHOLE or resolve(rule.basic, "1") == "U"
            return self._items(found) if is_walked else None
        if found.value is None or found.value in ("", b""):
            return found.value if rule is None and found.VR not in _BYTES else None
        if rule is None:
            return self._unlisted(source, found, keyword)
        if rule.is_date:
            return _each(found.value, lambda one: self._shifted(found.VR, one))
        if rule.is_characteristic:
            return self._characteristic(found, keyword)
        if rule.basic == "U":
            return _each(found.value, self._replaced_uid)
        return None

    def _items(self, found: DataElement) -> Sequence:
        return Sequence(self.data_set(item, nested=True) for item in found.value or ())

    def _unlisted(self, source: Dataset, found: DataElement, keyword: str) -> object | None:
        """Judge an attribute that the profile leaves alone: a number, a UID, or a text known to be safe."""
        if found.VR in _NUMBERS:
            return _numbers(found)
        if found.VR in _BYTES:
            return safe_lookup_table(source, keyword)
        if found.VR == "UI":
            return _each(found.value, self._replaced_uid)
        if keyword == _TEXT_VALUE:
            return self.tools.texts.clean(str(found.value)).text or GAP
        return _safe_texts(keyword, found.value)

    def _characteristic(self, found: DataElement, keyword: str) -> object | None:
        if found.VR in _NUMBERS:
            return _numbers(found)
        if keyword == "PatientAge":
            return capped_age(str(found.value))
        return _safe_texts(keyword, found.value)

    def _replaced(self, tag: int, keyword: str, vr: str, *, nested: bool) -> DataElement | None:
        """Put a dummy or nothing where a value must not stay, as the IOD needs it."""
        rule = rule_of(tag)
        needed = type_of(self.sop_class_uid, keyword, nested=nested)
        action: Action = resolve(rule.basic if rule is not None else "X/Z/D", needed)
        if action == "X" or (action == "D" and vr not in _DUMMIES):
            return None
        if action == "Z":
            return DataElement(tag, vr, Sequence() if vr == "SQ" else None)
        return DataElement(tag, vr, _DUMMIES[vr]) if action == "D" else None

    def _shifted(self, vr: str, one: str) -> str | None:
        tools = self.tools
        if vr == "DA":
            return tools.pseudonyms.shifted_date(one, tools.patient)
        if vr == "DT":
            return tools.pseudonyms.shifted_date_time(one, tools.patient)
        return one.strip() if _TIME.fullmatch(one.strip()) else None

    def _replaced_uid(self, one: str) -> str:
        """Keep what the standard registers (classes, syntaxes, well-known frames); replace all others."""
        return one if is_registered(one) else self.tools.pseudonyms.uid(one)


def _is_public(tag: int) -> bool:
    """Whether an attribute is in the dictionary under its own tag: no private one, no curve, no overlay."""
    return dictionary_has_tag(tag) and not (tag >> 16) & 1 and tag >> 16 > 0x0002


def _numbers(found: DataElement) -> object | None:
    """Keep numbers as they were written; None for text in the place of a number."""
    if found.VR in _WRITTEN_NUMBERS:
        parts = found.value if isinstance(found.value, MultiValue | list) else [found.value]
        if not all(_NUMBER.fullmatch(str(part).strip()) for part in parts):
            return None
    return found.value


def _each(found: object, change: Callable[[str], str | None]) -> object | None:
    """Change each of several values; None if one of them cannot be."""
    if not isinstance(found, MultiValue | list):
        return change(str(found))
    changed = [change(str(one)) for one in found]
    return None if None in changed else changed


def _safe_texts(keyword: str, found: object) -> object | None:
    """Keep texts that are safe for an attribute; of several, others become empty, so that places count."""
    many = isinstance(found, MultiValue | list)
    parts = (
        [str(one).strip() for one in found] if isinstance(found, MultiValue | list) else [str(found).strip()]
    )
    kept = [part if is_safe(keyword, part) else "" for part in parts]
    if not any(kept):
        return None
    return kept if many else kept[0]
