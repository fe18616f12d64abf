"""The header peek: what it finds, and that nothing a stranger writes breaks it."""

import contextlib
import struct
import warnings
import zlib
from pathlib import Path

import pydicom.data
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom import dcmread
from pydicom.errors import InvalidDicomError
from pydicom.filereader import _read_file_meta_info, read_preamble
from pydicom.sequence import Sequence
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
)

from dicom_node.errors import HeaderError
from dicom_node.header import Header, peek, peek_bytes
from dicom_node.study import Reason
from tests.unit.dicom_node.arrivals import dataset, encoded

ENCODINGS = (
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    ExplicitVRBigEndian,
    DeflatedExplicitVRLittleEndian,
)
KEYWORDS = {
    "sop_class_uid": "SOPClassUID",
    "sop_instance_uid": "SOPInstanceUID",
    "study_instance_uid": "StudyInstanceUID",
    "series_instance_uid": "SeriesInstanceUID",
    "modality": "Modality",
    "patient_id": "PatientID",
    "study_date": "StudyDate",
    "body_part_examined": "BodyPartExamined",
    "manufacturer": "Manufacturer",
}


@pytest.mark.parametrize("encoding", ENCODINGS, ids=lambda uid: uid.name)
def test_every_native_encoding_is_read(encoding: str) -> None:
    ds = dataset(SOPInstanceUID="1.2.3.4", IssuerOfPatientID="HOSPITAL", Manufacturer="ACME")
    ds.ReferencedStudySequence = Sequence([dataset(StudyInstanceUID="9.9")])
    ds.ReferencedStudySequence.is_undefined_length = True

    header = peek_bytes(encoded(ds, encoding), encoding)

    assert header.sop_instance_uid == "1.2.3.4"
    assert (header.study_instance_uid, header.series_instance_uid) == ("1.2.3.100", "1.2.3.100.1")
    assert (header.patient_id, header.issuer_of_patient_id) == ("P1", "HOSPITAL")
    assert (header.modality, header.manufacturer, header.study_time) == ("CT", "ACME", "101500")


def test_values_within_a_sequence_are_not_taken_for_the_instance() -> None:
    ds = dataset(StudyInstanceUID=None)
    ds.ReferencedStudySequence = Sequence([dataset(StudyInstanceUID="9.9")])
    for is_undefined in (True, False):
        ds.ReferencedStudySequence.is_undefined_length = is_undefined
        assert peek_bytes(encoded(ds), ExplicitVRLittleEndian).study_instance_uid == ""


def test_implicit_data_declared_as_explicit_are_read() -> None:
    header = peek_bytes(encoded(dataset(), ImplicitVRLittleEndian), ExplicitVRLittleEndian)

    assert header.study_instance_uid == "1.2.3.100"


def test_values_larger_than_a_read_are_passed_over() -> None:
    ds = dataset()
    ds.add_new(0x00091001, "OB", bytes(300_000))

    assert peek_bytes(encoded(ds), ExplicitVRLittleEndian).study_instance_uid == "1.2.3.100"


def test_pixel_data_are_never_read() -> None:
    content = encoded(dataset(PixelData=bytes(1 << 20)))
    furthest = 0

    def read_at(offset: int, length: int) -> bytes:
        nonlocal furthest
        furthest = max(furthest, offset + length)
        return content[offset : offset + length]

    peek(read_at, len(content), ExplicitVRLittleEndian)

    assert furthest <= 1 << 15


def nested(depth: int) -> bytes:
    """A private sequence of undefined length, nested `depth` deep."""
    opening = struct.pack("<HH2sHL", 9, 0x1001, b"SQ", 0, 0xFFFFFFFF)
    opening += struct.pack("<HHL", 0xFFFE, 0xE000, 0xFFFFFFFF)
    return opening * depth


@pytest.mark.parametrize("depth", [33, 50, 1000, 200_000])
def test_D05_deep_nesting_is_an_error_not_a_crash(depth: int) -> None:
    with pytest.raises(HeaderError) as caught:
        peek_bytes(nested(depth), ExplicitVRLittleEndian)

    assert caught.value.reason is Reason.NESTING


def test_D03_deflate_bomb_stops_at_the_cap() -> None:
    deflate = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
    element = struct.pack("<HH2sHL", 9, 0x1001, b"OB", 0, 0x7FFFFFF0)
    bomb = deflate.compress(element + bytes(64 << 20)) + deflate.flush()

    with pytest.raises(HeaderError):
        peek_bytes(bomb, DeflatedExplicitVRLittleEndian)


def test_length_beyond_the_data_set_is_an_error() -> None:
    content = encoded(dataset())[:8] + struct.pack("<HH2sHL", 9, 0x1001, b"OB", 0, 5000) + b"x"

    with pytest.raises(HeaderError):
        peek_bytes(content, ExplicitVRLittleEndian)


def test_empty_data_set_is_an_error() -> None:
    with pytest.raises(HeaderError):
        peek_bytes(b"", ExplicitVRLittleEndian)


@settings(deadline=None)
@given(st.binary(max_size=400), st.sampled_from(ENCODINGS))
def test_noise_gives_a_header_or_a_header_error(noise: bytes, encoding: str) -> None:
    try:
        header = peek_bytes(noise, encoding)
    except HeaderError:
        return
    assert isinstance(header, Header)


@settings(deadline=None)
@given(st.data())
def test_damaged_headers_give_a_header_or_a_header_error(data: st.DataObject) -> None:
    content = bytearray(encoded(dataset(SOPInstanceUID="1.2.3.4")))
    for _ in range(data.draw(st.integers(1, 4))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    with contextlib.suppress(HeaderError):
        assert isinstance(peek_bytes(bytes(content), ExplicitVRLittleEndian), Header)


def test_repr_shows_no_identity() -> None:
    assert "P1" not in repr(peek_bytes(encoded(dataset()), ExplicitVRLittleEndian))


def check_against_pydicom(path: Path) -> bool:
    """Compare the peek with what pydicom reads; False if the file has no meta information to go by."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            with path.open("rb") as file:
                read_preamble(file, False)
                encoding = str(_read_file_meta_info(file).TransferSyntaxUID)
                content = file.read()
            ds = dcmread(path, stop_before_pixels=True)
        except (AttributeError, OSError, InvalidDicomError, NotImplementedError):
            return False
        header = peek_bytes(content, encoding)
        for field, keyword in KEYWORDS.items():
            value = str(ds.get(keyword) or "").split("\\")[0].strip()
            assert getattr(header, field) == value, (path.name, keyword)
    return True


def test_agrees_with_pydicom_on_its_bundled_files() -> None:
    files = sorted((Path(pydicom.data.__file__).parent / "test_files").rglob("*.dcm"))

    assert sum(check_against_pydicom(path) for path in files) > 50


def test_agrees_with_pydicom_on_real_files(real_data: Path) -> None:
    files = sorted(real_data.rglob("*.dcm"))

    assert sum(check_against_pydicom(path) for path in files) > 100
