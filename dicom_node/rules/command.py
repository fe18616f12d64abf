"""The command `plan`: what would be done with a study, rule by rule; nothing is changed."""

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click

from dicom_node.commands import CONFIG
from dicom_node.database.engine import open_database
from dicom_node.errors import StorageError
from dicom_node.routing import READABLE_CLASSES, why_not_applicable
from dicom_node.rules.plan import Plan, plan_for, settings_under
from dicom_node.rules.settings import TEXTS
from dicom_node.rules.traits import Traits, header_of, traits_of, traits_of_stored
from dicom_node.settings import NodeSettings, load_settings
from dicom_node.study import Reason
from dicom_node.uids import is_uid

NOTHING_READ = 3


@click.command()
@click.argument("study")
@CONFIG
@click.option("--calling", default="", help="AE title that would send it, where STUDY is a file or folder.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON for programs.")
def plan(study: str, config: Path | None, calling: str, as_json: bool) -> None:
    """Show what would be done with STUDY by the configured rules, and why; nothing is changed.

    STUDY is the Study Instance UID of a study in the node's store, or a file or folder of one that was not
    sent yet.

    Exit status 0 if it would be read, 3 if not.
    """
    settings = load_settings(config)
    traits, obstacle = _looked_at(study, settings, calling)
    values = planned(plan_for(traits, settings.rules), traits, settings, obstacle)
    sys.stdout.write((json.dumps(values, indent=1) if as_json else "\n".join(_lines(values))) + "\n")
    sys.exit(0 if values["is_read"] else NOTHING_READ)


def _looked_at(study: str, settings: NodeSettings, calling: str) -> tuple[Traits, Reason | None]:
    """Return what rules see of a study, and why it would not come to the rules at all."""
    path = Path(study)
    if path.exists():
        files = sorted(p for p in path.rglob("*") if p.is_file()) if path.is_dir() else [path]
        headers = [ds for file in files for ds in header_of(file)]
        images = sum(ds.file_meta.get("MediaStorageSOPClassUID") in READABLE_CLASSES for ds in headers)
        return traits_of(headers, images, calling), None if images else Reason.NO_IMAGES
    if not is_uid(study):
        raise click.UsageError(f"{study} is no file, no folder and no UID")
    database = open_database(settings.node.database_url)
    try:
        instances = database.instances.of_study(study)
        if not instances:
            raise StorageError("the study is not known here; see `medversa-node status`")
        return traits_of_stored(instances), why_not_applicable(instances)
    finally:
        database.close()


def planned(
    plan: Plan, traits: Traits, settings: NodeSettings, obstacle: Reason | None = None
) -> dict[str, Any]:
    """Return a plan as plain values, without names and numbers of the patient."""
    reason = obstacle or plan.reason
    values: dict[str, Any] = {
        "images": traits.image_count,
        "seen": {name: list(traits.texts[name]) for name in TEXTS if traits.texts[name]},
        "rules": [
            {
                "name": trial.rule.name,
                "holds": trial.holds,
                "conditions": [{"holds": c.holds, "why": c.why} for c in trial.conditions],
            }
            for trial in plan.trials
        ],
        "rule": None if plan.rule is None else plan.rule.name,
        "is_read": reason is None,
        "reason": "" if reason is None else reason.name,
        "why": plan.why if reason is None else reason.value,
    }
    return values if reason is not None else values | _consequences(plan, settings)


def _consequences(plan: Plan, settings: NodeSettings) -> dict[str, Any]:
    rule, under = plan.rule, settings_under(plan.rule, settings)
    return {
        "tasks": list(rule.tasks) if rule is not None and rule.tasks else "all that its images allow",
        "priority": (None if rule is None else rule.priority) or "as ordered, else routine",
        "priors": under.priors.limit,
        "destinations": {each.name: each.profile for each in under.destinations},
    }


def _lines(values: dict[str, Any]) -> Iterator[str]:
    seen = "; ".join(f"{name.replace('_', ' ')} {', '.join(found)}" for name, found in values["seen"].items())
    yield f"{values['images']} images: {seen}"
    if not values["rules"]:
        yield "no rules are configured: every study with readable images is read in full"
    for rule in values["rules"]:
        yield f"rule {rule['name']}: {'fits' if rule['holds'] else 'does not fit'}"
        yield from (f"  {'yes' if each['holds'] else 'no '}  {each['why']}" for each in rule["conditions"])
    if not values["is_read"]:
        yield f"-> not read: {values['why']}"
        return
    yield f"-> read{'' if values['rule'] is None else ' by rule ' + values['rule']}"
    tasks = values["tasks"]
    yield f"   tasks: {tasks if isinstance(tasks, str) else ', '.join(tasks)}"
    yield f"   priority: {values['priority']}"
    yield f"   priors: at most {values['priors']}"
    where = ", ".join(f"{name} (profile {profile})" for name, profile in values["destinations"].items())
    yield f"   destinations: {where or 'none: results stay here'}"
