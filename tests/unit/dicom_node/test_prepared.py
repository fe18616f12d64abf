"""Prepared statements say and read what SQLAlchemy's own executions do, and fail as those do."""

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from sqlalchemy import Connection, bindparam, func, insert, literal, select, text, update

from dicom_node.database.connections import Connections, OneWriter, connect
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


@pytest.fixture(params=[Connections, OneWriter])
def connections(index_url: str, request: pytest.FixtureRequest) -> Iterator[Connections]:
    made: Connections = request.param(connect(index_url))
    with made.writing() as connection:
        metadata.create_all(connection)
    yield made
    if isinstance(made, OneWriter):
        made.close()
    made.engine.dispose()


def _of_library(connection: Connection) -> list[dict[str, object]]:
    query = select(studies).order_by(studies.c.study_instance_uid)
    return [dict(row) for row in connection.execute(query).mappings()]


def _change_and_fail(connection: Connection) -> None:
    connection.execute(update(studies).values(revision=2))
    TOUCH.write(connection, [{"uid": "1.2.3", "at": AT.replace(hour=9)}])
    raise ZeroDivisionError


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


def test_values_of_the_statement_itself_are_bound_as_by_the_library(connections: Connections) -> None:
    since = Prepared(
        select(studies.c.patient_sex, func.count().label("count"))
        .where(studies.c.last_received_at >= AT, studies.c.state == bindparam("state"))
        .group_by(studies.c.patient_sex)
        .limit(literal(1))
    )
    rows = [{**ROW, "study_instance_uid": f"1.{n}", "last_received_at": AT.replace(hour=n)} for n in (7, 9)]
    with connections.writing() as connection:
        INSERT.write(connection, rows)
        found = since.rows(connection, {"state": StudyState.RECEIVING})

    assert [vars(row) for row in found] == [{"patient_sex": "F", "count": 1}]


def test_statements_of_the_library_and_of_the_driver_are_one_transaction(connections: Connections) -> None:
    other = {**ROW, "study_instance_uid": "1.2.4"}
    with connections.writing() as connection:
        INSERT.write(connection, [ROW])
        connection.execute(insert(studies), [other])
    with pytest.raises(ZeroDivisionError), connections.writing() as connection:
        _change_and_fail(connection)

    with connections.reading() as connection:
        assert _of_library(connection) == [ROW, other]
    with connections.writing() as connection:  # the next one is free to begin
        TOUCH.write(connection, [{"uid": "1.2.4", "at": AT.replace(hour=9)}])
    with connections.reading() as connection:
        assert [row["last_received_at"].hour for row in _of_library(connection)] == [8, 9]


def test_writer_whose_server_was_started_again_goes_on(connections: Connections) -> None:
    if connections.engine.dialect.name == "sqlite":
        pytest.skip("a file has no server")
    with connections.writing() as connection:
        INSERT.write(connection, [ROW])
    lost = text(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
        " WHERE datname = current_database() AND pid <> pg_backend_pid()"
    )
    other = connect(connections.engine.url.render_as_string(hide_password=False))
    with other.connect() as administrator:
        administrator.execute(lost)
    other.dispose()

    with connections.writing() as connection:
        TOUCH.write(connection, [{"uid": "1.2.3", "at": AT.replace(hour=9)}])

    with connections.reading() as connection:
        assert [row["last_received_at"].hour for row in _of_library(connection)] == [9]


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
