"""One abdomen on several CTs: cysts and metastases of known volume, growth, and how the scans lie."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import distance_transform_edt

from model.training.phantoms.abdomen import develop, paint_body
from model.training.phantoms.abdomen_body import Build, Grid, Region, Triple, Voxels, draw_build, organs
from model.training.phantoms.timeline import FindingState, Interval, interval_between
from model.training.phantoms.truth import AbdomenCase

_KINDS = (("cyst", "liver"), ("metastasis", "liver"), ("cyst", "kidneys"))
_RADIUS_MM = {"liver": (6.0, 24.0), "kidneys": (5.0, 13.0)}
_GROWTH = {"cyst": (1.0, 1.0, 1.25), "metastasis": (1.0, 1.3, 1.6, 0.7)}
"""Ratios of diameter over an interval, equally likely."""
_MARGIN_MM = 3.0
_COARSE = (46, 60, 60)


@dataclass(frozen=True, slots=True)
class _Lesion:
    label: str
    organ: str
    centre: Triple
    """x, y, z of the unmoved body, mm."""
    axes: Triple
    """Half-axes over the radius of the ball of the same volume."""
    density: tuple[float, float]
    """Hounsfield units in portal phase, native."""
    radius_mm: float
    ratios: tuple[float, ...]
    """Of the radius at each date."""

    def level(self, grid: Grid, ratio: float) -> Voxels:
        """Return the ellipsoid's level (K, J, I), below 1 inside."""
        z, y, x = grid.straight
        parts = [
            ((at - middle) / (ratio * self.radius_mm * axis)) ** 2
            for at, middle, axis in zip((x, y, z), self.centre, self.axes, strict=True)
        ]
        return (parts[0] + parts[1] + parts[2]).astype(np.float32)


@dataclass(frozen=True, slots=True, eq=False)
class DatedScan:
    """One CT."""

    day: int
    case: AbdomenCase
    lesions: tuple[FindingState, ...]
    """Volumes are of the ellipsoids in closed form."""
    lesion_masks: Mapping[int, Region]
    """(K, J, I) for each lesion."""
    to_first: NDArray[np.float64]
    """(4, 4): LPS millimetres of this scan to those of the first: the true registration."""


@dataclass(frozen=True, slots=True, eq=False)
class AbdomenTimeline:
    """One person's CTs in order of time; each has a frame of reference of its own."""

    seed: int
    scans: tuple[DatedScan, ...]
    intervals: tuple[Interval, ...]


@dataclass(frozen=True, slots=True, eq=False)
class _Person:
    seed: int
    build: Build
    lesions: Sequence[_Lesion]
    shifts: NDArray[np.float64]
    """(N, 3): how far the patient lies from the middle of the scanner at each date, LPS mm."""
    shape: tuple[int, int, int]


def make_abdomen_timeline(
    seed: int, *, dates: int = 2, shape: tuple[int, int, int] = (60, 160, 160)
) -> AbdomenTimeline:
    """Make CTs (K, J, I) of the person whom `make_abdomen_case` draws, with up to three lesions."""
    build = draw_build(np.random.default_rng([seed, 30]))
    rng = np.random.default_rng([seed, 80])
    lesions = _draw_lesions(rng, build, dates)
    days = np.concatenate([[0], np.cumsum(rng.choice([30, 90, 180, 365], dates - 1))])
    person = _Person(seed, build, lesions, rng.normal(0, (6.0, 4.0, 10.0), (dates, 3)), shape)
    scans = [_scan(person, n, int(days[n])) for n in range(dates)]
    return AbdomenTimeline(seed, tuple(scans), tuple(_intervals(scans)))


def _whole(build: Build, shape: tuple[int, int, int]) -> tuple[Voxels, Voxels, Voxels]:
    """Return z, y, x of voxels that hold the whole upper abdomen."""
    field = 2.15 * (build.half_width + build.muscle + build.fat)
    z = -185.0 + (np.arange(shape[0]) + 0.5) * 225.0 / shape[0]
    y, x = ((np.arange(n) + 0.5) * field / n - field / 2 for n in shape[1:])
    return z.astype(np.float32), y.astype(np.float32), x.astype(np.float32)


