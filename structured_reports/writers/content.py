"""Content items that highdicom has no template for, in fewer words (PS3.3 C.17.3)."""

from collections.abc import Sequence

from highdicom.sr import (
    CodeContentItem,
    CompositeContentItem,
    ContainerContentItem,
    ContentItem,
    ContentSequence,
    ImageContentItem,
    RelationshipTypeValues,
    TextContentItem,
)
from pydicom.dataset import Dataset
from pydicom.sr.coding import Code

from structured_reports.geometry import frame_numbers
from structured_reports.wording import clean_text

CONTAINS = RelationshipTypeValues.CONTAINS
MODIFIES = RelationshipTypeValues.HAS_CONCEPT_MOD


def code(name: Code, value: Code, relation: RelationshipTypeValues = CONTAINS) -> CodeContentItem:
    return CodeContentItem(name=name, value=value, relationship_type=relation)


def text(name: Code, value: str, relation: RelationshipTypeValues = CONTAINS) -> TextContentItem:
    return TextContentItem(name=name, value=clean_text(value), relationship_type=relation)


def image(name: Code, ds: Dataset, frame_number: int = 1) -> ImageContentItem:
    return ImageContentItem(
        name=name,
        referenced_sop_class_uid=ds.SOPClassUID,
        referenced_sop_instance_uid=ds.SOPInstanceUID,
        referenced_frame_numbers=frame_numbers(ds, frame_number),
        relationship_type=CONTAINS,
    )


def composite(name: Code, ds: Dataset) -> CompositeContentItem:
    return CompositeContentItem(
        name=name,
        referenced_sop_class_uid=ds.SOPClassUID,
        referenced_sop_instance_uid=ds.SOPInstanceUID,
        relationship_type=CONTAINS,
    )


def narrowed(item: Dataset) -> ContentItem:
    """Tell the type checker what highdicom's templates hold.

    Raises:
        TypeError: it is no content item.
    """
    if not isinstance(item, ContentItem):
        raise TypeError("not a content item")
    return item


def container(
    name: Code,
    children: Sequence[ContentItem],
    *,
    template_id: str | None = None,
    relation: RelationshipTypeValues | None = CONTAINS,
) -> ContainerContentItem:
    item = ContainerContentItem(name=name, template_id=template_id, relationship_type=relation)
    item.ContentSequence = ContentSequence(children)
    return item
