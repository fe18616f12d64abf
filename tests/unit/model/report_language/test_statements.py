"""What radiology English says, by its meaning: present, absent or doubted, on which side, how large."""

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from model.reading import CHEST_FINDINGS, Laterality, Presence
from model.report_language.statements import Statement, statements_in
from model.report_language.terms import every_label
from model.vocabulary import DEMO, RELEASED

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


KNOWN = (*RELEASED.chest_findings, *RELEASED.told_only)
OPACITY, ATELECTASIS, PNEUMONIA = "lung opacity", "atelectasis", "pneumonia"
EDEMA, CONGESTION, MASS = (
    "pulmonary edema/hazy opacity",
    "vascular congestion",
    "mass/nodule (not otherwise specified)",
)


def votes(text: str) -> set[tuple[str, Presence, Laterality | None]]:
    return {(s.label, s.presence, s.laterality) for s in statements_in(text, KNOWN)}


NEGATION = [
    ("No focal consolidation, pleural effusion, or pneumothorax.",
     {(CONSOLIDATION, ABSENT), (EFFUSION, ABSENT), (PNEUMOTHORAX, ABSENT)}),
    ("Neither effusion nor pneumothorax is seen.", {(EFFUSION, ABSENT), (PNEUMOTHORAX, ABSENT)}),
    ("No evidence of pneumothorax, but a small effusion is seen.",
     {(PNEUMOTHORAX, ABSENT), (EFFUSION, PRESENT)}),
    ("Consolidation and effusion are not seen.", {(CONSOLIDATION, ABSENT), (EFFUSION, ABSENT)}),
    ("Small effusion, pneumothorax is not seen.", {(EFFUSION, PRESENT), (PNEUMOTHORAX, ABSENT)}),
    ("Effusion or pneumothorax is not identified.", {(EFFUSION, ABSENT), (PNEUMOTHORAX, ABSENT)}),
    ("No pneumothorax, small pleural effusion.", {(PNEUMOTHORAX, ABSENT), (EFFUSION, PRESENT)}),
    ("No pleural effusion, large consolidation, or pneumothorax.",
     {(EFFUSION, ABSENT), (CONSOLIDATION, ABSENT), (PNEUMOTHORAX, ABSENT)}),
    ("The examination is negative for pneumonia.", {(PNEUMONIA, ABSENT)}),
    ("There is atelectasis rather than pneumonia.", {(ATELECTASIS, PRESENT), (PNEUMONIA, ABSENT)}),
    ("The pneumothorax has resolved.", {(PNEUMOTHORAX, ABSENT)}),
    ("The film is not without a small effusion.", {(EFFUSION, PRESENT)}),
    ("No change in the effusion.", {(EFFUSION, PRESENT)}),
    ("No abnormality other than a small effusion.", {(EFFUSION, PRESENT)}),
    ("The heart does not appear enlarged.", {(HEART, ABSENT)}),
    ("No focal consolidation concerning for pneumonia.", {(CONSOLIDATION, ABSENT), (PNEUMONIA, ABSENT)}),
    ("Lungs are free of consolidation.", {(CONSOLIDATION, ABSENT)}),
    ("The lung bases are not well seen due to an effusion.", {(EFFUSION, PRESENT)}),
    ("There is no effusion; mild cardiomegaly.", {(EFFUSION, ABSENT), (HEART, PRESENT)}),
    ("Mild cardiomegaly without pulmonary edema.", {(HEART, PRESENT), (EDEMA, ABSENT)}),
    ("No pericardial effusion.", {("pericardial effusion", ABSENT)}),
]  # fmt: skip

DOUBT = [
    ("A small pneumothorax cannot be excluded.", {(PNEUMOTHORAX, UNDETERMINED)}),
    ("Cannot exclude a small effusion.", {(EFFUSION, UNDETERMINED)}),
    ("Pneumonia is possible.", {(PNEUMONIA, UNDETERMINED)}),
    ("Pneumonia is unlikely.", {(PNEUMONIA, UNDETERMINED)}),
    ("An opacity may represent atelectasis or pneumonia.",
     {(OPACITY, PRESENT), (ATELECTASIS, UNDETERMINED), (PNEUMONIA, UNDETERMINED)}),
    ("Opacity concerning for pneumonia.", {(OPACITY, PRESENT), (PNEUMONIA, UNDETERMINED)}),
    ("Opacity consistent with pneumonia.", {(OPACITY, PRESENT), (PNEUMONIA, PRESENT)}),
    ("Atelectasis versus pneumonia.", {(ATELECTASIS, UNDETERMINED), (PNEUMONIA, UNDETERMINED)}),
    ("There may be a small effusion.", {(EFFUSION, UNDETERMINED)}),
    ("Pneumonia should be considered.", {(PNEUMONIA, UNDETERMINED)}),
    ("The heart is borderline enlarged.", {(HEART, UNDETERMINED)}),
    ("Evaluation for pneumothorax is limited.", {(PNEUMOTHORAX, UNDETERMINED)}),
    ("No definite pneumothorax.", {(PNEUMOTHORAX, ABSENT)}),
]  # fmt: skip

