"""A picture of one image with what the results say of it, for people who have no viewer at hand.

Drawn from the result objects, not from the reading: what the picture shows is what was sent.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from textwrap import wrap
from unicodedata import east_asian_width

import numpy as np
from PIL import Image, ImageDraw, ImageFilter, ImageFont
from pydicom.dataset import Dataset
from scipy import ndimage

from structured_reports.captions import Area, placed
from structured_reports.colours import RGB
from structured_reports.errors import FontError
from structured_reports.fonts import installed_fonts
from structured_reports.overlays import Overlays, Rectangle, Shape, overlays_on
from structured_reports.segment_regions import Region
from structured_reports.windowing import as_a_reader_sees_it

NOTICE = "AI - research use only. Not verified by a physician."
_LONG_SIDE = 1024
_LEGEND_WIDTH = 400
_MARGIN = 16
_FILL = 0.16
_WHITE: RGB = (235, 235, 235)
_GREY: RGB = (150, 150, 150)
_AMBER: RGB = (255, 190, 60)
_BACKGROUND: RGB = (16, 16, 18)
_QUOTES = "‘’“”…"
"""What the font that Pillow brings has, beside ASCII."""
_NO_FONT = "(in the report, in a script that has no font here)"
_OPPOSITE = {"R": "L", "L": "R", "A": "P", "P": "A", "H": "F", "F": "H"}


@dataclass(frozen=True, slots=True)
class _Scale:
    """From source pixels to the picture's, which are square even where the source's are not."""

    across: float
    down: float
    size: tuple[int, int]


def draw(
    source: Dataset, results: Sequence[Dataset], *, frame_number: int = 1, notice: str = NOTICE
) -> Image.Image:
    """Draw one frame with masks, boxes, side markers, a legend and the notice that this is research.

    `source` holds its pixel data; what results say of other images is left out. `notice` says what the
    picture is where the results are not ours. Returns an RGB image.

    Raises:
        ValueError, RuntimeError: the pixel data cannot be decoded.
    """
    overlays = overlays_on(source, frame_number, results)
    scale = _scale_of(source)
    picture = Image.fromarray(as_a_reader_sees_it(source, frame_number)).convert("RGB")
    picture = picture.resize(scale.size, Image.Resampling.LANCZOS)
    # The colours of a skin lesion are what it is judged by: a picture in colour gets outlines only.
    fill = 0.0 if _is_coloured(picture) else _FILL
    for region in overlays.regions:
        picture = _tinted(picture, region, fill)
    pen = ImageDraw.Draw(picture)
    _draw_shapes(pen, overlays.shapes, scale)
    _draw_rectangles(pen, overlays.rectangles, scale)
    _draw_sides(pen, source, scale.size)
    return _with_legend(picture, overlays, notice, knows_sides=any(_directions(source)))


def _is_coloured(picture: Image.Image) -> bool:
    """Tell colour from grey that was stored as colour; what a lossy codec adds is no colour."""
    pixels = np.asarray(picture, dtype=np.int16)
    return float((pixels.max(axis=-1) - pixels.min(axis=-1)).mean()) > 4


def _scale_of(source: Dataset) -> _Scale:
    rows, columns = int(source.Rows), int(source.Columns)
    spacing = source.get("PixelSpacing") or source.get("ImagerPixelSpacing") or (1, 1)
    down, across = (float(value) for value in spacing)
    if not (down > 0 and across > 0):
        down = across = 1.0
    factor = _LONG_SIDE / max(rows * down, columns * across)
    size = (max(1, round(columns * across * factor)), max(1, round(rows * down * factor)))
    return _Scale(across * factor, down * factor, size)


def _tinted(picture: Image.Image, region: Region, fill: float) -> Image.Image:
    """Lay a thin tint over a segment and a clear line around it; what lies below must stay visible."""
    mask = Image.fromarray(region.mask.astype(np.uint8) * 255)
    smooth = mask.resize(picture.size, Image.Resampling.BICUBIC).filter(ImageFilter.GaussianBlur(1.5))
    filled = np.where(np.asarray(smooth) >= 128, 255, 0).astype(np.uint8)
    # What Pillow's MinFilter gives, in a tenth of its time: along rows, then along columns.
    inner = ndimage.minimum_filter(filled, size=7, mode="nearest")
    soft = Image.fromarray(filled - inner).filter(ImageFilter.GaussianBlur(0.8))
    line = 0.9 * np.asarray(soft, dtype=np.float32) / 255
    weight = np.maximum(line, fill * filled.astype(np.float32) / 255)[..., None]
    pixels = np.asarray(picture, dtype=np.float32)
    return Image.fromarray((pixels + weight * (np.array(region.colour) - pixels)).astype(np.uint8))


def _draw_rectangles(pen: ImageDraw.ImageDraw, rectangles: Sequence[Rectangle], scale: _Scale) -> None:
    """Draw anatomy dashed and below, findings on top of it; their labels have the choice of place."""
    ordered = sorted(rectangles, key=lambda each: not each.is_finding)
    corners = [_corners(rectangle, scale) for rectangle in ordered]
    captions = [_font_of(rectangle.label, 18 if rectangle.is_finding else 15) for rectangle in ordered]
    sizes = [
        (pen.textlength(text, font=font) + 10, 24.0 if rectangle.is_finding else 20.0)
        for rectangle, (font, text) in zip(ordered, captions, strict=True)
    ]
    areas = placed(corners, sizes, (float(scale.size[0]), float(scale.size[1])))
    for rectangle, box, area in reversed(list(zip(ordered, corners, areas, strict=True))):
        _draw_rectangle(pen, rectangle, box, area)


def _corners(rectangle: Rectangle, scale: _Scale) -> Area:
    return (
        rectangle.left * scale.across,
        rectangle.top * scale.down,
        min(rectangle.right * scale.across, scale.size[0] - 1),
        min(rectangle.bottom * scale.down, scale.size[1] - 1),
    )


def _draw_rectangle(pen: ImageDraw.ImageDraw, rectangle: Rectangle, box: Area, label: Area) -> None:
    font, text = _font_of(rectangle.label, 18 if rectangle.is_finding else 15)
    place = (label[0] + 5, label[1] + 2)
    if rectangle.is_finding:
        pen.rectangle(box, outline=rectangle.colour, width=3)
        pen.rectangle(label, fill=rectangle.colour)
        pen.text(place, text, fill=(0, 0, 0), font=font)
        return
    _draw_dashed(pen, box, rectangle.colour)
    pen.text(place, text, fill=rectangle.colour, font=font, stroke_width=1, stroke_fill=(0, 0, 0))


def _draw_dashed(pen: ImageDraw.ImageDraw, corners: tuple[float, ...], colour: RGB) -> None:
    left, top, right, bottom = corners
    for start in np.arange(left, right, 12):
        for y in (top, bottom):
            pen.line((start, y, min(start + 6, right), y), fill=colour, width=1)
    for start in np.arange(top, bottom, 12):
        for x in (left, right):
            pen.line((x, start, x, min(start + 6, bottom)), fill=colour, width=1)


def _draw_shapes(pen: ImageDraw.ImageDraw, shapes: Sequence[Shape], scale: _Scale) -> None:
    """Draw lines as they are and places as crosses, each with its label where it begins."""
    for shape in shapes:
        places = [(float(x) * scale.across, float(y) * scale.down) for x, y in shape.points]
        if shape.are_marks:
            for x, y in places:
                pen.line((x - 8, y, x + 8, y), fill=shape.colour, width=3)
                pen.line((x, y - 8, x, y + 8), fill=shape.colour, width=3)
        else:
            pen.line(places, fill=shape.colour, width=3)
        at = (places[0][0] + 10, places[0][1] + 4)
        font, text = _font_of(shape.label, 15)
        pen.text(at, text, fill=shape.colour, font=font, stroke_width=1, stroke_fill=(0, 0, 0))


def _draw_sides(pen: ImageDraw.ImageDraw, source: Dataset, size: tuple[int, int]) -> None:
    """Mark the edges with the patient's sides, where the header says them: a guess may be wrong."""
    along_row, along_column = _directions(source)
    width, height = size
    places = [
        (_opposite(along_row), (10, height / 2)),
        (along_row, (width - 30, height / 2)),
        (_opposite(along_column), (width / 2, 6)),
        (along_column, (width / 2, height - 34)),
    ]
    for text, place in places:
        pen.text(place, text, fill=_WHITE, font=_font(26), stroke_width=2, stroke_fill=(0, 0, 0))


