"""Coded concepts: those that reports are made of, and by `concepts.tsv` those that labels of the model mean.

A SNOMED CT code is here only if it is in a DICOM context group or in a curated public value set; a label
without one gets a code of our own scheme, which every report declares (PS3.3 C.12.1, Coding Scheme
Identification).
"""

from csv import DictReader
from dataclasses import dataclass
from hashlib import sha256
from importlib.resources import files

from pydicom.sr.coding import Code

from model.reading import ChangeStatus, Laterality, Modality, Presence
from structured_reports.errors import CodingError

LOCAL_SCHEME = "99MEDVERSA"
LOCAL_SCHEME_NAME = "medversa-node local codes"
LOCAL = "local"
FINDING_KIND = "finding"


def _sct(value: str, meaning: str) -> Code:
    return Code(value, "SCT", meaning)


def _dcm(value: str, meaning: str) -> Code:
    return Code(value, "DCM", meaning)


def _local(value: str, meaning: str) -> Code:
    return Code(value, LOCAL_SCHEME, meaning)


ANATOMICAL_STRUCTURE = _sct("91723000", "Anatomical Structure")
MORPHOLOGICALLY_ABNORMAL_STRUCTURE = _sct("49755003", "Morphologically Abnormal Structure")
PHYSICAL_OBJECT = _sct("260787004", "Physical object")
"""Segmented property categories (PS3.16 CID 7150)."""

_CATEGORIES = {FINDING_KIND: MORPHOLOGICALLY_ABNORMAL_STRUCTURE, "device": PHYSICAL_OBJECT}

CHEST = _sct("816094009", "Chest")
ABDOMEN = _sct("818981001", "Abdomen")
SKIN = _sct("39937001", "Skin")
OVERALL = _local("OVERALL", "Overall impression of the study")

FINDING = _dcm("121071", "Finding")
FINDING_SITE = _sct("363698007", "Finding Site")
LATERALITY = _sct("272741003", "Laterality")
CERTAINTY = _dcm("111012", "Certainty of Finding")
PRESENCE = _sct("705057003", "Presence")
SEVERITY = _sct("246112005", "Severity")
CHANGED_STATUS = _sct("263703002", "Changed status")
NORMALITY = _dcm("121402", "Normality")
NORMALITY_UNDETERMINED = _sct("371934000", "Normality Undetermined")
GEOMETRIC_PURPOSE = _dcm("130400", "Geometric purpose of region")
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
SELECTED_REGION_DESCRIPTION = _dcm("111058", "Selected Region Description")
VOLUME = _sct("118565006", "Volume")
AREA = _sct("42798000", "Area")
YES = _sct("373066001", "Yes")
NO = _sct("373067005", "No")

SELF_CONSISTENCY = _local("CONSISTENCY", "Self-consistency of the AI model")
CONTESTED = _local("CONTESTED", "Contested: the AI model contradicts itself")
CONTESTED_FINDING = _local("CONTESTED_FIND", "Contested finding")
ABSENT_FINDINGS = _local("ABSENT_FINDINGS", "Findings called absent")
LOCATED_ANATOMY = _local("ANATOMY_LOCATED", "Anatomy located by the AI model")
NOT_DRAWN = _local("NOT_DRAWN", "Findings and measurements that are not drawn")
DESCRIBED_REGION = _local("REGION_DESCRIBED", "Region described by the AI model")
QUESTIONS = _local("QUESTIONS", "Questions and answers")
QUESTION_AND_ANSWER = _local("QUESTION_ANSWER", "Question and answer")
PERSONS_QUESTION = _local("QUESTION_PERSON", "Question asked by a person")
QUESTION = _local("QUESTION", "Question put to the AI model")
ANSWER = _local("ANSWER", "Answer of the AI model, not verified")
TECHNICAL_APPENDIX = _local("APPENDIX", "Technical appendix for audit")
RAW_ANSWER = _local("RAW_ANSWER", "Raw answer of the AI model")
"""What the standard has no concept for."""

