"""Everything that is to be survived, one after the other: `python -m tests.chaos.campaign [RUN...]`.

A RUN is `sqlite`, `postgresql` (the default is both), `urgency` or `poison`.
Prints a table of how long it took until every study was delivered, and what was found wrong. Exit status 1 if
anything was. The disk is filled in a file system of one's own, for which `unshare` must be allowed.
"""

import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from tests.chaos import queueing
from tests.chaos.hospital import Hospital, reconcile
from tests.chaos.scenarios import SCENARIOS, Scenario, disk_full, scenarios_of_postgresql
from tests.postgresql import PostgresServer, find_binaries

SMALL_DISK = "disk"
DISK_SIZE = "24m"


@contextmanager
def running(hospital: Hospital) -> Iterator[Hospital]:
    try:
        hospital.start()
        yield hospital
    finally:
        hospital.stop()


def undergo(hospital: Hospital, scenarios: Mapping[str, Scenario], index: str) -> int:
    """Do all scenarios to one site; print a line for each and return how many left something wrong."""
    failed = 0
    for number, (name, scenario) in enumerate(scenarios.items()):
        begun = time.monotonic()
        try:
            told = f"{scenario(hospital, hospital.folder / str(number)):.1f} s"
        except AssertionError as error:
            told = str(error)
            failed += 1
        faults = reconcile(hospital)
        failed += bool(faults)
        again = sum(len(contents) - 1 for contents in hospital.archive.received.values())
        found = "; ".join(faults[:3]) or "nothing"
        whole = time.monotonic() - begun
        print(f"| {index} | {name} | {told} | {whole:.0f} s | {again} | {found} |", flush=True)  # noqa: T201 (the answer)
    return failed


def with_sqlite(folder: Path) -> int:
    with running(Hospital(folder)) as hospital:
        failed = undergo(hospital, SCENARIOS, "SQLite")
    return failed + _with_small_disk()


def _with_small_disk() -> int:
    """Go on in a process that may mount a file system which only it sees."""
    command = ["unshare", "-Urm", sys.executable, "-m", "tests.chaos.campaign", SMALL_DISK]
    return int(subprocess.run(command, check=False).returncode != 0)


def on_small_disk(folder: Path) -> int:
    data = folder / "data"
    data.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={DISK_SIZE}", "tmpfs", str(data)], check=True)
    try:
        with running(Hospital(folder, min_free_bytes=0)) as hospital:
            return undergo(hospital, {"disk full": disk_full}, "SQLite")
    finally:
        subprocess.run(["umount", "--lazy", str(data)], check=True)


def with_postgresql(folder: Path) -> int:
    binaries = find_binaries()
    if binaries is None:
        print("PostgreSQL is not installed")  # noqa: T201 (the answer)
        return 1
    server = PostgresServer(binaries)
    try:
        server.make()
        server.start()
        with running(Hospital(folder, index_url=server.new_database("chaos"))) as hospital:
            return undergo(hospital, SCENARIOS | scenarios_of_postgresql(server), "PostgreSQL")
    finally:
        server.remove()


RUNS: dict[str, Callable[[Path], int]] = {
    "sqlite": with_sqlite,
    "postgresql": with_postgresql,
    SMALL_DISK: on_small_disk,
    **{name: partial(queueing.run, name) for name in queueing.RUNS},
}


def main(names: list[str]) -> int:
    if not names or {"sqlite", "postgresql"} & set(names):
        print("| index | what is done | recovered after | in all | objects sent again | found wrong |")  # noqa: T201 (the answer)
        print("|---|---|---|---|---|---|")  # noqa: T201 (the answer)
    failed = 0
    for name in names or ["sqlite", "postgresql"]:
        with tempfile.TemporaryDirectory(prefix="medversa-chaos-") as folder:
            failed += RUNS[name](Path(folder))
    return int(failed > 0)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
