"""The node's own vocabulary: what it receives, keeps, does and sends."""

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import Literal, NewType

SOPInstanceUID = NewType("SOPInstanceUID", str)
SeriesInstanceUID = NewType("SeriesInstanceUID", str)
StudyInstanceUID = NewType("StudyInstanceUID", str)
JobId = NewType("JobId", int)

OWN_MANUFACTURER = "medversa-node"
"""Manufacturer (0008,0070) of our results, compared by letters and digits only: the loop guard."""


class Origin(StrEnum):
    """How an instance came to be here; only `ROUTED` ones make a study that is read."""

    ROUTED = "routed"
    """Sent to us for reading."""
    RETRIEVED = "retrieved"
    """Fetched by us as part of a prior."""
    RESULT = "result"
    """One of our own results coming back."""


class StudyState(StrEnum):
    """Where a study stands."""

    RECEIVING = "receiving"
    COMPLETE = "complete"
    """Quiet for long enough; a job exists for this revision."""
    REFERENCE = "reference"
    """Kept as a prior only: nothing routed it here for reading."""
    NOT_APPLICABLE = "not applicable"
    """Nothing in it that the node reads; the reason says why."""
    REMOVED = "removed"
    """Its images and results are deleted; what is left says that they were here."""


class JobState(StrEnum):
    """Where one reading of one study revision stands."""

    QUEUED = "queued"
    RUNNING = "running"
    DELIVERING = "delivering"
    """Results are stored; sending them is under way or to be tried again."""
    HELD = "held"
    """Results are stored and wait for a person: the publication gate does not let them out."""
    DONE = "done"
    DROPPED = "dropped"
    """A person decided that what was held is never sent."""
    CANCELLED = "cancelled"
    """A person decided that it is not read, or that what is not sent yet never is."""
    NOT_APPLICABLE = "not applicable"
    FAILED = "failed"
    """The dead letter: nothing happens before a person replays it; the reason says why."""


class Stage(StrEnum):
    """What is done with a job by one kind of worker; each stage has a queue of its own."""

    READING = "reading"
    """Needs the model, and a GPU where there is one."""
    DELIVERY = "delivery"
    """Waits for networks and other people's machines."""


class Priority(StrEnum):
    """How urgent a study is, by Requested Procedure Priority (PS3.3 C.4.11); MEDIUM is routine here."""

    STAT = "stat"
    HIGH = "high"
    ROUTINE = "routine"
    LOW = "low"


class Reason(StrEnum):
    """Why something is where it is; `docs` says what an operator can do about each."""

    QUIET_PERIOD = "no new instance for the quiet period"
    ALL_ARRIVED = "everything that was announced has arrived"
    INCOMPLETE = "images that exist elsewhere have not come: read without them"
    LIMIT_REACHED = "the longest wait for a study is over"
    LATE_INSTANCE = "instances arrived after the study was complete: new revision"
    NO_IMAGES = "the study holds no image that the node reads"
    NO_RULE = "no rule of the configuration fits the study"
    RULED_OUT = "a rule of the configuration says that it is not read"
    OUT_OF_DOMAIN = "the model does not judge this kind of image"
    OWN_RESULT = "our own result came back"
    DUPLICATE = "identical instance received again"
    UID_CONFLICT = "another content is already kept under this SOP Instance UID"
    UID_MISMATCH = "identifiers in the command and the data set differ"
    MISSING_UID = "a mandatory identifier is missing or empty"
    ILLEGAL_UID = "an identifier is not a UID"
    UNREADABLE_HEADER = "the header cannot be parsed"
    NESTING = "sequences are nested too deeply"
    PIXEL_DATA = "the pixel data cannot be decoded"
    GEOMETRY = "the slices do not form a volume"
    PATIENT_MISMATCH = "instances of one study name different patients"
    REJECTED = "its archive rejected it: a rejection note names it"
    DISK_FULL = "no space left"
    STORAGE_FAULT = "the bytes could not be made durable"
    WORKER_LOST = "the worker died or stopped answering"
    TIMEOUT = "the time limit was reached"
    MODEL_ERROR = "the model failed"
    WRITER_ERROR = "a result object could not be built"
    WEIGHTS = "the weights are missing or altered"
    PEER_UNREACHABLE = "the destination does not answer"
    PEER_REFUSED = "the destination refused an object"
    UNPROVEN = "a destination has not shown that it keeps an object"
    OTHER_CONTENT = "a destination keeps another content under the UID of a result"
    DELIVERED = "every object was accepted by every destination"
    WITHHELD = "the publication gate holds the results: a person decides"
    RELEASED = "a person released the held results"
    DROPPED = "a person dropped the held results"
    WITHDRAWN = "a person withdrew the results"
    CANCELLED = "a person cancelled the job"
    REPLAYED = "a person had it tried again"
    PRIORITIZED = "it became more or less urgent"
    REMOVED = "images and results were deleted here"
    SHUT_DOWN = "the worker was stopped and gave the job back"
    INTERNAL = "an unforeseen error; see the detail"


