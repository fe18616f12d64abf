"""Whether an answer has the grammar that its question fixes, as the reader of studies would parse it."""

from model.answers import (
    detections_in,
    diagnosis_in,
    has_segment,
    is_frontal_chest,
    is_no_frontal_chest,
    labels_in,
    yes_or_no,
)
from model.families.family import Generation
from model.free_answers import TAGS
from model.questions import Form, Question
from model.reading import Modality
from model.report_language.changes import changes_in
from model.vocabulary import Vocabulary


def is_well_formed(question: Question, answer: Generation, modality: Modality, known: Vocabulary) -> bool:
    """Judge one answer: it must be whole, and readable without a caveat."""
    if not answer.complete or not answer.text.strip():
        return False
    text, subjects = answer.text, question.subjects
    match question.form:
        case Form.GATE:
            return is_frontal_chest(text) or is_no_frontal_chest(text)
        case Form.BINARY:
            return yes_or_no(text) is not None
        case Form.LABELS:
            return not labels_in(text, known=known.chest_findings).caveats
        case Form.DIAGNOSIS:
            return not diagnosis_in(text, known.skin_lesions).caveats
        case Form.DETECTION:
            fits = len(answer.boxes) == text.count("<DET>")
            return fits and not detections_in(text, subjects).caveats
        case Form.SEGMENTATION:
            tag = "<3DSEG>" if modality is Modality.CT else "<2DSEG>"
            fits = len(answer.masks) == text.count(tag)
            return fits and not has_segment(text, subjects[0], tag).caveats
        case Form.DIFFERENCE:
            return not changes_in(text, known.chest_findings).caveats
        case Form.VQA:
            return not TAGS.search(text)
        case _:
            # Plain sentences: to the last full stop, and nothing that calls a module.
            return text.rstrip().endswith(".") and not TAGS.search(text)
