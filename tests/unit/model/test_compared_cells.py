"""Cells of the second of two radiographs tell how large what lies there is in both."""

from dataclasses import replace

import torch
from torch import Tensor

from model.families.medversa_networks.sizes import DEMO
from model.training.compared_cells import LABELS, ComparedCells, sizes_in_cells
from model.training.language_heads import Heads
from model.training.planar_pool import MASKS, SLOTS, PlanarTruth

AS_SERVED = torch.tensor([[1.0, 1.0, 0.0, 0.0]])
LEFT_UPPER_NODULE = SLOTS.index(("lung nodule", "left", "upper"))
RIGHT_EFFUSION = SLOTS.index(("pleural effusion", "right", None))
NODULE, EFFUSION = 0, 2
TOP_RIGHT, BOTTOM_LEFT = (0.8, 0.0, 1.0, 0.2), (0.0, 0.8, 0.2, 1.0)
"""Boxes; of the picture, where the patient's left is right."""

Shown = dict[int, tuple[float, tuple[float, float, float, float]]]


def _truth(*pictures: Shown) -> PlanarTruth:
    """Slots that pictures show, with extent and box."""
    n, slots = len(pictures), len(SLOTS)
    present, extent, boxes = torch.zeros(n, slots), torch.zeros(n, slots), torch.zeros(n, slots, 4)
    for row, shown in enumerate(pictures):
        for slot, (size, box) in shown.items():
            present[row, slot], extent[row, slot], boxes[row, slot] = 1, size, torch.tensor(box)
    nothing = torch.zeros(n)
    masks = torch.zeros(n, len(MASKS), 2, 2)
    return PlanarTruth(nothing, present, extent, boxes, torch.zeros(n, 1, 4), nothing, masks)


def _grid(cells: Tensor, label: int) -> Tensor:
    return cells[0, :, label].unflatten(0, (5, 5))


def test_what_both_show_is_told_with_both_extents_where_the_second_shows_it() -> None:
    first: Shown = {LEFT_UPPER_NODULE: (0.75, BOTTOM_LEFT)}
    second: Shown = {LEFT_UPPER_NODULE: (0.5, TOP_RIGHT)}
    grid = _grid(sizes_in_cells(_truth(first, second), AS_SERVED, 5), NODULE)
    assert grid[0, 4].tolist() == [0.75, 0.5]
    assert int((grid.sum(-1) > 0).sum()) == 1


def test_what_one_shows_is_nothing_in_the_other() -> None:
    new: Shown = {LEFT_UPPER_NODULE: (0.75, TOP_RIGHT)}
    resolved: Shown = {RIGHT_EFFUSION: (0.25, BOTTOM_LEFT)}
    cells = sizes_in_cells(_truth(new, resolved), AS_SERVED, 5)
    assert _grid(cells, NODULE)[0, 4].tolist() == [0.75, 0.0]
    assert _grid(cells, EFFUSION)[4, 0].tolist() == [0.0, 0.25]
    assert int((cells > 0).sum()) == 2


def test_places_move_with_the_window_of_the_second_picture() -> None:
    # The right half of the width, and all of the height: what was at 0.8 to 1.0 across lies at 0.6 to 1.0.
    window = torch.tensor([[0.5, 1.0, 0.5, 0.0]])
    shown: Shown = {LEFT_UPPER_NODULE: (0.5, TOP_RIGHT)}
    grid = _grid(sizes_in_cells(_truth(shown, shown), window, 5), NODULE)
    assert [column for column in range(5) if grid[0, column, 1] > 0] == [3, 4]


def test_head_that_tells_presence_and_extents_has_next_to_no_loss() -> None:
    sizes = sizes_in_cells(_truth({LEFT_UPPER_NODULE: (0.75, TOP_RIGHT)}, {}), AS_SERVED, 2)
    right = torch.stack([60 * (sizes > 0) - 30.0, sizes], dim=-1).flatten(2)
    lesson = ComparedCells(replace(DEMO, hidden=LABELS * 4))
    with torch.no_grad():
        lesson.head.weight.copy_(torch.eye(LABELS * 4))
        lesson.head.bias.zero_()
    assert float(lesson.loss(right, sizes).detach()) < 1e-6
    assert float(lesson.loss(-right, sizes).detach()) > 1


def test_only_states_of_the_second_image_are_asked() -> None:
    heads = Heads(replace(DEMO, visual_side=2, hidden=8))
    states = torch.zeros(1, 10, 8, requires_grad=True)
    shown = torch.tensor([[False, *[True] * 8, False]])
    sizes = sizes_in_cells(_truth({LEFT_UPPER_NODULE: (0.75, TOP_RIGHT)}, {}), AS_SERVED, 2)
    nowhere = torch.zeros(1, 10, dtype=torch.bool)
    heads.losses(states, shown, nowhere, torch.zeros(0, 2), sizes)["compared"].backward()
    assert states.grad is not None
    asked = states.grad[0].abs().sum(1) > 0
    assert asked.tolist() == [*[False] * 5, *[True] * 4, False]
