"""The narrative as a report of its own."""

from dataclasses import replace

import pytest
from pydicom.dataset import Dataset
from pydicom.uid import EnhancedSRStorage

from model.reading import Narrative, Reading
from structured_reports.profiles import Profile
from structured_reports.registry import write_results
from structured_reports.sources import Sources
from tests.unit.structured_reports.readings import (
    RUN,
    chest_reading,
    ct_reading,
    ct_slices,
    grown_nodule,
    header,
    items,
    name_of,
    prior_of,
    sources,
    texts,
)

FINDINGS, PREVIOUS, IMPRESSIONS, SUMMARY = "59776-5", "18834-2", "19005-8", "55112-7"


def narratives(reading: Reading, given: Sources, **run: str) -> list[Dataset]:
    written = write_results(reading, given, replace(RUN, **run), Profile.LEGACY_GSPS)
    return [ds for ds in written if ds.SOPClassUID == EnhancedSRStorage]


def sections(report: Dataset) -> list[str]:
    return [name_of(item) for item in report.ContentSequence if item.ValueType == "CONTAINER"]


def test_the_words_stand_under_the_headings_of_a_report():
    ds = header()
    (report,) = narratives(chest_reading(ds), sources(ds))
    assert name_of(report) == "18748-4"
    assert report.ContentTemplateSequence[0].TemplateIdentifier == "2000"
    assert [name for name in sections(report) if name in {FINDINGS, IMPRESSIONS, SUMMARY}] == [
        SUMMARY,
        FINDINGS,
        IMPRESSIONS,
    ]
    assert texts(report, "121071") == ["A nodule in the right lung.\r\nSmall left effusion."]
    assert texts(report, "121073") == ["Nodule; effusion."]


def test_the_first_thing_read_is_what_it_is():
    ds = header()
    (report,) = narratives(chest_reading(ds), sources(ds))
    first = next(item for item in report.ContentSequence if item.ValueType == "CONTAINER")
    said = [item.TextValue for item in first.ContentSequence]
    assert said[0] == "AI-generated draft. Research use only. Not verified by a physician."
    assert any("medversa-demo" in text for text in said)
    assert (report.VerificationFlag, report.PreliminaryFlag) == ("UNVERIFIED", "PRELIMINARY")
    assert report.SeriesNumber == 9002


def test_the_best_illustration_is_the_image_with_boxes():
    ds = header()
    (report,) = narratives(chest_reading(ds), sources(ds))
    images = [item for item in items(report) if item.ValueType == "IMAGE"]
    assert {item.ReferencedSOPSequence[0].ReferencedSOPInstanceUID for item in images} == {ds.SOPInstanceUID}
    assert {name_of(item) for item in images} == {"121080"}


def test_a_comparison_names_the_date_and_the_study_of_the_prior():
    ds = header()
    prior = prior_of(ds)
    (report,) = narratives(chest_reading(ds, [grown_nodule()]), sources(ds, priors=[prior]))
    assert PREVIOUS in sections(report)
    assert "2025-01-01" in texts(report, "121069")[0]


@pytest.mark.parametrize("words", [None, Narrative("", " ")])
def test_a_reading_without_words_gets_none(words: Narrative | None):
    ds = header()
    assert narratives(chest_reading(ds, narrative=words), sources(ds)) == []
    slices = ct_slices()
    assert narratives(ct_reading(slices, narrative=None), sources(*slices)) == []


@pytest.mark.parametrize(
    ("language", "words"),
    [("de", "Kleiner Erguss links – größer."), ("ru", "Малый выпот слева."), ("ja", "左に少量の胸水。")],
)
def test_every_language_comes_through(language: str, words: str):
    ds = header()
    reading = chest_reading(ds, narrative=Narrative(words, words))
    (report,) = narratives(reading, sources(ds), language=language)
    assert texts(report, "121073") == [words]
    assert report.SpecificCharacterSet == "ISO_IR 192"
    (said,) = [item for item in report.ContentSequence if name_of(item) == "121049"]
    assert said.ConceptCodeSequence[0].CodeValue == language
