"""One receiver process: serves the connections that the node hands to it, until it is told to end."""

import gc
import json
import logging
import os
import signal
import socket
from typing import Any, Final, NoReturn

from dicom_node.database.engine import open_database
from dicom_node.intake import Intake
from dicom_node.normalized_services import services_of
from dicom_node.receivers.channel import MAX_MESSAGE_BYTES, pair
from dicom_node.scp import StorageSCP
from dicom_node.settings import NodeSettings
from dicom_node.storage import InstanceStore

logger = logging.getLogger(__name__)

READY: Final = b"ready"


class Nursery:
    """A process with one thread of which receivers are forked: a node that has threads must not fork.

    It is made before the node has threads, files or connections. Receivers begin at once with what it has
    loaded, and share that memory.
    """

    def __init__(self, settings: NodeSettings) -> None:
        self._orders, theirs = pair()
        gc.freeze()  # what is there now stays: no collection need look at it, or copy it, again
        if os.fork() == 0:
            self._orders.close()
            _fork_receivers(theirs, settings)
        theirs.close()

    def bear(self, control: socket.socket) -> None:
        """Start a receiver that obeys `control`.

        Raises:
            OSError: the nursery is gone.
        """
        socket.send_fds(self._orders, [b"fork"], [control.fileno()])

    def close(self) -> None:
        self._orders.close()


def _fork_receivers(orders: socket.socket, settings: NodeSettings) -> NoReturn:
    try:
        # Whoever stops the node may signal its whole group: only the node says when a receiver ends.
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGCHLD):
            signal.signal(number, signal.SIG_IGN)
        while True:
            message, descriptors, _, _ = socket.recv_fds(orders, MAX_MESSAGE_BYTES, 1)
            if not message:
                break
            with socket.socket(fileno=descriptors[0]) as control:
                if _fork() == 0:
                    orders.close()
                    serve(control, settings)
                    break
    except Exception:
        logger.exception("a receiver process ends")  # else the exit below would hide why
    finally:
        os._exit(0)


def _fork() -> int | None:
    """Fork, or return None where no process is to be had just now: whoever asked sees `control` closed."""
    try:
        return os.fork()
    except OSError:
        logger.exception("a receiver could not be forked")
        return None


def serve(control: socket.socket, settings: NodeSettings) -> None:
    """Obey the node: it sends connections, then the order to end; its death is one too."""
    database = open_database(settings.node.database_url)
    store = InstanceStore(settings.node.data_dir, database)
    intake = Intake(store, database, settings.node.min_free_bytes)
    scp = StorageSCP(settings.node, intake, services_of(settings, database))
    control.send(READY)
    scp.stop(_take_connections(control, scp))
    store.spool.close()
    database.close()


def _take_connections(control: socket.socket, scp: StorageSCP) -> float:
    """Return the seconds for which open associations may go on."""
    while True:
        message, descriptors, flags, _ = socket.recv_fds(control, MAX_MESSAGE_BYTES, 2)
        if not message:
            return 0.0
        if flags & socket.MSG_CTRUNC:
            logger.error("connection dropped: no descriptor is left for it")
            for descriptor in descriptors:
                os.close(descriptor)
            continue
        order: dict[str, Any] = json.loads(message)
        if not descriptors:
            return float(order["patience_s"])
        connection, channel = (socket.socket(fileno=descriptor) for descriptor in descriptors)
        scp.serve(connection, channel, tuple(order["address"]), is_crowded=order["is_crowded"])
