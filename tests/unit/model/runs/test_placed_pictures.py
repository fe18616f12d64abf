"""A picture and its masks are varied together, and only as the paper varies them."""

from dataclasses import replace

import numpy as np
import pytest

from model.reading import Modality, Task
from model.training.runs.placed_pictures import NONE, PlanarPicture, View, VolumePicture, placed
from model.training.sampling import Kind
from model.transforms import planar_to_grid, volume_to_grid
from model.volume import FrameKey, Geometry, PlanarImage, Volume
from tests.tiny_run import SIZES, SIZES_V1

MASK: Kind = (Modality.CXR, Task.SEGMENTATION)
ORGAN: Kind = (Modality.CT, Task.SEGMENTATION)
SHAPE = (64, 48)


def _picture() -> PlanarImage:
    """Bright where its mask is: a corner, so that mirroring is seen."""
    pixels = np.zeros(SHAPE, np.float32)
    pixels[:40, :20] = 1
    return PlanarImage(pixels, FrameKey("1"))


def _volume(turned: bool = False) -> Volume:
    voxels = np.random.default_rng(0).normal(-50, 5, (10, 12, 14)).astype(np.float32)
    voxels[:5, :4, :6] += 250
    affine = np.diag([-3.0, 1, -1, 1]) if turned else np.diag([3.0, 1, 1, 1])
    return Volume(voxels, Geometry(affine), tuple(FrameKey(str(k)) for k in range(10)))


def _placed(image: PlanarImage | Volume, view: View) -> list[PlanarPicture | VolumePicture]:
    made = [placed(image, view, np.random.default_rng(n)) for n in range(40)]
    assert all(isinstance(m, PlanarPicture | VolumePicture) for m in made)
    return [m for m in made if isinstance(m, PlanarPicture | VolumePicture)]


def _view(kind: Kind, augmentation: str = "paper", *labels: str) -> View:
    return View(kind, SIZES, augmentation, labels)


def test_mask_is_mirrored_with_its_picture() -> None:
    image = _picture()
    made = _placed(image, _view(MASK, "paper", "heart"))
    sides = set()
    for picture in made:
        assert picture.segmented is not None
        mask = picture.mask(image.pixels > 0.5)
        bright = picture.segmented[0] > picture.segmented[0].mean()
        assert (mask == bright).mean() > 0.95
        sides.add(bool(mask[0, 0]))
    assert sides == {True, False}


@pytest.mark.parametrize("label", ["left lung", "right lung"])
def test_what_has_a_side_is_not_mirrored(label: str) -> None:
    image = _picture()
    for picture in _placed(image, _view(MASK, "paper", "heart", label)):
        assert picture.mask(image.pixels > 0.5)[0, 0]


@pytest.mark.parametrize(("augmentation", "axes"), [("paper", 3), ("released", 1), (NONE, 0)])
@pytest.mark.parametrize("turned", [False, True])
def test_mask_is_mirrored_with_its_volume(augmentation: str, axes: int, turned: bool) -> None:
    volume = _volume(turned)
    still, _ = volume_to_grid(volume, SIZES.volume_grid)
    ways = set()
    for picture in _placed(volume, _view(ORGAN, augmentation, "liver")):
        mask = picture.mask(volume.voxels > 100)
        middle = (picture.encoded.min() + picture.encoded.max()) / 2
        np.testing.assert_array_equal(mask, picture.encoded[0] > middle)
        ways.add(picture.encoded.tobytes())
    assert len(ways) == 1 + axes
    assert still.tobytes() in ways


@pytest.mark.parametrize(
    ("task", "cropped"),
    [
        (Task.REPORT, True),
        (Task.CLASSIFICATION, True),
        (Task.VQA, True),
        (Task.COMPARISON, True),
        (Task.ANATOMY_DETECTION, False),
        (Task.PATHOLOGY_DETECTION, False),
        (Task.REGION_CAPTIONING, False),
        (Task.SEGMENTATION, False),
    ],
)
def test_pictures_are_cropped_for_the_tasks_of_the_paper_only(task: Task, cropped: bool) -> None:
    whole, _ = planar_to_grid(_picture(), SIZES.image_size)
    made = _placed(_picture(), _view((Modality.CXR, task), "paper", "left lung"))
    assert any(not np.array_equal(m.encoded, whole) for m in made) is cropped
    still = _placed(_picture(), _view((Modality.CXR, task), NONE))
    assert all(np.array_equal(m.encoded, whole) for m in still)


def test_open_question_is_seen_larger_by_the_second_generation() -> None:
    for sizes, side in ((SIZES, 56), (SIZES_V1, 84)):
        view = replace(_view((Modality.CXR, Task.VQA)), sizes=sizes)
        assert placed(_picture(), view, np.random.default_rng(0)).encoded.shape == (3, side, side)
