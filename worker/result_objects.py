"""From a reading to the objects that stand for it, past the publication gate."""

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from pydicom import Dataset

from dicom_node.study import Job, Reason
from model.reading import Reading
from structured_reports.conformance import publication_faults
from structured_reports.profiles import PROFILES, Profile
from structured_reports.registry import write_bundles
from structured_reports.sources import Run
from worker.errors import NothingToReadError
from worker.request import PreparedStudy
from worker.settings import software_version


@dataclass(frozen=True, slots=True, eq=False)
class Results:
    """The objects of one job, and who gets which."""

    objects: Sequence[Dataset]
    """Each once, whoever gets it."""
    recipients: Mapping[str, frozenset[str]]
    """SOP Instance UIDs for each destination, by its name."""
    faults: tuple[str, ...] = ()
    """Why the publication gate holds them; none if they may be sent."""


def objects_of_job(
    job: Job,
    reading: Reading,
    prepared: PreparedStudy,
    predecessor: Dataset | None,
    profiles: Mapping[str, Profile],
) -> Results:
    """Write what was concluded for a job; the same job and reading give the same bytes.

    Args:
        predecessor: header of our SR on the revision before, if there is one.
        profiles: what each destination gets, by its name; without any, profile `air` is kept.

    Raises:
        NothingToReadError: the model does not judge the study.
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
    # The report in codes passes the gate also where nobody gets it: no other object says all that is claimed.
    bundles = write_bundles(reading, prepared.sources, run, [Profile.AIR, *profiles.values()])
    faults = (
        fault
        for profile, objects in bundles.items()
        for fault in publication_faults(
            objects, prepared.sources, reading, has_report=PROFILES[profile].report_class is not None
        )
    )
    sent = [bundles[profile] for profile in profiles.values()] or [bundles[Profile.AIR]]
    unique = {str(ds.SOPInstanceUID): ds for objects in sent for ds in objects}
    recipients = {
        name: frozenset(str(ds.SOPInstanceUID) for ds in bundles[profile])
        for name, profile in profiles.items()
    }
    return Results(tuple(unique.values()), recipients, tuple(dict.fromkeys(faults)))
