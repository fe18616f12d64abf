"""Pictures that a model of frontal chest radiographs must decline."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from model.training.phantoms import augment, chest, dermoscopy, foreign_parts
from model.training.phantoms.texture import power_noise, smooth_noise
from model.training.phantoms.truth import ForeignCase

Picture = NDArray[np.floating]
Make = Callable[[np.random.Generator, int], Picture]


def _radiograph(paint: Callable[[np.random.Generator, int], Picture]) -> Make:
    def make(rng: np.random.Generator, size: int) -> Picture:
        return augment.finish(rng, paint(rng, size))

    return make


def _skin(rng: np.random.Generator, size: int) -> Picture:
    return dermoscopy.make_skin_case(int(rng.integers(2**31)), size=size).pixels.mean(axis=-1)


def _turned_chest(rng: np.random.Generator, size: int) -> Picture:
    view = chest.make_chest_case(int(rng.integers(2**31)), size=size, with_prior=False).current.pixels
    return np.rot90(view, int(rng.integers(1, 4))).copy()


def _blank(rng: np.random.Generator, size: int) -> Picture:
    value = rng.choice([0.0, 1.0, rng.random()])
    return np.full((size, size), value, np.float32) + rng.choice([0.0, 0.004]) * rng.standard_normal(
        (size, size)
    )


def _gradient(rng: np.random.Generator, size: int) -> Picture:
    axis = np.linspace(-1, 1, size)
    angle = rng.uniform(0, 6.3)
    ramp = axis[None, :] * np.cos(angle) + axis[:, None] * np.sin(angle)
    if rng.random() < 0.4:
        ramp = np.hypot(axis[None, :] - rng.normal(0, 0.3), axis[:, None] - rng.normal(0, 0.3))
    return 0.5 + rng.uniform(-0.5, 0.5) * ramp


def _noise(rng: np.random.Generator, size: int) -> Picture:
    field = power_noise(rng, (size, size), rng.uniform(-1.5, 0.0))
    return rng.uniform(0.2, 0.8) + rng.uniform(0.05, 0.3) * field


def _letters(rng: np.random.Generator, size: int) -> Picture:
    dark = rng.random() < 0.5
    page = Image.new("L", (size, size), 0 if dark else 255)
    pen = ImageDraw.Draw(page)
    high = int(rng.uniform(0.05, 0.3) * size)
    font = ImageFont.load_default(high)
    alphabet = list("ABCDEFGHIKLMNOPRSTUVXYZabcdefghiklmnoprstuv0123456789   .,:")
    for top in range(int(rng.uniform(0, high)), size, int(high * 1.25)):
        line = "".join(rng.choice(alphabet, 40))
        pen.text((rng.uniform(0, 0.1) * size, top), line, fill=255 if dark else 0, font=font)
    return np.asarray(page, np.float32) / 255.0


def _pattern(rng: np.random.Generator, size: int) -> Picture:
    v, u = np.mgrid[0:size, 0:size] / size
    pitch = rng.uniform(3, 25)
    turn = rng.uniform(0, np.pi)
    a, b = u * np.cos(turn) + v * np.sin(turn), v * np.cos(turn) - u * np.sin(turn)
    kind = rng.random()
    if kind < 0.35:
        return ((np.floor(a * pitch) + np.floor(b * pitch)) % 2).astype(np.float32)
    if kind < 0.7:
        return (0.5 + 0.5 * np.sin(2 * np.pi * pitch * a)).astype(np.float32)
    return np.floor(np.mod(a * pitch, 1) * 8).astype(np.float32) / 8


def _photo(rng: np.random.Generator, size: int) -> Picture:
    """Return something like a photograph: overlapping shaded shapes on a textured ground."""
    image = 0.5 + 0.2 * power_noise(rng, (size, size), rng.uniform(-3.0, -2.0))
    axis = np.linspace(-1, 1, size)
    for _ in range(int(rng.integers(3, 14))):
        cx, cy, rx, ry = *rng.uniform(-1, 1, 2), *rng.uniform(0.1, 0.7, 2)
        power = rng.choice([2.0, 2.0, 8.0])
        inside = np.abs((axis[None] - cx) / rx) ** power + np.abs((axis[:, None] - cy) / ry) ** power < 1
        shade = rng.random() + 0.25 * (axis[None] * rng.normal() + axis[:, None] * rng.normal())
        image = np.where(inside, shade + 0.05 * power_noise(rng, (size, size), -1.5), image)
    return image.astype(np.float32)


def _clouds(rng: np.random.Generator, size: int) -> Picture:
    return (0.5 + 0.25 * smooth_noise(rng, (size, size), int(rng.integers(3, 20)))).astype(np.float32)


MAKE: dict[str, Make] = {
    "lateral": _radiograph(foreign_parts.lateral_chest),
    "limb": _radiograph(foreign_parts.limb),
    "abdomen": _radiograph(foreign_parts.abdomen),
    "animal": _radiograph(foreign_parts.animal),
    "skull": _radiograph(foreign_parts.skull),
    "hand": _radiograph(foreign_parts.hand),
    "skin": _skin,
    "turned chest": _turned_chest,
    "blank": _blank,
    "gradient": _gradient,
    "noise": _noise,
    "letters": _letters,
    "pattern": _pattern,
    "photo": _photo,
    "clouds": _clouds,
    "axial": foreign_parts.axial,
}
# What a chest model meets most by mistake comes most often: other radiographs before test patterns.
_WEIGHT = {
    "lateral": 4,
    "limb": 3,
    "abdomen": 4,
    "animal": 4,
    "skull": 2,
    "hand": 2,
    "turned chest": 2,
    "axial": 2,
}


def make_foreign_case(seed: int, *, size: int = 224) -> ForeignCase:
    """Make one picture that is no upright frontal chest radiograph."""
    rng = np.random.default_rng([seed, 50])
    weight = np.array([_WEIGHT.get(kind, 1) for kind in MAKE], float)
    kind = str(rng.choice(list(MAKE), p=weight / weight.sum()))
    return ForeignCase(seed, np.clip(MAKE[kind](rng, size), 0, 1).astype(np.float32), kind)
