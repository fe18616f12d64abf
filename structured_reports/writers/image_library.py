"""The image library (PS3.16 TID 1600), which viewers dereference unasked.

Built here, not by highdicom, whose library refuses sources without spacing, thickness or orientation, every
enhanced multi-frame image and dermoscopy. Descriptors that all images share stand once in the group.
"""

from highdicom.sr import ContentItem, RelationshipTypeValues
from pydicom.dataset import Dataset
from pydicom.sr.codedict import codes as dictionary

from structured_reports import codes
from structured_reports.codes import MODALITIES, REGIONS
from structured_reports.writers import content
from structured_reports.writers.writer import Draft


def image_library(draft: Draft) -> ContentItem:
    """List every image of the current study, one group per source series."""
    series: dict[str, list[Dataset]] = {}
    for header in draft.current:
        series.setdefault(str(header.SeriesInstanceUID), []).append(header)
    groups = [_group(draft, headers) for headers in series.values()]
    return content.container(dictionary.DCM.ImageLibrary, groups)


def _group(draft: Draft, headers: list[Dataset]) -> ContentItem:
    modality = MODALITIES.get(str(headers[0].get("Modality") or ""), MODALITIES["OT"])
    region = REGIONS[draft.reading.modality]
    context = RelationshipTypeValues.HAS_ACQ_CONTEXT
    descriptors: list[ContentItem] = [
        content.code(dictionary.DCM.Modality, modality, context),
        content.code(dictionary.DCM.TargetRegion, region, context),
    ]
    images = [_entry(header) for header in headers]
    return content.container(dictionary.DCM.ImageLibraryGroup, [*descriptors, *images])


def _entry(header: Dataset) -> ContentItem:
    """Name an image; a multi-frame one without frame numbers stands for all its frames."""
    item = content.image(codes.SOURCE, header)
    if "ReferencedFrameNumber" in item.ReferencedSOPSequence[0]:
        del item.ReferencedSOPSequence[0].ReferencedFrameNumber
    return item
