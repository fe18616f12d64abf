"""The report says every finding in codes, once, with its side, and nothing that the reading does not say."""

from dataclasses import replace
from pathlib import Path

import pytest
from pydicom.dataset import Dataset
from pydicom.uid import Comprehensive3DSRStorage, ComprehensiveSRStorage, EnhancedSRStorage

from model.reading import NO_PRIOR, Finding, Laterality, Modality, Narrative, Presence, Reading, Task
from structured_reports.provenance import DEMO_NOTICE, DISCLAIMER
from structured_reports.registry import write_results
from structured_reports.writers.tid1500 import ReportClass
from tests.unit.structured_reports.readings import (
    MODEL,
    RUN,
    box,
    chest_reading,
    child,
    ct_slices,
    dermoscopy,
    groups,
    header,
    items,
    name_of,
    only,
    prior_of,
    reread,
    skin_reading,
    sources,
    texts,
    value_of,
)


def report_of(reading: Reading, *headers: Dataset) -> Dataset:
    return only(write_results(reading, sources(*headers), RUN), "SR")


def finding_value(group: Dataset) -> str:
    found = child(group, "121071")
    return "" if found is None else value_of(found)


def test_report_comes_last_and_others_in_sending_order(chest_results: tuple[Dataset, ...]):
    assert [ds.Modality for ds in chest_results] == ["SEG", "PR", "SR"]


def test_report_says_what_it_is(chest_report: Dataset):
    assert {DISCLAIMER, DEMO_NOTICE} <= set(texts(chest_report, "121106"))


def test_weights_that_are_no_demonstration_are_not_called_so():
    ds = header()
    model = replace(MODEL, demo_weights=False)
    report = report_of(replace(chest_reading(ds), model=model), ds)
    assert DEMO_NOTICE not in texts(report, "121106")
    assert DISCLAIMER in texts(report, "121106")


def test_algorithm_is_identified_once_with_weights_and_family(chest_report: Dataset):
    assert texts(chest_report, "111001") == ["medversa-demo"]
    (version,) = texts(chest_report, "111003")
    assert version.startswith("0.1.0")
    assert "abababab" in version
    assert any("ab" * 32 in parameter for parameter in texts(chest_report, "111002"))
    assert [value_of(item) for item in items(chest_report) if name_of(item) == "111000"] == ["123110"]


def test_image_library_lists_every_current_image():
    slices = ct_slices(7)
    report = report_of(Reading(Modality.CT, MODEL, (Task.REPORT,), Narrative("x", "y")), *slices)
    library = next(item for item in items(report) if name_of(item) == "111028")
    listed = [
        i.ReferencedSOPSequence[0].ReferencedSOPInstanceUID for i in items(library) if i.ValueType == "IMAGE"
    ]
    assert listed == [ds.SOPInstanceUID for ds in slices]


def test_every_group_is_tracked(chest_report: Dataset):
    for group in groups(chest_report):
        assert child(group, "112039") is not None
        assert child(group, "112040") is not None


def test_present_finding_has_site_side_presence_and_certainty(chest_report: Dataset):
    group = groups(chest_report)[0]
    assert finding_value(group) == "786838002"
    site = child(group, "363698007")
    assert site is not None
    assert value_of(site) == "39607008"
    assert value_of(site.ContentSequence[0]) == "24028007"
    presence, certainty = child(group, "705057003"), child(group, "111012")
    assert presence is not None
    assert value_of(presence) == "52101004"
    assert certainty is not None
    assert float(certainty.MeasuredValueSequence[0].NumericValue) == 93.4
    assert certainty.MeasuredValueSequence[0].MeasurementUnitsCodeSequence[0].CodeValue == "%"


def test_degree_of_a_finding_is_said_in_the_word_of_the_report():
    ds = header()
    reading = chest_reading(ds)
    first, *others = reading.findings
    graded = replace(first, severity="tiny")
    report = report_of(replace(reading, findings=(graded, *others)), ds)
    assert [child(group, "246112005") is not None for group in groups(report)[:2]] == [True, False]
    assert texts(report, "246112005") == ["tiny"]


def test_absent_finding_is_answered_and_never_stated(chest_report: Dataset):
    stated = {finding_value(group) for group in groups(chest_report)}
    answered = {name_of(item): value_of(item) for item in items(chest_report) if item.ValueType == "CODE"}
    assert answered["95436008"] == "272519000"
    assert "95436008" not in stated


def test_undetermined_finding_says_so_without_certainty(chest_report: Dataset):
    (group,) = [group for group in groups(chest_report) if finding_value(group) == "8186001"]
    presence = child(group, "705057003")
    assert presence is not None
    assert value_of(presence) == "373068000"
    assert child(group, "111012") is None


