"""Small rules of the node: routing, storage classes, advice, logs, group commit."""

import json
import logging
import subprocess
import sys
import threading

import pytest
from pydicom.uid import PrivateTransferSyntaxes, UID_dictionary
from pynetdicom.presentation import build_context
from pynetdicom.sop_class import _STORAGE_CLASSES

from dicom_node.advice import WHAT_TO_DO
from dicom_node.dimse_status import is_stored
from dicom_node.errors import DiskFullError
from dicom_node.group_commit import GroupCommit
from dicom_node.log_redaction import JsonFormatter, PlainFormatter, drop_identity, drop_quotes
from dicom_node.routing import READABLE_CLASSES
from dicom_node.scp import origin_of, supported_contexts
from dicom_node.storage_classes import is_storage_class
from dicom_node.study import Origin, Reason
from dicom_node.uids import IMPLEMENTATION_CLASS_UID, is_uid

LITTLE, J2K, MPEG4 = "1.2.840.10008.1.2.1", "1.2.840.10008.1.2.4.90", "1.2.840.10008.1.2.4.102"


def test_every_reason_has_an_advice() -> None:
    assert set(WHAT_TO_DO) == set(Reason)


@pytest.mark.parametrize(
    "uid",
    [
        *_STORAGE_CLASSES.values(),
        *READABLE_CLASSES,
        "1.2.840.10008.5.1.4.1.1.66.7",  # Label Map Segmentation
        "1.2.840.10008.5.1.1.29",  # Hardcopy Grayscale Image, retired: named storage
        "1.2.840.10008.5.1.4.1.1.999",  # newer than any dictionary
        "1.3.46.670589.5.0.1.1",  # private
    ],
)
def test_storage_classes_are_accepted(uid: str) -> None:
    assert is_storage_class(uid)


@pytest.mark.parametrize(
    "uid",
    [
        "1.2.840.10008.5.1.4.1.2.2.1",  # Study Root FIND
        "1.2.840.10008.5.1.4.31",  # Modality Worklist
        "1.2.840.10008.1.20.1",  # Storage Commitment
        "1.2.840.10008.3.1.2.3.3",  # MPPS
        "1.2.840.10008.1.3.10",  # Media Storage Directory
        "1.2.840.10008.1.1",  # Verification
    ],
)
def test_other_services_are_not(uid: str) -> None:
    assert not is_storage_class(uid)


def test_every_standard_storage_class_of_the_dictionary_is_accepted() -> None:
    named = [uid for uid, entry in UID_dictionary.items() if entry[0].endswith("Image Storage")]

    assert len(named) > 40
    assert [uid for uid in named if not is_storage_class(uid)] == []


def test_senders_order_of_transfer_syntaxes_is_kept_and_unreadable_ones_are_not_offered() -> None:
    ct = "1.2.840.10008.5.1.4.1.1.2"

    (context,) = supported_contexts([build_context(ct, [MPEG4, J2K, LITTLE])])

    assert [str(syntax) for syntax in context.transfer_syntax] == [J2K, LITTLE]
    # The class is known and none of its proposed syntaxes: PS3.8 table 9-18 has a result for each.
    (refused,) = supported_contexts([build_context(ct, [MPEG4])])
    assert MPEG4 not in refused.transfer_syntax
    assert PrivateTransferSyntaxes == []


def test_our_own_move_brings_priors() -> None:
    assert origin_of("MEDVERSA", "MEDVERSA") is Origin.RETRIEVED
    assert origin_of("PACS", "MEDVERSA") is origin_of("", "MEDVERSA") is Origin.ROUTED


@pytest.mark.parametrize(
    ("status", "expected"),
    [(0x0000, True), (0xB000, True), (0xB007, True), (0xA700, False), (0xC000, False), (None, False)],
)
def test_status_of_a_peer_is_judged(status: int | None, expected: bool) -> None:
    assert is_stored(status) is expected


def test_our_uid_is_one() -> None:
    assert is_uid(IMPLEMENTATION_CLASS_UID)
    assert int(IMPLEMENTATION_CLASS_UID.removeprefix("2.25.")) < 2**128


@pytest.mark.parametrize("formatter", [PlainFormatter(), JsonFormatter()])
def test_logs_drop_identity(formatter: logging.Formatter) -> None:
    record = logging.makeLogRecord(
        {"msg": "study complete", "job_id": 7, "patient_name": "Marker^Name", "accession_number": "A77"}
    )
    drop_identity(record)

    line = formatter.format(record)

    assert "study complete" in line
    assert "7" in line
    assert "Marker" not in line
    assert "A77" not in line


def test_json_logs_are_json() -> None:
    record = logging.makeLogRecord({"msg": "listening", "levelname": "INFO", "name": "x", "port": 104})

    assert json.loads(JsonFormatter().format(record))["port"] == 104


def test_libraries_that_quote_values_are_kept_quiet() -> None:
    code = (
        "import warnings, pydicom\n"
        "from dicom_node.log_redaction import configure_logging\n"
        "configure_logging('DEBUG')\n"
        "ds = pydicom.Dataset()\n"
        "ds.StudyDate = 'ZQMARK not a date'\n"
        "ds.PatientName = 'ZQMARK' * 99\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True
    )

    assert "ZQMARK" not in done.stdout + done.stderr


def test_errors_of_the_network_library_tell_their_kind_and_place_only() -> None:
    try:
        raise ValueError("received b'ZQMARK'")
    except ValueError as exc:
        told = {"msg": str(exc), "exc_info": sys.exc_info(), "name": "pynetdicom.dul"}
        record = logging.makeLogRecord({**told, "levelname": "ERROR"})
    assert drop_quotes(record)

    line = PlainFormatter().format(record)

    assert "ValueError at test_conventions.py" in line
    assert "ZQMARK" not in line


@pytest.mark.parametrize("end", ["\n", "\r", "\x0b", "\x1b[2J", "\x85", "\u2028"])
def test_one_record_is_one_line_whatever_it_quotes(end: str) -> None:
    record = logging.makeLogRecord(
        {"msg": f"a{end}b", "levelname": "INFO", "name": "x", "calling": f"A{end}"}
    )

    for formatter in (PlainFormatter(), JsonFormatter()):
        line = formatter.format(record)
        assert len(line.splitlines()) == 1
        assert line.isprintable()


def test_serve_loads_no_torch() -> None:
    code = (
        "import sys, dicom_node.cli, dicom_node.commands, dicom_node.serving, dicom_node.overview\n"
        "assert not {'torch', 'transformers', 'monai', 'model', 'worker'} & sys.modules.keys()"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


def test_group_is_committed_in_one_go() -> None:
    entered, release = threading.Event(), threading.Event()
    groups: list[list[int]] = []

    def commit(group: "list[int]") -> list[int]:
        groups.append(list(group))
        entered.set()
        assert release.wait(10)
        return [item * 2 for item in group]

    committer: GroupCommit[int, int] = GroupCommit(commit)
    results: dict[int, int] = {}
    threads = [threading.Thread(target=lambda n=n: results.__setitem__(n, committer(n))) for n in range(5)]
    threads[0].start()
    assert entered.wait(10)
    for thread in threads[1:]:
        thread.start()
    while len(committer._waiting) < 4:
        pass
    release.set()
    for thread in threads:
        thread.join()

    assert sorted(map(len, groups)) == [1, 4]
    assert results == {n: 2 * n for n in range(5)}


def test_error_of_a_group_reaches_every_member() -> None:
    def commit(group: object) -> list[int]:
        raise DiskFullError("no space")

    with pytest.raises(DiskFullError):
        GroupCommit(commit)(1)
