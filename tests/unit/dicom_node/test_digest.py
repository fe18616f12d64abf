"""Digests are those of the published algorithms, and what was received under the older one stays known."""

import hashlib
from io import BytesIO

import pytest
from sqlalchemy import update

from dicom_node import file_meta
from dicom_node.admission import Disposition
from dicom_node.adoption import Adopted, adopt, scrub
from dicom_node.database.engine import Database
from dicom_node.database.schema import instances
from dicom_node.digest import Digest, digest_of, digest_of_rest
from dicom_node.errors import DamagedError
from dicom_node.storage import InstanceStore
from dicom_node.study import Instance, Reason
from tests.unit.dicom_node.arrivals import Sender, dataset, encoded

BLAKE3_VECTORS = {
    b"": "af1349b9f5f9a1a6a0404dea36dcc9499bcb25c9adc112b7cc9a93cae41f3262",
    b"\0": "2d3adedff11b61f14c886e35afa036736dcd87a74d27b5c1510225d0f592e213",
    b"abc": "6437b3ac38465133ffb63b75273a8db548c558465d79db03fd359c6cd5bd9d85",
}
"""Of the algorithm's authors (test_vectors.json; the last of their b3sum)."""
SHA256_OF_ABC = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
"""FIPS 180-2, annex B.1."""
UID = "1.2.3.4"


@pytest.mark.parametrize("content", BLAKE3_VECTORS)
def test_digest_is_the_beginning_of_blake3(content: bytes) -> None:
    assert digest_of(content) == "b3:" + BLAKE3_VECTORS[content][:60]


def test_digest_without_a_mark_is_sha256() -> None:
    assert digest_of(b"abc", like=SHA256_OF_ABC) == SHA256_OF_ABC
    assert digest_of_rest(BytesIO(b"abc"), like=SHA256_OF_ABC) == SHA256_OF_ABC


def test_digest_of_pieces_is_that_of_the_whole() -> None:
    content = bytes(range(256)) * 9000
    digest = Digest()
    for at in range(0, len(content), 100_003):
        digest.update(memoryview(content)[at : at + 100_003])

    assert digest.text() == digest_of(content) == digest_of_rest(BytesIO(content))
    assert len(digest.text()) <= 64


@pytest.fixture
def old(sender: Sender, database: Database) -> Instance:
    """An instance as it was kept before BLAKE3 was used."""
    ds = dataset(SOPInstanceUID=UID)
    sender.send(ds)
    (kept,) = database.instances.of_study(ds.StudyInstanceUID)
    digest = hashlib.sha256(encoded(ds)).hexdigest()
    content = kept.path.read_bytes()
    start = file_meta.data_set_offset(content)
    seal = file_meta.seal(kept.size, digest)
    kept.path.write_bytes(content[: start - len(seal)] + seal + content[start:])
    with database.connections.writing() as connection:
        connection.execute(update(instances).values(digest=digest))
    instance = database.instances.get(UID)
    assert instance is not None
    assert instance.digest == digest
    return instance


def test_what_was_kept_before_is_read_and_checked(old: Instance, store: InstanceStore) -> None:
    assert store.read(old).SOPInstanceUID == UID
    assert scrub(store) == 0

    content = bytearray(old.path.read_bytes())
    content[-1] ^= 1
    old.path.write_bytes(content)

    with pytest.raises(DamagedError):
        store.read(old)
    assert scrub(store) == 1


def test_what_was_kept_before_and_is_sent_again_is_a_duplicate(
    old: Instance, sender: Sender, database: Database
) -> None:
    outcome = sender.send(dataset(SOPInstanceUID=UID))

    assert (outcome.status, outcome.disposition) == (0x0000, Disposition.DUPLICATE)
    assert database.instances.get(UID) == old


@pytest.mark.parametrize("what", ["other content", "file gone", "file no longer ours"])
def test_what_is_not_shown_to_be_the_same_is_a_conflict(
    old: Instance, sender: Sender, database: Database, what: str
) -> None:
    match what:
        case "file gone":
            old.path.unlink()
        case "file no longer ours":
            old.path.write_bytes(b"noise")
    ds = dataset(SOPInstanceUID=UID, **({"InstanceNumber": 77} if what == "other content" else {}))

    outcome = sender.send(ds)

    assert outcome.reason is Reason.UID_CONFLICT
    assert database.instances.get(UID) == old


def test_index_is_made_again_of_what_was_kept_before(old: Instance, database: Database) -> None:
    assert adopt(database, [old.path]) == Adopted(known=1)
