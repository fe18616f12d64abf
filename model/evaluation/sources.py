"""Where the studies of an evaluation come from."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from model.errors import EvaluationError
from model.evaluation.evaluation import Subject
from model.evaluation.phantom_studies import FIRST_SEEDS, held_out, phantom_studies, require_unseen
from model.evaluation.study import Study
from model.reading import Task
from model.registry import weights_folder
from model.weights import has_config, read_config


@dataclass(frozen=True, slots=True)
class Source:
    """Studies of one split of a dataset."""

    dataset: str
    digest: str
    split: str
    studies: int
    """How many there are."""
    read: Callable[[], Iterator[Study]]
    require_unseen: Callable[[Mapping[str, object]], None]
    """Raises EvaluationError if weights were trained on these studies, as far as `training` of their
    configuration tells."""

    def subject(self, tasks: tuple[Task, ...]) -> Subject:
        return Subject(self.dataset, self.digest, self.split, tasks)


def source_of(dataset: str, split: str, limit: int | None, out: Path) -> Source:
    """Find a dataset by its name or folder.

    Raises:
        EvaluationError: there is no such dataset or split.
    """
    if dataset == "phantoms":
        return _phantoms(split, limit, out / "phantoms")
    raise EvaluationError(f"no dataset named or at {dataset}")


def _phantoms(split: str, limit: int | None, folder: Path) -> Source:
    if split not in FIRST_SEEDS:
        raise EvaluationError(f"phantoms have no split {split}; there are {', '.join(FIRST_SEEDS)}")
    shards = held_out(split, limit)
    return Source(
        "phantoms",
        "+".join(f"{shard.kind}-{shard.first_seed}-{shard.cases}" for shard in shards),
        split,
        sum(shard.cases for shard in shards),
        lambda: phantom_studies(shards, folder),
        lambda training: require_unseen(training, split),
    )


def training_of(weights: str) -> Mapping[str, object]:
    """What the configuration of weights tells of their training; nothing if they have none."""
    with weights_folder(weights) as folder:
        return read_config(folder).training if has_config(folder) else {}
