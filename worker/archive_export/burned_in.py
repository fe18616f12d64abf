"""Says which images may hold identity in their pixels: by what the header states, by class, and by a look.

The look is simple and rather calls one line too many: what is flagged is left out.
It finds lines of at least `FEWEST_LETTERS` upright letters or digits, thin, even and much brighter or darker
than what surrounds them. It does not find handwriting, the one or two letters of marks of sides and views, or
rotated text; in a volume it finds what stands at one place in all slices; faces are not looked for.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset
from scipy import ndimage

from model.imaging.elements import text
from model.volume import PlanarImage, Volume

FEWEST_LETTERS = 5
"""Letters or digits in a row that make a line; marks of sides and views (L, R, AP, PA) have fewer."""

LARGEST_SIDE = 1200
"""Pixels; larger pictures are looked at smaller."""

_CAPTURES: Final = "1.2.840.10008.5.1.4.1.1.7"
AT_RISK: Final = (
    _CAPTURES,
    "1.2.840.10008.5.1.4.1.1.3.1",
    "1.2.840.10008.5.1.4.1.1.6.1",
    "1.2.840.10008.5.1.4.1.1.77.1",
)
"""Classes, with those below them, that often hold text: captures, ultrasound, photographs."""

_STROKE = 9
"""Pixels; what is thinner in one direction may be a stroke."""
_CONTRAST = 70.0
"""Of 255, by how much a stroke stands out at least."""
_EVEN = 40.0
"""Of 255, by how much the brighter half of a glyph varies at most: letters are drawn in one grey."""
_HEIGHTS = (6, 64)
_WIDEST = 12
"""Times its height, the widest word whose letters touch."""
_JOINED = 5
"""Pixels across which dots are one stroke."""


def why_flagged(ds: Dataset) -> str | None:
    """Say what in the header speaks against an image; None if nothing does."""
    stated = text(ds, "BurnedInAnnotation").upper()
    if stated == "YES":
        return "the header states burned-in annotation"
    if text(ds, "RecognizableVisualFeatures").upper() == "YES":
        return "the header states recognizable visual features"
    sop_class_uid = text(ds, "SOPClassUID")
    if stated != "NO" and any(f"{sop_class_uid}.".startswith(f"{at_risk}.") for at_risk in AT_RISK):
        return "a class that often holds text, and the header does not state that it has none"
    return None


def shows_text(image: PlanarImage | Volume) -> bool:
    """Say whether a picture shows a line of text, or a volume shows one at one place in all its slices."""
    if isinstance(image, PlanarImage):
        return holds_text(image.pixels)
    lowest = float(image.voxels.min())
    scale = max(float(image.voxels.max()) - lowest, 1.0)
    # Bright text in every slice is left in the darkest values of each column, dark text in the brightest.
    projections = (image.voxels.min(axis=0), image.voxels.max(axis=0))
    return any(holds_text((one - lowest) / np.float32(scale)) for one in projections)


def holds_text(pixels: NDArray[np.float32]) -> bool:
    """Look for a line of text in a picture, (J, I) or (J, I, 3), 0 to 1."""
    channels = [pixels] if pixels.ndim == 2 else [pixels.min(axis=2), pixels.max(axis=2)]
    for channel in channels:
        grey = _reduced(channel * np.float32(255))
        if any(_has_line(_glyphs(*one)) for one in (*_strokes(grey), *_strokes(255 - grey))):
            return True
    return False


def _strokes(grey: NDArray[np.float32]) -> list[tuple[NDArray[np.bool_], NDArray[np.float32]]]:
    """Find what is thin and bright; once as it is, once with the dots of dot-matrix prints joined."""
    thin: NDArray[np.bool_] = grey - ndimage.grey_opening(grey, size=(_STROKE, _STROKE)) > _CONTRAST
    joined = np.asarray(ndimage.binary_closing(thin, np.ones((_JOINED, _JOINED))), np.bool_)
    return [(thin, grey), (joined, grey)]


def _reduced(grey: NDArray[np.float32]) -> NDArray[np.float32]:
    step = -(-max(grey.shape) // LARGEST_SIDE)
    if step == 1:
        return grey
    rows, columns = (side // step * step for side in grey.shape)
    return grey[:rows, :columns].reshape(rows // step, step, columns // step, step).mean(axis=(1, 3))


@dataclass(frozen=True, slots=True)
class _Glyph:
    """One piece of the picture that may be a letter, or several that touch; pixels."""

    top: int
    bottom: int
    left: int
    right: int
    letters: float
    """How many strokes a horizontal cut crosses on average, as far as there is room for letters."""

    @property
    def height(self) -> int:
        return self.bottom - self.top

    def is_followed_by(self, other: "_Glyph") -> bool:
        """Whether another stands right of it on the same line, as tall, and close."""
        tallest, least = max(self.height, other.height), min(self.height, other.height)
        shared = min(self.bottom, other.bottom) - max(self.top, other.top)
        gap = other.left - self.right
        return least >= 0.6 * tallest and shared >= 0.75 * least and -1 <= gap <= 1.1 * tallest


def _glyphs(strokes: NDArray[np.bool_], grey: NDArray[np.float32]) -> list[_Glyph]:
    """Find even pieces of the size of letters, or as wide as words."""
    labels = np.zeros(strokes.shape, np.int32)
    ndimage.label(strokes, np.ones((3, 3)), output=labels)
    found: list[_Glyph] = []
    for number, place in enumerate(ndimage.find_objects(labels), start=1):
        height, width = (part.stop - part.start for part in place)
        if not (_HEIGHTS[0] <= height <= _HEIGHTS[1] and width <= _WIDEST * height):
            continue
        inside = labels[place] == number
        if inside.mean() >= 0.12 and _is_even(grey[place][inside]):
            rises = np.diff(inside, axis=1, prepend=False) & inside
            letters = max(min(rises.sum() / height, width / (0.5 * height)), 1.0)
            found.append(_Glyph(place[0].start, place[0].stop, place[1].start, place[1].stop, float(letters)))
    return found


def _is_even(stroke: NDArray[np.float32]) -> bool:
    """Whether a piece is drawn in one grey; its blurred edges may be darker."""
    return float(np.percentile(stroke, 90) - np.percentile(stroke, 50)) <= _EVEN


def _has_line(glyphs: list[_Glyph]) -> bool:
    """Whether enough letters follow each other."""
    ordered = sorted(glyphs, key=lambda glyph: glyph.left)
    letters = [glyph.letters for glyph in ordered]
    for n, glyph in enumerate(ordered):
        for m in range(n):
            if ordered[m].is_followed_by(glyph):
                letters[n] = max(letters[n], letters[m] + glyph.letters)
    return max(letters, default=0) >= FEWEST_LETTERS
