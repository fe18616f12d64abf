"""Finds the study that a user asks about: DICOM files, a folder of them, or a study in the node's store."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from pydicom import Dataset, dcmread

from dicom_node.database.engine import open_database
from dicom_node.errors import StorageError
from dicom_node.priors.registry import find_priors
from dicom_node.settings import NodeSettings
from dicom_node.storage import InstanceStore
from dicom_node.study import PriorSearch, StudyInstanceUID
from dicom_node.unreadable import UNREADABLE
from model.imaging.selection import select_images
from worker.errors import AskedAmissError
from worker.request import EarlierStudy, PreparedStudy, StudyPreparation, assemble, days_between

_UID = re.compile(r"[0-9]+(\.[0-9]+)+")
_OLD_STARTS = (b"\x08\x00", b"\x02\x00")
"""How a data set without preamble begins, in little endian: group 0008 or 0002."""


@dataclass(frozen=True, slots=True)
class AskedStudy:
    """Where the study lies and what it is compared with."""

    named: str
    """A file, a folder, or the Study Instance UID of a study in the node's store."""
    settings: NodeSettings
    priors: tuple[Path, ...] = ()
    """Files or folders of earlier studies of the same patient."""
    stored_priors: bool = False
    """Whether the priors that the node's store has are shown to the model too."""

    @property
    def is_stored(self) -> bool:
        return not Path(self.named).exists() and _UID.fullmatch(self.named) is not None

    def check(self) -> None:
        """Look whether there may be such a study, before a model is loaded for it.

        Raises:
            AskedAmissError: there is none, or priors are given in the wrong way.
        """
        if self.is_stored and self.priors:
            raise AskedAmissError(
                "--prior goes with files; --priors shows the stored priors of a stored study"
            )
        if not self.is_stored and self.stored_priors:
            raise AskedAmissError("--priors is for stored studies: give the UID of one, or use --prior PATH")
        if not self.is_stored and not Path(self.named).exists():
            raise AskedAmissError("STUDY is no file, no folder, and no Study Instance UID")

    def prepare(self, *, every_view: bool = False) -> PreparedStudy:
        """Read the study and its priors.

        Raises:
            AskedAmissError: there is no such study, or it and its priors do not belong together.
            NothingToReadError: no image of it is one that the model reads.
            NodeError: the store cannot be read.
        """
        if self.is_stored:
            return _from_store(self, every_view=every_view)
        current = read_study(Path(self.named))
        selection = select_images(current, every_view=every_view)
        return assemble(selection, current, _earlier(self.priors, current), every_view=every_view)


def read_study(path: Path) -> list[Dataset]:
    """Read all instances of the one study that a file or folder holds.

    Raises:
        AskedAmissError: it holds no DICOM instance, or those of several studies.
    """
    datasets = [ds for file in _files(path) if (ds := _read(file)) is not None]
    studies = {str(ds.StudyInstanceUID) for ds in datasets}
    if not studies:
        raise AskedAmissError(
            "no DICOM instance there: PNG, JPEG and NIfTI cannot be asked about, since they do not say what "
            "they show; wrap a picture in DICOM first, e.g. with DCMTK's img2dcm"
        )
    if len(studies) > 1:
        raise AskedAmissError(f"{len(studies)} studies lie there: name the files of one, others by --prior")
    return datasets


def _files(path: Path) -> Iterator[Path]:
    yield from sorted(file for file in path.rglob("*") if file.is_file()) if path.is_dir() else (path,)


def _read(path: Path) -> Dataset | None:
    """Read one instance; None for whatever is no instance of a study."""
    try:
        with path.open("rb") as file:
            is_bare = file.read(2) in _OLD_STARTS
        ds = dcmread(path, force=is_bare)
        return ds if str(ds.get("StudyInstanceUID") or "") else None
    except UNREADABLE:
        return None


def _earlier(paths: Sequence[Path], current: Sequence[Dataset]) -> list[EarlierStudy]:
    """Read priors, newest first."""
    found: list[EarlierStudy] = []
    for path in paths:
        datasets = read_study(path)
        if _patient(datasets[0]) != _patient(current[0]):
            raise AskedAmissError("a prior is of another patient than the study")
        if datasets[0].StudyInstanceUID == current[0].StudyInstanceUID:
            raise AskedAmissError("a prior is the study itself")
        date = str(datasets[0].get("StudyDate") or "")
        days = days_between(date, str(current[0].get("StudyDate") or ""))
        found.append(EarlierStudy(datasets, date, days))
    return sorted(found, key=lambda prior: prior.study_date, reverse=True)


def _patient(ds: Dataset) -> tuple[str, str]:
    return str(ds.get("PatientID") or "").strip(), str(ds.get("IssuerOfPatientID") or "").strip()


def _from_store(asked: AskedStudy, *, every_view: bool) -> PreparedStudy:
    """Read a study of the node's store; nothing in it is changed, and no other system is asked."""
    settings = asked.settings
    database = open_database(settings.node.database_url)
    try:
        store = InstanceStore(settings.node.data_dir, database)
        try:
            study = database.studies.get(StudyInstanceUID(asked.named))
        except StorageError as exc:
            raise AskedAmissError("the node's store holds no such study") from exc
        alone = settings.with_own_store_only()
        search = find_priors(study, alone, database, store) if asked.stored_priors else PriorSearch(())
        preparation = StudyPreparation(database, store, may_quarantine=False, every_view=every_view)
        return preparation.prepare(study, study.revision, search)
    finally:
        database.close()
