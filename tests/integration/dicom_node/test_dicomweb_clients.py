"""The DICOMweb server before clients of others: dicomweb-client, Orthanc's plugin, curl."""

import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
import requests
from dicomweb_client.api import DICOMwebClient
from pydicom import Dataset, dcmread
from pydicom.uid import DigitalXRayImageStorageForPresentation

from dicom_node.access_token import Scope
from tests.certificates import Authority
from tests.in_process_web import RunningServer, running
from tests.integration.dicom_node.programs import PLUGINS, OrthancProcess, run
from tests.unit.dicom_node.arrivals import write

STUDY = "1.2.3.77"
DICOMWEB = "libOrthancDicomWeb.so"
needs_orthanc = pytest.mark.skipif(
    shutil.which("Orthanc") is None or not (PLUGINS / DICOMWEB).exists(),
    reason="Orthanc or its DICOMweb plugin is not installed (run `make servers`)",
)
needs_curl = pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")


@pytest.fixture
def server(tmp_path: Path) -> Iterator[RunningServer]:
    with running(tmp_path / "node") as started:
        yield started


@pytest.fixture
def token(server: RunningServer) -> str:
    return server.token("CLIENT", *Scope)


@pytest.fixture
def client(server: RunningServer, token: str) -> DICOMwebClient:
    return DICOMwebClient(server.url, headers={"Authorization": f"Bearer {token}"})


def chest(folder: Path, count: int = 2) -> list[Path]:
    """Radiographs of one study."""
    folder.mkdir()
    kind = {"SOPClassUID": DigitalXRayImageStorageForPresentation, "Modality": "DX"}
    place = {"StudyInstanceUID": STUDY, "SeriesInstanceUID": f"{STUDY}.1", "AccessionNumber": "A4711"}
    return [write(folder, **kind, **place) for _ in range(count)]


def uid_of(ds: Dataset) -> str:
    return str(ds.SOPInstanceUID)


def test_dicomweb_client_stores_finds_and_retrieves(client: DICOMwebClient, tmp_path: Path) -> None:
    sent = sorted((dcmread(path) for path in chest(tmp_path / "files")), key=uid_of)

    answer = client.store_instances(sent, STUDY)

    stored = [item.ReferencedSOPInstanceUID for item in answer.ReferencedSOPSequence]
    assert stored == list(map(uid_of, sent))
    (found,) = client.search_for_studies(search_filters={"AccessionNumber": "A4711"})
    assert Dataset.from_json(found).NumberOfStudyRelatedInstances == 2
    assert len(client.search_for_series(STUDY, search_filters={"Modality": "DX"})) == 1
    assert len(client.search_for_instances(STUDY, get_remaining=True, limit=1)) == 2
    for syntax in ("*", "1.2.840.10008.1.2.1"):
        returned = client.retrieve_study(STUDY, media_types=(("application/dicom", syntax),))
        assert sorted(returned, key=uid_of) == sent
    told = [
        Dataset.from_json(each, bulk_data_uri_handler=lambda uri: bytes(client.retrieve_bulkdata(uri)[0]))
        for each in client.retrieve_series_metadata(STUDY, f"{STUDY}.1")
    ]
    assert [(uid_of(ds), bytes(ds.PixelData)) for ds in told] == [(uid_of(ds), ds.PixelData) for ds in sent]
    for ds in sent:
        (frame,) = client.retrieve_instance_frames(STUDY, f"{STUDY}.1", uid_of(ds), [1])
        assert bytes(frame) == ds.PixelData


@pytest.fixture
def orthanc(server: RunningServer, token: str, tmp_path: Path) -> Iterator[httpx.Client]:
    """A client of an Orthanc that knows our server."""
    ours = {"Url": f"{server.url}/", "HttpHeaders": {"Authorization": f"Bearer {token}"}}
    folder = tmp_path / "orthanc"
    folder.mkdir()
    options = {"DicomWeb": {"Enable": True, "Servers": {"node": ours}}}
    archive = OrthancProcess(folder, 1, plugins=(DICOMWEB,), options=options).start()
    with httpx.Client(base_url=archive.url, timeout=30) as client:
        yield client
    archive.stop()


@needs_orthanc
def test_orthanc_sends_searches_and_retrieves(
    server: RunningServer, orthanc: httpx.Client, tmp_path: Path
) -> None:
    paths = chest(tmp_path / "files", 3)
    kept = [orthanc.post("/instances", content=path.read_bytes()).json()["ID"] for path in paths]
    parent = orthanc.get(f"/instances/{kept[0]}/study").json()["ID"]
    node = "/dicom-web/servers/node"

    sent = orthanc.post(f"{node}/stow", json={"Resources": [parent], "Synchronous": True})

    assert sent.status_code == 200, sent.text
    ours = {each.sop_instance_uid for each in server.database.instances.of_study(STUDY)}
    assert ours == {path.stem for path in paths}
    asked = {"Uri": "/studies", "Arguments": {"AccessionNumber": "A4711"}}
    (found,) = orthanc.post(f"{node}/qido", json=asked).json()
    assert found["0020000D"]["Value"] == STUDY

    assert orthanc.delete(f"/studies/{parent}").status_code == 200
    wanted = {"Resources": [{"Study": STUDY}], "Synchronous": True}
    fetched = orthanc.post(f"{node}/retrieve", json=wanted)
    assert fetched.status_code == 200, fetched.text
    assert set(orthanc.get("/instances").json()) == set(kept)


def curl(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    return run("curl", "--silent", "--show-error", "--max-time", "30", *map(str, arguments))


@needs_curl
def test_curl_uploads_nothing_before_it_is_let_in(server: RunningServer, token: str, tmp_path: Path) -> None:
    large = tmp_path / "large"
    large.write_bytes(bytes(5 << 20))
    kind = 'Content-Type: multipart/related; type="application/dicom"; boundary=edge'
    expect = ("-H", "Expect: 100-continue", "--expect100-timeout", "25")
    answer = ("-o", tmp_path / "answer", "-w", "%{http_code} %{size_upload}")
    told = curl(*answer, "-H", kind, *expect, "--data-binary", f"@{large}", f"{server.url}/studies")
    assert told.stdout == "401 0", told.stderr


@needs_curl
def test_curl_trusts_our_certificate_and_only_by_its_authority(tmp_path: Path) -> None:
    authority = Authority(tmp_path / "ca")
    own = authority.issue("server")
    with running(tmp_path, certificate_file=own.certificate, key_file=own.key) as server:
        url = f"https://127.0.0.1:{server.port}/healthz"
        trusted = ("--cacert", tmp_path / "ca" / "ca.pem")
        assert curl(*trusted, url).stdout == "ok\n"
        assert curl(url).returncode == 60
        old = curl(*trusted, "--tls-max", "1.1", "--ciphers", "DEFAULT@SECLEVEL=0", url)
        assert old.returncode == 35


def test_a_client_without_the_right_scope_is_told_so(server: RunningServer, tmp_path: Path) -> None:
    reader = DICOMwebClient(server.url, headers={"Authorization": f"Bearer {server.token('R', Scope.READ)}"})
    with pytest.raises(requests.HTTPError, match="403"):
        reader.store_instances([dcmread(path) for path in chest(tmp_path / "files")])
    assert reader.search_for_studies() == []
