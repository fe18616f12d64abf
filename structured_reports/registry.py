"""Which writers there are, and the one call that makes all results of a reading."""

from collections.abc import Mapping
from dataclasses import replace
from functools import partial

from pydicom.dataset import Dataset

from model.reading import Reading
from structured_reports.errors import ConstructionError, SourceError
from structured_reports.headers import identified, normalised
from structured_reports.sources import Run, Sources
from structured_reports.writers.presentation_state import write_presentation_states
from structured_reports.writers.segmentation import write_segmentations
from structured_reports.writers.tid1500 import ReportClass, write_report
from structured_reports.writers.writer import Draft, Writer

WRITERS: dict[str, Writer] = {
    "segmentation": write_segmentations,
    "presentation state": write_presentation_states,
    "report": write_report,
}
"""In sending order: the report comes last, as it names the others."""


def write_results(
    reading: Reading,
    sources: Sources,
    run: Run,
    *,
    report_class: ReportClass = ReportClass.COMPREHENSIVE_3D,
) -> tuple[Dataset, ...]:
    """Say a reading in DICOM: segmentations, presentation states, and last the report.

    Every object has its file meta information and can be written as it is. Equal arguments give equal bytes.

    Raises:
        ReportError: the reading cannot be said truthfully; the subclass says why.
    """
    if not sources.current:
        raise SourceError("there is no source")
    draft = Draft(reading, sources, run, headers_of(sources))
    for name, writer in _chosen(report_class).items():
        draft = replace(draft, written=(*draft.written, *_written(name, writer, draft)))
    return draft.written


def headers_of(sources: Sources) -> dict[str, Dataset]:
    """Normalise what results are built on; what they only refer to stays as it is.

    Raises:
        SourceError: an instance cannot be identified.
    """
    built_on = (*sources.current, *sources.evidence)
    headers = {str(ds.SOPInstanceUID): ds for ds in map(identified, sources.all_instances())}
    try:
        return headers | {str(ds.SOPInstanceUID): normalised(ds) for ds in built_on}
    except (NotImplementedError, ValueError) as error:
        raise SourceError("a source header cannot be read") from error


def _written(name: str, writer: Writer, draft: Draft) -> tuple[Dataset, ...]:
    """Call one writer; what the library says to a source it cannot build on becomes ours."""
    try:
        return writer(draft)
    except (AttributeError, KeyError, NotImplementedError, TypeError, ValueError) as error:
        raise ConstructionError(name) from error


def _chosen(report_class: ReportClass) -> Mapping[str, Writer]:
    return {**WRITERS, "report": partial(write_report, report_class=report_class)}
