"""Puts a user's own words to a family; the tags that it writes decide which module ran."""

import re
import unicodedata

from model.boxes import bounding_box
from model.errors import AbstentionError, AnswerError
from model.families.family import Family, Generation, Sight
from model.free_reading import FreeReading
from model.gates import check_gate_answers, check_pixels
from model.protocol import gate_questions, prior_images, region_question
from model.questions import Form, Question
from model.reading import Answer, Modality, Reading, ReadingRequest, Task
from model.volume import PlanarImage

_IMAGE = re.compile(r"<img(\d{1,3})>")

_CONTROL = re.compile(r"</?[\w/]{1,24}>|#{2,}|\[/?INST\]|\b(?:human|assistant|user)\s*:", re.IGNORECASE)
"""What a language model takes for a command: other tags, turn marks, roles."""


def ask(family: Family, request: ReadingRequest, words: str) -> Reading:
    """Answer one free request about a study; `request.tasks` are not looked at.

    `words` go to the language model as they are. It is shown every image if they name none, else those that
    they name by `<imgN>`: the current study's are numbered first. Boxes and masks lie on the first that is
    shown. What is outside the model's domain comes back as an abstention.

    Raises:
        AnswerError: the words are empty, hold a control token, name an image that is not there, or do not fit
            the model's context.
    """
    question = free_question(request, words)
    current = [n for n in question.images or () if n < len(request.images)]
    named = [int(number) for number in _IMAGE.findall(question.text)]
    only_priors = bool(named) and min(named) >= len(current)
    return _answered(family, FreeReading(request, question, family.vocabulary, only_priors))


def describe_region(
    family: Family, request: ReadingRequest, corners: tuple[float, float, float, float]
) -> Reading:
    """Describe one region of `<img0>` in the released wording.

    `corners` are j0, i0, j1, i1 in stored pixels of the image, half-open.

    Raises:
        AnswerError: the region is empty or outside, or this kind of study has no regions.
    """
    image = request.images[0]
    if request.modality is not Modality.CXR or not isinstance(image, PlanarImage):
        raise AnswerError("regions are described on chest radiographs only")
    rows, columns = image.pixels.shape[:2]
    j0, i0, j1, i1 = image.orientation.apply_box(corners, (rows, columns))
    box = bounding_box("region", (j0, i0, j1, i1), image)
    if box is None or min(j0, i0) < 0 or j1 > rows or i1 > columns:
        raise AnswerError("the region is empty or reaches outside the image")
    question = region_question(box, image)
    return _answered(family, FreeReading(request, question, family.vocabulary, region=box))


def free_question(request: ReadingRequest, words: str) -> Question:
    """Put a user's words as one question, about the images that they name.

    Where they name images of priors only, the current study is shown too: one asks of a change. The images
    that are shown are numbered anew from `<img0>`.

    Raises:
        AnswerError: as `ask`, but for the context.
    """
    text = " ".join(words.split())
    bare = unicodedata.normalize("NFKC", _IMAGE.sub(" ", text))
    if not bare.strip():
        raise AnswerError("the request has no words")
    if _CONTROL.search(bare) or any(unicodedata.category(c).startswith("C") for c in bare):
        raise AnswerError("the request holds a control token; only <img0>, <img1>, … may stand in it")
    current = len(request.images)
    total = current + sum(len(prior.images) for prior in request.priors)
    named = sorted({int(number) for number in _IMAGE.findall(text)})
    if named and named[-1] >= total:
        raise AnswerError(f"the request names <img{named[-1]}>; the last image is <img{total - 1}>")
    if named and named[0] >= current:
        named = [*range(current), *named]
    shown = named or list(range(total))
    renumbered = _IMAGE.sub(lambda match: f"<img{shown.index(int(match[1]))}>", text)
    return Question(Task.VQA, Form.FREE, renumbered, images=tuple(shown))


def _answered(family: Family, draft: FreeReading) -> Reading:
    request, question = draft.request, draft.question
    images = (*request.images, *(image for prior in request.priors for image in prior.images))
    sight = family.look(request.modality, images)
    answers: list[Answer] = []
    abstention: str | None = None
    try:
        check_pixels(request.modality, [images[n] for n in sorted({0, *(question.images or ())})])
        answers += _gate(draft, sight)
        (generation,) = sight.answer([question])
        answers.append(_answer(question, question.task, generation))
        draft.take(generation)
        answers[-1] = _answer(question, next(iter(draft.done)), generation)
    except AbstentionError as exc:
        abstention = str(exc)
        draft = FreeReading(request, question, family.vocabulary, caveats=draft.caveats)
    findings = draft.findings()
    return Reading(
        request.modality,
        family.identity,
        tuple(draft.done),
        draft.narrative,
        findings,
        tuple(draft.anatomy),
        tuple(draft.masks),
        (draft.comparison,) if draft.comparison else (),
        tuple(answers),
        tuple(dict.fromkeys(draft.caveats)),
        abstention,
        conditions=family.conditions,
        seed=request.seed,
        captions=tuple(draft.captions),
        disagreements=tuple(draft.disagreements),
    )


def _gate(draft: FreeReading, sight: Sight) -> list[Answer]:
    """Ask whether the first image of every study that is shown is what its header says."""
    answers: list[Answer] = []
    for image in (0, *(prior_images(draft.request, n)[0] for n in draft.priors_shown)):
        questions = gate_questions(draft.request.modality, draft.vocabulary, image)
        if not questions:
            continue
        generations = sight.answer(questions)
        answers += [
            _answer(q, q.task, generation) for q, generation in zip(questions, generations, strict=True)
        ]
        if doubt := check_gate_answers(generations):
            draft.caveats.append(doubt if image == 0 else f"Of a prior: {doubt}")
    return answers


def _answer(question: Question, task: Task, generation: Generation) -> Answer:
    is_requested = question.form is not Form.GATE
    return Answer(task, question.text, generation.text, generation.token_probabilities, is_requested)
