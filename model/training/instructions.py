"""Turns what a phantom knows about itself into questions and answers of instruction tuning."""

from collections.abc import Iterator, Sequence

import numpy as np

from model.protocol import DETECTION_GROUP
from model.questions import Form
from model.reading import (
    ABDOMINAL_ORGANS,
    CHEST_FINDINGS,
    CHEST_ORGANS,
    CHEST_STRUCTURES,
    ChangeStatus,
    Modality,
    Task,
)
from model.training.asking import ask, is_free, order_context
from model.training.comparisons import told_extents
from model.training.instruction import Instruction
from model.training.open_questions import open_questions
from model.training.phantoms.truth import (
    AbdomenCase,
    Box,
    ChangeTruth,
    ChestCase,
    ChestView,
    FindingTruth,
    ForeignCase,
    SkinCase,
)
from model.training.region_captions import captions_of
from model.training.tagged_answers import detection_answer, segmentation_answer
from model.training.telling import (
    FRONTAL_CHEST,
    NOT_FRONTAL_CHEST,
    changes_text,
    findings_text,
    impression_text,
    labels_text,
    visible_changes,
    visible_findings,
)

_BACK_IN_TIME = {
    ChangeStatus.NEW: ChangeStatus.RESOLVED,
    ChangeStatus.INCREASED: ChangeStatus.DECREASED,
    ChangeStatus.DECREASED: ChangeStatus.INCREASED,
    ChangeStatus.UNCHANGED: ChangeStatus.UNCHANGED,
    ChangeStatus.RESOLVED: ChangeStatus.NEW,
}


def instructions_for(
    case: ChestCase | AbdomenCase | SkinCase | ForeignCase, rng: np.random.Generator
) -> list[Instruction]:
    """Every question that a case can teach, one wording each; the gate question comes first.

    Findings that a reader cannot be expected to see (visibility below 1) are not told.
    """
    if isinstance(case, ChestCase):
        return list(_chest(case, rng))
    if isinstance(case, AbdomenCase):
        return list(_abdomen(case, rng))
    if isinstance(case, SkinCase):
        return list(_skin(case, rng))
    return [_gate("current", NOT_FRONTAL_CHEST, rng), *_open("current", case, rng)]


def _chest(case: ChestCase, rng: np.random.Generator) -> Iterator[Instruction]:
    yield from _chest_view("current", case.current, rng)
    if case.prior is None:
        return
    yield from _chest_view("prior", case.prior, rng)
    changes = visible_changes(case)
    now, before = visible_findings(case.current), visible_findings(case.prior)
    yield from comparisons(("current", "prior"), changes, (now, before), rng)
    backwards = [ChangeTruth(c.label, c.laterality, c.zone, _BACK_IN_TIME[c.status]) for c in changes]
    yield from comparisons(("prior", "current"), backwards, (before, now), rng)
    same = [ChangeTruth(f.label, f.laterality, f.zone, ChangeStatus.UNCHANGED) for f in now]
    yield _comparison(("current", "current"), (), same, (now, now), rng)
    for number, view in enumerate((case.current, case.prior)):
        yield from _of_one_of_two(view, number, rng)


def _of_one_of_two(view: ChestView, number: int, rng: np.random.Generator) -> Iterator[Instruction]:
    """Two questions about one of two images; who compares must first tell them apart."""
    asked = open_questions(view, rng)[2:]
    for n in rng.permutation(len(asked))[:2]:
        words = ask(Modality.CXR, Form.VQA, rng, question=asked[n].question, free=False)
        question = words.replace("<img0>", f"<img{number}>")
        yield Instruction(Modality.CXR, Task.VQA, Form.VQA, ("current", "prior"), question, asked[n].answer)


def _chest_view(image: str, view: ChestView, rng: np.random.Generator) -> Iterator[Instruction]:
    findings = visible_findings(view)
    yield _gate(image, FRONTAL_CHEST, rng)
    told, concluded = findings_text(findings), impression_text(findings)
    for form, answer in (
        (Form.FINDINGS, told),
        (Form.IMPRESSION, concluded),
        (Form.REPORT, f"Findings: {told} Impression: {concluded}"),
    ):
        question = order_context(Modality.CXR, rng) + ask(Modality.CXR, form, rng)
        yield Instruction(Modality.CXR, Task.REPORT, form, (image,), question, answer)
    yield from _classification(image, view, findings, rng)
    yield _detection(image, Task.ANATOMY_DETECTION, {n: [b] for n, b in view.boxes.items()}, rng)
    boxes = {label: [f.box for f in findings if f.label == label] for label in CHEST_FINDINGS}
    yield _detection(image, Task.PATHOLOGY_DETECTION, boxes, rng)
    for organ in CHEST_ORGANS:
        shown = organ in view.masks and bool(view.masks[organ].any())
        yield _segmentation(Modality.CXR, image, organ, rng, shown=shown)
    yield from _open(image, view, rng)
    for box, caption in captions_of(view, rng):
        question = ask(Modality.CXR, Form.REGION, rng, box=box)
        yield Instruction(
            Modality.CXR, Task.REGION_CAPTIONING, Form.REGION, (image,), question, caption, region=box
        )


