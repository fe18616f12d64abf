"""The report as a document: what stands on its pages, in which script, and what the object says of it."""

import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest
from pydicom import Dataset, dcmread, dcmwrite
from pydicom.uid import EncapsulatedPDFStorage

from model.reading import Narrative
from structured_reports.conformance import publication_faults, validate_file
from structured_reports.errors import FontError
from structured_reports.fonts import ROOTS, installed_fonts
from structured_reports.profiles import Profile
from structured_reports.provenance import DEMO_NOTICE, DISCLAIMER
from structured_reports.readout.values import encapsulated_document
from structured_reports.registry import write_results
from tests.document_fonts import needs_japanese, needs_text_font
from tests.unit.structured_reports.readings import (
    MODEL,
    RUN,
    chest_reading,
    ct_reading,
    ct_slices,
    grown_nodule,
    header,
    prior_of,
    sources,
)
from tests.unit.structured_reports.test_picture import with_pixels

RUSSIAN = "В правом лёгком узел. Ёлка, съёмка, объём — без изменений."
JAPANESE = "右肺に結節を認めます。心拡大はありません。"
GERMAN = "Größerer Rundherd, „Überlagerung“ möglich – Äußeres unauffällig."


needs_pdftotext = pytest.mark.skipif(shutil.which("pdftotext") is None, reason="pdftotext is not installed")


def document(words: str = "A nodule in the right lung.", language: str = "en-US") -> Dataset:
    ds = with_pixels(header(PatientName="Doe^Jane"), 1000)
    reading = replace(chest_reading(ds, [grown_nodule()]), narrative=Narrative(words, "Nodule."))
    run = replace(RUN, language=language)
    (result,) = write_results(reading, sources(ds, priors=[prior_of(ds)]), run, Profile.LEGACY_PDF)
    return result


@pytest.fixture(scope="module")
def english() -> Dataset:
    return document()


def text_of(ds: Dataset, folder: Path) -> str:
    """What a reader finds on the pages, by poppler."""
    path = folder / "document.pdf"
    path.write_bytes(encapsulated_document(ds))
    done = subprocess.run(["pdftotext", "-layout", str(path), "-"], capture_output=True, check=True)
    return " ".join(done.stdout.decode("utf-8").split())


@needs_text_font
def test_it_is_an_encapsulated_pdf(english: Dataset) -> None:
    """PS3.3 C.24.1 and C.24.2."""
    assert english.SOPClassUID == EncapsulatedPDFStorage
    assert (english.Modality, english.SeriesNumber) == ("DOC", 9501)
    assert english.MIMETypeOfEncapsulatedDocument == "application/pdf"
    assert len(english.EncapsulatedDocument) % 2 == 0
    assert encapsulated_document(english).startswith(b"%PDF-1.")
    assert encapsulated_document(english).rstrip().endswith(b"%%EOF")
    assert english.BurnedInAnnotation == "NO"
    assert english.ConversionType == "WSD"
    assert english.ConceptNameCodeSequence[0].CodeValue == "18748-4"
    (source,) = english.SourceInstanceSequence
    assert source.ReferencedSOPInstanceUID == "1.2.3.4.1.1"


@needs_text_font
def test_it_is_filed_with_its_source(english: Dataset) -> None:
    assert (english.StudyInstanceUID, english.PatientID, str(english.PatientName)) == (
        "1.2.3.4",
        "P1",
        "Doe^Jane",
    )
    assert english.SeriesDescription == "AI document, Chest radiograph (RESEARCH)"
    assert english.VerificationFlag == "UNVERIFIED"


@needs_text_font
def test_it_passes_gate_and_validator(english: Dataset, tmp_path: Path) -> None:
    ds = with_pixels(header(PatientName="Doe^Jane"), 1000)
    reading = chest_reading(ds, [grown_nodule()])
    given = sources(ds, priors=[prior_of(ds)])
    assert publication_faults([english], given, reading, has_report=False) == []
    path = tmp_path / "document.dcm"
    dcmwrite(path, english, enforce_file_format=True)
    verdict = validate_file(path)
    assert verdict.errors == (), verdict.validator
    assert encapsulated_document(dcmread(path)) == encapsulated_document(english)


