"""An archive that has the object and does not say so."""

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from pydicom import dcmread
from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian
from pynetdicom import AE, StoragePresentationContexts, evt

from dicom_node.scu import send_files
from dicom_node.settings import Destination
from dicom_node.study import DeliveryState
from tests.builders import data_set_bytes, make_bench
from tests.fakes import FakeFamily
from worker.delivery import deliver
from worker.demo.phantom_studies import WrittenStudy
from worker.errors import UndeliveredError
from worker.stopwatch import Stopwatch


class ForgetfulArchive:
    """A C-STORE SCP that keeps everything; the answer to its first object is lost on the way."""

    def __init__(self) -> None:
        self.kept: dict[str, list[bytes]] = {}
        ae = AE("PACS")
        for context in StoragePresentationContexts:
            ae.add_supported_context(
                context.abstract_syntax, [ExplicitVRLittleEndian, ImplicitVRLittleEndian]
            )
        self.server = ae.start_server(
            ("127.0.0.1", 0), block=False, evt_handlers=[(evt.EVT_C_STORE, self._store)]
        )
        self.destination = Destination(
            name="folder", ae_title="PACS", port=self.server.server_address[1], timeout_s=5
        )

    def _store(self, event: evt.Event) -> int:
        is_first = not self.kept
        request = event.request
        self.kept.setdefault(request.AffectedSOPInstanceUID, []).append(request.DataSet.getvalue())
        if is_first:
            event.assoc.dul.socket.socket.shutdown(socket.SHUT_RDWR)
        return 0x0000


@pytest.fixture
def archive() -> Iterator[ForgetfulArchive]:
    running = ForgetfulArchive()
    yield running
    running.server.shutdown()


def test_P04_lost_answer_leads_to_the_same_bytes_under_the_same_uid_once_more(
    tmp_path: Path, phantoms: dict[str, WrittenStudy], archive: ForgetfulArchive
) -> None:
    bench = make_bench(tmp_path, FakeFamily)
    job_id = bench.file(phantoms["skin lesion"].files)
    lease = bench.database.jobs.claim(job_id, "x", 60)
    assert lease is not None
    # Not checked: the step alone, without delivery.
    objects = bench.pipeline._read(lease.job, Stopwatch()).objects  # pyright: ignore[reportPrivateUsage]
    results = bench.pipeline.results.keep(lease, objects)

    with pytest.raises(UndeliveredError) as caught:
        deliver(bench.database, send_files, [archive.destination], job_id)
    assert not caught.value.is_final
    deliver(bench.database, send_files, [archive.destination], job_id)

    frozen = {result.sop_instance_uid: data_set_bytes(result.path) for result in results}
    assert {uid: set(contents) for uid, contents in archive.kept.items()} == {
        uid: {content} for uid, content in frozen.items()
    }
    assert len(archive.kept[results[0].sop_instance_uid]) == 2
    assert {d.state for d in bench.database.deliveries.of_job(job_id)} == {DeliveryState.DELIVERED}
    assert dcmread(results[-1].path).Modality == "SR"
    bench.database.close()
