"""What a reader leaves out of a download."""

from pathlib import Path

from model.errors import RowError
from model.training.datasets.dataset_reader import DatasetReader


def refusals(reader: DatasetReader, source: Path) -> dict[str, str]:
    """The reason of each row that is no record, by its key."""
    found: dict[str, str] = {}
    for case in reader.cases(source):
        try:
            case.read()
        except RowError as exc:
            found[case.key] = str(exc)
    return found
