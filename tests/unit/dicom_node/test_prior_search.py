"""The search over several sources: order, budgets, what arrives instead of what was promised."""

import json
import threading
from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import NoReturn

import pytest
from click.testing import CliRunner
from pydicom import Dataset
from pydicom.errors import BytesLengthException

from dicom_node.admission import Patient
from dicom_node.database.engine import Database, open_database
from dicom_node.errors import SettingsError, StorageError, UnreachableError
from dicom_node.intake import Intake
from dicom_node.priors import registry
from dicom_node.priors.command import priors
from dicom_node.priors.description import described, header_of
from dicom_node.priors.registry import find_priors
from dicom_node.priors.relevance import MOST_POINTS
from dicom_node.priors.source import Candidate, PriorSource
from dicom_node.settings import NodeSettings, load_settings
from dicom_node.storage import InstanceStore
from dicom_node.study import Instance, Origin, PriorSearch, StudyInstanceUID
from tests.unit.dicom_node.arrivals import Sender, dataset, write

CURRENT = "1.2.3.1"


def instance(study: str, date: str, **elements: object) -> Dataset:
    uids = {"StudyInstanceUID": study, "SeriesInstanceUID": f"{study}.1", "SOPInstanceUID": f"{study}.1.1"}
    return dataset(StudyDate=date, **uids, **elements)


@dataclass
class FakeArchive:
    """Answers with what it was given; `delivers` may differ from what it says."""

    name: str
    database: Database
    sender: Sender
    holds: Sequence[Dataset] = ()
    delivers: Mapping[str, Sequence[Dataset]] = field(default_factory=dict)
    budget_s: float = 10
    error: str = ""
    hangs_on: frozenset[str] = frozenset()
    released: threading.Event = field(default_factory=threading.Event)
    asked: list[str] = field(default_factory=list)
    calls: list[threading.Event] = field(default_factory=list)
    """One for each call, set when it is over; some are late, in threads of their own."""

    def candidates(self, patient: Patient) -> list[Candidate]:
        with self._call("candidates"):
            return [described(ds, [ds]) for ds in self.holds]

    def fetch(self, candidate: Candidate) -> tuple[Instance, ...]:
        uid = candidate.study_instance_uid
        with self._call("fetch"):
            for ds in self.delivers.get(uid, [ds for ds in self.holds if ds.StudyInstanceUID == uid]):
                assert self.sender.send(ds).status == 0x0000
            return tuple(self.database.instances.of_study(uid))

    def let_go(self) -> None:
        """Let calls that hang go on, and wait for their end: they still use the index."""
        self.released.set()
        assert all(over.wait(60) for over in self.calls)

    @contextmanager
    def _call(self, what: str) -> Generator[None, None, None]:
        self.asked.append(what)
        over = threading.Event()
        self.calls.append(over)
        try:
            if self.error:
                raise UnreachableError(self.error)
            if what in self.hangs_on:
                self.released.wait(60)
            yield
        finally:
            over.set()


@dataclass
class Search:
    """A node with a current study and archives of our choice."""

    database: Database
    store: InstanceStore
    intake: Intake
    archives: list[FakeArchive] = field(default_factory=list)

    def archive(self, name: str, *holds: Dataset, **more: object) -> FakeArchive:
        sender = Sender(self.intake, origin=Origin.RETRIEVED)
        # Not checked: a fake of that interface.
        self.archives.append(FakeArchive(name, self.database, sender, holds, **more))  # type: ignore[arg-type]
        return self.archives[-1]

    def run(self, **priors: object) -> PriorSearch:
        settings = NodeSettings.model_validate({"priors": priors})
        study = self.database.studies.get(StudyInstanceUID(CURRENT))
        return find_priors(study, settings, self.database, self.store)


@pytest.fixture
def search(
    database: Database, store: InstanceStore, intake: Intake, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Search]:
    assert Sender(intake).send(instance(CURRENT, "20260310")).status == 0x0000
    made = Search(database, store, intake)

    def built(*_: object) -> Sequence[PriorSource]:
        return made.archives

    monkeypatch.setattr(registry, "PRIOR_SOURCES", {"fake": built})
    yield made
    for archive in made.archives:
        archive.let_go()


def found(result: PriorSearch) -> list[tuple[str, str]]:
    return [(prior.source, prior.study_instance_uid) for prior in result.priors]


