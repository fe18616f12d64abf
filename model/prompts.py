"""What a study's protocol asks the language model, in which words, and with how much of the order.

The first wording of every form is the released one and is what serving asks; the others exist for training.
"""

import re
import unicodedata
from collections.abc import Iterator, Mapping, Sequence

from model.questions import Form, Question
from model.reading import (
    ABDOMINAL_ORGANS,
    CHEST_FINDINGS,
    CHEST_ORGANS,
    CHEST_STRUCTURES,
    ClinicalContext,
    Modality,
    ReadingRequest,
    Task,
)

DETECTION_GROUP = 9
"""Most names in one detection question; the released model was never asked for more."""

CONTEXT_WORDS = 64
"""Most words of context before a question."""


WORDINGS: Mapping[tuple[Modality, Form], tuple[str, ...]] = {
    (Modality.CXR, Form.GATE): (
        "What does {image} show?",
        "What is shown in {image}?",
        "What kind of image is {image}?",
        "What do you see in {image}?",
        "Which examination is {image}?",
        "What type of picture is {image}?",
        "Name the kind of image in {image}.",
        "What is the content of {image}?",
        "What sort of image is {image}?",
        "Which body part and view does {image} show?",
    ),
    (Modality.CXR, Form.FINDINGS): (
        "How would you characterize the findings from {images}?",
        "What are the findings in {images}?",
        "Describe the findings of {images}.",
        "Write the findings section for {images}.",
        "What can be seen in {images}?",
        "Give the findings for {images}.",
        "List the findings from {images}.",
        "Please describe {images}.",
        "What does the reader find in {images}?",
        "Which findings does {images} contain?",
    ),
    (Modality.CXR, Form.IMPRESSION): (
        "Summarize the impression for {images}.",
        "What is the impression of {images}?",
        "Write the impression section for {images}.",
        "Give the impression for {images}.",
        "What is your impression from {images}?",
        "Conclude {images} in a few words.",
        "What is the conclusion for {images}?",
        "State the impression of {images}.",
        "Please give a short impression of {images}.",
        "How would you sum up {images}?",
    ),
    (Modality.CXR, Form.REPORT): (
        "Please write a radiology report for {images}.",
        "Write a full report for {images}.",
        "Give findings and impression for {images}.",
        "Report {images}.",
        "Produce a radiology report for {images}.",
        "Write findings and impression for {images}.",
        "What would the radiology report of {images} say?",
        "Please report {images} in full.",
        "Compose the complete report for {images}.",
        "Provide a complete radiology report for {images}.",
    ),
    (Modality.CXR, Form.LABELS): (
        "What is the diagnosis for {images}?",
        "Which abnormalities are in {images}?",
        "Classify {images}.",
        "Name all abnormalities in {images}.",
        "List the diagnoses for {images}.",
        "Which labels fit {images}?",
        "What is the primary diagnosis for {images}?",
        "What abnormalities does {images} show?",
        "Give the labels for {images}.",
        "Which pathologies are present in {images}?",
    ),
    (Modality.CXR, Form.BINARY): (
        "Is there any {name} in {images}? Answer yes or no.",
        "Does {images} show {name}? Answer yes or no.",
        "Can {name} be seen in {images}? Answer yes or no.",
        "Is {name} present in {images}? Answer yes or no.",
        "Do you see {name} in {images}? Answer yes or no.",
        "Is there evidence of {name} in {images}? Answer yes or no.",
        "Are there signs of {name} in {images}? Answer yes or no.",
        "Is {name} visible in {images}? Answer yes or no.",
        "Does the patient have {name} in {images}? Answer yes or no.",
        "Any {name} in {images}? Answer yes or no.",
    ),
    (Modality.CXR, Form.DETECTION): (
        "Detect any signs of {names} in {image}.",
        "Find {names} in {image}.",
        "Locate {names} in {image}.",
        "Where are {names} in {image}?",
        "Mark {names} in {image}.",
        "Draw boxes around {names} in {image}.",
        "Show the place of {names} in {image}.",
        "Detect {names} in {image}.",
        "Point to {names} in {image}.",
        "Give the boxes of {names} in {image}.",
    ),
    (Modality.CXR, Form.SEGMENTATION): (
        "Segment {name} in {image}.",
        "Segment the {name} in {image}.",
        "Outline {name} in {image}.",
        "Give the mask of {name} in {image}.",
        "Delineate {name} in {image}.",
        "Draw the mask of {name} in {image}.",
        "Contour {name} in {image}.",
        "Please segment {name} in {image}.",
        "Produce a segmentation mask of {name} in {image}.",
        "Show the extent of {name} in {image}.",
    ),
    (Modality.CXR, Form.DIFFERENCE): (
        "Highlight any difference in {images} compared to the prior study {priors}.",
        "What has changed in {images} since {priors}?",
        "Compare {images} with the prior study {priors}.",
        "Describe the change from {priors} to {images}.",
        "What is different in {images} compared to {priors}?",
        "Which findings changed between {priors} and {images}?",
        "How does {images} differ from {priors}?",
        "State the interval change in {images} since {priors}.",
        "List the changes in {images} against the prior {priors}.",
        "Is there any change in {images} since {priors}?",
    ),
    (Modality.CXR, Form.CHANGE): (
        "How has the {name} in {images} changed since {priors}?",
        "What happened to the {name} in {images} since {priors}?",
        "Describe the change of {name} in {images} since {priors}.",
        "Compare the {name} in {images} with {priors}.",
        "Is the {name} in {images} different from {priors}?",
        "How did the {name} develop from {priors} to {images}?",
        "What is the change of {name} from {priors} to {images}?",
        "Has the {name} in {images} changed since {priors}?",
        "State the change of {name} in {images} since {priors}.",
        "Follow the {name} from {priors} to {images}.",
    ),
    (Modality.CT, Form.SEGMENTATION): (
        "Segment the {name}.",
        "Segment {name}.",
        "Segment the {name} in {image}.",
        "Outline the {name}.",
        "Give the mask of the {name}.",
        "Delineate the {name} in {image}.",
        "Contour the {name}.",
        "Please segment the {name}.",
        "Produce a segmentation mask of the {name}.",
        "Show the extent of the {name} in {image}.",
    ),
    (Modality.DERM, Form.DIAGNOSIS): (
        "What is primary diagnosis?",
        "What is the primary diagnosis?",
        "What is the diagnosis for {image}?",
        "Which lesion is this?",
        "What is the main diagnosis?",
        "Name the diagnosis.",
        "Classify the lesion.",
        "Which skin lesion does {image} show?",
        "What kind of lesion is it?",
        "Give the diagnosis for {image}.",
    ),
    (Modality.DERM, Form.SEGMENTATION): (
        "Segment the {name}.",
        "Segment {name}.",
        "Segment the {name} in {image}.",
        "Outline the {name}.",
        "Give the mask of the {name}.",
        "Delineate the {name} in {image}.",
        "Contour the {name}.",
        "Please segment the {name}.",
        "Produce a segmentation mask of the {name}.",
        "Show the extent of the {name} in {image}.",
    ),
}


