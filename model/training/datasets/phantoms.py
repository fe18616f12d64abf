"""Draws the phantoms of a training run into a folder of shards, in as many processes as are given."""

from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from threadpoolctl import threadpool_limits

from model.training.datasets.case_files import Case, read_cases, write_cases
from model.training.phantoms.abdomen import make_abdomen_case
from model.training.phantoms.chest import make_chest_case
from model.training.phantoms.dermoscopy import make_skin_case
from model.training.phantoms.foreign import make_foreign_case

VOLUME_SHAPE = (40, 128, 128)
"""Training volumes are sampled a little finer than the demo network's grid, and no finer."""

GENERATORS: dict[str, Callable[[int], Case]] = {
    "chest": make_chest_case,
    "foreign": make_foreign_case,
    "skin": make_skin_case,
    "abdomen": partial(make_abdomen_case, shape=VOLUME_SHAPE),
}

SHARD = 50
"""Cases per file."""


@dataclass(frozen=True, slots=True)
class Shard:
    """Consecutive seeds of one kind of phantom."""

    kind: str
    first_seed: int
    cases: int

    def file(self, folder: Path) -> Path:
        return folder / f"{self.kind}-{self.first_seed:09d}-{self.cases}.npz"


def shards_of(kind: str, first_seed: int, cases: int) -> list[Shard]:
    """Cut `cases` consecutive seeds into shards."""
    return [Shard(kind, first_seed + n, min(SHARD, cases - n)) for n in range(0, cases, SHARD)]


def draw(shard: Shard, folder: Path) -> Path:
    """Draw one shard unless its file is already there."""
    path = shard.file(folder)
    if not path.exists():
        make = GENERATORS[shard.kind]
        write_cases(path, (make(shard.first_seed + n) for n in range(shard.cases)))
    return path


def draw_all(shards: list[Shard], folder: Path, *, workers: int) -> Iterator[Path]:
    """Draw shards in order and yield each file when it is there."""
    folder.mkdir(parents=True, exist_ok=True)
    if workers <= 1:
        yield from (draw(shard, folder) for shard in shards)
        return
    # Products of small matrices in more threads than cores take twice as long.
    with ProcessPoolExecutor(workers, initializer=threadpool_limits, initargs=(1,)) as pool:
        yield from pool.map(draw, shards, [folder] * len(shards))


def load(shards: list[Shard], folder: Path) -> Iterator[Case]:
    """Read the cases of drawn shards."""
    for shard in shards:
        yield from read_cases(shard.file(folder))
