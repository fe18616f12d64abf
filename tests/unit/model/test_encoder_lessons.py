"""What a cell of the encoder must tell follows from the truth of the picture around it."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from model.families.medversa_networks.network import MedVersaNetwork
from model.families.medversa_networks.sizes import DEMO
from model.reading import Laterality
from model.training.encoder_lessons import (
    SLOTS_OF_LABEL,
    EncoderLessons,
    begin_as_convolution,
    blocks,
    by_label,
    cells_of,
    covers,
    dense_loss,
)
from model.training.losses import box_loss
from model.training.phantoms.truth import ChestView, FindingTruth
from model.training.planar_pool import MASK_SIDE, SLOTS, PlanarTruth, normalised, pool_of

NODULE = FindingTruth("lung nodule", Laterality.LEFT, "mid", 0.5, (0.5, 0.5, 0.75, 0.75), 3.0)
TINY = replace(DEMO, swin_embed=8, swin_depths=(1, 1, 1), swin_heads=(1, 1, 2), hidden=16, layers=1, heads=2)


def _truth(finding: FindingTruth = NODULE) -> PlanarTruth:
    masks = dict.fromkeys(("right lung", "left lung", "heart"), np.zeros((32, 32), bool))
    view = ChestView(
        np.zeros((32, 32), np.float32), masks, {"heart": (0.4, 0.4, 0.6, 0.6)}, (finding,), (1.0, 1.0), "PA"
    )
    return pool_of([view]).truth


def _slot() -> int:
    return SLOTS.index(("lung nodule", Laterality.LEFT, "mid"))


def test_cells_are_covered_as_far_as_the_box_reaches() -> None:
    cover = covers(_truth(), 4)[0]
    expected = torch.zeros(4, 4)
    expected[2, 2] = 1
    torch.testing.assert_close(cover[_slot()], expected)
    assert cover.sum() == 1


def test_small_box_still_has_a_cell_of_its_own() -> None:
    small = replace(NODULE, box=(0.51, 0.51, 0.56, 0.56))
    assert covers(_truth(small), 7)[0, _slot()].max() > 0.3


def test_label_is_where_any_of_its_places_is() -> None:
    labels = by_label(covers(_truth(), 4))[0]
    assert labels.shape == (len(SLOTS_OF_LABEL), 4, 4)
    assert labels[list(SLOTS_OF_LABEL).index("lung nodule"), 2, 2] == 1


def test_blocks_lie_where_their_cell_lies() -> None:
    values = torch.arange(4.0)[None, :, None].expand(1, 4, 4)  # four cells, blocks of 2 x 2
    grid = blocks(values, 1, 2)[0, 0]
    assert grid.tolist() == [[0, 0, 1, 1], [0, 0, 1, 1], [2, 2, 3, 3], [2, 2, 3, 3]]


def test_dense_loss_is_none_for_the_truth_and_weighs_by_what_is_covered() -> None:
    target = torch.zeros(1, 1, 8, 8)
    target[..., :4] = 1
    assert dense_loss((2 * target - 1) * 20, target, [[0]]).item() == pytest.approx(0, abs=1e-6)
    # at log-odds 0 each of 64 places is wrong by a half: 64 x 0.25 x ln 2 over 32 covered places
    whole = dense_loss(torch.zeros_like(target), target, [[0]]).item()
    assert whole == pytest.approx(64 * 0.25 * np.log(2) / 32)


def test_small_finding_counts_like_a_large_one() -> None:
    target = torch.zeros(1, 2, 8, 8)
    target[0, 0, 0, :4], target[0, 1] = 1, 1
    missed = [torch.full_like(target, -20.0), torch.full_like(target, -20.0)]
    missed[0][0, 1], missed[1][0, 0] = 20, torch.where(target[0, 0] > 0, 20.0, -20.0)
    small, large = (dense_loss(logits, target, [[0], [1]]).item() for logits in missed)
    assert small == pytest.approx(large)


def test_box_loss_falls_with_overlap_and_sees_boxes_that_do_not_touch() -> None:
    true = torch.tensor([[0.4, 0.4, 0.6, 0.6]])
    assert box_loss(true, true).item() == pytest.approx(0)
    # IoU 1/3, hull as large as the union: 1 - 1/3, and edges off by 0.1 twice: 4 x 0.05
    assert box_loss(true + torch.tensor([0.1, 0, 0.1, 0]), true).item() == pytest.approx(2 / 3 + 0.2)
    near, far = (box_loss(true + torch.tensor([d, 0, d, 0]), true) for d in (0.25, 0.35))
    assert far > near > 1
    assert box_loss(torch.zeros(0, 4), torch.zeros(0, 4)).item() == 0


def _learned(truth: PlanarTruth) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """The losses before and after fifty steps on the cells of one picture."""
    torch.manual_seed(0)
    lessons, cells = EncoderLessons(TINY), nn.Parameter(torch.randn(1, 49, TINY.swin_width))
    optimiser = torch.optim.Adam([*lessons.parameters(), cells], lr=0.02)
    early = torch.randn(1, 196, 2 * TINY.swin_embed)
    before = lessons.loss(cells, early, truth)
    for _ in range(50):
        optimiser.zero_grad()
        torch.stack(list(lessons.loss(cells, early, truth).values())).sum().backward()
        optimiser.step()
    return before, lessons.loss(cells, early, truth)


def test_every_lesson_about_a_chest_can_be_learned() -> None:
    truth = _truth()
    before, after = _learned(replace(truth, masks=torch.zeros(1, 4, 56, 56, dtype=torch.uint8)))
    assert truth.masks.shape[-1] == MASK_SIDE
    for name in ("kind", "masks", "slots", "labels", "finding boxes", "extent", "structure boxes"):
        assert after[name] < 0.5 * before[name], name


def test_encoder_begins_by_looking_at_neighbours() -> None:
    network = MedVersaNetwork(TINY)
    begin_as_convolution(network.visual_encoder_2d)
    tables = [t for n, t in network.named_parameters() if n.endswith("relative_position_bias_table")]
    for table in tables:
        nearest = table.argmax(0)
        rows, columns = nearest // 13 - 6, nearest % 13 - 6  # windows of 7: distances -6 to 6
        assert ((rows.abs() <= 1) & (columns.abs() <= 1)).all()
        assert len(set(nearest.tolist())) == table.shape[1]
    cells, early = cells_of(network, torch.zeros(1, 3, 224, 224))
    assert cells.shape == (1, 49, TINY.swin_width)
    assert early.shape == (1, 196, 2 * TINY.swin_embed)


def test_encoder_tells_grey_levels_of_even_patches_apart() -> None:
    torch.manual_seed(0)
    encoder = MedVersaNetwork(replace(TINY, swin_embed=64)).visual_encoder_2d
    begin_as_convolution(encoder)
    levels = torch.tensor([0.2, 0.3])[:, None, None, None].expand(2, 3, 224, 224)
    with torch.no_grad():
        tokens, _ = encoder.embeddings(normalised(levels))
    dark, bright = tokens[:, 0]
    assert torch.cosine_similarity(dark, bright, dim=0) < 0.99
