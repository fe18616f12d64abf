"""Prepared statements say and read what SQLAlchemy's own executions do, and fail as those do."""

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from sqlalchemy import Connection, bindparam, insert, select, update

from dicom_node.database.connections import Connections, connect
from dicom_node.database.prepared import Prepared
from dicom_node.database.schema import metadata, studies
from dicom_node.errors import IndexAwayError, StorageError
from dicom_node.study import StudyState

AT = datetime(2026, 11, 26, 8, 30, 15, 123456, tzinfo=UTC)
ROW = {
    "study_instance_uid": "1.2.3",
    "revision": 1,
    "state": StudyState.RECEIVING,
    "reason": None,
    "study_date": "20261126",
    "study_time": "0830",
    "patient_id": "Müller, 14%(x)s :y",
    "issuer_of_patient_id": "",
    "patient_birth_date": "19700101",
    "patient_sex": "F",
    "first_received_at": AT,
    "last_received_at": AT,
}
INSERT = Prepared(insert(studies), studies.c.keys())
BY_UID = Prepared(select(studies).where(studies.c.study_instance_uid == bindparam("uid")))
TOUCH = Prepared(
    update(studies)
    .where(studies.c.study_instance_uid == bindparam("uid"))
    .values(last_received_at=bindparam("at"))
)


@pytest.fixture
def connections(index_url: str) -> Iterator[Connections]:
    made = Connections(connect(index_url))
    with made.writing() as connection:
        metadata.create_all(connection)
    yield made
    made.engine.dispose()


def _of_library(connection: Connection) -> list[dict[str, object]]:
    query = select(studies).order_by(studies.c.study_instance_uid)
    return [dict(row) for row in connection.execute(query).mappings()]


def test_rows_are_written_as_by_the_library(connections: Connections) -> None:
    other = {**ROW, "study_instance_uid": "1.2.4", "reason": "LATE_INSTANCE"}
    with connections.writing() as connection:
        INSERT.write(connection, [ROW, other])
        INSERT.write(connection, [])

    with connections.reading() as connection:
        assert _of_library(connection) == [ROW, other]


def test_rows_are_read_as_by_the_library(connections: Connections) -> None:
    with connections.writing() as connection:
        connection.execute(insert(studies), [ROW])
        (found,) = BY_UID.rows(connection, {"uid": "1.2.3"})

        assert vars(found) == ROW
        assert BY_UID.rows(connection, {"uid": "1.2"}) == []


def test_rows_are_changed_where_they_are_meant(connections: Connections) -> None:
    later = AT.replace(hour=9)
    with connections.writing() as connection:
        INSERT.write(connection, [ROW, {**ROW, "study_instance_uid": "1.2.4"}])
        TOUCH.write(connection, [{"uid": "1.2.4", "at": later}])

    with connections.reading() as connection:
        assert [row["last_received_at"] for row in _of_library(connection)] == [AT, later]


def test_what_a_failed_transaction_wrote_is_not_there(connections: Connections) -> None:
    with pytest.raises(StorageError) as told, connections.writing() as connection:
        INSERT.write(connection, [ROW, ROW])

    assert not isinstance(told.value, IndexAwayError)
    assert "IntegrityError" in str(told.value)
    assert "1.2.3" not in str(told.value)
    with connections.reading() as connection:
        assert _of_library(connection) == []


def test_index_that_cannot_be_used_counts_as_away(tmp_path: Path) -> None:
    bare = Connections(connect(f"sqlite:///{tmp_path / 'bare.db'}"))

    with pytest.raises(IndexAwayError), bare.writing() as connection:
        INSERT.write(connection, [ROW])
    bare.engine.dispose()