def _directions(source: Dataset) -> tuple[str, str]:
    """Name where rows and columns run to, e.g. ("L", "F"); empty where unknown (PS3.3 C.7.6.1.1.1)."""
    cosines = source.get("ImageOrientationPatient") or _plane_of_group(source)
    if cosines is not None and len(cosines) == 6:
        return _letter(cosines[:3]), _letter(cosines[3:])
    orientation = source.get("PatientOrientation")
    if orientation is None or isinstance(orientation, str) or len(orientation) != 2:
        return "", ""
    return str(orientation[0])[:1], str(orientation[1])[:1]


def _plane_of_group(source: Dataset) -> Sequence[float] | None:
    for group in (
        *source.get("SharedFunctionalGroupsSequence", ()),
        *source.get("PerFrameFunctionalGroupsSequence", ()),
    ):
        for item in group.get("PlaneOrientationSequence", ()):
            return item.get("ImageOrientationPatient")
    return None


def _letter(direction: Sequence[float]) -> str:
    axis = int(np.argmax(np.abs(np.asarray(direction, dtype=np.float64))))
    return ("RL", "AP", "FH")[axis][int(float(direction[axis]) > 0)]


def _opposite(letter: str) -> str:
    return _OPPOSITE.get(letter, "")


def _with_legend(picture: Image.Image, overlays: Overlays, notice: str, *, knows_sides: bool) -> Image.Image:
    """Set the picture on a dark sheet, with the notice and what is drawn and said beside it."""
    height = max(picture.height, 480)
    sheet = Image.new("RGB", (picture.width + _LEGEND_WIDTH, height), _BACKGROUND)
    sheet.paste(picture, (0, 0))
    pen = ImageDraw.Draw(sheet)
    left, top = picture.width + _MARGIN, _MARGIN
    top = _write(pen, (left, top), notice, _AMBER, 20) + 6
    for more in overlays.notices:
        top = _write(pen, (left, top), more, _AMBER, 14) + 4
    top += 8
    if not knows_sides:
        top = _write(pen, (left, top), "Patient sides: not stated in the header.", _GREY, 14) + 8
    for region in overlays.regions:
        pen.rectangle((left, top + 4, left + 14, top + 18), fill=region.colour)
        top = _write(pen, (left + 24, top), region.label, _WHITE, 16) + 4
    top += 8
    for statement in overlays.statements:
        if top > height - 40:
            _write(pen, (left, top), "… more in the report", _GREY, 14)
            break
        if statement.colour is not None:
            pen.ellipse((left + 2, top + 5, left + 12, top + 15), fill=statement.colour)
        top = _write(pen, (left + 24, top), statement.text, _WHITE if statement.colour else _GREY, 16) + 4
    return sheet


def _write(pen: ImageDraw.ImageDraw, place: tuple[float, float], text: str, colour: RGB, size: int) -> int:
    """Write wrapped lines; returns where the next one starts."""
    left, top = place
    font, text = _font_of(text, size)
    is_wide = any(east_asian_width(character) in "WF" for character in text)
    across = max(10, int((_LEGEND_WIDTH - _MARGIN * 3) / (size * (1.0 if is_wide else 0.52))))
    for line in (part for whole in text.splitlines() for part in wrap(whole, across) or [""]):
        pen.text((left, top), line, fill=colour, font=font)
        top += round(size * 1.3)
    return int(top)


def _font_of(text: str, size: int) -> tuple[ImageFont.FreeTypeFont | ImageFont.ImageFont, str]:
    """Find a font for a text; where none is installed, say so in its place: boxes say nothing."""
    if all(character.isascii() or character in _QUOTES for character in text):
        return _font(size), text
    try:
        return ImageFont.truetype(installed_fonts().of(text), size), text
    except FontError:
        return _font(size), _NO_FONT


def _font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(size)
