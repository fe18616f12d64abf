"""The questions of a study's protocol, and those that are put on request."""

from collections.abc import Iterator, Mapping, Sequence

from model.prompts import RegionBox, context_text, phrase, preface_text, without_control_tokens
from model.questions import Form, Question
from model.reading import BoundingBox, ClinicalContext, Modality, ReadingRequest, Task
from model.vocabulary import ContextForm, Vocabulary
from model.volume import PlanarImage
from model.wordings import WORDINGS

DETECTION_GROUP = 9
"""Most names in one detection question; the released model was never asked for more."""

GATE_WORDINGS = 5
"""In how many wordings the gate is asked: where they agree, the model is surer than one certainty tells."""

Names = tuple[str, ...]


def questions_for(request: ReadingRequest, vocabulary: Vocabulary) -> list[Question]:
    """Every question of the request's protocol, those about the current study first."""
    questions = [q for task in request.tasks for q in _questions(task, request, vocabulary)]
    return sorted(questions, key=lambda question: -1 if question.prior is None else question.prior)


def prior_images(request: ReadingRequest, prior: int) -> tuple[int, ...]:
    """Where the images of one prior stand when all images of the request are laid side by side."""
    first = len(request.images) + sum(len(earlier.images) for earlier in request.priors[:prior])
    return tuple(range(first, first + len(request.priors[prior].images)))


def gate_questions(modality: Modality, vocabulary: Vocabulary, image: int = 0) -> list[Question]:
    """Ask in several wordings if an image is what its header says; weights that never learned it, nothing."""
    wordings = WORDINGS.get((modality, Form.GATE), ()) if vocabulary.knows_gate else ()
    return [
        Question(Task.CLASSIFICATION, Form.GATE, phrase(wording), images=(image,))
        for wording in wordings[:GATE_WORDINGS]
    ]


def lung_questions(vocabulary: Vocabulary, image: int) -> list[Question]:
    """Ask where the lungs of one radiograph are."""
    wording = WORDINGS[Modality.CXR, Form.SEGMENTATION][0]
    lungs = [label for label in vocabulary.chest_organs if label.endswith("lung")]
    return [
        Question(
            Task.SEGMENTATION, Form.SEGMENTATION, phrase(wording, names=(label,)), (label,), images=(image,)
        )
        for label in lungs
    ]


def vqa_question(text: str, images: Sequence[int] = (0,)) -> Question:
    """An open question about some images of the sight; what could command the model is stripped of it."""
    wording = WORDINGS[Modality.CXR, Form.VQA][0]
    asked = phrase(wording, current=len(images), question=without_control_tokens(text))
    return Question(Task.VQA, Form.VQA, asked, images=tuple(images))


def region_question(box: BoundingBox, image: PlanarImage, number: int = 0) -> Question:
    """Ask what a box of stored pixels shows; `image` is the one of the sight that `number` counts."""
    asked = phrase(WORDINGS[Modality.CXR, Form.REGION][0], box=region_of(box, image))
    return Question(Task.REGION_CAPTIONING, Form.REGION, asked, (box.label,), images=(number,))


def region_of(box: BoundingBox, image: PlanarImage) -> RegionBox:
    """Place a box of stored pixels on the image as the model sees it, hung and squeezed to a square."""
    rows, columns = image.pixels.shape[:2]
    j0, i0, j1, i1 = image.orientation.apply_box((*box.low, *box.high), (rows, columns))
    return i0 / columns, j0 / rows, i1 / columns, j1 / rows


def order_text(form: Form, modality: Modality, context: ClinicalContext, vocabulary: Vocabulary) -> str:
    """What the order says before a question, where the weights were taught to hear it there."""
    if form not in _WITH_CONTEXT or vocabulary.context_form is ContextForm.PREFACE:
        return ""
    compares = vocabulary.context_form is ContextForm.TAGS_WITH_COMPARISON and form is not Form.DIAGNOSIS
    return context_text(modality, context, no_comparison=compares)


def _questions(task: Task, request: ReadingRequest, vocabulary: Vocabulary) -> Iterator[Question]:
    modality, current = request.modality, len(request.images)
    shown = tuple(range(current))
    as_preface = vocabulary.context_form is ContextForm.PREFACE
    preface = preface_text(modality, request.context) if as_preface else ""
    for form, names in _asked(task, request, vocabulary):
        context = order_text(form, modality, request.context, vocabulary)
        text = phrase(WORDINGS[modality, form][0], names=names, current=current, context=context)
        yield Question(task, form, text, names, images=shown, preface=preface)
    if (modality, task) == (Modality.CXR, Task.COMPARISON):
        wording = WORDINGS[modality, Form.DIFFERENCE][0]
        for n, prior in enumerate(request.priors):
            text = phrase(wording, current=current, priors=len(prior.images))
            images = (*shown, *prior_images(request, n))
            yield Question(task, Form.DIFFERENCE, text, prior=n, images=images, preface=preface)


def _asked(task: Task, request: ReadingRequest, vocabulary: Vocabulary) -> Iterator[tuple[Form, Names]]:
    """Each question of a task about the current study: its form, and the labels that it names."""
    for form in _FORMS.get((request.modality, task), ()):
        if form in (Form.FINDINGS, Form.IMPRESSION) and request.whole_report:
            continue
        if form is Form.REPORT and not request.whole_report:
            continue
        for names in _groups(form, task, request.modality, vocabulary):
            yield form, names


def _groups(form: Form, task: Task, modality: Modality, vocabulary: Vocabulary) -> Iterator[Names]:
    if form is Form.BINARY:
        yield from ((name,) for name in vocabulary.chest_findings)
    elif form is Form.DETECTION:
        pathology = task is Task.PATHOLOGY_DETECTION
        names = vocabulary.chest_findings if pathology else vocabulary.chest_structures
        yield from (names[n : n + DETECTION_GROUP] for n in range(0, len(names), DETECTION_GROUP))
    elif form is Form.SEGMENTATION:
        organs = {
            Modality.CXR: vocabulary.chest_organs,
            Modality.CT: vocabulary.abdominal_organs,
            Modality.DERM: ("lesion",),
        }
        yield from ((name,) for name in organs[modality])
    else:
        yield ()


_WITH_CONTEXT = frozenset({Form.FINDINGS, Form.IMPRESSION, Form.REPORT, Form.DIAGNOSIS})
"""Forms that the released model was taught with the order's context; the others saw pixels only."""

_FORMS: Mapping[tuple[Modality, Task], tuple[Form, ...]] = {
    (Modality.CXR, Task.REPORT): (Form.FINDINGS, Form.IMPRESSION, Form.REPORT),
    (Modality.CXR, Task.CLASSIFICATION): (Form.LABELS, Form.BINARY),
    (Modality.CXR, Task.ANATOMY_DETECTION): (Form.DETECTION,),
    (Modality.CXR, Task.PATHOLOGY_DETECTION): (Form.DETECTION,),
    (Modality.CXR, Task.SEGMENTATION): (Form.SEGMENTATION,),
    (Modality.CT, Task.SEGMENTATION): (Form.SEGMENTATION,),
    (Modality.DERM, Task.CLASSIFICATION): (Form.DIAGNOSIS,),
    (Modality.DERM, Task.SEGMENTATION): (Form.SEGMENTATION,),
}
