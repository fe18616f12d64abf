"""The parameters of a search (PS3.18 8.3.4)."""

from collections.abc import Iterable
from dataclasses import dataclass
from http import HTTPStatus
from typing import Final

from dicom_node.database.catalogue import Level, Narrowing
from dicom_node.errors import RequestError
from dicom_node.web.attributes import MATCHED, path_of
from dicom_node.web.matching import uids_of
from dicom_node.web.service import Place

NOT_MATCHED: Final = "The following search parameters are not supported and were ignored: "
NOT_FUZZY: Final = "The fuzzymatching parameter is not supported. Only literal matching has been performed."
_KEYWORDS: Final = ("accept", "charset", "fuzzymatching", "includefield", "limit", "offset")
_STUDY_UID, _SERIES_UID, _INSTANCE_UID = map(
    path_of, ("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID")
)
_PATIENT_ID, _STUDY_DATE = path_of("PatientID"), path_of("StudyDate")


@dataclass(frozen=True, slots=True)
class Query:
    """What is searched for, what is to be returned, and what is ignored."""

    keys: tuple[tuple[tuple[int, ...], str], ...]
    """Attributes by the tags that lead to them, and the pattern for each."""
    narrowing: Narrowing
    is_across_studies: bool
    """Whether the path names no study: then each match says where it belongs."""
    include: frozenset[int]
    includes_all: bool
    limit: int
    offset: int
    warnings: tuple[str, ...]


def query_of(parameters: Iterable[tuple[str, str]], level: Level, place: Place, most: int) -> Query:
    """Read the parameters of a search; `most` is the highest limit.

    Raises:
        RequestError: 400 if one cannot be understood.
    """
    pairs = list(parameters)
    special = {name: value for name, value in pairs if name in _KEYWORDS}
    known = {path_of(name) for name in MATCHED[level]}
    keys: list[tuple[tuple[int, ...], str]] = []
    ignored: list[str] = []
    for name, pattern in pairs:
        if name not in _KEYWORDS:
            path = _path(name)
            if path in known:
                keys.append((path, pattern))
            else:
                ignored.append(name)
    fields = {field for name, value in pairs if name == "includefield" for field in value.split(",") if field}
    warnings = [NOT_MATCHED + ", ".join(ignored)] if ignored else []
    if special.get("fuzzymatching", "false").lower() == "true":
        warnings.append(NOT_FUZZY)
    return Query(
        keys=tuple(keys),
        narrowing=_narrowing(keys, place),
        is_across_studies=not place.study,
        include=frozenset(_path(field)[0] for field in fields if field != "all"),
        includes_all="all" in fields,
        limit=min(_count(special.get("limit"), most), most),
        offset=_count(special.get("offset"), 0),
        warnings=tuple(warnings),
    )


def _path(name: str) -> tuple[int, ...]:
    try:
        return path_of(name)
    except ValueError:
        raise RequestError(HTTPStatus.BAD_REQUEST, "a parameter names no attribute") from None


def _count(text: str | None, default: int) -> int:
    if text is None:
        return default
    if not (text.isascii() and text.isdigit() and len(text) < 10):
        raise RequestError(HTTPStatus.BAD_REQUEST, "limit and offset are whole numbers")
    return int(text)


def _narrowing(keys: Iterable[tuple[tuple[int, ...], str]], place: Place) -> Narrowing:
    """Let the index decide what it can; the attributes themselves are compared again."""
    patterns = dict(keys)
    patient_id = patterns.get(_PATIENT_ID, "").strip()
    # The index keeps other characters as they were encoded.
    is_plain = patient_id.isascii() and not any(each in patient_id for each in "*?")
    first, last = _dates(patterns.get(_STUDY_DATE, ""))
    return Narrowing(
        studies=(place.study,) if place.study else uids_of(patterns.get(_STUDY_UID, "")),
        series=(place.series,) if place.series else uids_of(patterns.get(_SERIES_UID, "")),
        instances=uids_of(patterns.get(_INSTANCE_UID, "")),
        patient_id=patient_id if is_plain else "",
        first_study_date=first,
        last_study_date=last,
    )


def _dates(pattern: str) -> tuple[str, str]:
    first, dash, last = pattern.strip().partition("-")
    ends = (first, last if dash else first)
    is_plain = all(each == "" or (len(each) == 8 and each.isdigit()) for each in ends)
    return ends if is_plain else ("", "")
