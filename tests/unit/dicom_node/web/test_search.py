"""QIDO-RS: what is found, what is said of it, and in which pages (PS3.18 10.6)."""

from typing import Any

import httpx
import pytest
from pydicom.uid import CTImageStorage

from dicom_node.intake import Intake
from dicom_node.storage import InstanceStore
from dicom_node.study import Reason
from dicom_node.web.attributes import INSTANCE_ATTRIBUTES, SERIES_ATTRIBUTES, STUDY_ATTRIBUTES, path_of
from tests.in_process_web import RunningServer
from tests.unit.dicom_node.arrivals import Sender, dataset

STUDY, SERIES, INSTANCE = "0020000D", "0020000E", "00080018"


@pytest.fixture
def archive(server: RunningServer) -> RunningServer:
    """Three studies of two patients: a CT of two series, a radiograph, and one without a date."""
    for series, count in ((1, 3), (2, 2)):
        for number in range(1, count + 1):
            send(
                server,
                SOPInstanceUID=f"1.2.3.100.{series}.{number}",
                SeriesInstanceUID=f"1.2.3.100.{series}",
                SeriesNumber=series,
                InstanceNumber=number,
                AccessionNumber="A1",
                Modality="CT" if series == 1 else "SR",
                SpecificCharacterSet="ISO_IR 144",
                PatientName="Иванов^Иван",
            )
    send(
        server,
        SOPInstanceUID="1.2.3.200.1.1",
        SeriesInstanceUID="1.2.3.200.1",
        StudyInstanceUID="1.2.3.200",
        StudyDate="20250301",
        Modality="DX",
    )
    send(
        server,
        SOPInstanceUID="1.2.3.300.1.1",
        SeriesInstanceUID="1.2.3.300.1",
        StudyInstanceUID="1.2.3.300",
        StudyDate="",
        PatientID="P2",
        PatientName="Other^Name",
    )
    return server


def send(server: RunningServer, **elements: object) -> None:
    store = InstanceStore(server.data_dir, server.database)
    outcome = Sender(Intake(store, server.database)).send(dataset(**elements))
    assert outcome.reason is None
    store.spool.close()


def get(server: RunningServer, path: str, **parameters: Any) -> httpx.Response:
    with server.client() as client:
        return client.get(path, params=parameters)


def found(server: RunningServer, path: str, tag: str = STUDY, **parameters: Any) -> list[str]:
    response = get(server, path, **parameters)
    if response.status_code == 204:
        assert not response.content
        return []
    assert response.status_code == 200, response.text
    assert response.headers["Content-Type"] == "application/dicom+json"
    return [each[tag]["Value"][0] for each in response.json()]


def test_studies_come_newest_first_with_what_the_standard_returns(archive: RunningServer) -> None:
    assert found(archive, "/studies") == ["1.2.3.100", "1.2.3.200", "1.2.3.300"]
    first = get(archive, "/studies").json()[0]
    assert set(first) == {f"{path_of(name)[0]:08X}" for name in STUDY_ATTRIBUTES}
    assert first["00100010"]["Value"] == [{"Alphabetic": "Иванов^Иван"}]
    assert first["00080061"]["Value"] == ["CT", "SR"]
    assert (first["00201206"]["Value"], first["00201208"]["Value"]) == ([2], [5])
    assert first["00081190"]["Value"] == [f"{archive.url}/studies/1.2.3.100"]
    assert first["00080005"]["Value"] == ["ISO_IR 192"]
    assert first["00080090"] == {"vr": "PN"}


def test_series_and_instances_come_below_their_study(archive: RunningServer) -> None:
    series = get(archive, "/studies/1.2.3.100/series").json()
    assert [each[SERIES]["Value"][0] for each in series] == ["1.2.3.100.1", "1.2.3.100.2"]
    assert set(series[0]) == {f"{path_of(name)[0]:08X}" for name in SERIES_ATTRIBUTES}
    assert [each["00201209"]["Value"][0] for each in series] == [3, 2]

    instances = get(archive, "/studies/1.2.3.100/series/1.2.3.100.2/instances").json()
    assert [each[INSTANCE]["Value"][0] for each in instances] == ["1.2.3.100.2.1", "1.2.3.100.2.2"]
    assert set(instances[0]) == {f"{path_of(name)[0]:08X}" for name in INSTANCE_ATTRIBUTES}
    assert [each["00200013"]["Value"][0] for each in instances] == [1, 2]
    assert instances[0]["00081190"]["Value"][0].endswith("/series/1.2.3.100.2/instances/1.2.3.100.2.1")
    assert len(found(archive, "/studies/1.2.3.100/instances")) == 5


def test_a_search_across_studies_says_where_each_match_belongs(archive: RunningServer) -> None:
    assert len(found(archive, "/series")) == 4
    (instance,) = get(archive, "/instances", StudyDate="20250301").json()
    assert instance["00100020"]["Value"] == ["P1"]
    assert instance[STUDY]["Value"] == ["1.2.3.200"]


