"""What is asked next about an object, and what counts as the same object."""

import io
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from pydicom import Dataset, dcmread, dcmwrite
from pydicom.data import get_testdata_file
from pydicom.uid import ExplicitVRBigEndian, ExplicitVRLittleEndian, ImplicitVRLittleEndian

from dicom_node.content_digest import coerced, content_digest
from dicom_node.errors import IdentityError, SettingsError
from dicom_node.proof import Proof, ProofState, Step, next_step
from dicom_node.settings import load_settings
from dicom_node.storage_commitment.messages import (
    ALL_COMMITTED,
    FAILURES_EXIST,
    NO_SUCH_INSTANCE,
    Reference,
    Report,
    Request,
    read_report,
    read_request,
    written_report,
    written_request,
)
from dicom_node.study import SOPInstanceUID

NOW = datetime(2026, 1, 2, 12, tzinfo=UTC)


def proof(state: ProofState, requests: int = 1, asked_s_ago: float = 0) -> Proof:
    asked_at = NOW - timedelta(seconds=asked_s_ago)
    return Proof(SOPInstanceUID("1.2"), "PACS", "commitment", state, requests, asked_at, None, "1.9", "")


@pytest.mark.parametrize(
    ("known", "step"),
    [
        (None, Step.ASK),
        (proof(ProofState.OPEN, 3), Step.ASK),
        (proof(ProofState.PROVEN), Step.NOTHING),
        (proof(ProofState.MISSING), Step.SEND_AGAIN),
        (proof(ProofState.MISSING, 9), Step.GIVE_UP),
        (proof(ProofState.DIFFERENT), Step.GIVE_UP),
        (proof(ProofState.DIFFERENT, 0), Step.ASK),
        (proof(ProofState.MISSING, 0), Step.SEND_AGAIN),
        (proof(ProofState.ASKED, 1, asked_s_ago=59), Step.WAIT),
        (proof(ProofState.ASKED, 1, asked_s_ago=61), Step.ASK),
        (proof(ProofState.ASKED, 2, asked_s_ago=61), Step.ASK),
        (proof(ProofState.ASKED, 3, asked_s_ago=61), Step.SEND_AGAIN),
        (proof(ProofState.ASKED, 9, asked_s_ago=61), Step.GIVE_UP),
    ],
)
def test_what_is_missing_is_sent_again_and_silence_is_asked_again(known: Proof | None, step: Step) -> None:
    assert next_step(known, NOW, 60) is step


@pytest.mark.parametrize("name", ["CT_small.dcm", "MR_small.dcm", "test-SR.dcm"])
@pytest.mark.parametrize("syntax", [ExplicitVRLittleEndian, ImplicitVRLittleEndian, ExplicitVRBigEndian])
def test_encoding_does_not_change_the_digest(name: str, syntax: str) -> None:
    file = get_testdata_file(name)
    assert file is not None
    again = dcmread(file)
    buffer = io.BytesIO()
    again.file_meta.TransferSyntaxUID = syntax
    dcmwrite(buffer, again, enforce_file_format=True)
    buffer.seek(0)

    assert content_digest(dcmread(buffer)) == content_digest(dcmread(file))


def report_object() -> Dataset:
    ds = Dataset()
    ds.PatientName, ds.SOPInstanceUID, ds.SeriesDescription = "Doe^Jane", "1.2.3", "AI"
    first, second = Dataset(), Dataset()
    first.TextValue, second.CodeValue = "heart", "T-1"
    ds.ContentSequence = [first, second]
    return ds


def test_every_change_of_content_changes_the_digest() -> None:
    original = content_digest(report_object())
    text, moved, more = report_object(), report_object(), report_object()
    text.ContentSequence[0].TextValue = "heart enlarged"
    moved.ContentSequence[0].CodeValue = "T-1"
    del moved.ContentSequence[1]
    more.SeriesNumber = "1"

    assert len({original, *(content_digest(ds) for ds in (text, moved, more))}) == 4


def test_corrected_patient_is_told_and_is_no_other_content() -> None:
    kept = report_object()
    kept.PatientName, kept.SpecificCharacterSet = "Doe^Joan", "ISO_IR 100"

    assert content_digest(kept) == content_digest(report_object())
    assert coerced(report_object(), kept) == ("PatientName",)


def test_messages_say_what_the_standard_names() -> None:
    """PS3.4 tables J.3-1 and J.3-2."""
    good, bad = (
        Reference("1.2.840.10008.5.1.4.1.1.2", "1.2.3"),
        Reference("1.2.840.10008.5.1.4.1.1.2", "1.2.4"),
    )
    asked = written_request(Request("1.2.9", (good, bad)))
    assert [item.ReferencedSOPInstanceUID for item in asked[0x0008, 0x1199].value] == ["1.2.3", "1.2.4"]
    assert asked[0x0008, 0x1195].value == "1.2.9"
    assert read_request(asked) == Request("1.2.9", (good, bad))

    all_well = written_report(Report("1.2.9", (good,), ()))
    assert (all_well[0], (0x0008, 0x1198) in all_well[1]) == (ALL_COMMITTED, False)
    report = Report("1.2.9", (good,), ((bad, NO_SUCH_INSTANCE),))
    kind, ds = written_report(report)
    assert kind == FAILURES_EXIST == 2
    assert ds[0x0008, 0x1198].value[0][0x0008, 0x1197].value == 0x0112
    assert read_report(ds) == report


@pytest.mark.parametrize("change", ["TransactionUID", "ReferencedSOPSequence"])
def test_request_without_identifiers_is_refused(change: str) -> None:
    ds = written_request(Request("1.2.9", (Reference("1.2", "1.2.3"),)))
    delattr(ds, change)
    with pytest.raises(IdentityError):
        read_request(ds)


@pytest.mark.parametrize(
    ("proof_line", "message"),
    [
        ('{by = "read-back"}', "needs source"),
        ('{by = "read-back", source = "nowhere"}', "nowhere"),
        ('{by = "belief"}', "by"),
    ],
)
def test_proof_that_cannot_be_had_is_refused_at_the_start(
    tmp_path: Path, proof_line: str, message: str
) -> None:
    file = tmp_path / "node.toml"
    file.write_text(f'[[destinations]]\nname = "P"\nae_title = "P"\nport = 104\nproof = {proof_line}\n')
    with pytest.raises(SettingsError, match=message):
        load_settings(file, {})


def test_folder_cannot_commit_itself(tmp_path: Path) -> None:
    file = tmp_path / "node.toml"
    file.write_text('[[destinations]]\nname = "P"\nkind = "folder"\nfolder = "x"\nproof.by = "commitment"\n')
    with pytest.raises(SettingsError, match="needs ae_title and port"):
        load_settings(file, {})
