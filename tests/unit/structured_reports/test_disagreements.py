"""A reader learns first that a finding is contested, by what, and what was concluded."""

from dataclasses import replace

import pytest
from pydicom.dataset import Dataset

from model.reading import Disagreement, Presence
from structured_reports.codes import WAYS
from structured_reports.conformance import publication_faults
from structured_reports.overlays import overlays_on
from structured_reports.provenance import DEMO_NOTICE
from structured_reports.registry import write_results
from structured_reports.wording import contested
from tests.unit.structured_reports.readings import (
    RUN,
    chest_reading,
    child,
    groups,
    header,
    items,
    name_of,
    only,
    sources,
    texts,
    value_of,
)
from tests.unit.structured_reports.whole_readings import contested_reading

PRESENT, ABSENT, UNDETERMINED = "52101004", "272519000", "373068000"


@pytest.fixture(scope="module")
def results() -> tuple[Dataset, ...]:
    ds = header()
    return write_results(contested_reading(ds), sources(ds), RUN)


@pytest.fixture(scope="module")
def report(results: tuple[Dataset, ...]) -> Dataset:
    return only(results, "SR")


def evaluations(report: Dataset) -> list[Dataset]:
    (container,) = [item for item in report.ContentSequence if name_of(item) == "C0034375"]
    return list(container.ContentSequence)


@pytest.mark.parametrize(
    ("said", "concluded", "sentence"),
    [
        (
            (("report text", Presence.PRESENT), ("boxes", Presence.ABSENT)),
            Presence.UNDETERMINED,
            "Contested: hernia. Report text: present; boxes: none; concluded: undetermined.",
        ),
        (
            (("yes/no answer", Presence.ABSENT), ("masks", Presence.PRESENT)),
            Presence.PRESENT,
            "Contested: hernia. Yes/no answer: absent; masks: present; concluded: present.",
        ),
        (
            # The masks of heart and lungs are there; what they show is that the heart is not enlarged.
            (("impression", Presence.PRESENT), ("masks", Presence.ABSENT)),
            Presence.UNDETERMINED,
            "Contested: hernia. Impression: present; masks: absent; concluded: undetermined.",
        ),
        ((), Presence.ABSENT, "Contested: hernia. Concluded: absent."),
    ],
)
def test_a_contradiction_is_one_sentence_for_a_radiologist(
    said: tuple[tuple[str, Presence], ...], concluded: Presence, sentence: str
):
    assert contested(Disagreement("hernia", said, concluded)) == sentence


def test_contradictions_stand_before_every_word_of_the_model(report: Dataset):
    kinds = [name_of(item) for item in evaluations(report)]
    last_contest = max(place for place, kind in enumerate(kinds) if kind == "CONTESTED_FIND")
    assert kinds.count("CONTESTED_FIND") == 3
    assert last_contest < kinds.index("121071")
    assert last_contest < kinds.index("121073")
    assert evaluations(report)[kinds.index("CONTESTED_FIND") - 1].TextValue == DEMO_NOTICE


def test_each_way_and_the_conclusion_are_coded(report: Dataset):
    effusion, heart, pneumothorax = [
        {name_of(each): value_of(each) for each in item.ContentSequence if each.ValueType == "CODE"}
        for item in evaluations(report)
        if name_of(item) == "CONTESTED_FIND"
    ]
    assert effusion == {
        "60046008": PRESENT,
        "SAID_REPORT": PRESENT,
        "SAID_YES_NO": ABSENT,
        "SAID_BOXES": PRESENT,
    }
    assert heart == {"8186001": UNDETERMINED, "SAID_REPORT": PRESENT, "SAID_BOXES": ABSENT}
    assert pneumothorax == {"36118008": ABSENT, "SAID_LIST": PRESENT, "SAID_YES_NO": ABSENT}


@pytest.mark.parametrize(
    "way", ["report text", "impression", "yes/no answer", "list of labels", "boxes", "masks"]
)
def test_every_way_that_the_model_is_asked_in_has_a_code(way: str):
    assert WAYS[way].scheme_designator == "99MEDVERSA"
    assert WAYS[way].meaning.lower() == way


def test_a_way_that_no_table_has_is_coded_by_its_own_words():
    ds = header()
    ways = (("second reading", Presence.PRESENT),)
    reading = replace(chest_reading(ds), disagreements=(Disagreement("pneumothorax", ways, Presence.ABSENT),))
    report = only(write_results(reading, sources(ds), RUN), "SR")
    (said,) = [
        item
        for item in items(report)
        if "ConceptNameCodeSequence" in item
        and item.ConceptNameCodeSequence[0].CodeMeaning == "second reading"
    ]
    assert said.ConceptNameCodeSequence[0].CodingSchemeDesignator == "99MEDVERSA"
    assert value_of(said) == PRESENT


def test_the_group_of_a_contested_finding_says_so_before_its_presence(report: Dataset):
    for group in groups(report):
        if child(group, "705057003") is None:
            continue
        names = [name_of(item) for item in group.ContentSequence]
        finding = child(group, "121071")
        assert finding is not None
        is_contested = value_of(finding) in {"60046008", "8186001"}
        assert ("CONSISTENCY" in names) is is_contested
        if is_contested:
            assert names.index("CONSISTENCY") < names.index("705057003")
            assert any(text.startswith("Contested: ") for text in texts(group, "121106"))


def test_a_contested_absent_finding_is_marked_among_the_absent(report: Dataset):
    absent = next(item for item in evaluations(report) if name_of(item) == "ABSENT_FINDINGS")
    marks = {
        name_of(item): [value_of(each) for each in item.get("ContentSequence", ())]
        for item in absent.ContentSequence
        if item.ValueType == "CODE"
    }
    assert marks == {"36118008": ["CONTESTED"], "95436008": []}
    assert texts(absent, "121106") == ["Called absent: pneumothorax (contested), consolidation."]


def test_the_pathology_of_a_contest_is_never_a_finding_of_its_own(report: Dataset):
    for item in evaluations(report):
        if name_of(item) == "CONTESTED_FIND":
            assert "121071" not in {name_of(each) for each in item.ContentSequence}


def test_the_words_of_the_model_stay_as_they_are(report: Dataset):
    plain = only(write_results(chest_reading(header()), sources(header()), RUN), "SR")
    for name in ("121071", "121073"):
        assert texts(report, name) == texts(plain, name)


def test_a_drawn_box_of_a_contested_finding_says_so(results: tuple[Dataset, ...]):
    captions = [
        annotation.TextObjectSequence[0].UnformattedTextValue
        for annotation in only(results, "PR").GraphicAnnotationSequence
    ]
    assert "AI: left pleural effusion 71 % contested" in captions
    assert "AI: right lung nodule 93 %" in captions


def test_a_picture_says_so_beside_the_image(results: tuple[Dataset, ...]):
    said = [statement.text for statement in overlays_on(header(), 1, results).statements]
    assert "left pleural effusion, contested, 71 %" in said
    assert "enlarged cardiac silhouette, contested, undetermined" in said
    assert "no pneumothorax, contested" in said
    assert "no lung consolidation" in said


def test_a_report_that_hides_a_contest_is_held_back(results: tuple[Dataset, ...]):
    ds = header()
    assert publication_faults(results, sources(ds), contested_reading(ds)) == []
    hidden = write_results(chest_reading(ds), sources(ds), RUN)
    faults = publication_faults(hidden, sources(ds), contested_reading(ds))
    assert faults.count("a contested finding is not called contested") == 3
