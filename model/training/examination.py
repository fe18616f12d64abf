"""Examines a loaded family on phantoms that it never saw, through the same door as serving.

The figures say how well phantoms were learned. They say nothing clinical.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from model.evaluation.detection import overlaps
from model.evaluation.segmentation import dice
from model.families.family import Family, Generation
from model.prompts import phrase
from model.questions import Form, Question
from model.reading import (
    ABDOMINAL_ORGANS,
    CHEST_FINDINGS,
    CHEST_ORGANS,
    CHEST_STRUCTURES,
    Modality,
    Task,
)
from model.training.datasets.case_files import Case
from model.training.phantoms.truth import AbdomenCase, Box, ChestCase, ChestView, FindingTruth, SkinCase
from model.training.request_examination import open_marks, region_marks, request_marks
from model.training.telling import (
    FRONTAL_CHEST,
    changes_text,
    findings_text,
    visible_changes,
    visible_findings,
)
from model.volume import FrameKey, Geometry, PlanarImage, Volume
from model.wordings import WORDINGS

Figures = dict[str, float]


@dataclass(slots=True, eq=False)
class Marks:
    """What was found against what is true, case by case."""

    yes: dict[str, list[tuple[float, bool]]] = field(default_factory=lambda: defaultdict(list))
    """Per finding: P(yes) and truth."""
    sentences: list[tuple[set[str], set[str]]] = field(default_factory=list)
    """Report sentences written and true."""
    changes: list[bool] = field(default_factory=list)
    """Per true change: told with the right status."""
    change_texts: list[bool] = field(default_factory=list)
    """Per comparison: every sentence as it should be."""
    overlap: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    """Per structure or finding: IoU of each true box with its box, 0 where none was given."""
    needless: dict[str, list[bool]] = field(default_factory=lambda: defaultdict(list))
    """Per finding that is not there: whether a box was given."""
    dice: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    """Per organ that is there."""
    gate: dict[str, list[bool]] = field(default_factory=lambda: defaultdict(list))
    """Per kind of picture: rightly taken or declined."""
    skin: list[bool] = field(default_factory=list)
    right: dict[str, list[bool]] = field(default_factory=lambda: defaultdict(list))
    """Per figure of what is asked on request: each answer."""

    def add(self, marks: Iterable[tuple[str, bool]]) -> None:
        for name, right in marks:
            self.right[name].append(right)


def examine(family: Family, cases: Iterable[Case]) -> Marks:
    """Ask everything that the protocol of each case would ask."""
    marks = Marks()
    for case in cases:
        match case:
            case ChestCase():
                _chest(family, case, marks)
            case AbdomenCase():
                _abdomen(family, case, marks)
            case SkinCase():
                _skin(family, case, marks)
            case _:
                picture = PlanarImage(case.pixels, FrameKey("1"))
                gate = _asked(Modality.CXR, Form.GATE)
                sight = family.look(Modality.CXR, [picture])
                (answer,) = sight.answer([gate])
                marks.gate[f"foreign {case.kind}"].append(answer.text != FRONTAL_CHEST)
                marks.add(open_marks(sight, case, case.seed))
    return marks


def figures_of(marks: Marks) -> Figures:
    """Sum marks up; a name says what was measured."""
    figures: Figures = {}
    for finding, pairs in marks.yes.items():
        figures[f"auc {finding}"] = area_under_curve(pairs)
        figures[f"f1 {finding}"] = f1(pairs)
    for name, values in (*marks.overlap.items(),):
        figures[f"box iou {name}"] = float(np.mean(values))
    for name, values in marks.needless.items():
        figures[f"needless box {name}"] = float(np.mean(values))
    for name, values in marks.dice.items():
        figures[f"dice {name}"] = float(np.mean(values))
    for name, right in marks.gate.items():
        figures[f"gate {name}"] = float(np.mean(right))
    for name, right in marks.right.items():
        figures[name] = float(np.mean(right))
    for name, right in (
        ("change status accuracy", marks.changes),
        ("comparison text exact", marks.change_texts),
        ("skin accuracy", marks.skin),
    ):
        if right:
            figures[name] = float(np.mean(right))
    if marks.sentences:
        shared = sum(len(a & b) for a, b in marks.sentences)
        written, true = (sum(len(pair[n]) for pair in marks.sentences) for n in (0, 1))
        figures["report sentence precision"] = shared / max(written, 1)
        figures["report sentence recall"] = shared / max(true, 1)
    return {name: round(value, 4) for name, value in sorted(figures.items())}


def best_temperature(pairs: Sequence[tuple[float, bool]]) -> float:
    """Find what the yes/no log-odds must be divided by for the least log loss on held-out answers."""
    odds = np.array([np.log((p + 1e-6) / (1 - p + 1e-6)) for p, _ in pairs])
    truth = np.array([t for _, t in pairs])

    def loss(temperature: float) -> float:
        return float(np.mean(np.logaddexp(0, np.where(truth, -odds, odds) / temperature)))

    return float(min(np.geomspace(0.25, 8, 101), key=loss))


def area_under_curve(pairs: Sequence[tuple[float, bool]]) -> float:
    """Chance that a true case scores above a false one; ties count half; 0.5 where one kind is missing."""
    true = np.array([p for p, t in pairs if t])
    false = np.array([p for p, t in pairs if not t])
    if not len(true) or not len(false):
        return 0.5
    above = (true[:, None] > false).mean() + 0.5 * (true[:, None] == false).mean()
    return float(above)


def f1(pairs: Sequence[tuple[float, bool]]) -> float:
    """F1 at probability 0.5."""
    hits = sum(p >= 0.5 and t for p, t in pairs)
    wrong = sum((p >= 0.5) != t for p, t in pairs)
    return 2 * hits / max(2 * hits + wrong, 1)


def box_overlap(a: Box, b: Box) -> float:
    """Intersection over union."""
    return float(overlaps([a], [b])[0, 0])


def boxes_by_name(text: str, boxes: Sequence[Box]) -> Mapping[str, list[Box]]:
    """Deal the boxes of a detection answer out to its names, in order."""
    left = list(boxes)
    dealt: dict[str, list[Box]] = {}
    for part in text.split("."):
        name, *tags = part.split(",")
        if name:
            dealt[name.strip()] = [left.pop(0) for tag in tags if tag.strip() == "<DET>" and left]
    return dealt


_TASKS = {
    Form.GATE: Task.CLASSIFICATION,
    Form.BINARY: Task.CLASSIFICATION,
    Form.DIAGNOSIS: Task.CLASSIFICATION,
    Form.FINDINGS: Task.REPORT,
    Form.DETECTION: Task.PATHOLOGY_DETECTION,
    Form.SEGMENTATION: Task.SEGMENTATION,
    Form.DIFFERENCE: Task.COMPARISON,
}


def _asked(modality: Modality, form: Form, names: Sequence[str] = (), priors: int = 0) -> Question:
    """Ask in the words of serving."""
    text = phrase(WORDINGS[modality, form][0], names=names, priors=priors)
    return Question(_TASKS[form], form, text, tuple(names))


def _chest(family: Family, case: ChestCase, marks: Marks) -> None:
    view, picture = case.current, PlanarImage(case.current.pixels, FrameKey("1"))
    binary = [_asked(Modality.CXR, Form.BINARY, (name,)) for name in CHEST_FINDINGS]
    masks = [_asked(Modality.CXR, Form.SEGMENTATION, (name,)) for name in CHEST_ORGANS]
    rest = [
        _asked(Modality.CXR, Form.GATE),
        _asked(Modality.CXR, Form.FINDINGS),
        _asked(Modality.CXR, Form.DETECTION, CHEST_STRUCTURES),
        _asked(Modality.CXR, Form.DETECTION, CHEST_FINDINGS),
    ]
    sight = family.look(Modality.CXR, [picture])
    answers = sight.answer([*binary, *masks, *rest])
    marks.add(open_marks(sight, view, case.seed))
    marks.add(region_marks(sight, view, case.seed))
    marks.add(request_marks(family, Modality.CXR, [picture]))
    seen = visible_findings(view)
    for name, answer in zip(CHEST_FINDINGS, answers, strict=False):
        marks.yes[name].append((answer.yes_probability, any(f.label == name for f in seen)))
    for name, answer in zip(CHEST_ORGANS, answers[len(binary) :], strict=False):
        _mark_mask(marks, name, answer, view.masks[name][None])
    gate, told, structures, pathology = answers[-4:]
    marks.gate["chest"].append(gate.text == FRONTAL_CHEST)
    marks.sentences.append((_sentences(told.text), _sentences(findings_text(seen))))
    _mark_structures(marks, view, structures)
    _mark_pathology(marks, view, seen, pathology)
    if case.prior is not None:
        _mark_changes(marks, family, case)


def _mark_structures(marks: Marks, view: ChestView, answer: Generation) -> None:
    dealt = boxes_by_name(answer.text, _fractions(answer, view.pixels.shape))
    for name, box in view.boxes.items():
        found = dealt.get(name, [])
        marks.overlap[name].append(box_overlap(found[0], box) if found else 0.0)


def _mark_pathology(marks: Marks, view: ChestView, seen: Sequence[FindingTruth], answer: Generation) -> None:
    dealt = boxes_by_name(answer.text, _fractions(answer, view.pixels.shape))
    for name in CHEST_FINDINGS:
        true = [f.box for f in seen if f.label == name]
        found = dealt.get(name, [])
        for box in true:
            marks.overlap[name].append(max((box_overlap(other, box) for other in found), default=0.0))
        if not true:
            marks.needless[name].append(bool(found))


def _mark_changes(marks: Marks, family: Family, case: ChestCase) -> None:
    if case.prior is None:
        return
    pictures = [PlanarImage(v.pixels, FrameKey("1")) for v in (case.current, case.prior)]
    question = _asked(Modality.CXR, Form.DIFFERENCE, priors=1)
    (answer,) = family.look(Modality.CXR, pictures).answer([question])
    marks.add(request_marks(family, Modality.CXR, pictures))
    changes = visible_changes(case)
    true, told = _sentences(changes_text(changes)), _sentences(answer.text)
    marks.change_texts.append(true == told)
    if changes:
        marks.changes.extend(sentence in told for sentence in true)


def _abdomen(family: Family, case: AbdomenCase, marks: Marks) -> None:
    frames = tuple(FrameKey(str(k)) for k in range(len(case.voxels)))
    volume = Volume(case.voxels, Geometry(case.affine), frames)
    questions = [_asked(Modality.CT, Form.SEGMENTATION, (name,)) for name in ABDOMINAL_ORGANS]
    answers = family.look(Modality.CT, [volume]).answer(questions)
    marks.add(request_marks(family, Modality.CT, [volume]))
    for name, answer in zip(ABDOMINAL_ORGANS, answers, strict=True):
        true = case.masks.get(name)
        if true is not None and true.any():
            _mark_mask(marks, name, answer, true)
        else:
            marks.needless[name].append(bool(answer.masks))


def _skin(family: Family, case: SkinCase, marks: Marks) -> None:
    picture = PlanarImage(case.pixels, FrameKey("1"))
    questions = [
        _asked(Modality.DERM, Form.DIAGNOSIS),
        _asked(Modality.DERM, Form.SEGMENTATION, ("lesion",)),
    ]
    diagnosis, lesion = family.look(Modality.DERM, [picture]).answer(questions)
    marks.add(request_marks(family, Modality.DERM, [picture]))
    marks.skin.append(case.diagnosis in diagnosis.text)
    _mark_mask(marks, "skin lesion", lesion, case.mask[None])


def _mark_mask(marks: Marks, name: str, answer: Generation, true: NDArray[np.bool_]) -> None:
    found = answer.masks[0] >= 0.5 if answer.masks else np.zeros_like(true)
    marks.dice[name].append(dice(found, true))


def _fractions(answer: Generation, shape: tuple[int, ...]) -> list[Box]:
    rows, columns = shape[:2]
    return [(i0 / columns, j0 / rows, i1 / columns, j1 / rows) for j0, i0, j1, i1 in answer.boxes]


def _sentences(text: str) -> set[str]:
    return {sentence.strip() for sentence in text.split(".") if sentence.strip()}
