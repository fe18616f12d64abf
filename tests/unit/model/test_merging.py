"""What several ways say of one finding becomes one conclusion; what contradicts it is recorded."""

import pytest

from model.merging import Evidence, Merged, merge_findings
from model.reading import BoundingBox, Laterality, Presence
from model.report_language.statements import statements_in
from model.vocabulary import DEMO, RELEASED
from model.volume import FrameKey

LEFT, RIGHT = Laterality.LEFT, Laterality.RIGHT
PRESENT, ABSENT, UNDETERMINED = Presence.PRESENT, Presence.ABSENT, Presence.UNDETERMINED
EFFUSION, OPACITY = "pleural effusion", "lung opacity"
TOLD = (*RELEASED.chest_findings, *RELEASED.told_only)


def merged(
    report: str = "",
    *,
    impression: str = "",
    yes: float | None = None,
    labels: set[str] | None = None,
    boxes: int | None = None,
) -> Merged:
    box = BoundingBox(EFFUSION, FrameKey("1.2"), (0, 0), (9, 9), LEFT)
    evidence = Evidence(
        probabilities={} if yes is None else {EFFUSION: yes},
        labels=None if labels is None else frozenset(labels),
        statements=statements_in(report, TOLD),
        impression=statements_in(impression, TOLD),
        boxes={} if boxes is None else {EFFUSION: [box] * boxes},
    )
    return merge_findings(evidence, RELEASED)


def test_agreement_records_nothing() -> None:
    result = merged("Left pleural effusion.", yes=0.9, labels={EFFUSION}, boxes=1)
    (effusion,) = [f for f in result.findings if f.label == EFFUSION]
    assert (effusion.presence, effusion.certainty, effusion.laterality) == (PRESENT, 0.9, LEFT)
    assert (result.caveats, result.disagreements) == ([], {})


def test_every_way_is_recorded_where_one_contradicts() -> None:
    result = merged("No pleural effusion.", yes=0.9, labels={EFFUSION}, boxes=1)
    said = (
        ("yes/no answer", PRESENT),
        ("report text", ABSENT),
        ("boxes", PRESENT),
        ("list of labels", PRESENT),
    )
    assert result.disagreements[EFFUSION].said == said
    assert result.disagreements[EFFUSION].concluded is PRESENT
    assert result.caveats == ["The report text and the conclusion on pleural effusion disagree."]


def test_two_against_the_answer_leave_it_undetermined() -> None:
    result = merged("No pleural effusion.", yes=0.9, boxes=0)
    assert result.disagreements[EFFUSION].concluded is UNDETERMINED
    assert [f.presence for f in result.findings] == [UNDETERMINED]


def test_contradiction_among_others_is_recorded_where_the_answer_is_unsure() -> None:
    result = merged("No pleural effusion.", yes=0.5, boxes=1)
    assert result.disagreements[EFFUSION].concluded is UNDETERMINED


@pytest.mark.parametrize(
    ("report", "impression", "told"),
    [
        ("Left pleural effusion.", "Left pleural effusion.", False),
        ("Left pleural effusion.", "No acute abnormality.", False),
        ("Left pleural effusion.", "No pleural effusion.", True),
        ("No pneumothorax.", "Pneumothorax.", True),
        ("The heart is normal.", "Pleural effusion.", True),
    ],
)
def test_impression_may_pass_over_but_not_add_or_deny(report: str, impression: str, told: bool) -> None:
    result = merged(report, impression=impression)
    assert any("Findings and impression disagree" in caveat for caveat in result.caveats) is told


def test_impression_alone_concludes_nothing() -> None:
    assert merged(impression="Pleural effusion.").findings == []


@pytest.mark.parametrize(
    ("report", "expected"),
    [
        ("No left pleural effusion. Small right pleural effusion.", PRESENT),
        ("No right pleural effusion. Small right pleural effusion.", UNDETERMINED),
        ("No right pleural effusion. No left pleural effusion.", ABSENT),
        ("No pleural effusion. Small right pleural effusion.", UNDETERMINED),
    ],
)
def test_denial_of_one_side_denies_that_side_only(report: str, expected: Presence) -> None:
    (effusion, *_) = [f for f in merged(report).findings if f.label == EFFUSION]
    assert effusion.presence is expected


def test_denial_of_one_side_alone_concludes_nothing() -> None:
    assert merged("No left pleural effusion.").findings == []


def test_what_only_the_report_speaks_of_is_believed_with_its_words() -> None:
    (tube,) = merged("An endotracheal tube is in place.").findings
    assert (tube.label, tube.presence) == ("endotracheal tube", PRESENT)
    assert tube.evidence == "An endotracheal tube is in place."


def test_names_are_told_as_a_report_says_them() -> None:
    label = "pulmonary edema/hazy opacity"
    evidence = Evidence(probabilities={label: 0.9}, statements=statements_in("No pulmonary edema.", TOLD))
    told = merge_findings(evidence, RELEASED).caveats
    assert told == ["The report text and the conclusion on pulmonary edema or hazy opacity disagree."]


def test_demonstration_weights_conclude_on_their_own_names_only() -> None:
    statements = statements_in("Left consolidation. Pneumomediastinum.", DEMO.chest_findings)
    found = merge_findings(Evidence(statements=statements), DEMO).findings
    assert [(f.label, f.laterality) for f in found] == [("consolidation", LEFT)]


def test_size_goes_with_its_side() -> None:
    found = merged("Small right pleural effusion. Large left pleural effusion.").findings
    assert {f.laterality: f.severity for f in found} == {RIGHT: "small", LEFT: "large"}
