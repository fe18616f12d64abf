"""The doctor beside real servers, each in the state that it has to name."""

import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest
from pydicom.uid import DigitalXRayImageStorageForPresentation

from dicom_node.database.connections import utc_now
from dicom_node.diagnosis.certificates import own_certificate_check
from dicom_node.diagnosis.clocks import clock_checks
from dicom_node.diagnosis.dicom_peers import (
    destination_checks,
    modality_checks,
    query_retrieve_checks,
    worklist_checks,
)
from dicom_node.diagnosis.faults import Check, Fault
from dicom_node.diagnosis.machine import machine_checks
from dicom_node.diagnosis.web_peers import STOW, web_checks
from dicom_node.modality_settings import Modality
from dicom_node.orders.settings import Worklist
from dicom_node.settings import Destination, NodeSettings, QueryRetrieve, WebPeer
from dicom_node.tls import Tls
from tests.certificates import Authority, Identity
from tests.integration.dicom_node.programs import (
    ENVIRONMENT,
    PLUGINS,
    DcmqrscpProcess,
    NodeProcess,
    OrthancProcess,
    run,
    wait_until_listening,
)
from tests.integration.dicom_node.tls_front import over_tls
from tests.unit.dicom_node.arrivals import write
from worker.demo.servers import free_port

PROGRAMS = ("Orthanc", "dcmqrscp", "storescp", "redis-server", "openssl")
pytestmark = [
    pytest.mark.skipif(
        any(shutil.which(name) is None for name in PROGRAMS),
        reason="Orthanc, DCMTK, Redis or OpenSSL is not installed",
    ),
    # pynetdicom leaves the socket of a refused connection to the garbage collector.
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]

DICOMWEB = "libOrthancDicomWeb.so"
PASSWORD = {"AuthenticationEnabled": True, "RegisteredUsers": {"node": "secret"}}
CT_ONLY = """[[TransferSyntaxes]]
[Native]
TransferSyntax1 = LittleEndianExplicit
TransferSyntax2 = LittleEndianImplicit
[[PresentationContexts]]
[CT]
PresentationContext1 = CTImageStorage\\Native
PresentationContext2 = VerificationSOPClass\\Native
[[Profiles]]
[CTOnly]
PresentationContexts = CT
"""


def faults(checks: Iterator[Check]) -> list[Fault | None]:
    """What is found wrong; each finding says what to do about it."""
    found = [check for check in checks if not check.is_ok]
    assert all(check.what_to_do for check in found)
    return [check.fault for check in found]


def pacs(port: int, **more: object) -> Destination:
    return Destination.model_validate({"name": "PACS", "ae_title": "ORTHANC", "port": port, **more})


def archive(port: int, **more: object) -> QueryRetrieve:
    return QueryRetrieve.model_validate({"name": "PACS", "ae_title": "ORTHANC", "port": port, **more})


def settings_of(folder: Path, **sections: object) -> NodeSettings:
    return NodeSettings.model_validate({"node": {"data_dir": str(folder / "data")}, **sections})


