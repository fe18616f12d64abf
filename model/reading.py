"""The vocabulary of a study's reading: what is asked of the model, and what it concluded.

A *Reading* is what the model concluded; a *report* is the DICOM object that says so.
"""

from dataclasses import dataclass, field
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from model.volume import FrameKey, Geometry, PlanarImage, Volume

NO_PRIOR = "No prior study was available to the software: nothing was compared."
"""The caveat of a reading that had none."""


class Modality(StrEnum):
    """What kind of picture the model is asked to read; not DICOM's Modality (0008,0060)."""

    CXR = "cxr"
    DERM = "derm"
    CT = "ct"


class Task(StrEnum):
    """One kind of question of a study's protocol."""

    REPORT = "report"
    CLASSIFICATION = "classification"
    ANATOMY_DETECTION = "anatomy detection"
    PATHOLOGY_DETECTION = "pathology detection"
    SEGMENTATION = "segmentation"
    COMPARISON = "comparison"
    VQA = "visual question answering"
    REGION_CAPTIONING = "region captioning"


class Laterality(StrEnum):
    """The patient's side."""

    LEFT = "left"
    RIGHT = "right"
    BILATERAL = "bilateral"


class Presence(StrEnum):
    """Whether a finding is there (PS3.16 CID 240)."""

    PRESENT = "present"
    ABSENT = "absent"
    UNDETERMINED = "undetermined"


class ChangeStatus(StrEnum):
    """How a finding developed since the prior."""

    NEW = "new"
    INCREASED = "increased"
    DECREASED = "decreased"
    UNCHANGED = "unchanged"
    RESOLVED = "resolved"


CHEST_FINDINGS = (
    "lung nodule",
    "consolidation",
    "pleural effusion",
    "pneumothorax",
    "enlarged cardiac silhouette",
)
"""Chest pathology that preset `demo` knows; also what detection may box."""

CHEST_STRUCTURES = ("left lung", "right lung", "heart", "trachea", "aorta", "spine")
"""Chest anatomy that preset `demo` boxes."""

CHEST_ORGANS = ("left lung", "right lung", "heart")
"""Chest organs that preset `demo` masks."""

ABDOMINAL_ORGANS = ("liver", "spleen", "kidneys", "pancreas")
"""Abdominal organs that preset `demo` masks on CT."""

SKIN_LESIONS = (
    "actinic keratosis",
    "basal cell carcinoma",
    "benign keratosis",
    "dermatofibroma",
    "melanoma",
    "melanocytic nevus",
    "vascular lesion",
)
"""The seven HAM10000 classes in their usual order: akiec, bcc, bkl, df, mel, nv, vasc."""


@dataclass(frozen=True, slots=True)
class ClinicalContext:
    """What the order says, stripped of identity; every field may be unknown."""

    age_years: float | None = None
    sex: str | None = None
    """`M`, `F` or `O`."""
    indication: str | None = None
    body_site: str | None = None


@dataclass(frozen=True, slots=True, eq=False)
class PriorImages:
    """The images of one earlier study of the same patient."""

    images: tuple[PlanarImage | Volume, ...]
    days_before: int | None
    """Whole days from the prior to the current study; None if a date is missing."""


@dataclass(frozen=True, slots=True, eq=False)
class ReadingRequest:
    """Everything that the model may know of a study: pixels and context, no identity."""

    modality: Modality
    images: tuple[PlanarImage | Volume, ...]
    """The current study: `<img0>`, `<img1>`, … in this order."""
    tasks: tuple[Task, ...]
    priors: tuple[PriorImages, ...] = ()
    """Newest first; numbered on after the current images in a prompt."""
    context: ClinicalContext = ClinicalContext()
    seed: int = 0
    whole_report: bool = False
    """Ask for findings and impression in one answer; each has a question of its own otherwise."""


@dataclass(frozen=True, slots=True)
class BoundingBox:
    """A rectangle on one frame."""

    label: str
    frame: FrameKey
    low: tuple[float, float]
    """(j, i) of the top-left corner in source pixels; (0, 0) is the outer corner of the first pixel."""
    high: tuple[float, float]
    """(j, i) of the bottom-right corner, exclusive; at most (Rows, Columns)."""
    laterality: Laterality | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Mask:
    """The voxels of one structure on the grid of its source."""

    label: str
    voxels: NDArray[np.bool_]
    """(K, J, I); K is 1 for a planar image."""
    frames: tuple[FrameKey, ...]
    """K keys: frames[k] is the source of slice k."""
    geometry: Geometry | None = None
    """None for a planar image."""
    laterality: Laterality | None = None


