"""What others announce of a study: Instance Availability Notification (PS3.4 R) and MPPS (PS3.4 F)."""

import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from pydicom import Dataset
from pynetdicom import evt

from dicom_node.database.engine import Database
from dicom_node.dimse_status import (
    DUPLICATE_INSTANCE,
    INVALID_ATTRIBUTE_VALUE,
    INVALID_INSTANCE,
    MISSING_ATTRIBUTE,
    NO_SUCH_INSTANCE,
    PROCESSING_FAILURE,
    SUCCESS,
)
from dicom_node.routing import READABLE_CLASSES
from dicom_node.uids import is_uid

logger = logging.getLogger(__name__)

INSTANCE_AVAILABILITY: Final = "1.2.840.10008.5.1.4.33"
PERFORMED_PROCEDURE_STEP: Final = "1.2.840.10008.3.1.2.3.3"
IN_PROGRESS, COMPLETED, DISCONTINUED = "IN PROGRESS", "COMPLETED", "DISCONTINUED"
"""Performed Procedure Step Status (PS3.3 C.4.14)."""
UNAVAILABLE: Final = "UNAVAILABLE"


@dataclass(frozen=True, slots=True)
class AnnouncedImage:
    """One image that exists somewhere, of a class that the node reads."""

    sop_instance_uid: str
    series_instance_uid: str


def take_availability(database: Database, event: evt.Event) -> int:
    """Take a notification (N-CREATE); return the status of the response."""
    ds = event.attribute_list
    study = str(ds.get("StudyInstanceUID") or "")
    if not is_uid(study):
        return MISSING_ATTRIBUTE if not study else INVALID_ATTRIBUTE_VALUE
    images = list(_images(ds.get("ReferencedSeriesSequence"), "ReferencedSOPSequence"))
    database.announcements.announce(study, images)
    logger.info("instances announced", extra={"count": len(images)})
    return SUCCESS


def take_new_step(database: Database, event: evt.Event) -> int:
    """Take the beginning of a performed procedure step (N-CREATE)."""
    ds, step = event.attribute_list, _named(event, "AffectedSOPInstanceUID")
    if not is_uid(step):
        return INVALID_INSTANCE
    studies = {
        str(item.get("StudyInstanceUID") or "") for item in ds.get("ScheduledStepAttributesSequence") or ()
    }
    if not studies or "" in studies or "PerformedProcedureStepStatus" not in ds:
        return MISSING_ATTRIBUTE
    if ds.PerformedProcedureStepStatus != IN_PROGRESS or not all(map(is_uid, studies)):
        return INVALID_ATTRIBUTE_VALUE
    is_new = database.announcements.begin_step(step, sorted(studies))
    return SUCCESS if is_new else DUPLICATE_INSTANCE


def take_step_change(database: Database, event: evt.Event) -> int:
    """Take a change of a performed procedure step, at last its end (N-SET)."""
    ds, step = event.modification_list, _named(event, "RequestedSOPInstanceUID")
    status = str(ds.get("PerformedProcedureStepStatus") or IN_PROGRESS)
    if status not in (IN_PROGRESS, COMPLETED, DISCONTINUED):
        return INVALID_ATTRIBUTE_VALUE
    known = database.announcements.status_of_step(step)
    if known is None:
        return NO_SUCH_INSTANCE
    if known != IN_PROGRESS:
        # PS3.4 F.7.2.2.2: it may no longer be updated.
        return PROCESSING_FAILURE
    images = list(_images(ds.get("PerformedSeriesSequence"), "ReferencedImageSequence"))
    database.announcements.change_step(step, status, images)
    logger.info("procedure step changed", extra={"status": status, "count": len(images)})
    return SUCCESS


def _images(series: Sequence[Dataset] | None, keyword: str) -> Iterator[AnnouncedImage]:
    """Yield the images that the node would read; what is nowhere available cannot come."""
    for item in series or ():
        of = str(item.get("SeriesInstanceUID") or "")
        for each in item.get(keyword) or ():
            uid = str(each.get("ReferencedSOPInstanceUID") or "")
            is_read = each.get("ReferencedSOPClassUID") in READABLE_CLASSES
            if is_read and is_uid(uid) and is_uid(of) and each.get("InstanceAvailability") != UNAVAILABLE:
                yield AnnouncedImage(uid, of)


def _named(event: evt.Event, field: str) -> str:
    return str(getattr(event.request, field, None) or "")
