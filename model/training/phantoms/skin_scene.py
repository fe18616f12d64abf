"""Skin, optics and clutter of a dermoscopic photograph, and the patterns that lesions are painted with."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw
from scipy.ndimage import gaussian_filter

from model.training.phantoms.texture import power_noise, smooth_noise

Picture = NDArray[np.floating]
Colour = tuple[float, float, float]

# Fitzpatrick-like range, pale to dark, and the colour cast of polarised light.
_SKIN = ((0.93, 0.76, 0.70), (0.88, 0.70, 0.62), (0.84, 0.64, 0.52), (0.74, 0.54, 0.42), (0.55, 0.38, 0.29))


@dataclass(frozen=True, slots=True, eq=False)
class Canvas:
    """Coordinates from the middle of the lesion, in half image widths, and the one source of chance."""

    rng: np.random.Generator
    x: Picture
    y: Picture
    shape: tuple[int, int]

    @staticmethod
    def of(rng: np.random.Generator, size: int) -> "Canvas":
        """Put the lesion near the middle of a square image."""
        axis = np.linspace(-1, 1, size, dtype=np.float32)
        dx, dy = np.clip(rng.normal(0, 0.1, 2), -0.25, 0.25)
        x, y = np.meshgrid(axis - np.float32(dx), axis - np.float32(dy))
        return Canvas(rng, x, y, (size, size))


def mix(image: Picture, colour: Colour, weight: Picture) -> Picture:
    """Cover an image (J, I, 3) with a colour by a weight (J, I)."""
    part = np.clip(weight, 0, 1)[..., None].astype(np.float32)
    return image * (1 - part) + np.array(colour, np.float32) * part


def paint_skin(canvas: Canvas) -> Picture:
    """Paint plain skin with its furrows, mottling and cast."""
    rng = canvas.rng
    tone = float(rng.beta(1.2, 2.4)) * (len(_SKIN) - 1)
    low = min(int(tone), len(_SKIN) - 2)
    base = np.array(_SKIN[low]) * (1 - tone + low) + np.array(_SKIN[low + 1]) * (tone - low)
    base = base * rng.normal(1.0, 0.03, 3) + rng.choice([0.0, 0.0, 0.06]) * np.array([-0.4, -0.6, 1.0])
    skin = np.tile(base.astype(np.float32), (*canvas.shape, 1))
    mottle = 0.018 * smooth_noise(rng, canvas.shape, 7) + 0.012 * smooth_noise(rng, canvas.shape, 22)
    furrow = np.clip(0.25 - np.abs(smooth_noise(rng, canvas.shape, (34, 34))), 0, 1) * rng.uniform(0, 0.18)
    skin = skin + (mottle - furrow)[..., None].astype(np.float32)
    return mix(skin, (0.82, 0.42, 0.42), np.clip(smooth_noise(rng, canvas.shape, 6) * 0.16 - 0.08, 0, 0.3))


def network(canvas: Canvas, pitch: float, thickness: float) -> Picture:
    """Draw a pigment network (J, I), 0 to 1: dark lines around pale holes, warped: no two holes agree."""
    rng = canvas.rng
    x = canvas.x + 0.03 * smooth_noise(rng, canvas.shape, 9) + 0.012 * smooth_noise(rng, canvas.shape, 24)
    y = canvas.y + 0.03 * smooth_noise(rng, canvas.shape, 9) + 0.012 * smooth_noise(rng, canvas.shape, 24)
    turn = rng.uniform(0, np.pi)
    waves = sum(
        np.cos(pitch * np.pi * 0.62 * (x * np.cos(turn + k * np.pi / 3) + y * np.sin(turn + k * np.pi / 3)))
        for k in range(3)
    )
    strength = np.clip(0.75 + 0.35 * smooth_noise(rng, canvas.shape, 7), 0, 1.2)
    return (np.clip((thickness - waves) / 1.2, 0, 1) * strength).astype(np.float32)


def blobs(canvas: Canvas, depth: Picture, count: int, radius: tuple[float, float]) -> Picture:
    """Scatter round soft dots (J, I) where `depth` below the border allows."""
    rng = canvas.rng
    found = np.zeros(canvas.shape, np.float32)
    rows, columns = np.nonzero(depth > radius[0])
    if not len(rows):
        return found
    size = canvas.shape[0]
    for pick in rng.integers(0, len(rows), count):
        r = rng.uniform(*radius) * size / 2
        j, i = int(rows[pick]), int(columns[pick])
        reach = int(r * 1.6) + 2
        window = np.s_[max(j - reach, 0) : j + reach + 1, max(i - reach, 0) : i + reach + 1]
        v = np.arange(*window[0].indices(size)[:2])[:, None] - j
        u = np.arange(*window[1].indices(size)[:2])[None, :] - i
        turn, squeeze = rng.uniform(0, np.pi), rng.uniform(0.65, 1.0)
        far = np.hypot(u * np.cos(turn) + v * np.sin(turn), (v * np.cos(turn) - u * np.sin(turn)) / squeeze)
        dot = np.clip((r - far) / max(0.35 * r, 0.8) + 0.4, 0, 1)
        found[window] = np.maximum(found[window], dot)
    return found * np.clip(depth / radius[0], 0, 1)


def _draw_lines(canvas: Canvas, lines: list[tuple[Picture, float]]) -> Picture:
    """Draw polylines ((N, 2) x, y in pixels, width in pixels) with antialiasing."""
    size, scale = canvas.shape[0], 3
    layer = Image.new("L", (size * scale, size * scale), 0)
    pen = ImageDraw.Draw(layer)
    for line, width in lines:
        points = [(float(x) * scale, float(y) * scale) for x, y in line]
        pen.line(points, fill=255, width=max(1, round(width * scale)), joint="curve")
    return np.asarray(layer.resize((size, size), Image.Resampling.BOX), np.float32) / 255.0


def threads(canvas: Canvas, depth: Picture, count: int, *, branching: bool) -> Picture:
    """Draw vessels (J, I) inside the lesion: trees that taper, or short commas."""
    rng = canvas.rng
    rows, columns = np.nonzero(depth > 0.03)
    lines: list[tuple[Picture, float]] = []
    if not len(rows):
        return np.zeros(canvas.shape, np.float32)
    size = canvas.shape[0]

    def grow(start: Picture, heading: float, width: float, level: int) -> None:
        steps = int(rng.integers(6, 12)) if branching else int(rng.integers(3, 6))
        turns = heading + np.cumsum(rng.normal(0, 0.25, steps))
        path = start + np.cumsum(np.stack([np.cos(turns), np.sin(turns)], -1), axis=0) * size * 0.013
        lines.append((np.concatenate([start[None], path]), width))
        if level and branching:
            for sign in (-1, 1):
                grow(path[-1], float(turns[-1]) + sign * rng.uniform(0.3, 0.9), width * 0.68, level - 1)

    for pick in rng.integers(0, len(rows), count):
        start = np.array([columns[pick], rows[pick]], np.float64)
        grow(start, rng.uniform(0, 6.3), size * rng.uniform(0.007, 0.013), 3 if branching else 0)
    return _draw_lines(canvas, lines) * np.clip(depth / 0.02, 0, 1)


def _hair(canvas: Canvas) -> Picture:
    rng, size = canvas.rng, canvas.shape[0]
    count = int(rng.integers(0, 8)) if rng.random() < 0.75 else int(rng.integers(15, 45))
    comb, lines = rng.uniform(0, np.pi), []
    for _ in range(count):
        angle, bend = comb + rng.normal(0, 0.5), rng.normal(0, 0.25)
        t = np.linspace(0, rng.uniform(0.3, 1.2), 24)
        turn = angle + bend * t * 3
        step = np.stack([np.cos(turn), np.sin(turn)], -1) * (t[1] * size)
        lines.append(
            (rng.uniform(0, size, 2) + np.cumsum(step, 0) - step.sum(0) / 2, size * rng.uniform(0.002, 0.006))
        )
    return _draw_lines(canvas, lines)


def _ruler(canvas: Canvas) -> Picture:
    rng, size = canvas.rng, canvas.shape[0]
    start, gap, lines = rng.uniform(0.02, 0.3), rng.uniform(0.035, 0.07), []
    level, upright = rng.choice([rng.uniform(0.03, 0.15), rng.uniform(0.85, 0.97)]), rng.random() < 0.5
    for k in range(int(rng.integers(8, 18))):
        along, tall = start + k * gap, 0.035 if k % 5 else 0.06
        ends = np.array([[along, level], [along, level + tall]]) * size
        lines.append((ends[:, ::-1] if upright else ends, size * 0.004))
    return _draw_lines(canvas, lines)


def _bubbles(canvas: Canvas, image: Picture) -> Picture:
    rng, size = canvas.rng, canvas.shape[0]
    v, u = np.mgrid[0:size, 0:size]
    for _ in range(int(rng.integers(2, 9))):
        j, i, r = rng.uniform(0, size), rng.uniform(0, size), rng.uniform(0.01, 0.06) * size
        far = np.hypot(u - i, v - j)
        image = mix(image, (0.35, 0.3, 0.32), np.exp(-(((far - r) / 0.9) ** 2)).astype(np.float32) * 0.6)
        glint = np.exp(-(((u - i + 0.4 * r) ** 2 + (v - j + 0.4 * r) ** 2) / (0.25 * r) ** 2))
        image = mix(image, (1.0, 1.0, 1.0), glint.astype(np.float32) * 0.9)
    return image


def finish(canvas: Canvas, image: Picture) -> Picture:
    """Lay hair, ruler, bubbles and ink over a lesion, then photograph it: vignette, cast, blur, noise."""
    rng = canvas.rng
    dark = rng.uniform(0.05, 0.35)
    image = mix(image, (dark, dark * 0.8, dark * 0.75), _hair(canvas) * rng.uniform(0.6, 0.95))
    if rng.random() < 0.2:
        image = mix(image, (0.12, 0.12, 0.14), _ruler(canvas) * 0.9)
    if rng.random() < 0.25:
        image = _bubbles(canvas, image)
    if rng.random() < 0.1:
        ink = np.clip(smooth_noise(rng, canvas.shape, (12, 12)) - 1.4, 0, 1) * (
            np.hypot(canvas.x, canvas.y) > 0.75
        )
        image = mix(image, (0.28, 0.16, 0.6), ink * 0.9)
    axis = np.linspace(-1, 1, canvas.shape[0], dtype=np.float32)
    far = np.hypot(axis[:, None], axis[None, :])
    shade = 1 - rng.uniform(0, 0.35) * np.clip(far, 0, 1.4) ** 3
    if rng.random() < 0.15:
        shade = shade * np.clip((rng.uniform(1.05, 1.3) - far) / 0.03, 0.03, 1)
    image = image * shade[..., None] * rng.normal(1.0, 0.05, 3) * rng.uniform(0.82, 1.08)
    image = gaussian_filter(image, (*([rng.uniform(0.3, 0.9)] * 2), 0), truncate=2.5)
    grain = 0.006 * rng.standard_normal(image.shape) + 0.008 * power_noise(rng, canvas.shape, -1.5)[..., None]
    return np.clip(image + grain, 0, 1).astype(np.float32)
