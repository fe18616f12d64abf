"""Reads the prompts of a batch in one pass: what they begin with alike only once, and no padding."""

from collections.abc import Hashable, Iterator, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from model.families.medversa_networks.key_values import KeyValues, extend
from model.families.medversa_networks.network import MedVersaNetwork

PACK = 512
"""Positions that are read in one row; attention costs their square, though each needs its own prompt only."""


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

    def forget(self) -> None:
        """Begin anew, such as after a pass that broke off."""
        self.keys, self.values = (), KeyValues()


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
    """
    shared = min(_common([p.keys for p in prompts]), min(len(p.keys) for p in prompts) - 1)
    longest = max(len(p.keys) for p in prompts)
    read = [_read(network, pack, (shared, longest), beginning) for pack in _packs(prompts, shared)]
    padding = torch.tensor([longest - len(p.keys) for p in prompts], device=read[0][1].device)
    return Rows(KeyValues.joined([cache for cache, _ in read]), padding), torch.cat([s for _, s in read])


def _packs(prompts: Sequence[Prompt], shared: int) -> Iterator[Sequence[Prompt]]:
    """Cut prompts into runs of about `PACK` positions behind what they share."""
    first = size = 0
    for n, prompt in enumerate(prompts):
        rest = len(prompt.keys) - shared
        if n > first and size + rest > PACK:
            yield prompts[first:n]
            first, size = n, 0
        size += rest
    yield prompts[first:]


def _read(
    network: MedVersaNetwork, prompts: Sequence[Prompt], lengths: tuple[int, int], beginning: Beginning
) -> tuple[KeyValues, Tensor]:
    """Read prompts that share `lengths[0]` positions; pad their keys and values to `lengths[1]`.

    What follows the common beginning is laid behind it prompt by prompt in one row. A position attends to the
    beginning and to its own prompt alone and is numbered as if its prompt stood alone.
    """
    shared, longest = lengths
    known = _common([prompts[0].keys[:shared], beginning.keys])
    beginning.keys, beginning.values.length = beginning.keys[:known], known
    embedded = torch.cat([prompts[0].embedded[known:shared], *(p.embedded[shared:] for p in prompts)])
    rests = torch.tensor([len(p.keys) - shared for p in prompts], device=embedded.device)
    starts = shared + rests.cumsum(0) - rests
    positions, allowed = _laid_out(shared, rests, starts)
    new = slice(known, None)
    states = extend(network, beginning.values, embedded[None], positions[None, new], allowed[None, new])
    cache = beginning.values.rows(_places(shared, rests, starts, longest))
    beginning.keys, beginning.values.length = prompts[0].keys[:shared], shared
    return cache, states[0, starts + rests - 1 - known]


def _laid_out(shared: int, rests: Tensor, starts: Tensor) -> tuple[Tensor, Tensor]:
    """Plan the one row of a common beginning and the rest of each prompt.

    Args:
        shared: positions of the beginning.
        rests: (B,): positions of each prompt behind it.
        starts: (B,): where in the row each rest starts.

    Returns:
        (L,): the place of each position of the row in its own prompt; (L, L) bool: what each attends to.
    """
    owner = torch.repeat_interleave(rests).add(1)
    owner = torch.cat([owner.new_zeros(shared), owner])
    row = torch.arange(len(owner), device=owner.device)
    shifts = torch.cat([starts.new_zeros(1), starts - shared])
    allowed = ((owner == 0) | (owner == owner[:, None])) & (row <= row[:, None])
    return row - shifts[owner], allowed


def _places(shared: int, rests: Tensor, starts: Tensor, longest: int) -> Tensor:
    """Find where in the one row each position of each prompt lies, padded in front: (B, longest)."""
    padding = longest - shared - rests
    own = (torch.arange(longest, device=rests.device) - padding[:, None]).clamp(min=0)
    return torch.where(own < shared, own, own + (starts - shared)[:, None])


def _common(sequences: Sequence[Sequence[Hashable]]) -> int:
    """Count how many items sequences have in common before the first that differs or lacks."""
    count = 0
    for items in zip(*sequences, strict=False):
        if len(set(items)) > 1:
            break
        count += 1
    return count
