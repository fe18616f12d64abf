"""The eleven tasks through `medversa-node ask`, from DICOM files to objects, on phantoms and real studies."""

import json
import logging
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner
from numpy.typing import NDArray
from pydicom import Dataset, dcmread

from dicom_node.settings import load_settings
from model.prompts import phrase
from model.reading import CHEST_FINDINGS, CHEST_STRUCTURES, SKIN_LESIONS, Task
from model.registry import load_family
from model.training.phantoms.abdomen import make_abdomen_case
from model.training.phantoms.chest import make_chest_case
from model.wordings import FREE_WORDINGS, WORDINGS
from structured_reports.conformance import validate_file
from tests.driving import concepts
from worker.commands import ask
from worker.demo.phantom_studies import DEMO_SEED, WrittenStudy, demo_lesion
from worker.demo.task_table import TaskTable
from worker.demo.tasks import TASK_EXAMPLES, TaskExample

SIDE = 1024
Masks = dict[str, NDArray[np.bool_]]


@dataclass(frozen=True)
class Answered:
    """What one request brought: JSON, objects, and the sources in the order of their instance numbers."""

    values: dict[str, Any]
    objects: Sequence[Dataset]
    sources: Sequence[Dataset]

    @property
    def text(self) -> str:
        return str(self.values["answer"])

    def labels(self, key: str) -> set[str]:
        return {item["label"] for item in self.values[key]}

    def box(self, label: str) -> tuple[float, float, float, float]:
        """x1, y1, x2, y2 in stored pixels."""
        found = [*self.values["boxes"], *(b for f in self.values["findings"] for b in f["boxes"])]
        (corners,) = [item["corners"] for item in found if item["label"] == label]
        return tuple(corners)

    def masks(self) -> Masks:
        """(K, Rows, Columns) by label from the segmentation, slices in the order of the sources."""
        (seg,) = [ds for ds in self.objects if ds.Modality == "SEG"]
        place = {str(ds.SOPInstanceUID): n for n, ds in enumerate(self.sources)}
        names = {int(item.SegmentNumber): str(item.SegmentLabel) for item in seg.SegmentSequence}
        shape = (len(place), int(seg.Rows), int(seg.Columns))
        shared = seg.SharedFunctionalGroupsSequence[0]
        found = {name: np.zeros(shape, bool) for name in names.values()}
        frames = seg.pixel_array.reshape(-1, *shape[1:])
        for frame, groups in zip(frames, seg.PerFrameFunctionalGroupsSequence, strict=True):
            source = groups.DerivationImageSequence[0].SourceImageSequence[0].ReferencedSOPInstanceUID
            identified = groups.get("SegmentIdentificationSequence") or shared.SegmentIdentificationSequence
            number = int(identified[0].ReferencedSegmentNumber)
            found[names[number]][place[source]] |= frame > 0
        return found


def put(study: Path, example: TaskExample, prior: Path | None, out: Path) -> Answered:
    """Run the command as a user does."""
    request = ["--region", example.region] if example.region else [example.words]
    options = [*(["--prior", str(prior)] if prior else []), "--device", "cpu", "--dicom", str(out / "dicom")]
    arguments = [str(study), *request, *options, "--json", str(out / "answer.json")]
    done = CliRunner().invoke(ask, [*arguments, "--picture", str(out / "answer.png")])
    assert done.exit_code == 0, done.output
    files = sorted((out / "dicom").iterdir())
    assert [str(verdict) for file in files if not (verdict := validate_file(file)).is_valid] == []
    assert (out / "answer.png").stat().st_size > 0
    sources = [dcmread(file) for file in (study.iterdir() if study.is_dir() else [study])]
    return Answered(
        json.loads((out / "answer.json").read_text()),
        [dcmread(file) for file in files],
        sorted(sources, key=lambda ds: int(ds.get("InstanceNumber") or 0)),
    )


