"""Whether anything can be connected to at an address at all."""

import socket

from dicom_node.diagnosis.faults import Check, Fault, faulty

LONGEST_WAIT_S = 5.0
"""Seconds that one step of a check may take, however patient the configuration is."""


def not_reached(name: str, host: str, port: int) -> Check | None:
    """Return why no TCP connection can be made; None if one can."""
    where = f"{host}:{port}"
    try:
        socket.create_connection((host, port), timeout=LONGEST_WAIT_S).close()
    except socket.gaierror:
        return faulty(name, Fault.HOST_UNKNOWN, host)
    except ConnectionRefusedError:
        return faulty(name, Fault.NOTHING_LISTENS, where, port=port)
    except OSError:
        return faulty(name, Fault.NO_ROUTE, where, port=port)
    return None
