"""The process that holds the index: who is let in, how rows are given, what one failure costs others."""

import socket
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from threading import Barrier, Thread

import pytest

from dicom_node.admission import Admission, Arrival, Disposition
from dicom_node.errors import IndexAwayError, StorageError
from dicom_node.header import Header
from dicom_node.receivers.channel import (
    MAX_MESSAGE_BYTES,
    answer_within,
    ask_admission,
    decode_admission,
    decode_arrival,
    encode_admission,
    encode_arrival,
    encode_error,
    pair,
)
from dicom_node.receivers.registrar import Registrar
from dicom_node.receivers.visits import POLITE_EXTRA, Visit, Visits
from dicom_node.study import Instance, Origin, Reason, SeriesInstanceUID, SOPInstanceUID, StudyInstanceUID
from tests.driving import wait_until

STUDY = StudyInstanceUID("1.2.3")
KEPT = Admission(Disposition.KEPT, Origin.ROUTED)


def arrival(uid: str = "1.2.3.4", **header: str) -> Arrival:
    instance = Instance(
        sop_instance_uid=SOPInstanceUID(uid),
        sop_class_uid="1.2.840.10008.5.1.4.1.1.2",
        series_instance_uid=SeriesInstanceUID("1.2.3.1"),
        study_instance_uid=STUDY,
        transfer_syntax_uid="1.2.840.10008.1.2.1",
        modality="CT",
        path=Path("/spool/20260102-10/1.dcm"),
        digest="ab" * 32,
        size=524288,
        origin=Origin.ROUTED,
        received_at=datetime(2026, 1, 2, 10, 15, 0, 123456, tzinfo=UTC),
    )
    return Arrival(instance, Header(**header), "MODALITY")


@pytest.mark.parametrize("fault", [None, Reason.MISSING_UID])
def test_arrival_is_the_same_on_the_other_side(fault: Reason | None) -> None:
    sent = replace(arrival(patient_id='P"\\1\n', study_description="Thorax é ", modality="CT"), fault=fault)

    assert decode_arrival(encode_arrival(sent)) == sent


def test_value_that_could_be_taken_for_two_is_not_passed_on() -> None:
    with pytest.raises(StorageError):
        encode_arrival(arrival(patient_id="P\0Q"))

    strange = replace(arrival(), calling_ae_title="A\0B")
    assert decode_arrival(encode_arrival(strange)) == replace(strange, calling_ae_title="A B")


def test_largest_header_fits_a_message() -> None:
    longest = {name: "\xff" * 256 for name in Header.__dataclass_fields__}

    assert len(encode_arrival(arrival(**longest))) < MAX_MESSAGE_BYTES


@pytest.mark.parametrize("reason", [None, Reason.UID_CONFLICT])
def test_admission_is_the_same_on_the_other_side(reason: Reason | None) -> None:
    sent = Admission(Disposition.QUARANTINED, Origin.RETRIEVED, reason, "detail")

    assert decode_admission(encode_admission(sent)) == sent


@pytest.mark.parametrize("error", [IndexAwayError("away"), StorageError("full", Reason.DISK_FULL)])
def test_error_is_raised_on_the_other_side(error: StorageError) -> None:
    with pytest.raises(type(error), match=str(error)) as caught:
        decode_admission(encode_error(error))

    assert type(caught.value) is type(error)
    assert caught.value.reason is error.reason


def test_answer_that_comes_too_late_is_not_taken_for_that_to_the_next() -> None:
    ours, theirs = pair()
    answer_within(theirs, 0.05)
    with ours, theirs:
        with pytest.raises(IndexAwayError):
            ask_admission(theirs, arrival())
        assert ours.recv(MAX_MESSAGE_BYTES)
        with pytest.raises(OSError, match="Broken pipe"):
            ours.send(encode_admission(Admission(Disposition.KEPT, Origin.ROUTED)))
        with pytest.raises(IndexAwayError):
            ask_admission(theirs, arrival())
        assert ours.recv(MAX_MESSAGE_BYTES) == b"", "the visit ends with it"


def test_receiver_is_told_that_the_node_is_gone() -> None:
    ours, theirs = pair()
    ours.close()

    with theirs, pytest.raises(IndexAwayError):
        ask_admission(theirs, arrival())


class FakeInstances:
    """Admits what has no poisoned UID; like a transaction, all or nothing."""

    def __init__(self, error: Exception | None = None) -> None:
        self.error = error or StorageError("poison")
        self.groups: list[list[str]] = []

    def admit(self, arrivals: Sequence[Arrival]) -> list[Admission]:
        uids = [str(each.instance.sop_instance_uid) for each in arrivals]
        self.groups.append(uids)
        if any(uid.startswith("9") for uid in uids):
            raise self.error
        return [KEPT] * len(arrivals)


