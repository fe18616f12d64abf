"""Measurement groups as the OHIF viewer reads them, where it asks for more than PS3.16 TID 1500 does.

Read and run in OHIF 3.13 (extension cornerstone-dicom-sr 3.13.13, @cornerstonejs/adapters 5.6.8). It takes
groups under one Tracking UID for one measurement, and stops at the first measurement without coordinates:
nothing of the report is drawn then.
"""

from collections.abc import Sequence
from enum import StrEnum

from highdicom.sr import ContentItem, ContentSequence, NumContentItem, RelationshipTypeValues
from pydicom.dataset import Dataset
from pydicom.sr.codedict import codes as dictionary

from structured_reports import codes, wording
from structured_reports.content_tree import MEASUREMENT_GROUP, TRACKING_IDENTIFIER, TRACKING_UID
from structured_reports.geometry import pixel_area_mm2
from structured_reports.writers import content
from structured_reports.writers.writer import Draft

RECTANGLE = "Cornerstone3DTools@^0.1.0:RectangleROI"
"""Tracking Identifier by which every version of the viewer knows a rectangle that it may edit."""

_REGION = dictionary.DCM.ImageRegion
_OWN_WAY = (_REGION, TRACKING_IDENTIFIER, codes.GEOMETRIC_PURPOSE)
"""What the viewer says in its own way of a rectangle to be edited."""


class GroupForm(StrEnum):
    """Which groups stand among the Imaging Measurements of a report, and in which form."""

    TEMPLATE = "template"
    """All of them, as TID 1500 has it."""
    DRAWN = "drawn"
    """Those that have coordinates, themselves or under the same Tracking UID; the others follow elsewhere."""
    EDITABLE = "editable"
    """Boxes only, each as the viewer stores a rectangle of its own (TID 1501, coordinates below an Area)."""


def arranged(
    draft: Draft, form: GroupForm, groups: Sequence[ContentItem]
) -> tuple[list[ContentItem], list[ContentItem]]:
    """Part groups into those among the Imaging Measurements and those after them."""
    if form is GroupForm.TEMPLATE:
        return list(groups), []
    boxed = [group for group in groups if group.ContentSequence.find(_REGION)]
    if form is GroupForm.EDITABLE:
        others = [group for group in groups if group not in boxed]
        certainties = {_uid(group): certainty for group in others if (certainty := _certainty(group))}
        return [_editable(draft, group, certainties.get(_uid(group))) for group in boxed], others
    drawn = {_uid(group) for group in boxed}
    return [g for g in groups if _uid(g) in drawn], [g for g in groups if _uid(g) not in drawn]


def _editable(draft: Draft, group: ContentItem, certainty: str | None) -> ContentItem:
    """Move the coordinates below a measured Area, the name to a comment, which the viewer shows as label."""
    (region,) = group.ContentSequence.find(_REGION)
    (name,) = group.ContentSequence.find(TRACKING_IDENTIFIER)
    region.RelationshipType = RelationshipTypeValues.INFERRED_FROM.value
    (source,) = region.ContentSequence[0].ReferencedSOPSequence
    area = _area(region, draft.headers[source.ReferencedSOPInstanceUID])
    area.ContentSequence = ContentSequence([region])
    kept = [item for item in group.ContentSequence if item.name not in _OWN_WAY]
    items = [
        content.text(TRACKING_IDENTIFIER, RECTANGLE, RelationshipTypeValues.HAS_OBS_CONTEXT),
        *kept,
        area,
        content.text(codes.COMMENT, wording.rectangle_label(name.TextValue, certainty)),
    ]
    return content.container(MEASUREMENT_GROUP, items, template_id="1501")


def _area(region: ContentItem, header: Dataset) -> NumContentItem:
    """Measure the rectangle itself: in the patient where the image is a plane in it, else count its pixels.

    Pixels have no unit, as the viewer stores them: of any other it makes a code too long for SH.
    """
    left, top, right, bottom = (float(region.GraphicData[place]) for place in (0, 1, 4, 5))
    pixels = (right - left) * (bottom - top)
    pixel_area = pixel_area_mm2(header) if "ImageOrientationPatient" in header else None
    value, unit = (
        (pixels, codes.NO_UNITS) if pixel_area is None else (pixels * pixel_area, codes.SQUARE_MILLIMETRE)
    )
    return NumContentItem(
        name=codes.AREA, value=float(f"{value:.6g}"), unit=unit, relationship_type=content.CONTAINS
    )


def _certainty(group: ContentItem) -> str | None:
    """Give the certainty of a finding in words, as its own group measures it."""
    found = group.ContentSequence.find(codes.CERTAINTY)
    return f"{found[0].MeasuredValueSequence[0].NumericValue} %" if found else None


def _uid(group: ContentItem) -> str:
    (item,) = group.ContentSequence.find(TRACKING_UID)
    return str(item.UID)
