"""Thirty-three findings and thirty-six structures are all said, and none of them hides another."""

from dataclasses import replace
from itertools import combinations
from pathlib import Path

import highdicom as hd
import pytest
from pydicom.dataset import Dataset

from model.reading import Finding, Laterality, Mask, Presence
from structured_reports.codes import CONCEPTS
from structured_reports.colours import FINDING_COLOUR, colour_of
from structured_reports.conformance import publication_faults
from structured_reports.overlays import overlays_on
from structured_reports.registry import write_results
from tests.unit.structured_reports.published_names import CHEST_IMAGENOME_STRUCTURES
from tests.unit.structured_reports.readings import (
    RUN,
    box,
    chest_reading,
    child,
    ct_reading,
    ct_slices,
    groups,
    header,
    name_of,
    only,
    reread,
    sources,
    texts,
    value_of,
)
from tests.unit.structured_reports.whole_readings import FINDINGS, crowded_reading, whole_reading

LARGE = {"Rows": 2500, "Columns": 2048}


@pytest.fixture(scope="module")
def results() -> tuple[Dataset, ...]:
    ds = header()
    return write_results(whole_reading(ds), sources(ds), RUN)


@pytest.fixture(scope="module")
def report(results: tuple[Dataset, ...]) -> Dataset:
    return only(results, "SR")


@pytest.fixture(scope="module")
def crowded_state() -> Dataset:
    ds = header(**LARGE)
    reading = replace(crowded_reading(ds), masks=())
    return only(write_results(reading, sources(ds), RUN), "PR")


NAMES = [{"svc": "superior vena cava"}.get(label, label) for label in CHEST_IMAGENOME_STRUCTURES]


def root(report: Dataset, name: str) -> Dataset:
    return next(item for item in report.ContentSequence if name_of(item) == name)


def direct_groups(report: Dataset) -> list[Dataset]:
    return [item for item in root(report, "126010").ContentSequence if name_of(item) == "125007"]


def test_published_numbers():
    assert len(FINDINGS) == 33
    assert len(CHEST_IMAGENOME_STRUCTURES) == len(set(CHEST_IMAGENOME_STRUCTURES)) == 36


def test_only_what_is_stated_or_masked_stands_among_the_measurements(report: Dataset):
    labels = [texts(group, "112039")[0] for group in direct_groups(report)]
    masks = ["left lung", "right lung", "heart"]
    assert labels == ["consolidation", "left pleural effusion", "left pleural effusion", *masks]


def test_every_absent_finding_is_answered_once_below_one_line(report: Dataset):
    evaluations = root(report, "C0034375")
    absent = evaluations.ContentSequence[-1]
    assert name_of(absent) == "ABSENT_FINDINGS"
    line, *answers = absent.ContentSequence
    names = [label for label in FINDINGS if label not in {"pleural effusion", "consolidation"}]
    assert line.TextValue == f"Called absent: {', '.join(names)}."
    assert [name_of(item) for item in answers] == [CONCEPTS[label].code.value for label in names]
    assert {value_of(item) for item in answers} == {"272519000"}


def test_a_code_that_does_not_say_where_is_given_its_site(report: Dataset):
    answers = {
        name_of(item): item
        for item in root(report, "C0034375").ContentSequence[-1].ContentSequence
        if item.ValueType == "CODE"
    }
    for code, site in (("112001", "39607008"), ("112121", "39607008"), ("12402003", "816094009")):
        (said,) = answers[code].ContentSequence
        assert (name_of(said), value_of(said)) == ("363698007", site)
        assert said.RelationshipType == "HAS CONCEPT MOD"
    assert "ContentSequence" not in answers["36118008"]


def test_absent_findings_come_after_the_words_of_the_model(report: Dataset):
    kinds = [name_of(item) for item in root(report, "C0034375").ContentSequence]
    assert kinds.index("121073") < kinds.index("ABSENT_FINDINGS")
    assert kinds[-1] == "ABSENT_FINDINGS"


def test_many_structures_are_one_group_with_all_of_them_named_in_its_first_line(report: Dataset):
    located = root(report, "ANATOMY_LOCATED")
    line, *structures = located.ContentSequence
    assert line.TextValue == f"36 boxes: {', '.join(NAMES)}."
    assert [texts(group, "112039")[0] for group in structures] == NAMES


