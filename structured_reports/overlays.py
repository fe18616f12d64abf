"""What result objects say of one image, read back from the objects themselves: masks, boxes, statements."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from highdicom.color import CIELabColor
from numpy.typing import NDArray
from pydicom.dataset import Dataset
from pydicom.pixels.utils import pixel_array

from model.reading import Presence
from structured_reports import codes
from structured_reports.codes import ANATOMICAL_STRUCTURE, CONCEPTS
from structured_reports.colours import FINDING_COLOUR, RGB, colour_of
from structured_reports.provenance import DEMO_NOTICE, DISCLAIMER

_ANATOMY = {concept.code.value for concept in CONCEPTS.values() if concept.category == ANATOMICAL_STRUCTURE}
_GROUP = "125007"
_TRACKING_UID = "112040"
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
            DEMO_NOTICE for ds in reports if any(item.get("TextValue") == DEMO_NOTICE for item in _walk(ds))
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
    certainties = {_tracking_uid(group): _certainty(group) for group in _groups(report) if _certainty(group)}
    for group in _groups(report):
        for item in group.ContentSequence:
            if item.ValueType != "SCOORD":
                continue
            if not _is_of(item.ContentSequence[0].ReferencedSOPSequence[0], uid, frame_number):
                continue
            label = _value(group, "112039")
            is_finding = _code(group, codes.FINDING.value) not in _ANATOMY
            certainty = certainties.get(_tracking_uid(group), "")
            caption = f"{label} {certainty}".strip()
            yield _rectangle(caption, FINDING_COLOUR if is_finding else colour_of(label), item, is_finding)


def _boxes_of_state(state: Dataset, uid: str, frame_number: int) -> Iterator[Rectangle]:
    for annotation in state.get("GraphicAnnotationSequence", ()):
        if not any(_is_of(image, uid, frame_number) for image in annotation.ReferencedImageSequence):
            continue
        is_finding = annotation.GraphicLayer == "AI_FINDINGS"
        captions = [str(text.UnformattedTextValue) for text in annotation.get("TextObjectSequence", ())]
        label = captions[0].removeprefix("AI: ") if captions else ""
        for shape in annotation.get("GraphicObjectSequence", ()):
            yield _rectangle(label, FINDING_COLOUR if is_finding else colour_of(label), shape, is_finding)


def _rectangle(label: str, colour: RGB, shape: Dataset, is_finding: bool) -> Rectangle:
    columns = [float(value) for value in shape.GraphicData[0::2]]
    rows = [float(value) for value in shape.GraphicData[1::2]]
    return Rectangle(label, colour, min(columns), min(rows), max(columns), max(rows), is_finding)


def _statements(report: Dataset) -> Iterator[Statement]:
    """List findings, changes and volumes, then what was called absent, then the words of the report."""
    for group in _groups(report):
        presence = _code(group, codes.PRESENCE.value)
        change = _code(group, codes.CHANGED_STATUS.value)
        volume = _number(group, codes.VOLUME.value)
        if not (presence or change or volume):
            continue
        label = _value(group, "112039")
        parts = [
            label,
            _PRESENCE_WORDS.get(presence, ""),
            _certainty(group),
            f"{volume} mL" if volume else "",
        ]
        parts.append(f"{_CHANGE_WORDS.get(change, change)} since the prior" if change else "")
        colour = colour_of(label) if volume else _PRESENCE_COLOURS.get(presence, FINDING_COLOUR)
        yield Statement(", ".join(part for part in parts if part), colour)
    items = list(_walk(report))
    for item in items:
        if _value_of(item) == _ABSENT and _name_of(item) != codes.PRESENCE.value:
            yield Statement(f"no {str(item.ConceptNameCodeSequence[0].CodeMeaning).lower()}")
    words = [item for evaluations in _evaluations(report) for item in evaluations.ContentSequence]
    for name in (codes.IMPRESSION, codes.COMPARISON_TO_PREVIOUS, codes.COMMENT):
        for item in words:
            is_said = item.ValueType == "TEXT" and _name_of(item) == name.value
            if is_said and item.TextValue not in {DISCLAIMER, DEMO_NOTICE}:
                yield Statement(str(item.TextValue))


def _walk(ds: Dataset) -> Iterator[Dataset]:
    for item in ds.get("ContentSequence", ()):
        yield item
        yield from _walk(item)


def _evaluations(report: Dataset) -> list[Dataset]:
    name = codes.QUALITATIVE_EVALUATIONS.value
    return [item for item in report.ContentSequence if _name_of(item) == name and "ContentSequence" in item]


def _groups(report: Dataset) -> list[Dataset]:
    return [item for item in _walk(report) if _name_of(item) == _GROUP]


def _name_of(item: Dataset) -> str:
    return next((str(code.CodeValue) for code in item.get("ConceptNameCodeSequence", ())), "")


def _value_of(item: Dataset) -> str:
    return next((str(code.CodeValue) for code in item.get("ConceptCodeSequence", ())), "")


def _named(group: Dataset, name: str) -> Iterator[Dataset]:
    return (item for item in group.ContentSequence if _name_of(item) == name)


def _value(group: Dataset, name: str) -> str:
    return next((str(item.TextValue) for item in _named(group, name)), "")


def _code(group: Dataset, name: str) -> str:
    return next((_value_of(item) for item in _named(group, name)), "")


def _number(group: Dataset, name: str) -> str:
    items = _named(group, name)
    return next((f"{float(item.MeasuredValueSequence[0].NumericValue):g}" for item in items), "")


def _certainty(group: Dataset) -> str:
    number = _number(group, codes.CERTAINTY.value)
    return f"{float(number):.0f} %" if number else ""


def _tracking_uid(group: Dataset) -> str:
    return next((str(item.UID) for item in _named(group, _TRACKING_UID)), "")
