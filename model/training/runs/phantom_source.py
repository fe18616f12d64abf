"""Phantoms as a source of a run: drawn once into files, opened case by case."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from model.training.datasets.case_files import Case, read_case
from model.training.datasets.phantoms import SHARD, Shard, draw_all, shards_of
from model.training.instruction import Instruction
from model.training.instructions import instructions_for
from model.training.phantoms.truth import AbdomenCase, ChestCase, ChestView, ForeignCase, SkinCase
from model.training.runs.plan import Phantoms
from model.training.runs.sources import TRAIN, VALIDATE
from model.training.sampling import Kind
from model.volume import FrameKey, Geometry, PlanarImage, View, Volume
from model.weights import sha256_of

FIRST_SEEDS = {TRAIN: 0, VALIDATE: 1_500_000}
"""Validation draws seeds that neither training nor the examinations of the demonstration weights draw."""


@dataclass(frozen=True, slots=True, eq=False)
class PhantomSource:
    """Phantoms of several kinds in their shards."""

    folder: Path
    shards: Mapping[str, tuple[Shard, ...]]
    """By split; see `draw`."""
    _groups: dict[str, dict[Kind, NDArray[np.intp]]] = field(
        default_factory=dict[str, dict[Kind, NDArray[np.intp]]]
    )

    @classmethod
    def planned(cls, plan: Phantoms, folder: Path, seed: int) -> "PhantomSource":
        """Say which phantoms a plan asks for; none is drawn yet."""
        counts = {
            TRAIN: plan.phantoms,
            VALIDATE: {kind: max(round(n * plan.validation), 1) for kind, n in plan.phantoms.items()},
        }
        if not plan.validation:
            counts[VALIDATE] = {}
        shards = {
            split: tuple(
                shard for kind, n in wanted.items() for shard in shards_of(kind, seed + FIRST_SEEDS[split], n)
            )
            for split, wanted in counts.items()
        }
        return cls(plan.folder or folder, shards)

    def draw(self, workers: int) -> None:
        """Draw what is not there yet."""
        every = [shard for shards in self.shards.values() for shard in shards]
        for _ in draw_all(every, self.folder, workers=workers):
            pass

    def groups(self, split: str) -> Mapping[Kind, NDArray[np.intp]]:
        """See `Source.groups`. Each case is asked once what it can teach."""
        if split not in self._groups:
            found: dict[Kind, list[int]] = {}
            for place, shard in enumerate(self.shards[split]):
                for n in range(shard.cases):
                    number = place * SHARD + n
                    said = instructions_for(self._read(split, number), np.random.default_rng([number]))
                    for kind in dict.fromkeys((i.modality, i.task) for i in said):
                        found.setdefault(kind, []).append(number)
            self._groups[split] = {kind: np.asarray(rows) for kind, rows in found.items()}
        return self._groups[split]

    def case(self, split: str, number: int) -> "PhantomCase":
        """See `Source.case`."""
        return PhantomCase(self._read(split, number))

    def described(self) -> dict[str, Any]:
        """See `Source.described`."""
        digests = sorted(
            f"{sha256_of(shard.file(self.folder))}  {shard.file(self.folder).name}\n"
            for shards in self.shards.values()
            for shard in shards
        )
        return {
            "name": "generated phantoms",
            "licence": "none needed: drawn from seeds",
            "cases": {split: sum(s.cases for s in shards) for split, shards in self.shards.items()},
            "sha256": hashlib.sha256("".join(digests).encode()).hexdigest(),
        }

    def _read(self, split: str, number: int) -> Case:
        place, n = divmod(number, SHARD)
        return _opened(self.shards[split][place].file(self.folder), n)


@lru_cache(maxsize=64)
def _opened(path: Path, n: int) -> Case:
    return read_case(path, n)


@dataclass(frozen=True, slots=True, eq=False)
class PhantomCase:
    """One phantom; implements `TaughtCase`."""

    case: Case

    def instructions(self, kind: Kind, rng: np.random.Generator) -> Sequence[Instruction]:
        """See `TaughtCase.instructions`."""
        return [i for i in instructions_for(self.case, rng) if (i.modality, i.task) == kind]

    def image(self, name: str) -> PlanarImage | Volume:
        """See `TaughtCase.image`."""
        if isinstance(self.case, AbdomenCase):
            frames = tuple(FrameKey("phantom", k + 1) for k in range(len(self.case.voxels)))
            return Volume(self.case.voxels, Geometry(self.case.affine), frames)
        shown = self._shown(name)
        view = View.FRONTAL if isinstance(shown, ChestView) else View.UNKNOWN
        return PlanarImage(shown.pixels, FrameKey("phantom"), view=view)

    def mask(self, image: str, label: str) -> NDArray[np.bool_]:
        """See `TaughtCase.mask`."""
        if isinstance(self.case, AbdomenCase):
            return self.case.masks[label]
        shown = self._shown(image)
        if isinstance(shown, ChestView):
            return shown.masks[label]
        if isinstance(shown, SkinCase):
            return shown.mask
        raise KeyError(label)

    def _shown(self, name: str) -> ChestView | SkinCase | ForeignCase:
        if not isinstance(self.case, ChestCase):
            if isinstance(self.case, AbdomenCase):
                raise KeyError(name)
            return self.case
        view = self.case.current if name == "current" else self.case.prior
        if view is None:
            raise KeyError(name)
        return view
