"""Where the studies of an evaluation come from."""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from itertools import islice
from pathlib import Path

from model.errors import EvaluationError
from model.evaluation.phantom_studies import FIRST_SEEDS, held_out, phantom_studies, require_unseen
from model.evaluation.record_studies import digest_of, record_studies
from model.evaluation.study import Study
from model.registry import weights_folder
from model.training.datasets.prepared import HEADER, PreparedDataset
from model.training.datasets.record import SPLITS, Split
from model.vocabulary import Vocabulary
from model.weights import has_config, read_config

PHANTOMS = "phantoms"


@dataclass(frozen=True, slots=True)
class Source:
    """Studies of one split of a dataset."""

    dataset: str
    """Its name."""
    digest: str
    """Tells one version or download of the dataset from another."""
    split: str
    studies: int
    """How many there are."""
    read: Callable[[Vocabulary], Iterator[Study]]
    """Every study, with the names that weights were taught; the same ones each time."""
    require_unseen: Callable[[Mapping[str, object]], None]
    """Raises EvaluationError if weights were trained on these studies, as far as `training` of their
    configuration tells."""
    unknown: Counter[str] = field(default_factory=Counter[str])
    """What could not be asked so far, since the weights were never taught the name, and how often."""


def source_of(dataset: str, split: str, limit: int | None, out: Path) -> Source:
    """Find a dataset by its name or folder; phantoms are drawn into `out`.

    Raises:
        EvaluationError: there is no such dataset or split.
        DatasetError: the folder's preparation was interrupted.
    """
    if dataset == PHANTOMS:
        return _phantoms(split, limit, out / PHANTOMS)
    if (Path(dataset) / HEADER).is_file():
        return _prepared(Path(dataset), split, limit)
    raise EvaluationError(f"no dataset named or at {dataset}: give phantoms, or a folder with {HEADER}")


def training_of(weights: str) -> Mapping[str, object]:
    """What the configuration of weights tells of their training; nothing if they have none."""
    with weights_folder(weights) as folder:
        return read_config(folder).training if has_config(folder) else {}


def _phantoms(split: str, limit: int | None, folder: Path) -> Source:
    if split not in FIRST_SEEDS:
        raise EvaluationError(f"phantoms have no split {split}; there are {', '.join(FIRST_SEEDS)}")
    shards = held_out(split, limit)
    return Source(
        PHANTOMS,
        f"seeds from {FIRST_SEEDS[split]}",
        split,
        sum(shard.cases for shard in shards),
        lambda _: phantom_studies(shards, folder),
        partial(require_unseen, split=split),
    )


def _prepared(folder: Path, split: str, limit: int | None) -> Source:
    names: dict[str, Split] = {name: name for name in SPLITS}
    if split not in names:
        raise EvaluationError(f"datasets have no split {split}; there are {', '.join(SPLITS)}")
    chosen = names[split]
    dataset, unknown = PreparedDataset(folder), Counter[str]()
    count = dataset.count(chosen)
    return Source(
        dataset.header.card.name,
        digest_of(dataset),
        split,
        count if limit is None else min(limit, count),
        lambda vocabulary: islice(record_studies(dataset, chosen, vocabulary, unknown), limit),
        lambda _: None,
        unknown,
    )
