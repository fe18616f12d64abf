"""The command `status`: what stands where and why, without identities of patients."""

import json
import sys
from collections.abc import Sequence
from typing import Any

from rich.console import Console
from rich.table import Table

from dicom_node.advice import WHAT_TO_DO
from dicom_node.database.engine import Database, open_database
from dicom_node.errors import NodeError
from dicom_node.proof import ProofState
from dicom_node.settings import DATABASE_FILE, NodeSettings
from dicom_node.study import DeliveryState, Job, Reason, Refusal, Study

MOST_ROWS = 50
"""Rows of each table, unless told otherwise."""
LEFT_OUT_OF_TABLES = ("why", "kept_at")
PIPED_WIDTH = 240
"""Columns where there is no terminal to ask: one row per line."""


def print_overview(settings: NodeSettings, *, as_json: bool, limit: int | None) -> None:
    """Print the overview, newest last.

    Raises:
        NodeError: there is no index yet.
    """
    url, data_dir = settings.node.database_url, settings.node.data_dir
    if url.endswith(DATABASE_FILE) and not (data_dir / DATABASE_FILE).exists():
        raise NodeError(f"nothing was received yet in {data_dir}: start `medversa-node serve`")
    database = open_database(url)
    try:
        overview = gather(database, limit or (None if as_json else MOST_ROWS))
    finally:
        database.close()
    if as_json:
        sys.stdout.write(json.dumps(overview, indent=1) + "\n")
        return
    console = Console() if sys.stdout.isatty() else Console(width=PIPED_WIDTH)
    for title, rows in overview.items():
        console.print(_table(title, rows))


def gather(database: Database, limit: int | None = None) -> dict[str, list[dict[str, Any]]]:
    """Return the last `limit` studies, jobs and refusals (with quarantined instances) as plain values."""
    newest = slice(None) if limit is None else slice(-limit, None)
    return {
        "studies": [_study(study) for study in database.studies.all()[newest]],
        "jobs": [_job(database, job) for job in database.jobs.all()[newest]],
        "refusals": [_refusal(refusal) for refusal in database.refusals.all()[newest]],
    }


def _study(study: Study) -> dict[str, Any]:
    return {
        "study_instance_uid": study.study_instance_uid,
        "revision": study.revision,
        "state": study.state.value,
        **_reason(study.reason),
        "instances": study.instance_count,
        "modalities": "/".join(study.modalities),
        "last_received_at": study.last_received_at.isoformat(timespec="seconds"),
    }


def _job(database: Database, job: Job) -> dict[str, Any]:
    deliveries = database.deliveries.of_job(job.job_id)
    delivered = sum(delivery.state is DeliveryState.DELIVERED for delivery in deliveries)
    proofs = database.proofs.of_job(job.job_id)
    proven = sum(proof.state is ProofState.PROVEN for proof in proofs)
    return {
        "job_id": job.job_id,
        "study_instance_uid": job.study_instance_uid,
        "revision": job.revision,
        "state": job.state.value,
        **_reason(job.reason),
        "detail": job.detail,
        "attempts": job.attempts,
        "delivered": f"{delivered}/{len(deliveries)}",
        "proven": f"{proven}/{len(proofs)}" if proofs else "",
    }


def _refusal(refusal: Refusal) -> dict[str, Any]:
    return {
        "sop_instance_uid": refusal.sop_instance_uid,
        "study_instance_uid": refusal.study_instance_uid,
        "state": "refused" if refusal.kept_at is None else "quarantined",
        "dimse_status": f"0x{refusal.dimse_status:04X}",
        **_reason(refusal.reason),
        "detail": refusal.detail,
        "calling_ae_title": refusal.calling_ae_title,
        "kept_at": "" if refusal.kept_at is None else str(refusal.kept_at),
        "at": refusal.at.isoformat(timespec="seconds"),
    }


def _reason(reason: Reason | None) -> dict[str, str]:
    if reason is None:
        return {"reason": "", "why": "", "what_to_do": ""}
    return {"reason": reason.name, "why": reason.value, "what_to_do": WHAT_TO_DO[reason]}


def _table(title: str, rows: Sequence[dict[str, Any]]) -> Table:
    """Lay rows out for people: the reason by its name, and no column that is empty in all rows."""
    table = Table(title=f"{title} ({len(rows)})", title_justify="left")
    shown = [
        name
        for name in (rows[0] if rows else ())
        if name not in LEFT_OUT_OF_TABLES and any(row[name] != "" for row in rows)
    ]
    for name in shown:
        table.add_column(name.replace("_", " "), overflow="fold")
    for row in rows:
        table.add_row(*(str(row[name]) for name in shown))
    return table
