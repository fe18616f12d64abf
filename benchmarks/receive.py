"""Instances received per second: this node, a bare loop, DCMTK storescp and Orthanc, on the same files.

The receivers are measured in turn, round after round, so a busy machine hurts all alike. Senders are DCMTK
storescu processes. What a receiver has kept is counted afterwards; if one is missing the run fails. Ours
answers after file and index row are on stable storage, the bare loop (`benchmarks.bare_receiver`) after the
file is; storescp and Orthanc, as installed, do not wait. "delayed" is DCMTK without TCP_NODELAY at both ends.
Where other work keeps the processors busy, the processor time of an instance says more than the rate.

What is sent lies in memory where it can, and nothing is deleted on the disk before the end: for minutes after
it has lost thousands of files, ext4 looks long for a place for each new one. So wait as long before it is run
again.
"""

import argparse
import itertools
import json
import os
import platform
import shutil
import statistics
import subprocess
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from pydicom import Dataset, dcmwrite
from pydicom.dataset import FileMetaDataset
from pydicom.uid import (
    CTImageStorage,
    DigitalXRayImageStorageForPresentation,
    ExplicitVRLittleEndian,
    generate_uid,
)

from benchmarks.programs import Receiver, processor_s, resident_mb, running

ROUNDS = 3
MEMORY = Path("/dev/shm")  # noqa: S108 - folders in it get names of their own


@dataclass(frozen=True, slots=True)
class Load:
    """What is sent in one measurement."""

    name: str
    rows: int
    columns: int
    count: int
    """Instances of all senders together."""
    modality: str = "CT"


LOADS = (Load("CT 512x512", 512, 512, 400), Load("DX 2500x2000", 2500, 2000, 24, "DX"))
SENDERS = (1, 4, 8)
CLASSES = {"CT": CTImageStorage, "DX": DigitalXRayImageStorageForPresentation}


def write_instances(folder: Path, load: Load, sender: int, count: int) -> None:
    """Write one series of noise; noise, because a compressing receiver must not win by that."""
    folder.mkdir(parents=True)
    noise = np.random.default_rng(sender)
    study, series, frame = generate_uid(), generate_uid(), generate_uid()
    for number in range(count):
        ds = Dataset()
        ds.file_meta = FileMetaDataset()
        ds.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
        ds.SOPClassUID, ds.SOPInstanceUID = CLASSES[load.modality], generate_uid()
        ds.StudyInstanceUID, ds.SeriesInstanceUID, ds.FrameOfReferenceUID = study, series, frame
        ds.PatientID, ds.PatientName = f"BENCH{sender}", "Bench^Mark"
        ds.StudyDate, ds.StudyTime, ds.Modality = "20260101", "120000", load.modality
        ds.InstanceNumber, ds.SeriesNumber = number + 1, 1
        ds.ImagePositionPatient, ds.ImageOrientationPatient = [0, 0, number], [1, 0, 0, 0, 1, 0]
        ds.PixelSpacing, ds.SliceThickness = [0.7, 0.7], 1
        ds.Rows, ds.Columns, ds.SamplesPerPixel = load.rows, load.columns, 1
        ds.PhotometricInterpretation, ds.PixelRepresentation = "MONOCHROME2", 0
        ds.BitsAllocated, ds.BitsStored, ds.HighBit = 16, 12, 11
        ds.PixelData = noise.integers(0, 4096, (load.rows, load.columns), dtype=np.uint16).tobytes()
        dcmwrite(folder / f"{number:04}.dcm", ds, enforce_file_format=True)


def measure(receiver: Receiver, folders: Sequence[Path], expected: int) -> float:
    """Send every folder with a sender of its own, all at once; return instances per second."""
    before = receiver.count_kept()
    # What the receiver before left unwritten would be charged to the first one that waits for the disk.
    os.sync()
    # Each proposes what it sends, as a modality does: to agree about 128 contexts is another measurement.
    storescu = ("storescu", "--scan-directories", "--required")
    begin = time.perf_counter()
    senders = [
        subprocess.Popen(
            [*storescu, "-aec", receiver.ae_title, "127.0.0.1", str(receiver.port), str(folder)],
            env=receiver.environment,
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


def run(folder: Path, rounds: int) -> list[Receiver]:
    in_memory = MEMORY if os.access(MEMORY, os.W_OK) else folder
    with running(folder) as receivers, tempfile.TemporaryDirectory(dir=in_memory) as sending:
        take_turns(receivers, Path(sending), "first", LOADS[0], 1)
        for receiver in receivers:  # what a program loads at its first objects is not what is asked
            receiver.rates.clear()
            receiver.processor_ms.clear()
        for load, senders, number in itertools.product(LOADS, SENDERS, range(rounds)):
            take_turns(receivers, Path(sending), f"{load.modality}{senders}-{number}", load, senders)
        return receivers


def take_turns(receivers: Sequence[Receiver], sending: Path, name: str, load: Load, senders: int) -> None:
    """Send the same new instances to each: one that a receiver has already would cost it less."""
    sources = [sending / name / str(number) for number in range(senders)]
    for number, source in enumerate(sources):
        write_instances(source, load, number, load.count // senders)
    case = f"{load.name}, {senders}"
    for receiver in receivers:
        os.sync()  # what the one before has left unwritten is not for this one to wait for
        before = processor_s(receiver.process)
        rate = measure(receiver, sources, load.count)
        took_ms = (processor_s(receiver.process) - before) / load.count * 1000
        receiver.rates.setdefault(case, []).append(rate)
        receiver.processor_ms.setdefault(case, []).append(took_ms)
        receiver.peak_mb = max(receiver.peak_mb, resident_mb(receiver.process))
    shutil.rmtree(sending / name)


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
    print("medians, instances per second, ours as a multiple of each\n")
    print("| what, senders | ours | " + " | ".join(other.name for other in others) + " |")
    print("|---" * (len(receivers) + 1) + "|")
    for case, rates in ours.rates.items():
        own = statistics.median(rates)
        medians = [statistics.median(other.rates[case]) for other in others]
        print(f"| {case} | {own:.0f} | " + " | ".join(f"{own / m:.2f} x {m:.0f}" for m in medians) + " |")
    print("\nmedians, milliseconds of a processor that the receiver took for one instance\n")
    print("| what, senders | " + " | ".join(each.name for each in receivers) + " |")
    print("|---" * (len(receivers) + 1) + "|")
    for case in ours.rates:
        row = (f"{statistics.median(each.processor_ms[case]):.2f}" for each in receivers)
        print(f"| {case} | " + " | ".join(row) + " |")
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
    raw = {
        r.name: {"rates": r.rates, "processor_ms": r.processor_ms, "peak_mb": r.peak_mb} for r in receivers
    }
    file = arguments.out / f"receive-{time.strftime('%Y%m%d-%H%M%S')}.json"
    file.write_text(
        json.dumps(
            {"loads": [asdict(load) for load in LOADS], "receivers": raw, "fsync_ms": floor_ms}, indent=1
        )
    )
    print(f"raw figures: {file}")


if __name__ == "__main__":
    main()
