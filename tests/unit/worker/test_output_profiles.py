"""Which profile each destination gets, and that it gets those objects only."""

import logging
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import get_args

import pytest
from pydicom import dcmread
from pydicom.uid import ComprehensiveSRStorage, EnhancedSRStorage, SegmentationStorage

from dicom_node.errors import UnreachableError
from dicom_node.result_classes import SENT
from dicom_node.settings import Destination
from dicom_node.storage import ResultStore
from dicom_node.study import JobState
from structured_reports.profiles import Profile
from tests.builders import Bench, make_bench
from tests.document_fonts import needs_text_font
from tests.fakes import FakeFamily
from worker.demo.phantom_studies import WrittenStudy
from worker.output_profiles import AUTO, NEEDS, profiles_of


def pacs(profile: str) -> Destination:
    return Destination.model_validate({"name": "PACS", "ae_title": "PACS", "port": 104, "profile": profile})


def never(destination: Destination, classes: Sequence[str]) -> frozenset[str]:
    raise AssertionError("nobody is asked")


def test_settings_name_the_profiles_that_exist() -> None:
    named = get_args(Destination.model_fields["profile"].annotation)
    assert set(named) == {*Profile, AUTO} == set(SENT)


@pytest.mark.parametrize("profile", [each for each in Profile if each is not Profile.LABEL_MAP])
def test_a_named_profile_is_taken_without_asking(profile: Profile) -> None:
    assert profiles_of([pacs(profile.value)], never) == {"PACS": profile}


@pytest.mark.parametrize(
    ("stored", "profile"),
    [
        (set(NEEDS[Profile.AIR]), Profile.AIR),
        (set(NEEDS[Profile.OHIF]), Profile.OHIF),
        ({ComprehensiveSRStorage, SegmentationStorage}, Profile.STONE),
        (set(NEEDS[Profile.LEGACY_GSPS]), Profile.LEGACY_GSPS),
        ({EnhancedSRStorage}, Profile.LEGACY_SC),
        (set[str](), Profile.LEGACY_SC),
    ],
)
def test_auto_takes_the_most_that_is_stored(stored: set[str], profile: Profile) -> None:
    def ask(destination: Destination, classes: Sequence[str]) -> frozenset[str]:
        assert stored <= set(classes)
        return frozenset(stored)

    assert profiles_of([pacs(AUTO)], ask) == {"PACS": profile}


@pytest.mark.parametrize(
    ("stored", "profile"),
    [({"1.2.840.10008.5.1.4.1.1.66.7"}, Profile.LABEL_MAP), (set[str](), Profile.AIR)],
)
def test_label_maps_go_only_to_who_stores_them(
    stored: set[str], profile: Profile, caplog: pytest.LogCaptureFixture
) -> None:
    def ask(destination: Destination, classes: Sequence[str]) -> frozenset[str]:
        assert list(classes) == ["1.2.840.10008.5.1.4.1.1.66.7"]
        return frozenset(stored)

    with caplog.at_level(logging.WARNING):
        assert profiles_of([pacs("label-map")], ask) == {"PACS": profile}
    assert ("refuses SOP classes" in caplog.text) == (profile is Profile.AIR)


def test_a_folder_takes_label_maps_unasked(tmp_path: Path) -> None:
    assert profiles_of([folder(tmp_path, "folder", "label-map")], never) == {"folder": Profile.LABEL_MAP}


def test_one_that_cannot_be_asked_gets_what_most_take() -> None:
    def ask(destination: Destination, classes: Sequence[str]) -> frozenset[str]:
        raise UnreachableError("nobody there")

    assert profiles_of([pacs(AUTO)], ask) == {"PACS": Profile.AIR}


def folder(tmp_path: Path, name: str, profile: str) -> Destination:
    return Destination.model_validate(
        {"name": name, "kind": "folder", "folder": tmp_path / name, "profile": profile}
    )


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    """A node with three destinations: one for OHIF, one that shows pictures only, one for documents."""
    made = make_bench(tmp_path / "bench", FakeFamily)
    all_three = (
        folder(tmp_path, "ohif", "ohif"),
        folder(tmp_path, "pictures", "legacy-sc"),
        folder(tmp_path, "documents", "legacy-pdf"),
    )
    settings = made.pipeline.settings.model_copy(update={"destinations": all_three})
    results = ResultStore(settings.node.data_dir, made.database, destinations=[d.name for d in all_three])
    yield replace(made, pipeline=replace(made.pipeline, settings=settings, results=results))
    made.database.close()


@needs_text_font
def test_each_destination_gets_its_own_objects(
    bench: Bench, phantoms: dict[str, WrittenStudy], tmp_path: Path
) -> None:
    job_id = bench.file(phantoms["chest, current"].files)
    bench.pipeline.take(job_id)
    job = bench.database.jobs.get(job_id)
    assert job.state is JobState.DONE, job.detail
    profiles = {"ohif": "ohif", "pictures": "legacy-sc", "documents": "legacy-pdf"}
    sent = {name: [dcmread(path) for path in (tmp_path / name).glob("*.dcm")] for name in profiles}
    assert {name: {ds.SOPClassUID for ds in sent[name]} for name in profiles} == {
        name: set(SENT[profile]) for name, profile in profiles.items()
    }
    got = {name: sorted(ds.Modality for ds in datasets) for name, datasets in sent.items()}
    assert got["ohif"] == ["SEG", "SR"]
    assert set(got["pictures"]) == {"OT", "SR"}
    deliveries = bench.database.deliveries.of_job(job_id)
    assert got["documents"] == ["DOC"]
    assert len(deliveries) == len(got["ohif"]) + len(got["pictures"]) + 1
    assert len(bench.database.results.of_job(job_id)) == len(deliveries)
