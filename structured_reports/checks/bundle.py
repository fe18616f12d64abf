"""Objects that are judged together: results, and the images they speak of as far as they are at hand."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from pydicom.dataset import Dataset

from structured_reports.content_tree import walk

SR_CLASSES = "1.2.840.10008.5.1.4.1.1.88."
KEY_OBJECTS = "1.2.840.10008.5.1.4.1.1.88.59"
SEGMENTATIONS = ("1.2.840.10008.5.1.4.1.1.66.4", "1.2.840.10008.5.1.4.1.1.66.7")
PRESENTATION_STATES = "1.2.840.10008.5.1.4.1.1.11."
PARAMETRIC_MAP = "1.2.840.10008.5.1.4.1.1.30"
ENCAPSULATED = "1.2.840.10008.5.1.4.1.1.104."
SECONDARY_CAPTURE = "1.2.840.10008.5.1.4.1.1.7"
"""SOP classes, or what those of one kind begin with (PS3.4 B.5)."""


def is_report(ds: Dataset) -> bool:
    uid = str(ds.get("SOPClassUID"))
    return uid.startswith(SR_CLASSES) and uid != KEY_OBJECTS


def is_imaging_measurement_report(ds: Dataset) -> bool:
    """Say whether a report has the title of TID 1500."""
    return is_report(ds) and any(
        code.get("CodeValue") == "126000" for code in ds.get("ConceptNameCodeSequence", ())
    )


def is_segmentation(ds: Dataset) -> bool:
    return str(ds.get("SOPClassUID")) in SEGMENTATIONS


def is_document(ds: Dataset) -> bool:
    """Say whether an object has a content tree: a report or a key object selection."""
    return str(ds.get("SOPClassUID")).startswith(SR_CLASSES)


def is_result(ds: Dataset) -> bool:
    """Say whether an object speaks of images instead of being one that was acquired."""
    uid = str(ds.get("SOPClassUID"))
    if is_result_class(uid):
        return True
    return uid == SECONDARY_CAPTURE and bool(ds.get("SourceImageSequence"))


def is_result_class(uid: str) -> bool:
    """Say whether objects of a SOP class always speak of images."""
    made = (SR_CLASSES, PRESENTATION_STATES, ENCAPSULATED)
    return uid.startswith(made) or uid == PARAMETRIC_MAP or uid in SEGMENTATIONS


@dataclass(frozen=True, slots=True)
class Reference:
    """One instance that an object names."""

    sop_class_uid: str
    sop_instance_uid: str
    frame_numbers: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True, eq=False)
class Bundle:
    """What is judged, and what it can be compared with."""

    results: tuple[Dataset, ...]
    images: Mapping[str, Dataset]
    """By SOP Instance UID."""

    def source_of(self, ds: Dataset) -> Dataset | None:
        """Find an image of the study that a result is filed in; None if none is at hand."""
        return next(
            (i for i in self.images.values() if i.get("StudyInstanceUID") == ds.get("StudyInstanceUID")), None
        )

    def result(self, uid: str) -> Dataset | None:
        return next((ds for ds in self.results if str(ds.get("SOPInstanceUID")) == uid), None)


def sorted_out(datasets: Iterable[Dataset]) -> Bundle:
    """Tell results from the images that they speak of."""
    results: list[Dataset] = []
    images: dict[str, Dataset] = {}
    for ds in datasets:
        if is_result(ds):
            results.append(ds)
        else:
            images[str(ds.get("SOPInstanceUID"))] = ds
    return Bundle(tuple(results), images)


def references_of(ds: Dataset) -> Iterator[Reference]:
    """Yield what the content of a document, or the frames of another object, name."""
    items = walk(ds) if is_document(ds) else [ds]
    for item in items:
        yield from _references(item, inside_document=is_document(ds))


def evidence_of(ds: Dataset, keyword: str) -> Iterator[tuple[str, Reference]]:
    """Yield study UID and reference of every instance that an evidence sequence lists."""
    for study in ds.get(keyword, ()):
        for series in study.get("ReferencedSeriesSequence", ()):
            for item in series.get("ReferencedSOPSequence", ()):
                yield str(study.get("StudyInstanceUID")), _reference(item)


def _references(ds: Dataset, *, inside_document: bool) -> Iterator[Reference]:
    for element in ds:
        if element.VR != "SQ" or element.keyword == "ContentSequence":
            continue
        for item in element.value:
            if "ReferencedSOPInstanceUID" in item:
                yield _reference(item)
            if not inside_document:
                yield from _references(item, inside_document=False)


def _reference(item: Dataset) -> Reference:
    said = item.get("ReferencedFrameNumber")
    frames = () if said is None else (said,) if isinstance(said, int | str) else tuple(said)
    return Reference(
        str(item.get("ReferencedSOPClassUID")),
        str(item.get("ReferencedSOPInstanceUID")),
        tuple(int(frame) for frame in frames),
    )
