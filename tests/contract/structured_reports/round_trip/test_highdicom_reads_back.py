"""Two hundred generated readings, written, and read back by highdicom's readers and pydicom."""

from collections import Counter
from collections.abc import Iterator
from itertools import product
from shutil import rmtree

import highdicom as hd
import pytest
from pydicom import dcmread

from model.reading import Modality, Presence, Reading, Task
from tests.contract.structured_reports.round_trip.content_nodes import Node, from_highdicom
from tests.contract.structured_reports.round_trip.generated_readings import COUNT, SIDES, generated
from tests.contract.structured_reports.round_trip.segments_read import (
    Shapes,
    shapes_of_reading,
    shapes_of_segmentation,
)
from tests.contract.structured_reports.round_trip.sentences import SENTENCES, Side
from tests.contract.structured_reports.round_trip.source_kinds import KINDS
from tests.contract.structured_reports.round_trip.statements import SIDES as SIDE_CODES
from tests.contract.structured_reports.round_trip.statements import Stated, stated_by_report
from tests.contract.structured_reports.round_trip.written_bundles import Bundle, written_bundle


@pytest.fixture(scope="module", params=range(COUNT))
def bundle(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bundle]:
    """One bundle after the other: pytest runs all tests of one before it makes the next."""
    folder = tmp_path_factory.mktemp("bundle")
    yield written_bundle(request.param, folder)
    rmtree(folder)


@pytest.fixture(scope="module")
def report(bundle: Bundle) -> hd.sr.Comprehensive3DSR:
    return hd.sr.srread(bundle.report)


@pytest.fixture(scope="module")
def root(report: hd.sr.Comprehensive3DSR) -> Node:
    return from_highdicom(report.content[0])


@pytest.fixture(scope="module")
def said(root: Node) -> Stated:
    return stated_by_report(root)


def sides_spoken_of(reading: Reading, task: Task) -> set[Side]:
    """List the sides that a task's part of a generated reading speaks of."""
    boxed = [finding for finding in reading.findings if finding.boxes]
    parts = {
        Task.CLASSIFICATION: [finding for finding in reading.findings if not finding.boxes],
        Task.PATHOLOGY_DETECTION: boxed,
        Task.ANATOMY_DETECTION: reading.boxes,
        Task.COMPARISON: [change for each in reading.comparisons[:1] for change in each.changes],
    }
    if task in parts:
        return {each.laterality for each in parts[task]}
    sentences = [words for language in SENTENCES.values() for words in language.sides.items()]
    narrative = [reading.narrative.findings] if reading.narrative else []
    texts = {
        Task.REPORT: narrative,
        Task.VQA: [answer.text for answer in reading.answers],
        Task.REGION_CAPTIONING: [caption.text for caption in reading.captions],
    }
    return {side for side, word in sentences if any(word in text for text in texts[task])}


def test_every_combination_is_among_the_readings():
    """Without a prior nothing can be compared; which sides organs have is up to their labels."""
    cases = [generated(number) for number in range(COUNT)]
    covered = {
        (task, side, case.has_prior, case.kind, case.language)
        for case in cases
        for task in set(case.tasks) - {Task.SEGMENTATION}
        for side in sides_spoken_of(case.reading, task)
    }
    wanted = set(product(set(Task) - {Task.SEGMENTATION}, SIDES, (False, True), KINDS, SENTENCES))
    assert {each for each in wanted - covered if each[0] is not Task.COMPARISON or each[2]} == set()
    masked = {(c.has_prior, c.kind, c.language) for c in cases if Task.SEGMENTATION in c.tasks}
    assert masked == set(product((False, True), KINDS, SENTENCES))


def test_findings_and_changes_are_those_of_the_reading(bundle: Bundle, said: Stated):
    assert said.statements == bundle.stated.statements
    assert said.absent == bundle.stated.absent


def test_boxes_are_those_of_the_reading(bundle: Bundle, said: Stated):
    assert said.regions == bundle.stated.regions


