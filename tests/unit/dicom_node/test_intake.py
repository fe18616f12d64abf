"""What becomes of an instance: stored, refused, quarantined, known already, or one of ours."""

import errno
import threading
import time
from pathlib import Path

import pytest
from blake3 import blake3
from pydicom import DataElement, dcmread
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, MRImageStorage

from dicom_node.admission import Disposition, StoreCommand
from dicom_node.database.engine import Database
from dicom_node.errors import StorageError
from dicom_node.intake import Intake
from dicom_node.spool_file import SpoolFile
from dicom_node.storage import InstanceStore
from dicom_node.study import Origin, Reason, StudyState
from tests.unit.dicom_node.arrivals import Sender, dataset, encoded

STUDY = "1.2.3.100"


def files_below(folder: Path) -> list[Path]:
    """Files with content: names made ahead are empty files."""
    return sorted(path for path in folder.rglob("*") if path.is_file() and path.stat().st_size)


def test_bytes_are_kept_as_received_behind_our_own_file_meta(
    sender: Sender, database: Database, store: InstanceStore
) -> None:
    ds = dataset()
    sent = encoded(ds)

    outcome = sender.send(ds)

    (kept,) = database.instances.of_study(STUDY)
    assert (outcome.status, outcome.disposition) == (0x0000, Disposition.KEPT)
    assert kept.path.read_bytes().endswith(sent)
    assert kept.digest == "b3:" + blake3(sent).hexdigest(30)
    assert kept.size == len(sent)
    read = dcmread(kept.path)
    assert read.preamble == bytes(128)
    assert read.file_meta.MediaStorageSOPInstanceUID == ds.SOPInstanceUID
    assert read.file_meta.TransferSyntaxUID == ExplicitVRLittleEndian
    assert read.file_meta.SourceApplicationEntityTitle == "MODALITY"
    assert store.read(kept).PixelData == ds.PixelData


def test_names_of_files_owe_nothing_to_the_peer(sender: Sender, database: Database) -> None:
    ds = dataset()
    sender.send(ds)

    (kept,) = database.instances.of_study(STUDY)

    assert str(ds.SOPInstanceUID) not in str(kept.path)
    assert kept.path.stat().st_mode & 0o077 == 0


def test_identical_duplicate_changes_nothing(sender: Sender, database: Database, tmp_path: Path) -> None:
    ds = dataset()
    sender.send(ds)
    files = files_below(tmp_path / "instances")

    outcomes = [sender.send(ds) for _ in range(9)]

    assert {(o.status, o.reason) for o in outcomes} == {(0x0000, Reason.DUPLICATE)}
    assert files_below(tmp_path / "instances") == files
    assert len(database.instances.of_study(STUDY)) == 1
    assert [e.reason for e in database.events.of_study(STUDY)].count(Reason.DUPLICATE) == 9


def test_other_content_under_a_known_uid_is_quarantined_and_the_first_stays(
    sender: Sender, database: Database
) -> None:
    sender.send(dataset(SOPInstanceUID="1.2.3.4"))
    (first,) = database.instances.of_study(STUDY)

    outcome = sender.send(dataset(SOPInstanceUID="1.2.3.4", PixelData=bytes(8)))

    assert (outcome.status, outcome.reason) == (0x0000, Reason.UID_CONFLICT)
    assert database.instances.of_study(STUDY) == [first]
    (refusal,) = database.refusals.all()
    assert refusal.kept_at is not None
    assert refusal.kept_at.read_bytes().endswith(bytes(8))


def test_conflicting_content_sent_again_is_kept_once(
    sender: Sender, database: Database, tmp_path: Path
) -> None:
    sender.send(dataset(SOPInstanceUID="1.2.3.4"))
    for _ in range(3):
        sender.send(dataset(SOPInstanceUID="1.2.3.4", PixelData=bytes(8)))

    assert len(database.refusals.all()) == 1
    assert len(files_below(tmp_path / "instances")) == 2


def test_data_set_without_uids_is_quarantined_with_a_warning(sender: Sender, database: Database) -> None:
    ds = dataset(SOPClassUID="", SOPInstanceUID="", StudyInstanceUID="", SeriesInstanceUID="")

    outcome = sender.send(ds, sop_class_uid=CTImageStorage, sop_instance_uid="1.2.3.4")

    (refusal,) = database.refusals.all()
    assert (outcome.status, refusal.dimse_status) == (0xB007, 0xB007)
    assert refusal.reason is Reason.MISSING_UID
    assert refusal.sop_instance_uid == "1.2.3.4"
    assert refusal.kept_at is not None
    assert refusal.kept_at.exists()