def _draw_lesions(rng: np.random.Generator, build: Build, dates: int) -> list[_Lesion]:
    """Place lesions well within their organs and apart from each other."""
    grid = Grid(build, *_whole(build, _COARSE))
    found = organs(grid)
    free = {organ: found[organ] & ~found["veins"] & ~found["gallbladder"] for organ in _RADIUS_MM}
    lesions: list[_Lesion] = []
    for _ in range(int(rng.integers(1, 4))):
        label, organ = _KINDS[int(rng.integers(len(_KINDS)))]
        ratios = np.cumprod([1.0, *rng.choice(_GROWTH[label], dates - 1)])
        lesion = _placed(rng, grid, free[organ], (label, organ), ratios)
        if lesion is not None:
            lesions.append(lesion)
            free[organ] &= lesion.level(grid, 1.3 * float(ratios.max())) > 1
    return lesions


def _placed(
    rng: np.random.Generator,
    grid: Grid,
    free: Region,
    kind: tuple[str, str],
    ratios: NDArray[np.floating],
) -> _Lesion | None:
    """Draw size and place of a lesion that stays within `free` at every date; None if there is no room."""
    label, organ = kind
    z, y, x = (np.ravel(axis) for axis in grid.straight)
    spacing = [float(axis[1] - axis[0]) for axis in (z, y, x)]
    # The longest half-axis is at most 1.15 of the radius; what the scan cuts off is no room either.
    inside = np.asarray(distance_transform_edt(np.pad(free, 1), spacing))[1:-1, 1:-1, 1:-1]
    room = (inside - _MARGIN_MM) / (1.15 * float(ratios.max()))
    least, most = _RADIUS_MM[organ]
    places = np.argwhere(room > least)
    if not len(places):
        return None
    k, j, i = places[int(rng.integers(len(places)))]
    axes = np.exp(np.clip(rng.normal(0, 0.05, 3), -0.07, 0.07))
    axes = axes / axes.prod() ** (1 / 3)
    density = (
        (rng.normal(5, 4), rng.normal(5, 4)) if label == "cyst" else (rng.normal(52, 7), rng.normal(34, 4))
    )
    return _Lesion(
        label,
        organ,
        (float(x[i]), float(y[j]), float(z[k])),
        (float(axes[0]), float(axes[1]), float(axes[2])),
        density,
        float(rng.uniform(least, min(most, float(room[k, j, i])))),
        tuple(float(ratio) for ratio in ratios),
    )


def _scan(person: _Person, number: int, day: int) -> DatedScan:
    rng = np.random.default_rng([person.seed, 81 + number])
    portal = bool(rng.random() < 0.8)
    grid = Grid(person.build, *_whole(person.build, person.shape))
    hu, found = paint_body(np.random.default_rng([person.seed, 31]), grid, portal=portal)
    masks: dict[int, Region] = {}
    for n, lesion in enumerate(person.lesions):
        level = lesion.level(grid, lesion.ratios[number])
        masks[n] = level < 1
        soft = np.clip((1 - level) / 0.35, 0, 1) if lesion.label == "metastasis" else (level < 1)
        hu += soft * (lesion.density[0 if portal else 1] - hu)
    shift = person.shifts[number]
    case = develop(rng, person.seed, grid, hu, found)
    affine, to_first = case.affine.copy(), np.eye(4)
    affine[:3, 3] += shift
    to_first[:3, 3] = person.shifts[0] - shift
    case = replace(case, affine=affine)
    states = tuple(_state(n, lesion, number) for n, lesion in enumerate(person.lesions))
    return DatedScan(day, case, states, masks, to_first)


def _state(number: int, lesion: _Lesion, date: int) -> FindingState:
    radius = lesion.radius_mm * lesion.ratios[date]
    volume = 4 / 3 * np.pi * radius**3 / 1000.0
    extent = radius / _RADIUS_MM[lesion.organ][1]
    return FindingState(number, f"{lesion.organ} {lesion.label}", None, None, extent, volume, 2 * radius)


def _intervals(scans: Sequence[DatedScan]) -> Iterator[Interval]:
    for earlier, later in pairwise(scans):
        for before, now in zip(earlier.lesions, later.lesions, strict=True):
            yield interval_between(before, now, earlier.day, later.day)
