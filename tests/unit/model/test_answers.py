"""Generated text becomes statements or caveats; what breaks a grammar is never a finding."""

import numpy as np
import pytest

from model.answers import (
    changes_in,
    clean_report,
    detections_in,
    diagnosis_in,
    has_segment,
    is_frontal_chest,
    labels_in,
    sentences_of,
    statements_in,
    yes_or_no,
)
from model.reading import CHEST_FINDINGS, ChangeStatus, Laterality, Presence

PRESENT, ABSENT, UNDETERMINED = Presence.PRESENT, Presence.ABSENT, Presence.UNDETERMINED
LEFT, RIGHT, BOTH = Laterality.LEFT, Laterality.RIGHT, Laterality.BILATERAL
NODULE, CONSOLIDATION, EFFUSION, PNEUMOTHORAX, HEART = CHEST_FINDINGS


def said(text: str) -> list[tuple[str, Presence, Laterality | None, str | None]]:
    return [(s.label, s.presence, s.laterality, s.zone) for s in statements_in(text)]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("There is a small nodule in the right upper lung zone.", [(NODULE, PRESENT, RIGHT, "upper")]),
        ("There is consolidation in the left lower lung zone.", [(CONSOLIDATION, PRESENT, LEFT, "lower")]),
        ("There is a moderate left pleural effusion.", [(EFFUSION, PRESENT, LEFT, None)]),
        ("Bilateral pleural effusions are seen.", [(EFFUSION, PRESENT, BOTH, None)]),
        ("Effusions on the right and left.", [(EFFUSION, PRESENT, BOTH, None)]),
        ("The cardiac silhouette is enlarged.", [(HEART, PRESENT, None, None)]),
        ("Cardiomegaly.", [(HEART, PRESENT, None, None)]),
        ("The cardiac silhouette is normal in size.", [(HEART, ABSENT, None, None)]),
        ("The heart is not enlarged.", [(HEART, ABSENT, None, None)]),
        ("The left heart border is sharp.", []),
        ("The lungs are clear.", [(NODULE, ABSENT, None, None), (CONSOLIDATION, ABSENT, None, None)]),
        (
            "No pleural effusion or pneumothorax.",
            [(EFFUSION, ABSENT, None, None), (PNEUMOTHORAX, ABSENT, None, None)],
        ),
        (
            "Small right effusion, no pneumothorax.",
            [(EFFUSION, PRESENT, RIGHT, None), (PNEUMOTHORAX, ABSENT, None, None)],
        ),
        (
            "There is a left nodule without effusion.",
            [(NODULE, PRESENT, LEFT, None), (EFFUSION, ABSENT, None, None)],
        ),
        (
            "No pneumothorax is seen and there is a left effusion.",
            [(PNEUMOTHORAX, ABSENT, None, None), (EFFUSION, PRESENT, LEFT, None)],
        ),
        ("Pneumothorax is not seen.", [(PNEUMOTHORAX, ABSENT, None, None)]),
        ("A pneumothorax cannot be excluded.", [(PNEUMOTHORAX, UNDETERMINED, None, None)]),
        ("Possible right pneumothorax.", [(PNEUMOTHORAX, UNDETERMINED, RIGHT, None)]),
        ("There is a pericardial effusion.", []),
        ("No acute abnormality.", []),
        ("", []),
    ],
)
def test_report_sentences(
    text: str, expected: list[tuple[str, Presence, Laterality | None, str | None]]
) -> None:
    assert said(text) == expected


def test_sentence_is_the_evidence() -> None:
    (statement,) = statements_in("The lungs are hazy. There is a left pleural effusion.")
    assert statement.sentence == "There is a left pleural effusion."


def test_decimal_points_and_headings_end_no_sentence() -> None:
    assert sentences_of("Findings: A nodule of 1.5 cm. Impression: Nodule.") == [
        "A nodule of 1.5 cm.",
        "Nodule.",
    ]


@pytest.mark.parametrize(
    ("text", "kept", "caveat"),
    [
        ("The lungs are clear. There is a large", "The lungs are clear.", "unfinished"),
        ("The lungs are clear. The effusion is <DET>.", "The lungs are clear.", "control tag"),
        ("The lungs are clear. ###Human:.", "The lungs are clear.", "control tag"),
        ("The effusion is unchanged. No pneumothorax.", "No pneumothorax.", "without a prior"),
        ("There is a new nodule. No pneumothorax.", "No pneumothorax.", "without a prior"),
        ("Compared with the previous study, stable. No pneumothorax.", "No pneumothorax.", "without a prior"),
        ("No nodule. No nodule. No nodule. No nodule.", "No nodule.", "repeats"),
    ],
)
def test_what_may_not_be_shown_is_left_out_and_told(text: str, kept: str, caveat: str) -> None:
    parsed = clean_report(text, complete=True)
    assert parsed.value == kept
    assert any(caveat in told for told in parsed.caveats)


def test_cut_report_is_told() -> None:
    assert "cut" in clean_report("The lungs are clear.", complete=False).caveats[0]


