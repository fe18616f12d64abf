"""Writers build on the header of every public picture, whatever it is of."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from shutil import rmtree

import pytest
from pydicom import dcmread, dcmwrite
from pydicom.dataset import Dataset

from structured_reports.conformance import publication_faults, validate_file
from structured_reports.errors import CoordinatesError, ReportError, SourceError
from structured_reports.profiles import Profile
from structured_reports.registry import write_results
from tests.contract.structured_reports.public_files import pictures
from tests.unit.structured_reports.readings import (
    DATA,
    RUN,
    chest_reading,
    grown_nodule,
    prior_of,
    sources,
    stored,
)

pytestmark = pytest.mark.filterwarnings(
    "ignore:Expected explicit VR, but found implicit VR:UserWarning",
    "ignore:End of file reached:UserWarning",
)

NAMES = {
    "hard/charset/chrRuss.dcm": "Люкceмбypг",
    "hard/charset/chrI2.dcm": "Hong^Gildong=洪^吉洞=홍^길동",
    "hard/charset/chrH31.dcm": "Yamada^Tarou=山田^太郎=やまだ^たろう",
    "hard/charset/chrX1.dcm": "Wang^XiaoDong=王^小東",
    "hard/charset/chrX2.dcm": "Wang^XiaoDong=王^小东",
    "hard/charset/chrGreek.dcm": "Διονυσιος",
}
"""Patient's Name of sources in other character sets; four are the examples of PS3.5 annexes H to J."""


def refusal_of(header: Dataset) -> str:
    """Say why nothing can be written on a picture; empty if it can."""
    for keyword in ("StudyInstanceUID", "SeriesInstanceUID"):
        if not header.get(keyword):
            return f"no {keyword}"
    is_palette = header.PhotometricInterpretation == "PALETTE COLOR"
    return "the presentation state could not be built on this source" if is_palette else ""


@dataclass(frozen=True, slots=True, eq=False)
class Written:
    """What was written on one header."""

    path: str
    header: Dataset
    results: tuple[Dataset, ...]
    faults: list[str]


@pytest.fixture(scope="module", params=pictures())
def written(request: pytest.FixtureRequest) -> Written:
    header = dcmread(DATA / request.param, stop_before_pixels=True, force=True)
    if "SOPInstanceUID" not in header:
        pytest.skip("no reading can speak of it: it names no instance")
    reading = chest_reading(header, [grown_nodule()])
    given = sources(header, priors=[prior_of(header)])
    if reason := refusal_of(header):
        with pytest.raises(ReportError, match=reason):
            write_results(reading, given, RUN, Profile.FULL)
        pytest.skip(f"refused: {reason}")
    results = write_results(reading, given, RUN, Profile.FULL)
    return Written(request.param, header, results, publication_faults(results, given, reading))


@pytest.fixture(scope="module")
def files(written: Written, tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[Path]]:
    folder = tmp_path_factory.mktemp("results")
    paths = [folder / f"{number}.dcm" for number in range(len(written.results))]
    for path, ds in zip(paths, written.results, strict=True):
        dcmwrite(path, ds, enforce_file_format=True)
    yield paths
    rmtree(folder)


def test_an_object_of_every_kind_may_be_published(written: Written):
    assert [ds.Modality for ds in written.results] == ["SEG", "PR", "KO", "SR", "SR"]
    assert written.faults == []


def test_every_object_is_valid(files: list[Path]):
    assert [validate_file(path).errors for path in files] == [()] * len(files)


def test_the_patient_is_named_in_his_own_letters(written: Written, files: list[Path]):
    name = NAMES.get(written.path, "")
    if name:
        assert {str(dcmread(path).PatientName) for path in files} == {name}


def test_a_file_that_does_not_say_its_study_is_refused():
    ds = stored("hard", "ct_empty_uids.dcm")
    with pytest.raises(SourceError, match="no StudyInstanceUID"):
        write_results(chest_reading(ds), sources(ds), RUN)


def test_a_picture_too_small_for_a_box_is_refused():
    ds = stored("hard", "pydicom", "SC_rgb_small_odd.dcm")
    with pytest.raises(CoordinatesError, match="too small"):
        write_results(chest_reading(ds), sources(ds), RUN)
