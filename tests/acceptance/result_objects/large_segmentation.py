"""Writes the segmentation of four organs on 300 slices of 512 x 512, and prints what that took.

Run by check 37 in a process of its own, so that the peak of memory is that of this work alone.
"""

import json
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np

from structured_reports.registry import write_results
from structured_reports.sources import Sources
from tests.acceptance.result_objects.objects import write
from tests.unit.structured_reports.readings import RUN, ct_reading, ct_slices, ellipse

SLICES, SIDE = 300, 512


def main(folder: Path) -> None:
    slices = ct_slices(SLICES)
    for ds in slices:
        ds.Rows = ds.Columns = SIDE
    reading = ct_reading(slices)
    pancreas = np.zeros_like(reading.masks[0].voxels)
    pancreas[100:150] = ellipse(slices[0], low=(0.75, 0.3), high=(0.85, 0.5))
    masks = (*reading.masks[:3], replace(reading.masks[3], voxels=pancreas))
    began = time.process_time()
    *_, segmentation, _ = write_results(replace(reading, masks=masks), Sources(tuple(slices)), RUN)
    took_s = time.process_time() - began
    path = write(segmentation, folder)
    said = {
        "type": segmentation.SegmentationType,
        "segments": len(segmentation.SegmentSequence),
        "processor_s": took_s,
        "bytes": path.stat().st_size,
        "peak_gib": peak_kib() / 2**20,
    }
    sys.stdout.write(json.dumps(said))


def peak_kib() -> int:
    """VmHWM of proc(5); getrusage also counts what the parent had before this program was its own."""
    status = Path("/proc/self/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0])


if __name__ == "__main__":
    main(Path(sys.argv[1]))
