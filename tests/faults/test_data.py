"""Data sets that claim to be small, flat or somebody else's."""

import struct
import zlib
from collections.abc import Iterator
from pathlib import Path

import pytest
from pydicom.uid import DeflatedExplicitVRLittleEndian, ExplicitVRLittleEndian, generate_uid

from dicom_node.admission import StoreCommand
from dicom_node.errors import HeaderError, StorageError
from dicom_node.intake import Intake
from dicom_node.nesting import MAX_INFLATED, check_nesting, most_inflated
from dicom_node.study import Reason
from tests.builders import Bench, make_bench
from tests.fakes import FakeFamily
from tests.unit.dicom_node.arrivals import dataset, encoded
from tests.unit.dicom_node.test_header import nested


def deflated(content: bytes) -> bytes:
    deflate = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
    return deflate.compress(content) + deflate.flush()


def test_D03_deflate_bomb_is_refused_before_the_parser_inflates_it() -> None:
    bomb = deflated(encoded(dataset()) + bytes(96 << 20))
    assert len(bomb) < 1 << 17

    with pytest.raises(HeaderError, match="larger than it may be"):
        check_nesting(memoryview(bomb), DeflatedExplicitVRLittleEndian)


def test_D03_what_cannot_be_inflated_is_an_error() -> None:
    with pytest.raises(HeaderError, match="cannot be inflated"):
        check_nesting(memoryview(b"\xff" * 100), DeflatedExplicitVRLittleEndian)


def test_D03_limit_follows_the_size_and_has_an_end() -> None:
    assert most_inflated(1 << 20) == 200 << 20
    assert most_inflated(1 << 30) == MAX_INFLATED


def with_lengths(depth: int) -> bytes:
    """Like `nested`, with a defined length at every level."""
    content = b""
    for _ in range(depth):
        content = struct.pack("<HHL", 0xFFFE, 0xE000, len(content)) + content
        content = struct.pack("<HH2sHL", 9, 0x1001, b"SQ", 0, len(content)) + content
    return content


@pytest.mark.parametrize("depth", [50, 65, 1000])
def test_D05_deep_nesting_of_defined_length_is_found_too(depth: int) -> None:
    with pytest.raises(HeaderError) as caught:
        check_nesting(memoryview(with_lengths(depth)), ExplicitVRLittleEndian)
    assert caught.value.reason is Reason.NESTING


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    made = make_bench(tmp_path, FakeFamily)
    yield made
    made.database.close()


def test_D05_nested_object_is_never_parsed(bench: Bench) -> None:
    ds = dataset(StudyInstanceUID=generate_uid())
    command = StoreCommand(ds.SOPClassUID, ds.SOPInstanceUID, ExplicitVRLittleEndian, "MODALITY")
    reception = Intake(bench.store, bench.database).begin(command)
    reception.write(encoded(ds) + nested(1000))
    assert reception.finish().status == 0x0000

    (kept,) = bench.database.instances.of_study(ds.StudyInstanceUID)
    with pytest.raises(StorageError) as caught:
        bench.store.read(kept)
    assert caught.value.reason is Reason.NESTING
