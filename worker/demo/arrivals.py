"""What arrived in the archive: fetched back, validated, and drawn on its source."""

import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from pydicom import Dataset, dcmread
from pydicom.uid import UID
from pyorthanc import Orthanc as OrthancClient

from dicom_node.study import StoredResult
from structured_reports.conformance import Verdict, validate_file
from structured_reports.picture import draw


@dataclass(frozen=True, slots=True)
class Arrival:
    """One result object, as the archive gives it back."""

    study_title: str
    modality: str
    sop_class: str
    series_description: str
    sop_instance_uid: str
    path: Path | None
    """The copy fetched from the archive; None if the archive does not have it."""
    verdict: Verdict | None


def fetch(orthanc_url: str, sop_instance_uid: str, to: Path) -> Path | None:
    """Download one instance from Orthanc; None if it is not there."""
    with OrthancClient(orthanc_url) as client:
        ids = client.post_tools_find({"Level": "Instance", "Query": {"SOPInstanceUID": sop_instance_uid}})
        if not isinstance(ids, list) or not ids:
            return None
        content = client.get_instances_id_file(str(ids[0]))
    if not isinstance(content, bytes):
        return None
    to.parent.mkdir(parents=True, exist_ok=True)
    to.write_bytes(content)
    return to


def fetch_from_folder(delivered: Path, sop_instance_uid: str, to: Path) -> Path | None:
    """Copy one instance from a delivery folder; None if it is not there."""
    for path in delivered.rglob("*.dcm"):
        if str(dcmread(path, specific_tags=["SOPInstanceUID"]).SOPInstanceUID) == sop_instance_uid:
            to.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, to)
            return to
    return None


def arrival_of(title: str, result: StoredResult, path: Path | None) -> Arrival:
    """Describe one result and validate its fetched copy."""
    return Arrival(
        study_title=title,
        modality=result.modality,
        sop_class=UID(result.sop_class_uid).name,
        series_description=result.series_description,
        sop_instance_uid=result.sop_instance_uid,
        path=path,
        verdict=validate_file(path) if path else None,
    )


def draw_pictures(title: str, sources: Sequence[Path], results: Sequence[Path], folder: Path) -> list[Path]:
    """Draw masks and boxes of `results` on the source images that they name; return the PNG files."""
    objects = [dcmread(path) for path in results]
    wanted = _frames_worth_drawing(objects)
    folder.mkdir(parents=True, exist_ok=True)
    pictures: list[Path] = []
    for path in sources:
        uid = str(dcmread(path, specific_tags=["SOPInstanceUID"], force=True).get("SOPInstanceUID", ""))
        if uid not in wanted:
            continue
        slug = title.replace(", ", "-").replace(" ", "-")
        picture = folder / f"{slug}-{len(pictures) + 1}.png"
        draw(dcmread(path, force=True), objects).save(picture)
        pictures.append(picture)
    return pictures


def _frames_worth_drawing(objects: Sequence[Dataset], most: int = 3) -> set[str]:
    """Choose source instances: every one that a presentation state names, and the slices with most mask."""
    wanted: set[str] = set()
    for ds in objects:
        if ds.Modality == "PR":
            for series in ds.ReferencedSeriesSequence:
                wanted.update(item.ReferencedSOPInstanceUID for item in series.ReferencedImageSequence)
        if ds.Modality == "SEG":
            wanted.update(_fullest_frames(ds, most))
    return wanted


def _fullest_frames(seg: Dataset, most: int) -> list[str]:
    pixels = np.atleast_3d(seg.pixel_array) if seg.get("NumberOfFrames", 1) == 1 else seg.pixel_array
    frames = (
        pixels if pixels.ndim == 3 and pixels.shape[0] == seg.NumberOfFrames else pixels[np.newaxis, ..., 0]
    )
    area: dict[str, int] = {}
    for frame, groups in zip(frames, seg.PerFrameFunctionalGroupsSequence, strict=True):
        for derivation in groups.get("DerivationImageSequence", []):
            for source in derivation.SourceImageSequence:
                uid = str(source.ReferencedSOPInstanceUID)
                area[uid] = area.get(uid, 0) + int(np.count_nonzero(frame))
    ranked = sorted(area, key=lambda uid: area[uid], reverse=True)
    # Neighbouring slices look alike: take them spread over the fuller half.
    step = max(1, len(ranked) // (2 * most))
    return ranked[::step][:most]
