"""Errors of `worker`.

WorkerError
├── AskedAmissError        what a user asks for cannot be done as it is asked
├── NothingToReadError     the study holds no image that the model reads; carries the reason
├── DisclosureError        what was cleaned still names the patient; it is not written
├── PromotionError         weights cannot be put into service
├── PublicationError       a result object breaks a rule of the publication gate and is not written
├── UnreadableFileError    a file of an archive is broken or nested too deeply
└── UndeliveredError       some objects could not be delivered
"""

from dicom_node.study import Reason


class WorkerError(Exception):
    """A study's walk could not go on; `str(error)` never holds patient data."""


class AskedAmissError(WorkerError):
    """What a user asks for cannot be done as it is asked; the message says what can."""


class NothingToReadError(WorkerError):
    """The study holds no image that the model reads: a normal end, not a failure."""

    def __init__(self, reason: Reason, detail: str) -> None:
        super().__init__(detail)
        self.reason = reason


class PromotionError(WorkerError):
    """Weights cannot be put into service; the message says why and what to do."""


class PublicationError(WorkerError):
    """A result object breaks a rule of the publication gate and is not written."""


class DisclosureError(WorkerError):
    """What was cleaned still names the patient: a defect; it is not written."""


class UnreadableFileError(WorkerError):
    """A file of an archive is broken or nested too deeply; the message says which, without its name."""


class UndeliveredError(WorkerError):
    """Some objects could not be delivered; `is_final` where another try cannot help."""

    def __init__(self, reason: Reason, detail: str, *, is_final: bool) -> None:
        super().__init__(detail)
        self.reason = reason
        self.is_final = is_final
