"""PDUs, fragments and messages: any split of the stream means the same, and nonsense is an error."""

import struct
from collections.abc import Iterator, Sequence
from itertools import repeat
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pynetdicom.dimse_messages import C_STORE_RSP, DIMSEMessage
from pynetdicom.dimse_primitives import C_STORE
from pynetdicom.pdu import P_DATA_TF
from pynetdicom.pdu_primitives import P_DATA

from dicom_node.errors import ProtocolError
from dicom_node.upper_layer.dialogue import MAX_OTHER_BYTES, StoreDialogue
from dicom_node.upper_layer.dimse_messages import (
    CommandSet,
    for_library,
    parse_command,
    store_response,
)
from dicom_node.upper_layer.p_data import IN_PLACE_BYTES, Fragment, PDataReader

CONTEXT = 5
PAGE = 70_001


def pdv(content: bytes, *, is_command: bool, is_last: bool, context_id: int = CONTEXT) -> bytes:
    return struct.pack(">LBB", len(content) + 2, context_id, is_command | is_last << 1) + content


def pdu(*pdvs: bytes) -> bytes:
    body = b"".join(pdvs)
    return struct.pack(">BBL", 4, 0, len(body)) + body


def command(field: int = 1, *, message_id: int | None = 7, has_data: bool = True) -> bytes:
    """A request, encoded by hand (PS3.7 6.3.1)."""
    elements = [(0x0002, b"1.2.840.10008.5.1.4.1.1.2\0"), (0x0100, struct.pack("<H", field))]
    if message_id is not None:
        elements.append((0x0110, struct.pack("<H", message_id)))
    elements.append((0x0800, struct.pack("<H", 0x0001 if has_data else 0x0101)))
    elements.append((0x1000, b"1.2.3.4\0"))
    return b"".join(struct.pack("<HHL", 0, e, len(v)) + v for e, v in elements)


class FakeReceiving:
    """Takes one data set and remembers it."""

    def __init__(self, command_set: CommandSet) -> None:
        self.command_set = command_set
        self.content = b""
        self.is_aborted = False

    def write(self, fragment: memoryview) -> None:
        self.content += fragment

    def room(self, most: int) -> memoryview | None:
        """Room for no more than is left of a page of odd size, as a spool file has it."""
        return memoryview(bytearray(min(most, PAGE - len(self.content) % PAGE)))

    def advance(self, fragment: memoryview) -> None:
        self.content += fragment

    def abort(self) -> None:
        self.is_aborted = True

    def patience_s(self) -> float:
        return 10.0

    def answer(self) -> tuple[int, str]:
        return 0x0000, ""


class Conversation:
    """A dialogue behind a reader, with everything that comes out of it."""

    def __init__(self, max_length: int = 1 << 17) -> None:
        self.received: list[FakeReceiving] = []
        self.responses: list[bytes] = []
        self.passed_on: list[tuple[bool, bool, bytes]] = []
        self.dialogue = StoreDialogue(
            self._begin, self.responses.append, self._pass_on, lambda c: c == CONTEXT
        )
        self.reader = PDataReader(self.dialogue, max_length)

    def _begin(self, command_set: CommandSet, context_id: int) -> FakeReceiving:
        self.received.append(FakeReceiving(command_set))
        return self.received[-1]

    def _pass_on(self, fragment: Fragment) -> None:
        self.passed_on.append((fragment.is_command, fragment.is_last, bytes(fragment.content)))

    def feed(self, stream: bytes, cuts: Sequence[int] = ()) -> None:
        """Feed a stream in pieces, keeping what was not consumed, as a socket buffer does."""
        left = b""
        for start, end in zip([0, *cuts], [*cuts, len(stream)], strict=True):
            left += stream[start:end]
            left = left[self.reader.feed(memoryview(left)) :]
        self.left = left


def receive(conversation: Conversation, stream: bytes, lengths: Iterator[int], steady: bool = False) -> int:
    """Read a stream as the provider does, `lengths` at most at a time; return how much came in place.

    What is received in place comes whole if it is `steady`.

    What is waited for ahead must be there: a peer that says no more would be waited for in vain.
    """
    reader, left, at, in_place = conversation.reader, b"", 0, 0
    while at < len(stream):
        room = None if left else reader.room()
        if room is None:
            piece = stream[at : at + next(lengths)]
            left += piece
        else:
            assert at + len(room) + reader.ahead <= len(stream)
            wanted = len(room) + reader.ahead
            piece = stream[at : at + (wanted if steady else min(wanted, next(lengths)))]
            received = min(len(piece), len(room))
            room[:received] = piece[:received]
            reader.took_in_place(room[:received])
            left, in_place = piece[received:], in_place + received
        at += len(piece)
        left = left[reader.feed(memoryview(left)) :]
    conversation.left = left
    return in_place


