"""Turns what a phantom knows about itself into questions and answers of instruction tuning.

The answers are short radiology English in one fixed style and a canonical order of findings, so that a very
small language model can learn them; `model.answers` reads them back without loss.
"""

from collections.abc import Iterator, Sequence

import numpy as np

from model.prompts import context_text, phrase
from model.protocol import DETECTION_GROUP
from model.questions import Form
from model.reading import (
    ABDOMINAL_ORGANS,
    CHEST_FINDINGS,
    CHEST_ORGANS,
    CHEST_STRUCTURES,
    ChangeStatus,
    ClinicalContext,
    Modality,
    Task,
)
from model.training.instruction import Instruction
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
from model.wordings import WORDINGS

BOXES_PER_NAME = 3
"""Most boxes that one name of a detection answer carries."""

FRONTAL_CHEST = "A frontal chest radiograph."
NOT_FRONTAL_CHEST = "Not a frontal chest radiograph."
NO_FINDING = "no finding"
NO_CHANGE = "No significant change."

_INDICATIONS = ("Cough", "Chest pain", "Dyspnea", "Fever", "Follow-up", "Trauma", "Routine examination")
_SITES = ("back", "trunk", "face", "abdomen", "lower extremity", "upper extremity")

_VERBS = {
    ChangeStatus.NEW: "is new",
    ChangeStatus.INCREASED: "has increased",
    ChangeStatus.DECREASED: "has decreased",
    ChangeStatus.UNCHANGED: "is unchanged",
    ChangeStatus.RESOLVED: "has resolved",
}

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
    return [_gate("current", NOT_FRONTAL_CHEST, rng)]


def visible_findings(view: ChestView) -> list[FindingTruth]:
    """What a reader can see, in the canonical order: by label, then the patient's right side first."""
    seen = [finding for finding in view.findings if finding.visibility >= 1]
    return sorted(seen, key=lambda f: (CHEST_FINDINGS.index(f.label), f.box[0], f.box[1]))


def visible_changes(case: ChestCase) -> list[ChangeTruth]:
    """Changes as two images can show them: what one of them hides seems new or resolved."""
    if case.prior is None:
        return []
    changes: list[ChangeTruth] = []
    for change in case.changes:
        status = _seen_status(change, _shows(case.current, change), _shows(case.prior, change))
        if status is not None:
            changes.append(ChangeTruth(change.label, change.laterality, change.zone, status))
    side = {"right": 0, "left": 1, "bilateral": 2}
    return sorted(
        changes, key=lambda c: (CHEST_FINDINGS.index(c.label), side.get(c.laterality or "", 3), c.zone or "")
    )


def findings_text(findings: Sequence[FindingTruth]) -> str:
    """The findings section: lungs, pleura, heart, with what is absent."""
    told = {label: _told(label, findings) for label in CHEST_FINDINGS}
    nodule, consolidation, effusion, pneumothorax, heart = (told[label] for label in CHEST_FINDINGS)
    lungs = _with_absent(("lung nodule", nodule), ("consolidation", consolidation), "The lungs are clear.")
    pleura = _with_absent(
        ("pleural effusion", effusion), ("pneumothorax", pneumothorax), "No pleural effusion or pneumothorax."
    )
    return " ".join([*lungs, *pleura, *(heart or ["The cardiac silhouette is normal in size."])])


def impression_text(findings: Sequence[FindingTruth]) -> str:
    """The impression: what is present, without size."""
    named = dict.fromkeys(_sentence_case(_name(f.label, f.laterality, None)) for f in findings)
    return " ".join(f"{name}." for name in named) or "No acute abnormality."


def labels_text(findings: Sequence[FindingTruth]) -> str:
    """Comma-separated labels in canonical order."""
    present = {finding.label for finding in findings}
    return ",".join(label for label in CHEST_FINDINGS if label in present) or NO_FINDING


def changes_text(changes: Sequence[ChangeTruth]) -> str:
    """One sentence per change; the zone is named only where it tells two changes apart."""
    sentences: dict[str, None] = {}
    for change in changes:
        twins = [c for c in changes if (c.label, c.laterality) == (change.label, change.laterality)]
        zone = change.zone if len({c.status for c in twins}) > 1 else None
        sentences[f"The {_name(change.label, change.laterality, zone)} {_VERBS[change.status]}."] = None
    return " ".join(sentences) or NO_CHANGE


