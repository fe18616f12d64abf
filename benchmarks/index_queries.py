"""Milliseconds of the questions that the node asks its index, at 10,000 and 300,000 instances.

Studies of 100 instances in two series, four studies to a patient; SQLite, medians. `admit` is a whole
transaction with its sync.
"""

import argparse
import os
import platform
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

from sqlalchemy import insert

from benchmarks.arrivals import arrival
from dicom_node.database.engine import Database, open_database
from dicom_node.database.schema import instances, studies
from dicom_node.study import StudyInstanceUID

SIZES = (10_000, 300_000)
PER_STUDY = 100
REPEATS = 30
"""Of each question; the median is told."""
FOLDERS = 24


def instance_row(folder: Path, number: int) -> dict[str, object]:
    study = number // PER_STUDY
    return {
        "sop_instance_uid": f"1.2.826.0.1.3680043.8.498.1{number:020}",
        "sop_class_uid": "1.2.840.10008.5.1.4.1.1.2",
        "series_instance_uid": f"1.2.826.0.1.3680043.8.498.2{study:018}.{number % 2}",
        "study_instance_uid": study_uid(study),
        "transfer_syntax_uid": "1.2.840.10008.1.2.1",
        "modality": "CT",
        "body_part": "CHEST",
        "description": "CT Thorax Lung 1.0",
        "path": str(folder / f"20260101-{study % FOLDERS:02}" / f"{number:032x}.dcm"),
        "digest": f"{number:064x}",
        "size": 524_288,
        "origin": "routed",
        "revision": 1,
        "quarantined": 0,
        "received_at": datetime(2026, 1, 1, tzinfo=UTC),
    }


def study_uid(number: int) -> StudyInstanceUID:
    return StudyInstanceUID(f"1.2.826.0.1.3680043.8.498.3{number:020}")


def study_row(number: int, count: int) -> dict[str, object]:
    at = datetime(2026, 1, 1, tzinfo=UTC)
    return {
        "study_instance_uid": study_uid(number),
        "revision": 1,
        # The last ones are still coming in.
        "state": "receiving" if number >= count - 5 else "complete",
        "study_date": "20260101",
        "study_time": "120000",
        "patient_id": f"P{number // 4}",
        "issuer_of_patient_id": "HOSPITAL",
        "patient_birth_date": "19500101",
        "patient_sex": "F",
        "first_received_at": at,
        "last_received_at": at,
    }


def fill(database: Database, folder: Path, count: int) -> None:
    of_studies = count // PER_STUDY
    with database.connections.writing() as connection:
        connection.execute(insert(studies), [study_row(number, of_studies) for number in range(of_studies)])
        for start in range(0, count, 10_000):
            rows = [instance_row(folder, number) for number in range(start, min(count, start + 10_000))]
            connection.execute(insert(instances), rows)


def questions(database: Database, folder: Path, count: int) -> Iterator[tuple[str, Callable[[], object]]]:
    middle = count // PER_STUDY // 2
    uid = study_uid(middle)
    serial = iter(range(count, count + 10_000))
    yield "instance by UID", lambda: database.instances.get(f"1.2.826.0.1.3680043.8.498.1{count // 2:020}")
    yield "instances of a study", lambda: database.instances.of_study(uid)
    yield "study", lambda: database.studies.get(uid)
    yield "studies that may be complete", database.studies.receiving
    yield "studies of a patient", lambda: database.studies.of_patient(f"P{middle // 4}")
    yield "what contradicts a study", lambda: database.refusals.against(uid)
    yield "history of a study", lambda: database.events.of_study(uid)
    yield "jobs that are due", lambda: database.jobs.sweep(3, 60)
    yield "files of an hour", lambda: database.instances.files_in(folder / "20260101-07")
    yield "admit one", lambda: database.instances.admit([arrival(next(serial), folder)])
    yield "admit 16", lambda: database.instances.admit([arrival(next(serial), folder) for _ in range(16)])


def median_ms(ask: Callable[[], object]) -> float:
    times: list[float] = []
    for _ in range(REPEATS):
        begin = time.perf_counter()
        ask()
        times.append((time.perf_counter() - begin) * 1000)
    return statistics.median(times)


def measure(folder: Path, count: int) -> dict[str, float]:
    with closing(open_database(f"sqlite:///{folder}/{count}.sqlite")) as database:
        fill(database, folder, count)
        return {name: median_ms(ask) for name, ask in questions(database, folder, count)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sizes", type=int, nargs="+", default=SIZES)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        found = {count: measure(Path(folder), count) for count in arguments.sizes}
    print(f"{platform.platform()}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}; milliseconds\n")
    print("| question | " + " | ".join(f"{count:,}" for count in found) + " |")
    print("|---" * (len(found) + 1) + "|")
    for name in next(iter(found.values())):
        print(f"| {name} | " + " | ".join(f"{times[name]:.2f}" for times in found.values()) + " |")


if __name__ == "__main__":
    main()
