"""Compares training on all tasks with training on vision or language tasks alone: Figure 5 of the paper.

The eyes of a finished run, frozen, are the same for all; so are steps and batches of the language stage. Each
mixture is asked about its own tasks on held-out phantoms, and the one of all tasks about every task.
"""

from collections.abc import Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from model.errors import WeightsError
from model.evaluation.evaluation import evaluate
from model.evaluation.figures import Figure
from model.evaluation.sources import source_of
from model.evaluation.tables import Table, told
from model.reading import Task
from model.registry import load_family
from model.training.demo_weights import write_demo_weights
from model.training.finetune import DemoPlan, DemoTraining
from model.training.ranks import Rank, gathered
from model.training.stages import Progress, silent

VISION = (Task.SEGMENTATION, Task.ANATOMY_DETECTION, Task.PATHOLOGY_DETECTION)
LANGUAGE = tuple(task for task in Task if task not in VISION)
MIXTURES: Mapping[str, Sequence[Task]] = {
    "all tasks": tuple(Task),
    "vision tasks": VISION,
    "language tasks": LANGUAGE,
}
_EYES = ("encoder_2d", "unet_2d", "unet_3d", "unet_3d_fine")

ROWS = (
    ("segmentation", "Dice", "lungs and heart"),
    ("segmentation", "Dice", "organs on CT"),
    ("segmentation", "Dice", "skin lesions"),
    ("anatomy detection", "mean IoU", "structures"),
    ("pathology detection", "mean IoU", "findings"),
    ("pathology detection", "<DET>/<N/A> accuracy", "findings"),
    ("classification", "macro F1", "findings"),
    ("classification", "macro AUC", "findings"),
    ("classification", "accuracy", "skin diagnoses"),
    ("comparison", "statement accuracy", "changes"),
    ("visual question answering", "accuracy", "all questions"),
)
"""Task, measure and what it was measured of."""


@dataclass(frozen=True, slots=True)
class MixturePlan:
    """What all mixtures share."""

    run: Path
    """Folder of a finished run; results go to `compare` in it."""
    plan: DemoPlan
    """Of that run, but for the steps of its language stage."""
    workers: int
    limit: int | None = None
    """Most phantoms of each kind that are asked about."""

    def folder(self, mixture: str) -> Path:
        return self.run / "compare" / mixture.replace(" ", "-")


def compare_mixtures(plan: MixturePlan, progress: Progress = silent) -> Table:
    """Train and ask every mixture; one that is done is not done again.

    Raises:
        WeightsError: the folder holds no finished run.
    """
    if missing := [s for s in _EYES if not (plan.run / "stages" / f"{s}.safetensors").exists()]:
        raise WeightsError(f"the run has not finished {', '.join(missing)}")
    if not all((plan.folder(mixture) / "weights").exists() for mixture in MIXTURES):
        with gathered(plan.workers, partial(train_mixtures, plan)) as rank:
            train_mixtures(plan, rank, progress)
    return mixture_table({name: _figures(plan, name) for name in MIXTURES}, plan)


def train_mixtures(plan: MixturePlan, rank: Rank, progress: Progress = silent) -> None:
    """Teach each mixture to a language model of its own."""
    training = DemoTraining(plan.plan, plan.run, progress, rank)
    eyes = training.learn_to_see()
    for mixture, tasks in MIXTURES.items():
        training.keep_stages_in(str(plan.folder(mixture).relative_to(plan.run)))
        own = replace(eyes, network=deepcopy(eyes.network))
        training.learn_to_speak(own, tasks)
        if rank.leads:
            write_demo_weights(own.network.cpu(), own.tokenizer, plan.plan, plan.folder(mixture) / "weights")


def mixture_table(figures: Mapping[str, Sequence[Figure]], plan: MixturePlan) -> Table:
    """One column for each mixture; a dash where it did not learn the task."""
    measured = {
        (mixture, one.task, one.name, one.of): told(one.estimate)
        for mixture, found in figures.items()
        for one in found
    }
    rows = [
        (task, f"{name}, {of}", *(measured.get((mixture, task, name, of), "–") for mixture in figures))
        for task, name, of in ROWS
    ]
    steps = plan.plan.steps["language"]
    title = f"Mixtures of tasks, {steps} steps of the language stage each, held-out phantoms (not clinical)"
    return Table(title, ("task", "figure", *figures), tuple(rows))


def _figures(plan: MixturePlan, mixture: str) -> Sequence[Figure]:
    folder = plan.folder(mixture)
    source = source_of("phantoms", "test", plan.limit, plan.run / "compare")
    family = load_family(str(folder / "weights"))
    return evaluate(family, source, folder / "asked", tasks=MIXTURES[mixture]).figures
