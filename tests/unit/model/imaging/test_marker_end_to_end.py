"""A marker that lies to one side goes from the file to the network's grid and back to where it was.

The network is the only thing left out: in its place the marker is thresholded on the network's own grid.
"""

from collections.abc import Sequence as Items
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence
from pydicom.uid import EnhancedCTImageStorage, generate_uid

from model.boxes import bounding_box
from model.imaging.selection import select_images
from model.reading import Laterality, Mask
from model.segments import mask_on_source, mask_voxels
from model.transforms import planar_to_grid, volume_to_grid
from model.volume import PlanarImage, Volume

CLOSE_MM = 0.2
"""What must show: centroids agree to this, or to half a pixel where that is more."""

LARGE, SMALL = np.array([52.0, 21.0, 17.0]), np.array([-60.0, -34.0, -30.0])
"""LPS millimetres of two balls: to the patient's left, back and head; to the right, front and feet."""

RADII = (24.0, 15.0)


def turn(axis: str, degrees: float) -> NDArray[np.float64]:
    c, s = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    if axis == "x":
        return np.array([[1, 0, 0], [0, c, -s], [0, s, c]])
    return np.array([[c, -s, 0], [s, c, 0], [0, 0, 1]])


@dataclass(frozen=True, eq=False)
class Scan:
    """How a series is acquired: a stack whose middle lies at the origin."""

    row: Any = (1, 0, 0)
    column: Any = (0, 1, 0)
    step_mm: Any = (0, 0, 3)
    shape: tuple[int, int, int] = (44, 205, 230)
    spacing_mm: tuple[float, float] = (1.1, 1.2)

    @property
    def affine(self) -> NDArray[np.float64]:
        """(3, 4): (k, j, i, 1) to the patient."""
        columns = [
            np.asarray(self.step_mm, float),
            np.asarray(self.column, float) * self.spacing_mm[0],
            np.asarray(self.row, float) * self.spacing_mm[1],
        ]
        origin = -sum(c * (n - 1) / 2 for c, n in zip(columns, self.shape, strict=True))
        return np.stack([*columns, origin], axis=1)


OBLIQUE = turn("x", 17) @ turn("z", 12)
TILT = turn("x", 18.5)

SCANS = {
    "plain": Scan(),
    "oblique": Scan(OBLIQUE[:, 0], OBLIQUE[:, 1], OBLIQUE[:, 2] * 3),
    "feet first": Scan((-1, 0, 0), (0, 1, 0)),
    "feet first, stored feet last": Scan((-1, 0, 0), (0, 1, 0), (0, 0, -3)),
    "prone": Scan((-1, 0, 0), (0, -1, 0)),
    "decubitus": Scan((0, 1, 0), (-1, 0, 0)),
    "transposed": Scan((0, 1, 0), (1, 0, 0)),
    "tilted gantry": Scan((1, 0, 0), TILT[:, 1], (0, 0, 3)),
    "thin": Scan(step_mm=(0, 0, 1.25), shape=(120, 150, 160), spacing_mm=(1.6, 1.55)),
    "overlapping": Scan(step_mm=(0, 0, 2.0), shape=(64, 150, 150), spacing_mm=(1.6, 1.6)),
}
GRIDS = [(64, 192, 192), (32, 96, 96)]


@cache
def balls(name: str) -> NDArray[np.uint8]:
    """(K, J, I): 1 in the large ball, 2 in the small one."""
    affine = SCANS[name].affine
    index = np.moveaxis(np.indices(SCANS[name].shape, np.float32), 0, -1)
    at = index @ affine[:, :3].T.astype(np.float32) + affine[:, 3].astype(np.float32)
    large, small = (
        np.linalg.norm(at - centre.astype(np.float32), axis=-1) < radius
        for centre, radius in zip((LARGE, SMALL), RADII, strict=True)
    )
    return large + np.uint8(2) * small


def stored_values(marks: NDArray[np.uint8]) -> NDArray[np.uint16]:
    """Balls of 250 HU in fat, in a frame of air, stored with an intercept of -1024."""
    hu = np.where(marks > 0, 250, -80)
    hu[..., :3, :], hu[..., :, :3] = -1000, -1000
    return (hu + 1024).astype(np.uint16)


def classic(ct_slice: Any, name: str) -> list[Dataset]:
    """One instance per slice; instance numbers tell nothing."""
    scan = SCANS[name]
    affine, stored = scan.affine, stored_values(balls(name))
    return [
        ct_slice(
            0.0,
            plane,
            ImagePositionPatient=[*(affine[:, 0] * k + affine[:, 3])],
            ImageOrientationPatient=[*map(float, (*scan.row, *scan.column))],
            PixelSpacing=list(scan.spacing_mm),
            InstanceNumber=(k * 7) % 13,
        )
        for k, plane in enumerate(stored)
    ]


