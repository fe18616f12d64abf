"""Small classes that honour the seams of the house."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from model.families.family import Generation
from model.questions import Question
from model.reading import Conditions, Modality, ModelIdentity
from model.vocabulary import DEMO, Vocabulary
from model.volume import PlanarImage, Volume

SHA256 = "0" * 64


Reply = Callable[[Sequence[PlanarImage | Volume], Question], Generation]
"""Answers a question, given the images that it is about."""


@dataclass(frozen=True, slots=True)
class FakeSight:
    """Hands each question on, with the images that it is about, and counts what comes together."""

    images: tuple[PlanarImage | Volume, ...]
    reply: Reply
    calls: list[int] = field(default_factory=list[int])
    """Questions of each call."""

    def answer(self, questions: Sequence[Question]) -> list[Generation]:
        self.calls.append(len(questions))
        return [self.reply(self._shown(question), question) for question in questions]

    def _shown(self, question: Question) -> tuple[PlanarImage | Volume, ...]:
        return self.images if question.images is None else tuple(self.images[n] for n in question.images)


@dataclass(slots=True)
class FakeFamily:
    """Answers every question of the protocol in the released words: a large heart, and nothing else.

    Boxes and masks lie where a chest has its organs, so that the gates and the checks of sides let them pass.
    """

    is_chest: bool = True
    difference: str = "The enlarged cardiac silhouette is unchanged."
    calls: list[str] = field(default_factory=list)

    @property
    def identity(self) -> ModelIdentity:
        return ModelIdentity("medversa", "fake", "0", SHA256, demo_weights=True)

    conditions: ClassVar[Conditions] = Conditions()
    vocabulary: ClassVar[Vocabulary] = DEMO

    def look(self, modality: Modality, images: Sequence[PlanarImage | Volume]) -> "FakeSight":
        return FakeSight(tuple(images), self._reply)

    def _reply(self, images: Sequence[PlanarImage | Volume], question: Question) -> Generation:
        self.calls.append(question.text)
        return self._answer(question.text, images[0])

    def _answer(self, question: str, image: PlanarImage | Volume) -> Generation:
        if question.startswith("What does"):
            kind = "A frontal chest radiograph." if self.is_chest else "Not a frontal chest radiograph."
            return Generation(kind, 0.5)
        if question.startswith("Segment"):
            return self._segment(question, image)
        if question.startswith("Detect any signs of "):
            return self._detect(question, image)
        if question.startswith("Highlight any difference"):
            return Generation(self.difference, 0.5)
        if "Answer yes or no" in question:
            is_heart = "cardiac" in question
            return Generation("Yes." if is_heart else "No.", 0.9 if is_heart else 0.1)
        if "primary diagnosis" in question:
            return Generation("The main diagnosis is melanocytic nevus.", 0.5)
        if question.startswith("What is the diagnosis"):
            return Generation("enlarged cardiac silhouette", 0.5)
        return Generation("The cardiac silhouette is enlarged.", 0.5)

    def _segment(self, question: str, image: PlanarImage | Volume) -> Generation:
        name = re.sub(r"^Segment (the )?| in <img0>|\.$", "", question)
        tag = "<3DSEG>" if isinstance(image, Volume) else "<2DSEG>"
        shape = image.voxels.shape if isinstance(image, Volume) else (1, *image.pixels.shape[:2])
        return Generation(f"The segmentation mask of {name} is {tag}.", 0.5, masks=(_block(name, shape),))

    def _detect(self, question: str, image: PlanarImage | Volume) -> Generation:
        assert isinstance(image, PlanarImage)
        rows, columns = image.pixels.shape[:2]
        names = question.removeprefix("Detect any signs of ").removesuffix(" in <img0>.").split(",")
        seen = [name for name in names if name in PLACES]
        text = "".join(f"{name},<DET>." if name in PLACES else f"{name},<N/A>." for name in names)
        scale = np.array([rows, columns, rows, columns])
        boxes = tuple(tuple(float(v) for v in np.array(PLACES[name]) * scale) for name in seen)
        return Generation(text, 0.5, boxes=boxes)


PLACES = {
    "right lung": (0.15, 0.1, 0.75, 0.42),
    "left lung": (0.15, 0.58, 0.75, 0.9),
    "heart": (0.45, 0.4, 0.8, 0.72),
    "enlarged cardiac silhouette": (0.45, 0.35, 0.8, 0.8),
}
"""j0, i0, j1, i1 as fractions; image left is the patient's right."""


def _block(name: str, shape: tuple[int, ...]) -> NDArray[np.float32]:
    """A block of probability one where `name` lies; in the middle for what has no place of its own."""
    j0, i0, j1, i1 = PLACES.get(name, (0.4, 0.4, 0.6, 0.6))
    mask = np.zeros(shape, np.float32)
    mask[:, int(j0 * shape[1]) : int(j1 * shape[1]), int(i0 * shape[2]) : int(i1 * shape[2])] = 1
    return mask
