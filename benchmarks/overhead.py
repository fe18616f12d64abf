"""Seconds per study that the node adds to the model, hop by hop: `python -m benchmarks.overhead`.

Real programs on loopback: DCMTK sends, Orthanc receives. A study counts from the moment it is complete (the
quiet period before it is a setting, not a speed) until every object is acknowledged by Orthanc.
"""

import argparse
import json
import platform
import re
import statistics
import tempfile
from datetime import datetime
from pathlib import Path

from dicom_node.database.engine import Database, open_database
from dicom_node.settings import load_settings
from dicom_node.study import JobState, StudyInstanceUID
from worker.demo.phantom_studies import WrittenStudy, write_demo_studies
from worker.demo.site import Site
from worker.demo.walk import send, state_of, wait_for_all

LEFT = re.compile(r"job left job_id=(\d+)(.*)")
HOP = re.compile(r"(\w+)_s=([\d.]+)")
OF_THE_MODEL = {"model", "load_model"}


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--repeats", type=int, default=3, help="sets of the four demonstration studies")
    parser.add_argument("--json", type=Path, default=Path(".bench/overhead.json"), help="raw figures")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="overhead") as folder:
        rows = measure(Path(folder), arguments.repeats)
    arguments.json.parent.mkdir(parents=True, exist_ok=True)
    arguments.json.write_text(json.dumps(rows, indent=1))
    report(rows)


def measure(folder: Path, repeats: int) -> list[dict[str, float | str]]:
    """Send `repeats` sets of studies of different patients, one study at a time, and collect the seconds."""
    site = Site(folder, quiet_period_s=1)
    rows: list[dict[str, float | str]] = []
    try:
        site.start()
        database = open_database(load_settings(site.config).node.database_url)
        for number in range(repeats):
            for study in write_demo_studies(folder / f"studies-{number}", number):
                send(study, site.node_port, folder / "send.log")
                wait_for_all(database, [study], timeout_s=300)
                rows.append(row_of(database, study, folder / "worker.log"))
    finally:
        site.stop()
    return rows


def row_of(database: Database, study: WrittenStudy, log: Path) -> dict[str, float | str]:
    """Seconds of one study: in all since it was complete, in the queue, and by hop."""
    job, text, _over = state_of(database, study.study_instance_uid)
    if job is None or job.state is not JobState.DONE:
        return {"study": study.title, "state": text}
    events = database.events.of_study(StudyInstanceUID(study.study_instance_uid))
    at: dict[str, datetime] = {event.state: event.at for event in events}
    total = (at[JobState.DONE] - at["complete"]).total_seconds()
    queue = (at[JobState.RUNNING] - at[JobState.QUEUED]).total_seconds()
    # Reading and delivery leave a line each.
    left = LEFT.findall(log.read_text())
    fields = " ".join(fields for job_id, fields in left if int(job_id) == job.job_id)
    hops = {name: float(seconds) for name, seconds in HOP.findall(fields)}
    outside = total - sum(seconds for name, seconds in hops.items() if name in OF_THE_MODEL)
    return {
        "study": study.title,
        "instances": len(study.files),
        "outside_model": outside,
        "queue": queue,
        **hops,
    }


def report(rows: list[dict[str, float | str]]) -> None:
    """Print medians by kind of study."""
    print(f"{platform.machine()} {platform.system()}, Python {platform.python_version()}")
    columns = ("outside_model", "queue", "priors", "prepare", "write", "deliver", "model")
    print(f"{'seconds, median':<16} n  " + " ".join(f"{name:>13}" for name in columns))
    for title in dict.fromkeys(str(row["study"]) for row in rows):
        mine = [row for row in rows if row["study"] == title and "outside_model" in row]
        medians = [
            statistics.median(float(row.get(name, 0)) for row in mine) if mine else -1 for name in columns
        ]
        print(f"{title:<16} {len(mine)}  " + " ".join(f"{seconds:13.2f}" for seconds in medians))


if __name__ == "__main__":
    main()