WAYS = {
    "report text": _local("SAID_REPORT", "Report text"),
    "impression": _local("SAID_IMPRESSION", "Impression"),
    "yes/no answer": _local("SAID_YES_NO", "Yes/no answer"),
    "list of labels": _local("SAID_LIST", "List of labels"),
    "boxes": _local("SAID_BOXES", "Boxes"),
    "masks": _local("SAID_MASKS", "Masks"),
}
"""In how many ways a model is asked of one thing; see `model.reading.Disagreement`."""

PERCENT = Code("%", "UCUM", "Percent")
CUBIC_CENTIMETRE = Code("cm3", "UCUM", "cubic centimeter")
SQUARE_CENTIMETRE = Code("cm2", "UCUM", "square centimeter")
SQUARE_MILLIMETRE = Code("mm2", "UCUM", "square millimeter")
NO_UNITS = Code("1", "UCUM", "no units")

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
    """The side that the label itself names; both, where the model has one class for a paired organ."""
    note: str = ""
    """What a reader must know where the model's class is wider than the code."""
    kind: str = FINDING_KIND
    """`finding`, `device`, or the part of the body that a structure belongs to."""
    says_site: bool = True
    """Whether the code itself says where it is: `Opacity` does not say of what."""
    verified_in: str = LOCAL
    """Where the code was looked up: a context group of PS3.16, a curated public value set, or `local`."""

    def side(self, given: Laterality | None) -> Laterality | None:
        """Give the side to be said: a label that names one is right, one for both gives way."""
        if self.laterality is Laterality.BILATERAL:
            return given or self.laterality
        return self.laterality or given


def _read_concepts(table: str) -> dict[str, Concept]:
    rows = {row["label"]: row for row in DictReader(table.splitlines(), delimiter="\t", restval="")}
    codes = {label: Code(row["value"], row["scheme"], row["meaning"]) for label, row in rows.items()}
    return {
        label: Concept(
            code=codes[label],
            category=_CATEGORIES.get(row["kind"], ANATOMICAL_STRUCTURE),
            site=codes[row["site"] or label],
            laterality=Laterality(row["laterality"]) if row["laterality"] else None,
            note=row["note"],
            kind=row["kind"],
            says_site=not row["site_to_be_said"],
            verified_in=row["verified_in"],
        )
        for label, row in rows.items()
    }


CONCEPTS = _read_concepts(files("structured_reports").joinpath("concepts.tsv").read_text(encoding="utf-8"))
"""By label. A spreadsheet, so that a site's terminologist can review it without reading Python."""

_OVERALL = {"chest": CHEST, "abdomen": ABDOMEN}
"""What an overall statement of change speaks of: the region that is read, as a whole."""


def concept_of(label: str, region: Code) -> Concept:
    """Say a label in codes; one that is not in the table gets a stable local code with `region` as its site.

    Raises:
        CodingError: the label has nothing that can be printed.
    """
    if label in _OVERALL and _OVERALL[label] == region:
        return Concept(OVERALL, MORPHOLOGICALLY_ABNORMAL_STRUCTURE, region)
    known = CONCEPTS.get(label)
    return known or Concept(local_code(label), MORPHOLOGICALLY_ABNORMAL_STRUCTURE, region)


def local_code(text: str) -> Code:
    """Code words of the model that no table has: the value is derived from them, the meaning is they.

    What a Code Meaning (LO, 64 characters) cannot hold is left out; the value still tells texts apart.

    Raises:
        CodingError: the text has nothing that can be printed.
    """
    meaning = "".join(c if c.isprintable() and c != "\\" else " " for c in text).strip()
    if not meaning:
        raise CodingError("a label is empty or not printable")
    shortened = meaning if len(meaning) <= 64 else f"{meaning[:63].rstrip()}…"
    return _local(f"X{sha256(text.encode()).hexdigest()[:12].upper()}", shortened)
