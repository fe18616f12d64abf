"""Lesions that are set into a radiograph lie in a lung, and the truth tells where."""

import numpy as np
import pytest
import torch
from torch import Tensor

from model.training.lesions import LEAST_PIXELS, set_lesions
from model.training.phantoms.truth import ChestView, ForeignCase
from model.training.planar_pool import SIDE, SLOTS, PlanarTruth, pool_of


def _truth(views: int) -> PlanarTruth:
    lung = np.zeros((64, 64), bool)
    lung[8:56, 4:26] = True
    masks = {"right lung": lung, "left lung": lung[:, ::-1].copy(), "heart": np.zeros_like(lung)}
    view = ChestView(np.full((64, 64), 0.3, np.float32), masks, {}, (), (1.0, 1.0), "PA")
    return pool_of([view] * views).truth


def _set(truth: PlanarTruth, share: float = 1.0) -> Tensor:
    return set_lesions(truth, torch.Generator().manual_seed(3), share=share)


def test_every_lesion_brightens_its_box_and_nothing_far_from_it() -> None:
    truth = _truth(40)
    added = _set(truth)
    for n, here in enumerate(truth.present):
        (slots,) = here.nonzero(as_tuple=True)
        assert len(slots) == 1
        x1, y1, x2, y2 = (int(edge) for edge in (truth.slot_boxes[n, slots[0]] * SIDE).round())
        inside = added[n, 0, y1:y2, x1:x2]
        assert (inside > 0).sum() >= LEAST_PIXELS
        assert inside.sum() > 0.75 * added[n].sum()
        assert 0 < truth.extent[n, slots[0]] <= 1


def test_side_and_zone_are_those_of_the_box() -> None:
    truth = _truth(60)
    _set(truth)
    for n, here in enumerate(truth.present):
        slot = int(here.nonzero()[0, 0])
        _, side, zone = SLOTS[slot]
        x1, y1, x2, y2 = truth.slot_boxes[n, slot].tolist()
        assert ("right" if (x1 + x2) / 2 < 0.5 else "left") == side
        part = ((y1 + y2) / 2 - 8 / 64) / (48 / 64)
        assert part == pytest.approx({"upper": 1 / 6, "mid": 1 / 2, "lower": 5 / 6}[str(zone)], abs=0.26)


def test_both_kinds_are_set_and_a_share_of_the_pictures_stays() -> None:
    truth = _truth(200)
    added = _set(truth, 0.4)
    kinds = {SLOTS[slot][0] for slot in truth.present.nonzero()[:, 1].tolist()}
    assert kinds == {"lung nodule", "consolidation"}
    assert (added.flatten(1).amax(1) > 0).float().mean().item() == pytest.approx(0.4, abs=0.1)


def test_label_that_is_there_is_not_set_again() -> None:
    truth = _truth(30)
    nodules = [n for n, slot in enumerate(SLOTS) if slot[0] == "lung nodule"]
    truth.present[:, nodules[0]] = 1
    _set(truth)
    assert truth.present[:, nodules].sum().item() == 30


def test_only_radiographs_of_the_chest_get_lesions() -> None:
    truth = pool_of([ForeignCase(0, np.zeros((64, 64), np.float32), "noise")] * 3).truth
    assert not _set(truth).any()
    assert not truth.present.any()
