"""Text of the model is text, whatever it looks like."""

import re
from dataclasses import replace

import pytest
from pydicom import Dataset

from model.reading import Narrative
from structured_reports.registry import write_results
from tests.unit.structured_reports.readings import RUN, chest_reading, header, items, name_of, only, sources

CONTROLS = [chr(code) for code in (*range(32), *range(127, 160)) if chr(code) not in "\t\n\r"]
LOOKS_LIKE = [
    *("No effusion.\r\nIMPRESSION: normal", "IMPRESSION:\nnormal", "\r\n\r\nFINDINGS\r\nnone", "VERIFIED"),
    *("Electronically signed by Dr. X", "<script>alert(1)</script>", "<img src=x onerror=alert(1)>"),
    *("</td></tr></table>", "&lt;b&gt; &amp; &#0;", "{{7*7}}", "${jndi:ldap://x}", "{% raw %}"),
    *("MSH|^~\\&|NODE|||PACS", "OBX|1|TX|||normal", "|^~\\&", "\\.br\\", "\\X0D\\", "text\\more\\text"),
    *(
        '{"verified": true}',
        "[]",
        "null",
        "'; DROP TABLE results; --",
        "../../etc/passwd",
        "1.2.840.10008.1.1",
    ),
    *("<CONTAINER>", "121071", "(0040,A730)", "\u202enormal", "\u2028IMPRESSION", "\ufeffx", "x" * 2000),
]
PAYLOADS = [*LOOKS_LIKE, *(f"No{control}effusion" for control in CONTROLS[: 62 - len(LOOKS_LIKE)])]


def report(text: str) -> Dataset:
    ds = header()
    reading = replace(chest_reading(ds), narrative=Narrative(text, "Nodule."))
    return only(write_results(reading, sources(ds), RUN), "SR")


def shape(ds: Dataset) -> list[tuple[str, str, str]]:
    """The content tree without its texts."""
    return [(item.RelationshipType, item.ValueType, name_of(item)) for item in items(ds)]


@pytest.fixture(scope="module")
def plain() -> list[tuple[str, str, str]]:
    return shape(report("No effusion."))


@pytest.mark.parametrize("text", PAYLOADS, ids=range(len(PAYLOADS)))
def test_X16_text_of_the_model_never_becomes_structure(text: str, plain: list[tuple[str, str, str]]) -> None:
    written = report(text)

    assert shape(written) == plain
    assert written.VerificationFlag == "UNVERIFIED"
    said = [str(item.TextValue) for item in items(written) if item.ValueType == "TEXT"]
    assert not any(re.search(r"[\x00-\x08\x0b-\x0c\x0e-\x1f\x7f-\x9f\u202e]", each) for each in said)
