"""A Key Object Selection (PS3.3 A.35.4, PS3.16 TID 2010): the frames that show what was found."""

from highdicom.ko import KeyObjectSelection, KeyObjectSelectionDocument
from pydicom.dataset import Dataset
from pydicom.sr.coding import Code

from structured_reports.finishing import UNFINISHED, finished, run_key, series_place
from structured_reports.geometry import frame_numbers
from structured_reports.provenance import contributing_equipment, equipment, statements
from structured_reports.stand_in import stand_in
from structured_reports.wording import series_description
from structured_reports.writers.key_frames import key_frames
from structured_reports.writers.observation import device_observer, language
from structured_reports.writers.requests import referenced_requests
from structured_reports.writers.writer import Draft

SERIES_NUMBER = 9004
OF_INTEREST = Code("113000", "DCM", "Of Interest")
"""Title. Others of CID 7010, as 113001 and 113037 to 113039, make archives hide what is named."""


def write_key_objects(draft: Draft) -> tuple[Dataset, ...]:
    """Select the frames of the current study that show what was found; none where nothing has a place."""
    frames = key_frames(draft.reading)
    if not frames:
        return ()
    reading, run = draft.reading, draft.run
    source = draft.sources.current[0]
    headers = [draft.header_of(frame) for frame in frames]
    selection = KeyObjectSelection(
        OF_INTEREST,
        headers,
        observer_device_context=device_observer(run),
        description=" ".join(statements(reading.model)),
    )
    selection[0].ContentSequence = [*language(run.language), *selection[0].ContentSequence]
    place = series_place(
        "KO",
        SERIES_NUMBER,
        series_description("key images", reading.modality, run.revision),
        key=run_key(source.StudyInstanceUID, reading.model, run),
    )
    result = KeyObjectSelectionDocument(
        evidence=list({str(header.SOPInstanceUID): header for header in headers}.values()),
        content=selection,
        series_instance_uid=place.uid,
        series_number=place.number,
        sop_instance_uid=UNFINISHED,
        instance_number=1,
        requested_procedures=referenced_requests(draft.current[0]),
        specific_character_set="ISO_IR 192",
        contributing_equipment=[contributing_equipment(reading.model, run)],
        **equipment(reading.model, run),
    )
    references = [item for item in result.ContentSequence if item.ValueType == "IMAGE"]
    for item, frame, header in zip(references, frames, headers, strict=True):
        # Unnamed: TID 2010 gives these no concept name, and PixelMed's validator refuses one.
        del item.ConceptNameCodeSequence
        if numbers := frame_numbers(header, frame.frame_number):
            item.ReferencedSOPSequence[0].ReferencedFrameNumber = numbers[0]
    result.copy_patient_and_study_information(stand_in(draft.current[0]))
    return (finished(result, source, run, place),)
