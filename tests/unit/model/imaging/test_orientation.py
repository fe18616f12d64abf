"""The letter F, there and back: what was turned for the model lands on the stored pixels again."""

from itertools import product
from typing import Any

import numpy as np
import pytest

from model.imaging.pixels import planar_image_from_dataset
from model.imaging.views import frontal_orientation, lateral_orientation
from model.volume import UPRIGHT, Geometry, Orientation

F = np.array(
    [
        [1, 1, 1, 1],
        [1, 0, 0, 0],
        [1, 1, 1, 0],
        [1, 0, 0, 0],
        [1, 0, 0, 0],
    ],
    dtype=np.uint8,
)
"""Hung right: rows run to the patient's left, columns to the feet."""

STORED = {
    ("L", "F"): F,
    ("R", "F"): F[:, ::-1],
    ("L", "H"): F[::-1],
    ("R", "H"): F[::-1, ::-1],
    ("F", "L"): F.T,
    ("H", "L"): F[::-1].T,
    ("F", "R"): F[:, ::-1].T,
    ("H", "R"): F[::-1, ::-1].T,
}
"""How a device stores F for each Patient Orientation."""


@pytest.mark.parametrize("directions", list(STORED))
def test_every_stored_letter_is_hung_alike(directions: tuple[str, str]) -> None:
    orientation = frontal_orientation(directions)
    np.testing.assert_array_equal(orientation.apply(STORED[directions]), F)
    np.testing.assert_array_equal(orientation.undo(F), STORED[directions])


@pytest.mark.parametrize("directions", list(STORED))
def test_box_of_the_upper_bar_returns_to_stored_pixels(directions: tuple[str, str]) -> None:
    stored = np.where(frontal_orientation(directions).undo(np.arange(20).reshape(5, 4)) < 4, 1, 0)
    bar = (0.0, 0.0, 1.0, 4.0)  # row 0, all columns, on the hung letter
    j0, i0, j1, i1 = (int(c) for c in frontal_orientation(directions).undo_box(bar, (5, 4)))
    assert stored[j0:j1, i0:i1].all()
    assert stored.sum() == (j1 - j0) * (i1 - i0)


@pytest.mark.parametrize(("transposed", "rows", "columns"), list(product((False, True), repeat=3)))
def test_geometry_returns_to_stored_pixels(transposed: bool, rows: bool, columns: bool) -> None:
    orientation = Orientation(transposed, rows, columns)
    stored = np.arange(2 * 3 * 4).reshape(2, 3, 4)
    turned = orientation.apply(stored)
    affine = np.diag([5.0, 2.0, 3.0, 1.0])
    affine[:3, 3] = (7, 8, 9)
    geometry = orientation.undo_geometry(Geometry(affine), turned.shape[1:])
    for value in (0, 5, 23):
        there = np.argwhere(turned == value).astype(float)
        here = np.argwhere(stored == value).astype(float)
        np.testing.assert_allclose(Geometry(affine).to_patient(there), geometry.to_patient(here))


@pytest.mark.parametrize("directions", [(), ("L",), ("A", "F"), ("L", "R"), ("X", "Y"), ("LF", "AH")])
def test_what_names_no_frontal_view_stays_as_it_is(directions: tuple[str, ...]) -> None:
    assert frontal_orientation(directions) == UPRIGHT


def test_oblique_directions_count_by_their_main_one() -> None:
    assert frontal_orientation(("RF", "FL")) == Orientation(columns_flipped=True)


def test_mirrored_radiograph_is_turned_and_remembers_it(radiograph: Any) -> None:
    ds = radiograph(np.ascontiguousarray(F[:, ::-1]), PatientOrientation=["R", "F"])
    image = planar_image_from_dataset(ds)
    np.testing.assert_array_equal(image.pixels > 0.5, F > 0)
    assert image.orientation == Orientation(columns_flipped=True)


def test_unequal_spacing_turns_with_the_image(radiograph: Any) -> None:
    upright = planar_image_from_dataset(radiograph(F, PixelSpacing=[0.1, 0.2]))
    lying = planar_image_from_dataset(
        radiograph(np.ascontiguousarray(F.T), ImagerPixelSpacing=[0.2, 0.1], PatientOrientation=["F", "L"])
    )
    assert upright.spacing_mm == lying.spacing_mm == (0.1, 0.2)


@pytest.mark.parametrize("spacing", [None, [0.0, 0.1]])
def test_no_sensible_spacing_is_no_spacing(radiograph: Any, spacing: Any) -> None:
    assert planar_image_from_dataset(radiograph(F, PixelSpacing=spacing)).spacing_mm is None


def rotations(letter: np.ndarray[Any, Any]) -> list[np.ndarray[Any, Any]]:
    return [np.rot90(letter, turns) for turns in range(4)]


LATERAL = {
    ("A", "F"): F,
    ("P", "F"): F,
    ("A", "H"): F[::-1, ::-1],
    ("P", "H"): F[::-1, ::-1],
    ("F", "A"): np.rot90(F),
    ("F", "P"): np.rot90(F),
    ("H", "A"): np.rot90(F, -1),
    ("H", "P"): np.rot90(F, -1),
}
"""How a device stores a lateral film on which an F is written, by where its rows and columns point."""


@pytest.mark.parametrize("directions", list(LATERAL))
def test_lateral_is_rotated_until_its_letter_can_be_read_and_never_mirrored(
    directions: tuple[str, str],
) -> None:
    orientation = lateral_orientation(directions)
    np.testing.assert_array_equal(orientation.apply(LATERAL[directions]), F)
    np.testing.assert_array_equal(orientation.undo(F), LATERAL[directions])


@pytest.mark.parametrize("directions", [(), ("A",), ("A", "P"), ("L", "F"), ("X", "F")])
def test_what_names_no_lateral_view_stays_as_it_is(directions: tuple[str, ...]) -> None:
    assert lateral_orientation(directions) == UPRIGHT
