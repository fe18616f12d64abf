"""Keeps the sentences of a generated report that may be shown, and says why the others may not."""

import re
from collections import Counter
from dataclasses import dataclass
from typing import Generic, TypeVar

from model.report_language.sentences import sentences_of

T = TypeVar("T")

REPEATS = 3
"""A sentence written this often, or words this often in a row, are a loop and no report."""

LONGEST_LOOP = 8
"""Words of the longest stretch whose repetition is looked for."""


@dataclass(frozen=True, slots=True)
class Parsed(Generic[T]):
    """What could be read, and a sentence for everything that could not."""

    value: T
    caveats: tuple[str, ...] = ()


CONTROL = re.compile(r"[<>#\x00-\x1f\x7f-\x9f\u200b-\u200f\u202a-\u202e\u2066-\u2069\ufeff]")
"""No sentence of a report holds these; a piece of a tag or of a turn mark does, or a hidden character."""

_COMPARING = re.compile(
    r"\b(?:unchanged|stable|interval|compared|comparison|previous(?:ly)?|prior|since|new(?:ly)?|again|increas\w*|"
    r"decreas\w*|resol\w*|improv\w*|worsen\w*|persist\w*|remains?|no (?:significant )?change|changed|"
    r"redemonstrat\w*|progress\w*)\b",
    re.IGNORECASE,
)

_STATIC = re.compile(
    r"\b(?:increased|decreased)(?: [\w-]+)? (?:markings?|density|lucency|attenuation|opacit(?:y|ies)|"
    r"opacification|volumes?|prominence|diameter|kyphosis)\b|"
    r"\bprior (?:granulomatous|surgery|surgical|sternotomy|median|cabg|resection|infection|trauma|fractures?|"
    r"thoracotomy|lobectomy|mastectomy|cholecystectomy)\b",
    re.IGNORECASE,
)
"""Words of a comparison in phrases that describe one image or the patient's past."""

_ELSEWHERE = re.compile(
    r"_{2,}|\b(?:discussed|communicated|telephone|paged|dictated|notified|wet read|attending|dr\.?)\b",
    re.IGNORECASE,
)
"""Conversations and removed names, which reports of the training data are full of and no image shows."""


def clean_report(text: str, *, complete: bool) -> Parsed[str]:
    """Keep the sentences of a report that may be shown.

    Left out are an unfinished last sentence, sentences with tags or hidden characters, sentences that compare
    (a report is written without sight of a prior, which has questions of its own), sentences about
    conversations, loops and repetitions.
    """
    caveats: list[str] = []
    kept: dict[str, None] = {}
    told = Counter(sentences_of(text))
    for sentence in told:
        if fault := _fault(sentence):
            caveats.append(fault)
        else:
            kept[sentence] = None
    if not complete:
        caveats.append("The generated report was cut at the length limit.")
    if told and max(told.values()) >= REPEATS:
        caveats.append("The generated report repeats itself.")
    return Parsed(" ".join(kept), tuple(dict.fromkeys(caveats)))


def report_parts(text: str) -> tuple[str, str]:
    """Split a whole report into findings and impression; it is all findings where it names no impression."""
    findings, heading, impression = text.partition("Impression:")
    if not heading:
        findings, heading, impression = text.partition("IMPRESSION:")
    return findings.strip(), impression.strip()


def _fault(sentence: str) -> str | None:
    """Why a sentence may not be shown; None if it may."""
    if not sentence.endswith("."):
        return "An unfinished sentence of the generated report was left out."
    if CONTROL.search(sentence):
        return "A sentence of the generated report with a control tag was left out."
    if _COMPARING.search(_STATIC.sub(" ", sentence)):
        return "A sentence of the generated report that compares without a prior was left out."
    if _ELSEWHERE.search(sentence):
        return "A sentence of the generated report that speaks of more than the images was left out."
    if _loops(sentence):
        return "A sentence of the generated report that repeats itself was left out."
    return None


def _loops(sentence: str) -> bool:
    """Whether up to `LONGEST_LOOP` words come `REPEATS` times in a row."""
    words = re.findall(r"\w+", sentence.lower())
    for length in range(1, LONGEST_LOOP + 1):
        run = 0
        for here, there in zip(words, words[length:], strict=False):
            run = run + 1 if here == there else 0
            if run >= length * (REPEATS - 1):
                return True
    return False