def test_real_file_without_uids_is_quarantined(sender: Sender, database: Database, real_data: Path) -> None:
    content = (real_data / "hard" / "ct_empty_uids.dcm").read_bytes()
    ds = dcmread(real_data / "hard" / "ct_empty_uids.dcm", stop_before_pixels=True)
    command = StoreCommand(
        str(ds.file_meta.MediaStorageSOPClassUID),
        str(ds.file_meta.MediaStorageSOPInstanceUID),
        str(ds.file_meta.TransferSyntaxUID),
        "X",
    )
    reception = sender.intake.begin(command)
    reception.write(content[144 + int.from_bytes(content[140:144], "little") :])

    assert reception.finish().status == 0xB007
    assert database.refusals.all()[0].reason is Reason.MISSING_UID


@pytest.mark.parametrize(
    ("command", "status", "reason"),
    [
        ({"sop_instance_uid": "9.9.9"}, 0xA900, Reason.UID_MISMATCH),
        ({"sop_class_uid": MRImageStorage}, 0xA900, Reason.UID_MISMATCH),
        ({"sop_instance_uid": ""}, 0xC000, Reason.MISSING_UID),
        ({"sop_instance_uid": "../../../../tmp/evil"}, 0xA900, Reason.ILLEGAL_UID),
        ({"sop_instance_uid": "/etc/cron.d/x"}, 0xA900, Reason.ILLEGAL_UID),
        ({"sop_instance_uid": "1.2.3\n4"}, 0xA900, Reason.ILLEGAL_UID),
        ({"sop_instance_uid": "1." + "2" * 63}, 0xA900, Reason.ILLEGAL_UID),
        ({"sop_instance_uid": "1.2.٣"}, 0xA900, Reason.ILLEGAL_UID),
        ({"sop_instance_uid": "1.2."}, 0xA900, Reason.ILLEGAL_UID),
    ],
)
def test_bad_commands_are_refused_and_leave_only_a_refusal(
    sender: Sender, database: Database, tmp_path: Path, command: dict[str, str], status: int, reason: Reason
) -> None:
    outcome = sender.send(dataset(), **command)

    assert (outcome.status, outcome.reason) == (status, reason)
    assert files_below(tmp_path / "instances") == []
    (refusal,) = database.refusals.all()
    assert (refusal.reason, refusal.dimse_status, refusal.kept_at) == (reason, status, None)
    assert refusal.sop_instance_uid.isascii()
    assert "\n" not in refusal.sop_instance_uid


def test_illegal_study_uid_in_the_data_set_is_refused(sender: Sender) -> None:
    ds = dataset()
    ds.StudyInstanceUID = "1.2.3"
    content = encoded(ds).replace(b"1.2.3\0", b"../../")
    reception = sender.intake.begin(
        StoreCommand(CTImageStorage, str(ds.SOPInstanceUID), ExplicitVRLittleEndian, "X")
    )
    reception.write(content)

    assert reception.finish().reason is Reason.ILLEGAL_UID


def test_unparsable_header_is_refused(sender: Sender) -> None:
    reception = sender.intake.begin(StoreCommand(CTImageStorage, "1.2.3", ExplicitVRLittleEndian, "X"))
    reception.write(b"\x08\0\x05\0CS\xff\xff abc")

    outcome = reception.finish()

    assert (outcome.status, outcome.reason) == (0xC000, Reason.UNREADABLE_HEADER)


@pytest.mark.parametrize(
    "other",
    [
        {"PatientID": "P2"},
        {"PatientID": ""},
        {"PatientBirthDate": "19600101"},
        {"PatientSex": "M"},
    ],
)
def test_other_patient_within_a_study_is_quarantined(
    sender: Sender, database: Database, other: dict[str, str]
) -> None:
    sender.send(dataset())

    outcome = sender.send(dataset(**other))

    assert outcome.reason is Reason.PATIENT_MISMATCH
    assert len(database.instances.of_study(STUDY)) == 1


def test_missing_birth_date_contradicts_nobody(sender: Sender, database: Database) -> None:
    sender.send(dataset())
    sender.send(dataset(PatientBirthDate="", PatientSex=None))

    assert len(database.instances.of_study(STUDY)) == 2


@pytest.mark.parametrize("name", ["medversa-node", "MedVersa Node", "MEDVERSA NODE "])
def test_our_own_results_never_open_a_study(sender: Sender, database: Database, name: str) -> None:
    outcome = sender.send(dataset(Manufacturer=name))

    assert (outcome.status, outcome.reason) == (0x0000, Reason.OWN_RESULT)
    assert database.studies.get(STUDY).state is StudyState.REFERENCE
    assert database.instances.of_study(STUDY) == []
    assert database.studies.receiving() == []


