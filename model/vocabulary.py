"""What a family of weights was taught the names of; the protocol asks for nothing else."""

from dataclasses import dataclass

from model.reading import (
    ABDOMINAL_ORGANS,
    CHEST_FINDINGS,
    CHEST_ORGANS,
    CHEST_STRUCTURES,
    SKIN_LESIONS,
)


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """Names by task, each spelled as the weights were taught it."""

    chest_findings: tuple[str, ...]
    """Chest pathology that is classified, detected and looked for in reports."""
    chest_structures: tuple[str, ...]
    """Chest anatomy that is boxed."""
    chest_organs: tuple[str, ...]
    """Chest organs that are masked."""
    abdominal_organs: tuple[str, ...]
    """Abdominal organs that are masked on CT."""
    skin_lesions: tuple[str, ...]
    """Diagnoses of dermoscopy."""


DEMO = Vocabulary(CHEST_FINDINGS, CHEST_STRUCTURES, CHEST_ORGANS, ABDOMINAL_ORGANS, SKIN_LESIONS)
"""Of the demonstration weights."""

VOCABULARIES: dict[str, Vocabulary] = {"demo": DEMO}
"""By the name that `config.json` of a folder of weights gives."""
