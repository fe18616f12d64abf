"""For what the node commits itself, and what it remembers of those who asked."""

from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import NoReturn

import pytest
from pydicom.uid import CTImageStorage, MRImageStorage, generate_uid

from dicom_node.database.engine import Database
from dicom_node.database.quarantine import Fate
from dicom_node.modality_settings import Modality
from dicom_node.storage_commitment import providing
from dicom_node.storage_commitment.judging import Kept, judged, why_not
from dicom_node.storage_commitment.messages import Reference, Request
from dicom_node.storage_commitment.providing import CommitmentReporter
from dicom_node.study import SOPInstanceUID
from dicom_node.tls import Tls
from tests.unit.dicom_node.arrivals import Sender, dataset
from tests.unit.dicom_node.conftest import TurnedClock

CT = Reference(CTImageStorage, "1.2.3")


@pytest.mark.parametrize(
    ("reference", "kept", "reason"),
    [
        (CT, Kept(CTImageStorage, is_whole=True, is_doubted=False), None),
        (CT, None, 0x0112),
        (CT, Kept(MRImageStorage, is_whole=True, is_doubted=False), 0x0119),
        (CT, Kept(CTImageStorage, is_whole=False, is_doubted=False), 0x0110),
        (CT, Kept(CTImageStorage, is_whole=True, is_doubted=True), 0x0110),
        (Reference("1.2.840.10008.1.1", "1.2.3"), None, 0x0122),
    ],
)
def test_failure_reasons_are_those_of_the_standard(
    reference: Reference, kept: Kept | None, reason: int | None
) -> None:
    """PS3.3 C.14.1.1."""
    assert why_not(reference, kept) == reason


def test_what_is_on_stable_storage_is_committed_and_nothing_else(database: Database, sender: Sender) -> None:
    whole, lost, doubted = dataset(), dataset(), dataset(PatientID="P1")
    for ds in (whole, lost, doubted):
        assert sender.send(ds).status == 0x0000
    conflict = dataset(SOPInstanceUID=doubted.SOPInstanceUID, BodyPartExamined="HEAD")
    assert sender.send(conflict).status == 0x0000, "kept in quarantine"
    stored = database.instances.get(lost.SOPInstanceUID)
    assert stored is not None
    stored.path.write_bytes(b"")
    named = [str(ds.SOPInstanceUID) for ds in (whole, lost, doubted)] + ["1.2.3.4"]
    request = Request("1.2.9", tuple(Reference(CTImageStorage, uid) for uid in named))

    report = judged(request, database.commitments.kept(request.references))

    assert [each.sop_instance_uid for each in report.committed] == [whole.SOPInstanceUID]
    assert [(each.sop_instance_uid, reason) for each, reason in report.failed] == [
        (lost.SOPInstanceUID, 0x0110),
        (doubted.SOPInstanceUID, 0x0110),
        ("1.2.3.4", 0x0112),
    ]


def test_request_of_many_objects_is_looked_up_whole(database: Database, sender: Sender) -> None:
    sent = [dataset() for _ in range(3)]
    for ds in sent:
        sender.send(ds)
    named = [generate_uid() for _ in range(1200)] + [ds.SOPInstanceUID for ds in sent]

    kept = database.commitments.kept([Reference(CTImageStorage, uid) for uid in named])

    assert set(kept) == {SOPInstanceUID(ds.SOPInstanceUID) for ds in sent}


def test_report_is_due_until_it_is_taken(database: Database, clock: TurnedClock) -> None:
    request = Request("1.2.9", (CT,))
    assert database.commitments.take("CT1", request)
    assert database.commitments.due(["OTHER"]) == []
    (asked,) = database.commitments.due(["CT1", "OTHER"])
    assert asked.request == request

    database.commitments.try_later(asked, 10)
    assert database.commitments.due(["CT1"]) == []
    clock.turn(11)
    (again,) = database.commitments.due(["CT1"])
    assert again.attempts == 1

    database.commitments.reported(again)
    assert database.commitments.due(["CT1"]) == []


def test_same_request_again_is_reported_again_and_another_under_its_uid_is_refused(
    database: Database,
) -> None:
    request = Request("1.2.9", (CT,))
    assert database.commitments.take("CT1", request)
    database.commitments.reported(database.commitments.due(["CT1"])[0])

    assert database.commitments.take("CT1", request)
    assert len(database.commitments.due(["CT1"])) == 1
    assert not database.commitments.take("CT1", Request("1.2.9", (Reference(CTImageStorage, "1.2.4"),)))
    assert database.commitments.take("CT2", Request("1.2.9", (Reference(CTImageStorage, "1.2.4"),)))


def test_peer_that_cannot_be_reported_to_never_ends_the_reports_to_others(
    database: Database, clock: TurnedClock, tmp_path: Path
) -> None:
    """Two weeks of a peer whose certificate is gone: as many tries as a power of two has no float for."""
    missing = tmp_path / "missing.pem"
    tls = Tls(certificate_file=missing, key_file=missing, ca_file=missing)
    reporter = CommitmentReporter([Modality(name="ct", ae_title="CT1", port=11112, tls=tls)], database)
    assert database.commitments.take("CT1", Request("1.2.9", (CT,)))
    (asked,) = database.commitments.due(["CT1"])
    database.commitments.try_later(replace(asked, attempts=1500), 0)

    reporter.report_due()

    assert database.commitments.due(["CT1"]) == []
    clock.turn(901)
    (again,) = database.commitments.due(["CT1"])
    assert again.attempts == 1502


@pytest.mark.parametrize(
    "fault",
    [
        ValueError("no role of provider was accepted"),
        RuntimeError("the association has ended"),
    ],
)
def test_report_that_the_library_cannot_send_is_tried_later(
    database: Database, clock: TurnedClock, monkeypatch: pytest.MonkeyPatch, fault: Exception
) -> None:
    class Peer:
        def send_n_event_report(self, *_report: object) -> NoReturn:
            raise fault

    def associated(*_peer: object) -> nullcontext[Peer]:
        return nullcontext(Peer())

    monkeypatch.setattr(providing, "associated", associated)
    assert database.commitments.take("CT1", Request("1.2.9", (CT,)))

    CommitmentReporter([Modality(name="ct", ae_title="CT1", port=11112)], database).report_due()

    clock.turn(901)
    assert [asked.attempts for asked in database.commitments.due(["CT1"])] == [1]


def test_doubt_ends_with_a_decision_and_a_loss_with_what_comes_again(
    database: Database, sender: Sender
) -> None:
    conflicting, lost = dataset(), dataset()
    for ds in (conflicting, lost):
        sender.send(ds)
    named = [Reference(CTImageStorage, str(ds.SOPInstanceUID)) for ds in (conflicting, lost)]
    conflicting.PixelData = bytes(8)
    sender.send(conflicting)
    assert database.commitments.kept(named)[named[0].sop_instance_uid].is_doubted
    (in_doubt,) = database.quarantine.all()

    database.quarantine.decide(in_doubt.number, Fate.DROPPED, decided_by="ada", why="the first is right")
    database.refusals.lose_instance(SOPInstanceUID(lost.SOPInstanceUID), "its file is damaged")
    sender.send(lost)

    assert [kept.is_doubted for kept in database.commitments.kept(named).values()] == [False, False]
