"""Dermoscopic photographs of the seven HAM10000 classes, each with its structures, on skin of any type."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import distance_transform_edt, gaussian_filter

from model.reading import SKIN_LESIONS
from model.training.phantoms.skin_scene import Canvas, blobs, finish, mix, network, paint_skin, threads
from model.training.phantoms.texture import smooth_noise
from model.training.phantoms.truth import SkinCase

Picture = NDArray[np.floating]

# Smallest and greatest mean radius (of half the image), irregularity of the border, softness of the edge.
SHAPE = {
    "actinic keratosis": (0.3, 0.62, 0.16, 0.10),
    "basal cell carcinoma": (0.25, 0.6, 0.12, 0.05),
    "benign keratosis": (0.25, 0.65, 0.13, 0.018),
    "dermatofibroma": (0.22, 0.42, 0.06, 0.09),
    "melanoma": (0.38, 0.72, 0.24, 0.03),
    "melanocytic nevus": (0.18, 0.48, 0.07, 0.05),
    "vascular lesion": (0.18, 0.42, 0.08, 0.025),
}


def outline(canvas: Canvas, diagnosis: str) -> Picture:
    """Return signed distance (J, I) to the border, in half image widths, positive inside."""
    rng = canvas.rng
    least, most, rough, _ = SHAPE[diagnosis]
    angle = np.arctan2(canvas.y, canvas.x)
    turn = rng.uniform(0, np.pi)
    squeeze = rng.uniform(0.68, 1.0)
    u = canvas.x * np.cos(turn) + canvas.y * np.sin(turn)
    v = (-canvas.x * np.sin(turn) + canvas.y * np.cos(turn)) / squeeze
    radius = np.full(canvas.shape, rng.uniform(least, most), np.float32)
    mean = float(radius[0, 0])
    for k in range(2, 11):
        radius += mean * rng.normal(0, rough) / (k - 0.6) * np.cos(k * angle + rng.uniform(0, 6.3))
    notch = 0.12 * rough * smooth_noise(rng, canvas.shape, (22, 22)) + 0.2 * rough * smooth_noise(
        rng, canvas.shape, 9
    )
    return (radius + mean * notch - np.hypot(u, v)).astype(np.float32)


def _melanoma(canvas: Canvas, pale: Picture, inside: Picture, edge: Picture) -> Picture:
    rng = canvas.rng
    colours = [
        (0.36, 0.22, 0.15),
        (0.20, 0.12, 0.10),
        (0.50, 0.32, 0.22),
        (0.44, 0.20, 0.18),
        (0.10, 0.07, 0.08),
    ]
    image = mix(pale, colours[0], inside * rng.uniform(0.85, 1.0))
    for colour in colours[1:]:
        where = np.clip(smooth_noise(rng, canvas.shape, 6) * 1.6 - rng.uniform(0.1, 0.9), 0, 1)
        image = mix(image, colour, where * inside * 0.9)
    image = mix(image, (0.17, 0.1, 0.07), network(canvas, rng.uniform(34, 56), 0.34) * inside * 0.5)
    veil = np.clip(smooth_noise(rng, canvas.shape, 5) * 1.6 - 0.2, 0, 1) * np.clip(edge / 0.15, 0, 1)
    image = mix(image, (0.36, 0.40, 0.52), gaussian_filter(veil, 3) * rng.uniform(0.55, 0.95))
    if rng.random() < 0.5:
        scar = np.clip(smooth_noise(rng, canvas.shape, 6) * 2 - 2.2, 0, 1) * inside
        image = mix(image, (0.80, 0.68, 0.64), scar * 0.8)
    image = mix(image, (0.07, 0.05, 0.05), blobs(canvas, edge, int(rng.integers(8, 45)), (0.008, 0.03)) * 0.9)
    if rng.random() < 0.5:
        streaks = np.clip(np.sin(np.arctan2(canvas.y, canvas.x) * rng.integers(28, 60)) * 2 - 0.6, 0, 1)
        rim = np.exp(-(((edge - 0.02) / 0.05) ** 2)) * (edge > 0)
        image = mix(image, (0.14, 0.09, 0.08), streaks * rim * 0.7)
    return image


def _nevus(canvas: Canvas, pale: Picture, inside: Picture, edge: Picture) -> Picture:
    rng = canvas.rng
    tone = rng.uniform(0.0, 1.0)
    brown = (0.60 - 0.20 * tone, 0.38 - 0.15 * tone, 0.25 - 0.10 * tone)
    centre = np.clip(edge / max(float(edge.max()), 1e-3), 0, 1)
    image = mix(pale, brown, inside * (0.55 + 0.4 * centre * rng.uniform(-0.3, 1.0)))
    kind = rng.random()
    if kind < 0.6:
        net = network(canvas, rng.uniform(36, 60), 0.3)
        image = mix(image, (0.30, 0.18, 0.11), net * inside * (0.75 - 0.4 * centre))
    elif kind < 0.85:
        image = mix(
            image, (0.30, 0.18, 0.12), blobs(canvas, edge, int(rng.integers(25, 70)), (0.012, 0.028)) * 0.65
        )
    return image


def _basal(canvas: Canvas, pale: Picture, inside: Picture, edge: Picture) -> Picture:
    rng = canvas.rng
    image = mix(pale, (0.86, 0.56, 0.54), inside * rng.uniform(0.45, 0.75))
    shine = np.clip(smooth_noise(rng, canvas.shape, 8) - 0.4, 0, 1) * inside
    image = mix(image, (0.96, 0.80, 0.78), shine * 0.5)
    if rng.random() < 0.8:
        image = mix(
            image, (0.30, 0.32, 0.40), blobs(canvas, edge, int(rng.integers(3, 14)), (0.025, 0.09)) * 0.8
        )
    if rng.random() < 0.4:
        ulcer = np.clip(smooth_noise(rng, canvas.shape, 6) * 3 - 3.5, 0, 1) * np.clip(edge / 0.1, 0, 1)
        image = mix(image, (0.45, 0.10, 0.08), ulcer * 0.9)
    tree = threads(canvas, edge, int(rng.integers(3, 9)), branching=True)
    return mix(image, (0.70, 0.16, 0.18), tree * 0.85)


def _actinic(canvas: Canvas, pale: Picture, inside: Picture, edge: Picture) -> Picture:
    rng = canvas.rng
    red = np.clip(0.6 + 0.3 * smooth_noise(rng, canvas.shape, 9), 0, 1)
    image = mix(pale, (0.82, 0.42, 0.38), inside * red * rng.uniform(0.5, 0.8))
    net = network(canvas, rng.uniform(20, 32), 0.4)
    image = mix(image, (0.90, 0.68, 0.60), (1 - net) * inside * 0.35)
    scale = np.clip(smooth_noise(rng, canvas.shape, (26, 26)) * 1.4 - 0.9, 0, 1)
    scale *= np.clip(smooth_noise(rng, canvas.shape, 6) + 0.4, 0, 1)
    image = mix(image, (0.97, 0.92, 0.82), scale * inside * rng.uniform(0.5, 0.95))
    if rng.random() < 0.4:
        image = mix(image, (0.55, 0.38, 0.28), network(canvas, 34, 0.35) * inside * 0.4)
    return mix(
        image, (0.72, 0.25, 0.22), threads(canvas, edge, int(rng.integers(6, 20)), branching=False) * 0.5
    )


def _keratosis(canvas: Canvas, pale: Picture, inside: Picture, edge: Picture) -> Picture:
    rng = canvas.rng
    tone = rng.uniform(0, 1)
    image = mix(
        pale, (0.70 - 0.28 * tone, 0.50 - 0.22 * tone, 0.34 - 0.14 * tone), inside * rng.uniform(0.75, 0.95)
    )
    if rng.random() < 0.5:
        ridge = np.abs(smooth_noise(rng, canvas.shape, 15))
        image = mix(image, (0.35, 0.22, 0.14), np.clip(0.5 - 2.2 * ridge, 0, 1) * inside)
    grain = smooth_noise(rng, canvas.shape, (40, 40)) * 0.5 + smooth_noise(rng, canvas.shape, 14) * 0.5
    image = mix(image, (0.42, 0.28, 0.17), np.clip(grain - 0.3, 0, 1) * inside * 0.5)
    image = mix(
        image, (0.96, 0.90, 0.74), blobs(canvas, edge, int(rng.integers(10, 40)), (0.010, 0.024)) * 0.9
    )
    return mix(
        image, (0.18, 0.11, 0.08), blobs(canvas, edge, int(rng.integers(4, 20)), (0.010, 0.028)) * 0.85
    )


def _fibroma(canvas: Canvas, pale: Picture, inside: Picture, edge: Picture) -> Picture:
    rng = canvas.rng
    image = mix(pale, (0.72, 0.50, 0.40), inside * rng.uniform(0.5, 0.75))
    image = mix(image, (0.48, 0.30, 0.21), network(canvas, rng.uniform(40, 64), 0.28) * inside * 0.55)
    reach = max(float(edge.max()), 1e-3)
    scar = np.clip((edge / reach - rng.uniform(0.35, 0.55)) / 0.18, 0, 1)
    texture = np.clip(0.85 + 0.15 * smooth_noise(rng, canvas.shape, 14), 0, 1)
    return mix(image, (0.94, 0.86, 0.82), gaussian_filter(scar * texture, 2) * rng.uniform(0.7, 0.95))


def _vascular(canvas: Canvas, pale: Picture, inside: Picture, edge: Picture) -> Picture:
    rng = canvas.rng
    dark = rng.random()
    image = mix(pale, (0.72 - 0.25 * dark, 0.18, 0.24 + 0.06 * dark), inside * rng.uniform(0.6, 0.9))
    lakes = blobs(canvas, edge, int(rng.integers(14, 40)), (0.04, 0.10))
    image = mix(image, (0.52 - 0.25 * dark, 0.05, 0.12 + 0.1 * dark), lakes * 0.9)
    septa = np.clip(0.35 - np.abs(smooth_noise(rng, canvas.shape, 16)), 0, 1) * 2
    return mix(image, (0.90, 0.66, 0.70), septa * inside * 0.35)


PAINT: dict[str, Callable[[Canvas, Picture, Picture, Picture], Picture]] = {
    "actinic keratosis": _actinic,
    "basal cell carcinoma": _basal,
    "benign keratosis": _keratosis,
    "dermatofibroma": _fibroma,
    "melanoma": _melanoma,
    "melanocytic nevus": _nevus,
    "vascular lesion": _vascular,
}


def make_skin_case(seed: int, *, size: int = 224) -> SkinCase:
    """Make one dermoscopic photograph; the seven classes are equally frequent."""
    rng = np.random.default_rng([seed, 40])
    diagnosis = SKIN_LESIONS[int(rng.integers(len(SKIN_LESIONS)))]
    canvas = Canvas.of(rng, size)
    edge = outline(canvas, diagnosis)
    # Clipped to what the frame shows: a lesion always leaves some skin to compare with.
    softness = SHAPE[diagnosis][3] * rng.uniform(0.7, 1.4)
    inside = (1.0 / (1.0 + np.exp(-np.clip(edge / softness * 1.8, -30, 30)))).astype(np.float32)
    mask = edge > 0
    depth = (np.asarray(distance_transform_edt(mask)) * (2.0 / size)).astype(np.float32)
    image = PAINT[diagnosis](canvas, paint_skin(canvas), inside, depth)
    return SkinCase(seed, finish(canvas, image), mask, diagnosis)
