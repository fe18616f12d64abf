"""Reads what a person stated about images in a structured report: findings, and regions drawn around them.

The form is TID 1500's, which our own results have: a reader who corrects one stores it under equipment of his
own, and what he left in it he stands for.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from pydicom.dataset import Dataset

from model.imaging.elements import items, numbers, text
from model.reading import CHEST_FINDINGS, SKIN_LESIONS
from structured_reports.codes import FINDING, FINDING_SITE, PRESENCE
from structured_reports.content_tree import children, groups, walk
from worker.archive_export.coded_entries import UNKNOWN, published_code
from worker.archive_export.labels import is_anatomy, label_of, presence_of, side_of


@dataclass(frozen=True, slots=True)
class DrawnRegion:
    """A rectangle on a stored image."""

    label: str
    sop_instance_uid: str
    box_pixels: tuple[float, float, float, float]
    """j0, i0, j1, i1 of stored rows and columns, half-open."""
    is_anatomy: bool


@dataclass(frozen=True, slots=True)
class Statements:
    """What one document states in codes."""

    labels: dict[str, bool | None]
    """Present, absent, or None where the reader was undecided."""
    regions: tuple[DrawnRegion, ...]
    unnamed: int
    """Groups left out since no published code names what they are about."""


def statements_of(document: Dataset) -> Statements:
    """Read every measurement group of a document."""
    labels: dict[str, bool | None] = {}
    regions: list[DrawnRegion] = []
    unnamed = 0
    for group in groups(document):
        finding = next(children(group, FINDING), None)
        code = _value(finding) if finding is not None else UNKNOWN
        site = next(children(group, FINDING_SITE), None)
        label = label_of(code, side_of(site) if site is not None else None)
        if label is None:
            unnamed += finding is not None
            continue
        anatomy = is_anatomy(code)
        drawn = [DrawnRegion(label, uid, box, anatomy) for uid, box in _rectangles(group)]
        regions += drawn
        said = [presence_of(_value(item)) for item in children(group, PRESENCE) if _value(item) != UNKNOWN]
        if said or (drawn and not anatomy) or label in (*CHEST_FINDINGS, *SKIN_LESIONS):
            labels[label] = said[0] if said else True
    return Statements(labels, tuple(regions), unnamed)


def referenced_instances(document: Dataset) -> frozenset[str]:
    """Collect every SOP Instance UID that a document refers to, at any depth."""
    return frozenset(_references(document))


def _references(ds: Dataset) -> Iterator[str]:
    for element in ds:
        if element.keyword == "ReferencedSOPInstanceUID":
            yield str(element.value)
        elif element.VR == "SQ":
            for item in element.value or ():
                yield from _references(item)


def _value(item: Dataset):
    return next((published_code(entry) for entry in items(item, "ConceptCodeSequence")), UNKNOWN)


def _rectangles(group: Dataset) -> Iterator[tuple[str, tuple[float, float, float, float]]]:
    """Yield the bounding rectangle of each region with the image it is drawn on."""
    for item in walk(group):
        points = numbers(item, "GraphicData") if text(item, "ValueType") == "SCOORD" else None
        if points is None or len(points) < 4:
            continue
        columns, rows = points[0::2], points[1::2]
        for image in items(item, "ContentSequence"):
            for reference in items(image, "ReferencedSOPSequence"):
                uid = text(reference, "ReferencedSOPInstanceUID")
                yield uid, (min(rows), min(columns), max(rows), max(columns))
