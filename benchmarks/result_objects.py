"""Seconds, memory and bytes of result objects: `python -m benchmarks.result_objects`.

Two readings are written as profile `full` has them: a chest radiograph with its prior, and a CT of 300 slices
with four organs. Each bundle is written by a process of its own, so that its peak is that of this work. The
segmentation of the CT is then written by us and by dcmqi's itkimage2segimage in turn, round after round, from
the same masks, in each form that both know: by us from memory, by dcmqi from a NIfTI file and the headers of
the slices on disk, since that is how it is called. Processor seconds count: a busy machine stretches others.
"""

import argparse
import json
import os
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import nibabel
import numpy as np
from pydicom import dcmread, dcmwrite
from pydicom.dataset import Dataset
from pydicom.uid import DeflatedExplicitVRLittleEndian, ExplicitVRLittleEndian, RLELossless

from benchmarks.result_readings import CASES, Case, abdomen
from model.reading import Mask
from structured_reports.profiles import Profile
from structured_reports.registry import headers_of, write_results
from structured_reports.writers.segmentation import write_label_maps, write_segmentations
from structured_reports.writers.writer import Draft

MIB = 1 << 20
FORMS = {"segments": write_segmentations, "label map": write_label_maps}
PEER_TYPES = {"segments": "binary", "label map": "labelmap"}


def main() -> None:
    """Measure and print; with `--case` only write that bundle, as the parent process asks."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--slices", type=int, default=300)
    parser.add_argument("--case", choices=list(CASES), help=argparse.SUPPRESS)
    parser.add_argument("--json", type=Path, default=Path(".bench/result_objects.json"), help="raw figures")
    arguments = parser.parse_args()
    if arguments.case:
        print(json.dumps(bundle_figures(CASES[arguments.case](arguments.slices), arguments.rounds)))
        return
    print(f"load {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores; processor seconds, median of rounds")
    figures: dict[str, object] = {
        case: in_a_child(case, arguments.rounds, arguments.slices) for case in CASES
    }
    with tempfile.TemporaryDirectory(prefix="result_objects") as folder:
        figures["forms"] = compare_forms(abdomen(arguments.slices), Path(folder), arguments.rounds)
    arguments.json.parent.mkdir(parents=True, exist_ok=True)
    arguments.json.write_text(json.dumps(figures, indent=1))


def in_a_child(case: str, rounds: int, slices: int) -> dict[str, float]:
    """Write one bundle in a fresh process and print what it took."""
    command = [sys.executable, "-m", "benchmarks.result_objects", "--case", case]
    command += ["--rounds", str(rounds), "--slices", str(slices)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    found: dict[str, float] = json.loads(done.stdout)
    print(
        f"{case}: {found['processor_s']:.2f} s ({found['first_s']:.2f} s the first), "
        f"peak {found['peak_bytes'] / MIB:.0f} MiB, of it {found['given_bytes'] / MIB:.0f} MiB before; "
        f"{found['objects']:.0f} objects, {found['bytes'] / MIB:.2f} MiB"
    )
    return found


def bundle_figures(case: Case, rounds: int) -> dict[str, float]:
    """Write a bundle several times; the first pays for what the library loads once."""
    given = peak_bytes()
    seconds: list[float] = []
    results: tuple[Dataset, ...] = ()
    for _ in range(rounds):
        began = time.process_time()
        results = write_results(case.reading, case.sources, case.run, Profile.FULL)
        seconds.append(time.process_time() - began)
    peak = peak_bytes()
    with tempfile.TemporaryDirectory(prefix="bundle") as folder:
        sizes = [written_bytes(ds, Path(folder) / "object.dcm") for ds in results]
    return {
        "processor_s": statistics.median(seconds),
        "first_s": seconds[0],
        "peak_bytes": peak,
        "given_bytes": given,
        "objects": len(results),
        "bytes": sum(sizes),
    }


def peak_bytes() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def written_bytes(ds: Dataset, path: Path) -> int:
    dcmwrite(path, ds, enforce_file_format=True)
    return path.stat().st_size


def compare_forms(case: Case, folder: Path, rounds: int) -> dict[str, dict[str, float]]:
    """Write the segmentation in every form, ours and dcmqi's in turn, and print seconds and bytes."""
    draft = Draft(case.reading, case.sources, case.run, headers_of(case.sources))
    peer = shutil.which("itkimage2segimage", path=str(Path(sys.executable).parent))
    if peer is not None:
        give_to_dcmqi(case, folder)
    figures: dict[str, dict[str, float]] = {}
    for form, write in FORMS.items():
        ours: list[float] = []
        theirs: list[float] = []
        for _ in range(rounds):
            ours.append(processor_s(lambda write=write: _write_all(write, draft, folder)))
            if peer is not None:
                theirs.append(children_s(lambda form=form: ask_dcmqi(peer, folder, form, "none")))
        figures[form] = {"ours_s": statistics.median(ours), **_bytes_of(folder)}
        if peer is not None:
            ask_dcmqi(peer, folder, form, "deflate")
            figures[form]["dcmqi_s"] = statistics.median(theirs)
            for how in ("none", "deflate"):
                figures[form][f"dcmqi_{how}_bytes"] = (folder / f"dcmqi-{how}.dcm").stat().st_size
        print_form(form, figures[form])
    return figures


