"""Content items (PS3.3 C.17.3) as plain values: a tree of what a report says."""

from collections.abc import Callable
from typing import Any

from pydicom.dataset import Dataset
from pydicom.uid import UID


def content_values(item: Dataset) -> dict[str, Any]:
    """Tell one item and what lies below it; the root of a document is an item too."""
    kind = str(item.get("ValueType") or "CONTAINER")
    told: dict[str, Any] = {"type": kind}
    if item.get("RelationshipType"):
        told["relationship"] = str(item.RelationshipType)
    if name := code_values(item, "ConceptNameCodeSequence"):
        told["name"] = name
    if kind in _VALUES:
        told["value"] = _VALUES[kind](item)
    if below := [content_values(child) for child in item.get("ContentSequence", ())]:
        told["items"] = below
    return told


def code_values(item: Dataset, keyword: str) -> dict[str, str]:
    """Tell the first code of a sequence; nothing without one."""
    for code in item.get(keyword, ()):
        value = code.get("CodeValue") or code.get("LongCodeValue") or code.get("URNCodeValue") or ""
        return {
            "value": str(value),
            "scheme": str(code.get("CodingSchemeDesignator") or ""),
            "meaning": str(code.get("CodeMeaning") or ""),
        }
    return {}


def reference_values(reference: Dataset) -> dict[str, Any]:
    """Tell which instance is named, of what class, and which frames or segments of it."""
    told: dict[str, Any] = {
        "class": UID(str(reference.get("ReferencedSOPClassUID") or "")).name,
        "instance": str(reference.get("ReferencedSOPInstanceUID") or ""),
    }
    for name, keyword in (("frames", "ReferencedFrameNumber"), ("segments", "ReferencedSegmentNumber")):
        said = reference.get(keyword)
        if said is not None:
            told[name] = [int(said)] if isinstance(said, int | str) else [int(each) for each in said]
    return told


def _number(item: Dataset) -> dict[str, Any] | None:
    for measured in item.get("MeasuredValueSequence") or ():
        unit = code_values(measured, "MeasurementUnitsCodeSequence")
        return {"number": float(measured.NumericValue), "unit": unit.get("value", "")}
    return None


def _coordinates(item: Dataset) -> dict[str, Any]:
    return {
        "graphic": str(item.get("GraphicType")),
        "data": [round(float(value), 2) for value in item.get("GraphicData") or ()],
    }


def _references(item: Dataset) -> list[dict[str, Any]]:
    return [reference_values(each) for each in item.get("ReferencedSOPSequence", ())]


def _text(keyword: str) -> Callable[[Dataset], str]:
    return lambda item: str(item.get(keyword) or "")


_VALUES: dict[str, Callable[[Dataset], Any]] = {
    "TEXT": _text("TextValue"),
    "CODE": lambda item: code_values(item, "ConceptCodeSequence"),
    "NUM": _number,
    "UIDREF": _text("UID"),
    "PNAME": _text("PersonName"),
    "DATE": _text("Date"),
    "TIME": _text("Time"),
    "DATETIME": _text("DateTime"),
    "IMAGE": _references,
    "COMPOSITE": _references,
    "WAVEFORM": _references,
    "SCOORD": _coordinates,
    "SCOORD3D": _coordinates,
}