@dataclass(frozen=True, slots=True)
class Finding:
    """One statement about the presence of something."""

    label: str
    presence: Presence
    certainty: float | None = None
    """0 to 1: the model's probability for `presence`; None where it gave none."""
    laterality: Laterality | None = None
    evidence: str = ""
    """The model's own words that say so."""
    boxes: tuple[BoundingBox, ...] = ()
    severity: str | None = None
    """The report's own word for size or degree, of a present finding: `small`, `moderate`, …"""


@dataclass(frozen=True, slots=True)
class Change:
    """How one finding developed since one prior."""

    label: str
    status: ChangeStatus
    laterality: Laterality | None = None
    evidence: str = ""


@dataclass(frozen=True, slots=True)
class Comparison:
    """The current study against one prior of the request."""

    prior: int
    """Index into `ReadingRequest.priors`."""
    changes: tuple[Change, ...]
    """Never empty: "no change" is a statement about label `chest`, `abdomen` or `skin lesion`."""
    text: str


@dataclass(frozen=True, slots=True)
class Narrative:
    """The report in words; either part may be empty."""

    findings: str
    impression: str


@dataclass(frozen=True, slots=True)
class Answer:
    """One question put to the language model and what it wrote, kept for audit."""

    task: Task
    request: str
    text: str
    """Generated text with its tags (`<DET>`, `<2DSEG>`, `<3DSEG>`, `<N/A>`)."""
    token_probabilities: tuple[float, ...] = ()
    """Of each generated token, end mark included, as the model gave it when it was chosen."""
    is_requested: bool = False
    """Whether a person asked it, in words of their own, beside what the protocol asks."""


@dataclass(frozen=True, slots=True)
class Caption:
    """What the model says that a region shows."""

    box: BoundingBox
    text: str


@dataclass(frozen=True, slots=True)
class ModelIdentity:
    """Which model spoke."""

    family: str
    name: str
    """E.g. `medversa-demo`."""
    version: str
    weights_sha256: str
    demo_weights: bool
    """True for weights trained on phantoms only: nothing they say is clinical."""
    generation: str = "v0"
    """Of the architecture, as its publishers changed it: `v0` or `v1`."""


@dataclass(frozen=True, slots=True)
class Conditions:
    """What else decides what a model says; together with its identity a reading can be repeated."""

    device: str = "cpu"
    precision: str = "float32"
    """Of the language model's weights."""
    decoding: str = "greedy"
    libraries: tuple[tuple[str, str], ...] = ()
    """Name and version of every library that computes."""


@dataclass(frozen=True, slots=True)
class Disagreement:
    """The model contradicts itself on one label."""

    label: str
    said: tuple[tuple[str, Presence], ...]
    """What each way concluded: `report text`, `yes/no answer`, `list of labels`, `boxes`, `masks`."""
    concluded: Presence


@dataclass(frozen=True, slots=True, eq=False)
class Reading:
    """What the model concluded about one study."""

    modality: Modality
    model: ModelIdentity
    tasks_done: tuple[Task, ...]
    narrative: Narrative | None = None
    findings: tuple[Finding, ...] = ()
    boxes: tuple[BoundingBox, ...] = ()
    """Anatomy boxes; boxes of pathology hang on their finding."""
    masks: tuple[Mask, ...] = ()
    comparisons: tuple[Comparison, ...] = ()
    """One per prior that was compared, newest first."""
    answers: tuple[Answer, ...] = ()
    caveats: tuple[str, ...] = field(default=())
    """Sentences a reader must know: what was not done and why, e.g. that no prior was available."""
    abstention: str | None = None
    """Why the model does not judge this input; then there are no findings, boxes, masks or comparisons."""
    disagreements: tuple[Disagreement, ...] = ()
    conditions: Conditions = Conditions()
    seed: int = 0
    """Of the request; greedy decoding does not use it."""
    captions: tuple[Caption, ...] = ()
    """Regions that a person asked about, each with the answer."""