class Desk:
    """A registrar with visitors."""

    def __init__(self, instances: FakeInstances) -> None:
        self.visits = Visits(64, 64)
        self.registrar = Registrar(instances, self.visits)
        self.channels: list[socket.socket] = []

    def visitor(self) -> socket.socket:
        visit = self.visits.begin(("127.0.0.1", 1000))
        assert visit is not None
        ours, theirs = pair()
        self.registrar.attend(ours, visit)
        self.channels.append(theirs)
        return theirs

    def ask_together(self, uids: Sequence[str]) -> list[Admission | StorageError]:
        """Have a visitor for each UID ask before the registrar begins to answer."""
        visitors = [self.visitor() for _ in uids]
        for visitor, uid in zip(visitors, uids, strict=True):
            visitor.send(encode_arrival(arrival(uid)))
        self.registrar.start()
        return [answer_on(visitor) for visitor in visitors]


def answer_on(channel: socket.socket) -> Admission | StorageError:
    try:
        return decode_admission(channel.recv(MAX_MESSAGE_BYTES))
    except StorageError as exc:
        return exc


@contextmanager
def desk(instances: FakeInstances) -> Iterator[Desk]:
    opened = Desk(instances)
    try:
        yield opened
    finally:
        opened.registrar.stop()
        for channel in opened.channels:
            channel.close()


def test_what_waits_at_one_time_is_one_transaction() -> None:
    instances = FakeInstances()
    uids = [f"1.{number}" for number in range(8)]
    with desk(instances) as opened:
        assert opened.ask_together(uids) == [KEPT] * 8

    assert [sorted(group) for group in instances.groups] == [uids]


def test_one_bad_instance_never_costs_its_neighbours() -> None:
    instances = FakeInstances()
    with desk(instances) as opened:
        answers = opened.ask_together(["1.1", "9.9", "1.2"])

    assert [answer == KEPT for answer in answers] == [True, False, True]
    assert isinstance(answers[1], StorageError)


def test_unforeseen_error_is_an_answer_too() -> None:
    with desk(FakeInstances(UnicodeError("unforeseen"))) as opened:
        (refused,) = opened.ask_together(["9.9"])
        assert isinstance(refused, StorageError)
        assert refused.reason is Reason.INTERNAL
        assert ask_admission(opened.visitor(), arrival("1.1")) == KEPT


def test_index_that_is_away_is_asked_once_for_all() -> None:
    instances = FakeInstances(IndexAwayError("locked"))
    with desk(instances) as opened:
        answers = opened.ask_together(["9.1", "9.2", "9.3"])

    assert all(isinstance(answer, IndexAwayError) for answer in answers)
    assert len(instances.groups) == 1


def test_end_of_a_channel_is_the_end_of_the_visit() -> None:
    with desk(FakeInstances()) as opened:
        assert opened.ask_together(["1.1"]) == [KEPT]
        assert opened.visits.bring(STUDY)

        opened.channels[0].close()

        wait_until(lambda: not opened.visits.bring(STUDY), 10, "the visit ends")


def test_receiver_that_dies_before_the_answer_harms_nobody() -> None:
    with desk(FakeInstances()) as opened:
        lost = opened.visitor()
        lost.send(encode_arrival(arrival("1.1")))
        lost.close()

        assert opened.ask_together(["1.2"]) == [KEPT]


def test_peer_has_as_many_connections_as_it_may_and_others_have_theirs() -> None:
    visits = Visits(most=64, most_per_peer=2)
    first = visits.begin(("10.0.0.1", 1))
    assert first is not None
    assert visits.begin(("10.0.0.1", 2)) is not None

    assert visits.begin(("10.0.0.1", 3)) is None
    assert visits.begin(("10.0.0.2", 1)) is not None
    visits.end(first)
    assert visits.begin(("10.0.0.1", 4)) is not None


def test_last_connections_are_told_that_there_are_too_many() -> None:
    visits = Visits(most=3, most_per_peer=64)

    begun = [visits.begin(("10.0.0.1", number)) for number in range(3 + POLITE_EXTRA + 1)]

    crowded = [visit.is_crowded for visit in begun if visit is not None]
    assert crowded == [False] * 3 + [True] * POLITE_EXTRA
    assert begun[-1] is None


def test_visits_count_for_the_receiver_that_serves_them() -> None:
    visits = Visits(most=8, most_per_peer=8)
    served: list[Visit] = [visit for _ in range(3) if (visit := visits.begin(("10.0.0.1", 1)))]
    for visit, number in zip(served, (0, 1, 1), strict=True):
        visit.receiver = number

    assert [visits.of_receiver(number) for number in range(3)] == [1, 2, 0]


def test_visits_stay_countable_from_many_threads() -> None:
    visits = Visits(most=1000, most_per_peer=10)
    barrier = Barrier(4)

    def come_and_go() -> None:
        barrier.wait()
        for number in range(200):
            visit = visits.begin(("10.0.0.1", number))
            if visit is not None:
                visits.end(visit)

    threads = [Thread(target=come_and_go) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len([visit for _ in range(12) if (visit := visits.begin(("10.0.0.1", 1)))]) == 10


def test_channel_keeps_messages_apart() -> None:
    ours, theirs = pair()
    with closing(ours), closing(theirs):
        ours.send(b"one")
        ours.send(b"two")

        assert [theirs.recv(100), theirs.recv(100)] == [b"one", b"two"]
