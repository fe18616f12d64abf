"""The analytic torso of one person, in millimetres: outlines as profiles along z, thin structures as strokes.

x grows to the patient's left, y to the back, z to the head; z is 0 at the top of the right dome in full
inspiration.
"""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy.interpolate import PchipInterpolator

from model.training.phantoms.strokes import Cloud, join, patch, tube

Profile = NDArray[np.floating]

# Depth below the apex as a fraction of lung height, and the half-width there as a fraction of the greatest.
_LATERAL = (
    (-0.001, 0.34), (0.0, 0.38), (0.01, 0.47), (0.035, 0.54), (0.08, 0.61), (0.15, 0.69), (0.26, 0.79),
    (0.42, 0.89), (0.6, 0.955), (0.8, 0.99), (1.0, 1.0), (1.2, 1.0), (1.5, 0.96), (2.0, 0.93),
)  # fmt: skip
_DEPTH = ((0.0, 0.25), (0.1, 0.5), (0.3, 0.78), (0.6, 0.96), (1.0, 1.0), (2.0, 1.0))


@dataclass(frozen=True, slots=True)
class Torso:
    """What stays the same between two radiographs of one person."""

    seed: int
    female: bool
    half_width: float
    """Greatest half-width of the rib cage inside."""
    half_depth: float
    height: float
    """Apex to right dome in full inspiration."""
    wall: float
    """Fat and muscle at the side of the chest."""
    front_wall: float
    age: float
    """0 young to 1 old: calcium, kyphosis, aortic elongation, osteopenia."""
    dome_right: float
    """Rise of the dome above its own costophrenic angle."""
    dome_left: float
    dome_step: float
    """How much lower the left dome stands."""
    left_narrower: float
    heart_left_part: float
    """Share of the heart's width that lies left of the midline."""
    heart_height: float
    knob_x: float
    knob_radius: float
    mediastinum_right: float
    mediastinum_left: float
    scoliosis: float
    breast: float
    rib_slope: float
    rib_density: float
    arm_angle: float
    shoulder: float
    vessel_gain: float
    lateral_bend: tuple[float, float, float]


def draw_torso(rng: np.random.Generator) -> Torso:
    """Draw a person."""
    female = bool(rng.random() < 0.5)
    size = rng.normal(0.96 if female else 1.03, 0.06)
    age = float(rng.beta(1.6, 1.3))
    fat = float(rng.gamma(2.0, 0.5))
    return Torso(
        seed=int(rng.integers(2**31)),
        female=female,
        half_width=138.0 * size * rng.normal(1.0, 0.04),
        half_depth=84.0 * size * rng.normal(1.0, 0.08),
        height=225.0 * size * rng.normal(1.0, 0.07),
        wall=15.0 + 14.0 * fat,
        front_wall=16.0 + 11.0 * fat,
        age=age,
        dome_right=rng.uniform(34.0, 66.0),
        dome_left=rng.uniform(34.0, 62.0),
        dome_step=rng.normal(13.0, 5.0),
        left_narrower=rng.normal(0.985, 0.015),
        heart_left_part=float(np.clip(rng.normal(0.69, 0.05), 0.58, 0.8)),
        heart_height=rng.normal(0.56, 0.04),
        knob_x=rng.normal(7.0 + 6.0 * age, 2.0),
        knob_radius=rng.normal(19.0 + 3.0 * age, 1.5),
        mediastinum_right=rng.normal(25.0 + 3.0 * fat, 3.5),
        mediastinum_left=rng.normal(24.0 + 2.0 * fat, 3.0),
        scoliosis=rng.normal(0.0, 4.0),
        breast=float(rng.uniform(10.0, 46.0)) if female else 0.0,
        rib_slope=float(np.clip(rng.normal(1.0, 0.22), 0.5, 1.6)),
        rib_density=rng.normal(1.15 - 0.35 * age, 0.15),
        arm_angle=rng.uniform(0.05, 0.6),
        shoulder=rng.normal(0.0, 12.0),
        vessel_gain=rng.normal(1.3, 0.2),
        lateral_bend=(rng.normal(0, 0.02), rng.normal(0, 0.018), rng.normal(0, 0.012)),
    )