def test_volumes_and_areas_are_those_of_the_reading(bundle: Bundle, said: Stated):
    assert said.segments == bundle.stated.segments


def test_words_are_those_of_the_reading(bundle: Bundle, root: Node, said: Stated):
    assert bundle.stated.texts - said.texts == Counter()
    assert root.value_of("121049") == bundle.case.language


def test_classes_of_a_lesion_that_were_not_chosen_are_named(bundle: Bundle, root: Node):
    reading = bundle.case.reading
    comments = [node.value for node in root.walk() if node.name == "121106"]
    if reading.modality is Modality.DERM:
        for finding in reading.findings:
            if finding.presence is Presence.ABSENT:
                name = f"{finding.laterality.value} {finding.label}" if finding.laterality else finding.label
                assert any("less likely" in words and name in words for words in comments)


def test_highdicom_finds_the_groups_of_each_template(bundle: Bundle, report: hd.sr.Comprehensive3DSR):
    """Each tells one thing: within a template no two groups share a Tracking UID."""
    content, stated, reading = report.content, bundle.stated, bundle.case.reading
    masks, drawn = sum(stated.segments.values()), sum(stated.regions.values())
    located = len(reading.boxes) if len(reading.boxes) > 9 else 0
    is_stack = reading.modality is Modality.CT
    expected = {
        content.get_image_measurement_groups: sum(stated.statements.values()),
        content.get_volumetric_roi_measurement_groups: masks if is_stack else 0,
        content.get_planar_roi_measurement_groups: drawn - located + (0 if is_stack else masks),
    }
    for search, count in expected.items():
        groups = search()
        assert len({group.tracking_uid for group in groups}) == len(groups) == count
        if groups:
            assert len(search(tracking_uid=groups[-1].tracking_uid)) == 1


def test_highdicom_names_the_side_of_each_finding(bundle: Bundle, report: hd.sr.Comprehensive3DSR):
    found = Counter(
        (group.finding_type.value, site.laterality.value if site.laterality else "")
        for group in report.content.get_image_measurement_groups()
        for site in group.finding_sites
    )
    expected: Counter[tuple[str, str]] = Counter()
    for statement, count in bundle.stated.statements.items():
        expected[statement.finding, statement.side] += count
    assert found == expected
    assert {side for _, side in found} <= set(SIDE_CODES.values())


def test_masks_lie_where_those_of_the_reading_do(bundle: Bundle):
    found: Shapes = Counter()
    for path in bundle.files.get("SEG", ()):
        found += shapes_of_segmentation(hd.seg.segread(path), bundle.case.sources.current)
    assert found == shapes_of_reading(bundle.case.reading)


def test_presentation_states_draw_the_boxes(bundle: Bundle):
    drawn = Counter(
        (reference.ReferencedSOPInstanceUID, tuple(shape.GraphicData))
        for path in bundle.files.get("PR", ())
        for annotation in dcmread(path).GraphicAnnotationSequence
        for reference in annotation.ReferencedImageSequence
        for shape in annotation.GraphicObjectSequence
    )
    expected = Counter(
        (region.sop_instance_uid, tuple(value for point in region.points for value in point))
        for region in bundle.stated.regions.elements()
    )
    assert drawn == expected


def test_narrative_is_word_for_word_that_of_the_reading(bundle: Bundle):
    narrative = bundle.case.reading.narrative
    documents = [hd.sr.EnhancedSR.from_dataset(dcmread(path)) for path in bundle.files["SR"][:-1]]
    assert len(documents) == (1 if narrative else 0)
    for document in documents:
        tree = from_highdicom(document.content[0])
        (findings,), (impression,) = (
            [node.value for node in tree.walk() if node.kind == "text" and node.name == name]
            for name in ("121071", "121073")
        )
        assert findings.replace("\r\n", "\n") == narrative.findings
        assert impression == narrative.impression
        assert tree.value_of("121049") == bundle.case.language