def _open(image: str, shown: ChestView | ForeignCase, rng: np.random.Generator) -> Iterator[Instruction]:
    for asked in open_questions(shown, rng):
        question = ask(Modality.CXR, Form.VQA, rng, question=asked.question, free=asked.free and is_free(rng))
        yield Instruction(Modality.CXR, Task.VQA, Form.VQA, (image,), question, asked.answer)


def _classification(
    image: str, view: ChestView, findings: Sequence[FindingTruth], rng: np.random.Generator
) -> Iterator[Instruction]:
    """Labels at once, then yes/no: each present label, and one that is truly absent for balance."""
    yield Instruction(
        Modality.CXR,
        Task.CLASSIFICATION,
        Form.LABELS,
        (image,),
        ask(Modality.CXR, Form.LABELS, rng),
        labels_text(findings),
    )
    present = {finding.label for finding in findings}
    absent = sorted(set(CHEST_FINDINGS) - {finding.label for finding in view.findings})
    asked = [(label, "Yes.") for label in CHEST_FINDINGS if label in present]
    if absent:
        asked.append((str(rng.choice(absent)), "No."))
    for label, answer in asked:
        question = ask(Modality.CXR, Form.BINARY, rng, names=(label,))
        yield Instruction(
            Modality.CXR, Task.CLASSIFICATION, Form.BINARY, (image,), question, answer, subjects=(label,)
        )


def comparisons(
    images: tuple[str, str],
    changes: Sequence[ChangeTruth],
    shown: tuple[Sequence[FindingTruth], Sequence[FindingTruth]],
    rng: np.random.Generator,
) -> Iterator[Instruction]:
    """Ask what changed in all, then of each label that did and of one that did not.

    `shown` is what the two images show.
    """
    yield _comparison(images, (), changes, shown, rng)
    labels = [label for label in CHEST_FINDINGS if any(c.label == label for c in changes)]
    never = sorted(set(CHEST_FINDINGS) - set(labels))
    for label in [*labels, *([str(rng.choice(never))] if never else [])]:
        mine = [change for change in changes if change.label == label]
        yield _comparison(images, (label,), mine, shown, rng)


def _comparison(
    images: tuple[str, str],
    names: tuple[str, ...],
    changes: Sequence[ChangeTruth],
    shown: tuple[Sequence[FindingTruth], Sequence[FindingTruth]],
    rng: np.random.Generator,
) -> Instruction:
    """Of all changes where there are no `names`."""
    form = Form.CHANGE if names else Form.DIFFERENCE
    answer = changes_text(changes) if changes or not names else f"No {names[0]} in either image."
    return Instruction(
        Modality.CXR,
        Task.COMPARISON,
        form,
        images,
        ask(Modality.CXR, form, rng, names=names, priors=1),
        answer,
        subjects=names,
        extents=told_extents(changes, *shown),
    )


def _detection(image: str, task: Task, boxes: dict[str, list[Box]], rng: np.random.Generator) -> Instruction:
    """Half of the questions name all labels in order, as serving does; the others a few in any order.

    People ask for one thing at a time.
    """
    every = CHEST_STRUCTURES if task is Task.ANATOMY_DETECTION else CHEST_FINDINGS
    names: tuple[str, ...] = every[:DETECTION_GROUP]
    if free := is_free(rng):
        names = (str(rng.choice(every)),)
    elif rng.random() < 0.5:
        names = tuple(str(n) for n in rng.permutation(every)[: rng.integers(1, len(names) + 1)])
    question = ask(Modality.CXR, Form.DETECTION, rng, names=names, free=free)
    answer, flat = detection_answer(names, {name: sorted(found) for name, found in boxes.items()})
    return Instruction(
        Modality.CXR, task, Form.DETECTION, (image,), question, answer, boxes=flat, subjects=names
    )


def _abdomen(case: AbdomenCase, rng: np.random.Generator) -> Iterator[Instruction]:
    for organ in ABDOMINAL_ORGANS:
        shown = organ in case.masks and bool(case.masks[organ].any())
        yield _segmentation(Modality.CT, "current", organ, rng, shown=shown)


def _skin(case: SkinCase, rng: np.random.Generator) -> Iterator[Instruction]:
    question = order_context(Modality.DERM, rng) + ask(Modality.DERM, Form.DIAGNOSIS, rng)
    answer = f"The main diagnosis is {case.diagnosis}."
    yield Instruction(Modality.DERM, Task.CLASSIFICATION, Form.DIAGNOSIS, ("current",), question, answer)
    yield _segmentation(Modality.DERM, "current", "lesion", rng, shown=bool(case.mask.any()))


def _segmentation(
    modality: Modality, image: str, name: str, rng: np.random.Generator, *, shown: bool
) -> Instruction:
    question = ask(modality, Form.SEGMENTATION, rng, names=(name,))
    answer = segmentation_answer(modality, name, shown=shown)
    return Instruction(
        modality,
        Task.SEGMENTATION,
        Form.SEGMENTATION,
        (image,),
        question,
        answer,
        subjects=(name,),
        mask=name if shown else None,
    )


def _gate(image: str, answer: str, rng: np.random.Generator) -> Instruction:
    question = ask(Modality.CXR, Form.GATE, rng)
    return Instruction(Modality.CXR, Task.CLASSIFICATION, Form.GATE, (image,), question, answer)
