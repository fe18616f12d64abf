"""Seconds per study that the node adds to the model, hop by hop: `python -m benchmarks.overhead`.

Real programs on loopback: DCMTK sends, Orthanc receives and is asked for priors. A study counts from the
moment it is complete (the quiet period before it is a setting, not a speed) until every object is
acknowledged by Orthanc; what the model takes, and loading it once, is taken off. Studies come one at a time.

chest: a radiograph of 2048 x 2048, 12 bits, with a prior of the same size. CT: 300 slices of 512 x 512.
"""

import argparse
import json
import math
import os
import platform
import re
import statistics
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import numpy as np

from dicom_node.database.engine import Database, open_database
from dicom_node.database.events import Event
from dicom_node.settings import load_settings
from dicom_node.study import JobState, StudyInstanceUID
from model.training.phantoms.abdomen import make_abdomen_case
from model.training.phantoms.chest import make_chest_case
from model.training.phantoms.truth import AbdomenCase, ChestView
from worker.demo.phantom_studies import (
    ABDOMEN_PATIENT,
    CHEST_PATIENT,
    CURRENT_DATE,
    WrittenStudy,
    write_ct,
    write_radiograph,
)
from worker.demo.site import Site
from worker.demo.walk import send, state_of, wait_for_all

HOP = re.compile(r"(\w+)_s ([\d.]+)")
OF_THE_MODEL = ("model", "load_model")
HOPS = ("queue", "priors", "prepare", "write", "keep", "hand_over", "deliver")
LIMITS_S = {"chest": 5.0, "CT": 15.0}
"""What the 95th percentile must not exceed."""
SEED = 20260301

Row = dict[str, float | str]


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--repeats", type=int, default=20, help="studies of each kind")
    parser.add_argument("--json", type=Path, default=Path(".bench/overhead.json"), help="raw figures")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="overhead") as folder:
        rows = measure(Path(folder), arguments.repeats)
    arguments.json.parent.mkdir(parents=True, exist_ok=True)
    arguments.json.write_text(json.dumps(rows, indent=1))
    report(rows)


def measure(folder: Path, repeats: int) -> list[Row]:
    """Send studies of different patients, one at a time, and collect the seconds; the first do not count."""
    site = Site(folder, quiet_period_s=1)
    rows: list[Row] = []
    try:
        site.start()
        database = open_database(load_settings(site.config).node.database_url)
        for kind, prior, study in studies(folder, repeats + 1):
            for sent in filter(None, (prior, study)):
                send(sent, site.node_port, folder / "send.log")
                wait_for_all(database, [sent], timeout_s=300)
            rows.append({"kind": kind, **row_of(database, study), "load": os.getloadavg()[0]})
            for file in study.files:
                file.unlink()
        database.close()
    finally:
        site.stop()
    return rows[2:]


def studies(folder: Path, count: int) -> Iterator[tuple[str, WrittenStudy | None, WrittenStudy]]:
    """Write the same two phantoms again and again under other patients, when they are wanted."""
    chest = make_chest_case(SEED, size=512, with_prior=True)
    assert chest.prior is not None
    earlier, now = enlarged_radiograph(chest.prior, 4), enlarged_radiograph(chest.current, 4)
    abdomen = enlarged_volume(make_abdomen_case(SEED, shape=(75, 256, 256)), (4, 2, 2))
    before = CURRENT_DATE - timedelta(days=90)
    for number in range(count):
        thora = replace(CHEST_PATIENT, patient_id=f"{CHEST_PATIENT.patient_id}-{number}")
        abdo = replace(ABDOMEN_PATIENT, patient_id=f"{ABDOMEN_PATIENT.patient_id}-{number}")
        here = folder / f"study-{number}"
        prior = write_radiograph(here / "prior", earlier, before, title="prior", patient=thora)
        current = write_radiograph(here / "current", now, CURRENT_DATE, title="chest", patient=thora)
        yield "chest", prior, current
        yield "CT", None, write_ct(here / "ct", abdomen, patient=abdo)


def enlarged_radiograph(view: ChestView, factor: int) -> ChestView:
    """Repeat the pixels of a phantom: drawing that many takes minutes."""
    pixels = np.repeat(np.repeat(view.pixels, factor, 0), factor, 1)
    row_mm, column_mm = view.spacing_mm
    return replace(view, pixels=pixels, spacing_mm=(row_mm / factor, column_mm / factor))


def enlarged_volume(case: AbdomenCase, factors: tuple[int, int, int]) -> AbdomenCase:
    """Repeat the voxels of a phantom along k, j and i."""
    voxels = case.voxels
    affine = case.affine.copy()
    for axis, factor in enumerate(factors):
        voxels = np.repeat(voxels, factor, axis)
        affine[:, axis] /= factor
    return replace(case, voxels=voxels, affine=affine)


def row_of(database: Database, study: WrittenStudy) -> Row:
    """Seconds of one study since it was complete: without the model, and by hop, as the timeline has them."""
    job, text, _over = state_of(database, study.study_instance_uid)
    if job is None or job.state is not JobState.DONE:
        return {"state": text}
    events = database.events.of_study(StudyInstanceUID(study.study_instance_uid))
    hops: dict[str, float] = {}
    for event in events:
        if event.state == "timed":
            for name, seconds in HOP.findall(event.detail):
                hops[name] = hops.get(name, 0.0) + float(seconds)
    total = _between(events, "complete", JobState.DONE)
    hops["queue"] = _between(events, JobState.QUEUED, JobState.RUNNING)
    handed = [event.at for event in events if event.state == JobState.DELIVERING]
    hops["hand_over"] = (handed[1] - handed[0]).total_seconds() if len(handed) > 2 else 0.0
    outside = total - sum(hops.get(name, 0.0) for name in OF_THE_MODEL)
    named = sum(hops.get(name, 0.0) for name in HOPS)
    objects = len(database.deliveries.of_job(job.job_id))
    return {"outside": outside, "other": outside - named, "objects": objects, **hops}


def _between(events: Sequence[Event], first: str, last: str) -> float:
    at = {event.state: event.at for event in reversed(events)}
    return (at[last] - at[first]).total_seconds()


def report(rows: Sequence[Row]) -> None:
    """Print the median and the 95th percentile of each hop, by kind of study."""
    print(f"{platform.machine()}, {os.cpu_count()} processors, Python {platform.python_version()}")
    columns = ("outside", *HOPS, "other", "model")
    print(f"{'seconds':<16}   n " + " ".join(f"{name:>9}" for name in columns))
    for kind, limit_s in LIMITS_S.items():
        mine = [row for row in rows if row["kind"] == kind and "outside" in row]
        failed = [row for row in rows if row["kind"] == kind and "outside" not in row]
        load = statistics.median(float(row["load"]) for row in mine) if mine else 0
        for word, share in (("median", 0.5), ("p95", 0.95)):
            values = [quantile([float(row.get(name, 0)) for row in mine], share) for name in columns]
            print(f"{kind + ', ' + word:<16} {len(mine):>3} " + " ".join(f"{value:9.2f}" for value in values))
        p95 = quantile([float(row["outside"]) for row in mine], 0.95)
        verdict = "within" if p95 <= limit_s else "BEYOND"
        print(f"{kind}: p95 {p95:.2f} s is {verdict} {limit_s:.0f} s; {len(failed)} failed; load {load:.1f}")


def quantile(values: Sequence[float], share: float) -> float:
    """Return the smallest value below or at which `share` of all lie; nan without values."""
    ordered = sorted(values)
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)] if ordered else float("nan")


if __name__ == "__main__":
    main()