def enhanced(ct_slice: Any, name: str) -> list[Dataset]:
    """One instance whose frames lie in it in no order."""
    scan = SCANS[name]
    affine, stored = scan.affine, stored_values(balls(name))
    order = np.random.default_rng(0).permutation(len(stored))
    ds = ct_slice(
        0.0, stored[0], ImagePositionPatient=None, ImageOrientationPatient=None, PixelSpacing=None,
        NumberOfFrames=len(stored), PixelData=stored[order].tobytes(), SOPClassUID=EnhancedCTImageStorage,
    )  # fmt: skip
    shared, orientation, measures = Dataset(), Dataset(), Dataset()
    orientation.ImageOrientationPatient = [*map(float, (*scan.row, *scan.column))]
    measures.PixelSpacing = list(scan.spacing_mm)
    shared.PlaneOrientationSequence = Sequence([orientation])
    shared.PixelMeasuresSequence = Sequence([measures])
    ds.SharedFunctionalGroupsSequence = Sequence([shared])
    groups: list[Dataset] = []
    for k in order:
        group, position = Dataset(), Dataset()
        position.ImagePositionPatient = [*(affine[:, 0] * k + affine[:, 3])]
        group.PlanePositionSequence = Sequence([position])
        groups.append(group)
    ds.PerFrameFunctionalGroupsSequence = Sequence(groups)
    return [ds]


def selected(datasets: Items[Dataset]) -> Volume:
    (volume,) = select_images(datasets).images
    assert isinstance(volume, Volume)
    return volume


def seen_and_brought_back(volume: Volume, grid: tuple[int, int, int], label: str) -> Mask:
    """Threshold the balls where the network sees them, keep the largest, and go the whole way back."""
    seen, placement = volume_to_grid(volume, grid)
    threshold = (float(seen.min()) + float(seen.max())) / 2
    probabilities = placement.mask_to_source((seen[0] > threshold).astype(np.float32))
    return mask_on_source(mask_voxels(probabilities, label), label, volume)


def centroid(voxels: NDArray[np.bool_]) -> NDArray[np.float64]:
    return np.argwhere(voxels).mean(0)


def stored_marks(ds: Dataset) -> NDArray[np.bool_]:
    """(frames, J, I): where the large ball is on the stored pixels of an instance, by brightness and size."""
    frames = int(ds.get("NumberOfFrames", 1))
    stored = np.frombuffer(ds.PixelData, np.uint16).reshape(frames, ds.Rows, ds.Columns)
    return stored == 250 + 1024


@pytest.mark.parametrize("write", [classic, enhanced])
@pytest.mark.parametrize("name", SCANS)
def test_ball_in_a_ct_comes_back_to_its_millimetres(ct_slice: Any, name: str, write: Any) -> None:
    datasets = write(ct_slice, name)
    np.random.default_rng(3).shuffle(datasets)
    volume = selected(datasets)
    for grid in GRIDS:
        mask = seen_and_brought_back(volume, grid, "liver")
        assert mask.geometry is not None
        spacing_mm = np.array(mask.geometry.spacing_mm)
        error_mm = (centroid(mask.voxels) - mask.geometry.to_index(LARGE)) * spacing_mm
        assert (np.abs(error_mm) < np.maximum(CLOSE_MM, spacing_mm / 2)).all(), grid
        assert mask.laterality is None
        volume_mm3 = mask.voxels.sum() * mask.geometry.voxel_volume_mm3
        assert volume_mm3 == pytest.approx(4 / 3 * np.pi * RADII[0] ** 3, rel=0.05), grid


@pytest.mark.parametrize("write", [classic, enhanced])
@pytest.mark.parametrize("name", SCANS)
def test_mask_of_a_ct_lies_on_the_stored_pixels_of_the_right_instances(
    ct_slice: Any, name: str, write: Any
) -> None:
    datasets = write(ct_slice, name)
    mask = seen_and_brought_back(selected(datasets[::-1]), GRIDS[0], "kidneys")
    by_uid = {ds.SOPInstanceUID: stored_marks(ds) for ds in datasets}
    truth = np.stack([by_uid[key.sop_instance_uid][key.frame_number - 1] for key in mask.frames])
    assert mask.voxels.shape == truth.shape
    # One scanned voxel at an edge may fall to either side; the two balls must agree in all others.
    assert 2 * (mask.voxels & truth).sum() / (mask.voxels.sum() + truth.sum()) > 0.96
    assert (np.abs(centroid(mask.voxels) - centroid(truth)) < 0.5).all()
    assert mask.laterality is Laterality.BILATERAL


@pytest.mark.parametrize("order", ["as scanned", "reversed", "shuffled"])
def test_order_of_files_changes_nothing(ct_slice: Any, order: str) -> None:
    datasets = classic(ct_slice, "plain")
    straight = selected(datasets)
    if order == "reversed":
        datasets.reverse()
    elif order == "shuffled":
        np.random.default_rng(8).shuffle(datasets)
    volume = selected(datasets)
    np.testing.assert_array_equal(volume.voxels, straight.voxels)
    np.testing.assert_array_equal(volume.geometry.affine, straight.geometry.affine)
    assert volume.frames == straight.frames


HUNG = (640, 520)
"""Rows and columns of the radiograph as it is hung."""

