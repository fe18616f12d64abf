"""Priors that the node has already."""

from dicom_node.admission import Patient
from dicom_node.database.engine import Database
from dicom_node.database.studies import StudyContent
from dicom_node.priors.source import Candidate
from dicom_node.routing import READABLE_CLASSES
from dicom_node.study import Instance


class LocalSource:
    """The node's own store."""

    name = "local"

    def __init__(self, database: Database) -> None:
        self._database = database

    def candidates(self, patient: Patient) -> list[Candidate]:
        contents = self._database.studies.of_patient(patient.patient_id)
        return [
            candidate_of(content)
            for content in contents
            if content.study.instance_count and content.patient.issuer == patient.issuer
        ]

    def fetch(self, candidate: Candidate) -> tuple[Instance, ...]:
        return readable_instances(self._database, candidate)


def readable_instances(database: Database, candidate: Candidate) -> tuple[Instance, ...]:
    """Return the images of a candidate that are here; our own results are none."""
    kept = database.instances.of_study(candidate.study_instance_uid)
    return tuple(instance for instance in kept if instance.sop_class_uid in READABLE_CLASSES)


def candidate_of(content: StudyContent) -> Candidate:
    study = content.study
    return Candidate(
        study_instance_uid=study.study_instance_uid,
        study_date=study.study_date,
        study_time=study.study_time,
        modalities=study.modalities,
        body_parts=content.body_parts,
        descriptions=content.descriptions,
        patient=content.patient,
    )
