"""Which earlier studies are worth comparing with."""

from dataclasses import replace

import pytest

from dicom_node.admission import Patient
from dicom_node.priors.relevance import MOST_POINTS, judge, judged
from dicom_node.priors.source import Candidate
from dicom_node.study import StudyInstanceUID

PATIENT = Patient("P1", "HOSPITAL", "19500101", "F")
CURRENT = Candidate(StudyInstanceUID("1.1"), "20260310", "101500", ("DX",), ("CHEST",), (), PATIENT)
EARLIER = replace(CURRENT, study_instance_uid=StudyInstanceUID("1.2"), study_date="20260124")


def test_judgement_says_why_in_words_without_identity() -> None:
    assert (
        judge(CURRENT, EARLIER).why
        == "same modality group (radiograph), same body part (chest), 45 days before"
    )


@pytest.mark.parametrize(
    "change",
    [
        {"study_date": "20260311"},
        {"study_date": "20260310"},
        {"study_date": "20260310", "study_time": ""},
        {"study_date": "20260310", "study_time": "101500.5"},
        {"study_date": ""},
        {"study_date": "2026XX01"},
        {"study_date": "20260231"},
        {"modalities": ("CT",)},
        {"modalities": ("MR",)},
        {"modalities": ("SR", "SEG", "PR")},
        {"body_parts": ("HAND",)},
        {"body_parts": (), "descriptions": ("Knee left",)},
        {"patient": replace(PATIENT, patient_id="P2")},
        {"patient": replace(PATIENT, issuer="ELSEWHERE")},
        {"patient": replace(PATIENT, birth_date="19500102")},
        {"patient": replace(PATIENT, sex="M")},
        {"study_instance_uid": CURRENT.study_instance_uid},
    ],
)
def test_what_is_not_comparable_is_left_out(change: dict[str, object]) -> None:
    assert judge(CURRENT, replace(EARLIER, **change)).obstacle


@pytest.mark.parametrize(
    "change",
    [
        {"modalities": ("CR",)},
        {"modalities": ("OT", "DX")},
        {"modalities": ("OT",)},
        {"body_parts": ("THORAX",)},
        {"body_parts": (), "descriptions": ("CXR PA",)},
        {"body_parts": ()},
        {"study_date": "20260310", "study_time": "101459"},
        {"patient": replace(PATIENT, birth_date="", sex="")},
    ],
)
def test_what_is_comparable_is_found(change: dict[str, object]) -> None:
    assert not judge(CURRENT, replace(EARLIER, **change)).obstacle


def test_of_equals_the_newest_comes_first() -> None:
    dates = ["20240101", "20260309", "20250601"]
    candidates = [
        replace(EARLIER, study_instance_uid=StudyInstanceUID(f"2.{n}"), study_date=date)
        for n, date in enumerate(dates)
    ]

    chosen = [judgement.candidate.study_date for judgement in judged(CURRENT, candidates)]

    assert chosen == ["20260309", "20250601", "20240101"]


def test_neither_modality_nor_body_part_known_is_not_enough() -> None:
    vague = replace(EARLIER, modalities=("OT",), body_parts=(), descriptions=())

    assert judge(CURRENT, vague).obstacle == "neither modality nor body part is known to be the same"


LEFT_KNEE = replace(CURRENT, body_parts=("KNEE",), lateralities=("L",))


@pytest.mark.parametrize(
    "change",
    [
        {"lateralities": ("R",)},
        {"lateralities": (), "descriptions": ("Knee RT AP",)},
        {"lateralities": (), "body_parts": (), "descriptions": ("Right knee",)},
    ],
)
def test_other_side_is_left_out(change: dict[str, object]) -> None:
    earlier = replace(LEFT_KNEE, **{"study_instance_uid": "1.3", "study_date": "20260101", **change})

    assert judge(LEFT_KNEE, earlier).obstacle == "the other side (right)"


@pytest.mark.parametrize("lateralities", [("L",), ("B",), ("L", "R"), ("U",), ()])
def test_same_both_and_unstated_sides_stay(lateralities: tuple[str, ...]) -> None:
    earlier = replace(
        LEFT_KNEE,
        study_instance_uid=StudyInstanceUID("1.3"),
        study_date="20260101",
        lateralities=lateralities,
    )

    assert not judge(LEFT_KNEE, earlier).obstacle


def test_left_lateral_view_of_a_chest_is_no_side() -> None:
    earlier = replace(EARLIER, descriptions=("Chest right lateral",))

    assert not judge(replace(CURRENT, descriptions=("Chest left lateral",)), earlier).obstacle


@pytest.mark.parametrize(
    ("part", "better", "worse"),
    [
        ("modality", {}, {"modalities": ("CR",)}),
        ("modality", {"modalities": ("CR",)}, {"modalities": ("OT",)}),
        ("body part", {}, {"body_parts": ()}),
        ("procedure", {"procedures": ("LN 30745-4",)}, {"procedures": ("LN 36643-5",)}),
        ("view", {"views": ("AP",)}, {"views": ("LL",)}),
        ("side", {"lateralities": ("L",)}, {}),
        ("age", {}, {"study_date": "20250124"}),
        ("patient", {}, {"patient": replace(PATIENT, issuer="")}),
    ],
)
def test_each_part_of_the_score_decides_by_itself(
    part: str, better: dict[str, object], worse: dict[str, object]
) -> None:
    current = replace(CURRENT, procedures=("LN 30745-4",), views=("PA",), lateralities=("L",))
    first = replace(EARLIER, **{"study_instance_uid": "2.1", **better})
    second = replace(EARLIER, **{"study_instance_uid": "2.2", **worse})

    best, other = judged(current, [second, first])

    assert best.candidate is first
    assert best.parts[part].points > other.parts[part].points
    assert {name for name in MOST_POINTS if best.parts[name] != other.parts[name]} == {part}


def test_points_add_up_to_a_hundred() -> None:
    """A perfect prior: everything stated, everything equal, the same day."""
    current = replace(CURRENT, procedures=("LN 30745-4",), views=("PA",), lateralities=("L",))
    perfect = replace(current, study_instance_uid=StudyInstanceUID("1.2"), study_time="080000")

    assert sum(MOST_POINTS.values()) == 100
    assert judge(current, perfect).score == 100


def test_last_comparable_study_beats_an_older_one_that_is_more_alike() -> None:
    current = replace(CURRENT, procedures=("LN 30745-4",), views=("PA",))
    alike = replace(
        EARLIER, study_date="20210101", procedures=("LN 30745-4",), views=("PA",), study_instance_uid="3.1"
    )
    last = replace(EARLIER, study_date="20260301", modalities=("CR",), study_instance_uid="3.2")

    assert [one.candidate for one in judged(current, [alike, last])] == [last, alike]


def test_what_cannot_be_compared_comes_last_with_its_reason() -> None:
    hand = replace(EARLIER, study_instance_uid=StudyInstanceUID("4.1"), body_parts=("HAND",))

    assert [one.obstacle for one in judged(CURRENT, [hand, EARLIER])] == [
        "",
        "another body part (upper limb)",
    ]
