"""Boxes as a Grayscale or Color Softcopy Presentation State (PS3.3 A.33.1, A.33.2), for viewers that do not
draw reports."""

from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np
from highdicom import VOILUT, PresentationLUTTransformation
from highdicom.pr import (
    ColorSoftcopyPresentationState,
    GraphicAnnotation,
    GraphicLayer,
    GraphicObject,
    GrayscaleSoftcopyPresentationState,
    SoftcopyVOILUTTransformation,
    TextObject,
)
from pydicom.dataset import Dataset

from structured_reports.captions import Area
from structured_reports.colour_profile import input_profile
from structured_reports.finishing import UNFINISHED, finished, run_key, series_place
from structured_reports.geometry import frame_numbers, rectangle
from structured_reports.provenance import contributing_equipment, equipment
from structured_reports.stand_in import restore_source, stand_in
from structured_reports.wording import series_description
from structured_reports.writers.body_part import say_body_part
from structured_reports.writers.drawings import Drawing, caption_areas, drawings_of, layers_of
from structured_reports.writers.writer import Draft

SERIES_NUMBER = 9003
_GREY = {"MONOCHROME1", "MONOCHROME2"}


def write_presentation_states(draft: Draft) -> tuple[Dataset, ...]:
    """Write one state per source image with boxes: a grayscale one, or one in colour for a coloured image.

    One per image, not per series: a state has one window and one polarity, images of a series may differ.
    """
    by_image: dict[str, list[Drawing]] = {}
    for drawing in drawings_of(draft):
        by_image.setdefault(drawing.box.frame.sop_instance_uid, []).append(drawing)
    return tuple(
        _state(draft, draft.header_of(boxes[0].box.frame), boxes, number)
        for number, boxes in enumerate(by_image.values(), start=1)
    )


def _state(draft: Draft, header: Dataset, boxes: Sequence[Drawing], instance_number: int) -> Dataset:
    reading, run = draft.reading, draft.run
    source = draft.source_of(header.SOPInstanceUID)
    is_grey = header.get("PhotometricInterpretation") in _GREY
    place = series_place(
        "PR" if is_grey else "PR in colour",
        SERIES_NUMBER,
        series_description("boxes", reading.modality, run.revision),
        key=run_key(source.StudyInstanceUID, reading.model, run),
    )
    layers, areas = layers_of(boxes), caption_areas(boxes, header)
    build = partial(
        _grey_state if is_grey else _coloured_state,
        header,
        series_instance_uid=place.uid,
        series_number=place.number,
        sop_instance_uid=UNFINISHED,
        instance_number=instance_number,
        content_label="AI_BOXES",
        content_description="AI boxes. Research use only. Not verified.",
        graphic_layers=list(layers.values()),
        graphic_annotations=[
            _annotation(header, drawing, layers[drawing.layer], area)
            for drawing, area in zip(boxes, areas, strict=True)
        ],
        specific_character_set="ISO_IR 192",
        contributing_equipment=[contributing_equipment(reading.model, run)],
        **equipment(reading.model, run),
    )
    result = build()
    say_body_part(result, reading.modality)
    _fit_source(result, header)
    restore_source(result, header)
    return finished(result, source, run, place)


def _grey_state(header: Dataset, **shared: Any) -> Dataset:
    return GrayscaleSoftcopyPresentationState(
        referenced_images=[_without_transformations(header)],
        voi_lut_transformations=_window(header),
        presentation_lut_transformation=_polarity(header),
        **shared,
    )


def _coloured_state(header: Dataset, **shared: Any) -> Dataset:
    return ColorSoftcopyPresentationState(
        referenced_images=[_without_transformations(header)], icc_profile=input_profile(), **shared
    )


def _annotation(header: Dataset, drawn: Drawing, layer: GraphicLayer, area: Area) -> GraphicAnnotation:
    annotation = GraphicAnnotation(
        referenced_images=[stand_in(header)],
        graphic_layer=layer,
        graphic_objects=[
            GraphicObject(
                "POLYLINE",
                rectangle(drawn.box, header),
                "PIXEL",
                tracking_id=drawn.tracking.identifier,
                tracking_uid=drawn.tracking.uid,
            )
        ],
        text_objects=[
            TextObject(
                drawn.caption,
                "PIXEL",
                bounding_box=area,
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
