"""A rejection note (IHE IOCM): a Key Object Selection whose title makes archives hide what it names."""

from collections.abc import Sequence
from datetime import datetime
from enum import StrEnum

from highdicom.ko import KeyObjectSelection, KeyObjectSelectionDocument
from pydicom.dataset import Dataset
from pydicom.sr.coding import Code

from structured_reports.errors import SourceError
from structured_reports.finishing import UNFINISHED, finished, series_place
from structured_reports.headers import normalised
from structured_reports.provenance import DEVICE_MODEL, MANUFACTURER, is_own_result
from structured_reports.sources import Run
from structured_reports.writers.observation import device_observer, language

SERIES_NUMBER = 9005


class Ground(StrEnum):
    """Why results are withdrawn."""

    PATIENT_SAFETY = "patient-safety"
    """They must not be seen any more: wrong, or of another patient."""
    QUALITY = "quality"
    """They are of no use; an archive may still show them on demand."""


TITLES = {
    Ground.PATIENT_SAFETY: Code("113037", "DCM", "Rejected for Patient Safety Reasons"),
    Ground.QUALITY: Code("113001", "DCM", "Rejected for Quality Reasons"),
}
"""Document titles of CID 7010."""

_DESCRIPTION = "Results of an AI model, withdrawn by a person at the site that produced them."


def rejection_note(
    results: Sequence[Dataset], ground: Ground, *, decided_at: datetime, software_version: str
) -> Dataset:
    """Write the note on results of one study; their headers are enough. Who decided is not said in it.

    Raises:
        SourceError: there is none, one is not ours, or they are of several studies.
    """
    if not results or not all(map(is_own_result, results)):
        raise SourceError("only results of this software are withdrawn by it")
    if len({str(ds.StudyInstanceUID) for ds in results}) > 1:
        raise SourceError("a rejection note is about one study")
    run = Run(revision=1, started_at=decided_at, software_version=software_version)
    header = normalised(results[0])
    named = [_named(ds) for ds in results]
    selection = KeyObjectSelection(
        TITLES[ground], named, observer_device_context=device_observer(run), description=_DESCRIPTION
    )
    selection[0].ContentSequence = [*language(run.language), *selection[0].ContentSequence]
    place = series_place(
        "withdrawal",
        SERIES_NUMBER,
        "AI results withdrawn (RESEARCH)",
        key=(str(header.StudyInstanceUID), decided_at.isoformat(), *(str(ds.SOPInstanceUID) for ds in named)),
    )
    result = KeyObjectSelectionDocument(
        # The first gives patient and study as well.
        evidence=[header, *named[1:]],
        content=selection,
        series_instance_uid=place.uid,
        series_number=place.number,
        sop_instance_uid=UNFINISHED,
        instance_number=1,
        specific_character_set="ISO_IR 192",
        manufacturer=MANUFACTURER,
        manufacturer_model_name=DEVICE_MODEL,
        software_versions=[software_version[:64]],
        device_serial_number=run.device_serial_number,
    )
    for item in result.ContentSequence:
        if item.ValueType in {"IMAGE", "COMPOSITE"}:
            # TID 2010 gives these no concept name, and PixelMed's validator refuses one.
            del item.ConceptNameCodeSequence
    result.copy_patient_and_study_information(header)
    return finished(result, results[0], run, place)


def _named(ds: Dataset) -> Dataset:
    """Keep of a result what a reference says; SEG and captures are images, the others are not."""
    keywords = ("StudyInstanceUID", "SeriesInstanceUID", "SOPClassUID", "SOPInstanceUID", "Rows", "Columns")
    named = Dataset()
    named.update({ds[keyword].tag: ds[keyword] for keyword in keywords if keyword in ds})
    return named
