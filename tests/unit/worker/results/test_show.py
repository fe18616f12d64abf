"""`medversa-node results show`: objects of the node, of files, of other makers and of an archive."""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result
from PIL import Image
from pydicom import dcmread
from pydicom.data import get_testdata_file
from pynetdicom import AE, evt

from dicom_node.study import StoredResult
from tests.builders import Bench, make_bench
from tests.fakes import FakeFamily
from worker.demo.phantom_studies import WrittenStudy
from worker.results.commands import results

FIND, GET = "1.2.840.10008.5.1.4.1.2.2.1", "1.2.840.10008.5.1.4.1.2.2.3"


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory, phantoms: dict[str, WrittenStudy]) -> Iterator[Bench]:
    """A node that has read a chest and a skin lesion."""
    made = make_bench(tmp_path_factory.mktemp("bench"), FakeFamily)
    for title in ("chest, current", "skin lesion"):
        made.pipeline.take(made.file(phantoms[title].files))
    yield made
    made.database.close()


@pytest.fixture
def config(bench: Bench, tmp_path: Path) -> str:
    file = tmp_path / "node.toml"
    file.write_text(f'[node]\ndata_dir = "{bench.pipeline.settings.node.data_dir}"\n', encoding="utf-8")
    return str(file)


def result_of(bench: Bench, modality: str) -> StoredResult:
    job = bench.database.jobs.all()[0]
    return next(each for each in bench.database.results.of_job(job.job_id) if each.modality == modality)


def show(*arguments: str) -> Result:
    return CliRunner().invoke(results, ["show", *arguments])


def test_a_result_is_found_by_its_uid_and_printed(bench: Bench, config: str) -> None:
    done = show(result_of(bench, "SR").sop_instance_uid, "--config", config)
    assert done.exit_code == 0, done.output
    assert "Imaging Measurement Report" in done.output
    assert "verification: UNVERIFIED" in done.output


def test_json_holds_the_same_tree(bench: Bench, config: str) -> None:
    done = show(result_of(bench, "SR").sop_instance_uid, "--config", config, "--json")
    told = json.loads(done.output)
    assert told["content"][0]["name"]["value"] == "126000"
    assert told["modality"] == "SR"


@pytest.mark.parametrize("modality", ["SEG", "PR", "SR"])
def test_a_picture_shows_what_the_object_marks(
    bench: Bench, config: str, tmp_path: Path, phantoms: dict[str, WrittenStudy], modality: str
) -> None:
    file = tmp_path / "picture.png"
    uid = result_of(bench, modality).sop_instance_uid
    done = show(uid, "--config", config, "--picture", str(file))
    assert done.exit_code == 0, done.output
    with Image.open(file) as picture:
        pixels = np.asarray(picture, dtype=int)[:, :-400]
    coloured = (pixels.max(axis=-1) - pixels.min(axis=-1)) > 40
    assert coloured.mean() > 0.002
    # The heart of the fake family lies in the middle; the corners hold nothing.
    assert not coloured[:40, :40].any()


def test_a_file_is_drawn_on_a_source_that_is_given(
    bench: Bench, tmp_path: Path, phantoms: dict[str, WrittenStudy]
) -> None:
    path = tmp_path / "alone.dcm"
    path.write_bytes(result_of(bench, "SEG").path.read_bytes())
    empty = tmp_path / "empty.toml"
    empty.write_text(f'[node]\ndata_dir = "{tmp_path}/nothing"\n', encoding="utf-8")
    file = tmp_path / "picture.png"
    without = show(str(path), "--config", str(empty), "--picture", str(file))
    assert without.exit_code == 2
    assert "--source" in without.output
    assert not file.exists()
    folder = phantoms["chest, current"].files[0].parent
    done = show(str(path), "--config", str(empty), "--picture", str(file), "--source", str(folder))
    assert done.exit_code == 0, done.output
    assert file.exists()


def test_an_image_and_a_capture_are_pictures_themselves(tmp_path: Path) -> None:
    file = tmp_path / "picture.png"
    done = show(str(get_testdata_file("SC_rgb_small_odd.dcm")), "--picture", str(file))
    assert done.exit_code == 0, done.output
    with Image.open(file) as picture:
        assert picture.size == (3, 3)


def test_a_document_is_written_out_and_is_no_picture(tmp_path: Path) -> None:
    ds = dcmread(str(get_testdata_file("CT_small.dcm")))
    for keyword in ("PixelData", "Rows", "Columns"):
        del ds[keyword]
    ds.SOPClassUID = ds.file_meta.MediaStorageSOPClassUID = "1.2.840.10008.5.1.4.1.1.104.1"
    ds.MIMETypeOfEncapsulatedDocument, ds.EncapsulatedDocument = "application/pdf", b"%PDF-1.7"
    path, document = tmp_path / "document.dcm", tmp_path / "document.pdf"
    ds.save_as(path)
    assert show(str(path), "--document", str(document)).exit_code == 0
    assert document.read_bytes() == b"%PDF-1.7"
    refused = show(str(path), "--picture", str(tmp_path / "no.png"))
    assert refused.exit_code == 2
    assert "--document" in refused.output


@pytest.mark.parametrize(
    ("what", "why"),
    [
        ("1.2.3", "no object 1.2.3 in the node's store"),
        ("nothing", "no file and no SOP Instance UID"),
    ],
)
def test_what_is_not_there_is_said_not_to_be_there(config: str, what: str, why: str) -> None:
    done = show(what, "--config", config)
    assert done.exit_code == 2
    assert why in done.output


