"""The analytic upper abdomen: organs as closed forms in millimetres, evaluated on whatever grid is asked for.

x grows to the patient's left, y to the back, z to the head; z is 0 near the top of the liver. Organs are
placed in fractions of the abdominal cavity, then bent by one smooth deformation: none is a plain ellipsoid.
"""

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

Voxels = NDArray[np.floating]
Region = NDArray[np.bool_]
Triple = tuple[float, float, float]

_KNOTS = (7, 6, 6)
_REACH = ((-260.0, 80.0), (-230.0, 230.0), (-260.0, 260.0))


@dataclass(frozen=True, slots=True, eq=False)
class Build:
    """One person's size and layout."""

    half_width: float
    """Of the abdominal cavity, mm."""
    half_depth: float
    fat: float
    """Thickness of subcutaneous fat in front, mm."""
    muscle: float
    stretch: float
    """Scale along z."""
    bend: tuple[Voxels, Voxels, Voxels]
    """Displacements in x, y, z (mm) at the knots."""
    shift: dict[str, Triple]
    """Per organ: offset in fractions of half-width, half-depth and of 100 mm."""
    size: dict[str, float]


def draw_build(rng: np.random.Generator) -> Build:
    """Draw a person."""
    size = rng.normal(1.0, 0.08)
    fat = float(np.clip(rng.gamma(2.2, 8.0), 5.0, 50.0))
    names = (
        "liver",
        "left lobe",
        "spleen",
        "kidney right",
        "kidney left",
        "stomach",
        "pancreas",
        "gallbladder",
    )
    return Build(
        half_width=124.0 * size + 0.5 * fat,
        half_depth=82.0 * size * rng.normal(1.0, 0.07) + 0.5 * fat,
        fat=fat,
        muscle=rng.uniform(9.0, 18.0),
        stretch=rng.normal(1.0, 0.09),
        bend=tuple(rng.normal(0, 6.5, _KNOTS).astype(np.float32) for _ in range(3)),  # pyright: ignore[reportArgumentType] - three
        shift={n: (rng.normal(0, 0.04), rng.normal(0, 0.04), rng.normal(0, 0.10)) for n in names},
        size={n: float(np.clip(rng.normal(1.0, 0.1), 0.75, 1.3)) for n in names},
    )


def _weights(position: Voxels, reach: tuple[float, float], knots: int) -> Voxels:
    at = np.clip((position - reach[0]) / (reach[1] - reach[0]), 0, 1) * (knots - 1)
    low = np.minimum(at.astype(np.intp), knots - 2)
    part = 0.5 - 0.5 * np.cos(np.pi * (at - low))
    weights = np.zeros((len(position), knots), np.float32)
    weights[np.arange(len(position)), low] = 1 - part
    weights[np.arange(len(position)), low + 1] = part
    return weights


class Grid:
    """Points of a voxel grid in the bent space of one build: x, y, z (K, J, I) float32 mm."""

    def __init__(self, build: Build, z: Voxels, y: Voxels, x: Voxels) -> None:
        self.build = build
        w = [_weights(p, r, n) for p, r, n in zip((z, y, x), _REACH, _KNOTS, strict=True)]
        dx, dy, dz = (np.einsum("ka,abc,jb,ic->kji", w[0], b, w[1], w[2], optimize=True) for b in build.bend)
        self.straight = (z[:, None, None], y[None, :, None], x[None, None, :])
        self.x, self.y = x[None, None, :] + dx, y[None, :, None] + dy
        self.z = (z[:, None, None] + dz) / np.float32(build.stretch)
        self.u, self.v = self.x / np.float32(build.half_width), self.y / np.float32(build.half_depth)

    def blob(self, centre: Triple, radius: Triple, organ: str = "", power: float = 2.0) -> Voxels:
        """Return the ellipsoid's level, below 1 inside; u, v in fractions of the cavity, z in mm."""
        shift = self.build.shift.get(organ, (0.0, 0.0, 0.0))
        scale = self.build.size.get(organ, 1.0)
        du = np.abs((self.u - np.float32(centre[0] + shift[0])) / np.float32(radius[0] * scale))
        dv = np.abs((self.v - np.float32(centre[1] + shift[1])) / np.float32(radius[1] * scale))
        dz = np.abs((self.z - np.float32(centre[2] + 100 * shift[2])) / np.float32(radius[2] * scale))
        if power == 2.0:
            return du * du + dv * dv + dz * dz
        return du**power + dv**power + dz**power

    def rod(self, path: list[Triple], radius_mm: float, organ: str = "") -> Region:
        """Return the voxels within `radius_mm` of a polyline in (u, v, z mm)."""
        shift = self.build.shift.get(organ, (0.0, 0.0, 0.0))
        wide, deep = self.build.half_width, self.build.half_depth
        points = [((u + shift[0]) * wide, (v + shift[1]) * deep, z + 100 * shift[2]) for u, v, z in path]
        inside = np.zeros(self.x.shape, bool)
        for (ax, ay, az), (bx, by, bz) in pairwise(points):
            slices = self._near(min(az, bz) - radius_mm - 14, max(az, bz) + radius_mm + 14)
            if slices.start >= slices.stop:
                continue
            px, py, pz = self.x[slices] - ax, self.y[slices] - ay, self.z[slices] - az
            dx, dy, dz = bx - ax, by - ay, bz - az
            t = np.clip((px * dx + py * dy + pz * dz) / (dx * dx + dy * dy + dz * dz), 0, 1)
            far = (px - t * dx) ** 2 + (py - t * dy) ** 2 + (pz - t * dz) ** 2
            inside[slices] |= far < radius_mm**2
        return inside

    def _near(self, low: float, high: float) -> slice:
        """Return the slices whose straight z lies in a range of bent z, with room for the bend."""
        z = self.straight[0][:, 0, 0] / self.build.stretch
        hits = np.flatnonzero((z > low - 16) & (z < high + 16))
        return slice(int(hits[0]), int(hits[-1]) + 1) if len(hits) else slice(0, 0)


