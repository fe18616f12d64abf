"""What a dataset is and how its published files become records."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from model.errors import RowError
from model.training.datasets.record import Record


@dataclass(frozen=True, slots=True)
class DatasetCard:
    """What whoever uses a dataset must know of it."""

    name: str
    version: str
    """Of the published layout that is read."""
    licence: str
    licence_address: str
    address: str
    """Where it is published."""
    citation: str
    split_rule: str
    """One sentence."""
    layout: str
    """How the source folder must look, one sentence."""
    preprocessing: tuple[str, ...] = ()
    """What was done to facts on their way into records, one sentence each."""


@dataclass(frozen=True, slots=True)
class Missing:
    """A file of a download that is not there, or not whole."""

    path: str
    """Relative to the source folder, with `/`."""
    problem: str
    """`missing`, `empty`, `truncated`, `altered`."""
    get_from: str
    """Where to download it."""


@dataclass(frozen=True, slots=True)
class Case:
    """One record to be made: cheap to list, read when its turn comes."""

    key: str
    """Unique in the dataset; names the row where it is skipped, so it holds nothing of a patient."""
    read: Callable[[], Record]
    """Raises RowError, with the reason, for a row that cannot become a record."""


@dataclass(frozen=True, slots=True)
class DatasetReader:
    """One dataset: its card and two questions to a download.

    `check` names every file that is missing or not whole. `cases` lists the records that a whole download
    yields, always in the same order; it raises DatasetError where a table is missing or not in its layout.
    """

    card: DatasetCard
    check: Callable[[Path], list[Missing]]
    cases: Callable[[Path], Sequence[Case]]

    def records(self, source: Path) -> Iterator[Record]:
        """Read all records of a download; rows that cannot become one are left out."""
        for case in self.cases(source):
            try:
                yield case.read()
            except RowError:
                continue


def training_on_validate(reader: DatasetReader) -> DatasetReader:
    """Read the same dataset with its validation split in `train`."""

    def trained(case: Case) -> Record:
        record = case.read()
        return replace(record, split="train") if record.split == "validate" else record

    def cases(source: Path) -> Sequence[Case]:
        return [Case(case.key, partial(trained, case)) for case in reader.cases(source)]

    card = replace(reader.card, split_rule=f"{reader.card.split_rule}; here validate was put into train")
    return replace(reader, card=card, cases=cases)
