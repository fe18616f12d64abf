"""Batches hold one modality and one task, as often as the weights say."""

from collections import Counter

import numpy as np
import pytest
from scipy.stats import chisquare

from model.reading import Modality, Task
from model.training.sampling import TASK_GROUPS, Kind, TaskSampler, group_of, kind_weights

KINDS: list[Kind] = [
    (Modality.CXR, Task.REPORT),
    (Modality.CXR, Task.ANATOMY_DETECTION),
    (Modality.CXR, Task.PATHOLOGY_DETECTION),
    (Modality.CXR, Task.SEGMENTATION),
    (Modality.DERM, Task.CLASSIFICATION),
    (Modality.DERM, Task.SEGMENTATION),
    (Modality.CT, Task.SEGMENTATION),
]
ROWS = {kind: np.arange(100 * n, 100 * n + 20) for n, kind in enumerate(KINDS)}


def test_seven_groups_hold_each_task_once() -> None:
    assert len(TASK_GROUPS) == 7
    assert sorted(task for tasks in TASK_GROUPS.values() for task in tasks) == sorted(Task)
    assert group_of(Task.PATHOLOGY_DETECTION) == group_of(Task.ANATOMY_DETECTION) == "detection"


def test_as_published_modalities_and_their_groups_are_equally_likely() -> None:
    weights = kind_weights(KINDS, {}, {})
    assert [weights[kind] for kind in KINDS] == pytest.approx([1 / 3, 1 / 6, 1 / 6, 1 / 3, 1 / 2, 1 / 2, 1])


def test_weights_of_modality_and_group_multiply() -> None:
    weights = kind_weights(KINDS, {Modality.CXR: 6.0}, {"report": 2.0, "segmentation": 0.0})
    assert [weights[kind] for kind in KINDS] == pytest.approx([4, 1, 1, 0, 1, 0, 0])


@pytest.mark.parametrize(
    ("modalities", "groups"),
    [({}, {}), ({Modality.CT: 3.0, Modality.DERM: 0.5}, {"report": 4.0, "detection": 0.25})],
)
def test_frequencies_match_the_weights(modalities: dict[Modality, float], groups: dict[str, float]) -> None:
    weights = kind_weights(KINDS, modalities, groups)
    sampler = TaskSampler.of_rows(ROWS, weights, seed=7)
    steps = 4000
    drawn = Counter(sampler.draw_kind(step, 1)[0] for step in range(steps))
    expected = np.array([weights[kind] for kind in KINDS])
    expected *= steps / expected.sum()
    assert chisquare([drawn[kind] for kind in KINDS], expected).pvalue > 0.01


def test_no_batch_mixes_modalities_or_tasks() -> None:
    sampler = TaskSampler.of_rows(ROWS, {}, seed=3)
    for step in range(300):
        kind, rows = sampler.draw_kind(step, 16)
        assert set(rows) <= set(ROWS[kind].tolist())
        assert sampler.draw_kind(step, 16) == (kind, rows)


def test_rows_of_a_kind_are_equally_likely() -> None:
    kind = KINDS[0]
    sampler = TaskSampler.of_rows({kind: ROWS[kind]}, {}, seed=5)
    drawn = Counter(row for step in range(500) for row in sampler.draw(step, 8))
    assert chisquare([drawn[row] for row in ROWS[kind].tolist()]).pvalue > 0.01
