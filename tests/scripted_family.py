"""A family that answers by script, and a chest study that it reads: a left pleural effusion."""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from model.families.family import Family, Generation, Sight
from model.questions import Form, Question
from model.reader import Reader
from model.reading import (
    CHEST_STRUCTURES,
    Conditions,
    Finding,
    Modality,
    ModelIdentity,
    PriorImages,
    Reading,
    ReadingRequest,
)
from model.vocabulary import DEMO
from model.volume import FrameKey, Orientation, PlanarImage, Volume
from tests.fakes import FakeSight
from worker.request import PROTOCOLS

CHEST_TASKS = PROTOCOLS[Modality.CXR]
SIDE = 128
GATE = "What does <img0> show?"
"""The first wording; the script answers all alike."""
FINDINGS = "How would you characterize the findings from <img0>?"
IMPRESSION = "Summarize the impression for <img0>."
LABELS = "What is the diagnosis for <img0>?"
DIFFERENCE = "Highlight any difference in <img0> compared to the prior study <img1>."
ANATOMY = f"Detect any signs of {','.join(CHEST_STRUCTURES)} in <img0>."
PATHOLOGY = (
    "Detect any signs of lung nodule,consolidation,pleural effusion,pneumothorax,enlarged cardiac silhouette "
    "in <img0>."
)


def yes_no(label: str) -> str:
    return f"Is there any {label} in <img0>? Answer yes or no."


def segment(label: str) -> str:
    return f"Segment {label} in <img0>."


def rectangle(j0: int, i0: int, j1: int, i1: int) -> NDArray[np.float32]:
    mask = np.zeros((1, SIDE, SIDE), np.float32)
    mask[0, j0:j1, i0:i1] = 0.9
    return mask


def organ(label: str, *corners: int) -> Generation:
    return Generation(f"The segmentation mask of {label} is <2DSEG>.", 0, masks=(rectangle(*corners),))


SCRIPT: Mapping[str, Generation] = {
    GATE: Generation("A frontal chest radiograph.", 0),
    FINDINGS: Generation(
        "The lungs are clear. There is a moderate left pleural effusion. No pneumothorax. "
        "The cardiac silhouette is normal in size.",
        0,
    ),
    IMPRESSION: Generation("Left pleural effusion.", 0),
    LABELS: Generation("pleural effusion", 0),
    yes_no("lung nodule"): Generation("No.", 0.05),
    yes_no("consolidation"): Generation("No.", 0.1),
    yes_no("pleural effusion"): Generation("Yes.", 0.9),
    yes_no("pneumothorax"): Generation("No.", 0.02),
    yes_no("enlarged cardiac silhouette"): Generation("No.", 0.4),
    ANATOMY: Generation(
        "left lung,<DET>.right lung,<DET>.heart,<DET>.trachea,<N/A>.aorta,<N/A>.spine,<N/A>.",
        0,
        boxes=((20, 75, 90, 110), (20, 15, 90, 55), (50, 50, 90, 80)),
    ),
    PATHOLOGY: Generation(
        "lung nodule,<N/A>.consolidation,<N/A>.pleural effusion,<DET>.pneumothorax,<N/A>."
        "enlarged cardiac silhouette,<N/A>.",
        0,
        boxes=((70, 80, 90, 110),),
    ),
    segment("left lung"): organ("left lung", 20, 75, 90, 110),
    segment("right lung"): organ("right lung", 20, 15, 90, 55),
    segment("heart"): organ("heart", 50, 50, 90, 80),
    DIFFERENCE: Generation("The left pleural effusion has increased.", 0),
}
"""A study with a left pleural effusion; the patient's left is on the image's right."""


class ScriptedFamily:
    """Answers each question by script and remembers what it was asked."""

    identity = ModelIdentity("scripted", "scripted", "1", "0" * 64, demo_weights=True)
    conditions = Conditions()
    vocabulary = DEMO

    def __init__(self, changes: Mapping[str, Generation] | None = None) -> None:
        self._script = {**SCRIPT, **(changes or {})}
        self.calls: list[int] = []
        self.gates: list[Generation] = []
        """What each image is taken for, in whatever words it is asked."""

    def look(self, modality: Modality, images: Sequence[PlanarImage | Volume]) -> Sight:
        return FakeSight(tuple(images), self.reply, self.calls)

    def reply(self, images: Sequence[PlanarImage | Volume], question: Question) -> Generation:
        if question.form is Form.GATE:
            (number,) = question.images or (0,)
            return self.gates[number] if self.gates else self._script[GATE]
        return self._script[question.text]


def image(uid: str = "1.2.1", shade: float = 1.0, orientation: Orientation | None = None) -> PlanarImage:
    pixels = (np.tile(np.linspace(0, 1, SIDE), (SIDE, 1)) * shade).astype(np.float32)
    return PlanarImage(pixels, FrameKey(uid), (0.5, 0.5), orientation or Orientation())


def chest(*priors: PriorImages, image_: PlanarImage | None = None) -> ReadingRequest:
    return ReadingRequest(Modality.CXR, (image_ or image(),), CHEST_TASKS, priors)


def earlier(days: int | None = 30, uid: str = "1.2.0") -> PriorImages:
    return PriorImages((image(uid, 0.9),), days)


def read(request: ReadingRequest, changes: Mapping[str, Generation] | None = None) -> Reading:
    family: Family = ScriptedFamily(changes)
    return Reader(family).read(request)


def finding(reading: Reading, label: str) -> Finding:
    (found,) = [f for f in reading.findings if f.label == label]
    return found


def told(reading: Reading, words: str) -> bool:
    return any(words in caveat for caveat in reading.caveats)


def concludes_nothing(reading: Reading) -> bool:
    concluded = (reading.findings, reading.boxes, reading.masks, reading.comparisons, reading.tasks_done)
    return not any(concluded) and reading.narrative is None
