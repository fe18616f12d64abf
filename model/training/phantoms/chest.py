"""Chest radiographs of one torso at one or two dates, with exact masks, boxes, findings and changes."""

from dataclasses import dataclass

import numpy as np
from scipy.ndimage import gaussian_filter

from model.reading import CHEST_FINDINGS, ChangeStatus
from model.training.phantoms import augment, devices
from model.training.phantoms.chest_findings import (
    DRAW,
    SMALLEST_EXTENT,
    Lesion,
    Trace,
    contrast_to_noise,
    draw_lesion,
    ratio_of_extent,
    zone,
)
from model.training.phantoms.projection import Picture, Pose, Scene
from model.training.phantoms.torso import Torso, draw_torso
from model.training.phantoms.truth import ChangeTruth, ChestCase, ChestView, Developed, FindingTruth

MARGIN = 1.09
LEAST_VISIBILITY = 1.5
TRIES = 6
HEART = "enlarged cardiac silhouette"
# Findings of a person over both dates; a fifth is resolved, so about a quarter of current images is normal.
_COUNT_WITH_PRIOR = (0.17, 0.35, 0.30, 0.18)
_COUNT_ALONE = (0.25, 0.37, 0.25, 0.13)
_COUNT_AGAIN = (0.12, 0.33, 0.35, 0.20)
_SHARE_AGAIN = {
    "lung nodule": 3 / 7,
    "consolidation": 2 / 7,
    "pleural effusion": 1 / 7,
    "pneumothorax": 1 / 7,
}
"""What is hard to see comes more often."""


@dataclass(frozen=True, slots=True)
class Course:
    """One lesion and its extents at the two dates; 0 where it is not there."""

    lesion: Lesion
    status: ChangeStatus
    now: float
    before: float


def draw_course(rng: np.random.Generator, label: str, status: ChangeStatus) -> Course:
    """Draw a lesion and the extents at both dates that make `status` true."""
    lesion = draw_lesion(rng, label)
    least = SMALLEST_EXTENT[label]
    if status in (ChangeStatus.INCREASED, ChangeStatus.DECREASED):
        small = rng.uniform(least, 0.62)
        large = rng.uniform(max(1.6 * small, 0.4), 1.0)
        pair = (large, small) if status is ChangeStatus.INCREASED else (small, large)
        return Course(lesion, status, *pair)
    extent = float(np.clip(rng.uniform(least, 1.0) ** 0.9, least, 1.0))
    now = 0.0 if status is ChangeStatus.RESOLVED else extent
    before = 0.0 if status is ChangeStatus.NEW else extent * rng.uniform(0.96, 1.04)
    return Course(lesion, status, now, max(before, least) if before else 0.0)


def _choices(rng: np.random.Generator, label: str, paired: bool) -> list[Course]:
    """Return places and sizes to try in turn for one finding; the status is settled first."""
    status = ChangeStatus(rng.choice(list(ChangeStatus))) if paired else ChangeStatus.NEW
    return [draw_course(rng, label, status) for _ in range(1 if label == HEART else TRIES)]


def _pose(rng: np.random.Generator, torso: Torso, heart_ratio: float) -> Pose:
    portable = bool(rng.random() < 0.4)
    filled = rng.uniform(0.68, 0.90), rng.uniform(0.66, 0.9)
    width = 2.06 * torso.half_width / filled[0]
    rise = float(rng.gamma(2.0, 9.0 if portable else 4.5))
    height = (torso.height + 40.0) / filled[1]
    above = (0.2 + 0.5 * rng.random()) * (height - torso.height - 20.0)
    return Pose(
        view="AP" if portable else "PA",
        yaw=float(rng.normal(0, 0.05 if portable else 0.025)),
        focus_mm=float(rng.uniform(1000, 1400) if portable else rng.uniform(1700, 1900)),
        rise=min(rise, 60.0),
        heart_ratio=heart_ratio,
        width_mm=width * MARGIN,
        height_mm=height * MARGIN,
        top_mm=torso.height + above + (MARGIN - 1) / 2 * height,
        seed=int(rng.integers(2**31)),
    )


def _heart_ratio(rng: np.random.Generator, usual: float, extent: float) -> float:
    return ratio_of_extent(extent) if extent else float(np.clip(usual + rng.normal(0, 0.008), 0.38, 0.482))


Traces = dict[Lesion, tuple[Trace, float, float]]
"""What each lesion draws, its visibility and its extent."""


