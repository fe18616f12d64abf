"""What demonstration weights must reach on held-out phantoms."""

from collections.abc import Sequence
from dataclasses import dataclass

from model.evaluation.figures import Figure


@dataclass(frozen=True, slots=True)
class Goal:
    """A figure and the least that it must be."""

    title: str
    task: str
    name: str
    of: str
    least: float


GOALS = (
    Goal("Dice, lungs and heart", "segmentation", "Dice", "lungs and heart", 0.90),
    Goal("Dice, organs on CT", "segmentation", "Dice", "organs on CT", 0.75),
    Goal("Dice, skin lesions", "segmentation", "Dice", "skin lesions", 0.85),
    Goal("Macro F1 of findings", "classification", "macro F1", "findings", 0.80),
    Goal("Mean IoU of present findings", "pathology detection", "mean IoU", "findings", 0.50),
    Goal("Mean IoU of anatomy", "anatomy detection", "mean IoU", "structures", 0.70),
    Goal("Accuracy of change statements", "comparison", "statement accuracy", "changes", 0.80),
    Goal("`<DET>`/`<N/A>` decisions", "pathology detection", "<DET>/<N/A> accuracy", "findings", 0.90),
    Goal("Well-formed answers", "grammar", "well-formed answers", "all", 0.99),
)


def reached(figures: Sequence[Figure]) -> list[tuple[Goal, Figure]]:
    """The goals with their figures; those that were not measured are left out."""
    measured = {(one.task, one.name, one.of): one for one in figures}
    return [
        (goal, measured[goal.task, goal.name, goal.of])
        for goal in GOALS
        if (goal.task, goal.name, goal.of) in measured
    ]
