"""Questions about what was refused or put into quarantine."""

from datetime import datetime
from pathlib import Path
from typing import Any

from sqlalchemy import Row, delete, insert, or_, select, update

from dicom_node.database.connections import Connections
from dicom_node.database.schema import instances, refusals
from dicom_node.dimse_status import quarantined_with
from dicom_node.study import Reason, Refusal, SOPInstanceUID

CONTRADICTING = (Reason.UID_CONFLICT, Reason.PATIENT_MISMATCH)
"""Why an instance is in quarantine whose study is in doubt with it."""


class RefusalRepository:
    """Refusals and quarantined instances as rows."""

    def __init__(self, connections: Connections) -> None:
        self._connections = connections

    def add(self, refusal: Refusal) -> None:
        """Write down one refusal."""
        row = {
            "sop_instance_uid": refusal.sop_instance_uid,
            "study_instance_uid": refusal.study_instance_uid,
            "reason": refusal.reason.name,
            "detail": refusal.detail,
            "dimse_status": refusal.dimse_status,
            "kept_at": None if refusal.kept_at is None else str(refusal.kept_at),
            "calling_ae_title": refusal.calling_ae_title[:16],
            "at": refusal.at,
        }
        with self._connections.writing() as connection:
            connection.execute(insert(refusals), row)

    def all(self) -> list[Refusal]:
        """Return everything refused or quarantined, oldest first."""
        with self._connections.reading() as connection:
            return [
                refusal_of_row(row)
                for row in connection.execute(select(refusals).order_by(refusals.c.refusal_id))
            ]

    def of_study(self, study_instance_uid: str) -> list[Refusal]:
        """Return what of a study was refused or put into quarantine, oldest first."""
        query = select(refusals).where(refusals.c.study_instance_uid == study_instance_uid)
        with self._connections.reading() as connection:
            return [refusal_of_row(row) for row in connection.execute(query.order_by(refusals.c.refusal_id))]

    def against(self, study_instance_uid: str) -> list[Refusal]:
        """Return what contradicts a study: another content under one of its UIDs, or another patient's name.

        A SOP Instance UID that two studies claim contradicts both. What a person decided about is left out.
        """
        of_study = select(instances.c.sop_instance_uid).where(
            instances.c.study_instance_uid == study_instance_uid
        )
        query = (
            select(refusals)
            .where(
                refusals.c.reason.in_([reason.name for reason in CONTRADICTING]),
                refusals.c.fate.is_(None),
                or_(
                    refusals.c.study_instance_uid == study_instance_uid,
                    refusals.c.sop_instance_uid.in_(of_study),
                ),
            )
            .order_by(refusals.c.refusal_id)
        )
        with self._connections.reading() as connection:
            return [refusal_of_row(row) for row in connection.execute(query)]

    def lose_instance(self, sop_instance_uid: SOPInstanceUID, detail: str) -> None:
        """Write down that the file of an instance is damaged; its row goes, so that it can be sent again."""
        with self._connections.writing() as connection:
            query = select(instances).where(instances.c.sop_instance_uid == sop_instance_uid)
            row = connection.execute(query).one_or_none()
            if row is not None:
                connection.execute(delete(instances).where(instances.c.sop_instance_uid == sop_instance_uid))
                lost = out_of_use(row, Reason.STORAGE_FAULT, detail, self._connections.now())
                connection.execute(insert(refusals), lost)

    def quarantine_instance(self, sop_instance_uid: SOPInstanceUID, reason: Reason, detail: str) -> None:
        """Take an instance that turned out to be unusable out of its study; its bytes stay where they are."""
        with self._connections.writing() as connection:
            query = select(instances).where(
                instances.c.sop_instance_uid == sop_instance_uid, instances.c.quarantined == 0
            )
            row = connection.execute(query).one_or_none()
            if row is None:
                return
            connection.execute(
                update(instances)
                .where(instances.c.sop_instance_uid == sop_instance_uid)
                .values(quarantined=1)
            )
            connection.execute(insert(refusals), out_of_use(row, reason, detail, self._connections.now()))


def out_of_use(row: Row[Any], reason: Reason, detail: str, at: datetime) -> dict[str, Any]:
    return {
        "sop_instance_uid": row.sop_instance_uid,
        "study_instance_uid": row.study_instance_uid,
        "reason": reason.name,
        "detail": detail,
        "dimse_status": quarantined_with(reason),
        "kept_at": row.path,
        "digest": row.digest,
        "calling_ae_title": "",
        "at": at,
    }


def refusal_of_row(row: Row[Any]) -> Refusal:
    return Refusal(
        sop_instance_uid=row.sop_instance_uid,
        study_instance_uid=row.study_instance_uid,
        reason=Reason[row.reason],
        detail=row.detail,
        dimse_status=row.dimse_status,
        kept_at=None if row.kept_at is None else Path(row.kept_at),
        calling_ae_title=row.calling_ae_title,
        at=row.at,
        digest=row.digest,
    )
