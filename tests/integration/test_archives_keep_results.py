"""Real archives store every object, draw it, give it back as it was, and live on."""

import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from io import BytesIO
from pathlib import Path

import httpx
import numpy as np
import pytest
from PIL import Image
from pydicom import Dataset

from dicom_node.errors import UnreachableError
from dicom_node.scu import send_files
from dicom_node.settings import Destination
from structured_reports.profiles import Profile
from structured_reports.registry import write_bundles
from tests.acceptance.result_objects.objects import BUNDLES, with_pixels, write
from tests.builders import data_set_bytes
from tests.integration.dicom_node.programs import PLUGINS, OrthancProcess
from tests.unit.structured_reports.readings import RUN, chest_reading, header, sources
from worker.demo.servers import free_port

pytestmark = pytest.mark.skipif(shutil.which("Orthanc") is None, reason="Orthanc is not installed")

LABEL_MAP = "1.2.840.10008.5.1.4.1.1.66.7"
"""Label Map Segmentation Storage, which Orthanc 1.10 does not know; the node asks before it sends one."""
UNCUT = {"Rows": 61, "Columns": 43}
"""A frame of one bit a pixel would end inside a byte."""


@dataclass(frozen=True, slots=True, eq=False)
class Stored:
    """One result on disk and the name that an archive gave to it."""

    path: Path
    ds: Dataset
    status: int | None
    orthanc_id: str


@cache
def every_object() -> list[Dataset]:
    """List each object of each profile once: of radiograph, CT, dermoscopy and an image of an odd size.

    But for label maps, of which a test of their own tells.
    """
    odd = with_pixels(header(**UNCUT, StudyInstanceUID="1.2.3.5", SOPInstanceUID="1.2.3.5.1.1"))
    cases = [(make().reading, make().sources) for make in BUNDLES.values()]
    found: dict[str, Dataset] = {}
    for reading, given in (*cases, (chest_reading(odd), sources(odd))):
        profiles = [profile for profile in Profile if profile is not Profile.LABEL_MAP]
        for results in write_bundles(reading, given, RUN, profiles).values():
            found |= {str(ds.SOPInstanceUID): ds for ds in results}
    return list(found.values())


@pytest.fixture(scope="module")
def client() -> Iterator[httpx.Client]:
    with httpx.Client(timeout=30) as running:
        yield running


@pytest.fixture(scope="module", params=["default", "gdcm"])
def archive(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[OrthancProcess]:
    """Orthanc as Debian configures it, alone or with its GDCM plugin at its own defaults."""
    plugins = ("libOrthancGdcm.so",) if request.param == "gdcm" else ()
    if not all((PLUGINS / name).exists() for name in plugins):
        pytest.skip("the GDCM plugin of Orthanc is not installed (run `make validators`)")
    running = OrthancProcess(tmp_path_factory.mktemp("orthanc"), node_port=free_port(), plugins=plugins)
    yield running.start()
    running.stop()


@pytest.fixture(scope="module")
def stored(
    archive: OrthancProcess, client: httpx.Client, tmp_path_factory: pytest.TempPathFactory
) -> list[Stored]:
    """Every object, sent by C-STORE as the node sends it."""
    folder = tmp_path_factory.mktemp("objects")
    objects = every_object()
    paths = [write(ds, folder) for ds in objects]
    destination = Destination(name="PACS", ae_title="ORTHANC", port=archive.port)
    outcomes = send_files(destination, paths)
    assert [outcome.sop_instance_uid for outcome in outcomes] == [str(ds.SOPInstanceUID) for ds in objects]
    names = [
        client.post(f"{archive.url}/tools/lookup", content=str(ds.SOPInstanceUID)).json() for ds in objects
    ]
    return [
        Stored(path, ds, outcome.status, name[0]["ID"])
        for path, ds, outcome, name in zip(paths, objects, outcomes, names, strict=True)
    ]


def test_check_40_every_object_is_stored(stored: list[Stored]) -> None:
    assert {each.ds.Modality for each in stored} == {"SR", "SEG", "PR", "KO", "OT", "DOC"}
    assert [each.status for each in stored] == [0x0000] * len(stored)


def test_every_object_comes_back_byte_by_byte(
    archive: OrthancProcess, client: httpx.Client, stored: list[Stored], tmp_path: Path
) -> None:
    for each in stored:
        returned = tmp_path / each.path.name
        returned.write_bytes(client.get(f"{archive.url}/instances/{each.orthanc_id}/file").content)
        assert data_set_bytes(returned) == data_set_bytes(each.path), each.ds.SeriesDescription


def test_check_40_every_frame_is_drawn_and_the_archive_lives_on(
    archive: OrthancProcess, client: httpx.Client, stored: list[Stored]
) -> None:
    drawn = [each for each in stored if "PixelData" in each.ds]
    assert {each.ds.get("SegmentationType") for each in drawn} == {"BINARY", "FRACTIONAL", None}
    for each in drawn:
        url, frames = f"{archive.url}/instances/{each.orthanc_id}", int(each.ds.get("NumberOfFrames", 1))
        for what in ("preview", "rendered", *(f"frames/{frame}/preview" for frame in range(frames))):
            answer = client.get(f"{url}/{what}")
            assert answer.status_code == 200, f"{each.ds.SeriesDescription}: {what}"
            picture = Image.open(BytesIO(answer.content))
            assert picture.size == (each.ds.Columns, each.ds.Rows)
            assert len(np.unique(np.asarray(picture))) > 1, "the picture is empty"
    assert archive.is_alive()


def test_what_has_no_pixels_is_refused_as_a_picture_and_the_archive_lives_on(
    archive: OrthancProcess, client: httpx.Client, stored: list[Stored]
) -> None:
    plain = [each for each in stored if "PixelData" not in each.ds]
    assert {each.ds.Modality for each in plain} == {"SR", "PR", "KO", "DOC"}
    for what in ("preview", "rendered"):
        statuses = {
            client.get(f"{archive.url}/instances/{each.orthanc_id}/{what}").status_code for each in plain
        }
        assert statuses == {415}, what
    assert archive.is_alive()


def test_a_label_map_is_kept_where_its_class_is_not_asked_for(
    archive: OrthancProcess, client: httpx.Client, tmp_path: Path
) -> None:
    """By C-STORE it is refused in the negotiation; what is put in by REST stays and harms nothing."""
    reading, given = BUNDLES["CT"]().reading, BUNDLES["CT"]().sources
    results = write_bundles(reading, given, RUN, (Profile.LABEL_MAP,))[Profile.LABEL_MAP]
    (label_map,) = [ds for ds in results if ds.SOPClassUID == LABEL_MAP]
    path = write(label_map, tmp_path)
    with pytest.raises(UnreachableError, match="none of the offered presentation contexts"):
        send_files(Destination(name="PACS", ae_title="ORTHANC", port=archive.port), [path])
    put = client.post(f"{archive.url}/instances", content=path.read_bytes())
    assert put.status_code == 200
    url = f"{archive.url}/instances/{put.json()['ID']}"
    assert client.get(f"{url}/file").content == path.read_bytes()
    assert client.get(f"{url}/preview").status_code == 200
    assert archive.is_alive()
