"""Acts on rejection notes that came since: what they name goes out of use, and its study is read anew."""

import logging

from dicom_node.database.engine import Database
from dicom_node.rejection_note import MOST_BYTES, RejectionNote, read_rejection_note
from dicom_node.study import Instance
from dicom_node.unreadable import UNREADABLE

logger = logging.getLogger(__name__)


def act_on_notes(database: Database) -> None:
    """Read every note that came since the last time; one that cannot be read costs none of the others.

    Raises:
        StorageError: the index cannot be used.
    """
    for note in database.rejections.unread_notes():
        try:
            rejected = _read(note)
        except OSError as error:  # it may be read in a moment
            logger.warning("a rejection note may wait", extra={"error": error.strerror})
            continue
        count = database.rejections.apply(note, rejected)
        if rejected is not None:
            extra = {"reason": rejected.title.meaning, "named": len(rejected.sop_instance_uids)}
            logger.info("rejection note", extra={**extra, "taken out of use": count})


def _read(note: Instance) -> RejectionNote | None:
    if note.size > MOST_BYTES:
        logger.warning("a key object selection is too large to be read", extra={"bytes": note.size})
        return None
    try:
        return read_rejection_note(note.path)
    except OSError:
        raise
    except UNREADABLE as error:
        logger.warning("a key object selection cannot be read", extra={"error": type(error).__name__})
        return None