@contextmanager
def listening(port: int, *command: str) -> Iterator[None]:
    """Run a server until the block ends."""
    process = subprocess.Popen(command, env=ENVIRONMENT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        wait_until_listening(port, process)
        yield
    finally:
        process.terminate()
        process.wait(30)


@pytest.fixture(scope="module")
def strict(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OrthancProcess]:
    """An Orthanc that lets in whom it knows, by the name that it bears."""
    never = ("Store", "Find", "Get", "Move", "Echo")
    options = {**{f"DicomAlwaysAllow{name}": False for name in never}, "DicomCheckCalledAet": True}
    running = OrthancProcess(tmp_path_factory.mktemp("strict"), free_port(), options=options).start()
    yield running
    running.stop()


def test_peer_that_knows_us_has_no_fault(strict: OrthancProcess, tmp_path: Path) -> None:
    assert faults(destination_checks(pacs(strict.port, profile="full"))) == []
    assert faults(query_retrieve_checks(archive(strict.port), settings_of(tmp_path))) == []


def test_our_ae_title_unknown_at_the_peer(strict: OrthancProcess, tmp_path: Path) -> None:
    (stranger,) = destination_checks(pacs(strict.port, calling_ae_title="STRANGER"))

    assert stranger.fault is Fault.CALLING_AE_UNKNOWN
    assert "register STRANGER there" in stranger.what_to_do
    asked = query_retrieve_checks(archive(strict.port, calling_ae_title="STRANGER"), settings_of(tmp_path))
    assert faults(asked) == [Fault.CALLING_AE_UNKNOWN]


def test_ae_title_that_the_peer_does_not_bear(strict: OrthancProcess) -> None:
    assert faults(destination_checks(pacs(strict.port, ae_title="PAX"))) == [Fault.CALLED_AE_UNKNOWN]


def test_wrong_port_where_nothing_listens() -> None:
    (lost,) = destination_checks(pacs(free_port()))

    assert lost.fault is Fault.NOTHING_LISTENS
    assert "wrong port" in lost.what_to_do


def test_wrong_port_where_http_is_spoken(strict: OrthancProcess) -> None:
    (found,) = destination_checks(pacs(strict.http_port))

    assert found.fault is Fault.NO_DICOM
    assert "wrong port" in found.what_to_do


def test_name_of_a_host_that_nobody_knows() -> None:
    # RFC 2606: no such name is ever registered.
    assert faults(destination_checks(pacs(104, host="pacs.invalid"))) == [Fault.HOST_UNKNOWN]


def test_no_presentation_context_for_results(tmp_path: Path) -> None:
    config, port = tmp_path / "storescp.cfg", free_port()
    config.write_text(CT_ONLY)
    options = ("-xf", str(config), "CTOnly", "--output-directory", str(tmp_path))
    with listening(port, "storescp", *options, str(port)):
        answers, refused = destination_checks(pacs(port))

    assert answers.is_ok
    assert refused.fault is Fault.NO_CONTEXT
    assert "Comprehensive 3D SR Storage" in refused.detail
    assert "CT" not in refused.detail


def test_no_presentation_context_for_priors(tmp_path: Path) -> None:
    port = free_port()
    with listening(port, "storescp", "--output-directory", str(tmp_path), str(port)):
        found = faults(query_retrieve_checks(archive(port), settings_of(tmp_path)))

    assert found == [Fault.NO_CONTEXT, Fault.NO_CONTEXT]


def test_peer_that_does_not_let_us_query(tmp_path: Path) -> None:
    options = {"DicomModalities": {}, "DicomAlwaysAllowFind": False}
    orthanc = OrthancProcess(tmp_path, free_port(), options=options).start()
    try:
        found = faults(query_retrieve_checks(archive(orthanc.port), settings_of(tmp_path)))
    finally:
        orthanc.stop()

    assert found == [Fault.REFUSED]


def stored_today(folder: Path, port: int, title: str) -> None:
    """Give an archive an image of today, as it would have."""
    today = f"{date.today():%Y%m%d}"
    image = write(folder, SOPClassUID=DigitalXRayImageStorageForPresentation, StudyDate=today)
    sent = run("storescu", "-aec", title, "127.0.0.1", str(port), str(image))
    assert sent.returncode == 0, sent.stderr


def by_moving(port: int, title: str) -> QueryRetrieve:
    return archive(port, ae_title=title, retrieve="move")


def test_move_destination_that_dcmqrscp_does_not_know(tmp_path: Path) -> None:
    node_port = free_port()
    dcmqrscp = DcmqrscpProcess(tmp_path, node_port).start()
    stored_today(tmp_path, dcmqrscp.port, "DCMQRSCP")
    node = {"data_dir": str(tmp_path / "data"), "port": node_port}
    stranger = NodeSettings.model_validate({"node": {**node, "ae_title": "STRANGER"}})
    peer = by_moving(dcmqrscp.port, "DCMQRSCP")
    try:
        known = faults(query_retrieve_checks(peer, NodeSettings.model_validate({"node": node})))
        unknown = list(query_retrieve_checks(peer, stranger))[-1]
    finally:
        dcmqrscp.stop()

    assert known == []
    assert unknown.fault is Fault.MOVE_DESTINATION_UNKNOWN
    assert "register STRANGER there as a move destination" in unknown.what_to_do
    assert f"port {node_port}" in unknown.what_to_do
    assert unknown.is_needed


def test_move_destination_registered_with_another_port(tmp_path: Path) -> None:
    orthanc = OrthancProcess(tmp_path, node_port=free_port()).start()
    stored_today(tmp_path, orthanc.port, "ORTHANC")
    elsewhere = settings_of(tmp_path).model_copy(
        update={"node": settings_of(tmp_path).node.model_copy(update={"port": free_port()})}
    )
    try:
        moved = list(query_retrieve_checks(by_moving(orthanc.port, "ORTHANC"), elsewhere))[-1]
    finally:
        orthanc.stop()

    # Orthanc 1.10 answers alike where it does not know the destination: the remedy is the same.
    assert moved.fault is Fault.MOVE_FAILED
    assert f"{elsewhere.node.port}" in moved.what_to_do


def test_moving_to_a_node_that_serves_leaves_nothing_new_there(tmp_path: Path) -> None:
    node = NodeProcess(tmp_path).start()
    orthanc = OrthancProcess(tmp_path, node.port).start()
    stored_today(tmp_path, orthanc.port, "ORTHANC")
    settings = settings_of(tmp_path)
    settings = settings.model_copy(update={"node": settings.node.model_copy(update={"port": node.port})})
    peer = by_moving(orthanc.port, "ORTHANC")
    try:
        before = list(query_retrieve_checks(peer, settings))[-1]
        assert node.send(*tmp_path.glob("*.dcm")).returncode == 0
        after = list(query_retrieve_checks(peer, settings))[-1]
        known = node.status()
    finally:
        orthanc.stop()
        node.stop()

    assert [study["instances"] for study in known["studies"]] == [1]
    assert known["refusals"] == []
    assert before.is_ok
    assert "not tried" in before.detail
    assert after.is_ok
    assert "was moved to MEDVERSA" in after.detail


# HTTP


@pytest.fixture(scope="module")
def locked(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OrthancProcess]:
    """An Orthanc that asks for a password."""
    plugins = (DICOMWEB,) if (PLUGINS / DICOMWEB).exists() else ()
    folder = tmp_path_factory.mktemp("locked")
    (folder / "right").write_text("Basic bm9kZTpzZWNyZXQ=")  # node:secret (RFC 7617)
    (folder / "wrong").write_text("Basic bm9kZTpvdGhlcg==")
    running = OrthancProcess(folder, free_port(), plugins=plugins, options=PASSWORD).start()
    yield running
    running.stop()


def web(url: str, authorization_file: Path | None = None, ca_file: Path | None = None) -> WebPeer:
    return WebPeer(name="archive", url=url, authorization_file=authorization_file, ca_file=ca_file)


@pytest.mark.parametrize(("kind", "path"), [("orthanc", ""), ("dicomweb", "/dicom-web")])
def test_server_over_http_in_each_state(kind: str, path: str, locked: OrthancProcess) -> None:
    if kind == "dicomweb" and not locked.plugins:
        pytest.skip("Orthanc's DICOMweb plugin is not installed")
    right, wrong = locked.folder / "right", locked.folder / "wrong"
    states = {
        "as it should be": (web(locked.url + path, right), []),
        "no password": (web(locked.url + path), [Fault.UNAUTHORISED]),
        "wrong password": (web(locked.url + path, wrong), [Fault.UNAUTHORISED]),
        "wrong path": (web(f"{locked.url}/elsewhere", right), [Fault.WRONG_PATH]),
        "nothing there": (web(f"http://127.0.0.1:{free_port()}{path}", right), [Fault.NOTHING_LISTENS]),
        "port of another service": (web(f"http://127.0.0.1:{locked.port}{path}"), [Fault.SERVER_FAILS]),
        "no password file": (web(locked.url + path, locked.folder / "none"), [Fault.SETTINGS]),
    }

    found = {name: faults(web_checks(kind, peer)) for name, (peer, _) in states.items()}

    assert found == {name: expected for name, (_, expected) in states.items()}


@pytest.mark.skipif(not (PLUGINS / DICOMWEB).exists(), reason="Orthanc's DICOMweb plugin is not installed")
def test_destination_by_stow_in_each_state(locked: OrthancProcess) -> None:
    right = locked.folder / "right"
    states = {
        "as it should be": (web(f"{locked.url}/dicom-web", right), []),
        "no password": (web(f"{locked.url}/dicom-web"), [Fault.UNAUTHORISED]),
        "wrong path": (web(locked.url, right), [Fault.WRONG_PATH]),
        "nothing there": (web(f"http://127.0.0.1:{free_port()}"), [Fault.NOTHING_LISTENS]),
    }

    found = {name: faults(web_checks(STOW, peer)) for name, (peer, _) in states.items()}

    assert found == {name: expected for name, (_, expected) in states.items()}


def test_worklist_that_answers_and_one_that_is_none(tmp_path: Path) -> None:
    ris, archive = free_port(), free_port()
    (tmp_path / "RIS").mkdir()
    (tmp_path / "RIS" / "lockfile").touch()
    with listening(ris, "wlmscpfs", "--data-files-path", str(tmp_path), str(ris)):
        assert faults(worklist_checks(Worklist(name="RIS", ae_title="RIS", port=ris))) == []
    with listening(archive, "storescp", "--output-directory", str(tmp_path), str(archive)):
        (answers, refused) = worklist_checks(Worklist(name="RIS", ae_title="RIS", port=archive))
    assert answers.is_ok
    assert (refused.fault, refused.is_needed) == (Fault.NO_CONTEXT, False)


def test_page_that_a_web_server_shows_everywhere_is_no_dicomweb(locked: OrthancProcess) -> None:
    right = locked.folder / "right"
    assert faults(web_checks("dicomweb", web(f"{locked.url}/app/explorer.html?", right))) == [
        Fault.WRONG_PATH
    ]


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority") / "ca")


YEAR, PAST, WEEK = (-1, 365), (-9, -1), (-1, 7)
"""Days of validity, from now."""
CERTIFICATES: dict[str, tuple[dict[str, Any], list[Fault]]] = {
    "good": ({"days": YEAR}, []),
    "expired": ({"days": PAST}, [Fault.CERTIFICATE_EXPIRED]),
    "future": ({"days": (1, 365)}, [Fault.CERTIFICATE_NOT_YET_VALID]),
    "soon": ({"days": WEEK}, [Fault.CERTIFICATE_EXPIRES]),
    "elsewhere": ({"days": YEAR, "host": "DNS:pacs.example"}, [Fault.CERTIFICATE_OTHER_HOST]),
}


@pytest.mark.parametrize("state", CERTIFICATES)
def test_certificate_of_a_web_server(authority: Authority, strict: OrthancProcess, state: str) -> None:
    how, expected = CERTIFICATES[state]
    with over_tls(authority.issue(f"web {state}", **how), strict.url) as url:
        assert faults(web_checks("orthanc", web(url, ca_file=authority.certificate))) == expected


def test_certificate_that_nobody_vouches_for(
    authority: Authority, strict: OrthancProcess, tmp_path: Path
) -> None:
    other = Authority(tmp_path / "other")
    with over_tls(authority.issue("strange", days=YEAR), strict.url) as url:
        assert faults(web_checks("orthanc", web(url, ca_file=other.certificate))) == [
            Fault.CERTIFICATE_UNTRUSTED
        ]


def test_server_without_tls_where_it_is_expected(strict: OrthancProcess) -> None:
    assert faults(web_checks("orthanc", web(strict.url.replace("http:", "https:")))) == [Fault.TLS]


@pytest.mark.parametrize("state", CERTIFICATES)
def test_certificate_of_a_peer_in_dicom(authority: Authority, tmp_path: Path, state: str) -> None:
    how, expected = CERTIFICATES[state]
    theirs, ours = authority.issue(f"peer {state}", **how), authority.issue("ours", days=YEAR)
    tls = Tls(certificate_file=ours.certificate, key_file=ours.key, ca_file=authority.certificate)
    port = free_port()
    files = ("+tls", str(theirs.key), str(theirs.certificate), "+cf", str(authority.certificate))
    with listening(port, "storescp", *files, "--output-directory", str(tmp_path), str(port)):
        assert faults(destination_checks(pacs(port, tls=tls))) == expected
        assert faults(destination_checks(pacs(port))) == [Fault.NO_DICOM]


def test_certificate_of_our_own(authority: Authority, tmp_path: Path) -> None:
    def fault(own: Identity, key: Path | None = None) -> Fault | None:
        return own_certificate_check("certificate", own.certificate, key or own.key).fault

    good = authority.issue("own good", days=YEAR)
    assert fault(good) is None
    assert fault(authority.issue("own expired", days=PAST)) is Fault.CERTIFICATE_EXPIRED
    assert fault(authority.issue("own soon", days=WEEK)) is Fault.CERTIFICATE_EXPIRES
    assert fault(good, authority.issue("own other").key) is Fault.CERTIFICATE_UNREADABLE
    assert fault(good, tmp_path / "none") is Fault.CERTIFICATE_UNREADABLE


def test_sender_that_is_told_what_is_kept(tmp_path: Path) -> None:
    there = Modality(name="CT1", ae_title="CT1", port=free_port())
    with listening(there.port, "storescp", "--output-directory", str(tmp_path), str(there.port)):
        assert faults(modality_checks(there)) == []
    (gone,) = modality_checks(there)
    assert (gone.fault, gone.is_needed) == (Fault.NOTHING_LISTENS, False)


# This machine


def test_redis_away_locked_and_there(tmp_path: Path) -> None:
    port = free_port()

    def broker(url: str) -> list[Fault | None]:
        return [f for f in faults(machine_checks(settings_of(tmp_path, broker={"url": url}))) if f]

    away = broker(f"redis://127.0.0.1:{port}/0")
    with listening(port, "redis-server", "--port", str(port), "--save", "", "--requirepass", "secret"):
        locked = broker(f"redis://127.0.0.1:{port}/0")
        there = broker(f"redis://:secret@127.0.0.1:{port}/0")

    assert Fault.BROKER_AWAY in away
    assert Fault.BROKER_PASSWORD in locked
    assert not {Fault.BROKER_AWAY, Fault.BROKER_PASSWORD} & set(there)


def test_clock_that_differs_from_redis_and_orthanc(tmp_path: Path, strict: OrthancProcess) -> None:
    port = free_port()
    orthanc = {"name": "archive", "url": strict.url}
    settings = settings_of(tmp_path, broker={"url": f"redis://127.0.0.1:{port}/0"}, orthanc=[orthanc])

    def found(skew_s: float) -> list[tuple[Fault | None, bool]]:
        ours = clock_checks(settings, lambda: utc_now() + timedelta(seconds=skew_s))
        return [(check.fault, check.is_needed) for check in ours]

    with listening(port, "redis-server", "--port", str(port), "--save", ""):
        assert found(0) == [(None, True), (None, True)]
        assert found(20) == [(Fault.CLOCK_SKEW, False)] * 2
        assert found(-600) == [(Fault.CLOCK_SKEW, True)] * 2


def test_disk_below_its_limit(tmp_path: Path) -> None:
    node = {"data_dir": str(tmp_path), "min_free_bytes": shutil.disk_usage(tmp_path).total}
    checks = {check.name: check for check in machine_checks(NodeSettings.model_validate({"node": node}))}

    assert checks["disk"].fault is Fault.DISK_LOW
    assert checks["disk"].is_needed


def test_weights_that_are_not_there(tmp_path: Path) -> None:
    settings = settings_of(tmp_path, worker={"weights": str(tmp_path / "none")})

    assert Fault.WEIGHTS_MISSING in faults(machine_checks(settings))
