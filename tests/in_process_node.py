"""A node that listens in the test's own process: the real port and registrar, the receiver without a fork."""

import socket
from dataclasses import dataclass
from functools import partial

from dicom_node.callers import is_known_address
from dicom_node.intake import Intake
from dicom_node.normalized_services import NormalizedServices
from dicom_node.receivers.front import Front
from dicom_node.receivers.registrar import Registrar
from dicom_node.receivers.visits import Visit, Visits
from dicom_node.scp import StorageSCP
from dicom_node.settings import Node


@dataclass
class OwnReceiver:
    """Serves where it is; takes copies of the descriptors, as another process would."""

    scp: StorageSCP
    number: int = 0

    def hand_over(self, connection: socket.socket, channel: socket.socket, visit: Visit) -> bool:
        self.scp.serve(connection.dup(), channel.dup(), visit.address, is_crowded=visit.is_crowded)
        return True


class OwnCrew:
    """One receiver that is always ready."""

    def __init__(self, scp: StorageSCP) -> None:
        self.receivers = [OwnReceiver(scp)]

    def least_busy(self, patience_s: float) -> OwnReceiver:
        return self.receivers[0]


class InProcessNode:
    """Listens on the port of its settings from `start` to `stop`."""

    def __init__(self, node: Node, intake: Intake, services: NormalizedServices) -> None:
        self._node = node
        self._scp = StorageSCP(node, intake, services)
        visits = Visits(
            node.max_associations,
            node.max_associations_per_peer,
            partial(is_known_address, callers=node.callers),
        )
        self._registrar = Registrar(intake.database.instances, visits)
        self._front = Front(visits, self._registrar, OwnCrew(self._scp))

    def start(self) -> None:
        self._front.bind(self._node.host, self._node.port)
        self._registrar.start()
        self._front.start()

    def stop(self, patience_s: float) -> None:
        self._front.stop()
        self._scp.stop(patience_s)
        self._registrar.stop()
