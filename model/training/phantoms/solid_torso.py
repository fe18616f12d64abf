"""The torso of a person as voxels: what lies along each line of sight, whichever way the beam comes.

Regions are (K, J, I): k from head to feet, j from front to back, i to the patient's left. Their frontal
outlines are those of `projection.Scene` seen from far away, so that a body has one anatomy in every view.
"""

from dataclasses import dataclass, replace
from functools import cached_property
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from model.training.phantoms import torso as anatomy
from model.training.phantoms.projection import LUNG_DENSITY, SIDES, Pose, Scene
from model.training.phantoms.strokes import Cloud, join, tube
from model.training.phantoms.torso import Torso

Voxels = NDArray[np.float32]
Region = NDArray[np.bool_]
Point = tuple[float, float, float]

STEP_MM = 2.5
_BELOW_MM = 150.0
_ABOVE_MM = 95.0
_FAR_MM = 1e7


@dataclass(frozen=True, slots=True)
class Breath:
    """What may differ between two dates of one person."""

    rise: float
    """How far the diaphragm stands above full inspiration, mm."""
    heart_ratio: float
    """Cardiothoracic ratio in a beam from far away."""
    seed: int


class SolidTorso:
    """One torso in one breath."""

    def __init__(self, torso: Torso, breath: Breath) -> None:
        self.torso, self.breath = torso, breath
        wide = torso.half_width + torso.wall + 14.0
        deep = torso.half_depth + torso.front_wall + torso.breast + 42.0
        high = torso.height + _ABOVE_MM + _BELOW_MM
        count = [round(length / STEP_MM) for length in (high, 2 * deep, 2 * wide)]
        self.shape = (count[0], count[1], count[2])
        self.top_mm = torso.height + _ABOVE_MM
        pose = Pose(
            "PA", 0.0, _FAR_MM, breath.rise, breath.heart_ratio,
            count[2] * STEP_MM, count[0] * STEP_MM, self.top_mm, breath.seed,
        )  # fmt: skip
        self.front = Scene(torso, pose, (count[0], count[2]))
        self.x = self.front.x[:, None, :]
        self.z = self.front.z[:, None, :]
        across = ((np.arange(count[1]) + 0.5 - count[1] / 2) * STEP_MM).astype(np.float32)
        self.y = across[None, :, None] - self.lean(self.z)

    def lean(self, z: NDArray[np.floating]) -> Voxels:
        """Return how far back the body lies at height `z`: what makes a spine curve in a lateral view."""
        part = (z - 0.35 * self.torso.height) / self.torso.height
        curve = (14.0 + 26.0 * self.torso.age) * (0.35 - part**2)
        return (0.06 * self.torso.height * part + curve).astype(np.float32)

    @cached_property
    def body(self) -> Region:
        """Trunk, neck and breasts; arms are raised out of the way."""
        half_width, half_depth = (p[:, :, None] for p in anatomy.body_profile(self.torso, self.front.z))
        u = np.clip(np.abs(self.x) / half_width, 0, 1)
        deep = half_depth * (1 - u**2.7) ** (1 / 2.7)
        return (self.y < deep) & (self.y > -deep - self._breasts())

    def _breasts(self) -> Voxels:
        swell = np.zeros((self.shape[0], 1, self.shape[2]), np.float32)
        if not self.torso.breast:
            return swell
        reach = 52 + 0.6 * self.torso.breast
        v = (self.z - 0.24 * self.torso.height) / reach
        v2 = np.where(v < 0, v * 1.15, v * 0.6) ** 2
        for side in (-1.0, 1.0):
            u2 = ((self.x - side * 0.56 * self.torso.half_width) / reach) ** 2
            swell = np.maximum(swell, self.torso.breast * np.sqrt(np.clip(1 - u2 - v2, 0, None)))
        return swell.astype(np.float32)

    @cached_property
    def heart(self) -> Region:
        """The heart, leaning forwards on the diaphragm."""
        chord = self.front.heart[0][:, None, :]
        high = np.clip((self.z - self.front.domes["left lung"]) / (0.6 * self.torso.height), 0, 1)
        return np.abs(self.y - (26.0 * high - 36.0)) < 0.42 * chord

    @cached_property
    def spine(self) -> Region:
        """Vertebral bodies without their discs."""
        centre = anatomy.spine_x(self.torso, self.z)
        half = np.interp(self.z, [0, self.torso.height], [20.5, 15.5])
        pitch = (self.torso.height + 62.0) / 10.4
        phase = np.abs(np.mod((self.torso.height + 12.0 - self.z) / pitch + 0.5, 1.0) - 0.5)
        block = ((self.x - centre) / half) ** 4 + ((self.y - 57.0) / (0.9 * half)) ** 4 < 1
        return block & (phase < 0.41)

    @cached_property
    def lungs(self) -> dict[str, Region]:
        """Aerated space of both lungs, recesses in front of, behind and beside the domes included."""
        deep = anatomy.depth_profile(self.torso, self.front.z)[:, :, None]
        apex = anatomy.apex_medial_profile(self.torso, self.front.z)[:, :, None]
        beside = (self.x - anatomy.spine_x(self.torso, self.z)) / 22.0
        column = beside**2 + ((self.y - 66.0) / 30.0) ** 2 < 1
        kept = self.body & ~self.heart & ~column & ~self.spine
        found: dict[str, Region] = {}
        for lung, side in SIDES.items():
            away, lateral = side * self.x, self.front.lateral[lung][:, :, None]
            u = np.clip(away / np.maximum(lateral, 1.0), 0, 1)
            half = deep * (1 - u**2.6) ** (1 / 2.6)
            inside = (away > np.maximum(self._border(lung, deep), apex)) & (away < lateral)
            found[lung] = inside & (np.abs(self.y) < half) & (self.z > self.dome(lung)) & kept
        return found

    def _border(self, lung: str, deep: Voxels) -> Voxels:
        """Return how far the mediastinum reaches aside (K, J, 1); before and behind it lungs nearly meet."""
        right, left = self.front.mediastinum
        border = (-right if SIDES[lung] < 0 else left)[:, :, None]
        round_ = np.sqrt(np.clip(1 - ((self.y - 8.0) / (0.72 * deep + 1.0)) ** 2, 0, 1))
        return np.maximum(border * round_, 5.0).astype(np.float32)

    def dome(self, lung: str) -> Voxels:
        """Return the height (1, J, I) of one half of the diaphragm: highest in front of the middle."""
        over = self.y[self.shape[0] // 2][None] / self.torso.half_depth
        fall = np.where(over > -0.15, 88.0 * np.clip(over + 0.15, 0, None) ** 2, 30.0 * (over + 0.15) ** 2)
        return (self.front.dome(lung)[:, None, :] - fall).astype(np.float32)

    def level(self, lung: str) -> Voxels:
        """Return 0 at the lung's axis to 1 at the chest wall (K, J, I)."""
        deep = np.maximum(anatomy.depth_profile(self.torso, self.front.z)[:, :, None], 1.0)
        lateral = np.maximum(self.front.lateral[lung][:, :, None], 1.0)
        u = np.clip(SIDES[lung] * self.x / lateral, 0, None)
        return ((u**2.6 + (np.abs(self.y) / deep) ** 2.6) ** (1 / 2.6)).astype(np.float32)

    @cached_property
    def water(self) -> Voxels:
        """Density relative to water (K, J, I), without bones of the wall, vessels and findings."""
        density = self.body.astype(np.float32)
        for region in self.lungs.values():
            density[region] = LUNG_DENSITY
        density[self.spine & self.body] += 0.3 - 0.14 * self.torso.age
        density[self.aorta & (density > 0.5)] += 0.04
        density[self._stomach_gas() | self.airway] = 0.02
        return density

    def _stomach_gas(self) -> Region:
        rng = np.random.default_rng([self.breath.seed, 3])
        cx, r = 0.42 * self.torso.half_width + rng.normal(0, 8), rng.uniform(16, 34)
        cz = self.front.domes["left lung"] - rng.uniform(1.1, 1.5) * r
        far = ((self.x - cx) / r) ** 2 + ((self.y + 8.0) / (0.9 * r)) ** 2 + ((self.z - cz) / (0.7 * r)) ** 2
        below = self.z < self.dome("left lung") - 5.0
        return (far < 1) & below & self.body & ~self.heart

    def bones(self, view: str) -> Cloud:
        """Return ribs, shoulder girdle, sternum and fine bone of the spine as seen in `view`; arms raised."""
        axis = 0 if view == "LL" else 1
        cloud = anatomy.skeleton(self.torso, axis)
        half_width, _ = anatomy.body_profile(self.torso, cloud.points[:, 2])
        raised = view == "LL"
        kept = np.abs(cloud.points[:, 0]) < half_width * (0.97 if raised else 1.02)
        return self._placed(join([Cloud(cloud.points[kept], cloud.mass[kept]), self._sternum(axis)]))

    def _sternum(self, axis: int) -> Cloud:
        top = self.torso.height
        z = np.linspace(top - 42, 0.18 * top, 30)
        front = anatomy.depth_profile(self.torso, z.astype(np.float32))
        path = np.stack([0 * z, -np.maximum(front, 0.55 * self.torso.half_depth) - 5.0, z], -1)
        return tube(path.astype(np.float32), 7.0, 0.5 * self.torso.rib_density, axis=axis)

    @cached_property
    def airway(self) -> Region:
        """Trachea and main bronchi."""
        top, fork = self.torso.height, 0.63 * self.torso.height + 0.2 * self.breath.rise
        trachea = [(0.0, 20.0, top + 110), (0.0, 22.0, top + 10), (-4.0, 30.0, fork + 20), (-3.0, 32.0, fork)]
        right = [(-3.0, 32.0, fork), (-22.0, 30.0, fork - 24), (-38.0, 30.0, fork - 44)]
        left = [(-3.0, 32.0, fork), (18.0, 30.0, fork - 18), (40.0, 30.0, fork - 28)]
        return self._rod(trachea, 8.6) | self._rod(right, 6.5) | self._rod(left, 5.8)

    @cached_property
    def aorta(self) -> Region:
        """Ascending aorta, arch and descending aorta."""
        person, knob_z = self.torso, self.front.knob_z
        bow = 6.0 + 10.0 * person.age
        path = [
            (-12.0, -25.0, knob_z - 60), (-10.0, -22.0, knob_z - 15), (5.0, 0.0, knob_z + 4),
            (person.knob_x, 20.0, knob_z), (person.knob_x + bow, 30.0, knob_z - 70),
            (8.0 + bow, 38.0, knob_z - 130), (8.0, 42.0, self.front.domes["left lung"] - 60),
        ]  # fmt: skip
        return self._rod(path, min(person.knob_radius, 17.0) * 0.92)

    def _rod(self, path: list[Point], radius_mm: float) -> Region:
        """Return what lies within `radius_mm` of a polyline of (x, y, z)."""
        inside = np.zeros(self.shape, np.bool_)
        for low, high in pairwise(path):
            ends = sorted((low[2], high[2]))
            near = (self.front.z[:, 0] > ends[0] - radius_mm) & (self.front.z[:, 0] < ends[1] + radius_mm)
            inside[near] |= self._distance(near, low, high) < radius_mm
        return inside

    def _distance(self, rows: Region, low: Point, high: Point) -> Voxels:
        """Return the distance of the voxels of some rows to a line between two points."""
        a, along = np.array(low), np.array(high) - np.array(low)
        x, y, z = self.x - a[0], self.y[rows] - a[1], self.z[rows] - a[2]
        t = np.clip((x * along[0] + y * along[1] + z * along[2]) / (along @ along), 0, 1)
        return np.sqrt((x - t * along[0]) ** 2 + (y - t * along[1]) ** 2 + (z - t * along[2]) ** 2).astype(
            np.float32
        )

    def vessels(self) -> Cloud:
        """Return the vessels of the lungs, each point within one of them."""
        cloud = anatomy.vessels(self.torso)
        top = self.torso.height
        points = cloud.points.copy()
        points[:, 2] = top - (top - points[:, 2]) * (top - self.breath.rise) / top
        placed = self._placed(Cloud(points, cloud.mass))
        aerated = self.lungs["right lung"] | self.lungs["left lung"]
        return self.within(placed, aerated)

    def within(self, cloud: Cloud, region: Region) -> Cloud:
        """Keep the points of a placed cloud that lie in a region."""
        x, y, z = cloud.points.T
        index = [
            np.floor((self.top_mm - z) / STEP_MM),
            np.floor(y / STEP_MM + self.shape[1] / 2),
            np.floor(x / STEP_MM + self.shape[2] / 2),
        ]
        k, j, i = (np.clip(at, 0, n - 1).astype(np.intp) for at, n in zip(index, self.shape, strict=True))
        kept = region[k, j, i]
        return Cloud(cloud.points[kept], cloud.mass[kept])

    def _placed(self, cloud: Cloud) -> Cloud:
        points = cloud.points.copy()
        points[:, 1] += self.lean(points[:, 2])
        return replace(cloud, points=points)
