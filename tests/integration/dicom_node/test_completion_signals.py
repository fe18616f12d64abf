"""Modalities and an archive tell the node what belongs to a study, and the node waits for that."""

import shutil
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from pydicom import Dataset
from pydicom.uid import CTImageStorage, SecondaryCaptureImageStorage, generate_uid
from pynetdicom import AE

from dicom_node.archive_counts import images_at
from dicom_node.completing import StudyCompleter
from dicom_node.completion_settings import Completion
from dicom_node.database.engine import Database
from dicom_node.intake import Intake
from dicom_node.normalized_services import services_of
from dicom_node.scu import send_files
from dicom_node.settings import Destination, Node, NodeSettings, QueryRetrieve
from dicom_node.study import (
    JobId,
    JobState,
    Reason,
    SeriesInstanceUID,
    SOPInstanceUID,
    StoredResult,
    StudyInstanceUID,
    StudyState,
)
from tests.associating import associated
from tests.in_process_node import InProcessNode
from tests.integration.dicom_node.programs import DcmqrscpProcess, OrthancProcess
from tests.unit.dicom_node.arrivals import Sender, dataset, write
from tests.unit.dicom_node.conftest import TurnedClock, clock, database, intake, sender, store
from worker.demo.servers import free_port

__all__ = ["clock", "database", "intake", "sender", "store"]

IAN, MPPS = "1.2.840.10008.5.1.4.33", "1.2.840.10008.3.1.2.3.3"
STUDY, SERIES = "1.2.3.100", "1.2.3.100.1"


@dataclass
class Peer:
    """A modality or archive that tells the node of a study."""

    port: int

    def create(self, sop_class: str, ds: Dataset, uid: str) -> int:
        return self._ask(sop_class, lambda assoc: assoc.send_n_create(ds, sop_class, uid))

    def set(self, sop_class: str, ds: Dataset, uid: str) -> int:
        return self._ask(sop_class, lambda assoc: assoc.send_n_set(ds, sop_class, uid))

    def _ask(self, sop_class: str, ask: Callable[..., tuple[Dataset, Dataset | None]]) -> int:
        ae = AE("CT1")
        ae.add_requested_context(sop_class)
        with associated(ae, self.port) as assoc:
            assert assoc.is_established
            status, _ = ask(assoc)
            return int(status.Status)


@dataclass
class Site:
    database: Database
    clock: TurnedClock
    sender: Sender
    peer: Peer
    completer: StudyCompleter

    def after(self, seconds: float) -> tuple[StudyState, Reason | None]:
        """Turn the clock and look whether the study is complete."""
        self.clock.turn(seconds)
        self.completer.complete_studies()
        study = self.database.studies.get(STUDY)
        return study.state, study.reason

    @property
    def details(self) -> list[str]:
        return [event.detail for event in self.database.events.of_study(StudyInstanceUID(STUDY))]


RECEIVING = (StudyState.RECEIVING, None)


@pytest.fixture
def site(
    tmp_path: Path, database: Database, clock: TurnedClock, intake: Intake, sender: Sender
) -> Iterator[Site]:
    settings = NodeSettings(node=Node(port=free_port(), data_dir=tmp_path, quiet_period_s=20))
    listener = InProcessNode(settings.node, intake, services_of(settings, database))
    listener.start()
    completer = StudyCompleter(settings, database, lambda uid: False, lambda: None)
    yield Site(database, clock, sender, Peer(settings.node.port), completer)
    listener.stop(1)


def available(*uids: str, sop_class: str = CTImageStorage, availability: str = "ONLINE") -> Dataset:
    """PS3.4 table R.3.2-1."""
    ds, series = Dataset(), Dataset()
    ds.StudyInstanceUID, series.SeriesInstanceUID = STUDY, SERIES
    series.ReferencedSOPSequence = []
    for uid in uids:
        item = Dataset()
        item.ReferencedSOPClassUID, item.ReferencedSOPInstanceUID = sop_class, uid
        item.InstanceAvailability, item.RetrieveAETitle = availability, "PACS"
        series.ReferencedSOPSequence.append(item)
    ds.ReferencedPerformedProcedureStepSequence, ds.ReferencedSeriesSequence = [], [series]
    return ds


def begun(study: str = STUDY) -> Dataset:
    """PS3.4 table F.7.2-1, as far as the node looks at it."""
    ds, scheduled = Dataset(), Dataset()
    scheduled.StudyInstanceUID = study
    ds.ScheduledStepAttributesSequence = [scheduled]
    ds.PerformedProcedureStepStatus, ds.Modality = "IN PROGRESS", "CT"
    return ds


