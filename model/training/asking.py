"""Puts the questions of instruction tuning into words: the released ones, others, and those of people."""

from collections.abc import Mapping, Sequence

import numpy as np

from model.prompts import context_text, phrase
from model.questions import Form
from model.reading import ClinicalContext, Modality
from model.training.phantoms.truth import Box
from model.wordings import FREE_WORDINGS, WORDINGS

_INDICATIONS = ("Cough", "Chest pain", "Dyspnea", "Fever", "Follow-up", "Trauma", "Routine examination")
_SITES = ("back", "trunk", "face", "abdomen", "lower extremity", "upper extremity")

SPOKEN_NAMES: Mapping[str, tuple[str, ...]] = {
    "lung nodule": ("nodule", "lung nodules", "nodules"),
    "consolidation": ("consolidations", "infiltrate"),
    "pleural effusion": ("effusion", "pleural effusions", "pleural fluid"),
    "pneumothorax": ("collapsed lung", "pneumo"),
    "enlarged cardiac silhouette": ("enlarged heart", "cardiomegaly", "big heart"),
    "spine": ("backbone",),
    "trachea": ("windpipe",),
    "lesion": ("mole", "spot", "skin lesion"),
    "kidneys": ("kidney",),
}
"""What people call the names that answers use."""

FREE_SHARE = 0.3
"""Of all questions, those in people's own words."""


def ask(
    modality: Modality,
    form: Form,
    rng: np.random.Generator,
    *,
    names: Sequence[str] = (),
    current: int = 1,
    priors: int = 0,
    question: str = "",
    box: Box = (0.0, 0.0, 1.0, 1.0),
    free: bool | None = None,
) -> str:
    """Draw a wording and fill it; of those that are not `free`, half are the released one, as in serving."""
    if is_free(rng) if free is None else free:
        wordings = FREE_WORDINGS[modality, form]
        names = [_spoken(name, rng) for name in names]
        wording = _typed(wordings[int(rng.integers(len(wordings)))], rng)
    else:
        wordings = WORDINGS[modality, form]
        wording = wordings[0] if rng.random() < 0.5 else wordings[int(rng.integers(len(wordings)))]
    return phrase(wording, names=names, current=current, priors=priors, question=question, box=box)


def is_free(rng: np.random.Generator) -> bool:
    """Draw whether a question is put in people's own words."""
    return bool(rng.random() < FREE_SHARE)


def order_context(modality: Modality, rng: np.random.Generator) -> str:
    """An order that knows nothing of the truth, with fields missing as in life."""
    context = ClinicalContext(
        age_years=float(rng.uniform(18, 95)) if rng.random() < 0.6 else None,
        sex=str(rng.choice(("M", "F"))) if rng.random() < 0.6 else None,
        indication=str(rng.choice(_INDICATIONS)) if rng.random() < 0.3 else None,
        body_site=str(rng.choice(_SITES)) if rng.random() < 0.5 else None,
    )
    return context_text(modality, context)


def _spoken(name: str, rng: np.random.Generator) -> str:
    said = (name, *SPOKEN_NAMES.get(name, ()))
    return said[int(rng.integers(len(said)))] if rng.random() < 0.5 else name


def _typed(wording: str, rng: np.random.Generator) -> str:
    """Type as people do: some begin with a capital, some leave the last mark out."""
    typed = wording[:1].upper() + wording[1:] if rng.random() < 0.5 else wording
    if rng.random() < 0.3 and not typed.endswith("}"):
        typed = typed.rstrip("?.")
    return typed
