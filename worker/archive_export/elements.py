"""Reads data sets that may be malformed, element by element, without a word about their values."""

import warnings
from collections.abc import Generator
from contextlib import contextmanager

from pydicom.config import disable_value_validation
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset

from model.imaging.elements import MALFORMED


@contextmanager
def tolerant() -> Generator[None]:
    """Let pydicom read and write what is not as it should be; its warnings would quote values."""
    with disable_value_validation(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def read_element(ds: Dataset, tag: int) -> DataElement | None:
    """Read one element; None where its value cannot be read as its VR says."""
    try:
        return ds[tag]
    except MALFORMED:
        return None