def lung_height(torso: Torso, rise: float) -> float:
    """Return apex to right dome when the diaphragm stands `rise` mm above full inspiration."""
    return torso.height - rise


def depth_below_apex(torso: Torso, z: Profile) -> Profile:
    """Return (apex - z) as a fraction of lung height; the rib cage does not follow the diaphragm."""
    return (torso.height - z) / np.float32(torso.height)


def lateral_profile(torso: Torso, z: Profile) -> Profile:
    """Return the half-width of the rib cage inside at heights `z`; 0 above the apex."""
    tau = depth_below_apex(torso, z)
    knots = np.array(_LATERAL, np.float64)
    bend = sum(b * np.sin((k + 1) * np.pi * np.clip(tau, 0, 1.2)) for k, b in enumerate(torso.lateral_bend))
    width = PchipInterpolator(knots[:, 0], knots[:, 1])(np.clip(tau, -0.001, 2.0)) + bend
    return np.where(tau < 0, 0.0, width * torso.half_width).astype(np.float32)


def apex_medial_profile(torso: Torso, z: Profile) -> Profile:
    """Return how far from the midline the rounded apex begins at heights `z`."""
    tau = np.clip(depth_below_apex(torso, z), 0, None)
    frac = np.interp(tau, [0, 0.006, 0.02, 0.05, 0.1, 0.16], [0.38, 0.30, 0.23, 0.17, 0.12, 0.0])
    return (frac * torso.half_width).astype(np.float32)


def depth_profile(torso: Torso, z: Profile) -> Profile:
    """Return the half-depth of the lungs at heights `z`."""
    tau = depth_below_apex(torso, z)
    knots = np.array(_DEPTH)
    return (np.interp(tau, knots[:, 0], knots[:, 1]) * torso.half_depth).astype(np.float32)


def body_profile(torso: Torso, z: Profile) -> tuple[Profile, Profile]:
    """Return half-width and half-depth of neck, shoulders and trunk at heights `z`."""
    top = torso.height
    at = np.array(
        [-400, 0.0, top - 95, top - 70, top - 40, top - 10, top + 12, top + 35, top + 70, top + 160]
    )
    trunk = torso.half_width + torso.wall
    broad = torso.half_width * 1.12 + 0.6 * torso.wall + torso.shoulder
    wide = [trunk, trunk, trunk, trunk + 8, broad, broad - 12, broad * 0.66, 78 + 0.2 * torso.wall, 62, 66]
    deep_trunk = torso.half_depth + torso.front_wall
    deep = [deep_trunk, deep_trunk, deep_trunk, 0.95 * deep_trunk, 0.85 * deep_trunk, 0.74 * deep_trunk]
    deep += [0.62 * deep_trunk, 62, 58, 60]
    half_width = PchipInterpolator(at, np.array(wide))(z)
    half_depth = PchipInterpolator(at, np.array(deep))(z)
    return half_width.astype(np.float32), half_depth.astype(np.float32)


def spine_x(torso: Torso, z: Profile) -> Profile:
    """Return the midline of the spine."""
    return (torso.scoliosis * np.sin(z / 110.0)).astype(np.float32)


def _ribs(torso: Torso, axis: int) -> list[Cloud]:
    clouds: list[Cloud] = []
    top = torso.height
    for k in range(11):
        lateral_drop = (22.0 + 5.0 * k) * torso.rib_slope
        front_drop = (26.0 + 6.0 * k) * torso.rib_slope
        z0 = top + 24.0 - k * (torso.height + 62.0) / 10.4
        half = float(lateral_profile(torso, np.array([min(z0 - lateral_drop, top - 5.0)], np.float32))[0])
        half = max(half, 0.5 * torso.half_width) + 4.0
        deep = float(depth_profile(torso, np.array([z0 - lateral_drop], np.float32))[0]) + 4.0
        end = 2.62 - 0.07 * k if k < 8 else 2.0 - 0.18 * (k - 8)
        theta = np.linspace(0.10, end, 90)
        cos = np.cos(theta)
        fall = np.where(
            cos > 0, lateral_drop * (1 - cos), lateral_drop + front_drop * -cos * (1.0 - 0.25 * cos)
        )
        z = z0 + 7.0 * np.sin(2 * np.clip(theta, 0, np.pi / 2)) - fall
        x = half * np.sin(theta) ** 0.85
        wide = np.interp(theta, [0.1, 0.4, 1.6, end], [5.0, 5.6, 6.2, 7.4]).astype(np.float32)
        for side in (-1.0, 1.0):
            path = np.stack([side * x, deep * cos, z], axis=-1).astype(np.float32)
            clouds.append(tube(path, wide, 1.35 * torso.rib_density, wall=0.26, core=0.3, axis=axis))
    return clouds