@dataclass(frozen=True, slots=True)
class Instance:
    """One received SOP instance; its bytes lie at `path` exactly as received behind our own file meta."""

    sop_instance_uid: SOPInstanceUID
    sop_class_uid: str
    series_instance_uid: SeriesInstanceUID
    study_instance_uid: StudyInstanceUID
    transfer_syntax_uid: str
    modality: str
    path: Path
    digest: str
    """Of the data set as received, without file meta (`dicom_node.digest`)."""
    size: int
    origin: Origin
    received_at: datetime


@dataclass(frozen=True, slots=True)
class Study:
    """One study as far as it is known here."""

    study_instance_uid: StudyInstanceUID
    revision: int
    """Counts from 1; a late instance makes the next one."""
    state: StudyState
    reason: Reason | None
    study_date: str
    """DICOM DA as received, possibly empty."""
    study_time: str
    instance_count: int
    modalities: tuple[str, ...]
    last_received_at: datetime
    patient_key: str = field(repr=False)
    """Issuer and Patient ID joined; empty if Patient ID is: such a study never has priors."""


@dataclass(frozen=True, slots=True)
class Job:
    """One reading of one study revision; the row is the truth, a queue message only a hint."""

    job_id: JobId
    study_instance_uid: StudyInstanceUID
    revision: int
    state: JobState
    reason: Reason | None
    detail: str
    """Free text for the operator, without patient data."""
    attempts: int
    """Readings begun that count: those that the node's own surroundings ended do not."""
    created_at: datetime
    priority: Priority = Priority.ROUTINE
    sendings: int = 0
    """How often delivering was begun."""


@dataclass(frozen=True, slots=True)
class Lease:
    """The right of one worker to one job until `until`; `token` grows with every claim (fencing)."""

    job: Job
    owner: str
    token: int
    until: datetime


@dataclass(frozen=True, slots=True)
class StoredResult:
    """One result object, frozen on disk before anything is sent."""

    job_id: JobId
    sop_instance_uid: SOPInstanceUID
    sop_class_uid: str
    series_instance_uid: SeriesInstanceUID
    study_instance_uid: StudyInstanceUID
    modality: str
    series_description: str
    path: Path
    sha256: str
    """Of the whole file."""
    ordinal: int
    """Sending order within the job: the SR comes last."""


class DeliveryState(StrEnum):
    PENDING = "pending"
    DELIVERED = "delivered"
    REFUSED = "refused"
    CANCELLED = "cancelled"
    """A person decided that it is not sent."""


@dataclass(frozen=True, slots=True)
class Delivery:
    """One result object on its way to one destination."""

    sop_instance_uid: SOPInstanceUID
    destination: str
    state: DeliveryState
    attempts: int
    dimse_status: int | None
    """Status of the last C-STORE response; None while none was received."""


class DecisionKind(StrEnum):
    """What a person can decide about a job and its results."""

    RELEASED = "released"
    DROPPED = "dropped"
    WITHDRAWN = "withdrawn"
    CANCELLED = "cancelled"
    REPLAYED = "replayed"


OnHold = Literal[DecisionKind.RELEASED, DecisionKind.DROPPED]
"""What can be decided about held results."""


@dataclass(frozen=True, slots=True)
class Decision:
    """What a person decided about a job or its results; never changed afterwards."""

    job_id: JobId
    kind: DecisionKind
    at: datetime
    decided_by: str
    why: str = field(repr=False)
    """As the person wrote it: it may speak of the patient."""


@dataclass(frozen=True, slots=True)
class Withdrawal:
    """What a person took back, and the note that says so to those who have it."""

    decision: Decision
    results: tuple[SOPInstanceUID, ...]
    note: SOPInstanceUID | None
    """None where nothing had reached anybody."""


@dataclass(frozen=True, slots=True)
class Hold:
    """Results of a job that the publication gate did not let out."""

    job_id: JobId
    at: datetime
    faults: tuple[str, ...]
    """What the gate found, without patient data."""
    decision: Decision | None = None

    @property
    def is_released(self) -> bool:
        return self.decision is not None and self.decision.kind is DecisionKind.RELEASED


@dataclass(frozen=True, slots=True)
class Refusal:
    """One instance that was refused or put into quarantine."""

    sop_instance_uid: str
    """As claimed by the sender, sanitized; possibly empty."""
    study_instance_uid: str
    reason: Reason
    detail: str
    dimse_status: int
    kept_at: Path | None
    """Where the bytes lie in quarantine; None if refused."""
    calling_ae_title: str
    at: datetime
    digest: str | None = None
    """Of the data set in quarantine; None if refused."""


@dataclass(frozen=True, slots=True)
class Prior:
    """One earlier study of the same patient that is worth comparing."""

    study_instance_uid: StudyInstanceUID
    study_date: str
    study_time: str
    source: str
    """Name of the source that had it, `local` or as the configuration calls it."""
    why: str
    """Why it was chosen, in words without identity: "same body part (chest), 45 days before"."""
    instances: tuple[Instance, ...]


@dataclass(frozen=True, slots=True)
class PriorSearch:
    """What was found, and which sources could not answer."""

    priors: tuple[Prior, ...]
    """Newest first."""
    notes: tuple[str, ...] = ()
    """One sentence per source that failed or was not asked."""

    def __str__(self) -> str:
        """Say it in words without identity."""
        found = [f"{prior.source}: {prior.why}" for prior in self.priors]
        return "; ".join([f"{len(found)} to compare with", *found, *self.notes])
