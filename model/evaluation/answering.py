"""Asks a family everything about every study and keeps the marked answers, so that an evaluation can go on.

The file of answers is JSON by lines: first what was asked of whom, then one line for each study. It is
written as the answers come; a line that an interruption cut short is asked again.
"""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from model.errors import EvaluationError, ModelError
from model.evaluation.marking import mark
from model.evaluation.marks import MarkedStudy, Row
from model.evaluation.study import Study
from model.evaluation.well_formed import is_well_formed
from model.families.family import Family

Progress = Callable[[int], None]
"""Told how many studies are done."""

_STUDY = TypeAdapter(MarkedStudy)


def silent(_done: int) -> None:
    """Show nothing."""


def marked_studies(
    family: Family,
    studies: Iterable[Study],
    file: Path,
    header: Mapping[str, object],
    *,
    progress: Progress = silent,
) -> Iterator[MarkedStudy]:
    """Mark every study in turn; those in `file` are taken from there.

    Args:
        header: what decides the answers, e.g. the digest of the weights; a file of another one is refused.

    Raises:
        EvaluationError: `file` holds the answers of another evaluation.
    """
    kept = _read(file, header)
    with file.open("a", encoding="utf-8") as answers:
        for n, study in enumerate(studies, 1):
            marked = kept.get(study.key)
            if marked is None:
                marked = mark_study(family, study)
                answers.write(_STUDY.dump_json(marked).decode() + "\n")
                answers.flush()
            progress(n)
            yield marked


def mark_study(family: Family, study: Study) -> MarkedStudy:
    """Look at a study once and ask it all, as serving does; what cannot be read or asked is named."""
    drawn = study.patient_study or study.key
    try:
        images = study.images()
        answers = family.look(study.modality, images).answer([asked.question for asked in study.asked])
    except ModelError as exc:
        return MarkedStudy(study.key, study.modality, (), drawn, type(exc).__name__)
    rows: list[Row] = []
    for asked, answer in zip(study.asked, answers, strict=True):
        question = asked.question
        first = images[question.images[0] if question.images else 0]
        well_formed = is_well_formed(question, answer, study.modality, family.vocabulary)
        marked = mark(asked, answer, first, family.vocabulary)
        rows.append(Row(question.task, question.form, question.subjects, answer.text, well_formed, marked))
    return MarkedStudy(study.key, study.modality, tuple(rows), drawn)


def _read(file: Path, header: Mapping[str, object]) -> dict[str, MarkedStudy]:
    """The studies of a file of answers; makes it, or cuts an unfinished line off."""
    wanted = json.dumps(header, sort_keys=True)
    lines = file.read_text(encoding="utf-8").splitlines(keepends=True) if file.exists() else []
    whole = [line for line in lines if line.endswith("\n")]
    if whole and whole[0].rstrip() != wanted:
        raise EvaluationError(f"{file.name} holds other answers: take another folder, or remove it")
    kept = [_parsed(line, file) for line in whole[1:]]
    if not whole or len(whole) < len(lines):
        part = file.with_suffix(".part")
        part.write_text("".join(whole) or wanted + "\n", encoding="utf-8")
        part.replace(file)
    return {study.key: study for study in kept}


def _parsed(line: str, file: Path) -> MarkedStudy:
    try:
        return _STUDY.validate_json(line)
    except ValidationError as exc:
        raise EvaluationError(f"{file.name} holds a line that is no study: remove the file") from exc