def _shoulders(torso: Torso, axis: int) -> list[Cloud]:
    clouds: list[Cloud] = []
    top, half = torso.height, torso.half_width
    for side in (-1.0, 1.0):
        joint = np.array([side * (half * 1.04 + 26 + torso.shoulder), 10.0, top - 42])
        u = np.linspace(0, 1, 40)[:, None]
        inner = np.array([side * 17.0, -60.0, top - 34])
        outer = joint + np.array([-side * 8.0, -8.0, 28.0])
        bow = np.concatenate(
            [0 * u, -16 * np.sin(2 * np.pi * u), 4 * np.sin(np.pi * u) - 5 * np.sin(2 * np.pi * u)], 1
        )
        clavicle = (inner * (1 - u) + outer * u + bow).astype(np.float32)
        thick = np.interp(u[:, 0], [0, 0.15, 0.7, 1], [8.5, 6.0, 5.6, 7.5]).astype(np.float32)
        clouds.append(tube(clavicle, thick, 1.3 * torso.rib_density, wall=0.3, core=0.3, axis=axis))
        tip = np.array([side * half * 0.93, 70.0, top - 148])
        corner = np.array([side * half * 0.66, 75.0, top - 22])
        glenoid = joint + np.array([-side * 18.0, 5.0, -4.0])
        line = np.linspace(0, 1, 30)[:, None]
        medial = (
            corner * (1 - line) + tip * line + np.array([-side * 7.0, 0, 0]) * np.sin(np.pi * line)
        ).astype("f4")
        lateral = (
            glenoid * (1 - line) + tip * line + np.array([-side * 9.0, 0, 0]) * np.sin(np.pi * line)
        ).astype("f4")
        ridge = np.stack([corner + np.array([0, 5, -30]), joint + np.array([side * 2, 12, 22])]).astype(
            np.float32
        )
        clouds.append(tube(medial, 2.0, 0.8, axis=axis))
        clouds.append(tube(lateral, 4.5, 0.75, wall=0.35, core=0.3, axis=axis))
        clouds.append(tube(ridge, 4.5, 0.6, wall=0.4, core=0.3, axis=axis))
        clouds.append(patch(medial, lateral, 1.8))
        along = np.array([side * np.sin(torso.arm_angle), 0.0, -np.cos(torso.arm_angle)])
        shaft = (joint + [side * 12.0, 0, 0] + along * np.linspace(-4, 300, 60)[:, None]).astype(np.float32)
        girth = np.interp(np.linspace(0, 300, 60), [0, 18, 50, 300], [19.0, 22.0, 12.5, 11.0]).astype(
            np.float32
        )
        clouds.append(tube(shaft, girth, 0.75, wall=0.3, core=0.25, axis=axis))
    return clouds


