"""One chest at several dates, frontal and lateral, with the exact change of each finding in between."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

from model.reading import CHEST_FINDINGS, ChangeStatus, Laterality
from model.training.phantoms import augment
from model.training.phantoms.beam import Beam
from model.training.phantoms.chest_findings import (
    SMALLEST_EXTENT,
    Lesion,
    contrast_to_noise,
    draw_lesion,
    ratio_of_extent,
)
from model.training.phantoms.solid_findings import FILL, HEART, ROUND, Solid, silhouette, zone
from model.training.phantoms.solid_torso import Breath, SolidTorso
from model.training.phantoms.texture import power_noise, smooth_noise
from model.training.phantoms.torso import Torso, draw_torso
from model.training.phantoms.truth import Box, ChestView, FindingTruth

STABLE = 0.05
"""Largest change of diameter, as a share, of what is unchanged; what changes does so by at least 0.2."""

_PATTERNS: tuple[tuple[float, ...], ...] = (
    (1.0, 1.3, 1.7), (1.0, 0.75, 0.5), (1.0, 1.0, 1.0), (0.0, 1.0, 1.4), (1.0, 0.7, 0.0), (0.0, 1.0, 1.0),
    (1.0, 1.0, 1.45), (1.0, 1.5, 0.9), (1.0, 0.0, 0.0),
)  # fmt: skip
"""Extents relative to the first that is there; 0 where the finding is not."""


@dataclass(frozen=True, slots=True)
class FindingState:
    """One finding at one date."""

    finding: int
    """Numbers it within the timeline."""
    label: str
    laterality: Laterality | None
    zone: str | None
    extent: float
    volume_ml: float
    """Of what was drawn; of the whole heart for an enlarged one."""
    diameter_mm: float | None
    """Of the sphere of that volume; None for what no diameter describes."""


@dataclass(frozen=True, slots=True, eq=False)
class DatedStudy:
    """The radiographs of one date."""

    day: int
    """Since the first one."""
    views: tuple[ChestView, ...]
    """A PA and a lateral one, or one AP."""
    finding_masks: tuple[Mapping[int, NDArray[np.bool_]], ...]
    """For each view: (J, I) of each finding."""
    findings: tuple[FindingState, ...]


@dataclass(frozen=True, slots=True)
class Interval:
    """What became of one finding between two consecutive dates."""

    finding: int
    label: str
    laterality: Laterality | None
    first_day: int
    last_day: int
    status: ChangeStatus
    volume_percent: float | None
    """(later - earlier) / earlier; None where either is not there."""
    diameter_percent: float | None


@dataclass(frozen=True, slots=True, eq=False)
class ChestTimeline:
    """One person's studies in order of time."""

    seed: int
    studies: tuple[DatedStudy, ...]
    intervals: tuple[Interval, ...]


def make_chest_timeline(seed: int, *, dates: int = 3, size: int = 224) -> ChestTimeline:
    """Make one person's studies; the first is PA and lateral, later ones now and then AP alone."""
    rng = np.random.default_rng([seed, 70])
    torso = draw_torso(rng)
    count = int(rng.choice([1, 2, 3], p=[0.4, 0.4, 0.2]))
    labels = [str(label) for label in rng.permutation(CHEST_FINDINGS)[:count]]
    courses = {draw_lesion(rng, label): _extents(rng, label, dates) for label in labels}
    days = np.concatenate([[0], np.cumsum(rng.choice([1, 3, 7, 30, 90, 180, 365], dates - 1))])
    usual = float(np.clip(rng.normal(0.45, 0.022), 0.39, 0.48))
    studies = [
        _study(
            _Visit(torso, seed, n, int(days[n]), usual), {lesion: e[n] for lesion, e in courses.items()}, size
        )
        for n in range(dates)
    ]
    return ChestTimeline(seed, tuple(studies), tuple(_intervals(studies)))


