"""The body part of an object that has no plane in the patient (PS3.3 C.7.3.1)."""

from pydicom.dataset import Dataset

from model.reading import Modality

_BODY_PARTS = {Modality.CXR: "CHEST", Modality.CT: "ABDOMEN", Modality.DERM: "SKIN"}


def say_body_part(result: Dataset, modality: Modality) -> None:
    """Name the body part; Laterality (type 2C) is for paired ones, and not known of skin."""
    result.BodyPartExamined = _BODY_PARTS[modality]
    if modality is Modality.DERM:
        result.Laterality = ""
