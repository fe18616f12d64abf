"""What a real archive says it stores, by negotiation alone."""

import gc
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from pydicom.uid import Comprehensive3DSRStorage, SegmentationStorage

from dicom_node.errors import UnreachableError
from dicom_node.scu import accepted_classes
from dicom_node.settings import Destination
from structured_reports.profiles import Profile
from tests.integration.dicom_node.programs import OrthancProcess
from worker.demo.servers import free_port
from worker.output_profiles import profiles_of

pytestmark = pytest.mark.skipif(shutil.which("Orthanc") is None, reason="Orthanc is not installed")

LABELMAP_SEGMENTATION = "1.2.840.10008.5.1.4.1.1.66.7"
"""Unknown to Orthanc 1.10, which refuses it by C-STORE unless told otherwise."""


@pytest.fixture
def archive(tmp_path: Path) -> Iterator[OrthancProcess]:
    running = OrthancProcess(tmp_path, node_port=free_port()).start()
    yield running
    running.stop()


def at(port: int) -> Destination:
    return Destination(name="PACS", ae_title="ORTHANC", port=port, timeout_s=5, profile="auto")


def test_an_archive_is_asked_which_classes_it_stores(archive: OrthancProcess) -> None:
    asked = [str(Comprehensive3DSRStorage), str(SegmentationStorage), LABELMAP_SEGMENTATION]
    assert accepted_classes(at(archive.port), asked) == {Comprehensive3DSRStorage, SegmentationStorage}
    assert profiles_of([at(archive.port)], accepted_classes) == {"PACS": Profile.AIR}


# pynetdicom leaves the socket of a refused connection to the garbage collector.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_nobody_there_is_an_error() -> None:
    with pytest.raises(UnreachableError):
        accepted_classes(at(free_port()), [str(SegmentationStorage)])
    gc.collect()
