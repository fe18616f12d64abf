"""What a presentation state draws: boxes with captions, on layers that a viewer can switch off by kind."""

from collections.abc import Sequence
from dataclasses import dataclass

from highdicom.color import CIELabColor
from highdicom.pr import GraphicLayer
from pydicom.dataset import Dataset

from model.reading import BoundingBox, Presence
from structured_reports.captions import Area, placed
from structured_reports.codes import REGIONS, concept_of
from structured_reports.colours import FINDING_COLOUR, KIND_COLOURS, REGION_COLOUR, RGB
from structured_reports.geometry import rectangle
from structured_reports.tracking import Tracking
from structured_reports.wording import named
from structured_reports.writers.region_groups import FEW_STRUCTURES
from structured_reports.writers.writer import Draft

FINDINGS = "AI_FINDINGS"
REGIONS_ASKED = "AI_REGIONS"
ANATOMY = "AI_ANATOMY"
"""Graphic Layers (CS, 16 characters): what was found, what was asked about, where things are."""

_ANATOMY_COLOUR: RGB = (120, 200, 255)
_LAYER_OF_KIND = {
    "lungs": "AI_LUNGS",
    "heart and vessels": "AI_HEART",
    "mediastinum and airways": "AI_MEDIASTINUM",
    "bones and wall": "AI_BONES",
    "abdomen and diaphragm": "AI_ABDOMEN",
}
_COLOURS = {
    **{_LAYER_OF_KIND[kind]: colour for kind, colour in KIND_COLOURS.items()},
    ANATOMY: _ANATOMY_COLOUR,
    REGIONS_ASKED: REGION_COLOUR,
    FINDINGS: FINDING_COLOUR,
}
"""In rendering order (PS3.3 C.10.7): findings last, so that no anatomy covers them."""

FEW_LINES, MANY_LINES = 40, 80
"""How many lines of captions fill the height of the image."""


@dataclass(frozen=True, slots=True, eq=False)
class Drawing:
    """One box to draw."""

    box: BoundingBox
    tracking: Tracking
    caption: str
    layer: str


def drawings_of(draft: Draft) -> list[Drawing]:
    """List everything to draw, findings first."""
    return [*_findings(draft), *_regions(draft), *_anatomy(draft)]


def _findings(draft: Draft) -> list[Drawing]:
    drawn: list[Drawing] = []
    for finding in draft.reading.findings:
        if finding.presence is Presence.ABSENT:
            continue
        certainty = "" if finding.certainty is None else f" {round(100 * float(finding.certainty))} %"
        contest = " contested" if draft.contest_of(finding.label) else ""
        for ordinal, box in enumerate(finding.boxes):
            name = named(box.label, box.laterality or finding.laterality)
            tracking = draft.tracker.box_of(finding, ordinal, draft.number_of(finding))
            drawn.append(Drawing(box, tracking, f"AI: {name}{certainty}{contest}", FINDINGS))
    return drawn


def _regions(draft: Draft) -> list[Drawing]:
    named_regions = [
        (caption.box, draft.tracker.caption(caption.box, ordinal))
        for ordinal, caption in enumerate(draft.reading.captions)
    ]
    return [
        Drawing(box, tracking, f"AI: {tracking.identifier}", REGIONS_ASKED) for box, tracking in named_regions
    ]


def _anatomy(draft: Draft) -> list[Drawing]:
    """Draw few structures on one layer; many on one for each part of the body."""
    are_few = len(draft.reading.boxes) <= FEW_STRUCTURES
    region = REGIONS[draft.reading.modality]
    return [
        Drawing(
            box,
            tracking,
            named(box.label, box.laterality),
            ANATOMY if are_few else _LAYER_OF_KIND.get(concept_of(box.label, region).kind, ANATOMY),
        )
        for box, tracking in draft.tracked_structures()
    ]


def layers_of(drawings: Sequence[Drawing]) -> dict[str, GraphicLayer]:
    """Make the layers that are drawn on, by name."""
    used = [name for name in _COLOURS if any(drawing.layer == name for drawing in drawings)]
    return {
        name: GraphicLayer(
            name,
            order,
            f"AI {name.removeprefix('AI_').lower()}, research use only",
            CIELabColor.from_rgb(*_COLOURS[name]),
        )
        for order, name in enumerate(used, start=1)
    }


def caption_areas(drawings: Sequence[Drawing], header: Dataset) -> list[Area]:
    """Place every caption at its box, findings first; smaller where there is much to say."""
    rows, columns = float(header.Rows), float(header.Columns)
    height = max(8.0, rows / (FEW_LINES if len(drawings) <= FEW_STRUCTURES else MANY_LINES))
    boxes: list[Area] = []
    for drawing in drawings:
        (left, top), _, (right, bottom), *_ = rectangle(drawing.box, header)
        boxes.append((float(left), float(top), float(right), float(bottom)))
    widths = [max(32.0, min(columns / 3, 0.6 * height * len(drawing.caption))) for drawing in drawings]
    return placed(boxes, [(width, height) for width in widths], (columns, rows))
