"""A study sent by C-STORE comes back to the archive as SR, SEG and presentation state."""

import time
from pathlib import Path

import numpy as np
import pytest
from highdicom.seg import segread
from pydicom import dcmread

from dicom_node.study import JobState, Reason
from tests.driving import (
    concepts,
    database_of,
    dcmsend,
    items_named,
    job_of,
    modalities,
    results_in_archive,
    wait_for_job,
)
from worker.demo.phantom_studies import WrittenStudy
from worker.demo.site import Site

CHANGED_STATUS = "263703002"
CURRENT = "chest, current"
PRIOR = "chest, prior"


@pytest.fixture(scope="module")
def read_site(site: Site, phantoms: dict[str, WrittenStudy]) -> Site:
    """A site that has read the four phantom studies."""
    for study in phantoms.values():
        dcmsend(study.files, site.node_port)
    database = database_of(site)
    for study in phantoms.values():
        job = wait_for_job(database, study.study_instance_uid)
        assert job.state is JobState.DONE, (study.title, job.reason, job.detail)
    return site


@pytest.mark.parametrize(
    ("title", "expected"),
    [(CURRENT, {"SR", "SEG", "PR"}), ("abdomen CT", {"SR", "SEG"}), ("skin lesion", {"SR", "SEG"})],
)
def test_every_kind_of_object_arrives(
    read_site: Site, phantoms: dict[str, WrittenStudy], title: str, expected: set[str]
) -> None:
    found = results_in_archive(read_site, phantoms[title].study_instance_uid)
    assert expected <= set(modalities(found))
    assert modalities(found).count("SR") == 1


def test_first_study_says_that_no_prior_was_available(
    read_site: Site, phantoms: dict[str, WrittenStudy]
) -> None:
    (report,) = [
        ds for ds in results_in_archive(read_site, phantoms[PRIOR].study_instance_uid) if ds.Modality == "SR"
    ]
    texts = " ".join(str(item.get("TextValue", "")) for item in concepts(report))
    assert "no prior" in texts.lower()
    assert not items_named(report, CHANGED_STATUS)


def test_current_study_is_compared_with_its_prior(read_site: Site, phantoms: dict[str, WrittenStudy]) -> None:
    (report,) = [
        ds
        for ds in results_in_archive(read_site, phantoms[CURRENT].study_instance_uid)
        if ds.Modality == "SR"
    ]
    assert items_named(report, CHANGED_STATUS)
    referenced = {
        item.ReferencedSOPInstanceUID
        for study in report.PertinentOtherEvidenceSequence
        for series in study.ReferencedSeriesSequence
        for item in series.ReferencedSOPSequence
    }
    prior_image = dcmread(phantoms[PRIOR].files[0], stop_before_pixels=True)
    assert prior_image.SOPInstanceUID in referenced


def test_results_are_marked_as_unverified_research_output_of_an_algorithm(
    read_site: Site, phantoms: dict[str, WrittenStudy]
) -> None:
    for ds in results_in_archive(read_site, phantoms[CURRENT].study_instance_uid):
        assert ds.SeriesDescription.startswith("AI")
        if ds.Modality in {"SR", "SEG"}:
            assert ds.ContentQualification == "RESEARCH"
        if ds.Modality == "SR":
            assert ds.VerificationFlag == "UNVERIFIED"


def test_ct_segments_lie_on_their_source_slices(
    read_site: Site, phantoms: dict[str, WrittenStudy], tmp_path: Path
) -> None:
    study = phantoms["abdomen CT"]
    positions = {
        ds.SOPInstanceUID: np.array(ds.ImagePositionPatient, dtype=float)
        for ds in (dcmread(file, stop_before_pixels=True) for file in study.files)
    }
    (found,) = [ds for ds in results_in_archive(read_site, study.study_instance_uid) if ds.Modality == "SEG"]
    found.save_as(tmp_path / "seg.dcm")
    seg = segread(tmp_path / "seg.dcm")
    for groups in seg.PerFrameFunctionalGroupsSequence:
        source = groups.DerivationImageSequence[0].SourceImageSequence[0].ReferencedSOPInstanceUID
        plane = np.array(groups.PlanePositionSequence[0].ImagePositionPatient, dtype=float)
        assert np.allclose(plane, positions[source], atol=0.01)


def test_same_study_again_yields_no_second_set(read_site: Site, phantoms: dict[str, WrittenStudy]) -> None:
    study = phantoms["skin lesion"]
    before = {ds.SOPInstanceUID for ds in results_in_archive(read_site, study.study_instance_uid)}
    dcmsend(study.files, read_site.node_port)
    database = database_of(read_site)
    wait_past_quiet_period(read_site)
    assert job_of(database, study.study_instance_uid, revision=2) is None
    assert {ds.SOPInstanceUID for ds in results_in_archive(read_site, study.study_instance_uid)} == before


def test_own_results_sent_to_the_node_start_nothing(
    read_site: Site, phantoms: dict[str, WrittenStudy], tmp_path: Path
) -> None:
    study = phantoms["skin lesion"]
    files: list[Path] = []
    for number, ds in enumerate(results_in_archive(read_site, study.study_instance_uid)):
        files.append(tmp_path / f"{number}.dcm")
        ds.save_as(files[-1])
    dcmsend(files, read_site.node_port)
    database = database_of(read_site)
    wait_past_quiet_period(read_site)
    assert job_of(database, study.study_instance_uid, revision=2) is None


def test_T17_late_slice_yields_a_revision_that_names_its_predecessor(
    read_site: Site, phantoms: dict[str, WrittenStudy], tmp_path: Path
) -> None:
    study = phantoms["abdomen CT"]
    database = database_of(read_site)
    (first,) = [ds for ds in results_in_archive(read_site, study.study_instance_uid) if ds.Modality == "SR"]
    slices = [dcmread(file) for file in study.files]
    step = np.array(slices[-1].ImagePositionPatient, float) - np.array(slices[-2].ImagePositionPatient, float)
    late = slices[-1]
    late.ImagePositionPatient = [f"{mm:.6f}" for mm in np.array(late.ImagePositionPatient, float) + step]
    late.InstanceNumber = len(slices) + 1
    late.SOPInstanceUID = f"{late.SOPInstanceUID[:-3]}991"
    late.file_meta.MediaStorageSOPInstanceUID = late.SOPInstanceUID
    late.save_as(tmp_path / "late.dcm", enforce_file_format=True)

    dcmsend([tmp_path / "late.dcm"], read_site.node_port)
    job = wait_for_job(database, study.study_instance_uid, revision=2)

    assert job.state is JobState.DONE, (job.reason, job.detail)
    reports = [ds for ds in results_in_archive(read_site, study.study_instance_uid) if ds.Modality == "SR"]
    (second,) = [ds for ds in reports if ds.SOPInstanceUID != first.SOPInstanceUID]
    predecessors = {
        item.ReferencedSOPInstanceUID
        for entry in second.PredecessorDocumentsSequence
        for series in entry.ReferencedSeriesSequence
        for item in series.ReferencedSOPSequence
    }
    assert predecessors == {first.SOPInstanceUID}
    assert second.SeriesInstanceUID != first.SeriesInstanceUID


def wait_past_quiet_period(site: Site) -> None:
    """Wait until a study that had been reopened would have got its job."""
    time.sleep(site.quiet_period_s + 4)


def test_delivered_jobs_say_so(read_site: Site, phantoms: dict[str, WrittenStudy]) -> None:
    job = job_of(database_of(read_site), phantoms[PRIOR].study_instance_uid)
    assert job is not None
    assert job.reason is Reason.DELIVERED