def phrase(
    wording: str, *, names: Sequence[str] = (), current: int = 1, priors: int = 0, context: str = ""
) -> str:
    """Fill one of `WORDINGS` for `current` images followed by `priors` images of one earlier study."""
    tags = [f"<img{n}>" for n in range(current + priors)]
    return context + wording.format(
        image=tags[0],
        images="".join(tags[:current]),
        priors="".join(tags[current:]),
        names=",".join(names),
        name=names[0] if names else "",
    )


def context_text(modality: Modality, context: ClinicalContext) -> str:
    """Put the order into words as the released model was trained on them; empty where nothing is known.

    Fields are in the order age, gender, location or indication; free text is stripped of everything that the
    model could take for a control token and cut to `CONTEXT_WORDS`.
    """
    fields = [_age(context.age_years), _sex(modality, context.sex)]
    if modality is Modality.DERM:
        fields.append(_labelled("Location", context.body_site))
    fields.append(_labelled("Indication", context.indication))
    words = "".join(fields).split(" ")
    text = " ".join(words[:CONTEXT_WORDS]).strip()
    return f"<context>{text}</context>" if text else ""


def questions_for(request: ReadingRequest) -> list[Question]:
    """Every question of the request's protocol, those about the current study first."""
    context = context_text(request.modality, request.context)
    questions = [q for task in request.tasks for q in _questions(task, request, context)]
    return sorted(questions, key=lambda question: -1 if question.prior is None else question.prior)


def prior_images(request: ReadingRequest, prior: int) -> tuple[int, ...]:
    """Where the images of one prior stand when all images of the request are laid side by side."""
    first = len(request.images) + sum(len(earlier.images) for earlier in request.priors[:prior])
    return tuple(range(first, first + len(request.priors[prior].images)))


