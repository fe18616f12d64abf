"""The right priors in the right order out of sixty studies, by every way to ask a real archive."""

import json
import shutil
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from dicom_node.database.engine import Database, open_database
from dicom_node.intake import Intake
from dicom_node.priors.local import candidate_of
from dicom_node.priors.registry import find_priors, survey_of
from dicom_node.settings import NodeSettings
from dicom_node.storage import InstanceStore
from tests.integration.dicom_node.patient_history import (
    CHEST,
    DELETED,
    LEFT_KNEE,
    TRAPS,
    PatientHistory,
    current,
    names,
    written,
)
from tests.integration.dicom_node.programs import (
    PLUGINS,
    DcmqrscpProcess,
    NodeProcess,
    OrthancProcess,
    run,
)
from tests.unit.dicom_node.arrivals import Sender
from worker.demo.servers import free_port

pytestmark = pytest.mark.skipif(
    any(shutil.which(name) is None for name in ("Orthanc", "dcmqrscp", "dcmsend")),
    reason="Orthanc or DCMTK is not installed",
)

DICOMWEB = "libOrthancDicomWeb.so"
HAS_DICOMWEB = (PLUGINS / DICOMWEB).exists()


@dataclass
class Archives:
    """Both archives, each with the history; the node that they move studies to is not running yet."""

    orthanc: OrthancProcess
    dcmqrscp: DcmqrscpProcess
    history: PatientHistory
    node_port: int


@pytest.fixture(scope="module")
def archives(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Archives]:
    folder = tmp_path_factory.mktemp("archives")
    history = written(folder)
    node_port = free_port()
    orthanc = OrthancProcess(folder, node_port, plugins=(DICOMWEB,) if HAS_DICOMWEB else ()).start()
    dcmqrscp = DcmqrscpProcess(folder, node_port).start()
    for title, port in (("ORTHANC", orthanc.port), ("DCMQRSCP", dcmqrscp.port)):
        sent = run("dcmsend", "-aec", title, "127.0.0.1", str(port), *map(str, history.files.values()))
        assert sent.returncode == 0, sent.stderr
    delete_from_orthanc(orthanc, history.uids[DELETED])
    delete_from_dcmqrscp(dcmqrscp, history.uids[DELETED])
    yield Archives(orthanc, dcmqrscp, history, node_port)
    orthanc.stop()
    dcmqrscp.stop()


def delete_from_orthanc(orthanc: OrthancProcess, study_instance_uid: str) -> None:
    url = f"http://127.0.0.1:{orthanc.http_port}"
    # Not checked: loopback.
    query = urllib.request.Request(f"{url}/tools/lookup", data=study_instance_uid.encode())  # noqa: S310 (loopback)
    with urllib.request.urlopen(query) as answer:  # noqa: S310 (loopback)
        (found,) = json.load(answer)
    delete = urllib.request.Request(f"{url}{found['Path']}", method="DELETE")  # noqa: S310 (loopback)
    urllib.request.urlopen(delete).close()  # noqa: S310 (loopback)


def delete_from_dcmqrscp(dcmqrscp: DcmqrscpProcess, study_instance_uid: str) -> None:
    """Lose the file behind the archive's back: its index may go on to list the study."""
    (lost,) = [
        path
        for path in dcmqrscp.store.iterdir()
        if f"{study_instance_uid}.1.1\0".encode() in path.read_bytes() and path.name != "index.dat"
    ]
    lost.unlink()


Route = Callable[[Archives], dict[str, object]]


def query_retrieve(title: str, retrieve: str) -> Route:
    def configured(archives: Archives) -> dict[str, object]:
        port = archives.orthanc.port if title == "ORTHANC" else archives.dcmqrscp.port
        peer = {"name": "PACS", "ae_title": title, "port": port, "retrieve": retrieve}
        return {"query_retrieve": [{**peer, "budget_s": 250}]}

    return configured


def web(kind: str, path: str) -> Route:
    def configured(archives: Archives) -> dict[str, object]:
        url = f"http://127.0.0.1:{archives.orthanc.http_port}{path}"
        return {kind: [{"name": "PACS", "url": url, "budget_s": 250}]}

    return configured


