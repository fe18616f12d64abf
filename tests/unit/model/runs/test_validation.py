"""Overlaps of validation by hand, and when a run has become better."""

import math

import pytest
import torch

from model.training.runs.checkpoints import Standing
from model.training.runs.marks import box_overlaps, mask_overlaps
from model.training.runs.validation import judged


def test_boxes_overlap_by_intersection_over_union() -> None:
    boxes = torch.tensor([[0.0, 0, 2, 2], [0, 0, 1, 1], [0, 0, 1, 1], [1, 1, 0, 0]])
    targets = torch.tensor([[1.0, 1, 3, 3], [0, 0, 1, 1], [2, 2, 3, 3], [0, 0, 1, 1]])
    assert box_overlaps(boxes, targets).tolist() == pytest.approx([1 / 7, 1, 0, 0])


def test_masks_overlap_by_dice_and_empty_ones_agree() -> None:
    logits = torch.tensor([[1.0, 1, -1, -1], [-1, -1, -1, -1], [1, -1, -1, -1]])[:, None]
    targets = torch.tensor([[1.0, 0, 1, 0], [0, 0, 0, 0], [0, 0, 0, 0]])[:, None]
    assert mask_overlaps(logits, targets).tolist() == pytest.approx([2 * 1 / (2 + 2), 1, 0])


def test_losses_fall_and_overlaps_rise_when_a_run_becomes_better() -> None:
    before = Standing(20, best_step=10, best_figure=0.5, waited=0)
    assert judged(before, 0.4, "loss") == Standing(20, 20, 0.4, 0)
    assert judged(before, 0.6, "loss") == Standing(20, 10, 0.5, 1)
    assert judged(before, 0.6, "dice") == Standing(20, 20, 0.6, 0)
    assert judged(before, 0.5, "iou") == Standing(20, 10, 0.5, 1)


def test_first_figure_is_the_best_unless_it_is_no_number() -> None:
    assert judged(Standing(5), 3.0, "loss") == Standing(5, 5, 3.0, 0)
    assert judged(Standing(5), math.nan, "loss") == Standing(5, None, None, 1)
