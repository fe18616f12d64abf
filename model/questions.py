"""What is put to a model family: one question, and which images it is about."""

from dataclasses import dataclass
from enum import StrEnum

from model.reading import Task


class Form(StrEnum):
    """One kind of question; fixes the grammar of its answer."""

    GATE = "gate"
    FINDINGS = "findings"
    IMPRESSION = "impression"
    REPORT = "report"
    LABELS = "labels"
    BINARY = "binary"
    DIAGNOSIS = "diagnosis"
    DETECTION = "detection"
    SEGMENTATION = "segmentation"
    DIFFERENCE = "difference"
    CHANGE = "change"
    VQA = "vqa"
    REGION = "region"
    FREE = "free"
    """A user's own words: the model decides what to answer with, so any grammar may come back."""


@dataclass(frozen=True, slots=True)
class Question:
    """One question as it is put to a family."""

    task: Task
    form: Form
    text: str
    subjects: tuple[str, ...] = ()
    """The labels that the question names, in its order."""
    prior: int | None = None
    """Index into `ReadingRequest.priors` for a comparison."""
    images: tuple[int, ...] | None = None
    """Which images of the sight the question is about, `<img0>` first; None for all of them."""
    preface: str = ""
    """What the order says, without tags: goes to the model after the images, before the text."""
