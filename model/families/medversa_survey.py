"""Says what is in a folder of MedVersa weights and everything that is wrong with it."""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from model.errors import WeightsError
from model.families.medversa_loading import empty_network
from model.families.medversa_networks.checkpoint import Checkpoint, misfits
from model.families.medversa_networks.inferred_sizes import generation_of
from model.families.medversa_networks.released_keys import is_adapter, is_language_model
from model.families.medversa_networks.sizes import MedVersaSizes
from model.families.medversa_networks.tokenizer import ADDED_TOKENS, MedVersaTokenizer
from model.families.medversa_opening import (
    add_base,
    converted_checkpoint,
    released_sizes,
    released_tensors,
    released_words,
)
from model.weights import TOKENIZER_FILE, Progress, altered, has_config, read_config, unseen

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Part:
    """What lies under one published prefix."""

    tensors: int
    parameters: int
    bytes: int


@dataclass(slots=True)
class Survey:
    """What is known of a folder of weights."""

    facts: dict[str, str] = field(default_factory=dict[str, str])
    parts: dict[str, Part] = field(default_factory=dict[str, Part])
    evaluation: dict[str, str] = field(default_factory=dict[str, str])
    problems: list[str] = field(default_factory=list[str])
    """Everything that keeps the weights from being used; empty if they can be."""

    def attempt(self, step: Callable[[], T]) -> T | None:
        """Take a step; note why it failed, if it did."""
        try:
            return step()
        except (WeightsError, TypeError, ValueError) as exc:
            self.problems.append(str(exc))
            return None


def survey(folder: Path, progress: Progress = unseen) -> Survey:
    """Look at converted weights or a released checkpoint; nothing is raised for what is wrong with them."""
    found = Survey()
    is_ours = found.attempt(lambda: has_config(folder))
    if is_ours:
        _survey_converted(found, folder, progress)
    elif is_ours is not None:
        _survey_released(found, folder)
    return found


def _survey_converted(found: Survey, folder: Path, progress: Progress) -> None:
    config = found.attempt(lambda: read_config(folder))
    if config is None:
        return
    wrong = list(altered(folder, config, progress))
    found.problems += wrong
    found.facts |= {
        "layout": "converted",
        "family": config.family,
        "name": f"{config.name} {config.version}",
        "demonstration weights": "yes" if config.demo_weights else "no",
        "language model": config.language_model,
        "sha256": f"{config.weights_sha256} ({'ALTERED' if wrong else 'checked'})",
        "source revision": str(config.training.get("source_revision", "unknown")),
        "yes/no temperature": str(config.yes_temperature),
    }
    found.evaluation = {name: str(value) for name, value in config.evaluation.items()}
    sizes = found.attempt(lambda: MedVersaSizes.from_json(config.sizes))
    words = None
    if not any(TOKENIZER_FILE in problem for problem in wrong):
        words = found.attempt(lambda: MedVersaTokenizer.from_file(folder / TOKENIZER_FILE))
    _tell(found, found.attempt(lambda: converted_checkpoint(folder, config)), sizes, words)


def _survey_released(found: Survey, folder: Path) -> None:
    found.facts["layout"] = "released"
    checkpoint = found.attempt(lambda: released_tensors(folder))
    if checkpoint is None:
        return
    found.facts["family"] = "medversa"
    base = found.attempt(lambda: add_base(checkpoint, folder))
    found.facts["language model"] = "in the checkpoint" if base is None else base.name
    sizes = found.attempt(lambda: released_sizes(checkpoint, folder, base))
    words = None
    if sizes is not None:
        words = found.attempt(lambda: released_words(folder, base, sizes.vocabulary))
    _tell(found, checkpoint, sizes, words)


def _tell(
    found: Survey, checkpoint: Checkpoint | None, sizes: MedVersaSizes | None, words: MedVersaTokenizer | None
) -> None:
    if words is not None:
        ids = ", ".join(f"{token} {words.tokenizer.token_to_id(token)}" for token in ADDED_TOKENS)
        found.facts["tokenizer"] = f"{words.tokenizer.get_vocab_size()} tokens; {ids}"
        found.facts["stop sequences"] = " ".join(str(stop) for stop in words.stop_sequences)
    if checkpoint is None:
        return
    found.facts["generation"] = generation_of(checkpoint.shapes)
    found.facts["leftovers, not used"] = str(len(checkpoint.leftovers))
    found.parts = dict(_parts(checkpoint))
    if sizes is not None:
        network = found.attempt(lambda: empty_network(sizes))
        found.problems += sorted(misfits(network, checkpoint)) if network is not None else []


def _parts(checkpoint: Checkpoint) -> Iterator[tuple[str, Part]]:
    groups: dict[str, list[str]] = {}
    for name in checkpoint:
        groups.setdefault(_part_of(name), []).append(name)
    shapes = checkpoint.shapes
    for part, names in sorted(groups.items()):
        numbers = [math.prod(shapes[name]) for name in names]
        yield part, Part(len(names), sum(numbers), sum(checkpoint.source(name)[0] for name in names))


def _part_of(name: str) -> str:
    if is_adapter(name):
        return "llama_model, LoRA"
    return "llama_model" if is_language_model(name) else name.partition(".")[0]
