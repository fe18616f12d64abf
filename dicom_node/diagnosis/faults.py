"""What can be wrong around a node, what an operator does about each, and the line that says so."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final


class Fault(StrEnum):
    """One thing that is wrong; the value says it in words."""

    FOLDER = "the folder cannot be written"
    DISK_LOW = "little disk space is left"
    DATABASE = "the index cannot be opened"
    BROKER_AWAY = "the broker does not answer"
    BROKER_PASSWORD = "the broker asks for a password"  # noqa: S105 (says what is wrong)
    BROKER_URL = "broker.url names no kind of broker that is known here"
    PORT_TAKEN = "another program listens there"
    WEIGHTS_MISSING = "there are no weights"
    NO_DESTINATION = "results go nowhere"
    TOOL_MISSING = "a program that helps operators is not installed"
    HOST_UNKNOWN = "the name of the host is not known"
    NOTHING_LISTENS = "nothing listens there"
    NO_ROUTE = "the host does not answer"
    NO_DICOM = "what listens there does not answer in DICOM"
    CALLED_AE_UNKNOWN = "the peer does not bear this AE title"
    CALLING_AE_UNKNOWN = "the peer does not know our AE title"
    REJECTED = "the peer rejects the association"
    NO_CONTEXT = "the peer accepts no presentation context for it"
    REFUSED = "the peer refuses"
    MOVE_DESTINATION_UNKNOWN = "the peer does not know where to move to"
    MOVE_FAILED = "what the peer moves does not arrive here"
    CERTIFICATE_EXPIRED = "the certificate has expired"
    CERTIFICATE_EXPIRES = "the certificate expires soon"
    CERTIFICATE_NOT_YET_VALID = "the certificate is not valid yet"
    CERTIFICATE_UNTRUSTED = "the certificate is signed by nobody we trust"
    CERTIFICATE_OTHER_HOST = "the certificate is another host's"
    CERTIFICATE_UNREADABLE = "certificate and key cannot be read or do not belong together"
    TLS = "no TLS connection is made"
    UNAUTHORISED = "the server does not let us in"
    WRONG_PATH = "the server has no such service at this URL"
    SERVER_FAILS = "the server fails"
    SETTINGS = "a file that the settings name cannot be used"
    CLOCK_SKEW = "the clocks differ"


REMEDIES: Final[dict[Fault, str]] = {
    Fault.FOLDER: "make {folder} writable for this user, or name another in the configuration",
    Fault.DISK_LOW: "free some space, set retention.days or move node.data_dir; "
    "below node.low_free_bytes new senders are sent away, below node.min_free_bytes all get 0xA700",
    Fault.DATABASE: "correct node.database_url or start the server",
    Fault.BROKER_AWAY: "start it (e.g. systemctl start redis-server) or correct broker.url; no study is lost "
    "meanwhile, none is read",
    Fault.BROKER_PASSWORD: "put it into broker.url: redis://:PASSWORD@HOST:PORT/0",
    Fault.BROKER_URL: "write e.g. redis://127.0.0.1:6379/0, or leave it out for folders in data_dir",
    Fault.PORT_TAKEN: "fine if `medversa-node serve` is running; else choose another node.port",
    Fault.WEIGHTS_MISSING: "run `medversa-node weights info`, or set worker.weights",
    Fault.NO_DESTINATION: "add [[destinations]]: results stay in data_dir",
    Fault.TOOL_MISSING: "apt-get install {package}",
    Fault.HOST_UNKNOWN: "correct host, or enter it in DNS or /etc/hosts",
    Fault.NOTHING_LISTENS: "start the peer, or correct its port here: {port} may be the wrong port",
    Fault.NO_ROUTE: "correct its address here, and look for a firewall between us and port {port}",
    Fault.NO_DICOM: "correct its port: {port} is the wrong port if another service (HTTP?) listens there; "
    "else one side speaks TLS and the other does not",
    Fault.CALLED_AE_UNKNOWN: "correct ae_title here: the peer does not call itself {theirs}",
    Fault.CALLING_AE_UNKNOWN: "register {ours} there as a known AE title, with this machine's address",
    Fault.REJECTED: "look into its log; register {ours} there, and see whether it has too many associations",
    Fault.NO_CONTEXT: "enable these SOP classes there for {ours}, or choose another profile or retrieve here",
    Fault.REFUSED: "look into its log; allow {ours} this service there",
    Fault.MOVE_DESTINATION_UNKNOWN: "register {own_node} there as a move destination, with this machine's "
    "address and port {own_port}",
    Fault.MOVE_FAILED: "register {own_node} there as a move destination with this machine's address and port "
    "{own_port}, name it in [[node.callers]] here, and look for a firewall",
    Fault.CERTIFICATE_EXPIRED: "have a new one issued for {owner} and installed",
    Fault.CERTIFICATE_EXPIRES: "have a new one issued for {owner} in time",
    Fault.CERTIFICATE_NOT_YET_VALID: "set the clock of this machine (timedatectl), or have it issued anew",
    Fault.CERTIFICATE_UNTRUSTED: "name the authority that signed it in ca_file",
    Fault.CERTIFICATE_OTHER_HOST: "use the name in the certificate, or have one issued for {owner}",
    Fault.CERTIFICATE_UNREADABLE: "correct the paths of certificate and key; both are PEM files",
    Fault.TLS: "see whether the peer speaks TLS 1.2 or 1.3 there, and asks for a certificate of ours",
    Fault.UNAUTHORISED: "correct authorization_file: its content is sent as the Authorization header",
    Fault.WRONG_PATH: "correct the path in url, {hint}",
    Fault.SERVER_FAILS: "look into the server's log",
    Fault.SETTINGS: "correct its path; this user must be able to read it",
    Fault.CLOCK_SKEW: "set both clocks by NTP (timedatectl set-ntp true): leases of workers are times",
}


@dataclass(frozen=True, slots=True)
class Check:
    """One finding."""

    name: str
    is_ok: bool
    detail: str
    what_to_do: str = ""
    is_needed: bool = True
    """Whether the node cannot work without it."""
    fault: Fault | None = None


def fine(name: str, detail: str) -> Check:
    return Check(name, is_ok=True, detail=detail)


def faulty(name: str, fault: Fault, detail: str = "", *, is_needed: bool = True, **words: object) -> Check:
    """Make a finding of a fault; `words` fill the gaps of its remedy."""
    told = f"{fault.value}: {detail}" if detail else fault.value
    return Check(name, False, told, REMEDIES[fault].format(**words), is_needed, fault)
