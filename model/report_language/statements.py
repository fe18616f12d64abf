"""What a report says of each finding, clause by clause."""

from collections.abc import Collection
from dataclasses import dataclass

from model.reading import CHEST_FINDINGS, Laterality, Presence
from model.report_language.places import Place, places_of
from model.report_language.scopes import Effect, effects_on, has_exception
from model.report_language.sentences import clauses_of, sentences_of
from model.report_language.terms import Mention, mentions_in


@dataclass(frozen=True, slots=True)
class Statement:
    """What one clause of a report says of one label."""

    label: str
    presence: Presence
    laterality: Laterality | None
    """Of an absent finding, the side that the denial is limited to."""
    zone: str | None
    """`upper`, `mid` or `lower`."""
    sentence: str
    """The whole sentence, as it was written."""
    severity: str | None = None
    """The report's own word for size or degree."""


_PRESENCE = {
    None: Presence.PRESENT,
    Effect.DENY: Presence.ABSENT,
    Effect.DOUBT: Presence.UNDETERMINED,
    Effect.LINK: Presence.UNDETERMINED,
}


def statements_in(text: str, known: Collection[str] = CHEST_FINDINGS) -> list[Statement]:
    """What a cleaned report says of each known finding, clause by clause, in the order of the text."""
    labels = frozenset(known)
    found = (
        statement
        for sentence in sentences_of(text)
        for clause in clauses_of(sentence)
        for statement in _statements(clause, sentence, labels)
    )
    return list(dict.fromkeys(found))


def _statements(clause: str, sentence: str, known: frozenset[str]) -> list[Statement]:
    mentions = mentions_in(clause, known)
    effects, places = effects_on(clause, mentions), places_of(clause, mentions)
    found: list[Statement] = []
    for mention, effect, place in zip(mentions, effects, places, strict=True):
        presence = _presence(mention, effect, sentence)
        if presence is not None:
            found += [_statement(label, presence, place, sentence) for label in mention.labels]
    return found


def _presence(mention: Mention, effect: Effect | None, sentence: str) -> Presence | None:
    if effect is Effect.SET_ASIDE:
        return None
    if not mention.normal:
        return _PRESENCE[effect]
    if has_exception(sentence):
        return None
    return Presence.ABSENT if effect is None else Presence.UNDETERMINED


def _statement(label: str, presence: Presence, place: Place, sentence: str) -> Statement:
    if presence is Presence.ABSENT:
        return Statement(label, presence, place.laterality, None, sentence)
    return Statement(label, presence, place.laterality, place.zone, sentence, place.severity)