def test_clean_report_stays_as_it_is() -> None:
    text = "The lungs are clear. No pleural effusion or pneumothorax."
    parsed = clean_report(text, complete=True)
    assert (parsed.value, parsed.caveats) == (text, ())


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("lung nodule,pleural effusion", {NODULE, EFFUSION}),
        ("lung nodule, pleural effusion.", {NODULE, EFFUSION}),
        ("no finding", set()),
    ],
)
def test_labels(text: str, expected: set[str]) -> None:
    parsed = labels_in(text)
    assert (parsed.value, parsed.caveats) == (expected, ())


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("lung nodule,dragon", frozenset({NODULE})),
        ("dragon", None),
        ("no finding,lung nodule", None),
        ("", None),
    ],
)
def test_strange_labels_are_told(text: str, expected: frozenset[str] | None) -> None:
    parsed = labels_in(text)
    assert parsed.value == expected
    assert parsed.caveats


@pytest.mark.parametrize(("text", "expected"), [("Yes.", True), ("no", False), ("Maybe.", None), ("", None)])
def test_yes_or_no(text: str, expected: bool | None) -> None:
    assert yes_or_no(text) is expected


NAMES = ("left lung", "heart", "spine")


def test_detection_in_question_order_with_its_tags() -> None:
    parsed = detections_in("left lung,<DET>.heart,<N/A>.spine,<DET>,<DET>.", NAMES)
    assert [(d.name, d.tags) for d in parsed.value] == [("left lung", (0,)), ("heart", ()), ("spine", (1, 2))]
    assert parsed.caveats == ()


@pytest.mark.parametrize(
    ("text", "found", "caveat"),
    [
        ("left lung,<DET>.liver,<DET>.spine,<DET>.", {"left lung": (0,), "spine": (2,)}, "malformed"),
        ("left lung,<DET>.heart,<N/A>.", {"left lung": (0,), "heart": ()}, "says nothing of spine"),
        ("left lung,<DET>.left lung,<DET>.spine,<DET>.heart,<N/A>.",
         {"left lung": (0,), "heart": (), "spine": (2,)}, "twice"),
        ("left lung.heart,<N/A>.spine,<N/A>.", {"heart": (), "spine": ()}, "malformed"),
        ("left lung,<DET>.heart,<DET>,<DET>,<DET>,<DET>.spine,<N/A>.",
         {"left lung": (0,), "heart": (1, 2, 3), "spine": ()}, "More than 3"),
        ("left lung,<DET>,<N/A>.heart,<N/A>.spine,<N/A>.", {"heart": (), "spine": ()}, "malformed"),
        ("left lung,<DET>.heart,<N/A>.spine,<DE", {"left lung": (0,), "heart": ()}, "malformed"),
        ("le<DET>ft lung,<DET>.heart,<N/A>.spine,<N/A>.", {"heart": (), "spine": ()}, "malformed"),
        ("left lung,<2DSEG>.heart,<N/A>.spine,<N/A>.", {"heart": (), "spine": ()}, "malformed"),
        ("", {}, "says nothing"),
    ],
)  # fmt: skip
def test_malformed_detection(text: str, found: dict[str, tuple[int, ...]], caveat: str) -> None:
    parsed = detections_in(text, NAMES)
    assert {d.name: d.tags for d in parsed.value} == found
    assert any(caveat in told for told in parsed.caveats)


def test_five_hundred_broken_detections_never_raise_nor_invent_a_name() -> None:
    rng = np.random.default_rng(7)
    pieces = [
        "left lung",
        "heart",
        ",",
        ".",
        "<DET>",
        "<N/A>",
        "<2DSEG>",
        "<",
        ">",
        "liver",
        " ",
        "<img0>",
        "###",
    ]
    for _ in range(500):
        text = "".join(rng.choice(pieces, rng.integers(0, 20)))
        parsed = detections_in(text, NAMES)
        for detected in parsed.value:
            assert detected.name in NAMES
            assert all(tag < text.count("<DET>") for tag in detected.tags)
        assert parsed.caveats


@pytest.mark.parametrize(
    ("text", "tag", "expected", "told"),
    [
        ("The segmentation mask of liver is <3DSEG>.", "<3DSEG>", True, False),
        ("There is no liver in the volume.", "<3DSEG>", False, False),
        ("The segmentation mask of liver is <2DSEG>.", "<3DSEG>", False, True),
        ("The segmentation mask of spleen is <3DSEG>.", "<3DSEG>", False, True),
        ("The segmentation mask of liver is <3DSEG><3DSEG>.", "<3DSEG>", False, True),
        ("The liver.", "<3DSEG>", False, True),
        ("", "<3DSEG>", False, True),
    ],
)
def test_segmentation_answer(text: str, tag: str, expected: bool, told: bool) -> None:
    parsed = has_segment(text, "liver", tag)
    assert parsed.value is expected
    assert bool(parsed.caveats) is told


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
        "The pleural effusion and pneumothorax are new.",
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


def test_nevus_stays_a_nevus() -> None:
    assert diagnosis_in("The main diagnosis is melanocytic nevus.").value == "melanocytic nevus"
    assert diagnosis_in("The main diagnosis is melanoma.").value == "melanoma"


@pytest.mark.parametrize("text", ["", "A wart.", "Melanoma or basal cell carcinoma."])
def test_diagnosis_that_is_not_one_is_told(text: str) -> None:
    parsed = diagnosis_in(text)
    assert parsed.value is None
    assert parsed.caveats


def test_gate_answer() -> None:
    assert is_frontal_chest("A frontal chest radiograph.")
    assert not is_frontal_chest("Not a frontal chest radiograph.")
    assert not is_frontal_chest("")
