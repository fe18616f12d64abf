"""Frontal projection of the analytic torso: water-equivalent path lengths, organ masks and boxes' sources.

Every thick structure is an interval along the ray, known in closed form at each pixel; thin ones are
splatted strokes.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from scipy.interpolate import PchipInterpolator
from scipy.ndimage import gaussian_filter

from model.training.phantoms import torso as anatomy
from model.training.phantoms.strokes import Cloud, splat, tube
from model.training.phantoms.texture import power_noise, smooth_noise
from model.training.phantoms.torso import Torso

Picture = NDArray[np.floating]
Region = NDArray[np.bool_]
LUNG_DENSITY = 0.26
SIDES = {"right lung": -1.0, "left lung": 1.0}

_HEART_LEFT = (
    (0.0, 0.62), (0.08, 0.84), (0.2, 0.985), (0.27, 1.0), (0.42, 0.92), (0.6, 0.72), (0.78, 0.52),
    (0.92, 0.42), (1.0, 0.34),
)  # fmt: skip
_HEART_RIGHT = ((0.0, 0.72), (0.15, 0.93), (0.36, 1.0), (0.6, 0.9), (0.8, 0.68), (1.0, 0.52))


@dataclass(frozen=True, slots=True)
class Pose:
    """How one radiograph was taken."""

    view: str
    yaw: float
    """Rotation of the patient about the long axis, radians."""
    focus_mm: float
    """Source to detector."""
    rise: float
    """How far the diaphragm stands above full inspiration, mm."""
    heart_ratio: float
    """Cardiothoracic ratio wanted on this image."""
    width_mm: float
    """Field of view of the canvas, in the plane of the spine's front."""
    height_mm: float
    top_mm: float
    """z of the upper edge of the canvas."""
    seed: int


