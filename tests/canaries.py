"""Data sets in which every attribute holds a string that must never be seen again."""

from collections.abc import Iterator

from pydicom import Dataset
from pydicom.datadict import DicomDictionary, RepeatersDictionary
from pydicom.dataelem import DataElement, RawDataElement
from pydicom.dataset import FileMetaDataset
from pydicom.sequence import Sequence
from pydicom.tag import BaseTag
from pydicom.uid import ExplicitVRLittleEndian, generate_uid

MARK = "ZQX"
"""Begins every planted text; no published word, code or identifier holds it."""
NAME = "ZQXNAME^ANNA"
PLANTED_DATE = "19870613"
UID_ROOT = "1.2.826.0.1.3680043.99.8877"
"""Begins every planted UID."""

_TEXT = frozenset(("AE", "CS", "LO", "LT", "SH", "ST", "UC", "UR", "UT"))
_BYTES = frozenset(("OB", "OD", "OF", "OL", "OV", "OW", "UN"))
_PIXELS = (0x7FE00008, 0x7FE00009, 0x7FE00010)
_KEPT_AS_THEY_ARE = (0x00080005, 0x00080016, *_PIXELS)
"""Character set and class are not planted, or nothing could be read; pixels are another test's."""

DEPTHS = (
    "ReferencedSeriesSequence",
    "SourceImageSequence",
    "SharedFunctionalGroupsSequence",
    "SegmentSequence",
)
"""Sequences that stay, one within the other."""


def everything_planted(sop_class_uid: str, syntax: str = ExplicitVRLittleEndian) -> Dataset:
    """Fill every attribute of the dictionary at the root and in an item four deep, and private ones too."""
    return _filed(_nested(_planted(NAME), _planted(NAME)), sop_class_uid, "ISO_IR 192", syntax)


def names_planted(sop_class_uid: str, charset: str, name: str) -> Dataset:
    """Fill every person name, and texts that repeat the name, at every depth, in a character set."""
    return _filed(_nested(_small(name), _small(name)), sop_class_uid, charset, ExplicitVRLittleEndian)


def _nested(ds: Dataset, deepest: Dataset) -> Dataset:
    inner = ds
    for keyword in DEPTHS:
        item = deepest if keyword == DEPTHS[-1] else _small(NAME)
        setattr(inner, keyword, Sequence([item]))
        inner = item
    return ds


def _filed(ds: Dataset, sop_class_uid: str, charset: str, syntax: str) -> Dataset:
    ds.SpecificCharacterSet = charset
    ds.PatientID = "ZQXID7"
    ds.SOPClassUID = sop_class_uid
    ds.SOPInstanceUID = f"{UID_ROOT}.1"
    ds.file_meta = FileMetaDataset()
    ds.file_meta.MediaStorageSOPClassUID = sop_class_uid
    ds.file_meta.MediaStorageSOPInstanceUID = ds.SOPInstanceUID
    ds.file_meta.TransferSyntaxUID = syntax
    ds.file_meta.ImplementationVersionName = "ZQXVERSION"
    ds.file_meta.SourceApplicationEntityTitle = "ZQXAE"
    ds.file_meta.PrivateInformationCreatorUID = f"{UID_ROOT}.2"
    ds.file_meta.PrivateInformation = b"ZQXMETA!"
    ds.preamble = b"ZQX".ljust(128, b"-")
    return ds


def _planted(name: str) -> Dataset:
    ds = Dataset()
    for tag, vr in _attributes():
        element = _element(tag, vr, name)
        if element is not None:
            ds[BaseTag(tag)] = element
    block = ds.private_block(0x0099, "ZQXCREATOR", create=True)
    block.add_new(0x01, "LO", "ZQXPRIVATE")
    block.add_new(0x02, "PN", name)
    block.add_new(0x03, "UN", b"ZQXUNKNOWN")
    block.add_new(0x04, "SQ", Sequence([_small(name)]))
    return ds


def _attributes() -> Iterator[tuple[int, str]]:
    for tag, entry in DicomDictionary.items():
        if tag >> 16 > 0x0002 and tag >> 16 != 0xFFFE and tag not in _KEPT_AS_THEY_ARE:
            yield tag, entry[0].split(" or ")[-1]
    for mask, entry in RepeatersDictionary.items():
        if mask.startswith(("50", "60")):
            yield int(mask.replace("x", "0"), 16), entry[0].split(" or ")[-1]


def _element(tag: int, vr: str, name: str) -> DataElement | RawDataElement | None:
    number = f"{tag:08X}"
    if vr in _TEXT:
        return DataElement(tag, vr, f"{MARK}{number}"[: 16 if vr in ("AE", "CS", "SH") else None])
    if vr == "PN":
        return DataElement(tag, vr, name)
    if vr == "SQ":
        return DataElement(tag, vr, Sequence([_small(name)]))
    if vr == "UI":
        return DataElement(tag, vr, f"{UID_ROOT}.{tag}")
    if vr in ("DA", "DT"):
        return DataElement(tag, vr, PLANTED_DATE)
    if vr in ("DS", "IS", "AS", "TM"):
        text = f"{MARK}{number}".encode()
        return RawDataElement(BaseTag(tag), vr, len(text) + 1, text + b" ", 0, False, True, True)
    if vr in _BYTES:
        return DataElement(tag, vr, f"{MARK}{number}!".encode())
    return None


def _small(name: str) -> Dataset:
    """One item with an attribute of each VR that holds text, and a coded entry."""
    item = Dataset()
    for keyword in (
        "PersonName",
        "PatientName",
        "ReferringPhysicianName",
        "OperatorsName",
        "ResponsiblePerson",
    ):
        setattr(item, keyword, name)
    for keyword in (
        "TextValue",
        "InstitutionName",
        "PatientComments",
        "StudyDescription",
        "ManufacturerModelName",
    ):
        setattr(item, keyword, f"{MARK} {name}")
    item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning = "ZQXCODE", "99ZQX", "ZQX hospital"
    item.ReferencedSOPInstanceUID = generate_uid(prefix=f"{UID_ROOT}.")
    item.DateTime = f"{PLANTED_DATE}112233"
    item.Manufacturer = "ZQXMAKER"
    return item
