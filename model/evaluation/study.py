"""What an evaluation asks: studies with their questions, each with what is true of it."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from model.evaluation.detection import Box
from model.questions import Question
from model.reading import Modality
from model.volume import PlanarImage, Volume


@dataclass(frozen=True, slots=True)
class LabelTruth:
    """Whether a label is present."""

    label: str
    present: bool


@dataclass(frozen=True, slots=True)
class ViewTruth:
    """Whether a picture is a frontal chest radiograph."""

    frontal_chest: bool


@dataclass(frozen=True, slots=True)
class DiagnosisTruth:
    """The one diagnosis."""

    label: str


@dataclass(frozen=True, slots=True)
class BoxTruth:
    """Boxes as fractions of image width and height, none where a name is absent; others are not marked."""

    boxes: Mapping[str, tuple[Box, ...]]


@dataclass(frozen=True, slots=True)
class LabelsTruth:
    """All labels of an image that are present, and all that are known to be absent."""

    present: frozenset[str]
    absent: frozenset[str]


@dataclass(frozen=True, slots=True, eq=False)
class MaskTruth:
    """The mask of a structure on the grid of the image."""

    voxels: Callable[[], NDArray[np.bool_]]
    """(J, I) or (K, J, I); all false where the structure is not there."""


@dataclass(frozen=True, slots=True)
class ChangeTruth:
    """A true comparison in words."""

    text: str


@dataclass(frozen=True, slots=True)
class OpenTruth:
    """The true answer to a question in plain words."""

    kind: str
    """E.g. `presence`, `location`; the dataset's own word."""
    answer: str


@dataclass(frozen=True, slots=True)
class TextTruth:
    """A true text: a section of a report, or the caption of a region."""

    text: str


Truth = (
    LabelTruth
    | LabelsTruth
    | ViewTruth
    | DiagnosisTruth
    | BoxTruth
    | MaskTruth
    | ChangeTruth
    | OpenTruth
    | TextTruth
)


@dataclass(frozen=True, slots=True, eq=False)
class Asked:
    """A question with its truth."""

    question: Question
    truth: Truth

    @property
    def text(self) -> str | None:
        """The true answer in words, for the metrics of texts; None where it has none."""
        match self.truth:
            case ChangeTruth(text) | TextTruth(text) | OpenTruth(_, text):
                return text
            case _:
                return None


@dataclass(frozen=True, slots=True, eq=False)
class Study:
    """One study; nothing is read from a file before `images` is called."""

    key: str
    """Names it within its dataset; holds nothing that identifies a patient."""
    modality: Modality
    images: Callable[[], Sequence[PlanarImage | Volume]]
    asked: Sequence[Asked]
    patient_study: str = ""
    """What is drawn together by the bootstrap, where several keys belong to one; by default the key."""
