"""Any result object as plain values: what it is, who made it, and what it says; identities left out."""

from collections.abc import Callable
from typing import Any

from pydicom.dataset import Dataset

from structured_reports.checks.bundle import (
    ENCAPSULATED,
    PRESENTATION_STATES,
    is_document,
    is_segmentation,
    references_of,
)
from structured_reports.readout.content_items import content_values, reference_values
from structured_reports.readout.segments import segment_values

_HEADER = {
    "sop_instance_uid": "SOPInstanceUID",
    "modality": "Modality",
    "series_description": "SeriesDescription",
    "study_instance_uid": "StudyInstanceUID",
    "series_instance_uid": "SeriesInstanceUID",
    "made_by": "Manufacturer",
    "made_with": "ManufacturerModelName",
    "software": "SoftwareVersions",
    "date": "ContentDate",
    "time": "ContentTime",
    "qualification": "ContentQualification",
    "completion": "CompletionFlag",
    "verification": "VerificationFlag",
    "preliminary": "PreliminaryFlag",
}
"""Under which name each attribute is told; those that an object lacks are left out."""


def values_of(ds: Dataset) -> dict[str, Any]:
    """Tell an object of any maker in values that JSON holds.

    The patient's identity is left out; what a report says in words is not looked into.
    """
    told: dict[str, Any] = {"sop_class": ds.SOPClassUID.name if "SOPClassUID" in ds else "unknown"}
    for name, keyword in _HEADER.items():
        if ds.get(keyword):
            value = ds[keyword].value
            told[name] = str(value) if ds[keyword].VM == 1 else [str(each) for each in value]
    for is_one, tell in _KINDS:
        if is_one(ds):
            return told | tell(ds)
    return told | _image(ds)


def is_presentation_state(ds: Dataset) -> bool:
    return str(ds.get("SOPClassUID")).startswith(PRESENTATION_STATES)


def is_encapsulated(ds: Dataset) -> bool:
    return str(ds.get("SOPClassUID")).startswith(ENCAPSULATED)


def _document(ds: Dataset) -> dict[str, Any]:
    return {
        "content": [content_values(ds)],
        "predecessors": len(ds.get("PredecessorDocumentsSequence", ())),
    }


def _presentation_state(ds: Dataset) -> dict[str, Any]:
    return {
        "label": str(ds.get("ContentLabel") or ""),
        "layers": [str(layer.get("GraphicLayer")) for layer in ds.get("GraphicLayerSequence", ())],
        "annotations": [_annotation(item) for item in ds.get("GraphicAnnotationSequence", ())],
        "images": [
            reference_values(image)
            for series in ds.get("ReferencedSeriesSequence", ())
            for image in series.get("ReferencedImageSequence", ())
        ],
    }


def _annotation(item: Dataset) -> dict[str, Any]:
    return {
        "layer": str(item.get("GraphicLayer") or ""),
        "texts": [str(text.get("UnformattedTextValue")) for text in item.get("TextObjectSequence", ())],
        "graphics": [
            {
                "type": str(shape.get("GraphicType")),
                "units": str(shape.get("GraphicAnnotationUnits")),
                "data": [round(float(value), 2) for value in shape.get("GraphicData") or ()],
            }
            for shape in item.get("GraphicObjectSequence", ())
        ],
        "images": [reference_values(image) for image in item.get("ReferencedImageSequence", ())],
    }


def _encapsulated(ds: Dataset) -> dict[str, Any]:
    return {
        "title": str(ds.get("DocumentTitle") or ""),
        "mime_type": str(ds.get("MIMETypeOfEncapsulatedDocument") or ""),
        "bytes": len(encapsulated_document(ds)),
        "sources": [reference_values(item) for item in ds.get("SourceInstanceSequence", ())],
    }


def encapsulated_document(ds: Dataset) -> bytes:
    """Take the document out of an object, without the byte that pads it (PS3.3 C.24.2)."""
    content = bytes(ds.get("EncapsulatedDocument") or b"")
    length = ds.get("EncapsulatedDocumentLength")
    return content[: int(length)] if length else content


def _image(ds: Dataset) -> dict[str, Any]:
    return {
        "rows": int(ds.get("Rows") or 0),
        "columns": int(ds.get("Columns") or 0),
        "frames": int(ds.get("NumberOfFrames") or 1),
        "burned_in_annotation": str(ds.get("BurnedInAnnotation") or ""),
        "sources": [
            {"instance": reference.sop_instance_uid, "frames": list(reference.frame_numbers)}
            for reference in references_of(ds)
        ],
    }


_KINDS: tuple[tuple[Callable[[Dataset], bool], Callable[[Dataset], dict[str, Any]]], ...] = (
    (is_document, _document),
    (is_segmentation, segment_values),
    (is_presentation_state, _presentation_state),
    (is_encapsulated, _encapsulated),
)
