"""What every result writer is given and gives."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from pydicom.dataset import Dataset

from model.reading import BoundingBox, Disagreement, Finding, Mask, Reading
from model.volume import FrameKey
from structured_reports.codes import REGIONS, concept_of
from structured_reports.errors import SourceError
from structured_reports.headers import patient_key
from structured_reports.sources import Run, Sources
from structured_reports.tracking import Tracker, Tracking


@dataclass(frozen=True, slots=True, eq=False)
class Draft:
    """One reading on its way into objects."""

    reading: Reading
    sources: Sources
    run: Run
    headers: Mapping[str, Dataset]
    """Normalised headers of everything that was read, by SOP Instance UID."""
    written: tuple[Dataset, ...] = ()
    """Finished objects of the writers before this one, which it may refer to."""

    @property
    def current(self) -> list[Dataset]:
        """Normalised headers of the current study, in the order of the sources."""
        return [self.headers[ds.SOPInstanceUID] for ds in self.sources.current]

    @property
    def tracker(self) -> Tracker:
        return Tracker(patient_key(self.current[0]), REGIONS[self.reading.modality])

    def header_of(self, frame: FrameKey) -> Dataset:
        """Find the normalised header of a frame of the current study.

        Raises:
            SourceError: no instance of the current study has that UID.
        """
        header = self.headers.get(frame.sop_instance_uid)
        if header is None or header.StudyInstanceUID != self.sources.current[0].StudyInstanceUID:
            raise SourceError("the reading speaks of an instance that is not among the current images")
        return header

    def source_of(self, sop_instance_uid: str) -> Dataset:
        """Find the untouched header of an instance.

        Raises:
            SourceError: it is not among the sources.
        """
        for ds in self.sources.all_instances():
            if ds.SOPInstanceUID == sop_instance_uid:
                return ds
        raise SourceError("an instance is not among the sources")

    def number_of(self, finding: Finding) -> int:
        """Count a finding among those of its label and side, from 1."""
        same = [
            f for f in self.reading.findings if (f.label, f.laterality) == (finding.label, finding.laterality)
        ]
        return 1 + next(place for place, each in enumerate(same) if each is finding)

    def contest_of(self, label: str) -> Disagreement | None:
        """Find how the model contradicts itself on a label; None where it does not."""
        return next((each for each in self.reading.disagreements if each.label == label), None)

    def tracked_structures(self) -> list[tuple[BoundingBox, Tracking]]:
        """Name every box of anatomy: two views show a structure twice."""
        seen: dict[tuple[str, str], int] = {}
        tracked: list[tuple[BoundingBox, Tracking]] = []
        for box in self.reading.boxes:
            concept = concept_of(box.label, REGIONS[self.reading.modality])
            key = (concept.code.value, concept.side(box.laterality) or "")
            seen[key] = seen.get(key, -1) + 1
            tracked.append((box, self.tracker.anatomy(box, seen[key])))
        return tracked

    def tracked_masks(self) -> list[tuple[Mask, Tracking]]:
        """Name every mask that holds anything; an empty one is no result."""
        seen: dict[tuple[str, str], int] = {}
        tracked: list[tuple[Mask, Tracking]] = []
        for mask in self.reading.masks:
            if not mask.voxels.any():
                continue
            key = (mask.label, mask.laterality or "")
            ordinal = seen.get(key, 0)
            seen[key] = ordinal + 1
            tracked.append((mask, self.tracker.mask(mask, ordinal)))
        return tracked


class Writer(Protocol):
    """Says one part of a reading in finished objects; none if there is nothing to say."""

    def __call__(self, draft: Draft) -> tuple[Dataset, ...]: ...
