"""What `values_of` tells, in lines for people."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

_INDENT = "  "
_SKIPPED = {"content", "segments", "annotations", "sources", "images", "layers"}


def text_lines(told: Mapping[str, Any]) -> Iterator[str]:
    """Say what the object is, then what it says."""
    for name, value in told.items():
        if name not in _SKIPPED and value not in ("", [], 0, None):
            shown = ", ".join(map(str, value)) if isinstance(value, list) else str(value)
            yield f"{name.replace('_', ' ')}: {shown}"
    for root in told.get("content", ()):
        yield ""
        yield from _item(root, 0)
    for segment in told.get("segments", ()):
        yield _segment(segment)
    for annotation in told.get("annotations", ()):
        yield from _annotation(annotation)
    for name in ("images", "sources"):
        for reference in told.get(name, ()):
            yield f"{name.removesuffix('s')}: {_reference(reference)}"


def _item(item: Mapping[str, Any], depth: int) -> Iterator[str]:
    name = item.get("name", {}).get("meaning") or item["type"].lower()
    said = _value(item.get("value"))
    first, *others = said.splitlines() or [""]
    yield f"{_INDENT * depth}{name}{f': {first}' if first else ''}"
    for line in others:
        yield f"{_INDENT * (depth + 2)}{line}"
    for child in item.get("items", ()):
        yield from _item(child, depth + 1)


def _value(value: Any) -> str:
    match value:
        case None:
            return ""
        case {"meaning": meaning, "value": code, "scheme": scheme}:
            return f"{meaning} ({code}, {scheme})"
        case {"number": number, "unit": unit}:
            return f"{number:g} {unit}".strip()
        case {"graphic": graphic, "data": data}:
            return f"{graphic} {_points(data)}"
        case list():
            return "; ".join(map(_reference, value))
        case _:
            return str(value)


def _points(data: Sequence[float]) -> str:
    pairs = zip(data[0::2], data[1::2], strict=False)
    return " ".join(f"({x:g}, {y:g})" for x, y in pairs)


def _reference(reference: Mapping[str, Any]) -> str:
    parts = [str(reference.get("class", "")).removesuffix(" Storage"), str(reference["instance"])]
    for name in ("frames", "segments"):
        if reference.get(name):
            numbers = ", ".join(map(str, reference[name]))
            parts.append(f"{name.removesuffix('s') if len(reference[name]) == 1 else name} {numbers}")
    return " ".join(part for part in parts if part)


def _segment(segment: Mapping[str, Any]) -> str:
    meaning = segment["property"].get("meaning", "")
    side = segment.get("laterality", {}).get("meaning", "")
    what = ", ".join(part for part in (meaning, side) if part)
    marked = "pixels cannot be decoded" if segment["pixels"] is None else f"{segment['pixels']} pixels"
    how = " ".join(part for part in (segment["algorithm_type"], segment["algorithm"]) if part)
    frames = f"{segment['frames']} frame{'' if segment['frames'] == 1 else 's'}"
    return f"segment {segment['number']}: {segment['label']} ({what}), {marked} in {frames}; {how}"


def _annotation(annotation: Mapping[str, Any]) -> Iterator[str]:
    texts = " / ".join(annotation["texts"])
    for graphic in annotation["graphics"]:
        yield f"{annotation['layer']}: {texts} {graphic['type']} {_points(graphic['data'])}"
    if not annotation["graphics"]:
        yield f"{annotation['layer']}: {texts}"
