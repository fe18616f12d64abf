"""What may not be shown of a generated report is left out, and told."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from model.report_language.cleaning import clean_report, report_parts
from model.report_language.sentences import sentences_of


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
        ("Mild edema. There is a small a small a small effusion.", "Mild edema.", "repeats itself"),
        ("No effusion. The the the the heart is large.", "No effusion.", "repeats itself"),
        ("No effusion. Findings discussed with Dr. ___ by phone.", "No effusion.", "more than the images"),
        ("No effusion. Normal\u202eheart.", "No effusion.", "control tag"),
        ("No effusion. Again seen is a left effusion.", "No effusion.", "without a prior"),
        ("No effusion. The right effusion has resolved.", "No effusion.", "without a prior"),
        ("No effusion. The lungs are", "No effusion.", "unfinished"),
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
    "text",
    [
        "There are increased interstitial markings.",
        "Lung volumes are low with decreased lung volumes on the left.",
        "Changes of prior granulomatous disease are seen.",
        "Clips from prior CABG.",
        "There are degenerative changes of the spine.",
    ],
)
def test_words_of_change_that_describe_one_image_are_kept(text: str) -> None:
    assert clean_report(text, complete=True).value == text


def test_numbers_of_a_list_are_dropped() -> None:
    assert sentences_of("1. Small effusion. 2. No pneumothorax.") == ["Small effusion.", "No pneumothorax."]


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("Findings: No effusion. Impression: Normal.", ("Findings: No effusion.", "Normal.")),
        ("FINDINGS: No effusion. IMPRESSION: Normal.", ("FINDINGS: No effusion.", "Normal.")),
        ("No effusion.", ("No effusion.", "")),
    ],
)
def test_whole_report_is_split(text: str, parts: tuple[str, str]) -> None:
    assert report_parts(text) == parts


@settings(deadline=None)
@given(st.text(max_size=300), st.booleans())
def test_no_tag_or_control_character_survives(text: str, complete: bool) -> None:
    parsed = clean_report(text, complete=complete)
    assert not set("<>#") & set(parsed.value)
    assert parsed.value.isprintable()
    assert complete or parsed.caveats


@settings(deadline=None)
@given(
    st.lists(
        st.sampled_from(["No effusion.", "<DET>.", "###.", "A new nodule.", "\x07."]),
        max_size=9,
    )
)
def test_whatever_is_left_out_is_told(pieces: list[str]) -> None:
    parsed = clean_report(" ".join(pieces), complete=True)
    assert parsed.value in ("", "No effusion.")
    assert bool(parsed.caveats) or set(pieces) <= {"No effusion."}
