"""Chest radiographs of one torso at one or two dates, with exact masks, boxes, findings and changes."""

from collections.abc import Mapping
from copy import deepcopy
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

from model.reading import CHEST_FINDINGS, ChangeStatus
from model.training.phantoms import augment, devices
from model.training.phantoms.chest_findings import (
    DRAW,
    SMALLEST_EXTENT,
    SUBTLE,
    Lesion,
    Trace,
    conspicuity,
    contrast_to_noise,
    draw_lesion,
    ratio_of_extent,
    zone,
)
from model.training.phantoms.projection import Picture, Pose, Scene
from model.training.phantoms.torso import Torso, draw_torso
from model.training.phantoms.truth import ChangeTruth, ChestCase, ChestView, FindingTruth

MARGIN = 1.09
LEAST_VISIBILITY = 1.5
TRIES = 6
HEART = "enlarged cardiac silhouette"
# Findings of a person over both dates; a fifth is resolved, so about a quarter of current images is normal.
_COUNT_WITH_PRIOR = (0.17, 0.35, 0.30, 0.18)
_COUNT_ALONE = (0.25, 0.37, 0.25, 0.13)


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


class _Exposure:
    """One date of a case: a body in a pose, and how it is framed."""

    def __init__(self, rng: np.random.Generator, torso: Torso, heart_ratio: float, size: int) -> None:
        self.rng = rng
        canvas = round(size * MARGIN)
        self.scene = Scene(torso, _pose(rng, torso, heart_ratio), (canvas, canvas))
        self.framing = augment.draw_framing(rng, (canvas, canvas), size)
        shift = rng.normal(0, 0.02 * size, 2).astype(np.float32)
        self.framing = augment.Framing(self.framing.rows + shift[0], self.framing.columns + shift[1])
        self.water = self.scene.water + self.scene.vessels
        self.backdrop = self.water - gaussian_filter(self.water, size / 22, truncate=2)


@dataclass(frozen=True, slots=True, eq=False)
class _Drawn:
    """A lesion on a film."""

    trace: Trace
    extent: float
    visibility: float


class _Film:
    """One picture of an exposure; it comes out the same, but for its findings, whenever it is developed."""

    def __init__(self, exposure: _Exposure) -> None:
        self.exposure = exposure
        self.drawn: dict[Lesion, _Drawn] = {}
        self._bare: NDArray[np.float32] | None = None

    def add(self, lesion: Lesion, drawn: _Drawn) -> None:
        """Keep a lesion that was tried."""
        self.drawn[lesion] = drawn
        self._bare = None

    def tried(self, lesion: Lesion, extent: float) -> _Drawn:
        """Draw a lesion and see how visible it would be among the others; 0 where the frame cuts it."""
        framing = self.exposure.framing
        trace = DRAW[lesion.label](lesion, extent, self.exposure.scene)
        region = framing.region(trace.region)
        if region.sum() < 0.7 * trace.region.sum() or region.sum() < 8:
            return _Drawn(trace, extent, 0.0)
        if lesion.label == HEART:
            return _Drawn(trace, extent, 1.5 + 8.0 * extent)
        visibility = contrast_to_noise(trace.water, trace.region, self.exposure.backdrop)
        # What the anatomy alone hides need not be displayed to be known as hidden.
        if lesion.label in SUBTLE and visibility >= 1:
            if self._bare is None:
                self._bare = self._shown()
            visibility = conspicuity(self._shown(trace), self._bare, region)
        return _Drawn(trace, extent, visibility)

    def develop(self) -> ChestView:
        """Return the picture with its findings and all that the body is known to be."""
        scene, framing = self.exposure.scene, self.exposure.framing
        masks = {name: framing.region(region) for name, region in scene.fields.items()}
        masks["heart"] = framing.region(scene.heart[1])
        regions = {**masks, **{name: framing.region(r) for name, r in scene.structures.items()}}
        return ChestView(
            pixels=self._shown(),
            masks=masks,
            boxes={name: augment.box_of(region) for name, region in regions.items() if region.any()},
            findings=tuple(self._truth(*kept) for kept in self.drawn.items()),
            spacing_mm=(float(scene.pitch[0]), float(scene.pitch[1])),
            view=scene.pose.view,
        )

    def _shown(self, *more: Trace) -> NDArray[np.float32]:
        """Compose, frame and finish, each time by the same chances."""
        rng, exposure = deepcopy(self.exposure.rng), self.exposure
        traces = [drawn.trace for drawn in self.drawn.values()]
        water: Picture = exposure.water
        for trace in (*traces, *more):
            water = water + trace.water
        water = water + devices.draw_devices(rng, exposure.scene)
        return augment.finish(rng, exposure.framing.picture(np.maximum(water, 0.0)))

    def _truth(self, lesion: Lesion, drawn: _Drawn) -> FindingTruth:
        return FindingTruth(
            label=lesion.label,
            laterality=lesion.laterality,
            zone=zone(lesion, drawn.trace.region, self.exposure.scene),
            extent=float(drawn.extent),
            box=augment.box_of(self.exposure.framing.region(drawn.trace.region)),
            visibility=float(drawn.visibility),
        )


def _keep_visible(courses: list[list[Course]], films: list[_Film]) -> list[Course]:
    """Draw every lesion on all films; leave out of all what is hidden, cut off or in another's place.

    What is easily hidden is drawn last, among all that can hide it.
    """
    kept: list[Course] = []
    for choice in sorted(courses, key=lambda choice: choice[0].lesion.label in SUBTLE):
        for course in choice:
            extents = (course.now, course.before)[: len(films)]
            tries = [
                film.tried(course.lesion, e) if e else None for film, e in zip(films, extents, strict=True)
            ]
            if not all(
                drawn is None or _stands(drawn, film.drawn) for film, drawn in zip(films, tries, strict=True)
            ):
                continue
            kept.append(course)
            for film, drawn in zip(films, tries, strict=True):
                if drawn is not None:
                    film.add(course.lesion, drawn)
            break
    return kept


def _stands(drawn: _Drawn, others: Mapping[Lesion, _Drawn]) -> bool:
    here = drawn.trace.region
    there = [other.trace.region for lesion, other in others.items() if lesion.label != HEART]
    apart = all((here & other).sum() < 0.15 * max(min(here.sum(), other.sum()), 1) for other in there)
    return drawn.visibility >= LEAST_VISIBILITY and apart


def make_chest_case(seed: int, *, size: int = 224, with_prior: bool | None = None) -> ChestCase:
    """Make one patient with a current and, in about 85 % where `with_prior` is None, a prior radiograph."""
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
    films = [_Film(date) for date in dates]
    kept = _keep_visible(courses, films)
    views = [film.develop() for film in films]
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
