"""What a study's protocol asks the language model, in which words, and with how much of the order.

Serving asks in the first wording of a form, the released one.
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
from model.wordings import WORDINGS

DETECTION_GROUP = 9
"""Most names in one detection question; the released model was never asked for more."""

CONTEXT_WORDS = 64
"""Most words of context before a question."""

REGION_FRAME = 224
"""Side in pixels of the squeezed image in which a region is told, whatever the encoder's own grid."""

RegionBox = tuple[float, float, float, float]
"""x1, y1, x2, y2 as fractions of image width and height."""


def phrase(
    wording: str,
    *,
    names: Sequence[str] = (),
    current: int = 1,
    priors: int = 0,
    context: str = "",
    question: str = "",
    box: RegionBox = (0.0, 0.0, 1.0, 1.0),
) -> str:
    """Fill one of `WORDINGS` for `current` images followed by `priors` images of one earlier study.

    A user's `question` is lower-cased, as the released model was asked; `box` is in fractions of the image.
    """
    tags = [f"<img{n}>" for n in range(current + priors)]
    return context + wording.format(
        image=tags[0],
        images="".join(tags[:current]),
        priors="".join(tags[current:]),
        names=",".join(names),
        name=names[0] if names else "",
        question=question.lower(),
        box=region_text(box),
    )


def region_text(box: RegionBox) -> str:
    """Write a box as `[x1,y1,x2,y2]`, whole pixels of the squeezed image of side `REGION_FRAME`."""
    return "[" + ",".join(str(round(min(max(edge, 0), 1) * REGION_FRAME)) for edge in box) + "]"


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
