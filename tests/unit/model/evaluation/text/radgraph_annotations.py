"""Annotations that package radgraph 0.1.18 prints in its README and expects in its tests, in its own form."""

from typing import Any

PRESENT, ABSENT = "definitely present", "definitely absent"


def _observed(words: str, status: str = PRESENT, *relations: list[str]) -> dict[str, Any]:
    return {"tokens": words, "label": f"Observation::{status}", "relations": list(relations)}


def _place(words: str, *relations: list[str], kind: str = "Anatomy") -> dict[str, Any]:
    return {"tokens": words, "label": f"{kind}::{PRESENT}", "relations": list(relations)}


def _made(text: str, *entities: dict[str, Any]) -> dict[str, Any]:
    numbered = {str(n): entity for n, entity in enumerate(entities, start=1)}
    return {"text": text, "entities": numbered, "data_source": None, "data_split": "inference"}


ANNOTATIONS: dict[str, dict[str, Any]] = {
    "0": _made(
        "no acute cardiopulmonary abnormality",
        _observed("acute", ABSENT),
        _place("cardiopulmonary"),
        _observed("abnormality", ABSENT, ["located_at", "2"]),
    ),
    "1": _made(
        "et tube terminates 2 cm above the carina retraction by several centimeters is recommended for more "
        "optimal placement bibasilar consolidations better assessed on concurrent chest ct",
        _observed("et tube", PRESENT, ["located_at", "2"]),
        _place("2 cm above", ["modify", "3"], kind="Anatomy::measurement"),
        _place("carina"),
        _observed("retraction"),
        _place("bibasilar"),
        _observed("consolidations", PRESENT, ["located_at", "5"]),
    ),
    "2": _made(
        "there is no significant change since the previous exam the feeding tube and nasogastric tube have "
        "been removed",
        _observed("significant", ABSENT, ["modify", "2"]),
        _observed("change", ABSENT),
        _observed("feeding", ABSENT, ["modify", "4"]),
        _observed("tube", ABSENT),
        _observed("nasogastric", ABSENT),
        _observed("tube", ABSENT),
    ),
    "3": _made(
        "unchanged mild pulmonary edema no radiographic evidence pneumonia",
        _observed("unchanged", PRESENT, ["modify", "4"]),
        _observed("mild"),
        _place("pulmonary"),
        _observed("edema", PRESENT, ["located_at", "3"]),
        _observed("pneumonia", ABSENT),
    ),
    "4": _made(
        "No evidence of pneumothorax following chest tube removal .",
        _observed("pneumothorax", ABSENT),
        _place("chest"),
        _observed("tube", PRESENT, ["located_at", "2"]),
    ),
}


def _varied(number: str, text: str, **changes: dict[str, Any] | None) -> tuple[str, dict[str, Any]]:
    """What an annotation is made from, and it, with some entities changed, or left out for None."""
    entities = dict(ANNOTATIONS[number]["entities"])
    for name, change in changes.items():
        key = name.removeprefix("e")
        if change is None:
            del entities[key]
        else:
            entities[key] = {**entities[key], **change}
    return number, {**ANNOTATIONS[number], "text": text, "entities": entities}


VARIANTS: tuple[tuple[str, dict[str, Any]], ...] = (
    _varied("0", "no acute abnormality", e2=None, e3={"relations": []}),
    _varied(
        "1", "tip 4 cm above", e4=None, e2={"tokens": "4 cm above"}, e6={"relations": [["located_at", "3"]]}
    ),
    _varied("2", "no change, feeding", e6=None, e3={"relations": [["modify", "2"]]}),
    _varied("3", "Edema unchanged", e1={"relations": []}, e4={"tokens": "Edema"}),
    _varied("4", "Chest tube", e2={"tokens": "Chest"}),
    _varied("4", "chest tube", e1={"label": f"Observation::{PRESENT}"}),
    _varied("4", "tube", e1=None, e2=None, e3={"relations": []}),
    _varied("4", "nothing", e1=None, e2=None, e3=None),
)
