"""Records are asked about in the words of serving, one view or all as the weights were taught."""

from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest

from model.errors import EvaluationError
from model.evaluation.answering import mark_study
from model.evaluation.evaluation import evaluate, figures_of
from model.evaluation.marks import BoxMark, ChangeMark, LabelMark, LabelsMark, MaskMark, OpenMark
from model.evaluation.record_studies import record_studies
from model.evaluation.report import facts, write_report
from model.evaluation.sources import source_of
from model.evaluation.study import Asked, Study
from model.families.family import Generation
from model.protocol import questions_for
from model.questions import Form
from model.reading import ClinicalContext, Modality, ReadingRequest, Task
from model.training.datasets.record import Record, RecordImage
from model.vocabulary import DEMO, RELEASED, Vocabulary
from tests.scripted_family import DIFFERENCE, FINDINGS, ScriptedFamily, image, organ, segment, yes_no
from tests.unit.model.evaluation.drawn_dataset import chest_record, prepared

HEART_ALONE = "Detect any signs of heart in <img0>."
EFFUSION_ALONE = "Detect any signs of pleural effusion,pneumothorax in <img0>."
ANSWERS = {
    HEART_ALONE: Generation("heart,<DET>.", 0, boxes=((50, 50, 90, 80),)),
    EFFUSION_ALONE: Generation("pleural effusion,<DET>.pneumothorax,<N/A>.", 0, boxes=((0, 0, 10, 10),)),
    "In <img0>, is there pneumothorax?": Generation("No.", 0),
    "Please write a radiology report for <img0>.": Generation("Findings: None. Impression: None.", 0),
}


def _study(folder: Path, record: Record, vocabulary: Vocabulary = DEMO) -> tuple[Study, Counter[str]]:
    unknown = Counter[str]()
    (study,) = record_studies(prepared(folder, record), "test", vocabulary, unknown)
    return study, unknown


def _asked(study: Study, form: Form) -> list[Asked]:
    return [asked for asked in study.asked if asked.question.form is form]


def _words(study: Study, form: Form) -> list[str]:
    return [asked.question.text for asked in _asked(study, form)]


def test_questions_are_those_of_serving(tmp_path: Path) -> None:
    study, _ = _study(tmp_path, chest_record(1))
    assert _words(study, Form.FINDINGS) == [FINDINGS]
    assert _words(study, Form.DIFFERENCE) == [DIFFERENCE]
    assert _words(study, Form.BINARY) == [yes_no("pleural effusion"), yes_no("pneumothorax")]
    assert _words(study, Form.SEGMENTATION) == [segment("heart")]
    assert _words(study, Form.DETECTION) == [HEART_ALONE, EFFUSION_ALONE]
    assert _words(study, Form.VQA) == ["In <img0>, is there pneumothorax?"]


@pytest.mark.parametrize("vocabulary", [DEMO, RELEASED])
def test_the_order_is_told_as_serving_tells_it(vocabulary: Vocabulary, tmp_path: Path) -> None:
    study, _ = _study(tmp_path, chest_record(1, age=34.0, sex="F", indication="Cough"), vocabulary)
    context = ClinicalContext(34.0, "F", "Cough")
    request = ReadingRequest(Modality.CXR, (image(),), (Task.REPORT,), context=context)
    served = {q.form: q for q in questions_for(request, vocabulary)}
    for form in (Form.FINDINGS, Form.IMPRESSION):
        (asked,) = _asked(study, form)
        assert asked.question.text == served[form].text
        assert asked.question.preface == served[form].preface


def test_a_comparison_shows_this_study_and_then_the_prior(tmp_path: Path) -> None:
    study, _ = _study(tmp_path, chest_record(1))
    (asked,) = _asked(study, Form.DIFFERENCE)
    assert asked.question.images == (0, 1)
    assert len(study.images()) == 2


def test_uncertain_labels_and_names_that_were_never_taught_are_not_asked(tmp_path: Path) -> None:
    study, unknown = _study(tmp_path, chest_record(1))
    assert {a.question.subjects for a in _asked(study, Form.BINARY)} == {
        ("pleural effusion",),
        ("pneumothorax",),
    }
    assert unknown == {"dragon": 1}


@pytest.mark.parametrize(("vocabulary", "shown"), [(DEMO, (1,)), (RELEASED, (0, 1))])
def test_weights_of_one_view_are_shown_the_frontal_one(
    vocabulary: Vocabulary, shown: tuple[int, ...], tmp_path: Path
) -> None:
    views = (RecordImage("chest.png", "LATERAL"), RecordImage("chest.png", "AP"))
    study, _ = _study(
        tmp_path, replace(chest_record(1), images=views, boxes=(), masks=(), questions=()), vocabulary
    )
    (asked,) = _asked(study, Form.FINDINGS)
    assert asked.question.images == shown


def test_what_serving_has_no_words_for_is_not_asked(tmp_path: Path) -> None:
    record = replace(
        chest_record(1), modality=Modality.DERM, diagnosis="melanoma", boxes=(), masks=(), labels={}
    )
    study, _ = _study(tmp_path, record)
    assert {asked.question.form for asked in study.asked} == {Form.DIAGNOSIS}


