"""Pure rule: who may open an association with the node (PS3.8 9.3.4 says how others are told)."""

import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum

from dicom_node.section import AETitle, Section

Network = ipaddress.IPv4Network | ipaddress.IPv6Network
LOOPBACK: tuple[Network, ...] = (ipaddress.ip_network("127.0.0.0/8"), ipaddress.ip_network("::1/128"))


class Caller(Section):
    """`[[node.callers]]`: one system that may call us."""

    ae_title: AETitle
    """Its AE title."""
    addresses: tuple[Network, ...] = LOOPBACK
    """Addresses or networks (CIDR) that it calls from. Default: this machine only."""
    certificate_name: str = ""
    """Name in the certificate that it must show; needs node.tls. Default: any that ca_file vouches for."""

    def is_at(self, address: str) -> bool:
        return _is_within(address, self.addresses)


class Rejection(Enum):
    """Result, source and reason of an A-ASSOCIATE-RJ (PS3.8 9.3.4)."""

    CALLING_AE_TITLE_NOT_RECOGNISED = (1, 1, 3)
    CALLED_AE_TITLE_NOT_RECOGNISED = (1, 1, 7)


@dataclass(frozen=True, slots=True)
class Refused:
    """Why an association is rejected."""

    rejection: Rejection
    why: str
    """For the log."""


@dataclass(frozen=True, slots=True)
class Call:
    """What is known of a peer when it asks for an association."""

    calling: str
    called: str
    address: str
    certificate_names: frozenset[str] = frozenset()


def refusal_of(call: Call, callers: Sequence[Caller], own_titles: Sequence[str]) -> Refused | None:
    """Say why a call is refused; None if it is welcome.

    Without any caller in the configuration everybody on this machine is welcome and nobody else. A stranger
    is not told whether we bear the name that it calls.
    """
    why = _why_unknown(call, callers)
    if why:
        return Refused(Rejection.CALLING_AE_TITLE_NOT_RECOGNISED, why)
    if call.called not in own_titles:
        return Refused(Rejection.CALLED_AE_TITLE_NOT_RECOGNISED, "not called by a name of ours")
    return None


def _why_unknown(call: Call, callers: Sequence[Caller]) -> str:
    if not callers:
        is_welcome = _is_within(call.address, LOOPBACK)
        return "" if is_welcome else "node.callers is empty: nobody may call from other machines"
    entitled = [caller for caller in callers if caller.ae_title == call.calling]
    if not entitled:
        return "unknown calling AE title"
    entitled = [caller for caller in entitled if caller.is_at(call.address)]
    if not entitled:
        return "calling AE title from an address that is not its own"
    names = [caller.certificate_name for caller in entitled]
    if not any(not name or name in call.certificate_names for name in names):
        return "calling AE title with the certificate of another"
    return ""


def is_known_address(address: str, callers: Sequence[Caller]) -> bool:
    """Say whether any caller may call from an address."""
    return any(caller.is_at(address) for caller in callers) if callers else _is_within(address, LOOPBACK)


def _is_within(address: str, networks: Sequence[Network]) -> bool:
    found = ipaddress.ip_address(address.split("%")[0])
    plain = getattr(found, "ipv4_mapped", None) or found
    return any(plain in network for network in networks)
