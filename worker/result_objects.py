"""From a reading to the objects that stand for it, past the publication gate."""

import dataclasses
from collections.abc import Sequence

from pydicom import Dataset

from dicom_node.study import Job, Reason
from model.reading import Reading
from structured_reports.conformance import publication_faults
from structured_reports.registry import write_results
from structured_reports.sources import Run
from worker.errors import NothingToReadError, PublicationError
from worker.request import PreparedStudy
from worker.settings import software_version


def objects_of_job(
    job: Job, reading: Reading, prepared: PreparedStudy, predecessor: Dataset | None
) -> Sequence[Dataset]:
    """Write what was concluded for a job; the same job and reading give the same bytes.

    Args:
        predecessor: header of our SR on the revision before, if there is one.

    Raises:
        NothingToReadError: the model does not judge the study.
        PublicationError: an object breaks a rule of the publication gate.
        ReportError: the reading cannot be said truthfully.
    """
    if reading.abstention is not None:
        raise NothingToReadError(Reason.OUT_OF_DOMAIN, reading.abstention)
    reading = dataclasses.replace(reading, caveats=(*reading.caveats, *prepared.caveats))
    run = Run(
        revision=job.revision,
        # DICOM times are local unless a zone is given (PS3.3 C.12.1.1.8).
        started_at=job.created_at.astimezone(),
        software_version=software_version(),
        predecessor=predecessor,
    )
    objects = write_results(reading, prepared.sources, run)
    if faults := publication_faults(objects, prepared.sources, reading):
        raise PublicationError("; ".join(faults))
    return objects