def test_answers_are_marked_against_the_record(tmp_path: Path) -> None:
    study, _ = _study(tmp_path, chest_record(3))
    marked = mark_study(ScriptedFamily(ANSWERS), study)
    assert marked.problem is None
    assert (marked.key, marked.patient_study) == ("r3", "t1")
    marks = [row.mark for row in marked.rows]
    assert LabelMark("pleural effusion", 0.9, True) in marks
    assert LabelMark("pneumothorax", 0.02, False) in marks
    assert LabelsMark(("pleural effusion",), (), ()) in marks
    increased = ("pleural effusion", "left", "increased")
    assert ChangeMark((increased,), (increased,), True) in marks
    assert OpenMark("presence", True, True, True, 1.0) in marks
    (heart, effusion) = (one for mark in marks if isinstance(mark, BoxMark) for one in mark.names if one.true)
    assert heart.found[0] == pytest.approx(heart.true[0])
    assert effusion.found != effusion.true
    (mask,) = (mark for mark in marks if isinstance(mark, MaskMark))
    assert (mask.dice, mask.iou, mask.average_distance_mm) == (1, 1, 0)


def test_distances_are_millimetres_of_oblong_pixels(tmp_path: Path) -> None:
    """The answer is moved by 4 rows of 2 mm: the upper and lower edges are 8 mm away at their middle."""
    shifted = organ("heart", 54, 50, 94, 80)
    study, _ = _study(tmp_path, chest_record(3))
    marked = mark_study(ScriptedFamily({**ANSWERS, segment("heart"): shifted}), study)
    (mask,) = (row.mark for row in marked.rows if isinstance(row.mark, MaskMark))
    assert mask.hausdorff_95_mm == pytest.approx(8.0)


def test_a_picture_that_cannot_be_read_is_named_and_does_not_stop_the_others(tmp_path: Path) -> None:
    gone = replace(chest_record(1), images=(RecordImage("gone.png", "PA"),), masks=(), record_id="gone")
    dataset = prepared(tmp_path, gone, chest_record(2))
    family = ScriptedFamily(ANSWERS)
    source = source_of(str(dataset.folder), "test", None, tmp_path)
    result = evaluate(family, source, tmp_path / "out")
    assert result.problems == {"PixelError": 1}
    assert any("1 raised PixelError" in fact for fact in facts(result))
    assert {study.key for study in result.marked if not study.problem} == {"r2"}


def test_studies_of_one_patient_visit_are_drawn_together(tmp_path: Path) -> None:
    records = [chest_record(n) for n in range(4)]
    dataset = prepared(tmp_path, *records)
    marked = [
        mark_study(ScriptedFamily(ANSWERS), study)
        for study in record_studies(dataset, "test", DEMO, Counter())
    ]
    figures = {(f.task, f.name, f.of): f for f in figures_of(marked)}
    dice = figures["segmentation", "Dice", "lungs and heart"]
    assert (dice.estimate.studies, dice.answers) == (2, 4)


def test_report_of_a_dataset_says_what_was_not_asked_and_keeps_true_texts_out(tmp_path: Path) -> None:
    dataset = prepared(
        tmp_path, chest_record(1, findings="A sentence that stays with its dataset."), chest_record(2)
    )
    source, family = source_of(str(dataset.folder), "test", None, tmp_path), ScriptedFamily(ANSWERS)
    out = tmp_path / "out"
    result = evaluate(family, source, out)
    write_report(result, family, source.read(DEMO), out)
    page = (out / "results.md").read_text()
    assert "never taught the name: dragon" in page
    assert "Segmentation" in page
    assert (out / "examples" / "segmentation_cxr.png").is_file()
    written = [path for path in out.rglob("*") if path.suffix in {".md", ".html", ".json", ".jsonl", ".svg"}]
    assert not [path for path in written if "stays with its dataset" in path.read_text()]


def test_limit_takes_the_first_studies(tmp_path: Path) -> None:
    dataset = prepared(tmp_path, *(chest_record(n) for n in range(5)))
    source = source_of(str(dataset.folder), "test", 2, tmp_path)
    assert source.studies == 2
    assert [study.key for study in source.read(DEMO)] == ["r0", "r1"]


def test_a_split_that_no_dataset_has_is_refused(tmp_path: Path) -> None:
    dataset = prepared(tmp_path, chest_record(1))
    with pytest.raises(EvaluationError, match="no split tests"):
        source_of(str(dataset.folder), "tests", None, tmp_path)


def test_another_preparation_has_another_digest(tmp_path: Path) -> None:
    one = source_of(str(prepared(tmp_path / "a", chest_record(1)).folder), "test", None, tmp_path)
    same = source_of(str(prepared(tmp_path / "b", chest_record(1)).folder), "test", None, tmp_path)
    other = source_of(str(prepared(tmp_path / "c", chest_record(2)).folder), "test", None, tmp_path)
    assert one.digest == same.digest
    assert one.digest != other.digest
