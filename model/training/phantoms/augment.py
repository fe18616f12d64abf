"""What acquisition and display do to a radiograph: framing, scatter, noise, windows, markers, loss."""

import io
from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont
from scipy.ndimage import gaussian_filter, map_coordinates

from model.training.phantoms.texture import power_noise, smooth_noise

Picture = NDArray[np.floating]
Box = tuple[float, float, float, float]


@dataclass(frozen=True, slots=True, eq=False)
class Framing:
    """A small rotation and the cut from the canvas, the same for picture, masks and boxes."""

    rows: Picture
    """(J, I) canvas row of each output pixel."""
    columns: Picture

    def picture(self, canvas: Picture) -> Picture:
        """Cut a picture with linear interpolation."""
        return map_coordinates(canvas, [self.rows, self.columns], order=1, mode="nearest").astype(np.float32)

    def region(self, canvas: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """Cut a mask; nearest neighbour, nothing outside the canvas."""
        j, i = np.rint(self.rows).astype(np.intp), np.rint(self.columns).astype(np.intp)
        inside = (j >= 0) & (i >= 0) & (j < canvas.shape[0]) & (i < canvas.shape[1])
        cut = canvas[np.clip(j, 0, canvas.shape[0] - 1), np.clip(i, 0, canvas.shape[1] - 1)]
        return cut & inside


def draw_framing(rng: np.random.Generator, canvas: tuple[int, int], size: int) -> Framing:
    """Tilt by a few degrees about the middle of the canvas and cut `size` square out of it."""
    tilt = np.deg2rad(np.clip(rng.normal(0, 2.2), -7, 7))
    v, u = np.meshgrid(np.arange(size) - (size - 1) / 2, np.arange(size) - (size - 1) / 2, indexing="ij")
    rows = (canvas[0] - 1) / 2 + v * np.cos(tilt) - u * np.sin(tilt)
    columns = (canvas[1] - 1) / 2 + v * np.sin(tilt) + u * np.cos(tilt)
    return Framing(rows.astype(np.float32), columns.astype(np.float32))


def box_of(region: NDArray[np.bool_]) -> Box:
    """Return the box of a non-empty mask (J, I) as fractions."""
    rows, columns = np.flatnonzero(region.any(axis=1)), np.flatnonzero(region.any(axis=0))
    height, width = region.shape
    return (
        float(columns[0] / width),
        float(rows[0] / height),
        float((columns[-1] + 1) / width),
        float((rows[-1] + 1) / height),
    )


def expose(rng: np.random.Generator, water: Picture) -> Picture:
    """Turn millimetres of water into a processed log image: scatter, blur, quanta, enhancement."""
    size = water.shape[0]
    mu = rng.uniform(0.0145, 0.019)
    primary = np.exp(-mu * water)
    total = primary + rng.uniform(0.1, 0.5) * gaussian_filter(
        primary, size / rng.uniform(8, 16), truncate=2.5
    )
    total = gaussian_filter(total, rng.uniform(0.2, 0.6) * size / 224, truncate=3)
    quanta = 10 ** rng.uniform(4.5, 6.0)
    total = total + np.sqrt(total / quanta) * rng.standard_normal(water.shape).astype(np.float32)
    log = -np.log(np.clip(total, 1e-5, None))
    log = log + rng.uniform(0.004, 0.03) * power_noise(rng, water.shape, -1.6)
    sharp = rng.uniform(0.1, 0.8) * (log - gaussian_filter(log, size / rng.uniform(45, 90), truncate=2.5))
    level = rng.uniform(0.0, 0.4) * gaussian_filter(log, size / rng.uniform(5, 9), truncate=2)
    return (log + sharp - level).astype(np.float32)


def display(rng: np.random.Generator, log: Picture) -> Picture:
    """Window a log image to 0..1 with a random contrast, gamma and curve."""
    step = log[::3, ::3]
    low, high = np.percentile(step, [rng.uniform(1.0, 11.0), rng.uniform(97.0, 99.9)])
    low -= rng.uniform(-0.05, 0.15) * (high - low)
    high += rng.uniform(-0.08, 0.12) * (high - low)
    shown = np.clip((log - low) / max(high - low, 1e-3), 0, 1) ** rng.uniform(0.7, 1.5)
    if rng.random() < 0.35:
        shown = 0.5 - 0.5 * np.cos(np.pi * shown) if rng.random() < 0.7 else shown**0.75 * 0.9 + 0.05
    return (shown * rng.uniform(0.8, 1.0) + rng.uniform(0.0, 0.1)).clip(0, 1).astype(np.float32)


@cache
def _font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(size)


def burn_in(rng: np.random.Generator, shown: Picture) -> Picture:
    """Write side letters and technique notes, as lead markers and printed text do."""
    if rng.random() < 0.25:
        return shown
    size = shown.shape[0]
    layer = Image.new("L", (size, size), 0)
    pen = ImageDraw.Draw(layer)
    right = rng.random() < 0.5
    letter = str(rng.choice(["R", "R.", "DX"])) if right else str(rng.choice(["L", "L.", "SIN"]))
    column = rng.uniform(0.02, 0.14) if right else rng.uniform(0.82, 0.93)
    font = _font(int(size * rng.uniform(0.05, 0.09)))
    pen.text((column * size, rng.uniform(0.02, 0.2) * size), letter, fill=255, font=font)
    if rng.random() < 0.2:
        note = str(rng.choice(["PORTABLE", "AP SUPINE", "PA ERECT", "85 kV", "ERECT", "1.5 mAs", "MOBILE"]))
        pen.text(
            (rng.uniform(0.02, 0.6) * size, rng.uniform(0.0, 0.06) * size),
            note,
            fill=255,
            font=_font(size // 26),
        )
    ink = np.asarray(layer.rotate(float(rng.normal(0, 8))), np.float32) / 255.0
    return np.maximum(shown, ink * rng.uniform(0.75, 1.0)).astype(np.float32)


def collimate(rng: np.random.Generator, shown: Picture) -> Picture:
    """Black out, or rarely whiten, borders that the beam did not reach."""
    if rng.random() < 0.6:
        return shown
    size = shown.shape[0]
    value = 1.0 if rng.random() < 0.12 else rng.uniform(0, 0.06)
    shown = shown.copy()
    for edge in rng.permutation(4)[: int(rng.integers(1, 4))]:
        width = int(rng.uniform(0.005, 0.05) * size) + 1
        turned = np.rot90(shown, edge)
        turned[:width] = value
    return shown


def lose(rng: np.random.Generator, shown: Picture) -> Picture:
    """Compress and decompress as JPEG in some cases."""
    if rng.random() < 0.7:
        return shown
    buffer = io.BytesIO()
    Image.fromarray((shown * 255).astype(np.uint8)).save(buffer, "JPEG", quality=int(rng.integers(45, 95)))
    return np.asarray(Image.open(buffer), np.float32) / 255.0


def uneven(rng: np.random.Generator, log: Picture) -> Picture:
    """Add a slow gain field: heel effect, grid cut-off, detector flat field."""
    slope = smooth_noise(rng, (log.shape[0], log.shape[1]), 3)
    return log + np.float32(rng.uniform(0, 0.12)) * slope


def finish(rng: np.random.Generator, water: Picture) -> Picture:
    """Expose, window and mark a radiograph from its water path length."""
    shown = display(rng, uneven(rng, expose(rng, water)))
    return np.clip(lose(rng, burn_in(rng, collimate(rng, shown))), 0, 1).astype(np.float32)