def _write_all(write: Callable[[Draft], tuple[Dataset, ...]], draft: Draft, folder: Path) -> None:
    (result,) = write(draft)
    dcmwrite(folder / "ours.dcm", result, enforce_file_format=True)


def _bytes_of(folder: Path) -> dict[str, float]:
    """Bytes of our object as it is, with its data set deflated, and with frames in RLE if that is legal."""
    sizes: dict[str, float] = {"native_bytes": (folder / "ours.dcm").stat().st_size}
    ds = dcmread(folder / "ours.dcm")
    if ds.BitsAllocated == 8:
        ds.compress(RLELossless, generate_instance_uid=False)
        sizes["rle_bytes"] = written_bytes(ds, folder / "rle.dcm")
        ds = dcmread(folder / "ours.dcm")
    ds.file_meta.TransferSyntaxUID = DeflatedExplicitVRLittleEndian
    sizes["deflated_bytes"] = written_bytes(ds, folder / "deflated.dcm")
    return sizes


def give_to_dcmqi(case: Case, folder: Path) -> None:
    """Write what itkimage2segimage reads: headers of the slices, masks as labels in NIfTI, and metadata."""
    (folder / "slices").mkdir()
    for number, ds in enumerate(case.sources.current):
        path = folder / "slices" / f"{number:04}.dcm"
        ds.PixelData = bytes(2)  # dcmqi wants some, and does not look at it
        ds["PixelData"].VR = "OW"
        ds.ensure_file_meta()
        ds.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
        dcmwrite(path, ds, enforce_file_format=True)
    masks = case.reading.masks
    labels = np.zeros(masks[0].voxels.shape, dtype=np.uint8)
    for number, mask in enumerate(masks, start=1):
        labels[mask.voxels] = number
    assert masks[0].geometry is not None
    # From (slice, row, column) in LPS to NIfTI's (column, row, slice) in RAS.
    affine = np.diag([-1.0, -1.0, 1.0, 1.0]) @ masks[0].geometry.affine[:, [2, 1, 0, 3]]
    nibabel.save(nibabel.Nifti1Image(labels.transpose(2, 1, 0), affine), folder / "labels.nii.gz")
    attributes = [segment_attributes(number, mask) for number, mask in enumerate(masks, start=1)]
    metadata = {"SeriesDescription": "dcmqi", "SeriesNumber": "1", "InstanceNumber": "1"}
    (folder / "meta.json").write_text(json.dumps({**metadata, "segmentAttributes": [attributes]}))


def segment_attributes(number: int, mask: Mask) -> dict[str, object]:
    code = {"CodingSchemeDesignator": "SCT"}
    return {
        "labelID": number,
        "SegmentDescription": mask.label,
        "SegmentLabel": mask.label,
        "SegmentAlgorithmType": "AUTOMATIC",
        "SegmentAlgorithmName": "benchmark",
        "SegmentedPropertyCategoryCodeSequence": {
            **code,
            "CodeValue": "91723000",
            "CodeMeaning": "Anatomical Structure",
        },
        "SegmentedPropertyTypeCodeSequence": {**code, "CodeValue": "113343008", "CodeMeaning": "Organ"},
    }


def ask_dcmqi(program: str, folder: Path, form: str, how: str) -> None:
    """Write the same masks with dcmqi, empty frames left out as ours are; `how` is its own compression."""
    command = [program, "--inputImageList", "labels.nii.gz", "--inputDICOMDirectory", "slices"]
    command += ["--inputMetadata", "meta.json", "--outputDICOM", f"dcmqi-{how}.dcm", "--skip", "1"]
    command += ["--segmentationType", PEER_TYPES[form], "--compress", how]
    subprocess.run(command, cwd=folder, capture_output=True, check=True)


def processor_s(act: Callable[[], object]) -> float:
    began = time.process_time()
    act()
    return time.process_time() - began


def children_s(act: Callable[[], object]) -> float:
    """Processor seconds of the processes that `act` starts and waits for."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    act()
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def print_form(form: str, figures: dict[str, float]) -> None:
    sizes = ", ".join(
        f"{name.removesuffix('_bytes').replace('_', ' ')} {value / MIB:.2f} MiB"
        for name, value in figures.items()
        if name.endswith("_bytes")
    )
    peer = figures.get("dcmqi_s")
    ratio = f", dcmqi {peer:.2f} s ({peer / figures['ours_s']:.1f} times ours)" if peer else ""
    print(f"{form}: {figures['ours_s']:.2f} s{ratio}; {sizes}")


if __name__ == "__main__":
    main()
