"""A report's content tree as a reader that is not ours gives it: highdicom's, or DCMTK's as XML."""

from collections.abc import Iterator
from dataclasses import dataclass
from xml.etree.ElementTree import Element

from pydicom.dataset import Dataset

_DCMTK_TYPES = {"code", "text", "num", "scoord", "image", "composite", "uidref", "container"}


@dataclass(frozen=True, slots=True)
class Node:
    """One content item (PS3.3 C.17.3)."""

    kind: str
    """Value type in lower case."""
    name: str
    """Code value of the concept name; empty without one."""
    value: str = ""
    """Code value, text, number or UID; of what is referenced, its SOP Instance UID."""
    children: tuple["Node", ...] = ()
    frame: int = 1
    segment: int = 0
    points: tuple[tuple[float, float], ...] = ()
    """Of a SCOORD: (column, row)."""

    def walk(self) -> Iterator["Node"]:
        """Yield this node and all below it, in document order."""
        yield self
        for child in self.children:
            yield from child.walk()

    def named(self, name: str) -> Iterator["Node"]:
        """Yield the direct children of a concept name."""
        return (child for child in self.children if child.name == name)

    def value_of(self, name: str) -> str:
        """Give the value of the first child of a concept name; empty without one."""
        return next((child.value for child in self.named(name)), "")


def from_highdicom(item: Dataset) -> Node:
    """Take an item that highdicom has read, through the properties it gives its items."""
    kind = item.ValueType.lower()
    value, frame, segment, points = "", 1, 0, ()
    if kind == "code":
        value = item.value.value
    elif kind in {"text", "uidref", "num"}:
        value = str(item.value)
    elif kind in {"image", "composite"}:
        value = str(item.referenced_sop_instance_uid)
        if kind == "image":
            frame = (item.referenced_frame_numbers or [1])[0]
            segment = (item.referenced_segment_numbers or [0])[0]
    elif kind == "scoord":
        points = tuple((float(x), float(y)) for x, y in item.value)
    name = item.name.value if item.get("ConceptNameCodeSequence") else ""
    children = tuple(from_highdicom(child) for child in item.get("ContentSequence", ()))
    return Node(kind, name, value, children, frame, segment, points)


def from_dcmtk(element: Element) -> Node:
    """Take an item of what `dsr2xml` printed."""
    kind = element.tag
    value, frame, segment = element.findtext("value") or "", 1, 0
    if kind in {"image", "composite"}:
        instance = element.find("value/instance")
        value = instance.get("uid", "") if instance is not None else ""
        frame = int((element.findtext("value/frames") or "1").split(",")[0])
        segment = int((element.findtext("value/segments") or "0").split(",")[0])
    pairs = (element.findtext("data") or "").split(",") if kind == "scoord" else []
    points = tuple((float(x), float(y)) for x, y in (pair.split("/") for pair in pairs))
    children = tuple(from_dcmtk(child) for child in element if child.tag in _DCMTK_TYPES)
    return Node(kind, element.findtext("concept/value") or "", value, children, frame, segment, points)
