"""Every odd, corrupt or foreign file ends with a status and a reason, and costs its neighbours nothing."""

import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest
from pydicom import dcmread
from pydicom.errors import InvalidDicomError
from pynetdicom import AE, _config, build_context
from pynetdicom.dsutils import split_dataset

from dicom_node.study import JobState
from tests.associating import associated
from tests.driving import database_of, dcmsend, wait_for_job, wait_until
from worker.demo.phantom_studies import WrittenStudy
from worker.demo.site import AE_TITLE, Site


def hard_files(real_data: Path) -> list[Path]:
    folders = (real_data / "hard", real_data / "ood")
    return sorted(path for folder in folders for path in folder.rglob("*") if path.is_file())


@dataclass(frozen=True, slots=True)
class Claim:
    """What a file's meta information says of its data set."""

    sop_class_uid: str
    sop_instance_uid: str
    transfer_syntax_uid: str


def claim_of(path: Path) -> Claim | None:
    """Read the file meta alone; None if the file cannot be sent by its own account."""
    try:
        meta, _offset = split_dataset(path)
    except (InvalidDicomError, OSError, ValueError, AttributeError, NotImplementedError):
        return None
    needed = ("MediaStorageSOPClassUID", "MediaStorageSOPInstanceUID", "TransferSyntaxUID")
    values = [str(meta.get(keyword, "") or "") for keyword in needed]
    return Claim(*values) if all(values) else None


def store_raw(path: Path, port: int) -> int | None:
    """Send the data set byte for byte as it is in the file; return the status, None if nothing accepts it."""
    claim = claim_of(path)
    if claim is None:
        return None
    context = build_context(claim.sop_class_uid, claim.transfer_syntax_uid)
    with associated(AE("HARDFILES"), port, contexts=[context], ae_title=AE_TITLE) as association:
        return association.send_c_store(path).get("Status") if association.is_established else None


@pytest.fixture(autouse=True)
def _bytes_untouched(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have pynetdicom send data sets as they are, without parsing them."""
    monkeypatch.setattr(_config, "STORE_SEND_CHUNKED_DATASET", True)


def status_json(site: Site) -> dict[str, list[dict[str, object]]]:
    done = subprocess.run(
        [sys.executable, "-m", "dicom_node", "status", "--json", "--config", str(site.config)],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    return json.loads(done.stdout)


def test_each_file_by_itself_gets_a_status_and_a_place(site: Site, real_data: Path) -> None:
    answers = {path: store_raw(path, site.node_port) for path in hard_files(real_data)}
    sendable = [path for path in answers if claim_of(path) is not None]
    assert len(sendable) > 80
    unanswered = [path.name for path in sendable if answers[path] is None and not is_media_directory(path)]
    assert len(unanswered) <= 3, unanswered  # private SOP classes and syntaxes that nobody decodes
    assert site.node
    assert site.node.process
    assert site.node.process.poll() is None

    shown = status_json(site)
    known = {row["study_instance_uid"] for row in shown["studies"]}
    refused = {row["sop_instance_uid"] for row in shown["refusals"]}
    database = database_of(site)
    for path in sendable:
        claim = claim_of(path)
        if answers[path] is None or claim is None:
            continue
        kept = database.instances.get(claim.sop_instance_uid)
        is_shown = kept is not None and kept.study_instance_uid in known
        assert is_shown or claim.sop_instance_uid in refused, path.name


def is_media_directory(path: Path) -> bool:
    """A DICOMDIR is no storage SOP class (PS3.4 B.5): no context is offered for it."""
    claim = claim_of(path)
    return claim is not None and claim.sop_class_uid == "1.2.840.10008.1.3.10"


def test_good_studies_among_hard_files_are_read(
    site: Site, real_data: Path, phantoms: dict[str, WrittenStudy]
) -> None:
    skin, chest = phantoms["skin lesion"], phantoms["chest, current"]
    mixed = [*hard_files(real_data)[:60], *skin.files, *hard_files(real_data)[60:], *chest.files]
    dcmsend(mixed, site.node_port)
    database = database_of(site)
    for study in (skin, chest):
        job = wait_for_job(database, study.study_instance_uid, timeout_s=240)
        assert job.state is JobState.DONE, (study.title, job.reason, job.detail)


def test_undecodable_neighbours_in_one_study_do_not_cost_the_reading(
    site: Site, real_data: Path, phantoms: dict[str, WrittenStudy], tmp_path: Path
) -> None:
    """Broken pixel data filed under a good study's UID is quarantined; the good image is read."""
    good = dcmread(phantoms["chest, prior"].files[0])
    study = f"{good.StudyInstanceUID[:-4]}7777"
    good.StudyInstanceUID = study
    good.SOPInstanceUID = good.file_meta.MediaStorageSOPInstanceUID = f"{good.SOPInstanceUID[:-4]}7778"
    good.save_as(tmp_path / "good.dcm", enforce_file_format=True)
    broken = dcmread(phantoms["chest, prior"].files[0])
    broken.StudyInstanceUID = study
    broken.SOPInstanceUID = broken.file_meta.MediaStorageSOPInstanceUID = f"{good.SOPInstanceUID[:-4]}7779"
    broken.PixelData = broken.PixelData[:1000]
    broken.save_as(tmp_path / "broken.dcm", enforce_file_format=True)

    dcmsend([tmp_path / "broken.dcm", tmp_path / "good.dcm"], site.node_port)
    job = wait_for_job(database_of(site), study)

    assert job.state is JobState.DONE, (job.reason, job.detail)
    refused = {row["sop_instance_uid"]: row for row in status_json(site)["refusals"]}
    assert broken.SOPInstanceUID in refused


@pytest.mark.parametrize("name", ["ct_empty_uids.dcm"])
def test_file_with_empty_identifiers_is_quarantined(site: Site, real_data: Path, name: str) -> None:
    status = store_raw(real_data / "hard" / name, site.node_port)
    assert status is not None
    wait_until(lambda: bool(status_json(site)["refusals"]), 10, "the quarantine is shown")
