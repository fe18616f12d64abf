"""Takes back what was told of images that their archive rejected since."""

from dicom_node.database.engine import Database
from dicom_node.rejection_note import Title
from dicom_node.settings import NodeSettings
from dicom_node.study import DecisionKind, Job, JobState
from structured_reports.withdrawal import Ground
from worker.results.withdrawal import withdraw

DECIDED_BY = "a rejection note"

_GROUNDS = {
    Title.QUALITY: Ground.QUALITY,
    Title.PATIENT_SAFETY: Ground.PATIENT_SAFETY,
    Title.WRONG_ORDER: Ground.PATIENT_SAFETY,
}
"""Images under the wrong worklist entry may be of another patient."""


def withdraw_rejected(settings: NodeSettings, database: Database, job: Job) -> None:
    """Withdraw the results of earlier revisions that may tell of rejected images.

    Safe to run twice. What is held for a person is dropped: there is nothing left to decide.

    Raises:
        DecisionError: a worker is sending some of them: it is to be tried again.
        ReportError: the note cannot be written.
        StorageError: it could not be made durable.
    """
    for job_id, title in database.rejections.jobs_on_rejected(job.study_instance_uid).items():
        if job_id == job.job_id:
            continue
        if database.jobs.get(job_id).state is JobState.HELD:
            database.decisions.decide(job_id, DecisionKind.DROPPED, decided_by=DECIDED_BY, why=title.meaning)
        if job_id in database.decisions.withheld_jobs(job.study_instance_uid):
            continue
        notes = database.withdrawals.notes(job_id)
        meant = [each for each in database.results.of_job(job_id) if each.sop_instance_uid not in notes]
        withdraw(settings, database, meant, _GROUNDS[title], decided_by=DECIDED_BY, why=title.meaning)
