"""Examines what is asked on request: open questions, regions, and requests in words never taught."""

from collections.abc import Iterator, Sequence
from functools import cache

import numpy as np

from model.families.family import Family, Sight
from model.prompts import phrase
from model.questions import Form, Question
from model.reading import Modality, Presence, Task
from model.report_language.statements import statements_in
from model.training.free_requests import UNSEEN_REQUESTS, FreeRequest, is_routed
from model.training.open_questions import open_questions
from model.training.phantoms.truth import ChestView, ForeignCase
from model.training.region_captions import captions_of
from model.volume import PlanarImage, Volume
from model.wordings import WORDINGS

Mark = tuple[str, bool]
"""The name of a figure, and whether one answer was right."""


def open_marks(sight: Sight, shown: ChestView | ForeignCase, seed: int) -> Iterator[Mark]:
    """One question of each kind, in the released wording; right is the true answer to the letter."""
    asked = open_questions(shown, np.random.default_rng([seed, 5]))
    wording = WORDINGS[Modality.CXR, Form.VQA][0]
    questions = [Question(Task.VQA, Form.VQA, phrase(wording, question=q.question)) for q in asked]
    for open_question, answer in zip(asked, sight.answer(questions), strict=True):
        yield f"vqa {open_question.kind}", answer.text == open_question.answer


def region_marks(sight: Sight, view: ChestView, seed: int) -> Iterator[Mark]:
    """Regions as they are taught: whether the findings told are the true ones, whether the words are."""
    regions = list(captions_of(view, np.random.default_rng([seed, 6])))
    wording = WORDINGS[Modality.CXR, Form.REGION][0]
    questions = [
        Question(Task.REGION_CAPTIONING, Form.REGION, phrase(wording, box=box)) for box, _ in regions
    ]
    for (_, caption), answer in zip(regions, sight.answer(questions), strict=True):
        state = "with finding" if _findings(caption) else "without finding"
        yield f"region {state}", _findings(answer.text) == _findings(caption)
        yield "region caption exact", answer.text == caption


def request_marks(
    family: Family, modality: Modality, images: Sequence[PlanarImage | Volume]
) -> Iterator[Mark]:
    """Every unseen request that can be made of these images; one that compares needs two."""
    compares = len(images) > 1
    requests = [r for r in _requests(modality) if (r.form is Form.DIFFERENCE) is compares]
    questions = [Question(Task.VQA, Form.FREE, r.text) for r in requests]
    for request, answer in zip(requests, family.look(modality, images).answer(questions), strict=True):
        yield f"unseen request {modality} {request.form}", is_routed(request, answer.text)


@cache
def _requests(modality: Modality) -> tuple[FreeRequest, ...]:
    return tuple(request for request in UNSEEN_REQUESTS if request.modality is modality)


def _findings(text: str) -> set[tuple[str, str | None]]:
    """What a caption says is there, with its side."""
    return {(s.label, s.laterality) for s in statements_in(text) if s.presence is Presence.PRESENT}
