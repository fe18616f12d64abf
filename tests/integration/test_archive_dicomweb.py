"""A real archive takes every object by STOW-RS, lists it by QIDO-RS and gives it back by WADO-RS."""

import shutil
from collections.abc import Iterator
from email.parser import BytesParser
from pathlib import Path

import httpx
import pytest
from pydicom import Dataset
from pydicom.uid import Comprehensive3DSRStorage

from structured_reports.profiles import Profile
from structured_reports.registry import write_bundles
from tests.acceptance.result_objects.objects import OBJECTS, received, write
from tests.acceptance.result_objects.programs import program, run
from tests.builders import data_set_bytes
from tests.integration.dicom_node.programs import PLUGINS, OrthancProcess
from tests.unit.structured_reports.readings import RUN, chest_reading, header, sources
from worker.demo.servers import free_port

DICOMWEB = "libOrthancDicomWeb.so"
BOUNDARY = "part"
NAME = "Иванов^Иван"
PATIENT_NAME, SERIES_UID, INSTANCE_UID, FAILED = "00100010", "0020000E", "00080018", "00081198"
SHOWN = {"00080060": "Modality", "0008103E": "SeriesDescription", "00200011": "SeriesNumber"}

pytestmark = pytest.mark.skipif(
    shutil.which("Orthanc") is None or not (PLUGINS / DICOMWEB).exists(),
    reason="Orthanc or its DICOMweb plugin is not installed (run `make servers validators`)",
)


@pytest.fixture(scope="module")
def web(tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    """A client of an Orthanc that reads texts without a character set as UTF-8, as QIDO's answers need."""
    archive = OrthancProcess(
        tmp_path_factory.mktemp("orthanc"),
        node_port=free_port(),
        plugins=(DICOMWEB,),
        options={"DefaultEncoding": "Utf8"},
    ).start()
    with httpx.Client(base_url=f"{archive.url}/dicom-web/", timeout=30) as client:
        yield client
    archive.stop()


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> dict[Path, Dataset]:
    """Every object about one patient whose name is Cyrillic, by its file."""
    folder = tmp_path_factory.mktemp("results")
    ds = received(header(SpecificCharacterSet="ISO_IR 144", PatientName=NAME), folder)
    bundles = write_bundles(chest_reading(ds), sources(ds), RUN, (Profile.FULL, Profile.LEGACY_SC))
    return {write(each, folder): each for results in bundles.values() for each in results}


@pytest.fixture(scope="module")
def answer(web: httpx.Client, results: dict[Path, Dataset]) -> httpx.Response:
    """What the archive says to all of them in one request."""
    head = f"--{BOUNDARY}\r\nContent-Type: application/dicom\r\n\r\n".encode()
    body = b"".join(head + path.read_bytes() + b"\r\n" for path in results) + f"--{BOUNDARY}--".encode()
    kind = f'multipart/related; type="application/dicom"; boundary={BOUNDARY}'
    return web.post(
        "studies", content=body, headers={"Content-Type": kind, "Accept": "application/dicom+json"}
    )


def test_check_40_every_object_is_stored_by_stow(
    answer: httpx.Response, results: dict[Path, Dataset]
) -> None:
    assert answer.status_code == 200
    said = answer.json()
    said = said[0] if isinstance(said, list) else said
    assert "Value" not in said.get(FAILED, {})
    assert len(said["00081199"]["Value"]) == len({ds.SOPInstanceUID for ds in results.values()})


def test_check_40_qido_lists_the_series_as_they_were_written(
    web: httpx.Client, answer: httpx.Response, results: dict[Path, Dataset]
) -> None:
    (study,) = web.get("studies", params={"StudyInstanceUID": "1.2.3.4"}).json()
    assert study[PATIENT_NAME]["Value"][0]["Alphabetic"] == NAME
    listed = {
        series[SERIES_UID]["Value"][0]: {name: str(series[tag]["Value"][0]) for tag, name in SHOWN.items()}
        for series in web.get("studies/1.2.3.4/series").json()
    }
    assert listed == {
        str(ds.SeriesInstanceUID): {name: str(ds[name].value) for name in SHOWN.values()}
        for ds in results.values()
    }


def test_check_40_wado_gives_back_what_was_sent(
    web: httpx.Client, answer: httpx.Response, results: dict[Path, Dataset], tmp_path: Path
) -> None:
    accepted = 'multipart/related; type="application/dicom"; transfer-syntax=*'
    for path, ds in results.items():
        url = f"studies/{ds.StudyInstanceUID}/series/{ds.SeriesInstanceUID}/instances/{ds.SOPInstanceUID}"
        found = web.get(url, headers={"Accept": accepted})
        assert found.status_code == 200
        kind = f"Content-Type: {found.headers['Content-Type']}\r\n\r\n".encode()
        (part,) = BytesParser().parsebytes(kind + found.content).get_payload()
        returned = tmp_path / path.name
        returned.write_bytes(part.get_payload(decode=True))
        assert data_set_bytes(returned) == data_set_bytes(path)


def test_pictures_are_rendered(
    web: httpx.Client, answer: httpx.Response, results: dict[Path, Dataset]
) -> None:
    drawn = [ds for ds in results.values() if "PixelData" in ds]
    assert {ds.Modality for ds in drawn} == {"SEG", "OT"}
    for ds in drawn:
        url = f"studies/{ds.StudyInstanceUID}/series/{ds.SeriesInstanceUID}/instances/{ds.SOPInstanceUID}"
        assert web.get(f"{url}/rendered", headers={"Accept": "image/png"}).status_code == 200


def test_air_a20_results_are_found_by_kind_and_words(
    web: httpx.Client, answer: httpx.Response, results: dict[Path, Dataset]
) -> None:
    # As one piece: this archive does not decode an escaped asterisk.
    found = web.get("series?SeriesDescription=AI*").json()
    assert {each[SERIES_UID]["Value"][0] for each in found} == {
        ds.SeriesInstanceUID for ds in results.values()
    }
    report = next(ds for ds in results.values() if ds.SOPClassUID == Comprehensive3DSRStorage)
    found = web.get("instances", params={"SOPClassUID": str(report.SOPClassUID)}).json()
    assert [each[INSTANCE_UID]["Value"][0] for each in found] == [report.SOPInstanceUID]


@pytest.mark.parametrize("name", ["SEG of DX", "SEG of CT", "SEG of dermoscopy", "SC"])
def test_check_40_gdcm_reads_every_picture(name: str, tmp_path: Path) -> None:
    found = run(program("gdcminfo"), write(OBJECTS[name](), tmp_path))
    assert found.returncode == 0, found.stderr
