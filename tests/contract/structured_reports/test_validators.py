"""Independent programs judge the objects: dciodvfy, dcentvfy and DCMTK."""

import shutil
import subprocess
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from pydicom import config, dcmread, dcmwrite
from pydicom.dataset import Dataset
from pydicom.uid import (
    EnhancedCTImageStorage,
    MultiFrameGrayscaleWordSecondaryCaptureImageStorage,
    SecondaryCaptureImageStorage,
)

from model.reading import Change, ChangeStatus, Comparison, Mask, Modality, Reading, Task
from model.volume import Geometry
from structured_reports.conformance import publication_faults, validate_file
from structured_reports.profiles import Profile
from structured_reports.registry import write_results
from structured_reports.sources import Sources
from structured_reports.writers.tid1500 import ReportClass
from tests.unit.structured_reports.readings import (
    MODEL,
    RUN,
    box,
    capture,
    chest_reading,
    ct_reading,
    ct_slices,
    dermoscopy,
    ellipse,
    grown_nodule,
    header,
    key,
    only,
    prior_of,
    radiograph,
    skin_reading,
    sources,
    stored,
)
from tests.unit.structured_reports.whole_readings import (
    asked_reading,
    contested_reading,
    crowded_reading,
    whole_reading,
)

Case = tuple[Reading, Sources]


def chest(ds: Dataset) -> Case:
    """Read one radiograph with its prior."""
    return chest_reading(ds, [grown_nodule()]), sources(ds, priors=[prior_of(ds)])


def skin(ds: Dataset) -> Case:
    whole = Comparison(0, (Change("skin lesion", ChangeStatus.INCREASED),), "The lesion is larger.")
    return replace(skin_reading(ds), comparisons=(whole,)), sources(ds, priors=[prior_of(ds)])


def stack(slices: list[Dataset]) -> Case:
    return ct_reading(slices), sources(*slices)


def enhanced(ds: Dataset) -> Case:
    frames = (key(ds, 1), key(ds, 2))
    voxels = np.repeat(ellipse(ds, low=(0.2, 0.2), high=(0.6, 0.6)), 2, axis=0)
    mask = Mask("liver", voxels, frames, Geometry(np.diag([5.0, 1.0, 1.0, 1.0])))
    reading = Reading(Modality.CT, MODEL, (Task.SEGMENTATION,), masks=(mask,), boxes=(box("liver", ds),))
    return reading, sources(ds)


def alone(reading: Reading, ds: Dataset) -> Case:
    """Read one image without priors."""
    return reading, sources(ds)


def abstained(ds: Dataset) -> Case:
    return Reading(Modality.CXR, MODEL, (), abstention="this is no chest radiograph"), sources(ds)


def illegal(**attributes: object) -> Dataset:
    with config.disable_value_validation():
        return header(**attributes)


def abdomen() -> list[Dataset]:
    return [stored("ct", "totalseg_abdomen", f"CT{number:03d}.dcm") for number in range(20)]


def tilted_head() -> list[Dataset]:
    return [stored("ct", "philips_tilt_phantom", f"I{number}.dcm") for number in range(230, 330, 10)]


