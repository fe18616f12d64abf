"""An Orthanc that serves DICOMweb and the page of these tests at one address, and a browser to look at it."""

import json
import subprocess
import urllib.request
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from urllib.parse import urlencode

import numpy as np
from PIL import Image
from pydicom import dcmwrite
from pydicom.dataset import Dataset

from worker.demo.servers import Program, find_program, free_port

PLUGINS = Path("/usr/share/orthanc/plugins")
NEEDED_PLUGINS = ("libOrthancDicomWeb.so", "libServeFolders.so")
GDCM = "libOrthancGdcm.so"


@dataclass(frozen=True, slots=True)
class Archive:
    """A running Orthanc."""

    url: str

    def store(self, objects: Iterable[Dataset]) -> None:
        for ds in objects:
            file = BytesIO()
            dcmwrite(file, ds, enforce_file_format=True)
            self.ask("/instances", file.getvalue())

    def ask(self, path: str, body: bytes | None = None) -> bytes:
        with urllib.request.urlopen(f"{self.url}{path}", data=body, timeout=30) as answer:  # noqa: S310 (loopback)
            return answer.read()


@contextmanager
def running_archive(folder: Path, page: Path) -> Iterator[Archive]:
    """Start an Orthanc with GDCM where it is installed; `page` is the folder that it serves as /viewer."""
    executable = find_program("Orthanc", "orthanc")
    assert executable
    port = free_port()
    plugins = [PLUGINS / name for name in (*NEEDED_PLUGINS, GDCM)]
    configuration = {
        "StorageDirectory": str(folder / "store"),
        "IndexDirectory": str(folder / "store"),
        "HttpPort": port,
        "DicomServerEnabled": False,
        "RemoteAccessAllowed": False,
        "Plugins": [str(plugin) for plugin in plugins if plugin.exists()],
        "ServeFolders": {"/viewer": str(page)},
    }
    (folder / "orthanc.json").write_text(json.dumps(configuration))
    program = Program("Orthanc", [executable, str(folder / "orthanc.json")], folder / "orthanc.log")
    archive = Archive(f"http://127.0.0.1:{port}")
    program.start()
    try:
        program.wait_until(lambda: _answers(archive))
        yield archive
    finally:
        program.stop()


def _answers(archive: Archive) -> bool:
    try:
        return bool(archive.ask("/system"))
    except OSError:
        return False


@dataclass(frozen=True, slots=True)
class Browser:
    """Debian's Chromium without a window."""

    program: str
    folder: Path

    def look(self, archive: Archive, image: Dataset, frame_number: int = 1, scale: int = 4) -> np.ndarray:
        """Show one frame; give the screen over it, (scale * Rows, scale * Columns, 3) uint8."""
        query = urlencode(
            {
                "study": image.StudyInstanceUID,
                "image": image.SOPInstanceUID,
                "frame": frame_number,
                "scale": scale,
            }
        )
        shot = self.folder / "screen.png"
        rows, columns = scale * int(image.Rows), scale * int(image.Columns)
        command = [
            *(self.program, "--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"),
            *("--hide-scrollbars", "--force-device-scale-factor=1", "--force-color-profile=srgb"),
            *("--no-first-run", f"--user-data-dir={self.folder / 'profile'}", "--virtual-time-budget=60000"),
            # Part of the window's height may be a frame that is not in the picture.
            *(f"--window-size={max(columns, 500)},{rows + 300}", f"--screenshot={shot}"),
            f"{archive.url}/viewer/page.html?{query}",
        ]
        shot.unlink(missing_ok=True)
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
        assert shot.exists(), done.stderr[-1500:]
        with Image.open(shot) as picture:
            return np.asarray(picture.convert("RGB"))[:rows, :columns]
