"""Bytes of a good file changed at random: each result is read, left out or faulty, and nothing falls."""

import io
from typing import Any

import numpy as np
import pydicom
import pytest
from pydicom.uid import JPEG2000Lossless, generate_uid

from model.imaging.selection import select_images

pytestmark = pytest.mark.filterwarnings("ignore")


def as_file(ds: pydicom.Dataset) -> bytes:
    ds.StudyInstanceUID, ds.SeriesInstanceUID = generate_uid(), generate_uid()
    buffer = io.BytesIO()
    pydicom.dcmwrite(buffer, ds, enforce_file_format=True)
    return buffer.getvalue()


def mutated(raw: bytes, rng: np.random.Generator) -> bytes:
    changed = bytearray(raw)
    for place in rng.integers(132, len(raw), rng.integers(1, 20)):
        changed[place] = rng.integers(256)
    return bytes(changed[: rng.integers(200, len(raw))] if rng.random() < 0.2 else changed)


@pytest.mark.parametrize("compressed", [False, True])
@pytest.mark.parametrize("seed", range(10))
def test_changed_bytes_never_raise(radiograph: Any, ct_slice: Any, compressed: bool, seed: int) -> None:
    rng = np.random.default_rng(seed)
    noise = rng.integers(0, 2000, (96, 96), dtype=np.uint16)
    film = radiograph(noise, WindowCenter=[40, 50], WindowWidth=[400, 90], PatientOrientation=["R", "F"])
    cut = ct_slice(0.0, noise)
    for ds in (film, cut) if compressed else ():
        ds.compress(JPEG2000Lossless)
    neighbours = [ct_slice(z, noise) for z in (5.0, 10.0)]
    for raw in (as_file(film), as_file(cut)) * 5:
        try:
            ds = pydicom.dcmread(io.BytesIO(mutated(raw, rng)), force=True)
        except (OSError, ValueError, AttributeError, KeyError, NotImplementedError, EOFError):
            continue  # the node refuses what cannot be parsed
        selection = select_images([ds, *neighbours])
        assert selection.images or selection.reason
