"""Auxiliary heads of the language stage ask states where they look and how large what changed is."""

from dataclasses import replace

import torch

from model.families.medversa_networks.sizes import DEMO
from model.training.language_heads import EXTENTS_WEIGHT, PLACES_WEIGHT, Extents, Heads, Places

SIZES = replace(DEMO, visual_side=2, max_images=3, hidden=7)
NOT_COMPARED = torch.zeros(0)


def _told_by_state(places: Places) -> None:
    """Let the first two numbers be the row, the next two the column, the last three the image."""
    with torch.no_grad():
        places.head.weight.copy_(20 * torch.eye(7))
        places.head.bias.zero_()


def _state(row: int, column: int, image: int) -> list[float]:
    return [float(n in (row, 2 + column, 4 + image)) for n in range(7)]


def test_places_are_row_column_and_image_in_the_order_of_tokens() -> None:
    places = Places(SIZES)
    _told_by_state(places)
    right = [_state(row, column, image) for image in (0, 1) for row in (0, 1) for column in (0, 1)]
    states = torch.tensor([[[9.0] * 7, *right[:4], *right[4:], [9.0] * 7]])
    shown = torch.tensor([[False, *[True] * 8, False]])
    assert float(places.loss(states, shown).detach()) < 1e-6
    other = torch.tensor([[[9.0] * 7, *right[4:], *right[:4], [9.0] * 7]])
    assert float(places.loss(other, shown).detach()) > 10 * PLACES_WEIGHT


def test_images_are_counted_anew_in_every_row_of_a_batch() -> None:
    places = Places(SIZES)
    _told_by_state(places)
    one = [_state(row, column, 0) for row in (0, 1) for column in (0, 1)]
    states = torch.tensor([one, one])
    assert float(places.loss(states, torch.ones(2, 4, dtype=torch.bool)).detach()) < 1e-6


def test_extents_are_told_by_the_state_before_the_verb() -> None:
    heads = Heads(SIZES)
    with torch.no_grad():
        heads.extents.head.weight.copy_(torch.eye(2, 7))
        heads.extents.head.bias.zero_()
    states = torch.zeros(1, 6, 7)
    states[0, 4, :2] = torch.tensor([0.8, 0.5])
    shown = torch.tensor([[True] * 4 + [False] * 2])
    verbs = torch.tensor([[False] * 5 + [True]])
    losses = heads.losses(states, shown, verbs, torch.tensor([[0.8, 0.5]]), NOT_COMPARED)
    assert float(losses["extents"].detach()) < 1e-6
    wrong = heads.losses(states, shown, verbs, torch.tensor([[0.5, 0.5]]), NOT_COMPARED)
    assert abs(float(wrong["extents"].detach()) - EXTENTS_WEIGHT * 0.15) < 1e-6


def test_nothing_is_asked_of_extents_where_nothing_changed() -> None:
    states, shown = torch.zeros(1, 4, 7), torch.ones(1, 4, dtype=torch.bool)
    verbs = torch.zeros(1, 4, dtype=torch.bool)
    losses = Heads(SIZES).losses(states, shown, verbs, torch.zeros(0, 2), NOT_COMPARED)
    assert set(losses) == {"places"}
    assert isinstance(Heads(SIZES).extents, Extents)
