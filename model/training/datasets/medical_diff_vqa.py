"""Medical-Diff-VQA (Hu 2023): questions on pairs of studies of MIMIC-CXR."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from sys import intern

from model.errors import RowError
from model.reading import Modality
from model.training.datasets.dataset_reader import Case, DatasetCard, DatasetReader, Missing
from model.training.datasets.mimic_images import SPLIT_RULE, MimicImages, missing_tables
from model.training.datasets.physionet import LICENCE, MEDICAL_DIFF_VQA
from model.training.datasets.record import Record, RecordImage, RecordQuestion
from model.training.datasets.tables import Row, Table

QUESTIONS, STUDIES = "mimic_pair_questions.csv", "mimic_all.csv"
DIFFERENCE = "difference"
"""The one kind of question that is about both studies."""


@dataclass(frozen=True, slots=True)
class PairedStudy:
    """The image that stands for a study, and which study of its patient it is."""

    dicom_id: str
    order: int | None


@dataclass(frozen=True, slots=True)
class Asked:
    """One row: a question on a study, or on the difference between it and its reference."""

    kind: str
    question: str
    answer: str


def _studies(source: Path) -> dict[str, PairedStudy]:
    table = Table(source / MEDICAL_DIFF_VQA.folder(source) / STUDIES, ("study_id", "dicom_id"))
    return {row["study_id"]: PairedStudy(row["dicom_id"], _order(row)) for row in table}


def _order(row: Row) -> int | None:
    told = row.number("study_order")
    return None if told is None else int(told)


def _pairs(source: Path) -> dict[tuple[str, str], list[Asked]]:
    """Gather the questions of each main study and its reference, in the order of the table.

    There are 700,000 of few wordings: equal words are kept once.
    """
    needed = ("study_id", "ref_id", "question_type", "question", "answer")
    pairs: dict[tuple[str, str], list[Asked]] = {}
    for row in Table(source / MEDICAL_DIFF_VQA.folder(source) / QUESTIONS, needed):
        kind, question, answer = (intern(row[name]) for name in ("question_type", "question", "answer"))
        pairs.setdefault((row["study_id"], row["ref_id"]), []).append(Asked(kind, question, answer))
    return pairs


def _record(
    images: MimicImages, studies: dict[str, PairedStudy], pair: tuple[str, str], rows: Sequence[Asked]
) -> Record:
    main, reference = (studies.get(study) for study in pair)
    if main is None:
        raise RowError(f"{STUDIES} does not name its study")
    image = images.image(main.dicom_id)
    prior = _prior(images, main, reference)
    shown = (0, 1) if prior else (0,)
    questions = tuple(
        RecordQuestion(row.question, row.answer, shown if row.kind == DIFFERENCE else (0,), row.kind)
        for row in rows
        if row.question and row.answer and (prior or row.kind != DIFFERENCE)
    )
    if not questions:
        raise RowError("it has no question that its images can answer")
    return Record(
        dataset="medical-diff-vqa",
        record_id="-".join(f"s{study}" for study in pair if study),
        subject=f"p{image.subject}",
        study=f"s{pair[0]}",
        split=images.split(pair[0]),
        modality=Modality.CXR,
        images=(images.record_image(image),),
        priors=(prior,) if prior else (),
        questions=questions,
        change=next((q.answer for q in questions if q.kind == DIFFERENCE), None),
    )


def _prior(images: MimicImages, main: PairedStudy, reference: PairedStudy | None) -> RecordImage | None:
    """The reference's image, unless it is missing or not the earlier one."""
    if reference is None:
        return None
    if main.order is not None and reference.order is not None and reference.order >= main.order:
        return None
    try:
        return images.record_image(images.image(reference.dicom_id))
    except RowError:
        return None


def check(source: Path) -> list[Missing]:
    """Name every table and image that is missing or cut short."""
    found = list(MEDICAL_DIFF_VQA.missing(source, (QUESTIONS, STUDIES))) + missing_tables(source)
    if found:
        return found
    images, studies = MimicImages(source), _studies(source)
    named = {study for pair in _pairs(source) for study in pair}
    needed = (studies[study].dicom_id for study in sorted(named) if study in studies)
    return list(images.missing(images.by_id[name] for name in needed if name in images.by_id))


def cases(source: Path) -> Sequence[Case]:
    """List one record for each pair of studies."""
    images, studies = MimicImages(source), _studies(source)
    return [
        Case("-".join(f"s{study}" for study in pair if study), partial(_record, images, studies, pair, rows))
        for pair, rows in _pairs(source).items()
    ]


MEDICAL_DIFF_VQA_READER = DatasetReader(
    DatasetCard(
        name="Medical-Diff-VQA",
        version="1.0.1 or 1.0.0",
        licence=LICENCE,
        licence_address=MEDICAL_DIFF_VQA.licence_page,
        address=MEDICAL_DIFF_VQA.page,
        citation="Hu, Gu, An et al.: Expert knowledge-aware image difference graph representation learning "
        "for difference-aware medical visual question answering. KDD (2023).",
        split_rule=f"{SPLIT_RULE}; the table's own column is not used, as the paper follows MIMIC-CXR",
        layout=f"medical-diff-vqa/1.0.1/ with {QUESTIONS} and {STUDIES}, and mimic-cxr-jpg/2.1.0/, "
        "side by side",
        preprocessing=(
            "The image of a study is the one that mimic_all.csv names.",
            "A question on the difference is kept where the reference is the earlier study by study_order "
            "and its image is there; its answer is what has changed.",
            "Questions are used as published; the generating code's option less_yes_no is not applied again.",
        ),
    ),
    check,
    cases,
)
