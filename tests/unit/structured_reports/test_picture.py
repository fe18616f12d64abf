"""The picture shows what the objects say, in the right place, and says that it is research."""

from dataclasses import replace

import numpy as np
import pytest
from PIL import Image
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian

from model.reading import Laterality, Narrative
from structured_reports.overlays import overlays_on
from structured_reports.picture import draw
from structured_reports.registry import write_results
from tests.document_fonts import fonts_have
from tests.unit.structured_reports.readings import (
    RUN,
    box,
    chest_reading,
    ct_reading,
    ct_slices,
    dermoscopy,
    grown_nodule,
    header,
    prior_of,
    skin_reading,
    sources,
)


def with_pixels(ds: Dataset, value: int = 0) -> Dataset:
    samples = int(ds.SamplesPerPixel)
    dtype = np.dtype("u1") if ds.BitsAllocated == 8 else np.dtype("<u2")
    ds.PixelData = np.full((int(ds.Rows), int(ds.Columns), samples), value, dtype=dtype).tobytes()
    ds["PixelData"].VR = "OB" if ds.BitsAllocated == 8 else "OW"
    if samples == 3:
        ds.PlanarConfiguration = 0
    ds.file_meta = FileMetaDataset()
    ds.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    return ds


def at(picture: Image.Image, row: float, column: float, ds: Dataset) -> tuple[int, int, int]:
    """Look at the picture at a place given in parts of the source image."""
    factor = 1024 / max(int(ds.Rows), int(ds.Columns))
    place = (int(column * int(ds.Columns) * factor), int(row * int(ds.Rows) * factor))
    red, green, blue = picture.getpixel(place)  # pyright: ignore[reportGeneralTypeIssues] # RGB has three
    return red, green, blue


@pytest.fixture(scope="module")
def chest_picture() -> tuple[Image.Image, Dataset]:
    ds = with_pixels(header(), 1000)
    reading = replace(chest_reading(ds, [grown_nodule()]), boxes=())
    return draw(ds, write_results(reading, sources(ds, priors=[prior_of(ds)]), RUN)), ds


def test_masks_are_tinted_where_they_lie(chest_picture: tuple[Image.Image, Dataset]):
    picture, ds = chest_picture
    plain = at(picture, 0.05, 0.05, ds)
    assert plain[0] == plain[1] == plain[2]
    left_lung = at(picture, 0.3, 0.75, ds)
    assert left_lung[2] > left_lung[0], "the left lung is blue, on the right of the picture"
    right_lung = at(picture, 0.6, 0.2, ds)
    assert right_lung[1] > right_lung[0], "the right lung is green, on the left of the picture"


def test_finding_is_framed_in_red(chest_picture: tuple[Image.Image, Dataset]):
    picture, ds = chest_picture
    red, green, blue = at(picture, 0.34, 0.2005, ds)
    assert red > 200
    assert green < 120
    assert blue < 120


def test_notice_stands_on_the_sheet(chest_picture: tuple[Image.Image, Dataset]):
    picture, _ = chest_picture
    legend = np.asarray(picture.crop((picture.width - 400, 0, picture.width, 60)), dtype=int)
    amber = (legend[..., 0] > 200) & (legend[..., 2] < 120)
    assert amber.sum() > 200


def test_statements_are_those_of_the_report():
    ds = header()
    results = write_results(chest_reading(ds, [grown_nodule()]), sources(ds, priors=[prior_of(ds)]), RUN)
    said = [statement.text for statement in overlays_on(ds, 1, results).statements]
    assert "right lung nodule, 93 %, increased since the prior" in said
    assert "enlarged cardiac silhouette, undetermined" in said
    assert "left pneumothorax, absent, resolved since the prior" in said
    assert "no lung consolidation" in said
    assert any("2025-01-01" in text for text in said)


def test_volumes_are_said():
    slices = ct_slices()
    said = overlays_on(slices[0], 1, write_results(ct_reading(slices), sources(*slices), RUN)).statements
    assert any(s.text.startswith("liver, ") and " mL, reaches the end" in s.text for s in said)


def test_only_segments_of_the_given_slice_are_drawn():
    slices = ct_slices(6)
    reading = ct_reading(slices)
    results = write_results(reading, sources(*slices), RUN)
    for number, ds in enumerate(slices):
        regions = {region.label: region.mask for region in overlays_on(ds, 1, results).regions}
        expected = {mask.label: mask.voxels[number] for mask in reading.masks if mask.voxels[number].any()}
        assert regions.keys() == expected.keys()
        for label, mask in expected.items():
            assert np.array_equal(regions[label], mask)


