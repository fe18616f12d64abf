"""Associations of pynetdicom's that leave nothing behind."""

import socket
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from pynetdicom import AE, evt
from pynetdicom.association import Association


@contextmanager
def associated(
    ae: AE,
    port: int,
    *,
    ae_title: str = "MEDVERSA",
    handlers: Sequence[evt.EventHandlerType] = (),
    **more: Any,
) -> Iterator[Association]:
    """Ask for an association, established or not; close its socket, which pynetdicom may forget to do.

    It forgets to where the peer ends the connection first; the garbage collector then warns in another test.
    """
    opened: list[socket.socket] = []

    def on_open(event: evt.Event) -> None:
        opened.append(raw_socket(event.assoc))

    association = ae.associate(
        "127.0.0.1",
        port,
        ae_title=ae_title,
        evt_handlers=[(evt.EVT_CONN_OPEN, on_open), *handlers],
        **more,
    )
    try:
        yield association
        if association.is_established:
            association.release()
    finally:
        for connection in opened:
            connection.close()


def raw_socket(association: Association) -> socket.socket:
    wrapper = association.dul.socket
    assert wrapper is not None
    assert wrapper.socket is not None
    return wrapper.socket
