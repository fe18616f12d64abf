"""Seeded nonsense in three places: order and bytes of PDUs, DIMSE command sets, data sets of files."""

import random
import struct
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pydicom.data
from pydicom.errors import InvalidDicomError
from pynetdicom.dsutils import split_dataset

from tests.faults.raw_peer import (
    ABORT,
    ECHO_CONTEXT,
    RELEASE_RP,
    RELEASE_RQ,
    RJ,
    STORE_CONTEXT,
    associate_rq,
    command_set,
    data_pdus,
    pdu,
    pdv,
    store_elements,
    store_rq,
)
from tests.unit.dicom_node.arrivals import dataset, encoded

MOST_SEED_BYTES = 40_000
HEADER_BYTES = 2_000
"""Half of all damage to a file is done among its first elements, which are the ones that are looked at."""
COMMANDS = (
    *(0x0001, 0x0010, 0x0020, 0x0021, 0x0030, 0x0100, 0x0110, 0x0120, 0x0130, 0x0140, 0x0150, 0x0FFF),
    *(0x8001, 0x8010, 0x8020, 0x8021, 0x8030, 0x8100, 0x8130, 0x0000, 0x0002, 0x7FFF, 0xFFFF),
)
"""Command fields of PS3.7 E.1, requests and responses, and some that there are not."""
UIDS = (
    b"",
    b"../../../../tmp/x",
    b"/etc/cron.d/x\0",
    b"1.2.3\n4",
    b"A" * 64,
    b"1" * 65,
    b"1." * 300,
    b"1.2.\xb2\0",
)


def conversations() -> list[list[bytes]]:
    """What peers say, right and in the wrong order, PDU by PDU."""
    ds = dataset(SOPInstanceUID="1.2.3.200.1")
    store = [store_rq(ds), data_pdus(encoded(ds))]
    release, abort, accept = pdu(RELEASE_RQ, bytes(4)), pdu(ABORT, bytes(4)), b"\2" + associate_rq()[1:]
    return [
        [associate_rq(), *store, release],
        [associate_rq(), release],
        [associate_rq(), abort],
        [associate_rq(), associate_rq()],
        [associate_rq(), accept],
        [associate_rq(), pdu(RELEASE_RP, bytes(4))],
        [associate_rq(), store[1]],
        [release],
        [accept],
        [pdu(RJ, bytes(4))],
        store,
    ]


def mutated(stream: bytes, dice: random.Random, within: int = 1 << 30) -> bytes:
    """Change, cut, repeat or insert a few bytes, all among the first `within`."""
    out = bytearray(stream)
    for _ in range(dice.randrange(1, 6)):
        at = dice.randrange(min(len(out), within))
        match dice.randrange(4):
            case 0:
                out[at] = dice.randrange(256)
            case 1:
                out[at : at + dice.randrange(1, 40)] = b""
            case 2:
                out[at:at] = out[at : at + dice.randrange(1, 40)]
            case _:
                out[at:at] = dice.randbytes(dice.randrange(1, 12))
        if not out:
            break
    return bytes(out)


Elements = list[tuple[int, bytes]]


def _drop(elements: Elements, dice: random.Random) -> None:
    del elements[dice.randrange(len(elements))]


def _repeat(elements: Elements, dice: random.Random) -> None:
    elements.append(dice.choice(elements))


def _shuffle(elements: Elements, dice: random.Random) -> None:
    dice.shuffle(elements)


def _garble(elements: Elements, dice: random.Random) -> None:
    at = dice.randrange(len(elements))
    elements[at] = (elements[at][0], dice.randbytes(dice.randrange(20)))


def _other_command(elements: Elements, dice: random.Random) -> None:
    _replace(elements, 0x0100, struct.pack("<H", dice.choice(COMMANDS)))


def _lie_about_data_set(elements: Elements, dice: random.Random) -> None:
    _replace(elements, 0x0800, dice.choice((b"\1\1", b"\0\0", b"\xff\xff", b"", b"\1")))


def _bad_uid(elements: Elements, dice: random.Random) -> None:
    _replace(elements, dice.choice((0x0002, 0x1000)), dice.choice(UIDS))


def _more(elements: Elements, dice: random.Random) -> None:
    elements.insert(dice.randrange(len(elements) + 1), (dice.randrange(0xFFFF), dice.randbytes(8)))


