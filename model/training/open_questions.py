"""Open questions on a picture with their true answers, of the kinds of Medical-Diff-VQA.

Its kinds (Hu et al., KDD 2023) are abnormality, presence, view, location, type, level and difference; type
has no counterpart in phantoms, and difference is the comparison task. Side, count and normality are asked
besides.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from model.reading import CHEST_FINDINGS
from model.training.phantoms.truth import ChestView, FindingTruth, ForeignCase
from model.training.telling import (
    FRONTAL_CHEST,
    NOT_FRONTAL_CHEST,
    labels_text,
    sentence_case,
    size_word,
    visible_findings,
)

HEART = "enlarged cardiac silhouette"
COUNTS = ("None", "One", "Two", "Three", "Four", "Five")

_PRESENCE = (
    "is there evidence of {name}?",
    "is there {name}?",
    "does the patient have {name}?",
    "is {name} present?",
    "is there any sign of {name}?",
    "are there signs of {name} in the image?",
)
_ONE_SIDED = ("is there {name} on the {side}?", "is there a {side} sided {name}?", "is there {side} {name}?")
_ABNORMALITIES = (
    "what abnormalities are seen in this image?",
    "what abnormality is seen in the image?",
    "which abnormalities are present?",
    "what is abnormal in this image?",
)
_PLACE = (
    "where is the {name}?",
    "where is the {name} located?",
    "where in the lungs is the {name}?",
    "in which part of the lung is the {name}?",
)
_SIDE = (
    "which side is the {name} on?",
    "is the {name} on the left or on the right?",
    "on which side is the {name}?",
)
_SIZE = ("how large is the {name}?", "what size is the {name}?", "what level is the {name}?")
_COUNT = (
    "how many lung nodules are there?",
    "how many nodules do you see?",
    "what is the number of nodules?",
)
_NORMAL = ("is this image normal?", "is the examination normal?", "is this a normal chest?")
_KIND = ("what kind of image is this?", "what view is this image taken in?", "which type of image is this?")
_IS_CHEST = ("is this a frontal chest radiograph?", "is this a frontal view of the chest?")


@dataclass(frozen=True, slots=True)
class OpenQuestion:
    """One question in plain words."""

    kind: str
    """E.g. `presence`, `location`."""
    question: str
    answer: str
    free: bool = True
    """Whether it may stand alone; "where is the nodule?" alone asks for a box."""


def open_questions(shown: ChestView | ForeignCase, rng: np.random.Generator) -> list[OpenQuestion]:
    """One question of each kind that the picture can answer, two of presence.

    What is there but cannot be seen is neither affirmed nor denied.
    """
    chest = isinstance(shown, ChestView)
    answer = FRONTAL_CHEST if chest else NOT_FRONTAL_CHEST
    asked = [
        OpenQuestion("view", _drawn(_KIND, rng), answer),
        OpenQuestion("view", _drawn(_IS_CHEST, rng), _yes(chest)),
    ]
    return [*asked, *_about_chest(shown, rng)] if chest else asked


def place_of(finding: FindingTruth) -> str:
    """`right upper lung zone`."""
    return f"{finding.laterality} {finding.zone} lung zone"


def _about_chest(view: ChestView, rng: np.random.Generator) -> Iterator[OpenQuestion]:
    seen = visible_findings(view)
    hidden = {f.label for f in view.findings if f not in seen}
    present = [label for label in CHEST_FINDINGS if any(f.label == label for f in seen)]
    absent = [label for label in CHEST_FINDINGS if label not in present and label not in hidden]
    yield OpenQuestion("abnormality", _drawn(_ABNORMALITIES, rng), labels_text(seen))
    if not hidden:
        yield OpenQuestion("normality", _drawn(_NORMAL, rng), _yes(not seen))
    for labels, answer in ((present, "Yes."), (absent, "No.")):
        if labels:
            name = _drawn(labels, rng)
            yield OpenQuestion("presence", _drawn(_PRESENCE, rng).format(name=name), answer)
    if "lung nodule" not in hidden:
        count = COUNTS[min(sum(f.label == "lung nodule" for f in seen), len(COUNTS) - 1)]
        yield OpenQuestion("count", _drawn(_COUNT, rng), f"{count}.")
    placed = [label for label in present if label != HEART and label not in hidden]
    if placed:
        label = _drawn(placed, rng)
        yield from _about_finding(label, [f for f in seen if f.label == label], rng)
    if absent and rng.random() < 0.5:
        yield _about_absent(_drawn([name for name in absent if name != HEART] or absent, rng), rng)


def _about_finding(
    label: str, mine: Sequence[FindingTruth], rng: np.random.Generator
) -> Iterator[OpenQuestion]:
    sides = {f"{f.laterality}" for f in mine}
    side = sides.pop() if len(sides) == 1 else "bilateral"
    answer = "Both sides." if side == "bilateral" else f"{sentence_case(side)}."
    yield OpenQuestion("side", _drawn(_SIDE, rng).format(name=label), answer)
    if side != "bilateral":
        said = _drawn(("left", "right"), rng)
        yield OpenQuestion(
            "presence", _drawn(_ONE_SIDED, rng).format(name=label, side=said), _yes(said == side)
        )
    if all(f.zone for f in mine):
        places = " and ".join(dict.fromkeys(place_of(f) for f in mine))
        yield OpenQuestion(
            "location", _drawn(_PLACE, rng).format(name=label), f"{sentence_case(places)}.", free=False
        )
    if len(mine) == 1 and label != "consolidation":
        size = sentence_case(size_word(mine[0].extent))
        yield OpenQuestion("level", _drawn(_SIZE, rng).format(name=label), f"{size}.")


def _about_absent(name: str, rng: np.random.Generator) -> OpenQuestion:
    kinds = (("location", _PLACE), ("side", _SIDE), ("level", _SIZE))
    kind, wordings = kinds[int(rng.integers(len(kinds)))]
    question = _drawn(wordings, rng).format(name=name)
    return OpenQuestion(kind, question, f"There is no {name}.", free=kind != "location")


def _yes(true: bool) -> str:
    return "Yes." if true else "No."


def _drawn(choices: Sequence[str], rng: np.random.Generator) -> str:
    return choices[int(rng.integers(len(choices)))]