def _extents(rng: np.random.Generator, label: str, dates: int) -> list[float]:
    """Draw a course; diameters change by less than `STABLE` or by clearly more."""
    pattern = list(_PATTERNS[int(rng.integers(len(_PATTERNS)))])
    while len(pattern) < dates:
        pattern.append(pattern[-1] * float(rng.choice([0.75, 1.0, 1.3])))
    least, most = min(p for p in pattern if p), max(pattern)
    first = rng.uniform(SMALLEST_EXTENT[label] / least, max(1.0 / most, SMALLEST_EXTENT[label] / least))
    return [float(p * first) for p in pattern[:dates]]


@dataclass(frozen=True, slots=True)
class _Visit:
    torso: Torso
    seed: int
    number: int
    day: int
    usual_heart: float

    @property
    def rng(self) -> np.random.Generator:
        return np.random.default_rng([self.seed, 71 + self.number])


def _study(visit: _Visit, extents: Mapping[Lesion, float], size: int) -> DatedStudy:
    rng = visit.rng
    portable = bool(visit.number and rng.random() < 0.3)
    enlarged = next((e for lesion, e in extents.items() if lesion.label == HEART and e), 0.0)
    ratio = ratio_of_extent(min(enlarged, 1.0)) if enlarged else visit.usual_heart
    rise = float(np.clip(rng.gamma(2.0, 9.0 if portable else 3.0), 0, 55))
    body = SolidTorso(visit.torso, Breath(rise, ratio, visit.seed))
    solids = {
        lesion: FILL[lesion.label](lesion, extent, body) for lesion, extent in extents.items() if extent
    }
    # A finding keeps its number over all dates.
    numbers = {lesion: n for n, lesion in enumerate(extents)}
    beams = [_beam(rng, body, view, size) for view in (("AP",) if portable else ("PA", "LL"))]
    taken = [_Taken(rng, body, beam) for beam in beams]
    shown = [one.develop(solids, {s: (numbers[s], extents[s]) for s in solids}) for one in taken]
    states = [
        _state(numbers[lesion], lesion, extents[lesion], solid, body) for lesion, solid in solids.items()
    ]
    return DatedStudy(visit.day, tuple(v for v, _ in shown), tuple(m for _, m in shown), tuple(states))


def _state(number: int, lesion: Lesion, extent: float, solid: Solid, body: SolidTorso) -> FindingState:
    diameter = solid.diameter_mm if lesion.label in ROUND else None
    place = zone(lesion, solid, body)
    return FindingState(number, lesion.label, lesion.laterality, place, extent, solid.volume_ml, diameter)


def _beam(rng: np.random.Generator, body: SolidTorso, view: str, size: int) -> Beam:
    person = body.torso
    field = max(2.1 * person.half_width + 20, person.height * 1.45) * rng.uniform(1.0, 1.1)
    focus = rng.uniform(1000, 1300) if view == "AP" else rng.uniform(1750, 1900)
    turn = rng.normal(0, 0.05 if view == "AP" else 0.02)
    return Beam(
        view, float(focus), float(turn), float(field), person.height + float(rng.uniform(30, 60)), size
    )


