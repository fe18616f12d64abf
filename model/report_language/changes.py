"""Reads a comparison: what became of each finding since the prior, as coded change."""

import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field

from model.reading import CHEST_FINDINGS, Change, ChangeStatus, Laterality
from model.report_language.cleaning import CONTROL, Parsed
from model.report_language.places import Place, places_of
from model.report_language.sentences import clauses_of, sentences_of
from model.report_language.terms import mentions_in

_ANY = r"(?: (?:significant|relevant|interval|appreciable))*"

_STATUS: Mapping[ChangeStatus, re.Pattern[str]] = {
    ChangeStatus.UNCHANGED: re.compile(
        rf"\b(?:unchanged|stable|similar|(?:has|have) not changed|(?:no|without){_ANY} change|persist\w*|"
        r"(?:is|are) again)\b"
    ),
    ChangeStatus.DECREASED: re.compile(
        r"\b(?:decreas\w*|improv\w*|reduc(?:ed|tion)|smaller|diminish\w*|"
        r"less (?:extensive|prominent|severe|pronounced|marked)|"
        r"(?:partial(?:ly)?|near(?:ly)?|almost)(?: complete(?:ly)?)? (?:resol\w*|cleared))\b"
    ),
    ChangeStatus.INCREASED: re.compile(
        r"\b(?:increas\w*|worsen\w*|worse|progress\w*|larger|enlarging|"
        r"more (?:extensive|prominent|severe|pronounced|marked))\b"
    ),
    ChangeStatus.RESOLVED: re.compile(
        r"\b(?:resol\w*|disappear\w*|(?:has|have) cleared|no longer|(?:is|are) gone|"
        r"missing the findings? of)\b"
    ),
    ChangeStatus.NEW: re.compile(
        r"\b(?:new(?:ly)?|(?:has|have) (?:developed|appeared)|additional findings? of)\b"
    ),
}
"""In the order in which they are looked for; what one has matched no other matches again."""

_DEGREES = ("tiny", "trace", "minimal", "small", "mild", "moderate", "large", "severe", "massive")
_FROM_TO = re.compile(rf"\bfrom ({'|'.join(_DEGREES)}) to ({'|'.join(_DEGREES)})\b")
_NEGATION = re.compile(r"\b(?:no|not|without|nor|neither|never)\b")
_NO_CHANGE = re.compile(
    rf"^(?:there (?:is|has been|are) )?(?:no{_ANY} (?:change|difference)|nothing has changed)"
    r"(?!s? (?:in|of)\b)"
)
_PART = re.compile(r",|\b(?:and|while|whereas)\b")


@dataclass(slots=True)
class _Group:
    """Findings that share one statement of change."""

    found: list[tuple[str, Place]] = field(default_factory=list[tuple[str, Place]])
    statuses: set[ChangeStatus | None] = field(default_factory=set[ChangeStatus | None])
    """None stands for a negated change, which says nothing that can be coded."""
    leads: bool = False
    """Whether the change was told before the finding, so that further findings may follow."""


def changes_in(text: str, known: Collection[str] = CHEST_FINDINGS) -> Parsed[tuple[Change, ...]]:
    """Read a comparison; no changes and no caveats mean that the text says so ("No significant change.")."""
    changes: dict[tuple[str, Laterality | None, str | None], Change] = {}
    caveats: list[str] = []
    silent = True
    for sentence in sentences_of(text):
        if _NO_CHANGE.match(sentence.lower()):
            silent = False
            continue
        found = _changes(sentence, frozenset(known))
        if not found or not sentence.endswith(".") or CONTROL.search(sentence):
            caveats.append("A sentence of the comparison could not be read and was left out.")
            continue
        silent = False
        for change, zone in found:
            key = (change.label, change.laterality, zone)
            if changes.setdefault(key, change).status is not change.status:
                caveats.append(
                    f"The comparison contradicts itself on {change.label}; the first statement was kept."
                )
    if silent and not caveats:
        caveats.append("The comparison is empty.")
    return Parsed(tuple(dict.fromkeys(changes.values())), tuple(dict.fromkeys(caveats)))


def _changes(sentence: str, known: frozenset[str]) -> list[tuple[Change, str | None]]:
    """The changes that a sentence tells, with their zone; empty unless all of it can be read."""
    groups = [group for clause in clauses_of(sentence) for group in _groups(clause, known)]
    found: list[tuple[Change, str | None]] = []
    for group in groups:
        status = next(iter(group.statuses)) if len(group.statuses) == 1 else None
        if status is None or not group.found:
            return []
        found += [(Change(label, status, p.laterality, sentence), p.zone) for label, p in group.found]
    return found


def _groups(clause: str, known: frozenset[str]) -> list[_Group]:
    """Gather findings and changes: a change holds for the findings before it, or for those that follow it."""
    groups: list[_Group] = []
    waiting: list[tuple[str, Place]] = []
    for found, statuses, leads in _parts(clause, known):
        waiting += found
        if statuses and (waiting or not groups):
            groups.append(_Group(waiting, statuses, leads))
            waiting = []
        elif statuses:
            groups[-1].statuses |= statuses
    if waiting and groups and groups[-1].leads:
        groups[-1].found = groups[-1].found + waiting
    elif waiting:
        groups.append(_Group(waiting))
    return groups


def _parts(
    clause: str, known: frozenset[str]
) -> Iterator[tuple[list[tuple[str, Place]], set[ChangeStatus | None], bool]]:
    """Findings, changes, and whether the change comes first, of each part between commas and conjunctions."""
    mentions = [mention for mention in mentions_in(clause, known) if not mention.normal]
    places = places_of(clause, mentions)
    start = 0
    for end, following in [*(m.span() for m in _PART.finditer(clause)), (len(clause), len(clause))]:
        inside = [n for n, mention in enumerate(mentions) if start <= mention.core < end]
        found = [(label, places[n]) for n in inside for label in mentions[n].labels]
        words = list(clause[start:end])
        for n in inside:
            # Without the finding itself, lest "enlarged cardiac silhouette" be read as a change.
            first, last = mentions[n].start - start, mentions[n].end - start
            words[max(first, 0) : last] = " " * (last - max(first, 0))
        rest = "".join(words)
        statuses, at = _statuses(rest)
        yield found, statuses, bool(inside) and at < mentions[inside[0]].core - start
        start = following


def _statuses(words: str) -> tuple[set[ChangeStatus | None], int]:
    """The changes that words tell, and where the first of them stands."""
    statuses: set[ChangeStatus | None] = set()
    at = len(words)
    if degrees := _FROM_TO.search(words):
        before, after = (_DEGREES.index(degree) for degree in degrees.groups())
        statuses.add(ChangeStatus.INCREASED if after > before else ChangeStatus.DECREASED)
        at = degrees.start()
    for status, pattern in _STATUS.items():
        if match := pattern.search(words):
            statuses.add(status)
            at = min(at, match.start())
            words = pattern.sub(lambda m: " " * len(m[0]), words)
    if statuses and _NEGATION.search(words):
        statuses.add(None)
    return statuses, at