@pytest.fixture(autouse=True)
def logging_restored() -> Iterator[None]:
    """The command sends logs to the standard error of its caller, which is gone when the runner returns."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)


def check_kind(example: TaskExample, answered: Answered) -> None:
    """The module that fits the task ran, and its result is in the report."""
    values, done = answered.values, set(answered.values["tasks_done"])
    assert example.task in done, answered.text
    match example.task:
        case Task.SEGMENTATION:
            assert values["masks"]
            assert "SEG" in {ds.Modality for ds in answered.objects}
        case Task.ANATOMY_DETECTION:
            assert answered.labels("boxes") <= set(CHEST_STRUCTURES)
            assert "<DET>" in answered.text
        case Task.PATHOLOGY_DETECTION:
            assert answered.labels("findings") <= set(CHEST_FINDINGS)
            assert "<DET>" in answered.text or "<N/A>" in answered.text
        case Task.COMPARISON:
            assert values["comparisons"][0]["changes"]
        case Task.CLASSIFICATION:
            assert answered.labels("findings") <= {*CHEST_FINDINGS, *SKIN_LESIONS}
        case Task.REPORT:
            assert values["narrative"]["findings"]
        case _:
            assert "<" not in answered.text
    report = answered.objects[-1]
    assert any(answered.text[:20] in str(item.get("TextValue", "")) for item in concepts(report))


# Phantoms: the truth is known


def dice(mask: NDArray[np.bool_], truth: NDArray[np.bool_]) -> float:
    return float(2 * (mask & truth).sum() / (mask.sum() + truth.sum()))


def overlap(box: Sequence[float], truth: Sequence[float]) -> float:
    """Intersection over union of x1, y1, x2, y2."""
    low, high = np.maximum(box[:2], truth[:2]), np.minimum(box[2:], truth[2:])
    shared = float(np.prod(np.clip(high - low, 0, None)))
    areas = [float((b[2] - b[0]) * (b[3] - b[1])) for b in (box, truth)]
    return shared / (sum(areas) - shared)


def scaled(fractions: Sequence[float]) -> list[float]:
    return [edge * SIDE for edge in fractions]


def check_effusion_is_told(answered: Answered) -> None:
    present = {f["label"] for f in answered.values["findings"] if f["presence"] == "present"}
    assert "pleural effusion" in present


def check_changes(answered: Answered) -> None:
    (comparison,) = answered.values["comparisons"]
    assert comparison["prior"] == 0
    assert {change["label"] for change in comparison["changes"]} <= {*CHEST_FINDINGS, "chest"}


def check_yes(answered: Answered) -> None:
    assert answered.text == "Yes."


def check_caption(answered: Answered) -> None:
    (caption,) = answered.values["captions"]
    assert caption["corners"] == pytest.approx([0.06 * SIDE, 0.2 * SIDE, 0.41 * SIDE, 0.85 * SIDE])
    assert caption["laterality"] == "right"
    assert caption["text"]


def check_diagnosis(answered: Answered) -> None:
    assert answered.labels("findings") == {demo_lesion().diagnosis}


def check_anatomy(answered: Answered) -> None:
    truth = make_chest_case(DEMO_SEED, size=SIDE, with_prior=True).current.boxes
    for name in ("left lung", "right lung", "heart"):
        assert overlap(answered.box(name), scaled(truth[name])) > 0.5, name


def check_pathology(answered: Answered) -> None:
    findings = make_chest_case(DEMO_SEED, size=SIDE, with_prior=True).current.findings
    (truth,) = [finding.box for finding in findings if finding.label == "pleural effusion"]
    assert overlap(answered.box("pleural effusion"), scaled(truth)) > 0.3


def check_left_lung(answered: Answered) -> None:
    truth = make_chest_case(DEMO_SEED, size=SIDE, with_prior=True).current.masks["left lung"]
    assert dice(answered.masks()["left lung"][0], truth) > 0.8


def check_lesion(answered: Answered) -> None:
    (mask,) = answered.masks().values()
    assert dice(mask[0], demo_lesion().mask) > 0.8


def check_liver(answered: Answered) -> None:
    """Instance 1 is at the head, voxel slice 0 at the feet."""
    truth = make_abdomen_case(DEMO_SEED).masks["liver"][::-1]
    assert dice(answered.masks()["liver"], truth) > 0.8


PHANTOM_CHECKS: dict[str, Callable[[Answered], None]] = {
    "Report generation": check_effusion_is_told,
    "Longitudinal comparison": check_changes,
    "Open visual question answering": check_yes,
    "Region captioning": check_caption,
    "Chest pathology classification": check_effusion_is_told,
    "Skin lesion classification": check_diagnosis,
    "Anatomy detection": check_anatomy,
    "Pathology detection": check_pathology,
    "Chest organ segmentation": check_left_lung,
    "Skin lesion segmentation": check_lesion,
    "Abdominal organ segmentation": check_liver,
}


@pytest.mark.parametrize("example", TASK_EXAMPLES, ids=lambda example: example.name)
def test_task_on_a_phantom(example: TaskExample, phantoms: dict[str, WrittenStudy], tmp_path: Path) -> None:
    study = phantoms[example.study].files[0].parent
    prior = phantoms[example.prior].files[0].parent if example.prior else None
    answered = put(study, example, prior, tmp_path)
    check_kind(example, answered)
    PHANTOM_CHECKS[example.name](answered)


# Real studies: the weights never saw one, so only the kind and the place of an answer are asked for

REAL_STUDIES = {
    "chest, current": "cxr/nih_00000011_dcm/00000011_003.dcm",
    "chest, prior": "cxr/nih_00000011_dcm/00000011_001.dcm",
    "abdomen CT": "ct/totalseg_abdomen",
    "skin lesion": "derm_nc/dcm/ISIC_0024311.dcm",
}


def check_real_place(example: TaskExample, answered: Answered) -> None:
    match example.name:
        case "Anatomy detection":
            left, right, heart = (answered.box(name) for name in ("left lung", "right lung", "heart"))
            # The patient's left is on the right of the image; the heart lies between the lungs' outer edges.
            assert left[0] + left[2] > right[0] + right[2]
            assert right[0] < (heart[0] + heart[2]) / 2 < left[2]
        case "Chest organ segmentation":
            (mask,) = answered.masks()["left lung"]
            assert 0.04 < mask.mean() < 0.45
            assert np.nonzero(mask)[1].mean() > 0.5 * mask.shape[1]
        case "Skin lesion segmentation":
            ((mask,),) = answered.masks().values()
            assert 0.005 < mask.mean() < 0.8
            assert not math.isclose(mask.sum(), mask.size)
        case "Abdominal organ segmentation":
            liver = answered.masks()["liver"]
            direction = [float(v) for v in answered.sources[0].ImageOrientationPatient]
            assert direction == pytest.approx([1, 0, 0, 0, 1, 0], abs=0.01)
            # Columns run to the patient's left: the liver lies in the right half of the body.
            assert np.nonzero(liver)[2].mean() < 0.5 * liver.shape[2]
        case _:
            pass


@pytest.mark.parametrize("example", TASK_EXAMPLES, ids=lambda example: example.name)
def test_task_on_a_real_study(example: TaskExample, real_data: Path, tmp_path: Path) -> None:
    study = real_data / REAL_STUDIES[example.study]
    prior = real_data / REAL_STUDIES[example.prior] if example.prior else None
    answered = put(study, example, prior, tmp_path)
    check_kind(example, answered)
    check_real_place(example, answered)


# In other words


@pytest.fixture(scope="module")
def table(phantoms: dict[str, WrittenStudy]) -> TaskTable:
    folders = {title: study.files[0].parent for title, study in phantoms.items()}
    return TaskTable(load_family(load_settings(None).worker.weights), folders)


@pytest.mark.parametrize("example", TASK_EXAMPLES, ids=lambda example: example.name)
def test_other_words_lead_to_the_same_task(example: TaskExample, table: TaskTable) -> None:
    """Of three wordings never trained, at least two bring an answer of the kind that is meant."""
    texts = [table.ask(example, words)[0].answers[-1].text for words in example.own_words]
    assert sum(map(example.is_of_kind, texts)) >= 2, texts


def test_other_words_are_in_no_training_set() -> None:
    own = {words.lower().rstrip("?.") for example in TASK_EXAMPLES for words in example.own_words}
    names = [
        *CHEST_FINDINGS,
        *CHEST_STRUCTURES,
        "liver",
        "spleen",
        "kidneys",
        "pancreas",
        "lesion",
        "mole",
        "spot",
    ]
    names += ["effusion", "nodule", "[13,45,92,190]"]
    box = (13 / 224, 45 / 224, 92 / 224, 190 / 224)
    taught = {
        phrase(wording, names=(name,), box=box).lower().rstrip("?.")
        for wordings in (*WORDINGS.values(), *FREE_WORDINGS.values())
        for wording in wordings
        for name in names
    }
    assert len(own) == 3 * len(TASK_EXAMPLES)
    assert own & taught == set()
