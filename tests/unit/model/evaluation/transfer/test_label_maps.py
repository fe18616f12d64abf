"""A label map lies on its scan by its affine and by its contents, or it is refused."""

from pathlib import Path

import nibabel
import numpy as np
import pytest

from model.errors import GeometryError
from model.evaluation.transfer.label_maps import ORGANS, labelled_scan
from model.training.phantoms.abdomen import make_abdomen_case
from model.training.phantoms.truth import AbdomenCase
from worker.demo.phantom_studies import write_ct

TO_RAS = np.diag([-1.0, -1.0, 1.0, 1.0])
FROM_IJK = np.eye(4)[[2, 1, 0, 3]]


@pytest.fixture(scope="module")
def case() -> AbdomenCase:
    return make_abdomen_case(3, shape=(24, 96, 96))


def label_map(case: AbdomenCase) -> np.ndarray:
    labels = np.zeros(case.voxels.shape, np.uint8)
    for organ, mask in case.masks.items():
        labels[mask] = ORGANS[organ][-1]
    return labels


def publish(folder: Path, case: AbdomenCase, labels: np.ndarray, affine: np.ndarray) -> None:
    """Write scan and map; `affine` is of (k, j, i) in LPS, as this project writes it."""
    write_ct(folder / "scan", case)
    image = nibabel.Nifti1Image(labels.transpose(2, 1, 0), TO_RAS @ affine @ FROM_IJK.T)
    nibabel.save(image, folder / "scan_seg.nii.gz")


def test_a_map_that_runs_as_its_scan_does_is_taken_as_it_is(tmp_path: Path, case: AbdomenCase) -> None:
    publish(tmp_path, case, label_map(case), case.affine)
    scan = labelled_scan(tmp_path, "scan")
    assert set(scan.masks) == {organ for organ, mask in case.masks.items() if mask.sum() >= 500}
    for organ, mask in scan.masks.items():
        assert np.array_equal(mask, case.masks[organ])


def test_a_map_that_runs_against_its_scan_is_turned(tmp_path: Path, case: AbdomenCase) -> None:
    flipped = np.eye(4)
    for axis in (1, 2):
        flipped[axis, axis], flipped[axis, 3] = -1, case.voxels.shape[axis] - 1
    publish(tmp_path, case, label_map(case)[:, ::-1, ::-1], case.affine @ flipped)
    for organ, mask in labelled_scan(tmp_path, "scan").masks.items():
        assert np.array_equal(mask, case.masks[organ])


def test_a_map_that_is_elsewhere_by_its_affine_is_refused(tmp_path: Path, case: AbdomenCase) -> None:
    affine = case.affine.copy()
    affine[1, 3] += 246.0
    publish(tmp_path, case, label_map(case), affine)
    with pytest.raises(GeometryError, match="elsewhere"):
        labelled_scan(tmp_path, "scan")


def test_a_map_whose_contents_are_elsewhere_is_refused(tmp_path: Path, case: AbdomenCase) -> None:
    publish(tmp_path, case, np.roll(label_map(case), (30, 25), axis=(1, 2)), case.affine)
    with pytest.raises(GeometryError, match="contents"):
        labelled_scan(tmp_path, "scan")


def test_a_map_of_another_size_is_refused(tmp_path: Path, case: AbdomenCase) -> None:
    publish(tmp_path, case, label_map(case)[:-1], case.affine)
    with pytest.raises(GeometryError, match="size"):
        labelled_scan(tmp_path, "scan")


def test_a_map_of_another_spacing_is_refused(tmp_path: Path, case: AbdomenCase) -> None:
    publish(tmp_path, case, label_map(case), case.affine @ np.diag([1.0, 1.3, 1.0, 1.0]))
    with pytest.raises(GeometryError, match="more than direction"):
        labelled_scan(tmp_path, "scan")


def test_the_real_map_lies_on_organs_of_their_density(real_data: Path) -> None:
    """Measured on this scan in portal phase: liver 89 HU, spleen 80, pancreas 61."""
    scan = labelled_scan(real_data / "ct", "totalseg_abdomen")
    means = {organ: float(scan.volume.voxels[mask].mean()) for organ, mask in scan.masks.items()}
    assert means == pytest.approx({"liver": 89, "spleen": 80, "pancreas": 61}, abs=1.0)
