"""The command `quarantine`: show what is kept and not used, use it after all, or delete it."""

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click

from dicom_node.advice import WHAT_TO_DO
from dicom_node.commands import CONFIG
from dicom_node.database.engine import Database, open_database
from dicom_node.database.quarantine import Fate, Quarantined
from dicom_node.errors import DecisionError
from dicom_node.interventions import BY, REASON
from dicom_node.settings import load_settings
from dicom_node.study import SOPInstanceUID

_NUMBER = click.argument("number", type=click.IntRange(1))


@click.group()
def quarantine() -> None:
    """Show what is in quarantine; put an instance back into its study, or drop it."""


@quarantine.command("list")
@CONFIG
@click.option("--all", "also_decided", is_flag=True, help="Show also what was decided, by whom and why.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON for programs.")
def list_(config: Path | None, also_decided: bool, as_json: bool) -> None:
    """Show what is kept and not used: its number, why it is there, and what to do."""
    database = open_database(load_settings(config).node.database_url)
    try:
        found = [each for each in database.quarantine.all() if also_decided or each.decision is None]
    finally:
        database.close()
    if as_json:
        sys.stdout.write(json.dumps([_values(each) for each in found], indent=1) + "\n")
        return
    click.echo("\n".join(line for each in found for line in _lines(each)) or "nothing is in quarantine")


@quarantine.command()
@_NUMBER
@CONFIG
@BY
@REASON
def release(number: int, config: Path | None, by: str, reason: str) -> None:
    """Use an instance again that could not be read or decoded: its study is read anew with it.

    What was kept out when it came (another patient's, without its UIDs, under a UID that is in use) is not of
    a study and cannot be released: its sender has to correct it.
    """
    database = open_database(load_settings(config).node.database_url)
    try:
        released(database, number, by=by, why=reason)
    finally:
        database.close()
    click.echo(f"{number} is released")


@quarantine.command()
@_NUMBER
@CONFIG
@BY
@REASON
def drop(number: int, config: Path | None, by: str, reason: str) -> None:
    """Delete an instance that is in quarantine; that it was there stays in the index."""
    database = open_database(load_settings(config).node.database_url)
    try:
        kept_at = database.quarantine.get(number).refusal.kept_at
        database.quarantine.decide(number, Fate.DROPPED, decided_by=by, why=reason)
    finally:
        database.close()
    if kept_at is not None:
        kept_at.unlink(missing_ok=True)
    click.echo(f"{number} is dropped")


def released(database: Database, number: int, *, by: str, why: str) -> None:
    """Take an instance out of quarantine and into its study. Safe to run twice.

    Raises:
        DecisionError: it was dropped, or cannot be used.
    """
    found = database.quarantine.get(number)
    if found.decision is not None and found.decision.fate is Fate.DROPPED:
        raise DecisionError(f"{number} was dropped by {found.decision.decided_by}")
    refusal = found.refusal
    if not database.instances.readmit(SOPInstanceUID(refusal.sop_instance_uid), refusal.kept_at):
        # It never was of the study; whose it is, or which content is right, only its sender can put right.
        what = f"{WHAT_TO_DO[refusal.reason]}, or drop it"
        raise DecisionError(f"{number} cannot be released, {refusal.reason.value}: {what}")
    database.quarantine.decide(number, Fate.RELEASED, decided_by=by, why=why)


def _values(found: Quarantined) -> dict[str, Any]:
    refusal, decision = found.refusal, found.decision
    return {
        "number": found.number,
        "sop_instance_uid": refusal.sop_instance_uid,
        "study_instance_uid": refusal.study_instance_uid,
        "reason": refusal.reason.name,
        "why": refusal.reason.value,
        "detail": refusal.detail,
        "what_to_do": WHAT_TO_DO[refusal.reason],
        "calling_ae_title": refusal.calling_ae_title,
        "at": refusal.at.isoformat(timespec="seconds"),
        "kept_at": str(refusal.kept_at),
        "decision": None
        if decision is None
        else {
            "fate": decision.fate.value,
            "at": decision.at.isoformat(timespec="seconds"),
            "by": decision.decided_by,
            "reason": decision.why,
        },
    }


def _lines(found: Quarantined) -> Iterator[str]:
    told = _values(found)
    by = f" from {told['calling_ae_title']}" if told["calling_ae_title"] else ""
    yield f"{told['number']}  {told['at']}{by}  {told['why']}"
    yield f"    instance {told['sop_instance_uid']} of study {told['study_instance_uid']}"
    if told["detail"]:
        yield f"    {told['detail']}"
    if decision := told["decision"]:
        yield f"    {decision['fate']} at {decision['at']} by {decision['by']}: {decision['reason']}"
    else:
        yield f"    -> {told['what_to_do']}"
