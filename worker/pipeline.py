"""One study's walk: lease, priors, reading, result objects, delivery."""

import logging
import threading
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime

from dicom_node.database.engine import Database
from dicom_node.errors import LeaseError
from dicom_node.priors.registry import find_priors
from dicom_node.rules.plan import plan_of, settings_under
from dicom_node.scu import accepted_classes, send_files
from dicom_node.settings import NodeSettings
from dicom_node.storage import InstanceStore, ResultStore
from dicom_node.study import Job, JobId, JobState, Lease, Reason
from model.reader import Reader
from worker.contradictions import contradictions
from worker.delivery import deliver
from worker.errors import NothingToReadError
from worker.output_profiles import profiles_of
from worker.proving import Prover
from worker.request import StudyPreparation, asked_for
from worker.result_objects import Results, objects_of_job
from worker.retry import Action, Verdict, delay_s, verdict_on
from worker.settings import DELIVERY_PATIENCE
from worker.stopwatch import Stopwatch

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, eq=False)
class Pipeline:
    """Everything that one worker process needs to read studies; the model is loaded once."""

    settings: NodeSettings
    database: Database
    store: InstanceStore
    results: ResultStore
    reader: Callable[[], Reader]
    """Returns the loaded reader; loads it at the first call."""
    owner: str
    """Names this process in a lease."""

    def take(self, job_id: JobId) -> None:
        """Claim the job and walk it to its end; do nothing if another worker has it or it is over."""
        lease = self.database.jobs.claim(job_id, self.owner, self.settings.worker.lease_s)
        if lease is None:
            logger.info("job is not to be had", extra={"job_id": job_id})
            return
        watch = Stopwatch()
        try:
            with self._heartbeat(lease):
                self.run(lease, watch)
        except LeaseError:
            logger.warning("lease lost: another worker has the job", extra={"job_id": job_id})
        except Exception as error:  # noqa: BLE001 (the task boundary: every error ends in a decision)
            self._settle(lease, verdict_on(error))
        logger.info("job left", extra={"job_id": job_id, **watch.as_extra()})

    def run(self, lease: Lease, watch: Stopwatch) -> None:
        """Read one study and deliver the results. Safe to run twice."""
        if not self.database.results.of_job(lease.job.job_id):
            results = self._read(lease.job, watch)
            faults = (*results.faults, *contradictions(self.database, lease.job.study_instance_uid))
            self.results.keep(lease, results.objects, results.recipients, faults=faults)
        hold = self.database.decisions.hold_of(lease.job.job_id)
        if hold is not None and not hold.is_released:
            # A dropped job is never claimed: whoever comes here has one that waits for a person.
            self.database.jobs.mark(lease, JobState.HELD, Reason.WITHHELD, "; ".join(hold.faults))
            return
        self.database.jobs.mark(lease, JobState.DELIVERING)
        with watch.hop("deliver"):
            prover = Prover(self.settings, self.database)
            deliver(self.database, send_files, self.settings.destinations, lease.job.job_id, prover)
        is_withdrawn = self.database.withdrawals.is_whole(lease.job.job_id)
        self.database.jobs.mark(lease, JobState.DONE, Reason.WITHDRAWN if is_withdrawn else Reason.DELIVERED)

    def _read(self, job: Job, watch: Stopwatch) -> Results:
        study = self.database.studies.get(job.study_instance_uid)
        plan = plan_of(self.database.instances.of_study(job.study_instance_uid), self.settings.rules)
        if plan.reason is not None:
            raise NothingToReadError(plan.reason, plan.why)
        settings = settings_under(plan.rule, self.settings)
        with watch.hop("priors"):
            search = find_priors(study, settings, self.database, self.store)
        with watch.hop("load_model"):
            reader = self.reader()
        preparation = StudyPreparation(self.database, self.store, every_view=reader.reads_every_view)
        with watch.hop("prepare"):
            prepared = asked_for(plan.rule, preparation.prepare(study, job.revision, search))
        with watch.hop("model"):
            reading = reader.read(prepared.request)
        predecessor = preparation.latest_report(job.study_instance_uid, before=job.revision)
        with watch.hop("write"):
            profiles = profiles_of(settings.destinations, accepted_classes)
            return objects_of_job(job, reading, prepared, predecessor, profiles)

    def _settle(self, lease: Lease, verdict: Verdict) -> None:
        """Write the decision about a failed run into the job row."""
        job_id = lease.job.job_id
        has_results = bool(self.database.results.of_job(job_id))
        extra = {"job_id": job_id, "reason": verdict.reason.name, "action": verdict.action.value}
        logger.warning("job did not end well", extra=extra)
        jobs = self.database.jobs
        try:
            if verdict.action is Action.END:
                jobs.mark(lease, JobState.NOT_APPLICABLE, verdict.reason, verdict.detail)
            elif verdict.action is Action.RETRY and self._may_retry(lease.job, has_results=has_results):
                state = JobState.DELIVERING if has_results else JobState.QUEUED
                delay = delay_s(lease.job.attempts)
                jobs.retry_later(lease, state, verdict.reason, verdict.detail, delay)
            else:
                jobs.mark(lease, JobState.FAILED, verdict.reason, verdict.detail)
        except LeaseError:
            logger.warning("lease lost before the verdict was written", extra=extra)

    def _may_retry(self, job: Job, *, has_results: bool) -> bool:
        """Reading is tried a few times; delivering for as long as a PACS may be down."""
        if has_results:
            released = self.database.decisions.last_at(job.job_id)
            return datetime.now(UTC) - max(job.created_at, released or job.created_at) < DELIVERY_PATIENCE
        return job.attempts < self.settings.worker.max_attempts

    @contextmanager
    def _heartbeat(self, lease: Lease) -> Generator[None]:
        """Renew the lease while the body runs; a lost lease is noticed at the next fenced write."""
        over = threading.Event()

        def beat() -> None:
            while not over.wait(self.settings.worker.lease_s / 3):
                try:
                    self.database.jobs.renew(lease, self.settings.worker.lease_s)
                except LeaseError:
                    return

        thread = threading.Thread(target=beat, name="lease", daemon=True)
        thread.start()
        try:
            yield
        finally:
            over.set()
            thread.join()
