"""The search for priors over all sources that are configured; a source that fails never fails the reading."""

import logging
import time
from collections.abc import Callable, Sequence
from typing import Final

from dicom_node.database.engine import Database
from dicom_node.errors import NodeError
from dicom_node.priors.local import LocalSource, candidate_of
from dicom_node.priors.query_retrieve import query_retrieve_sources
from dicom_node.priors.relevance import Choice, names_a_patient, relevant
from dicom_node.priors.source import Candidate, PriorSource
from dicom_node.settings import NodeSettings
from dicom_node.storage import InstanceStore
from dicom_node.study import Prior, PriorSearch, Study

logger = logging.getLogger(__name__)

SourceBuilder = Callable[[NodeSettings, Database, InstanceStore], Sequence[PriorSource]]


def _local(settings: NodeSettings, database: Database, store: InstanceStore) -> Sequence[PriorSource]:
    return (LocalSource(database),)


PRIOR_SOURCES: Final[dict[str, SourceBuilder]] = {
    "local": _local,
    "query_retrieve": query_retrieve_sources,
}
"""Kinds of sources in the order in which they are asked; of one study in two places the first is used."""


def find_priors(
    study: Study, settings: NodeSettings, database: Database, store: InstanceStore
) -> PriorSearch:
    """Return at most `priors.limit` earlier studies worth comparing with, newest first, and faults met."""
    current = candidate_of(database.studies.content(study.study_instance_uid))
    if settings.priors.limit == 0:
        return PriorSearch((), ("Priors are switched off.",))
    if not names_a_patient(current.patient.patient_id):
        return PriorSearch(
            (), ("The study has no Patient ID that tells patients apart: no prior was looked for.",)
        )
    sources = [source for build in PRIOR_SOURCES.values() for source in build(settings, database, store)]
    return _Search(current, settings.priors.limit, time.monotonic() + settings.priors.budget_s).over(sources)


class _Search:
    """One search: ask every source, choose, fetch what was chosen."""

    def __init__(self, current: Candidate, limit: int, deadline: float) -> None:
        self._current = current
        self._limit = limit
        self._deadline = deadline
        self._notes: list[str] = []

    def over(self, sources: Sequence[PriorSource]) -> PriorSearch:
        found: dict[str, tuple[PriorSource, Candidate]] = {}
        for source in sources:
            for candidate in self._ask(source):
                found.setdefault(candidate.study_instance_uid, (source, candidate))
        priors: list[Prior] = []
        for choice in relevant(self._current, [candidate for _, candidate in found.values()]):
            if len(priors) == self._limit:
                break
            prior = self._fetch(found[choice.candidate.study_instance_uid][0], choice)
            if prior is not None:
                priors.append(prior)
        logger.info("priors searched", extra={"found": len(priors), "sources": len(sources)})
        return PriorSearch(tuple(priors), tuple(self._notes))

    def _ask(self, source: PriorSource) -> list[Candidate]:
        if time.monotonic() > self._deadline:
            self._notes.append(f"Source {source.name} was not asked for priors: the time was used up.")
            return []
        try:
            return source.candidates(self._current.patient)
        except NodeError as exc:
            logger.warning(
                "source of priors failed", extra={"source": source.name, "error": type(exc).__name__}
            )
            self._notes.append(f"Source {source.name} could not be asked for priors: {exc}.")
            return []

    def _fetch(self, source: PriorSource, choice: Choice) -> Prior | None:
        if time.monotonic() > self._deadline:
            self._notes.append(f"A prior at {source.name} was not fetched: the time was used up.")
            return None
        candidate = choice.candidate
        try:
            instances = source.fetch(candidate)
        except NodeError as exc:
            logger.warning("prior not fetched", extra={"source": source.name, "error": type(exc).__name__})
            self._notes.append(f"A prior at {source.name} could not be fetched: {exc}.")
            return None
        if not instances:
            self._notes.append(f"A prior at {source.name} holds no image that could be fetched.")
            return None
        return Prior(
            study_instance_uid=candidate.study_instance_uid,
            study_date=candidate.study_date,
            study_time=candidate.study_time,
            source=source.name,
            why=choice.why,
            instances=instances,
        )