CASES: dict[str, Callable[[], Case]] = {
    "DX": lambda: chest(header()),
    "CR": lambda: chest(radiograph()),
    "secondary capture": lambda: chest(capture()),
    "MONOCHROME1": lambda: chest(header(PhotometricInterpretation="MONOCHROME1")),
    "two windows": lambda: chest(header(WindowCenter=[40, 400], WindowWidth=[350, 1500])),
    "no window, no spacing": lambda: chest(
        header(WindowCenter=None, WindowWidth=None, PixelSpacing=None, ImagerPixelSpacing=None)
    ),
    "no orientation": lambda: chest(header(PatientOrientation=None)),
    "no body part": lambda: chest(header(BodyPartExamined=None)),
    "another body part": lambda: chest(header(BodyPartExamined="THORAX", Laterality="")),
    "odd size": lambda: chest(header(Rows=61, Columns=43)),
    "one frame said": lambda: chest(header(SecondaryCaptureImageStorage, NumberOfFrames=1)),
    "multi-frame class, one frame": lambda: chest(
        header(
            MultiFrameGrayscaleWordSecondaryCaptureImageStorage,
            NumberOfFrames=1,
            BitsStored=16,
            HighBit=15,
            ConversionType="DI",
        )
    ),
    "multi-frame class, three frames": lambda: chest(
        header(
            MultiFrameGrayscaleWordSecondaryCaptureImageStorage,
            NumberOfFrames=3,
            BitsStored=16,
            HighBit=15,
            ConversionType="DI",
            WindowCenter=None,
            WindowWidth=None,
        )
    ),
    "nothing of type 2": lambda: chest(
        header(
            PatientID=None,
            PatientName=None,
            PatientBirthDate=None,
            PatientSex=None,
            AccessionNumber=None,
            StudyID=None,
            StudyDate=None,
            StudyTime=None,
            ReferringPhysicianName=None,
        )
    ),
    "illegal dates": lambda: chest(
        illegal(PatientBirthDate="00000000", StudyTime="9:30", StudyDate="2026.01.01", PatientAge="62")
    ),
    "abstention": lambda: abstained(header()),
    "whole vocabulary": lambda: alone(whole_reading(header()), header()),
    "every finding present": lambda: alone(crowded_reading(header()), header()),
    "contested": lambda: alone(contested_reading(header()), header()),
    "asked": lambda: alone(asked_reading(header()), header()),
    "asked of MONOCHROME1 CR": lambda: alone(
        asked_reading(radiograph()), radiograph(PhotometricInterpretation="MONOCHROME1")
    ),
    "CT": lambda: stack(ct_slices()),
    "CT from feet to head": lambda: stack(ct_slices()[::-1]),
    "dermoscopy": lambda: skin(dermoscopy()),
    "dermoscopy with spacing": lambda: skin(dermoscopy(PixelSpacing=[0.02, 0.02])),
    "public DX, JPEG-LS": lambda: chest(stored("cxr", "nih_00000011_dcm", "00000011_000.dcm")),
    "public SC": lambda: chest(stored("cxr", "siim_pa.dcm")),
    "public SC, colour": lambda: chest(
        stored("cxr_masks", "nc_patient87", "pneumococcal_pneumonia_day0.dcm")
    ),
    "public CR, MONOCHROME1": lambda: chest(stored("cxr", "RG1_J2KI.dcm")),
    "public CR, no file meta": lambda: chest(stored("cxr", "CR-MONO1-10-chest")),
    "public CT": lambda: stack(abdomen()),
    "public CT, tilted": lambda: stack(tilted_head()),
    "public enhanced CT": lambda: enhanced(stored("ct_enhanced", "CT0012.explicit_little_endian.dcm")),
    "public dermoscopy": lambda: skin(stored("derm_nc", "dcm", "lesionA_t1.dcm")),
    "public photograph": lambda: skin(stored("derm_nc", "dcm", "ISIC_0024311.dcm")),
    "public lookup table": lambda: chest(stored("hard", "pydicom-data", "vlut_04.dcm")),
}


def tool(name: str) -> str:
    """Find a program, or skip the test and say which is missing."""
    path = shutil.which(name)
    if path is None:
        pytest.skip(f"{name} is not installed")
    return path


def written(results: tuple[Dataset, ...], folder: Path) -> list[Path]:
    paths = []
    for number, ds in enumerate(results):
        path = folder / f"{number}_{ds.Modality}.dcm"
        dcmwrite(path, ds, enforce_file_format=True)
        paths.append(path)
    return paths


def run(*command: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(part) for part in command], capture_output=True, text=True, check=False, timeout=60
    )


@pytest.mark.parametrize("case", CASES)
def test_dciodvfy_finds_no_error(case: str, tmp_path: Path):
    tool("dciodvfy")
    reading, given = CASES[case]()
    for path in written(write_results(reading, given, RUN, Profile.FULL), tmp_path):
        verdict = validate_file(path)
        assert verdict.validator == "dciodvfy"
        assert verdict.errors == (), path.name


@pytest.mark.parametrize("case", CASES)
def test_the_gate_lets_good_objects_through(case: str):
    reading, given = CASES[case]()
    assert publication_faults(write_results(reading, given, RUN, Profile.FULL), given, reading) == []


@pytest.mark.parametrize("report_class", list(ReportClass))
@pytest.mark.parametrize("case", ["DX", "whole vocabulary", "contested", "asked"])
def test_dciodvfy_accepts_the_report_in_every_class(case: str, report_class: ReportClass, tmp_path: Path):
    tool("dciodvfy")
    reading, given = CASES[case]()
    report = write_results(reading, given, RUN, report_class=report_class)[-1:]
    assert validate_file(written(report, tmp_path)[0]).errors == ()


