"""Questions about what others announced of a study, and how its source usually sends."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, Protocol

from sqlalchemy import Connection, Select, bindparam, func, insert, literal, select, update

from dicom_node.database.connections import Connections
from dicom_node.database.events import record_event
from dicom_node.database.prepared import Prepared
from dicom_node.database.schema import (
    announced_images,
    instances,
    performed_steps,
    quiet_gaps,
    refusals,
    results,
)
from dicom_node.priors.relevance import DERIVED
from dicom_node.study import Origin, Study

IN_PROGRESS: Final = "IN PROGRESS"
STUDIES_REMEMBERED: Final = 200
"""Studies of one source from which its quiet period is learned."""


def _so_far() -> Select[Any]:
    of_study = instances.c.study_instance_uid == bindparam("uid")
    here = select(instances.c.sop_instance_uid).where(of_study)
    refused = select(refusals.c.sop_instance_uid).where(refusals.c.study_instance_uid == bindparam("uid"))
    # What an archive has of us belongs to the study there, and is not sent back to us.
    ours = select(results.c.sop_instance_uid).where(results.c.study_instance_uid == bindparam("uid"))
    derived = [literal(modality) for modality in DERIVED]
    received = (of_study, instances.c.origin != Origin.RESULT)
    announced = select(func.count()).where(
        announced_images.c.study_instance_uid == bindparam("uid"),
        announced_images.c.sop_instance_uid.not_in(ours),
    )
    columns = {
        "began_at": select(func.min(instances.c.received_at)).where(
            *received, instances.c.revision == bindparam("in_revision")
        ),
        "images": select(func.count()).where(*received, instances.c.modality.not_in(derived)),
        "own_images": select(func.count()).where(
            results.c.study_instance_uid == bindparam("uid"), results.c.modality.not_in(derived)
        ),
        "announced": announced,
        "missing": announced.where(
            announced_images.c.sop_instance_uid.not_in(here),
            announced_images.c.sop_instance_uid.not_in(refused),
        ),
    }
    return select(*(query.scalar_subquery().label(name) for name, query in columns.items()))


# Asked again and again of every study that is arriving.
_SO_FAR = Prepared(_so_far())
_STEPS = Prepared(
    select(performed_steps.c.status).where(performed_steps.c.study_instance_uid == bindparam("uid"))
)
_GAPS = Prepared(
    select(quiet_gaps.c.gap_ms)
    .where(quiet_gaps.c.ae_title == bindparam("source"))
    .order_by(quiet_gaps.c.at.desc())
    .limit(literal(STUDIES_REMEMBERED))
)


class Announced(Protocol):
    """One image that exists somewhere."""

    @property
    def sop_instance_uid(self) -> str: ...
    @property
    def series_instance_uid(self) -> str: ...


@dataclass(frozen=True, slots=True)
class SoFar:
    """What was announced of a study, and what of it is here."""

    began_at: datetime
    received: int
    is_in_progress: bool
    is_announced: bool
    missing: int


class AnnouncementRepository:
    """Performed procedure steps, announced images and gaps as rows."""

    def __init__(self, connections: Connections) -> None:
        self._connections = connections

    def announce(self, study_instance_uid: str, images: Sequence[Announced]) -> None:
        """Keep which images a study has; what is known already stays."""
        with self._connections.writing() as connection:
            self._add(connection, study_instance_uid, images)
            self._note(connection, study_instance_uid, f"{len(images)} images are available")

    def begin_step(self, step_uid: str, study_instance_uids: Sequence[str]) -> bool:
        """Keep a performed procedure step in progress; False if it is known."""
        with self._connections.writing() as connection:
            if _studies_of(connection, step_uid):
                return False
            rows = [
                {"step_uid": step_uid, "study_instance_uid": uid, "status": IN_PROGRESS}
                for uid in study_instance_uids
            ]
            connection.execute(insert(performed_steps), rows)
            for uid in study_instance_uids:
                self._note(connection, uid, "a procedure step is in progress")
        return True

    def status_of_step(self, step_uid: str) -> str | None:
        """Return the status of a step; None if it is not known."""
        query = select(performed_steps.c.status).where(performed_steps.c.step_uid == step_uid)
        with self._connections.reading() as connection:
            return connection.execute(query).scalars().first()

    def change_step(self, step_uid: str, status: str, images: Sequence[Announced]) -> None:
        """Keep a step's status and what it made. Images of a step of several studies cannot be told apart."""
        with self._connections.writing() as connection:
            change = update(performed_steps).where(performed_steps.c.step_uid == step_uid)
            connection.execute(change.values(status=status))
            studies = _studies_of(connection, step_uid)
            if len(studies) == 1:
                self._add(connection, studies[0], images)
            for uid in studies:
                self._note(connection, uid, f"a procedure step is {status.lower()}: {len(images)} images")

    def so_far(self, study: Study) -> SoFar:
        """Tell what was announced of a study and what of it has come, whatever became of it here."""
        uid = study.study_instance_uid
        with self._connections.reading() as connection:
            (found,) = _SO_FAR.rows(connection, {"uid": uid, "in_revision": study.revision})
            steps = _STEPS.rows(connection, {"uid": uid})
        return SoFar(
            began_at=found.began_at or study.last_received_at,
            received=found.images + found.own_images,
            is_in_progress=any(step.status == IN_PROGRESS for step in steps),
            is_announced=found.announced > 0,
            missing=found.missing,
        )

    def remember_gap(self, study: Study, ae_title: str, gap_s: float) -> None:
        """Keep the longest gap within a study of a source, once for each revision."""
        with self._connections.writing() as connection:
            key = {"study_instance_uid": study.study_instance_uid, "revision": study.revision}
            known = select(quiet_gaps.c.gap_ms).where(
                *(quiet_gaps.c[name] == value for name, value in key.items())
            )
            if connection.execute(known).first() is None:
                values = {"ae_title": ae_title[:16], "gap_ms": round(1000 * gap_s)}
                at = self._connections.now()
                connection.execute(insert(quiet_gaps), {**key, **values, "at": at})

    def gaps_s(self, ae_title: str) -> list[float]:
        """Return the longest gap within each of a source's last studies, in seconds."""
        with self._connections.reading() as connection:
            return [row.gap_ms / 1000 for row in _GAPS.rows(connection, {"source": ae_title})]

    def _add(self, connection: Connection, study_instance_uid: str, images: Sequence[Announced]) -> None:
        known = set(
            connection.execute(
                select(announced_images.c.sop_instance_uid).where(
                    announced_images.c.study_instance_uid == study_instance_uid
                )
            ).scalars()
        )
        rows: list[dict[str, Any]] = [
            {
                "sop_instance_uid": uid,
                "study_instance_uid": study_instance_uid,
                "series_instance_uid": series,
            }
            for uid, series in {each.sop_instance_uid: each.series_instance_uid for each in images}.items()
            if uid not in known
        ]
        if rows:
            connection.execute(insert(announced_images), rows)

    def _note(self, connection: Connection, study_instance_uid: str, detail: str) -> None:
        at = self._connections.now()
        record_event(connection, at, study_instance_uid, "announced", None, detail=detail)


def _studies_of(connection: Connection, step_uid: str) -> Sequence[str]:
    query = select(performed_steps.c.study_instance_uid).where(performed_steps.c.step_uid == step_uid)
    return connection.execute(query).scalars().all()
