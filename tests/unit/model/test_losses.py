"""Losses against numbers worked out by hand."""

from math import exp, log

import pytest
import torch

from model.training.losses import (
    IGNORED,
    detection_loss,
    dice_coefficient,
    focal_loss,
    language_loss,
    segmentation_loss,
)


def test_language_loss_counts_foretold_answer_tokens_only() -> None:
    logits = torch.zeros(1, 3, 4)
    logits[0, 1, 2] = log(3)  # foretells position 2: probability of token 2 is 3 / 6
    labels = torch.tensor([[IGNORED, IGNORED, 2]])
    assert language_loss(logits, labels).item() == pytest.approx(log(2))


def test_detection_loss_is_hundredfold_smooth_l1() -> None:
    boxes, targets = torch.tensor([[0.5, 0.5, 0.5, 2.0]]), torch.tensor([[0.5, 0.3, 0.5, 0.0]])
    # |d| = 0, 0.2, 0, 2 with beta 1: 0, 0.02, 0, 1.5; mean 0.38
    assert detection_loss(boxes, targets).item() == pytest.approx(38.0)


def test_detection_loss_of_no_box_is_zero() -> None:
    assert detection_loss(torch.zeros(0, 4), torch.zeros(0, 4)).item() == 0


def test_focal_loss_squares_the_error() -> None:
    # p = 0.75 for a true, 0.5 for a false pixel: 0.25^2 * -ln 0.75 and 0.5^2 * -ln 0.5
    logits, targets = torch.tensor([log(3.0), 0.0]), torch.tensor([1.0, 0.0])
    expected = (0.0625 * -log(0.75) + 0.25 * log(2)) / 2
    assert focal_loss(logits, targets).item() == pytest.approx(expected, rel=1e-5)


def test_dice_is_over_the_whole_batch_with_smoothing_one() -> None:
    logits = torch.tensor([[log(3.0), 0.0], [0.0, 0.0]])
    targets = torch.tensor([[1.0, 0.0], [1.0, 0.0]])
    # overlap 0.75 + 0.5; sums 2.25 and 2
    assert dice_coefficient(logits, targets).item() == pytest.approx((2 * 1.25 + 1) / (2.25 + 2 + 1))


def test_segmentation_loss_adds_ten_focal_and_log_dice() -> None:
    logits, targets = torch.zeros(2), torch.tensor([1.0, 0.0])
    dice = (2 * 0.5 + 1) / (1 + 1 + 1)
    assert segmentation_loss(logits, targets).item() == pytest.approx(
        10 * 0.25 * log(2) - log(dice), rel=1e-5
    )
    assert exp(-log(dice)) > 1