def test_every_structure_keeps_its_code_its_side_and_its_corners(report: Dataset, tmp_path: Path):
    located = root(reread(report, tmp_path), "ANATOMY_LOCATED")
    sides = {Laterality.LEFT: ["7771000"], Laterality.RIGHT: ["24028007"], None: []}
    for label, group in zip(CHEST_IMAGENOME_STRUCTURES, located.ContentSequence[1:], strict=True):
        finding, site, region = child(group, "121071"), child(group, "363698007"), child(group, "111030")
        assert finding is not None
        assert site is not None
        assert region is not None
        assert value_of(finding) == CONCEPTS[label].code.value
        said = [value_of(item) for item in site.get("ContentSequence", ())]
        assert said == sides[CONCEPTS[label].laterality]
        assert len(region.GraphicData) == 10
        assert group.ContentTemplateSequence[0].TemplateIdentifier == "1410"


def test_tracking_uids_of_structures_differ(report: Dataset):
    uids = [child(group, "112040").UID for group in groups(root(report, "ANATOMY_LOCATED"))]
    assert len(set(uids)) == 36


def test_few_structures_stay_among_the_measurements():
    ds = header()
    boxes = whole_reading(ds).boxes
    nine = only(write_results(replace(chest_reading(ds), boxes=boxes[:9]), sources(ds), RUN), "SR")
    assert "ANATOMY_LOCATED" not in {name_of(item) for item in nine.ContentSequence}
    assert sum(texts(group, "112039")[0] in CHEST_IMAGENOME_STRUCTURES for group in direct_groups(nine)) >= 9


def test_highdicom_reads_the_report_back(report: Dataset, tmp_path: Path):
    reread(report, tmp_path)
    content = hd.sr.srread(tmp_path / f"{report.SOPInstanceUID}.dcm").content
    assert len(content.get_image_measurement_groups()) == 2
    assert len(content.get_planar_roi_measurement_groups()) == 4


def test_whole_report_may_go_out(results: tuple[Dataset, ...]):
    ds = header()
    assert publication_faults(results, sources(ds), whole_reading(ds)) == []


def test_same_reading_same_bytes():
    ds = header()
    first, again = (write_results(whole_reading(ds), sources(ds), RUN) for _ in range(2))
    assert [x.SOPInstanceUID for x in first] == [x.SOPInstanceUID for x in again]
    assert first[-1] == again[-1]


def test_structures_lie_on_a_layer_for_each_part_of_the_body_below_the_findings(crowded_state: Dataset):
    layers = {item.GraphicLayer: item.GraphicLayerOrder for item in crowded_state.GraphicLayerSequence}
    assert set(layers) == {
        "AI_LUNGS",
        "AI_HEART",
        "AI_MEDIASTINUM",
        "AI_BONES",
        "AI_ABDOMEN",
        "AI_FINDINGS",
    }
    assert layers["AI_FINDINGS"] == max(layers.values())
    drawn = [annotation.GraphicLayer for annotation in crowded_state.GraphicAnnotationSequence]
    assert drawn.count("AI_FINDINGS") == 33
    assert len(drawn) == 33 + 36


def test_layers_differ_in_colour(crowded_state: Dataset):
    layers = crowded_state.GraphicLayerSequence
    assert len({tuple(item.GraphicLayerRecommendedDisplayCIELabValue) for item in layers}) == len(layers)


def test_no_caption_covers_another_even_with_everything_present(crowded_state: Dataset):
    areas = [
        (*text.BoundingBoxTopLeftHandCorner, *text.BoundingBoxBottomRightHandCorner)
        for annotation in crowded_state.GraphicAnnotationSequence
        for text in annotation.TextObjectSequence
    ]
    assert len(areas) == 69
    for one, other in combinations(areas, 2):
        is_beside = one[2] <= other[0] or other[2] <= one[0]
        is_above = one[3] <= other[1] or other[3] <= one[1]
        assert is_beside or is_above
    for left, top, right, bottom in areas:
        assert 0 <= left < right <= LARGE["Columns"]
        assert 0 <= top < bottom <= LARGE["Rows"]


