"""What a family of weights was taught the names of; the protocol asks for nothing else."""

from dataclasses import dataclass
from enum import StrEnum

from model.reading import (
    ABDOMINAL_ORGANS,
    CHEST_FINDINGS,
    CHEST_ORGANS,
    CHEST_STRUCTURES,
    SKIN_LESIONS,
)


class ContextForm(StrEnum):
    """How a family was taught to hear the order."""

    TAGS = "tags"
    """`<context>Age:30-40.Gender:F.</context>` before the question; nothing where nothing is known."""
    TAGS_WITH_COMPARISON = "tags with comparison"
    """The same, and a report is asked for with `Comparison: None.`, since its question shows no prior."""
    PREFACE = "preface"
    """Lines without tags between the images and the question, whatever is asked."""


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """Names by task, each spelled as the weights were taught it."""

    chest_findings: tuple[str, ...]
    """Chest pathology that is classified, detected and looked for in reports."""
    chest_structures: tuple[str, ...]
    """Chest anatomy that is boxed."""
    chest_organs: tuple[str, ...]
    """Chest organs that are masked."""
    abdominal_organs: tuple[str, ...]
    """Abdominal organs that are masked on CT."""
    skin_lesions: tuple[str, ...]
    """Diagnoses of dermoscopy."""
    told_only: tuple[str, ...] = ()
    """What reports speak of beside `chest_findings`; believed when a report says it, never asked for."""
    knows_gate: bool = False
    """Whether the weights were taught to say what kind of picture an image is."""
    context_form: ContextForm = ContextForm.TAGS
    reads_every_view: bool = False
    """Whether the weights were taught chest studies of several views, or single frontal images only."""


DEMO = Vocabulary(
    CHEST_FINDINGS, CHEST_STRUCTURES, CHEST_ORGANS, ABDOMINAL_ORGANS, SKIN_LESIONS, knows_gate=True
)
"""Of the demonstration weights."""

RELEASED = Vocabulary(
    chest_findings=(
        "lung opacity",
        "pleural effusion",
        "atelectasis",
        "enlarged cardiac silhouette",
        "pulmonary edema/hazy opacity",
        "pneumothorax",
        "consolidation",
        "pneumonia",
        "vascular congestion",
        "airspace opacity",
        "linear/patchy atelectasis",
        "lobar/segmental collapse",
        "infiltration",
        "aspiration",
        "fluid overload/heart failure",
        "copd/emphysema",
        "hyperaeration",
        "increased reticular markings/ild pattern",
        "interstitial lung disease",
        "pleural/parenchymal scarring",
        "costophrenic angle blunting",
        "lung lesion",
        "mass/nodule (not otherwise specified)",
        "calcified nodule",
        "granulomatous disease",
        "enlarged hilum",
        "mediastinal widening",
        "mediastinal displacement",
        "tortuous aorta",
        "vascular calcification",
        "elevated hemidiaphragm",
        "hernia",
        "rib fracture",
    ),
    chest_structures=(
        "right lung",
        "right upper lung zone",
        "right mid lung zone",
        "right lower lung zone",
        "right hilar structures",
        "right apical zone",
        "right costophrenic angle",
        "right cardiophrenic angle",
        "right hemidiaphragm",
        "left lung",
        "left upper lung zone",
        "left mid lung zone",
        "left lower lung zone",
        "left hilar structures",
        "left apical zone",
        "left costophrenic angle",
        "left cardiophrenic angle",
        "left hemidiaphragm",
        "trachea",
        "carina",
        "spine",
        "right clavicle",
        "left clavicle",
        "aortic arch",
        "descending aorta",
        "mediastinum",
        "upper mediastinum",
        "svc",
        "cavoatrial junction",
        "cardiac silhouette",
        "left cardiac silhouette",
        "right cardiac silhouette",
        "right atrium",
        "abdomen",
        "left upper abdomen",
        "right upper abdomen",
    ),
    chest_organs=CHEST_ORGANS,
    abdominal_organs=("liver", "spleen", "kidney", "pancreas"),
    skin_lesions=SKIN_LESIONS,
    told_only=(
        "subcutaneous air",
        "pneumomediastinum",
        "sub-diaphragmatic air",
        "hydropneumothorax",
        "bronchiectasis",
        "cyst/bullae",
        "pericardial effusion",
        "vascular redistribution",
        "clavicle fracture",
        "spinal fracture",
        "spinal degenerative changes",
        "scoliosis",
        "bone lesion",
        "endotracheal tube",
        "enteric tube",
        "chest tube",
        "central venous catheter",
        "cardiac pacer and wires",
    ),
    context_form=ContextForm.TAGS_WITH_COMPARISON,
    reads_every_view=True,
)
"""Of the released MedVersa weights, of either generation.

The 36 structures are the bounding boxes of Chest ImaGenome (Wu 2021, PhysioNet, version 1.0.0), spelled as
there; chest organs are CheXmask's, abdominal organs AbdomenCT-1K's (one class for both kidneys), skin lesions
the classes of HAM10000 (spelling inferred). The paper (arXiv 2405.07988) counts 33 pathologies of Chest
ImaGenome; no list of them was found. Which of that dataset's finding and disease attributes are meant is
inferred from how common they are; their spelling is the dataset's. A name that the weights never heard costs
its own answer only.
"""

VOCABULARIES: dict[str, Vocabulary] = {"demo": DEMO, "released": RELEASED}
"""By the name that `config.json` of a folder of weights gives."""

_DISPLAY = {
    "copd/emphysema": "COPD or emphysema",
    "cyst/bullae": "cyst or bullae",
    "fluid overload/heart failure": "fluid overload or heart failure",
    "increased reticular markings/ild pattern": "increased reticular markings",
    "kidney": "kidneys",
    "linear/patchy atelectasis": "linear or patchy atelectasis",
    "lobar/segmental collapse": "lobar or segmental collapse",
    "mass/nodule (not otherwise specified)": "mass or nodule",
    "pleural/parenchymal scarring": "pleural or parenchymal scarring",
    "pulmonary edema/hazy opacity": "pulmonary edema or hazy opacity",
    "sub-diaphragmatic air": "subdiaphragmatic air",
    "svc": "superior vena cava",
}


def display_name(label: str) -> str:
    """Say a label as a report should, where the spelling that weights were taught is another."""
    return _DISPLAY.get(label, label)
