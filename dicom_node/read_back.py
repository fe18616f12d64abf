"""Fetches one result back from an archive, to compare it with what was sent."""

import io
from typing import Final

from pydicom import Dataset, dcmread

from dicom_node.errors import PeerError, SettingsError
from dicom_node.instance_look_up import fetch_instance
from dicom_node.priors.web import connected, only_part
from dicom_node.scu import identifier
from dicom_node.settings import NodeSettings, QueryRetrieve, WebPeer
from dicom_node.study import StoredResult
from dicom_node.unreadable import UNREADABLE

NOT_FOUND: Final = (404, 410)
NATIVE_FILE: Final = 'multipart/related; type="application/dicom"; transfer-syntax=1.2.840.10008.1.2.1'
"""One instance in Explicit VR Little Endian (PS3.18 8.7.3.5.2)."""


def read_back(settings: NodeSettings, source: str, result: StoredResult) -> Dataset | None:
    """Fetch a result from a source of the configuration, by its name; None if it is not there.

    Raises:
        PeerError: the source does not answer, or answers with a failure.
        SettingsError: there is no such source.
    """
    for peer in settings.query_retrieve:
        if peer.name == source:
            return _by_get(peer, result)
    own = [each.web_peer for each in settings.destinations if each.kind == "dicomweb"]
    for web in (*settings.dicomweb, *own):
        if web.name == source:
            return _by_wado(web, result)
    for web in settings.orthanc:
        if web.name == source:
            return _from_orthanc(web, result)
    raise SettingsError(f"there is no source {source} to read back from")


def _by_get(peer: QueryRetrieve, result: StoredResult) -> Dataset | None:
    place = identifier(
        StudyInstanceUID=result.study_instance_uid,
        SeriesInstanceUID=result.series_instance_uid,
        SOPInstanceUID=result.sop_instance_uid,
    )
    return fetch_instance(peer, place, [result.sop_class_uid])


def _by_wado(peer: WebPeer, result: StoredResult) -> Dataset | None:
    url = (
        f"studies/{result.study_instance_uid}/series/{result.series_instance_uid}"
        f"/instances/{result.sop_instance_uid}"
    )
    with (
        connected(peer) as client,
        client.stream("GET", url, headers={"Accept": NATIVE_FILE}) as response,
    ):
        if response.status_code in NOT_FOUND:
            return None
        response.raise_for_status()
        part = only_part(response.iter_bytes(), response.headers.get("Content-Type", ""))
        return _parsed(peer.name, b"".join(part))


def _from_orthanc(peer: WebPeer, result: StoredResult) -> Dataset | None:
    with connected(peer) as client:
        found = client.post("tools/lookup", content=result.sop_instance_uid)
        found.raise_for_status()
        for entry in found.json():
            if entry["Type"] == "Instance":
                file = client.get(f"instances/{entry['ID']}/file")
                file.raise_for_status()
                ds = _parsed(peer.name, file.content)
                if ds.get("StudyInstanceUID") == result.study_instance_uid:
                    return ds
    return None


def _parsed(name: str, content: bytes) -> Dataset:
    try:
        return dcmread(io.BytesIO(content))
    except UNREADABLE as exc:
        raise PeerError(f"the answer of {name} is no DICOM file") from exc
