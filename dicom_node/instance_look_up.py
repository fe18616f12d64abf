"""One instance from a PACS by its UID alone (PS3.4 C): C-FIND says where it is filed, C-GET fetches it."""

import io
from collections.abc import Sequence

from pydicom import Dataset, dcmread
from pydicom.uid import UID, ExplicitVRLittleEndian, ImplicitVRLittleEndian
from pynetdicom import build_role, evt
from pynetdicom.dimse_primitives import C_STORE
from pynetdicom.presentation import build_context

from dicom_node.dimse_status import PROCESSING_FAILURE
from dicom_node.errors import RefusedError, UnreachableError
from dicom_node.priors.query_retrieve import COMPRESSED, FIND, GET, PENDING
from dicom_node.routing import READABLE_CLASSES
from dicom_node.scu import associated, identifier
from dicom_node.settings import QueryRetrieve

RESULT_CLASSES = (
    "1.2.840.10008.5.1.4.1.1.88.11",  # Basic Text SR
    "1.2.840.10008.5.1.4.1.1.88.22",  # Enhanced SR
    "1.2.840.10008.5.1.4.1.1.88.33",  # Comprehensive SR
    "1.2.840.10008.5.1.4.1.1.88.34",  # Comprehensive 3D SR
    "1.2.840.10008.5.1.4.1.1.88.59",  # Key Object Selection Document
    "1.2.840.10008.5.1.4.1.1.66.4",  # Segmentation
    "1.2.840.10008.5.1.4.1.1.66.7",  # Label Map Segmentation
    "1.2.840.10008.5.1.4.1.1.11.1",  # Grayscale Softcopy Presentation State
    "1.2.840.10008.5.1.4.1.1.11.2",  # Color Softcopy Presentation State
    "1.2.840.10008.5.1.4.1.1.104.1",  # Encapsulated PDF
    "1.2.840.10008.5.1.4.1.1.7",  # Secondary Capture Image
)
"""What an object by itself is asked for as, beside the images that the node reads."""
_LEVELS = ("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID")


def look_up(peer: QueryRetrieve, sop_instance_uid: str) -> Dataset | None:
    """Fetch one instance; None if the PACS does not know it. Nothing is kept in the node's store.

    A query by SOP Instance UID alone is relational (PS3.4 C.4.1.2.2.1): a PACS may not answer it.

    Raises:
        PeerError: the PACS does not answer, or answers with a failure.
    """
    place = _place(peer, sop_instance_uid)
    if place is None:
        return None
    classes = (place.SOPClassUID,) if place.get("SOPClassUID") else (*RESULT_CLASSES, *READABLE_CLASSES)
    return fetch_instance(peer, place, [str(uid) for uid in classes])


def _place(peer: QueryRetrieve, sop_instance_uid: str) -> Dataset | None:
    query = identifier(
        QueryRetrieveLevel="IMAGE",
        StudyInstanceUID="",
        SeriesInstanceUID="",
        SOPInstanceUID=sop_instance_uid,
        SOPClassUID="",
    )
    found: Dataset | None = None
    with associated(peer, [build_context(FIND)]) as association:
        for status, answer in association.send_c_find(query, FIND):
            code = status.get("Status")
            if code is None:
                raise UnreachableError(f"{peer.name}: the answer to C-FIND broke off")
            if code in PENDING:
                # Some archives ignore a key that they do not support and return everything.
                if answer is not None and answer.get("SOPInstanceUID") == sop_instance_uid:
                    found = answer
            elif code != 0x0000:
                raise RefusedError(f"{peer.name}: C-FIND", code)
    return found


def fetch_instance(peer: QueryRetrieve, place: Dataset, classes: Sequence[str]) -> Dataset | None:
    """Fetch by C-GET the instance whose three UIDs `place` has, as one of `classes`; None if none comes.

    Raises:
        UnreachableError: the PACS does not answer, or knows no C-GET.
        RefusedError: nothing comes, and it answers with a failure or a warning.
    """
    code: int | None = None
    received: list[Dataset] = []

    def on_store(event: evt.Event) -> int:
        request = event.request
        if not isinstance(request, C_STORE) or request.DataSet is None:
            return PROCESSING_FAILURE
        received.append(dcmread(io.BytesIO(event.encoded_dataset())))
        return 0x0000

    native: list[str | UID] = [ExplicitVRLittleEndian, ImplicitVRLittleEndian]
    contexts = [build_context(uid, native) for uid in classes]
    contexts += [build_context(uid, syntax) for syntax in COMPRESSED for uid in classes]
    query = identifier(QueryRetrieveLevel="IMAGE", **{key: str(place.get(key) or "") for key in _LEVELS})
    roles = [build_role(uid, scp_role=True) for uid in classes]
    offered = [build_context(GET), *contexts[:127]]
    with associated(peer, offered, roles, [(evt.EVT_C_STORE, on_store)]) as association:
        try:
            for status, _ in association.send_c_get(query, GET):
                code = status.get("Status")
        except ValueError as exc:
            raise UnreachableError(f"{peer.name}: C-GET is not supported") from exc
    if received:
        return received[0]
    if code is None:
        raise UnreachableError(f"{peer.name}: the answer to C-GET broke off")
    if code != 0x0000:
        raise RefusedError(f"{peer.name}: C-GET", code)
    return None
