"""Priors that the node has already."""

from dataclasses import replace

from dicom_node.admission import Patient
from dicom_node.database.engine import Database
from dicom_node.database.studies import StudyContent
from dicom_node.priors.description import described, header_of
from dicom_node.priors.source import Candidate
from dicom_node.routing import READABLE_CLASSES
from dicom_node.settings import OWN_STORE
from dicom_node.study import Instance


class LocalSource:
    """The node's own store."""

    name = OWN_STORE

    def __init__(self, database: Database, budget_s: float) -> None:
        self.budget_s = budget_s
        self._database = database

    def candidates(self, patient: Patient) -> list[Candidate]:
        contents = self._database.studies.of_patient(patient.patient_id)
        return [candidate_of(self._database, content) for content in contents if content.study.instance_count]

    def fetch(self, candidate: Candidate) -> tuple[Instance, ...]:
        return readable_instances(self._database, candidate)


def readable_instances(database: Database, candidate: Candidate) -> tuple[Instance, ...]:
    """Return the images of a candidate that are here; our own results are none."""
    kept = database.instances.of_study(candidate.study_instance_uid)
    return tuple(instance for instance in kept if instance.sop_class_uid in READABLE_CLASSES)


def candidate_of(database: Database, content: StudyContent) -> Candidate:
    """Describe a study that is here by its rows and the head of one instance of each series."""
    study = content.study
    instances = database.instances.of_study(study.study_instance_uid)
    first_of_series = {instance.series_instance_uid: instance.path for instance in reversed(instances)}
    headers = [ds for path in first_of_series.values() if (ds := header_of(path)) is not None]
    known = Candidate(
        study_instance_uid=study.study_instance_uid,
        study_date=study.study_date,
        study_time=study.study_time,
        modalities=study.modalities,
        body_parts=content.body_parts,
        descriptions=content.descriptions,
        patient=content.patient,
    )
    if not headers:
        return known
    read = described(headers[0], headers)
    return replace(
        known,
        patient_name=read.patient_name,
        procedures=read.procedures,
        lateralities=read.lateralities,
        views=read.views,
    )