class Scene:
    """One torso seen in one pose on a canvas (J, I)."""

    def __init__(self, torso: Torso, pose: Pose, shape: tuple[int, int]) -> None:
        self.torso, self.pose, self.shape = torso, pose, shape
        rows, columns = shape
        self.pitch = (pose.height_mm / rows, pose.width_mm / columns)
        self._x = (((np.arange(columns) + 0.5) / columns - 0.5) * pose.width_mm).astype(np.float32)[None, :]
        self._z = (pose.top_mm - (np.arange(rows) + 0.5) * self.pitch[0]).astype(np.float32)[:, None]
        self._axis_z = 0.45 * torso.height
        self.x, self.z = self.plane(0.0)
        self.domes = {"right lung": pose.rise, "left lung": pose.rise - torso.dome_step}

    def magnification(self, y: NDArray[np.floating] | float) -> NDArray[np.floating]:
        """Return the magnification at depth `y` relative to the plane y = 0."""
        gap = self.torso.half_depth + self.torso.front_wall + 25.0
        sign = 1.0 if self.pose.view == "PA" else -1.0
        return np.asarray(
            (self.pose.focus_mm - gap) / (self.pose.focus_mm - gap - sign * np.asarray(y)), np.float32
        )

    def plane(self, y: float) -> tuple[Picture, Picture]:
        """Return the x (1, I) and z (J, 1) that each pixel sees at depth `y`."""
        scale = float(self.magnification(y))
        x = (self._x / scale - y * np.sin(self.pose.yaw)) / np.cos(self.pose.yaw)
        return x.astype(np.float32), (self._z - self._axis_z) / scale + self._axis_z

    def splat(self, cloud: Cloud) -> Picture:
        """Project a cloud to millimetres of water."""
        x, y, z = cloud.points.T
        cos, sin = np.cos(self.pose.yaw), np.sin(self.pose.yaw)
        scale = self.magnification(-x * sin + y * cos)
        column = ((x * cos + y * sin) * scale / self.pose.width_mm + 0.5) * self.shape[1] - 0.5
        row = (self.pose.top_mm - (z - self._axis_z) * scale - self._axis_z) / self.pitch[0] - 0.5
        return splat(self.shape, row, column, cloud.mass / np.float32(self.pitch[0] * self.pitch[1]))

    def _breathe(self, cloud: Cloud) -> Cloud:
        """Squeeze what hangs in the lungs as the diaphragm rises."""
        top = self.torso.height
        points = cloud.points.copy()
        points[:, 2] = top - (top - points[:, 2]) * (top - self.pose.rise) / top
        return Cloud(points, cloud.mass)

    @cached_property
    def lateral(self) -> dict[str, Picture]:
        """Half-width (J, 1) of the rib cage inside, per side."""
        width = anatomy.lateral_profile(self.torso, self.z)
        return {"right lung": width, "left lung": width * np.float32(self.torso.left_narrower)}

    def dome(self, lung: str) -> Picture:
        """Return the silhouette (1, I) of one half of the diaphragm in z."""
        side, half = SIDES[lung], self.torso.half_width
        drop = self.torso.dome_right if lung == "right lung" else self.torso.dome_left
        drop = min(drop, 0.75 * drop + 0.25 * self.pose.rise + 4.0)
        u = (side * self.x - 0.5 * half) / (0.5 * half)
        fall = np.where(u > 0, drop * np.abs(u) ** 2.3, 0.35 * drop * np.abs(u) ** 2)
        return (self.domes[lung] - fall).astype(np.float32)

    @cached_property
    def mediastinum(self) -> tuple[Picture, Picture]:
        """Right and left border in x (J, 1) of the mediastinum above the heart, aortic knob included."""
        person = self.torso
        tau = anatomy.depth_below_apex(person, self.z)
        flare = np.interp(tau, [-0.4, 0.0, 0.1, 0.35, 0.45, 0.6, 1.2], [1.1, 0.9, 0.8, 0.86, 1.1, 0.75, 0.5])
        right = -person.mediastinum_right * flare
        left = person.mediastinum_left * np.interp(
            tau, [-0.4, 0, 0.12, 0.3, 0.5, 1.2], [1.2, 1.0, 0.8, 0.8, 0.9, 0.5]
        )
        wobble = np.random.default_rng([person.seed, 4])
        right = right + 1.8 * smooth_noise(wobble, (self.shape[0],), 9)[:, None]
        left = left + 1.8 * smooth_noise(wobble, (self.shape[0],), 9)[:, None]
        knob = np.sqrt(np.maximum(person.knob_radius**2 - (self.z - self.knob_z) ** 2, 0.0))
        left = np.where(knob > 0, np.maximum(left, person.knob_x + knob), left)
        return right.astype(np.float32), left.astype(np.float32)

    @property
    def knob_z(self) -> float:
        """Height of the middle of the aortic knob."""
        return self.torso.height * 0.735 + 0.15 * self.pose.rise

    @cached_property
    def heart(self) -> tuple[Picture, Region]:
        """Depth (J, I) of the heart along the ray in mm, and its mask."""
        person = self.torso
        x, z = self.plane(-24.0)
        low = self.domes["left lung"] - 16.0
        high = low + person.heart_height * (person.height - 0.6 * self.pose.rise) + 8.0
        t = (z - low) / (high - low)
        left = PchipInterpolator(*np.array(_HEART_LEFT).T)(np.clip(t, 0, 1))
        right = PchipInterpolator(*np.array(_HEART_RIGHT).T)(np.clip(t, 0, 1))
        close = np.sqrt(np.clip(1 - np.clip((0.1 - t) / 0.1, 0, 1) ** 2, 0, 1))
        width = self._heart_width()
        left, right = (
            left * close * width * person.heart_left_part,
            right * close * width * (1 - person.heart_left_part),
        )
        # Towards the great vessels the heart takes the mediastinum's own width: no shoulder where they meet.
        blend = np.clip((t - 0.62) / 0.38, 0, 1)
        blend = blend * blend * (3 - 2 * blend)
        left = left * (1 - blend) + self.mediastinum[1] * blend
        right = right * (1 - blend) - self.mediastinum[0] * blend
        rounded = np.sqrt(np.clip(1 - np.clip((t - 0.86) / 0.14, 0, 1) ** 2, 0, 1))
        left, right = left * rounded, right * rounded
        middle, half = (left - right) / 2, np.maximum((left + right) / 2, 1e-3)
        s = (x - middle) / half
        inside = (t > 0) & (t < 1) & (np.abs(s) < 1)
        chord = 2 * (0.36 * width + 12.0) * np.sqrt(np.clip(1 - s**2, 0, 1)) * close * rounded
        return np.where(inside, chord, 0.0).astype(np.float32), inside

    def _heart_width(self) -> float:
        """Return the width that gives the wanted ratio on the image, magnification included."""
        chest = 0.0
        for lung in SIDES:
            seen = self.z[:, 0] > self.domes[lung] - 0.6 * self.torso.dome_left
            chest += float(self.lateral[lung][seen].max())
        return self.pose.heart_ratio * chest / float(self.magnification(-24.0))

    @cached_property
    def fields(self) -> dict[str, Region]:
        """Visible lung fields (J, I): without heart and mediastinum, above the domes."""
        right_border, left_border = self.mediastinum
        apex = anatomy.apex_medial_profile(self.torso, self.z)
        found: dict[str, Region] = {}
        for lung, side in SIDES.items():
            border = -right_border if side < 0 else left_border
            away = side * self.x
            inside = (
                (away < self.lateral[lung]) & (away > np.maximum(border, apex)) & (self.z > self.dome(lung))
            )
            found[lung] = inside & ~self.heart[1]
        return found

    @cached_property
    def thickness(self) -> dict[str, Picture]:
        """Aerated depth (J, I) of each lung along the ray, mm; the recess behind the dome included."""
        person = self.torso
        deep = anatomy.depth_profile(person, self.z)
        right_border, left_border = self.mediastinum
        apex = anatomy.apex_medial_profile(person, self.z)
        found: dict[str, Picture] = {}
        for lung, side in SIDES.items():
            border = -right_border if side < 0 else left_border
            away = side * self.x
            u = np.clip(away / np.maximum(self.lateral[lung], 1.0), 0, 1)
            half = deep * (1 - u**2.6) ** (1 / 2.6)
            inside = ((away < self.lateral[lung]) & (away > np.maximum(border, apex))).astype(np.float32)
            # In front of and behind the great vessels the lungs reach towards the midline.
            inside += 0.2 * ((away > 0) & (away <= border) & (self.z < person.height - 18))
            # Behind the dome the lung reaches down into the recess: depth left over by a parabolic dome.
            sunk = np.clip((self.dome(lung) - self.z) / 62.0, 0, None)
            left_over = np.clip(1 - 0.42 - 0.9 * np.sqrt(sunk), 0, 1) * half
            depth = np.where(sunk > 0, left_over, 2 * half)
            chord = self.heart[0]
            overlap = np.clip(np.minimum(half, -24 + chord / 2) - np.maximum(-half, -24 - chord / 2), 0, None)
            found[lung] = (np.clip(depth - np.where(chord > 0, overlap + 50, 0), 0, None) * inside).astype(
                np.float32
            )
        return found

    @cached_property
    def vessels(self) -> Picture:
        """Water (J, I) of the pulmonary vessels beyond aerated lung."""
        aerated = (self.thickness["right lung"] + self.thickness["left lung"]) > 4.0
        lumen = self.splat(self._breathe(anatomy.vessels(self.torso)))
        return gaussian_filter(lumen, 0.55, truncate=2.5) * aerated

    def _body(self) -> Picture:
        half_width, half_depth = anatomy.body_profile(self.torso, self.z)
        u = np.clip(np.abs(self.x) / half_width, 0, 1)
        body = 2 * half_depth * (1 - u**2.7) ** (1 / 2.7)
        top = self.torso.height
        for side in (-1.0, 1.0):
            shift = side * (self.torso.half_width * 1.04 + 36 + self.torso.shoulder)
            down = np.clip(top - 35 - self.z, 0, None)
            centre = shift + side * np.tan(self.torso.arm_angle) * down
            radius = (46 + 0.35 * self.torso.wall) * np.clip(1 - down / 900, 0.5, 1)
            arm = 2 * np.sqrt(np.clip(radius**2 - (self.x - centre) ** 2, 0, None))
            arm = arm * np.sqrt(np.clip(1 - np.clip((self.z - top + 60) / 55, 0, 1) ** 2, 0, 1))
            body = np.where(arm * 0.9 > body, arm * 0.9, body)
            if self.torso.breast:
                reach = 52 + 0.6 * self.torso.breast
                u2 = ((self.x - side * 0.56 * self.torso.half_width) / reach) ** 2
                v = (self.z - 0.24 * top) / reach
                v2 = np.where(v < 0, v * 1.15, v * 0.6) ** 2
                body = body + self.torso.breast * np.sqrt(np.clip(1 - u2 - v2, 0, None)) * (body > 0)
        return body.astype(np.float32)

    @cached_property
    def _spine(self) -> tuple[Picture, Region]:
        x, z = self.plane(55.0)
        centre = anatomy.spine_x(self.torso, z)
        half = np.interp(z, [0, self.torso.height], [20.5, 15.5])
        u = (x - centre) / half
        pitch = (self.torso.height + 62.0) / 10.4
        phase = np.mod((self.torso.height + 12.0 - z) / pitch + 0.5, 1.0) - 0.5
        body = np.clip((0.43 - np.abs(phase)) / 0.05, 0, 1)
        bone = 30.0 * (0.34 - 0.16 * self.torso.age) * np.sqrt(np.clip(1 - u**4, 0, None)) * body
        side = (
            9.0 * np.clip((0.14 - np.abs(phase + 0.2)) / 0.05, 0, 1) * np.clip((2.1 - np.abs(u)) / 0.2, 0, 1)
        )
        return (bone + side * (1.1 - 0.5 * self.torso.age)).astype(np.float32), np.abs(u) < 1

    def _aorta(self) -> Cloud:
        person = self.torso
        knob = np.array([person.knob_x, 20.0, self.knob_z])
        low = np.array([8.0, 42.0, self.domes["left lung"] - 60])
        t = np.linspace(0, 1, 30)[:, None]
        bow = np.array([6.0 + 10.0 * person.age, 0, 0]) * np.sin(np.pi * t)
        down = knob * (1 - t) + low * t + bow
        rise = np.array([[-12, -25, self.knob_z - 60], [-10, -22, self.knob_z - 15], [5, 0, self.knob_z + 4]])
        return tube(
            np.concatenate([rise, down]).astype(np.float32), min(person.knob_radius, 17.0) * 0.92, 0.17
        )

    def airway(self) -> Cloud:
        """Return trachea and main bronchi as missing water."""
        top = self.torso.height
        fork = 0.63 * top + 0.2 * self.pose.rise
        trachea = np.array(
            [[0, 20, top + 110], [0, 22, top + 10], [-4, 30, fork + 20], [-3, 32, fork]], np.float32
        )
        right = np.array([[-3, 32, fork], [-22, 30, fork - 24], [-38, 30, fork - 44]], np.float32)
        left = np.array([[-3, 32, fork], [18, 30, fork - 18], [40, 30, fork - 28]], np.float32)
        parts = [tube(trachea, 8.6, -0.95), tube(right, 6.5, -0.85), tube(left, 5.8, -0.85)]
        return Cloud(np.concatenate([p.points for p in parts]), np.concatenate([p.mass for p in parts]))

    def _belly_gas(self) -> Picture:
        """Stomach bubble under the left dome, and now and then colon."""
        rng = np.random.default_rng([self.pose.seed, 3])
        dome = self.dome("left lung")
        gas = np.zeros(self.shape, np.float32)
        if rng.random() < 0.8:
            cx, rx = 0.45 * self.torso.half_width + rng.normal(0, 10), rng.uniform(18, 48)
            rz = rng.uniform(10, 26)
            cz = float(np.interp(cx, self.x[0], dome[0])) - rz - rng.uniform(5, 14)
            level = cz - rng.uniform(-0.3, 1.0) * rz
            chord = (
                2
                * 0.9
                * rx
                * np.sqrt(np.clip(1 - ((self.x - cx) / rx) ** 2 - ((self.z - cz) / rz) ** 2, 0, None))
            )
            gas += chord * np.clip((self.z - level) / 4.0 + 0.5, 0, 1)
        for _ in range(int(rng.integers(0, 6))):
            cx, r = rng.uniform(0.0, 0.95) * self.torso.half_width, rng.uniform(10, 24)
            cz = self.domes["left lung"] - rng.uniform(35, 110)
            gas += 1.4 * np.sqrt(np.clip(r**2 - (self.x - cx) ** 2 - ((self.z - cz) * 1.2) ** 2, 0, None))
        return np.minimum(gas, 95.0) * (self.z < dome - 3.0)

    @cached_property
    def water(self) -> Picture:
        """Path length (J, I) in mm of water without vessels and findings."""
        body = self._body()
        # Breath and heartbeat soften every border between air and tissue.
        aerated = gaussian_filter(
            self.thickness["right lung"] + self.thickness["left lung"], 0.8, truncate=2.5
        )
        rng = np.random.default_rng([self.torso.seed, 2])
        lumpy = smooth_noise(rng, self.shape, (9, 9)) * 0.02 + smooth_noise(rng, self.shape, (40, 40)) * 0.006
        soft = body * (1 + lumpy) - (1 - LUNG_DENSITY) * np.minimum(aerated, 0.85 * body)
        soft = soft + power_noise(rng, self.shape, -2.3) * (1.2 + 0.022 * aerated)
        liver = np.clip((self.dome("right lung") - self.z) / 30.0, 0, 1) * (self.x < 40) * 9.0
        total = soft + liver - np.minimum(self._belly_gas(), 0.7 * body) + self._spine[0]
        heart_and_aorta = self.splat(self._aorta())
        total = total + heart_and_aorta + self.splat(self.airway()) + self.splat(anatomy.skeleton(self.torso))
        return np.maximum(total, 0.0).astype(np.float32)

    @cached_property
    def structures(self) -> dict[str, Region]:
        """Regions (J, I) whose extents are the boxes of trachea, aorta and spine."""
        person = self.torso
        fork = 0.63 * person.height + 0.2 * self.pose.rise
        x, z = self.plane(25.0)
        trachea = (np.abs(x + 2) < 10) & (z > fork - 4) & (z < person.height + 95)
        edge = person.knob_x + person.knob_radius
        aorta = (x > -8) & (x < edge) & (z < self.knob_z + person.knob_radius) & (z > self.domes["left lung"])
        spine = self._spine[1] & (self.z > self.domes["left lung"] - 45) & (self.z < person.height + 12)
        return {"trachea": trachea, "aorta": aorta, "spine": spine}
