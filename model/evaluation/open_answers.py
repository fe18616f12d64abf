"""How well short answers to open questions fit the true ones."""

import re

from model.answers import yes_or_no


def tokens(text: str) -> list[str]:
    """Words and numbers in lower case, without articles."""
    return [word for word in re.findall(r"[a-z0-9]+", text.lower()) if word not in ("a", "an", "the")]


def is_exact(told: str, true: str) -> bool:
    """Whether both say the same words in the same order."""
    return tokens(told) == tokens(true)


def token_recall(told: str, true: str) -> float:
    """Share of the different words of the true answer that were told (LLaVA-Med, Li et al. 2023)."""
    wanted = set(tokens(true))
    return len(wanted & set(tokens(told))) / len(wanted) if wanted else float(not tokens(told))


def is_closed(true: str) -> bool:
    """Whether a question can be answered by yes or no, judged by its true answer."""
    return yes_or_no(true) is not None


def is_right(told: str, true: str) -> bool:
    """Of a closed question: the same word. Of an open one: every word of the true answer."""
    if is_closed(true):
        return yes_or_no(told) is yes_or_no(true)
    return token_recall(told, true) == 1
