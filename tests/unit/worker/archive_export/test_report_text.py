"""What of a report stays."""

import pytest

from worker.archive_export.identifiers import Identifiers
from worker.archive_export.report_text import CleanText, TextCleaner, safe_words
from worker.errors import AskedAmissError

NOBODY = Identifiers(frozenset(), frozenset())
DOE = Identifiers(frozenset({"doe", "janos"}), frozenset({("123456",), ("st", "mary", "hospital")}))


def clean(text: str, identifiers: Identifiers = NOBODY) -> CleanText:
    return TextCleaner(identifiers, safe_words()).clean(text)


def test_an_ordinary_report_stays_word_for_word() -> None:
    told = (
        "The cardiac silhouette is mildly enlarged. No pleural effusion or pneumothorax. "
        "There is a 2.3 x 1.8 cm nodule in the right upper lobe, unchanged. Degenerative changes at T8-T9."
    )

    assert clean(told) == CleanText(told)


@pytest.mark.parametrize(
    "identifying",
    [
        "12 March 2019",
        "March 12, 2019",
        "12.03.2019",
        "2019-03-12",
        "3/12/19",
        "10:45 am",
        "+49 30 1234567",
        "reader@clinic.example",
        "Dr. Thornbury",
        "A1234567",
    ],
)
def test_dates_numbers_and_titled_names_become_gaps(identifying: str) -> None:
    found = clean(f"Comparison is made with {identifying}. Lungs are clear.")

    assert found.text.startswith("Comparison is made with ___")
    assert found.text.endswith("Lungs are clear.")
    assert not any(word in found.text for word in identifying.replace(".", " ").split() if len(word) > 2)


def test_identity_of_the_header_becomes_a_gap_however_it_is_written() -> None:
    found = clean("The lungs of DÖE, János are clear at St. Mary Hospital, 123456.", DOE)

    assert not any(part in found.text for part in ("DÖE", "János", "Mary", "Hospital", "123456"))


def test_a_sentence_with_an_unknown_word_is_left_out_and_counted() -> None:
    assert clean("Brought by Granny Weatherwax. Lungs are clear.") == CleanText("Lungs are clear.", 1)


def test_a_name_that_is_a_word_of_reports_costs_its_sentence() -> None:
    """Without the word the sentence would say the opposite."""
    called_no = Identifiers(frozenset({"no"}), frozenset())

    assert clean("No pneumothorax. Heart is normal.", called_no) == CleanText("Heart is normal.", 1)


def test_sentences_about_people_are_left_out() -> None:
    found = clean("Discussed with the attending. Signed by Long. Heart is normal.")

    assert found == CleanText("Heart is normal.", 2)


@pytest.mark.parametrize(
    "text", ["В лёгких без изменений.", "심장 크기는 정상입니다.", "Cœur et poumons sans anomalie."]
)
def test_languages_that_are_not_known_are_left_out_whole(text: str) -> None:
    assert clean(text) == CleanText("", 1)


def test_a_site_can_add_words(tmp_path) -> None:
    words = tmp_path / "words.txt"
    words.write_text("Herz\nnormal\ngroß\n", encoding="utf-8")

    assert TextCleaner(NOBODY, safe_words(words)).clean("Herz normal groß.").left_out == 0


def test_a_file_of_words_that_is_no_text_is_refused(tmp_path) -> None:
    (tmp_path / "words").write_bytes(b"\xff\xfe\x00")

    with pytest.raises(AskedAmissError, match="UTF-8"):
        safe_words(tmp_path / "words")


def test_hidden_characters_do_not_hide_a_name() -> None:
    assert "D" not in clean("The lungs of D\u200boe are clear.", DOE).text.replace("___", "")
