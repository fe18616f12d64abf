"""Writes what an evaluation found into a folder: figures as JSON, tables, curves and pictures as pages."""

import json
import math
from collections.abc import Iterable
from pathlib import Path

from model.evaluation.curves import curves_of
from model.evaluation.evaluation import Result
from model.evaluation.figures import Figure, told_in
from model.evaluation.label_figures import label_answers
from model.evaluation.pages import Picture, write_pages
from model.evaluation.pictures import chosen, draw_chosen
from model.evaluation.published import comparison_tables
from model.evaluation.study import Study
from model.evaluation.tables import goal_table, task_tables
from model.families.family import Family

RESULTS = "results.json"


def write_report(result: Result, family: Family, studies: Iterable[Study], out: Path) -> None:
    """Write `results.json`, `results.md`, `results.html` and the pictures that both pages show.

    `studies` are those of the result, read once more for the pictures.
    """
    (out / RESULTS).write_text(json.dumps(plain(result), indent=1) + "\n", encoding="utf-8")
    name = f"{result.weights['name']} {result.weights['version']}"
    tables = [
        *([goal_table(result.figures)] if result.of_phantoms else []),
        *comparison_tables(result.dataset, f"{name} (ours)", result.figures),
        *task_tables(result.figures),
    ]
    pictures = [*_curves(result, out), *_examples(result, family, studies, out)]
    write_pages(f"{name} on {result.dataset}", facts(result), tables, out, pictures)


def facts(result: Result) -> list[str]:
    """What a reader of the figures must know."""
    weights = result.weights
    told = [
        f"Weights: {weights['name']} {weights['version']}, sha256 {weights['sha256']}.",
        f"Split {result.split}, {len(result.marked)} studies, asked as serving asks.",
        "In brackets: 95 % intervals of 1,000 bootstrap resamples of studies.",
    ]
    if result.problems:
        problems = ", ".join(f"{n} raised {name}" for name, n in result.problems.items())
        told.append(f"Not measured, since they could not be read or asked: {problems}.")
    if result.unknown:
        told.append(f"Not asked, since the weights were never taught the name: {', '.join(result.unknown)}.")
    told += [f"{name} was {reason}." for name, reason in result.not_computed.items()]
    if result.of_phantoms:
        told.append("Phantoms are generated: nothing here is clinical performance.")
    return told


def goals(result: Result) -> str:
    """What demonstration weights must reach on phantoms, and whose figures these are, in Markdown."""
    whose = " ".join(facts(result)[:2])
    return f"{whose}\n\n{goal_table(result.figures).markdown()}"


def plain(result: Result) -> dict[str, object]:
    """The content of `results.json`; single answers are in their own file."""
    return {
        "weights": dict(result.weights),
        "dataset": result.dataset,
        "digest": result.digest,
        "split": result.split,
        "studies": len(result.marked),
        "problems": result.problems,
        "not_asked": list(result.unknown),
        "not_computed": dict(result.not_computed),
        "figures": [_plain(one) for one in result.figures],
    }


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


def _curves(result: Result, out: Path) -> list[Picture]:
    labels = label_answers(told_in(result.marked))
    pictures: list[Picture] = []
    for name, drawn in curves_of(labels).items() if labels else ():
        (out / f"{name}.svg").write_text(drawn, encoding="utf-8")
        pictures.append(Picture(f"{name}.svg", name.replace("_", " and ")))
    return pictures


def _examples(result: Result, family: Family, studies: Iterable[Study], out: Path) -> list[Picture]:
    paths = draw_chosen(family, studies, chosen(result.marked), out / "examples")
    return [
        Picture(path.relative_to(out).as_posix(), f"{group}: truth blue, answer orange")
        for group, path in paths.items()
    ]