def test_no_space_is_answered_with_out_of_resources(
    sender: Sender, database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    written = 0

    def write(self: SpoolFile, data: bytes) -> None:
        nonlocal written
        written += 1
        if written == 3:
            raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(SpoolFile, "write", write)

    outcome = sender.send(dataset())

    assert (outcome.status, outcome.reason) == (0xA700, Reason.DISK_FULL)
    assert files_below(tmp_path / "instances") == []
    assert database.studies.all() == []


def test_nothing_is_taken_below_the_floor_of_free_space(store: InstanceStore, database: Database) -> None:
    outcome = Sender(Intake(store, database, min_free_bytes=1 << 60)).send(dataset())

    assert (outcome.status, outcome.reason) == (0xA700, Reason.DISK_FULL)


def test_failing_index_is_answered_with_out_of_resources_and_the_file_is_swept(
    store: InstanceStore, database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def admit(arrivals: object) -> None:
        raise StorageError("the index could not be used")

    monkeypatch.setattr(database.instances, "admit", admit)

    outcome = Sender(Intake(store, database)).send(dataset())

    assert outcome.status == 0xA700
    assert len(files_below(tmp_path / "instances")) == 1
    store.spool.sweep(database.instances.files_in, now=time.time() + 3600)
    assert files_below(tmp_path / "instances") == []


def test_aborted_reception_leaves_nothing(intake: Intake, tmp_path: Path, database: Database) -> None:
    reception = intake.begin(StoreCommand(CTImageStorage, "1.2.3", ExplicitVRLittleEndian, "X"))
    reception.write(b"half")
    reception.abort()

    assert files_below(tmp_path / "instances") == []
    assert database.refusals.all() == []


def test_parallel_senders_of_one_instance_keep_one_copy(
    intake: Intake, database: Database, tmp_path: Path
) -> None:
    ds = dataset()
    content = encoded(ds)
    statuses: list[int] = []

    def send() -> None:
        for _ in range(10):
            reception = intake.begin(
                StoreCommand(CTImageStorage, str(ds.SOPInstanceUID), ExplicitVRLittleEndian, "X")
            )
            reception.write(content)
            statuses.append(reception.finish().status)

    threads = [threading.Thread(target=send) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert statuses == [0x0000] * 80
    assert len(files_below(tmp_path / "instances")) == 1
    assert len(database.instances.of_study(STUDY)) == 1


def test_fetched_prior_that_is_routed_later_is_read(intake: Intake, database: Database) -> None:
    ds = dataset()
    Sender(intake, origin=Origin.RETRIEVED).send(ds)
    assert database.studies.get(STUDY).state is StudyState.REFERENCE

    Sender(intake).send(ds)

    assert database.studies.get(STUDY).state is StudyState.RECEIVING
    assert [i.origin for i in database.instances.of_study(STUDY)] == [Origin.ROUTED]


def test_instance_found_unusable_leaves_its_study_but_stays_visible(
    sender: Sender, database: Database
) -> None:
    ds = dataset()
    sender.send(ds)

    database.refusals.quarantine_instance(ds.SOPInstanceUID, Reason.PIXEL_DATA, "too short")

    assert database.instances.of_study(STUDY) == []
    (refusal,) = database.refusals.all()
    assert (refusal.reason, refusal.detail) == (Reason.PIXEL_DATA, "too short")


def test_altered_file_is_not_read(sender: Sender, database: Database, store: InstanceStore) -> None:
    sender.send(dataset())
    (kept,) = database.instances.of_study(STUDY)
    content = bytearray(kept.path.read_bytes())
    content[-1] ^= 1
    kept.path.write_bytes(content)

    with pytest.raises(StorageError, match="not what was received"):
        store.read(kept)


def test_file_that_was_swept_while_its_receiver_was_stopped_is_not_answered_with_success(
    intake: Intake, database: Database
) -> None:
    """A stopped process, or a clock that jumps: then a file that is being written looks abandoned."""
    ds = dataset()
    reception = intake.begin(
        StoreCommand(CTImageStorage, str(ds.SOPInstanceUID), ExplicitVRLittleEndian, "MODALITY")
    )
    reception.write(encoded(ds))
    assert reception.file is not None
    reception.file.path.unlink()

    assert reception.finish().status == 0xA700
    assert database.instances.of_study(STUDY) == []


def test_birth_date_that_is_too_long_does_not_make_two_patients(sender: Sender, database: Database) -> None:
    header = {"PatientBirthDate": "1950-01-01 00:00:00.000", "PatientSex": "FEMALE (AS FAR AS KNOWN)"}
    for _ in range(2):
        ds = dataset()
        for keyword, value in header.items():
            ds[keyword] = DataElement(keyword, "LO", value)
        sender.send(ds)

    assert len(database.instances.of_study(STUDY)) == 2
