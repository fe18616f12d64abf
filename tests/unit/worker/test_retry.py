"""What becomes of a job after an error."""

import pytest
from celery.exceptions import SoftTimeLimitExceeded

from dicom_node.errors import DiskFullError, IndexAwayError, StorageError, UnreachableError
from dicom_node.study import Reason
from model.errors import GeometryError, WeightsError
from worker.errors import NothingToReadError, UndeliveredError
from worker.retry import Action, verdict_on


@pytest.mark.parametrize(
    ("error", "action", "reason"),
    [
        (DiskFullError("full"), Action.WAIT, Reason.DISK_FULL),
        (IndexAwayError("gone"), Action.WAIT, Reason.STORAGE_FAULT),
        (StorageError("altered"), Action.RETRY, Reason.STORAGE_FAULT),
        (UnreachableError("gone"), Action.RETRY, Reason.PEER_UNREACHABLE),
        (GeometryError("gap"), Action.FAIL, Reason.GEOMETRY),
        (WeightsError("altered"), Action.FAIL, Reason.WEIGHTS),
        (SoftTimeLimitExceeded(), Action.RETRY, Reason.TIMEOUT),
        (NothingToReadError(Reason.NO_IMAGES, "none"), Action.END, Reason.NO_IMAGES),
        (UndeliveredError(Reason.PEER_REFUSED, "x", is_final=True), Action.FAIL, Reason.PEER_REFUSED),
        (UndeliveredError(Reason.PEER_REFUSED, "x", is_final=False), Action.RETRY, Reason.PEER_REFUSED),
        (ZeroDivisionError("patient Doe^Jane"), Action.RETRY, Reason.INTERNAL),
    ],
)
def test_each_error_has_one_decision(error: Exception, action: Action, reason: Reason) -> None:
    verdict = verdict_on(error)
    assert (verdict.action, verdict.reason) == (action, reason)


def test_message_of_a_foreign_error_is_not_repeated() -> None:
    """A library may quote the data set in its message."""
    assert "Doe" not in verdict_on(ValueError("bad value 'Doe^Jane'")).detail
