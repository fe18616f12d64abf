"""Reads with candidate weights what the node has read and delivered, and sends nothing.

The shadow is a process of its own beside the workers: it cannot delay them, and where it fails nothing else
does. Each study is read with both weights from the same request, so that what differs comes from the weights
alone, whatever has arrived since.
"""

import logging
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from pydicom import Dataset

from dicom_node.database.engine import Database
from dicom_node.priors.registry import find_priors
from dicom_node.settings import NodeSettings
from dicom_node.storage import InstanceStore
from dicom_node.study import Job, JobState, Reason, StudyState
from model.reader import Reader
from model.reading import ModelIdentity, Reading
from worker.errors import NothingToReadError, PublicationError
from worker.request import PreparedStudy, StudyPreparation
from worker.result_objects import objects_of_job
from worker.shadow.differences import differences
from worker.shadow.records import ShadowFolder, ShadowRecord

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, eq=False)
class Shadow:
    """A candidate beside the weights in service."""

    settings: NodeSettings
    database: Database
    store: InstanceStore
    serving: Reader
    candidate: Reader
    kept: ShadowFolder

    def waiting(self) -> Iterator[Job]:
        """Jobs that are over, of the newest revision of each study here, which the candidate has not read.

        A job that ended the process the last time is recorded as failed and not tried again.
        """
        newest = {job.study_instance_uid: job for job in self.database.jobs.all() if _was_read(job)}
        for job in newest.values():
            if self.kept.has(job.job_id) or self._is_removed(job):
                continue
            if self.kept.was_begun(job.job_id):
                self.kept.keep(self._record(job, failure="the process ended while reading it"))
                continue
            yield job

    def _is_removed(self, job: Job) -> bool:
        return self.database.studies.get(job.study_instance_uid).state is StudyState.REMOVED

    def read(self, job: Job) -> ShadowRecord:
        """Read one job with both weights and keep what came of it; a failure is kept too."""
        self.kept.begin(job.job_id)
        objects: Sequence[Dataset] = ()
        try:
            record, objects = self._compared(job)
        except Exception as error:  # noqa: BLE001 (the task boundary: every error ends in a record)
            logger.warning("shadow failed", extra={"job_id": job.job_id, "error": type(error).__name__})
            record = self._record(job, failure=type(error).__name__)
        self.kept.keep(record, objects)
        return record

    def _compared(self, job: Job) -> tuple[ShadowRecord, Sequence[Dataset]]:
        study = self.database.studies.get(job.study_instance_uid)
        # What was fetched for the first reading lies in the store; a shadow asks nothing of the PACS.
        local = self.settings.with_own_store_only()
        search = find_priors(study, local, self.database, self.store)
        preparation = StudyPreparation(
            self.database, self.store, may_quarantine=False, every_view=self.candidate.reads_every_view
        )
        prepared = preparation.prepare(study, job.revision, search)
        (first, first_s), (second, second_s) = (
            _timed(reader, prepared) for reader in (self.serving, self.candidate)
        )
        predecessor = preparation.latest_report(job.study_instance_uid, before=job.revision)
        try:
            results = objects_of_job(job, second, prepared, predecessor, {})
            if results.faults:
                raise PublicationError("; ".join(results.faults))
            objects = results.objects
        except NothingToReadError:
            objects = ()
        compared = replace(
            self._record(job), differences=differences(first, second), seconds=(first_s, second_s)
        )
        return compared, objects

    def _record(self, job: Job, failure: str = "") -> ShadowRecord:
        return ShadowRecord(
            job_id=job.job_id,
            study_instance_uid=job.study_instance_uid,
            revision=job.revision,
            serving=told(self.serving.identity),
            candidate=told(self.candidate.identity),
            failure=failure,
        )


def told(model: ModelIdentity) -> str:
    """Name weights so that they cannot be mistaken."""
    return f"{model.name} {model.version} ({model.weights_sha256[:12]})"


def _was_read(job: Job) -> bool:
    declined = job.state is JobState.NOT_APPLICABLE and job.reason is Reason.OUT_OF_DOMAIN
    return job.state is JobState.DONE or declined


def _timed(reader: Reader, prepared: PreparedStudy) -> tuple[Reading, float]:
    began = time.monotonic()
    reading = reader.read(prepared.request)
    return reading, round(time.monotonic() - began, 3)
