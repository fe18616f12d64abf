"""Every study of the public set, through store, index, selection and writers, gives a full and valid bundle,
or says why not; only the model is a fake."""

import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from shutil import rmtree

import pytest
from pydicom import dcmread, dcmwrite
from pydicom.errors import InvalidDicomError
from pydicom.filereader import read_file_meta_info

from dicom_node.admission import StoreCommand
from dicom_node.intake import Intake, Outcome
from dicom_node.study import Job, JobState, Reason
from structured_reports.conformance import validate_file
from tests.builders import Bench, data_set_bytes, make_bench
from tests.contract.structured_reports.public_files import studies
from tests.contract.structured_reports.round_trip.test_programs_read_back import tool
from tests.fakes import FakeFamily

pytestmark = [
    # What pydicom says of two files whose meta information or length is wrong; a node logs it and goes on.
    pytest.mark.filterwarnings("ignore:Expected explicit VR, but found implicit VR:UserWarning"),
    pytest.mark.filterwarnings("ignore:End of file reached:UserWarning"),
]

STUDIES = studies()
CHEST = ["KO", "PR", "SEG", "SR", "SR"]
NO_BOXES = ["KO", "SEG", "SR", "SR"]
FULL_BUNDLES = {
    "cxr/CR-MONO1-10-chest": CHEST,
    "cxr/RG1_J2KI.dcm": CHEST,
    "cxr/siim_pa.dcm": CHEST,
    "cxr/siim_pa_fake_monochrome1.dcm": CHEST,
    **{f"cxr/nih_00000011_dcm/00000011_00{number}.dcm": CHEST for number in range(9)},
    **{f"cxr_masks/nc_patient87/pneumococcal_pneumonia_day{day}.dcm": CHEST for day in (0, 7, 35)},
    **{f"derm_nc/dcm/{name}.dcm": NO_BOXES for name in ("ISIC_0024311", "lesionA_t1", "lesionA_t2")},
    "ct/dcmqi_3slice": NO_BOXES,
    "ct/totalseg_abdomen": NO_BOXES,
}
"""Modalities of the objects for what the node is there to read: MONOCHROME1 by nature and by tag alone,
oblong pixels, JPEG of every kind, colour, no file meta, axial stacks. All else must have a reason."""


@dataclass(frozen=True, slots=True, eq=False)
class Walk:
    """What became of one study."""

    study: str
    outcomes: list[Outcome]
    """Of each instance that can be sent."""
    jobs: list[Job]
    delivered: list[Path]


def claim_of(path: Path) -> StoreCommand | None:
    """Read what a sender says of a file before it sends it; None where its meta information does not say."""
    try:
        meta = read_file_meta_info(path)
    except InvalidDicomError:
        return None
    needed = ("MediaStorageSOPClassUID", "MediaStorageSOPInstanceUID", "TransferSyntaxUID")
    uids = [str(meta.get(keyword, "")) for keyword in needed]
    return StoreCommand(*uids, "TEST") if all(uids) else None


def with_meta(path: Path, folder: Path) -> Path:
    """Put file meta information before a data set that lacks it, if that names its class and instance."""
    if path.read_bytes()[128:132] == b"DICM":
        return path
    ds = dcmread(path, force=True)
    if not ds.get("SOPClassUID") or not ds.get("SOPInstanceUID"):
        return path
    dcmwrite(folder / "sent.dcm", ds, enforce_file_format=True, implicit_vr=True, little_endian=True)
    return folder / "sent.dcm"


@pytest.fixture(scope="module", params=STUDIES)
def walk(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Walk]:
    """Send one study to a store of its own, and read it."""
    folder = tmp_path_factory.mktemp("study")
    bench = make_bench(folder, FakeFamily, "full")
    intake = Intake(bench.store, bench.database)
    outcomes: list[Outcome] = []
    for file in [with_meta(path, folder) for path in STUDIES[request.param]]:
        if claim := claim_of(file):
            reception = intake.begin(claim)
            reception.write(data_set_bytes(file))
            outcomes.append(reception.finish())
    yield Walk(request.param, outcomes, read(bench), sorted(bench.delivered.rglob("*.dcm")))
    bench.database.close()
    rmtree(folder)


def read(bench: Bench) -> list[Job]:
    jobs: list[Job] = []
    for study in bench.database.studies.receiving():
        job_id = bench.database.studies.complete(study, Reason.QUIET_PERIOD)
        assert job_id is not None
        bench.pipeline.take(job_id)
        jobs.append(bench.database.jobs.get(job_id))
    return jobs


def test_what_the_node_is_there_to_read_gives_a_full_bundle(walk: Walk) -> None:
    assert sorted(dcmread(path).Modality for path in walk.delivered) == FULL_BUNDLES.get(walk.study, [])
    if walk.study in FULL_BUNDLES:
        assert [job.state for job in walk.jobs] == [JobState.DONE]


def test_whatever_else_there_is_has_a_reason(walk: Walk) -> None:
    """Of the study; of each instance that was not filed; what names no instance, nobody can send."""
    if walk.study not in FULL_BUNDLES:
        assert all(job.state is JobState.NOT_APPLICABLE and job.detail for job in walk.jobs)
        assert walk.jobs or all(outcome.reason for outcome in walk.outcomes)


def test_every_object_is_valid(walk: Walk) -> None:
    assert [validate_file(path).errors for path in walk.delivered] == [()] * len(walk.delivered)


def test_dcmtk_reads_every_object(walk: Walk) -> None:
    for path in walk.delivered:
        program = tool("dsrdump" if dcmread(path).Modality in {"SR", "KO"} else "dcm2json")
        done = subprocess.run([program, path], capture_output=True, timeout=60)
        assert done.returncode == 0, done.stderr
