"""Reads the files named on standard input, one a line, in little memory; prints what became of each as JSON.

A file that ends or stalls this process shows by its line missing. Run by `test_every_file_in_a_child.py`.
"""

import json
import logging
import resource
import sys
import time
import warnings
from pathlib import Path
from typing import Any

from pydicom import dcmread

from model.errors import PixelError
from model.imaging.elements import MALFORMED
from model.imaging.pixels import planar_image_from_dataset
from model.imaging.selection import select_images

MOST_BYTES = 2 * 2**30


def outcome(path: Path) -> dict[str, Any]:
    """What the walk's hop 5 makes of one file: `read`, or `reason`; and whether its first frame renders."""
    try:
        ds = dcmread(path, force=True)
        ds.get("SOPClassUID")
    except (*MALFORMED, OSError, MemoryError) as exc:
        return {"read": False, "reason": f"no data set: {type(exc).__name__}"}
    selection = select_images([ds])
    found: dict[str, Any] = {"read": bool(selection.images), "reason": selection.reason}
    try:
        pixels = planar_image_from_dataset(ds).pixels
        found["range"] = [float(pixels.min()), float(pixels.max())]
    except PixelError as exc:
        found["unrendered"] = str(exc)
    return found


def peak_bytes() -> int:
    """VmHWM of proc(5); getrusage also counts what the parent had before this program was its own."""
    status = Path("/proc/self/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0]) * 1024


def main() -> None:
    resource.setrlimit(resource.RLIMIT_AS, (MOST_BYTES, MOST_BYTES))
    warnings.simplefilter("ignore")
    logging.disable(logging.CRITICAL)
    for line in sys.stdin:
        path, started = Path(line.strip()), time.monotonic()
        found = outcome(path) | {"path": str(path), "seconds": time.monotonic() - started}
        found["peak_bytes"] = peak_bytes()
        print(json.dumps(found), flush=True)  # noqa: T201  # the parent reads it


if __name__ == "__main__":
    main()
