"""Water path lengths (J, I) in mm of body parts other than the frontal chest."""

from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

from model.training.phantoms import torso as anatomy
from model.training.phantoms.abdomen import make_abdomen_case
from model.training.phantoms.strokes import Cloud, splat, tube
from model.training.phantoms.texture import power_noise, smooth_noise
from model.training.phantoms.torso import draw_torso

Picture = NDArray[np.floating]


def _frame(size: int, width_mm: float) -> tuple[Picture, Picture, float]:
    """Return x (1, I) and z (J, 1) in mm from the middle, z up, and the pixel size."""
    axis = ((np.arange(size) + 0.5) / size - 0.5).astype(np.float32) * np.float32(width_mm)
    return axis[None, :], -axis[:, None], width_mm / size


def _draw(cloud: Cloud, size: int, pitch: float, across: int = 0) -> Picture:
    """Project a cloud along y (`across` 0) or along x (`across` 1: y runs to the right)."""
    column = cloud.points[:, across] / pitch + size / 2 - 0.5
    row = size / 2 - 0.5 - cloud.points[:, 2] / pitch
    return splat((size, size), row, column, cloud.mass / np.float32(pitch**2))


def _round(level: Picture, depth: float) -> Picture:
    return depth * np.sqrt(np.clip(1 - level, 0, None))


def lateral_chest(rng: np.random.Generator, size: int) -> Picture:
    """Project a torso from the side: spine at the back, sternum in front, one heart, overlapping lungs."""
    person = draw_torso(rng)
    x, z, pitch = _frame(size, rng.uniform(300, 400))
    z = z + np.float32(0.42 * person.height)
    deep = anatomy.depth_profile(person, z)
    apex = np.clip((person.height - z) / 30, 0, 1)
    lean = 0.10 * (z - 0.4 * person.height)
    y = x - lean
    wide, thick = anatomy.body_profile(person, z)
    thick = thick * 1.08
    body = _round((y / thick) ** 2, 1.6) * np.minimum(wide, 1.25 * person.half_width)
    arms = _round(((y + 25) / 85) ** 2 + ((z - person.height - 40) / 95) ** 2, 130.0)
    body = np.maximum(body, arms)
    dome = person.dome_step * -0.5 - np.where(y > 0, (y / 60.0) ** 2 * 26, (y / 80.0) ** 2 * 10)
    inside = (np.abs(y) < 0.97 * deep) & (z > dome) & (z < person.height)
    lung = 2 * person.half_width * 0.78 * np.sqrt(np.clip(1 - (y / deep) ** 2, 0, 1)) * apex * inside
    lung = gaussian_filter(lung, 1.0)
    heart = _round(((y + 22) / 52) ** 2 + ((z - dome - 50) / 62) ** 2, 95.0)
    water = body - 0.72 * np.clip(lung - heart, 0, None)
    spine_y = 0.78 * deep
    block = np.mod(z / 23.0, 1.0) > 0.2
    water += 14.0 * (np.abs(y - spine_y) < 15) * block
    parts = anatomy.skeleton(person, 0)
    shifted = Cloud(parts.points.copy(), parts.mass * np.float32(0.6))
    shifted.points[:, 1] += 0.10 * (shifted.points[:, 2] - 0.4 * person.height)
    shifted.points[:, 2] -= 0.42 * person.height
    water = water + _draw(shifted, size, pitch, 1)
    trees = anatomy.vessels(person)
    moved = Cloud(trees.points - np.array([0, 0, 0.42 * person.height], np.float32), trees.mass)
    water = np.clip(water + _draw(moved, size, pitch, 1) * (inside > 0), 0, None)
    return np.fliplr(water).copy() if rng.random() < 0.5 else water


def _bone(path: NDArray[np.float64], radius: Picture | float, rng: np.random.Generator) -> Cloud:
    return tube(
        path.astype(np.float32),
        np.asarray(radius, np.float32),
        rng.uniform(1.2, 1.9),
        wall=0.35,
        core=0.3,
        step_mm=0.7,
    )


