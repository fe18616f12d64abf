"""Reads what a person segmented: the frames of a SEG, laid on the images that they were drawn on."""

from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

import nibabel
import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset

from model.errors import PixelError
from model.imaging.elements import MALFORMED, integer, items, text
from model.volume import FrameKey, Volume
from worker.archive_export.coded_entries import UNKNOWN, published_code
from worker.archive_export.labels import label_of, side_of
from worker.archive_export.pixel_data import native_pixels

Key = tuple[str, int]
"""SOP Instance UID of an image, and its frame number from 1."""


@dataclass(frozen=True, slots=True, eq=False)
class Segment:
    """One structure."""

    label: str | None
    """None where no published code names it."""
    planes: dict[Key, NDArray[np.bool_]]
    """(J, I) in stored rows and columns, by the frame that each was drawn on."""


def segments_of(seg: Dataset) -> list[Segment]:
    """Read all segments of a segmentation (PS3.3 A.51); frames that name no image are passed over.

    Raises:
        PixelError: the pixels cannot be decoded.
    """
    frames = _frames(seg)
    is_label_map = text(seg, "SegmentationType") == "LABELMAP"
    planes: dict[int, dict[Key, NDArray[np.bool_]]] = defaultdict(dict)
    numbers = [integer(segment, "SegmentNumber") or 0 for segment in items(seg, "SegmentSequence")]
    shared = next(iter(items(seg, "SharedFunctionalGroupsSequence")), Dataset())
    for frame, group in zip(frames, items(seg, "PerFrameFunctionalGroupsSequence"), strict=False):
        key = _source(group) or _source(shared)
        if key is None:
            continue
        for number in numbers if is_label_map else [_segment_number(group, shared)]:
            drawn = frame == number if is_label_map else frame > 0.5
            planes[number][key] = planes[number].get(key, False) | drawn
    return [
        Segment(_label(segment), planes.get(number, {}))
        for number, segment in zip(numbers, items(seg, "SegmentSequence"), strict=True)
    ]


def _frames(seg: Dataset) -> NDArray[np.float32]:
    """Decode (F, J, I): 0 or 1, occupancy from 0 to 1, or segment numbers."""
    try:
        frames = np.asarray(native_pixels(seg).pixel_array, np.float32)
    except MALFORMED as exc:
        raise PixelError(f"a segmentation cannot be decoded ({type(exc).__name__})") from exc
    frames = frames if frames.ndim == 3 else frames[None]
    if text(seg, "SegmentationType") == "FRACTIONAL":
        frames = frames / np.float32(integer(seg, "MaximumFractionalValue") or 255)
    return frames


def _source(group: Dataset) -> Key | None:
    for derivation in items(group, "DerivationImageSequence"):
        for source in items(derivation, "SourceImageSequence"):
            return text(source, "ReferencedSOPInstanceUID"), integer(source, "ReferencedFrameNumber") or 1
    return None


def _segment_number(group: Dataset, shared: Dataset) -> int:
    identified = items(group, "SegmentIdentificationSequence") or items(
        shared, "SegmentIdentificationSequence"
    )
    return next((integer(item, "ReferencedSegmentNumber") or 0 for item in identified), 0)


def _label(segment: Dataset) -> str | None:
    entry = next(iter(items(segment, "SegmentedPropertyTypeCodeSequence")), None)
    if entry is None:
        return None
    return label_of(published_code(entry) if entry else UNKNOWN, side_of(entry) or side_of(segment))


def laid_on(volume: Volume, segment: Segment) -> NDArray[np.bool_]:
    """Lay a segment on the voxels (K, J, I) of a volume, turned as its slices were.

    Raises:
        PixelError: its planes differ in size from the slices.
    """
    voxels = np.zeros(volume.voxels.shape, np.bool_)
    for k, frame in enumerate(volume.frames):
        plane = segment.planes.get(_key(frame))
        if plane is not None:
            turned = volume.orientation.apply(plane)
            if turned.shape != voxels.shape[1:]:
                raise PixelError("a segmentation differs in size from its image")
            voxels[k] = turned
    return voxels


def _key(frame: FrameKey) -> Key:
    return frame.sop_instance_uid, frame.frame_number


def write_mask(mask: NDArray[np.bool_], volume: Volume, path: Path) -> None:
    """Write a mask (K, J, I) as NIfTI at the place of its volume."""
    to_ras = np.diag([-1.0, -1.0, 1.0, 1.0])
    affine = to_ras @ volume.geometry.affine @ np.eye(4)[[2, 1, 0, 3]]
    path.parent.mkdir(parents=True, exist_ok=True)
    stored = np.ascontiguousarray(mask.transpose(2, 1, 0), np.uint8)
    nibabel.Nifti1Image(stored, affine).to_filename(path)
