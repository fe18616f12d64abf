"""Losses against numbers worked out by hand."""

from math import exp, log

import pytest
import torch
from monai.losses import DiceFocalLoss

from model.training.losses import (
    IGNORED,
    RECIPES,
    detection_loss,
    dice_and_focal_loss,
    dice_coefficient,
    focal_loss,
    language_loss,
    regression_loss,
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


def test_regression_loss_has_no_weight() -> None:
    boxes, targets = torch.tensor([[0.5, 0.5, 0.5, 2.0]]), torch.tensor([[0.5, 0.3, 0.5, 0.0]])
    assert regression_loss(boxes, targets).item() == pytest.approx(0.38)
    assert regression_loss(torch.zeros(0, 4), torch.zeros(0, 4)).item() == 0


def test_dice_and_focal_loss_is_that_of_monai() -> None:
    draw = torch.Generator().manual_seed(0)
    logits = torch.randn(3, 1, 6, 5, generator=draw)
    targets = (torch.rand(3, 1, 6, 5, generator=draw) > 0.6).float()
    targets[2] = 0  # a mask of nothing counts as well
    published = DiceFocalLoss(
        sigmoid=True, gamma=2.0, lambda_dice=1.0, lambda_focal=1.0, smooth_nr=1.0, smooth_dr=1.0
    )
    expected = published(logits, targets).item()
    assert dice_and_focal_loss(logits, targets).item() == pytest.approx(expected, rel=1e-5)


def test_dice_and_focal_loss_is_the_mean_of_its_masks() -> None:
    draw = torch.Generator().manual_seed(1)
    logits, targets = torch.randn(4, 1, 8, 8, generator=draw), torch.ones(4, 1, 8, 8)
    each = [dice_and_focal_loss(logits[n : n + 1], targets[n : n + 1]).item() for n in range(4)]
    assert dice_and_focal_loss(logits, targets).item() == pytest.approx(sum(each) / 4, rel=1e-5)


def test_recipes_are_those_of_paper_and_release() -> None:
    assert RECIPES.keys() == {"paper", "released"}
    assert RECIPES["released"].segmentation is segmentation_loss
    assert RECIPES["paper"].detection is regression_loss
