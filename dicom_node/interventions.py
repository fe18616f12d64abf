"""The commands `retry`, `cancel` and `prioritize`: what people do to jobs."""

from collections.abc import Callable
from getpass import getuser
from pathlib import Path
from typing import TypeVar

import click

from dicom_node.commands import CONFIG
from dicom_node.database.engine import Database, open_database
from dicom_node.errors import DecisionError
from dicom_node.settings import load_settings
from dicom_node.study import Job, JobId, Priority
from dicom_node.uids import is_uid

T = TypeVar("T")
BY = click.option(
    "--by", default=getuser, show_default="your user name", help="Who decides; written beside the reason."
)
REASON = click.option("--reason", required=True, help="Why; kept in the index, never sent or logged.")


@click.command()
@click.argument("job", metavar="JOB|STUDY")
@CONFIG
@BY
@REASON
def retry(job: str, config: Path | None, by: str, reason: str) -> None:
    """Try a failed or cancelled job again, with all its attempts.

    JOB is its number; a Study Instance UID means the newest job of the study. Results that were made are
    not made again: what a destination has not accepted is sent as it was stored.
    """

    def again(database: Database, found: Job) -> str:
        database.interventions.replay(found.job_id, decided_by=by, why=reason)
        return f"job {found.job_id} is {database.jobs.get(found.job_id).state.value} again"

    click.echo(_on_job(job, config, again))


@click.command()
@click.argument("job", metavar="JOB|STUDY")
@CONFIG
@BY
@REASON
def cancel(job: str, config: Path | None, by: str, reason: str) -> None:
    """Cancel a job that is waiting, being read or being delivered: what is not sent yet never is.

    JOB is its number; a Study Instance UID means the newest job of the study. `medversa-node retry` takes it
    up again; what was sent is taken back by `medversa-node results withdraw`.
    """

    def end(database: Database, found: Job) -> str:
        is_new = database.interventions.cancel(found.job_id, decided_by=by, why=reason)
        return f"job {found.job_id} is cancelled" + ("" if is_new else ", and was before")

    click.echo(_on_job(job, config, end))


@click.command()
@click.argument("job", metavar="JOB|STUDY")
@click.argument("priority", type=click.Choice([each.value for each in Priority]))
@CONFIG
@BY
def prioritize(job: str, priority: str, config: Path | None, by: str) -> None:
    """Make a job more or less urgent: stat, high, routine or low.

    JOB is its number; a Study Instance UID means the newest job of the study.
    """

    def move(database: Database, found: Job) -> str:
        is_new = database.jobs.prioritize(found.job_id, Priority(priority), by)
        return f"job {found.job_id} is {priority}" + ("" if is_new else ", and was before")

    click.echo(_on_job(job, config, move))


def _on_job(named: str, config: Path | None, do: Callable[[Database, Job], T]) -> T:
    database = open_database(load_settings(config).node.database_url)
    try:
        return do(database, job_named(named, database))
    finally:
        database.close()


def job_named(named: str, database: Database) -> Job:
    """Find the job that somebody means: by its number, or the newest one of a study.

    Raises:
        DecisionError: there is none.
    """
    if named.isdecimal():
        return database.jobs.get(JobId(int(named)))
    of_study = database.jobs.of_study(named) if is_uid(named) else []
    if not of_study:
        raise DecisionError(f"{named} is no job and no study with one; see `medversa-node status`")
    return of_study[-1]
