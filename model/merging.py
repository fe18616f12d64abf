"""Merges what a model says of one chest in several ways (classification, report, boxes) into findings.

The ways check each other. Where they disagree the reader of the result is told, a side that is contradicted
is withheld, and a finding that two ways deny to the third is left undetermined.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from model.reading import (
    BoundingBox,
    Change,
    ChangeStatus,
    Disagreement,
    Finding,
    Laterality,
    Presence,
)
from model.report_language.statements import Statement
from model.vocabulary import Vocabulary, display_name

UNSURE = (0.35, 0.65)
"""Probability of yes between which a yes/no answer determines nothing."""

YES_NO = "yes/no answer"
REPORT = "report text"


@dataclass(slots=True)
class Evidence:
    """All that was said of one radiograph; filled answer by answer."""

    probabilities: dict[str, float] = field(default_factory=dict[str, float])
    """P(yes) for each label that was asked and answered by yes or no."""
    labels: frozenset[str] | None = None
    """The labels of the classification in one answer; None if it gave none."""
    statements: list[Statement] = field(default_factory=list[Statement])
    """Of the findings section."""
    impression: list[Statement] = field(default_factory=list[Statement])
    """Of the impression: it must not contradict the others, and concludes nothing by itself."""
    boxes: dict[str, list[BoundingBox]] = field(default_factory=dict[str, list[BoundingBox]])
    """For each label that detection answered; empty for `<N/A>`."""


@dataclass(slots=True)
class Merged:
    """What was concluded, and where the ways to it disagree."""

    findings: list[Finding] = field(default_factory=list[Finding])
    caveats: list[str] = field(default_factory=list[str])
    disagreements: dict[str, Disagreement] = field(default_factory=dict[str, Disagreement])
    """By label."""
    votes: dict[str, tuple[tuple[str, Presence], ...]] = field(
        default_factory=dict[str, tuple[tuple[str, Presence], ...]]
    )
    """What each way said of each label that was concluded on."""


def merge_findings(evidence: Evidence, vocabulary: Vocabulary) -> Merged:
    """Conclude on every chest finding that was asked or mentioned."""
    merged = Merged()
    for label in (*vocabulary.chest_findings, *vocabulary.told_only):
        votes = _votes(label, evidence)
        if label in vocabulary.told_only:
            # A list of labels never names it, which denies nothing.
            votes = tuple(vote for vote in votes if vote[0] == REPORT)
        presence, certainty, against = _conclude(label, evidence, votes)
        summed = _said(label, evidence.impression)
        if _contradict(summed, dict(votes).get(REPORT)):
            merged.caveats.append(f"Findings and impression disagree on {display_name(label)}.")
        if presence is None:
            continue
        if summed is not None:
            votes = (*votes, ("impression", summed))
        merged.votes[label] = votes
        merged.caveats += [
            f"The {way} and the conclusion on {display_name(label)} disagree." for way in against
        ]
        if against or {Presence.PRESENT, Presence.ABSENT} <= {vote for _, vote in votes}:
            merged.disagreements[label] = Disagreement(label, votes, presence)
        if presence is Presence.PRESENT:
            _place(label, certainty, evidence, merged)
        else:
            merged.findings.append(_unplaced(label, presence, certainty, evidence))
    return merged


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
            name = display_name(change.label)
            caveats[f"The comparison and the reading of the current study disagree on {name}."] = None
    return list(caveats)


def _votes(label: str, evidence: Evidence) -> tuple[tuple[str, Presence], ...]:
    """What each way says, the yes/no answer first; a way that says nothing has no vote."""
    probability = evidence.probabilities.get(label)
    votes = {
        YES_NO: None if probability is None else _by_probability(probability)[0],
        REPORT: _said(label, evidence.statements),
        "boxes": _boxed(label, evidence),
        "list of labels": _listed(label, evidence),
    }
    return tuple((way, vote) for way, vote in votes.items() if vote is not None)


def _conclude(
    label: str, evidence: Evidence, votes: Sequence[tuple[str, Presence]]
) -> tuple[Presence | None, float | None, list[str]]:
    """Presence by the first vote, checked by the others: certainty, and which ways are against it."""
    if not votes:
        return None, None, []
    way, presence = votes[0]
    certainty = _by_probability(evidence.probabilities[label])[1] if way == YES_NO else None
    if presence is Presence.UNDETERMINED:
        return presence, None, []
    against = [way for way, vote in votes[1:] if vote not in (Presence.UNDETERMINED, presence)]
    if len(against) > 1:
        return Presence.UNDETERMINED, None, against
    return presence, certainty, against


def _by_probability(probability: float) -> tuple[Presence, float | None]:
    if UNSURE[0] < probability < UNSURE[1]:
        return Presence.UNDETERMINED, None
    if probability >= UNSURE[1]:
        return Presence.PRESENT, probability
    return Presence.ABSENT, 1 - probability


def _said(label: str, statements: Iterable[Statement]) -> Presence | None:
    """What the report says; a denial of one side denies the finding only where the other is denied too."""
    mine = [statement for statement in statements if statement.label == label]
    present = {
        side for s in mine if s.presence is Presence.PRESENT for side in _sides(s.laterality) or (None,)
    }
    votes: set[Presence] = set()
    denied: set[Laterality] = set()
    for statement in mine:
        sides = set(_sides(statement.laterality))
        if statement.presence is not Presence.ABSENT or not sides:
            votes.add(statement.presence)
        elif sides & present:
            return Presence.UNDETERMINED
        denied |= sides if statement.presence is Presence.ABSENT else set()
    if not votes and denied == {Laterality.LEFT, Laterality.RIGHT}:
        return Presence.ABSENT
    if len(votes) > 1:
        return Presence.UNDETERMINED
    return next(iter(votes), None)


def _contradict(impression: Presence | None, findings: Presence | None) -> bool:
    """Whether an impression adds a finding or denies one; that it passes over one is its nature."""
    if impression is Presence.PRESENT:
        return findings is not Presence.PRESENT
    return impression is Presence.ABSENT and findings is Presence.PRESENT


def _boxed(label: str, evidence: Evidence) -> Presence | None:
    if label not in evidence.boxes:
        return None
    return Presence.PRESENT if evidence.boxes[label] else Presence.ABSENT


def _listed(label: str, evidence: Evidence) -> Presence | None:
    if evidence.labels is None:
        return None
    return Presence.PRESENT if label in evidence.labels else Presence.ABSENT


def _unplaced(label: str, presence: Presence, certainty: float | None, evidence: Evidence) -> Finding:
    words = [s.sentence for s in evidence.statements if s.label == label and s.presence is presence]
    kept = tuple(evidence.boxes.get(label, ())) if presence is Presence.UNDETERMINED else ()
    return Finding(label, presence, certainty, None, words[0] if words else "", kept)


def _place(label: str, certainty: float | None, evidence: Evidence, merged: Merged) -> None:
    """One finding per side. Text and boxes must agree on it; what only one of them knows is believed."""
    boxes = evidence.boxes.get(label, [])
    present = [s for s in evidence.statements if s.label == label and s.presence is Presence.PRESENT]
    words = {side: s for s in reversed(present) for side in _sides(s.laterality)}
    first, degree = (present[0].sentence, present[0].severity) if present else ("", None)
    box_sides = {side for box in boxes for side in _sides(box.laterality)}
    if words and box_sides and not box_sides & set(words):
        merged.caveats.append(
            f"The report text and the boxes place {display_name(label)} on opposite sides; "
            "side and boxes are withheld."
        )
        merged.findings.append(Finding(label, Presence.PRESENT, certainty, None, first, severity=degree))
        return
    sides = sorted(words or box_sides)
    if not sides:
        merged.findings.append(Finding(label, Presence.PRESENT, certainty, None, first, tuple(boxes), degree))
    if sides and any(side not in sides for side in box_sides):
        merged.caveats.append(
            f"A box of {display_name(label)} on a side that the report text does not name was left out."
        )
    for n, side in enumerate(sides):
        mine = tuple(b for b in boxes if b.laterality == side or (b.laterality is None and n == 0))
        said, size = (words[side].sentence, words[side].severity) if side in words else ("", None)
        merged.findings.append(Finding(label, Presence.PRESENT, certainty, side, said, mine, size))


def _sides(laterality: Laterality | None) -> tuple[Laterality, ...]:
    if laterality is Laterality.BILATERAL:
        return (Laterality.LEFT, Laterality.RIGHT)
    return (laterality,) if laterality else ()
