"""TLS with other people's programs on the other side: DCMTK and Orthanc, as clients and as servers."""

import gc
import shutil
import socket
import ssl
import subprocess
import threading
from collections.abc import Iterator
from contextlib import closing, suppress
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from dicom_node.database.engine import open_database
from dicom_node.errors import UnreachableError
from dicom_node.intake import Intake
from dicom_node.priors.query_retrieve import QueryRetrieveSource
from dicom_node.scu import echo, send_files
from dicom_node.settings import Destination, QueryRetrieve
from dicom_node.storage import InstanceStore
from dicom_node.tls import Tls
from tests.certificates import Authority, Identity, self_signed, tls_table
from tests.driving import wait_until
from tests.integration.dicom_node.programs import (
    NodeProcess,
    OrthancProcess,
    run,
    wait_until_listening,
)
from tests.unit.dicom_node.arrivals import write
from worker.demo.servers import free_port

pytestmark = [
    pytest.mark.skipif(shutil.which("storescu") is None, reason="DCMTK is not installed"),
    # pynetdicom leaves the socket of a refused connection to the garbage collector.
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]


@dataclass(frozen=True, slots=True)
class Hospital:
    authority: Authority
    node: Identity
    pacs: Identity
    """RSA, as most are."""

    def tls(self, **changes: object) -> Tls:
        own = {"certificate_file": self.node.certificate, "key_file": self.node.key}
        return Tls.model_validate({**own, "ca_file": self.authority.certificate, **changes})

    def dcmtk(self) -> tuple[str, ...]:
        """Options by which a program of DCMTK speaks TLS as the PACS."""
        return (
            "+tls",
            str(self.pacs.key),
            str(self.pacs.certificate),
            "+cf",
            str(self.authority.certificate),
        )


@pytest.fixture(scope="module")
def hospital(tmp_path_factory: pytest.TempPathFactory) -> Hospital:
    authority = Authority(tmp_path_factory.mktemp("hospital") / "ca")
    pacs = authority.issue("pacs", kind="2048")
    return Hospital(authority, authority.issue("node"), pacs)


@pytest.fixture(scope="module")
def node(hospital: Hospital, tmp_path_factory: pytest.TempPathFactory) -> Iterator[NodeProcess]:
    extra = f"tls = true\n{tls_table(hospital.node, hospital.authority)}"
    running = NodeProcess(tmp_path_factory.mktemp("node"), extra=extra).start()
    yield running
    running.stop()
    assert "Traceback" not in running.log


@pytest.fixture
def files(tmp_path: Path) -> list[Path]:
    """Three images of one study, one of them larger than many records of TLS."""
    return [write(tmp_path, PixelData=bytes(size)) for size in (8, 40_000, 3_000_000)]


@pytest.mark.parametrize("profile", ["+py", "+px", "+pz"])
def test_clients_of_dcmtk_are_served(
    hospital: Hospital, node: NodeProcess, files: list[Path], profile: str
) -> None:
    peer = ("-aec", "MEDVERSA", "127.0.0.1", str(node.port))

    verified = run("echoscu", *hospital.dcmtk(), profile, *peer)
    stored = run("storescu", *hospital.dcmtk(), profile, *peer, *map(str, files))

    assert verified.returncode == 0, verified.stderr
    assert stored.returncode == 0, stored.stderr
    with closing(open_database(f"sqlite:///{node.data_dir}/node.sqlite")) as index:
        assert all(index.instances.get(path.stem) is not None for path in files)


@pytest.mark.parametrize("profile", ["+pa", "+pn"])
def test_retired_profiles_of_dcmtk_without_a_common_suite_are_refused(
    hospital: Hospital, node: NodeProcess, profile: str
) -> None:
    answer = run("echoscu", *hospital.dcmtk(), profile, "-aec", "MEDVERSA", "127.0.0.1", str(node.port))

    assert answer.returncode != 0


