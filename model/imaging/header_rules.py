"""Says from the header alone what an instance is, for whom it is meant, and why it is not read.

Class and tags decide, not looks: many chest radiographs travel as Secondary Capture, lack a View Position, or
name their body part in a description only. Where the header is silent the pixel gates decide; where it
contradicts itself nothing is read.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from pydicom.dataset import Dataset
from pydicom.uid import (
    UID,
    ComputedRadiographyImageStorage,
    CTImageStorage,
    DermoscopicPhotographyImageStorage,
    DigitalXRayImageStorageForPresentation,
    DigitalXRayImageStorageForProcessing,
    EnhancedCTImageStorage,
    LegacyConvertedEnhancedCTImageStorage,
    MultiFrameGrayscaleByteSecondaryCaptureImageStorage,
    MultiFrameGrayscaleWordSecondaryCaptureImageStorage,
    MultiFrameTrueColorSecondaryCaptureImageStorage,
    SecondaryCaptureImageStorage,
    VLPhotographicImageStorage,
)

from model.imaging.elements import integer, items, text, value, values
from model.reading import Modality


@dataclass(frozen=True, slots=True)
class HeaderVerdict:
    """What a header says of its instance."""

    modality: Modality | None
    """Which model it is for; None if for none."""
    reason: str = ""
    """Why it is not read, where `modality` is None."""
    uncertain: str = ""
    """What the header leaves open and the pixels must answer."""


_RADIOGRAPH = frozenset(
    {
        ComputedRadiographyImageStorage,
        DigitalXRayImageStorageForPresentation,
        DigitalXRayImageStorageForProcessing,
    }
)
_CAPTURE = frozenset(
    {
        SecondaryCaptureImageStorage,
        MultiFrameGrayscaleByteSecondaryCaptureImageStorage,
        MultiFrameGrayscaleWordSecondaryCaptureImageStorage,
        MultiFrameTrueColorSecondaryCaptureImageStorage,
    }
)
_CT = frozenset({CTImageStorage, EnhancedCTImageStorage, LegacyConvertedEnhancedCTImageStorage})
_RADIOGRAPH_MODALITIES = frozenset({"CR", "DX", "RG"})
_SKIN_MODALITIES = frozenset({"DMS", "XC"})

_CHEST = re.compile(r"CHEST|THORAX|THORAC(?!IC SPINE)|TORAX|\bLUNGS?\b|\bCXR\b|POUMON|LUNGE")
_ABDOMEN = re.compile(
    r"ABD|LIVER|HEPAT|PANCREA|KIDNEY|RENAL|SPLEEN|COLON|TRUNK|\bBODY\b|WHOLE ?BODY|\bTAP\b|\bCAP\b"
)
_ELSEWHERE = re.compile(
    r"HEAD|BRAIN|SKULL|SINUS|ORBIT|\bFACE\b|NECK|SPINE|CERVICAL|LUMBAR|SACR|PELVI|\bHIP|FEMUR|KNEE|TIBIA|"
    r"ANKLE|\bFOOT|\bFEET\b|\bTOE|EXTREMIT|\bLEG\b|\bARM\b|HUMER|ELBOW|FOREARM|WRIST|\bHAND|FINGER|"
    r"SHOULDER|CLAVIC|SCAPUL|\bRIBS?\b|BREAST|MAMMO|HEART|CARDIAC|CORONARY|SMARTSCORE|DENTAL|TEETH|\bJAW\b"
)
_ANIMAL = re.compile(r"CANINE|FELINE|EQUINE|BOVINE|VETERIN")
_FRONTAL = re.compile(r"\b(?:PA|AP|FRONTAL|POSTERO.?ANTERIOR|ANTERO.?POSTERIOR)\b")
_OTHER_VIEW = re.compile(r"\b(?:LAT|LATERAL|LL|RL|LLD|RLD|OBL|OBLI|OBLIQUE|LAO|RAO|LPO|RPO|DECUB\w*)\b")
_NO_BODY_PART = frozenset({"", "UNKNOWN", "OTHER", "NONE", "NA", "N A", "UNDEFINED"})
_NO_PRIMARY_PICTURE = frozenset(
    {"LOCALIZER", "SCOUT", "SCREEN SAVE", "DOSE_INFO", "DOSE", "MIP", "MINIP", "MNIP", "VOLUME_RENDER"}
    | {"PERFUSION", "PROJECTION IMAGE", "3D RENDERING", "SUBTRACTION"}
)


def judge_header(ds: Dataset) -> HeaderVerdict:
    """Decide for which model an instance is meant, if for any."""
    sop_class, modality = text(ds, "SOPClassUID"), text(ds, "Modality").upper()
    if value(ds, "PixelData") is None:
        return HeaderVerdict(None, "not an image")
    if _is_of_animal(ds):
        return HeaderVerdict(None, "not a human patient")
    unfit = _NO_PRIMARY_PICTURE & set(values(ds, "ImageType"))
    if unfit:
        return HeaderVerdict(None, f"image type {min(unfit)}")
    if sop_class in _RADIOGRAPH or (sop_class in _CAPTURE and modality in _RADIOGRAPH_MODALITIES):
        return _judge_radiograph(ds, captured=sop_class in _CAPTURE)
    if sop_class in _CT:
        return _judge_ct(ds)
    photograph = sop_class == VLPhotographicImageStorage or sop_class in _CAPTURE
    if sop_class == DermoscopicPhotographyImageStorage or (photograph and modality in _SKIN_MODALITIES):
        return _judge_skin(ds)
    if sop_class in _CAPTURE:
        return HeaderVerdict(None, f"a secondary capture of modality {modality[:16] or 'unknown'}")
    name = UID(sop_class).name
    return HeaderVerdict(None, f"{name if name != sop_class else 'an unknown SOP class'} is not read")


def _judge_radiograph(ds: Dataset, *, captured: bool) -> HeaderVerdict:
    if captured and text(ds, "BurnedInAnnotation").upper() == "YES":
        return HeaderVerdict(None, "a secondary capture with burned-in annotation")
    body_part, series, study = _region_texts(ds)
    if _says_elsewhere(body_part, _CHEST, strict=True):
        return HeaderVerdict(None, "not of the chest by its body part")
    if _says_elsewhere(series, _CHEST):
        return HeaderVerdict(None, "not of the chest by its series description")
    if not _CHEST.search(body_part + series) and _says_elsewhere(study, _CHEST):
        return HeaderVerdict(None, "not of the chest by its study description")
    if not _is_frontal(ds, series):
        return HeaderVerdict(None, "not a frontal view")
    named = _CHEST.search(" ".join((body_part, series, study)))
    return HeaderVerdict(Modality.CXR, uncertain="" if named else "The header does not name the body part.")


def _judge_ct(ds: Dataset) -> HeaderVerdict:
    body_part, series, study = _region_texts(ds)
    elsewhere = _says_elsewhere(body_part, _ABDOMEN, strict=True)
    if elsewhere and not (_CHEST.search(body_part) and _ABDOMEN.search(series + study)):
        return HeaderVerdict(None, "not of the abdomen by its body part")
    named = _ABDOMEN.search(" ".join((body_part, series, study)))
    if not named and (_CHEST.search(series + study) or _ELSEWHERE.search(series + study)):
        return HeaderVerdict(None, "not of the abdomen by its description")
    return HeaderVerdict(Modality.CT, uncertain="" if named else "The header does not name the body part.")


def _judge_skin(ds: Dataset) -> HeaderVerdict:
    if (integer(ds, "SamplesPerPixel") or 1) != 3 and text(
        ds, "PhotometricInterpretation"
    ) != "PALETTE COLOR":
        return HeaderVerdict(None, "a photograph without colour")
    body_part, series, _ = _region_texts(ds)
    if text(ds, "SOPClassUID") != DermoscopicPhotographyImageStorage and not re.search(
        r"SKIN|DERM|LESION|NAEV|NEV[UI]", body_part + series
    ):
        return HeaderVerdict(Modality.DERM, uncertain="The header does not say that this is a skin lesion.")
    return HeaderVerdict(Modality.DERM)


def _says_elsewhere(words: str, here: re.Pattern[str], *, strict: bool = False) -> bool:
    """Whether a text names a body part and it is not `here`; a `strict` text can name nothing else."""
    if here.search(words) or words in _NO_BODY_PART:
        return False
    return strict or bool(_ELSEWHERE.search(words) or (here is _CHEST and _ABDOMEN.search(words)))


def _region_texts(ds: Dataset) -> tuple[str, str, str]:
    """What names the body part, by authority: body part, acquisition and series, study."""
    regions = [text(item, "CodeMeaning") for item in items(ds, "AnatomicRegionSequence")]
    return (
        _words(ds, "BodyPartExamined", extra=regions),
        _words(ds, "SeriesDescription", "ProtocolName", "AcquisitionDeviceProcessingDescription"),
        _words(ds, "StudyDescription", "RequestedProcedureDescription", "PerformedProcedureStepDescription"),
    )


def _words(ds: Dataset, *keywords: str, extra: list[str] | None = None) -> str:
    joined = " ".join([*(text(ds, keyword) for keyword in keywords), *(extra or [])])
    return " ".join(re.sub(r"[_\W]+", " ", joined.upper()).split())


def _is_frontal(ds: Dataset, series: str) -> bool:
    """Whether nothing says that the view is another one; a silent header passes."""
    position = _words(ds, "ViewPosition")
    if position and not _FRONTAL.search(position):
        return False
    views = " ".join(text(item, "CodeMeaning").upper() for item in items(ds, "ViewCodeSequence"))
    for words in (views.replace("-", " "), series):
        if _OTHER_VIEW.search(words) and not _FRONTAL.search(words):
            return False
    directions = values(ds, "PatientOrientation")
    return not (len(directions) == 2 and any(direction[:1] in "AP" for direction in directions))


_HUMAN: Mapping[str, str] = {"337915000": "SCT", "L-85B00": "SRT"}
"""Codes of Homo sapiens (PS3.16 CID 7454)."""


def _is_of_animal(ds: Dataset) -> bool:
    species = text(ds, "PatientSpeciesDescription").upper()
    codes = [text(item, "CodeValue") for item in items(ds, "PatientSpeciesCodeSequence")]
    if any(code and code not in _HUMAN for code in codes):
        return True
    if species and "HUMAN" not in species and "SAPIENS" not in species:
        return True
    if text(ds, "PatientBreedDescription") or text(ds, "BreedRegistrationNumber"):
        return True
    return any(_ANIMAL.search(words) for words in _region_texts(ds))
