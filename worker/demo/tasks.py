"""The eleven tasks of the published model, each with a request that the demonstration studies can answer."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from model.reading import CHEST_FINDINGS, Task


@dataclass(frozen=True, slots=True)
class TaskExample:
    """One task, asked of one demonstration study."""

    name: str
    study: str
    """Title of the study, as `write_demo_studies` gives it."""
    task: Task
    """What an answer to it counts as."""
    words: str = ""
    """The released wording; empty where `region` is asked."""
    region: str = ""
    kind: str = ".*"
    """Pattern of answers to this task; `NAME` stands for what they are about."""
    own_words: Mapping[str, str] = field(default_factory=dict[str, str])
    """Three more wordings, none of them in the training, each with the name that it means, if any."""
    prior: str = ""
    """Title of the study to compare with."""

    def is_of_kind(self, answer: str) -> bool:
        """Whether an answer is one to this task, whatever it is about."""
        return re.fullmatch(self.kind.replace("NAME", "[^,.<>]+"), answer) is not None

    def is_meant(self, words: str, answer: str) -> bool:
        """Whether an answer to one of `own_words` is of the kind and about the thing that they mean."""
        return re.fullmatch(self.kind.replace("NAME", self.own_words[words]), answer) is not None


_LABEL = "|".join(CHEST_FINDINGS)
_CHANGE = r"No significant change\.|.* (?:is new|is unchanged|has increased|has decreased|has resolved)\."
_BOXES = r"NAME,(?:<N/A>|<DET>(?:,<DET>)*)\."
_MASK = r"The segmentation mask of NAME is <[23]DSEG>\."

_CHEST, _ABDOMEN, _SKIN = "chest, current", "abdomen CT", "skin lesion"

TASK_EXAMPLES = (
    TaskExample(
        "Report generation",
        _CHEST,
        Task.REPORT,
        "Please write a radiology report for <img0>.",
        kind=r".*cardiac silhouette.*\.",
        own_words={
            "could you write the whole radiology report?": "",
            "please write up a report on this chest": "",
            "give me the findings please": "",
        },
    ),
    TaskExample(
        "Longitudinal comparison",
        _CHEST,
        Task.COMPARISON,
        "Highlight any difference in <img0> compared to the prior study <img1>.",
        kind=_CHANGE,
        own_words={
            "is anything different from last time?": "",
            "how has it changed since the previous film?": "",
            "tell me what changed between the two": "",
        },
        prior="chest, prior",
    ),
    TaskExample(
        "Open visual question answering",
        _CHEST,
        Task.VQA,
        "In <img0>, is there evidence of pleural effusion?",
        kind=r"(?:Yes|No|None|One|Two|Three|Four|Five)\.",
        own_words={
            "would you say there is evidence of pleural effusion?": "",
            "how many nodules can you count?": "",
            "would you call this a normal chest?": "",
        },
    ),
    TaskExample(
        "Region captioning",
        _CHEST,
        Task.REGION_CAPTIONING,
        region="6%,20%,41%,85%",
        kind=rf"(?!{_CHANGE})[^<>]+\.",
        own_words={
            "please describe what [13,45,92,190] shows": "",
            "what is there in the area [13,45,92,190]?": "",
            "can you tell me about the box [13,45,92,190]?": "",
        },
    ),
    TaskExample(
        "Chest pathology classification",
        _CHEST,
        Task.CLASSIFICATION,
        "What is the diagnosis for <img0>?",
        kind=rf"(?:{_LABEL})(?:,(?:{_LABEL}))*|no finding",
        own_words={
            "which diagnosis would you make?": "",
            "which diseases does the patient have?": "",
            "list all pathologies please": "",
        },
    ),
    TaskExample(
        "Skin lesion classification",
        _SKIN,
        Task.CLASSIFICATION,
        "What is primary diagnosis?",
        kind=r"The main diagnosis is .*\.",
        own_words={
            "is this thing on my arm cancer?": "",
            "do I need to worry about this mole?": "",
            "tell me what kind of lesion this is": "",
        },
    ),
    TaskExample(
        "Anatomy detection",
        _CHEST,
        Task.ANATOMY_DETECTION,
        "Detect any signs of left lung,right lung,heart,trachea,aorta,spine in <img0>.",
        kind=_BOXES,
        own_words={
            "where is the heart in this picture?": "heart",
            "show me the place where the trachea is": "trachea",
            "put a box around the right lung please": "right lung",
        },
    ),
    TaskExample(
        "Pathology detection",
        _CHEST,
        Task.PATHOLOGY_DETECTION,
        f"Detect any signs of {','.join(CHEST_FINDINGS)} in <img0>.",
        kind=_BOXES,
        own_words={
            "where can I find the effusion?": "pleural effusion",
            "put boxes around the nodule": "lung nodule",
            "could you locate the pneumothorax?": "pneumothorax",
        },
    ),
    TaskExample(
        "Chest organ segmentation",
        _CHEST,
        Task.SEGMENTATION,
        "Segment left lung in <img0>.",
        kind=_MASK,
        own_words={
            "could you trace out the left lung for me": "left lung",
            "I want a mask for the right lung": "right lung",
            "draw a contour of the heart please": "heart",
        },
    ),
    TaskExample(
        "Skin lesion segmentation",
        _SKIN,
        Task.SEGMENTATION,
        "Segment the lesion.",
        kind=_MASK,
        own_words={
            "please outline this mole": "lesion",
            "show me the border of the spot": "lesion",
            "I want the contour of the lesion": "lesion",
        },
    ),
    TaskExample(
        "Abdominal organ segmentation",
        _ABDOMEN,
        Task.SEGMENTATION,
        "Segment the liver.",
        kind=_MASK,
        own_words={
            "please show the liver": "liver",
            "can I see the spleen?": "spleen",
            "outline both kidneys": "kidneys",
        },
    ),
)
