"""A run's folder: what was planned, how it was made, what it has learned so far.

plan.json        the plan
made.json        what it started from, digests of its data, and each session: source, libraries, machine
journal.jsonl    losses, rates and validations by step
tensorboard/     the same for TensorBoard
cases/           phantoms, if it draws any
checkpoints/     see `checkpoints`
weights/         the result
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from model.errors import TrainingError
from model.training.datasets.prepared import replace_file
from model.training.runs.checkpoints import newest
from model.training.runs.plan import RunPlan

PLAN, MADE = "plan.json", "made.json"
CASES, CHECKPOINTS, WEIGHTS = "cases", "checkpoints", "weights"
_FREE = frozenset({"device", "loaders"})
"""Fields of a plan that may change when a run is resumed."""


def claim(folder: Path, plan: RunPlan, *, resume: bool) -> None:
    """Take a folder for a new run, or take a run up again; nothing is written yet.

    Raises:
        TrainingError: the folder holds a run that is not to be resumed, or one of another plan.
    """
    if not (folder / PLAN).exists():
        return
    if not resume and newest(folder / CHECKPOINTS) is not None:
        raise TrainingError(f"{folder.name} holds a run already: go on with --resume, or name another folder")
    said = RunPlan.model_validate_json((folder / PLAN).read_text(encoding="utf-8"))
    was, now = _deciding(said), _deciding(plan)
    if changed := sorted(name for name in now if now[name] != was[name]):
        raise TrainingError(f"{folder.name} holds a run of another plan; these differ: {', '.join(changed)}")


def describe(
    folder: Path, plan: RunPlan, origin: Mapping[str, Any], session: Mapping[str, Any]
) -> dict[str, Any]:
    """Write plan and provenance; sessions are added to those of before.

    Raises:
        TrainingError: weights or data are not those that the run began with.
    """
    folder.mkdir(parents=True, exist_ok=True)
    sessions: list[Any] = []
    if (folder / MADE).exists():
        before = json.loads((folder / MADE).read_text(encoding="utf-8"))
        sessions = before["sessions"]
        if changed := sorted(name for name in origin if before.get(name) != origin[name]):
            raise TrainingError(f"changed since the run began: {', '.join(changed).replace('_', ' ')}")
    made = {**origin, "sessions": [*sessions, session]}
    replace_file(folder / PLAN, (plan.model_dump_json(indent=1) + "\n").encode())
    replace_file(folder / MADE, (json.dumps(made, indent=1) + "\n").encode())
    return made


def _deciding(plan: RunPlan) -> dict[str, Any]:
    return plan.model_dump(exclude=set(_FREE))
