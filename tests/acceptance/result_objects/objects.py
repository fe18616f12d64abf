"""The objects that the acceptance checks speak of, each freshly built from a Reading; nobody changes them."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

import numpy as np
from pydicom import dcmread, dcmwrite
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian

from model.reading import Narrative, Reading
from structured_reports.content_tree import name_code
from structured_reports.profiles import Profile
from structured_reports.registry import write_bundles
from structured_reports.sources import Sources
from tests.unit.structured_reports.readings import (
    RUN,
    box,
    chest_reading,
    ct_reading,
    ct_slices,
    dermoscopy,
    grown_nodule,
    header,
    prior_of,
    skin_reading,
    sources,
)

IMAGING_MEASUREMENT_REPORT = "126000"
KINDS = (Profile.FULL, Profile.LEGACY_SC, Profile.LEGACY_PDF)
"""Profiles that together have every kind of object."""


@dataclass(frozen=True, slots=True, eq=False)
class Bundle:
    """One study with every object that any profile makes of its reading."""

    reading: Reading
    sources: Sources
    results: tuple[Dataset, ...]

    def of(self, modality: str) -> list[Dataset]:
        return [ds for ds in self.results if ds.Modality == modality]

    @property
    def report(self) -> Dataset:
        """The one Imaging Measurement Report (TID 1500)."""
        (found,) = [ds for ds in self.of("SR") if name_code(ds) == IMAGING_MEASUREMENT_REPORT]
        return found

    @property
    def narrative(self) -> Dataset:
        (found,) = [ds for ds in self.of("SR") if name_code(ds) != IMAGING_MEASUREMENT_REPORT]
        return found


def with_pixels(ds: Dataset) -> Dataset:
    """Give a header pixels: dark on the image's left, brighter to the right, in every sample."""
    ramp = np.linspace(0, 2**ds.BitsStored - 1, int(ds.Columns)).astype(f"<u{ds.BitsAllocated // 8}")
    samples = np.repeat(np.tile(ramp, (int(ds.Rows), 1)), int(ds.SamplesPerPixel), axis=1)
    ds.PixelData = samples.tobytes()
    ds["PixelData"].VR = "OB" if ds.BitsAllocated == 8 else "OW"
    if ds.SamplesPerPixel == 3:
        ds.PlanarConfiguration = 0
    ds.file_meta = FileMetaDataset()
    ds.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    return ds


def built(reading: Reading, given: Sources, *profiles: Profile) -> Bundle:
    """Write what the profiles hold, each object once; by default one of every kind."""
    bundles = write_bundles(reading, given, RUN, profiles or KINDS)
    unique = {str(ds.SOPInstanceUID): ds for results in bundles.values() for ds in results}
    return Bundle(reading, given, tuple(unique.values()))


@cache
def chest() -> Bundle:
    """A radiograph with findings, boxes, masks, words and a prior that it is compared with."""
    ds = with_pixels(header())
    return built(chest_reading(ds, [grown_nodule()]), sources(ds, priors=[prior_of(ds)]))


@cache
def ct() -> Bundle:
    """A CT with three organs, one of them boxed on one slice."""
    slices = [with_pixels(ds) for ds in ct_slices()]
    return built(ct_reading(slices, boxes=(box("liver", slices[2]),)), sources(*slices))


@cache
def skin() -> Bundle:
    """A dermoscopic image with its class, the lesion boxed and masked."""
    ds = with_pixels(dermoscopy())
    reading = skin_reading(ds)
    first = replace(reading.findings[0], boxes=(box("melanocytic nevus", ds),))
    return built(replace(reading, findings=(first, *reading.findings[1:])), sources(ds))


BUNDLES: dict[str, Callable[[], Bundle]] = {"DX": chest, "CT": ct, "dermoscopy": skin}


def _bare(ds: Dataset) -> Reading:
    """The chest reading with its findings alone: no boxes, masks, words or comparison."""
    reading = chest_reading(ds)
    findings = tuple(replace(finding, boxes=()) for finding in reading.findings)
    return replace(reading, findings=findings, boxes=(), masks=(), narrative=Narrative("", ""), caveats=())


@cache
def findings_only() -> Bundle:
    ds = with_pixels(header())
    return built(_bare(ds), sources(ds))


@cache
def boxes_only() -> Bundle:
    """One box: PixelMed takes a report for TID 1410 only if it holds exactly one region."""
    ds = with_pixels(header())
    return built(replace(_bare(ds), findings=(), boxes=(chest_reading(ds).boxes[0],)), sources(ds))


@cache
def volumes_only() -> Bundle:
    slices = [with_pixels(ds) for ds in ct_slices()]
    return built(ct_reading(slices), sources(*slices))


def only(objects: Sequence[Dataset]) -> Dataset:
    (found,) = objects
    return found


OBJECTS: dict[str, Callable[[], Dataset]] = {
    "SR of findings": lambda: findings_only().report,
    "SR of boxes": lambda: boxes_only().report,
    "SR of volumes": lambda: volumes_only().report,
    "SR of everything": lambda: chest().report,
    "narrative SR": lambda: chest().narrative,
    "SEG of CT": lambda: only(ct().of("SEG")),
    "SEG of DX": lambda: only(chest().of("SEG")),
    "SEG of dermoscopy": lambda: only(skin().of("SEG")),
    "GSPS of DX": lambda: only(chest().of("PR")),
    "GSPS of CT": lambda: only(ct().of("PR")),
    "CSPS of dermoscopy": lambda: only(skin().of("PR")),
    "KOS": lambda: only(chest().of("KO")),
    "SC": lambda: chest().of("OT")[0],
    "PDF": lambda: only(chest().of("DOC")),
}
"""The thirteen objects of check 1, and the document that came after them."""

REPORTS: dict[str, Callable[[], Dataset]] = {
    "findings": lambda: findings_only().report,
    "boxes": lambda: boxes_only().report,
    "volumes": lambda: volumes_only().report,
    "DX": lambda: chest().report,
    "CT": lambda: ct().report,
    "dermoscopy": lambda: skin().report,
}
"""Every TID 1500 report."""


def every_result() -> list[Dataset]:
    """List the objects of all bundles."""
    return [ds for make in BUNDLES.values() for ds in make().results]


def write(ds: Dataset, folder: Path) -> Path:
    path = folder / f"{ds.Modality}_{ds.SOPInstanceUID}.dcm"
    if ds.get("SOPInstanceUID") and "MediaStorageSOPClassUID" not in ds.file_meta:
        ds.file_meta.MediaStorageSOPClassUID = ds.SOPClassUID
        ds.file_meta.MediaStorageSOPInstanceUID = ds.SOPInstanceUID
    dcmwrite(path, ds, enforce_file_format=True)
    return path


def received(ds: Dataset, folder: Path) -> Dataset:
    """Write a source and read it back, so that its texts are bytes in its own character set."""
    return dcmread(write(with_pixels(ds), folder))
