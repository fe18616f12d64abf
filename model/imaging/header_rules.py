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

from model.imaging.decoding import is_floating
from model.imaging.elements import integer, items, text, value, values, words
from model.imaging.views import radiograph_view
from model.reading import Modality
from model.volume import View


@dataclass(frozen=True, slots=True)
class HeaderVerdict:
    """What a header says of its instance."""

    modality: Modality | None
    """Which model it is for; None if for none."""
    reason: str = ""
    """Why it is not read, where `modality` is None."""
    uncertain: str = ""
    """What the header leaves open and the pixels must answer."""
    view: View = View.UNKNOWN


UNNAMED_PART = "The header does not name the body part."

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
_PHANTOM = re.compile(r"\b(?:PHANTOMS?|CATPHAN|QUALITY (?:CONTROL|ASSURANCE)|TEST PATTERN)\b|^Q[AC]\b")
_NO_BODY_PART = frozenset({"", "UNKNOWN", "OTHER", "NONE", "NA", "N A", "UNDEFINED"})
NO_PRIMARY_PICTURE = frozenset(
    {"LOCALIZER", "SCOUT", "SCREEN SAVE", "DOSE_INFO", "DOSE", "MIP", "MINIP", "MNIP", "VOLUME_RENDER"}
    | {"PERFUSION", "PROJECTION IMAGE", "3D RENDERING", "SUBTRACTION"}
)
"""Values of Image Type and Frame Type of what was made to plan, to document or to show something else."""

_DOCUMENT_CONVERSIONS: Mapping[str, str] = {"SD": "a scanned document", "DRW": "a drawing"}
"""Conversion Type (PS3.3 C.8.6.1). Others say how, not what was captured: even SYN is seen on radiographs."""


def judge_header(ds: Dataset) -> HeaderVerdict:
    """Decide for which model an instance is meant, if for any."""
    sop_class, modality = text(ds, "SOPClassUID"), text(ds, "Modality").upper()
    if value(ds, "PixelData") is None:
        return HeaderVerdict(
            None, "floating-point pixels are not read" if is_floating(ds) else "not an image"
        )
    if _is_of_animal(ds):
        return HeaderVerdict(None, "not a human patient")
    if _is_of_phantom(ds):
        return HeaderVerdict(None, "a phantom or a quality control image")
    unfit = NO_PRIMARY_PICTURE & set(values(ds, "ImageType"))
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
    if captured and (reason := _judge_capture(ds)):
        return HeaderVerdict(None, reason)
    body_part, series, study = _region_texts(ds)
    if _says_elsewhere(body_part, _CHEST, strict=True):
        return HeaderVerdict(None, "not of the chest by its body part")
    if _says_elsewhere(series, _CHEST):
        return HeaderVerdict(None, "not of the chest by its series description")
    if not _CHEST.search(body_part + series) and _says_elsewhere(study, _CHEST):
        return HeaderVerdict(None, "not of the chest by its study description")
    view = radiograph_view(ds)
    if view is None:
        return HeaderVerdict(None, "neither a frontal nor a lateral view")
    named = _CHEST.search(" ".join((body_part, series, study)))
    return HeaderVerdict(Modality.CXR, uncertain="" if named else UNNAMED_PART, view=view)


def _judge_capture(ds: Dataset) -> str:
    """Why a secondary capture is not the picture of a patient; empty if it may be one."""
    if text(ds, "BurnedInAnnotation").upper() == "YES":
        return "a secondary capture with burned-in annotation"
    return _DOCUMENT_CONVERSIONS.get(text(ds, "ConversionType").upper(), "")


def _judge_ct(ds: Dataset) -> HeaderVerdict:
    body_part, series, study = _region_texts(ds)
    elsewhere = _says_elsewhere(body_part, _ABDOMEN, strict=True)
    if elsewhere and not (_CHEST.search(body_part) and _ABDOMEN.search(series + study)):
        return HeaderVerdict(None, "not of the abdomen by its body part")
    named = _ABDOMEN.search(" ".join((body_part, series, study)))
    if not named and (_CHEST.search(series + study) or _ELSEWHERE.search(series + study)):
        return HeaderVerdict(None, "not of the abdomen by its description")
    return HeaderVerdict(Modality.CT, uncertain="" if named else UNNAMED_PART)


def _judge_skin(ds: Dataset) -> HeaderVerdict:
    if text(ds, "SOPClassUID") in _CAPTURE and (reason := _judge_capture(ds)):
        return HeaderVerdict(None, reason)
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
    shared = items(ds, "SharedFunctionalGroupsSequence")
    anatomy = [item for group in shared for item in items(group, "FrameAnatomySequence")]
    regions = [item for part in (ds, *anatomy) for item in items(part, "AnatomicRegionSequence")]
    return (
        " ".join([words(ds, "BodyPartExamined"), *(words(item, "CodeMeaning") for item in regions)]).strip(),
        words(ds, "SeriesDescription", "ProtocolName", "AcquisitionDeviceProcessingDescription"),
        words(ds, "StudyDescription", "RequestedProcedureDescription", "PerformedProcedureStepDescription"),
    )


def _is_of_phantom(ds: Dataset) -> bool:
    """Whether the header declares a phantom. The patient's name is not asked: it may be anybody's."""
    declared = [text(ds, keyword).upper() for keyword in ("QualityControlSubject", "QualityControlImage")]
    return "YES" in declared or any(_PHANTOM.search(described) for described in _region_texts(ds))


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
