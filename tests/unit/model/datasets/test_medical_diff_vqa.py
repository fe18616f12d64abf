"""Medical-Diff-VQA in its published layout: questions of pairs, their order, split, and what is missing."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

from model.errors import DatasetError
from model.training.datasets.medical_diff_vqa import MEDICAL_DIFF_VQA_READER
from model.training.datasets.record import Record, RecordQuestion
from tests.unit.model.datasets.drawn_mimic import (
    FRONTAL,
    JPG,
    LATER,
    TESTED,
    draw_mimic,
    image_file,
    write_table,
)
from tests.unit.model.datasets.refused import refusals

FOLDER = "medical-diff-vqa/1.0.1"
FIRST, SECOND, THIRD = "50000001", "50000002", "50000003"
STUDIES = ((FIRST, FRONTAL, "1"), (SECOND, LATER, "2"), (THIRD, TESTED, "1"))
CHANGED = "the main image has an additional finding of pleural effusion than the reference image. "
ROWS = (
    (SECOND, FIRST, "abnormality", "what abnormalities are seen in this image?", "pleural effusion"),
    (SECOND, FIRST, "presence", "is there edema?", "no"),
    (SECOND, FIRST, "difference", "what has changed compared to the reference image?", CHANGED),
    (THIRD, "", "view", "which view is this image taken?", "AP view"),
)


def draw(source: Path, rows: Sequence[Sequence[str]] = ROWS) -> Path:
    write_table(
        source / FOLDER / "mimic_all.csv",
        (
            {
                "subject_id": "1",
                "study_id": study,
                "dicom_id": dicom_id,
                "view": "antero-posterior",
                "split": "train",
                "study_date": "21800506",
                "study_order": order,
            }
            for study, dicom_id, order in STUDIES
        ),
    )
    write_table(
        source / FOLDER / "mimic_pair_questions.csv",
        (
            {
                "study_id": study,
                "subject_id": "1",
                "ref_id": reference,
                "question_type": kind,
                "question": question,
                "answer": answer,
                "split": "test",
            }
            for study, reference, kind, question, answer in rows
        ),
    )
    return source


@pytest.fixture
def source(tmp_path: Path) -> Path:
    return draw(draw_mimic(tmp_path))


def records(source: Path) -> Mapping[str, Record]:
    return {record.record_id: record for record in MEDICAL_DIFF_VQA_READER.records(source)}


def test_a_pair_is_one_record_with_all_its_questions(source: Path) -> None:
    record = records(source)["s50000002-s50000001"]
    assert record.questions == (
        RecordQuestion(ROWS[0][3], "pleural effusion", (0,), "abnormality"),
        RecordQuestion("is there edema?", "no", (0,), "presence"),
        RecordQuestion(ROWS[2][3], CHANGED.strip(), (0, 1), "difference"),
    )
    assert record.change == CHANGED.strip()
    assert [image.path for image in record.shown] == [f"{JPG}/{image_file(n)}" for n in (LATER, FRONTAL)]


def test_a_study_without_reference_has_questions_too(source: Path) -> None:
    record = records(source)["s50000003"]
    assert [question.kind for question in record.questions] == ["view"]
    assert record.priors == ()


def test_the_split_is_that_of_mimic_not_the_column(source: Path) -> None:
    assert {key: record.split for key, record in records(source).items()} == {
        "s50000002-s50000001": "validate",
        "s50000003": "test",
    }


def test_a_reference_that_is_later_is_no_prior(source: Path) -> None:
    draw(source, [(FIRST, SECOND, *row[2:]) for row in ROWS[:3]])
    record = records(source)["s50000001-s50000002"]
    assert [question.kind for question in record.questions] == ["abnormality", "presence"]
    assert (record.priors, record.change) == ((), None)


def test_a_difference_alone_that_cannot_be_shown_is_left_out(source: Path) -> None:
    draw(source, [(FIRST, SECOND, *ROWS[2][2:])])
    assert refusals(MEDICAL_DIFF_VQA_READER, source) == {
        "s50000001-s50000002": "it has no question that its images can answer"
    }


def test_questions_without_answer_are_left_out(source: Path) -> None:
    draw(source, [(SECOND, FIRST, "level", "what level is the edema?", ""), ROWS[1]])
    assert [q.answer for q in records(source)["s50000002-s50000001"].questions] == ["no"]


def test_a_study_that_no_table_names_costs_only_itself(source: Path) -> None:
    draw(source, [("59999999", "", *ROWS[1][2:]), ROWS[3]])
    assert refusals(MEDICAL_DIFF_VQA_READER, source) == {"s59999999": "mimic_all.csv does not name its study"}
    assert list(records(source)) == ["s50000003"]


def test_a_whole_download_misses_nothing(source: Path) -> None:
    assert MEDICAL_DIFF_VQA_READER.check(source) == []


def test_every_missing_file_is_named(source: Path) -> None:
    (source / JPG / image_file(FRONTAL)).unlink()
    (source / JPG / image_file(TESTED)).write_bytes(b"\xff\xd8 cut")
    assert [(m.path, m.problem) for m in MEDICAL_DIFF_VQA_READER.check(source)] == [
        (f"{JPG}/{image_file(FRONTAL)}", "missing"),
        (f"{JPG}/{image_file(TESTED)}", "truncated"),
    ]
    (source / FOLDER / "mimic_all.csv").unlink()
    assert [(m.path, m.get_from) for m in MEDICAL_DIFF_VQA_READER.check(source)] == [
        (f"{FOLDER}/mimic_all.csv", f"https://physionet.org/files/{FOLDER}/mimic_all.csv")
    ]


def test_a_table_without_a_needed_column_is_an_error(source: Path) -> None:
    write_table(source / FOLDER / "mimic_pair_questions.csv", [{"study_id": "1", "question": "x"}])
    with pytest.raises(DatasetError, match="ref_id"):
        MEDICAL_DIFF_VQA_READER.cases(source)
