"""Lesions in real radiographs: they lie where the truth says, and change as it says."""

from functools import cache
from pathlib import Path

import numpy as np
import pytest
from pydicom import dcmread
from scipy.ndimage import gaussian_filter

from model.errors import ImagingError
from model.imaging.pixels import planar_image_from_dataset
from model.reading import ChangeStatus, Laterality
from model.training.phantoms.chest import make_chest_case
from model.training.phantoms.chest_findings import Lesion
from model.training.phantoms.insertion import INSERTED, Radiograph, _develop, insert_change, lung_axes
from model.training.phantoms.truth import ChestCase, ChestView

SIZE = 160
GROWS = {ChangeStatus.INCREASED: 1, ChangeStatus.DECREASED: -1, ChangeStatus.UNCHANGED: 0}


@cache
def view_of(seed: int) -> ChestView:
    """A phantom stands for the real radiograph: its lungs are known."""
    return make_chest_case(seed, size=SIZE, with_prior=False).current


def radiograph(seed: int) -> Radiograph:
    view = view_of(seed)
    return Radiograph(view.pixels, view.spacing_mm, view.view)


def clear(seed: int) -> bool:
    """Whether nothing in this phantom hides a lung, so that its field is what its mask says."""
    return not {f.label for f in view_of(seed).findings} & {
        "pleural effusion",
        "consolidation",
        "pneumothorax",
    }


CLEAR = [seed for seed in range(14) if clear(seed)]


def inserted(seed: int, status: ChangeStatus | None = None) -> ChestCase:
    return insert_change(seed, radiograph(0), radiograph(1), days_between=9, size=SIZE, status=status)


def area(box: tuple[float, float, float, float]) -> float:
    return (box[2] - box[0]) * (box[3] - box[1])


def test_the_axes_run_within_the_lungs_and_the_right_one_is_at_image_left() -> None:
    shares = []
    for seed in CLEAR:
        view = view_of(seed)
        right, left = lung_axes(view.pixels)
        for axis, name in ((right, "right lung"), (left, "left lung")):
            shares.append(view.masks[name][axis.rows, axis.columns].mean())
    assert np.mean(shares) > 0.95
    assert min(shares) > 0.6


@pytest.mark.parametrize("kind", ["blank", "noise", "one dark field"])
def test_a_picture_without_two_lungs_is_refused(kind: str) -> None:
    pixels = np.full((SIZE, SIZE), 0.6, np.float32)
    if kind == "noise":
        pixels = np.random.default_rng(0).random((SIZE, SIZE)).astype(np.float32)
    if kind == "one dark field":
        pixels[:, 20:60] = 0.1
    bad = Radiograph(pixels, (1.8, 1.8), "PA")
    with pytest.raises(ImagingError):
        insert_change(0, bad, bad, days_between=1, size=SIZE)


def test_same_seed_gives_the_same_bytes_and_another_seed_others() -> None:
    once, again, other = inserted(3), inserted(3), inserted(4)
    assert once.current.pixels.tobytes() == again.current.pixels.tobytes()
    assert once.current.findings == again.current.findings
    assert once.changes == again.changes
    assert once.current.pixels.tobytes() != other.current.pixels.tobytes()


@pytest.mark.parametrize("status", list(ChangeStatus))
def test_both_dates_show_what_the_change_says(status: ChangeStatus) -> None:
    for seed in range(6):
        case = inserted(seed, status)
        assert case.prior is not None
        (change,) = case.changes
        assert change.status is status
        assert change.label in INSERTED
        assert bool(case.current.findings) == (status is not ChangeStatus.RESOLVED)
        assert bool(case.prior.findings) == (status is not ChangeStatus.NEW)
        if status in GROWS:
            now, before = case.current.findings[0].extent, case.prior.findings[0].extent
            assert np.sign(round(np.log(now / before) / np.log(1.2))) == GROWS[status]