@dataclass
class StorescpProcess:
    """DCMTK's receiver behind TLS."""

    folder: Path
    options: tuple[str, ...]
    port: int = field(default_factory=free_port)

    def __enter__(self) -> "StorescpProcess":
        self.folder.mkdir()
        command = ["storescp", *self.options, "-od", str(self.folder), str(self.port)]
        self.process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        wait_until_listening(self.port, self.process)
        return self

    def __exit__(self, *_: object) -> None:
        self.process.terminate()
        self.process.wait(30)


def destination(port: int, tls: Tls | None) -> Destination:
    return Destination(name="PACS", ae_title="STORESCP", port=port, timeout_s=10, tls=tls)


def test_server_of_dcmtk_is_delivered_to(hospital: Hospital, files: list[Path], tmp_path: Path) -> None:
    with StorescpProcess(tmp_path / "received", hospital.dcmtk()) as archive:
        peer = destination(archive.port, hospital.tls())
        echo(peer)
        outcomes = send_files(peer, files)

        assert [outcome.status for outcome in outcomes] == [0x0000] * 3
        assert len(list(archive.folder.iterdir())) == 3
        with pytest.raises(UnreachableError, match="does not answer"):
            echo(destination(archive.port, None))


def test_peer_that_refuses_our_certificate_is_told_so(hospital: Hospital, tmp_path: Path) -> None:
    stranger = self_signed(tmp_path / "stranger")
    tls = hospital.tls(certificate_file=stranger.certificate, key_file=stranger.key)
    with (
        StorescpProcess(tmp_path / "received", hospital.dcmtk()) as archive,
        pytest.raises(UnreachableError, match=r"no TLS: .*alert"),
    ):
        echo(destination(archive.port, tls))


class AnyServer:
    """Shakes hands with whatever it was given, and hangs up."""

    def __init__(self, identity: Identity | None, **limits: object) -> None:
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.set_ciphers(str(limits.get("ciphers", "ALL:@SECLEVEL=0")))
        if "version" in limits:
            version = ssl.TLSVersion[str(limits["version"])]
            # Deprecated for good reason: this is the bad peer.
            self.context.minimum_version = self.context.maximum_version = version
        if identity is not None:
            self.context.load_cert_chain(identity.certificate, identity.key)

    def __enter__(self) -> "AnyServer":
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listening.getsockname()[1])
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()
        return self

    def _serve(self) -> None:
        with suppress(OSError):
            connection, _ = self._listening.accept()
            with connection, suppress(OSError):
                connection.settimeout(20)
                with self.context.wrap_socket(connection, server_side=True) as secured:
                    secured.recv(1)

    def __exit__(self, *_: object) -> None:
        self._thread.join(30)
        self._listening.close()


@pytest.fixture(scope="module")
def bad_servers(hospital: Hospital, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Identity]:
    folder, authority = tmp_path_factory.mktemp("bad"), hospital.authority
    return {
        "expired": authority.issue("expired", days=(-9, -1)),
        "not yet valid": authority.issue("early", days=(1, 9)),
        "of another authority": Authority(folder / "other", "Other CA").issue("node"),
        "signed by itself": self_signed(folder / "self"),
        "of another host": authority.issue("elsewhere", host="IP:192.0.2.1,DNS:pacs.example"),
        "for clients only": authority.issue("client", use="clientAuth"),
        "with a short key": authority.issue("short", kind="1024"),
    }


@pytest.mark.parametrize(
    ("fault", "told"),
    {
        "expired": "certificate has expired",
        "not yet valid": "certificate is not yet valid",
        "of another authority": "unable to get local issuer certificate",
        "signed by itself": "self-signed certificate",
        "of another host": "IP address mismatch",
        "for clients only": "unsuitable certificate purpose",
        "with a short key": "EE certificate key too weak",
    }.items(),
)
def test_server_with_a_bad_certificate_gets_nothing(
    hospital: Hospital, bad_servers: dict[str, Identity], fault: str, told: str
) -> None:
    with AnyServer(bad_servers[fault]) as server, pytest.raises(UnreachableError, match=told):
        echo(destination(server.port, hospital.tls()))
    gc.collect()


