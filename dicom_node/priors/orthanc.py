"""Priors from an Orthanc over its own REST interface, of any version since 1.0."""

from collections.abc import Sequence
from typing import Any, Final

import httpx
from pydicom import Dataset

from dicom_node.admission import Patient
from dicom_node.database.engine import Database
from dicom_node.priors.description import IMAGE_KEYS, PROCEDURES, SERIES_KEYS, STUDY_KEYS, described, text
from dicom_node.priors.local import readable_instances
from dicom_node.priors.relevance import DERIVED
from dicom_node.priors.source import Candidate
from dicom_node.priors.web import MOST_STUDIES, WebSource, connected, fetch_file
from dicom_node.settings import NodeSettings
from dicom_node.storage import InstanceStore
from dicom_node.study import Instance
from dicom_node.uids import is_uid

MOST_SERIES: Final = 5 * MOST_STUDIES
_TEXTS: Final = (*STUDY_KEYS, *SERIES_KEYS, *IMAGE_KEYS)
_CODE: Final = ("CodeValue", "CodingSchemeDesignator")


def orthanc_sources(
    settings: NodeSettings, database: Database, store: InstanceStore
) -> Sequence["OrthancSource"]:
    """Build one source for each `[[orthanc]]`."""
    return OrthancSource.built(settings.orthanc, settings, database, store)


class OrthancSource(WebSource):
    """One Orthanc."""

    def candidates(self, patient: Patient) -> list[Candidate]:
        headers: dict[str, list[Dataset]] = {}
        with connected(self._peer) as client:
            for series in _series(client, PatientID=patient.patient_id):
                ds = _header(client, series["Instances"][0])
                # Orthanc reads wildcards and does not tell cases apart: the answers are compared again.
                if text(ds, "PatientID") == patient.patient_id and is_uid(text(ds, "StudyInstanceUID")):
                    headers.setdefault(text(ds, "StudyInstanceUID"), []).append(ds)
        return [described(of_study[0], of_study) for of_study in headers.values()]

    def fetch(self, candidate: Candidate) -> tuple[Instance, ...]:
        with connected(self._peer) as client:
            for series in _series(client, StudyInstanceUID=candidate.study_instance_uid):
                if series["MainDicomTags"].get("Modality") not in DERIVED:
                    for instance in series["Instances"]:
                        url = f"instances/{instance}/file"
                        fetch_file(client, url, self._intake, self._own_ae_title)
        return readable_instances(self._database, candidate)


def _series(client: httpx.Client, **query: str) -> list[dict[str, Any]]:
    asked = {"Level": "Series", "Expand": True, "Limit": MOST_SERIES, "Query": query}
    response = client.post("tools/find", json=asked)
    response.raise_for_status()
    found: list[dict[str, Any]] = response.json()
    return found


def _header(client: httpx.Client, instance: str) -> Dataset:
    """Read what describes a study from one instance: what Orthanc indexes depends on its version."""
    response = client.get(f"instances/{instance}/simplified-tags")
    response.raise_for_status()
    tags: dict[str, Any] = response.json()
    ds = Dataset()
    for keyword in _TEXTS:
        if isinstance(value := tags.get(keyword), str):
            setattr(ds, keyword, value)
    ds.ProcedureCodeSequence = [_code(item) for item in tags.get(PROCEDURES) or ()]
    return ds


def _code(item: dict[str, Any]) -> Dataset:
    ds = Dataset()
    for keyword in _CODE:
        setattr(ds, keyword, str(item.get(keyword) or ""))
    return ds
