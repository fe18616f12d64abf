"""Questions come back with answers, regions with words, both marked, neither in the impression."""

from dataclasses import replace
from pathlib import Path

import pytest
from pydicom.dataset import Dataset

from model.reading import Answer, Caption, Task
from structured_reports.conformance import publication_faults
from structured_reports.errors import CoordinatesError
from structured_reports.overlays import overlays_on
from structured_reports.registry import write_results
from structured_reports.wording import ANSWERS_NOTICE, APPENDIX_NOTICE, raw_answer, readable_answer
from tests.unit.structured_reports.readings import (
    RUN,
    box,
    chest_reading,
    child,
    groups,
    header,
    name_of,
    only,
    reread,
    sources,
    texts,
    value_of,
)
from tests.unit.structured_reports.whole_readings import asked_reading


@pytest.fixture(scope="module")
def results() -> tuple[Dataset, ...]:
    ds = header()
    return write_results(asked_reading(ds), sources(ds), RUN)


@pytest.fixture(scope="module")
def report(results: tuple[Dataset, ...], tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    """Look at the report as a file that was read back."""
    return reread(only(results, "SR"), tmp_path_factory.mktemp("report"))


def root_container(report: Dataset, name: str) -> Dataset | None:
    return next((item for item in report.ContentSequence if name_of(item) == name), None)


def test_question_and_answer_stand_together_in_their_own_words(report: Dataset):
    questions = root_container(report, "QUESTIONS")
    assert questions is not None
    pairs = [
        [each.TextValue for each in item.ContentSequence]
        for item in questions.ContentSequence
        if name_of(item) == "QUESTION_ANSWER"
    ]
    assert pairs == [
        ["is there a pacemaker in <img0>?", "yes, a pacemaker."],
        ["where is the heart", "The mask of heart is [mask]."],
        ["Describe the region.", "a round opacity."],
        ["Describe the region.", "(The model wrote nothing.)"],
    ]


def test_what_a_person_typed_is_told_from_what_the_software_worded(report: Dataset):
    assert texts(report, "QUESTION_PERSON") == ["where is the heart"]
    assert len(texts(report, "QUESTION")) == 3


def test_answers_are_marked_as_unverified_and_no_part_of_the_impression(report: Dataset):
    questions = root_container(report, "QUESTIONS")
    assert questions is not None
    assert questions.ContentSequence[0].TextValue == ANSWERS_NOTICE
    answers = [each for pair in questions.ContentSequence[1:] for each in pair.ContentSequence][1::2]
    meanings = {item.ConceptNameCodeSequence[0].CodeMeaning for item in answers}
    assert meanings == {"Answer of the AI model, not verified"}
    assert texts(report, "121073") == ["No acute process."]
    assert texts(report, "121071") == ["The heart is normal."]


def test_questions_of_the_protocol_are_no_questions_and_answers():
    ds = header()
    asked = Answer(Task.REPORT, "Write the findings for <img0>.", "Clear lungs.")
    report = only(write_results(replace(chest_reading(ds), answers=(asked,)), sources(ds), RUN), "SR")
    assert root_container(report, "QUESTIONS") is None
    assert root_container(report, "APPENDIX") is not None


def test_without_answers_there_is_neither_container(chest_report: Dataset):
    assert root_container(chest_report, "QUESTIONS") is None
    assert root_container(chest_report, "APPENDIX") is None


def test_a_study_that_is_not_judged_gets_no_answers():
    ds = header()
    reading = replace(
        asked_reading(ds), abstention="this is no chest radiograph", captions=(), narrative=None
    )
    report = only(write_results(reading, sources(ds), RUN), "SR")
    assert root_container(report, "QUESTIONS") is None
    assert root_container(report, "APPENDIX") is None
    assert "pacemaker" not in str(report)


def test_a_described_region_is_drawn_on_its_image_with_the_words_of_the_model(report: Dataset):
    described = [group for group in groups(report) if child(group, "111058")]
    assert [texts(group, "111058") for group in described] == [
        ["a round opacity."],
        ["(The model wrote nothing.)"],
    ]
    for group in described:
        finding, region = child(group, "121071"), child(group, "111030")
        assert finding is not None
        assert value_of(finding) == "REGION_DESCRIBED"
        assert region is not None
        (source,) = region.ContentSequence
        assert source.ReferencedSOPSequence[0].ReferencedSOPInstanceUID == header().SOPInstanceUID
        assert not any(item.ValueType == "NUM" for item in group.ContentSequence)
        assert group.ContentTemplateSequence[0].TemplateIdentifier == "1410"
    region = child(described[0], "111030")
    assert region is not None
    # Columns 0.20 to 0.28 of 48, rows 0.30 to 0.38 of 64, clockwise from the top left.
    corners = [9.6, 19.2, 13.44, 19.2, 13.44, 24.32, 9.6, 24.32, 9.6, 19.2]
    assert [float(value) for value in region.GraphicData] == pytest.approx(corners, abs=1e-4)


def test_regions_are_things_of_their_own_and_of_one_image():
    uids: set[str] = set()
    for name in ("1.2.3.4.1.1", "1.2.3.4.1.2"):
        ds = header(SOPInstanceUID=name)
        report = only(write_results(asked_reading(ds), sources(ds), RUN), "SR")
        uids |= {child(group, "112040").UID for group in groups(report) if child(group, "111058")}
    assert len(uids) == 4


def test_regions_lie_on_a_layer_of_their_own(results: tuple[Dataset, ...]):
    annotations = only(results, "PR").GraphicAnnotationSequence
    assert {annotation.GraphicLayer for annotation in annotations} == {"AI_REGIONS"}
    captions = [annotation.TextObjectSequence[0].UnformattedTextValue for annotation in annotations]
    assert captions == ["AI: region 1", "AI: region 2"]


def test_a_region_outside_the_image_stops_the_report():
    ds = header()
    outside = Caption(box("region", ds, low=(1.2, 1.2), high=(1.4, 1.4)), "nothing")
    with pytest.raises(CoordinatesError):
        write_results(replace(asked_reading(ds), captions=(outside,)), sources(ds), RUN)


def test_a_picture_says_what_was_asked_and_answered(results: tuple[Dataset, ...]):
    overlays = overlays_on(header(), 1, results)
    said = [statement.text for statement in overlays.statements]
    assert "region 1: a round opacity." in said
    assert said.index("Asked: where is the heart") + 1 == said.index(
        "Answered, not verified: The mask of heart is [mask]."
    )
    assert [rectangle.is_finding for rectangle in overlays.rectangles] == [False, False]


def test_appendix_holds_every_answer_word_by_word_with_its_probabilities(report: Dataset):
    appendix = root_container(report, "APPENDIX")
    assert appendix is not None
    first, *answers = [item.TextValue for item in appendix.ContentSequence]
    assert first == APPENDIX_NOTICE
    assert answers[0] == (
        "Task: report\r\nAsked: Write the findings for <img0>.\r\nAnswered: The heart is normal.\r\n"
        "Token probability: least 0.5000, mean 0.8000 over 3 tokens"
    )
    assert "<2DSEG>" in answers[2]
    assert answers[2].endswith("Token probability: not known")
    assert len(answers) == 5


def test_appendix_is_the_last_thing_that_a_reader_comes_to(report: Dataset):
    assert name_of(report.ContentSequence[-1]) == "APPENDIX"


def test_conditions_of_the_reading_are_parameters_of_the_algorithm(report: Dataset):
    parameters = texts(report, "111002")
    assert parameters == [
        f"weights sha256 {'ab' * 32}",
        "demonstration weights trained on phantoms",
        "family medversa, generation v0",
        "software medversa-node 0.1.0",
        "device cuda, precision bfloat16",
        "decoding greedy, seed 7",
        "library torch 2.13.0",
        "library transformers 5.0",
    ]


def test_other_objects_name_the_generation_too(chest_results: tuple[Dataset, ...]):
    for ds in chest_results:
        told = " ".join(str(item.get("ContributionDescription")) for item in ds.ContributingEquipmentSequence)
        assert "generation v0" in told
    (algorithm,) = only(chest_results, "SEG").SegmentSequence[0].SegmentationAlgorithmIdentificationSequence
    assert "generation" in algorithm.AlgorithmParameters


@pytest.mark.parametrize(
    ("text", "read"),
    [
        ("lung,<DET>,<DET>.", "lung,[box],[box]."),
        ("hernia,<N/A>.", "hernia,[none]."),
        ("liver is <3DSEG>.", "liver is [mask]."),
        ("", "(The model wrote nothing.)"),
        ("\x00\x1b", "(The model wrote nothing.)"),
        ("a\nb", "a\r\nb"),
    ],
)
def test_tags_of_the_model_are_put_into_words(text: str, read: str):
    assert readable_answer(text) == read


def test_an_answer_without_text_is_still_a_value():
    assert raw_answer(Answer(Task.VQA, "q", "", (0.125,))) == (
        "Task: visual question answering\r\nAsked: q\r\nAnswered: (The model wrote nothing.)\r\n"
        "Token probability: least 0.1250, mean 0.1250 over 1 tokens"
    )


@pytest.mark.parametrize("question", ["¿Hay un nódulo?", "結節はありますか", "a" * 3000])
def test_a_question_in_any_script_and_length_survives_the_file(question: str, tmp_path: Path):
    ds = header()
    asked = Answer(Task.VQA, question, question, (), True)
    reading = replace(asked_reading(ds), answers=(asked,))
    results = write_results(reading, sources(ds), RUN)
    report = reread(only(results, "SR"), tmp_path)
    assert texts(report, "QUESTION_PERSON") == [question]
    assert texts(report, "ANSWER") == [question]
    assert publication_faults(results, sources(ds), reading) == []


def test_same_answers_same_bytes_and_another_answer_another_object():
    ds = header()
    first, again = (only(write_results(asked_reading(ds), sources(ds), RUN), "SR") for _ in range(2))
    assert first.SOPInstanceUID == again.SOPInstanceUID
    reading = asked_reading(ds)
    changed = replace(reading, answers=(replace(reading.answers[0], token_probabilities=(0.1,)),))
    other = only(write_results(changed, sources(ds), RUN), "SR")
    assert other.SOPInstanceUID != first.SOPInstanceUID
