"""Questions of those who search and retrieve: which studies, series and instances there are."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from sqlalchemy import ColumnElement, Connection, distinct, func, select

from dicom_node.database.connections import Connections
from dicom_node.database.instances import instance_of_row
from dicom_node.database.schema import instances, studies, withdrawals
from dicom_node.study import Instance


class Level(StrEnum):
    """What a search is for (PS3.18 10.6.1)."""

    STUDY = "study"
    SERIES = "series"
    INSTANCE = "instance"


@dataclass(frozen=True, slots=True)
class Narrowing:
    """What the index can decide of a search; an empty field narrows nothing."""

    studies: tuple[str, ...] = ()
    series: tuple[str, ...] = ()
    instances: tuple[str, ...] = ()
    patient_id: str = ""
    first_study_date: str = ""
    last_study_date: str = ""


@dataclass(frozen=True, slots=True)
class Entry:
    """One study, series or instance that is in use."""

    instance: Instance
    """The instance itself, or the first one of the study or series."""
    instance_count: int = 1
    series_count: int = 1
    modalities: tuple[str, ...] = ()


_VISIBLE = (instances.c.quarantined == 0) & instances.c.sop_instance_uid.not_in(
    select(withdrawals.c.sop_instance_uid)
)
"""What is in quarantine, or was withdrawn by a person, is not given to anybody."""


class CatalogueRepository:
    """Everything in use, whatever its origin, in an order that stays the same while nothing arrives."""

    def __init__(self, connections: Connections) -> None:
        self._connections = connections

    def page(self, level: Level, narrowing: Narrowing, *, offset: int, limit: int) -> list[Entry]:
        """Return some of the entries: studies newest first, series and instances by their UIDs."""
        with self._connections.reading() as connection:
            if level is Level.INSTANCE:
                return _instances(connection, narrowing, offset, limit)
            if level is Level.SERIES:
                return _series(connection, narrowing, offset, limit)
            return _studies(connection, narrowing, offset, limit)

    def instances(self, narrowing: Narrowing) -> list[Instance]:
        """Return all instances of a study or series, or one, by series."""
        with self._connections.reading() as connection:
            query = _in_order(select(instances).where(*_conditions(narrowing)))
            return [instance_of_row(row) for row in connection.execute(query)]


def _in_order(query: Any) -> Any:
    return query.order_by(
        instances.c.study_instance_uid, instances.c.series_instance_uid, instances.c.sop_instance_uid
    )


def _conditions(narrowing: Narrowing) -> list[ColumnElement[bool]]:
    conditions: list[ColumnElement[bool]] = [_VISIBLE]
    for column, uids in (
        (instances.c.study_instance_uid, narrowing.studies),
        (instances.c.series_instance_uid, narrowing.series),
        (instances.c.sop_instance_uid, narrowing.instances),
    ):
        if uids:
            conditions.append(column.in_(uids))
    if about_study := _about_study(narrowing):
        query = select(studies.c.study_instance_uid).where(*about_study)
        conditions.append(instances.c.study_instance_uid.in_(query))
    return conditions


def _about_study(narrowing: Narrowing) -> list[ColumnElement[bool]]:
    conditions: list[ColumnElement[bool]] = []
    if narrowing.patient_id:
        conditions.append(studies.c.patient_id == narrowing.patient_id)
    if narrowing.first_study_date:
        conditions.append(studies.c.study_date >= narrowing.first_study_date)
    if narrowing.last_study_date:
        conditions.append(studies.c.study_date <= narrowing.last_study_date)
    return conditions


def _instances(connection: Connection, narrowing: Narrowing, offset: int, limit: int) -> list[Entry]:
    query = _in_order(select(instances).where(*_conditions(narrowing))).offset(offset).limit(limit)
    return [Entry(instance_of_row(row)) for row in connection.execute(query)]


def _series(connection: Connection, narrowing: Narrowing, offset: int, limit: int) -> list[Entry]:
    by = (instances.c.study_instance_uid, instances.c.series_instance_uid)
    query = (
        select(func.min(instances.c.sop_instance_uid), func.count())
        .where(*_conditions(narrowing))
        .group_by(*by)
        .order_by(*by)
        .offset(offset)
        .limit(limit)
    )
    found = [(uid, count) for uid, count in connection.execute(query)]
    first = _by_uid(connection, [uid for uid, _ in found])
    return [Entry(first[uid], instance_count=count) for uid, count in found if uid in first]


def _studies(connection: Connection, narrowing: Narrowing, offset: int, limit: int) -> list[Entry]:
    in_use = select(instances.c.sop_instance_uid).where(
        instances.c.study_instance_uid == studies.c.study_instance_uid, *_conditions(narrowing)
    )
    page = (
        select(studies.c.study_instance_uid)
        .where(in_use.exists(), *_about_study(narrowing))
        .order_by(studies.c.study_date.desc(), studies.c.study_time.desc(), studies.c.study_instance_uid)
        .offset(offset)
        .limit(limit)
    )
    if narrowing.studies:
        page = page.where(studies.c.study_instance_uid.in_(narrowing.studies))
    uids = connection.execute(page).scalars().all()
    of_page = (_VISIBLE, instances.c.study_instance_uid.in_(uids))
    study = instances.c.study_instance_uid
    counts = (
        select(
            study,
            func.min(instances.c.sop_instance_uid).label("first"),
            func.count().label("instance_count"),
            func.count(distinct(instances.c.series_instance_uid)).label("series_count"),
        )
        .where(*of_page)
        .group_by(study)
    )
    rows = {row.study_instance_uid: row for row in connection.execute(counts)}
    modalities: dict[str, list[str]] = {}
    for uid, modality in connection.execute(select(study, instances.c.modality).where(*of_page).distinct()):
        modalities.setdefault(uid, []).append(modality)
    first = _by_uid(connection, [row.first for row in rows.values()])
    return [
        Entry(
            first[rows[uid].first],
            rows[uid].instance_count,
            rows[uid].series_count,
            tuple(sorted(filter(None, modalities[uid]))),
        )
        for uid in uids
        if uid in rows and rows[uid].first in first
    ]


def _by_uid(connection: Connection, uids: Sequence[str]) -> dict[str, Instance]:
    query = select(instances).where(instances.c.sop_instance_uid.in_(uids))
    return {row.sop_instance_uid: instance_of_row(row) for row in connection.execute(query)}
