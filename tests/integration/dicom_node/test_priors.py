"""Priors from a real archive: C-FIND, then C-GET, or C-MOVE to the node where the archive allows no C-GET."""

import gc
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from pydicom import dcmwrite
from pydicom.dataset import FileMetaDataset
from pydicom.uid import DigitalXRayImageStorageForPresentation, ExplicitVRLittleEndian, generate_uid

from dicom_node.database.engine import Database, open_database
from dicom_node.intake import Intake
from dicom_node.priors.registry import find_priors
from dicom_node.settings import NodeSettings, QueryRetrieve
from dicom_node.storage import InstanceStore
from dicom_node.study import Origin, PriorSearch, StudyState
from tests.integration.dicom_node.programs import NodeProcess, OrthancProcess, run
from tests.unit.dicom_node.arrivals import Sender, dataset
from worker.demo.servers import free_port

pytestmark = pytest.mark.skipif(
    shutil.which("Orthanc") is None or shutil.which("storescu") is None, reason="Orthanc is not installed"
)

PATIENT = {"PatientID": "PRIORS1", "IssuerOfPatientID": "", "BodyPartExamined": "CHEST", "Modality": "DX"}


def chest(**elements: object) -> dict[str, object]:
    return {**PATIENT, "SOPClassUID": DigitalXRayImageStorageForPresentation, **elements}


def put(archive: OrthancProcess, folder: Path, **elements: object) -> str:
    """Store one chest image of a study of its own in the archive; return the study's UID."""
    study = generate_uid()
    ds = dataset(**chest(StudyInstanceUID=study, SeriesInstanceUID=generate_uid(), **elements))
    ds.file_meta = FileMetaDataset()
    ds.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    path = folder / f"{ds.SOPInstanceUID}.dcm"
    dcmwrite(path, ds, enforce_file_format=True)
    assert run("storescu", "-aec", "ORTHANC", "127.0.0.1", str(archive.port), str(path)).returncode == 0
    return study


@dataclass
class Site:
    """A node's folder with a current study in it, and an archive."""

    archive: OrthancProcess
    settings: NodeSettings
    database: Database
    store: InstanceStore
    current: str

    def search(self) -> PriorSearch:
        study = self.database.studies.get(self.current)
        return find_priors(study, self.settings, self.database, self.store)


def make_site(archive: OrthancProcess, data_dir: Path) -> Site:
    data_dir.mkdir(exist_ok=True)
    peer = QueryRetrieve(name="PACS", ae_title="ORTHANC", port=archive.port, timeout_s=10)
    settings = NodeSettings.model_validate({"node": {"data_dir": str(data_dir)}}).model_copy(
        update={"query_retrieve": (peer,)}
    )
    database = open_database(settings.node.database_url)
    store = InstanceStore(data_dir, database)
    current = generate_uid()
    outcome = Sender(Intake(store, database)).send(
        dataset(**chest(StudyInstanceUID=current, StudyDate="20260310"))
    )
    assert outcome.status == 0x0000
    return Site(archive, settings, database, store, current)


@pytest.fixture
def archive(tmp_path: Path) -> Iterator[OrthancProcess]:
    running = OrthancProcess(tmp_path, node_port=free_port()).start()
    yield running
    running.stop()


def test_priors_are_found_and_fetched(archive: OrthancProcess, tmp_path: Path) -> None:
    newest = put(archive, tmp_path, StudyDate="20260101")
    second = put(archive, tmp_path, StudyDate="20250101")
    put(archive, tmp_path, StudyDate="20240101")
    put(archive, tmp_path, StudyDate="20260201", PatientID="SOMEBODYELSE")
    put(archive, tmp_path, StudyDate="20260202", PatientBirthDate="20010101")
    put(archive, tmp_path, StudyDate="20260203", BodyPartExamined="HAND")
    put(archive, tmp_path, StudyDate="20260401")
    site = make_site(archive, tmp_path / "data")

    search = site.search()
    again = site.search()

    assert search.notes == ()
    assert [prior.study_instance_uid for prior in search.priors] == [newest, second]
    assert {prior.source for prior in search.priors} == {"PACS"}
    (instance,) = search.priors[0].instances
    assert instance.origin is Origin.RETRIEVED
    assert site.store.read(instance).StudyInstanceUID == newest
    assert site.database.studies.get(newest).state is StudyState.REFERENCE
    assert site.database.studies.receiving()[0].study_instance_uid == site.current
    assert [prior.source for prior in again.priors] == ["local", "local"]
    site.database.close()


def test_archive_without_c_get_moves_to_the_node(tmp_path: Path) -> None:
    node = NodeProcess(tmp_path).start()
    archive = OrthancProcess(tmp_path, node_port=node.port, allow_get=False).start()
    try:
        prior_uid = put(archive, tmp_path, StudyDate="20260101")
        site = make_site(archive, node.data_dir)

        search = site.search()

        assert [prior.study_instance_uid for prior in search.priors] == [prior_uid]
        assert [instance.origin for instance in search.priors[0].instances] == [Origin.RETRIEVED]
        assert site.database.studies.get(prior_uid).state is StudyState.REFERENCE
        site.database.close()
    finally:
        archive.stop()
        node.stop()


# pynetdicom leaves the socket of a refused connection to the garbage collector.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_archive_that_does_not_answer_is_a_note_not_an_error(tmp_path: Path) -> None:
    absent = OrthancProcess(tmp_path, node_port=free_port())
    site = make_site(absent, tmp_path / "data")

    search = site.search()

    assert search.priors == ()
    (note,) = search.notes
    assert "PACS" in note
    assert "does not answer" in note
    site.database.close()
    gc.collect()