@needs_text_font
@needs_pdftotext
def test_the_pages_say_what_it_is_and_what_was_found(english: Dataset, tmp_path: Path) -> None:
    said = text_of(english, tmp_path)
    assert said.count(DISCLAIMER) >= 2, "in the notice and at the foot of each page"
    assert DEMO_NOTICE in said
    assert MODEL.weights_sha256 in said.replace(" ", "")
    assert f"{MODEL.name} {MODEL.version}" in said
    assert f"medversa-node {RUN.software_version}" in said
    assert "A nodule in the right lung." in said
    assert "right lung nodule, 93 %, increased since the prior" in said
    assert "Compared with the prior study of 2025-01-01." in said
    assert "no lung consolidation" in said


@needs_text_font
@needs_pdftotext
def test_the_pages_do_not_name_the_patient(english: Dataset, tmp_path: Path) -> None:
    said = text_of(english, tmp_path)
    assert "Doe" not in said
    assert "19700101" not in said


@needs_text_font
@needs_pdftotext
@pytest.mark.parametrize(
    ("language", "words"),
    [
        ("de", GERMAN),
        ("ru", RUSSIAN),
        pytest.param("ja", JAPANESE, marks=needs_japanese),
        pytest.param("ja", f"{JAPANESE} {RUSSIAN}", marks=needs_japanese),
        pytest.param("ja", f"{JAPANESE}\n{RUSSIAN}\n{JAPANESE}\n{GERMAN}", marks=needs_japanese),
    ],
)
def test_words_of_other_languages_are_printed_as_they_are(language: str, words: str, tmp_path: Path) -> None:
    said = text_of(document(words, language), tmp_path)
    assert "".join(words.split()) in said.replace(" ", "")


@needs_text_font
def test_what_no_font_has_is_refused_instead_of_printed_as_boxes() -> None:
    with pytest.raises(FontError, match=r"CUNEIFORM.*install") as refused:
        document("\U00012000\U00012001")
    assert "\U00012000" not in str(refused.value)


@needs_text_font
def test_a_machine_without_japanese_says_what_to_install(tmp_path: Path) -> None:
    """Only the Latin and Cyrillic font is there."""
    (tmp_path / "DejaVuSans.ttf").write_bytes(installed_fonts().of("a").read_bytes())
    with pytest.raises(FontError, match="fonts-ipaexfont-gothic"):
        installed_fonts([tmp_path]).of(JAPANESE)
    assert installed_fonts([tmp_path]).of(RUSSIAN + GERMAN) == tmp_path / "DejaVuSans.ttf"


def test_a_machine_without_any_font_says_what_to_install(tmp_path: Path) -> None:
    with pytest.raises(FontError, match="fonts-dejavu-core"):
        installed_fonts([tmp_path])
    assert ROOTS[0] == Path("/usr/share/fonts")


@needs_text_font
def test_equal_arguments_give_equal_bytes(english: Dataset) -> None:
    again = document()
    assert again.EncapsulatedDocument == english.EncapsulatedDocument
    assert again.SOPInstanceUID == english.SOPInstanceUID
    assert document("Another finding.").SOPInstanceUID != english.SOPInstanceUID


@needs_text_font
def test_every_page_of_a_stack_has_its_pictures() -> None:
    slices = [with_pixels(ds, 1000) for ds in ct_slices()]
    (result,) = write_results(ct_reading(slices), sources(*slices), RUN, Profile.LEGACY_PDF)
    # Liver and spleen are fullest on one slice, the kidneys on the next.
    assert encapsulated_document(result).count(b"/Subtype /Image") == 2
    assert len(result.SourceInstanceSequence) == len(slices)


@needs_text_font
@needs_pdftotext
def test_a_reading_without_words_still_says_what_was_found(tmp_path: Path) -> None:
    slices = [with_pixels(ds, 1000) for ds in ct_slices()]
    (result,) = write_results(ct_reading(slices), sources(*slices), RUN, Profile.LEGACY_PDF)
    said = text_of(result, tmp_path)
    assert "liver, " in said
    assert "The pancreas was not found." in said
