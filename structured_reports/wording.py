"""Every fixed sentence of a result, and text made fit for DICOM."""

from collections.abc import Sequence

from model.reading import Laterality, Modality

_KINDS = {Modality.CXR: "Chest radiograph", Modality.CT: "CT", Modality.DERM: "Skin lesion"}

_PAIRED = {"kidney": "kidneys", "kidneys": "kidneys"}
"""Labels that are one class for both sides."""

NO_PRIOR = "No prior study was available to the software: nothing was compared."
NOT_COMPARED = "A prior study was available to the software, but no comparison was made."
NOT_JUDGED = "The software does not judge this study."
NO_PRESENT_FINDING = "None of the findings that the software looks for was called present."
CUT_OFF = "The structure reaches the end of the stack: the volume is that of the part inside it."
DISPUTED = "{label}: the comparison says {status}, the findings deny it; its presence is undetermined."
REFUSED = "{label}: the comparison says {status}, the findings deny it; the change is not coded."


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


def _dated(study_date: str) -> str:
    if len(study_date) != 8 or not study_date.isdigit():
        return "of unknown date"
    return f"of {study_date[:4]}-{study_date[4:6]}-{study_date[6:]}"


def named(label: str, laterality: Laterality | None) -> str:
    """Name something with its side, unless its label names the side itself."""
    if label in _PAIRED and laterality in {None, Laterality.BILATERAL}:
        return _PAIRED[label]
    if laterality is None or laterality.value in label.split():
        return label
    return f"{laterality.value} {label}"