def test_a_caption_stands_at_its_own_box(crowded_state: Dataset):
    for annotation in crowded_state.GraphicAnnotationSequence:
        (shape,), (text,) = annotation.GraphicObjectSequence, annotation.TextObjectSequence
        columns, rows = shape.GraphicData[0::2], shape.GraphicData[1::2]
        left, top = text.BoundingBoxTopLeftHandCorner
        right, bottom = text.BoundingBoxBottomRightHandCorner
        line = bottom - top
        assert left <= max(columns)
        assert right >= min(columns)
        assert min(rows) - line <= top <= max(rows) + line


def test_a_picture_shows_anatomy_as_anatomy(results: tuple[Dataset, ...]):
    overlays = overlays_on(header(), 1, results)
    findings = [rectangle.label for rectangle in overlays.rectangles if rectangle.is_finding]
    assert findings == ["left pleural effusion 71 %"]
    assert len(overlays.rectangles) == 37


def test_a_picture_puts_many_absent_findings_into_one_line_after_everything_else(
    results: tuple[Dataset, ...],
):
    said = [statement.text for statement in overlays_on(header(), 1, results).statements]
    absent = [text for text in said if text.startswith(("no ", "Called absent"))]
    assert len(absent) == 1
    assert said[-1] == absent[0]
    assert "Nodule; effusion." in said
    assert "pneumothorax" in absent[0]


@pytest.mark.parametrize("label", CHEST_IMAGENOME_STRUCTURES)
def test_no_structure_has_the_colour_of_a_finding(label: str):
    assert colour_of(label) != FINDING_COLOUR


def test_a_name_that_no_table_has_is_said_as_a_finding_a_structure_and_an_absence():
    ds = header()
    odd = "a finding whose name is far longer than the sixty-four characters of a Code Meaning"
    reading = replace(
        chest_reading(ds),
        findings=(
            Finding(odd, Presence.PRESENT, 0.8, Laterality.LEFT, boxes=(box(odd, ds),)),
            Finding("situs inversus", Presence.ABSENT),
        ),
        boxes=(box("azygos lobe", ds, Laterality.RIGHT),),
    )
    results = write_results(reading, sources(ds), RUN)
    assert publication_faults(results, sources(ds), reading) == []
    report = only(results, "SR")
    group = direct_groups(report)[0]
    finding, site = child(group, "121071"), child(group, "363698007")
    assert finding is not None
    assert finding.ConceptCodeSequence[0].CodingSchemeDesignator == "99MEDVERSA"
    assert site is not None
    assert [value_of(item) for item in site.ContentSequence] == ["7771000"]


@pytest.mark.parametrize("label", ["kidney", "kidneys"])
@pytest.mark.parametrize("side", [Laterality.BILATERAL, None])
def test_both_kidneys_are_one_segment_of_both_sides(label: str, side: Laterality | None):
    slices = ct_slices()
    whole = ct_reading(slices)
    (kidneys,) = [mask for mask in whole.masks if mask.label == "kidneys"]
    mask = Mask(label, kidneys.voxels, kidneys.frames, kidneys.geometry, side)
    results = write_results(replace(whole, masks=(mask,)), sources(*slices), RUN)
    (segment,) = only(results, "SEG").SegmentSequence
    assert segment.SegmentLabel == "kidneys"
    (kind,) = segment.SegmentedPropertyTypeCodeSequence
    assert kind.CodeValue == "64033007"
    assert kind.SegmentedPropertyTypeModifierCodeSequence[0].CodeValue == "51440002"
    assert segment.SegmentedPropertyCategoryCodeSequence[0].CodeValue == "91723000"
    (group,) = groups(only(results, "SR"))
    assert texts(group, "112039") == ["kidneys"]
    assert segment.TrackingUID == child(group, "112040").UID


def test_one_kidney_of_a_model_that_tells_them_apart_keeps_its_side():
    slices = ct_slices()
    whole = ct_reading(slices)
    source = whole.masks[0]
    mask = Mask("kidney", source.voxels, source.frames, source.geometry, Laterality.LEFT)
    results = write_results(replace(whole, masks=(mask,)), sources(*slices), RUN)
    (segment,) = only(results, "SEG").SegmentSequence
    assert segment.SegmentLabel == "left kidney"
    (kind,) = segment.SegmentedPropertyTypeCodeSequence
    assert kind.SegmentedPropertyTypeModifierCodeSequence[0].CodeValue == "7771000"
