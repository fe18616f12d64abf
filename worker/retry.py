"""What to do about an error, decided once: try again, give up, or end without a result."""

from dataclasses import dataclass
from enum import StrEnum

import torch
from celery.exceptions import SoftTimeLimitExceeded
from sqlalchemy.exc import OperationalError

from dicom_node.errors import DiskFullError, IndexAwayError, NodeError, StorageError, UnreachableError
from dicom_node.study import Reason
from model.errors import AnswerError, GeometryError, ImagingError, ModelError, WeightsError
from structured_reports.errors import ReportError
from worker.errors import NothingToReadError, UndeliveredError


class Action(StrEnum):
    """What becomes of the job."""

    RETRY = "retry"
    """Again after a delay, while attempts are left."""
    WAIT = "wait"
    """Again after a delay, and not counted: the job is not to blame, and what is missing may come back."""
    FAIL = "fail"
    """A visible failure: the same input would fail again."""
    END = "end"
    """No result, and none was to be had: not applicable."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """One decision with what an operator is told."""

    action: Action
    reason: Reason
    detail: str


RULES: tuple[tuple[type[BaseException], Action, Reason], ...] = (
    (DiskFullError, Action.WAIT, Reason.DISK_FULL),
    (IndexAwayError, Action.WAIT, Reason.STORAGE_FAULT),
    (StorageError, Action.RETRY, Reason.STORAGE_FAULT),
    (UnreachableError, Action.RETRY, Reason.PEER_UNREACHABLE),
    (NodeError, Action.RETRY, Reason.INTERNAL),
    (OperationalError, Action.RETRY, Reason.STORAGE_FAULT),
    (WeightsError, Action.FAIL, Reason.WEIGHTS),
    (GeometryError, Action.FAIL, Reason.GEOMETRY),
    (ImagingError, Action.FAIL, Reason.PIXEL_DATA),
    (AnswerError, Action.FAIL, Reason.MODEL_ERROR),
    (ModelError, Action.FAIL, Reason.MODEL_ERROR),
    (ReportError, Action.FAIL, Reason.WRITER_ERROR),
    (SoftTimeLimitExceeded, Action.RETRY, Reason.TIMEOUT),
    (MemoryError, Action.RETRY, Reason.MODEL_ERROR),
    (torch.OutOfMemoryError, Action.RETRY, Reason.MODEL_ERROR),
    (torch.AcceleratorError, Action.RETRY, Reason.MODEL_ERROR),
)
"""First match wins, so a subclass stands before its base."""


EX_TEMPFAIL = 75
"""Exit status of a process that is to be replaced (sysexits.h)."""


def breaks_process(error: BaseException) -> bool:
    """Say whether nothing works in this process after `error`: an accelerator's context does not recover.

    The reading counts as an attempt all the same, since it may be what the study does to every device.
    """
    return isinstance(error, torch.AcceleratorError)


def verdict_on(error: BaseException) -> Verdict:
    """Decide about `error`; an unforeseen one is tried again, since attempts are counted.

    The detail of an unforeseen error names only its type: its message may quote the data set.
    """
    match error:
        case NothingToReadError():
            return Verdict(Action.END, error.reason, str(error))
        case UndeliveredError():
            action = Action.FAIL if error.is_final else Action.RETRY
            return Verdict(action, error.reason, str(error))
        case _:
            for kind, action, reason in RULES:
                if isinstance(error, kind):
                    return Verdict(action, reason, _detail(error))
            return Verdict(Action.RETRY, Reason.INTERNAL, type(error).__name__)


def _detail(error: BaseException) -> str:
    is_ours = type(error).__module__.split(".")[0] in {"dicom_node", "model", "structured_reports", "worker"}
    return str(error) if is_ours else type(error).__name__
