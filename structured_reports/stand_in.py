"""A source as highdicom can build on it, and the truth written back afterwards.

highdicom wants functional groups from every multi-frame class, also of one frame, and a map of modules from
every class. What results take over from their source, Patient and Study, is the same in all classes.
"""

from pydicom.dataset import Dataset
from pydicom.uid import SecondaryCaptureImageStorage

from structured_reports.geometry import is_multi_frame


def stand_in(header: Dataset) -> Dataset:
    """Show a source as a single-frame image of a class that highdicom knows; an enhanced one stays itself."""
    if "PerFrameFunctionalGroupsSequence" in header:
        return header
    shown = Dataset()
    shown.update(header)
    # Taken out before it is set: the elements are those of `header`, where a new value would show up.
    shown.pop("SOPClassUID")
    shown.pop("NumberOfFrames", None)
    shown.SOPClassUID = SecondaryCaptureImageStorage
    return shown


def restore_source(ds: Dataset, header: Dataset, frame_number: int = 1) -> None:
    """Write the true class of a source, and the frame if it has several, into every reference to it."""
    for element in ds:
        for item in element.value if element.VR == "SQ" else ():
            if item.get("ReferencedSOPInstanceUID") == header.SOPInstanceUID:
                item.ReferencedSOPClassUID = header.SOPClassUID
                if element.keyword == "SourceImageSequence" and is_multi_frame(header):
                    item.ReferencedFrameNumber = frame_number
            restore_source(item, header, frame_number)
