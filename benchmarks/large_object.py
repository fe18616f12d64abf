"""Memory of receivers while one object of 400 MB comes in: this node, DCMTK storescp and Orthanc.

Resident memory of all processes of a program together, before and at its highest while a storescu sends.
"""

import argparse
import os
import platform
import subprocess
import tempfile
import threading
import time
from pathlib import Path

from benchmarks.programs import Receiver, resident_mb, running
from benchmarks.receive import Load, write_instances

COMPARED = ("medversa-node", "storescp", "Orthanc")
EVERY_S = 0.02


class Watch:
    """Samples the memory of a program until it is told to stop."""

    def __init__(self, receiver: Receiver) -> None:
        self._receiver = receiver
        self._stop = threading.Event()
        self.before_mb = self.peak_mb = resident_mb(receiver.process)
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def _run(self) -> None:
        while not self._stop.wait(EVERY_S):
            self.peak_mb = max(self.peak_mb, resident_mb(self._receiver.process))

    def stop(self) -> None:
        self._stop.set()
        self._thread.join()


def send(receiver: Receiver, folder: Path) -> None:
    address = ["-aec", receiver.ae_title, "127.0.0.1", str(receiver.port)]
    command = ["storescu", "--scan-directories", "--required", *address, str(folder)]
    subprocess.run(command, env=receiver.environment, check=True, stdout=subprocess.DEVNULL)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--megabytes", type=int, default=400)
    megabytes = parser.parse_args().megabytes
    print(f"{platform.platform()}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}\n")
    print(f"| receiver | before, MB | highest while {megabytes} MB come in | more | seconds |")
    print("|---|---|---|---|---|")
    Path(".bench").mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(dir=".bench") as name:
        folder = Path(name).resolve()
        write_instances(folder / "small", Load("CT", 512, 512, 1), 0, 1)
        # 16 bits a pixel, 8192 columns: 64 rows to a megabyte.
        write_instances(folder / "large", Load("large", 64 * megabytes, 8192, 1), 1, 1)
        with running(folder, COMPARED) as receivers:
            for receiver in receivers:
                send(receiver, folder / "small")
                watch = Watch(receiver)
                begin = time.perf_counter()
                send(receiver, folder / "large")
                seconds = time.perf_counter() - begin
                watch.stop()
                if receiver.count_kept() != 2:
                    raise SystemExit(f"{receiver.name} did not keep both objects")
                more = watch.peak_mb - watch.before_mb
                row = (f"{watch.before_mb:.0f}", f"{watch.peak_mb:.0f}", f"{more:.0f}", f"{seconds:.1f}")
                print(f"| {receiver.name} | " + " | ".join(row) + " |")


if __name__ == "__main__":
    main()
