"""Boxes in a presentation state show as the image itself does."""

from dataclasses import replace

import numpy as np
import pytest
from pydicom.dataset import Dataset
from pydicom.uid import ColorSoftcopyPresentationStateStorage

from model.reading import BoundingBox, Finding, Modality, Presence, Reading, Task
from model.volume import FrameKey
from structured_reports.registry import write_results
from tests.unit.structured_reports.readings import (
    MODEL,
    RUN,
    brief_reading,
    chest_reading,
    child,
    dermoscopy,
    groups,
    header,
    only,
    sources,
    stored,
)


def state_of(ds: Dataset) -> Dataset:
    return only(write_results(replace(brief_reading(ds), masks=()), sources(ds), RUN), "PR")


@pytest.mark.parametrize(("polarity", "shape"), [("MONOCHROME1", "INVERSE"), ("MONOCHROME2", "IDENTITY")])
def test_polarity_is_kept(polarity: str, shape: str):
    assert state_of(header(PhotometricInterpretation=polarity)).PresentationLUTShape == shape


def test_image_without_window_gets_none():
    assert "SoftcopyVOILUTSequence" not in state_of(header(WindowCenter=None, WindowWidth=None))


def test_lookup_table_is_carried_over():
    table = Dataset()
    table.LUTDescriptor = [4, 0, 12]
    table.LUTData = [0, 100, 2000, 4095]
    table["LUTDescriptor"].VR = "US"
    table["LUTData"].VR = "US"
    state = state_of(header(VOILUTSequence=[table], WindowCenter=None, WindowWidth=None))
    own = state.SoftcopyVOILUTSequence[0].VOILUTSequence[0]
    assert np.frombuffer(own.LUTData, dtype="<u2").tolist() == [0, 100, 2000, 4095]


def test_findings_and_anatomy_lie_on_layers_of_their_own(chest_results: tuple[Dataset, ...]):
    state = only(chest_results, "PR")
    # PS3.3 C.10.7: lower numbered layers are rendered first, so that findings lie on top.
    layers = {layer.GraphicLayer: layer.GraphicLayerOrder for layer in state.GraphicLayerSequence}
    assert layers == {"AI_ANATOMY": 1, "AI_FINDINGS": 2}
    drawn = [annotation.GraphicLayer for annotation in state.GraphicAnnotationSequence]
    assert drawn == ["AI_FINDINGS"] * 2 + ["AI_ANATOMY"] * 3


def test_boxes_are_those_of_the_report(chest_results: tuple[Dataset, ...]):
    state, report = only(chest_results, "PR"), only(chest_results, "SR")
    drawn = {
        shape.TrackingUID: [round(float(v), 3) for v in shape.GraphicData]
        for annotation in state.GraphicAnnotationSequence
        for shape in annotation.GraphicObjectSequence
    }
    said = {
        child(group, "112040").UID: [round(float(v), 3) for v in child(group, "111030").GraphicData]
        for group in groups(report)
        if child(group, "111030")
    }
    assert drawn == said


def test_captions_stay_inside_the_image(chest_results: tuple[Dataset, ...]):
    for annotation in only(chest_results, "PR").GraphicAnnotationSequence:
        for text in annotation.TextObjectSequence:
            left, top = text.BoundingBoxTopLeftHandCorner
            right, bottom = text.BoundingBoxBottomRightHandCorner
            assert 0 <= left < right <= 48
            assert 0 <= top < bottom <= 64


def test_caption_says_ai_side_and_certainty(chest_results: tuple[Dataset, ...]):
    first = only(chest_results, "PR").GraphicAnnotationSequence[0].TextObjectSequence[0]
    assert first.UnformattedTextValue == "AI: right lung nodule 93 %"


def test_pixels_that_are_not_square_keep_their_shape():
    area = state_of(header(PixelSpacing=[0.5, 0.25])).DisplayedAreaSelectionSequence[0]
    assert [float(value) for value in area.PresentationPixelSpacing] == [0.5, 0.25]
    assert "PresentationPixelAspectRatio" not in area


@pytest.mark.parametrize("spacing", [None, [0, 0]])
def test_unknown_spacing_is_not_invented(spacing: list[float] | None):
    ds = header(PixelSpacing=spacing, ImagerPixelSpacing=None)
    assert "PresentationPixelSpacing" not in state_of(ds).DisplayedAreaSelectionSequence[0]


def coloured_state() -> Dataset:
    ds = dermoscopy()
    reading = replace(chest_reading(ds), modality=Modality.DERM)
    return only(write_results(reading, sources(ds), RUN), "PR")


def test_colour_image_gets_a_state_in_colour():
    state = coloured_state()
    assert state.SOPClassUID == ColorSoftcopyPresentationStateStorage
    assert state.ICCProfile[12:16] == b"scnr"
    assert "PresentationLUTShape" not in state
    assert "SoftcopyVOILUTSequence" not in state


def test_absent_finding_is_not_drawn():
    ds = header()
    box = BoundingBox("pneumothorax", FrameKey(str(ds.SOPInstanceUID)), (1, 1), (9, 9))
    finding = Finding("pneumothorax", Presence.ABSENT, boxes=(box,))
    reading = Reading(Modality.CXR, MODEL, (Task.CLASSIFICATION,), findings=(finding,))
    assert [result.Modality for result in write_results(reading, sources(ds), RUN)] == ["SR"]


def test_each_image_gets_a_state_of_its_own():
    frontal, lateral = header(), header(SOPInstanceUID="1.2.3.4.1.2", PhotometricInterpretation="MONOCHROME1")
    reading = replace(chest_reading(frontal), boxes=chest_reading(lateral).boxes)
    states = [r for r in write_results(reading, sources(frontal, lateral), RUN) if r.Modality == "PR"]
    assert [state.PresentationLUTShape for state in states] == ["IDENTITY", "INVERSE"]
    assert [state.InstanceNumber for state in states] == [1, 2]


def test_box_on_a_frame_names_exactly_that_frame():
    ds = stored("ct_enhanced", "CT0012.explicit_little_endian.dcm")
    box = BoundingBox("liver", FrameKey(str(ds.SOPInstanceUID), 2), (10, 20), (30, 60))
    reading = Reading(Modality.CT, MODEL, (Task.ANATOMY_DETECTION,), boxes=(box,))
    results = write_results(reading, sources(ds), RUN)
    image = only(results, "PR").GraphicAnnotationSequence[0].ReferencedImageSequence[0]
    assert image.ReferencedFrameNumber == 2
    region = child(groups(only(results, "SR"))[0], "111030")
    assert region is not None
    assert region.ContentSequence[0].ReferencedSOPSequence[0].ReferencedFrameNumber == 2


@pytest.mark.parametrize(
    ("rescale", "expected"),
    [
        ({"RescaleSlope": 2.5, "RescaleIntercept": -10, "RescaleType": "OD"}, (2.5, -10, "OD")),
        ({"RescaleSlope": 1, "RescaleIntercept": 0, "RescaleType": ""}, (1, 0, "US")),
        ({"RescaleIntercept": 0}, (None, None, None)),
    ],
    ids=["whole", "type empty", "slope missing"],
)
def test_rescale_is_carried_over_whole_or_not_at_all(
    rescale: dict[str, object], expected: tuple[object, ...]
):
    state = state_of(header(**rescale))
    slope, intercept, kind = (state.get(name) for name in ("RescaleSlope", "RescaleIntercept", "RescaleType"))
    assert (slope and float(slope), intercept and float(intercept), kind) == expected


def test_window_without_width_is_no_window():
    assert "SoftcopyVOILUTSequence" not in state_of(header(WindowWidth=None))
