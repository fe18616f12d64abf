"""Closes studies that are complete, by all signals together, and makes their jobs."""

import logging
import threading
from collections.abc import Callable
from functools import partial

from pydicom.filereader import read_file_meta_info

from dicom_node.archive_counts import ArchiveCounts, images_at
from dicom_node.completion import Patience, Signals, completed_by, learned_quiet_s, longest_gap_s
from dicom_node.database.engine import Database
from dicom_node.orders.order import priority_under
from dicom_node.routing import why_not_applicable
from dicom_node.rules.plan import plan_of
from dicom_node.settings import NodeSettings
from dicom_node.study import Instance, Reason, Study, StudyInstanceUID
from dicom_node.unreadable import UNREADABLE

logger = logging.getLogger(__name__)


class StudyCompleter:
    """Looks at every study that is arriving, again and again."""

    def __init__(
        self,
        settings: NodeSettings,
        database: Database,
        is_open: Callable[[str], bool],
        on_job: Callable[[], None],
        want_order: Callable[[StudyInstanceUID], None] = lambda uid: None,
    ) -> None:
        self._settings = settings
        self._database = database
        self._is_open = is_open
        self._on_job = on_job
        self._want_order = want_order
        self._source_of: dict[str, str] = {}
        archive = next((p for p in settings.query_retrieve if p.name == settings.completion.count_at), None)
        self._counts = (
            None
            if archive is None
            else ArchiveCounts(partial(images_at, archive), settings.node.quiet_period_s)
        )

    def count(self, stop: threading.Event) -> None:
        """Ask the configured archive for counts until told to stop."""
        if self._counts is not None:
            self._counts.run(stop)

    def complete_studies(self) -> None:
        """Close every study that is complete and make its job, or say why it has none."""
        now = self._database.connections.now()
        for study in self._database.studies.receiving():
            quiet_s = (now - study.last_received_at).total_seconds()
            if quiet_s < min(self._settings.completion.settled_s, self._settings.node.quiet_period_s):
                continue
            self._want_order(study.study_instance_uid)
            signals = self._signals(study)
            reason = completed_by(signals, now, self._patience(study))
            if reason is not None:
                self._complete(study, reason, signals)

    def _signals(self, study: Study) -> Signals:
        uid = study.study_instance_uid
        so_far = self._database.announcements.so_far(study)
        now, last = self._database.connections.now(), study.last_received_at
        return Signals(
            began_at=so_far.began_at,
            last_received_at=last,
            is_open=self._is_open(uid),
            is_in_progress=so_far.is_in_progress,
            is_announced=so_far.is_announced,
            missing=so_far.missing,
            counted=None if self._counts is None else self._counts.of(uid, now, last),
            received=so_far.received,
        )

    def _patience(self, study: Study) -> Patience:
        completion, configured_s = self._settings.completion, self._settings.node.quiet_period_s
        quiet_s = configured_s
        if completion.learn:
            gaps = self._database.announcements.gaps_s(self._source(study))
            quiet_s = learned_quiet_s(
                gaps,
                configured_s,
                shortest_s=completion.shortest_quiet_s,
                longest_s=completion.longest_quiet_s,
            )
        return Patience(quiet_s, completion.settled_s, completion.limit_s)

    def _source(self, study: Study) -> str:
        uid = study.study_instance_uid
        if uid not in self._source_of:
            self._source_of[uid] = _sender_of(self._database.instances.one_of_study(uid))
        return self._source_of[uid]

    def _complete(self, study: Study, reason: Reason, signals: Signals) -> None:
        uid = study.study_instance_uid
        self._database.rejections.take_out(uid)
        instances = self._database.instances.of_study(uid)
        why_not = why_not_applicable(instances)
        plan = plan_of(instances, () if why_not is not None else self._settings.rules)
        why_not = why_not or plan.reason
        source = self._source(study)
        self._forget(uid)
        # With results on what was rejected there is a job, whatever is left: workers withdraw them.
        if why_not is not None and not self._database.rejections.jobs_on_rejected(uid):
            self._database.studies.set_aside(study, why_not, plan.why)
            return
        priority = priority_under(plan.rule, self._database.orders.of_study(uid))
        job_id = self._database.studies.complete(study, reason, priority)
        if job_id is None:
            return
        urgency = priority_under(plan.rule, self._database.orders.of_study(uid))
        if urgency is not priority:  # the order came meanwhile
            self._database.jobs.prioritize(job_id, urgency, "its order")
        if plan.rule is not None:
            self._database.events.note(uid, "routed", plan.why, job_id=job_id)
        if signals.awaited:
            self._database.events.note(uid, "incomplete", f"{signals.awaited} images have not come")
        gap_s = longest_gap_s(instance.received_at for instance in instances)
        self._database.announcements.remember_gap(study, source, gap_s)
        logger.info("study complete", extra={"job_id": job_id, "instances": study.instance_count})
        self._on_job()

    def _forget(self, study_instance_uid: str) -> None:
        self._source_of.pop(study_instance_uid, None)
        if self._counts is not None:
            self._counts.forget(study_instance_uid)


def _sender_of(instance: Instance | None) -> str:
    """Return who sent an instance, as our file meta information says; empty if unknown."""
    if instance is None:
        return ""
    try:
        return str(read_file_meta_info(instance.path).get("SourceApplicationEntityTitle") or "").strip()
    except UNREADABLE:
        return ""
