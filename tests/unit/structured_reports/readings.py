"""Readings and source headers made by hand."""

import copy
import os
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
from pydicom import dcmread, dcmwrite
from pydicom.dataset import Dataset
from pydicom.uid import (
    ComputedRadiographyImageStorage,
    CTImageStorage,
    DigitalXRayImageStorageForPresentation,
    SecondaryCaptureImageStorage,
)

from model.reading import (
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

DATA = Path(os.environ.get("MEDVERSA_TEST_DATA") or Path(__file__).parents[4] / "shared" / "data")
DERMOSCOPY = "1.2.840.10008.5.1.4.1.1.77.1.7"

MODEL = ModelIdentity("medversa", "medversa-demo", "0.1.0", "ab" * 32, demo_weights=True)
RUN = Run(revision=1, started_at=datetime(2026, 11, 23, 8, 30, 15, tzinfo=UTC), software_version="0.1.0")


def header(sop_class_uid: str = DigitalXRayImageStorageForPresentation, **attributes: object) -> Dataset:
    """Make the header of one image; keyword arguments replace attributes, None removes one."""
    ds = Dataset()
    ds.SpecificCharacterSet = "ISO_IR 100"
    ds.ImageType = ["ORIGINAL", "PRIMARY", ""]
    ds.SOPClassUID = sop_class_uid
    ds.SOPInstanceUID = "1.2.3.4.1.1"
    ds.StudyInstanceUID = "1.2.3.4"
    ds.SeriesInstanceUID = "1.2.3.4.1"
    ds.StudyDate, ds.StudyTime = "20260301", "101500"
    ds.SeriesNumber, ds.InstanceNumber = 1, 1
    ds.Modality = "DX"
    ds.Manufacturer = "Acme"
    ds.PatientName, ds.PatientID = "Doe^Jane", "P1"
    ds.PatientBirthDate, ds.PatientSex = "19700101", "F"
    ds.AccessionNumber, ds.StudyID = "A1", "S1"
    ds.ReferringPhysicianName = "Ref^Erring"
    ds.BodyPartExamined = "CHEST"
    ds.PatientOrientation = ["L", "F"]
    ds.Rows, ds.Columns = 64, 48
    ds.SamplesPerPixel, ds.PhotometricInterpretation = 1, "MONOCHROME2"
    ds.BitsAllocated, ds.BitsStored, ds.HighBit, ds.PixelRepresentation = 16, 12, 11, 0
    ds.WindowCenter, ds.WindowWidth = 2048, 4096
    ds.ImagerPixelSpacing = ds.PixelSpacing = [0.5, 0.5]
    for keyword, value in attributes.items():
        if value is None:
            ds.pop(keyword, None)
        else:
            setattr(ds, keyword, value)
    return ds


def radiograph(**attributes: object) -> Dataset:
    return header(ComputedRadiographyImageStorage, **{"Modality": "CR", **attributes})


def capture(**attributes: object) -> Dataset:
    return header(SecondaryCaptureImageStorage, **{"ConversionType": "WSD", **attributes})


def dermoscopy(**attributes: object) -> Dataset:
    colour = {"Modality": "DMS", "SamplesPerPixel": 3, "PhotometricInterpretation": "RGB"}
    eight_bits = {"BitsAllocated": 8, "BitsStored": 8, "HighBit": 7}
    absent = {"WindowCenter": None, "WindowWidth": None, "PixelSpacing": None, "ImagerPixelSpacing": None}
    return header(DERMOSCOPY, **{**colour, **eight_bits, **absent, "BodyPartExamined": "SKIN", **attributes})


def ct_slices(count: int = 5, step_mm: float = 2.0) -> list[Dataset]:
    """Make an axial stack in file order from head to feet, as most scanners number it."""
    slices = []
    for number in range(1, count + 1):
        ds = header(CTImageStorage, Modality="CT", ImagerPixelSpacing=None, BodyPartExamined="ABDOMEN")
        ds.SOPInstanceUID = f"1.2.3.4.1.{number}"
        ds.InstanceNumber = number
        ds.FrameOfReferenceUID = "1.2.3.4.9"
        ds.ImageOrientationPatient = [1, 0, 0, 0, 1, 0]
        ds.ImagePositionPatient = [-10.0, -20.0, 100.0 - step_mm * number]
        ds.SliceThickness = 3.0
        ds.RescaleSlope, ds.RescaleIntercept = 1, -1024
        ds.PatientPosition = "HFS"
        slices.append(ds)
    return slices


def key(ds: Dataset, frame_number: int = 1) -> FrameKey:
    return FrameKey(str(ds.SOPInstanceUID), frame_number)


def stored(*parts: str) -> Dataset:
    """Read the header of a public file; skip the test where the public set is not there."""
    path = DATA.joinpath(*parts)
    if not path.exists():
        pytest.skip("the public data set is not beside the repository")
    return dcmread(path, stop_before_pixels=True, force=True)


def ellipse(ds: Dataset, *, low: tuple[float, float], high: tuple[float, float]) -> np.ndarray:
    """Fill an ellipse in a box given in parts of the image, (1, Rows, Columns)."""
    rows, columns = int(ds.Rows), int(ds.Columns)
    j, i = np.mgrid[0:rows, 0:columns]
    centre = [(low[n] + high[n]) / 2 * (rows, columns)[n] for n in (0, 1)]
    radius = [(high[n] - low[n]) / 2 * (rows, columns)[n] for n in (0, 1)]
    return (((j - centre[0]) / radius[0]) ** 2 + ((i - centre[1]) / radius[1]) ** 2 <= 1)[None]


def box(
    label: str, ds: Dataset, side: Laterality | None = None, **corners: tuple[float, float]
) -> BoundingBox:
    low, high = corners.get("low", (0.25, 0.25)), corners.get("high", (0.75, 0.5))
    rows, columns = int(ds.Rows), int(ds.Columns)
    return BoundingBox(
        label, key(ds), (low[0] * rows, low[1] * columns), (high[0] * rows, high[1] * columns), side
    )


def chest_reading(ds: Dataset, comparisons: Sequence[Comparison] = (), **changes: object) -> Reading:
    """Say something of every kind about one chest radiograph."""
    nodule = box("lung nodule", ds, Laterality.RIGHT, low=(0.30, 0.20), high=(0.38, 0.28))
    effusion = box("pleural effusion", ds, Laterality.LEFT, low=(0.65, 0.60), high=(0.85, 0.85))
    fields: dict[str, object] = {
        "modality": Modality.CXR,
        "model": MODEL,
        "tasks_done": (Task.REPORT, Task.CLASSIFICATION, Task.SEGMENTATION),
        "narrative": Narrative("A nodule in the right lung.\nSmall left effusion.", "Nodule; effusion."),
        "findings": (
            Finding("lung nodule", Presence.PRESENT, 0.9337, Laterality.RIGHT, "a nodule", (nodule,)),
            Finding("pleural effusion", Presence.PRESENT, 0.71, Laterality.LEFT, boxes=(effusion,)),
            Finding("pneumothorax", Presence.ABSENT, 0.98),
            Finding("consolidation", Presence.ABSENT, 0.95),
            Finding("enlarged cardiac silhouette", Presence.UNDETERMINED),
        ),
        "boxes": (
            box("left lung", ds, low=(0.15, 0.52), high=(0.85, 0.92)),
            box("right lung", ds, low=(0.15, 0.08), high=(0.85, 0.48)),
            box("heart", ds, low=(0.45, 0.38), high=(0.85, 0.75)),
        ),
        "masks": (
            Mask("left lung", ellipse(ds, low=(0.15, 0.52), high=(0.85, 0.92)), (key(ds),)),
            Mask("right lung", ellipse(ds, low=(0.15, 0.08), high=(0.85, 0.48)), (key(ds),)),
            Mask("heart", ellipse(ds, low=(0.45, 0.38), high=(0.85, 0.75)), (key(ds),)),
        ),
        "comparisons": tuple(comparisons),
        "caveats": ("Only frontal views were read.",),
    }
    return Reading(**{**fields, **changes})  # pyright: ignore[reportArgumentType] # one dict for all fields


def brief_reading(ds: Dataset) -> Reading:
    """Say one finding with its box and one mask: enough for an object of every kind."""
    whole = chest_reading(ds)
    return replace(whole, findings=whole.findings[:1], boxes=(), masks=whole.masks[:1])


def grown_nodule(prior: int = 0) -> Comparison:
    changes = (
        Change("lung nodule", ChangeStatus.INCREASED, Laterality.RIGHT, "the nodule has grown"),
        Change("pneumothorax", ChangeStatus.RESOLVED, Laterality.LEFT),
    )
    return Comparison(prior, changes, "The nodule is larger.")


def affine_of(slices: Sequence[Dataset]) -> np.ndarray:
    """Map (k, j, i) to millimetres for axial slices in the given order."""
    first = np.array(slices[0].ImagePositionPatient, dtype=float)
    step = np.array(slices[1].ImagePositionPatient, dtype=float) - first
    spacing = [float(value) for value in slices[0].PixelSpacing]
    affine = np.eye(4)
    affine[:3, 0], affine[:3, 1], affine[:3, 2] = step, [0, spacing[0], 0], [spacing[1], 0, 0]
    affine[:3, 3] = first
    return affine


def ct_reading(slices: Sequence[Dataset], **changes: object) -> Reading:
    """Mask three organs of different extent along the stack, on `slices` in the given order."""
    frames = tuple(key(ds) for ds in slices)
    geometry = Geometry(affine_of(slices))
    shapes = {
        "liver": (((0.2, 0.1), (0.7, 0.5)), slice(0, None)),
        "spleen": (((0.3, 0.7), (0.6, 0.9)), slice(1, 3)),
        "kidneys": (((0.5, 0.55), (0.8, 0.65)), slice(len(slices) // 2, None)),
    }
    masks = []
    for label, ((low, high), where) in shapes.items():
        voxels = np.zeros((len(slices), int(slices[0].Rows), int(slices[0].Columns)), dtype=bool)
        voxels[where] = ellipse(slices[0], low=low, high=high)
        side = Laterality.BILATERAL if label == "kidneys" else None
        masks.append(Mask(label, voxels, frames, geometry, side))
    empty = np.zeros_like(masks[0].voxels)
    masks.append(Mask("pancreas", empty, frames, geometry))
    fields: dict[str, object] = {
        "modality": Modality.CT,
        "model": MODEL,
        "tasks_done": (Task.SEGMENTATION,),
        "masks": tuple(masks),
        "caveats": ("The pancreas was not found.",),
    }
    return Reading(**{**fields, **changes})  # pyright: ignore[reportArgumentType] # one dict for all fields


def skin_reading(ds: Dataset) -> Reading:
    return Reading(
        modality=Modality.DERM,
        model=MODEL,
        tasks_done=(Task.CLASSIFICATION, Task.SEGMENTATION),
        findings=(
            Finding("melanocytic nevus", Presence.PRESENT, 0.88),
            Finding("melanoma", Presence.ABSENT, 0.93),
            Finding("benign keratosis", Presence.ABSENT, 0.97),
        ),
        masks=(Mask("skin lesion", ellipse(ds, low=(0.3, 0.3), high=(0.7, 0.7)), (key(ds),)),),
        narrative=Narrative("", "Melanocytic nevus."),
    )


def prior_of(ds: Dataset, study_date: str = "20250101", report: Dataset | None = None) -> PriorSource:
    """Make an earlier study of the same patient from a header."""
    earlier = copy.deepcopy(ds)
    earlier.StudyInstanceUID = f"2.25.{study_date}"
    earlier.SeriesInstanceUID = f"2.25.{study_date}.1"
    earlier.SOPInstanceUID = f"2.25.{study_date}.1.1"
    earlier.StudyDate = study_date
    return PriorSource((earlier,), study_date, report)


def sources(*current: Dataset, priors: Sequence[PriorSource] = ()) -> Sources:
    return Sources(current=tuple(current), priors=tuple(priors))


def reread(ds: Dataset, folder: Path) -> Dataset:
    """Write an object to a file and read it back."""
    path = folder / f"{ds.SOPInstanceUID}.dcm"
    dcmwrite(path, ds, enforce_file_format=True)
    return dcmread(path)


def items(ds: Dataset) -> list[Dataset]:
    """List every content item of a report, in document order."""
    found: list[Dataset] = []
    for item in ds.get("ContentSequence", ()):
        found += [item, *items(item)]
    return found


def name_of(item: Dataset) -> str:
    """Give the code value of the concept name; empty without one."""
    return next((code.CodeValue for code in item.get("ConceptNameCodeSequence", ())), "")


def value_of(item: Dataset) -> str:
    """Give the code value of a CODE item; empty for others."""
    return next((code.CodeValue for code in item.get("ConceptCodeSequence", ())), "")


def groups(report: Dataset) -> list[Dataset]:
    """List the measurement groups (DCM 125007)."""
    return [item for item in items(report) if name_of(item) == "125007"]


def child(group: Dataset, name: str) -> Dataset | None:
    """Find the first child with a concept name."""
    return next((item for item in group.ContentSequence if name_of(item) == name), None)


def texts(report: Dataset, name: str) -> list[str]:
    """List the values of TEXT items with a concept name."""
    return [item.TextValue for item in items(report) if item.ValueType == "TEXT" and name_of(item) == name]


def only(results: Sequence[Dataset], modality: str) -> Dataset:
    """Give the one result of a modality."""
    (found,) = [ds for ds in results if ds.Modality == modality]
    return found