ROUTES: dict[str, Route] = {
    "Orthanc, C-FIND and C-GET": query_retrieve("ORTHANC", "get"),
    "Orthanc, C-FIND and C-MOVE": query_retrieve("ORTHANC", "move"),
    "Orthanc, DICOMweb": web("dicomweb", "/dicom-web"),
    "Orthanc, REST": web("orthanc", ""),
    "dcmqrscp, C-FIND and C-GET": query_retrieve("DCMQRSCP", "get"),
    "dcmqrscp, C-FIND and C-MOVE": query_retrieve("DCMQRSCP", "move"),
}
BODY_PARTS = {
    "chest": (CHEST, ["chest 9 days", "chest 59 days", "chest 181 days"]),
    "left knee": (LEFT_KNEE, ["left knee 54 days", "left knee 240 days", "left knee 365 days"]),
}


@dataclass
class Site:
    """A node's folder with a current study."""

    settings: NodeSettings
    database: Database
    store: InstanceStore
    current: str


@pytest.fixture
def make_site(tmp_path: Path) -> Iterator[Callable[[Archives, str, str], Site]]:
    opened: list[Database] = []

    def make(archives: Archives, route: str, part: str) -> Site:
        if "DICOMweb" in route and not HAS_DICOMWEB:
            pytest.skip("Orthanc's DICOMweb plugin is not installed")
        node = {"data_dir": str(tmp_path / "data")}
        priors = {"sources": ["PACS"], "limit": 3, "budget_s": 250}
        settings = NodeSettings.model_validate({"node": node, "priors": priors, **ROUTES[route](archives)})
        settings.node.data_dir.mkdir(exist_ok=True)
        database = open_database(settings.node.database_url)
        opened.append(database)
        store = InstanceStore(settings.node.data_dir, database)
        ds = current(BODY_PARTS[part][0])
        assert Sender(Intake(store, database)).send(ds).status == 0x0000
        return Site(settings, database, store, str(ds.StudyInstanceUID))

    yield make
    for database in opened:
        database.close()


@pytest.mark.parametrize("part", BODY_PARTS)
@pytest.mark.parametrize("route", ROUTES)
def test_right_priors_in_the_right_order(
    route: str, part: str, archives: Archives, make_site: Callable[[Archives, str, str], Site], tmp_path: Path
) -> None:
    site = make_site(archives, route, part)
    node = NodeProcess(tmp_path, port=archives.node_port)
    if "C-MOVE" in route:
        node.start()

    search = find_priors(site.database.studies.get(site.current), site.settings, site.database, site.store)

    if node.process is not None:
        node.stop()
    found = names(archives.history, [prior.study_instance_uid for prior in search.priors])
    assert found == BODY_PARTS[part][1], search.notes
    assert {prior.source for prior in search.priors} == {"PACS"}
    for prior in search.priors:
        assert [site.store.read(one).StudyInstanceUID for one in prior.instances] == [
            prior.study_instance_uid
        ]


REASONS = {
    "the same number, another patient": "same Patient ID with another birth date",
    "another issuer": "same Patient ID of another issuer",
    "another body part": "another body part (head)",
    "in the future": "not surely older",
    "without a date": "not surely older",
    "AI results only": "reports and results only, no images",
    "another kind of image": "another kind of image",
}


@pytest.mark.parametrize("route", ["Orthanc, DICOMweb", "Orthanc, REST", "Orthanc, C-FIND and C-GET"])
def test_every_trap_that_is_answered_is_left_with_its_reason(
    route: str, archives: Archives, make_site: Callable[[Archives, str, str], Site]
) -> None:
    site = make_site(archives, route, "chest")
    study = candidate_of(site.database, site.database.studies.content(site.current))

    survey = survey_of(study, site.settings, site.database, site.store)

    assert survey.notes == ()
    by_name = {
        archives.history.name_of[found.judgement.candidate.study_instance_uid]: found.judgement
        for found in survey.found
    }
    absent = {"the same name, another number", "number that begins alike", DELETED}
    assert set(archives.history.uids) - set(by_name) == absent
    assert [name for name in TRAPS if name in by_name and not by_name[name].obstacle] == []
    reasons = {name: by_name[name].obstacle for name in REASONS}
    assert reasons == REASONS