SET_ASIDE: list[tuple[str, set[tuple[str, Presence]]]] = [
    ("History of pneumonia.", set()),
    ("Evaluate for effusion.", set()),
    ("Rule out pneumothorax.", set()),
    ("If there is clinical concern for pneumonia, computed tomography is recommended.", set()),
    ("Status post resection of a lung mass.", set()),
    ("Low lung volumes limit the examination.", set()),
    ("Effusion in a patient with a history of heart failure.", {(EFFUSION, PRESENT)}),
]

SYNONYMS = [
    ("Cardiomegaly.", {(HEART, PRESENT)}),
    ("Enlargement of the cardiac silhouette.", {(HEART, PRESENT)}),
    ("The cardiomediastinal silhouette is within normal limits.",
     {(HEART, ABSENT), ("mediastinal widening", ABSENT)}),
    ("The cardiac, mediastinal and hilar contours are normal.",
     {(HEART, ABSENT), ("mediastinal widening", ABSENT), ("enlarged hilum", ABSENT)}),
    ("Heart size normal.", {(HEART, ABSENT)}),
    ("The heart is enlarged and the mediastinum is normal.",
     {(HEART, PRESENT), ("mediastinal widening", ABSENT)}),
    ("There is a pulmonary mass.", {(MASS, PRESENT)}),
    ("Calcified granuloma.", {("calcified nodule", PRESENT)}),
    ("Airspace opacities.", {("airspace opacity", PRESENT)}),
    ("Interstitial edema with vascular engorgement.", {(EDEMA, PRESENT), (CONGESTION, PRESENT)}),
    ("Ground glass opacity.", {(EDEMA, PRESENT)}),
    ("Linear atelectasis.", {("linear/patchy atelectasis", PRESENT)}),
    ("Collapse of the lower lobe.", {("lobar/segmental collapse", PRESENT)}),
    ("Hyperinflated lungs with flattened diaphragms, in keeping with COPD.",
     {("hyperaeration", PRESENT), ("copd/emphysema", PRESENT)}),
    ("Subcutaneous emphysema.", {("subcutaneous air", PRESENT)}),
    ("The aorta is tortuous and calcified.",
     {("tortuous aorta", PRESENT), ("vascular calcification", PRESENT)}),
    ("Widening of the mediastinum.", {("mediastinal widening", PRESENT)}),
    ("The trachea is deviated.", {("mediastinal displacement", PRESENT)}),
    ("The trachea is midline.", {("mediastinal displacement", ABSENT)}),
    ("Hiatal hernia.", {("hernia", PRESENT)}),
    ("No free air under the diaphragm.", {("sub-diaphragmatic air", ABSENT)}),
    ("No acute displaced fracture.",
     {("rib fracture", ABSENT), ("clavicle fracture", ABSENT), ("spinal fracture", ABSENT)}),
    ("Healed fractures of the fifth and sixth ribs.", {("rib fracture", PRESENT)}),
    ("Biapical pleural thickening.", {("pleural/parenchymal scarring", PRESENT)}),
    ("Aspiration pneumonia.", {("aspiration", PRESENT)}),
    ("An endotracheal tube and a nasogastric tube are in place.",
     {("endotracheal tube", PRESENT), ("enteric tube", PRESENT)}),
    ("A PICC ends in the superior vena cava.", {("central venous catheter", PRESENT)}),
    ("Clear costophrenic angles.", {(EFFUSION, ABSENT), ("costophrenic angle blunting", ABSENT)}),
    ("Increased interstitial markings.", {("increased reticular markings/ild pattern", PRESENT)}),
]  # fmt: skip


