"""Whether an archive can move to the node: one image is moved, and kept by nobody.

Archives tell an unknown move destination only where there is something to move: for a study that they do not
have, DCMTK answers success and Orthanc the same failure as for an unknown destination.
"""

import threading
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, timedelta

from pydicom import Dataset
from pynetdicom import AE, AllStoragePresentationContexts, evt
from pynetdicom.association import Association
from pynetdicom.presentation import build_context

from dicom_node.database.engine import open_database
from dicom_node.diagnosis.faults import Check, Fault, faulty, fine
from dicom_node.errors import NodeError
from dicom_node.priors.query_retrieve import FIND, MOVE
from dicom_node.scu import associated, identifier
from dicom_node.settings import Node, NodeSettings, QueryRetrieve

MOVE_DESTINATION_UNKNOWN = 0xA801
MOST_KNOWN = 20
"""Studies of our own index of which the archive is asked for an image, the newest first."""
RECENT_DAYS = (1, 30)
"""Days that are searched for any image; the whole of an archive never is."""
_LEVELS = {"STUDY": "StudyInstanceUID", "SERIES": "SeriesInstanceUID", "IMAGE": "SOPInstanceUID"}


def move_check(peer: QueryRetrieve, settings: NodeSettings) -> Check:
    """Have one image moved to the node's own AE title.

    While the node serves it is one that the node has already, which changes nothing there; else one of the
    last days, which is received here and dropped.
    """
    name = f"peer {peer.name}, moving"
    contexts = [build_context(FIND), build_context(MOVE)]
    try:
        with _listening(settings.node) as arrived, associated(peer, contexts) as association:
            if MOVE not in accepted(association):
                return fine(name, "not tried: C-MOVE is not accepted, C-GET is")
            image = _movable(association, settings, any_will_do=arrived is not None)
            if image is None:
                return fine(name, "not tried: no image is found there that could be moved for a trial")
            trial = _Trial(settings.node, arrived, is_needed=peer.retrieve == "move")
            return trial.made(name, association, image)
    except NodeError as exc:
        return faulty(name, Fault.REFUSED, str(exc), ours=peer.calling_ae_title)


def accepted(association: Association) -> set[str]:
    """Return the SOP classes for which the peer has accepted a context."""
    return {str(context.abstract_syntax) for context in association.accepted_contexts}


@dataclass(frozen=True, slots=True)
class _Trial:
    """The moving of one image."""

    own: Node
    arrived: threading.Event | None
    """Set once something arrives; None where the node itself listens."""
    is_needed: bool

    def made(self, name: str, association: Association, image: Dataset) -> Check:
        code: int | None = None
        for status, _ in association.send_c_move(image, self.own.ae_title, MOVE):
            code = status.get("Status")
        if code == 0x0000 and (self.arrived is None or self.arrived.is_set()):
            return fine(name, f"one image was moved to {self.own.ae_title} for a trial")
        is_unknown = code == MOVE_DESTINATION_UNKNOWN
        return faulty(
            name,
            Fault.MOVE_DESTINATION_UNKNOWN if is_unknown else Fault.MOVE_FAILED,
            "C-MOVE is not answered" if code is None else f"C-MOVE is answered 0x{code:04X}",
            is_needed=self.is_needed,
            own_node=self.own.ae_title,
            own_port=self.own.port,
        )


@contextmanager
def _listening(own: Node) -> Generator[threading.Event | None, None, None]:
    """Receive and drop at the node's address; yields what is set on arrival, None where the node serves."""
    arrived = threading.Event()

    def drop(event: evt.Event) -> int:
        arrived.set()
        return 0x0000

    ae = AE(own.ae_title)
    ae.supported_contexts = AllStoragePresentationContexts
    try:
        server = ae.start_server((own.host, own.port), block=False, evt_handlers=[(evt.EVT_C_STORE, drop)])
    except OSError:
        yield None
        return
    try:
        yield arrived
    finally:
        if server is not None:
            server.shutdown()


def _movable(association: Association, settings: NodeSettings, *, any_will_do: bool) -> Dataset | None:
    """Find an image that the archive has: one of ours, or with `any_will_do` one of the last days."""
    wanted = _known(settings)
    if any_will_do:
        today = date.today()
        wanted += [{"StudyDate": f"{today - timedelta(days=days):%Y%m%d}-"} for days in RECENT_DAYS]
    return next((image for keys in wanted if (image := _found(association, keys)) is not None), None)


def _known(settings: NodeSettings) -> list[dict[str, str]]:
    """Return the identifiers of what the node has, the newest first."""
    url = settings.node.database_url
    if url.startswith("sqlite") and not settings.node.data_dir.exists():
        return []
    database = open_database(url)
    try:
        newest = [study.study_instance_uid for study in reversed(database.studies.all()[-MOST_KNOWN:])]
        images = [image for uid in newest for image in database.instances.of_study(uid)[:1]]
    finally:
        database.close()
    return [
        {
            "StudyInstanceUID": image.study_instance_uid,
            "SeriesInstanceUID": image.series_instance_uid,
            "SOPInstanceUID": image.sop_instance_uid,
        }
        for image in images
    ]


def _found(association: Association, keys: dict[str, str]) -> Dataset | None:
    """Walk down to one image that fits `keys`; None if the archive has none or does not answer."""
    image: dict[str, str] = {}
    for level, keyword in _LEVELS.items():
        wanted = {keyword: keys.get(keyword, "")}
        if level == "STUDY" and "StudyDate" in keys:
            wanted["StudyDate"] = keys["StudyDate"]
        query = identifier(QueryRetrieveLevel=level, **image, **wanted)
        answers = [answer for _, answer in association.send_c_find(query, FIND) if answer is not None]
        if not answers:
            return None
        image[keyword] = str(answers[0].get(keyword, ""))
    return identifier(QueryRetrieveLevel="IMAGE", **image)
