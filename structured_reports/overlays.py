"""What result objects say of one image, read back from the objects themselves: masks, boxes, statements."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset
from pydicom.sr.coding import Code

from model.reading import Presence
from structured_reports import codes
from structured_reports.codes import ANATOMICAL_STRUCTURE, CONCEPTS
from structured_reports.colours import FINDING_COLOUR, REGION_COLOUR, RGB, colour_of
from structured_reports.content_tree import (
    ALGORITHM_NAME,
    ALGORITHM_VERSION,
    MEASUREMENT_GROUP,
    TRACKING_IDENTIFIER,
    TRACKING_UID,
    children,
    code_of,
    groups,
    is_named,
    number_of,
    text_of,
    value_code,
    walk,
)
from structured_reports.graphics import MARKS, is_rectangle, points_of
from structured_reports.provenance import DEMO_NOTICE, DISCLAIMER
from structured_reports.segment_regions import Region, names_frame, regions_on
from structured_reports.wording import CUT_OFF

_ANATOMY = {concept.code.value for concept in CONCEPTS.values() if concept.category == ANATOMICAL_STRUCTURE}
OHIF_TOOL = "Cornerstone3DTools@"
"""What Tracking Identifiers by OHIF begin with: they name the tool that drew the region."""
FEW_ABSENT = 5
"""Up to so many absent findings get a line each."""

_MEASUREMENTS = Code("126010", "DCM", "Imaging Measurements")
_ABSENT = codes.PRESENCES[Presence.ABSENT].value
_UNDETERMINED = codes.PRESENCES[Presence.UNDETERMINED].value
_PRESENCE_WORDS = {_ABSENT: "absent", _UNDETERMINED: "undetermined"}
_PRESENCE_COLOURS: dict[str, RGB] = {_ABSENT: (150, 200, 150), _UNDETERMINED: (255, 190, 60)}
_CHANGE_WORDS = {code.value: status.value for status, code in codes.CHANGES.items()}


@dataclass(frozen=True, slots=True)
class Rectangle:
    """One box on the image, in source pixels from the outer corner of the first."""

    label: str
    colour: RGB
    left: float
    top: float
    right: float
    bottom: float
    is_finding: bool


@dataclass(frozen=True, slots=True, eq=False)
class Shape:
    """What is drawn on the image and is no rectangle: places, lines, circles of other makers."""

    label: str
    colour: RGB
    points: NDArray[np.float64]
    """(N, 2) columns and rows, in source pixels."""
    are_marks: bool
    """Whether the points are places instead of corners of a line."""


@dataclass(frozen=True, slots=True)
class Statement:
    """One line about the study, with the colour of what it speaks of."""

    text: str
    colour: RGB | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Overlays:
    """Everything that results say of one image."""

    regions: tuple[Region, ...]
    rectangles: tuple[Rectangle, ...]
    statements: tuple[Statement, ...]
    notices: tuple[str, ...]
    """What the report says of itself beyond being AI and unverified."""
    shapes: tuple[Shape, ...] = ()


def overlays_on(image: Dataset, frame_number: int, results: Sequence[Dataset]) -> Overlays:
    """Read what results say of one frame, matching by SOP Instance UID and frame number.

    Boxes are read from the report; from presentation states only where no report is given.
    """
    reports = [ds for ds in results if ds.get("Modality") == "SR"]
    states = [ds for ds in results if ds.get("Modality") == "PR"]
    segmentations = [ds for ds in results if ds.get("Modality") == "SEG"]
    frame = str(image.SOPInstanceUID), frame_number
    drawn = [drawn for ds in reports for drawn in _drawn_by_report(ds, frame)]
    if not reports:
        drawn = [drawn for ds in states for drawn in _drawn_by_state(ds, frame)]
    return Overlays(
        tuple(region for ds in segmentations for region in regions_on(ds, image, frame_number)),
        tuple(each for each in drawn if isinstance(each, Rectangle)),
        tuple(statement for ds in reports for statement in _statements(ds)),
        tuple(
            DEMO_NOTICE for ds in reports if any(item.get("TextValue") == DEMO_NOTICE for item in walk(ds))
        ),
        tuple(each for each in drawn if isinstance(each, Shape)),
    )


def _drawn_by_report(report: Dataset, frame: tuple[str, int]) -> Iterator[Rectangle | Shape]:
    certainties = {_tracking_uid(group): _certainty(group) for group in groups(report) if _certainty(group)}
    for group, item in _coordinates(report, None):
        selected = [each for child in item.get("ContentSequence", ()) for each in _references(child)]
        if not any(names_frame(reference, *frame) for reference in selected):
            continue
        finding = code_of(group, codes.FINDING)
        is_finding = finding not in {*_ANATOMY, codes.DESCRIBED_REGION.value}
        label = label_of(group, item)
        caption = f"{label} {certainties.get(_tracking_uid(group), '')}".strip()
        colour = REGION_COLOUR if finding == codes.DESCRIBED_REGION.value else colour_of(label)
        yield from _drawn(caption, FINDING_COLOUR if is_finding else colour, item, is_finding)


def _coordinates(parent: Dataset, group: Dataset | None) -> Iterator[tuple[Dataset, Dataset]]:
    """Yield every SCOORD with the measurement group that it stands in, or its parent outside of any."""
    for item in parent.get("ContentSequence", ()):
        if item.get("ValueType") == "SCOORD":
            yield group or parent, item
        inside = item if group is None and is_named(item, MEASUREMENT_GROUP) else group
        yield from _coordinates(item, inside)


def _references(item: Dataset) -> Iterator[Dataset]:
    yield from item.get("ReferencedSOPSequence", ())


def label_of(group: Dataset, item: Dataset) -> str:
    """Name what a region stands for: as the maker tracks it, else its finding, else its own concept."""
    tracked = text_of(group, TRACKING_IDENTIFIER)
    if tracked.startswith(OHIF_TOOL):
        tracked = ""
    finding = next((meaning_of(child, "ConceptCodeSequence") for child in children(group, codes.FINDING)), "")
    return tracked or finding or meaning_of(item, "ConceptNameCodeSequence")


def meaning_of(item: Dataset, keyword: str) -> str:
    """Give the meaning of an item's code; empty without one."""
    return next((str(code.get("CodeMeaning") or "") for code in item.get(keyword, ())), "")


