"""A step shows one modality and one task, the same on however many devices, and survives bad pictures."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from model.errors import TrainingError
from model.reading import Modality, Task
from model.training.runs.batch_maker import BatchMaker
from model.training.runs.microbatch import MicroBatch
from model.training.runs.plan import Prepared, RunPlan
from model.training.runs.record_source import RecordSource
from model.training.runs.sources import TRAIN, VALIDATE, Library
from model.training.runs.steps import examination_of, steps_of
from model.transforms import volume_to_grid
from model.vocabulary import RELEASED
from model.volume import Volume
from tests import tiny_run
from tests.unit.model.runs.assembled import library_of
from tests.unit.model.runs.prepared_studies import write_studies


def _maker(plan: RunPlan) -> BatchMaker:
    batch = plan.batch
    return BatchMaker(tiny_run.WORDS, tiny_run.SIZES, batch.per_case, batch.answer_tokens, plan.augmentation)


@pytest.fixture(scope="module")
def plan(tmp_path_factory: pytest.TempPathFactory) -> RunPlan:
    return tiny_run.plan(tmp_path_factory.mktemp("steps"), batch={"size": 4, "micro": 1})


def _same(one: MicroBatch, other: MicroBatch) -> bool:
    return one.kind == other.kind and all(
        torch.equal(getattr(one, name), getattr(other, name))
        for name in ("ids", "labels", "pictures", "shown", "boxes", "segmented", "masked", "masks")
    )


def test_devices_share_out_what_one_device_would_see(plan: RunPlan) -> None:
    library, maker = library_of(plan), _maker(plan)
    alone = steps_of(plan, library, maker)
    pair = [steps_of(plan, library, maker, device, 2) for device in range(2)]
    for step in range(12):
        whole = alone[step]
        assert len({batch.kind for batch in whole}) == 1
        parts = [own[step] for own in pair]
        for number, batch in enumerate(whole):
            part = parts[number % 2][number // 2]
            assert part.number == number
            assert _same(part, batch)


def test_step_that_cannot_be_shared_out_is_refused(plan: RunPlan) -> None:
    with pytest.raises(TrainingError, match="4 micro-batches cannot be divided among 3 devices"):
        steps_of(plan, library_of(plan), _maker(plan), 0, 3)


def test_what_teaches_nothing_that_learns_is_not_drawn(plan: RunPlan) -> None:
    def kinds(**changed: object) -> set[tuple[Modality, Task]]:
        changed_plan = plan.model_copy(update=changed)
        return set(steps_of(changed_plan, library_of(plan), _maker(plan)).kinds)

    assert kinds(train=frozenset({"segmentation_3d"})) == {(Modality.CT, Task.SEGMENTATION)}
    assert Task.SEGMENTATION not in {task for _, task in kinds(train=frozenset({"projections"}))}
    assert kinds(tasks={"vqa": 1.0} | dict.fromkeys(("report", "classification", "detection"), 0.0)) == kinds(
        tasks={"report": 0.0, "classification": 0.0, "detection": 0.0}
    )
    with pytest.raises(TrainingError, match="no task of a weight above 0"):
        kinds(train=frozenset({"segmentation_3d"}), tasks={"segmentation": 0.0})


def test_pictures_of_a_case_are_encoded_once_for_all_its_questions(plan: RunPlan) -> None:
    maker = replace(_maker(plan), per_case=3)
    library = library_of(plan)
    cases = library.groups(TRAIN)[Modality.CXR, Task.SEGMENTATION]
    batch = maker.make(
        (Modality.CXR, Task.SEGMENTATION),
        0,
        (library.case(TRAIN, int(n)) for n in cases),
        count=2,
        chances=[0],
    )
    assert len(batch.ids) == 6
    assert len(batch.pictures) == len(batch.segmented) < 6
    assert set(batch.shown.tolist()) == set(range(len(batch.pictures)))


def test_long_answer_is_cut_and_its_boxes_with_it(plan: RunPlan) -> None:
    library = library_of(plan)
    kind = (Modality.CXR, Task.ANATOMY_DETECTION)
    cases = library.groups(TRAIN)[kind].tolist()

    def made(tokens: int) -> MicroBatch:
        maker = replace(_maker(plan), answer_tokens=tokens)
        opened = (library.case(TRAIN, n) for n in cases)
        return maker.make(kind, 0, opened, count=2, chances=[3])

    whole, cut = made(256), made(2)
    tag = next(n for n, text in tiny_run.WORDS.tags.items() if text == "<DET>")
    assert len(whole.boxes) == (whole.labels == tag).sum() > 0
    assert cut.counts.tolist()[0] <= 4
    assert len(cut.boxes) == (cut.labels == tag).sum() < len(whole.boxes)


def test_validation_is_the_same_each_time_and_not_varied(plan: RunPlan) -> None:
    library = library_of(plan)
    kinds = [(Modality.CXR, Task.REPORT), (Modality.CT, Task.SEGMENTATION)]
    examination = examination_of(plan, library, _maker(plan).still, kinds)
    assert [examination[n].kind for n in range(len(examination))] == kinds
    for n in range(len(examination)):
        assert _same(examination[n], examination[n])
    number = int(library.groups(VALIDATE)[Modality.CT, Task.SEGMENTATION][0])
    scan = library.case(VALIDATE, number).image("current")
    assert isinstance(scan, Volume)
    served, _ = volume_to_grid(scan, tiny_run.SIZES.volume_grid)
    np.testing.assert_array_equal(examination[1].pictures[0].numpy(), served)


# Prepared data


@pytest.fixture
def prepared(tmp_path: Path) -> tuple[RunPlan, Library]:
    data = [{"prepared": str(write_studies(tmp_path))}]
    plan = tiny_run.plan(tmp_path, data=data, batch={"size": 2, "micro": 2})
    (section,) = plan.data
    assert isinstance(section, Prepared)
    return plan, Library((RecordSource.opened(section, RELEASED),))


def test_prepared_data_make_batches_of_every_kind(prepared: tuple[RunPlan, Library]) -> None:
    plan, library = prepared
    steps = steps_of(plan, library, _maker(plan))
    first = {steps.sampler.draw_kind(step, 2)[0]: step for step in range(200)}
    drawn = {kind: steps[step][0] for kind, step in first.items()}
    assert drawn.keys() == library.groups(TRAIN).keys()
    assert all(batch.kind == kind for kind, batch in drawn.items())
    assert len(drawn[Modality.CT, Task.SEGMENTATION].masks) == 2
    # two examples of two current images and a prior
    assert drawn[Modality.CXR, Task.COMPARISON].shown.tolist() == [0, 1, 2, 3, 4, 5]


def test_case_whose_picture_is_damaged_is_passed_over(
    prepared: tuple[RunPlan, Library], tmp_path: Path
) -> None:
    plan, library = prepared
    (tmp_path / "source" / "1a.png").write_bytes(b"damaged")
    steps = steps_of(plan, library, _maker(plan))
    report = (Modality.CXR, Task.REPORT)
    drawn = {step: steps.sampler.draw_kind(step, 2) for step in range(200)}
    step = next(step for step, (kind, cases) in drawn.items() if kind == report and 1 in cases)
    (batch,) = steps[step]
    assert len(batch.ids) == 2
    assert batch.shown.tolist() == [0, 1, 2, 3]


def test_data_that_cannot_be_read_at_all_end_the_run(
    prepared: tuple[RunPlan, Library], tmp_path: Path
) -> None:
    plan, library = prepared
    for path in (tmp_path / "source").glob("*.png"):
        path.write_bytes(b"damaged")
    only = plan.model_copy(
        update={"tasks": {"report": 1.0}, "modalities": {Modality.CT: 0, Modality.DERM: 0}}
    )
    steps = steps_of(only, library, _maker(plan))
    with pytest.raises(TrainingError, match="20 cases that were to teach"):
        steps[0]