def shell(grid: Grid, outward_mm: float) -> Voxels:
    """Return the level of the cavity's wall moved outwards by some millimetres; below 1 inside."""
    build = grid.build
    u = np.abs(grid.x) / np.float32(build.half_width + outward_mm)
    v = np.abs(grid.y) / np.float32(build.half_depth + outward_mm)
    return u**2.3 + np.where(grid.y > 0, v**2.8, v**2.2)


def dome(grid: Grid) -> Voxels:
    """Return the height of the diaphragm (K, J, I): two domes with a sulcus all around."""
    height = np.full(grid.x.shape, -95.0, np.float32)
    for u, v, top, wide in ((-0.48, -0.02, 12.0, 0.60), (0.47, 0.05, -2.0, 0.58), (0.0, -0.5, 4.0, 0.75)):
        part = 1 - ((grid.u - u) / wide) ** 2 - ((grid.v - v) / 1.0) ** 2
        height = np.maximum(height, np.where(part > 0, top - 98 * (1 - np.sqrt(np.clip(part, 0, 1))), -95.0))
    return height


def organs(grid: Grid) -> dict[str, Region]:
    """Return what is told apart by Hounsfield units, in painting order: the later lies over the earlier."""
    cavity = shell(grid, 0.0) < 1
    vertebra = ((grid.x / 24.0) ** 2 + ((grid.y - 0.70 * grid.build.half_depth) / 19.0) ** 2) < 1
    belly = cavity & ~vertebra
    lung = belly & (grid.z > dome(grid) + 4)
    belly = belly & ~lung
    found: dict[str, Region] = {"lung": lung, "cavity": belly}
    right = grid.blob((-0.47, -0.03, -78.0), (0.57, 0.84, 86.0), "liver", 2.3) < 1
    hollow = grid.blob((0.02, 0.36, -95.0), (0.44, 0.42, 90.0), "liver") < 1
    hollow |= grid.blob((-0.36, 0.64, -150.0), (0.24, 0.32, 62.0), "kidney right") < 1
    left = grid.blob((0.0, -0.52, -56.0), (0.58, 0.36, 46.0), "left lobe", 2.2) < 1
    liver = ((right & ~hollow) | left) & belly
    spleen = grid.blob((0.72, 0.36, -66.0), (0.31, 0.5, 56.0), "spleen", 2.2) < 1
    spleen &= ~(grid.blob((0.40, 0.14, -66.0), (0.28, 0.46, 75.0), "spleen") < 1)
    stomach = grid.blob((0.40, -0.16, -40.0), (0.30, 0.46, 44.0), "stomach") < 1
    stomach |= grid.rod(
        [(0.42, -0.4, -62), (0.36, -0.52, -105), (0.1, -0.5, -125), (-0.12, -0.36, -118)], 22, "stomach"
    )
    found["bowel"] = _bowel(grid) & belly
    found["stomach"] = stomach & belly & ~left
    found["liver"] = liver & ~found["stomach"]
    found["spleen"] = spleen & belly & ~found["stomach"] & ~found["liver"]
    found["kidneys"], found["renal sinus"] = _kidneys(grid, belly & ~found["liver"] & ~found["spleen"])
    found |= _tubes(grid, belly)
    found["heart"] = (grid.blob((0.2, -0.32, 42.0), (0.55, 0.62, 44.0)) < 1) & lung
    found["vertebra"] = vertebra
    covered = found["stomach"] | found["liver"] | found["spleen"] | found["kidneys"] | found["renal sinus"]
    covered |= found["pancreas"] | found["veins"] | found["gallbladder"] | found["aorta"] | found["ivc"]
    found["bowel"] &= ~covered
    found["stomach"] &= ~(found["pancreas"] | found["veins"] | found["gallbladder"])
    return found


