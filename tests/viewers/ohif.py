"""OHIF's own reader, run in node: which files it is given, and what it made of them."""

import base64
import json
import subprocess
from collections.abc import Iterable
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from pydicom import dcmread, dcmwrite
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian

from model.volume import FrameKey

FOLDER = Path(__file__).parent
MODULES = FOLDER / "node_modules"


class NodeError(Exception):
    """A program of node failed; the message is what it printed."""


@dataclass(frozen=True, slots=True)
class Rectangle:
    """One rectangle that a reader may edit."""

    finding: str
    label: str | None
    sites: tuple[str, ...]
    frame: FrameKey
    corners: tuple[tuple[float, float], ...]
    """(column, row) of the source, from the outer corner of its first pixel."""
    area: tuple[float, str | None]


@dataclass(frozen=True, slots=True)
class Report:
    """What is made of one report."""

    listed: tuple[dict[str, Any], ...]
    """Measurements in the viewer's list, each with identifier, uid, labels, isDrawn."""
    rectangles: tuple[Rectangle, ...]
    complaints: tuple[str, ...]
    error: str | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Masks:
    """What is made of one segmentation."""

    by_label: dict[str, np.ndarray]
    """(frames of all images in their order, Rows, Columns) bool."""
    colours: dict[str, tuple[int, int, int]]
    error: str | None = None


def bundled(entry: str, output: Path, platform: str) -> Path:
    """Put a module and the readers inside OHIF into one file for node or for a browser."""
    _node(FOLDER / "build.mjs", str(FOLDER / entry), str(output), platform)
    return output


@dataclass(frozen=True, slots=True)
class Ohif:
    """The reader, bundled once."""

    program: Path

    def read(
        self, images: Iterable[Dataset], results: Iterable[Dataset], folder: Path
    ) -> tuple[tuple[Report, ...], tuple[Masks, ...]]:
        """Read the reports and segmentations among `results`, in their order."""
        sources = list(images)
        read = self._run(sources, results, folder)
        shape = (-1, int(sources[0].Rows), int(sources[0].Columns))
        return (
            tuple(_report(each) for each in read["reports"]),
            tuple(_masks(each, shape) for each in read["segmentations"]),
        )

    def correct(
        self, images: Iterable[Dataset], report: Dataset, folder: Path, shift: tuple[int, int]
    ) -> Dataset:
        """Have every measurement of a report moved by (columns, rows) and stored again by the viewer."""
        (stored,) = self._run(images, [report], folder, shift=shift)["corrected"]
        return dcmread(BytesIO(base64.b64decode(stored)))

    def _run(
        self, images: Iterable[Dataset], results: Iterable[Dataset], folder: Path, **more: object
    ) -> dict[str, Any]:
        written = list(results)
        given = {
            "images": [_file(ds, folder) for ds in images],
            "reports": [_file(ds, folder) for ds in written if ds.Modality == "SR"],
            "segmentations": [_file(ds, folder) for ds in written if ds.Modality == "SEG"],
            **more,
        }
        return json.loads(_node(self.program, given=json.dumps(given)))


def _node(program: Path, *arguments: str, given: str = "") -> str:
    done = subprocess.run(
        ["node", program, *arguments], input=given, capture_output=True, text=True, check=False, timeout=120
    )
    if done.returncode != 0:
        raise NodeError(done.stderr)
    return done.stdout


def _file(ds: Dataset, folder: Path) -> str:
    """Write an object, or the bare header of an image."""
    path = folder / f"{ds.SOPInstanceUID}.dcm"
    if not hasattr(ds, "file_meta"):
        ds.file_meta = FileMetaDataset()
        ds.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dcmwrite(path, ds, enforce_file_format=True)
    return str(path)


def _report(read: dict[str, Any]) -> Report:
    if "error" in read:
        return Report((), (), (), read["error"])
    rectangles = [_rectangle(each) for each in read["editable"] if each["type"] == "RectangleROI"]
    assert len(rectangles) == len(read["editable"]), "something else than a rectangle"
    return Report(tuple(read["listed"]), tuple(rectangles), tuple(read["complaints"]))


def _rectangle(read: dict[str, Any]) -> Rectangle:
    *_, uid, _, frame_number = read["imageId"].split("/")
    return Rectangle(
        read["finding"],
        read.get("label"),
        tuple(read["sites"]),
        FrameKey(uid, int(frame_number)),
        tuple((column, row) for column, row in read["points"]),
        (read["area"]["area"], read["area"].get("areaUnit")),
    )


def _masks(read: dict[str, Any], shape: tuple[int, int, int]) -> Masks:
    if "error" in read:
        return Masks({}, {}, read["error"])
    layers = [
        np.frombuffer(b"".join(base64.b64decode(image) for image in layer), np.uint8).reshape(shape)
        for layer in read["layers"]
    ]
    return Masks(
        {
            segment["label"]: np.any([layer == segment["number"] for layer in layers], axis=0)
            for segment in read["segments"]
        },
        {segment["label"]: tuple(segment["rgb"]) for segment in read["segments"]},
    )
