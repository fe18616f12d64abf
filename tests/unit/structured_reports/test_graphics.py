"""Graphics of every type as points, as PS3.3 C.18.6.1.2 and C.10.5.1.2 define them."""

from copy import deepcopy

import numpy as np
import pytest
from pydicom import Dataset

from structured_reports.graphics import is_rectangle, points_of
from structured_reports.overlays import overlays_on
from structured_reports.picture import draw
from tests.unit.structured_reports.readings import ct_reading, ct_slices, header, only
from tests.unit.structured_reports.test_picture import at, with_pixels

SQUARE = [1.0, 2.0, 5.0, 2.0, 5.0, 6.0, 1.0, 6.0, 1.0, 2.0]


def test_a_circle_is_its_centre_and_a_point_of_the_rim():
    points = points_of("CIRCLE", [10, 20, 13, 24])
    assert np.allclose(np.hypot(*(points - (10, 20)).T), 5)
    assert np.allclose(points[0], points[-1])
    assert np.ptp(points[:, 0]) == pytest.approx(10, abs=0.05)


def test_an_ellipse_is_the_ends_of_its_two_axes():
    points = points_of("ELLIPSE", [0, 5, 20, 5, 10, 2, 10, 8])
    x, y = (points - (10, 5)).T
    assert np.allclose((x / 10) ** 2 + (y / 3) ** 2, 1)


def test_points_and_lines_are_given_as_they_are():
    assert points_of("MULTIPOINT", [1, 2, 3, 4]).tolist() == [[1, 2], [3, 4]]
    assert points_of("POLYLINE", SQUARE).shape == (5, 2)


@pytest.mark.parametrize(
    ("graphic_type", "data"),
    [("CIRCLE", [1, 2]), ("ELLIPSE", [1, 2, 3, 4]), ("POINT", [float("nan"), 1]), ("SPLINE", [1, 2])],
)
def test_what_cannot_be_drawn_gives_nothing(graphic_type: str, data: list[float]):
    assert len(points_of(graphic_type, data)) == 0


def test_a_rectangle_is_closed_and_upright():
    assert is_rectangle(points_of("POLYLINE", SQUARE))
    assert not is_rectangle(points_of("POLYLINE", SQUARE[:8]))
    assert not is_rectangle(points_of("POLYLINE", [0, 0, 2, 1, 1, 3, -1, 2, 0, 0]))
    assert not is_rectangle(points_of("POLYLINE", [0, 0, 4, 0, 4, 0, 0, 0, 0, 0]))


def report_with(graphic_type: str, data: list[float], image: Dataset) -> Dataset:
    """A report as another maker may write it: a region below a NUM, no tracking, no group."""
    reference = Dataset()
    reference.ReferencedSOPClassUID, reference.ReferencedSOPInstanceUID = (
        image.SOPClassUID,
        image.SOPInstanceUID,
    )
    selected = Dataset()
    selected.RelationshipType, selected.ValueType = "SELECTED FROM", "IMAGE"
    selected.ReferencedSOPSequence = [reference]
    region = Dataset()
    region.RelationshipType, region.ValueType = "INFERRED FROM", "SCOORD"
    region.GraphicType, region.GraphicData = graphic_type, data
    region.ConceptNameCodeSequence = [code("111030", "Image Region")]
    region.ContentSequence = [selected]
    number = Dataset()
    number.RelationshipType, number.ValueType = "CONTAINS", "NUM"
    number.ConceptNameCodeSequence = [code("103339001", "Long axis")]
    number.ContentSequence = [region]
    report = Dataset()
    report.Modality, report.ContentSequence = "SR", [number]
    return report


def code(value: str, meaning: str) -> Dataset:
    ds = Dataset()
    ds.CodeValue, ds.CodingSchemeDesignator, ds.CodeMeaning = value, "99TEST", meaning
    return ds


def test_regions_of_other_makers_are_found_wherever_they_stand():
    image = header()
    overlays = overlays_on(image, 1, [report_with("CIRCLE", [20, 30, 25, 30], image)])
    (shape,) = overlays.shapes
    assert shape.label == "Image Region"
    assert not shape.are_marks
    assert overlays.rectangles == ()
    assert overlays_on(header(SOPInstanceUID="1.2.9"), 1, [report_with("POINT", [1, 1], image)]).shapes == ()


def test_a_line_is_drawn_where_it_lies():
    image = with_pixels(header(), 0)
    picture = draw(image, [report_with("POLYLINE", [0, 32, 48, 32], image)])
    red, green, blue = at(picture, 0.5, 0.7, image)
    assert max(red, green, blue) > 100
    assert max(at(picture, 0.4, 0.7, image)) < 50


def test_a_place_is_marked_by_a_cross():
    image = with_pixels(header(), 0)
    picture = draw(image, [report_with("POINT", [24, 32], image)])
    assert max(at(picture, 0.5, 0.5, image)) > 100


def test_a_segmentation_that_names_no_source_is_laid_by_its_place(ct_results: tuple[Dataset, ...]):
    ds = deepcopy(only(ct_results, "SEG"))
    for own in ds.PerFrameFunctionalGroupsSequence:
        del own.DerivationImageSequence
    slices = ct_slices()
    liver = next(mask for mask in ct_reading(slices).masks if mask.label == "liver")
    for number, image in enumerate(slices):
        regions = {region.label: region.mask for region in overlays_on(image, 1, [ds]).regions}
        assert np.array_equal(regions["liver"], liver.voxels[number])
    moved = ct_slices()[0]
    moved.ImagePositionPatient = [0.0, 0.0, 0.0]
    assert overlays_on(moved, 1, [ds]).regions == ()