@pytest.mark.parametrize(("text", "expected"), [*NEGATION, *DOUBT, *SET_ASIDE, *SYNONYMS])
def test_presence_by_radiological_meaning(text: str, expected: set[tuple[str, Presence]]) -> None:
    assert {(label, presence) for label, presence, _ in votes(text)} == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            "Right lower lobe consolidation and small left pleural effusion.",
            {(CONSOLIDATION, PRESENT, RIGHT), (EFFUSION, PRESENT, LEFT)},
        ),
        (
            "Bilateral pleural effusions, left greater than right, with adjacent atelectasis.",
            {(EFFUSION, PRESENT, BOTH), (ATELECTASIS, PRESENT, BOTH)},
        ),
        (
            "Consolidation and effusion on the right.",
            {(CONSOLIDATION, PRESENT, RIGHT), (EFFUSION, PRESENT, RIGHT)},
        ),
        (
            "In the left lower lobe, there is consolidation.",
            {(CONSOLIDATION, PRESENT, LEFT)},
        ),
        ("LLL pneumonia.", {(PNEUMONIA, PRESENT, LEFT)}),
        ("Bibasilar atelectasis.", {(ATELECTASIS, PRESENT, BOTH)}),
        ("Left-sided effusion.", {(EFFUSION, PRESENT, LEFT)}),
        ("Opacities in the left upper and right lower lobes.", {(OPACITY, PRESENT, BOTH)}),
        ("Left heart border obscured; cardiomegaly.", {(HEART, PRESENT, None)}),
        ("Right pneumothorax with leftward mediastinal shift.",
         {(PNEUMOTHORAX, PRESENT, RIGHT), ("mediastinal displacement", PRESENT, None)}),
        ("No left pleural effusion.", {(EFFUSION, ABSENT, LEFT)}),
        ("Blunting of the left costophrenic angle.", {("costophrenic angle blunting", PRESENT, LEFT)}),
        ("The right hemidiaphragm is elevated.", {("elevated hemidiaphragm", PRESENT, RIGHT)}),
    ],
)  # fmt: skip
def test_each_finding_has_its_own_side(
    text: str, expected: set[tuple[str, Presence, Laterality | None]]
) -> None:
    assert votes(text) == expected


def test_denial_of_one_lung_is_limited_to_it() -> None:
    assert {s.laterality for s in statements_in("The left lung is clear.", KNOWN)} == {LEFT}


def test_exception_takes_the_general_denial_back() -> None:
    text = "The lungs are clear except for a nodule in the right upper lobe."
    assert votes(text) == {(MASS, PRESENT, RIGHT)}


@pytest.mark.parametrize(
    ("text", "severity"),
    [
        ("Small left effusion.", "small"),
        ("The effusion is large.", "large"),
        ("Trace effusion with moderate cardiomegaly.", "trace"),
        ("Effusion.", None),
    ],
)
def test_size_is_the_reports_own_word(text: str, severity: str | None) -> None:
    assert [s.severity for s in statements_in(text, [EFFUSION])] == [severity]


@pytest.mark.parametrize("label", [*DEMO.chest_findings, *KNOWN])
def test_every_name_of_a_vocabulary_has_words(label: str) -> None:
    assert label in every_label()


SIDED = st.lists(
    st.sampled_from(
        [
            *(
                "left",
                "right",
                "bilateral",
                "no",
                "small",
                "effusion",
                "opacity",
                "pneumothorax",
                "and",
                "or",
            ),
            *(
                "with",
                "in the",
                "lower lobe",
                ",",
                "is",
                "not seen",
                "possible",
                "consolidation",
                "on the",
                "heart",
            ),
            *("greater than", "enlarged", ".", "without", "lungs are clear", "but", "both"),
        ]
    ),
    max_size=14,
).map(" ".join)


def flipped(text: str) -> str:
    return re.sub(r"\b(left|right)\b", lambda m: "left" if m[0] == "right" else "right", text)


def other(statement: Statement) -> tuple[str, Presence, Laterality | None, str | None]:
    sides = {LEFT: RIGHT, RIGHT: LEFT}
    side = sides.get(statement.laterality, statement.laterality) if statement.laterality else None
    return (statement.label, statement.presence, side, statement.zone)


@settings(deadline=None)
@given(SIDED)
def test_left_and_right_are_read_alike(text: str) -> None:
    here = [other(statement) for statement in statements_in(text, KNOWN)]
    there = [(s.label, s.presence, s.laterality, s.zone) for s in statements_in(flipped(text), KNOWN)]
    assert here == there


@settings(deadline=None)
@given(st.text(max_size=300))
def test_no_text_makes_the_parser_fall(text: str) -> None:
    for statement in statements_in(f"There is an effusion {text}", KNOWN):
        assert statement.label in KNOWN
        assert statement.sentence
