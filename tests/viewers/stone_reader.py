"""What Orthanc's Stone Web Viewer 3.0 draws of a structured report, told again in Python.

Its reader is C++ inside a browser plugin that Debian does not have. The rules are those of its source,
`OrthancStone/Sources/Toolbox/DicomStructuredReport.cpp`; of a report that it throws at, nothing is shown.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from pydicom.dataset import Dataset
from pydicom.uid import ComprehensiveSRStorage

from model.volume import FrameKey


class StoneError(Exception):
    """The viewer would give the report up."""


@dataclass(frozen=True, slots=True)
class Line:
    """One polyline or point on a frame."""

    frame: FrameKey
    points: tuple[tuple[float, float], ...]
    """(column, row)."""


def drawn_by_stone(report: Dataset) -> list[Line]:
    """List what is drawn; nothing of a report that is text to it.

    Raises:
        StoneError: it would give the report up.
    """
    is_measurement_report = _is_concept(report, "126000") and _has_template(report, "1500")
    if report.SOPClassUID != ComprehensiveSRStorage or not is_measurement_report:
        return []
    if "CurrentRequestedProcedureEvidenceSequence" not in report:
        return []
    known = _evidence(report)
    return [line for group in _groups(report) for line in _lines(group, known)]


def _evidence(report: Dataset) -> set[str]:
    known: set[str] = set()
    for study in report.CurrentRequestedProcedureEvidenceSequence:
        for series in _sequence(study, "ReferencedSeriesSequence"):
            for reference in _sequence(series, "ReferencedSOPSequence"):
                uid = _value(reference, "ReferencedSOPInstanceUID")
                if uid in known:
                    raise StoneError("an instance is listed twice")
                known.add(uid)
    return known


def _groups(report: Dataset) -> Iterator[Dataset]:
    for container in _sequence(report, "ContentSequence"):
        if not _is(container, "CONTAINS", "CONTAINER", "126010"):
            continue
        for item in _sequence(container, "ContentSequence"):
            # A measurement group without a template is an error to it, not another kind of group.
            if _is(item, "CONTAINS", "CONTAINER", "125007") and _has_template(item, "1410"):
                yield item


def _lines(group: Dataset, known: set[str]) -> Iterator[Line]:
    for region in _sequence(group, "ContentSequence"):
        if not _is(region, "CONTAINS", "SCOORD", "111030"):
            continue
        for source in _sequence(region, "ContentSequence"):
            if not _is(source, "SELECTED FROM", "IMAGE", "111040"):
                continue
            references = _sequence(source, "ReferencedSOPSequence")
            if len(references) != 1:
                raise StoneError("a region names several instances")
            uid = _value(references[0], "ReferencedSOPInstanceUID")
            if uid not in known:
                raise StoneError("a region names an instance that is no evidence")
            yield from _drawn(region, uid, references[0].get("ReferencedFrameNumber", 1))


def _drawn(region: Dataset, uid: str, frames: object) -> Iterator[Line]:
    if _value(region, "GraphicType") not in {"POINT", "POLYLINE"}:
        return
    numbers = [float(number) for number in region.GraphicData]
    points = tuple(zip(numbers[::2], numbers[1::2], strict=True))
    for frame_number in frames if isinstance(frames, Sequence) else [frames]:
        yield Line(FrameKey(uid, int(frame_number)), points)


def _is(item: Dataset, relation: str, value_type: str, concept: str) -> bool:
    return (
        _value(item, "RelationshipType") == relation
        and _value(item, "ValueType") == value_type
        and _is_concept(item, concept)
    )


def _is_concept(item: Dataset, code_value: str) -> bool:
    names = _sequence(item, "ConceptNameCodeSequence")
    return (
        len(names) == 1
        and _value(names[0], "CodingSchemeDesignator") == "DCM"
        and _value(names[0], "CodeValue") == code_value
    )


def _has_template(item: Dataset, identifier: str) -> bool:
    templates = _sequence(item, "ContentTemplateSequence")
    return (
        len(templates) == 1
        and _value(templates[0], "MappingResource") == "DCMR"
        and _value(templates[0], "TemplateIdentifier") == identifier
    )


def _sequence(item: Dataset, keyword: str) -> list[Dataset]:
    if keyword not in item:
        raise StoneError(f"no {keyword}")
    return list(item[keyword].value)


def _value(item: Dataset, keyword: str) -> str:
    if keyword not in item:
        raise StoneError(f"no {keyword}")
    return str(item[keyword].value)
