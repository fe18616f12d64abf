"""Where studies come from: the node's own store, a PACS by query and retrieve, or a folder of DICOM files."""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from pydicom.dataset import Dataset

from dicom_node.database.engine import Database
from dicom_node.errors import StorageError
from dicom_node.intake import Intake
from dicom_node.priors.query_retrieve import QueryRetrieveSource
from dicom_node.priors.source import Candidate
from dicom_node.settings import NodeSettings, QueryRetrieve
from dicom_node.storage import InstanceStore
from model.imaging.elements import text
from worker.archive_export.elements import tolerant
from worker.archive_export.files import read_instance
from worker.errors import AskedAmissError, UnreadableFileError

DOCUMENT_CLASSES = tuple(
    f"1.2.840.10008.5.1.4.1.1.{suffix}" for suffix in ("88.11", "88.22", "88.33", "88.34", "66.4", "66.7")
)
"""Basic Text, Enhanced, Comprehensive and Comprehensive 3D SR; Segmentation and Label Map Segmentation."""


@dataclass(frozen=True, slots=True)
class Choice:
    """Which studies are asked for; what is left empty excludes nothing."""

    uids: frozenset[str] = frozenset()
    since: str = ""
    """First Study Date, DA."""
    until: str = ""
    """Last Study Date, DA."""
    modalities: frozenset[str] = frozenset()

    def takes(self, uid: str, study_date: str, modalities: Iterable[str]) -> bool:
        if self.uids and uid not in self.uids:
            return False
        if (self.since or self.until) and not study_date:
            return False
        if not (self.since or "0") <= study_date <= (self.until or "9" * 8) and (self.since or self.until):
            return False
        return not self.modalities or not self.modalities.isdisjoint(modalities)


@dataclass(frozen=True, slots=True)
class ReadStudy:
    """All of a study that can be read."""

    datasets: Sequence[Dataset]
    faults: Counter[str] = field(default_factory=Counter[str])
    """Why others cannot be, with their number."""


class ArchiveSource(Protocol):
    """A place that has studies."""

    def studies(self, choice: Choice) -> list[str]:
        """Return the Study Instance UIDs of what is chosen, in a stable order.

        Raises:
            NodeError: it cannot answer.
        """
        ...

    def read(self, study_instance_uid: str) -> ReadStudy:
        """Read a study that `studies` named.

        Raises:
            NodeError: it cannot deliver.
        """
        ...


class FolderSource:
    """A folder of DICOM files in any order and depth; files of other kinds are passed over."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._files: dict[str, list[Path]] = {}
        self.faults: Counter[str] = Counter()
        """Of files that could not be read at all, so that no study could claim them."""

    def studies(self, choice: Choice) -> list[str]:
        modalities: dict[str, set[str]] = {}
        dates: dict[str, str] = {}
        for path, header in self._headers():
            uid = text(header, "StudyInstanceUID")
            if not uid:
                self.faults["an instance names no study"] += 1
                continue
            self._files.setdefault(uid, []).append(path)
            modalities.setdefault(uid, set()).add(text(header, "Modality"))
            dates[uid] = dates.get(uid) or text(header, "StudyDate").replace(".", "")
        return sorted(uid for uid in self._files if choice.takes(uid, dates[uid], modalities[uid]))

    def _headers(self) -> Iterator[tuple[Path, Dataset]]:
        for path in sorted(self._folder.rglob("*")):
            try:
                header = read_instance(path, headers_only=True) if path.is_file() else None
            except UnreadableFileError as exc:
                self.faults[str(exc)] += 1
                continue
            if header is not None:
                yield path, header

    def read(self, study_instance_uid: str) -> ReadStudy:
        study = ReadStudy([])
        datasets: list[Dataset] = []
        for path in self._files[study_instance_uid]:
            try:
                ds = read_instance(path)
            except UnreadableFileError as exc:
                study.faults[str(exc)] += 1
                continue
            datasets += [ds] if ds is not None else []
        return ReadStudy(datasets, study.faults)


class StoreSource:
    """The node's own store."""

    def __init__(self, database: Database, store: InstanceStore) -> None:
        self._database = database
        self._store = store

    def studies(self, choice: Choice) -> list[str]:
        return sorted(
            study.study_instance_uid
            for study in self._database.studies.all()
            if choice.takes(study.study_instance_uid, study.study_date, study.modalities)
        )

    def read(self, study_instance_uid: str) -> ReadStudy:
        datasets: list[Dataset] = []
        faults: Counter[str] = Counter()
        for instance in self._database.instances.of_study(study_instance_uid):
            try:
                with tolerant():
                    datasets.append(self._store.read(instance))
            except StorageError as exc:
                faults[str(exc)] += 1
        return ReadStudy(datasets, faults)


class PacsSource:
    """A PACS; what is fetched is kept in the node's store, as priors are, and read from there."""

    def __init__(
        self, peer: QueryRetrieve, settings: NodeSettings, database: Database, store: InstanceStore
    ) -> None:
        intake = Intake(store, database, settings.node.min_free_bytes)
        own = settings.node.ae_title
        self._pacs = QueryRetrieveSource(peer, own, database, intake, more_classes=DOCUMENT_CLASSES)
        self._kept = StoreSource(database, store)
        self._candidates: dict[str, Candidate] = {}

    def studies(self, choice: Choice) -> list[str]:
        between = f"{choice.since}-{choice.until}" if choice.since or choice.until else ""
        for uid in sorted(choice.uids) or [""]:
            for candidate in self._pacs.studies(study_instance_uid=uid, study_date=between):
                if choice.takes(candidate.study_instance_uid, candidate.study_date, candidate.modalities):
                    self._candidates[candidate.study_instance_uid] = candidate
        return sorted(self._candidates)

    def read(self, study_instance_uid: str) -> ReadStudy:
        self._pacs.fetch(self._candidates[study_instance_uid])
        return self._kept.read(study_instance_uid)


def pacs_source(name: str, settings: NodeSettings, database: Database, store: InstanceStore) -> PacsSource:
    """Take the `[[query_retrieve]]` of a name.

    Raises:
        AskedAmissError: there is none.
    """
    for peer in settings.query_retrieve:
        if peer.name == name:
            return PacsSource(peer, settings, database, store)
    known = ", ".join(peer.name for peer in settings.query_retrieve) or "none"
    raise AskedAmissError(f"no [[query_retrieve]] of that name is configured; there are: {known}")
