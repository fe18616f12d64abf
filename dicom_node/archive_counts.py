"""Asks an archive how many images a study has (PS3.4 C.4.1), without keeping anybody waiting."""

import logging
import threading
from collections.abc import Callable, Sequence
from datetime import datetime
from queue import SimpleQueue
from typing import Final

from pydicom import Dataset
from pynetdicom.association import Association
from pynetdicom.presentation import build_context

from dicom_node.errors import PeerError, RefusedError, SettingsError, UnreachableError
from dicom_node.priors.query_retrieve import FIND, PENDING
from dicom_node.priors.relevance import DERIVED
from dicom_node.scu import associated, identifier
from dicom_node.settings import QueryRetrieve

logger = logging.getLogger(__name__)

TICK_S: Final = 0.5
SERIES_KEYS: Final = ("SeriesInstanceUID", "Modality", "NumberOfSeriesRelatedInstances")


def images_at(peer: QueryRetrieve, study_instance_uid: str) -> int:
    """Count the images of a study at an archive; where it does not count its series, they are listed.

    Raises:
        PeerError: the archive does not answer, or answers with a failure.
    """
    with associated(peer, [build_context(FIND)]) as association:
        series = _found(association, "SERIES", SERIES_KEYS, StudyInstanceUID=study_instance_uid)
        return sum(
            _images_of(association, study_instance_uid, each)
            for each in series
            if each.get("Modality") not in DERIVED
        )


def _images_of(association: Association, study_instance_uid: str, series: Dataset) -> int:
    count = series.get("NumberOfSeriesRelatedInstances")
    if count is not None:
        return int(count)
    place = {"StudyInstanceUID": study_instance_uid, "SeriesInstanceUID": str(series.SeriesInstanceUID)}
    return sum(1 for _ in _found(association, "IMAGE", ("SOPInstanceUID",), **place))


def _found(association: Association, level: str, keys: Sequence[str], **match: str) -> list[Dataset]:
    query = identifier(QueryRetrieveLevel=level, **dict.fromkeys(keys, ""), **match)
    found: list[Dataset] = []
    for status, answer in association.send_c_find(query, FIND):
        code = status.get("Status")
        if code is None:
            raise UnreachableError("the answer to C-FIND broke off")
        if code in PENDING:
            if answer is not None:
                found.append(answer)
        elif code != 0x0000:
            raise RefusedError("C-FIND", code)
    return found


class ArchiveCounts:
    """Counts by study, asked for on a thread of its own; nothing is known before the answer is here."""

    def __init__(self, count: Callable[[str], int], ask_again_s: float) -> None:
        self._count = count
        self._ask_again_s = ask_again_s
        self._known: dict[str, tuple[datetime, int]] = {}
        self._asked: dict[str, datetime] = {}
        self._questions: SimpleQueue[tuple[str, datetime]] = SimpleQueue()

    def of(self, study_instance_uid: str, now: datetime, last_received_at: datetime) -> int | None:
        """Return what the archive said after the last instance came; ask if that is too long ago."""
        asked = self._asked.get(study_instance_uid)
        if asked is None or asked < last_received_at or (now - asked).total_seconds() > self._ask_again_s:
            self._asked[study_instance_uid] = now
            self._questions.put((study_instance_uid, now))
        known = self._known.get(study_instance_uid)
        return None if known is None or known[0] < last_received_at else known[1]

    def forget(self, study_instance_uid: str) -> None:
        """Forget a study that is complete."""
        self._asked.pop(study_instance_uid, None)
        self._known.pop(study_instance_uid, None)

    def run(self, stop: threading.Event) -> None:
        """Ask until told to stop."""
        while not stop.wait(TICK_S):
            while not self._questions.empty() and not stop.is_set():
                uid, at = self._questions.get()
                try:
                    self._known[uid] = (at, self._count(uid))
                except (PeerError, SettingsError, RuntimeError, ValueError, AttributeError) as exc:
                    # The last three: the archive has gone, or its answer is none.
                    logger.warning("images are not counted", extra={"error": type(exc).__name__})
