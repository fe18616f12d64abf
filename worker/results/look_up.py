"""Finds an object that somebody names: a file, a result or an instance of the node, or one in the archive."""

from collections.abc import Generator, Iterable
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from pydicom import Dataset, dcmread

from dicom_node.database.engine import Database, open_database
from dicom_node.errors import PeerError
from dicom_node.instance_look_up import look_up
from dicom_node.settings import DATABASE_FILE, NodeSettings
from dicom_node.uids import is_uid
from dicom_node.unreadable import UNREADABLE
from worker.errors import AskedAmissError


@contextmanager
def index_of(settings: NodeSettings) -> Generator[Database]:
    """Open the node's index.

    Raises:
        AskedAmissError: there is none yet: nothing was received.
    """
    url, data_dir = settings.node.database_url, settings.node.data_dir
    if url.endswith(DATABASE_FILE) and not (data_dir / DATABASE_FILE).exists():
        raise AskedAmissError(f"no node has worked in {data_dir}: name its TOML file with --config")
    database = open_database(url)
    try:
        yield database
    finally:
        database.close()


@dataclass(slots=True, eq=False)
class Objects:
    """Objects by SOP Instance UID, from the places that are asked one after the other."""

    settings: NodeSettings
    given: dict[str, Dataset] = field(default_factory=dict[str, Dataset])
    """What was named on the command line."""
    faults: list[str] = field(default_factory=list[str])
    """Which places could not be asked, and why."""

    def give(self, paths: Iterable[Path]) -> None:
        """Add all DICOM files below some paths; others are passed over."""
        for path in paths:
            for file in sorted(path.rglob("*")) if path.is_dir() else (path,):
                if file.is_file() and (ds := _read(file)) is not None:
                    self.given[str(ds.get("SOPInstanceUID"))] = ds

    def named(self, what: str) -> Dataset:
        """Read a file, or find what has this SOP Instance UID.

        Raises:
            AskedAmissError: it is neither; the message says where was looked.
        """
        path = Path(what)
        if path.is_file():
            ds = _read(path)
            if ds is None:
                raise AskedAmissError(f"{what} is no DICOM file that can be read")
            return ds
        if not is_uid(what):
            raise AskedAmissError(f"{what} is no file and no SOP Instance UID")
        if (ds := self.find(what)) is not None:
            return ds
        if made := self._results_of_study(what):
            raise AskedAmissError(f"{what} is a study; name one of its results: {', '.join(made)}")
        places = ["the node's store", *(f"the archive {peer.name}" for peer in self.settings.query_retrieve)]
        looked = f"no object {what} in {', '.join(places)}"
        raise AskedAmissError("; ".join([looked, *self.faults]))

    def find(self, uid: str) -> Dataset | None:
        """Find an object: among what was given, in the store, then in each archive; None if nobody has it."""
        return self.given.get(uid) or self._stored(uid) or self._archived(uid)

    def _stored(self, uid: str) -> Dataset | None:
        try:
            with index_of(self.settings) as database:
                result, instance = database.results.get(uid), database.instances.get(uid)
        except AskedAmissError as error:
            self._note(str(error))
            return None
        kept = result or instance
        return None if kept is None else _read(kept.path)

    def _results_of_study(self, uid: str) -> list[str]:
        try:
            with index_of(self.settings) as database:
                return [f"{each.modality} {each.sop_instance_uid}" for each in database.results.of_study(uid)]
        except AskedAmissError:
            return []

    def _archived(self, uid: str) -> Dataset | None:
        for peer in self.settings.query_retrieve:
            try:
                if (ds := look_up(peer, uid)) is not None:
                    return ds
            except PeerError as error:
                self._note(str(error))
        return None

    def _note(self, fault: str) -> None:
        if fault not in self.faults:
            self.faults.append(fault)


def _read(path: Path) -> Dataset | None:
    try:
        return dcmread(path)
    except UNREADABLE:
        return None
