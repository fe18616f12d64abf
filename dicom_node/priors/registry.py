"""The search for priors over all sources that are configured; a source that fails never fails the reading."""

import logging
import time
from collections.abc import Callable, Sequence
from typing import Final

from dicom_node.database.engine import Database
from dicom_node.errors import NodeError
from dicom_node.priors.budget import BudgetedSource
from dicom_node.priors.dicomweb import dicomweb_sources
from dicom_node.priors.identity import names_a_patient
from dicom_node.priors.local import LocalSource, candidate_of
from dicom_node.priors.orthanc import orthanc_sources
from dicom_node.priors.query_retrieve import query_retrieve_sources
from dicom_node.priors.relevance import Judgement, judge
from dicom_node.priors.source import Candidate, PriorSource
from dicom_node.priors.survey import Found, Survey, survey
from dicom_node.settings import OWN_STORE, NodeSettings
from dicom_node.storage import InstanceStore
from dicom_node.study import Instance, Prior, PriorSearch, Study

logger = logging.getLogger(__name__)

SourceBuilder = Callable[[NodeSettings, Database, InstanceStore], Sequence[PriorSource]]


def _local(settings: NodeSettings, database: Database, store: InstanceStore) -> Sequence[PriorSource]:
    return (LocalSource(database, settings.priors.budget_s),)


PRIOR_SOURCES: Final[dict[str, SourceBuilder]] = {
    OWN_STORE: _local,
    "query_retrieve": query_retrieve_sources,
    "dicomweb": dicomweb_sources,
    "orthanc": orthanc_sources,
}
"""Kinds of sources in the order in which they are asked unless `priors.sources` names another."""
NO_PATIENT_ID: Final = "The study has no Patient ID that tells patients apart: no prior was looked for."


def find_priors(
    study: Study, settings: NodeSettings, database: Database, store: InstanceStore
) -> PriorSearch:
    """Fetch at most `priors.limit` earlier studies, the best to compare with; they come newest first."""
    if settings.priors.limit == 0:
        return PriorSearch((), ("Priors are switched off.",))
    current = candidate_of(database, database.studies.content(study.study_instance_uid))
    found = survey_of(current, settings, database, store)
    priors, notes = _Fetching(current, database).best(found, settings.priors.limit)
    newest_first = sorted(priors, key=lambda prior: (prior.study_date, prior.study_time), reverse=True)
    return PriorSearch(tuple(newest_first), notes)


def survey_of(current: Candidate, settings: NodeSettings, database: Database, store: InstanceStore) -> Survey:
    """Ask all sources about the patient of a study, unless its Patient ID names nobody."""
    if not names_a_patient(current.patient.patient_id):
        return Survey((), (NO_PATIENT_ID,))
    deadline = time.monotonic() + settings.priors.budget_s
    sources = sources_in_order(settings, database, store)
    return survey(current, [BudgetedSource(source, deadline) for source in sources])


def sources_in_order(settings: NodeSettings, database: Database, store: InstanceStore) -> list[PriorSource]:
    """Build the sources that `priors.sources` names, in its order; all of them if it names none."""
    built = [source for build in PRIOR_SOURCES.values() for source in build(settings, database, store)]
    if not settings.priors.sources:
        return built
    by_name = {source.name: source for source in built}
    return [by_name[name] for name in settings.priors.sources]


class _Fetching:
    """Fetches what was judged best and judges it again by what has arrived."""

    def __init__(self, current: Candidate, database: Database) -> None:
        self._current = current
        self._database = database
        self._notes: list[str] = []

    def best(self, found: Survey, limit: int) -> tuple[list[Prior], tuple[str, ...]]:
        priors: list[Prior] = []
        for one in found.found:
            if len(priors) == limit or one.judgement.obstacle:
                break
            prior = self._prior(one)
            if prior is not None:
                priors.append(prior)
        logger.info("priors searched", extra={"found": len(priors), "candidates": len(found.found)})
        return priors, (*found.notes, *dict.fromkeys(self._notes))

    def _prior(self, found: Found) -> Prior | None:
        candidate = found.judgement.candidate
        for source in found.sources:
            instances = self._fetch(source, candidate)
            if not instances:
                continue
            judgement = self._judged_again(candidate)
            if judgement.obstacle:
                self._notes.append(f"A study from {source.name} is no prior: {judgement.obstacle}.")
                return None
            return Prior(
                study_instance_uid=candidate.study_instance_uid,
                study_date=judgement.candidate.study_date,
                study_time=judgement.candidate.study_time,
                source=source.name,
                why=judgement.why,
                instances=instances,
            )
        return None

    def _judged_again(self, candidate: Candidate) -> Judgement:
        """A source may say less than the headers, or of a merged patient something else."""
        content = self._database.studies.content(candidate.study_instance_uid)
        return judge(self._current, candidate_of(self._database, content))

    def _fetch(self, source: BudgetedSource, candidate: Candidate) -> tuple[Instance, ...]:
        try:
            instances = source.fetch(candidate)
        except NodeError as exc:
            logger.warning("prior not fetched", extra={"source": source.name, "error": type(exc).__name__})
            self._notes.append(f"A prior at {source.name} could not be fetched: {exc}.")
            return ()
        if not instances:
            self._notes.append(f"A prior at {source.name} holds no image that could be fetched.")
        return instances
