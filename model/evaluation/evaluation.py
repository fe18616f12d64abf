"""One evaluation from studies to figures: asks, marks and sums up."""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from model.errors import EvaluationError
from model.evaluation.answering import Progress, marked_studies, silent
from model.evaluation.figures import Figure, Told, is_defined, told_in, well_formed_figures
from model.evaluation.label_figures import diagnosis_figures, label_figures, list_figures, view_figures
from model.evaluation.marks import MarkedStudy
from model.evaluation.place_figures import box_figures, mask_figures
from model.evaluation.sources import PHANTOMS, Source
from model.evaluation.study import Study
from model.evaluation.text.metric_models import MetricModels, ModelPaths
from model.evaluation.text_figures import text_figures, text_pairs
from model.evaluation.word_figures import change_figures, open_figures
from model.families.family import Family
from model.reading import Task

ANSWERS = "answers.jsonl"


@dataclass(frozen=True, slots=True)
class Result:
    """What an evaluation found."""

    dataset: str
    digest: str
    split: str
    weights: Mapping[str, str]
    marked: tuple[MarkedStudy, ...]
    figures: tuple[Figure, ...]
    unknown: tuple[str, ...]
    """Names that were not asked, since the weights were never taught them."""
    not_computed: Mapping[str, str]
    """Metrics of texts that lack a model: what they need and where to get it."""

    @property
    def of_phantoms(self) -> bool:
        return self.dataset == PHANTOMS

    @property
    def problems(self) -> dict[str, int]:
        """How many studies could not be read or asked, by kind of error."""
        return dict(Counter(study.problem for study in self.marked if study.problem))


def evaluate(
    family: Family,
    source: Source,
    out: Path,
    *,
    tasks: Sequence[Task] = (),
    models: MetricModels | None = None,
    progress: Progress = silent,
) -> Result:
    """Ask, mark and sum up; what `out` already holds of the same evaluation is not asked again.

    `tasks` are those to be asked, all by default; `models` are what metrics of texts need.

    Raises:
        EvaluationError: `out` holds another evaluation, or there is nothing to ask.
    """
    out.mkdir(parents=True, exist_ok=True)
    identity = family.identity
    weights = {
        "name": identity.name,
        "version": identity.version,
        "sha256": identity.weights_sha256,
        "precision": family.conditions.precision,
    }
    header = {
        "weights": weights,
        "dataset": source.dataset,
        "digest": source.digest,
        "split": source.split,
        "tasks": sorted(tasks),
    }
    texts: dict[str, list[str | None]] = {}

    def studies() -> Iterator[Study]:
        for study in asked_studies(family, source, tasks):
            texts[study.key] = [asked.text for asked in study.asked]
            yield study

    marked = tuple(marked_studies(family, studies(), out / ANSWERS, header, progress=progress))
    if not marked:
        raise EvaluationError("no study of the dataset asks anything of these tasks")
    told, not_computed = text_figures(
        text_pairs(marked, texts), models or MetricModels(ModelPaths(), family.conditions.device)
    )
    return Result(
        source.dataset,
        source.digest,
        source.split,
        weights,
        marked,
        (*(one for one in told if is_defined(one)), *figures_of(marked)),
        tuple(sorted(source.unknown)),
        not_computed,
    )


def asked_studies(family: Family, source: Source, tasks: Sequence[Task]) -> Iterator[Study]:
    """The studies of a source that ask anything of these tasks, without their other questions."""
    for study in source.read(family.vocabulary):
        asked = [one for one in study.asked if not tasks or one.question.task in tasks]
        if asked:
            yield replace(study, asked=asked)


def figures_of(marked: Sequence[MarkedStudy]) -> list[Figure]:
    """Every figure that the marks define."""
    told = told_in(marked)
    return [one for figures in _FIGURES for one in figures(told) if is_defined(one)]


_FIGURES: tuple[Callable[[Sequence[Told]], Iterator[Figure]], ...] = (
    label_figures,
    list_figures,
    diagnosis_figures,
    view_figures,
    box_figures,
    mask_figures,
    change_figures,
    open_figures,
    well_formed_figures,
)