def _kidneys(grid: Grid, room: Region) -> tuple[Region, Region]:
    whole, sinus = np.zeros(room.shape, bool), np.zeros(room.shape, bool)
    for side, z in ((-1.0, -142.0), (1.0, -126.0)):
        name = "kidney right" if side < 0 else "kidney left"
        centre = (side * 0.44, 0.52, z)
        kidney = grid.blob(centre, (0.205, 0.255, 55.0), name) < 1
        hilum = grid.blob((side * 0.33, 0.46, z), (0.12, 0.12, 24.0), name) < 1
        whole |= kidney & ~hilum & room
        sinus |= kidney & hilum & room
    return whole, sinus


def _tubes(grid: Grid, belly: Region) -> dict[str, Region]:
    size = grid.build.size
    pancreas_path: list[Triple] = [
        (-0.17, 0.08, -138),
        (-0.1, -0.02, -118),
        (0.08, -0.05, -104),
        (0.3, 0.1, -94),
    ]
    pancreas = grid.rod([*pancreas_path, (0.54, 0.28, -82)], 13.0 * size["pancreas"], "pancreas")
    pancreas |= grid.blob((-0.16, 0.08, -138.0), (0.14, 0.19, 26.0), "pancreas") < 1
    splenic: list[Triple] = [(-0.06, 0.08, -112), (0.1, 0.08, -100), (0.3, 0.22, -90), (0.55, 0.34, -78)]
    porta: list[Triple] = [(-0.04, 0.1, -150), (-0.06, 0.08, -112), (-0.22, 0.0, -82), (-0.4, -0.05, -72)]
    branches = grid.rod([(-0.4, -0.05, -72), (-0.62, -0.2, -62)], 4.5) | grid.rod(
        [(-0.4, -0.05, -72), (-0.6, 0.25, -88)], 4.5
    )
    branches |= grid.rod([(-0.22, 0.0, -82), (-0.12, -0.35, -62), (0.1, -0.52, -52)], 4.5)
    for end in ((-0.72, 0.2, -42), (-0.5, -0.42, -38), (-0.05, -0.45, -36)):
        branches |= grid.rod([(-0.16, 0.3, -16), end], 4.0)
    found: dict[str, Region] = {}
    found["gallbladder"] = (grid.blob((-0.33, -0.36, -116.0), (0.15, 0.2, 30.0), "gallbladder") < 1) & belly
    found["pancreas"] = pancreas & belly
    found["veins"] = (branches | grid.rod(porta, 7.0) | grid.rod(splenic, 4.5)) & belly
    found["ivc"] = grid.rod([(-0.18, 0.36, 20), (-0.18, 0.36, -60), (-0.16, 0.44, -300)], 12.0)
    found["aorta"] = grid.rod([(0.1, 0.40, 30), (0.06, 0.40, -60), (0.04, 0.42, -300)], 10.5)
    found["adrenal"] = grid.rod([(0.3, 0.36, -84), (0.34, 0.5, -72)], 3.0) & belly
    crus = grid.rod([(0.2, 0.5, 0), (0.17, 0.48, -120)], 6.0) | grid.rod(
        [(-0.08, 0.46, -20), (-0.06, 0.5, -120)], 6.0
    )
    found["crura"] = crus & ~found["aorta"]
    return found


def _bowel(grid: Grid) -> Region:
    colon = grid.rod([(-0.74, 0.1, -230), (-0.72, -0.1, -160), (-0.4, -0.66, -165), (0.2, -0.72, -150)], 21.0)
    colon |= grid.rod(
        [(0.2, -0.72, -150), (0.6, -0.5, -105), (0.74, -0.25, -88), (0.8, 0.2, -130), (0.8, 0.25, -240)], 19.0
    )
    # Small bowel: the crests of a wave in three directions, in the lower and left part only.
    wave = np.sin(grid.x / 11.0) + np.sin(grid.y / 10.0 + 1.3) + np.sin(grid.z / 12.0 + grid.x / 40.0)
    small = (
        (wave > 0.5) & (grid.z < -112) & (grid.v < 0.25) & (grid.u > -0.5) & (grid.u**2 + grid.v**2 < 0.75)
    )
    return colon | small
