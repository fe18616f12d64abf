"""Where a run's examples come from: cases that can be asked, and their pictures and masks."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from model.training.instruction import Instruction
from model.training.sampling import Kind
from model.volume import PlanarImage, Volume

TRAIN: Literal["train"] = "train"
VALIDATE: Literal["validate"] = "validate"
"""Splits that a run uses; what is kept for tests it never opens."""


class TaughtCase(Protocol):
    """One case: a patient's images and all that is known about them."""

    def instructions(self, kind: Kind, rng: np.random.Generator) -> Sequence[Instruction]:
        """Put what it can teach of one kind into words, anew each time; maybe nothing."""
        ...

    def image(self, name: str) -> PlanarImage | Volume:
        """Give an image that an instruction names."""
        ...

    def mask(self, image: str, label: str) -> NDArray[np.bool_]:
        """Give a mask on the grid of an image: (J, I), or (K, J, I) of a volume."""
        ...


class Source(Protocol):
    """A set of cases; it travels to the processes that prepare batches."""

    def groups(self, split: str) -> Mapping[Kind, NDArray[np.intp]]:
        """Number the cases of a split that can teach each kind, or most likely can."""
        ...

    def case(self, split: str, number: int) -> TaughtCase:
        """Open one case."""
        ...

    def described(self) -> dict[str, Any]:
        """Say what it is: name, digest, licence, cases of each split."""
        ...


@dataclass(frozen=True, slots=True)
class Library:
    """All sources of a run as one."""

    sources: tuple[Source, ...]

    def groups(self, split: str) -> dict[Kind, NDArray[np.intp]]:
        """Number the cases of all sources that can teach each kind; `case` knows the numbers.

        A number is that of the case in its source, times the number of sources, plus that of the source.
        """
        found: dict[Kind, list[NDArray[np.intp]]] = {}
        for n, source in enumerate(self.sources):
            for kind, numbers in source.groups(split).items():
                found.setdefault(kind, []).append(numbers * len(self.sources) + n)
        return {kind: np.concatenate(parts) for kind, parts in sorted(found.items())}

    def case(self, split: str, number: int) -> TaughtCase:
        """Open one case."""
        own, source = divmod(number, len(self.sources))
        return self.sources[source].case(split, own)


def told(case: TaughtCase, kind: Kind, count: int, rng: np.random.Generator) -> list[Instruction]:
    """Draw `count` instructions of a kind about a case, all different where it has so many; or none."""
    known = case.instructions(kind, rng)
    order = [int(n) for n in rng.permutation(len(known))]
    return [known[order[n % len(order)]] for n in range(count)] if order else []
