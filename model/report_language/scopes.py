"""Which words of a clause deny, doubt or set aside the findings before or after them.

Cue words follow the idea of NegEx (Chapman 2001): a cue reaches forward or backward to the next word that
ends its scope. Where several cues reach one finding, setting aside wins, then doubt, then denial; a doubt
that only links a finding to the words before it ("no opacity concerning for pneumonia") yields to a denial.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum, auto

from model.report_language.terms import Mention


class Effect(Enum):
    """What a cue does to a finding, weakest first."""

    LINK = auto()
    """Doubts, unless the finding is denied too."""
    DENY = auto()
    DOUBT = auto()
    SET_ASIDE = auto()
    """A question, a history or a condition: nothing is said of the image."""


@dataclass(frozen=True, slots=True)
class _Cue:
    pattern: re.Pattern[str]
    effect: Effect | None
    """None for words that look like a cue and are none."""
    forward: bool = True
    backward: bool = False


def _cue(pattern: str, effect: Effect | None, *, forward: bool = True, backward: bool = False) -> _Cue:
    return _Cue(re.compile(rf"\b(?:{pattern})\b"), effect, forward, backward)


_SEEN = (
    r"(?:seen|identified|present|evident|visuali[sz]ed|demonstrated|appreciated|detected|visible|noted|found|"
    r"apparent|observed|suspected|suggested|discerned)"
)
_BE = r"(?:is|are|was|were|has been|have been|be|being)"

_CUES: tuple[_Cue, ...] = (
    _cue(
        r"(?:no|without)(?: (?:significant|appreciable|definite|relevant|interval|further|substantial))*"
        r" (?:changes?|increase|decrease|difference|improvement|difficulty)|not only|not necessarily|"
        r"not (?:well|clearly|fully|completely|optimally|adequately|entirely|included|imaged)|"
        r"not (?:without|absent)|no absence of",
        None,
    ),
    _cue(
        rf"(?:(?:cannot|can not|could not|can't) (?:be )?|not )(?:\w+ )?(?:excluded|ruled out)|"
        rf"{_BE} (?:\w+ )?(?:possible|probable|likely|unlikely|questionable|equivocal|limited|"
        rf"difficult to exclude|suspected|suggested|questioned)|"
        rf"(?:may|might|could|should) (?:also )?be (?:considered|{_SEEN})|not definitely {_SEEN}",
        Effect.DOUBT,
        forward=False,
        backward=True,
    ),
    _cue(
        r"(?:cannot|can not|could not|can't|difficult to|hard to) (?:\w+ )?(?:exclude|rule out)", Effect.DOUBT
    ),
    _cue(
        r"history of|h/o|status post|s/p|(?:clinical )(?:concern|suspicion|question) (?:for|of)|"
        r"(?:to )?(?:rule out|exclude|look for)|r/o|(?:please )?(?:evaluate|assess) for|screening for|"
        r"risk (?:of|for)|if|in case of|unless|should",
        Effect.SET_ASIDE,
    ),
    _cue(r"versus|vs|or possibly|or alternatively", Effect.DOUBT, backward=True),
    _cue(
        r"possibl[ey]|probabl[ey]|likely|suspect(?:ed)?|suspicion (?:of|for)|questionable|question of|"
        r"may|might|could|equivocal|borderline|presum(?:ed|ably)|either|(?:evaluation|assessment) (?:for|of)|"
        r"consider(?:ation of)?",
        Effect.DOUBT,
    ),
    _cue(
        r"(?:suspicious|concern(?:ing)?|worrisome|evidence) for|suggest(?:s|ed|ing)?|suggestive of|"
        r"raising (?:the )?possibility of",
        Effect.LINK,
    ),
    _cue(
        rf"(?:{_BE} )?(?:not|no longer|never) (?:\w+ly )?{_SEEN}|{_BE} (?:absent|excluded|ruled out)|absent|"
        rf"(?:has|have|had) (?:\w+ )?(?:resolved|cleared|disappeared)",
        Effect.DENY,
        forward=False,
        backward=True,
    ),
    _cue(
        r"no|not|without|free of|clear of|absence of|lack of|negative for|neither|nor|rather than|instead of|"
        r"fails? to (?:show|reveal|demonstrate)|resolution of|denies",
        Effect.DENY,
    ),
)

_END_OF_FORWARD = re.compile(
    r"\b(?:except(?: for)?|other than|apart from|aside from|in addition to|secondary to|due to|because of)\b|"
    r"(?:,|\band)\s+(?:an? )?"
    r"(?:tiny|trace|minimal|small|mild|moderate|large|severe|massive|left|right|bilateral)\b"
)
"""A comma or `and` before a size or a side begins a new item, unless an `or` further on holds the list."""

_VERB = re.compile(r"\b(?:is|are|was|were|has|have|there|shows?|demonstrates?|with)\b|;")
_PLURAL = re.compile(r"\b(?:are|were|have)\b")
_EXCEPTION = re.compile(
    r"\b(?:except|other than|apart from|aside from|otherwise|elsewhere|remaining|remainder)\b"
)


def effects_on(clause: str, mentions: list[Mention]) -> list[Effect | None]:
    """What the cues of a clause do to each of its mentions; None for one that is plainly stated."""
    reached: list[set[Effect]] = [set() for _ in mentions]
    for start, end, cue in _found(clause):
        if cue.effect is None:
            continue
        if cue.forward:
            last = _forward_end(clause, end)
            for mention, effects in zip(mentions, reached, strict=True):
                if end <= mention.core < last:
                    effects.add(cue.effect)
        if cue.backward:
            for n in _backward(clause, start, end, mentions):
                reached[n].add(cue.effect)
    return [_strongest(effects) for effects in reached]


def has_exception(sentence: str) -> bool:
    """Whether a sentence takes something out of what it says, so that it denies nothing as a whole."""
    return bool(_EXCEPTION.search(sentence.lower()))


def _strongest(effects: set[Effect]) -> Effect | None:
    return max(effects, key=lambda effect: effect.value, default=None)


def _found(clause: str) -> Iterator[tuple[int, int, _Cue]]:
    """Cues in the order of the table; what one has matched no later one matches again."""
    taken: list[tuple[int, int]] = []
    for cue in _CUES:
        for match in cue.pattern.finditer(clause):
            start, end = match.span()
            if not any(start < last and first < end for first, last in taken):
                taken.append((start, end))
                yield start, end, cue


def _forward_end(clause: str, start: int) -> int:
    for match in _END_OF_FORWARD.finditer(clause, start):
        begins_item = match[0].startswith((",", "and"))
        if not begins_item or not re.search(r"\b(?:or|nor)\b", clause[match.end() :]):
            return match.start()
    return len(clause)


def _backward(clause: str, start: int, end: int, mentions: list[Mention]) -> list[int]:
    """Mentions before a cue: back to the verb before it if it is plural, else the nearest and its `or`s."""
    first = max((m.end() for m in _VERB.finditer(clause, 0, start)), default=0)
    before = [n for n, mention in enumerate(mentions) if first <= mention.core < start]
    if not before or _PLURAL.search(clause[start:end]):
        return before
    kept = [before[-1]]
    for n in reversed(before[:-1]):
        if not re.search(r"\b(?:or|nor)\b", clause[mentions[n].core : mentions[kept[0]].core]):
            break
        kept.insert(0, n)
    return kept
