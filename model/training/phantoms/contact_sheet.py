"""One picture of what the generators make, with their truth drawn over it, for a person to judge."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from model.training.phantoms.abdomen import make_abdomen_case
from model.training.phantoms.chest import make_chest_case
from model.training.phantoms.dermoscopy import make_skin_case
from model.training.phantoms.foreign import make_foreign_case
from model.training.phantoms.truth import ChestView

COLUMNS = 6
CELL = 300
MOST = 60
_COLOURS = {
    "left lung": (0, 200, 0), "right lung": (0, 120, 255), "heart": (255, 40, 40), "liver": (255, 60, 60),
    "spleen": (60, 220, 60), "kidneys": (90, 90, 255), "pancreas": (255, 230, 0), "lesion": (0, 200, 0),
}  # fmt: skip


def _rgb(pixels: NDArray[np.floating]) -> NDArray[np.floating]:
    grey = np.clip(pixels, 0, 1) * 255.0
    return (np.stack([grey] * 3, axis=-1) if grey.ndim == 2 else grey).astype(np.float32)


def _tint(picture: NDArray[np.floating], name: str, mask: NDArray[np.bool_]) -> None:
    picture[mask] = picture[mask] * 0.7 + np.array(_COLOURS[name], np.float32) * 0.3


def _image(picture: NDArray[np.floating]) -> Image.Image:
    return Image.fromarray(picture.astype(np.uint8)).resize((CELL, CELL))


def _chest(view: ChestView) -> Image.Image:
    picture = _rgb(view.pixels)
    for name, mask in view.masks.items():
        _tint(picture, name, mask)
    image = _image(picture)
    pen = ImageDraw.Draw(image)
    for name in ("trachea", "aorta", "spine"):
        if name in view.boxes:
            pen.rectangle([v * (CELL - 1) for v in view.boxes[name]], outline=(255, 255, 0))
    for row, finding in enumerate(view.findings):
        pen.rectangle([v * (CELL - 1) for v in finding.box], outline=(255, 0, 255))
        pen.text(
            (4, 4 + 12 * row),
            f"{finding.laterality} {finding.label} {finding.extent:.2f}",
            fill=(255, 0, 255),
        )
    return image


def _cells(seed: int) -> list[Image.Image]:
    cells: list[Image.Image] = []
    for n in range(4):
        case = make_chest_case(seed + n, with_prior=True)
        if case.prior is not None:
            cells += [
                _image(_rgb(case.prior.pixels)),
                _image(_rgb(case.current.pixels)),
                _chest(case.current),
            ]
    for n in range(3):
        case = make_abdomen_case(seed + n, shape=(7, 192, 192))
        middle = case.voxels.shape[0] // 2
        picture = _rgb(np.clip((case.voxels[middle] + 160) / 400, 0, 1))
        cells.append(_image(picture.copy()))
        for name, mask in case.masks.items():
            _tint(picture, name, mask[middle])
        cells.append(_image(picture))
    for n in range(12):
        skin = make_skin_case(seed + n)
        picture = _rgb(skin.pixels)
        if n % 4 == 3:
            _tint(picture, "lesion", skin.mask)
        cells.append(_image(picture))
    return cells + [_image(_rgb(make_foreign_case(seed + n).pixels)) for n in range(12)]


def contact_sheet(path: Path, seed: int) -> None:
    """Write a PNG with chests (prior, current, truth), abdomens (plain, truth), skin and foreign pictures."""
    _paste(_cells(seed), path)


def sheet_of(pictures: Sequence[Path], path: Path) -> None:
    """Write a PNG with pictures of files, at most `MOST` of them."""
    _paste([Image.open(picture).convert("RGB").resize((CELL, CELL)) for picture in pictures[:MOST]], path)


def _paste(cells: Sequence[Image.Image], path: Path) -> None:
    rows = -(-len(cells) // COLUMNS)
    sheet = Image.new("RGB", (COLUMNS * (CELL + 4), max(rows, 1) * (CELL + 4)))
    for n, cell in enumerate(cells):
        sheet.paste(cell, ((n % COLUMNS) * (CELL + 4), (n // COLUMNS) * (CELL + 4)))
    sheet.save(path)
