"""Puts what a record knows into questions and answers of instruction tuning, worded anew at each call.

Images are named by their index in `Record.shown`: `"0"`, `"1"`, …
"""

from collections.abc import Iterator, Sequence

import numpy as np

from model.prompts import context_text, without_control_tokens
from model.questions import Form
from model.reading import ClinicalContext, Modality, Task
from model.report_language.changes import changes_in
from model.training.asking import ask, is_free
from model.training.datasets.pointing import detections, regions, segmentations
from model.training.datasets.record import Record, RecordQuestion
from model.training.instruction import Instruction
from model.training.telling import FRONTAL_CHEST, NO_FINDING, NOT_FRONTAL_CHEST, sentence_case
from model.vocabulary import RELEASED, ContextForm, Vocabulary

MOST_IMAGES = 5
"""Of one question; the released model was trained on no more."""

BINARIES = 3
"""Most yes/no questions with one of the two answers."""

CONTEXT_SHARE = 0.8
"""Of the questions that may know the order, those that do."""

_FRONTAL, _LATERAL = ("PA", "AP"), ("LATERAL", "LL", "RL")
_DIFFERENCE = "difference"


def instructions_of(
    record: Record, rng: np.random.Generator, vocabulary: Vocabulary = RELEASED
) -> Iterator[Instruction]:
    """Every question that a record can teach, one wording each; nothing is taught that it does not know.

    Names are asked as the record spells them; a list of labels names only those of `vocabulary`.
    """
    if record.modality is Modality.CXR:
        yield from _chest(record, rng, vocabulary)
    if record.modality is Modality.DERM and record.diagnosis:
        question = _context(record, rng, vocabulary) + ask(Modality.DERM, Form.DIAGNOSIS, rng)
        answer = f"The main diagnosis is {record.diagnosis}."
        yield Instruction(Modality.DERM, Task.CLASSIFICATION, Form.DIAGNOSIS, ("0",), question, answer)
    yield from segmentations(record, rng)


def _chest(record: Record, rng: np.random.Generator, vocabulary: Vocabulary) -> Iterator[Instruction]:
    if vocabulary.knows_gate:
        yield from _gates(record, rng)
    yield from _reports(record, rng, vocabulary)
    yield from _classification(record, rng, vocabulary)
    yield from detections(record, rng, vocabulary)
    yield from regions(record, rng)
    for asked in record.questions:
        if asked.kind != _DIFFERENCE or not record.change:
            yield _vqa(asked, rng)
    if record.change and record.priors:
        yield from _comparisons(record, record.change, rng, vocabulary)


def _current(record: Record, vocabulary: Vocabulary, most: int = MOST_IMAGES) -> tuple[str, ...]:
    """The images of the study that are shown together."""
    count = min(len(record.images), most) if vocabulary.reads_every_view else 1
    return tuple(str(n) for n in range(count))


def _gates(record: Record, rng: np.random.Generator) -> Iterator[Instruction]:
    for n, image in enumerate(record.shown):
        view = (image.view or "").upper()
        if view in (*_FRONTAL, *_LATERAL):
            answer = FRONTAL_CHEST if view in _FRONTAL else NOT_FRONTAL_CHEST
            question = ask(Modality.CXR, Form.GATE, rng)
            yield Instruction(Modality.CXR, Task.CLASSIFICATION, Form.GATE, (str(n),), question, answer)


def _reports(record: Record, rng: np.random.Generator, vocabulary: Vocabulary) -> Iterator[Instruction]:
    told, concluded = (without_control_tokens(text or "") for text in (record.findings, record.impression))
    answers = {Form.FINDINGS: told, Form.IMPRESSION: concluded}
    if told and concluded:
        answers[Form.REPORT] = f"Findings: {told} Impression: {concluded}"
    images = _current(record, vocabulary)
    for form, answer in answers.items():
        if answer:
            question = ask(Modality.CXR, form, rng, current=len(images))
            question = _context(record, rng, vocabulary) + question
            yield Instruction(Modality.CXR, Task.REPORT, form, images, question, answer)


