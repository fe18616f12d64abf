"""Hand-made DICOM for datasets, as the imaging tests make it."""

from tests.unit.model.imaging.conftest import ct_slice, radiograph

__all__ = ["ct_slice", "radiograph"]
