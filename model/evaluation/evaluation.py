"""One evaluation from studies to a folder: answers, figures with intervals, tables."""

import json
import math
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from model.errors import EvaluationError
from model.evaluation.answering import Progress, marked_studies, silent
from model.evaluation.figures import Figure, Told, is_defined, told_in, well_formed_figures
from model.evaluation.label_figures import diagnosis_figures, label_figures, view_figures
from model.evaluation.marks import MarkedStudy
from model.evaluation.pages import write_pages
from model.evaluation.place_figures import box_figures, mask_figures
from model.evaluation.study import Study
from model.evaluation.tables import Table, goal_table, task_tables
from model.evaluation.word_figures import change_figures, open_figures
from model.families.family import Family
from model.reading import Task

ANSWERS = "answers.jsonl"
RESULTS = "results.json"


@dataclass(frozen=True, slots=True)
class Subject:
    """What an evaluation is about."""

    dataset: str
    digest: str
    """Tells one version or download of the dataset from another."""
    split: str
    tasks: tuple[Task, ...] = ()
    """Those to be asked; empty for all."""


@dataclass(frozen=True, slots=True)
class Result:
    """What an evaluation found."""

    subject: Subject
    weights: Mapping[str, object]
    studies: int
    problems: Mapping[str, int]
    """How many studies could not be read or asked, by kind of error."""
    figures: tuple[Figure, ...]

    @property
    def of_phantoms(self) -> bool:
        return self.subject.dataset == "phantoms"

    @property
    def title(self) -> str:
        return f"{self.weights['name']} {self.weights['version']} on {self.subject.dataset}"

    @property
    def facts(self) -> list[str]:
        """What a reader of the figures must know."""
        problems = ", ".join(f"{n} raised {name}" for name, n in self.problems.items())
        return [
            f"Weights: {self.weights['name']} {self.weights['version']}, sha256 {self.weights['sha256']}.",
            f"Split {self.subject.split}, {self.studies} studies, asked as serving asks.",
            "In brackets: 95 % intervals of 1,000 bootstrap resamples of studies.",
            *([f"Not measured, since they could not be read or asked: {problems}."] if problems else []),
            *(["Phantoms are generated: nothing here is clinical performance."] if self.of_phantoms else []),
        ]

    def tables(self) -> list[Table]:
        return task_tables(self.figures)

    def goals(self) -> Table:
        """What demonstration weights must reach on phantoms."""
        return goal_table(self.figures)


def evaluate(
    family: Family, subject: Subject, studies: Iterable[Study], out: Path, *, progress: Progress = silent
) -> Result:
    """Ask, mark and sum up; what `out` already holds of the same evaluation is not asked again.

    Raises:
        EvaluationError: `out` holds another evaluation, or there is nothing to ask.
    """
    out.mkdir(parents=True, exist_ok=True)
    identity = family.identity
    weights: dict[str, object] = {
        "name": identity.name,
        "version": identity.version,
        "sha256": identity.weights_sha256,
        "precision": family.conditions.precision,
    }
    asked = (_only(study, subject.tasks) for study in studies)
    header = {
        "weights": weights,
        "dataset": subject.dataset,
        "digest": subject.digest,
        "split": subject.split,
        "tasks": [*subject.tasks],
    }
    marked = list(
        marked_studies(family, (s for s in asked if s.asked), out / ANSWERS, header, progress=progress)
    )
    if not marked:
        raise EvaluationError("no study of the dataset asks anything of these tasks")
    problems = Counter(study.problem for study in marked if study.problem)
    result = Result(subject, weights, len(marked), problems, tuple(figures_of(marked)))
    write_results(result, out)
    tables = result.tables()
    write_pages(result.title, result.facts, [result.goals(), *tables] if result.of_phantoms else tables, out)
    return result


def figures_of(marked: Sequence[MarkedStudy]) -> list[Figure]:
    """Every figure that the marks define."""
    return [one for one in _figures(told_in(marked)) if is_defined(one)]


def write_results(result: Result, out: Path) -> None:
    """Write `results.json`: what was measured, on what, of whom."""
    content = {
        "weights": dict(result.weights),
        "dataset": result.subject.dataset,
        "digest": result.subject.digest,
        "split": result.subject.split,
        "studies": result.studies,
        "problems": dict(result.problems),
        "figures": [_plain(one) for one in result.figures],
    }
    (out / RESULTS).write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")


def _figures(told: Sequence[Told]) -> Iterator[Figure]:
    yield from label_figures(told)
    yield from diagnosis_figures(told)
    yield from view_figures(told)
    yield from box_figures(told)
    yield from mask_figures(told)
    yield from change_figures(told)
    yield from open_figures(told)
    yield from well_formed_figures(told)


def _only(study: Study, tasks: tuple[Task, ...]) -> Study:
    if not tasks:
        return study
    return replace(study, asked=[asked for asked in study.asked if asked.question.task in tasks])


def _plain(one: Figure) -> dict[str, object]:
    estimate = one.estimate
    bounds = {"value": estimate.value, "low": estimate.low, "high": estimate.high}
    numbers = {name: None if math.isnan(value) else round(value, 6) for name, value in bounds.items()}
    return {
        "task": one.task,
        "name": one.name,
        "of": one.of,
        **numbers,
        "studies": estimate.studies,
        "answers": one.answers,
    }
