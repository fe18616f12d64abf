"""Which of a worklist's answers is the order behind a study, and what it changes."""

import struct
import threading
from pathlib import Path
from typing import Any

import pytest
from pydicom import Dataset
from pydicom.uid import ExplicitVRLittleEndian, SecondaryCaptureImageStorage

from dicom_node.admission import Patient, StoreCommand
from dicom_node.archive_counts import ArchiveCounts
from dicom_node.completing import StudyCompleter
from dicom_node.database.engine import Database
from dicom_node.errors import SettingsError
from dicom_node.intake import Intake
from dicom_node.orders.asking import OrderFinder
from dicom_node.orders.order import Order, Ordered, order_of, priority_under
from dicom_node.orders.settings import Worklist
from dicom_node.rules.settings import Rule
from dicom_node.settings import NodeSettings
from dicom_node.study import JobState, Priority, StudyInstanceUID
from dicom_node.tls import Tls
from model.reading import ClinicalContext, Modality, ReadingRequest
from tests.unit.dicom_node.arrivals import Sender, dataset, encoded
from tests.unit.dicom_node.conftest import TurnedClock
from tests.unit.dicom_node.test_header import nested
from worker.request import ordered

PATIENT = Patient("P1", "HOSPITAL", "19500101", "F")
STUDY = Ordered("1.2.3.100", "A1", PATIENT, "Marker^Name")


def entry(**elements: Any) -> Dataset:
    """One answer of a worklist; keywords replace elements or remove them (None)."""
    values: dict[str, Any] = {
        "PatientName": "Marker^Name",
        "PatientID": "P1",
        "PatientBirthDate": "19500101",
        "PatientSex": "F",
        "AccessionNumber": "A1",
        "StudyInstanceUID": "1.2.3.100",
        "RequestedProcedureDescription": "Chest PA and lateral",
        "RequestedProcedurePriority": "STAT",
        "ReasonForTheRequestedProcedure": "fever and cough",
    } | elements
    ds, step = Dataset(), Dataset()
    step.ScheduledProcedureStepStatus = values.pop("status", "SCHEDULED")
    ds.ScheduledProcedureStepSequence = [step]
    for keyword, value in values.items():
        if value is not None:
            setattr(ds, keyword, value)
    return ds


FOUND = ("fever and cough", "Chest PA and lateral", "A1", Priority.STAT)


def content(order: Order | None) -> tuple[object, ...] | None:
    if order is None:
        return None
    return order.indication, order.requested_procedure, order.accession_number, order.priority


@pytest.mark.parametrize(
    ("changes", "is_found"),
    [
        ({}, True),
        ({"StudyInstanceUID": "1.2.3.999"}, True),
        ({"StudyInstanceUID": None}, True),
        ({"AccessionNumber": "A2"}, True),
        ({"StudyInstanceUID": "1.2.3.999", "AccessionNumber": "A2"}, False),
        ({"StudyInstanceUID": None, "AccessionNumber": ""}, False),
        ({"PatientID": "P2"}, False),
        ({"PatientID": None}, False),
        ({"PatientBirthDate": "19500102"}, False),
        ({"PatientSex": "M"}, False),
        ({"PatientName": "Other^Person"}, False),
        ({"PatientName": "MARKER^NAME^A"}, True),
        ({"IssuerOfPatientID": "ELSEWHERE"}, False),
        ({"status": "DISCONTINUED"}, False),
    ],
)
def test_order_belongs_to_the_study_and_to_its_patient(changes: dict[str, Any], is_found: bool) -> None:
    assert (order_of([entry(**changes)], STUDY) is not None) is is_found


def test_everything_of_the_order_is_taken() -> None:
    assert content(order_of([entry()], STUDY)) == FOUND


def test_study_uid_is_believed_before_the_accession_number() -> None:
    other = entry(StudyInstanceUID="1.2.3.999", ReasonForTheRequestedProcedure="fall")
    assert content(order_of([other, entry()], STUDY)) == FOUND


def test_P12_two_orders_under_one_number_are_as_urgent_as_the_more_urgent_and_say_what_they_agree_on() -> (
    None
):
    two = [
        entry(StudyInstanceUID=None, RequestedProcedurePriority="LOW"),
        entry(
            StudyInstanceUID=None, RequestedProcedurePriority="HIGH", ReasonForTheRequestedProcedure="fall"
        ),
    ]
    assert content(order_of(two, STUDY)) == ("", "Chest PA and lateral", "A1", Priority.HIGH)


def test_codes_speak_where_there_are_no_words() -> None:
    code = Dataset()
    code.CodeValue, code.CodingSchemeDesignator, code.CodeMeaning = "386661006", "SCT", "Fever"
    ds = entry(ReasonForTheRequestedProcedure=None, RequestedProcedureDescription=None)
    ds.ReasonForRequestedProcedureCodeSequence = [code]
    ds.RequestedProcedureCodeSequence = [code]
    assert content(order_of([ds], STUDY)) == ("Fever", "Fever", "A1", Priority.STAT)


