"""A digest of what an object says, equal however its data set is encoded."""

import hashlib
from collections.abc import Iterable, Iterator
from typing import Final

from pydicom import DataElement, Dataset
from pydicom.datadict import tag_for_keyword
from pydicom.filewriter import correct_ambiguous_vr
from pydicom.multival import MultiValue
from pydicom.tag import BaseTag

COERCIBLE: Final = (
    *("PatientName", "PatientID", "IssuerOfPatientID", "IssuerOfPatientIDQualifiersSequence"),
    *("TypeOfPatientID", "PatientBirthDate", "PatientBirthTime", "PatientSex", "PatientAge"),
    *("OtherPatientIDs", "OtherPatientIDsSequence", "OtherPatientNames", "EthnicGroup", "PatientComments"),
    *("PatientSize", "PatientWeight", "PatientAddress", "PatientMotherBirthName"),
    *("AccessionNumber", "IssuerOfAccessionNumberSequence", "StudyID", "StudyDescription"),
    *("ReferringPhysicianName", "PhysiciansOfRecord", "ProcedureCodeSequence", "AdmissionID"),
    *("ReferencedStudySequence", "ReferencedPatientSequence", "RequestAttributesSequence"),
    *("OriginalAttributesSequence", "InstanceAvailability", "RetrieveAETitle", "StudyStatusID"),
    *("TimezoneOffsetFromUTC", "StorageMediaFileSetUID", "StorageMediaFileSetID"),
)
"""What an archive may correct in what it keeps (PS3.4 B.4.1.3), or adds where it answers queries."""
_LEFT_OUT: Final = frozenset(
    tag
    for keyword in (*COERCIBLE, "SpecificCharacterSet", "DataSetTrailingPadding")
    if (tag := tag_for_keyword(keyword)) is not None
)


def content_digest(ds: Dataset) -> str:
    """Return the SHA-256 of a data set's decoded elements, without those of `COERCIBLE` at its top level.

    Transfer syntaxes without compression, lengths of sequences, padding and character sets do not matter.
    """
    digest = hashlib.sha256()
    for piece in _pieces(element for element in _elements(ds) if element.tag not in _LEFT_OUT):
        digest.update(piece)
    return digest.hexdigest()


def coerced(sent: Dataset, kept: Dataset) -> tuple[str, ...]:
    """Name the attributes of `COERCIBLE` in which two versions of an object differ."""
    return tuple(keyword for keyword in COERCIBLE if _digest_of(sent, keyword) != _digest_of(kept, keyword))


def _digest_of(ds: Dataset, keyword: str) -> bytes | None:
    if keyword not in ds or ds[keyword].is_empty:
        return None
    return hashlib.sha256(b"".join(_pieces([ds[keyword]]))).digest()


def _elements(ds: Dataset) -> Iterator[DataElement]:
    # Implicit VR leaves some representations open until other elements are known (PS3.5 annex A.1).
    correct_ambiguous_vr(ds, is_little_endian=True)
    yield from ds


def _pieces(elements: Iterable[DataElement]) -> Iterator[bytes]:
    for element in elements:
        if _is_framing(element.tag):
            continue
        yield element.tag.to_bytes(4, "big")
        if element.VR == "SQ":
            for item in element.value:
                yield b"("
                yield from _pieces(_elements(item))
            yield b")"
        else:
            yield from _value(element)


def _is_framing(tag: BaseTag) -> bool:
    """File meta information and group lengths tell of the encoding, not of the object."""
    return tag.group == 0x0002 or tag.element == 0


def _value(element: DataElement) -> Iterator[bytes]:
    value = element.value
    values = value if isinstance(value, MultiValue | list | tuple) else [] if value is None else [value]
    for each in values:
        content = each if isinstance(each, bytes) else str(each).rstrip(" \0").encode()
        yield len(content).to_bytes(8, "big")
        yield content
