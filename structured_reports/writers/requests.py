"""What was ordered, carried from the images into the report."""

from highdicom.sr import CodedConcept
from pydicom.dataset import Dataset
from pydicom.sr.coding import Code

from structured_reports.codes import IMAGING_PROCEDURE
from structured_reports.headers import empty_element

_PROCEDURES = ("ProcedureCodeSequence", "RequestedProcedureCodeSequence", "PerformedProtocolCodeSequence")
_CODE = ("CodeValue", "CodingSchemeDesignator", "CodeMeaning")
_ORDER = (
    "AccessionNumber",
    "PlacerOrderNumberImagingServiceRequest",
    "FillerOrderNumberImagingServiceRequest",
    "RequestedProcedureID",
    "RequestedProcedureDescription",
    "RequestedProcedureCodeSequence",
)
"""Type 2 attributes of a Referenced Request (PS3.3 C.17.2.1)."""


def reported_procedures(header: Dataset) -> list[Code]:
    """Name the imaging procedure that was analysed, never the analysis (DCM 121058)."""
    requests = [header, *header.get("RequestAttributesSequence", ())]
    found: dict[tuple[str, str], Code] = {}
    for ds in requests:
        for keyword in _PROCEDURES[: 2 if ds is header else 3]:
            for item in ds.get(keyword, ()):
                if all(item.get(name) for name in _CODE) and len(str(item.CodeMeaning)) <= 64:
                    key = (str(item.CodeValue), str(item.CodingSchemeDesignator))
                    found.setdefault(key, Code(*key, str(item.CodeMeaning)))
    return list(found.values()) or [IMAGING_PROCEDURE]


def referenced_requests(header: Dataset) -> list[Dataset] | None:
    """Build Referenced Request items from what the image says of its order; None if it says nothing."""
    requests = list(header.get("RequestAttributesSequence", ()))
    if not requests and not header.AccessionNumber:
        return None
    return [_referenced_request(header, request) for request in requests or [Dataset()]]


def _referenced_request(header: Dataset, request: Dataset) -> Dataset:
    item = Dataset()
    item.StudyInstanceUID = header.StudyInstanceUID
    item.ReferencedStudySequence = []
    for keyword in _ORDER:
        own = request.get(keyword) or header.get(keyword)
        element = empty_element(keyword)
        if element.VR == "SQ":
            codes = [entry for entry in own or () if all(entry.get(name) for name in _CODE)]
            element.value = [
                CodedConcept(str(e.CodeValue), str(e.CodingSchemeDesignator), str(e.CodeMeaning)[:64])
                for e in codes
            ]
        else:
            element.value = own or ""
        item.add(element)
    return item
