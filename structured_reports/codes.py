"""The one reviewed table from the model's labels to coded concepts.

A SNOMED CT code is here only if it is in a DICOM context group or in a curated public value set; a label
without one gets a code of our own scheme, which every report declares (PS3.3 C.12.1, Coding Scheme
Identification).
"""

from dataclasses import dataclass
from hashlib import sha256

from pydicom.sr.coding import Code

from model.reading import ChangeStatus, Laterality, Modality, Presence
from structured_reports.errors import CodingError

LOCAL_SCHEME = "99MEDVERSA"
LOCAL_SCHEME_NAME = "medversa-node local codes"


def _sct(value: str, meaning: str) -> Code:
    return Code(value, "SCT", meaning)


def _dcm(value: str, meaning: str) -> Code:
    return Code(value, "DCM", meaning)


def _local(value: str, meaning: str) -> Code:
    return Code(value, LOCAL_SCHEME, meaning)


ANATOMICAL_STRUCTURE = _sct("91723000", "Anatomical Structure")
MORPHOLOGICALLY_ABNORMAL_STRUCTURE = _sct("49755003", "Morphologically Abnormal Structure")
"""Segmented property categories (PS3.16 CID 7150)."""

CHEST = _sct("816094009", "Chest")
ABDOMEN = _sct("818981001", "Abdomen")
SKIN = _sct("39937001", "Skin")
LUNG = _sct("39607008", "Lung")
HEART = _sct("80891009", "Heart")
PLEURA = _sct("3120008", "Pleura")
KIDNEY = _sct("64033007", "Kidney")

FINDING = _dcm("121071", "Finding")
FINDING_SITE = _sct("363698007", "Finding Site")
LATERALITY = _sct("272741003", "Laterality")
CERTAINTY = _dcm("111012", "Certainty of Finding")
PRESENCE = _sct("705057003", "Presence")
CHANGED_STATUS = _sct("263703002", "Changed status")
NORMALITY = _dcm("121402", "Normality")
NORMALITY_UNDETERMINED = _sct("371934000", "Normality Undetermined")
BOUNDED_BY = _sct("75958009", "Bounded by")
SOURCE = _sct("260753009", "Source")
BASELINE = _dcm("121079", "Baseline")
PRIOR_REPORT = _dcm("122075", "Prior report for current patient")
IMPRESSION = _dcm("121073", "Impression")
COMMENT = _dcm("121106", "Comment")
COMPARISON_TO_PREVIOUS = _dcm("111424", "Comparison to previous studies")
COMPARISON_DONE = _dcm("122140", "Comparison with Prior Study Done")
QUALITATIVE_EVALUATIONS = Code("C0034375", "UMLS", "Qualitative Evaluations")
TIME_POINT = Code("C2348792", "UMLS", "Time Point")
ARTIFICIAL_INTELLIGENCE = _dcm("123110", "Artificial Intelligence")
PROCESSING_EQUIPMENT = _dcm("109102", "Processing Equipment")
IMAGING_PROCEDURE = _sct("363679005", "Imaging procedure")
VOLUME = _sct("118565006", "Volume")
AREA = _sct("42798000", "Area")
YES = _sct("373066001", "Yes")
NO = _sct("373067005", "No")

PERCENT = Code("%", "UCUM", "Percent")
CUBIC_CENTIMETRE = Code("cm3", "UCUM", "cubic centimeter")
SQUARE_CENTIMETRE = Code("cm2", "UCUM", "square centimeter")

PRESENCES = {
    Presence.PRESENT: _sct("52101004", "Present"),
    Presence.ABSENT: _sct("272519000", "Absent"),
    Presence.UNDETERMINED: _sct("373068000", "Undetermined"),
}
"""PS3.16 CID 240."""

SIDES = {
    Laterality.LEFT: _sct("7771000", "Left"),
    Laterality.RIGHT: _sct("24028007", "Right"),
    Laterality.BILATERAL: _sct("51440002", "Right and left"),
}
"""PS3.16 CID 244."""

CHANGES = {
    ChangeStatus.NEW: _sct("7147002", "New"),
    ChangeStatus.INCREASED: _sct("35105006", "Increased"),
    ChangeStatus.DECREASED: _sct("1250004", "Decreased"),
    ChangeStatus.UNCHANGED: _sct("260388006", "No change"),
    ChangeStatus.RESOLVED: _sct("413322009", "Problem resolved"),
}

REGIONS = {Modality.CXR: CHEST, Modality.CT: ABDOMEN, Modality.DERM: SKIN}
"""Target region where neither label nor header says more (PS3.16 CID 4031)."""

