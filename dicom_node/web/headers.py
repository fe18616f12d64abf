"""Headers of stored instances, read from their files as needed and remembered."""

import logging
from collections.abc import Collection
from contextlib import suppress
from functools import lru_cache
from pathlib import Path
from typing import Final

from pydicom import Dataset, dcmread

from dicom_node.study import Instance
from dicom_node.unreadable import UNREADABLE
from dicom_node.web.attributes import INSTANCE_ATTRIBUTES, SERIES_ATTRIBUTES, STUDY_ATTRIBUTES, path_of

logger = logging.getLogger(__name__)

REMEMBERED: Final = 8192
"""Headers kept in memory, of about a kilobyte each."""
_LARGE_VALUE: Final = 1 << 16
_TAGS: Final = frozenset(
    path_of(keyword)[0] for keyword in (*STUDY_ATTRIBUTES, *SERIES_ATTRIBUTES, *INSTANCE_ATTRIBUTES)
)


class Headers:
    """What searches need of the files. Files never change, so what was read stays true."""

    def __init__(self) -> None:
        self._read = lru_cache(REMEMBERED)(_read)

    def of(self, instance: Instance, more: Collection[int] = ()) -> Dataset:
        """Return the attributes of searches and some more, as far as it has them. Not to be changed.

        What cannot be read any more is known by what the index has of it.
        """
        found = _read(instance.path, _TAGS | set(more)) if more else self._read(instance.path, _TAGS)
        return from_index(instance) if found is None else found


def _read(path: Path, tags: frozenset[int]) -> Dataset | None:
    found = Dataset()
    try:
        ds = dcmread(path, stop_before_pixels=True, specific_tags=sorted(tags), defer_size=_LARGE_VALUE)
    except UNREADABLE as exc:
        logger.warning("a header cannot be read", extra={"error": type(exc).__name__})
        return None
    for tag in ds.keys() & tags:
        # One value that cannot be decoded does not cost the others.
        with suppress(*UNREADABLE):
            found.add(ds[tag])
    return found


def from_index(instance: Instance) -> Dataset:
    """Return what the index knows of an instance whose file cannot be read."""
    ds = Dataset()
    ds.StudyInstanceUID = instance.study_instance_uid
    ds.SeriesInstanceUID = instance.series_instance_uid
    ds.SOPInstanceUID = instance.sop_instance_uid
    ds.SOPClassUID = instance.sop_class_uid
    ds.Modality = instance.modality
    return ds