def limb(rng: np.random.Generator, size: int) -> Picture:
    """Draw one or two long bones with a joint in a sleeve of muscle; any direction."""
    width = rng.uniform(180, 380)
    x, z, pitch = _frame(size, width)
    tilt, bend = rng.normal(0, 0.15), rng.normal(0, 12)
    girth = rng.uniform(28, 75) * (1 + 0.2 * smooth_noise(rng, (size,), 4)[:, None])
    middle = tilt * z + bend * np.sin(z / width * 3)
    water = 1.7 * np.sqrt(np.clip(girth**2 - (x - middle) ** 2, 0, None))
    along = np.linspace(-0.75, 0.75, 80) * width
    joint = rng.uniform(-0.4, 0.4) * width
    flare = 1 + 1.1 * np.exp(-(((along - joint) / 26) ** 2))
    gap = 1 - 0.9 * np.exp(-(((along - joint) / 2.5) ** 2))
    count = int(rng.integers(1, 3))
    for k in range(count):
        offset = (k - (count - 1) / 2) * rng.uniform(18, 30)
        radius = rng.uniform(6, 14) / count**0.4 * flare * gap
        path = np.stack([tilt * along + bend * np.sin(along / width * 3) + offset, 0 * along, along], -1)
        water += _draw(_bone(path, radius, rng), size, pitch)
    return np.rot90(water, int(rng.integers(0, 4))).copy()


def hand(rng: np.random.Generator, size: int) -> Picture:
    """Draw a fan of fingers with phalanges on a palm."""
    x, z, pitch = _frame(size, rng.uniform(200, 260))
    water = _round((x / 42) ** 2 + ((z + 30) / 50) ** 2, 30.0)
    for k in range(5):
        angle = (k - 2) * 0.2 + rng.normal(0, 0.04)
        far = np.cumsum([0, 48, 36 - 4 * abs(k - 2), 22, 15]) - 45
        along = np.array([np.sin(angle), 0, np.cos(angle)])
        root = np.array([(k - 2) * 11.0, 0, -20.0])
        water = water + _draw(
            tube(
                (root + along * np.linspace(0, far[-1] + 22, 40)[:, None]).astype("f4"), 9, 0.8, step_mm=0.7
            ),
            size,
            pitch,
        )
        for a, b in pairwise(far):
            line = root + along * np.linspace(a + 1.5, b - 1.5, 16)[:, None]
            radius = 3.4 + 1.6 * np.abs(np.linspace(-1, 1, 16)) ** 3
            water = water + _draw(_bone(line, radius.astype(np.float32), rng), size, pitch)
    return np.rot90(water, int(rng.integers(0, 4))).copy()


def skull(rng: np.random.Generator, size: int) -> Picture:
    """Draw a vault of bone with orbits or a profile, on a neck."""
    x, z, _ = _frame(size, rng.uniform(230, 300))
    rx, rz = rng.uniform(70, 100), rng.uniform(90, 110)
    level = (x / rx) ** 2 + ((z - 10) / rz) ** 2
    inner = (x / (rx - 7)) ** 2 + ((z - 10) / (rz - 7)) ** 2
    water = _round(level, 150.0) + 2.4 * (_round(level, 150.0) - _round(inner, 138.0))
    for side in (-1, 1):
        orbit = ((x - side * 32) / 19) ** 2 + ((z + 18) / 17) ** 2
        water = water - _round(orbit, 28.0) + 9 * np.exp(-(((orbit - 1) / 0.2) ** 2))
    water = water - _round((x / 13) ** 2 + ((z + 45) / 24) ** 2, 30.0)
    neck = 100.0 * np.sqrt(np.clip(1 - (x / 55) ** 2, 0, None)) * (z < -60)
    water = np.maximum(water, neck) + 22 * (np.abs(x) < 16) * (z < -75) * (np.mod(z, 19) > 4)
    teeth = (np.abs(z + 74) < 9) & (np.abs(x) < 30) & (np.mod(x, 8) > 1.5)
    return np.clip(water + 20 * teeth + 3 * power_noise(rng, (size, size), -2.4), 0, None)


def abdomen(rng: np.random.Generator, size: int) -> Picture:
    """Draw a plain abdomen: lumbar spine, pelvis, bowel gas, no lungs."""
    x, z, pitch = _frame(size, rng.uniform(340, 430))
    half = rng.uniform(140, 190) * (1 - 0.08 * np.exp(-(((z - 30) / 60) ** 2)))
    water = 210 * np.sqrt(np.clip(1 - (x / half) ** 2, 0, None))
    for _ in range(int(rng.integers(6, 26))):
        cx, cz, r = rng.normal(0, 80), rng.normal(10, 80), rng.uniform(7, 26)
        turn = rng.uniform(0.6, 1.6)
        water = water - _round(((x - cx) / r) ** 2 + ((z - cz) / (r * turn)) ** 2, 1.5 * r)
    water = water + 17 * (np.abs(x) < 22) * (np.mod(z, 36) > 8) + 9 * np.exp(-(((np.abs(x) - 22) / 3) ** 2))
    water = water + 8 * (np.abs(x) < 45) * (np.abs(np.mod(z, 36) - 22) < 5)
    drop = rng.uniform(60, 190)
    for side in (-1, 1):
        ring = np.linspace(0.2, 3.0, 60)
        wing = np.stack([side * (30 + 95 * np.sin(ring)), 0 * ring, -drop + 85 * np.cos(ring) - 10], -1)
        water = water + _draw(_bone(wing, 9.0, rng), size, pitch)
        inside = ((x - side * 75) / 60) ** 2 + ((z + drop - 25) / 62) ** 2
        water = water + 9 * (inside < 1)
        head = ((x - side * 118) ** 2 + (z + drop + 75) ** 2) / 26**2
        water = water + _round(head, 30.0)
        kidney = ((x - side * 62) / 28) ** 2 + ((z - 60) / 55) ** 2
        water = water + _round(kidney, 12.0)
    return np.clip(water + 3 * power_noise(rng, (size, size), -2.6), 0, None)


