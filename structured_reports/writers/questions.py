"""What a person asked beside the protocol, and what the model answered: never part of the impression."""

from highdicom.sr import ContentItem

from model.reading import Answer, Task
from structured_reports import codes, wording
from structured_reports.writers import content
from structured_reports.writers.writer import Draft

_ON_REQUEST = {Task.VQA, Task.REGION_CAPTIONING}
"""Tasks that no protocol has: somebody asked."""


def questions_and_answers(draft: Draft) -> list[ContentItem]:
    """List questions with their answers; nothing where none was asked, or where the model does not judge."""
    if draft.reading.abstention is not None:
        return []
    asked = [answer for answer in draft.reading.answers if answer.is_requested or answer.task in _ON_REQUEST]
    if not asked:
        return []
    notice = content.text(codes.COMMENT, wording.ANSWERS_NOTICE)
    return [content.container(codes.QUESTIONS, [notice, *(_answered(answer) for answer in asked)])]


def _answered(answer: Answer) -> ContentItem:
    name = codes.PERSONS_QUESTION if answer.is_requested else codes.QUESTION
    items = [
        content.text(name, answer.request),
        content.text(codes.ANSWER, wording.readable_answer(answer.text)),
    ]
    return content.container(codes.QUESTION_AND_ANSWER, items)