def test_boxes_are_those_of_the_given_image():
    frontal, lateral = header(), header(SOPInstanceUID="1.2.3.4.1.2")
    reading = replace(chest_reading(frontal), masks=())
    results = write_results(reading, sources(frontal, lateral), RUN)
    assert len(overlays_on(frontal, 1, results).rectangles) == 5
    assert overlays_on(lateral, 1, results).rectangles == ()


def test_box_of_the_report_carries_label_side_and_certainty():
    ds = header()
    results = write_results(chest_reading(ds), sources(ds), RUN)
    first = overlays_on(ds, 1, results).rectangles[0]
    assert first.label == "right lung nodule 93 %"
    assert first.is_finding
    assert (first.left, first.top) == pytest.approx((0.2 * 48, 0.3 * 64), abs=1e-4)


def test_boxes_are_read_from_the_presentation_state_where_there_is_no_report():
    ds = header()
    results = write_results(chest_reading(ds), sources(ds), RUN)
    alone = overlays_on(ds, 1, [result for result in results if result.Modality == "PR"])
    both = overlays_on(ds, 1, results)
    assert [r.label for r in alone.rectangles] == [r.label for r in both.rectangles]
    for one, other in zip(alone.rectangles, both.rectangles, strict=True):
        assert (one.left, one.top, one.right, one.bottom) == pytest.approx(
            (other.left, other.top, other.right, other.bottom), abs=1e-4
        )


def test_colours_of_a_photograph_are_not_tinted():
    ds = with_pixels(dermoscopy(), 120)
    ds.PixelData = bytes([200, 140, 90]) * (int(ds.Rows) * int(ds.Columns))
    picture = draw(ds, write_results(skin_reading(ds), sources(ds), RUN))
    assert at(picture, 0.5, 0.5, ds) == (200, 140, 90)


def test_grey_stored_as_colour_is_tinted():
    ds = with_pixels(dermoscopy(), 120)
    picture = draw(ds, write_results(skin_reading(ds), sources(ds), RUN))
    red, green, blue = at(picture, 0.5, 0.5, ds)
    assert red < green == blue


def test_picture_has_the_shape_of_the_patient_where_pixels_are_not_square():
    ds = with_pixels(header(Rows=64, Columns=64, PixelSpacing=[0.5, 0.25]))
    picture = draw(ds, write_results(replace(chest_reading(ds), masks=()), sources(ds), RUN))
    assert picture.size == (512 + 400, 1024)


@pytest.mark.parametrize(("orientation", "marked"), [(["L", "F"], True), ("", False), (None, False)])
def test_sides_are_marked_only_if_the_header_says_them(orientation: object, marked: bool):
    ds = with_pixels(header(PatientOrientation=orientation))
    reading = replace(chest_reading(ds), masks=(), boxes=(), findings=())
    picture = draw(ds, write_results(reading, sources(ds), RUN))
    image = np.asarray(picture.crop((0, 0, picture.width - 400, picture.height)))
    assert bool((image > 150).any()) is marked


def test_box_at_the_edge_is_drawn():
    ds = with_pixels(header())
    whole = box("pneumothorax", ds, Laterality.LEFT, low=(0.0, 0.0), high=(1.0, 1.0))
    finding = replace(chest_reading(ds).findings[0], boxes=(whole,))
    reading = replace(chest_reading(ds), findings=(finding,), boxes=(), masks=())
    picture = draw(ds, write_results(reading, sources(ds), RUN))
    assert picture.getpixel((1, 500))[0] > 200  # pyright: ignore[reportIndexIssue, reportOptionalSubscript] # RGB


@pytest.mark.parametrize(("one", "other"), [("Größe", "Grüße"), ("узел", "тень"), ("結節", "心臓")])
def test_words_of_any_script_are_drawn_with_their_own_letters(one: str, other: str):
    """Where a font lacks letters all words of one length look alike: boxes."""
    pictures: list[bytes] = []
    for words in (one, other):
        if not fonts_have(words):
            pytest.skip("no font for this script (`make servers`)")
        ds = with_pixels(header(), 1000)
        reading = replace(chest_reading(ds), narrative=Narrative("", words))
        results = write_results(reading, sources(ds), RUN)
        pictures.append(draw(ds, results).tobytes())
    assert pictures[0] != pictures[1]


def test_a_script_without_a_font_is_said_to_have_none():
    ds = with_pixels(header(), 1000)
    pictures: list[bytes] = []
    for words in ("\U00012000", "\U00012001\U00012002"):
        reading = replace(chest_reading(ds), narrative=Narrative("", words))
        pictures.append(draw(ds, write_results(reading, sources(ds), RUN)).tobytes())
    assert pictures[0] == pictures[1], "one sentence for both, instead of one box and two"
