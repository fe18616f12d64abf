"""An answer is well-formed if the reader of studies would take all of it."""

from dataclasses import replace

import numpy as np
import pytest

from model.evaluation.well_formed import is_well_formed
from model.families.family import Generation
from model.questions import Form, Question
from model.reading import Modality, Task
from model.vocabulary import DEMO

MASK = np.zeros((1, 4, 4), np.float32)


def _judged(
    form: Form, answer: Generation, subjects: tuple[str, ...] = (), modality: Modality = Modality.CXR
) -> bool:
    return is_well_formed(Question(Task.VQA, form, "?", subjects), answer, modality, DEMO)


GOOD = [
    (Form.GATE, "A frontal chest radiograph.", ()),
    (Form.BINARY, "Yes.", ("pneumothorax",)),
    (Form.LABELS, "lung nodule,consolidation", ()),
    (Form.LABELS, "no finding", ()),
    (Form.DIAGNOSIS, "The main diagnosis is melanoma.", ()),
    (Form.DETECTION, "heart,<N/A>.trachea,<N/A>.", ("heart", "trachea")),
    (Form.SEGMENTATION, "There is no heart in the image.", ("heart",)),
    (Form.DIFFERENCE, "No significant change.", ()),
    (Form.FINDINGS, "The lungs are clear.", ()),
    (Form.VQA, "Two", ()),
]
BAD = [
    (Form.GATE, "A cat.", ()),
    (Form.BINARY, "Pneumothorax.", ("pneumothorax",)),
    (Form.LABELS, "lung nodule,dragon", ()),
    (Form.DIAGNOSIS, "The main diagnosis is melanoma or dermatofibroma.", ()),
    (Form.DETECTION, "heart,<N/A>.", ("heart", "trachea")),
    (Form.DETECTION, "heart,<N/A>.heart,<N/A>.", ("heart",)),
    (Form.SEGMENTATION, "The segmentation mask of liver is <2DSEG>.", ("heart",)),
    (Form.DIFFERENCE, "Something happened.", ()),
    (Form.FINDINGS, "The lungs are", ()),
    (Form.FINDINGS, "heart,<DET>.", ()),
    (Form.VQA, "Two <DET>", ()),
]


@pytest.mark.parametrize(("form", "text", "subjects"), GOOD)
def test_grammar_is_accepted(form: Form, text: str, subjects: tuple[str, ...]) -> None:
    assert _judged(form, Generation(text, 0.5), subjects)


@pytest.mark.parametrize(("form", "text", "subjects"), BAD)
def test_what_breaks_the_grammar_is_not(form: Form, text: str, subjects: tuple[str, ...]) -> None:
    assert not _judged(form, Generation(text, 0.5), subjects)


@pytest.mark.parametrize(("form", "text", "subjects"), GOOD)
def test_an_answer_that_was_cut_short_is_not(form: Form, text: str, subjects: tuple[str, ...]) -> None:
    assert not _judged(form, Generation(text, 0.5, complete=False), subjects)


@pytest.mark.parametrize("form", list(Form))
def test_silence_is_not(form: Form) -> None:
    assert not _judged(form, Generation(" ", 0.5), ("heart",))


def test_every_tag_needs_its_box_or_mask() -> None:
    boxed = Generation("heart,<DET>.", 0.5, boxes=((0, 0, 1, 1),))
    masked = Generation("The segmentation mask of heart is <2DSEG>.", 0.5, masks=(MASK,))
    assert _judged(Form.DETECTION, boxed, ("heart",))
    assert _judged(Form.SEGMENTATION, masked, ("heart",))
    assert not _judged(Form.DETECTION, replace(boxed, boxes=()), ("heart",))
    assert not _judged(Form.SEGMENTATION, replace(masked, masks=()), ("heart",))
    assert not _judged(Form.SEGMENTATION, masked, ("heart",), Modality.CT)
