"""Truths of chests drawn at random, without pixels: what is told of them can be checked without a phantom."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from model.reading import CHEST_FINDINGS, CHEST_ORGANS, CHEST_STRUCTURES, ChangeStatus, Laterality
from model.training.phantoms.truth import Box, ChangeTruth, ChestCase, ChestView, FindingTruth

NODULE, CONSOLIDATION, EFFUSION, PNEUMOTHORAX, HEART = CHEST_FINDINGS
MASK = np.ones((4, 4), np.bool_)
BLANK: NDArray[np.float32] = np.zeros((4, 4), np.float32)


def random_finding(rng: np.random.Generator, label: str) -> FindingTruth:
    x, y = rng.uniform(0, 0.5, 2)
    box: Box = (float(x), float(y), float(x) + 0.2, float(y) + 0.3)
    side = None if label == HEART else Laterality(str(rng.choice(["left", "right"])))
    zone = str(rng.choice(["upper", "mid", "lower"])) if label in (NODULE, CONSOLIDATION) else None
    return FindingTruth(
        label, side, zone, float(rng.random()), box, float(rng.choice([0.5, 2, 5], p=[0.2, 0.4, 0.4]))
    )


def random_view(rng: np.random.Generator) -> ChestView:
    count = int(rng.choice(4, p=[0.3, 0.4, 0.2, 0.1]))
    findings = {}
    for label in rng.choice(CHEST_FINDINGS, count):
        found = random_finding(rng, str(label))
        findings[(found.label, found.laterality, found.zone)] = found
    boxes = {n: (0.1, 0.1, 0.4, 0.8) for n in CHEST_STRUCTURES if rng.random() < 0.9}
    masks = {organ: MASK for organ in CHEST_ORGANS}
    return ChestView(BLANK, masks, boxes, tuple(findings.values()), (1.0, 1.0), "PA")


def random_case(seed: int) -> ChestCase:
    """Two views whose findings are related only by chance; the changes follow from them."""
    rng = np.random.default_rng(seed)
    now, before = random_view(rng), random_view(rng)
    key: Any = lambda f: (f.label, f.laterality, f.zone)  # noqa: E731  # used twice, named once
    seen_now, seen_before = {key(f) for f in now.findings}, {key(f) for f in before.findings}
    changes: list[ChangeTruth] = []
    for place in sorted(seen_now | seen_before, key=str):
        status = ChangeStatus(str(rng.choice(["increased", "decreased", "unchanged"])))
        if place not in seen_before:
            status = ChangeStatus.NEW
        if place not in seen_now:
            status = ChangeStatus.RESOLVED
        changes.append(ChangeTruth(*place, status))
    return ChestCase(seed, now, before, 30, tuple(changes))