def _spine(torso: Torso, axis: int) -> list[Cloud]:
    """Pedicles, end plates and spinous processes; the bodies themselves are a profile."""
    clouds: list[Cloud] = []
    pitch = (torso.height + 62.0) / 10.4
    for k in range(-4, 13):
        z = torso.height + 12.0 - k * pitch
        x = float(spine_x(torso, np.array([z], np.float32))[0])
        half = 13.5 + 0.5 * k if k > 0 else 12.0
        edge = np.linspace(-half, half, 12)
        for offset in (-0.41, 0.41):
            plate = np.stack([x + edge, np.full(12, 55.0), z + offset * pitch + 0 * edge], -1).astype(
                np.float32
            )
            clouds.append(tube(plate, 1.3, 5.0 * (1.1 - 0.4 * torso.age), axis=axis))
        ring = np.linspace(0, 2 * np.pi, 16)
        for side in (-1, 1):
            pedicle = np.stack(
                [x + side * (half - 5) + 3 * np.cos(ring), np.full(16, 70.0), z + 5 * np.sin(ring)], -1
            )
            clouds.append(tube(pedicle.astype(np.float32), 1.0, 4.5, axis=axis))
        spike = np.array([[x, 78, z - 4], [x + 1, 104, z - 16]], np.float32)
        clouds.append(tube(spike, 3.0, 0.7, axis=axis))
    return clouds


@lru_cache(maxsize=2)
def skeleton(torso: Torso, axis: int = 1) -> Cloud:
    """Return ribs, shoulder girdle and the fine bone of the spine, seen along `axis`; do not write to it."""
    return join(_ribs(torso, axis) + _shoulders(torso, axis) + _spine(torso, axis))


@lru_cache(maxsize=2)
def vessels(torso: Torso) -> Cloud:
    """Return the pulmonary vessels of both lungs as binary trees from the hila; do not write to it."""
    rng = np.random.default_rng([torso.seed, 1])
    reach = torso.height / 225.0
    parts: list[Cloud] = []
    for side in (-1.0, 1.0):
        count = 13
        start = np.tile(
            np.array([side * 27.0, 5.0, 0.52 * torso.height + (8.0 if side > 0 else 0.0)]), (count, 1)
        )
        start += rng.normal(0, [4, 8, 12], (count, 3))
        angle = np.linspace(-2.1, 1.45, count) + rng.normal(0, 0.12, count)
        heading = np.stack([side * np.cos(angle) * 0.9, rng.normal(0, 0.55, count), np.sin(angle)], -1)
        heading[:, 0] = side * np.maximum(np.abs(heading[:, 0]), 0.2)
        heading /= np.linalg.norm(heading, axis=1, keepdims=True)
        radius = rng.uniform(2.2, 3.7, count) * np.where(angle < 0, 1.15, 0.85)
        length = np.full(count, 31.0 * reach)
        for _ in range(7):
            points, heading, mass = _grow(rng, start, heading, radius, length)
            parts.append(Cloud(points.reshape(-1, 3), mass.reshape(-1) * np.float32(torso.vessel_gain)))
            start = np.repeat(points[:, -1], 2, axis=0)
            heading = np.repeat(heading, 2, axis=0) + rng.normal(0, 0.3, (2 * len(heading), 3))
            heading /= np.linalg.norm(heading, axis=1, keepdims=True)
            radius = np.repeat(radius, 2) * rng.uniform(0.66, 0.92, 2 * len(radius))
            length = np.repeat(length, 2) * rng.uniform(0.72, 1.1, 2 * len(length))
    return join(parts)


def _grow(
    rng: np.random.Generator, start: Profile, heading: Profile, radius: Profile, length: Profile
) -> tuple[NDArray[np.floating], Profile, NDArray[np.floating]]:
    """Extend every branch; points are (N, steps, 3)."""
    steps = int(np.clip(length.mean() / 1.8, 5, 16))
    bend = rng.normal(0, 0.18, heading.shape)
    u = np.linspace(1 / steps, 1, steps)[None, :, None]
    points = start[:, None] + length[:, None, None] * (heading[:, None] * u + bend[:, None] * u**2)
    # Half a pixel of jitter across the branch stands for its width: these strokes are about one pixel wide.
    points = points + rng.uniform(-0.5, 0.5, (*points.shape[:2], 1)) * radius[:, None, None] * np.array(
        [1.0, 0, 0.6]
    )
    mass = np.repeat(0.8 * np.pi * radius**2 * length / steps, steps).reshape(len(start), steps)
    ahead = heading + 2 * bend
    return (
        points.astype(np.float32),
        ahead / np.linalg.norm(ahead, axis=1, keepdims=True),
        mass.astype(np.float32),
    )
