"""Pictures with everything burned in (Secondary Capture, PS3.3 A.8.1), where a viewer shows nothing else."""

from typing import Any

import numpy as np
from highdicom.sc import SCImage
from pydicom.dataset import Dataset
from pydicom.uid import ExplicitVRLittleEndian

from model.volume import FrameKey
from structured_reports.errors import SourceError
from structured_reports.finishing import UNFINISHED, SeriesPlace, finished, run_key, series_place
from structured_reports.geometry import is_multi_frame
from structured_reports.headers import empty_element
from structured_reports.picture import draw
from structured_reports.provenance import contributing_equipment, equipment
from structured_reports.wording import series_description
from structured_reports.writers.body_part import say_body_part
from structured_reports.writers.key_frames import key_frames
from structured_reports.writers.writer import Draft

SERIES_NUMBER = 9401
_LOSSY = ("LossyImageCompression", "LossyImageCompressionRatio", "LossyImageCompressionMethod")
MOST_PICTURES = 8
"""A series of pictures is looked through, not read."""


def write_secondary_captures(draft: Draft) -> tuple[Dataset, ...]:
    """Draw the frames that show what was found, with what the other objects say; else the first image.

    Written after the report, from which its words are taken.

    Raises:
        SourceError: the pixel data of a source is not at hand or cannot be decoded.
    """
    first = draft.sources.current[0]
    frames = key_frames(draft.reading) or [FrameKey(str(first.SOPInstanceUID))]
    place = series_place(
        "SC",
        SERIES_NUMBER,
        series_description("pictures", draft.reading.modality, draft.run.revision),
        key=run_key(first.StudyInstanceUID, draft.reading.model, draft.run),
    )
    return tuple(
        _capture(draft, frame, place, number) for number, frame in enumerate(frames[:MOST_PICTURES], start=1)
    )


def _capture(draft: Draft, frame: FrameKey, place: SeriesPlace, instance_number: int) -> Dataset:
    reading, run = draft.reading, draft.run
    header, source = draft.header_of(frame), draft.source_of(frame.sop_instance_uid)
    try:
        picture = draw(source, draft.written, frame_number=frame.frame_number)
    except (AttributeError, RuntimeError, ValueError) as error:
        raise SourceError("the pixel data of a source cannot be drawn") from error
    result = SCImage(
        pixel_array=np.asarray(picture, dtype=np.uint8),
        photometric_interpretation="RGB",
        bits_allocated=8,
        coordinate_system="PATIENT",
        study_instance_uid=header.StudyInstanceUID,
        series_instance_uid=place.uid,
        series_number=place.number,
        sop_instance_uid=UNFINISHED,
        instance_number=instance_number,
        patient_orientation=("L", "F"),
        transfer_syntax_uid=ExplicitVRLittleEndian,
        specific_character_set="ISO_IR 192",
        contributing_equipment=[contributing_equipment(reading.model, run)],
        **equipment(reading.model, run),
    )
    result.copy_patient_and_study_information(draft.current[0])
    result.Modality = "OT"
    # A picture with a legend beside it has no orientation of its own; the letters in it say the sides.
    result.add(empty_element("PatientOrientation"))
    result.ConversionType = "WSD"
    result.BurnedInAnnotation = "YES"
    say_body_part(result, reading.modality)
    result.SourceImageSequence = [_reference(header, frame)]
    for keyword in _LOSSY:
        # What was once compressed with loss stays so in everything made of it (PS3.3 C.7.6.1.1.5).
        if keyword in header:
            result[keyword] = header[keyword]
    return finished(result, draft.sources.current[0], run, place)


def _reference(header: Dataset, frame: FrameKey) -> Dataset:
    item: Any = Dataset()
    item.ReferencedSOPClassUID = header.SOPClassUID
    item.ReferencedSOPInstanceUID = header.SOPInstanceUID
    if is_multi_frame(header):
        item.ReferencedFrameNumber = frame.frame_number
    return item
