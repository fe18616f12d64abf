"""Sources of every kind of geometry that results are built on, as headers without pixels."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from pydicom.dataset import Dataset
from pydicom.uid import EnhancedCTImageStorage, MultiFrameGrayscaleWordSecondaryCaptureImageStorage

from model.reading import Modality
from model.volume import Geometry
from tests.unit.structured_reports.readings import capture, ct_slices, dermoscopy, header, radiograph

ENHANCED_FRAMES = 4


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of source."""

    modality: Modality
    make: Callable[[], list[Dataset]]
    """Headers of the images of one study; a stack in file order."""


def positioned(slices: list[Dataset], orientation: Sequence[float], step: Sequence[float]) -> list[Dataset]:
    """Lay slices out from one corner, `step` millimetres from each to the next."""
    for number, ds in enumerate(slices):
        ds.ImageOrientationPatient = list(orientation)
        ds.ImagePositionPatient = [
            round(start + number * d, 4) for start, d in zip((-10, -20, 80), step, strict=True)
        ]
    return slices


def oblique() -> list[Dataset]:
    """Turn the planes about x by 30 degrees; slices follow along the normal."""
    return positioned(ct_slices(), [1, 0, 0, 0, 0.866025, 0.5], [0, 1.0, -1.73205])


def tilted() -> list[Dataset]:
    """Tilt the gantry by 15 degrees; the table moves along z, so that the stack is sheared."""
    return positioned(ct_slices(), [1, 0, 0, 0, 0.965926, -0.258819], [0, 0, -2.5])


def uneven() -> list[Dataset]:
    """Leave one slice out of six: a gap."""
    slices = ct_slices(6)
    return slices[:3] + slices[4:]


def multi_frame() -> list[Dataset]:
    """Make a classic multi-frame capture of three frames, without functional groups."""
    word = {"NumberOfFrames": 3, "BitsStored": 16, "HighBit": 15, "ConversionType": "DI"}
    windows = {"WindowCenter": None, "WindowWidth": None}
    return [header(MultiFrameGrayscaleWordSecondaryCaptureImageStorage, **word, **windows)]


def enhanced() -> list[Dataset]:
    """Make one enhanced CT whose frames run from feet to head, 3 mm apart (PS3.3 A.38)."""
    plain = {"PixelSpacing": None, "ImagerPixelSpacing": None, "WindowCenter": None, "WindowWidth": None}
    ds = header(EnhancedCTImageStorage, Modality="CT", NumberOfFrames=ENHANCED_FRAMES, **plain)
    ds.FrameOfReferenceUID, ds.PatientPosition = "1.2.3.4.9", "HFS"
    ds.ImageType = ["ORIGINAL", "PRIMARY", "VOLUME", "NONE"]
    shared, measures, orientation = Dataset(), Dataset(), Dataset()
    measures.PixelSpacing, measures.SliceThickness = [0.5, 0.5], 3.0
    orientation.ImageOrientationPatient = [1, 0, 0, 0, 1, 0]
    shared.PixelMeasuresSequence, shared.PlaneOrientationSequence = [measures], [orientation]
    ds.SharedFunctionalGroupsSequence = [shared]
    frames: list[Dataset] = []
    for number in range(ENHANCED_FRAMES):
        position, group = Dataset(), Dataset()
        position.ImagePositionPatient = [-10.0, -20.0, 60.0 + 3 * number]
        group.PlanePositionSequence = [position]
        frames.append(group)
    ds.PerFrameFunctionalGroupsSequence = frames
    return [ds]


KINDS: dict[str, Kind] = {
    "DX": Kind(Modality.CXR, lambda: [header()]),
    "CR, MONOCHROME1": Kind(Modality.CXR, lambda: [radiograph(PhotometricInterpretation="MONOCHROME1")]),
    "capture, oblong pixels": Kind(Modality.CXR, lambda: [capture(PixelSpacing=[0.2, 0.15])]),
    "DX, odd size": Kind(Modality.CXR, lambda: [header(Rows=61, Columns=43)]),
    "classic multi-frame": Kind(Modality.CXR, multi_frame),
    "CT": Kind(Modality.CT, ct_slices),
    "CT, feet first": Kind(Modality.CT, lambda: ct_slices()[::-1]),
    "CT, oblique": Kind(Modality.CT, oblique),
    "CT, tilted": Kind(Modality.CT, tilted),
    "CT, uneven": Kind(Modality.CT, uneven),
    "CT, enhanced": Kind(Modality.CT, enhanced),
    "dermoscopy": Kind(Modality.DERM, lambda: [dermoscopy(PixelSpacing=[0.02, 0.02])]),
}


def geometry_of(images: Sequence[Dataset]) -> Geometry:
    """Give the affine of a stack (PS3.3 C.7.6.2.1.1): steps to the next slice, row and column."""
    positions, orientation, spacing = _planes(images)
    affine = np.eye(4)
    affine[:3, 0] = (positions[-1] - positions[0]) / (len(positions) - 1)
    affine[:3, 1], affine[:3, 2] = orientation[3:] * spacing[0], orientation[:3] * spacing[1]
    affine[:3, 3] = positions[0]
    return Geometry(affine)


def _planes(images: Sequence[Dataset]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    first = images[0]
    if "PerFrameFunctionalGroupsSequence" in first:
        shared = first.SharedFunctionalGroupsSequence[0]
        places = [group.PlanePositionSequence[0] for group in first.PerFrameFunctionalGroupsSequence]
        planes = shared.PlaneOrientationSequence[0], shared.PixelMeasuresSequence[0]
    else:
        places, planes = list(images), (first, first)
    positions = np.array([place.ImagePositionPatient for place in places], dtype=float)
    return positions, np.array(planes[0].ImageOrientationPatient, dtype=float), np.array(
        planes[1].PixelSpacing, dtype=float
    )  # fmt: skip
