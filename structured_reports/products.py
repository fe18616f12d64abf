"""What each writer makes: the SOP classes, series and clauses that tables of this software speak of."""

from collections.abc import Mapping
from dataclasses import dataclass

from pydicom.uid import (
    UID,
    ColorSoftcopyPresentationStateStorage,
    Comprehensive3DSRStorage,
    ComprehensiveSRStorage,
    EncapsulatedPDFStorage,
    EnhancedSRStorage,
    GrayscaleSoftcopyPresentationStateStorage,
    KeyObjectSelectionDocumentStorage,
    SecondaryCaptureImageStorage,
    SegmentationStorage,
)

from structured_reports import withdrawal
from structured_reports.registry import REPORT
from structured_reports.writers import (
    document,
    key_objects,
    narrative,
    presentation_state,
    secondary_capture,
    segmentation,
    tid1500,
)


@dataclass(frozen=True, slots=True)
class Product:
    """What comes from one writer."""

    sop_classes: tuple[UID, ...]
    modality: str
    series_number: int
    """Of the first series; further ones count on."""
    clause: str
    """The module table or template that the objects follow."""
    content: str


PRODUCTS: Mapping[str, Product] = {
    REPORT: Product(
        (Comprehensive3DSRStorage, ComprehensiveSRStorage, EnhancedSRStorage),
        "SR",
        tid1500.SERIES_NUMBER,
        "PS3.16 TID 1500, with 1204, 1002, 1600, 1501, 1410, 1411, 1502 and 4019",
        "findings with certainty and side, boxes, volumes, change since a prior, questions and answers",
    ),
    "narrative": Product(
        (EnhancedSRStorage,),
        "SR",
        narrative.SERIES_NUMBER,
        "PS3.16 TID 2000",
        "findings and impression in words",
    ),
    "presentation state": Product(
        (GrayscaleSoftcopyPresentationStateStorage, ColorSoftcopyPresentationStateStorage),
        "PR",
        presentation_state.SERIES_NUMBER,
        "PS3.3 A.33.1, A.33.2",
        "boxes with captions, on graphic layers by kind",
    ),
    "key objects": Product(
        (KeyObjectSelectionDocumentStorage,),
        "KO",
        key_objects.SERIES_NUMBER,
        "PS3.3 A.35.4, PS3.16 TID 2010",
        "the frames that show what was found",
    ),
    "rejection note": Product(
        (KeyObjectSelectionDocumentStorage,),
        "KO",
        withdrawal.SERIES_NUMBER,
        "IHE IOCM, PS3.16 TID 2010",
        "which results a person has withdrawn; only by command",
    ),
    "segmentation": Product(
        (SegmentationStorage,),
        "SEG",
        segmentation.FIRST_SERIES_NUMBER,
        "PS3.3 A.51",
        "one segment for each structure, on the frames of its source",
    ),
    "segmentation for OHIF": Product(
        (SegmentationStorage,),
        "SEG",
        segmentation.FIRST_SERIES_NUMBER,
        "PS3.3 A.51",
        "as before, with the plane that OHIF assumes where the source has none",
    ),
    "label map": Product(
        (segmentation.LABEL_MAP_STORAGE,),
        "SEG",
        segmentation.FIRST_LABEL_MAP_SERIES_NUMBER,
        "PS3.3 A.51",
        "the same segments, as pixels that hold segment numbers",
    ),
    "secondary capture": Product(
        (SecondaryCaptureImageStorage,),
        "OT",
        secondary_capture.SERIES_NUMBER,
        "PS3.3 A.8.1",
        "pictures with masks, boxes and a legend burned in",
    ),
    "document": Product(
        (EncapsulatedPDFStorage,),
        "DOC",
        document.SERIES_NUMBER,
        "PS3.3 A.45.1",
        "the report in words and pictures, as PDF",
    ),
}
"""By the name of the writer, in the order of series numbers."""


def products_of(writers: tuple[str, ...], *, has_report: bool) -> tuple[str, ...]:
    """Name what a profile is made of, in the order of this table."""
    return tuple(name for name in PRODUCTS if name in writers or (has_report and name == REPORT))