def ended(*uids: str, status: str = "COMPLETED") -> Dataset:
    ds, series = Dataset(), Dataset()
    series.SeriesInstanceUID = SERIES
    series.ReferencedImageSequence = []
    for uid in uids:
        item = Dataset()
        item.ReferencedSOPClassUID, item.ReferencedSOPInstanceUID = CTImageStorage, uid
        series.ReferencedImageSequence.append(item)
    ds.PerformedProcedureStepStatus, ds.PerformedSeriesSequence = status, [series]
    return ds


def test_notification_of_what_is_here_completes_the_study_before_the_quiet_period(site: Site) -> None:
    ds = dataset()
    site.sender.send(ds)
    assert site.peer.create(IAN, available(ds.SOPInstanceUID), generate_uid()) == 0x0000

    assert site.after(1) == RECEIVING
    assert site.after(2) == (StudyState.COMPLETE, Reason.ALL_ARRIVED)


def test_announced_image_is_waited_for_and_given_up_at_last(site: Site) -> None:
    ds = dataset()
    assert site.peer.create(IAN, available(ds.SOPInstanceUID, "1.2.3.9"), generate_uid()) == 0x0000
    site.sender.send(ds)

    assert site.after(30) == RECEIVING
    assert site.after(150) == RECEIVING
    assert site.after(21) == (StudyState.COMPLETE, Reason.INCOMPLETE)
    details = [
        event.detail
        for event in site.database.events.of_study(site.database.studies.get(STUDY).study_instance_uid)
    ]
    assert "1 images have not come" in details


def test_late_series_that_was_announced_makes_an_amendment(site: Site) -> None:
    ds, late = dataset(), dataset(SeriesInstanceUID="1.2.3.100.2")
    site.sender.send(ds)
    site.peer.create(IAN, available(ds.SOPInstanceUID, late.SOPInstanceUID), generate_uid())
    assert site.after(201) == (StudyState.COMPLETE, Reason.INCOMPLETE)
    (first,) = site.database.jobs.of_study(STUDY)
    assert site.database.jobs.claim(first.job_id, "worker", 60) is not None

    site.sender.send(late)

    assert site.after(3) == (StudyState.COMPLETE, Reason.ALL_ARRIVED)
    assert [job.revision for job in site.database.jobs.of_study(STUDY)] == [1, 2]


def test_objects_that_the_node_does_not_read_are_not_waited_for(site: Site) -> None:
    ds = dataset()
    site.sender.send(ds)
    report = available("1.2.3.9", sop_class="1.2.840.10008.5.1.4.1.1.88.33")
    gone = available("1.2.3.8", availability="UNAVAILABLE")
    for told in (report, gone, available(ds.SOPInstanceUID)):
        assert site.peer.create(IAN, told, generate_uid()) == 0x0000

    assert site.after(3) == (StudyState.COMPLETE, Reason.ALL_ARRIVED)


def test_result_of_ours_that_an_archive_announces_is_not_waited_for(site: Site) -> None:
    site.sender.send(dataset())
    assert site.after(20) == (StudyState.COMPLETE, Reason.QUIET_PERIOD)
    (job,) = site.database.jobs.of_study(STUDY)
    lease = site.database.jobs.claim(job.job_id, "worker", 60)
    assert lease is not None
    picture = stored_picture(job.job_id)
    site.database.results.keep(lease, [picture], {})
    site.database.jobs.mark(lease, JobState.DONE, Reason.DELIVERED)
    late = dataset(SeriesInstanceUID="1.2.3.100.2")
    site.sender.send(late)

    told = available(picture.sop_instance_uid, sop_class=SecondaryCaptureImageStorage)
    site.peer.create(IAN, told, generate_uid())
    site.peer.create(IAN, available(late.SOPInstanceUID), generate_uid())

    assert site.after(3) == (StudyState.COMPLETE, Reason.ALL_ARRIVED)


def stored_picture(job_id: JobId) -> StoredResult:
    return StoredResult(
        job_id=job_id,
        sop_instance_uid=SOPInstanceUID("1.2.3.900"),
        sop_class_uid=SecondaryCaptureImageStorage,
        series_instance_uid=SeriesInstanceUID("1.2.3.901"),
        study_instance_uid=StudyInstanceUID(STUDY),
        modality="OT",
        series_description="",
        path=Path("picture.dcm"),
        sha256="0" * 64,
        ordinal=0,
    )