MODALITIES = {
    code: _dcm(code, meaning)
    for code, meaning in {
        "CR": "Computed Radiography",
        "CT": "Computed Tomography",
        "DMS": "Dermoscopy",
        "DX": "Digital Radiography",
        "ES": "Endoscopy",
        "GM": "General Microscopy",
        "MR": "Magnetic Resonance",
        "OT": "Other Modality",
        "PT": "Positron emission tomography",
        "PX": "Panoramic X-Ray",
        "RF": "Radiofluoroscopy",
        "RG": "Radiographic imaging",
        "XA": "X-Ray Angiography",
        "XC": "External-camera Photography",
    }.items()
}
"""PS3.16 CID 29, as far as the node reads images of it."""


@dataclass(frozen=True, slots=True)
class Concept:
    """What a label means in codes."""

    code: Code
    """As value of Finding, and as Segmented Property Type."""
    category: Code
    site: Code
    laterality: Laterality | None = None
    """The side that the label itself names."""
    note: str = ""
    """What a reader must know where the model's class is wider than the code."""


def _finding(code: Code, site: Code, note: str = "") -> Concept:
    return Concept(code, MORPHOLOGICALLY_ABNORMAL_STRUCTURE, site, note=note)


def _organ(code: Code, laterality: Laterality | None = None) -> Concept:
    return Concept(code, ANATOMICAL_STRUCTURE, code, laterality)


CONCEPTS: dict[str, Concept] = {
    # chest findings
    "lung nodule": _finding(_sct("786838002", "Nodule of lung"), LUNG),
    "consolidation": _finding(_sct("95436008", "Lung consolidation"), LUNG),
    "pleural effusion": _finding(_sct("60046008", "Pleural effusion"), PLEURA),
    "pneumothorax": _finding(_sct("36118008", "Pneumothorax"), PLEURA),
    # codes.SCT.Cardiomegaly of pydicom is another concept (287272002, enlarged septal foramen): never use it.
    "enlarged cardiac silhouette": _finding(_sct("8186001", "Cardiomegaly"), HEART),
    # chest anatomy
    "left lung": _organ(LUNG, Laterality.LEFT),
    "right lung": _organ(LUNG, Laterality.RIGHT),
    "heart": _organ(HEART),
    "trachea": _organ(_sct("44567001", "Trachea")),
    "aorta": _organ(_sct("15825003", "Aorta")),
    "spine": _organ(_sct("421060004", "Spine")),
    # abdominal organs
    "liver": _organ(_sct("10200004", "Liver")),
    "spleen": _organ(_sct("78961009", "Spleen")),
    "kidneys": _organ(KIDNEY, Laterality.BILATERAL),
    "left kidney": _organ(KIDNEY, Laterality.LEFT),
    "right kidney": _organ(KIDNEY, Laterality.RIGHT),
    "pancreas": _organ(_sct("15776009", "Pancreas")),
    # skin lesions: the classes of HAM10000
    "actinic keratosis": _finding(
        _sct("201101007", "Actinic keratosis"), SKIN, "The class also contains Bowen disease."
    ),
    "basal cell carcinoma": _finding(_sct("254701007", "Basal cell carcinoma of skin"), SKIN),
    "benign keratosis": _finding(
        _local("SKIN_BKL", "Benign keratosis-like skin lesion"),
        SKIN,
        "The class is seborrheic keratosis, solar lentigo or lichen planus-like keratosis.",
    ),
    "dermatofibroma": _finding(_local("SKIN_DF", "Dermatofibroma"), SKIN),
    "melanoma": _finding(_sct("93655004", "Malignant melanoma of skin"), SKIN),
    "melanocytic nevus": _finding(_sct("400096001", "Melanocytic nevus"), SKIN),
    "vascular lesion": _finding(
        _local("SKIN_VASC", "Vascular skin lesion"),
        SKIN,
        "The class is angioma, angiokeratoma, pyogenic granuloma or haemorrhage.",
    ),
    "skin lesion": _finding(_sct("95324001", "Skin lesion"), SKIN),
    # what an overall statement of change speaks of
    "chest": _finding(_local("OVERALL", "Overall impression of the study"), CHEST),
    "abdomen": _finding(_local("OVERALL", "Overall impression of the study"), ABDOMEN),
}


def concept_of(label: str, region: Code) -> Concept:
    """Say a label in codes; one that is not in the table gets a stable local code with `region` as its site.

    Raises:
        CodingError: the label is empty or longer than Code Meaning allows (LO, 64 characters).
    """
    known = CONCEPTS.get(label)
    if known is not None:
        return known
    if not 0 < len(label) <= 64 or not label.isprintable() or "\\" in label:
        raise CodingError("a label is empty, longer than 64 characters or not printable")
    value = f"X{sha256(label.encode()).hexdigest()[:12].upper()}"
    return _finding(_local(value, label), region)