def gate_question(modality: Modality, image: int = 0) -> Question | None:
    """The question whether an image is what its header says; None where a family was never taught one."""
    wordings = WORDINGS.get((modality, Form.GATE))
    if not wordings:
        return None
    return Question(Task.CLASSIFICATION, Form.GATE, phrase(wordings[0]), images=(image,))


def _questions(task: Task, request: ReadingRequest, context: str) -> Iterator[Question]:
    modality, current = request.modality, len(request.images)
    shown = tuple(range(current))
    for form, groups in _PROTOCOL.get((modality, task), ()):
        wording = WORDINGS[modality, form][0]
        before = context if form in _WITH_CONTEXT else ""
        for names in groups:
            text = phrase(wording, names=names, current=current, context=before)
            yield Question(task, form, text, names, images=shown)
    if (modality, task) == (Modality.CXR, Task.COMPARISON):
        wording = WORDINGS[modality, Form.DIFFERENCE][0]
        for n, prior in enumerate(request.priors):
            text = phrase(wording, current=current, priors=len(prior.images))
            yield Question(task, Form.DIFFERENCE, text, prior=n, images=(*shown, *prior_images(request, n)))


def _singly(names: Sequence[str]) -> tuple[tuple[str, ...], ...]:
    return tuple((name,) for name in names)


def _in_groups(names: Sequence[str]) -> tuple[tuple[str, ...], ...]:
    return tuple(tuple(names[n : n + DETECTION_GROUP]) for n in range(0, len(names), DETECTION_GROUP))


_ONCE: tuple[tuple[str, ...], ...] = ((),)

_WITH_CONTEXT = frozenset({Form.FINDINGS, Form.IMPRESSION, Form.REPORT, Form.DIAGNOSIS})
"""Forms that the released model was taught with the order's context; the others saw pixels only."""

_PROTOCOL: Mapping[tuple[Modality, Task], tuple[tuple[Form, tuple[tuple[str, ...], ...]], ...]] = {
    (Modality.CXR, Task.REPORT): ((Form.FINDINGS, _ONCE), (Form.IMPRESSION, _ONCE)),
    (Modality.CXR, Task.CLASSIFICATION): ((Form.LABELS, _ONCE), (Form.BINARY, _singly(CHEST_FINDINGS))),
    (Modality.CXR, Task.ANATOMY_DETECTION): ((Form.DETECTION, _in_groups(CHEST_STRUCTURES)),),
    (Modality.CXR, Task.PATHOLOGY_DETECTION): ((Form.DETECTION, _in_groups(CHEST_FINDINGS)),),
    (Modality.CXR, Task.SEGMENTATION): ((Form.SEGMENTATION, _singly(CHEST_ORGANS)),),
    (Modality.CT, Task.SEGMENTATION): ((Form.SEGMENTATION, _singly(ABDOMINAL_ORGANS)),),
    (Modality.DERM, Task.CLASSIFICATION): ((Form.DIAGNOSIS, _ONCE),),
    (Modality.DERM, Task.SEGMENTATION): ((Form.SEGMENTATION, _singly(("lesion",))),),
}

_TAG = re.compile(r"</?[\w/]{1,24}>|\[/?INST\]|(?:human|assistant|user)\s*:", re.IGNORECASE)


def without_control_tokens(text: str) -> str:
    """Strip what a language model could take for a command: tags, `#`, role markers, control characters.

    Compatibility forms are folded first, so that a full-width bracket is a bracket; comparison signs
    become words ("SpO2 <90" keeps its meaning).
    """
    folded = unicodedata.normalize("NFKC", text)
    clean = "".join(" " if unicodedata.category(c).startswith("C") else c for c in folded).replace("#", " ")
    while (stripped := _TAG.sub(" ", clean)) != clean:
        clean = stripped
    clean = clean.replace("<", " less than ").replace(">", " more than ")
    return " ".join(clean.split())


def _labelled(name: str, text: str | None) -> str:
    words = without_control_tokens(text or "").rstrip(" .").split(" ")
    clean = " ".join(words[: CONTEXT_WORDS - 4])
    return f"{name}:{clean}." if clean else ""


def _age(age_years: float | None) -> str:
    """Decades, as in training: `Age:30-40.`"""
    if age_years is None or not 0 <= age_years < 130:
        return ""
    decade = int(age_years // 10) * 10
    return f"Age:{decade}-{decade + 10}."


def _sex(modality: Modality, sex: str | None) -> str:
    if sex not in ("M", "F"):
        return ""
    if modality is Modality.DERM:
        return "Gender:male." if sex == "M" else "Gender:female."
    return f"Gender:{sex}."