def test_best_are_fetched_and_come_newest_first(search: Search) -> None:
    search.archive(
        "A",
        instance("2.1", "20230101"),
        instance("2.2", "20260101", Modality="SR"),
        instance("2.3", "20260301"),
        instance("2.4", "20260201", BodyPartExamined="KNEE"),
        instance("2.5", "20250601"),
    )

    result = search.run(limit=2)

    assert found(result) == [("A", "2.3"), ("A", "2.5")]
    assert result.notes == ()


def test_study_in_two_places_comes_from_the_first_that_can_deliver(search: Search) -> None:
    prior = instance("2.1", "20260101")
    first = search.archive("first", prior, delivers={"2.1": ()})
    second = search.archive("second", prior)

    result = search.run()

    assert found(result) == [("second", "2.1")]
    assert first.asked == second.asked == ["candidates", "fetch"]
    assert result.notes == ("A prior at first holds no image that could be fetched.",)


def test_deleted_study_gives_way_to_the_next(search: Search) -> None:
    search.archive("A", instance("2.1", "20260301"), instance("2.2", "20250301"), delivers={"2.1": ()})

    assert found(search.run(limit=1)) == [("A", "2.2")]


@pytest.mark.parametrize(
    ("truth", "why"),
    [
        ({"PatientID": "P2"}, "another Patient ID"),
        ({"IssuerOfPatientID": "ELSEWHERE", "PatientBirthDate": "19600101"}, "another birth date"),
        ({"PatientName": "Other^Person"}, "another name"),
        ({"BodyPartExamined": "KNEE"}, "another body part"),
        ({"StudyDate": "20270101"}, "not surely older"),
    ],
)
def test_what_arrives_is_judged_by_itself(search: Search, truth: dict[str, object], why: str) -> None:
    """As of a patient who was merged by mistake: the archive answers with the number that was asked for."""
    said = instance("2.1", "20260301")
    kept = dataset(**{element.keyword: element.value for element in said} | truth)
    search.archive("A", said, instance("2.2", "20250301"), delivers={"2.1": [kept]})

    result = search.run(limit=1)

    assert found(result) == [("A", "2.2")]
    (note,) = result.notes
    assert why in note
    assert not {"P2", "Other", "19600101"} & set(note.split())


def test_source_that_fails_is_a_note(search: Search) -> None:
    search.archive("A", error="the peer does not answer")
    search.archive("B", instance("2.1", "20260101"))

    result = search.run()

    assert found(result) == [("B", "2.1")]
    assert result.notes == ("Source A could not be asked for priors: the peer does not answer.",)


@pytest.mark.parametrize(
    "error",
    [
        RuntimeError("The association with a peer SCP must be established before sending a C-FIND request"),
        BytesLengthException("Expected total bytes to be an even multiple of bytes per value: Marker^Name"),
    ],
)
def test_source_that_goes_or_answers_nonsense_is_a_note_too(search: Search, error: Exception) -> None:
    broken = search.archive("A", instance("2.1", "20260301"))
    search.archive("B", instance("2.1", "20260301"))

    def fail(candidate: Candidate) -> NoReturn:
        raise error

    broken.fetch = fail  # type: ignore[method-assign] # a fault put in on purpose

    result = search.run()

    assert found(result) == [("B", "2.1")]
    assert result.notes == (
        f"A prior at A could not be fetched: its answer cannot be used ({type(error).__name__}).",
    )


@pytest.mark.parametrize("hangs_on", ["candidates", "fetch"])
def test_source_that_hangs_costs_its_budget(search: Search, hangs_on: str) -> None:
    hanging = search.archive("A", instance("2.1", "20260301"), hangs_on=frozenset((hangs_on,)), budget_s=2)
    search.archive("B", instance("2.2", "20260101"))

    result = search.run()

    assert not hanging.released.is_set()
    assert found(result) == [("B", "2.2")]
    assert any("no answer within" in note for note in result.notes)


def test_budget_covers_asking_and_fetching_together(search: Search) -> None:
    holds = [instance(f"2.{n}", f"202601{n + 10}") for n in range(5)]
    archive = search.archive("A", *holds, hangs_on=frozenset(("fetch",)), budget_s=2)

    result = search.run(limit=5)

    assert archive.asked == ["candidates", "fetch"]
    assert result.priors == ()
    assert any("its time is used up" in note for note in result.notes)


def test_whole_search_has_a_budget_too(search: Search) -> None:
    for name in "AB":
        search.archive(name, hangs_on=frozenset(("candidates",)), budget_s=50)

    result = search.run(budget_s=2)

    assert [archive.asked for archive in search.archives] == [["candidates"], []]
    assert len(result.notes) == 2


