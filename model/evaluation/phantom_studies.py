"""Phantoms as studies to be asked: seeds that no training draws, and every question that serving puts."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from model.errors import EvaluationError
from model.evaluation.study import (
    Asked,
    BoxTruth,
    ChangeTruth,
    DiagnosisTruth,
    LabelsTruth,
    LabelTruth,
    MaskTruth,
    OpenTruth,
    Study,
    TextTruth,
    Truth,
    ViewTruth,
)
from model.prompts import RegionBox, phrase
from model.questions import Form, Question
from model.reading import (
    ABDOMINAL_ORGANS,
    CHEST_FINDINGS,
    CHEST_ORGANS,
    CHEST_STRUCTURES,
    Modality,
    Task,
)
from model.training.datasets.case_files import Case, read_cases
from model.training.datasets.phantoms import Shard, draw, shards_of
from model.training.open_questions import open_questions
from model.training.phantoms.truth import AbdomenCase, ChestCase, ChestView, ForeignCase, SkinCase
from model.training.region_captions import captions_of
from model.training.telling import (
    changes_text,
    findings_text,
    impression_text,
    visible_changes,
    visible_findings,
)
from model.volume import FrameKey, Geometry, PlanarImage, Volume
from model.wordings import WORDINGS

FIRST_SEEDS: Mapping[str, int] = {"validate": 1_000_000, "test": 3_000_000}
"""Of each split. Training counts up from 0 or little more; it examines itself on `validate` and fits the
temperature of its yes/no answers from 2,000,000. Nothing but an evaluation draws `test`."""

CASES: Mapping[str, int] = {"chest": 200, "foreign": 50, "skin": 150, "abdomen": 60}
"""How many of each kind."""


@dataclass(frozen=True, slots=True)
class Seeds:
    """Half-open."""

    first: int
    end: int


def held_out(split: str, limit: int | None = None) -> list[Shard]:
    """The phantoms of a split, at most `limit` of each kind."""
    first = FIRST_SEEDS[split]
    return [
        s for kind, n in CASES.items() for s in shards_of(kind, first, n if limit is None else min(n, limit))
    ]


def require_unseen(training: Mapping[str, object], split: str) -> None:
    """Refuse phantoms that the weights were trained on, as far as their configuration tells.

    Raises:
        EvaluationError: the seeds of the plan in `training` reach into the split.
    """
    first, most = FIRST_SEEDS[split], max(CASES.values())
    trained = trained_seeds(training)
    if trained is not None and trained.first < first + most and first < trained.end:
        raise EvaluationError(f"these weights were trained on seeds of split {split}; take another split")


def trained_seeds(training: Mapping[str, object]) -> Seeds | None:
    """The seeds of the phantoms that weights were trained on; None if their configuration names none."""
    match training.get("plan"):
        case {"seed": int(seed), "cases": {**cases}}:
            return Seeds(seed, seed + max((n for n in cases.values() if isinstance(n, int)), default=0))
        case _:
            return None


def phantom_studies(shards: list[Shard], folder: Path) -> Iterator[Study]:
    """Draw phantoms, unless their files are there, and ask all about them."""
    folder.mkdir(parents=True, exist_ok=True)
    for shard in shards:
        for case in read_cases(draw(shard, folder)):
            yield study_of(case, shard.kind)


def study_of(case: Case, kind: str) -> Study:
    """Everything that can be asked about one phantom; a label that is there unseen is not asked about."""
    key = f"{kind}-{case.seed}"
    match case:
        case ChestCase():
            views = [case.current, *([case.prior] if case.prior else [])]
            pictures = [PlanarImage(v.pixels, FrameKey("1"), v.spacing_mm) for v in views]
            return Study(key, Modality.CXR, lambda: pictures, list(_chest(case)))
        case AbdomenCase():
            frames = tuple(FrameKey(str(k)) for k in range(len(case.voxels)))
            volume = Volume(case.voxels, Geometry(case.affine), frames)
            return Study(key, Modality.CT, lambda: [volume], list(_abdomen(case)))
        case SkinCase():
            picture = PlanarImage(case.pixels, FrameKey("1"))
            return Study(key, Modality.DERM, lambda: [picture], list(_skin(case)))
        case _:
            picture = PlanarImage(case.pixels, FrameKey("1"))
            return Study(key, Modality.CXR, lambda: [picture], list(_foreign(case)))


def _chest(case: ChestCase) -> Iterator[Asked]:
    view = case.current
    findings = visible_findings(view)
    hidden = {f.label for f in view.findings if f not in findings}
    present = {finding.label for finding in findings}
    decided = [label for label in CHEST_FINDINGS if label in present or label not in hidden]
    yield _asked(Task.CLASSIFICATION, Form.GATE, ViewTruth(True))
    told, concluded = findings_text(findings), impression_text(findings)
    yield _asked(Task.REPORT, Form.FINDINGS, TextTruth(told))
    yield _asked(Task.REPORT, Form.IMPRESSION, TextTruth(concluded))
    yield _asked(Task.REPORT, Form.REPORT, TextTruth(f"Findings: {told} Impression: {concluded}"))
    absent = frozenset(decided) - present
    yield _asked(Task.CLASSIFICATION, Form.LABELS, LabelsTruth(frozenset(present), absent))
    for label in decided:
        yield _asked(Task.CLASSIFICATION, Form.BINARY, LabelTruth(label, label in present), names=(label,))
    anatomy = {name: (view.boxes[name],) if name in view.boxes else () for name in CHEST_STRUCTURES}
    yield _asked(Task.ANATOMY_DETECTION, Form.DETECTION, BoxTruth(anatomy), names=CHEST_STRUCTURES)
    boxes = {label: tuple(f.box for f in findings if f.label == label) for label in decided}
    yield _asked(Task.PATHOLOGY_DETECTION, Form.DETECTION, BoxTruth(boxes), names=CHEST_FINDINGS)
    for organ in CHEST_ORGANS:
        truth = _mask_of(view, organ)
        yield _asked(Task.SEGMENTATION, Form.SEGMENTATION, truth, names=(organ,))
    yield from _open(view, case.seed)
    for box, caption in captions_of(view, np.random.default_rng([case.seed, 6])):
        yield _asked(Task.REGION_CAPTIONING, Form.REGION, TextTruth(caption), box=box)
    if case.prior is not None:
        truth = ChangeTruth(changes_text(visible_changes(case)))
        compared = _asked(Task.COMPARISON, Form.DIFFERENCE, truth, priors=1)
        yield replace(compared, question=replace(compared.question, images=(0, 1)))


def _mask_of(view: ChestView, organ: str) -> MaskTruth:
    mask = view.masks.get(organ)
    return MaskTruth(lambda: np.zeros(view.pixels.shape, bool) if mask is None else mask)


def _abdomen(case: AbdomenCase) -> Iterator[Asked]:
    for organ in ABDOMINAL_ORGANS:
        mask = case.masks.get(organ, np.zeros(case.voxels.shape, bool))
        truth = MaskTruth(lambda mask=mask: mask)
        yield _asked(Task.SEGMENTATION, Form.SEGMENTATION, truth, Modality.CT, names=(organ,))


def _skin(case: SkinCase) -> Iterator[Asked]:
    yield _asked(Task.CLASSIFICATION, Form.DIAGNOSIS, DiagnosisTruth(case.diagnosis), Modality.DERM)
    truth = MaskTruth(lambda: case.mask)
    yield _asked(Task.SEGMENTATION, Form.SEGMENTATION, truth, Modality.DERM, names=("lesion",))


def _foreign(case: ForeignCase) -> Iterator[Asked]:
    yield _asked(Task.CLASSIFICATION, Form.GATE, ViewTruth(False))
    yield from _open(case, case.seed)


def _open(shown: ChestView | ForeignCase, seed: int) -> Iterator[Asked]:
    for one in open_questions(shown, np.random.default_rng([seed, 5])):
        yield _asked(Task.VQA, Form.VQA, OpenTruth(one.kind, one.answer), question=one.question)


def _asked(
    task: Task,
    form: Form,
    truth: Truth,
    modality: Modality = Modality.CXR,
    *,
    names: tuple[str, ...] = (),
    priors: int = 0,
    question: str = "",
    box: RegionBox = (0.0, 0.0, 1.0, 1.0),
) -> Asked:
    """Ask in the words of serving."""
    wording = WORDINGS[modality, form][0]
    text = phrase(wording, names=names, priors=priors, question=question, box=box)
    return Asked(Question(task, form, text, names, images=(0,)), truth)