@pytest.mark.parametrize(
    ("parameters", "expected"),
    [
        ({"PatientID": "P1"}, ["100", "200"]),
        ({"PatientID": "P*"}, ["100", "200", "300"]),
        ({"00100020": "P2"}, ["300"]),
        ({"PatientName": "иванов*"}, ["100"]),
        ({"PatientName": "marker^n?me"}, ["200"]),
        ({"StudyDate": "20250301"}, ["200"]),
        ({"StudyDate": "20250101-20251231"}, ["200"]),
        ({"StudyDate": "20250302-"}, ["100"]),
        ({"StudyDate": "-20250302"}, ["200"]),
        ({"StudyInstanceUID": "1.2.3.300,1.2.3.200"}, ["200", "300"]),
        ({"AccessionNumber": "A1"}, ["100"]),
        ({"ModalitiesInStudy": "SR"}, ["100"]),
        ({"ModalitiesInStudy": "DX", "PatientID": "P1"}, ["200"]),
        ({"PatientID": "P1", "StudyDate": "20300101"}, []),
        ({"PatientID": ""}, ["100", "200", "300"]),
    ],
)
def test_studies_are_matched(archive: RunningServer, parameters: dict[str, str], expected: list[str]) -> None:
    assert found(archive, "/studies", **parameters) == [f"1.2.3.{each}" for each in expected]


def test_series_and_instances_are_matched_by_attributes_of_all_levels(archive: RunningServer) -> None:
    assert found(archive, "/series", SERIES, Modality="SR") == ["1.2.3.100.2"]
    assert found(archive, "/series", SERIES, PatientID="P2") == ["1.2.3.300.1"]
    assert found(archive, "/instances", INSTANCE, InstanceNumber="3") == ["1.2.3.100.1.3"]
    assert len(found(archive, "/instances", SOPClassUID=CTImageStorage)) == 7
    assert found(archive, "/instances", INSTANCE, SOPInstanceUID="1.2.3.200.1.1,9") == ["1.2.3.200.1.1"]


def test_what_cannot_be_matched_is_ignored_with_a_warning(archive: RunningServer) -> None:
    response = get(archive, "/studies", SeriesNumber="1", fuzzymatching="true")
    assert len(response.json()) == 3
    assert 'ignored: SeriesNumber"' in response.headers["Warning"]
    assert "Only literal matching has been performed" in response.headers["Warning"]
    assert response.headers["Warning"].startswith("299 ")


def test_pages_follow_each_other_and_say_that_there_is_more(archive: RunningServer) -> None:
    first = get(archive, "/studies", limit=2)
    assert [each[STUDY]["Value"][0] for each in first.json()] == ["1.2.3.100", "1.2.3.200"]
    assert "There are additional results that can be requested" in first.headers["Warning"]
    second = get(archive, "/studies", limit=2, offset=2)
    assert [each[STUDY]["Value"][0] for each in second.json()] == ["1.2.3.300"]
    assert "Warning" not in second.headers
    assert get(archive, "/studies", offset=3).status_code == 204


def test_no_answer_is_longer_than_the_server_allows(serve: Any) -> None:
    server = serve(max_results=2)
    for number in range(3):
        send(server, SOPInstanceUID=f"1.2.{number}")
    response = get(server, "/instances", limit=10**8)
    assert len(response.json()) == 2
    assert "additional results" in response.headers["Warning"]


def test_more_attributes_are_returned_on_request(archive: RunningServer) -> None:
    (series,) = get(archive, "/series", SeriesInstanceUID="1.2.3.200.1", includefield="PatientID").json()
    assert "00080018" not in series
    (instance,) = get(
        archive, "/instances", SOPInstanceUID="1.2.3.200.1.1", includefield="BitsAllocated,00080070"
    ).json()
    assert instance["00080070"] == {"vr": "LO"}
    (everything,) = get(archive, "/instances", SOPInstanceUID="1.2.3.200.1.1", includefield="all").json()
    assert everything["00080060"]["Value"] == ["DX"]


@pytest.mark.parametrize(
    "parameters",
    [{"limit": "-1"}, {"limit": "x"}, {"offset": "1.5"}, {"NoSuchAttribute": "1"}, {"includefield": "x"}],
)
def test_what_cannot_be_understood_is_a_bad_request(
    archive: RunningServer, parameters: dict[str, str]
) -> None:
    assert get(archive, "/studies", **parameters).status_code == 400


def test_xml_is_not_spoken(archive: RunningServer) -> None:
    with archive.client(Accept='multipart/related; type="application/dicom+xml"') as client:
        assert client.get("/studies").status_code == 406
        assert client.get("/studies", params={"accept": "application/dicom+json"}).status_code == 200


def test_quarantined_and_withdrawn_instances_are_nowhere(archive: RunningServer) -> None:
    archive.database.refusals.quarantine_instance("1.2.3.200.1.1", Reason.PIXEL_DATA, "")
    assert "1.2.3.200" not in found(archive, "/studies")
    assert found(archive, "/instances", StudyInstanceUID="1.2.3.200") == []
    assert get(archive, "/studies/1.2.3.200").status_code == 404


def test_a_file_that_is_gone_is_known_by_the_index(archive: RunningServer) -> None:
    instance = archive.database.instances.get("1.2.3.200.1.1")
    assert instance is not None
    instance.path.unlink()
    assert found(archive, "/studies", StudyInstanceUID="1.2.3.200") == ["1.2.3.200"]
