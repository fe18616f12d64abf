"""Readings on sources of every kind, each with what a viewer must show of it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from pydicom.dataset import Dataset
from pydicom.uid import EnhancedCTImageStorage, MultiFrameGrayscaleWordSecondaryCaptureImageStorage

from model.reading import BoundingBox, Finding, Laterality, Mask, Modality, Presence, Reading, Task
from model.volume import FrameKey, Geometry
from structured_reports.sources import Sources
from tests.unit.structured_reports.readings import (
    MODEL,
    box,
    chest_reading,
    ct_reading,
    ct_slices,
    dermoscopy,
    ellipse,
    grown_nodule,
    header,
    key,
    prior_of,
    radiograph,
    skin_reading,
    sources,
    stored,
)
from tests.unit.structured_reports.whole_readings import asked_reading, whole_reading


@dataclass(frozen=True, slots=True, eq=False)
class Shown:
    """A reading and what it speaks of."""

    reading: Reading
    sources: Sources

    @property
    def images(self) -> Sequence[Dataset]:
        return self.sources.current

    def image_of(self, drawn: BoundingBox) -> Dataset:
        return next(ds for ds in self.images if ds.SOPInstanceUID == drawn.frame.sop_instance_uid)

    def boxes(self) -> list[tuple[str, BoundingBox]]:
        """Give every box that is drawn, with its label; regions that were asked about have none."""
        drawn = [
            (finding.label, each)
            for finding in self.reading.findings
            if finding.presence is not Presence.ABSENT
            for each in finding.boxes
        ]
        drawn += [("", caption.box) for caption in self.reading.captions]
        # Many boxes of anatomy would bury the findings: they stand outside the measurements then.
        few = self.reading.boxes if len(self.reading.boxes) <= 9 else ()
        return drawn + [(each.label, each) for each in few]


def corners_of(box: BoundingBox, image: Dataset) -> list[tuple[float, float]]:
    """Give the four corners as (column, row), rounded to what single precision holds."""
    rows = (max(0, box.low[0]), min(image.Rows, box.high[0]))
    columns = (max(0, box.low[1]), min(image.Columns, box.high[1]))
    return sorted((round(float(column), 2), round(float(row), 2)) for column in columns for row in rows)


def chest(ds: Dataset, **changes: object) -> Shown:
    reading = chest_reading(ds, [grown_nodule()], **changes)
    return Shown(reading, sources(ds, priors=[prior_of(ds)]))


def several_boxes(ds: Dataset) -> Shown:
    boxes = (
        box("lung nodule", ds, Laterality.RIGHT, low=(0.2, 0.1), high=(0.3, 0.2)),
        box("lung nodule", ds, Laterality.RIGHT, low=(0.5, 0.3), high=(0.7, 0.4)),
    )
    finding = Finding("lung nodule", Presence.PRESENT, 0.8, Laterality.RIGHT, boxes=boxes)
    return Shown(chest_reading(ds, findings=(finding,), boxes=(), masks=()), sources(ds))


def ct_with_boxes(slices: list[Dataset]) -> Shown:
    """Draw on the second and the last slice, which no other slice shows."""
    boxes = (
        box("liver", slices[1], low=(0.1, 0.2), high=(0.6, 0.4)),
        box("spleen", slices[-1], low=(0.3, 0.7), high=(0.5, 0.95)),
    )
    return Shown(ct_reading(slices, boxes=boxes), sources(*slices))


def skin(ds: Dataset) -> Shown:
    lesion = box("melanocytic nevus", ds, low=(0.3, 0.2), high=(0.7, 0.6))
    whole = skin_reading(ds)
    first = replace(whole.findings[0], boxes=(lesion,))
    return Shown(replace(whole, findings=(first, *whole.findings[1:])), sources(ds))


def on_frame(ds: Dataset, frame_number: int) -> Shown:
    """Say something of one frame of a multi-frame radiograph."""
    frame = key(ds, frame_number)
    heart = replace(box("heart", ds), frame=frame)
    mask = Mask("heart", ellipse(ds, low=(0.2, 0.3), high=(0.6, 0.9)), (frame,))
    return Shown(chest_reading(ds, findings=(), boxes=(heart,), masks=(mask,)), sources(ds))


def captured_frames() -> Dataset:
    return header(
        MultiFrameGrayscaleWordSecondaryCaptureImageStorage,
        NumberOfFrames=3,
        BitsStored=16,
        HighBit=15,
        ConversionType="DI",
        WindowCenter=None,
        WindowWidth=None,
    )


def enhanced_ct() -> Dataset:
    """Make an enhanced CT of two frames, 5 mm apart (PS3.3 C.7.6.16)."""
    ds = header(EnhancedCTImageStorage, Modality="CT", BodyPartExamined="ABDOMEN", NumberOfFrames=2)
    ds.FrameOfReferenceUID = "1.2.3.4.9"
    del ds.PixelSpacing, ds.ImagerPixelSpacing, ds.PatientOrientation, ds.WindowCenter, ds.WindowWidth
    shared, orientation, measures = Dataset(), Dataset(), Dataset()
    orientation.ImageOrientationPatient = [1, 0, 0, 0, 1, 0]
    measures.PixelSpacing, measures.SliceThickness = [1.0, 1.0], 5.0
    shared.PlaneOrientationSequence, shared.PixelMeasuresSequence = [orientation], [measures]
    ds.SharedFunctionalGroupsSequence = [shared]
    ds.PerFrameFunctionalGroupsSequence = [_plane_at(5.0 * place) for place in range(2)]
    return ds


def _plane_at(height_mm: float) -> Dataset:
    group, position = Dataset(), Dataset()
    position.ImagePositionPatient = [0.0, 0.0, height_mm]
    group.PlanePositionSequence = [position]
    return group


def enhanced(ds: Dataset) -> Shown:
    """Mask both frames of an enhanced CT differently."""
    frames = (FrameKey(ds.SOPInstanceUID, 1), FrameKey(ds.SOPInstanceUID, 2))
    shapes = (ellipse(ds, low=(0.2, 0.1), high=(0.6, 0.7)), ellipse(ds, low=(0.3, 0.1), high=(0.5, 0.3)))
    mask = Mask("liver", np.concatenate(shapes), frames, Geometry(np.diag([5.0, 1.0, 1.0, 1.0])))
    second = replace(box("liver", ds), frame=frames[1])
    return Shown(
        Reading(Modality.CT, MODEL, (Task.SEGMENTATION,), masks=(mask,), boxes=(second,)), sources(ds)
    )


SHOWN: dict[str, Callable[[], Shown]] = {
    "DX": lambda: chest(header()),
    "CR, MONOCHROME1": lambda: chest(radiograph(PhotometricInterpretation="MONOCHROME1")),
    "pixels that are not square": lambda: chest(
        header(PixelSpacing=[0.5, 0.2], ImagerPixelSpacing=[0.5, 0.2])
    ),
    "odd size": lambda: chest(header(Rows=61, Columns=43)),
    "no spacing": lambda: chest(header(PixelSpacing=None, ImagerPixelSpacing=None)),
    "findings alone": lambda: chest(
        header(), findings=(Finding("pneumothorax", Presence.PRESENT, 0.9),), boxes=(), masks=()
    ),
    "boxes alone": lambda: chest(header(), findings=(), masks=()),
    "several boxes of one finding": lambda: several_boxes(header()),
    "whole vocabulary": lambda: Shown(whole_reading(header()), sources(header())),
    "asked": lambda: Shown(asked_reading(header()), sources(header())),
    "CT": lambda: ct_with_boxes(ct_slices()),
    "CT from feet to head": lambda: ct_with_boxes(ct_slices()[::-1]),
    "dermoscopy": lambda: skin(dermoscopy()),
    "frames of a capture": lambda: on_frame(captured_frames(), 2),
    "enhanced CT": lambda: enhanced(enhanced_ct()),
    "public enhanced CT": lambda: enhanced(stored("ct_enhanced", "CT0012.explicit_little_endian.dcm")),
}
