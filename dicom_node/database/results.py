"""Questions about result objects."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Row, insert, select

from dicom_node.database.connections import Connections
from dicom_node.database.decisions import hold
from dicom_node.database.deliveries import Plan, plan_deliveries
from dicom_node.database.leases import check_lease
from dicom_node.database.schema import jobs, results
from dicom_node.study import JobId, Lease, SeriesInstanceUID, SOPInstanceUID, StoredResult, StudyInstanceUID


class ResultRepository:
    """Result objects as rows; their files are durable before."""

    def __init__(self, connections: Connections) -> None:
        self._connections = connections

    def keep(
        self, lease: Lease, stored: Sequence[StoredResult], plan: Plan, faults: Sequence[str] = ()
    ) -> tuple[StoredResult, ...]:
        """Write all rows of a job in one transaction and return them; those it has already win.

        With `faults` the results are held from the moment they exist.

        Raises:
            LeaseError: the job belongs to another worker now; nothing is written.
        """
        job_id = lease.job.job_id
        with self._connections.writing() as connection:
            check_lease(connection, lease)
            known = _of_job(connection, job_id)
            if not known and stored:
                connection.execute(insert(results), [row_of_result(result) for result in stored])
                known = tuple(stored)
                if faults:
                    hold(connection, job_id, faults, self._connections.now())
            plan_deliveries(connection, job_id, plan)
        return known

    def get(self, sop_instance_uid: str) -> StoredResult | None:
        """Return one result; None if it is none of ours."""
        query = select(results).where(results.c.sop_instance_uid == sop_instance_uid)
        with self._connections.reading() as connection:
            row = connection.execute(query).one_or_none()
        return None if row is None else _result(row)

    def of_job(self, job_id: JobId) -> tuple[StoredResult, ...]:
        """Return the results of one job in sending order."""
        with self._connections.reading() as connection:
            return _of_job(connection, job_id)

    def of_study(self, study_instance_uid: str) -> tuple[StoredResult, ...]:
        """Return the results of every revision of a study, the newest revision last."""
        query = (
            select(results)
            .join(jobs, jobs.c.job_id == results.c.job_id)
            .where(jobs.c.study_instance_uid == study_instance_uid)
            .order_by(jobs.c.revision, results.c.ordinal)
        )
        with self._connections.reading() as connection:
            return tuple(_result(row) for row in connection.execute(query))


def _of_job(connection: Connection, job_id: JobId) -> tuple[StoredResult, ...]:
    query = select(results).where(results.c.job_id == job_id).order_by(results.c.ordinal)
    return tuple(_result(row) for row in connection.execute(query))


def row_of_result(result: StoredResult) -> dict[str, Any]:
    row = {name: getattr(result, name) for name in StoredResult.__dataclass_fields__}
    return {**row, "path": str(result.path)}


def _result(row: Row[Any]) -> StoredResult:
    return StoredResult(
        job_id=JobId(row.job_id),
        sop_instance_uid=SOPInstanceUID(row.sop_instance_uid),
        sop_class_uid=row.sop_class_uid,
        series_instance_uid=SeriesInstanceUID(row.series_instance_uid),
        study_instance_uid=StudyInstanceUID(row.study_instance_uid),
        modality=row.modality,
        series_description=row.series_description,
        path=Path(row.path),
        sha256=row.sha256,
        ordinal=row.ordinal,
    )
