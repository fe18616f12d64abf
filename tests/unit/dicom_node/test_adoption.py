"""Files without rows and rows without files, after a crash or a loss."""

import os
from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import delete

from dicom_node import file_meta
from dicom_node.admission import Arrival
from dicom_node.adoption import Adopted, adopt, arrival_from, scrub, sweep
from dicom_node.database.engine import Database
from dicom_node.database.schema import instances
from dicom_node.errors import IndexAwayError
from dicom_node.intake import Intake
from dicom_node.storage import InstanceStore
from dicom_node.study import Instance, Origin, Reason, StudyState
from tests.unit.dicom_node.arrivals import Sender, dataset

STUDY = "1.2.3.100"


@pytest.fixture
def kept(sender: Sender, database: Database) -> Instance:
    sender.send(dataset(SOPInstanceUID="1.2.3.4"))
    (instance,) = database.instances.of_study(STUDY)
    return instance


def forget(database: Database, uid: str) -> None:
    """Take a row out, as an older copy of the index lacks it."""
    with database.connections.writing() as connection:
        connection.execute(delete(instances).where(instances.c.sop_instance_uid == uid))


def age(*paths: Path) -> None:
    for path in paths:
        os.utime(path, (0, 0))


def test_file_tells_by_itself_what_was_received(kept: Instance) -> None:
    found = arrival_from(kept.path)

    assert found is not None
    expected = replace(kept, origin=Origin.RETRIEVED, received_at=found.instance.received_at)
    assert found.instance == expected
    assert found.header.patient_id == "P1"
    assert found.fault is None


@pytest.mark.parametrize("spoil", ["cut", "flip", "unsealed", "no DICOM"])
def test_file_that_is_not_what_was_received_is_nobodys(kept: Instance, spoil: str) -> None:
    content = bytearray(kept.path.read_bytes())
    start = len(content) - kept.size
    match spoil:
        case "cut":
            del content[-1]
        case "flip":
            content[-1] ^= 1
        case "unsealed":
            content[start - file_meta.SEAL_BYTES : start] = bytes(file_meta.SEAL_BYTES)
        case _:
            content = bytearray(b"no DICOM file")
    kept.path.write_bytes(content)

    assert arrival_from(kept.path) is None


def test_refused_for_want_of_an_index_its_bytes_are_there(sender: Sender, tmp_path: Path) -> None:
    class Away:
        def __call__(self, arrival: Arrival) -> None:
            raise IndexAwayError("away")

    ds = dataset()
    sender.intake.commit = Away()  # type: ignore[assignment] # fails before it returns anything
    assert sender.send(ds).status == 0xA700
    (path,) = [path for path in (tmp_path / "instances").rglob("*.dcm") if path.stat().st_size]

    found = arrival_from(path)
    assert found is not None, "its bytes are complete and durable"
    assert found.instance.sop_instance_uid == ds.SOPInstanceUID


def test_lost_row_comes_back_as_something_to_compare_with(database: Database, kept: Instance) -> None:
    with database.connections.writing() as connection:
        for table in ("events", "instances", "studies"):
            connection.exec_driver_sql(f"DELETE FROM {table}")  # noqa: S608 (names of ours)

    assert adopt(database, [kept.path]) == Adopted(indexed=1)

    (found,) = database.instances.of_study(STUDY)
    assert (found.sop_instance_uid, found.digest, found.path) == (
        kept.sop_instance_uid,
        kept.digest,
        kept.path,
    )
    assert database.studies.get(STUDY).state is StudyState.REFERENCE


def test_adopted_instance_is_read_when_it_is_sent_again(database: Database, sender: Sender) -> None:
    ds = dataset(SOPInstanceUID="1.2.3.4")
    sender.send(ds)
    (kept,) = database.instances.of_study(STUDY)
    with database.connections.writing() as connection:
        for table in ("events", "instances", "studies"):
            connection.exec_driver_sql(f"DELETE FROM {table}")  # noqa: S608 (names of ours)
    adopt(database, [kept.path])

    assert sender.send(ds).status == 0x0000

    assert database.studies.get(STUDY).state is StudyState.RECEIVING


def test_copy_of_what_is_known_is_removed_and_contradiction_is_left(
    database: Database, kept: Instance, tmp_path: Path
) -> None:
    copy = tmp_path / "copy.dcm"
    copy.write_bytes(kept.path.read_bytes())
    assert adopt(database, [copy]) == Adopted(known=1)
    assert not copy.exists()

    forget(database, "1.2.3.4")
    Sender(Intake(InstanceStore(tmp_path, database), database)).send(
        dataset(SOPInstanceUID="1.2.3.4", PixelData=bytes(8))
    )
    assert adopt(database, [kept.path]) == Adopted(contradicting=1)
    assert kept.path.exists()


def test_sweep_indexes_what_is_complete_and_removes_the_rest(
    store: InstanceStore, database: Database, kept: Instance
) -> None:
    forget(database, "1.2.3.4")
    broken = store.spool.create()
    broken.write(b"half")
    broken.close()
    age(kept.path, broken.path)

    assert sweep(store) == 1

    assert database.instances.get("1.2.3.4") is not None
    assert (kept.path.exists(), broken.path.exists()) == (True, False)


def test_scrub_takes_out_what_is_damaged_and_it_can_be_sent_again(
    store: InstanceStore, database: Database, sender: Sender
) -> None:
    sent = [dataset(PixelData=bytes(8)) for _ in range(4)]
    for ds in sent:
        sender.send(ds)
    cut, flipped, gone, whole = (database.instances.get(ds.SOPInstanceUID) for ds in sent)
    assert cut and flipped and gone and whole  # noqa: PT018 (all four are there)
    cut.path.write_bytes(cut.path.read_bytes()[:-5])
    flipped.path.write_bytes(flipped.path.read_bytes()[:-1] + b"x")
    gone.path.unlink()

    assert scrub(store) == 3

    assert [i.sop_instance_uid for i in database.instances.of_study(STUDY)] == [whole.sop_instance_uid]
    shown = {refusal.sop_instance_uid: refusal.reason for refusal in database.refusals.all()}
    assert shown == dict.fromkeys((str(ds.SOPInstanceUID) for ds in sent[:3]), Reason.STORAGE_FAULT)
    assert [sender.send(ds).status for ds in sent[:3]] == [0x0000] * 3
    assert len(database.instances.of_study(STUDY)) == 4
    assert scrub(store) == 0


def test_seal_is_read_back() -> None:
    head = file_meta.encode("1.2", "1.2.3", "1.2.840.10008.1.2.1", "SENDER")
    sealed = head[: -file_meta.SEAL_BYTES] + file_meta.seal(524288, "ab" * 32)

    assert file_meta.read_seal(head) is None
    assert file_meta.read_seal(sealed) == (524288, "ab" * 32)
    assert len(sealed) == len(head)
    assert file_meta.data_set_offset(sealed) == len(head)
