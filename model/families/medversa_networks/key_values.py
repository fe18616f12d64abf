"""Keys and values that the language model has computed, in room that is made ahead."""

from collections.abc import Callable, Sequence
from typing import Self

import torch
from torch import Tensor

from model.families.medversa_networks.network import MedVersaNetwork

GROWTH = 64
"""Positions by which the room grows when it is full."""


class KeyValues:
    """Keys and values of every layer, (B, heads, room, width) each, of which the first `length` are filled.

    Attention layers call `update` as they call transformers' own caches; `extend` moves `length` on when all
    have done so.
    """

    def __init__(self, length: int = 0, layers: list[tuple[Tensor, Tensor]] | None = None) -> None:
        self.length = length
        self._layers = layers if layers is not None else []

    def update(self, keys: Tensor, values: Tensor, layer: int) -> tuple[Tensor, Tensor]:
        """Put (B, heads, L, width) behind what is filled; return all of one layer, new ones included."""
        if layer == len(self._layers):
            self._layers.append((_widened(keys, 0, 0), _widened(values, 0, 0)))
        end = self.length + keys.shape[2]
        if end > self._layers[layer][0].shape[2]:
            old_keys, old_values = self._layers[layer]
            room = end + GROWTH
            self._layers[layer] = (
                _widened(old_keys, self.length, room),
                _widened(old_values, self.length, room),
            )
        all_keys, all_values = self._layers[layer]
        all_keys[:, :, self.length : end] = keys
        all_values[:, :, self.length : end] = values
        return all_keys[:, :, :end], all_values[:, :, :end]

    def rows(self, places: Tensor) -> "KeyValues":
        """Make B rows of the only row: row b gets its positions `places[b]` of (B, L)."""
        return self._each(places.shape[1], lambda kept: kept[0][:, places].transpose(0, 1).contiguous())

    def only(self, rows: Tensor, first: int) -> "KeyValues":
        """Take the rows numbered in (B',) `rows`, without the positions before `first`."""
        return self._each(self.length - first, lambda kept: kept[rows, :, first : self.length])

    @classmethod
    def joined(cls, parts: Sequence[Self]) -> Self:
        """Put the rows of parts of equal length under each other."""
        layers = [
            (torch.cat([keys for keys, _ in layer]), torch.cat([values for _, values in layer]))
            for layer in zip(*(part._layers for part in parts), strict=True)
        ]
        return cls(parts[0].length, layers)

    def _each(self, length: int, change: Callable[[Tensor], Tensor]) -> "KeyValues":
        return KeyValues(length, [(change(keys), change(values)) for keys, values in self._layers])


def extend(
    network: MedVersaNetwork, cache: KeyValues, embedded: Tensor, positions: Tensor, allowed: Tensor
) -> Tensor:
    """Run the language model over new positions and keep their keys and values.

    Args:
        network: whose language model reads.
        cache: of B rows; grows by L positions.
        embedded: (B, L, hidden).
        positions: (B, L): place of each new position in its own text.
        allowed: (B, L, cached + L) bool: what each new position attends to, at least one each.

    Returns:
        (B, L, hidden) states after the final norm.
    """
    llama = network.llama.model
    rotation = llama.rotary_emb(embedded, position_ids=positions)
    mask = torch.zeros_like(allowed, dtype=embedded.dtype).masked_fill_(~allowed, -torch.inf)[:, None]
    states = embedded
    for layer in llama.layers:
        states = layer(
            states, attention_mask=mask, position_embeddings=rotation, past_key_values=cache, use_cache=True
        )
    cache.length += embedded.shape[1]
    return llama.norm(states)


def _widened(kept: Tensor, filled: int, room: int) -> Tensor:
    wider = kept.new_empty(*kept.shape[:2], room, kept.shape[3])
    wider[:, :, :filled] = kept[:, :, :filled]
    return wider