def test_dciodvfy_accepts_a_revised_report_that_names_earlier_ones(tmp_path: Path):
    tool("dciodvfy")
    ds = header()
    prior = prior_of(ds)
    earlier = only(write_results(chest_reading(prior.instances[0]), sources(prior.instances[0]), RUN), "SR")
    reading = chest_reading(ds, [grown_nodule()])
    given = sources(ds, priors=[replace(prior, report=earlier)])
    first = only(write_results(reading, given, RUN), "SR")
    results = write_results(reading, given, replace(RUN, revision=2, predecessor=first))
    assert [validate_file(path).errors for path in written(results, tmp_path)] == [()] * 3
    assert publication_faults(results, given, reading) == []


def test_dciodvfy_verdict_holds_no_value_of_an_attribute(tmp_path: Path):
    tool("dciodvfy")
    reading, given = chest(header(PatientSex="U", PatientName="Marker^Name"))
    verdicts = [validate_file(path) for path in written(write_results(reading, given, RUN), tmp_path)]
    assert all(not verdict.is_valid for verdict in verdicts), "a wrong sex is kept and found"
    assert "Marker" not in str(verdicts)


@pytest.mark.parametrize("case", ["public DX, JPEG-LS"])
def test_dcentvfy_finds_patient_and_study_consistent_with_the_source(case: str, tmp_path: Path):
    dcentvfy = tool("dcentvfy")
    reading, given = CASES[case]()
    dummy = written(write_results(reading, given, RUN, Profile.FULL), tmp_path)
    images = []
    for number, ds in enumerate(given.current):
        images.append(tmp_path / f"source{number}.dcm")
        ds.file_meta = dcmread(dummy[0]).file_meta
        dcmwrite(images[-1], ds, implicit_vr=False, little_endian=True, enforce_file_format=True)
    found = run(dcentvfy, *images, *dummy)
    lines = [
        line
        for line in (found.stdout + found.stderr).splitlines()
        if line.strip() and "AccessionNumber" not in line
    ]
    assert lines == []


@pytest.mark.parametrize("profile", [Profile.STONE, Profile.OHIF, Profile.OHIF_EDIT, Profile.LEGACY_GSPS])
@pytest.mark.parametrize("case", ["DX", "CT", "dermoscopy"])
def test_dciodvfy_finds_no_error_in_any_profile(case: str, profile: Profile, tmp_path: Path):
    tool("dciodvfy")
    reading, given = CASES[case]()
    for path in written(write_results(reading, given, RUN, profile), tmp_path):
        assert validate_file(path).errors == (), path.name


@pytest.mark.parametrize("program", ["dsrdump", "dsr2xml", "dsr2html"])
@pytest.mark.parametrize("case", ["abstention", "public enhanced CT"])
def test_dcmtk_reads_the_report(program: str, case: str, tmp_path: Path):
    path = tool(program)
    reading, given = CASES[case]()
    report = only(write_results(reading, given, RUN), "SR")
    found = run(path, written((report,), tmp_path)[0])
    assert found.returncode == 0, found.stderr
    assert "Imaging Measurement Report" in found.stdout


@pytest.mark.parametrize("case", CASES)
def test_every_object_can_be_read_at_pydicoms_strictest(case: str, tmp_path: Path):
    reading, given = CASES[case]()
    paths = written(write_results(reading, given, RUN, Profile.FULL), tmp_path)
    mode = config.settings.reading_validation_mode
    config.settings.reading_validation_mode = config.RAISE
    try:
        for path in paths:
            assert sum(1 for _ in dcmread(path).iterall()) > 50
    finally:
        config.settings.reading_validation_mode = mode


@pytest.mark.parametrize("case", ["MONOCHROME1", "two windows", "CR", "secondary capture"])
def test_dcmpschk_passes_the_presentation_state(case: str, tmp_path: Path):
    dcmpschk = tool("dcmpschk")
    reading, given = CASES[case]()
    state = only(write_results(reading, given, RUN), "PR")
    # DCMTK 3.6 cannot check VRs in UTF-8 and fails every such object: judge a twin in ASCII, as the name is.
    state.SpecificCharacterSet = "ISO_IR 100"
    found = run(dcmpschk, written((state,), tmp_path)[0])
    assert "Test passed" in found.stdout + found.stderr


def test_enhanced_class_is_what_the_public_file_says():
    ds = stored("ct_enhanced", "CT0012.explicit_little_endian.dcm")
    assert ds.SOPClassUID == EnhancedCTImageStorage
