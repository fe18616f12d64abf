"""How published text metrics split a report into words; each keeps the split of its published figures."""

import re
from collections import Counter
from collections.abc import Sequence

_COCO_WORD = re.compile(
    r"(?:dr|mr|mrs|ms|prof|vs)\.|(?:[a-z]\.){2,}"
    r"|\w+?(?=n't\b)|n't\b|'(?:s|m|d|re|ve|ll)\b"
    r"|\w+(?:[-/.,:]\w+)*"
    r"|[?!]{2,}|[()\[\]{}]|[%&<>=+×±*#@$]"
)
_COCO_BRACKETS = {"(": "-lrb-", ")": "-rrb-", "[": "-lsb-", "]": "-rsb-", "{": "-lcb-", "}": "-rcb-"}
_ALPHANUMERIC = re.compile(r"[a-z0-9]+")


def coco_words(text: str) -> list[str]:
    """Split as the evaluation of COCO captions does: Penn Treebank words, lower case, without punctuation.

    The published splitter is a Java program (Stanford CoreNLP 3.4.1); this is its behaviour on reports, with
    its abbreviations limited to those that reports use.
    """
    return [_COCO_BRACKETS.get(match[0], match[0]) for match in _COCO_WORD.finditer(text.lower())]


def rouge_words(text: str) -> list[str]:
    """Split as package rouge-score does without its stemmer: runs of a to z and 0 to 9, lower case."""
    return _ALPHANUMERIC.findall(text.lower())


def spaced_words(text: str) -> list[str]:
    """Split as CXR-Report-Metric does for its BLEU: at spaces, lower case, full stops being words."""
    return [word for word in text.lower().replace(".", " .").split(" ") if word]


def ngrams(words: Sequence[str], longest: int) -> Counter[tuple[str, ...]]:
    """Count the runs of 1 to `longest` words."""
    return Counter(
        tuple(words[start : start + length])
        for length in range(1, longest + 1)
        for start in range(len(words) - length + 1)
    )