class _Exposure:
    """One date of a case until it is developed."""

    def __init__(self, rng: np.random.Generator, torso: Torso, heart_ratio: float, size: int) -> None:
        self.rng, self.size = rng, size
        canvas = round(size * MARGIN)
        self.scene = Scene(torso, _pose(rng, torso, heart_ratio), (canvas, canvas))
        self.framing = augment.draw_framing(rng, (canvas, canvas), size)
        shift = rng.normal(0, 0.02 * size, 2).astype(np.float32)
        self.framing = augment.Framing(self.framing.rows + shift[0], self.framing.columns + shift[1])
        self.water = self.scene.water + self.scene.vessels
        self.backdrop = self.water - gaussian_filter(self.water, size / 22, truncate=2)

    def trace(self, lesion: Lesion, extent: float) -> tuple[Trace, float]:
        """Return what a lesion draws and how visible it is after framing; 0 where the frame cuts it."""
        found = DRAW[lesion.label](lesion, extent, self.scene)
        kept = int(self.framing.region(found.region).sum())
        if kept < 0.7 * int(found.region.sum()) or kept < 8:
            return found, 0.0
        if lesion.label == HEART:
            return found, 1.5 + 8.0 * extent
        return found, contrast_to_noise(found.water, found.region, self.backdrop)

    def view(self, traces: Traces, again: int) -> ChestView:
        """Develop these findings, and others `again` so many times."""
        shown, pitch = self._develop(traces, self.rng), self.scene.pitch
        masks = {name: self.framing.region(region) for name, region in self.scene.fields.items()}
        masks["heart"] = self.framing.region(self.scene.heart[1])
        regions = {**masks, **{name: self.framing.region(r) for name, r in self.scene.structures.items()}}
        return ChestView(
            pixels=shown.pixels,
            masks=masks,
            boxes={name: augment.box_of(region) for name, region in regions.items() if region.any()},
            findings=shown.findings,
            spacing_mm=(float(pitch[0]), float(pitch[1])),
            view=self.scene.pose.view,
            again=tuple(self._develop_other(traces, rng) for rng in self.rng.spawn(again)),
        )

    def _develop(self, traces: Traces, rng: np.random.Generator) -> Developed:
        """Compose, frame and finish."""
        water: Picture = self.water
        for trace, _, _ in traces.values():
            water = water + trace.water
        water = water + devices.draw_devices(rng, self.scene)
        pixels = augment.finish(rng, self.framing.picture(np.maximum(water, 0.0)))
        return Developed(pixels, tuple(self._truth(lesion, *trace) for lesion, trace in traces.items()))

    def _develop_other(self, traces: Traces, rng: np.random.Generator) -> Developed:
        """Put other findings in the place of all but the heart, which the body is drawn around."""
        count = int(rng.choice(4, p=_COUNT_AGAIN))
        labels = rng.choice(list(_SHARE_AGAIN), count, replace=False, p=list(_SHARE_AGAIN.values()))
        heart = {lesion: trace for lesion, trace in traces.items() if lesion.label == HEART}
        _, (drawn,) = _keep_visible([_choices(rng, str(label), False) for label in labels], [self], [heart])
        return self._develop(drawn, rng)

    def _truth(self, lesion: Lesion, trace: Trace, visibility: float, extent: float) -> FindingTruth:
        return FindingTruth(
            label=lesion.label,
            laterality=lesion.laterality,
            zone=zone(lesion, trace.region, self.scene),
            extent=float(extent),
            box=augment.box_of(self.framing.region(trace.region)),
            visibility=float(visibility),
        )


def _keep_visible(
    courses: list[list[Course]], dates: list[_Exposure], drawn: list[Traces]
) -> tuple[list[Course], list[Traces]]:
    """Draw every lesion at all dates; leave out of all what is hidden, cut off or in another's place.

    `drawn` is what is there already.
    """
    kept: list[Course] = []
    for choice in courses:
        for course in choice:
            extents = (course.now, course.before)[: len(dates)]
            tries = [
                date.trace(course.lesion, e) if e else None for date, e in zip(dates, extents, strict=True)
            ]
            if not all(
                found is None or _stands(found, others) for found, others in zip(tries, drawn, strict=True)
            ):
                continue
            kept.append(course)
            for found, others, extent in zip(tries, drawn, extents, strict=True):
                if found is not None:
                    others[course.lesion] = (*found, extent)
            break
    return kept, drawn


def _stands(found: tuple[Trace, float], others: Traces) -> bool:
    region = found[0].region
    shared = (
        int((region & other.region).sum())
        for lesion, (other, _, _) in others.items()
        if lesion.label != HEART
    )
    return found[1] >= LEAST_VISIBILITY and all(s < 0.15 * max(int(region.sum()), 1) for s in shared)


def make_chest_case(
    seed: int, *, size: int = 224, with_prior: bool | None = None, again: int = 0
) -> ChestCase:
    """Make one patient with a current and, in about 85 % where `with_prior` is None, a prior radiograph.

    Each is developed `again` so many times with other findings, at a fifth of the cost of a new one.
    """
    rng = np.random.default_rng([seed, 20])
    torso = draw_torso(rng)
    drawn = bool(rng.random() < 0.85)
    paired = drawn if with_prior is None else with_prior
    count = int(rng.choice(4, p=_COUNT_WITH_PRIOR if paired else _COUNT_ALONE))
    labels = [str(label) for label in rng.permutation(CHEST_FINDINGS)[:count]]
    # The heart is part of the body that the others are drawn on, so it goes first.
    courses = [_choices(rng, label, paired) for label in sorted(labels, key=lambda label: label != HEART)]
    heart = next((choice[0] for choice in courses if choice[0].lesion.label == HEART), None)
    usual = rng.normal(0.455, 0.022)
    extents = [(heart.now, heart.before) if heart else (0.0, 0.0)][0]
    dates = [
        _Exposure(np.random.default_rng([seed, 21 + n]), torso, _heart_ratio(rng, usual, extents[n]), size)
        for n in range(2 if paired else 1)
    ]
    kept, traces = _keep_visible(courses, dates, [{} for _ in dates])
    views = [date.view(found, again) for date, found in zip(dates, traces, strict=True)]
    changes = tuple(
        ChangeTruth(c.lesion.label, c.lesion.laterality, _zone_of(c, views), c.status) for c in kept if paired
    )
    days = int(rng.choice([1, 2, 5, 9, 30, 90, 180, 365, 700])) if paired else 0
    return ChestCase(seed, views[0], views[1] if paired else None, days, changes)


def _zone_of(course: Course, views: list[ChestView]) -> str | None:
    for view in views:
        for finding in view.findings:
            if finding.label == course.lesion.label:
                return finding.zone
    return None