def test_order_shows_nothing_of_itself() -> None:
    order = order_of([entry()], STUDY)
    assert "fever" not in repr(order)
    assert "P1" not in repr(STUDY)


@pytest.mark.parametrize(
    ("rule", "order", "priority"),
    [
        (None, None, Priority.ROUTINE),
        (None, Order(priority=Priority.STAT), Priority.STAT),
        (Rule(name="r"), Order(priority=Priority.HIGH), Priority.HIGH),
        (Rule(name="r", priority="low"), Order(priority=Priority.STAT), Priority.LOW),
    ],
)
def test_rule_says_how_urgent_before_the_order(
    rule: Rule | None, order: Order | None, priority: Priority
) -> None:
    assert priority_under(rule, order) is priority


def test_job_is_as_urgent_as_its_order_whichever_is_known_first(
    database: Database, sender: Sender, clock: TurnedClock
) -> None:
    settings = NodeSettings()
    completer = StudyCompleter(settings, database, lambda uid: False, lambda: None)
    first, second = (dataset(StudyInstanceUID=uid) for uid in ("1.2.3.1", "1.2.3.2"))
    for ds in (first, second):
        sender.send(ds)
    database.orders.keep("1.2.3.1", Order(priority=Priority.STAT))
    clock.turn(20)
    completer.complete_studies()
    (known_before,) = database.jobs.of_study("1.2.3.1")
    (unknown,) = database.jobs.of_study("1.2.3.2")
    assert (known_before.priority, unknown.priority) == (Priority.STAT, Priority.ROUTINE)

    finder = OrderFinder(settings, database)
    # Not checked: the step alone, without a RIS.
    finder._hurry(unknown.study_instance_uid, Order(priority=Priority.HIGH))  # pyright: ignore[reportPrivateUsage]

    assert database.jobs.get(unknown.job_id).priority is Priority.HIGH


@pytest.mark.parametrize(
    ("of_images", "order", "expected"),
    [
        (None, Order("fever", "Chest PA"), "fever; requested: Chest PA"),
        ("cough", Order("fever", ""), "fever"),
        ("cough", Order("", "Chest PA"), "cough; requested: Chest PA"),
        ("cough", Order(), "cough"),
        (None, Order(), None),
    ],
)
def test_order_reaches_the_context_of_the_request(
    of_images: str | None, order: Order, expected: str | None
) -> None:
    context = ClinicalContext(age_years=70, indication=of_images)
    request = ReadingRequest(modality=Modality.CXR, images=(), tasks=(), context=context)
    changed = ordered(request, order).context
    assert (changed.indication, changed.age_years) == (expected, 70)


def test_D05_object_nested_too_deeply_stops_neither_the_rules_nor_the_orders(
    database: Database, intake: Intake, clock: TurnedClock
) -> None:
    """What filing needs stands before the nesting: it is received, and a parser recurses into it later."""
    ds = dataset(SOPClassUID=SecondaryCaptureImageStorage, PixelData=None, Rows=None, Columns=None)
    del ds.BitsAllocated
    reception = intake.begin(
        StoreCommand(SecondaryCaptureImageStorage, str(ds.SOPInstanceUID), ExplicitVRLittleEndian, "MODALITY")
    )
    reception.write(
        encoded(ds) + nested(5000).replace(struct.pack("<HH", 9, 0x1001), bytes.fromhex("40007502"))
    )
    assert reception.finish().status == 0x0000
    missing = Path("/nonexistent.pem")
    settings = NodeSettings(
        rules=(Rule(name="all"),),
        worklists=(
            Worklist(
                name="ris",
                ae_title="RIS",
                port=104,
                tls=Tls(certificate_file=missing, key_file=missing, ca_file=missing),
            ),
        ),
    )

    OrderFinder(settings, database).find(StudyInstanceUID("1.2.3.100"))
    clock.turn(20)
    StudyCompleter(settings, database, lambda uid: False, lambda: None).complete_studies()

    notes = [event.detail for event in database.events.of_study(StudyInstanceUID("1.2.3.100"))]
    assert "ris: SettingsError" in notes
    assert [job.state for job in database.jobs.of_study("1.2.3.100")] == [JobState.QUEUED]


def test_archive_that_answers_nonsense_is_asked_again(clock: TurnedClock) -> None:
    stop, asked = threading.Event(), list[str]()

    def count(uid: str) -> int:
        asked.append(uid)
        if len(asked) == 4:
            stop.set()
            return 7
        raise (AttributeError, RuntimeError, SettingsError)[len(asked) - 1]("no answer that can be used")

    counts = ArchiveCounts(count, ask_again_s=1)
    for uid in ("1.1", "1.2", "1.3", "1.4"):
        counts.of(uid, clock(), clock())
    counts.run(stop)

    assert counts.of("1.4", clock(), clock()) == 7
