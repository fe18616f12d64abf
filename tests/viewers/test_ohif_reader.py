"""OHIF's own code reads our results: every box is a rectangle with its finding, every mask the Reading's.

What runs is the extension of OHIF 3.13 that loads and hydrates reports, and @cornerstonejs/adapters below it.
"""

import subprocess
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from pydicom.sequence import Sequence as DicomSequence

from structured_reports.codes import DESCRIBED_REGION, REGIONS, concept_of
from structured_reports.colours import colour_of
from structured_reports.profiles import Profile
from structured_reports.provenance import is_own_result
from structured_reports.registry import write_results
from structured_reports.wording import named
from tests.unit.structured_reports.readings import RUN, child, groups, items, name_of, only, reread
from tests.viewers.ohif import Masks, Ohif, Report
from tests.viewers.shown_readings import SHOWN, Shown, corners_of
from worker.archive_export.corrections import statements_of
from worker.demo.servers import find_program

PROFILES = (Profile.OHIF, Profile.OHIF_EDIT)
ReadBack = tuple[Shown, Report, tuple[Masks, ...]]


@pytest.fixture(scope="module")
def read_back(ohif: Ohif, tmp_path_factory: pytest.TempPathFactory):
    """Write a case in a profile and have it read, once for all tests."""

    @cache
    def read(case: str, profile: Profile) -> ReadBack:
        shown = SHOWN[case]()
        results = write_results(shown.reading, shown.sources, RUN, profile)
        (report,), masks = ohif.read(shown.images, results, tmp_path_factory.mktemp("objects"))
        return shown, report, masks

    return read


def finding_of(shown: Shown, label: str) -> str:
    """Name the finding of a box as the report codes it."""
    concept = concept_of(label, REGIONS[shown.reading.modality]).code if label else DESCRIBED_REGION
    return concept.meaning


@pytest.mark.parametrize("profile", PROFILES)
@pytest.mark.parametrize("case", SHOWN)
def test_every_box_becomes_a_rectangle_with_its_finding(read_back, case: str, profile: Profile) -> None:
    shown, report, _ = read_back(case, profile)
    assert report.error is None
    expected = [
        (finding_of(shown, label), box.frame, corners_of(box, shown.image_of(box)))
        for label, box in shown.boxes()
    ]
    assert all(len(rectangle.corners) == 4 for rectangle in report.rectangles)
    read = [
        (each.finding, each.frame, sorted((round(x, 2), round(y, 2)) for x, y in each.corners))
        for each in report.rectangles
    ]
    assert sorted(read, key=str) == sorted(expected, key=str)


@pytest.mark.parametrize("profile", PROFILES)
@pytest.mark.parametrize("case", SHOWN)
def test_whatever_is_listed_is_drawn(read_back, case: str, profile: Profile) -> None:
    shown, report, _ = read_back(case, profile)
    assert all(each["isDrawn"] for each in report.listed)
    assert len(report.listed) == len(shown.boxes())


@pytest.mark.parametrize("case", SHOWN)
def test_the_reader_misses_no_coordinates(read_back, case: str) -> None:
    for profile in PROFILES:
        _, report, _ = read_back(case, profile)
        assert not [each for each in report.complaints if "No spatial coordinates" in each]
    assert report.complaints == (), "rectangles to be edited stand alone"


@pytest.mark.parametrize("case", SHOWN)
def test_masks_are_those_of_the_reading(read_back, case: str) -> None:
    shown, _, segmentations = read_back(case, Profile.OHIF)
    places = [
        (str(image.SOPInstanceUID), number + 1)
        for image in shown.images
        for number in range(int(image.get("NumberOfFrames") or 1))
    ]
    expected = {}
    for mask in shown.reading.masks:
        stack = np.zeros((len(places), *mask.voxels.shape[1:]), dtype=bool)
        for voxels, frame in zip(mask.voxels, mask.frames, strict=True):
            stack[places.index((frame.sop_instance_uid, frame.frame_number))] |= voxels
        if stack.any():
            expected[named(mask.label, mask.laterality)] = stack
    assert [each.error for each in segmentations] == [None] * len(segmentations)
    read = {label: mask for each in segmentations for label, mask in each.by_label.items()}
    assert read.keys() == expected.keys()
    for label, mask in expected.items():
        np.testing.assert_array_equal(read[label], mask, err_msg=label)


def test_segments_have_their_colours(read_back) -> None:
    """CIELab in DICOM is coarse: two grey levels either way."""
    _, _, (masks,) = read_back("DX", Profile.OHIF)
    for label in ("left lung", "right lung", "heart"):
        np.testing.assert_allclose(masks.colours[label], colour_of(label), atol=2)


def test_certainty_stands_beside_the_box(read_back) -> None:
    _, report, _ = read_back("DX", Profile.OHIF)
    labels = {each["identifier"]: each["labels"] for each in report.listed}
    assert {"label": "Certainty of Finding", "value": "93.40 %"} in labels["right lung nodule"]