def test_the_uid_of_a_study_is_answered_with_its_results(bench: Bench, config: str) -> None:
    job = bench.database.jobs.all()[0]
    done = show(job.study_instance_uid, "--config", config)
    assert done.exit_code == 2
    for result in bench.database.results.of_job(job.job_id):
        assert f"{result.modality} {result.sop_instance_uid}" in done.output


def test_a_node_that_never_worked_is_named(tmp_path: Path) -> None:
    file = tmp_path / "node.toml"
    file.write_text(f'[node]\ndata_dir = "{tmp_path}/nothing"\n', encoding="utf-8")
    done = show("1.2.3", "--config", str(file))
    assert done.exit_code == 2
    assert "no node has worked" in done.output
    assert not (tmp_path / "nothing").exists()


def test_a_file_that_is_not_dicom_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "notes.txt"
    path.write_text("no DICOM", encoding="utf-8")
    done = show(str(path))
    assert done.exit_code == 2
    assert "no DICOM file" in done.output


def test_a_place_that_cannot_be_written_is_named(bench: Bench, config: str, tmp_path: Path) -> None:
    uid = result_of(bench, "SEG").sop_instance_uid
    done = show(uid, "--config", config, "--picture", str(tmp_path / "no" / "picture.png"))
    assert done.exit_code == 2
    assert "cannot be written" in done.output


@pytest.fixture
def archive(bench: Bench) -> Iterator[int]:
    """An archive that holds the skin lesion's results and answers C-FIND and C-GET by instance."""
    job = bench.database.jobs.all()[1]
    files = {each.sop_instance_uid: each.path for each in bench.database.results.of_job(job.job_id)}

    def on_find(event: evt.Event) -> Iterator[tuple[int, object]]:
        uid = str(event.identifier.SOPInstanceUID)
        if uid in files:
            answer, ds = event.identifier, dcmread(files[uid])
            for keyword in ("StudyInstanceUID", "SeriesInstanceUID", "SOPClassUID"):
                setattr(answer, keyword, ds[keyword].value)
            yield 0xFF00, answer

    def on_get(event: evt.Event) -> Iterator[object]:
        assert event.identifier.QueryRetrieveLevel == "IMAGE"
        yield 1
        yield 0xFF00, dcmread(files[str(event.identifier.SOPInstanceUID)])

    ae = AE("PACS")
    ae.add_supported_context(FIND)
    ae.add_supported_context(GET)
    for result in bench.database.results.of_job(job.job_id):
        ae.add_supported_context(result.sop_class_uid, scu_role=True, scp_role=True)
    handlers: Sequence[evt.EventHandlerType] = [(evt.EVT_C_FIND, on_find), (evt.EVT_C_GET, on_get)]
    server = ae.start_server(("127.0.0.1", 0), block=False, evt_handlers=list(handlers))
    assert server is not None
    yield server.server_address[1]
    server.shutdown()


def archive_config(folder: Path, port: int) -> str:
    file = folder / "archive.toml"
    file.write_text(
        f'[node]\ndata_dir = "{folder}/nothing"\n'
        f'[[query_retrieve]]\nname = "PACS"\nae_title = "PACS"\nport = {port}\ntimeout_s = 5\n',
        encoding="utf-8",
    )
    return str(file)


def test_an_object_is_fetched_from_the_archive(bench: Bench, archive: int, tmp_path: Path) -> None:
    job = bench.database.jobs.all()[1]
    for result in bench.database.results.of_job(job.job_id):
        done = show(result.sop_instance_uid, "--config", archive_config(tmp_path, archive))
        assert done.exit_code == 0, done.output
        assert f"sop instance uid: {result.sop_instance_uid}" in done.output
    assert not (tmp_path / "nothing").exists(), "nothing is kept"


def test_an_archive_that_has_it_not_is_named(archive: int, tmp_path: Path) -> None:
    done = show("1.2.3.4", "--config", archive_config(tmp_path, archive))
    assert done.exit_code == 2
    assert "the archive PACS" in done.output


# pynetdicom leaves the socket of a refused connection to the garbage collector.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_an_archive_that_does_not_answer_is_named(tmp_path: Path) -> None:
    done = show("1.2.3.4", "--config", archive_config(tmp_path, 9))
    assert done.exit_code == 2
    assert "does not answer" in done.output


def test_a_peers_segmentation_is_drawn_and_not_called_ours(real_data: Path, tmp_path: Path) -> None:
    liver, images = real_data / "objects" / "dcmqi_liver.dcm", real_data / "ct" / "dcmqi_3slice"
    if not liver.exists() or not images.is_dir():
        pytest.skip("the public set lacks these files")
    file = tmp_path / "liver.png"
    done = show(str(liver), "--source", str(images), "--picture", str(file))
    assert done.exit_code == 0, done.output
    assert "segment 1: Liver (Liver)" in done.output
    with Image.open(file) as picture:
        pixels = np.asarray(picture, dtype=int)[:, :-400]
    coloured = (pixels.max(axis=-1) - pixels.min(axis=-1)) > 8
    columns = np.nonzero(coloured)[1]
    # The liver lies on the patient's right, which is the left of an axial picture.
    assert columns.mean() < pixels.shape[1] / 2
    assert 0.05 < coloured.mean() < 0.3
