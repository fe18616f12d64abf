"""A prepared dataset as a source of a run: records are found by what they know, and read when drawn."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from model.errors import DatasetError, PixelError
from model.reading import Modality, Task
from model.training.datasets.facts import Facts
from model.training.datasets.instructing import lessons
from model.training.datasets.pixels import (
    is_volume,
    load_picture,
    load_planar_mask,
    load_volume,
    load_volume_masks,
)
from model.training.datasets.prepared import PreparedDataset
from model.training.datasets.record import Record
from model.training.datasets.record_index import Facts as Known
from model.training.datasets.record_index import RecordIndex
from model.training.instruction import Instruction
from model.training.runs.plan import Prepared
from model.training.runs.sources import TRAIN, VALIDATE
from model.training.sampling import Kind
from model.vocabulary import Vocabulary
from model.volume import PlanarImage, Volume
from model.weights import hash_of_hashes

TAUGHT_BY: dict[Kind, tuple[Known, ...]] = {
    (Modality.CXR, Task.REPORT): (Known.FINDINGS, Known.IMPRESSION),
    (Modality.CXR, Task.CLASSIFICATION): (Known.LABELS,),
    (Modality.CXR, Task.ANATOMY_DETECTION): (Known.ANATOMY_BOXES,),
    (Modality.CXR, Task.PATHOLOGY_DETECTION): (Known.FINDING_BOXES,),
    (Modality.CXR, Task.SEGMENTATION): (Known.MASKS,),
    (Modality.CXR, Task.COMPARISON): (Known.PRIORS | Known.CHANGE,),
    (Modality.CXR, Task.VQA): (Known.QUESTIONS,),
    (Modality.CXR, Task.REGION_CAPTIONING): (Known.CAPTIONS,),
    (Modality.DERM, Task.CLASSIFICATION): (Known.DIAGNOSIS,),
    (Modality.DERM, Task.SEGMENTATION): (Known.MASKS,),
    (Modality.CT, Task.SEGMENTATION): (Known.MASKS,),
}
"""What a record must know to teach a task: all facts of any of these."""


@dataclass(frozen=True, slots=True, eq=False)
class RecordSource:
    """A prepared folder."""

    records: Mapping[str, RecordIndex]
    """By split."""
    vocabulary: Vocabulary
    """Names that the weights know."""
    most: int | None
    """Records of each split that are used."""

    @classmethod
    def opened(cls, plan: Prepared, vocabulary: Vocabulary) -> "RecordSource":
        """Open a folder and check the digest of every shard.

        Raises:
            DatasetError: the folder is not whole or was altered.
        """
        dataset = PreparedDataset(plan.prepared, plan.source)
        if altered := dataset.verify():
            name = plan.prepared.name
            raise DatasetError(f"missing or altered since {name} was prepared: {', '.join(altered)}")
        records = {TRAIN: RecordIndex(dataset, TRAIN), VALIDATE: RecordIndex(dataset, VALIDATE)}
        return cls(records, vocabulary, plan.cases)

    def groups(self, split: str) -> Mapping[Kind, NDArray[np.intp]]:
        """See `Source.groups`."""
        records = self.records[split]
        used = np.arange(len(records)) < (len(records) if self.most is None else self.most)
        found: dict[Kind, NDArray[np.intp]] = {}
        for (modality, task), facts in TAUGHT_BY.items():
            knows = np.any([records.facts & fact == fact for fact in facts], axis=0)
            rows = np.flatnonzero(knows & used & records.of_modality(modality))
            if len(rows):
                found[modality, task] = rows
        return found

    def case(self, split: str, number: int) -> "RecordCase":
        """See `Source.case`."""
        records = self.records[split]
        return RecordCase(records.dataset.source, records[number], self.vocabulary)

    def described(self) -> dict[str, Any]:
        """See `Source.described`."""
        header = next(iter(self.records.values())).dataset.header
        most = float("inf") if self.most is None else self.most
        return {
            "name": f"{header.card.name} {header.card.version}",
            "licence": header.card.licence,
            "citation": header.card.citation,
            "cases": {split: int(min(len(records), most)) for split, records in self.records.items()},
            "sha256": hash_of_hashes({shard.file: shard.sha256 for shard in header.shards}),
        }


@dataclass(frozen=True, slots=True, eq=False)
class RecordCase:
    """One record; implements `TaughtCase`. Images are named by their place in `Record.shown`."""

    source: Path
    record: Record
    vocabulary: Vocabulary
    _loaded: dict[str, PlanarImage | Volume] = field(default_factory=dict[str, PlanarImage | Volume])

    def instructions(self, kind: Kind, rng: np.random.Generator) -> Sequence[Instruction]:
        """See `TaughtCase.instructions`."""
        modality, task = kind
        own = modality is self.record.modality
        return list(lessons(Facts(self.record, self.vocabulary), task, rng)) if own else []

    def image(self, name: str) -> PlanarImage | Volume:
        """See `TaughtCase.image`.

        Raises:
            ImagingError: its file cannot be read.
        """
        if name not in self._loaded:
            stored = self.record.shown[int(name)]
            load = load_volume if is_volume(self.source, stored) else load_picture
            self._loaded[name] = load(self.source, stored)
        return self._loaded[name]

    def mask(self, image: str, label: str) -> NDArray[np.bool_]:
        """See `TaughtCase.mask`. Several masks of one label are one.

        Raises:
            ImagingError: a file cannot be read or does not fit its image.
        """
        shown = self.image(image)
        masks = tuple(m for m in self.record.masks if m.label == label and m.image == int(image))
        if not masks:
            raise PixelError("a record has no mask of this label")
        if isinstance(shown, Volume):
            return np.logical_or.reduce(load_volume_masks(self.source, masks, shown))
        return np.logical_or.reduce([load_planar_mask(self.source, mask, shown) for mask in masks])