def store_messages(*contents: bytes) -> bytes:
    stream = b""
    for content in contents:
        half = len(content) // 2
        stream += pdu(pdv(command(), is_command=True, is_last=True))
        stream += pdu(pdv(content[:half], is_command=False, is_last=False))
        stream += pdu(pdv(content[half:], is_command=False, is_last=True))
    return stream


@settings(deadline=None)
@given(st.lists(st.binary(max_size=60), min_size=1, max_size=3), st.data())
def test_any_split_of_the_stream_means_the_same(contents: list[bytes], data: st.DataObject) -> None:
    stream = store_messages(*contents)
    cuts = sorted(data.draw(st.sets(st.integers(0, len(stream)), max_size=12)))
    conversation = Conversation()

    conversation.feed(stream, cuts)

    assert [receiving.content for receiving in conversation.received] == contents
    assert len(conversation.responses) == len(contents)
    assert conversation.left == b""


@settings(deadline=None, max_examples=50)
@given(
    st.lists(st.integers(0, 4 * IN_PLACE_BYTES), min_size=1, max_size=3), st.randoms(use_true_random=False)
)
def test_fragments_received_in_place_mean_the_same(sizes: list[int], chance: Random) -> None:
    contents = [chance.randbytes(size) for size in sizes]
    conversation = Conversation()
    lengths = iter(lambda: chance.choice((1, 5, 12, 4096, 50_000, 1 << 20)), None)

    receive(conversation, store_messages(*contents), lengths)

    assert [receiving.content for receiving in conversation.received] == contents
    assert len(conversation.responses) == len(contents)
    assert conversation.left == b""


def test_large_fragments_are_received_in_place_but_for_what_comes_with_their_headers() -> None:
    content = bytes(range(256)) * 1600
    pieces = [content[at : at + 131_060] for at in range(0, len(content), 131_060)]
    data = [pdu(pdv(each, is_command=False, is_last=each is pieces[-1])) for each in pieces]
    conversation = Conversation()

    stream = pdu(pdv(command(), is_command=True, is_last=True)) + b"".join(data)

    came = receive(conversation, stream, repeat(1 << 12), steady=True)

    assert conversation.received[0].content == content
    assert conversation.reader.is_in_large_pieces
    assert came > 0.9 * len(content)


