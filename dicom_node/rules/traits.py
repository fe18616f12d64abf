"""What rules look at: a few elements of one header per series, without names and numbers of patients."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from typing import Final

from pydicom import Dataset, dcmread

from dicom_node.routing import is_for_reading
from dicom_node.rules.settings import TEXTS
from dicom_node.study import Instance, Origin
from dicom_node.unreadable import UNREADABLE

DAYS_PER_YEAR: Final = 365.25
_DAYS_PER_UNIT: Final = {"D": 1.0, "W": 7.0, "M": DAYS_PER_YEAR / 12, "Y": DAYS_PER_YEAR}
"""Units of an age string (PS3.5 6.2, AS)."""
_CODES: Final = ("ProcedureCodeSequence", "RequestedProcedureCodeSequence")
_DESCRIPTIONS: Final = (
    "StudyDescription",
    "SeriesDescription",
    "ProtocolName",
    "RequestedProcedureDescription",
)
_READ: Final = [
    *(keyword for keyword in TEXTS.values() if keyword != "SourceApplicationEntityTitle"),
    *_CODES,
    *_DESCRIPTIONS,
    *("RequestAttributesSequence", "PatientAge", "PatientBirthDate", "StudyDate"),
]


@dataclass(frozen=True, slots=True)
class Traits:
    """One study as rules see it."""

    texts: Mapping[str, tuple[str, ...]]
    """Distinct values for each condition of `TEXTS`."""
    age_years: float | None
    image_count: int


def traits_of_stored(instances: Sequence[Instance]) -> Traits:
    """Read what was routed to us of a study, one instance of each series."""
    routed = [instance for instance in instances if instance.origin is Origin.ROUTED]
    first = {instance.series_instance_uid: instance.path for instance in reversed(routed)}
    headers = [ds for path in first.values() for ds in header_of(path)]
    return traits_of(headers, sum(map(is_for_reading, routed)))


def header_of(path: Path) -> Iterator[Dataset]:
    """Yield the header of a file; nothing if it cannot be read: what reads its pixels will say so."""
    try:
        ds = dcmread(path, stop_before_pixels=True, specific_tags=list(_READ))
        ds.walk(lambda _ds, _element: None)  # values are decoded when they are looked at: here, not later
    except UNREADABLE:
        return
    yield ds


def traits_of(headers: Sequence[Dataset], image_count: int, calling_ae: str = "") -> Traits:
    """Gather from headers of one study; `calling_ae` says who sends them where no file does."""
    found = {name: _distinct(_texts(ds, keyword) for ds in headers) for name, keyword in TEXTS.items()}
    found["description"] = _distinct(_all_texts(ds, _DESCRIPTIONS) for ds in headers)
    found["procedure_code"] = _distinct(_codes(ds) for ds in headers)
    senders = (_texts(getattr(ds, "file_meta", Dataset()), TEXTS["calling_ae"]) for ds in headers)
    found["calling_ae"] = (calling_ae,) if calling_ae else _distinct(senders)
    ages = (age for ds in headers if (age := age_years(ds)) is not None)
    return Traits(found, next(ages, None), image_count)


def _distinct(values: Iterable[Iterable[str]]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(value for some in values for value in some))


def _all_texts(ds: Dataset, keywords: Iterable[str]) -> Iterator[str]:
    for each in (ds, *(ds.get("RequestAttributesSequence") or ())):
        for keyword in keywords:
            yield from _texts(each, keyword)


def _texts(ds: Dataset, keyword: str) -> Iterator[str]:
    value = ds.get(keyword)
    if value is None or keyword in _CODES:
        return
    for text in [value] if isinstance(value, str) else value:
        if plain := str(text).strip():
            yield plain


def _codes(ds: Dataset) -> Iterator[str]:
    """Yield each procedure code as its value, and as `value^scheme` (PS3.3 8.1)."""
    for each in (ds, *(ds.get("RequestAttributesSequence") or ())):
        for keyword in _CODES:
            for item in each.get(keyword) or ():
                value, scheme = (str(item.get(k) or "") for k in ("CodeValue", "CodingSchemeDesignator"))
                if value:
                    yield from (value, f"{value}^{scheme}")


def age_years(ds: Dataset) -> float | None:
    """Take Patient's Age (PS3.5 AS), else the days from birth to the study; None if neither is known."""
    text = str(ds.get("PatientAge") or "").strip().upper()
    if len(text) == 4 and text[:3].isdigit() and text[3] in _DAYS_PER_UNIT:
        return int(text[:3]) * _DAYS_PER_UNIT[text[3]] / DAYS_PER_YEAR
    born, studied = (_date(str(ds.get(keyword) or "")) for keyword in ("PatientBirthDate", "StudyDate"))
    if born is None or studied is None or studied < born:
        return None
    return (studied - born).days / DAYS_PER_YEAR


def _date(text: str) -> date | None:
    try:
        return datetime.strptime(text.strip(), "%Y%m%d").date()
    except ValueError:
        return None
