"""What the model was asked and wrote, word by word, with its probabilities: for audit, the last of all."""

from highdicom.sr import ContentItem

from structured_reports import codes, wording
from structured_reports.writers import content
from structured_reports.writers.writer import Draft


def technical_appendix(draft: Draft) -> list[ContentItem]:
    """List every answer as it was written; nothing where the model does not judge: it must not claim then."""
    if draft.reading.abstention is not None or not draft.reading.answers:
        return []
    notice = content.text(codes.COMMENT, wording.APPENDIX_NOTICE)
    answers = [content.text(codes.RAW_ANSWER, wording.raw_answer(each)) for each in draft.reading.answers]
    return [content.container(codes.TECHNICAL_APPENDIX, [notice, *answers])]
