"""Finding one's way in a report that was written or read (PS3.3 C.17.3)."""

from collections.abc import Iterator

from pydicom.dataset import Dataset
from pydicom.sr.coding import Code

MEASUREMENT_GROUP = Code("125007", "DCM", "Measurement Group")
TRACKING_IDENTIFIER = Code("112039", "DCM", "Tracking Identifier")
TRACKING_UID = Code("112040", "DCM", "Tracking Unique Identifier")
ALGORITHM_NAME = Code("111001", "DCM", "Algorithm Name")
ALGORITHM_VERSION = Code("111003", "DCM", "Algorithm Version")


def walk(ds: Dataset) -> Iterator[Dataset]:
    """Yield every content item below `ds`, in document order."""
    for item in ds.get("ContentSequence", ()):
        yield item
        yield from walk(item)


def children(ds: Dataset, name: Code) -> Iterator[Dataset]:
    """Yield the direct children with a concept name."""
    return (item for item in ds.get("ContentSequence", ()) if is_named(item, name))


def groups(report: Dataset) -> list[Dataset]:
    """List the measurement groups of a report."""
    return [item for item in walk(report) if is_named(item, MEASUREMENT_GROUP) and "ContentSequence" in item]


def is_named(item: Dataset, name: Code) -> bool:
    return name_code(item) == name.value


def name_code(item: Dataset) -> str:
    """Give the code value of the concept name; empty without one."""
    return _code_value(item, "ConceptNameCodeSequence")


def value_code(item: Dataset) -> str:
    """Give the code value of a CODE item; empty for others."""
    return _code_value(item, "ConceptCodeSequence")


def code_of(group: Dataset, name: Code) -> str:
    """Give the code value of the first child with a name; empty if there is none."""
    return next((value_code(item) for item in children(group, name)), "")


def text_of(group: Dataset, name: Code) -> str:
    """Give the text of the first child with a name; empty if there is none."""
    return next((str(item.TextValue) for item in children(group, name)), "")


def number_of(group: Dataset, name: Code) -> float | None:
    """Give the number of the first NUM child with a name; None if there is none."""
    values = (item.MeasuredValueSequence[0].NumericValue for item in children(group, name))
    return next((float(value) for value in values), None)


def _code_value(item: Dataset, keyword: str) -> str:
    return next((str(code.get("CodeValue") or "") for code in item.get(keyword, ())), "")
