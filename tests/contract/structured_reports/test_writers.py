"""What every registered writer keeps to, and what viewers expect of the report."""

import pytest
from pydicom.dataset import Dataset
from pydicom.uid import Comprehensive3DSRStorage, ComprehensiveSRStorage, ExplicitVRLittleEndian

from structured_reports.headers import normalised
from structured_reports.profiles import Profile
from structured_reports.provenance import IMPLEMENTATION_CLASS_UID, is_own_result
from structured_reports.registry import WRITERS, write_results
from structured_reports.writers.writer import Draft
from tests.unit.structured_reports.readings import (
    RUN,
    chest_reading,
    child,
    groups,
    header,
    items,
    name_of,
    only,
    sources,
)


def results_of(name: str) -> tuple[Dataset, ...]:
    """Run the writers up to and with the named one; give what it wrote."""
    ds = header()
    draft = Draft(chest_reading(ds), sources(ds), RUN, {str(ds.SOPInstanceUID): normalised(ds)})
    written: tuple[Dataset, ...] = ()
    for each, writer in WRITERS.items():
        own = writer(Draft(draft.reading, draft.sources, RUN, draft.headers, written))
        if each == name:
            return own
        written = (*written, *own)
    raise AssertionError(name)


@pytest.mark.parametrize("name", WRITERS)
def test_writer_gives_finished_marked_objects_of_the_source_study(name: str):
    results = results_of(name)
    assert results
    for ds in results:
        assert is_own_result(ds)
        assert ds.StudyInstanceUID == header().StudyInstanceUID
        assert ds.file_meta.TransferSyntaxUID == ExplicitVRLittleEndian
        assert ds.file_meta.ImplementationClassUID == IMPLEMENTATION_CLASS_UID
        assert ds.file_meta.MediaStorageSOPInstanceUID == ds.SOPInstanceUID
        assert ds.InstanceNumber >= 1
        assert len(ds.SeriesDescription) <= 64


def test_report_is_written_last_because_it_names_the_others():
    ds = header()
    for profile in (Profile.AIR, Profile.FULL, Profile.OHIF, Profile.STONE):
        *_, last = write_results(chest_reading(ds), sources(ds), RUN, profile)
        assert last.SOPClassUID in {Comprehensive3DSRStorage, ComprehensiveSRStorage}


@pytest.fixture
def report() -> Dataset:
    ds = header()
    return only(write_results(chest_reading(ds), sources(ds), RUN), "SR")


def test_ohif_finds_what_it_dereferences(report: Dataset):
    """Root concept, Image Library, Imaging Measurements; tracking in every group."""
    assert report.ConceptNameCodeSequence[0].CodeValue == "126000"
    assert report.ContentTemplateSequence[0].TemplateIdentifier == "1500"
    containers = {name_of(item) for item in report.ContentSequence if item.ValueType == "CONTAINER"}
    assert {"111028", "126010"} <= containers
    for group in groups(report):
        assert child(group, "112039") is not None
        assert child(group, "112040") is not None


def test_ohif_draws_every_box(report: Dataset):
    """Its reader looks into the first NUM of a group; without a NUM it takes the group's own SCOORD."""
    boxed = [group for group in groups(report) if child(group, "111030") is not None]
    assert len(boxed) == 5
    for group in boxed:
        region = child(group, "111030")
        assert not any(item.ValueType == "NUM" for item in items(group))
        assert region is not None
        assert region.GraphicType == "POLYLINE"
        assert len(region.GraphicData) == 10
        assert list(region.GraphicData[:2]) == list(region.GraphicData[-2:])
        assert child(group, "121071") is not None


def test_ohif_loses_no_box_when_it_merges_groups_by_tracking_uid(report: Dataset):
    uids = [child(group, "112040").UID for group in groups(report) if child(group, "111030")]
    assert len(uids) == len(set(uids))


def test_groups_name_their_templates(report: Dataset):
    for group in groups(report):
        expected = "1410" if child(group, "111030") or child(group, "121214") else "1501"
        assert group.ContentTemplateSequence[0].TemplateIdentifier == expected
