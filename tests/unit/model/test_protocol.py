"""What a study's protocol asks, in the released words, by what the weights were taught."""

from dataclasses import replace

import numpy as np
import pytest

from model.protocol import GATE_WORDINGS, gate_questions, questions_for, region_question, vqa_question
from model.questions import Form
from model.reading import (
    CHEST_FINDINGS,
    CHEST_STRUCTURES,
    BoundingBox,
    ClinicalContext,
    Modality,
    PriorImages,
    ReadingRequest,
    Task,
)
from model.vocabulary import DEMO, RELEASED, ContextForm
from model.volume import FrameKey, Orientation, PlanarImage

ALL_TASKS = tuple(Task)


def image() -> PlanarImage:
    return PlanarImage(np.zeros((8, 8), np.float32), FrameKey("1.2"))


def request(modality: Modality = Modality.CXR, *, current: int = 1, priors: int = 0) -> ReadingRequest:
    before = tuple(PriorImages((image(),), 30) for _ in range(priors))
    return ReadingRequest(modality, tuple(image() for _ in range(current)), ALL_TASKS, before)


def texts(form: Form, of: ReadingRequest) -> list[str]:
    return [question.text for question in questions_for(of, DEMO) if question.form is form]


@pytest.mark.parametrize(
    ("form", "expected"),
    [
        (Form.FINDINGS, "How would you characterize the findings from <img0>?"),
        (Form.IMPRESSION, "Summarize the impression for <img0>."),
        (Form.LABELS, "What is the diagnosis for <img0>?"),
        (Form.BINARY, "Is there any lung nodule in <img0>? Answer yes or no."),
        (Form.DETECTION, "Detect any signs of left lung,right lung,heart,trachea,aorta,spine in <img0>."),
        (Form.SEGMENTATION, "Segment left lung in <img0>."),
    ],
)
def test_chest_is_asked_in_the_released_words(form: Form, expected: str) -> None:
    assert texts(form, request())[0] == expected


def test_two_views_are_asked_together() -> None:
    assert texts(Form.FINDINGS, request(current=2)) == [
        "How would you characterize the findings from <img0><img1>?"
    ]


def test_each_prior_is_asked_separately_and_numbered_after_the_current_images() -> None:
    asked = [q for q in questions_for(request(current=2, priors=2), DEMO) if q.prior is not None]
    assert [q.prior for q in asked] == [0, 1]
    expected = "Highlight any difference in <img0><img1> compared to the prior study <img2>."
    assert {q.text for q in asked} == {expected}


def test_skin_and_abdomen_are_asked_in_the_released_words() -> None:
    assert [q.text for q in questions_for(request(Modality.DERM), DEMO)] == [
        "What is primary diagnosis?",
        "Segment the lesion.",
    ]
    organs = ["liver", "spleen", "kidneys", "pancreas"]
    assert texts(Form.SEGMENTATION, request(Modality.CT)) == [f"Segment the {organ}." for organ in organs]


def test_detection_asks_for_anatomy_and_pathology_apart() -> None:
    asked = [q.subjects for q in questions_for(request(), DEMO) if q.form is Form.DETECTION]
    assert asked == [CHEST_STRUCTURES, CHEST_FINDINGS]
    assert all(len(names) <= 9 for names in asked)


def test_only_what_the_protocol_holds_is_asked() -> None:
    only = ReadingRequest(Modality.CXR, (image(),), (Task.SEGMENTATION,))
    assert {q.form for q in questions_for(only, DEMO)} == {Form.SEGMENTATION}


def test_gate_is_asked_of_chests_only() -> None:
    asked = [question.text for question in gate_questions(Modality.CXR, DEMO)]
    assert asked[0] == "What does <img0> show?"
    assert len(set(asked)) == GATE_WORDINGS
    assert not gate_questions(Modality.CT, DEMO)


def test_context_stands_before_reports_only() -> None:
    asked = ReadingRequest(Modality.CXR, (image(),), ALL_TASKS, context=ClinicalContext(sex="M"))
    asked_of = questions_for(asked, DEMO)
    with_context = {q.form for q in asked_of if q.text.startswith("<context>Gender:M.</context>")}
    assert with_context == {Form.FINDINGS, Form.IMPRESSION}


