"""The scene graph of one image as Chest ImaGenome 1.0.0 publishes it, and what it says as facts."""

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from pydantic import TypeAdapter, ValidationError

from model.errors import RowError
from model.training.datasets.record import RecordBox
from model.training.phantoms.truth import Box

FINDINGS = ("anatomicalfinding", "disease")
"""Categories of attributes that are boxed as findings."""
LABELLED = (*FINDINGS, "tubesandlines", "device")
"""Categories of attributes that are labels; the others are of language and technique."""

_VERBS = {"improved": "has improved", "worsened": "has worsened", "no change": "is unchanged"}


@dataclass(frozen=True, slots=True)
class GraphObject:
    """A structure and its rectangle in pixels of the original image."""

    bbox_name: str
    original_x1: float | None = None
    original_y1: float | None = None
    original_x2: float | None = None
    original_y2: float | None = None


@dataclass(frozen=True, slots=True)
class GraphAttributes:
    """What the report says of a structure: sentences, and for each the attributes `category|yes|name`."""

    bbox_name: str
    attributes: tuple[tuple[str, ...], ...] = ()
    phrases: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class GraphRelation:
    """How a structure compares with itself on an earlier image."""

    bbox_name: str
    subject_id: str
    """`dicom_id` of this image, `_`, the structure."""
    object_id: str
    """The same of the earlier image."""
    relationship_names: tuple[str, ...] = ()
    """`comparison|yes|improved`, `worsened` or `no change`."""
    attributes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class SceneGraph:
    """One file `<dicom_id>_SceneGraph.json`; what is not used here is left unread."""

    image_id: str
    gender: str | None = None
    age_decile: str | None = None
    reason_for_exam: str | None = None
    objects: tuple[GraphObject, ...] = ()
    attributes: tuple[GraphAttributes, ...] = ()
    relationships: tuple[GraphRelation, ...] = field(default=())

    @property
    def age(self) -> float | None:
        """The middle of the ten years that are told."""
        told = re.match(r"(\d+)\s*-\s*(\d+)", self.age_decile or "")
        return (int(told[1]) + int(told[2])) / 2 if told else None


_GRAPH = TypeAdapter(SceneGraph)


def read_graph(content: bytes) -> SceneGraph:
    """Read a published file.

    Raises:
        RowError: it is not in its layout.
    """
    try:
        return _GRAPH.validate_json(content.removeprefix(b"\xef\xbb\xbf"))
    except ValidationError:
        raise RowError("the scene graph is not in its layout") from None


def boxes_of(graph: SceneGraph, size: tuple[int, int]) -> tuple[RecordBox, ...]:
    """Give the box of each structure with its caption, then of each finding through its structure.

    Args:
        size: (columns, rows) of the original image; what reaches out of it is cut off.
    """
    boxes = {thing.bbox_name: box for thing in graph.objects if (box := _box(thing, size))}
    captions = {said.bbox_name: _caption(said) for said in graph.attributes}
    anatomy = [RecordBox(name, 0, box, captions.get(name), anatomy=True) for name, box in boxes.items()]
    findings = [
        RecordBox(name, 0, boxes[said.bbox_name])
        for said in graph.attributes
        if said.bbox_name in boxes
        for name in dict.fromkeys(_present(said, FINDINGS))
    ]
    return (*anatomy, *findings)


def labels_of(graph: SceneGraph) -> dict[str, bool]:
    """Say what is present in any structure, and what is denied and present in none."""
    told = [parts for said in graph.attributes for group in said.attributes for parts in map(_parts, group)]
    names = dict.fromkeys(name for category, _, name in told if category in LABELLED)
    present = {name for category, said, name in told if said == "yes" and category in LABELLED}
    return {name: name in present for name in names}


def prior_of(graph: SceneGraph) -> str | None:
    """The `dicom_id` of the earlier image to which most comparisons refer."""
    told = Counter(_dicom_id(relation.object_id) for relation in graph.relationships)
    return told.most_common(1)[0][0] if told else None


def change_of(graph: SceneGraph, prior: str) -> str | None:
    """Put the comparisons with one earlier image into sentences; None where they say nothing clear.

    A finding that changed alike in all its structures is told once, otherwise for each structure. Relations
    with several directions or without a finding are left out.
    """
    told: dict[str, dict[str, str]] = {}
    for relation in graph.relationships:
        directions = [name for name in map(_direction, relation.relationship_names) if name]
        if _dicom_id(relation.object_id) != prior or len(directions) != 1:
            continue
        for category, said, name in map(_parts, relation.attributes):
            if category in FINDINGS and said == "yes":
                told.setdefault(name, {})[relation.bbox_name] = directions[0]
    return " ".join(_sentences(told)) or None


def _sentences(told: Mapping[str, Mapping[str, str]]) -> Iterator[str]:
    for finding, places in told.items():
        if len(set(places.values())) == 1:
            yield f"The {finding} {_VERBS[next(iter(places.values()))]}."
        else:
            yield from (f"The {finding} in the {place} {_VERBS[way]}." for place, way in places.items())


def _direction(name: str) -> str | None:
    category, said, way = _parts(name)
    return way if (category, said) == ("comparison", "yes") and way in _VERBS else None


def _present(said: GraphAttributes, categories: tuple[str, ...]) -> Iterator[str]:
    for group in said.attributes:
        for category, presence, name in map(_parts, group):
            if presence == "yes" and category in categories:
                yield name


def _parts(attribute: str) -> tuple[str, str, str]:
    """Take `category|yes|name` apart; a name may hold no `|`."""
    category, presence, name = (*attribute.split("|", 2), "", "")[:3]
    return category, presence, name


def _caption(said: GraphAttributes) -> str | None:
    """The sentences on a structure, each once."""
    return " ".join(dict.fromkeys(" ".join(phrase.split()) for phrase in said.phrases)).strip() or None


def _box(thing: GraphObject, size: tuple[int, int]) -> Box | None:
    edges = (thing.original_x1, thing.original_y1, thing.original_x2, thing.original_y2)
    told = [edge for edge in edges if edge is not None]
    if len(told) < len(edges):
        return None
    x1, y1, x2, y2 = (min(max(edge / size[n % 2], 0), 1) for n, edge in enumerate(told))
    return (x1, y1, x2, y2) if x1 < x2 and y1 < y2 else None


def _dicom_id(object_id: str) -> str:
    return object_id.split("_", 1)[0]