def test_side_of_an_absent_finding_is_said():
    ds = header()
    reading = Reading(
        Modality.CXR,
        MODEL,
        (Task.CLASSIFICATION,),
        findings=(Finding("pneumothorax", Presence.ABSENT, 0.9, Laterality.LEFT),),
    )
    report = report_of(reading, ds)
    (answer,) = [item for item in items(report) if name_of(item) == "36118008"]
    assert [value_of(item) for item in answer.ContentSequence] == ["7771000"]


def test_narrative_stands_in_the_words_of_the_model(chest_report: Dataset):
    assert texts(chest_report, "121071") == ["A nodule in the right lung.\r\nSmall left effusion."]
    assert texts(chest_report, "121073") == ["Nodule; effusion."]


@pytest.mark.parametrize(
    "text", ["Узел в правом лёгком.", "右肺に結節を認める。", "Épanchement à gauche — ½ ß"]
)
def test_narrative_survives_the_file_in_any_script(text: str, tmp_path: Path):
    ds = header()
    reading = replace(chest_reading(ds), narrative=Narrative(text, text))
    report = only(write_results(reading, sources(ds), replace(RUN, language="ru")), "SR")
    back = reread(report, tmp_path)
    assert back.SpecificCharacterSet == "ISO_IR 192"
    assert texts(back, "121073") == [text]
    language = next(item for item in back.ContentSequence if name_of(item) == "121049")
    assert value_of(language) == "ru"


def test_caveats_are_comments(chest_report: Dataset):
    assert "Only frontal views were read." in texts(chest_report, "121106")


def test_class_wider_than_its_code_says_so():
    ds = dermoscopy()
    reading = replace(
        skin_reading(ds), findings=(Finding("actinic keratosis", Presence.PRESENT, 0.6),), masks=()
    )
    assert any("Bowen" in text for text in texts(report_of(reading, ds), "121106"))


def test_certainty_and_its_one_box_share_a_tracking_uid(chest_report: Dataset):
    uids = [
        child(group, "112040").UID for group in groups(chest_report) if finding_value(group) == "786838002"
    ]
    assert len(uids) == 2
    assert len(set(uids)) == 1


def test_several_boxes_of_a_finding_are_things_of_their_own():
    ds = header()
    boxes = tuple(box("lung nodule", ds, low=(n / 10, 0.1), high=(n / 10 + 0.05, 0.3)) for n in (1, 3, 5))
    reading = Reading(
        Modality.CXR,
        MODEL,
        (Task.CLASSIFICATION,),
        findings=(Finding("lung nodule", Presence.PRESENT, 0.8, boxes=boxes),),
    )
    uids = [child(group, "112040").UID for group in groups(report_of(reading, ds))]
    assert len(set(uids)) == 4


def test_tracking_uid_is_unique_within_a_template(chest_report: Dataset):
    seen: set[tuple[str, str]] = set()
    for group in groups(chest_report):
        has_region = any(item.ValueType in {"SCOORD"} for item in group.ContentSequence)
        key = (child(group, "112040").UID, str(has_region))
        assert key not in seen
        seen.add(key)


def test_report_names_segmentation_and_presentation_state_as_evidence(chest_results: tuple[Dataset, ...]):
    *others, report = chest_results
    named = {
        reference.ReferencedSOPInstanceUID
        for study in report.CurrentRequestedProcedureEvidenceSequence
        for series in study.ReferencedSeriesSequence
        for reference in series.ReferencedSOPSequence
    }
    assert {ds.SOPInstanceUID for ds in others} <= named


def test_mask_reference_names_frames_and_not_segments(chest_report: Dataset):
    references = [item for item in items(chest_report) if name_of(item) == "121214"]
    assert len(references) == 3
    for item in references:
        assert "ReferencedFrameNumber" in item.ReferencedSOPSequence[0]
        assert "ReferencedSegmentNumber" not in item.ReferencedSOPSequence[0]


def test_report_follows_the_study_of_the_current_image_not_of_a_prior(chest_report: Dataset):
    assert chest_report.StudyInstanceUID == header().StudyInstanceUID


def test_reported_procedure_is_that_of_the_image():
    code = Dataset()
    code.CodeValue, code.CodingSchemeDesignator, code.CodeMeaning = "36554-4", "LN", "XR Chest Single view"
    ds = header(ProcedureCodeSequence=[code])
    report = report_of(chest_reading(ds), ds)
    assert [value_of(item) for item in report.ContentSequence if name_of(item) == "121058"] == ["36554-4"]


