"""Programs of others read label maps, and the reports beside them."""

import json
from pathlib import Path

import nibabel
import numpy as np
import pytest
from nibabel.affines import apply_affine
from pydicom import dcmwrite

from structured_reports.conformance import validate_file
from structured_reports.profiles import Profile
from structured_reports.registry import write_results
from tests.contract.structured_reports.round_trip.test_programs_read_back import (
    LPS_FROM_RAS,
    cloud,
    run,
    tool,
)
from tests.unit.structured_reports.readings import RUN, ct_reading, ct_slices, sources

LABEL_MAP = "1.2.840.10008.5.1.4.1.1.66.7"


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The objects of a CT for a destination that takes label maps, by SOP Class."""
    folder, slices = tmp_path_factory.mktemp("label_maps"), ct_slices()
    paths: dict[str, Path] = {}
    for ds in write_results(ct_reading(slices), sources(*slices), RUN, Profile.LABEL_MAP):
        paths[ds.SOPClassUID] = folder / f"{ds.SOPInstanceUID}.dcm"
        dcmwrite(paths[ds.SOPClassUID], ds, enforce_file_format=True)
    return paths


def test_a_report_that_lists_a_label_map_is_read_and_valid(files: dict[str, Path]):
    """DCMTK 3.6 knows no label maps: a reference to one in the content would make the report unreadable."""
    report = files["1.2.840.10008.5.1.4.1.1.88.34"]
    done = run(tool("dsrdump"), report)
    assert done.returncode == 0, done.stderr
    assert validate_file(report).errors == ()


def test_dcmtk_reads_the_label_map(files: dict[str, Path]):
    done = run(tool("dcm2json"), files[LABEL_MAP])
    assert json.loads(done.stdout)["00620001"]["Value"] == ["LABELMAP"]


def test_dcmqi_places_every_voxel_of_a_label_map_where_the_reading_has_it(
    files: dict[str, Path], tmp_path: Path
):
    program = tool("segimage2itkimage")
    done = run(program, "--inputDICOM", files[LABEL_MAP], "--outputDirectory", tmp_path, "-t", "nii")
    assert done.returncode == 0, done.stderr
    found: set[tuple[float, ...]] = set()
    for path in tmp_path.glob("*.nii.gz"):
        image = nibabel.load(path)
        found |= cloud(apply_affine(image.affine, np.argwhere(np.asarray(image.dataobj))) @ LPS_FROM_RAS)
    masks = ct_reading(ct_slices()).masks
    expected = [mask.geometry.to_patient(np.argwhere(mask.voxels)) for mask in masks if mask.geometry]
    assert found == cloud(np.concatenate(expected))
