"""A reading as DICOM objects in a folder, and as a picture drawn from those objects."""

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

from pydicom import Dataset

from model.reading import BoundingBox, Reading, ReadingRequest
from model.volume import FrameKey, Volume
from structured_reports.conformance import publication_faults
from structured_reports.picture import draw
from structured_reports.registry import write_results
from structured_reports.sources import Run, Sources
from worker.errors import PublicationError
from worker.request import frames_of
from worker.settings import software_version


def objects_of(reading: Reading, sources: Sources) -> tuple[Dataset, ...]:
    """Say a reading in DICOM, as the node would send it.

    Raises:
        PublicationError: an object breaks a rule of the publication gate.
        ReportError: the reading cannot be said truthfully.
    """
    run = Run(revision=1, started_at=datetime.now().astimezone(), software_version=software_version())
    objects = write_results(reading, sources, run)
    if faults := publication_faults(objects, sources, reading):
        raise PublicationError("; ".join(faults))
    return objects


def save_objects(objects: Sequence[Dataset], folder: Path) -> list[Path]:
    """Write `1-SEG.dcm`, … in sending order; the report is the last."""
    folder.mkdir(parents=True, exist_ok=True)
    files = [folder / f"{n}-{ds.Modality}.dcm" for n, ds in enumerate(objects, start=1)]
    for ds, file in zip(objects, files, strict=True):
        ds.save_as(file, enforce_file_format=True)
    return files


def save_picture(
    reading: Reading, request: ReadingRequest, sources: Sources, objects: Sequence[Dataset], file: Path
) -> None:
    """Draw the image that the reading speaks of, with masks, boxes, sides, and what it is not."""
    frame = frame_worth_drawing(reading, request)
    (source,) = [ds for ds in sources.current if str(ds.SOPInstanceUID) == frame.sop_instance_uid]
    draw(source, objects, frame_number=frame.frame_number).save(file)


def frame_worth_drawing(reading: Reading, request: ReadingRequest) -> FrameKey:
    """Choose the slice with most structures, then with most of them; else the image of the first box; else
    the middle of the first image."""
    found: dict[FrameKey, tuple[int, int]] = {}
    for mask in reading.masks:
        for frame, area in zip(mask.frames, mask.voxels.sum(axis=(1, 2)), strict=True):
            labels, voxels = found.get(frame, (0, 0))
            found[frame] = (labels + bool(area), voxels + int(area))
    if found:
        return max(found, key=lambda frame: found[frame])
    boxes: list[BoundingBox] = [*reading.boxes, *(box for f in reading.findings for box in f.boxes)]
    if boxes:
        return boxes[0].frame
    frames = frames_of(request.images[0])
    return frames[len(frames) // 2 if isinstance(request.images[0], Volume) else 0]
