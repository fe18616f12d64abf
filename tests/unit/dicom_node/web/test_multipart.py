"""Bodies of several parts, cut anywhere and broken in every way (RFC 2046 5.1)."""

from email.generator import BytesGenerator
from email.mime.application import MIMEApplication
from email.mime.multipart import MIMEMultipart
from email.policy import HTTP
from io import BytesIO

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dicom_node.web.multipart import MOST_HEAD, MultipartReader, PartBegins, PartContent, is_boundary

Part = tuple[str | None, bytes, bool]


def parts_of(body: bytes, boundary: str = "edge", step: int = 0) -> list[Part]:
    """Content type, content and wholeness of each part, of a body that comes in steps."""
    reader = MultipartReader(boundary)
    step = step or len(body) or 1
    events = [event for at in range(0, len(body), step) for event in reader.feed(body[at : at + step])]
    events += reader.finish()
    parts: list[Part] = []
    kind: str | None = None
    content = b""
    for event in events:
        if isinstance(event, PartBegins):
            kind, content = event.content_type, b""
        elif isinstance(event, PartContent):
            content += event.content
        else:
            parts.append((kind, content, event.is_whole))
    return parts


def part(content: bytes, head: bytes = b"Content-Type: application/dicom\r\n") -> bytes:
    return b"--edge\r\n" + head + b"\r\n" + content + b"\r\n"


END = b"--edge--"
DICOM = "application/dicom"


@given(
    contents=st.lists(st.binary(max_size=200) | st.just(b"\r\n--edg\r\n--edgeX\r\n-- edge"), max_size=5),
    step=st.integers(1, 60),
)
def test_parts_come_out_as_they_went_in_wherever_they_are_cut(contents: list[bytes], step: int) -> None:
    # A content that holds the delimiter itself could not be sent.
    contents = [each for each in contents if b"--edge" not in each.replace(b"--edgeX", b"")]
    body = b"".join(map(part, contents)) + END
    assert parts_of(body, step=step) == [(DICOM, each, True) for each in contents]


def test_what_pythons_own_library_writes_is_read() -> None:
    message = MIMEMultipart("related", boundary="edge", policy=HTTP)
    message.attach(MIMEApplication(b"one", "dicom", _encoder=lambda _: None, policy=HTTP))
    message.attach(MIMEApplication(b"two", "octet-stream", _encoder=lambda _: None, policy=HTTP))
    out = BytesIO()
    BytesGenerator(out, policy=HTTP).flatten(message)
    _, _, body = out.getvalue().partition(b"\r\n\r\n")
    assert parts_of(body) == [(DICOM, b"one", True), ("application/octet-stream", b"two", True)]


@pytest.mark.parametrize("step", [1, 7, 0])
@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (b"a preamble\r\n" + part(b"x") + END + b"\r\nan epilogue", [(DICOM, b"x", True)]),
        (b"\r\n" + part(b"x") + END, [(DICOM, b"x", True)]),
        (b"--edge \t\r\nContent-Type: application/dicom\r\n\r\nx\r\n" + END, [(DICOM, b"x", True)]),
        (b"--edge\r\n\r\nno head\r\n" + END, [("", b"no head", True)]),
        (b"--edge\r\ncontent-TYPE:a/b\r\n\r\n" + END, [("a/b", b"", True)]),
        (part(b"") + END, [(DICOM, b"", True)]),
    ],
)
def test_forms_that_the_grammar_allows(body: bytes, expected: list[Part], step: int) -> None:
    assert parts_of(body, step=step) == expected


@pytest.mark.parametrize("step", [1, 7, 0])
@pytest.mark.parametrize(
    ("broken", "expected"),
    [
        (b"--edge\r\nno colon here\r\n\r\nx\r\n", (None, b"x", True)),
        (b"--edge\r\nContent-Type: application/dicom\r\n", (None, b"", True)),
        (part(b"x", b"X: " + b"y" * MOST_HEAD + b"\r\n"), None),
        (b"--edgeling\r\nX: y\r\n\r\nother boundary\r\n", None),
    ],
)
def test_a_broken_part_does_not_cost_its_neighbours(broken: bytes, expected: Part | None, step: int) -> None:
    found = parts_of(part(b"one") + broken + part(b"two") + END, step=step)
    assert found[0][2]
    assert found[-1] == (DICOM, b"two", True)
    assert expected is None or found[1] == expected
    assert all(kind != DICOM or content.startswith((b"one", b"two")) for kind, content, _ in found)


@pytest.mark.parametrize("step", [1, 0])
def test_a_body_that_breaks_off_leaves_the_last_part_open(step: int) -> None:
    found = parts_of(part(b"one") + part(b"some more"), step=step)
    assert [(kind, is_whole) for kind, _, is_whole in found] == [(DICOM, True), (DICOM, False)]
    assert parts_of(part(b"one") + b"--edge\r\nContent-", step=step) == [
        (DICOM, b"one", True),
        (None, b"", False),
    ]


def test_a_body_without_any_delimiter_has_no_parts_and_is_not_kept() -> None:
    reader = MultipartReader("edge")
    for _ in range(100):
        assert list(reader.feed(b"x" * 10_000)) == []
        assert len(reader._pending) < 100
    assert list(reader.finish()) == []


def test_nothing_after_the_closing_delimiter_counts() -> None:
    assert parts_of(part(b"one") + END + b"\r\n" + part(b"smuggled") + END) == [(DICOM, b"one", True)]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("edge", True),
        ("a b", True),
        ("a" * 73, True),
        ("a" * 201, False),
        ("", False),
        ("a ", False),
        ("é", False),
    ],
)
def test_what_may_be_a_boundary(text: str, expected: bool) -> None:
    assert is_boundary(text) is expected