class _Taken:
    """One exposure until it is developed."""

    def __init__(self, rng: np.random.Generator, body: SolidTorso, beam: Beam) -> None:
        self.rng, self.body, self.beam = rng, body, beam

    def develop(
        self, solids: Mapping[Lesion, Solid], told: Mapping[Lesion, tuple[int, float]]
    ) -> tuple[ChestView, dict[int, NDArray[np.bool_]]]:
        """Return the picture with its truth, and the mask of each finding by its number."""
        body, beam = self.body, self.beam
        water = self._anatomy(solids)
        backdrop = water - gaussian_filter(water, beam.size / 22, truncate=2)
        masks: dict[int, NDArray[np.bool_]] = {}
        findings: list[FindingTruth] = []
        for lesion, solid in solids.items():
            added = beam.project(body, solid.added)
            region = silhouette(beam.project(body, solid.filled), solid)
            water = water + added
            number, extent = told[lesion]
            masks[number] = region
            if region.any():
                seen = (
                    1.5 + 8.0 * extent
                    if lesion.label == HEART
                    else contrast_to_noise(added, region, backdrop)
                )
                place = zone(lesion, solid, body)
                box = augment.box_of(region)
                findings.append(FindingTruth(lesion.label, lesion.laterality, place, extent, box, seen))
        return self._view(water, tuple(findings)), masks

    def _anatomy(self, solids: Mapping[Lesion, Solid]) -> NDArray[np.float32]:
        body, beam = self.body, self.beam
        vessels = body.vessels()
        for lesion, solid in solids.items():
            if lesion.label == "pneumothorax":
                vessels = body.within(vessels, solid.filled < 0.5)
        water = beam.project(body, body.water)
        water = water + beam.splat(body, body.bones(beam.view)) + beam.splat(body, vessels)
        texture = np.random.default_rng([body.torso.seed, 2, len(beam.view), ord(beam.view[0])])
        shape = (beam.size, beam.size)
        lumpy = 0.02 * smooth_noise(texture, shape, 9) + 0.006 * smooth_noise(texture, shape, 40)
        return (water * (1 + lumpy) + 4.0 * power_noise(texture, shape, -2.3) * (water > 5)).astype(
            np.float32
        )

    def _view(self, water: NDArray[np.floating], findings: tuple[FindingTruth, ...]) -> ChestView:
        masks = self._masks()
        pitch = self.beam.pitch_mm
        boxes: dict[str, Box] = {name: augment.box_of(mask) for name, mask in masks.items() if mask.any()}
        for name, region in (
            ("trachea", self.body.airway),
            ("aorta", self.body.aorta),
            ("spine", self.body.spine),
        ):
            seen = self.beam.project(self.body, region) > 3.0
            if seen.any():
                boxes[name] = augment.box_of(seen)
        pixels = augment.finish(self.rng, np.maximum(water, 0.0))
        return ChestView(pixels, masks, boxes, findings, (pitch, pitch), self.beam.view)

    def _masks(self) -> dict[str, NDArray[np.bool_]]:
        """Organs as they are seen: in a frontal view lungs without heart and what lies behind the domes."""
        body, beam = self.body, self.beam
        heart = beam.project(body, body.heart) > 3.0
        masks: dict[str, NDArray[np.bool_]] = {}
        for lung, region in body.lungs.items():
            if beam.view == "LL":
                masks[lung] = beam.project(body, region) > 3.0
            else:
                field = region & body.front.fields[lung][:, None, :]
                masks[lung] = (beam.project(body, field) > 3.0) & ~heart
        masks["heart"] = heart
        return masks


def _intervals(studies: Sequence[DatedStudy]) -> Iterator[Interval]:
    for earlier, later in pairwise(studies):
        before = {state.finding: state for state in earlier.findings}
        now = {state.finding: state for state in later.findings}
        for number in sorted(before.keys() | now.keys()):
            yield interval_between(before.get(number), now.get(number), earlier.day, later.day)


def interval_between(
    before: FindingState | None, now: FindingState | None, first: int, last: int
) -> Interval:
    """Say what became of a finding that is there at one of two dates at least."""
    known = now or before
    if known is None:
        raise ValueError("an interval needs a finding")
    about = (known.finding, known.label, known.laterality, first, last)
    if before is None or now is None:
        return Interval(*about, ChangeStatus.NEW if before is None else ChangeStatus.RESOLVED, None, None)
    grown = now.extent / before.extent
    status = ChangeStatus.INCREASED if grown > 1 + STABLE else ChangeStatus.DECREASED
    if abs(grown - 1) <= STABLE:
        status = ChangeStatus.UNCHANGED
    diameter = _percent(before.diameter_mm, now.diameter_mm)
    return Interval(*about, status, _percent(before.volume_ml, now.volume_ml), diameter)


def _percent(before: float | None, now: float | None) -> float | None:
    return None if not before or now is None else 100.0 * (now - before) / before
