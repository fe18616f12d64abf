"""Pure rule: what becomes of an instance that has arrived."""

from dataclasses import dataclass
from enum import StrEnum

from dicom_node.errors import IdentityError
from dicom_node.header import Header
from dicom_node.study import OWN_MANUFACTURER, Instance, Origin, Reason
from dicom_node.uids import is_uid

MOST_LETTERS = 16
"""Of a birth date and a sex; what is longer is neither (PS3.5 6.2)."""


class Disposition(StrEnum):
    """What is done with the bytes."""

    KEPT = "kept"
    """In use from now on."""
    DUPLICATE = "duplicate"
    """Known already, byte for byte: nothing to do."""
    QUARANTINED = "quarantined"
    """Kept, but not used."""


@dataclass(frozen=True, slots=True)
class StoreCommand:
    """What a C-STORE request says of the data set that follows (PS3.7 9.3.1.1)."""

    sop_class_uid: str
    sop_instance_uid: str
    transfer_syntax_uid: str
    calling_ae_title: str
    origin: Origin = Origin.ROUTED
    study_instance_uid: str = ""
    """The study that it must belong to, where the request names one (PS3.18 10.5)."""


@dataclass(frozen=True, slots=True)
class Arrival:
    """One instance whose bytes are durable and that now asks for a row."""

    instance: Instance
    header: Header
    calling_ae_title: str
    fault: Reason | None = None
    """Set where the header alone already puts it into quarantine."""


@dataclass(frozen=True, slots=True)
class Known:
    """What the index knows when an instance arrives."""

    instance: Instance | None = None
    """The one in use under the same SOP Instance UID."""
    patient: "Patient | None" = None
    """Whom the study belongs to, if there is one."""
    is_own_result: bool = False
    """A result of ours has this SOP Instance UID."""


@dataclass(frozen=True, slots=True, repr=False)
class Patient:
    """The identity of one patient as far as two objects can agree or contradict in it."""

    patient_id: str
    issuer: str
    birth_date: str
    sex: str

    def contradicts(self, other: "Patient") -> bool:
        """Say whether the two cannot be the same person; what one of them leaves out contradicts nothing.

        Patient ID is the exception: an object without one is not filed with a named patient.
        """
        return (
            self.patient_id != other.patient_id
            or _differ(self.issuer, other.issuer)
            or _differ(self.birth_date, other.birth_date)
            or {self.sex, other.sex} == {"M", "F"}
        )


def _differ(one: str, other: str) -> bool:
    return bool(one) and bool(other) and one != other


@dataclass(frozen=True, slots=True)
class Admission:
    """The decision about one arrival."""

    disposition: Disposition
    origin: Origin
    reason: Reason | None = None
    detail: str = ""


def patient_of(header: Header) -> Patient:
    # Cut as the index cuts them, so that what comes later is compared with the same.
    return Patient(
        header.patient_id,
        header.issuer_of_patient_id,
        header.patient_birth_date[:MOST_LETTERS],
        header.patient_sex[:MOST_LETTERS],
    )


def check_command(command: StoreCommand) -> None:
    """Check the identifiers of a request before its data set is looked at.

    Raises:
        IdentityError: one is missing or is not a UID (PS3.5 9.1).
    """
    for name, uid in (("SOP Class", command.sop_class_uid), ("SOP Instance", command.sop_instance_uid)):
        if not uid:
            raise IdentityError(f"the request names no {name} UID", Reason.MISSING_UID)
        if not is_uid(uid):
            raise IdentityError(f"the {name} UID of the request is not a UID", Reason.ILLEGAL_UID)


def check_header(command: StoreCommand, header: Header) -> Reason | None:
    """Compare request and data set; return why the instance is put into quarantine, if it is.

    Raises:
        IdentityError: an identifier is illegal, or request and data set disagree (PS3.4 B.2.3: 0xA900).
    """
    uids = (
        header.sop_class_uid,
        header.sop_instance_uid,
        header.series_instance_uid,
        header.study_instance_uid,
    )
    for uid in uids:
        if uid and not is_uid(uid):
            raise IdentityError("an identifier in the data set is not a UID", Reason.ILLEGAL_UID)
    if header.sop_instance_uid and header.sop_instance_uid != command.sop_instance_uid:
        raise IdentityError("SOP Instance UID of request and data set differ", Reason.UID_MISMATCH)
    if header.sop_class_uid and header.sop_class_uid != command.sop_class_uid:
        raise IdentityError("SOP Class UID of request and data set differ", Reason.UID_MISMATCH)
    if command.study_instance_uid not in ("", header.study_instance_uid):
        raise IdentityError("Study Instance UID of request and data set differ", Reason.UID_MISMATCH)
    return None if all(uids) else Reason.MISSING_UID


def admit(arrival: Arrival, known: Known) -> Admission:
    """Decide what becomes of one arrival."""
    origin = arrival.instance.origin
    if arrival.fault is not None:
        return Admission(Disposition.QUARANTINED, origin, arrival.fault)
    if known.is_own_result or is_own(arrival.header):
        origin = Origin.RESULT
    if known.instance is not None:
        return _admit_again(arrival.instance, known.instance, origin)
    if known.patient is not None and known.patient.contradicts(patient_of(arrival.header)):
        return Admission(Disposition.QUARANTINED, origin, Reason.PATIENT_MISMATCH)
    return Admission(Disposition.KEPT, origin, Reason.OWN_RESULT if origin is Origin.RESULT else None)


def _admit_again(arrived: Instance, kept: Instance, origin: Origin) -> Admission:
    is_same = (arrived.digest, arrived.transfer_syntax_uid) == (kept.digest, kept.transfer_syntax_uid)
    if is_same or origin is not Origin.ROUTED:
        # What we fetch again as part of a prior may have been recoded on the way: the first one stays.
        return Admission(Disposition.DUPLICATE, origin, Reason.DUPLICATE)
    return Admission(Disposition.QUARANTINED, origin, Reason.UID_CONFLICT)


def is_own(header: Header) -> bool:
    """Say whether the data set bears the mark of our results, whatever became of its identifiers."""
    return _plain(header.manufacturer) == _plain(OWN_MANUFACTURER)


def _plain(name: str) -> str:
    return "".join(character for character in name.casefold() if character.isalnum())
