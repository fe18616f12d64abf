"""Merges what a model says of one chest in several ways (classification, report, boxes) into findings.

The ways check each other. Where they disagree the reader of the result is told, a side that is contradicted
is withheld, and a finding that two ways deny to the third is left undetermined.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from model.reading import CHEST_FINDINGS, BoundingBox, Change, ChangeStatus, Finding, Laterality, Presence
from model.report_language.statements import Statement

UNSURE = (0.35, 0.65)
"""Probability of yes between which a yes/no answer determines nothing."""


@dataclass(slots=True)
class Evidence:
    """All that was said of one radiograph; filled answer by answer."""

    probabilities: dict[str, float] = field(default_factory=dict[str, float])
    """P(yes) for each label that was asked and answered by yes or no."""
    labels: frozenset[str] | None = None
    """The labels of the classification in one answer; None if it gave none."""
    statements: list[Statement] = field(default_factory=list[Statement])
    boxes: dict[str, list[BoundingBox]] = field(default_factory=dict[str, list[BoundingBox]])
    """For each label that detection answered; empty for `<N/A>`."""


def merge_findings(evidence: Evidence) -> tuple[list[Finding], list[str]]:
    """Conclude on every chest finding that was asked or mentioned; also the caveats of disagreement."""
    findings: list[Finding] = []
    caveats: list[str] = []
    for label in CHEST_FINDINGS:
        presence, certainty, doubts = _conclude(label, evidence)
        caveats += doubts
        if presence is None:
            continue
        said = [s for s in evidence.statements if s.label == label]
        boxes = evidence.boxes.get(label, [])
        if presence is Presence.PRESENT:
            placed, contradictions = _by_side(label, certainty, said, boxes)
            findings += placed
            caveats += contradictions
            continue
        words = next((s.sentence for s in said if s.presence is presence), "")
        kept = tuple(boxes) if presence is Presence.UNDETERMINED else ()
        findings.append(Finding(label, presence, certainty, None, words, kept))
    return findings, caveats


def check_changes(changes: Iterable[Change], findings: Sequence[Finding]) -> list[str]:
    """Caveats where a comparison contradicts the reading of the current study, in presence or in side."""
    caveats: dict[str, None] = {}
    for change in changes:
        mine = [finding for finding in findings if finding.label == change.label]
        present = [finding for finding in mine if finding.presence is Presence.PRESENT]
        there = {side for finding in present for side in _sides(finding.laterality)}
        claimed = set(_sides(change.laterality))
        if change.status is ChangeStatus.RESOLVED:
            wrong = bool(present) and (not there or not claimed or bool(there & claimed))
        else:
            absent = bool(mine) and all(finding.presence is Presence.ABSENT for finding in mine)
            wrong = absent or bool(there and claimed and not there & claimed)
        if wrong:
            caveats[f"The comparison and the reading of the current study disagree on {change.label}."] = None
    return list(caveats)


def _conclude(label: str, evidence: Evidence) -> tuple[Presence | None, float | None, list[str]]:
    """Presence by the yes/no answer, else by the report, else by the boxes, checked by the other ways."""
    others = {
        "report text": _said(label, evidence),
        "boxes": _boxed(label, evidence),
        "list of labels": _listed(label, evidence),
    }
    probability = evidence.probabilities.get(label)
    if probability is None:
        ranked = [presence for presence in others.values() if presence is not None]
        if not ranked:
            return None, None, []
        presence, certainty = ranked[0], None
    else:
        presence, certainty = _by_probability(probability)
    if presence is Presence.UNDETERMINED:
        return presence, None, []
    against = [way for way, other in others.items() if other not in (None, Presence.UNDETERMINED, presence)]
    doubts = [f"The {way} and the conclusion on {label} disagree." for way in against]
    if len(against) > 1:
        return Presence.UNDETERMINED, None, doubts
    return presence, certainty, doubts


def _by_probability(probability: float) -> tuple[Presence, float | None]:
    if UNSURE[0] < probability < UNSURE[1]:
        return Presence.UNDETERMINED, None
    if probability >= UNSURE[1]:
        return Presence.PRESENT, probability
    return Presence.ABSENT, 1 - probability


def _said(label: str, evidence: Evidence) -> Presence | None:
    said = {s.presence for s in evidence.statements if s.label == label}
    if len(said) > 1:
        return Presence.UNDETERMINED
    return next(iter(said), None)


def _boxed(label: str, evidence: Evidence) -> Presence | None:
    if label not in evidence.boxes:
        return None
    return Presence.PRESENT if evidence.boxes[label] else Presence.ABSENT


def _listed(label: str, evidence: Evidence) -> Presence | None:
    if evidence.labels is None:
        return None
    return Presence.PRESENT if label in evidence.labels else Presence.ABSENT


def _by_side(
    label: str, certainty: float | None, said: Sequence[Statement], boxes: Sequence[BoundingBox]
) -> tuple[list[Finding], list[str]]:
    """One finding per side. Text and boxes must agree on it; what only one of them knows is believed."""
    present = [s for s in said if s.presence is Presence.PRESENT]
    words = {side: s.sentence for s in reversed(present) for side in _sides(s.laterality)}
    evidence = present[0].sentence if present else ""
    box_sides = {side for box in boxes for side in _sides(box.laterality)}
    if words and box_sides and not box_sides & set(words):
        doubt = f"The report text and the boxes place {label} on opposite sides; side and boxes are withheld."
        return [Finding(label, Presence.PRESENT, certainty, None, evidence)], [doubt]
    sides = sorted(words or box_sides)
    if not sides:
        return [Finding(label, Presence.PRESENT, certainty, None, evidence, tuple(boxes))], []
    caveats: list[str] = []
    if any(side not in sides for side in box_sides):
        caveats.append(f"A box of {label} on a side that the report text does not name was left out.")
    findings: list[Finding] = []
    for n, side in enumerate(sides):
        mine = [b for b in boxes if b.laterality == side or (b.laterality is None and n == 0)]
        findings.append(Finding(label, Presence.PRESENT, certainty, side, words.get(side, ""), tuple(mine)))
    return findings, caveats


def _sides(laterality: Laterality | None) -> tuple[Laterality, ...]:
    if laterality is Laterality.BILATERAL:
        return (Laterality.LEFT, Laterality.RIGHT)
    return (laterality,) if laterality else ()