def _context(record: Record, rng: np.random.Generator, vocabulary: Vocabulary) -> str:
    """What the order says, where it is told; also what the report was compared with, where weights know."""
    if rng.random() >= CONTEXT_SHARE:
        return ""
    context = ClinicalContext(record.age, record.sex, record.indication)
    compares = record.modality is Modality.CXR and vocabulary.context_form is ContextForm.TAGS_WITH_COMPARISON
    said = (record.comparison or "").strip(" .")
    comparison = said if compares and said.lower() != "none" else ""
    return context_text(record.modality, context, no_comparison=compares, comparison=comparison)


def _classification(
    record: Record, rng: np.random.Generator, vocabulary: Vocabulary
) -> Iterator[Instruction]:
    """Labels at once, then yes/no: as many of the absent as of the present; the uncertain are not asked."""
    images = _current(record, vocabulary)
    if answer := _labels(record, vocabulary):
        question = ask(Modality.CXR, Form.LABELS, rng, current=len(images))
        yield Instruction(Modality.CXR, Task.CLASSIFICATION, Form.LABELS, images, question, answer)
    certain = {name: said for name, said in record.labels.items() if said is not None and name != NO_FINDING}
    present = _drawn([name for name, said in certain.items() if said], BINARIES, rng)
    absent = _drawn([name for name, said in certain.items() if not said], max(len(present), 1), rng)
    for name in (*present, *absent):
        question = ask(Modality.CXR, Form.BINARY, rng, names=(name,), current=len(images))
        answer = "Yes." if name in present else "No."
        yield Instruction(
            Modality.CXR, Task.CLASSIFICATION, Form.BINARY, images, question, answer, subjects=(name,)
        )


def _labels(record: Record, vocabulary: Vocabulary) -> str | None:
    """What is present, in the order of the vocabulary; None where something is uncertain or nothing known."""
    known = {name: record.labels[name] for name in vocabulary.chest_findings if name in record.labels}
    if None in known.values():
        return None
    present = [name for name, said in known.items() if said]
    if present:
        return ",".join(present)
    return NO_FINDING if known or record.labels.get(NO_FINDING) else None


def _vqa(asked: RecordQuestion, rng: np.random.Generator) -> Instruction:
    """A question that came with the data; "where is the nodule?" alone would ask for a box."""
    free = is_free(rng) and asked.kind != "location"
    words = without_control_tokens(asked.question)
    question = ask(Modality.CXR, Form.VQA, rng, question=words, current=len(asked.images), free=free)
    images = tuple(str(n) for n in asked.images)
    return Instruction(Modality.CXR, Task.VQA, Form.VQA, images, question, _sentence(asked.answer))


def _comparisons(
    record: Record, change: str, rng: np.random.Generator, vocabulary: Vocabulary
) -> Iterator[Instruction]:
    """The whole change, then that of each finding of which it can be read."""
    current = _current(record, vocabulary, MOST_IMAGES - 1)
    first = len(record.images)
    priors = tuple(str(first + n) for n in range(min(len(record.priors), MOST_IMAGES - len(current))))
    text = _sentence(change)
    read = changes_in(text, (*vocabulary.chest_findings, *vocabulary.told_only)).value
    said: dict[str, dict[str, None]] = {}
    for one in read:
        said.setdefault(one.label, {})[one.evidence] = None
    answers = [(Form.DIFFERENCE, (), text)]
    answers += [(Form.CHANGE, (name,), " ".join(sentences)) for name, sentences in said.items()]
    for form, names, answer in answers:
        question = ask(Modality.CXR, form, rng, names=names, current=len(current), priors=len(priors))
        yield Instruction(
            Modality.CXR, Task.COMPARISON, form, (*current, *priors), question, answer, subjects=names
        )


def _sentence(text: str) -> str:
    plain = sentence_case(without_control_tokens(text))
    return plain if plain.endswith((".", "!", "?")) else f"{plain}."


def _drawn(names: Sequence[str], most: int, rng: np.random.Generator) -> list[str]:
    """Draw some of the names, in their own order."""
    return [names[int(n)] for n in sorted(rng.permutation(len(names))[:most])]
