"""What result objects say of one image, read back from the objects themselves: masks, boxes, statements."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from highdicom.color import CIELabColor
from numpy.typing import NDArray
from pydicom.dataset import Dataset
from pydicom.pixels.utils import pixel_array
from pydicom.sr.coding import Code

from model.reading import Presence
from structured_reports import codes
from structured_reports.codes import ANATOMICAL_STRUCTURE, CONCEPTS
from structured_reports.colours import FINDING_COLOUR, REGION_COLOUR, RGB, colour_of
from structured_reports.content_tree import (
    ALGORITHM_NAME,
    ALGORITHM_VERSION,
    TRACKING_IDENTIFIER,
    TRACKING_UID,
    children,
    code_of,
    groups,
    number_of,
    text_of,
    value_code,
    walk,
)
from structured_reports.provenance import DEMO_NOTICE, DISCLAIMER
from structured_reports.wording import CUT_OFF

_ANATOMY = {concept.code.value for concept in CONCEPTS.values() if concept.category == ANATOMICAL_STRUCTURE}
FEW_ABSENT = 5
"""Up to so many absent findings get a line each."""

_MEASUREMENTS = Code("126010", "DCM", "Imaging Measurements")
_ABSENT = codes.PRESENCES[Presence.ABSENT].value
_UNDETERMINED = codes.PRESENCES[Presence.UNDETERMINED].value
_PRESENCE_WORDS = {_ABSENT: "absent", _UNDETERMINED: "undetermined"}
_PRESENCE_COLOURS: dict[str, RGB] = {_ABSENT: (150, 200, 150), _UNDETERMINED: (255, 190, 60)}
_CHANGE_WORDS = {code.value: status.value for status, code in codes.CHANGES.items()}


@dataclass(frozen=True, slots=True, eq=False)
class Region:
    """One segment on the image."""

    label: str
    colour: RGB
    mask: NDArray[np.bool_]
    """(Rows, Columns)."""


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


def overlays_on(image: Dataset, frame_number: int, results: Sequence[Dataset]) -> Overlays:
    """Read what results say of one frame, matching by SOP Instance UID and frame number.

    Boxes are read from the report; from presentation states only where no report is given.
    """
    uid = str(image.SOPInstanceUID)
    reports = [ds for ds in results if ds.get("Modality") == "SR"]
    states = [ds for ds in results if ds.get("Modality") == "PR"]
    segmentations = [ds for ds in results if ds.get("Modality") == "SEG"]
    rectangles = [rectangle for ds in reports for rectangle in _boxes_of_report(ds, uid, frame_number)]
    if not reports:
        rectangles = [rectangle for ds in states for rectangle in _boxes_of_state(ds, uid, frame_number)]
    return Overlays(
        tuple(region for ds in segmentations for region in _regions(ds, uid, frame_number)),
        tuple(rectangles),
        tuple(statement for ds in reports for statement in _statements(ds)),
        tuple(
            DEMO_NOTICE for ds in reports if any(item.get("TextValue") == DEMO_NOTICE for item in walk(ds))
        ),
    )


def _regions(segmentation: Dataset, uid: str, frame_number: int) -> Iterator[Region]:
    segments = {int(segment.SegmentNumber): segment for segment in segmentation.SegmentSequence}
    shared = segmentation.SharedFunctionalGroupsSequence[0]
    for index, own in enumerate(segmentation.PerFrameFunctionalGroupsSequence):
        derivation = own.get("DerivationImageSequence") or shared.get("DerivationImageSequence") or ()
        if not any(
            _is_of(source, uid, frame_number) for item in derivation for source in item.SourceImageSequence
        ):
            continue
        identification = own.get("SegmentIdentificationSequence") or shared.SegmentIdentificationSequence
        segment = segments[int(identification[0].ReferencedSegmentNumber)]
        mask = pixel_array(segmentation, index=index) > 0
        yield Region(str(segment.SegmentLabel), _segment_colour(segment), mask)


def _is_of(reference: Dataset, uid: str, frame_number: int) -> bool:
    if reference.ReferencedSOPInstanceUID != uid:
        return False
    numbers = reference.get("ReferencedFrameNumber")
    if numbers is None:
        return True
    return frame_number in ([int(numbers)] if isinstance(numbers, int | str) else [int(n) for n in numbers])


def _segment_colour(segment: Dataset) -> RGB:
    value = segment.get("RecommendedDisplayCIELabValue")
    if value is None:
        return FINDING_COLOUR
    red, green, blue = CIELabColor.from_dicom_value(list(value)).to_rgb()
    return int(red), int(green), int(blue)


def _boxes_of_report(report: Dataset, uid: str, frame_number: int) -> Iterator[Rectangle]:
    certainties = {_tracking_uid(group): _certainty(group) for group in groups(report) if _certainty(group)}
    for group in groups(report):
        for item in group.ContentSequence:
            if item.ValueType != "SCOORD":
                continue
            if not _is_of(item.ContentSequence[0].ReferencedSOPSequence[0], uid, frame_number):
                continue
            label = text_of(group, TRACKING_IDENTIFIER)
            finding = code_of(group, codes.FINDING)
            is_finding = finding not in {*_ANATOMY, codes.DESCRIBED_REGION.value}
            caption = f"{label} {certainties.get(_tracking_uid(group), '')}".strip()
            colour = REGION_COLOUR if finding == codes.DESCRIBED_REGION.value else colour_of(label)
            yield _rectangle(caption, FINDING_COLOUR if is_finding else colour, item, is_finding)


def _boxes_of_state(state: Dataset, uid: str, frame_number: int) -> Iterator[Rectangle]:
    for annotation in state.get("GraphicAnnotationSequence", ()):
        if not any(_is_of(image, uid, frame_number) for image in annotation.ReferencedImageSequence):
            continue
        is_finding = annotation.GraphicLayer == "AI_FINDINGS"
        captions = [str(text.UnformattedTextValue) for text in annotation.get("TextObjectSequence", ())]
        label = captions[0].removeprefix("AI: ") if captions else ""
        for shape in annotation.get("GraphicObjectSequence", ()):
            colour = REGION_COLOUR if annotation.GraphicLayer == "AI_REGIONS" else colour_of(label)
            yield _rectangle(label, FINDING_COLOUR if is_finding else colour, shape, is_finding)


def _rectangle(label: str, colour: RGB, shape: Dataset, is_finding: bool) -> Rectangle:
    columns = [float(value) for value in shape.GraphicData[0::2]]
    rows = [float(value) for value in shape.GraphicData[1::2]]
    return Rectangle(label, colour, min(columns), min(rows), max(columns), max(rows), is_finding)


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
    label = text_of(group, TRACKING_IDENTIFIER)
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
