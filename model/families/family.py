"""The seam between the reader and a model family."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from model.questions import Question
from model.reading import Conditions, Modality, ModelIdentity
from model.vocabulary import Vocabulary
from model.volume import PlanarImage, Volume


@dataclass(frozen=True, slots=True, eq=False)
class Generation:
    """What the language model wrote for one question, and what its tags yielded.

    Every box and mask comes from one tag of `text`, through the hidden state of that tag, in order.
    """

    text: str
    """Clean text with tags, without the end mark."""
    yes_probability: float
    """P(yes) / (P(yes) + P(no)) at the first generated token; meaningful for yes/no questions only."""
    boxes: tuple[tuple[float, float, float, float], ...] = ()
    """One per `<DET>`: j0, i0, j1, i1 in source pixels of the first image, half-open, inside the image."""
    masks: tuple[NDArray[np.float32], ...] = ()
    """One per `<2DSEG>` or `<3DSEG>`: probabilities (K, J, I) on the first image's grid; K is 1 if planar."""
    certainty: float = 1.0
    """Probability of the first generated token: how sure the model was of the way it began to answer."""
    complete: bool = True
    """False if the token limit cut the text."""
    token_probabilities: tuple[float, ...] = ()
    """Of each generated token, end mark included."""


class Sight(Protocol):
    """The images of one request as a family sees them: each is encoded once, whatever is asked about it."""

    def answer(self, questions: Sequence[Question]) -> list[Generation]:
        """Answer each question greedily, in order; neither their order nor their company changes an answer.

        Boxes and masks lie on the first image of their question.

        Raises:
            AnswerError: too many images or too long a question for the model's context.
            AbstentionError: an image that a question is about shows nothing that can be encoded.
        """
        ...


class Family(Protocol):
    """A loaded model: weights in memory, hash checked."""

    @property
    def identity(self) -> ModelIdentity: ...

    @property
    def conditions(self) -> Conditions: ...

    @property
    def vocabulary(self) -> Vocabulary: ...

    def look(self, modality: Modality, images: Sequence[PlanarImage | Volume]) -> Sight:
        """Take the images of one request: the current study's, then those of its priors.

        Nothing is computed before a question needs it.
        """
        ...
