"""`medversa-node demo` as a newcomer runs it: exit status, objects, pictures, and logs without identity."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image
from pydicom import dcmread

from structured_reports.conformance import validate_file
from tests.driving import concepts
from worker.demo.phantom_studies import ABDOMEN_PATIENT, CHEST_PATIENT, SKIN_PATIENT

Run = tuple[subprocess.CompletedProcess[str], Path]


@pytest.fixture(scope="module")
def run(servers: None, tmp_path_factory: pytest.TempPathFactory) -> Run:
    out = tmp_path_factory.mktemp("demo")
    done = subprocess.run(
        [sys.executable, "-m", "dicom_node", "demo", "--out", str(out)],
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
        env={**os.environ, "COLUMNS": "240"},
    )
    (folder,) = out.iterdir()
    return done, folder


def test_exit_status_is_zero_and_the_table_shows_every_kind(
    run: Run,
) -> None:
    done, _ = run
    assert done.returncode == 0, done.stdout + done.stderr
    for words in ("Comprehensive 3D SR", "Segmentation Storage", "Presentation State", "everything arrived"):
        assert words in done.stdout


def test_what_arrived_is_valid(run: Run) -> None:
    _, folder = run
    files = sorted((folder / "results").rglob("*.dcm"))
    assert len(files) >= 9
    assert [str(verdict) for file in files if not (verdict := validate_file(file)).is_valid] == []


def test_pictures_show_more_than_the_bare_image(
    run: Run,
) -> None:
    _, folder = run
    pictures = sorted((folder / "pictures").glob("*.png"))
    assert {picture.name.split("-")[0] for picture in pictures} >= {"chest", "abdomen", "skin"}
    for picture in pictures:
        with Image.open(picture) as image:
            colours = image.convert("RGB").getcolors(maxcolors=1 << 24) or []
        coloured = sum(
            count
            for count, (red, green, blue) in colours
            if max(red, green, blue) - min(red, green, blue) > 60
        )
        assert coloured > 500, picture.name


def test_X06_logs_hold_no_identity_and_no_report_text(
    run: Run,
) -> None:
    done, folder = run
    logs = {path: path.read_text(errors="replace") for path in folder.rglob("*.log")}
    assert {"node.log", "worker.log"} <= {path.name for path in logs}
    marks: set[str] = set()
    for patient in (CHEST_PATIENT, ABDOMEN_PATIENT, SKIN_PATIENT):
        marks |= {patient.patient_id, patient.birth_date, *patient.name.split("^")[1:]}
    for file in (folder / "studies").rglob("*.dcm"):
        marks.add(str(dcmread(file, stop_before_pixels=True).AccessionNumber))
    for file in (folder / "results").rglob("*.dcm"):
        ds = dcmread(file)
        if ds.Modality == "SR":
            marks |= {
                str(item.TextValue) for item in concepts(ds) if len(str(item.get("TextValue", ""))) > 25
            }
    ours = "\n".join(
        [*(text for path, text in logs.items() if path.name != "send.log"), done.stdout, done.stderr]
    )
    assert [mark for mark in marks if mark and mark in ours] == []