def test_a_larger_lesion_has_a_larger_box_on_the_same_background() -> None:
    for seed in range(8):
        case = insert_change(
            seed, radiograph(0), radiograph(0), days_between=9, size=SIZE, status=ChangeStatus.INCREASED
        )
        assert case.prior is not None
        assert area(case.current.findings[0].box) > area(case.prior.findings[0].box)


@pytest.mark.parametrize("label", INSERTED)
@pytest.mark.parametrize("side", [Laterality.LEFT, Laterality.RIGHT])
def test_the_picture_is_brighter_within_the_box_and_the_same_outside(label: str, side: Laterality) -> None:
    lesion = Lesion(label, side, 0.4, 0.5, 11)
    with_it = _develop(np.random.default_rng(5), radiograph(0), lesion, 0.8)
    without = _develop(np.random.default_rng(5), radiograph(0), lesion, 0.0)
    x1, y1, x2, y2 = (round(v * SIZE) for v in with_it.findings[0].box)
    added = with_it.pixels - without.pixels
    within = np.zeros(added.shape, bool)
    within[y1:y2, x1:x2] = True
    assert added[within].mean() > 0.03
    margin = np.zeros(added.shape, bool)
    margin[max(y1 - 4, 0) : y2 + 4, max(x1 - 4, 0) : x2 + 4] = True
    assert np.abs(added[~margin]).max() < 0.03
    # What was added is centred in its box.
    rows, columns = np.nonzero(gaussian_filter(added, 1) > 0.05)
    assert x1 < columns.mean() < x2
    assert y1 < rows.mean() < y2


@pytest.mark.parametrize(("side", "half"), [(Laterality.RIGHT, 0), (Laterality.LEFT, 1)])
def test_the_patients_right_is_at_image_left(side: Laterality, half: int) -> None:
    for seed in range(4):
        view = _develop(
            np.random.default_rng(seed), radiograph(seed), Lesion("lung nodule", side, 0.5, 0.5, seed), 0.5
        )
        x1, _, x2, _ = view.findings[0].box
        assert (x1 + x2) / 2 // 0.5 == half


def test_a_round_nodule_stays_round_in_millimetres_where_pixels_are_oblong() -> None:
    """NIH pictures are squeezed into squares: a circle in the patient is an ellipse of pixels."""
    square = radiograph(0)
    oblong = Radiograph(square.pixels, (square.spacing_mm[0], 0.7 * square.spacing_mm[1]), "PA")
    lesion = Lesion("lung nodule", Laterality.RIGHT, 0.5, 0.5, 11)
    ratios = []
    for picture in (square, oblong):
        view = _develop(np.random.default_rng(5), picture, lesion, 0.9)
        x1, y1, x2, y2 = view.findings[0].box
        ratios.append((x2 - x1) / (y2 - y1))
    assert ratios[1] / ratios[0] == pytest.approx(1 / 0.7, rel=0.15)


def test_resizing_keeps_the_field_of_view() -> None:
    picture = Radiograph(np.zeros((200, 100), np.float32), (0.5, 1.0), "PA").resized(50)
    assert picture.pixels.shape == (50, 50)
    assert picture.spacing_mm == (2.0, 2.0)


def test_nine_real_studies_of_one_patient_take_lesions(real_data: Path) -> None:
    files = sorted((real_data / "cxr" / "nih_00000011_dcm").glob("*.dcm"))
    assert len(files) == 9
    real = []
    for path in files:
        image = planar_image_from_dataset(dcmread(path))
        assert image.spacing_mm is not None
        real.append(Radiograph(image.pixels, image.spacing_mm, "PA"))
    for seed, (now, before) in enumerate(zip(real, [*real[1:], real[0]], strict=True)):
        case = insert_change(seed, now, before, days_between=30, size=SIZE, status=ChangeStatus.UNCHANGED)
        assert case.prior is not None
        for view in (case.current, case.prior):
            (finding,) = view.findings
            x1, y1, x2, y2 = finding.box
            middle = (x1 + x2) / 2
            assert (middle < 0.5) == (finding.laterality is Laterality.RIGHT)
            assert 0.1 < (y1 + y2) / 2 < 0.75
            assert finding.visibility > 0.5
