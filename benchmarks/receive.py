"""Instances received per second: this node, DCMTK storescp and Orthanc, on the same files in the same run.

The receivers are measured in turn, round after round, so a busy machine hurts all alike. Senders are DCMTK
storescu processes. What a receiver has kept is counted afterwards; if one is missing the run fails.
Ours answers after file and index row are on stable storage; storescp and Orthanc, as installed, do not wait.
"""

import argparse
import itertools
import json
import os
import platform
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np
from pydicom import Dataset, dcmwrite
from pydicom.dataset import FileMetaDataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, generate_uid

ROUNDS = 3
START_PATIENCE_S = 20
ENVIRONMENT = {**os.environ, "TCP_NODELAY": "1"}
"""Without it DCMTK's programs, Orthanc among them, wait 40 ms for every object."""


@dataclass(frozen=True, slots=True)
class Load:
    """What is sent in one measurement."""

    name: str
    rows: int
    columns: int
    count: int
    """Instances per sender."""


LOADS = (Load("CT 512x512x16", 512, 512, 200), Load("small 64x64x16", 64, 64, 300))
SENDERS = (1, 4)


@dataclass(slots=True)
class Receiver:
    """One program under test, running."""

    name: str
    ae_title: str
    port: int
    process: subprocess.Popen[bytes]
    count_kept: Callable[[], int]
    rates: dict[str, list[float]] = field(default_factory=dict)
    peak_mb: float = 0.0


