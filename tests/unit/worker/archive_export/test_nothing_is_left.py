"""The property that counts: no string of the source is in any byte that is written."""

import io
from pathlib import Path

import pytest
from pydicom import Dataset, dcmread, dcmwrite
from pydicom.uid import (
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
)

from tests.canaries import MARK, PLANTED_DATE, UID_ROOT, everything_planted, names_planted
from worker.archive_export.deidentifier import Deidentifier
from worker.archive_export.elements import tolerant
from worker.archive_export.files import read_instance, write_instance
from worker.archive_export.identifiers import identifiers_of
from worker.archive_export.pseudonyms import Patient, Pseudonyms
from worker.archive_export.report_text import TextCleaner, safe_words

CLASSES = {
    "CT": "1.2.840.10008.5.1.4.1.1.2",
    "SEG": "1.2.840.10008.5.1.4.1.1.66.4",
    "Comprehensive SR": "1.2.840.10008.5.1.4.1.1.88.33",
}
NAMES = {
    "ISO_IR 100": "Müllßer^Öcanary",
    "ISO_IR 144": "Йцукенов^Канарей",
    "ISO 2022 IR 149": "김희중^까나리",
    "ISO_IR 192": "山田^カナリア=やまだ^かなりあ",
    "GB18030": "王小^金丝雀",
}
ENCODINGS = ("utf-8", "utf-16-le", "latin-1", "iso8859_5", "euc_kr", "gb18030", "cp1251", "koi8_r")
SYNTAXES = (
    ImplicitVRLittleEndian,
    ExplicitVRBigEndian,
)


def cleaned_bytes(source_file: Path, out: Path) -> bytes:
    source = read_instance(source_file)
    assert source is not None
    patient = Patient(str(source.PatientID))
    texts = TextCleaner(identifiers_of([source], safe_words()), safe_words())
    write_instance(Deidentifier(Pseudonyms(b"k" * 32), patient, texts).clean(source), out)
    return out.read_bytes()


def written(folder: Path, ds: Dataset) -> Path:
    path = folder / "source.dcm"
    with tolerant(), path.open("wb") as file:
        dcmwrite(file, ds, enforce_file_format=True)
    return path


@pytest.mark.parametrize("sop_class_uid", CLASSES.values(), ids=CLASSES)
def test_no_planted_text_uid_or_date_survives(tmp_path: Path, sop_class_uid: str) -> None:
    source = written(tmp_path, everything_planted(sop_class_uid))
    assert source.read_bytes().count(MARK.encode()) > 4000

    found = cleaned_bytes(source, tmp_path / "out.dcm")

    for planted in (MARK, PLANTED_DATE, UID_ROOT):
        assert planted.encode() not in found, _around(found, planted.encode())


@pytest.mark.parametrize(("charset", "name"), NAMES.items(), ids=NAMES)
def test_no_name_survives_in_any_encoding(tmp_path: Path, charset: str, name: str) -> None:
    source = written(tmp_path, names_planted(CLASSES["CT"], charset, name))

    found = cleaned_bytes(source, tmp_path / "out.dcm")

    for word in name.replace("=", "^").split("^"):
        for encoding in ENCODINGS:
            encoded = word.encode(encoding, "ignore")
            assert len(encoded) < 3 or encoded not in found


@pytest.mark.parametrize("syntax", SYNTAXES, ids=lambda syntax: syntax.name)
def test_no_planted_text_survives_in_any_transfer_syntax(tmp_path: Path, syntax: str) -> None:
    source = written(tmp_path, everything_planted(CLASSES["SEG"], syntax))

    found = cleaned_bytes(source, tmp_path / "out.dcm")

    assert MARK.encode() not in found
    assert dcmread(io.BytesIO(found)).file_meta.TransferSyntaxUID == ExplicitVRLittleEndian


def _around(content: bytes, planted: bytes) -> bytes:
    at = content.index(planted)
    return content[max(at - 40, 0) : at + 60]
