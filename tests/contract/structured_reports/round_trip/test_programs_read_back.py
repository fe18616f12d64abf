"""A sample of the generated readings, read back by DCMTK and dcmqi, programs that share no code with ours."""

import json
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import nibabel
import numpy as np
import pytest

from model.reading import Reading
from tests.contract.structured_reports.round_trip.content_nodes import from_dcmtk
from tests.contract.structured_reports.round_trip.generated_readings import COUNT, PER_SETTING, generated
from tests.contract.structured_reports.round_trip.source_kinds import KINDS
from tests.contract.structured_reports.round_trip.statements import Stated, stated_by_report
from tests.contract.structured_reports.round_trip.written_bundles import Bundle, written_bundle

SAMPLE = tuple(range(0, COUNT, 4))
"""Of every kind of source and every setting, by the first test."""
ITK_KINDS = ("CT", "CT, feet first", "CT, oblique", "CT, enhanced")
"""Stacks that an image of ITK can hold: slices along the normal, evenly spaced."""
LPS_FROM_RAS = np.diag([-1.0, -1.0, 1.0])
"""NIfTI counts to the right and the front, DICOM to the left and the back."""

Group = tuple[str, str, str, str, str]
"""Of a measurement group: finding, side, number, presence, change."""


def tool(name: str) -> str:
    """Find a program beside Python or on the path, or skip the test and say which is missing."""
    path = shutil.which(name, path=str(Path(sys.executable).parent)) or shutil.which(name)
    if path is None:
        pytest.skip(f"{name} is not installed")
    return path


def run(*command: str | Path) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run([str(part) for part in command], capture_output=True, check=False, timeout=60)


@pytest.fixture(scope="module", params=SAMPLE)
def bundle(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bundle]:
    folder = tmp_path_factory.mktemp("bundle")
    yield written_bundle(request.param, folder)
    shutil.rmtree(folder)


def test_the_sample_has_every_kind_and_setting():
    assert {generated(number).kind for number in SAMPLE} == set(KINDS)
    assert {number // PER_SETTING for number in SAMPLE} == set(range(COUNT // PER_SETTING))


def test_dcmtk_reads_what_the_reading_states(bundle: Bundle):
    done = run(tool("dsr2xml"), bundle.report)
    assert done.returncode == 0, done.stderr
    # Not checked: what our own writer and DCMTK made.
    content = ElementTree.fromstring(done.stdout).find("document/content/container")  # noqa: S314 (our own)
    assert content is not None
    said, expected = stated_by_report(from_dcmtk(content)), bundle.stated
    assert expected.texts - said.texts == Counter()
    assert replace(said, texts=expected.texts) == expected


def test_dcmtk_prints_every_document(bundle: Bundle):
    program = tool("dsrdump")
    for path in [*bundle.files["SR"], *bundle.files.get("KO", ())]:
        done = run(program, path)
        assert done.returncode == 0, done.stderr


def groups_of(stated: Stated, reading: Reading) -> Counter[Group]:
    """List the groups among the measurements; many boxes of anatomy stand elsewhere, the last ones drawn."""
    groups: Counter[Group] = Counter()
    for said, count in stated.statements.items():
        groups[said.finding, said.side, said.certainty, said.presence, said.status] += count
    for segment, count in stated.segments.items():
        groups[segment.finding, segment.side, segment.size, "", ""] += count
    regions = list(stated.regions.elements())
    elsewhere = len(reading.boxes) if len(reading.boxes) > 9 else 0
    is_anatomy = {(box.frame.sop_instance_uid, *box.low[::-1]) for box in reading.boxes if elsewhere}
    for region in regions:
        if (region.sop_instance_uid, *region.points[0]) not in is_anatomy:
            groups[region.finding, region.side, "", "", ""] += 1
    return groups


def group_of(told: dict[str, Any]) -> Group:
    """Take one group of what dcmqi writes."""
    numbers = {item["quantity"]["CodeValue"]: item["value"] for item in told["measurementItems"]}
    answers = {
        item["conceptCode"]["CodeValue"]: item["conceptValue"]["CodeValue"]
        for item in told["qualitativeEvaluations"]
        if isinstance(item["conceptValue"], dict)
    }
    number = numbers.get("111012") or numbers.get("118565006") or numbers.get("42798000") or ""
    return (
        told["Finding"]["CodeValue"],
        told.get("Laterality", {}).get("CodeValue", ""),
        f"{float(number):.4g}" if number else "",
        answers.get("705057003", ""),
        answers.get("263703002", ""),
    )


def test_dcmqi_reads_the_groups_of_the_report(bundle: Bundle, tmp_path: Path):
    program, told = tool("tid1500reader"), tmp_path / "report.json"
    done = run(program, "--inputDICOM", bundle.report, "--outputMetadata", told)
    assert done.returncode == 0, done.stderr
    document = json.loads(told.read_text(encoding="utf-8"))
    expected = groups_of(bundle.stated, bundle.case.reading)
    found = Counter(map(group_of, document.get("Measurements") or ()))
    assert found == Counter(
        {
            (*group[:2], f"{float(group[2]):.4g}" if group[2] else "", *group[3:]): n
            for group, n in expected.items()
        }
    )


def cloud(points_mm: np.ndarray) -> set[tuple[float, ...]]:
    """Take voxel centres as a set; a hundredth of a millimetre is left to rounding."""
    return {tuple(point) for point in np.round(points_mm, 2) + 0.0}


@pytest.mark.parametrize("kind", ITK_KINDS)
def test_dcmqi_places_every_voxel_of_a_mask_where_the_reading_has_it(kind: str, tmp_path: Path):
    program = tool("segimage2itkimage")
    masked = (
        number
        for number in range(COUNT)
        if generated(number).kind == kind
        and any(mask.voxels.any() for mask in generated(number).reading.masks)
    )
    bundle = written_bundle(next(masked), tmp_path)
    (segmentation,) = bundle.files["SEG"]
    done = run(program, "--inputDICOM", segmentation, "--outputDirectory", tmp_path, "-t", "nii")
    assert done.returncode == 0, done.stderr
    told = json.loads((tmp_path / "meta.json").read_text(encoding="utf-8"))["segmentAttributes"]
    found: dict[str, set[tuple[float, ...]]] = {}
    for number, attributes in enumerate(told, start=1):
        image = nibabel.load(tmp_path / f"{number}.nii.gz")
        for segment in attributes:
            voxels = np.argwhere(np.asarray(image.dataobj) == segment["labelID"])
            millimetres = nibabel.affines.apply_affine(image.affine, voxels) @ LPS_FROM_RAS
            found[segment["SegmentLabel"]] = cloud(millimetres)
    masks = [mask for mask in bundle.case.reading.masks if mask.voxels.any()]
    expected = [cloud(mask.geometry.to_patient(np.argwhere(mask.voxels))) for mask in masks if mask.geometry]
    assert list(found.values()) == expected
