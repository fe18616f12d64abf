"""Requests in words that training never uses, and whether an answer to one is of the task that was meant."""

from dataclasses import dataclass

from model.answers import (
    detections_in,
    diagnosis_in,
    has_segment,
    is_frontal_chest,
    is_no_frontal_chest,
    labels_in,
    yes_or_no,
)
from model.questions import Form
from model.reading import Modality
from model.report_language.changes import changes_in
from model.report_language.statements import statements_in


@dataclass(frozen=True, slots=True)
class FreeRequest:
    """What a person types, and what is meant by it."""

    modality: Modality
    form: Form
    text: str
    subject: str = ""
    """The label that the answer must name, as answers spell it."""


_CXR, _CT, _DERM = Modality.CXR, Modality.CT, Modality.DERM

UNSEEN_REQUESTS = (
    FreeRequest(_CXR, Form.SEGMENTATION, "could you trace out the left lung for me", "left lung"),
    FreeRequest(_CXR, Form.SEGMENTATION, "I want a mask for the right lung", "right lung"),
    FreeRequest(_CXR, Form.SEGMENTATION, "draw a contour of the heart please", "heart"),
    FreeRequest(_CXR, Form.DETECTION, "where can I find the effusion?", "pleural effusion"),
    FreeRequest(_CXR, Form.DETECTION, "put boxes around the nodule", "lung nodule"),
    FreeRequest(_CXR, Form.DETECTION, "show me the place where the trachea is", "trachea"),
    FreeRequest(_CXR, Form.DETECTION, "where is the heart in this picture?", "heart"),
    FreeRequest(_CXR, Form.REPORT, "could you write the whole radiology report?"),
    FreeRequest(_CXR, Form.REPORT, "please write up a report on this chest"),
    FreeRequest(_CXR, Form.FINDINGS, "what can you see on this radiograph?"),
    FreeRequest(_CXR, Form.FINDINGS, "give me the findings please"),
    FreeRequest(_CXR, Form.IMPRESSION, "a short conclusion please"),
    FreeRequest(_CXR, Form.BINARY, "does he have a pneumothorax?"),
    FreeRequest(_CXR, Form.BINARY, "is an effusion present?"),
    FreeRequest(_CXR, Form.LABELS, "which diagnosis would you make?"),
    FreeRequest(_CXR, Form.GATE, "what kind of x-ray am I looking at?"),
    FreeRequest(_CXR, Form.DIFFERENCE, "is anything different from last time?"),
    FreeRequest(_CXR, Form.DIFFERENCE, "how has it changed since the previous film?"),
    FreeRequest(_CT, Form.SEGMENTATION, "please show the liver", "liver"),
    FreeRequest(_CT, Form.SEGMENTATION, "can I see the spleen?", "spleen"),
    FreeRequest(_CT, Form.SEGMENTATION, "outline both kidneys", "kidneys"),
    FreeRequest(_CT, Form.SEGMENTATION, "where's the pancreas in this scan", "pancreas"),
    FreeRequest(_DERM, Form.DIAGNOSIS, "is this thing on my arm cancer?"),
    FreeRequest(_DERM, Form.DIAGNOSIS, "do I need to worry about this mole?"),
    FreeRequest(_DERM, Form.DIAGNOSIS, "tell me what kind of lesion this is"),
    FreeRequest(_DERM, Form.SEGMENTATION, "please outline this mole", "lesion"),
    FreeRequest(_DERM, Form.SEGMENTATION, "show me the border of the spot", "lesion"),
)
"""Each with the form whose grammar its answer should have; none is in `model.wordings`."""


def is_routed(request: FreeRequest, answer: str) -> bool:
    """Whether an answer has the grammar of the form that was meant and names its subject."""
    match request.form:
        case Form.SEGMENTATION:
            tag = "<3DSEG>" if request.modality is Modality.CT else "<2DSEG>"
            return not has_segment(answer, request.subject, tag).caveats
        case Form.DETECTION:
            return not detections_in(answer, (request.subject,)).caveats
        case Form.BINARY:
            return yes_or_no(answer) is not None
        case Form.GATE:
            return is_frontal_chest(answer) or is_no_frontal_chest(answer)
        case Form.LABELS:
            return labels_in(answer).value is not None
        case Form.DIAGNOSIS:
            return diagnosis_in(answer).value is not None
        case Form.DIFFERENCE:
            return not changes_in(answer).caveats
        case Form.REPORT:
            return answer.startswith("Findings:") and " Impression:" in answer
        case Form.FINDINGS:
            return "cardiac silhouette" in answer and "Impression:" not in answer
        case _:
            return answer == "No acute abnormality." or _is_impression(answer)


def _is_impression(answer: str) -> bool:
    """Names of findings, one to a sentence, and nothing of what is absent."""
    return bool(statements_in(answer)) and not any(word in answer for word in ("There is", "No ", ","))
