"""What a writer is given beside the reading: the headers of what was read, and the run that read it."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from pydicom.dataset import Dataset


@dataclass(frozen=True, slots=True, eq=False)
class PriorSource:
    """One earlier study that the model was shown."""

    instances: tuple[Dataset, ...]
    """Headers of the instances that were read."""
    study_date: str
    """DICOM DA, possibly empty."""
    report: Dataset | None = None
    """An earlier SR of ours on that study; its header is enough."""


@dataclass(frozen=True, slots=True, eq=False)
class Sources:
    """Headers of everything that was read; pixel data may be absent."""

    current: tuple[Dataset, ...]
    """In any order: a frame is found by the UID in its `FrameKey`, never by index."""
    priors: tuple[PriorSource, ...] = ()
    """In the order of `ReadingRequest.priors`, to which `Comparison.prior` points."""
    evidence: tuple[Dataset, ...] = ()
    """Further instances of the current study that the result rests on."""

    def all_instances(self) -> Iterator[Dataset]:
        """Yield every header: current study first, then priors, then their reports."""
        yield from self.current
        yield from self.evidence
        for prior in self.priors:
            yield from prior.instances
            if prior.report is not None:
                yield prior.report


@dataclass(frozen=True, slots=True, eq=False)
class Run:
    """One reading of one revision of a study. Equal runs on equal input give equal bytes."""

    revision: int
    """Counts from 1, as `Study.revision`."""
    started_at: datetime
    """With time zone; every date and time that a result says of itself is this one."""
    software_version: str
    language: str = "en-US"
    """RFC 5646 tag of the language of the narrative."""
    predecessor: Dataset | None = None
    """The SR of the previous revision."""
    device_serial_number: str = "1"
    device_uid: str = ""
    """Of this installation; empty: that of the product."""
    station_name: str = "MEDVERSA"