def test_step_in_progress_holds_the_study_open_until_it_ends(site: Site) -> None:
    ds, step = dataset(), generate_uid()
    assert site.peer.create(MPPS, begun(), step) == 0x0000
    site.sender.send(ds)
    assert site.after(300) == RECEIVING

    assert site.peer.set(MPPS, ended(ds.SOPInstanceUID), step) == 0x0000

    assert site.after(0) == (StudyState.COMPLETE, Reason.ALL_ARRIVED)


def test_step_that_is_never_ended_is_waited_for_an_hour(site: Site) -> None:
    site.peer.create(MPPS, begun(), generate_uid())
    site.sender.send(dataset())
    assert site.after(3599) == RECEIVING
    assert site.after(1) == (StudyState.COMPLETE, Reason.LIMIT_REACHED)


def test_discontinued_step_leaves_the_quiet_period(site: Site) -> None:
    step = generate_uid()
    site.peer.create(MPPS, begun(), step)
    site.sender.send(dataset())
    assert site.peer.set(MPPS, ended(status="DISCONTINUED"), step) == 0x0000
    assert site.after(19) == RECEIVING
    assert site.after(1) == (StudyState.COMPLETE, Reason.QUIET_PERIOD)


def test_steps_are_refused_as_the_standard_says(site: Site) -> None:
    """PS3.4 F.7.2: statuses of N-CREATE and N-SET."""
    step = generate_uid()
    done, nameless = begun(), begun()
    done.PerformedProcedureStepStatus = "COMPLETED"
    nameless.ScheduledStepAttributesSequence = []
    assert site.peer.create(MPPS, done, step) == 0x0106
    assert site.peer.create(MPPS, nameless, step) == 0x0120
    assert site.peer.set(MPPS, ended(), step) == 0x0112
    assert site.peer.create(MPPS, begun(), step) == 0x0000
    assert site.peer.create(MPPS, begun(), step) == 0x0111
    assert site.peer.set(MPPS, ended(status="DONE"), step) == 0x0106
    assert site.peer.set(MPPS, ended(), step) == 0x0000
    assert site.peer.set(MPPS, ended(), step) == 0x0110
    of_nothing = available("1.2.3.9")
    del of_nothing.StudyInstanceUID
    assert site.peer.create(IAN, of_nothing, generate_uid()) == 0x0120


def test_source_that_sends_slowly_is_waited_for_longer_and_a_fast_one_less(site: Site) -> None:
    for number in range(20):
        uid = f"1.2.3.{200 + number}"
        for _ in range(2):
            site.sender.send(dataset(StudyInstanceUID=uid, SeriesInstanceUID=f"{uid}.1"))
            site.clock.turn(15)
        site.clock.turn(10)
        site.completer.complete_studies()

    site.sender.send(dataset())
    assert site.after(29) == RECEIVING
    assert site.after(1) == (StudyState.COMPLETE, Reason.QUIET_PERIOD)


@pytest.fixture(params=["Orthanc", "dcmqrscp"])
def archive(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[QueryRetrieve]:
    """A real archive with two images of the study."""
    if shutil.which(request.param) is None:
        pytest.skip(f"{request.param} is not installed")
    kind = OrthancProcess if request.param == "Orthanc" else DcmqrscpProcess
    running = kind(tmp_path, node_port=free_port()).start()
    title = request.param.upper()
    files = [write(tmp_path), write(tmp_path)]
    sent = send_files(Destination(name="PACS", ae_title=title, port=running.port), files)
    assert {outcome.status for outcome in sent} == {0x0000}
    yield QueryRetrieve(name="PACS", ae_title=title, port=running.port)
    running.stop()


def test_images_that_an_archive_counts_are_waited_for(
    site: Site, archive: QueryRetrieve, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    counts: list[int] = []
    answered, stop = threading.Event(), threading.Event()

    def counted(peer: QueryRetrieve, uid: str) -> int:
        counts.append(images_at(peer, uid))
        answered.set()
        return counts[-1]

    monkeypatch.setattr("dicom_node.completing.images_at", counted)
    node, completion = Node(data_dir=tmp_path, quiet_period_s=20), Completion(count_at="PACS")
    settings = NodeSettings(node=node, query_retrieve=(archive,), completion=completion)
    site.completer = StudyCompleter(settings, site.database, lambda uid: False, lambda: None)
    site.sender.send(dataset())
    assert site.after(3) == RECEIVING
    counting = threading.Thread(target=site.completer.count, args=(stop,))
    counting.start()
    assert answered.wait(30)
    stop.set()
    counting.join()

    assert counts == [2]
    assert site.after(18) == RECEIVING, "beyond the quiet period"
    assert site.after(180) == (StudyState.COMPLETE, Reason.INCOMPLETE)
