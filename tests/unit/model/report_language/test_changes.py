"""What a comparison says became of each finding; what cannot be read is told and never coded."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from model.reading import CHEST_FINDINGS, ChangeStatus, Laterality
from model.report_language.changes import changes_in
from model.vocabulary import RELEASED

LEFT, RIGHT, BOTH = Laterality.LEFT, Laterality.RIGHT, Laterality.BILATERAL
NODULE, CONSOLIDATION, EFFUSION, PNEUMOTHORAX, HEART = CHEST_FINDINGS


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("The left pleural effusion has increased.", [(EFFUSION, ChangeStatus.INCREASED, LEFT)]),
        ("The right lung nodule is new.", [(NODULE, ChangeStatus.NEW, RIGHT)]),
        ("The enlarged cardiac silhouette is unchanged.", [(HEART, ChangeStatus.UNCHANGED, None)]),
        ("The enlarged cardiac silhouette has increased.", [(HEART, ChangeStatus.INCREASED, None)]),
        ("The right pneumothorax has resolved.", [(PNEUMOTHORAX, ChangeStatus.RESOLVED, RIGHT)]),
        (
            "The left lung consolidation has decreased. The right pleural effusion is stable.",
            [(CONSOLIDATION, ChangeStatus.DECREASED, LEFT), (EFFUSION, ChangeStatus.UNCHANGED, RIGHT)],
        ),
        ("No significant change.", []),
    ],
)
def test_changes(text: str, expected: list[tuple[str, ChangeStatus, Laterality | None]]) -> None:
    parsed = changes_in(text)
    assert [(c.label, c.status, c.laterality) for c in parsed.value] == expected
    assert parsed.caveats == ()


@pytest.mark.parametrize(
    "text",
    [
        "",
        "The dragon has increased.",
        "The pleural effusion has",
        "The pleural effusion has increased and decreased.",
        "Left effusion is new and pneumothorax.",
        "No new consolidation.",
        "The pleural effusion is not new.",
        "The pleural effusion.",
    ],
)
def test_change_that_cannot_be_read_is_told(text: str) -> None:
    parsed = changes_in(text)
    assert parsed.value == ()
    assert parsed.caveats


def test_contradicting_changes_are_told() -> None:
    parsed = changes_in("The left pleural effusion is new. The left pleural effusion has resolved.")
    assert [c.status for c in parsed.value] == [ChangeStatus.NEW]
    assert "contradicts itself" in parsed.caveats[0]


def test_twins_are_told_apart_by_zone() -> None:
    parsed = changes_in("The right upper lung nodule is new. The right lower lung nodule is unchanged.")
    assert [c.status for c in parsed.value] == [ChangeStatus.NEW, ChangeStatus.UNCHANGED]
    assert parsed.caveats == ()


NEW, RESOLVED, UNCHANGED = ChangeStatus.NEW, ChangeStatus.RESOLVED, ChangeStatus.UNCHANGED
INCREASED, DECREASED = ChangeStatus.INCREASED, ChangeStatus.DECREASED
KNOWN = (*RELEASED.chest_findings, *RELEASED.told_only)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Effusion and pneumothorax are new.", [(EFFUSION, NEW, None), (PNEUMOTHORAX, NEW, None)]),
        (
            "Interval increase in left pleural effusion and atelectasis.",
            [(EFFUSION, INCREASED, LEFT), ("atelectasis", INCREASED, LEFT)],
        ),
        (
            "The left pleural effusion has increased and the right effusion has decreased.",
            [(EFFUSION, INCREASED, LEFT), (EFFUSION, DECREASED, RIGHT)],
        ),
        (
            "The main image has additional findings of pleural effusion, and lung opacity than the reference "
            "image.",
            [(EFFUSION, NEW, None), ("lung opacity", NEW, None)],
        ),
        (
            "The main image is missing the findings of atelectasis than the reference image.",
            [("atelectasis", RESOLVED, None)],
        ),
        ("The level of pleural effusion has changed from small to moderate.", [(EFFUSION, INCREASED, None)]),
        ("The level of cardiomegaly has changed from severe to mild.", [(HEART, DECREASED, None)]),
        ("The right pneumothorax is no longer seen.", [(PNEUMOTHORAX, RESOLVED, RIGHT)]),
        (
            "Stable cardiomegaly and mild vascular congestion.",
            [(HEART, UNCHANGED, None), ("vascular congestion", UNCHANGED, None)],
        ),
        ("Near complete resolution of the right pleural effusion.", [(EFFUSION, DECREASED, RIGHT)]),
        ("There has been no significant change in the left effusion.", [(EFFUSION, UNCHANGED, LEFT)]),
        (
            "The bilateral opacities have improved, while the small left effusion persists.",
            [("lung opacity", DECREASED, BOTH), (EFFUSION, UNCHANGED, LEFT)],
        ),
        ("Pulmonary edema has worsened.", [("pulmonary edema/hazy opacity", INCREASED, None)]),
        ("Increased interstitial markings are unchanged.",
         [("increased reticular markings/ild pattern", UNCHANGED, None)]),
        ("Nothing has changed.", []),
    ],
)  # fmt: skip
def test_change_of_any_label_is_coded(
    text: str, expected: list[tuple[str, ChangeStatus, Laterality | None]]
) -> None:
    parsed = changes_in(text, KNOWN)
    assert [(c.label, c.status, c.laterality) for c in parsed.value] == expected
    assert parsed.caveats == ()


def test_the_sentence_is_the_evidence_of_a_change() -> None:
    (change,) = changes_in("No pneumothorax. The left effusion is larger.").value
    assert change.evidence == "The left effusion is larger."


@settings(deadline=None)
@given(st.text(max_size=200))
def test_no_text_makes_the_parser_fall_and_what_it_codes_is_clean(text: str) -> None:
    parsed = changes_in(f"The effusion is new {text}.", KNOWN)
    assert parsed.value or parsed.caveats or "change" in text.lower()
    assert not any(set("<>#\x00\x1b") & set(change.evidence) for change in parsed.value)
