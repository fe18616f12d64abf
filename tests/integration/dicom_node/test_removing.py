"""A study is removed beside a node that serves, and comes again."""

import shutil
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from dicom_node.database.engine import open_database
from dicom_node.study import StudyState
from tests.driving import wait_until
from tests.integration.dicom_node.programs import PATIENCE_S, NodeProcess, run
from tests.unit.dicom_node.arrivals import write

STUDY = "1.2.3.100"


def remove(node: NodeProcess) -> subprocess.CompletedProcess[str]:
    command = (sys.executable, "-m", "dicom_node", "retention", "remove", STUDY, "--by", "ada")
    return run(*command, "--config", str(node.config))


@pytest.mark.skipif(shutil.which("dcmsend") is None, reason="DCMTK is not installed")
def test_X25_removed_study_leaves_no_byte_and_comes_again_as_a_new_revision(tmp_path: Path) -> None:
    folder = tmp_path / "sent"
    folder.mkdir()
    paths = [write(folder, PatientID="ZQMARK", PatientName="ZQMARK^NAME") for _ in range(3)]
    node = NodeProcess(tmp_path).start()
    try:
        with closing(open_database(f"sqlite:///{node.data_dir}/node.sqlite")) as index:

            def is_complete() -> bool:
                return index.studies.get(STUDY).state is StudyState.COMPLETE

            assert node.send(*paths).returncode == 0
            wait_until(is_complete, PATIENCE_S, "the study is complete")
            refused = remove(node)
            cancelled = run(*node.command("cancel"), STUDY, "--reason", "ZQMARK is a test")
            removed = remove(node)

            assert (refused.returncode, "job 1 is queued" in refused.stderr) == (1, True)
            assert cancelled.returncode == 0, cancelled.stderr
            assert removed.stdout == f"{STUDY} is removed: 3 images and 0 results\n", removed.stderr
            assert [file for file in node.data_dir.rglob("*.dcm") if file.stat().st_size] == []
            assert index.studies.get(STUDY).state is StudyState.REMOVED
            left = [file for file in node.data_dir.rglob("*") if file.is_file()]
            assert [file.name for file in left if b"ZQMARK" in file.read_bytes()] == []

            assert node.send(*paths).returncode == 0
            wait_until(is_complete, PATIENCE_S, "it is complete again")
            assert [job.revision for job in index.jobs.of_study(STUDY)] == [1, 2]
            assert len(index.instances.of_study(STUDY)) == 3
        assert "ZQMARK" not in node.log
    finally:
        node.stop()
