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
from dicom_node.settings import DATABASE_FILE, NodeSettings
from dicom_node.study import DeliveryState, Job, Reason, Refusal, Study

PIPED_WIDTH = 240
"""Columns where there is no terminal to ask: one row per line."""


def print_overview(settings: NodeSettings, *, as_json: bool, limit: int) -> None:
    """Print the overview, newest last.

    Raises:
        NodeError: there is no index yet.
    """
    url, data_dir = settings.node.database_url, settings.node.data_dir
    if url.endswith(DATABASE_FILE) and not (data_dir / DATABASE_FILE).exists():
        raise NodeError(f"nothing was received yet in {data_dir}: start `medversa-node serve`")
    database = open_database(url)
    try:
        overview = gather(database, limit)
    finally:
        database.close()
    console = Console() if sys.stdout.isatty() else Console(width=PIPED_WIDTH)
    if as_json:
        console.print_json(json.dumps(overview))
    else:
        for title, rows in overview.items():
            console.print(_table(title, rows))


def gather(database: Database, limit: int) -> dict[str, list[dict[str, Any]]]:
    """Return the last `limit` studies, jobs and refusals as plain values."""
    return {
        "studies": [_study(study) for study in database.studies.all()[-limit:]],
        "jobs": [_job(database, job) for job in database.jobs.all()[-limit:]],
        "refused and quarantined": [_refusal(refusal) for refusal in database.refusals.all()[-limit:]],
    }


def _study(study: Study) -> dict[str, Any]:
    return {
        "study": study.study_instance_uid,
        "revision": study.revision,
        "state": study.state.value,
        **_reason(study.reason),
        "instances": study.instance_count,
        "modalities": "/".join(study.modalities),
        "last received": study.last_received_at.isoformat(timespec="seconds"),
    }


def _job(database: Database, job: Job) -> dict[str, Any]:
    deliveries = database.deliveries.of_job(job.job_id)
    delivered = sum(delivery.state is DeliveryState.DELIVERED for delivery in deliveries)
    return {
        "job": job.job_id,
        "study": job.study_instance_uid,
        "revision": job.revision,
        "state": job.state.value,
        **_reason(job.reason),
        "detail": job.detail,
        "attempts": job.attempts,
        "delivered": f"{delivered}/{len(deliveries)}",
    }


def _refusal(refusal: Refusal) -> dict[str, Any]:
    return {
        "instance": refusal.sop_instance_uid,
        "fate": "refused" if refusal.kept_at is None else "quarantined",
        "status": f"0x{refusal.dimse_status:04X}",
        **_reason(refusal.reason),
        "detail": refusal.detail,
        "from": refusal.calling_ae_title,
        "kept at": "" if refusal.kept_at is None else str(refusal.kept_at),
        "at": refusal.at.isoformat(timespec="seconds"),
    }


def _reason(reason: Reason | None) -> dict[str, str]:
    if reason is None:
        return {"reason": "", "why": "", "what to do": ""}
    return {"reason": reason.name, "why": reason.value, "what to do": WHAT_TO_DO[reason]}


def _table(title: str, rows: Sequence[dict[str, Any]]) -> Table:
    table = Table(title=f"{title} ({len(rows)})", title_justify="left", show_lines=False)
    shown = [name for name in (rows[0] if rows else ()) if name not in ("why",)]
    for name in shown:
        table.add_column(name, overflow="fold")
    for row in rows:
        table.add_row(*(str(row[name]) for name in shown))
    return table
