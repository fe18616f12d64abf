"""The public DICOM files beside the repository, as their manifest lists them; none where it is not there."""

import csv
from collections.abc import Iterator
from pathlib import Path

from tests.unit.structured_reports.readings import DATA

_NOT_DICOM = {".csv", ".gz", ".jpg", ".json", ".md", ".png", ".txt"}
_SERIES = ("ct/dcmqi_3slice", "ct/philips_tilt_phantom", "ct/totalseg_abdomen", "CT2", "CT2N", "CT5N")
"""Folders that hold one series; every other file is a study by itself."""
_PICTURES = (
    "Computed Radiography Image Storage",
    "Dermoscopic Photography Image Storage",
    "Digital X-Ray Image Storage - For Presentation",
    "Secondary Capture Image Storage",
)


def pictures() -> list[str]:
    """List the paths of single pictures of classes that the node reads, relative to the data folder."""
    return [row["file"] for row in _rows() if row["sop_class"] in _PICTURES and _is_flat(row)]


def _rows() -> list[dict[str, str]]:
    manifest = DATA / "MANIFEST.csv"
    if not manifest.exists():
        return []
    with manifest.open(encoding="utf-8", newline="") as lines:
        return [row for row in csv.DictReader(lines) if Path(row["file"]).suffix not in _NOT_DICOM]


def _is_flat(row: dict[str, str]) -> bool:
    return row["frames"] in {"", "1"} and int(row["rows"] or 0) > 8


def studies() -> dict[str, list[Path]]:
    """Group files that make one series; keys are paths of files or of folders."""
    found: dict[str, list[Path]] = {}
    for row in _rows():
        found.setdefault(_study_of(row["file"]), []).append(DATA / row["file"])
    return found


def _study_of(path: str) -> str:
    return next(_series_of(path), path)


def _series_of(path: str) -> Iterator[str]:
    folder = str(Path(path).parent)
    return (folder for name in _SERIES if folder == name or folder.endswith(f"/{name}"))
