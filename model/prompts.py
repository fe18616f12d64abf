"""Puts a question and what the order says into the words that a language model hears."""

import re
import unicodedata
from collections.abc import Sequence

from model.reading import ClinicalContext, Modality

CONTEXT_WORDS = 64
"""Most words of context before a question."""

REGION_FRAME = 224
"""Side in pixels of the squeezed image in which a region is told, whatever the encoder's own grid."""

RegionBox = tuple[float, float, float, float]
"""x1, y1, x2, y2 as fractions of image width and height."""


def phrase(
    wording: str,
    *,
    names: Sequence[str] = (),
    current: int = 1,
    priors: int = 0,
    context: str = "",
    question: str = "",
    box: RegionBox = (0.0, 0.0, 1.0, 1.0),
) -> str:
    """Fill one of `WORDINGS` for `current` images followed by `priors` images of one earlier study.

    A user's `question` is lower-cased, as the released model was asked; `box` is in fractions of the image.
    """
    tags = [f"<img{n}>" for n in range(current + priors)]
    return context + wording.format(
        image=tags[0],
        images="".join(tags[:current]),
        priors="".join(tags[current:]),
        names=",".join(names),
        name=names[0] if names else "",
        question=question.lower(),
        box=region_text(box),
    )


def region_text(box: RegionBox) -> str:
    """Write a box as `[x1,y1,x2,y2]`, whole pixels of the squeezed image of side `REGION_FRAME`."""
    return "[" + ",".join(str(round(min(max(edge, 0), 1) * REGION_FRAME)) for edge in box) + "]"


def context_text(
    modality: Modality, context: ClinicalContext, *, no_comparison: bool = False, comparison: str = ""
) -> str:
    """Put the order into words as the released model was trained on them; empty where nothing is known.

    Fields are in the order age, gender, location or indication; free text is stripped of everything that the
    model could take for a control token and cut to `CONTEXT_WORDS`. With `no_comparison` the text also says
    that no earlier study is shown, as the published examples do; `comparison` says what a report was compared
    with, for training.
    """
    fields = _fields(modality, context)
    if comparison:
        fields.append(_labelled("Comparison", comparison))
    elif no_comparison:
        # Alone it is written without the space: the published code's own words for an empty order.
        fields.append("Comparison: None." if fields else "Comparison:None.")
    text = " ".join("".join(fields).split(" ")[:CONTEXT_WORDS]).strip()
    return f"<context>{text}</context>" if text else ""


def preface_text(modality: Modality, context: ClinicalContext) -> str:
    """Put the order into lines without tags, to stand between the images and the question."""
    return "\n".join(_fields(modality, context))


def _fields(modality: Modality, context: ClinicalContext) -> list[str]:
    fields = [_age(context.age_years), _sex(modality, context.sex)]
    if modality is Modality.DERM:
        fields.append(_labelled("Location", context.body_site))
    fields.append(_labelled("Indication", context.indication))
    return [field for field in fields if field]


_TAG = re.compile(r"</?[\w/]{1,24}>|\[/?INST\]|(?:human|assistant|user)\s*:", re.IGNORECASE)


def without_control_tokens(text: str) -> str:
    """Strip what a language model could take for a command: tags, `#`, role markers, control characters.

    Compatibility forms are folded first, so that a full-width bracket is a bracket; comparison signs
    become words ("SpO2 <90" keeps its meaning).
    """
    folded = unicodedata.normalize("NFKC", text)
    clean = "".join(" " if unicodedata.category(c).startswith("C") else c for c in folded).replace("#", " ")
    while (stripped := _TAG.sub(" ", clean)) != clean:
        clean = stripped
    clean = clean.replace("<", " less than ").replace(">", " more than ")
    return " ".join(clean.split())


def _labelled(name: str, text: str | None) -> str:
    words = without_control_tokens(text or "").rstrip(" .").split(" ")
    clean = " ".join(words[: CONTEXT_WORDS - 4])
    return f"{name}:{clean}." if clean else ""


def _age(age_years: float | None) -> str:
    """Decades, as in training: `Age:30-40.`"""
    if age_years is None or not 0 <= age_years < 130:
        return ""
    decade = int(age_years // 10) * 10
    return f"Age:{decade}-{decade + 10}."


def _sex(modality: Modality, sex: str | None) -> str:
    if sex not in ("M", "F"):
        return ""
    if modality is Modality.DERM:
        return "Gender:male." if sex == "M" else "Gender:female."
    return f"Gender:{sex}."
