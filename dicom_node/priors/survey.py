"""Asks all sources which earlier studies they have, and judges them; nothing is fetched."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass

from dicom_node.errors import NodeError
from dicom_node.priors.budget import BudgetedSource
from dicom_node.priors.relevance import Judgement, judged
from dicom_node.priors.source import Candidate

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Found:
    """One candidate and where it is."""

    judgement: Judgement
    sources: tuple[BudgetedSource, ...]
    """In the order in which they are asked; the first described it."""


@dataclass(frozen=True, slots=True)
class Survey:
    """What all sources have of a patient."""

    found: tuple[Found, ...]
    """Those that can be compared with first, the best before the others."""
    notes: tuple[str, ...]
    """One sentence for each source that could not answer."""


def survey(current: Candidate, sources: Sequence[BudgetedSource]) -> Survey:
    """Ask every source in order; one that fails costs a note and nothing else."""
    notes: list[str] = []
    holders: dict[str, list[BudgetedSource]] = {}
    candidates: dict[str, Candidate] = {}
    for source in sources:
        try:
            answered = source.candidates(current.patient)
        except NodeError as exc:
            logger.warning(
                "source of priors failed", extra={"source": source.name, "error": type(exc).__name__}
            )
            notes.append(f"Source {source.name} could not be asked for priors: {exc}.")
            continue
        for candidate in answered:
            candidates.setdefault(candidate.study_instance_uid, candidate)
            holders.setdefault(candidate.study_instance_uid, []).append(source)
    candidates.pop(current.study_instance_uid, None)
    judgements = judged(current, candidates.values())
    return Survey(
        tuple(Found(one, tuple(holders[one.candidate.study_instance_uid])) for one in judgements),
        tuple(notes),
    )
