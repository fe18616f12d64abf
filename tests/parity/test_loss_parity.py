"""The losses of training are the published ones, quirks of the published batches included."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from model.families.medversa_networks.network import MedVersaNetwork
from model.training.losses import (
    IGNORED,
    detection_loss,
    dice_coefficient,
    focal_loss,
    language_loss,
    segmentation_loss,
)
from model.vision_modules.registry import segmentation_3d
from tests.parity.published_outcomes import Made, planar_module, visual, visual_of_case
from tests.public_fixture import PublicFixture, embedded

PADDING = 29900
"""The published padding is the word "0", so that the digit is never taught."""


@pytest.fixture(scope="module")
def made(public: PublicFixture, network: MedVersaNetwork) -> Made:
    return public, network


def _states(made: Made, name: str) -> tuple[Tensor, Tensor]:
    """States and labels of a padded batch; the reference attends its padding and begins twice."""
    public, network = made
    facts = public.facts["losses"]
    case = facts["loss_cases"][name]
    rows = []
    for b, prefix in enumerate(case["prefix_ids_padded"]):
        ids = [1, *prefix, *case["prompt_ids_padded"][b], *case["answer_ids_padded"][b]]
        rows.append(embedded(network, ids, _shown(made, case, b)))
    whole, answers = torch.cat(rows), torch.tensor(case["answer_ids_padded"])
    before = whole.shape[1] - answers.shape[1]
    attended = torch.tensor(case["answer_attention_mask"])
    mask = torch.cat([torch.ones(len(rows), before, dtype=torch.long), attended], dim=1)
    states, _ = network.read(whole, mask)
    labels = torch.full(mask.shape, IGNORED)
    labels[:, before:] = answers.where(answers != PADDING, torch.tensor(IGNORED))
    return states, labels


def _shown(made: Made, case: dict[str, list[object]], b: int) -> Tensor:
    """Visual tokens of a row; the fixture's one volume is that of its case C."""
    if case["modal"][b] == "ct":
        return visual_of_case(made, "C")
    return visual(made, made[0].facts["losses"]["rows"][b][: case["num_imgs"][b]])


def _language(name: str) -> Callable[[Made], Tensor]:
    def loss(made: Made) -> Tensor:
        states, labels = _states(made, name)
        return language_loss(made[1].logits(states), labels)

    return loss


def _detection(made: Made) -> Tensor:
    states, labels = _states(made, "detection_total")
    told = ";".join(made[0].facts["losses"]["detection_boxes"]).split(";")
    targets = torch.tensor([[float(v) for v in box.split(",")] for box in told if box != "n/a"])
    boxes = made[1].text_det(states[labels == 32001])
    return language_loss(made[1].logits(states), labels) + detection_loss(boxes, targets)


def _rectangles(made: Made, like: Tensor) -> Tensor:
    targets = torch.zeros_like(like)
    told = made[0].facts["losses"]["loss_cases"]["seg2d_total"]["target_rects_y0y1x0x1"]
    for target, (y0, y1, x0, x1) in zip(targets, told, strict=False):
        target[0, y0:y1, x0:x1] = 1
    return targets


def _planar_masks(made: Made) -> Tensor:
    public, network = made
    states, labels = _states(made, "seg2d_total")
    pictures = public.pictures([row[0] for row in public.facts["losses"]["rows"]])
    module = planar_module(network)
    logits = module.logits(states[labels == 32002], module.network.encode(pictures))
    masks = segmentation_loss(logits, _rectangles(made, logits))
    return language_loss(network.logits(states), labels) + masks


def _volume_mask(made: Made) -> Tensor:
    public, network = made
    states, labels = _states(made, "seg3d_total")
    levels = network.visual_encoder_3d.encode(public.small_volume())
    logits = segmentation_3d(network).logits(states[labels == 32003], levels)
    d0, d1, i0, i1, j0, j1 = public.facts["losses"]["loss_cases"]["seg3d_total"]["target_box"]
    targets = torch.zeros_like(logits)
    targets[0, 0, d0:d1, i0:i1, j0:j1] = 1
    return language_loss(network.logits(states), labels) + segmentation_loss(logits, targets)


def _alone(loss: Callable[[Tensor, Tensor], Tensor]) -> Callable[[Made], Tensor]:
    """One term on the mask of the planar head and the first rectangle."""

    def value(made: Made) -> Tensor:
        public, network = made
        about = public.facts["inputs"]["hidden"]
        module = planar_module(network)
        levels = module.network.encode(public.pictures([about["seg_image"]]))
        logits = module.logits(public.hidden()[about["seg_row"]][None], levels)
        return loss(logits, _rectangles(made, logits))

    return value


LOSSES: dict[str, Callable[[Made], Tensor]] = {
    **{
        name: _language(name) for name in ("report_ce", "detection_ce_only", "seg2d_ce_only", "seg3d_ce_only")
    },
    "detection_total": _detection,
    "seg2d_total": _planar_masks,
    "seg3d_total": _volume_mask,
    "unit_focal": _alone(focal_loss),
    "unit_dice_coefficient": _alone(dice_coefficient),
    "unit_mixed": _alone(segmentation_loss),
}


@pytest.mark.parametrize("name", LOSSES)
def test_loss_is_the_published_one(made: Made, name: str) -> None:
    facts = made[0].facts["losses"]
    assert LOSSES[name](made).item() == pytest.approx(facts["values"][name], rel=facts["rtol"])


def test_every_published_loss_is_compared(public: PublicFixture) -> None:
    assert LOSSES.keys() == public.facts["losses"]["values"].keys()
