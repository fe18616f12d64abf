"""A study and its report are fetched from a real archive to be exported."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from pydicom import Dataset
from pydicom.uid import ComputedRadiographyImageStorage

from dicom_node.database.engine import open_database
from dicom_node.settings import NodeSettings, QueryRetrieve
from dicom_node.storage import InstanceStore
from tests.integration.dicom_node.programs import OrthancProcess, run
from tests.reader_documents import written_report
from worker.archive_export.files import write_instance
from worker.archive_export.sources import Choice, pacs_source
from worker.demo.servers import free_port

pytestmark = pytest.mark.skipif(
    shutil.which("Orthanc") is None or shutil.which("storescu") is None, reason="Orthanc is not installed"
)


@pytest.fixture
def archive(tmp_path: Path) -> Iterator[OrthancProcess]:
    running = OrthancProcess(tmp_path, node_port=free_port()).start()
    yield running
    running.stop()


def test_images_and_reports_come_from_a_pacs(archive: OrthancProcess, tmp_path: Path) -> None:
    image = Dataset()
    image.SOPClassUID, image.SOPInstanceUID = ComputedRadiographyImageStorage, "1.2.826.0.1.99.1.1.1"
    image.StudyInstanceUID, image.SeriesInstanceUID = "1.2.826.0.1.99.1", "1.2.826.0.1.99.1.1"
    image.PatientName, image.PatientID, image.PatientSex = "Roebuck^Jane", "MRN771234", "F"
    image.PatientBirthDate, image.StudyDate, image.Modality = "19610418", "20240229", "CR"
    image.Rows = image.Columns = 8
    image.BitsAllocated = 16
    image.PixelData = np.zeros(64, "<u2").tobytes()
    for n, ds in enumerate((image, written_report(image, "Lungs are clear.", "Normal."))):
        write_instance(ds, tmp_path / f"{n}.dcm")
        sent = run(
            "storescu", "-R", "-aec", "ORTHANC", "127.0.0.1", str(archive.port), str(tmp_path / f"{n}.dcm")
        )
        assert sent.returncode == 0
    peer = QueryRetrieve(name="PACS", ae_title="ORTHANC", port=archive.port, timeout_s=10)
    settings = NodeSettings.model_validate({"node": {"data_dir": str(tmp_path)}}).model_copy(
        update={"query_retrieve": (peer,)}
    )
    database = open_database(settings.node.database_url)
    source = pacs_source("PACS", settings, database, InstanceStore(tmp_path, database))

    chosen = source.studies(Choice(since="20240101", until="20240301", modalities=frozenset({"CR"})))
    study = source.read(chosen[0])
    database.close()

    assert chosen == ["1.2.826.0.1.99.1"]
    assert sorted(str(ds.Modality) for ds in study.datasets) == ["CR", "SR"]
