"""Every concept that results are made of, for a site's terminologist: code, meaning, source, verification."""

import csv
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from html import escape
from io import StringIO
from types import ModuleType
from typing import Any

from pydicom.sr.codedict import codes as dictionary
from pydicom.sr.coding import Code

from structured_reports import codes, content_tree, withdrawal
from structured_reports.writers import key_objects, narrative


class Level(StrEnum):
    """How a code was verified."""

    STANDARD = "A"
    """It stands in PS3.16 under that meaning."""
    PUBLIC = "B"
    """It stands in a curated public value set."""
    LOCAL = "L"
    """No safe code was found: a code of our own scheme, declared in each report."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One row."""

    used_for: str
    """The label of the model, or the place in a result."""
    kind: str
    code: Code
    side: str = ""
    site: str = ""
    source: str = ""
    level: Level = Level.STANDARD
    note: str = ""

    def cells(self) -> tuple[str, ...]:
        """Give the row in the order of `HEADINGS`."""
        code = (self.code.scheme_designator, self.code.value, self.code.meaning)
        return (
            self.used_for,
            self.kind,
            *code,
            self.side,
            self.site,
            self.source,
            self.level.value,
            self.note,
        )


HEADINGS = ("used for", "kind", "scheme", "value", "meaning", "side", "site", "source", "level", "note")
_LEVELS = "; ".join(
    f"{level.value}: {text}"
    for level, text in (
        (Level.STANDARD, "in PS3.16"),
        (Level.PUBLIC, "in a curated public value set"),
        (Level.LOCAL, f"local, scheme {codes.LOCAL_SCHEME}"),
    )
)

_TABLES: Mapping[str, Mapping[Any, Code]] = {
    "presence": codes.PRESENCES,
    "side": codes.SIDES,
    "change": codes.CHANGES,
    "region": codes.REGIONS,
    "modality": codes.MODALITIES,
    "way of asking": codes.WAYS,
    "title of a rejection note": withdrawal.TITLES,
}
"""Values that results choose among."""

_MODULES: Sequence[ModuleType] = (codes, content_tree, narrative, key_objects)
"""Where names of content items are constants."""

_FROM_DICTIONARY: Mapping[str, tuple[str, ...]] = {
    "DCM": (
        *("AcquisitionEquipment", "AlgorithmFamily", "AlgorithmManufacturer", "AlgorithmParameters"),
        *("BestIllustrationOfFinding", "Device", "DeviceObserverManufacturer", "DeviceObserverModelName"),
        *("DeviceObserverName", "DeviceObserverSerialNumber", "DeviceObserverUID", "ImageLibrary"),
        *("ImageLibraryGroup", "ImageRegion", "ImagingMeasurementReport", "ImagingMeasurements"),
        *("KeyObjectDescription", "LanguageOfContentItemAndDescendants", "Modality", "ObserverType"),
        *("OriginalSource", "PreviousFinding", "ProcedureReported", "ReferencedSegment"),
        *("ReferencedSegmentationFrame", "SegmentationImageDerivation", "SourceImageForSegmentation"),
        *("SourceImageForImageProcessingOperation", "SourceOfMeasurement", "SourceSeriesForSegmentation"),
        *("TargetRegion", "TimePointOrder"),
    ),
    "SCT": ("FindingsCategoryType",),
}
"""Names of concepts that writers, and the library behind them, take from PS3.16 as they are."""

_LOOKED_UP = {
    "C0034375": "PS3.16 TID 1500",
    "C2348792": "PS3.16 TID 1502",
    **dict.fromkeys(("7147002", "35105006", "263703002", "705057003"), "public value set"),
}
"""Where a code of a report's structure stands that the dictionary of PS3.16 at hand does not have."""


def entries() -> list[Entry]:
    """List labels of the model first, then what reports are built of; each place once."""
    return [*_labels(), *_choices(), *_structure()]


def _labels() -> Iterator[Entry]:
    for label, concept in codes.CONCEPTS.items():
        yield Entry(
            label,
            concept.kind,
            concept.code,
            side=concept.laterality.value if concept.laterality else "",
            site="" if concept.site == concept.code else concept.site.meaning,
            source=concept.verified_in,
            level=_level_of_source(concept.verified_in),
            note=concept.note,
        )


def _level_of_source(source: str) -> Level:
    if source == codes.LOCAL:
        return Level.LOCAL
    return Level.STANDARD if source.startswith("PS3.16") else Level.PUBLIC


def _choices() -> Iterator[Entry]:
    for kind, table in _TABLES.items():
        for key, code in table.items():
            yield _built_of(str(key), kind, code)


def _structure() -> Iterator[Entry]:
    seen: set[Code] = set()
    named = [(name, code) for module in _MODULES for name, code in vars(module).items()]
    for scheme, names in _FROM_DICTIONARY.items():
        concepts = getattr(dictionary, scheme).concepts
        named += [(concepts[name].meaning, concepts[name]) for name in names]
    for name, code in named:
        if isinstance(code, Code) and code not in seen:
            seen.add(code)
            yield _built_of(name.lower().replace("_", " "), "content", code)


def _built_of(used_for: str, kind: str, code: Code) -> Entry:
    is_local = code.scheme_designator == codes.LOCAL_SCHEME
    source = codes.LOCAL if is_local else _LOOKED_UP.get(code.value, "PS3.16")
    return Entry(used_for, kind, code, source=source, level=_level_of_source(source))


def as_tsv(rows: Sequence[Entry]) -> str:
    """Write rows for a spreadsheet: one a line, cells parted by tabs, headings first."""
    with StringIO(newline="") as sheet:
        writer = csv.writer(sheet, delimiter="\t", lineterminator="\n")
        writer.writerow(HEADINGS)
        writer.writerows(entry.cells() for entry in rows)
        return sheet.getvalue()


def as_text(rows: Sequence[Entry]) -> str:
    """Write rows in columns for a terminal."""
    shown = [HEADINGS, *(entry.cells() for entry in rows)]
    widths = [max(len(row[column]) for row in shown) for column in range(len(HEADINGS))]
    lines = ("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) for row in shown)
    return "\n".join([*(line.rstrip() for line in lines), "", _LEVELS])


def as_html(rows: Sequence[Entry]) -> str:
    """Write rows as a page that needs nothing from elsewhere."""
    head = "".join(f"<th>{escape(heading)}</th>" for heading in HEADINGS)
    body = "".join(
        f"<tr>{''.join(f'<td>{escape(cell)}</td>' for cell in entry.cells())}</tr>\n" for entry in rows
    )
    return (
        '<!doctype html><html lang="en"><meta charset="utf-8"><title>Codes of medversa-node</title>'
        '<meta name="viewport" content="width=device-width"><style>body{font:14px/1.4 system-ui,sans-serif;'
        "margin:1.5rem}table{border-collapse:collapse}td,th{padding:.2rem .6rem;text-align:left;"
        "border-bottom:1px solid #8884;vertical-align:top}@media(prefers-color-scheme:dark){body{"
        "background:#16161a;color:#e6e6e6}}</style>"
        f"<h1>Codes of medversa-node</h1><p>{escape(_LEVELS)}</p>"
        f"<table><tr>{head}</tr>\n{body}</table></html>\n"
    )
