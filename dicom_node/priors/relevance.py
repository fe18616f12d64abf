"""Pure rule: which earlier studies are worth comparing with, how much, and why."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from typing import Final

from dicom_node.priors.anatomy import planes, regions, sides
from dicom_node.priors.identity import why_another_patient
from dicom_node.priors.source import Candidate

MODALITY_GROUPS: Final[dict[str, frozenset[str]]] = {
    "radiograph": frozenset(("CR", "DX", "RG")),
    "CT": frozenset(("CT",)),
    "photograph": frozenset(("XC", "DMS", "GM", "ES")),
}
"""Modalities (0008,0060) that show the same thing in the same way."""
CARRIERS: Final = frozenset(("OT", "SC", ""))
"""Modalities that say nothing: a digitized film or an export may be anything."""
DERIVED: Final = frozenset(
    (
        *("SR", "SEG", "PR", "KO", "DOC", "REG", "ANN", "AU", "FID", "PLAN", "RWV"),
        *("RTSTRUCT", "RTDOSE", "RTPLAN", "RTRECORD"),
    )
)
"""Modalities of reports, results and marks: made from images, no images to compare with."""

MOST_POINTS: Final[dict[str, int]] = {
    "patient": 10,
    "modality": 15,
    "body part": 15,
    "procedure": 8,
    "side": 6,
    "view": 6,
    "age": 40,
}
"""What each part of a score can be worth; 100 together. Age outweighs: the last comparable study is read."""
HALF_WORTH_DAYS: Final = 365
"""A prior of this age has half the points of one of today."""


@dataclass(frozen=True, slots=True)
class Part:
    """One part of a score."""

    points: int
    words: str = ""
    """What was compared, in words without identity; empty where there is nothing to say."""


@dataclass(frozen=True, slots=True)
class Judgement:
    """What was found of one candidate."""

    candidate: Candidate
    parts: dict[str, Part]
    """By the keys of `MOST_POINTS`."""
    obstacle: str = ""
    """Why it cannot be a prior, in words without identity; empty if it can."""

    @property
    def score(self) -> int:
        return sum(part.points for part in self.parts.values())

    @property
    def why(self) -> str:
        """What makes it comparable, in words without identity."""
        return ", ".join(part.words for part in self.parts.values() if part.words)


def judged(current: Candidate, candidates: Iterable[Candidate]) -> list[Judgement]:
    """Judge all candidates: those that can be compared with first, by score and then by date; others last."""
    judgements = [judge(current, candidate) for candidate in candidates]
    return sorted(
        judgements,
        key=lambda found: (not found.obstacle, found.score, _moment(found.candidate)),
        reverse=True,
    )


def judge(current: Candidate, earlier: Candidate) -> Judgement:
    """Judge one candidate."""
    parts = {
        "patient": _patient(current, earlier),
        "modality": _modality(current, earlier),
        "body part": _body_part(current, earlier),
        "procedure": _procedure(current, earlier),
        "side": _side(current, earlier),
        "view": _view(current, earlier),
        "age": _age(current, earlier),
    }
    return Judgement(earlier, parts, _obstacle(current, earlier))


def _obstacle(current: Candidate, earlier: Candidate) -> str:
    if earlier.study_instance_uid == current.study_instance_uid:
        return "the study itself"
    if why := why_another_patient(current, earlier):
        return why
    if not _is_before(earlier, current):
        return "not surely older"
    return _why_incomparable(current, earlier)


def _why_incomparable(current: Candidate, earlier: Candidate) -> str:
    if earlier.modalities and not _imaging(earlier):
        return "reports and results only, no images"
    groups, parts = (_groups(current), _groups(earlier)), (regions(current), regions(earlier))
    if not groups[0] & groups[1] and ((groups[0] and groups[1]) or _is_other_kind(earlier)):
        return "another kind of image"
    if all(parts) and not parts[0] & parts[1]:
        return f"another body part ({min(parts[1])})"
    both = sides(current), sides(earlier)
    if all(both) and not both[0] & both[1]:
        return f"the other side ({min(both[1])})"
    if not groups[0] & groups[1] and not parts[0] & parts[1]:
        return "neither modality nor body part is known to be the same"
    return ""


def _patient(current: Candidate, earlier: Candidate) -> Part:
    if why_another_patient(current, earlier):
        return Part(0)
    is_same_issuer = bool(earlier.patient.issuer) and earlier.patient.issuer == current.patient.issuer
    return Part(MOST_POINTS["patient"] if is_same_issuer else MOST_POINTS["patient"] // 2)


def _modality(current: Candidate, earlier: Candidate) -> Part:
    most = MOST_POINTS["modality"]
    same = _groups(current) & _groups(earlier)
    if not same:
        return Part(most // 3, "modality not stated") if not _groups(earlier) else Part(0)
    is_identical = bool(_imaging(current) & _imaging(earlier))
    return Part(most if is_identical else most * 2 // 3, f"same modality group ({min(same)})")


def _body_part(current: Candidate, earlier: Candidate) -> Part:
    most, parts = MOST_POINTS["body part"], (regions(current), regions(earlier))
    if same := parts[0] & parts[1]:
        return Part(most, f"same body part ({min(same)})")
    return Part(0) if all(parts) else Part(most // 3, "body part not stated")


def _procedure(current: Candidate, earlier: Candidate) -> Part:
    is_same = bool(set(current.procedures) & set(earlier.procedures))
    return Part(MOST_POINTS["procedure"], "same procedure code") if is_same else Part(0)


def _side(current: Candidate, earlier: Candidate) -> Part:
    same = sides(current) & sides(earlier)
    return Part(MOST_POINTS["side"], f"same side ({' and '.join(sorted(same))})") if same else Part(0)


def _view(current: Candidate, earlier: Candidate) -> Part:
    same = planes(current) & planes(earlier)
    return Part(MOST_POINTS["view"], f"same view ({' and '.join(sorted(same))})") if same else Part(0)


def _age(current: Candidate, earlier: Candidate) -> Part:
    dates = parse_date(earlier.study_date), parse_date(current.study_date)
    if dates[0] is None or dates[1] is None or not _is_before(earlier, current):
        return Part(0)
    days = (dates[1] - dates[0]).days
    points = round(MOST_POINTS["age"] / (1 + days / HALF_WORTH_DAYS))
    words = "earlier the same day" if days == 0 else f"{days} day{'s' if days > 1 else ''} before"
    return Part(points, words)


def _imaging(candidate: Candidate) -> set[str]:
    return {modality.strip().upper() for modality in candidate.modalities} - DERIVED


def _is_other_kind(candidate: Candidate) -> bool:
    """Say whether its images are stated to be of a kind that is in no group."""
    return bool(_imaging(candidate) - CARRIERS) and not _groups(candidate)


def _groups(candidate: Candidate) -> set[str]:
    return {name for name, members in MODALITY_GROUPS.items() if members & _imaging(candidate)}


def _moment(candidate: Candidate) -> tuple[str, str]:
    return candidate.study_date, _digits(candidate.study_time)


def _digits(time: str) -> str:
    return re.sub(r"\D", "", time.split(".")[0]).ljust(6, "0") if time else ""


def _is_before(earlier: Candidate, current: Candidate) -> bool:
    """Say whether one study is surely older; of two on one day both must tell their time."""
    if parse_date(earlier.study_date) is None or parse_date(current.study_date) is None:
        return False
    if earlier.study_date != current.study_date:
        return earlier.study_date < current.study_date
    times = _digits(earlier.study_time), _digits(current.study_time)
    return all(times) and times[0] < times[1]


def parse_date(text: str) -> date | None:
    """Read a DA value (PS3.5 6.2); None if it is absent or no date."""
    if re.fullmatch(r"[0-9]{8}", text) is None:
        return None
    try:
        return date(int(text[:4]), int(text[4:6]), int(text[6:]))
    except ValueError:
        return None
