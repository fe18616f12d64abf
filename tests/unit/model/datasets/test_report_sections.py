"""Sections of reports: headings as the publishers' parser takes them, and reports with their own rule."""

import pytest

from model.training.datasets.report_sections import (
    CONCLUSION_AT,
    CONCLUSION_IN,
    WITHOUT_CONCLUSION,
    ReportSections,
    meaning_of,
    sections_of,
)

PUBLISHED = {
    "impression": "IMPRESSION CONCLUSION IMPRESSON IMPRRESSION IMORESSION IMPRESSOIN IMPRSSION IMPRESION "
    "IMPERSSION MPRESSION IMPESSION",
    "findings": "FINDINGS FINDING FINDINS FINDINDGS FINDGINGS FINDNGS FINDNINGS FINIDNGS",
    "comparison": "COMPARISON COMPARISONS COMPARISION COMPARSION COMPARRISON COMPARISIONS",
    "indication": "INDICATION IDICATION",
    "history": "HISTORY PFI",
    "examination": "EXAMINATION EXAM",
    "recommendations": "RECOMMENDATIONS RECOMMENDATION RECOMMENDATION(S)",
    "technique": "TECHNIQUE",
    "notification": "NOTIFICATION",
    "date": "DATE",
    "comment": "COMMENT",
    "addendum": "ADDENDUM",
}
"""Headings of one word and what MIT-LCP/mimic-cxr takes them for."""

PHRASES = {
    "CLINICAL HISTORY": "history",
    "REASON FOR EXAMINATION": "indication",
    "REASON FOR EXAM": "indication",
    "CLINICAL INFORMATION": "history",
    "CLINICAL INDICATION": "indication",
    "CHEST, TWO VIEWS": "findings",
    "TYPE OF EXAMINATION": "examination",
    "REFERENCE EXAM": "comparison",
    "PATIENT HISTORY": "history",
    "COMPARISON EXAM": "comparison",
    "FINDINGS AND IMPRESSION": "impression",
    "WET READ": "wet read",
    "COMPARISON FILM": "comparison",
    "FINDINGS/IMPRESSION": "impression",
    "FINDINGS/ IMPRESSION": "impression",
    "REFERENCE FINDINGS": "findings",
    "PORTABLE AP": "findings",
    "PA AND LATERAL VIEWS OF THE CHEST": "findings",
    "AP AND LATERAL": "findings",
    "LATERAL AND PA": "findings",
    "FRONTAL SEMI-UPRIGHT RADIOGRAPH": "findings",
    "ONE VIEW": "findings",
    "BONE WINDOW": "findings",
    "RIBS": "findings",
}
"""The same of several words."""


@pytest.mark.parametrize(
    ("heading", "meaning"),
    [(heading, meaning) for meaning, headings in PUBLISHED.items() for heading in headings.split()]
    + list(PHRASES.items()),
)
def test_a_heading_means_what_the_publishers_take_it_for(heading: str, meaning: str) -> None:
    assert meaning_of(heading) == meaning


def test_a_heading_that_only_sounds_alike_is_no_misspelling() -> None:
    assert meaning_of("MEDICATION") == "medication"


WHOLE = (
    "                     FINAL REPORT\n EXAMINATION:  CHEST (PA AND LAT)\n \n INDICATION:  Cough\n"
    " and fever.\n \n COMPARISON:  ___.\n \n FINDINGS: \n \n Clear lungs.  No\n effusion.\n \n"
    " IMPRESSION: \n \n No acute process.\n"
)


def test_a_report_is_cut_at_its_headings_and_read_without_line_breaks() -> None:
    assert sections_of(WHOLE) == ReportSections(
        "Cough and fever.", "___.", "Clear lungs. No effusion.", "No acute process."
    )


def test_history_stands_for_a_missing_indication() -> None:
    assert sections_of("\n HISTORY:  Fall.\n IMPRESSION:  Fracture.\n").indication == "Fall."


def test_an_indication_goes_before_the_history() -> None:
    assert sections_of("\n HISTORY:  Fall.\n INDICATION:  Pain.\n IMPRESSION:  x\n").indication == "Pain."


def test_of_two_sections_the_last_that_is_not_empty_counts() -> None:
    text = "\n CHEST, PA LATERAL:  First.\n INDICATION:  x\n FINDINGS:  Second.\n FINDINGS: \n \n"
    assert sections_of(text).findings == "Second."


def test_a_title_without_text_is_no_findings_section() -> None:
    text = "\n CHEST, PA AND LATERAL: \n \n INDICATION:  Cough.\n IMPRESSION:  Normal.\n"
    assert sections_of(text) == ReportSections("Cough.", None, None, "Normal.")


def test_a_colon_in_the_first_line_of_a_section_begins_no_other() -> None:
    text = "\n FINDINGS:\n AP VIEW: clear lungs.\n"
    assert sections_of(text).findings == "AP VIEW: clear lungs."


def test_a_colon_within_a_sentence_begins_nothing() -> None:
    text = "\n FINDINGS:  Two tubes:\n one high. ET tube: in place.\n"
    assert sections_of(text).findings == "Two tubes: one high. ET tube: in place."


@pytest.mark.parametrize("text", ["", "FINAL REPORT\n", "No headings.\n \n Lungs are clear.\n"])
def test_a_report_without_headings_has_no_sections(text: str) -> None:
    assert sections_of(text) == ReportSections()


def test_a_conclusion_under_another_heading_is_found() -> None:
    text = "\n EXAMINATION:  Chest.\n \n INDICATION:  No pneumothorax.\n"
    assert sections_of(text, "57936451") == ReportSections(impression="No pneumothorax.")
    assert sections_of(text, "50000001") == ReportSections(indication="No pneumothorax.")


def test_a_conclusion_without_heading_is_taken_from_its_place() -> None:
    text = "x" * 59 + "Clear\n lungs. " + "y" * 400
    assert sections_of(text, "56579911").impression == "Clear lungs. " + "y" * (218 - 59 - 14)


def test_a_report_that_describes_nothing_has_no_sections() -> None:
    assert sections_of(WHOLE, "58235663") == ReportSections()


def test_no_study_has_two_rules_of_its_own() -> None:
    ruled = [*CONCLUSION_AT, *CONCLUSION_IN, *WITHOUT_CONCLUSION]
    assert len(ruled) == len(set(ruled)) == 54
    assert all(len(study) == 8 and study.isdigit() for study in ruled)
