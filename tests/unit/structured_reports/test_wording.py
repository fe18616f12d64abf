"""Text is fit for DICOM and says what it should."""

import pytest

from model.reading import Laterality, Modality
from structured_reports.wording import clean_text, compared_with, named, series_description


def test_lines_end_with_carriage_return_and_line_feed():
    assert clean_text("a\nb\r\nc\rd") == "a\r\nb\r\nc\r\nd"


def test_control_characters_go_and_letters_of_any_script_stay():
    assert clean_text("a\x00b\x1b\x85 Узел 結節 ß") == "ab Узел 結節 ß"


@pytest.mark.parametrize("modality", list(Modality))
@pytest.mark.parametrize("revision", [1, 2, 99999])
def test_series_description_says_ai_and_research_and_fits(modality: Modality, revision: int):
    text = series_description("segments", modality, revision)
    assert text.startswith("AI")
    assert "(RESEARCH)" in text
    assert len(text) <= 64


@pytest.mark.parametrize(
    ("label", "side", "expected"),
    [
        ("lung nodule", Laterality.RIGHT, "right lung nodule"),
        ("left lung", Laterality.LEFT, "left lung"),
        ("kidneys", Laterality.BILATERAL, "kidneys"),
        ("heart", None, "heart"),
        ("kidney", None, "kidneys"),
        ("kidney", Laterality.BILATERAL, "kidneys"),
        ("kidney", Laterality.RIGHT, "right kidney"),
        ("svc", None, "superior vena cava"),
        ("right upper lung zone", Laterality.RIGHT, "right upper lung zone"),
    ],
)
def test_a_side_is_named_once(label: str, side: Laterality | None, expected: str):
    assert named(label, side) == expected


def test_prior_is_named_by_its_date():
    assert compared_with("20250101", "Larger.") == "Compared with the prior study of 2025-01-01.\r\nLarger."
    assert "unknown date" in compared_with("", "Larger.")