def write_instances(folder: Path, load: Load, sender: int) -> None:
    """Write one series of noise; noise, because a compressing receiver must not win by that."""
    folder.mkdir(parents=True)
    noise = np.random.default_rng(sender)
    study, series, frame = generate_uid(), generate_uid(), generate_uid()
    for number in range(load.count):
        ds = Dataset()
        ds.file_meta = FileMetaDataset()
        ds.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
        ds.SOPClassUID, ds.SOPInstanceUID = CTImageStorage, generate_uid()
        ds.StudyInstanceUID, ds.SeriesInstanceUID, ds.FrameOfReferenceUID = study, series, frame
        ds.PatientID, ds.PatientName = f"BENCH{sender}", "Bench^Mark"
        ds.StudyDate, ds.StudyTime, ds.Modality = "20260101", "120000", "CT"
        ds.InstanceNumber, ds.SeriesNumber = number + 1, 1
        ds.ImagePositionPatient, ds.ImageOrientationPatient = [0, 0, number], [1, 0, 0, 0, 1, 0]
        ds.PixelSpacing, ds.SliceThickness = [0.7, 0.7], 1
        ds.Rows, ds.Columns, ds.SamplesPerPixel = load.rows, load.columns, 1
        ds.PhotometricInterpretation, ds.PixelRepresentation = "MONOCHROME2", 0
        ds.BitsAllocated, ds.BitsStored, ds.HighBit = 16, 12, 11
        ds.PixelData = noise.integers(0, 4096, (load.rows, load.columns), dtype=np.uint16).tobytes()
        dcmwrite(folder / f"{number:04}.dcm", ds, enforce_file_format=True)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def wait_for(receiver_port: int, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + START_PATIENCE_S
    while time.monotonic() < deadline and process.poll() is None:
        with suppress(OSError), socket.create_connection(("127.0.0.1", receiver_port), timeout=1):
            return
        time.sleep(0.1)
    raise SystemExit(f"a receiver does not come up on port {receiver_port}")


def start(command: Sequence[str], folder: Path, port: int) -> subprocess.Popen[bytes]:
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(command, cwd=folder, env=ENVIRONMENT, stdout=log, stderr=log)
    wait_for(port, process)
    return process


def start_node(folder: Path) -> Receiver:
    port = free_port()
    config = folder / "node.toml"
    config.write_text(f'[node]\nport = {port}\ndata_dir = "data"\nquiet_period_s = 3600\n')
    command = [sys.executable, "-m", "dicom_node", "serve", "--config", str(config), "--log-level", "ERROR"]
    spool = folder / "data" / "instances"

    def count() -> int:
        # The node makes names ahead: those files are empty.
        return sum(path.stat().st_size > 0 for path in spool.rglob("*.dcm"))

    return Receiver("medversa-node", "MEDVERSA", port, start(command, folder, port), count)


def start_storescp(folder: Path) -> Receiver:
    port, kept = free_port(), folder / "kept"
    kept.mkdir()
    command = ["storescp", "--fork", "-pdu", "131072", "-uf", "-od", str(kept), str(port)]
    return Receiver(
        "storescp --fork", "STORESCP", port, start(command, folder, port), lambda: len(list(kept.iterdir()))
    )


def start_orthanc(folder: Path) -> Receiver:
    port, http = free_port(), free_port()
    config = folder / "orthanc.json"
    settings = {
        "StorageDirectory": str(folder / "store"),
        "IndexDirectory": str(folder / "store"),
        "DicomAet": "ORTHANC",
        "DicomPort": port,
        "HttpPort": http,
        "RemoteAccessAllowed": False,
        "AuthenticationEnabled": False,
        "DicomAlwaysAllowStore": True,
    }
    config.write_text(json.dumps(settings))
    executable = shutil.which("Orthanc") or "Orthanc"

    def count() -> int:
        with urllib.request.urlopen(f"http://127.0.0.1:{http}/statistics") as answer:
            return int(json.load(answer)["CountInstances"])

    return Receiver("Orthanc", "ORTHANC", port, start([executable, str(config)], folder, port), count)


STARTERS = {"medversa-node": start_node, "storescp": start_storescp, "Orthanc": start_orthanc}


@contextmanager
def running(folder: Path) -> Iterator[list[Receiver]]:
    """Start every receiver that is installed; stop all on the way out."""
    needed = {"medversa-node": sys.executable, "storescp": "storescp", "Orthanc": "Orthanc"}
    receivers: list[Receiver] = []
    try:
        for name, starter in STARTERS.items():
            if shutil.which(needed[name]) is None:
                print(f"{name} is not installed: left out")
                continue
            (folder / name).mkdir()
            receivers.append(starter(folder / name))
        yield receivers
    finally:
        for receiver in receivers:
            receiver.process.send_signal(signal.SIGTERM)
        for receiver in receivers:
            with suppress(subprocess.TimeoutExpired):
                receiver.process.wait(30)


def measure(receiver: Receiver, folders: Sequence[Path], expected: int) -> float:
    """Send every folder with a sender of its own, all at once; return instances per second."""
    before = receiver.count_kept()
    # What the receiver before left unwritten would be charged to the first one that waits for the disk.
    os.sync()
    storescu = ("storescu", "--scan-directories")
    begin = time.perf_counter()
    senders = [
        subprocess.Popen(
            [*storescu, "-aec", receiver.ae_title, "127.0.0.1", str(receiver.port), str(folder)],
            env=ENVIRONMENT,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
        )
        for folder in folders
    ]
    failures = [
        error
        for sender in senders
        if sender.wait() != 0 and sender.stderr and (error := sender.stderr.read())
    ]
    seconds = time.perf_counter() - begin
    kept = receiver.count_kept() - before
    if failures or kept != expected:
        raise SystemExit(f"{receiver.name}: {kept} of {expected} kept; {failures[:1]}")
    return expected / seconds


def resident_peak_mb(process: subprocess.Popen[bytes]) -> float:
    status = Path(f"/proc/{process.pid}/status").read_text()
    return next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM")) / 1024


def run(folder: Path, rounds: int) -> list[Receiver]:
    serial = itertools.count()
    with running(folder) as receivers:
        for load, senders, _ in itertools.product(LOADS, SENDERS, range(rounds)):
            for receiver in receivers:
                # New instances every time: a receiver that has an instance already does less.
                sources = [folder / "source" / f"{next(serial)}" for _ in range(senders)]
                for number, source in enumerate(sources):
                    write_instances(source, load, number)
                rate = measure(receiver, sources, load.count * senders)
                receiver.rates.setdefault(f"{load.name}, {senders} sender(s)", []).append(rate)
                receiver.peak_mb = max(receiver.peak_mb, resident_peak_mb(receiver.process))
                shutil.rmtree(folder / "source")
        return receivers


def sync_ms(folder: Path) -> float:
    """Return the milliseconds in which this disk makes 512 kB durable: the floor under our answers."""
    times: list[float] = []
    content = os.urandom(1 << 19)
    for number in range(20):
        with (folder / f"sync{number}").open("wb") as file:
            file.write(content)
            file.flush()
            begin = time.perf_counter()
            os.fsync(file.fileno())
            times.append((time.perf_counter() - begin) * 1000)
    return statistics.median(times)


def report(receivers: Sequence[Receiver], floor_ms: float) -> None:
    ours, *others = receivers
    print(f"{platform.platform()}, {os.cpu_count()} cores, Python {platform.python_version()}")
    for program in (["storescp", "--version"], ["Orthanc", "--version"]):
        if shutil.which(program[0]):
            print(subprocess.run(program, capture_output=True, text=True, check=True).stdout.splitlines()[0])
    load = os.getloadavg()[0]
    print(f"load average {load:.1f}; one fsync of 512 kB takes {floor_ms:.1f} ms")
    print("medians, instances per second; only ours is durable\n")
    for case, rates in ours.rates.items():
        own = statistics.median(rates)
        line = f"{case:28} {ours.name} {own:6.0f}"
        for other in others:
            rate = statistics.median(other.rates[case])
            line += f" | {own / rate:4.2f} x {other.name} {rate:6.0f}"
        print(line)
    print("\npeak memory MB: " + ", ".join(f"{r.name} {r.peak_mb:.0f}" for r in receivers))


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--out", type=Path, default=Path(".bench"), help="where the raw figures are kept")
    arguments = parser.parse_args()
    arguments.out.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(dir=arguments.out) as folder:
        receivers = run(Path(folder).resolve(), arguments.rounds)
        floor_ms = sync_ms(Path(folder))
    report(receivers, floor_ms)
    raw = {r.name: {"rates": r.rates, "peak_mb": r.peak_mb} for r in receivers}
    file = arguments.out / f"receive-{time.strftime('%Y%m%d-%H%M%S')}.json"
    file.write_text(
        json.dumps(
            {"loads": [asdict(load) for load in LOADS], "receivers": raw, "fsync_ms": floor_ms}, indent=1
        )
    )
    print(f"raw figures: {file}")


if __name__ == "__main__":
    main()
