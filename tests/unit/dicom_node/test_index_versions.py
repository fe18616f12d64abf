"""An index that an older version made is opened, gets what is missing, and loses nothing."""

import pytest
from sqlalchemy import text

from dicom_node.database.connections import connect
from dicom_node.database.engine import open_database
from dicom_node.errors import StorageError
from dicom_node.study import JobState, Priority, Stage

OLD_JOB = """
INSERT INTO jobs (study_instance_uid, revision, state, detail, attempts, lease_token, not_before, created_at,
changed_at) VALUES ('1.2.3', 1, 'queued', '', 1, 4, 0, 0, 0)
"""
OLD_STUDY = """
INSERT INTO studies VALUES ('1.2.3', 1, 'complete', NULL, '', '', 'P', '', '', '', 0, 0)
"""


def make_old(url: str) -> None:
    """Make an index as version 3 had it, with a job in it."""
    open_database(url).close()
    engine = connect(url)
    with engine.begin() as connection:
        connection.execute(text("DROP INDEX jobs_by_urgency"))
        for column in ("priority", "overdue_at", "sendings"):
            connection.execute(text(f"ALTER TABLE jobs DROP COLUMN {column}"))
        connection.execute(text("UPDATE schema_version SET version = 3"))
        connection.execute(text(OLD_STUDY))
        connection.execute(text(OLD_JOB))
    engine.dispose()


def test_job_of_an_older_version_is_taken_and_keeps_its_attempts(index_url: str) -> None:
    make_old(index_url)

    database = open_database(index_url)
    lease = database.jobs.claim_next(Stage.READING, "worker", 60)
    database.close()

    assert lease is not None
    assert (lease.job.state, lease.job.attempts, lease.token) == (JobState.RUNNING, 2, 5)
    assert lease.job.priority is Priority.ROUTINE


def test_an_index_that_is_up_to_date_is_opened_again_and_again(index_url: str) -> None:
    make_old(index_url)
    for _ in range(2):
        open_database(index_url).close()


def test_another_kind_of_database_is_refused_in_words() -> None:
    with pytest.raises(StorageError, match="SQLite or PostgreSQL"):
        open_database("mysql+pymysql://localhost/index")


def test_server_that_is_away_is_an_error_without_its_password() -> None:
    with pytest.raises(StorageError, match="OperationalError") as caught:
        open_database("postgresql+psycopg://node:secret@127.0.0.1:1/index")
    assert "secret" not in str(caught.value)
