"""Puts what a phantom knows about itself into words, as the answers of instruction tuning tell it.

The answers are short radiology English in one fixed style and a canonical order of findings, so that a very
small language model can learn them; `model.answers` reads them back without loss.
"""

from collections.abc import Sequence

from model.reading import CHEST_FINDINGS, ChangeStatus
from model.training.phantoms.truth import ChangeTruth, ChestCase, ChestView, FindingTruth

FRONTAL_CHEST = "A frontal chest radiograph."
NOT_FRONTAL_CHEST = "Not a frontal chest radiograph."
NO_FINDING = "no finding"
NO_CHANGE = "No significant change."

_VERBS = {
    ChangeStatus.NEW: "is new",
    ChangeStatus.INCREASED: "has increased",
    ChangeStatus.DECREASED: "has decreased",
    ChangeStatus.UNCHANGED: "is unchanged",
    ChangeStatus.RESOLVED: "has resolved",
}


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
    named = dict.fromkeys(sentence_case(finding_name(f.label, f.laterality, None)) for f in findings)
    return " ".join(f"{name}." for name in named) or "No acute abnormality."


def labels_text(findings: Sequence[FindingTruth]) -> str:
    """Comma-separated labels in canonical order."""
    present = {finding.label for finding in findings}
    return ",".join(label for label in CHEST_FINDINGS if label in present) or NO_FINDING


def changes_text(changes: Sequence[ChangeTruth]) -> str:
    """One sentence per change; the zone is named only where it tells two changes apart."""
    return " ".join(change_sentences(changes)) or NO_CHANGE


def change_sentences(changes: Sequence[ChangeTruth]) -> dict[str, list[ChangeTruth]]:
    """Each sentence, in order, and the changes that it tells."""
    sentences: dict[str, list[ChangeTruth]] = {}
    for change in changes:
        twins = [c for c in changes if (c.label, c.laterality) == (change.label, change.laterality)]
        zone = change.zone if len({c.status for c in twins}) > 1 else None
        told = f"The {finding_name(change.label, change.laterality, zone)} {_VERBS[change.status]}."
        sentences.setdefault(told, []).append(change)
    return sentences


def _with_absent(first: tuple[str, list[str]], second: tuple[str, list[str]], neither: str) -> list[str]:
    if not first[1] and not second[1]:
        return [neither]
    return [*(first[1] or [f"No {first[0]}."]), *(second[1] or [f"No {second[0]}."])]


def _told(label: str, findings: Sequence[FindingTruth]) -> list[str]:
    """Sentences for one label, without repetition."""
    return list(dict.fromkeys(finding_sentence(f) for f in findings if f.label == label))


def size_word(extent: float) -> str:
    """Thirds of what is generated."""
    return ("small", "moderate", "large")[min(2, int(extent * 3))]


def finding_sentence(finding: FindingTruth) -> str:
    size = size_word(finding.extent)
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


def finding_name(label: str, laterality: str | None, zone: str | None) -> str:
    """How a comparison or an impression calls a finding: `right upper lung nodule`."""
    place = " ".join(part for part in (laterality, zone) if part)
    noun = "lung consolidation" if label == "consolidation" and place else label
    return f"{place} {noun}" if place else noun


def sentence_case(text: str) -> str:
    return text[:1].upper() + text[1:]


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