def _drawn_by_state(state: Dataset, frame: tuple[str, int]) -> Iterator[Rectangle | Shape]:
    for annotation in state.get("GraphicAnnotationSequence", ()):
        images = annotation.get("ReferencedImageSequence", ())
        if images and not any(names_frame(image, *frame) for image in images):
            continue
        layer = str(annotation.get("GraphicLayer"))
        is_finding = layer == "AI_FINDINGS"
        captions = [
            str(text.get("UnformattedTextValue")) for text in annotation.get("TextObjectSequence", ())
        ]
        label = captions[0].removeprefix("AI: ") if captions else ""
        for shape in annotation.get("GraphicObjectSequence", ()):
            if shape.get("GraphicAnnotationUnits") == "PIXEL":
                colour = REGION_COLOUR if layer == "AI_REGIONS" else colour_of(label)
                yield from _drawn(label, FINDING_COLOUR if is_finding else colour, shape, is_finding)


def _drawn(label: str, colour: RGB, item: Dataset, is_finding: bool) -> Iterator[Rectangle | Shape]:
    graphic_type = str(item.get("GraphicType"))
    points = points_of(graphic_type, item.get("GraphicData") or ())
    if is_rectangle(points):
        (left, top), (right, bottom) = points.min(axis=0).tolist(), points.max(axis=0).tolist()
        yield Rectangle(label, colour, left, top, right, bottom, is_finding)
    elif len(points):
        yield Shape(label, colour, points, graphic_type in MARKS)


def _statements(report: Dataset) -> Iterator[Statement]:
    """List findings, changes and volumes, then what was called absent, then words, last the model.

    Where much was called absent it is one line at the end: it would push the rest out of sight.
    """
    yield from (statement for group in groups(report) for statement in _statement_of(group))
    evaluations = children(report, codes.QUALITATIVE_EVALUATIONS)
    absent = [item for each in evaluations for item in children(each, codes.ABSENT_FINDINGS)]
    denied = [statement for item in absent for statement in _absent_statements(item)]
    if len(denied) <= FEW_ABSENT:
        yield from denied
    yield from _words(report)
    for measurements in children(report, _MEASUREMENTS):
        model = f"{text_of(measurements, ALGORITHM_NAME)} {text_of(measurements, ALGORITHM_VERSION)}"
        yield Statement(f"Model: {model}")
    if len(denied) > FEW_ABSENT:
        yield from (Statement(text_of(item, codes.COMMENT)) for item in absent)


def _absent_statements(absent: Dataset) -> Iterator[Statement]:
    for item in absent.get("ContentSequence", ()):
        if value_code(item) == _ABSENT:
            doubt = ", contested" if code_of(item, codes.SELF_CONSISTENCY) else ""
            yield Statement(f"no {str(item.ConceptNameCodeSequence[0].CodeMeaning).lower()}{doubt}")


def _statement_of(group: Dataset) -> Iterator[Statement]:
    presence, change = code_of(group, codes.PRESENCE), code_of(group, codes.CHANGED_STATUS)
    volume = number_of(group, codes.VOLUME)
    label = label_of(group, group)
    if words := text_of(group, codes.SELECTED_REGION_DESCRIPTION):
        yield Statement(f"{label}: {words}", REGION_COLOUR)
    if not (presence or change or volume is not None):
        return
    contest = "contested" if code_of(group, codes.SELF_CONSISTENCY) else ""
    parts = [label, contest, _PRESENCE_WORDS.get(presence, ""), _certainty(group)]
    if volume is not None:
        parts.append(f"{float(f'{volume:.3g}'):g} mL")
        parts.append("reaches the end of the stack" if text_of(group, codes.COMMENT) == CUT_OFF else "")
    if change:
        parts.append(f"{_CHANGE_WORDS.get(change, change)} since the prior")
    colour = _PRESENCE_COLOURS.get(presence, FINDING_COLOUR) if volume is None else colour_of(label)
    yield Statement(", ".join(part for part in parts if part), colour)


def _words(report: Dataset) -> Iterator[Statement]:
    evaluations = list(children(report, codes.QUALITATIVE_EVALUATIONS))
    for name in (codes.IMPRESSION, codes.COMPARISON_TO_PREVIOUS, codes.COMMENT):
        for item in (item for container in evaluations for item in children(container, name)):
            if item.ValueType == "TEXT" and item.TextValue not in {DISCLAIMER, DEMO_NOTICE}:
                yield Statement(str(item.TextValue))
    for container in children(report, codes.QUESTIONS):
        for pair in children(container, codes.QUESTION_AND_ANSWER):
            question = text_of(pair, codes.PERSONS_QUESTION) or text_of(pair, codes.QUESTION)
            yield Statement(f"Asked: {question}")
            yield Statement(f"Answered, not verified: {text_of(pair, codes.ANSWER)}")


def _certainty(group: Dataset) -> str:
    certainty = number_of(group, codes.CERTAINTY)
    return "" if certainty is None else f"{certainty:.0f} %"


def _tracking_uid(group: Dataset) -> str:
    return next((str(item.UID) for item in children(group, TRACKING_UID)), "")
