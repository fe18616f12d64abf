"""Writes phantoms of several dates as files: pictures, masks, what is true of them, and training records."""

import json
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from model.reading import Modality
from model.training.datasets.dataset_reader import Case, DatasetCard
from model.training.datasets.record import Record, RecordBox, RecordImage, RecordMask, Split
from model.training.datasets.shards import write_prepared
from model.training.phantoms.abdomen_timeline import make_abdomen_timeline
from model.training.phantoms.skin_growth import make_skin_timeline
from model.training.phantoms.timeline import ChestTimeline, DatedStudy, make_chest_timeline
from model.training.phantoms.truth import ChangeTruth, ChestCase
from model.training.telling import changes_text, findings_text, visible_changes, visible_findings

Array = NDArray[Any]

TRUTH = "truth.json"

CARD = DatasetCard(
    name="phantoms",
    version="1",
    licence="that of this program",
    licence_address="LICENSE",
    address="medversa-node train phantoms",
    citation="Generated; no person was imaged.",
    split_rule="By the last digit of the seed: 8 is validate, 9 is test, all others train.",
    layout="One folder for each seed, with pictures, masks and truth.json.",
)

_TO_RAS = np.diag([-1.0, -1.0, 1.0, 1.0])
_FROM_IJK = np.eye(4)[[2, 1, 0, 3]]


def publish(
    kind: str, seeds: Sequence[int], out: Path, workers: int, progress: Callable[[int], None]
) -> None:
    """Write the phantoms of `seeds` below `out`, and their records to `out/prepared`; what is there is kept.

    Nothing but the seed decides what is written, however many `workers` write it.
    """
    out.mkdir(parents=True, exist_ok=True)
    with ProcessPoolExecutor(workers) as pool:
        for n, _ in enumerate(pool.map(partial(_publish_one, kind, out), seeds), 1):
            progress(n)
    cases = [Case(_name(kind, seed), partial(_record, out, _name(kind, seed))) for seed in seeds]
    write_prepared(CARD, cases, out / "prepared", source=out)


def _name(kind: str, seed: int) -> str:
    return f"{kind}-{seed:09d}"


def _publish_one(kind: str, out: Path, seed: int) -> None:
    folder = out / _name(kind, seed)
    if (folder / TRUTH).exists():
        return
    folder.mkdir(exist_ok=True)
    truth, record = PUBLISH[kind](seed, folder)
    (folder / "record.json").write_text(record.to_json(), encoding="utf-8")
    part = folder / f"{TRUTH}.part"
    part.write_text(json.dumps({"synthetic": True, "kind": kind, "seed": seed, **truth}, indent=1), "utf-8")
    part.rename(folder / TRUTH)


def _record(out: Path, name: str) -> Record:
    return Record.from_json((out / name / "record.json").read_text(encoding="utf-8"))


def _split(seed: int) -> Split:
    return "validate" if seed % 10 == 8 else "test" if seed % 10 == 9 else "train"


def _chest(seed: int, folder: Path) -> tuple[Mapping[str, object], Record]:
    timeline = make_chest_timeline(seed)
    studies = [_chest_study(study, folder) for study in timeline.studies]
    truth = {"studies": studies, "intervals": [asdict(interval) for interval in timeline.intervals]}
    return truth, _chest_record(timeline, folder.name)


def _chest_study(study: DatedStudy, folder: Path) -> dict[str, object]:
    views: list[dict[str, object]] = []
    for view, masks in zip(study.views, study.finding_masks, strict=True):
        name = f"day{study.day:04d}-{view.view}"
        _picture(folder / f"{name}.png", view.pixels)
        for organ, mask in view.masks.items():
            _picture(folder / f"{name}-{organ}.png", mask)
        for number, mask in masks.items():
            _picture(folder / f"{name}-finding{number}.png", mask)
        found = [asdict(finding) for finding in view.findings]
        about = {"picture": f"{name}.png", "view": view.view, "spacing_mm": view.spacing_mm}
        views.append({**about, "boxes": dict(view.boxes), "findings": found})
    return {"day": study.day, "views": views, "findings": [asdict(state) for state in study.findings]}