def _chest(case: ChestCase, rng: np.random.Generator) -> Iterator[Instruction]:
    yield from _chest_view("current", case.current, rng)
    if case.prior is None:
        return
    yield from _chest_view("prior", case.prior, rng)
    changes = visible_changes(case)
    yield from _comparisons(("current", "prior"), changes, rng)
    backwards = [ChangeTruth(c.label, c.laterality, c.zone, _BACK_IN_TIME[c.status]) for c in changes]
    yield from _comparisons(("prior", "current"), backwards, rng)
    same = [
        ChangeTruth(f.label, f.laterality, f.zone, ChangeStatus.UNCHANGED)
        for f in visible_findings(case.current)
    ]
    yield _comparison(Form.DIFFERENCE, ("current", "current"), (), changes_text(same), rng)


def _chest_view(image: str, view: ChestView, rng: np.random.Generator) -> Iterator[Instruction]:
    findings = visible_findings(view)
    yield _gate(image, FRONTAL_CHEST, rng)
    told, concluded = findings_text(findings), impression_text(findings)
    for form, answer in (
        (Form.FINDINGS, told),
        (Form.IMPRESSION, concluded),
        (Form.REPORT, f"Findings: {told} Impression: {concluded}"),
    ):
        question = _ask(Modality.CXR, form, rng, context=_context(Modality.CXR, rng))
        yield Instruction(Modality.CXR, Task.REPORT, (image,), question, answer)
    yield from _classification(image, view, findings, rng)
    yield _detection(image, Task.ANATOMY_DETECTION, {n: [b] for n, b in view.boxes.items()}, rng)
    boxes = {label: [f.box for f in findings if f.label == label] for label in CHEST_FINDINGS}
    yield _detection(image, Task.PATHOLOGY_DETECTION, boxes, rng)
    for organ in CHEST_ORGANS:
        shown = organ in view.masks and bool(view.masks[organ].any())
        yield _segmentation(Modality.CXR, image, organ, rng, shown=shown)


def _classification(
    image: str, view: ChestView, findings: Sequence[FindingTruth], rng: np.random.Generator
) -> Iterator[Instruction]:
    """Labels at once, then yes/no: each present label, and one that is truly absent for balance."""
    yield Instruction(
        Modality.CXR,
        Task.CLASSIFICATION,
        (image,),
        _ask(Modality.CXR, Form.LABELS, rng),
        labels_text(findings),
    )
    present = {finding.label for finding in findings}
    absent = sorted(set(CHEST_FINDINGS) - {finding.label for finding in view.findings})
    asked = [(label, "Yes.") for label in CHEST_FINDINGS if label in present]
    if absent:
        asked.append((str(rng.choice(absent)), "No."))
    for label, answer in asked:
        question = _ask(Modality.CXR, Form.BINARY, rng, names=(label,))
        yield Instruction(Modality.CXR, Task.CLASSIFICATION, (image,), question, answer)


def _comparisons(
    images: tuple[str, str], changes: Sequence[ChangeTruth], rng: np.random.Generator
) -> Iterator[Instruction]:
    yield _comparison(Form.DIFFERENCE, images, (), changes_text(changes), rng)
    labels = [label for label in CHEST_FINDINGS if any(c.label == label for c in changes)]
    never = sorted(set(CHEST_FINDINGS) - set(labels))
    for label in [*labels, *([str(rng.choice(never))] if never else [])]:
        mine = [change for change in changes if change.label == label]
        answer = changes_text(mine) if mine else f"No {label} in either image."
        yield _comparison(Form.CHANGE, images, (label,), answer, rng)


def _comparison(
    form: Form, images: tuple[str, str], names: tuple[str, ...], answer: str, rng: np.random.Generator
) -> Instruction:
    question = _ask(Modality.CXR, form, rng, names=names, priors=1)
    return Instruction(Modality.CXR, Task.COMPARISON, images, question, answer)


def _detection(image: str, task: Task, boxes: dict[str, list[Box]], rng: np.random.Generator) -> Instruction:
    """Half of the questions name all labels in order, as serving does; the others a few in any order."""
    every = CHEST_STRUCTURES if task is Task.ANATOMY_DETECTION else CHEST_FINDINGS
    names: tuple[str, ...] = every[:DETECTION_GROUP]
    if rng.random() < 0.5:
        names = tuple(str(n) for n in rng.permutation(every)[: rng.integers(1, len(names) + 1)])
    targets = [sorted(boxes.get(name, []))[:BOXES_PER_NAME] for name in names]
    parts = [f"{n},{','.join(['<DET>'] * len(t)) or '<N/A>'}." for n, t in zip(names, targets, strict=True)]
    question = _ask(Modality.CXR, Form.DETECTION, rng, names=names)
    flat = tuple(box for target in targets for box in target)
    return Instruction(Modality.CXR, task, (image,), question, "".join(parts), boxes=flat)


