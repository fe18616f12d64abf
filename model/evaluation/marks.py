"""What was answered against what is true, one mark for each question, as it is kept in a file of answers.

A mark holds numbers and names of labels. True texts are left out: they stay with their dataset.
"""

from dataclasses import dataclass
from typing import Literal

from model.evaluation.change import Statement
from model.evaluation.detection import Box
from model.questions import Form
from model.reading import Modality, Task


@dataclass(frozen=True, slots=True)
class LabelMark:
    label: str
    probability: float
    """Of yes, as the model gave it."""
    true: bool
    kind: Literal["label"] = "label"


@dataclass(frozen=True, slots=True)
class LabelsMark:
    """A list of labels; those of which nothing is known are in none of the three."""

    hits: tuple[str, ...]
    wrong: tuple[str, ...]
    missed: tuple[str, ...]
    kind: Literal["labels"] = "labels"


@dataclass(frozen=True, slots=True)
class ViewMark:
    """What kind of picture it is."""

    told_frontal: bool
    true_frontal: bool
    kind: Literal["view"] = "view"


@dataclass(frozen=True, slots=True)
class DiagnosisMark:
    told: str | None
    """None where the answer names no diagnosis, or several."""
    true: str
    kind: Literal["diagnosis"] = "diagnosis"


@dataclass(frozen=True, slots=True)
class NamedBoxes:
    """The boxes of one name, in fractions of the image."""

    name: str
    found: tuple[Box, ...]
    true: tuple[Box, ...]


@dataclass(frozen=True, slots=True)
class BoxMark:
    names: tuple[NamedBoxes, ...]
    kind: Literal["boxes"] = "boxes"


@dataclass(frozen=True, slots=True)
class MaskMark:
    """Overlap and distances of one mask; of a structure that is not there, only whether one was given."""

    label: str
    shown: bool
    given: bool
    dice: float
    iou: float
    average_distance_mm: float | None
    """None where spacing is unknown or either mask is empty."""
    hausdorff_95_mm: float | None
    kind: Literal["mask"] = "mask"


@dataclass(frozen=True, slots=True)
class ChangeMark:
    told: tuple[Statement, ...]
    true: tuple[Statement, ...]
    readable: bool
    kind: Literal["change"] = "change"


@dataclass(frozen=True, slots=True)
class OpenMark:
    asked: str
    """The kind of question."""
    closed: bool
    right: bool
    exact: bool
    recall: float
    kind: Literal["open"] = "open"


@dataclass(frozen=True, slots=True)
class TextMark:
    """A text; it is measured together with its true text, which is not kept."""

    kind: Literal["text"] = "text"


Mark = (
    LabelMark | LabelsMark | ViewMark | DiagnosisMark | BoxMark | MaskMark | ChangeMark | OpenMark | TextMark
)


@dataclass(frozen=True, slots=True)
class Row:
    """One question, its answer and its mark."""

    task: Task
    form: Form
    subjects: tuple[str, ...]
    answer: str
    """Generated text with its tags."""
    well_formed: bool
    mark: Mark


@dataclass(frozen=True, slots=True)
class MarkedStudy:
    """The rows of one study, in the order of its questions."""

    key: str
    modality: Modality
    rows: tuple[Row, ...]
    patient_study: str
    """What the bootstrap draws."""
    problem: str | None = None
    """Why there are none: the kind of error that its images or its questions raised."""
