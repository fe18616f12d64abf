"""One study's walk: lease, priors, reading, result objects, delivery."""

import logging
import threading
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime

from dicom_node.database.engine import Database
from dicom_node.database.jobs import delay_after
from dicom_node.errors import IndexAwayError, LeaseError, StorageError
from dicom_node.priors.registry import find_priors
from dicom_node.rules.plan import plan_of, settings_under
from dicom_node.rules.settings import Rule
from dicom_node.scu import accepted_classes, send_files
from dicom_node.settings import NodeSettings
from dicom_node.storage import InstanceStore, ResultStore
from dicom_node.study import Job, JobId, JobState, Lease, Reason, Stage, Study
from model.reader import Reader
from worker.contradictions import contradictions
from worker.delivery import deliver
from worker.errors import NothingToReadError
from worker.output_profiles import profiles_of
from worker.proving import Prover
from worker.request import PreparedStudy, StudyPreparation, asked_for, compared_with
from worker.result_objects import Results, objects_of_job
from worker.results.rejected import withdraw_rejected
from worker.retry import EX_TEMPFAIL, Action, Verdict, breaks_process, verdict_on
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
    to_delivery: Callable[[JobId], object] | None = None
    """Tells those who deliver of a job that was read; None: this process delivers what it has read."""

    def take(self, job_id: JobId) -> None:
        """Claim the job and walk it to its end; do nothing if another worker has it or it is over."""
        lease = self.database.jobs.claim(job_id, self.owner, self.settings.worker.lease_s)
        if lease is None:
            logger.info("job is not to be had", extra={"job_id": job_id})
        else:
            self._walk(lease)

    def take_next(self, stage: Stage) -> None:
        """Claim the most urgent job of a stage and walk it on; do nothing if none waits."""
        lease = self.database.jobs.claim_next(stage, self.owner, self.settings.worker.lease_s)
        if lease is not None:
            self._walk(lease)

    def _walk(self, lease: Lease) -> None:
        watch = Stopwatch()
        extra = {"job_id": lease.job.job_id}
        try:
            with self._heartbeat(lease):
                self.run(lease, watch)
                self._note(lease.job, "timed", str(watch))
        except LeaseError:
            logger.warning("lease lost: another worker has the job", extra=extra)
        except SystemExit:
            self._settle(lease, Verdict(Action.WAIT, Reason.SHUT_DOWN, ""), delay_s=0)
            raise
        except Exception as error:
            self._settle(lease, verdict_on(error))
            if breaks_process(error):
                raise SystemExit(EX_TEMPFAIL) from error
        logger.info("job left", extra={**extra, **watch.as_extra()})

    def run(self, lease: Lease, watch: Stopwatch) -> None:
        """Read one study and deliver the results, or leave that to others. Safe to run twice."""
        if not self.database.results.of_job(lease.job.job_id):
            results = self._read(lease.job, watch)
            self._stop_if_rejected(lease.job)
            faults = (*results.faults, *contradictions(self.database, lease.job.study_instance_uid))
            with watch.hop("keep"):
                self.results.keep(lease, results.objects, results.recipients, faults=faults)
        hold = self.database.decisions.hold_of(lease.job.job_id)
        if hold is not None and not hold.is_released:
            # A dropped job is never claimed: whoever comes here has one that waits for a person.
            self.database.jobs.mark(lease, JobState.HELD, Reason.WITHHELD, "; ".join(hold.faults))
            return
        if lease.job.state is JobState.RUNNING and self.to_delivery is not None:
            self.database.jobs.hand_over(lease)
            self.to_delivery(lease.job.job_id)
            return
        self.database.jobs.mark(lease, JobState.DELIVERING)
        with watch.hop("deliver"):
            prover = Prover(self.settings, self.database)
            deliver(self.database, send_files, self.settings.destinations, lease.job.job_id, prover)
        is_withdrawn = self.database.withdrawals.is_whole(lease.job.job_id)
        self.database.jobs.mark(lease, JobState.DONE, Reason.WITHDRAWN if is_withdrawn else Reason.DELIVERED)

    def _read(self, job: Job, watch: Stopwatch) -> Results:
        self._stop_if_rejected(job)
        withdraw_rejected(self.settings, self.database, job)
        study = self.database.studies.get(job.study_instance_uid)
        plan = plan_of(self.database.instances.of_study(job.study_instance_uid), self.settings.rules)
        if plan.reason is not None:
            raise NothingToReadError(plan.reason, plan.why)
        with watch.hop("load_model"):
            reader = self.reader()
        preparation = StudyPreparation(self.database, self.store, every_view=reader.reads_every_view)
        prepared = self._prepare(job, study, plan.rule, preparation, watch)
        with watch.hop("model"):
            reading = reader.read(prepared.request)
        predecessor = preparation.latest_report(job.study_instance_uid, before=job.revision)
        with watch.hop("write"):
            settings = settings_under(plan.rule, self.settings)
            profiles = profiles_of(settings.destinations, accepted_classes)
            return objects_of_job(job, reading, prepared, predecessor, profiles)

    def _prepare(
        self, job: Job, study: Study, rule: Rule | None, preparation: StudyPreparation, watch: Stopwatch
    ) -> PreparedStudy:
        """Choose priors and load everything, anew when one of the priors is rejected meanwhile."""
        settings = settings_under(rule, self.settings)
        while True:
            with watch.hop("priors"):
                search = find_priors(study, settings, self.database, self.store)
            self._note(job, "priors", str(search))
            with watch.hop("prepare"):
                prepared = asked_for(rule, preparation.prepare(study, job.revision, search))
            if self.database.rejections.compare(job.job_id, compared_with(prepared)):
                return prepared

    def _stop_if_rejected(self, job: Job) -> None:
        if self.database.rejections.concern(job):
            raise NothingToReadError(Reason.REJECTED, "the next revision is read without it")

    def _note(self, job: Job, what: str, detail: str) -> None:
        self.database.events.note(job.study_instance_uid, what, detail, job_id=job.job_id)

    def _settle(self, lease: Lease, verdict: Verdict, delay_s: float | None = None) -> None:
        """Write the decision about a failed run into the job row.

        If the index is away the row stays as it is, and the sweep finds it when the lease has ended.
        """
        extra = {"job_id": lease.job.job_id, "reason": verdict.reason.name, "action": verdict.action.value}
        logger.warning("job did not end well", extra=extra)
        try:
            self._write(lease, verdict, delay_s)
        except LeaseError:
            logger.warning("lease lost before the verdict was written", extra=extra)
        except IndexAwayError:
            logger.warning("index away before the verdict was written", extra=extra)

    def _write(self, lease: Lease, verdict: Verdict, delay_s: float | None) -> None:
        jobs, job = self.database.jobs, lease.job
        is_read = bool(self.database.results.of_job(job.job_id))
        if verdict.action is Action.END:
            jobs.mark(lease, JobState.NOT_APPLICABLE, verdict.reason, verdict.detail)
        elif self._may_retry(job, verdict.action, is_read=is_read):
            state = JobState.DELIVERING if is_read else JobState.QUEUED
            if delay_s is None:
                tries = job.sendings if job.state is JobState.DELIVERING else job.attempts
                delay_s = delay_after(max(1, tries), self.settings.worker.retry_after_s)
            is_counted = verdict.action is not Action.WAIT
            jobs.retry_later(lease, state, verdict.reason, verdict.detail, delay_s, is_counted=is_counted)
        else:
            jobs.mark(lease, JobState.FAILED, verdict.reason, verdict.detail)

    def _may_retry(self, job: Job, action: Action, *, is_read: bool) -> bool:
        """Reading is tried a few times; delivering for as long as a PACS may be down."""
        if action is not Action.RETRY:
            return action is Action.WAIT
        if is_read:
            began = self.database.events.first_at(job.job_id, JobState.DELIVERING) or job.created_at
            released = self.database.decisions.last_at(job.job_id)
            return datetime.now(UTC) - max(began, released or began) < DELIVERY_PATIENCE
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
                except StorageError:
                    logger.warning("lease not renewed", extra={"job_id": lease.job.job_id})

        thread = threading.Thread(target=beat, name="lease", daemon=True)
        thread.start()
        try:
            yield
        finally:
            over.set()
            thread.join()