@pytest.mark.parametrize("is_refused", [False, True])
def test_only_data_of_a_store_that_is_kept_have_room(
    is_refused: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if is_refused:
        monkeypatch.setattr(FakeReceiving, "room", lambda self, most: None)
    conversation = Conversation()
    begun = pdu(pdv(bytes(100_000), is_command=False, is_last=True))[:100]
    conversation.feed(pdu(pdv(command(), is_command=True, is_last=True)) + begun)
    room = conversation.reader.room()

    assert (room is None) == is_refused

    other = Conversation()
    other.feed(pdu(pdv(command(0x0030), is_command=True, is_last=True)) + begun)

    assert other.reader.room() is None


def test_command_and_data_may_share_a_pdu() -> None:
    conversation = Conversation()

    conversation.feed(
        pdu(pdv(command(), is_command=True, is_last=True), pdv(b"abc", is_command=False, is_last=True))
    )

    assert conversation.received[0].content == b"abc"


def test_command_may_come_in_fragments() -> None:
    encoded = command()
    conversation = Conversation()

    conversation.feed(
        pdu(pdv(encoded[:9], is_command=True, is_last=False))
        + pdu(pdv(encoded[9:], is_command=True, is_last=True), pdv(b"x", is_command=False, is_last=True))
    )

    assert conversation.received[0].command_set[0x1000] == b"1.2.3.4\0"


def test_other_requests_go_to_the_library() -> None:
    encoded = command(0x0030, has_data=False)
    conversation = Conversation()

    conversation.feed(pdu(pdv(encoded, is_command=True, is_last=True)) + store_messages(b"after"))

    assert conversation.passed_on == [(True, True, encoded)]
    assert conversation.received[0].content == b"after"


def test_reader_stops_before_another_kind_of_pdu() -> None:
    release = bytes.fromhex("05000000000400000000")
    conversation = Conversation()

    conversation.feed(store_messages(b"abc") + release)

    assert conversation.left == release


def test_store_without_a_data_set_is_answered() -> None:
    conversation = Conversation()

    conversation.feed(pdu(pdv(command(has_data=False), is_command=True, is_last=True)))

    assert len(conversation.responses) == 1


@pytest.mark.parametrize(
    "stream",
    [
        pdu(pdv(b"data first", is_command=False, is_last=True)),
        pdu(pdv(command(), is_command=True, is_last=True, context_id=7)),
        pdu(
            pdv(command(), is_command=True, is_last=True),
            pdv(b"", is_command=False, is_last=True, context_id=7),
        ),
        pdu(pdv(command(), is_command=True, is_last=True)) * 2,
        pdu(pdv(command(message_id=None), is_command=True, is_last=True)),
        pdu(pdv(b"\0\0\0\1\xff\0\0\0", is_command=True, is_last=True)),
        pdu(pdv(b"\x08\0\0\1\2\0\0\0ab", is_command=True, is_last=True)),
        pdu(pdv(bytes(1 << 17), is_command=True, is_last=False)),
        pdu(struct.pack(">LBB", 99, CONTEXT, 3)),
        pdu(struct.pack(">LBB", 1, CONTEXT, 3)),
        struct.pack(">BBL", 4, 0, 0xFFFFFFF0),
        pdu(pdv(command(0x0030), is_command=True, is_last=True))
        + pdu(pdv(bytes(100_000), is_command=False, is_last=False)) * (MAX_OTHER_BYTES // 100_000 + 1),
    ],
)
def test_breaches_of_the_protocol_are_errors(stream: bytes) -> None:
    with pytest.raises(ProtocolError):
        Conversation().feed(stream)


def test_unfinished_data_set_is_dropped_when_the_association_ends() -> None:
    conversation = Conversation()
    conversation.feed(store_messages(b"abcdef")[:-3])

    conversation.dialogue.abandon()

    assert conversation.received[0].is_aborted
    assert conversation.responses == []


@settings(deadline=None)
@given(st.binary(max_size=200))
def test_noise_is_consumed_refused_or_left(noise: bytes) -> None:
    conversation = Conversation()
    try:
        conversation.feed(b"\4\0\0\0\0\x40" + noise)
    except ProtocolError:
        return
    assert conversation.received == []


def test_response_is_what_the_library_reads() -> None:
    encoded = store_response(CONTEXT, parse_command(command()), 0xA700, "no space left")
    decoded = P_DATA_TF()
    decoded.decode(encoded)
    message = DIMSEMessage()
    primitive = decoded.to_primitive()
    assert isinstance(primitive, P_DATA)

    message.decode_msg(primitive)
    response = message.message_to_primitive()

    assert isinstance(message, C_STORE_RSP)
    assert isinstance(response, C_STORE)
    assert (response.Status, response.MessageIDBeingRespondedTo) == (0xA700, 7)
    assert response.AffectedSOPInstanceUID == "1.2.3.4"
    assert response.ErrorComment == "no space left"


def test_library_gets_no_element_that_it_does_not_need() -> None:
    foreign = struct.pack("<HHL", 0, 0x0010, 6) + b"MARKER"

    encoded = for_library(parse_command(command(0x0030, has_data=False) + foreign))

    assert encoded == command(0x0030, has_data=False)


@pytest.mark.parametrize("field", [0x0010, 0x0020, 0x0021, 0x0110, 0x0150, 0x8001, 0xFFFF])
def test_message_that_nobody_serves_ends_the_association(field: int) -> None:
    with pytest.raises(ProtocolError, match="not offered"):
        for_library(parse_command(command(field)))


@pytest.mark.parametrize(
    "change",
    [
        {0x0110: b""},
        {0x0110: b"\1\0\2\0"},
        {0x0800: b"\1"},
        {0x1008: b"\1\0\0"},
        {0x0002: b""},
        {0x0002: b"1.2.3\n4"},
        {0x1000: b"1" * 65},
        {0x1001: b"../../x\0"},
        {0x0100: b"\x30\0\0\0"},
    ],
)
def test_library_gets_no_value_that_it_could_not_decode(change: CommandSet) -> None:
    with pytest.raises(ProtocolError):
        for_library(parse_command(command(0x0030, has_data=False)) | change)


@pytest.mark.parametrize("missing", [0x0100, 0x0110, 0x0800])
def test_library_gets_no_message_that_lacks_what_every_one_has(missing: int) -> None:
    elements = parse_command(command(0x0030, has_data=False))
    del elements[missing]

    with pytest.raises(ProtocolError):
        for_library(elements)
