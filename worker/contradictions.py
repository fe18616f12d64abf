"""What was received against a study: why a person must look before anything of it is sent."""

from dicom_node.database.engine import Database
from dicom_node.study import Reason, Refusal


def contradictions(database: Database, study_instance_uid: str) -> tuple[str, ...]:
    """Say what contradicts a study, a sentence for each kind, without patient data."""
    against = database.refusals.against(study_instance_uid)
    conflicts = [each for each in against if each.reason is Reason.UID_CONFLICT]
    patients = [each for each in against if each.reason is Reason.PATIENT_MISMATCH]
    said: list[str] = []
    if conflicts:
        said.append(
            f"{_counted(conflicts)} under a SOP Instance UID that is in use: {_both(database, conflicts[0])}"
        )
    if patients:
        said.append(f"{_counted(patients)} under another patient than the study's")
    return tuple(said)


def _counted(refusals: list[Refusal]) -> str:
    return "1 object came" if len(refusals) == 1 else f"{len(refusals)} objects came"


def _both(database: Database, conflict: Refusal) -> str:
    kept = database.instances.get(conflict.sop_instance_uid)
    in_use = "none" if kept is None else kept.digest
    return f"digest {in_use} is in use, {conflict.digest} in quarantine"
