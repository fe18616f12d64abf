"""The command: what it refuses, what it says, and that it goes on where it stopped."""

import json
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result
from pydicom import Dataset
from pydicom.uid import ComputedRadiographyImageStorage

from model.training.datasets.prepared import PreparedDataset
from worker.archive_export.commands import train
from worker.archive_export.files import write_instance


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A radiograph of Jane Roe, and one of her knee."""
    source = tmp_path / "source"
    for n, part in enumerate(("CHEST", "KNEE"), start=1):
        ds = Dataset()
        ds.SOPClassUID, ds.SOPInstanceUID = ComputedRadiographyImageStorage, f"1.2.826.0.1.99.{n}.1.1"
        ds.StudyInstanceUID, ds.SeriesInstanceUID = f"1.2.826.0.1.99.{n}", f"1.2.826.0.1.99.{n}.1"
        ds.PatientName, ds.PatientID, ds.StudyDate = "Roebuck^Jane", "MRN771234", "20240229"
        ds.Modality, ds.BodyPartExamined, ds.ViewPosition = "CR", part, "PA"
        ds.Rows, ds.Columns, ds.SamplesPerPixel = 64, 64, 1
        ds.PhotometricInterpretation, ds.PixelRepresentation = "MONOCHROME2", 0
        ds.BitsAllocated, ds.BitsStored, ds.HighBit = 16, 12, 11
        ds.PixelData = np.linspace(0, 4000, 64 * 64).astype("<u2").tobytes()
        write_instance(ds, source / f"{n}.dcm")
    return source


def run(folder: Path, *more: str) -> Result:
    out, key = str(folder.parent / "out"), str(folder.parent / "key")
    options = ["--folder", str(folder), "--out", out, "--key-file", key]
    return CliRunner().invoke(train, ["export", *options, *more])


def test_what_is_exported_can_be_trained_on_and_the_rest_is_said(folder: Path) -> None:
    result = run(folder)

    assert result.exit_code == 3, result.output
    out = folder.parent / "out"
    (record,) = PreparedDataset(out).records()
    assert (out / record.images[0].path).is_file()
    summary = json.loads((out / "summary.json").read_text())
    assert summary["studies"] == 2
    assert len(summary["studies_left_out"]) == 1
    assert "not of the chest by its body part" in summary["left_out"]


def test_no_identity_is_in_the_output_or_on_the_screen(folder: Path) -> None:
    shown = run(folder).output.encode()

    out = folder.parent / "out"
    everything = shown + b"".join(path.read_bytes() for path in out.rglob("*") if path.is_file())
    everything += "".join(str(path.relative_to(out)) for path in out.rglob("*")).encode()
    for identity in (b"Roebuck", b"Jane", b"MRN771234", b"20240229", b"1.2.826.0.1.99"):
        assert identity not in everything


def test_a_second_run_does_nothing_twice(folder: Path) -> None:
    run(folder)
    (written,) = (folder.parent / "out" / "dicom").rglob("*.dcm")
    before = written.stat().st_mtime_ns, (folder.parent / "out" / "records-00000.jsonl").read_bytes()

    run(folder)

    assert (
        written.stat().st_mtime_ns,
        written.parents[4].joinpath("records-00000.jsonl").read_bytes(),
    ) == before


def test_one_study_can_be_chosen(folder: Path) -> None:
    assert run(folder, "--study", "1.2.826.0.1.99.1").exit_code == 0


@pytest.mark.parametrize("wrong", [("--since", "yesterday"), ("--pacs", "PACS")])
def test_requests_that_make_no_sense_are_refused(folder: Path, wrong: tuple[str, str]) -> None:
    assert run(folder, *wrong).exit_code == 2


def test_a_list_of_studies_must_hold_uids(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "list").write_text("Jane Roe\n")

    result = run(folder, "--from-file", str(tmp_path / "list"))

    assert result.exit_code == 2
    assert "Jane" not in result.output
