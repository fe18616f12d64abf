"""Sums up where a candidate differs from the weights in service, over all studies that both have read."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from model.reading import Presence
from worker.shadow.differences import Differences
from worker.shadow.records import ShadowRecord


@dataclass(frozen=True, slots=True)
class Agreement:
    """How two sets of weights judged one finding, in studies that both read."""

    both: int
    only_serving: int
    only_candidate: int
    neither: int

    @property
    def kappa(self) -> float | None:
        """Cohen's kappa; None where one of them always says the same, so that chance alone decides."""
        n = self.both + self.only_serving + self.only_candidate + self.neither
        serving, candidate = self.both + self.only_serving, self.both + self.only_candidate
        chance = (serving * candidate + (n - serving) * (n - candidate)) / n**2 if n else 1.0
        return None if chance == 1.0 else ((self.both + self.neither) / n - chance) / (1 - chance)


@dataclass(frozen=True, slots=True)
class Tally:
    """Everything that a report of a shadow says."""

    serving: tuple[str, ...]
    candidate: tuple[str, ...]
    studies: int
    failures: Mapping[str, int]
    declined: Mapping[str, int]
    findings: Mapping[str, Agreement]
    changes: Mapping[str, tuple[int, int]]
    """Studies in which both say the same of a label's change, and in which either says something."""
    boxes: Mapping[str, tuple[int, float]]
    """Studies and mean intersection over union of each label."""
    masks: Mapping[str, tuple[int, float]]
    """Studies and mean Dice coefficient of each label."""
    seconds: tuple[float, float]
    """Mean time of a reading, serving weights first."""
    differing: Sequence[tuple[str, tuple[str, ...]]]
    """Study Instance UID, and what differs there."""

    def values(self) -> dict[str, Any]:
        """As values that JSON holds."""
        said = asdict(self)
        for label, agreement in self.findings.items():
            said["findings"][label]["kappa"] = agreement.kappa
        return said


def tally(records: Iterable[ShadowRecord]) -> Tally:
    """Sum records up."""
    kept = list(records)
    compared = [(r, r.differences) for r in kept if r.differences is not None]
    read = [found for _, found in compared if not any(found.declined)]
    names = ("both", "only serving", "only candidate", "neither")
    declined = Counter(_which(*found.declined) for _, found in compared)
    count = max(len(compared), 1)
    return Tally(
        serving=tuple(sorted({r.serving for r in kept})),
        candidate=tuple(sorted({r.candidate for r in kept})),
        studies=len(compared),
        failures=dict(Counter(r.failure for r in kept if r.failure)),
        declined={name: declined[name] for name in names},
        findings=_findings(read),
        changes=_changes(read),
        boxes=_means(found.boxes for found in read),
        masks=_means(found.masks for found in read),
        seconds=(
            round(sum(r.seconds[0] for r, _ in compared) / count, 3),
            round(sum(r.seconds[1] for r, _ in compared) / count, 3),
        ),
        differing=[(r.study_instance_uid, what) for r, found in compared if (what := found.told())],
    )


def _which(first: bool, second: bool) -> str:
    if first == second:
        return "both" if first else "neither"
    return "only serving" if first else "only candidate"


def _findings(read: Sequence[Differences]) -> dict[str, Agreement]:
    labels = sorted({label for found in read for label in found.presence})
    counts = {
        label: Counter(
            _which(*(said == Presence.PRESENT for said in found.presence.get(label, (None, None))))
            for found in read
        )
        for label in labels
    }
    return {
        label: Agreement(n["both"], n["only serving"], n["only candidate"], n["neither"])
        for label, n in counts.items()
    }


def _changes(read: Sequence[Differences]) -> dict[str, tuple[int, int]]:
    said = [(label, first == second) for found in read for label, (first, second) in found.changes.items()]
    same = Counter(label for label, alike in said if alike)
    return {label: (same[label], n) for label, n in sorted(Counter(label for label, _ in said).items())}


def _means(all_overlaps: Iterable[Mapping[str, float]]) -> dict[str, tuple[int, float]]:
    gathered: dict[str, list[float]] = defaultdict(list)
    for overlaps in all_overlaps:
        for label, value in overlaps.items():
            gathered[label].append(value)
    return {label: (len(v), round(sum(v) / len(v), 4)) for label, v in sorted(gathered.items())}