def test_error_of_our_own_is_not_taken_for_one_of_the_source(search: Search) -> None:
    archive = search.archive("A")
    archive.holds = [Dataset()]
    # Not checked: a fault put in on purpose.
    archive.candidates = lambda patient: 1 // 0  # type: ignore[method-assign,assignment,return-value]

    with pytest.raises(ZeroDivisionError):
        search.run()


def test_sources_are_asked_in_the_configured_order(tmp_path: Path) -> None:
    peer = '[[query_retrieve]]\nname = "{}"\nae_title = "PACS"\nport = 4242\n'
    config = tmp_path / "node.toml"
    config.write_text(peer.format("A") + peer.format("B") + '[priors]\nsources = ["B", "local"]\n')
    settings = load_settings(config, {"MEDVERSA_NODE_DATA_DIR": str(tmp_path)})
    database = open_database(settings.node.database_url)
    store = InstanceStore(tmp_path, database)

    chosen = registry.sources_in_order(settings, database, store)
    all_of_them = registry.sources_in_order(
        settings.model_copy(update={"priors": settings.priors.model_copy(update={"sources": ()})}),
        database,
        store,
    )
    own = registry.sources_in_order(settings.with_own_store_only(), database, store)
    database.close()

    assert [source.name for source in chosen] == ["B", "local"]
    assert [source.name for source in all_of_them] == ["local", "A", "B"]
    assert [source.name for source in own] == ["local"]


@pytest.mark.parametrize(
    "text",
    [
        '[priors]\nsources = ["local", "PACS"]\n',
        '[[query_retrieve]]\nname = "local"\nae_title = "PACS"\nport = 4242\n',
    ],
)
def test_names_of_sources_are_checked(text: str, tmp_path: Path) -> None:
    config = tmp_path / "node.toml"
    config.write_text(text)

    with pytest.raises(SettingsError):
        load_settings(config, {})


def test_own_store_is_described_by_headers_too(search: Search) -> None:
    path = write(search.store.spool.folder, ViewPosition="PA", Laterality="L", PatientName="Meier^Anna")

    ds = header_of(path)

    assert ds is not None
    candidate = described(ds, [ds])
    assert (candidate.views, candidate.lateralities, candidate.patient_name) == (
        ("PA",),
        ("L",),
        "Meier^Anna",
    )


def test_what_is_no_dicom_file_describes_nothing(tmp_path: Path) -> None:
    (tmp_path / "text").write_text("no DICOM")

    assert header_of(tmp_path / "text") is None
    assert header_of(tmp_path / "absent") is None


def test_command_shows_every_candidate_with_decision_and_reason(tmp_path: Path) -> None:
    config = tmp_path / "node.toml"
    config.write_text('[node]\ndata_dir = "."\n[priors]\nlimit = 1\n')
    database = open_database(load_settings(config, {}).node.database_url)
    sender = Sender(Intake(InstanceStore(tmp_path, database), database))
    for ds in (
        instance(CURRENT, "20260310"),
        instance("2.1", "20260301"),
        instance("2.2", "20250101"),
        instance("2.3", "20260201", BodyPartExamined="KNEE"),
        instance("2.4", "20260201", PatientName="Other^Person"),
    ):
        assert sender.send(ds).status == 0x0000
    database.close()

    result = CliRunner().invoke(priors, [CURRENT, "--config", str(config), "--json"])
    table = CliRunner().invoke(priors, [CURRENT, "--config", str(config)])

    assert result.exit_code == table.exit_code == 0, result.output
    rows = json.loads(result.output)["candidates"]
    assert [(row["study_instance_uid"], row["decision"], row["why"]) for row in rows] == [
        ("2.1", "taken", "same modality group (CT), same body part (chest), 9 days before"),
        ("2.2", "left", "others are better; the limit is 1"),
        ("2.4", "left", "same Patient ID with another name"),
        ("2.3", "left", "another body part (lower limb)"),
    ]
    assert all(row["score"] == sum(row[part] for part in MOST_POINTS) for row in rows)
    assert all(uid in table.output for uid in ("2.1", "2.2", "2.3", "2.4"))
    assert not any(marker in table.output + result.output for marker in ("Marker", "Other", "P1 ", "1950"))


def test_command_says_so_where_there_is_no_such_study(tmp_path: Path) -> None:
    config = tmp_path / "node.toml"
    config.write_text('[node]\ndata_dir = "."\n')

    result = CliRunner().invoke(priors, ["1.2.3", "--config", str(config)])

    assert isinstance(result.exception, StorageError)
