"""Draws the best, median and worst answer of each task that yields boxes or masks, with the truth."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from model.evaluation.detection import Box, matched_overlaps
from model.evaluation.marking import found_mask, mark
from model.evaluation.marks import BoxMark, MarkedStudy, MaskMark, Row
from model.evaluation.study import Asked, BoxTruth, MaskTruth, Study
from model.families.family import Family
from model.reading import Modality
from model.transforms import HU_RANGE
from model.volume import PlanarImage, Volume

RANKS = ("best", "median", "worst")
Named = Sequence[tuple[str, Box]]

TRUE, FOUND = (0, 200, 255), (255, 140, 0)
"""Blue and orange, told apart by most eyes, on grey and on skin."""

_SIDE, _CAPTION = 360, 40


@dataclass(frozen=True, slots=True)
class Shown:
    """One answer that is worth a look."""

    rank: str
    study: str
    question: int
    """Which of the study's questions."""
    score: float
    what: str
    """E.g. `Dice 0.912`."""


def chosen(marked: Sequence[MarkedStudy]) -> dict[str, list[Shown]]:
    """For each task and kind of image: one answer of each of `RANKS`; nothing where it cannot be ranked."""
    scored: dict[str, list[tuple[float, str, int, str]]] = {}
    for study in marked:
        for n, row in enumerate(study.rows):
            if (score := _score(row)) is not None:
                value, what = score
                scored.setdefault(_group(row, study.modality), []).append((value, study.key, n, what))
    shown: dict[str, list[Shown]] = {}
    for group, some in scored.items():
        some.sort(key=lambda one: (-one[0], one[1], one[2]))
        picked = zip(RANKS, (some[0], some[len(some) // 2], some[-1]), strict=True)
        shown[group] = [Shown(rank, key, n, value, what) for rank, (value, key, n, what) in picked]
    return shown


def draw_chosen(
    family: Family, studies: Iterable[Study], shown: dict[str, list[Shown]], out: Path
) -> dict[str, Path]:
    """Ask the chosen questions again and draw a sheet for each group into `out`; the paths by group."""
    wanted = {one.study for some in shown.values() for one in some}
    by_key = {study.key: study for study in studies if study.key in wanted}
    out.mkdir(parents=True, exist_ok=True)
    paths: dict[str, Path] = {}
    for group, some in shown.items():
        panels = [panel(family, by_key[one.study], one) for one in some]
        sheet = Image.new("RGB", (_SIDE * len(panels), panels[0].height), "white")
        for n, drawn in enumerate(panels):
            sheet.paste(drawn, (n * _SIDE, 0))
        paths[group] = out / f"{group.replace(' ', '_')}.png"
        sheet.save(paths[group])
    return paths


def panel(family: Family, study: Study, shown: Shown) -> Image.Image:
    """One answer on its image: truth blue, answer orange, a caption below."""
    asked, images = study.asked[shown.question], study.images()
    (answer,) = family.look(study.modality, images).answer([asked.question])
    image = images[asked.question.images[0] if asked.question.images else 0]
    found = mark(asked, answer, image, family.vocabulary)
    match asked.truth, found:
        case MaskTruth() as truth, MaskMark(label=label):
            true = truth.voxels()
            drawn = _outlined(image, true, found_mask(answer, label, true.shape))
        case BoxTruth(), BoxMark(names=names):
            true_boxes = [(one.name, box) for one in names for box in one.true]
            found_boxes = [(one.name, box) for one in names for box in one.found]
            drawn = _boxed(image, true_boxes, found_boxes)
        case _:
            drawn = _picture(image, None)
    return _captioned(drawn, f"{shown.rank}: {shown.what}\n{', '.join(_subjects(asked))}")


def _score(row: Row) -> tuple[float, str] | None:
    match row.mark:
        case MaskMark(shown=True, dice=dice):
            return dice, f"Dice {dice:.3f}"
        case BoxMark(names=names):
            overlaps = [value for one in names for value in matched_overlaps(one.found, one.true)]
            mean = float(np.mean(overlaps)) if overlaps else 0.0
            return (mean, f"mean IoU {mean:.3f}") if overlaps else None
        case _:
            return None


def _group(row: Row, modality: Modality) -> str:
    return f"{row.task} {modality}"


def _subjects(asked: Asked) -> Sequence[str]:
    names = asked.question.subjects
    return names if len(names) <= 3 else (*names[:2], "…")


def _outlined(image: PlanarImage | Volume, true: NDArray[np.bool_], found: NDArray[np.bool_]) -> Image.Image:
    """Both outlines, on the slice that shows most of the truth."""
    k = int(true.sum(axis=(1, 2)).argmax()) if true.ndim == 3 else None
    drawn = _picture(image, k)
    canvas = np.array(drawn)
    for mask, colour in ((true, TRUE), (found, FOUND)):
        flat = mask[k] if k is not None else mask
        large = np.asarray(Image.fromarray(flat).resize(drawn.size, Image.Resampling.NEAREST))
        canvas[_edge(large)] = colour
    return Image.fromarray(canvas)


def _boxed(image: PlanarImage | Volume, true: Named, found: Named) -> Image.Image:
    """True boxes with their name inside above, found ones with theirs inside below."""
    drawn = _picture(image, None)
    pen = ImageDraw.Draw(drawn)
    width, height = drawn.size
    for boxes, colour in ((true, TRUE), (found, FOUND)):
        for name, (x1, y1, x2, y2) in boxes:
            edges = (x1 * width, y1 * height, x2 * width - 1, y2 * height - 1)
            pen.rectangle(edges, outline=colour, width=2)
            below = edges[3] - 17 if boxes is found else edges[1] + 3
            pen.text((edges[0] + 4, below), name, fill=colour, font=_font(12))
    return drawn


def _picture(image: PlanarImage | Volume, k: int | None) -> Image.Image:
    """Eight bits, in true proportions, as large as a panel allows."""
    if isinstance(image, Volume):
        spacing = image.geometry.spacing_mm[1:]
        low, high = HU_RANGE
        pixels = (image.voxels[k if k is not None else len(image.voxels) // 2] - low) / (high - low)
    else:
        spacing, pixels = image.spacing_mm or (1.0, 1.0), image.pixels
    height, width = pixels.shape[0] * spacing[0], pixels.shape[1] * spacing[1]
    scale = _SIDE / max(height, width)
    eight = Image.fromarray(np.round(np.clip(pixels, 0, 1) * 255).astype(np.uint8)).convert("RGB")
    return eight.resize((max(round(width * scale), 1), max(round(height * scale), 1)))


def _captioned(drawn: Image.Image, caption: str) -> Image.Image:
    sheet = Image.new("RGB", (_SIDE, _SIDE + _CAPTION), "white")
    sheet.paste(drawn, ((_SIDE - drawn.width) // 2, (_SIDE - drawn.height) // 2))
    ImageDraw.Draw(sheet).text((4, _SIDE + 4), caption, fill="black", font=_font(13))
    return sheet


def _edge(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Two pixels wide, inside."""
    inner = mask.copy()
    for axis in (0, 1):
        for step in (2, -2):
            inner &= np.roll(mask, step, axis)
    return mask & ~inner


def _font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(size)
