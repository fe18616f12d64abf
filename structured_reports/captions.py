"""Finds room for captions: each at its own box, none on another, all inside the image."""

from collections.abc import Sequence

Area = tuple[float, float, float, float]
"""Left, top, right, bottom in pixels."""


def placed(
    boxes: Sequence[Area], sizes: Sequence[tuple[float, float]], canvas: tuple[float, float]
) -> list[Area]:
    """Place a caption of each size (width, height) at its box on a canvas (width, height).

    Earlier captions have the choice. Where no place at a box is free, the one that hides least is taken.
    """
    taken: list[Area] = []
    for box, size in zip(boxes, sizes, strict=True):
        places = _places(box, size, canvas)
        free = next((place for place in places if not any(_shared(place, other) for other in taken)), None)
        taken.append(free or min(places, key=lambda place: sum(_shared(place, other) for other in taken)))
    return taken


def _places(box: Area, size: tuple[float, float], canvas: tuple[float, float]) -> list[Area]:
    """List where a caption may stand: above its box, else down its left edge, else down its right edge."""
    left, top, right, bottom = box
    width, height = min(size[0], canvas[0]), min(size[1], canvas[1])
    lines = [top - height, *(top + n * height for n in range(int((bottom - top) // height) + 2))]
    fitting = [line for line in lines if 0 <= line <= canvas[1] - height] or [canvas[1] - height]
    starts = (min(left, canvas[0] - width), max(0.0, min(right, canvas[0]) - width))
    return [(start, line, start + width, line + height) for start in starts for line in fitting]


def _shared(one: Area, other: Area) -> float:
    """Give the area that two rectangles share."""
    across = min(one[2], other[2]) - max(one[0], other[0])
    down = min(one[3], other[3]) - max(one[1], other[1])
    return max(0.0, across) * max(0.0, down)