def test_a_rectangle_to_be_edited_says_what_it_is_and_that_an_ai_drew_it(read_back) -> None:
    _, report, _ = read_back("DX", Profile.OHIF_EDIT)
    labels = [rectangle.label for rectangle in report.rectangles]
    assert labels[:2] == ["AI: right lung nodule, 93.4 %", "AI: left pleural effusion, 71.0 %"]
    assert {each["identifier"] for each in report.listed} == {"Cornerstone3DTools@^0.1.0:RectangleROI"}


def test_area_of_a_rectangle_is_in_pixels_on_a_projection(read_back) -> None:
    """0.08 of 64 rows by 0.08 of 48 columns."""
    _, report, _ = read_back("DX", Profile.OHIF_EDIT)
    value, unit = report.rectangles[0].area
    assert value == pytest.approx(0.08 * 64 * 0.08 * 48, rel=1e-5)
    assert unit == "1"


def test_area_of_a_rectangle_is_in_square_millimetres_in_a_plane_of_the_patient(read_back) -> None:
    """0.5 of 64 rows by 0.2 of 48 columns, 0.25 square millimetres each."""
    _, report, _ = read_back("CT", Profile.OHIF_EDIT)
    value, unit = report.rectangles[0].area
    assert value == pytest.approx(0.5 * 64 * 0.2 * 48 * 0.25, rel=1e-5)
    assert unit == "mm²"


def test_what_a_reader_moves_and_stores_comes_back_as_a_correction(ohif: Ohif, tmp_path: Path) -> None:
    """Moved by three columns and two rows in the viewer, stored there, and read by our export."""
    shown = SHOWN["DX"]()
    report = only(write_results(shown.reading, shown.sources, RUN, Profile.OHIF_EDIT), "SR")
    stored = ohif.correct(shown.images, report, tmp_path, shift=(3, -2))
    statements = statements_of(stored)
    assert statements.labels == {"lung nodule": True, "pleural effusion": True}
    assert statements.unnamed == 0
    moved = [(box.low[0] - 2, box.low[1] + 3, box.high[0] - 2, box.high[1] + 3) for _, box in shown.boxes()]
    read = [region.box_pixels for region in statements.regions]
    np.testing.assert_allclose(sorted(read), sorted(moved), atol=1e-3)
    assert not is_own_result(stored)


def test_the_reader_stops_at_a_measurement_without_coordinates(ohif: Ohif, tmp_path: Path) -> None:
    """Why profile `ohif` keeps such groups apart: of a report as TID 1500 has it nothing is drawn."""
    shown = SHOWN["DX"]()
    results = write_results(shown.reading, shown.sources, RUN, Profile.AIR)
    (report,), _ = ohif.read(shown.images, results, tmp_path)
    assert report.error is not None
    assert "ReferencedSOPSequence" in report.error


def test_the_reader_refuses_a_segmentation_without_a_plane(ohif: Ohif, tmp_path: Path) -> None:
    """Why profile `ohif` assumes one: see `segmentation.ASSUMED_ORIENTATION`."""
    shown = SHOWN["DX"]()
    results = write_results(shown.reading, shown.sources, RUN, Profile.AIR)
    _, (masks,) = ohif.read(shown.images, results, tmp_path)
    assert masks.error is not None
    assert "ImageOrientationPatient" in masks.error


def test_the_reader_misses_coordinates_beside_a_number(ohif: Ohif, tmp_path: Path) -> None:
    """Why a group with a box holds no number: the reader looks for coordinates inside the number alone."""
    shown = SHOWN["boxes alone"]()
    (report,) = write_results(shown.reading, shown.sources, RUN, Profile.OHIF)
    certain = write_results(SHOWN["findings alone"]().reading, shown.sources, RUN, Profile.OHIF)[-1]
    (number,) = [item for item in items(certain) if name_of(item) == "111012"]
    first = next(group for group in groups(report) if child(group, "111030") is not None)
    first.ContentSequence = DicomSequence([*first.ContentSequence, number])
    (read,), _ = ohif.read(shown.images, [report], tmp_path)
    assert len(read.rectangles) == len(shown.boxes()) - 1
    assert any("No spatial coordinates" in complaint for complaint in read.complaints)


def test_gdcm_survives_the_plane_that_ohif_is_told(tmp_path: Path) -> None:
    """Archives that preview with GDCM die of pixel measures without a plane; a plane alone is safe."""
    gdcminfo = find_program("gdcminfo")
    if gdcminfo is None:
        pytest.skip("gdcminfo is not installed (run `make validators`)")
    shown = SHOWN["DX"]()
    masks = only(write_results(shown.reading, shown.sources, RUN, Profile.OHIF), "SEG")
    reread(masks, tmp_path)
    done = subprocess.run([gdcminfo, *tmp_path.iterdir()], capture_output=True, check=False, timeout=60)
    assert done.returncode == 0
