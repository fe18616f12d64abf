"""Readings over whole published vocabularies, with questions, captions and contradictions."""

from dataclasses import replace

from pydicom.dataset import Dataset

from model.reading import (
    Answer,
    BoundingBox,
    Caption,
    Conditions,
    Disagreement,
    Finding,
    Laterality,
    Modality,
    Narrative,
    Presence,
    Reading,
    Task,
)
from tests.unit.structured_reports.published_names import CHEST_IMAGENOME_FINDINGS, CHEST_IMAGENOME_STRUCTURES
from tests.unit.structured_reports.readings import MODEL, box, chest_reading

FINDINGS = CHEST_IMAGENOME_FINDINGS[:33]

# Where a frontal radiograph shows a structure, in parts of the image: low and high (row, column), right side.
_RIGHT = {
    "lung": ((0.10, 0.08), (0.80, 0.46)),
    "apical zone": ((0.10, 0.16), (0.20, 0.42)),
    "upper lung zone": ((0.15, 0.12), (0.33, 0.45)),
    "mid lung zone": ((0.33, 0.10), (0.52, 0.45)),
    "lower lung zone": ((0.52, 0.08), (0.78, 0.45)),
    "hilar structures": ((0.36, 0.32), (0.52, 0.46)),
    "costophrenic angle": ((0.72, 0.07), (0.82, 0.16)),
    "cardiophrenic angle": ((0.68, 0.36), (0.78, 0.46)),
    "hemidiaphragm": ((0.68, 0.08), (0.80, 0.46)),
    "clavicle": ((0.10, 0.14), (0.18, 0.46)),
    "cardiac silhouette": ((0.45, 0.40), (0.76, 0.52)),
    "upper abdomen": ((0.76, 0.06), (1.00, 0.50)),
}
_MIDDLE = {
    "trachea": ((0.02, 0.46), (0.34, 0.54)),
    "carina": ((0.32, 0.47), (0.37, 0.55)),
    "spine": ((0.00, 0.45), (1.00, 0.56)),
    "mediastinum": ((0.08, 0.38), (0.78, 0.70)),
    "upper mediastinum": ((0.08, 0.40), (0.38, 0.60)),
    "svc": ((0.22, 0.40), (0.42, 0.48)),
    "cavoatrial junction": ((0.42, 0.40), (0.48, 0.48)),
    "cardiac silhouette": ((0.42, 0.40), (0.78, 0.76)),
    "right atrium": ((0.46, 0.39), (0.74, 0.48)),
    "aortic arch": ((0.22, 0.48), (0.34, 0.62)),
    "descending aorta": ((0.30, 0.52), (0.80, 0.62)),
    "abdomen": ((0.74, 0.02), (1.00, 0.98)),
}


def structure_box(label: str, ds: Dataset) -> BoundingBox:
    """Box a published structure about where it lies; the left side mirrors the right."""
    side, _, part = label.partition(" ")
    if label in _MIDDLE:
        low, high = _MIDDLE[label]
        return box(label, ds, low=low, high=high)
    low, high = _RIGHT[part]
    if side == "left":
        low, high = (low[0], 1 - high[1]), (high[0], 1 - low[1])
    return box(label, ds, Laterality(side), low=low, high=high)


def whole_reading(ds: Dataset) -> Reading:
    """Conclude on 33 findings, most of them absent, and box 36 structures."""
    effusion = box("pleural effusion", ds, Laterality.LEFT, low=(0.65, 0.60), high=(0.85, 0.85))
    stated = {
        "pleural effusion": Finding(
            "pleural effusion", Presence.PRESENT, 0.71, Laterality.LEFT, "a left effusion", (effusion,)
        ),
        "consolidation": Finding("consolidation", Presence.UNDETERMINED),
    }
    return replace(
        chest_reading(ds),
        findings=tuple(stated.get(label) or Finding(label, Presence.ABSENT, 0.9) for label in FINDINGS),
        boxes=tuple(structure_box(label, ds) for label in CHEST_IMAGENOME_STRUCTURES),
    )


def crowded_reading(ds: Dataset) -> Reading:
    """Call every one of the 33 findings present, each in a box of its own, beside 36 structures."""
    places = [(0.12 + 0.11 * (n // 6), 0.10 + 0.13 * (n % 6)) for n in range(len(FINDINGS))]
    findings = tuple(
        Finding(
            label,
            Presence.PRESENT,
            0.8,
            boxes=(box(label, ds, low=low, high=(low[0] + 0.09, low[1] + 0.10)),),
        )
        for label, low in zip(FINDINGS, places, strict=True)
    )
    return replace(whole_reading(ds), findings=findings)


def contested_reading(ds: Dataset) -> Reading:
    """Contradict oneself on a finding that is there, on one that may be, and on one that is not."""
    yes, no, unsure = Presence.PRESENT, Presence.ABSENT, Presence.UNDETERMINED
    disagreements = (
        Disagreement("pleural effusion", (("report text", yes), ("yes/no answer", no), ("boxes", yes)), yes),
        Disagreement("enlarged cardiac silhouette", (("report text", yes), ("boxes", no)), unsure),
        Disagreement("pneumothorax", (("list of labels", yes), ("yes/no answer", no)), no),
    )
    return replace(chest_reading(ds), disagreements=disagreements)


def asked_reading(ds: Dataset) -> Reading:
    """Answer a question of a person, an open one and two about regions, after a protocol question."""
    nodule = box("region", ds, low=(0.30, 0.20), high=(0.38, 0.28))
    base = box("region", ds, low=(0.60, 0.60), high=(0.80, 0.80))
    return Reading(
        modality=Modality.CXR,
        model=MODEL,
        tasks_done=(Task.REPORT, Task.VQA, Task.REGION_CAPTIONING),
        narrative=Narrative("The heart is normal.", "No acute process."),
        answers=(
            Answer(Task.REPORT, "Write the findings for <img0>.", "The heart is normal.", (0.9, 0.5, 1.0)),
            Answer(Task.VQA, "is there a pacemaker in <img0>?", "yes, a pacemaker.", (0.75, 0.25)),
            Answer(Task.SEGMENTATION, "where is the heart", "The mask of heart is <2DSEG>.", (), True),
            Answer(Task.REGION_CAPTIONING, "Describe the region.", "a round opacity.", (0.5,)),
            Answer(Task.REGION_CAPTIONING, "Describe the region.", "", ()),
        ),
        captions=(Caption(nodule, "a round opacity."), Caption(base, "")),
        conditions=Conditions("cuda", "bfloat16", "greedy", (("torch", "2.13.0"), ("transformers", "5.0"))),
        seed=7,
    )
