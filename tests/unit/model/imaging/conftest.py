"""Hand-made datasets: every element that a test needs is written out by the test or here."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import (
    CTImageStorage,
    DermoscopicPhotographyImageStorage,
    DigitalXRayImageStorageForPresentation,
    ExplicitVRLittleEndian,
    generate_uid,
)

DatasetMaker = Callable[..., Dataset]


def with_pixels(ds: Dataset, stored: NDArray[Any]) -> Dataset:
    """Write the Image Pixel Module for (J, I) or (J, I, 3) of 8, 16 or 32 bits."""
    ds.file_meta = FileMetaDataset()
    ds.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    bits = stored.dtype.itemsize * 8
    ds.Rows, ds.Columns = stored.shape[:2]
    ds.SamplesPerPixel = 3 if stored.ndim == 3 else 1
    ds.PhotometricInterpretation = "RGB" if stored.ndim == 3 else "MONOCHROME2"
    if stored.ndim == 3:
        ds.PlanarConfiguration = 0
    ds.BitsAllocated, ds.BitsStored, ds.HighBit = bits, bits, bits - 1
    ds.PixelRepresentation = int(stored.dtype.kind == "i")
    data = stored.tobytes()
    ds.PixelData = data + b"\0" * (len(data) % 2)
    ds["PixelData"].VR = "OB" if bits == 8 else "OW"
    return ds


def with_elements(ds: Dataset, elements: dict[str, Any]) -> Dataset:
    for keyword, value in elements.items():
        if value is None:
            if keyword in ds:
                delattr(ds, keyword)
        else:
            setattr(ds, keyword, value)
    return ds


@pytest.fixture
def radiograph() -> DatasetMaker:
    """Make a frontal chest radiograph; keywords set elements, None removes one."""

    def make(stored: NDArray[Any] | None = None, **elements: Any) -> Dataset:
        ds = Dataset()
        ds.SOPClassUID = DigitalXRayImageStorageForPresentation
        ds.SOPInstanceUID = generate_uid()
        ds.Modality = "DX"
        ds.BodyPartExamined = "CHEST"
        ds.ViewPosition = "PA"
        ds.ImageType = ["ORIGINAL", "PRIMARY"]
        default = np.arange(64, dtype=np.uint8).reshape(8, 8)
        return with_elements(with_pixels(ds, default if stored is None else stored), elements)

    return make


@pytest.fixture
def photograph() -> DatasetMaker:
    """Make a dermoscopic photograph."""

    def make(stored: NDArray[Any] | None = None, **elements: Any) -> Dataset:
        ds = Dataset()
        ds.SOPClassUID = DermoscopicPhotographyImageStorage
        ds.SOPInstanceUID = generate_uid()
        ds.Modality = "DMS"
        default = np.arange(192, dtype=np.uint8).reshape(8, 8, 3)
        return with_elements(with_pixels(ds, default if stored is None else stored), elements)

    return make


@pytest.fixture
def ct_slice() -> DatasetMaker:
    """Make one axial slice: 4 rows 2 mm apart, 3 columns 1 mm apart, HU = stored - 1024."""

    def make(z: float = 0.0, stored: NDArray[Any] | None = None, **elements: Any) -> Dataset:
        ds = Dataset()
        ds.SOPClassUID = CTImageStorage
        ds.SOPInstanceUID = generate_uid()
        ds.SeriesInstanceUID = "1.2.3"
        ds.Modality = "CT"
        ds.BodyPartExamined = "ABDOMEN"
        ds.ImageType = ["ORIGINAL", "PRIMARY", "AXIAL"]
        ds.ImagePositionPatient = [-10.0, -20.0, z]
        ds.ImageOrientationPatient = [1, 0, 0, 0, 1, 0]
        ds.PixelSpacing = [2.0, 1.0]
        ds.RescaleSlope, ds.RescaleIntercept = 1, -1024
        default = np.full((4, 3), 1024 + round(z), dtype=np.uint16)
        return with_elements(with_pixels(ds, default if stored is None else stored), elements)

    return make