def _replace(elements: Elements, number: int, value: bytes) -> None:
    elements[:] = [(key, value if key == number else old) for key, old in elements]


DAMAGES: tuple[Callable[[Elements, random.Random], None], ...] = (
    _drop,
    _repeat,
    _shuffle,
    _garble,
    _other_command,
    _lie_about_data_set,
    _bad_uid,
    _more,
)


def dimse_message(dice: random.Random) -> bytes:
    """Return a request that is wrong in its command set, fragments or contexts; its PDUs are right."""
    ds = dataset(SOPInstanceUID=f"1.2.3.200.{dice.randrange(1 << 30)}")
    elements = store_elements(ds.SOPClassUID, ds.SOPInstanceUID)
    for _ in range(dice.randrange(1, 4)):
        if elements:
            dice.choice(DAMAGES)(elements, dice)
    command = command_set(*elements)
    if dice.random() < 0.5:
        length = len(command) if dice.random() < 0.5 else dice.randrange(1 << 32)
        command = command_set((0x0000, struct.pack("<L", length))) + command
    if dice.random() < 0.2:
        command = mutated(command, dice) if command else dice.randbytes(9)
    data = encoded(ds)
    parts = [*_fragments(command, dice, is_command=True), *_fragments(data, dice, is_command=False)]
    match dice.randrange(8):
        case 0:
            del parts[dice.randrange(len(parts))]
        case 1:
            dice.shuffle(parts)
        case 2:
            parts += parts
        case _:
            pass
    return b"".join(parts)


def _fragments(content: bytes, dice: random.Random, *, is_command: bool) -> list[bytes]:
    cuts = sorted(dice.randrange(len(content) + 1) for _ in range(dice.choice((0, 0, 1, 3))))
    pieces = [content[at:end] for at, end in zip((0, *cuts), (*cuts, len(content)), strict=True)]
    sent: list[bytes] = []
    for number, piece in enumerate(pieces, 1):
        lies = dice.random() < 0.05
        context = dice.choice((0, ECHO_CONTEXT, 5, 255)) if lies else STORE_CONTEXT
        is_last = (number == len(pieces)) is not (dice.random() < 0.05)
        sent.append(pdv(piece, context, is_command=is_command, is_last=is_last))
    return sent


@dataclass(frozen=True, slots=True)
class SeedFile:
    """A sound file that others are made of by damage."""

    sop_class_uid: str
    sop_instance_uid: str
    transfer_syntax_uid: str
    content: bytes
    """Its data set as it is encoded."""


@cache
def seed_files() -> tuple[SeedFile, ...]:
    """Return the small files that come with pydicom: images in 14 encodings, reports, plans and doses."""
    found: list[SeedFile] = []
    for path in sorted((Path(pydicom.data.__file__).parent / "test_files").glob("*.dcm")):
        try:
            meta, offset = split_dataset(path)
        except (InvalidDicomError, AttributeError, NotImplementedError, ValueError):
            continue
        names = ("MediaStorageSOPClassUID", "MediaStorageSOPInstanceUID", "TransferSyntaxUID")
        uids = [str(meta.get(name) or "") for name in names]
        if all(uids) and path.stat().st_size <= MOST_SEED_BYTES:
            found.append(SeedFile(*uids, path.read_bytes()[offset:]))
    return tuple(found)


def corrupt_file(dice: random.Random, number: int) -> SeedFile:
    """Return a seed under a UID of its own, so that it is no duplicate, with damage."""
    seed = dice.choice(seed_files())
    uid = (
        f"{seed.sop_instance_uid[:-6]}{number:06d}".removesuffix(".")
        if len(seed.sop_instance_uid) > 12
        else ""
    )
    content = seed.content.replace(seed.sop_instance_uid.encode(), uid.encode()) if uid else seed.content
    match dice.randrange(4):
        case 0:
            content = content[: dice.randrange(1, len(content))]
        case 1:
            at = dice.randrange(len(content))
            content = content[:at] + bytes(dice.randrange(1, 4096)) + content[at:]
        case 2:
            content = mutated(content, dice, HEADER_BYTES)
        case _:
            content = mutated(content, dice)
    return SeedFile(
        seed.sop_class_uid, uid or seed.sop_instance_uid, seed.transfer_syntax_uid, content or b"\0"
    )
