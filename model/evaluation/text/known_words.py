"""Whether a tokenizer knows the words of its network."""

from pathlib import Path

from model.errors import WeightsError


def require_words(number: int, expected: int, place: Path) -> None:
    """See that a tokenizer is whole: transformers opens one that knows no word where its files are missing.

    Raises:
        WeightsError: it has not as many words as the network.
    """
    if number != expected:
        raise WeightsError(f"the vocabulary in {place.name} has {number} words, and the network {expected}")