def test_order_is_carried_into_the_report():
    request = Dataset()
    request.AccessionNumber, request.RequestedProcedureID = "A7", "RP1"
    ds = header(AccessionNumber="A7", RequestAttributesSequence=[request])
    (item,) = report_of(chest_reading(ds), ds).ReferencedRequestSequence
    assert (item.AccessionNumber, item.RequestedProcedureID) == ("A7", "RP1")
    assert item.StudyInstanceUID == ds.StudyInstanceUID
    assert item["ReferencedStudySequence"].is_empty


def test_abstention_says_why_in_words_and_codes_and_claims_nothing():
    ds = header()
    reading = Reading(Modality.CXR, MODEL, (), abstention="a knee is no chest")
    results = write_results(reading, sources(ds), RUN)
    assert [result.Modality for result in results] == ["SR"]
    report = results[0]
    assert report.CompletionFlag == "PARTIAL"
    assert groups(report) == []
    assert any("a knee is no chest" in text for text in texts(report, "121073"))
    answers = {name_of(item): value_of(item) for item in items(report) if item.ValueType == "CODE"}
    assert answers["121402"] == "371934000"
    assert "36118008" not in answers


def test_without_prior_the_report_says_so():
    ds = header()
    report = report_of(chest_reading(ds), ds)
    assert any("No prior study" in text for text in texts(report, "111424"))
    assert [value_of(item) for item in items(report) if name_of(item) == "122140"] == ["373067005"]
    assert "PertinentOtherEvidenceSequence" not in report


def test_that_there_was_no_prior_is_said_once():
    ds = header()
    reading = replace(chest_reading(ds), caveats=(NO_PRIOR, "Look twice."))

    said = [str(item.TextValue) for item in items(report_of(reading, ds)) if "TextValue" in item]

    assert [text for text in said if "prior" in text.lower()] == [NO_PRIOR]
    assert said.count("Look twice.") == 1


def test_prior_that_was_not_compared_is_not_called_missing():
    ds = header()
    report = only(write_results(chest_reading(ds), sources(ds, priors=[prior_of(ds)]), RUN), "SR")
    (text,) = texts(report, "111424")
    assert "no comparison was made" in text


@pytest.mark.parametrize(
    ("report_class", "uid"),
    [
        (ReportClass.COMPREHENSIVE_3D, Comprehensive3DSRStorage),
        (ReportClass.COMPREHENSIVE, ComprehensiveSRStorage),
        (ReportClass.ENHANCED, EnhancedSRStorage),
    ],
)
def test_report_class_is_a_choice(report_class: ReportClass, uid: str):
    ds = header()
    report = write_results(chest_reading(ds), sources(ds), RUN, report_class=report_class)[-1]
    assert report.SOPClassUID == uid
    assert report.file_meta.MediaStorageSOPClassUID == uid


def test_comprehensive_report_names_its_regions_as_stone_web_viewer_reads_them():
    ds = header()
    report = write_results(chest_reading(ds), sources(ds), RUN, report_class=ReportClass.COMPREHENSIVE)[-1]
    selected = [item for item in items(report) if item.RelationshipType == "SELECTED FROM"]
    assert len(selected) == 5
    assert {name_of(item) for item in selected} == {"111040"}


def test_two_findings_of_one_name_are_two_things():
    ds = header()
    nodules = tuple(
        Finding("lung nodule", Presence.PRESENT, 0.8, boxes=(box("lung nodule", ds, low=low, high=high),))
        for low, high in (((0.1, 0.1), (0.2, 0.2)), ((0.5, 0.5), (0.6, 0.6)))
    )
    report = report_of(Reading(Modality.CXR, MODEL, (Task.CLASSIFICATION,), findings=nodules), ds)
    uids = [child(group, "112040").UID for group in groups(report)]
    assert len(uids) == 4
    assert len(set(uids)) == 2


def test_skin_class_that_was_not_chosen_is_not_called_absent(skin_results: tuple[Dataset, ...]):
    report = only(skin_results, "SR")
    assert not [item for item in items(report) if value_of(item) == "272519000"]
    assert "93655004" not in {name_of(item) for item in items(report)} | {value_of(i) for i in items(report)}
    (text,) = [text for text in texts(report, "121106") if "less likely" in text]
    assert "melanoma 7.0 %, benign keratosis 3.0 %" in text
    assert "not excluded" in text


def test_nothing_found_is_said_and_is_not_called_normal():
    ds = header()
    reading = Reading(
        Modality.CXR,
        MODEL,
        (Task.CLASSIFICATION,),
        findings=(
            Finding("pneumothorax", Presence.ABSENT, 0.9),
            Finding("consolidation", Presence.ABSENT, 0.8),
        ),
    )
    report = report_of(reading, ds)
    assert any("None of the findings" in text for text in texts(report, "121106"))
    assert groups(report) == []
    assert "17621005" not in {value_of(item) for item in items(report)}
    assert "126010" in {name_of(item) for item in report.ContentSequence}