def _abdomen(case: AbdomenCase, rng: np.random.Generator) -> Iterator[Instruction]:
    for organ in ABDOMINAL_ORGANS:
        shown = organ in case.masks and bool(case.masks[organ].any())
        yield _segmentation(Modality.CT, "current", organ, rng, shown=shown)


def _skin(case: SkinCase, rng: np.random.Generator) -> Iterator[Instruction]:
    question = _ask(Modality.DERM, Form.DIAGNOSIS, rng, context=_context(Modality.DERM, rng))
    answer = f"The main diagnosis is {case.diagnosis}."
    yield Instruction(Modality.DERM, Task.CLASSIFICATION, ("current",), question, answer)
    yield _segmentation(Modality.DERM, "current", "lesion", rng, shown=bool(case.mask.any()))


def _segmentation(
    modality: Modality, image: str, name: str, rng: np.random.Generator, *, shown: bool
) -> Instruction:
    question = _ask(modality, Form.SEGMENTATION, rng, names=(name,))
    if not shown:
        verb = "are" if name.endswith("s") else "is"
        place = "volume" if modality is Modality.CT else "image"
        answer = f"There {verb} no {name} in the {place}."
        return Instruction(modality, Task.SEGMENTATION, (image,), question, answer)
    tag = "<3DSEG>" if modality is Modality.CT else "<2DSEG>"
    answer = f"The segmentation mask of {name} is {tag}."
    return Instruction(modality, Task.SEGMENTATION, (image,), question, answer, mask=name)


def _gate(image: str, answer: str, rng: np.random.Generator) -> Instruction:
    question = _ask(Modality.CXR, Form.GATE, rng)
    return Instruction(Modality.CXR, Task.CLASSIFICATION, (image,), question, answer)


def _ask(
    modality: Modality,
    form: Form,
    rng: np.random.Generator,
    *,
    names: Sequence[str] = (),
    priors: int = 0,
    context: str = "",
) -> str:
    """Half of the questions use the first wording, as serving does."""
    wordings = WORDINGS[modality, form]
    wording = wordings[0] if rng.random() < 0.5 else wordings[int(rng.integers(len(wordings)))]
    return phrase(wording, names=names, priors=priors, context=context)


def _context(modality: Modality, rng: np.random.Generator) -> str:
    """An order that knows nothing of the truth, with fields missing as in life."""
    context = ClinicalContext(
        age_years=float(rng.uniform(18, 95)) if rng.random() < 0.6 else None,
        sex=str(rng.choice(("M", "F"))) if rng.random() < 0.6 else None,
        indication=str(rng.choice(_INDICATIONS)) if rng.random() < 0.3 else None,
        body_site=str(rng.choice(_SITES)) if rng.random() < 0.5 else None,
    )
    return context_text(modality, context)


def _shows(view: ChestView, change: ChangeTruth) -> bool:
    same = [f for f in view.findings if (f.label, f.laterality) == (change.label, change.laterality)]
    zoned = [f for f in same if f.zone == change.zone]
    return any(f.visibility >= 1 for f in zoned or same)


def _seen_status(change: ChangeTruth, now: bool, before: bool) -> ChangeStatus | None:
    if now and before:
        return change.status
    if now:
        return ChangeStatus.NEW
    return ChangeStatus.RESOLVED if before else None


def _with_absent(first: tuple[str, list[str]], second: tuple[str, list[str]], neither: str) -> list[str]:
    if not first[1] and not second[1]:
        return [neither]
    return [*(first[1] or [f"No {first[0]}."]), *(second[1] or [f"No {second[0]}."])]


def _told(label: str, findings: Sequence[FindingTruth]) -> list[str]:
    """Sentences for one label, without repetition."""
    return list(dict.fromkeys(_sentence(f) for f in findings if f.label == label))


def _sentence(finding: FindingTruth) -> str:
    size = ("small", "moderate", "large")[min(2, int(finding.extent * 3))]
    side = f"{finding.laterality} " if finding.laterality else ""
    place = (
        f" in the {side}{finding.zone} lung zone" if finding.zone else f" in the {side}lung" if side else ""
    )
    match finding.label:
        case "lung nodule":
            return f"There is a {size} nodule{place}."
        case "consolidation":
            return f"There is consolidation{place}."
        case "enlarged cardiac silhouette":
            return "The cardiac silhouette is enlarged."
        case label:
            return f"There is a {size} {side}{label}."


def _name(label: str, laterality: str | None, zone: str | None) -> str:
    """How a comparison or an impression calls a finding: `right upper lung nodule`."""
    place = " ".join(part for part in (laterality, zone) if part)
    noun = "lung consolidation" if label == "consolidation" and place else label
    return f"{place} {noun}" if place else noun


def _sentence_case(text: str) -> str:
    return text[:1].upper() + text[1:]
