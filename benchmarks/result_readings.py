"""The readings that `benchmarks.result_objects` writes, on headers of full size."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset
from pydicom.uid import CTImageStorage, DigitalXRayImageStorageForPresentation

from model.reading import (
    CHEST_FINDINGS,
    CHEST_STRUCTURES,
    BoundingBox,
    Change,
    ChangeStatus,
    Comparison,
    Finding,
    Laterality,
    Mask,
    Modality,
    ModelIdentity,
    Narrative,
    Presence,
    Reading,
    Task,
)
from model.volume import FrameKey, Geometry
from structured_reports.sources import PriorSource, Run, Sources

MODEL = ModelIdentity("medversa", "medversa-demo", "0", "ab" * 32, demo_weights=True)
RUN = Run(revision=1, started_at=datetime(2026, 1, 1, tzinfo=UTC), software_version="0")
SIDE, SPACING_MM = 512, 0.7
ORGANS = {
    "liver": ((0.25, 0.62), (0.42, 0.32), (0.20, 0.24)),
    "spleen": ((0.40, 0.60), (0.52, 0.78), (0.10, 0.09)),
    "kidneys": ((0.55, 0.85), (0.75, 0.30), (0.08, 0.07)),
    "pancreas": ((0.48, 0.62), (0.50, 0.62), (0.04, 0.05)),
}
"""Where an organ lies, in parts of the stack: first and last slice, centre, radius (row, column)."""


@dataclass(frozen=True, slots=True, eq=False)
class Case:
    """One reading and what it is written from."""

    reading: Reading
    sources: Sources
    run: Run = RUN


def header(sop_class_uid: str, number: int, rows: int, columns: int, **attributes: object) -> Dataset:
    ds = Dataset()
    ds.SOPClassUID, ds.SOPInstanceUID = sop_class_uid, f"1.2.3.1.{number}"
    ds.StudyInstanceUID, ds.SeriesInstanceUID, ds.FrameOfReferenceUID = "1.2.3", "1.2.3.1", "1.2.3.9"
    ds.PatientID, ds.PatientName, ds.PatientSex, ds.PatientBirthDate = "BENCH", "Bench^Mark", "O", "19700101"
    ds.StudyDate, ds.StudyTime, ds.StudyID, ds.AccessionNumber = "20260101", "120000", "1", "1"
    ds.SeriesNumber, ds.InstanceNumber, ds.ReferringPhysicianName = 1, number, ""
    ds.Rows, ds.Columns, ds.PixelSpacing = rows, columns, [SPACING_MM, SPACING_MM]
    ds.SamplesPerPixel, ds.PhotometricInterpretation, ds.PixelRepresentation = 1, "MONOCHROME2", 0
    ds.BitsAllocated, ds.BitsStored, ds.HighBit = 16, 12, 11
    for keyword, value in attributes.items():
        setattr(ds, keyword, value)
    return ds


def chest(_: int) -> Case:
    """Five findings with boxes, six structures, three masks, a prior and a report on a radiograph."""
    rows, columns = 2544, 3056
    ds, earlier = (
        header(DigitalXRayImageStorageForPresentation, number, rows, columns, Modality="DX")
        for number in (1, 2)
    )
    ds.PatientOrientation, ds.BodyPartExamined, ds.WindowCenter, ds.WindowWidth = (
        ["L", "F"],
        "CHEST",
        2048,
        4096,
    )
    earlier.StudyInstanceUID, earlier.SeriesInstanceUID = "1.2.4", "1.2.4.1"
    frame = FrameKey(ds.SOPInstanceUID)
    boxes = [
        BoundingBox(label, frame, (200.0 + 150 * n, 300.0), (500.0 + 150 * n, 900.0))
        for n, label in enumerate((*CHEST_FINDINGS, *CHEST_STRUCTURES))
    ]
    findings = tuple(
        Finding(box.label, Presence.PRESENT, 0.8, Laterality.LEFT, "seen on the left", (box,))
        for box in boxes[: len(CHEST_FINDINGS)]
    )
    shapes = {"left lung": (0.5, 0.7), "right lung": (0.5, 0.3), "heart": (0.65, 0.5)}
    masks = tuple(
        Mask(label, disc((rows, columns), centre, (0.3, 0.15))[None], (frame,))
        for label, centre in shapes.items()
    )
    changes = tuple(Change(f.label, ChangeStatus.INCREASED, f.laterality, "larger") for f in findings)
    reading = Reading(
        Modality.CXR,
        MODEL,
        tuple(Task),
        Narrative("Five findings.", "Follow up."),
        findings,
        tuple(boxes[len(CHEST_FINDINGS) :]),
        masks,
        (Comparison(0, changes, "All have grown."),),
    )
    return Case(reading, Sources((ds,), (PriorSource((earlier,), "20250101"),)))


def abdomen(slices: int) -> Case:
    """Four organs on an axial CT, each an ellipsoid that takes its part of the stack."""
    headers = [
        header(
            CTImageStorage,
            number,
            SIDE,
            SIDE,
            Modality="CT",
            ImagePositionPatient=[0, 0, float(number)],
            ImageOrientationPatient=[1, 0, 0, 0, 1, 0],
            SliceThickness=1.0,
            PatientPosition="HFS",
            PositionReferenceIndicator="",
        )
        for number in range(1, slices + 1)
    ]
    affine = np.diag([SPACING_MM, SPACING_MM, 1.0, 1.0])[:, [2, 1, 0, 3]]
    affine[:3, 3] = 0, 0, 1
    frames = tuple(FrameKey(ds.SOPInstanceUID) for ds in headers)
    masks = tuple(
        Mask(label, ellipsoid(slices, *place), frames, Geometry(affine)) for label, place in ORGANS.items()
    )
    narrative = Narrative("Four organs were measured.", "Measured.")
    reading = Reading(Modality.CT, MODEL, (Task.REPORT, Task.SEGMENTATION), narrative, masks=masks)
    return Case(reading, Sources(tuple(headers)))


def ellipsoid(
    slices: int, extent: tuple[float, float], centre: tuple[float, float], radius: tuple[float, float]
) -> NDArray[np.bool_]:
    first, last = (round(part * slices) for part in extent)
    voxels = np.zeros((slices, SIDE, SIDE), dtype=np.bool_)
    for k in range(first, last):
        width = np.sqrt(max(0.05, 1 - ((2 * k - first - last) / (last - first)) ** 2))
        voxels[k] = disc((SIDE, SIDE), centre, (radius[0] * width, radius[1] * width))
    return voxels


def disc(
    shape: tuple[int, int], centre: tuple[float, float], radius: tuple[float, float]
) -> NDArray[np.bool_]:
    """Fill an ellipse given in parts of the picture."""
    j, i = np.ogrid[: shape[0], : shape[1]]
    rows = ((j / shape[0] - centre[0]) / radius[0]) ** 2
    return rows + ((i / shape[1] - centre[1]) / radius[1]) ** 2 <= 1


CASES: dict[str, Callable[[int], Case]] = {"chest study": chest, "CT with four organs": abdomen}