def _chest_record(timeline: ChestTimeline, name: str) -> Record:
    """Describe the last study, with the one before it as its prior."""
    prior, current = timeline.studies[-2:]
    frontal = current.views[0]
    seen = visible_findings(frontal)
    changes = tuple(
        ChangeTruth(one.label, one.laterality, None, one.status)
        for one in timeline.intervals
        if one.last_day == current.day
    )
    case = ChestCase(timeline.seed, frontal, prior.views[0], current.day - prior.day, changes)
    stem = f"{name}/day{current.day:04d}-{frontal.view}"
    boxes = [RecordBox(finding.label, 0, finding.box) for finding in seen]
    boxes += [RecordBox(label, 0, box, anatomy=True) for label, box in frontal.boxes.items()]
    return Record(
        "phantoms", name, name, f"day{current.day}", _split(timeline.seed), Modality.CXR,
        _images(current, name), _images(prior, name),
        findings=findings_text(seen),
        labels={finding.label: True for finding in seen},
        boxes=tuple(boxes),
        masks=tuple(RecordMask(organ, 0, f"{stem}-{organ}.png") for organ in frontal.masks),
        change=changes_text(visible_changes(case)),
    )  # fmt: skip


def _images(study: DatedStudy, name: str) -> tuple[RecordImage, ...]:
    return tuple(
        RecordImage(
            f"{name}/day{study.day:04d}-{view.view}.png", view.view, view.pixels.shape[::-1], view.spacing_mm
        )
        for view in study.views
    )


def _abdomen(seed: int, folder: Path) -> tuple[Mapping[str, object], Record]:
    timeline = make_abdomen_timeline(seed)
    scans: list[dict[str, object]] = []
    for scan in timeline.scans:
        name, affine = f"day{scan.day:04d}", scan.case.affine
        middle = scan.case.voxels[len(scan.case.voxels) // 2]
        _picture(folder / f"{name}.png", (middle + 160) / 400)
        _volume(folder / f"{name}.nii.gz", np.round(scan.case.voxels).astype(np.int16), affine)
        for label, mask in (
            *scan.case.masks.items(),
            *((f"lesion{n}", m) for n, m in scan.lesion_masks.items()),
        ):
            _volume(folder / f"{name}-{label}.nii.gz", mask.astype(np.uint8), affine)
        lesions = [asdict(lesion) for lesion in scan.lesions]
        scans.append({"day": scan.day, "lesions": lesions, "to_first": scan.to_first.tolist()})
    last = timeline.scans[-1]
    stem = f"{folder.name}/day{last.day:04d}"
    masks = tuple(RecordMask(organ, 0, f"{stem}-{organ}.nii.gz") for organ in last.case.masks)
    record = Record(
        "phantoms", folder.name, folder.name, f"day{last.day}", _split(seed), Modality.CT,
        (RecordImage(f"{stem}.nii.gz"),), masks=masks,
    )  # fmt: skip
    return {"scans": scans, "intervals": [asdict(one) for one in timeline.intervals]}, record


def _skin(seed: int, folder: Path) -> tuple[Mapping[str, object], Record]:
    timeline = make_skin_timeline(seed)
    dates: list[dict[str, object]] = []
    for photograph in timeline.photographs:
        name = f"day{photograph.day:04d}"
        _picture(folder / f"{name}.png", photograph.case.pixels)
        _picture(folder / f"{name}-lesion.png", photograph.case.mask)
        dates.append(
            {"day": photograph.day, "area_mm2": photograph.area_mm2, "pixel_mm": photograph.pixel_mm}
        )
    last = timeline.photographs[-1]
    stem = f"{folder.name}/day{last.day:04d}"
    record = Record(
        "phantoms", folder.name, folder.name, f"day{last.day}", _split(seed), Modality.DERM,
        (RecordImage(f"{stem}.png"),), masks=(RecordMask("lesion", 0, f"{stem}-lesion.png"),),
        diagnosis=last.case.diagnosis,
    )  # fmt: skip
    truth = {"diagnosis": last.case.diagnosis, "photographs": dates}
    return {**truth, "intervals": [asdict(one) for one in timeline.intervals]}, record


PUBLISH: Mapping[str, Callable[[int, Path], tuple[Mapping[str, object], Record]]] = {
    "chest": _chest,
    "abdomen": _abdomen,
    "skin": _skin,
}


def _picture(path: Path, pixels: Array) -> None:
    """Write 0 to 1 as 8 bits."""
    Image.fromarray(np.round(np.clip(pixels, 0, 1) * 255).astype(np.uint8)).save(path)


def _volume(path: Path, voxels: Array, affine: NDArray[np.float64]) -> None:
    """Write voxels (K, J, I) whose affine is of (k, j, i) in LPS."""
    nibabel.save(nibabel.Nifti1Image(voxels.transpose(2, 1, 0), _TO_RAS @ affine @ _FROM_IJK.T), path)