def test_revoked_server_gets_nothing(hospital: Hospital) -> None:
    revoked = hospital.authority.issue("revoked")
    hospital.authority.revoke(revoked)
    tls = hospital.tls(crl_file=hospital.authority.revocation_list())

    with AnyServer(revoked) as server, pytest.raises(UnreachableError, match="certificate revoked"):
        echo(destination(server.port, tls))
    gc.collect()


@pytest.mark.parametrize(
    "limits",
    [
        {"version": "TLSv1_2", "ciphers": suites}
        for suites in ("AES128-SHA", "ECDHE-RSA-AES128-SHA256", "NULL")
    ],
    ids=lambda limits: limits["ciphers"],
)
def test_server_with_weak_suites_only_gets_nothing(hospital: Hospital, limits: dict[str, object]) -> None:
    limits = {**limits, "ciphers": f"{limits['ciphers']}:@SECLEVEL=0"}
    with AnyServer(hospital.pacs, **limits) as server, pytest.raises(UnreachableError, match="no TLS"):
        echo(destination(server.port, hospital.tls()))
    gc.collect()


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion:DeprecationWarning")
@pytest.mark.parametrize("version", ["TLSv1", "TLSv1_1"])
def test_server_with_an_old_version_only_gets_nothing(hospital: Hospital, version: str) -> None:
    with (
        AnyServer(hospital.pacs, version=version) as server,
        pytest.raises(UnreachableError, match=r"no TLS: .*protocol"),
    ):
        echo(destination(server.port, hospital.tls()))
    gc.collect()


def test_name_that_the_certificate_bears_may_be_configured(
    hospital: Hospital, bad_servers: dict[str, Identity]
) -> None:
    tls = hospital.tls(peer_name="pacs.example")

    # The handshake succeeds; the server hangs up after it.
    with AnyServer(bad_servers["of another host"]) as server, pytest.raises(UnreachableError) as caught:
        echo(destination(server.port, tls))

    assert "mismatch" not in str(caught.value)
    gc.collect()


@pytest.fixture
def archive(hospital: Hospital, node: NodeProcess, tmp_path: Path) -> Iterator[OrthancProcess]:
    """An Orthanc that speaks TLS only, also to the node."""
    us = {"AET": "MEDVERSA", "Host": "127.0.0.1", "Port": node.port, "UseDicomTls": True, "AllowGet": True}
    options = {
        "DicomTlsEnabled": True,
        "DicomTlsCertificate": str(hospital.pacs.certificate),
        "DicomTlsPrivateKey": str(hospital.pacs.key),
        "DicomTlsTrustedCertificates": str(hospital.authority.certificate),
        "DicomModalities": {"node": us},
    }
    running = OrthancProcess(tmp_path, node_port=node.port, options=options).start()
    yield running
    running.stop()


@pytest.mark.skipif(shutil.which("Orthanc") is None, reason="Orthanc is not installed")
@pytest.mark.parametrize("retrieve", ["get", "move"])
def test_priors_come_from_an_archive_that_speaks_tls_only(
    hospital: Hospital,
    node: NodeProcess,
    archive: OrthancProcess,
    files: list[Path],
    tmp_path: Path,
    retrieve: str,
) -> None:
    assert send_files(destination(archive.port, hospital.tls()), files)[0].status == 0x0000
    peer = QueryRetrieve.model_validate(
        {
            "name": "PACS",
            "ae_title": "ORTHANC",
            "port": archive.port,
            "retrieve": retrieve,
            "tls": hospital.tls(),
        }
    )
    data_dir = node.data_dir if retrieve == "move" else tmp_path / "data"
    data_dir.mkdir(exist_ok=True)
    with closing(open_database(f"sqlite:///{data_dir}/node.sqlite")) as index:
        intake = Intake(InstanceStore(data_dir, index), index)
        source = QueryRetrieveSource(peer, "MEDVERSA", index, intake)
        (candidate,) = source.studies(study_instance_uid="1.2.3.100")
        source.fetch(candidate)

        uids = [path.stem for path in files]
        wait_until(lambda: all(index.instances.get(uid) for uid in uids), 30, "all images have come")
