"""A rejection note that DCMTK sends to a running node takes its images out of their study."""

import shutil
from contextlib import closing
from pathlib import Path

import pytest
from pydicom import Dataset, dcmread, dcmwrite
from pydicom.dataset import FileMetaDataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, generate_uid

from dicom_node.database.engine import open_database
from dicom_node.study import JobState, Reason, StudyState
from tests.driving import wait_until
from tests.integration.dicom_node.programs import NodeProcess
from tests.rejection_notes import rejection_note
from tests.unit.dicom_node.arrivals import write

pytestmark = pytest.mark.skipif(shutil.which("dcmsend") is None, reason="DCMTK is not installed")

PATIENCE_S = 60
STUDY = "1.2.3.100"


def test_T20_note_reaches_the_study_and_opens_it_again(tmp_path: Path) -> None:
    study = {"StudyInstanceUID": STUDY, "SOPClassUID": CTImageStorage}
    images = [write(tmp_path, SOPInstanceUID=generate_uid(), **study) for _ in range(2)]
    headers = [dcmread(image) for image in images]
    node = NodeProcess(tmp_path).start()
    try:
        with closing(open_database(f"sqlite:///{node.data_dir}/node.sqlite")) as index:
            assert node.send(*images).returncode == 0
            wait_until(lambda: index.jobs.all() != [], PATIENCE_S, "the study is complete")
            (job,) = index.jobs.all()
            lease = index.jobs.claim(job.job_id, "worker", 600)
            assert lease is not None
            index.jobs.mark(lease, JobState.DONE, Reason.DELIVERED)

            assert node.send(written(tmp_path, rejection_note(headers[0], headers[:1]))).returncode == 0
            wait_until(lambda: len(index.jobs.all()) == 2, PATIENCE_S, "what is left is to be read")

            found = index.studies.get(STUDY)
            assert (found.state, found.revision) == (StudyState.COMPLETE, 2)
            used = {each.sop_instance_uid for each in index.instances.of_study(STUDY)}
            assert headers[0].SOPInstanceUID not in used
            assert headers[1].SOPInstanceUID in used
        (refusal,) = node.status()["refusals"]
        assert refusal["reason"] == "REJECTED"
    finally:
        assert node.stop() == 0


def written(folder: Path, note: Dataset) -> Path:
    note.file_meta = FileMetaDataset()
    note.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    path = folder / "note.dcm"
    dcmwrite(path, note, enforce_file_format=True)
    return path
