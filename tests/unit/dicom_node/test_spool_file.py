"""A spool file holds what was written, wherever buffers, blocks and the page cache meet."""

import errno
import os
import random
from collections.abc import Callable
from pathlib import Path

import pytest

from dicom_node.spool_file import BLOCK_BYTES, BUFFER_BYTES, SpoolFile

IN_MEMORY = Path("/dev/shm")
EDGES = (0, 1, BLOCK_BYTES, BUFFER_BYTES, 2 * BUFFER_BYTES)
SIZES = sorted({max(0, edge + off) for edge in EDGES for off in (-1, 0, 1)} | {2 * BUFFER_BYTES + 5000})

Create = Callable[[], SpoolFile]


@pytest.fixture
def create(tmp_path: Path) -> Create:
    """Makes spool files; each is empty and has a name, as the spool makes them."""

    def created() -> SpoolFile:
        path = tmp_path / f"{len(list(tmp_path.iterdir()))}.dcm"
        path.touch()
        return SpoolFile(path)

    return created


def _write_in_pieces(file: SpoolFile, content: bytes, seed: int = 0) -> None:
    chance, view = random.Random(seed), memoryview(content)
    while len(view):
        length = chance.choice((1, 100, BLOCK_BYTES, 130_000, 1_500_000))
        file.write(view[:length])
        view = view[length:]


@pytest.mark.parametrize("size", SIZES)
def test_file_holds_what_was_written(create: Create, size: int) -> None:
    content = os.urandom(size)
    file = create()
    _write_in_pieces(file, content, size)

    assert file.size == size
    file.sync()

    assert file.path.read_bytes() == content


@pytest.mark.parametrize("size", [100, BUFFER_BYTES, BUFFER_BYTES + 100])
def test_what_was_written_can_be_changed_until_it_is_synced(create: Create, size: int) -> None:
    content = os.urandom(size)
    file = create()
    file.write(content)
    file.write_at(10, b"changed")
    file.sync()

    assert file.path.read_bytes() == content[:10] + b"changed" + content[17:]


@pytest.mark.parametrize(
    ("offset", "length"),
    [
        (0, 100),
        (BUFFER_BYTES - 50, 100),
        (BUFFER_BYTES - 50, 50),
        (BUFFER_BYTES, 100),
        (BUFFER_BYTES + 900, 500),
        (BUFFER_BYTES + 2000, 10),
        (0, 3 * BUFFER_BYTES),
    ],
)
def test_what_was_written_can_be_read_before_it_is_synced(create: Create, offset: int, length: int) -> None:
    content = os.urandom(BUFFER_BYTES + 1000)
    file = create()
    file.write(content)

    assert file.read_at(offset, length) == content[offset : offset + length]
    file.discard()


def test_files_that_are_written_at_the_same_time_do_not_mix(create: Create) -> None:
    contents = [os.urandom(BUFFER_BYTES + n) for n in range(4)]
    files = [create() for _ in contents]
    for start in range(0, BUFFER_BYTES + 4, 50_000):
        for file, content in zip(files, contents, strict=True):
            file.write(content[start : start + 50_000])
    for file in files:
        file.sync()

    assert [file.path.read_bytes() for file in files] == contents


def test_closing_twice_gives_the_buffer_to_one_file_only(create: Create) -> None:
    done = create()
    done.write(b"done")
    done.sync()
    done.discard()
    one, other = create(), create()
    one.write(b"one")
    other.write(b"other")
    one.sync()
    other.sync()

    assert (one.path.read_bytes(), other.path.read_bytes()) == (b"one", b"other")


@pytest.mark.skipif(not os.access(IN_MEMORY, os.W_OK), reason="there is no file system in memory")
def test_file_system_with_nothing_but_a_cache_is_written_too(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    path = IN_MEMORY / f"{tmp_path_factory.getbasetemp().name}-{os.getpid()}.dcm"
    path.touch()
    content = os.urandom(BUFFER_BYTES + 5000)
    try:
        file = SpoolFile(path)
        file.write(content)
        file.sync()

        assert path.read_bytes() == content
    finally:
        path.unlink()


def test_file_system_that_cannot_open_past_its_cache_is_written_too(
    create: Create, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened = os.open

    def refuse_direct(path: Path, flags: int, mode: int = 0o777) -> int:
        if flags & os.O_DIRECT:
            raise OSError(errno.EINVAL, "Invalid argument")
        return opened(path, flags, mode)

    monkeypatch.setattr(os, "open", refuse_direct)
    content = os.urandom(BUFFER_BYTES + 5000)
    file = create()
    file.write(content)
    file.sync()

    assert file.path.read_bytes() == content


def test_disk_with_larger_blocks_is_written_through_its_cache(
    create: Create, monkeypatch: pytest.MonkeyPatch
) -> None:
    written = os.write
    refused: list[int] = []

    def refuse_once(descriptor: int, data: bytes) -> int:
        if not refused:
            refused.append(descriptor)
            raise OSError(errno.EINVAL, "Invalid argument")
        return written(descriptor, data)

    monkeypatch.setattr(os, "write", refuse_once)
    content = os.urandom(BUFFER_BYTES + 5000)
    file = create()
    file.write(content)
    file.sync()

    assert refused
    assert file.path.read_bytes() == content


def test_disk_that_refuses_again_is_a_fault(create: Create, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(descriptor: int, data: bytes) -> int:
        raise OSError(errno.EINVAL, "Invalid argument")

    file = create()
    file.write(b"content")
    monkeypatch.setattr(os, "write", refuse)

    with pytest.raises(OSError, match="Invalid argument"):
        file.sync()
    file.discard()


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EIO])
def test_fault_of_the_disk_is_told_by_the_write_that_meets_it(
    create: Create, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    def fail(descriptor: int, data: bytes) -> int:
        raise OSError(number, os.strerror(number))

    file = create()
    file.write(bytes(BUFFER_BYTES - 1))
    monkeypatch.setattr(os, "write", fail)

    with pytest.raises(OSError, match=os.strerror(number)):
        file.write(b"12")
    file.discard()
    assert not file.path.exists()


def test_file_that_lost_its_name_is_not_durable(create: Create) -> None:
    file = create()
    file.write(b"content")
    file.path.unlink()

    with pytest.raises(FileNotFoundError):
        file.sync()
    file.close()
