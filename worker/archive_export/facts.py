"""Gathers what people stated about the images of a study into the facts of a record."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from pydicom.dataset import Dataset

from model.errors import PixelError
from model.imaging.elements import integer, text
from model.reading import SKIN_LESIONS
from model.training.datasets.record import RecordBox, RecordImage, RecordMask
from model.training.datasets.run_lengths import runs_of_mask
from model.volume import PlanarImage, Volume
from worker.archive_export.corrections import DrawnRegion, statements_of
from worker.archive_export.report_text import TextCleaner
from worker.archive_export.reports import ReportText, report_text
from worker.archive_export.segments import Segment, laid_on, segments_of, write_mask

UNNAMED = "a finding or segment that no published code names"
ELSEWHERE = "a region or segment on an image that is not exported"
SENTENCES = "a sentence of a report that could not be judged safe"


@dataclass(frozen=True, slots=True, eq=False)
class Shown:
    """One picture or volume of a record, with the instances that it was made of."""

    image: PlanarImage | Volume
    sources: tuple[Dataset, ...]
    named: RecordImage

    @staticmethod
    def of(image: PlanarImage | Volume, by_uid: Mapping[str, Dataset]) -> "Shown":
        frames = [image.frame] if isinstance(image, PlanarImage) else image.frames
        uids = dict.fromkeys(frame.sop_instance_uid for frame in frames)
        sources = tuple(by_uid[uid] for uid in uids)
        return Shown(image, sources, _described(image, sources[0]))

    def at(self, out: Path, paths: Sequence[Path]) -> "Shown":
        """Name the file of a picture, or the folder of a volume's series."""
        path = paths[0] if isinstance(self.image, PlanarImage) else paths[0].parent
        return replace(self, named=replace(self.named, path=path.relative_to(out).as_posix()))

    def holds(self, sop_instance_uid: str) -> bool:
        return any(text(ds, "SOPInstanceUID") == sop_instance_uid for ds in self.sources)


def _described(image: PlanarImage | Volume, header: Dataset) -> RecordImage:
    columns, rows = integer(header, "Columns"), integer(header, "Rows")
    size = (columns, rows) if columns and rows else None
    if isinstance(image, Volume):
        return RecordImage("", size=size, spacing_mm=image.geometry.spacing_mm[1:])
    position = text(header, "ViewPosition").upper()
    view = position if position in ("PA", "AP", "LL", "RL", "LATERAL") else None
    return RecordImage("", view, size, image.spacing_mm)


@dataclass(frozen=True, slots=True)
class Facts:
    """What is known of a study beside its pixels."""

    report: ReportText
    """Without identity."""
    labels: Mapping[str, bool | None]
    boxes: tuple[RecordBox, ...]
    masks: tuple[RecordMask, ...]
    left_out: Counter[str]

    @property
    def diagnosis(self) -> str | None:
        """The one lesion of the skin that is called present."""
        present = [label for label in SKIN_LESIONS if self.labels.get(label)]
        return present[0] if len(present) == 1 else None


@dataclass(slots=True)
class _Gathering:
    """Facts while documents are read, newest last."""

    shown: Sequence[Shown]
    out: Path
    labels: dict[str, bool | None] = field(default_factory=dict[str, bool | None])
    boxes: list[RecordBox] = field(default_factory=list[RecordBox])
    masks: list[RecordMask] = field(default_factory=list[RecordMask])
    left_out: Counter[str] = field(default_factory=Counter[str])


def facts_of(
    documents: Sequence[Dataset], shown: Sequence[Shown], texts: TextCleaner, out: Path, folder: Path
) -> Facts:
    """Read reports and segmentations, oldest first; what a newer one says of a label counts.

    Masks of volumes are written to `folder`, relative to `out`.
    """
    gathering = _Gathering(shown, out)
    report = ReportText()
    for document in documents:
        if text(document, "Modality") == "SEG":
            _take_segments(gathering, document, folder)
            continue
        _take_statements(gathering, document)
        told = report_text(document)
        report = report if told.is_empty else told
    safe = _without_identity(report, texts, gathering.left_out)
    masks, boxes = tuple(gathering.masks), tuple(gathering.boxes)
    return Facts(safe, gathering.labels, boxes, masks, gathering.left_out)


def _without_identity(report: ReportText, texts: TextCleaner, left_out: Counter[str]) -> ReportText:
    cleaned: dict[str, str | None] = {}
    for section in ("indication", "comparison", "findings", "impression"):
        told = getattr(report, section)
        clean = texts.clean(told) if told else None
        cleaned[section] = (clean.text or None) if clean else None
        if clean and clean.left_out:
            left_out[SENTENCES] += clean.left_out
    return ReportText(**cleaned)


def _take_statements(gathering: _Gathering, document: Dataset) -> None:
    statements = statements_of(document)
    gathering.labels |= statements.labels
    if statements.unnamed:
        gathering.left_out[UNNAMED] += statements.unnamed
    for region in statements.regions:
        box = _box(region, gathering.shown)
        if box is None:
            gathering.left_out[ELSEWHERE] += 1
        else:
            gathering.boxes.append(box)


def _box(region: DrawnRegion, shown: Sequence[Shown]) -> RecordBox | None:
    """Turn a region as its picture was turned, in fractions of the turned picture."""
    for n, one in enumerate(shown):
        if isinstance(one.image, PlanarImage) and one.holds(region.sop_instance_uid):
            rows, columns = one.image.pixels.shape[:2]
            j0, i0, j1, i1 = one.image.orientation.apply_box(region.box_pixels, (rows, columns))
            x1, x2 = max(i0 / columns, 0.0), min(i1 / columns, 1.0)
            y1, y2 = max(j0 / rows, 0.0), min(j1 / rows, 1.0)
            if x1 < x2 and y1 < y2:
                return RecordBox(region.label, n, (x1, y1, x2, y2), anatomy=region.is_anatomy)
    return None


def _take_segments(gathering: _Gathering, seg: Dataset, folder: Path) -> None:
    try:
        segments = segments_of(seg)
    except PixelError as exc:
        gathering.left_out[str(exc)] += 1
        return
    named = [segment for segment in segments if segment.label is not None]
    if len(named) < len(segments):
        gathering.left_out[UNNAMED] += len(segments) - len(named)
    before = len(gathering.masks)
    for n, one in enumerate(gathering.shown):
        if isinstance(one.image, Volume):
            _take_volume_masks(gathering, one.image, (n, named), folder)
        else:
            _take_planar_masks(gathering, one, n, named)
    if named and len(gathering.masks) == before:
        gathering.left_out[ELSEWHERE] += len(named)


def _take_planar_masks(gathering: _Gathering, one: Shown, n: int, segments: Sequence[Segment]) -> None:
    for segment in segments:
        for (uid, _), plane in segment.planes.items():
            if segment.label is not None and one.holds(uid) and plane.any():
                gathering.masks.append(RecordMask(segment.label, n, rle=runs_of_mask(plane)))


def _take_volume_masks(
    gathering: _Gathering, volume: Volume, found: tuple[int, Sequence[Segment]], folder: Path
) -> None:
    """Write one file for each segment, since segments may overlap."""
    n, segments = found
    for segment in segments:
        voxels = laid_on(volume, segment)
        if segment.label is not None and voxels.any():
            path = folder / f"mask-{len(gathering.masks):03d}.nii.gz"
            write_mask(voxels, volume, gathering.out / path)
            gathering.masks.append(RecordMask(segment.label, n, path=path.as_posix()))
