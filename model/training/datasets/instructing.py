"""Puts what a record knows into questions and answers of instruction tuning, worded anew at each call.

Images are named by their index in `Record.shown`: `"0"`, `"1"`, …
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial

import numpy as np

from model.prompts import context_text, without_control_tokens
from model.questions import Form
from model.reading import ClinicalContext, Modality, Task
from model.report_language.changes import changes_in
from model.training.asking import ask, is_free
from model.training.datasets.facts import Facts
from model.training.datasets.pointing import detections, regions, segmentations
from model.training.datasets.record import Record, RecordQuestion
from model.training.instruction import Instruction
from model.training.telling import FRONTAL_CHEST, NO_FINDING, NOT_FRONTAL_CHEST, sentence_case
from model.vocabulary import RELEASED, ContextForm, Vocabulary

REPORT_SHARES: Mapping[Form, float] = {Form.FINDINGS: 0.35, Form.IMPRESSION: 0.35, Form.REPORT: 0.3}
"""How often the released code asks for each part; what a report lacks is not asked for."""

BINARIES = 3
"""Most yes/no questions with one of the two answers."""

CONTEXT_SHARE = 0.8
"""Of the questions that may know the order, those that do."""

_FRONTAL, _LATERAL = ("PA", "AP"), ("LATERAL", "LL", "RL")
_DIFFERENCE = "difference"

Teach = Callable[[Facts, np.random.Generator], Iterator[Instruction]]


def instructions_of(
    record: Record, rng: np.random.Generator, vocabulary: Vocabulary = RELEASED
) -> Iterator[Instruction]:
    """Everything that a record can teach, one wording each; nothing is taught that it does not know.

    Names are asked as the record spells them; a list of labels names only those of `vocabulary`.
    """
    facts = Facts(record, vocabulary)
    for task in LESSONS[record.modality]:
        yield from lessons(facts, task, rng)


def lessons(facts: Facts, task: Task, rng: np.random.Generator) -> Iterator[Instruction]:
    """What a record can teach of one task, worded anew at each call."""
    teach = LESSONS[facts.record.modality].get(task)
    return teach(facts, rng) if teach else iter(())


def tasks_of(facts: Facts) -> list[Task]:
    """Of which tasks a record can teach anything; `lessons` then always has something to say."""
    rng = np.random.default_rng(0)
    return [task for task in LESSONS[facts.record.modality] if next(lessons(facts, task, rng), None)]


def _reports(facts: Facts, rng: np.random.Generator) -> Iterator[Instruction]:
    """One part of the report, or both."""
    record, images = facts.record, facts.current
    told, concluded = (without_control_tokens(text or "") for text in (record.findings, record.impression))
    answers = {Form.FINDINGS: told, Form.IMPRESSION: concluded}
    if told and concluded:
        answers[Form.REPORT] = f"Findings: {told} Impression: {concluded}"
    if forms := [form for form, answer in answers.items() if answer]:
        shares = np.asarray([REPORT_SHARES[form] for form in forms])
        form = forms[int(rng.choice(len(forms), p=shares / shares.sum()))]
        question = _context(facts, rng) + ask(Modality.CXR, form, rng, current=len(images))
        yield Instruction(Modality.CXR, Task.REPORT, form, images, question, answers[form])


def _context(facts: Facts, rng: np.random.Generator) -> str:
    """What the order says, where it is told; also what the report was compared with, as in the paper."""
    if rng.random() >= CONTEXT_SHARE:
        return ""
    record = facts.record
    context = ClinicalContext(record.age, record.sex, record.indication)
    form = facts.vocabulary.context_form
    compares = record.modality is Modality.CXR and form is ContextForm.TAGS_WITH_COMPARISON
    said = (record.comparison or "").strip(" .")
    comparison = said if compares and said.lower() != "none" else ""
    return context_text(record.modality, context, no_comparison=compares, comparison=comparison)


def _classification(facts: Facts, rng: np.random.Generator) -> Iterator[Instruction]:
    """Labels at once, then yes/no: as many of the absent as of the present; the uncertain are not asked."""
    images, labels = facts.current, facts.record.labels
    if answer := _labels(facts):
        question = ask(Modality.CXR, Form.LABELS, rng, current=len(images))
        yield Instruction(Modality.CXR, Task.CLASSIFICATION, Form.LABELS, images, question, answer)
    certain = {name: said for name, said in labels.items() if said is not None and name != NO_FINDING}
    present = _drawn([name for name, said in certain.items() if said], BINARIES, rng)
    absent = _drawn([name for name, said in certain.items() if not said], max(len(present), 1), rng)
    for name in (*present, *absent):
        question = ask(Modality.CXR, Form.BINARY, rng, names=(name,), current=len(images))
        answer = "Yes." if name in present else "No."
        yield Instruction(
            Modality.CXR, Task.CLASSIFICATION, Form.BINARY, images, question, answer, subjects=(name,)
        )
    if facts.vocabulary.knows_gate:
        yield from _gates(facts.record, rng)


def _labels(facts: Facts) -> str | None:
    """What is present, in the order of the vocabulary; None where something is uncertain or nothing known."""
    labels, names = facts.record.labels, facts.vocabulary.chest_findings
    known = {name: labels[name] for name in names if name in labels}
    if None in known.values():
        return None
    present = [name for name, said in known.items() if said]
    if present:
        return ",".join(present)
    return NO_FINDING if known or labels.get(NO_FINDING) else None


def _gates(record: Record, rng: np.random.Generator) -> Iterator[Instruction]:
    for n, image in enumerate(record.shown):
        view = (image.view or "").upper()
        if view in (*_FRONTAL, *_LATERAL):
            answer = FRONTAL_CHEST if view in _FRONTAL else NOT_FRONTAL_CHEST
            question = ask(Modality.CXR, Form.GATE, rng)
            yield Instruction(Modality.CXR, Task.CLASSIFICATION, Form.GATE, (str(n),), question, answer)


def _diagnosis(facts: Facts, rng: np.random.Generator) -> Iterator[Instruction]:
    if diagnosis := facts.record.diagnosis:
        question = _context(facts, rng) + ask(Modality.DERM, Form.DIAGNOSIS, rng)
        answer = f"The main diagnosis is {diagnosis}."
        yield Instruction(Modality.DERM, Task.CLASSIFICATION, Form.DIAGNOSIS, ("0",), question, answer)


def _vqa(facts: Facts, rng: np.random.Generator) -> Iterator[Instruction]:
    """The questions that came with the data; what has changed is asked as a comparison where it is known."""
    for asked in facts.record.questions:
        told = asked.kind == _DIFFERENCE and facts.record.change
        if asked.images and _sentence(asked.question) and _sentence(asked.answer) and not told:
            yield _open_question(asked, rng)


def _open_question(asked: RecordQuestion, rng: np.random.Generator) -> Instruction:
    """Put it about its images; "where is the nodule?" alone would ask for a box."""
    free = is_free(rng) and asked.kind != "location"
    words = without_control_tokens(asked.question)
    question = ask(Modality.CXR, Form.VQA, rng, question=words, current=len(asked.images), free=free)
    images = tuple(map(str, asked.images))
    return Instruction(Modality.CXR, Task.VQA, Form.VQA, images, question, _sentence(asked.answer))


def _comparisons(facts: Facts, rng: np.random.Generator) -> Iterator[Instruction]:
    """The whole change, then that of each finding of which it can be read."""
    change = _sentence(facts.record.change or "")
    if not (change and facts.record.priors):
        return
    current, priors = facts.compared
    for form, names, answer in _changes(change, facts.vocabulary):
        question = ask(Modality.CXR, form, rng, names=names, current=len(current), priors=len(priors))
        shown = (*current, *priors)
        yield Instruction(Modality.CXR, Task.COMPARISON, form, shown, question, answer, subjects=names)


def _changes(text: str, vocabulary: Vocabulary) -> Iterator[tuple[Form, tuple[str, ...], str]]:
    """What is asked, of which names, and the sentences that say so."""
    yield Form.DIFFERENCE, (), text
    said: dict[str, dict[str, None]] = {}
    for change in changes_in(text, (*vocabulary.chest_findings, *vocabulary.told_only)).value:
        said.setdefault(change.label, {})[change.evidence] = None
    for name, sentences in said.items():
        yield Form.CHANGE, (name,), " ".join(sentences)


def _sentence(text: str) -> str:
    plain = sentence_case(without_control_tokens(text))
    return plain if not plain or plain.endswith((".", "!", "?")) else f"{plain}."


def _drawn(names: Sequence[str], most: int, rng: np.random.Generator) -> list[str]:
    """Draw some of the names, in their own order."""
    return [names[int(n)] for n in sorted(rng.permutation(len(names))[:most])]


LESSONS: Mapping[Modality, Mapping[Task, Teach]] = {
    Modality.CXR: {
        Task.REPORT: _reports,
        Task.CLASSIFICATION: _classification,
        Task.ANATOMY_DETECTION: partial(detections, anatomy=True),
        Task.PATHOLOGY_DETECTION: partial(detections, anatomy=False),
        Task.SEGMENTATION: segmentations,
        Task.COMPARISON: _comparisons,
        Task.VQA: _vqa,
        Task.REGION_CAPTIONING: regions,
    },
    Modality.CT: {Task.SEGMENTATION: segmentations},
    Modality.DERM: {Task.CLASSIFICATION: _diagnosis, Task.SEGMENTATION: segmentations},
}
"""How each task is taught; a modality that does not name a task has no question for it."""
