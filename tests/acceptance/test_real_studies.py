"""Real, openly licensed studies through the real programs."""

import shutil
from pathlib import Path

import numpy as np
import pytest
from highdicom.seg import segread
from pydicom import dcmread

from dicom_node.study import JobState
from structured_reports.conformance import validate_file
from tests.driving import database_of, dcmsend, items_named, results_in_archive, wait_for_job
from worker.demo.site import Site

CHANGED_STATUS = "263703002"


def study_uid(file: Path) -> str:
    return str(dcmread(file, stop_before_pixels=True).StudyInstanceUID)


def test_nine_studies_of_one_patient_are_each_compared_with_their_prior(
    site: Site, real_data: Path, tmp_path: Path
) -> None:
    files = sorted((real_data / "cxr" / "nih_00000011_dcm").glob("*.dcm"))
    assert len(files) == 9
    for file in files:
        dcmsend([file], site.node_port)
    database = database_of(site)
    for number, file in enumerate(files):
        uid = study_uid(file)
        job = wait_for_job(database, uid, timeout_s=240)
        assert job.state is JobState.DONE, (number, job.reason, job.detail)
        found = results_in_archive(site, uid)
        (report,) = [ds for ds in found if ds.Modality == "SR"]
        assert bool(items_named(report, CHANGED_STATUS)) == (number > 0), number
        if number:
            earlier = {study_uid(other) for other in files[max(0, number - 2) : number]}
            named = {item.StudyInstanceUID for item in report.PertinentOtherEvidenceSequence}
            assert named == earlier, number
        for n, ds in enumerate(found):
            ds.save_as(tmp_path / f"{number}-{n}.dcm")
            verdict = validate_file(tmp_path / f"{number}-{n}.dcm")
            assert verdict.is_valid, (number, ds.Modality, str(verdict))


def test_frames_of_a_real_ct_lie_on_the_source_slices(site: Site, real_data: Path, tmp_path: Path) -> None:
    files = sorted((real_data / "ct" / "totalseg_abdomen").glob("*.dcm"))
    assert len(files) == 20
    dcmsend(files, site.node_port)
    uid = study_uid(files[0])
    job = wait_for_job(database_of(site), uid, timeout_s=240)
    assert job.state is JobState.DONE, (job.reason, job.detail)
    sources = {ds.SOPInstanceUID: ds for ds in (dcmread(f, stop_before_pixels=True) for f in files)}
    (found,) = [ds for ds in results_in_archive(site, uid) if ds.Modality == "SEG"]
    found.save_as(tmp_path / "seg.dcm")
    seg = segread(tmp_path / "seg.dcm")
    assert seg.FrameOfReferenceUID == next(iter(sources.values())).FrameOfReferenceUID
    for groups in seg.PerFrameFunctionalGroupsSequence:
        named = groups.DerivationImageSequence[0].SourceImageSequence[0].ReferencedSOPInstanceUID
        plane = np.array(groups.PlanePositionSequence[0].ImagePositionPatient, dtype=float)
        assert np.allclose(plane, np.array(sources[named].ImagePositionPatient, dtype=float), atol=0.01)


@pytest.mark.parametrize("name", ["dx_dog_lateral.dcm", "RG3_J2KI.dcm"])
def test_what_is_not_a_human_chest_gets_no_findings(site: Site, real_data: Path, name: str) -> None:
    file = real_data / "ood" / name
    dcmsend([file], site.node_port)
    uid = study_uid(file)
    database = database_of(site)
    job = wait_for_job(database, uid)
    assert job.state is JobState.NOT_APPLICABLE
    assert job.detail
    assert not results_in_archive(site, uid)


def test_dicom_in_a_folder_with_other_files_is_found(real_data: Path, tmp_path: Path) -> None:
    from worker.demo.walk import group_studies

    shutil.copy(real_data / "cxr" / "nih_00000011_dcm" / "00000011_003.dcm", tmp_path / "b.dcm")
    shutil.copy(real_data / "cxr" / "nih_00000011_dcm" / "00000011_001.dcm", tmp_path / "c.dcm")
    (tmp_path / "readme.txt").write_text("not DICOM")
    studies = group_studies([tmp_path])
    assert [study.files[0].name for study in studies] == ["c.dcm", "b.dcm"]