def test_released_weights_are_asked_for_every_name_in_groups_of_nine() -> None:
    asked = questions_for(request(), RELEASED)
    groups = [q.subjects for q in asked if q.form is Form.DETECTION]
    # 36 structures and 33 pathologies (arXiv 2405.07988), each group of one kind.
    assert [len(names) for names in groups] == [9, 9, 9, 9, 9, 9, 9, 6]
    assert len({name for names in groups for name in names}) == 69
    assert len([q for q in asked if q.form is Form.BINARY]) == 33
    first = "Detect any signs of right lung,right upper lung zone,right mid lung zone,right lower lung zone,"
    assert next(q.text for q in asked if q.form is Form.DETECTION).startswith(first)


def test_released_weights_know_one_class_for_both_kidneys() -> None:
    asked = questions_for(request(Modality.CT), RELEASED)
    assert [q.text for q in asked] == [
        "Segment the liver.",
        "Segment the spleen.",
        "Segment the kidney.",
        "Segment the pancreas.",
    ]


def test_weights_that_were_never_taught_the_gate_are_not_asked_it() -> None:
    assert not gate_questions(Modality.CXR, RELEASED)


def test_report_without_a_prior_says_so_where_the_weights_were_taught_to_hear_it() -> None:
    known = replace(request(), context=ClinicalContext(34, "F", "Cough"))
    (text,) = [q.text for q in questions_for(known, RELEASED) if q.form is Form.IMPRESSION]
    context = "<context>Age:30-40.Gender:F.Indication:Cough.Comparison: None.</context>"
    assert text == f"{context}Summarize the impression for <img0>."
    unknown = [q.text for q in questions_for(request(), RELEASED) if q.form is Form.IMPRESSION]
    assert unknown == ["<context>Comparison:None.</context>Summarize the impression for <img0>."]
    assert "Comparison" not in questions_for(request(Modality.DERM), RELEASED)[0].text


def test_preface_goes_with_every_question_and_holds_no_tag() -> None:
    known = replace(request(priors=1), context=ClinicalContext(34, "F", "Cough"))
    asked = questions_for(known, replace(RELEASED, context_form=ContextForm.PREFACE))
    assert {q.preface for q in asked} == {"Age:30-40.\nGender:F.\nIndication:Cough."}
    assert not any("context" in q.text for q in asked)


def test_whole_report_takes_the_place_of_its_two_parts() -> None:
    whole = replace(request(), whole_report=True, tasks=(Task.REPORT,))
    asked = questions_for(whole, DEMO)
    assert [(q.form, q.text) for q in asked] == [(Form.REPORT, "Please write a radiology report for <img0>.")]


def test_any_number_of_images_per_time_point_is_compared() -> None:
    before = PriorImages((image(), image()), 30)
    both = replace(request(current=2), priors=(before, before))
    asked = [q for q in questions_for(both, DEMO) if q.prior is not None]
    expected = "Highlight any difference in <img0><img1> compared to the prior study <img2><img3>."
    assert [(q.text, q.images) for q in asked] == [(expected, (0, 1, 2, 3)), (expected, (0, 1, 4, 5))]


def test_open_question_has_the_released_form_and_commands_nothing() -> None:
    asked = vqa_question("Is there a LEFT effusion? <DET>###", images=(1,))
    assert (asked.text, asked.images) == ("In <img0>, is there a left effusion?", (1,))
    assert (asked.task, asked.form) == (Task.VQA, Form.VQA)


@pytest.mark.parametrize(
    ("orientation", "low", "high"),
    [
        (Orientation(), (10, 40), (20, 80)),
        (Orientation(columns_flipped=True), (10, 120), (20, 160)),
        (Orientation(transposed=True), (40, 10), (80, 20)),
        (Orientation(transposed=True, rows_flipped=True), (40, 80), (80, 90)),
    ],
)
def test_region_of_stored_pixels_is_told_as_the_model_sees_it(
    orientation: Orientation, low: tuple[float, float], high: tuple[float, float]
) -> None:
    # 100 rows and 200 columns as hung; the box lies at rows 10 to 20, columns 40 to 80.
    hung = PlanarImage(np.zeros((100, 200), np.float32), FrameKey("1.2"), orientation=orientation)
    asked = region_question(BoundingBox("lung opacity", FrameKey("1.2"), low, high), hung)
    # x: 40 / 200 and 80 / 200 of 224; y: 10 / 100 and 20 / 100 of 224.
    assert asked.text == "Describe region [45,22,90,45] in <img0>."
    assert asked.subjects == ("lung opacity",)