TURNINGS = {
    ("L", "F"): lambda hung: hung,
    ("R", "F"): np.fliplr,
    ("L", "H"): np.flipud,
    ("R", "H"): lambda hung: hung[::-1, ::-1],
    ("F", "L"): lambda hung: hung.T,
    ("H", "L"): lambda hung: np.flipud(hung).T,
    ("F", "R"): lambda hung: np.fliplr(hung).T,
    ("H", "R"): lambda hung: hung[::-1, ::-1].T,
}
"""How a device stores what hangs with rows to the patient's left and columns to the feet."""


def blob(centre: tuple[float, float], half_axes: tuple[float, float]) -> NDArray[np.bool_]:
    j, i = np.indices(HUNG, np.float64)
    return ((j - centre[0]) / half_axes[0]) ** 2 + ((i - centre[1]) / half_axes[1]) ** 2 < 1


LEFT_BLOB, RIGHT_BLOB = blob((201.3, 371.8), (88, 61)), blob((460.2, 99.6), (40, 47))


def radiograph_of(radiograph: Any, directions: tuple[str, str], photometric: str) -> Dataset:
    grey = np.where(LEFT_BLOB | RIGHT_BLOB, 3000, 600).astype(np.uint16)
    stored = np.ascontiguousarray(TURNINGS[directions](grey))
    return radiograph(
        4095 - stored if photometric == "MONOCHROME1" else stored,
        PatientOrientation=list(directions), PhotometricInterpretation=photometric, BitsStored=12, HighBit=11,
        WindowCenter=2047.5, WindowWidth=4095, VOILUTFunction="LINEAR_EXACT", PixelSpacing=[0.2, 0.2],
    )  # fmt: skip


def selected_radiograph(ds: Dataset) -> PlanarImage:
    (image,) = select_images([ds]).images
    assert isinstance(image, PlanarImage)
    return image


@pytest.mark.parametrize("photometric", ["MONOCHROME1", "MONOCHROME2"])
@pytest.mark.parametrize("directions", list(TURNINGS))
@pytest.mark.parametrize("size", [224, 512, 768])
def test_blob_of_a_radiograph_comes_back_to_its_stored_pixels(
    radiograph: Any, directions: tuple[str, str], photometric: str, size: int
) -> None:
    ds = radiograph_of(radiograph, directions, photometric)
    image = selected_radiograph(ds)
    seen, placement = planar_to_grid(image, size)
    bright = (seen[0] > (float(seen[0].min()) + float(seen[0].max())) / 2).astype(np.float32)
    mask = mask_on_source(mask_voxels(placement.mask_to_source(bright), "left lung"), "left lung", image)
    truth = TURNINGS[directions](LEFT_BLOB)
    assert (mask.frames, mask.laterality) == ((image.frame,), Laterality.LEFT)
    assert mask.frames[0].sop_instance_uid == ds.SOPInstanceUID
    assert np.abs(centroid(mask.voxels[0]) - centroid(truth)).max() < 0.5
    assert mask.voxels.sum() == pytest.approx(truth.sum(), rel=0.02)


@pytest.mark.parametrize("directions", list(TURNINGS))
def test_box_on_the_network_s_fractions_frames_the_stored_blob(
    radiograph: Any, directions: tuple[str, str]
) -> None:
    image = selected_radiograph(radiograph_of(radiograph, directions, "MONOCHROME2"))
    _, placement = planar_to_grid(image, 224)
    for blob_there, side in ((LEFT_BLOB, Laterality.LEFT), (RIGHT_BLOB, Laterality.RIGHT)):
        # The box that a perfect network would give: x1, y1, x2, y2 as fractions of the hung image.
        (j0, i0), (j1, i1) = np.argwhere(blob_there).min(0), np.argwhere(blob_there).max(0) + 1
        fractions = i0 / HUNG[1], j0 / HUNG[0], i1 / HUNG[1], j1 / HUNG[0]
        box = bounding_box("nodule", placement.box_to_source(fractions), image)
        assert box is not None
        stored = np.argwhere(TURNINGS[directions](blob_there))
        np.testing.assert_allclose(box.low, stored.min(0), atol=1e-6)
        np.testing.assert_allclose(box.high, stored.max(0) + 1, atol=1e-6)
        assert box.laterality is side
        assert box.frame == image.frame


def test_wrong_hanging_would_be_noticed(radiograph: Any) -> None:
    """The check above can fail: a blob stored under another orientation gets the other side."""
    ds = radiograph_of(radiograph, ("R", "F"), "MONOCHROME2")
    ds.PatientOrientation, ds.SOPInstanceUID = ["L", "F"], generate_uid()
    image = selected_radiograph(ds)
    (j0, i0), (j1, i1) = np.argwhere(image.pixels > 0.5).min(0), np.argwhere(image.pixels > 0.5).max(0) + 1
    large = np.argwhere(image.pixels[: HUNG[0] // 2] > 0.5)
    assert large[:, 1].mean() < HUNG[1] / 2
    box = bounding_box("nodule", (j0, large[:, 1].min(), j1, large[:, 1].max() + 1), image)
    assert box is not None
    assert box.laterality is Laterality.RIGHT
    assert i0 < i1
