"""Priors from a DICOMweb server (PS3.18): QIDO-RS (10.6) to find them, WADO-RS (10.4) to fetch them."""

from collections.abc import Sequence
from typing import Any, Final

import httpx
from pydicom import Dataset

from dicom_node.admission import Patient
from dicom_node.database.engine import Database
from dicom_node.priors.description import IMAGE_KEYS, PROCEDURES, SERIES_KEYS, STUDY_KEYS, described, text
from dicom_node.priors.local import readable_instances
from dicom_node.priors.source import Candidate
from dicom_node.priors.web import MOST_STUDIES, WebSource, connected, fetch_file
from dicom_node.routing import READABLE_CLASSES
from dicom_node.settings import NodeSettings
from dicom_node.storage import InstanceStore
from dicom_node.study import Instance
from dicom_node.uids import is_uid

JSON: Final = "application/dicom+json"
NO_CONTENT: Final = 204
"""How a search without matches is answered (PS3.18 8.3.4.4)."""
ONE_FILE: Final = 'multipart/related; type="application/dicom"; transfer-syntax=*'
"""As stored, in whatever transfer syntax (PS3.18 8.7.3.5.2)."""


def dicomweb_sources(
    settings: NodeSettings, database: Database, store: InstanceStore
) -> Sequence["DicomWebSource"]:
    """Build one source for each `[[dicomweb]]`."""
    return DicomWebSource.built(settings.dicomweb, settings, database, store)


class DicomWebSource(WebSource):
    """One server."""

    def candidates(self, patient: Patient) -> list[Candidate]:
        with connected(self._peer) as client:
            asked = {"PatientID": patient.patient_id, "limit": MOST_STUDIES}
            studies = _search(client, "studies", (*STUDY_KEYS, PROCEDURES), **asked)
            # A Patient ID may hold wildcards (PS3.18 8.3.4.1): the answers are compared again.
            return [
                self._candidate(client, study)
                for study in studies
                if text(study, "PatientID") == patient.patient_id and is_uid(text(study, "StudyInstanceUID"))
            ]

    def _candidate(self, client: httpx.Client, study: Dataset) -> Candidate:
        """Describe a study; what a server does not know of a series it leaves out."""
        url = f"studies/{text(study, 'StudyInstanceUID')}/series"
        return described(study, _search(client, url, (*SERIES_KEYS, *IMAGE_KEYS)))

    def fetch(self, candidate: Candidate) -> tuple[Instance, ...]:
        url = f"studies/{candidate.study_instance_uid}"
        with connected(self._peer) as client:
            for found in _search(client, f"{url}/instances", ()):
                series, instance = text(found, "SeriesInstanceUID"), text(found, "SOPInstanceUID")
                if text(found, "SOPClassUID") in READABLE_CLASSES and is_uid(series) and is_uid(instance):
                    file = f"{url}/series/{series}/instances/{instance}"
                    fetch_file(client, file, self._intake, self._own_ae_title, Accept=ONE_FILE)
        return readable_instances(self._database, candidate)


def _search(client: httpx.Client, url: str, fields: Sequence[str], **match: str | int) -> list[Dataset]:
    # One parameter for each field: Orthanc's plugin of 2022 does not read lists with commas.
    query = {**match, "includefield": fields}
    response = client.get(url, params=query, headers={"Accept": JSON})
    response.raise_for_status()
    if response.status_code == NO_CONTENT:
        return []
    answers: list[dict[str, Any]] = response.json()
    return [Dataset.from_json(answer, bulk_data_uri_handler=_left_out) for answer in answers]


def _left_out(uri: str) -> None:
    """Bulk data is never among the keys: where a server puts a link to some, it is not followed."""
