"""Every fixed sentence of a result, and text made fit for DICOM."""

from collections.abc import Sequence

from model.reading import Answer, Disagreement, Laterality, Modality, Presence

_KINDS = {Modality.CXR: "Chest radiograph", Modality.CT: "CT", Modality.DERM: "Skin lesion"}

_PAIRED = {"kidney": "kidneys", "kidneys": "kidneys"}
"""Labels that are one class for both sides."""

_SPOKEN = {"svc": "superior vena cava"}

NOT_COMPARED = "A prior study was available to the software, but no comparison was made."
NOT_JUDGED = "The software does not judge this study."
NO_PRESENT_FINDING = "None of the findings that the software looks for was called present."
CUT_OFF = "The structure reaches the end of the stack: the volume is that of the part inside it."
DISPUTED = "{label}: the comparison says {status}, the findings deny it; its presence is undetermined."
REFUSED = "{label}: the comparison says {status}, the findings deny it; the change is not coded."
ANSWERS_NOTICE = (
    "Answers of an AI model to single questions. They are not part of the impression and not verified."
)
APPENDIX_NOTICE = "Raw output of the AI model, kept for audit. It is no finding and is not verified."
NO_ANSWER = "(The model wrote nothing.)"
_TAGS = {"<DET>": "[box]", "<N/A>": "[none]", "<2DSEG>": "[mask]", "<3DSEG>": "[mask]"}
_BOXES = "boxes"
"""The way of saying that draws something or nothing; a mask is there also of what is not abnormal."""


def kind_of(modality: Modality) -> str:
    """Name what was read, e.g. `Chest radiograph`."""
    return _KINDS[modality]


def series_description(kind: str, modality: Modality, revision: int) -> str:
    """Name a series in a PACS list, e.g. `AI findings, Chest radiograph (RESEARCH)`; LO."""
    again = f" rev {revision}" if revision > 1 else ""
    return f"AI {kind}, {_KINDS[modality]}{again} (RESEARCH)"


def clean_text(text: str) -> str:
    """Make text fit for UT: lines end with CR LF, control characters go, also those of C1."""
    lines = text.replace("\r\n", "\n").replace("\r", "\n").replace("\t", " ").split("\n")
    return "\r\n".join("".join(c for c in line if c.isprintable()).rstrip() for line in lines).strip()


def compared_with(study_date: str, text: str) -> str:
    """Say what was compared, with the date of the prior as a reader writes it."""
    return clean_text(f"Compared with the prior study {_dated(study_date)}.\n{text}")


def less_likely(likelihoods: Sequence[tuple[str, float | None]]) -> str:
    """Name the classes that were not chosen, the likeliest first; None where the model gave no number."""
    ordered = sorted(likelihoods, key=lambda each: -(each[1] or 0))
    parts = [label if part is None else f"{label} {100 * part:.1f} %" for label, part in ordered]
    return f"Classes considered and found less likely, not excluded: {', '.join(parts)}."


def contested(disagreement: Disagreement) -> str:
    """Say who said what of one finding, e.g. `Contested: hernia. Report text: present; boxes: none; …`."""
    said = [f"{way}: {_presence_word(way, presence)}" for way, presence in disagreement.said]
    whole = "; ".join([*said, f"concluded: {disagreement.concluded.value}"])
    return f"Contested: {disagreement.label}. {whole[:1].upper()}{whole[1:]}."


def _presence_word(way: str, presence: Presence) -> str:
    return "none" if way == _BOXES and presence is Presence.ABSENT else presence.value


def called_absent(names: Sequence[str]) -> str:
    """Name all absent findings in one line."""
    return f"Called absent: {', '.join(names)}."


def located(names: Sequence[str]) -> str:
    """Name all structures that were boxed in one line."""
    return f"{len(names)} boxes: {', '.join(names)}."


def rectangle_label(name: str, certainty: str | None) -> str:
    """Label a rectangle that a reader may edit, so that it is never taken for a drawing of their own."""
    return f"AI: {name}" if certainty is None else f"AI: {name}, {certainty}"


def readable_answer(text: str) -> str:
    """Put words in place of the model's tags."""
    for tag, words in _TAGS.items():
        text = text.replace(tag, words)
    return clean_text(text) or NO_ANSWER


def raw_answer(answer: Answer) -> str:
    """Say what was asked, what came back, and how sure each token was at least and on average."""
    probabilities = answer.token_probabilities
    mean = sum(probabilities) / len(probabilities) if probabilities else 0.0
    sure = (
        f"least {min(probabilities):.4f}, mean {mean:.4f} over {len(probabilities)} tokens"
        if probabilities
        else "not known"
    )
    return clean_text(
        f"Task: {answer.task.value}\nAsked: {answer.request}\nAnswered: {answer.text or NO_ANSWER}\n"
        f"Token probability: {sure}"
    )


def _dated(study_date: str) -> str:
    if len(study_date) != 8 or not study_date.isdigit():
        return "of unknown date"
    return f"of {study_date[:4]}-{study_date[4:6]}-{study_date[6:]}"


def named(label: str, laterality: Laterality | None) -> str:
    """Name something with its side, unless its label names the side itself."""
    if label in _PAIRED and laterality in {None, Laterality.BILATERAL}:
        return _PAIRED[label]
    spoken = _SPOKEN.get(label, label)
    if laterality is None or laterality.value in label.split():
        return spoken
    return f"{laterality.value} {spoken}"