def animal(rng: np.random.Generator, size: int) -> Picture:
    """Draw a four-legged chest from the side: spine on top, ribs sweeping back, heart at the bottom."""
    x, z, pitch = _frame(size, 400.0)
    arch = rng.normal(0, 25)
    back = 85 + arch * np.cos(x / 150) + 0.05 * x
    depth = 175 + 25 * np.cos(x / 170)
    t = (back + 35 - z) / depth
    water = 150 * np.sqrt(np.clip(4 * t * (1 - t), 0, None)) * (0.75 + 0.25 * np.cos(x / 260))
    bow = rng.uniform(0.0015, 0.004)
    split = x + bow * (z - back + depth) ** 2 - 40 + 0.35 * (z - back + depth * 0.5) - rng.uniform(10, 70)
    front = -135 + 0.006 * (z - back + 0.45 * depth) ** 2
    lung = np.clip((t - 0.22) / 0.06, 0, 1) * np.clip((0.9 - t) / 0.1, 0, 1)
    lung = lung * np.clip(-split / 9, 0, 1) * np.clip((x - front) / 14, 0, 1)
    water = water - 92 * lung * np.sqrt(np.clip(1 - ((t - 0.55) / 0.45) ** 2, 0, None))
    for _ in range(70):
        start = np.array([rng.normal(-45, 12), 0.0, float(back.mean()) - rng.uniform(65, 95)])
        way = rng.normal(0, 1, 3) * np.array([1.2, 0, 0.8])
        line = (
            start
            + way * np.linspace(0, 38, 20)[:, None]
            + rng.normal(0, 0.3) * np.linspace(0, 5, 20)[:, None] ** 2
        )
        water = (
            water
            + _draw(tube(line.astype("f4"), np.linspace(2.6, 0.8, 20).astype("f4"), 0.9), size, pitch) * lung
        )
    cx, cz = rng.uniform(-70, -25), back.mean() - depth.mean() * 0.42
    water = water + _round(((x - cx) / 42) ** 2 + ((z - cz) / 52) ** 2, 70.0) * lung
    water = (
        water
        + 22 * (np.abs(z - back) < 11) * (np.mod(x, 20) > 4)
        + 14 * (np.abs(z - back - 20) < 9) * (np.mod(x, 20) < 7)
    )
    for k in range(13):
        start = -140 + 19 * k
        u = np.linspace(0, 1, 40)
        rib = np.stack([start + 60 * u + 25 * u**2, 0 * u, float(back.mean()) - 8 - 135 * u + 18 * u**2], -1)
        water = water + _draw(_bone(rib, 3.2, rng), size, pitch)
    for _ in range(int(rng.integers(2, 7))):
        gx, gz, r = rng.uniform(60, 170), rng.uniform(-70, 40), rng.uniform(12, 38)
        water = water - _round(((x - gx) / r) ** 2 + ((z - gz) / (0.7 * r)) ** 2, 1.2 * r)
    leg = np.array([[-150, 0, 20], [-120, 0, -60], [-150, 0, -130], [-140, 0, -220]])
    water = (
        water
        + _draw(tube(leg.astype("f4"), 30.0, 0.8), size, pitch)
        + _draw(_bone(leg, 9.0, rng), size, pitch)
    )
    water = np.clip(water + 3 * power_noise(rng, (size, size), -2.6), 0, None)
    water = np.fliplr(water) if rng.random() < 0.5 else water
    return np.rot90(water, int(rng.choice([0, 0, 0, 1, 2, 3]))).copy()


def axial(rng: np.random.Generator, size: int) -> Picture:
    """Return one axial CT slice in an abdominal window (J, I), 0 to 1: finished, not a path length."""
    case = make_abdomen_case(int(rng.integers(2**31)), shape=(3, size, size))
    return np.clip((case.voxels[1] + rng.uniform(100, 250)) / rng.uniform(300, 600), 0, 1)
