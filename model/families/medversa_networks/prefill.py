"""Reads the prompts of a batch in one pass: what they begin with alike only once, and no padding."""

from collections.abc import Hashable, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from model.families.medversa_networks.key_values import KeyValues, extend
from model.families.medversa_networks.network import MedVersaNetwork


@dataclass(frozen=True, slots=True, eq=False)
class Prompt:
    """What an answer follows."""

    keys: tuple[Hashable, ...]
    """One per position: prompts that begin with equal keys begin with equal embeddings."""
    embedded: Tensor
    """(L, hidden)."""
    limit: int
    """Most tokens of the answer, at least 1."""


@dataclass(slots=True, eq=False)
class Beginning:
    """What prompts read so far began with, and its keys and values, a single row."""

    keys: tuple[Hashable, ...] = ()
    values: KeyValues = field(default_factory=KeyValues)


@dataclass(slots=True, eq=False)
class Rows:
    """B texts that the language model has read as far as they go."""

    cache: KeyValues
    """B rows, padded in front to the longest."""
    padding: Tensor
    """(B,): positions in front of each row that are not its own."""

    def read(self, network: MedVersaNetwork, ids: Tensor) -> Tensor:
        """Read one more token per row, (B,) ids: (B, hidden) states after it."""
        new = self.cache.length
        allowed = torch.arange(new + 1, device=ids.device) >= self.padding[:, None]
        embedded = network.embed(ids[:, None])
        positions = new - self.padding[:, None]
        return extend(network, self.cache, embedded, positions, allowed[:, None])[:, 0]

    def only(self, rows: Tensor) -> "Rows":
        """Take the rows numbered in (B',) `rows`, without padding that none of them needs."""
        padding = self.padding[rows]
        first = padding.min()
        return Rows(self.cache.only(rows, int(first)), padding - first)


@torch.inference_mode()
def open_prompts(
    network: MedVersaNetwork, prompts: Sequence[Prompt], beginning: Beginning
) -> tuple[Rows, Tensor]:
    """Read B prompts; return them with the (B, hidden) states after their last positions.

    Afterwards `beginning` holds what they all begin with, for the next prompts.

    What follows the common beginning is laid behind it prompt by prompt in one row. A position attends to the
    beginning and to its own prompt alone and is numbered as if its prompt stood alone.
    """
    shared = min(_common([p.keys for p in prompts]), min(len(p.keys) for p in prompts) - 1)
    known = _common([prompts[0].keys[:shared], beginning.keys])
    beginning.keys, beginning.values.length = beginning.keys[:known], known
    embedded = torch.cat([prompts[0].embedded[known:shared], *(p.embedded[shared:] for p in prompts)])
    rests = torch.tensor([len(p.keys) - shared for p in prompts], device=embedded.device)
    starts = shared + rests.cumsum(0) - rests
    places, positions, allowed = _laid_out(shared, rests, starts)
    new = slice(known, None)
    states = extend(network, beginning.values, embedded[None], positions[None, new], allowed[None, new])
    cache = beginning.values.rows(places)
    beginning.keys, beginning.values.length = prompts[0].keys[:shared], shared
    return Rows(cache, rests.max() - rests), states[0, starts + rests - 1 - known]


def _laid_out(shared: int, rests: Tensor, starts: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Plan the one row of a common beginning and the rest of each prompt.

    Args:
        shared: positions of the beginning.
        rests: (B,): positions of each prompt behind it.
        starts: (B,): where in the row each rest starts.

    Returns:
        (B, longest): where in the row each position of each padded prompt lies; (L,): the place of each
        position of the row in its own prompt; (L, L) bool: what each position attends to.
    """
    owner = torch.repeat_interleave(rests).add(1)
    owner = torch.cat([owner.new_zeros(shared), owner])
    row = torch.arange(len(owner), device=owner.device)
    shifts = torch.cat([starts.new_zeros(1), starts - shared])
    allowed = ((owner == 0) | (owner == owner[:, None])) & (row <= row[:, None])
    longest = rests.max()
    own = (torch.arange(shared + int(longest), device=row.device) - (longest - rests)[:, None]).clamp(min=0)
    places = torch.where(own < shared, own, own + (starts - shared)[:, None])
    return places, row - shifts[owner], allowed


def _common(sequences: Sequence[Sequence[Hashable]]) -> int:
    """Count how many items sequences have in common before the first that differs or lacks."""
    count = 0
    for items in zip(*sequences, strict=False):
        if len(set(items)) > 1:
            break
        count += 1
    return count
