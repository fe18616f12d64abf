"""The demonstration: send studies to a running node, wait for the results, check and picture them."""

import shutil
import subprocess
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from pydicom import dcmread
from pydicom.errors import InvalidDicomError
from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table

from dicom_node.database.engine import Database, open_database
from dicom_node.errors import StorageError
from dicom_node.settings import load_settings
from dicom_node.study import Job, JobState, StudyInstanceUID, StudyState
from worker.demo.arrivals import Arrival, arrival_of, draw_pictures, fetch, fetch_from_folder
from worker.demo.phantom_studies import WrittenStudy, write_demo_studies
from worker.demo.servers import ServerError, find_program
from worker.demo.site import AE_TITLE, Site

OVER = {JobState.DONE, JobState.FAILED, JobState.HELD, JobState.NOT_APPLICABLE}

EXPECTED = {
    "chest, current": {"SR", "SEG", "PR"},
    "abdomen CT": {"SR", "SEG"},
    "skin lesion": {"SR", "SEG"},
}
"""Modalities that the phantom studies must bring back."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """How one sent study ended."""

    study: WrittenStudy
    job: Job | None
    state: str
    arrivals: tuple[Arrival, ...]
    pictures: tuple[Path, ...]

    @property
    def is_good(self) -> bool:
        """Everything that was delivered is in the archive and valid; a study without results is no failure
        if the node says that it is not one to read."""
        if self.job is None:
            return self.study.title not in EXPECTED and bool(self.state)
        if self.job.state is JobState.NOT_APPLICABLE:
            return self.study.title not in EXPECTED
        modalities = {arrival.modality for arrival in self.arrivals}
        return (
            self.job.state is JobState.DONE
            and EXPECTED.get(self.study.title, set()) <= modalities
            and all(
                a.path is not None and a.verdict is not None and a.verdict.is_valid for a in self.arrivals
            )
        )


def run_demo(paths: Sequence[Path], out: Path, *, keep: bool, timeout_s: float) -> int:
    """Run the whole demonstration; return the exit status: 0 only if everything arrived."""
    console = Console()
    folder = out / f"{datetime.now():%Y%m%d-%H%M%S}"
    folder.mkdir(parents=True)
    site = Site(folder)
    try:
        with console.status("starting Orthanc, Redis, the node and a worker …"):
            site.start()
        for note in site.notes:
            console.print(f"[yellow]{note}")
        with console.status("preparing studies …"):
            studies = group_studies(paths) if paths else write_demo_studies(folder / "studies")
        if not studies:
            console.print("[red]No DICOM file with a Study Instance UID was found.")
            return 2
        outcomes = _walk(console, site, studies, timeout_s)
        _print(console, site, outcomes)
        if keep:
            _print_how_to_connect(console, site)
            _wait_for_interrupt()
        return 0 if all(outcome.is_good for outcome in outcomes) else 1
    except ServerError as error:
        console.print(f"[red]{error}")
        return 1
    finally:
        site.stop()


def group_studies(paths: Sequence[Path]) -> list[WrittenStudy]:
    """Find the studies in files and folders, oldest first, so that a prior is sent before what follows it."""
    files = sorted(f for path in paths for f in (path.rglob("*") if path.is_dir() else [path]) if f.is_file())
    groups: dict[str, list[Path]] = {}
    age: dict[str, tuple[str, str]] = {}
    for file in files:
        try:
            ds = dcmread(file, specific_tags=["StudyInstanceUID", "StudyDate", "StudyTime", "Modality"])
        except (InvalidDicomError, OSError, ValueError):
            continue
        uid = str(ds.get("StudyInstanceUID", "") or "")
        if not uid:
            continue
        groups.setdefault(uid, []).append(file)
        age[uid] = min(age.get(uid, ("9", "")), (str(ds.get("StudyDate", "")), str(ds.get("StudyTime", ""))))
    ordered = sorted(groups, key=lambda uid: age[uid])
    return [WrittenStudy(f"study {n}", uid, tuple(groups[uid])) for n, uid in enumerate(ordered, start=1)]


def send(study: WrittenStudy, port: int, log: Path) -> None:
    """Send one study with DCMTK's `dcmsend`, or with our own SCU where DCMTK is not installed.

    What was accepted is not read from the exit status (dcmsend returns 0 even if nothing was sent): the
    node's own index says it.
    """
    files = [str(file) for file in study.files]
    program = find_program("dcmsend")
    if program:
        command = [
            program,
            "-v",
            "--no-halt",
            "--no-uid-checks",
            "-dn",
            "-aec",
            AE_TITLE,
            "127.0.0.1",
            str(port),
        ]
    else:
        own = find_program("medversa-node") or "medversa-node"
        command = [own, "send", "--called", AE_TITLE, "--host", "127.0.0.1", "--port", str(port)]
    with log.open("ab") as output:
        subprocess.run([*command, *files], stdout=output, stderr=output, check=False)  # noqa: S603  # our own command


def _walk(console: Console, site: Site, studies: Sequence[WrittenStudy], timeout_s: float) -> list[Outcome]:
    database = open_database(load_settings(site.config).node.database_url)
    columns = (SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=not console.is_terminal) as progress:
        tasks = {
            study.study_instance_uid: progress.add_task(f"{study.title}: to be sent") for study in studies
        }
        for study in studies:
            progress.update(tasks[study.study_instance_uid], description=f"{study.title}: sending")
            send(study, site.node_port, site.folder / "send.log")

        def show(study: WrittenStudy, text: str) -> None:
            progress.update(tasks[study.study_instance_uid], description=f"{study.title}: {text}")

        wait_for_all(database, studies, timeout_s=timeout_s, show=show)
    return [_outcome(site, database, study) for study in studies]


def wait_for_all(
    database: Database,
    studies: Sequence[WrittenStudy],
    *,
    timeout_s: float,
    show: Callable[[WrittenStudy, str], None] = lambda _study, _text: None,
) -> bool:
    """Wait until every study is over; False if the time is over before."""
    deadline = time.monotonic() + timeout_s
    while time.monotonic() < deadline:
        states = [state_of(database, study.study_instance_uid) for study in studies]
        for study, (_job, text, _over) in zip(studies, states, strict=True):
            show(study, text)
        if all(over for _job, _text, over in states):
            return True
        time.sleep(0.2)
    return False


def state_of(database: Database, study_instance_uid: str) -> tuple[Job | None, str, bool]:
    """Return the newest job of a study, its state in words, and whether it is over."""
    uid = StudyInstanceUID(study_instance_uid)
    try:
        study = database.studies.get(uid)
    except StorageError:
        refused = [r for r in database.refusals.all() if r.study_instance_uid in {study_instance_uid, ""}]
        return None, f"refused: {refused[-1].reason}" if refused else "not received", bool(refused)
    jobs = [job for job in database.jobs.of_study(uid) if job.revision == study.revision]
    if study.state is StudyState.NOT_APPLICABLE:
        return None, f"not applicable: {study.reason}", True
    if not jobs:
        return None, str(study.state), study.state is StudyState.REFERENCE
    job = jobs[-1]
    because = f": {job.reason}" if job.reason and job.state is not JobState.DONE else ""
    detail = f" ({job.detail})" if job.detail else ""
    return job, f"{job.state}{because}{detail}", job.state in OVER


def _outcome(site: Site, database: Database, study: WrittenStudy) -> Outcome:
    job, text, _over = state_of(database, study.study_instance_uid)
    if job is None:
        return Outcome(study, None, text, (), ())
    arrivals: list[Arrival] = []
    for number, result in enumerate(database.results.of_job(job.job_id), start=1):
        to = site.folder / "results" / study.title.replace(", ", "-") / f"{number}-{result.modality}.dcm"
        path = (
            fetch(site.orthanc.url, result.sop_instance_uid, to)
            if site.orthanc
            else fetch_from_folder(site.delivered, result.sop_instance_uid, to)
        )
        arrivals.append(arrival_of(study.title, result, path))
    fetched = [arrival.path for arrival in arrivals if arrival.path]
    pictures = draw_pictures(study.title, study.files, fetched, site.folder / "pictures") if fetched else []
    return Outcome(study, job, text, tuple(arrivals), tuple(pictures))


def _print(console: Console, site: Site, outcomes: Sequence[Outcome]) -> None:
    where = "Orthanc" if site.orthanc else "the delivery folder"
    table = Table(title=f"What arrived in {where}", show_lines=False)
    for heading in ("study", "state", "SOP class", "series description", "SOP Instance UID", "validator"):
        table.add_column(heading, overflow="fold")
    for outcome in outcomes:
        if not outcome.arrivals:
            table.add_row(outcome.study.title, outcome.state, "–", "–", "–", "–")
        for arrival in outcome.arrivals:
            row = (arrival.study_title, outcome.state, arrival.sop_class, arrival.series_description)
            table.add_row(*row, arrival.sop_instance_uid, _verdict(arrival))
    console.print(table)
    for picture in (picture for outcome in outcomes for picture in outcome.pictures):
        console.print(f"picture: {picture}", soft_wrap=True)
    console.print(f"results: {site.folder / 'results'}\nlogs: {site.folder}", soft_wrap=True)
    bad = [outcome.study.title for outcome in outcomes if not outcome.is_good]
    console.print(f"[red]incomplete: {', '.join(bad)}" if bad else "[green]everything arrived")


def _verdict(arrival: Arrival) -> str:
    if arrival.path is None or arrival.verdict is None:
        return "[red]NOT IN THE ARCHIVE"
    verdict = arrival.verdict
    said = "no error" if verdict.is_valid else f"[red]{len(verdict.errors)} errors: {verdict.errors[0]}"
    return f"{verdict.validator}: {said}"


def _print_how_to_connect(console: Console, site: Site) -> None:
    console.print(
        f"""
The node is running. Point a PACS or a modality at it:
  AE title {AE_TITLE}, host 127.0.0.1, port {site.node_port}
  test it:   echoscu -aec {AE_TITLE} 127.0.0.1 {site.node_port}
  send:      dcmsend -aec {AE_TITLE} 127.0.0.1 {site.node_port} FILES
  look:      medversa-node status --config {site.config}""",
        soft_wrap=True,
    )
    if site.orthanc:
        console.print(f"  results:   {site.orthanc.url} (Orthanc Explorer)", soft_wrap=True)
    console.print("Ctrl-C stops everything.")


def _wait_for_interrupt() -> None:
    try:
        while True:
            time.sleep(3600)
    except KeyboardInterrupt:
        return


def clear_old_runs(out: Path, keep_newest: int = 5) -> None:
    """Remove all but the newest run folders of earlier demonstrations."""
    runs = sorted(path for path in out.glob("*-*") if path.is_dir())
    for path in runs[:-keep_newest]:
        shutil.rmtree(path, ignore_errors=True)
