"""Boxes as a Grayscale Softcopy Presentation State (PS3.3 A.33.1), for viewers that do not draw reports."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from highdicom import VOILUT, PresentationLUTTransformation
from highdicom.color import CIELabColor
from highdicom.pr import (
    GraphicAnnotation,
    GraphicLayer,
    GraphicObject,
    GrayscaleSoftcopyPresentationState,
    SoftcopyVOILUTTransformation,
    TextObject,
)
from numpy.typing import NDArray
from pydicom.dataset import Dataset

from model.reading import BoundingBox, Modality, Presence
from structured_reports.colours import FINDING_COLOUR
from structured_reports.finishing import UNFINISHED, finished, run_key, series_place
from structured_reports.geometry import frame_numbers, rectangle
from structured_reports.provenance import contributing_equipment, equipment
from structured_reports.stand_in import restore_source, stand_in
from structured_reports.tracking import Tracking
from structured_reports.wording import named, series_description
from structured_reports.writers.writer import Draft

SERIES_NUMBER = 9003
BODY_PARTS = {Modality.CXR: "CHEST", Modality.CT: "ABDOMEN", Modality.DERM: "SKIN"}
_GREY = {"MONOCHROME1", "MONOCHROME2"}
_ANATOMY_COLOUR = (120, 200, 255)


@dataclass(frozen=True, slots=True, eq=False)
class _Drawn:
    """One box to draw."""

    box: BoundingBox
    tracking: Tracking
    caption: str
    is_finding: bool


def write_presentation_states(draft: Draft) -> tuple[Dataset, ...]:
    """Write one state per grey source image with boxes; colour images are left to SR and SEG.

    One per image, not per series: a state has one window and one polarity, images of a series may differ.
    """
    by_image: dict[str, list[_Drawn]] = {}
    for drawn in _drawn(draft):
        by_image.setdefault(drawn.box.frame.sop_instance_uid, []).append(drawn)
    grey = [
        (draft.header_of(boxes[0].box.frame), boxes)
        for boxes in by_image.values()
        if draft.header_of(boxes[0].box.frame).get("PhotometricInterpretation") in _GREY
    ]
    return tuple(_state(draft, header, boxes, number) for number, (header, boxes) in enumerate(grey, start=1))


def _drawn(draft: Draft) -> list[_Drawn]:
    drawn: list[_Drawn] = []
    for finding in draft.reading.findings:
        if finding.presence is Presence.ABSENT:
            continue
        certainty = "" if finding.certainty is None else f" {round(100 * float(finding.certainty))} %"
        for ordinal, box in enumerate(finding.boxes):
            caption = f"AI: {named(box.label, box.laterality or finding.laterality)}{certainty}"
            drawn.append(
                _Drawn(
                    box,
                    draft.tracker.box_of(finding, ordinal, draft.number_of(finding)),
                    caption,
                    is_finding=True,
                )
            )
    seen: dict[tuple[str, str], int] = {}
    for box in draft.reading.boxes:
        key = (box.label, box.laterality or "")
        seen[key] = seen.get(key, -1) + 1
        tracking = draft.tracker.anatomy(box, seen[key])
        drawn.append(_Drawn(box, tracking, named(box.label, box.laterality), is_finding=False))
    return drawn


def _state(draft: Draft, header: Dataset, boxes: Sequence[_Drawn], instance_number: int) -> Dataset:
    reading, run = draft.reading, draft.run
    source = draft.source_of(header.SOPInstanceUID)
    place = series_place(
        "PR",
        SERIES_NUMBER,
        series_description("boxes", reading.modality, run.revision),
        key=run_key(source.StudyInstanceUID, reading.model, run),
    )
    findings = GraphicLayer(
        "AI_FINDINGS", 1, "AI findings, research use only", CIELabColor.from_rgb(*FINDING_COLOUR)
    )
    anatomy = GraphicLayer(
        "AI_ANATOMY", 2, "AI anatomy, research use only", CIELabColor.from_rgb(*_ANATOMY_COLOUR)
    )
    layers = [
        layer
        for layer in (findings, anatomy)
        if any(drawn.is_finding == (layer is findings) for drawn in boxes)
    ]
    result = GrayscaleSoftcopyPresentationState(
        referenced_images=[_without_transformations(header)],
        series_instance_uid=place.uid,
        series_number=place.number,
        sop_instance_uid=UNFINISHED,
        instance_number=instance_number,
        content_label="AI_BOXES",
        content_description="AI boxes. Research use only. Not verified.",
        graphic_layers=layers,
        graphic_annotations=[
            _annotation(header, drawn, findings if drawn.is_finding else anatomy) for drawn in boxes
        ],
        voi_lut_transformations=_window(header),
        presentation_lut_transformation=_polarity(header),
        specific_character_set="ISO_IR 192",
        contributing_equipment=[contributing_equipment(reading.model, run)],
        **equipment(reading.model, run),
    )
    # With an unpaired body part Laterality (type 2C, PS3.3 C.7.3.1) does not apply.
    result.BodyPartExamined = BODY_PARTS[reading.modality]
    _fit_source(result, header)
    restore_source(result, header)
    return finished(result, source, run, place)


def _annotation(header: Dataset, drawn: _Drawn, layer: GraphicLayer) -> GraphicAnnotation:
    corners = rectangle(drawn.box, header)
    annotation = GraphicAnnotation(
        referenced_images=[stand_in(header)],
        graphic_layer=layer,
        graphic_objects=[
            GraphicObject(
                "POLYLINE",
                corners,
                "PIXEL",
                tracking_id=drawn.tracking.identifier,
                tracking_uid=drawn.tracking.uid,
            )
        ],
        text_objects=[
            TextObject(
                drawn.caption,
                "PIXEL",
                bounding_box=_caption_box(corners, header),
                text_justification="LEFT",
                tracking_id=drawn.tracking.identifier,
                tracking_uid=drawn.tracking.uid,
            )
        ],
    )
    frames = frame_numbers(header, drawn.box.frame.frame_number)
    if frames:
        # By hand, as highdicom does not know every class that may have several frames.
        annotation.ReferencedImageSequence[0].ReferencedFrameNumber = frames[0]
    return annotation


def _caption_box(corners: NDArray[np.float64], header: Dataset) -> tuple[float, float, float, float]:
    """Place a caption above its box, or inside it at the top edge; a text box must not leave the image."""
    rows, columns = float(header.Rows), float(header.Columns)
    height, width = max(8.0, rows / 40), max(32.0, columns / 3)
    left = min(max(0.0, float(corners[0, 0])), max(0.0, columns - width))
    top = float(corners[0, 1]) - height
    if top < 0:
        top = float(corners[0, 1])
    return left, top, min(columns, left + width), min(rows, top + height)


def _polarity(header: Dataset) -> PresentationLUTTransformation:
    """Keep the polarity: with IDENTITY a MONOCHROME1 image would be shown inverted (PS3.3 C.11.6)."""
    inverse = header.PhotometricInterpretation == "MONOCHROME1"
    return PresentationLUTTransformation(presentation_lut_shape="INVERSE" if inverse else "IDENTITY")


def _without_transformations(header: Dataset) -> Dataset:
    """Leave out the window, which is given explicitly, and a rescale that lacks one of its halves."""
    shown = Dataset()
    shown.update(stand_in(header))
    left_out = [
        "WindowCenter",
        "WindowWidth",
        "WindowCenterWidthExplanation",
        "VOILUTFunction",
        "VOILUTSequence",
    ]
    if ("RescaleSlope" in header) != ("RescaleIntercept" in header):
        left_out += ["RescaleSlope", "RescaleIntercept", "RescaleType"]
    if not header.get("RescaleType"):
        left_out.append("RescaleType")
    for keyword in left_out:
        shown.pop(keyword, None)
    return shown


def _window(header: Dataset) -> list[SoftcopyVOILUTTransformation] | None:
    """Take the VOI LUT, else the first window: a state applies one (PS3.3 C.11.8). None without either."""
    holder = _voi_holder(header)
    if holder.get("VOILUTSequence"):
        return [SoftcopyVOILUTTransformation(voi_luts=[_lookup_table(holder.VOILUTSequence[0])])]
    centre, width = _first(holder.get("WindowCenter")), _first(holder.get("WindowWidth"))
    if centre is None or width is None or width < 1:
        return None
    function = holder.get("VOILUTFunction") or None
    return [SoftcopyVOILUTTransformation(window_center=centre, window_width=width, voi_lut_function=function)]


def _lookup_table(item: Dataset) -> VOILUT:
    """Rebuild a table from its numbers: read from a file they are a list, which highdicom does not copy."""
    entries, first, bits = (int(value) for value in item.LUTDescriptor)
    data = item.LUTData
    numbers = np.frombuffer(data, dtype="<u2") if isinstance(data, bytes) else np.array(data, dtype=np.int64)
    width = np.uint8 if bits <= 8 else np.uint16
    return VOILUT(first, (numbers[: entries or 2**16] & 0xFFFF).astype(width))


def _voi_holder(header: Dataset) -> Dataset:
    groups = [
        *header.get("SharedFunctionalGroupsSequence", ()),
        *header.get("PerFrameFunctionalGroupsSequence", ()),
    ]
    for group in groups:
        for item in group.get("FrameVOILUTSequence", ()):
            return item
    return header


def _first(value: object) -> float | None:
    values = value if isinstance(value, Sequence) and not isinstance(value, str) else [value]
    for entry in values:
        if entry is not None and entry != "":
            return float(str(entry))
    return None


def _fit_source(result: Dataset, header: Dataset) -> None:
    """Give pixels that are not square their shape; highdicom always says 1:1 (PS3.3 C.10.4)."""
    spacing = header.get("PixelSpacing") or header.get("ImagerPixelSpacing")
    if not spacing or len(spacing) != 2 or not all(float(value) > 0 for value in spacing):
        return
    area = result.DisplayedAreaSelectionSequence[0]
    area.PresentationPixelSpacing = [float(spacing[0]), float(spacing[1])]
    if "PresentationPixelAspectRatio" in area:
        del area.PresentationPixelAspectRatio
