"""Records of a prepared dataset as studies to be asked: what is known of each, in the words of serving."""

import hashlib
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from functools import cache, partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from model.evaluation.study import (
    Asked,
    BoxTruth,
    ChangeTruth,
    DiagnosisTruth,
    LabelsTruth,
    LabelTruth,
    MaskTruth,
    OpenTruth,
    Study,
    TextTruth,
    Truth,
)
from model.prompts import RegionBox, phrase, preface_text, without_control_tokens
from model.protocol import DETECTION_GROUP, order_text
from model.questions import Form, Question
from model.reading import ClinicalContext, Modality, Task
from model.training.datasets.pixels import (
    is_volume,
    load_picture,
    load_planar_mask,
    load_volume,
    load_volume_masks,
)
from model.training.datasets.prepared import PreparedDataset
from model.training.datasets.record import Record, RecordBox, RecordMask, Split
from model.vocabulary import ContextForm, Vocabulary
from model.volume import PlanarImage, Volume
from model.wordings import WORDINGS

Images = tuple[PlanarImage | Volume, ...]

DIFFERENCE = "difference"
"""The kind of question that a comparison with the prior asks."""

_FRONTAL = frozenset({"PA", "AP", "FRONTAL"})


def record_studies(
    dataset: PreparedDataset, split: Split, vocabulary: Vocabulary, unknown: Counter[str]
) -> Iterator[Study]:
    """Every record of a split; names that the weights were never taught are counted in `unknown`."""
    for record in dataset.records(split):
        yield RecordQuestions(record, vocabulary, unknown).study(dataset.source)


def digest_of(dataset: PreparedDataset) -> str:
    """Tells one preparation from another."""
    lines = "\n".join(shard.sha256 for shard in dataset.header.shards)
    return hashlib.sha256(lines.encode()).hexdigest()


class RecordQuestions:
    """Puts one record into questions of a vocabulary."""

    def __init__(self, record: Record, vocabulary: Vocabulary, unknown: Counter[str]) -> None:
        self.record, self.vocabulary, self.unknown = record, vocabulary, unknown
        frontal = [n for n, i in enumerate(record.images) if (i.view or "").upper() in _FRONTAL]
        every = tuple(range(len(record.images)))
        self.current = every if vocabulary.reads_every_view else tuple(frontal[:1]) or (0,)
        """Which images a question about the study shows."""

    def study(self, source: Path) -> Study:
        record = self.record
        images = cache(partial(_images, record, source))
        asked = [
            *self._words(),
            *self._labels(),
            *self._boxes(),
            *self._masks(source, images),
            *self._open(),
        ]
        return Study(record.record_id, record.modality, images, asked, record.study)

    def _words(self) -> Iterator[Asked]:
        record = self.record
        for form, text in (
            (Form.FINDINGS, record.findings),
            (Form.IMPRESSION, record.impression),
            (Form.REPORT, _whole(record)),
        ):
            if text:
                yield from self._ask(Task.REPORT, form, TextTruth(text))
        if record.change and record.priors:
            yield from self._ask(Task.COMPARISON, Form.DIFFERENCE, ChangeTruth(record.change))
        if record.diagnosis:
            yield from self._ask(Task.CLASSIFICATION, Form.DIAGNOSIS, DiagnosisTruth(record.diagnosis))

    def _labels(self) -> Iterator[Asked]:
        labels = {
            name: present
            for name, present in self.record.labels.items()
            if present is not None and self._knows(name, self.vocabulary.chest_findings)
        }
        if labels:
            present = frozenset(name for name, there in labels.items() if there)
            truth = LabelsTruth(present, frozenset(labels) - present)
            yield from self._ask(Task.CLASSIFICATION, Form.LABELS, truth)
        for name, there in labels.items():
            yield from self._ask(Task.CLASSIFICATION, Form.BINARY, LabelTruth(name, there), names=(name,))

    def _boxes(self) -> Iterator[Asked]:
        boxes = self.record.boxes
        for image in sorted({box.image for box in boxes}):
            mine = [box for box in boxes if box.image == image]
            anatomy, findings = ([box for box in mine if box.anatomy is kind] for kind in (True, False))
            yield from self._detect(Task.ANATOMY_DETECTION, anatomy, (), image)
            absent = [name for name, there in self.record.labels.items() if there is False]
            yield from self._detect(Task.PATHOLOGY_DETECTION, findings, absent, image)
            for box in mine:
                if box.caption:
                    truth = TextTruth(box.caption)
                    yield from self._ask(
                        Task.REGION_CAPTIONING, Form.REGION, truth, images=(image,), box=box.box
                    )

    def _detect(
        self, task: Task, boxes: Sequence[RecordBox], absent: Sequence[str], image: int
    ) -> Iterator[Asked]:
        """Ask for what is boxed, and for findings that are known to be absent."""
        anatomy = task is Task.ANATOMY_DETECTION
        taught = self.vocabulary.chest_structures if anatomy else self.vocabulary.chest_findings
        named = dict.fromkeys([*(box.label for box in boxes), *absent]) if boxes else {}
        names = [name for name in named if self._knows(name, taught)]
        for n in range(0, len(names), DETECTION_GROUP):
            group = tuple(names[n : n + DETECTION_GROUP])
            truth = BoxTruth({name: tuple(b.box for b in boxes if b.label == name) for name in group})
            yield from self._ask(task, Form.DETECTION, truth, names=group, images=(image,))

    def _masks(self, source: Path, images: Callable[[], Images]) -> Iterator[Asked]:
        taught = {
            Modality.CXR: self.vocabulary.chest_organs,
            Modality.CT: self.vocabulary.abdominal_organs,
            Modality.DERM: ("lesion",),
        }[self.record.modality]
        for mask in self.record.masks:
            if self._knows(mask.label, taught):
                truth = MaskTruth(partial(_voxels, source, mask, images))
                yield from self._ask(
                    Task.SEGMENTATION, Form.SEGMENTATION, truth, names=(mask.label,), images=(mask.image,)
                )

    def _open(self) -> Iterator[Asked]:
        for one in self.record.questions:
            if not (one.kind == DIFFERENCE and self.record.change):
                truth = OpenTruth(one.kind, one.answer)
                asked = without_control_tokens(one.question)
                yield from self._ask(Task.VQA, Form.VQA, truth, question=asked, images=one.images)

    def _ask(
        self,
        task: Task,
        form: Form,
        truth: Truth,
        *,
        names: tuple[str, ...] = (),
        question: str = "",
        box: RegionBox = (0.0, 0.0, 1.0, 1.0),
        images: tuple[int, ...] | None = None,
    ) -> Iterator[Asked]:
        """One question in the words of serving; none where serving has no words for it."""
        wordings = WORDINGS.get((self.record.modality, form))
        if not wordings:
            return
        shown = self.current if images is None else images
        earlier = range(len(self.record.images), len(self.record.shown)) if form is Form.DIFFERENCE else ()
        text = phrase(
            wordings[0],
            names=names,
            current=len(shown),
            priors=len(earlier),
            context=order_text(form, self.record.modality, _order(self.record), self.vocabulary),
            question=question,
            box=box,
        )
        yield Asked(
            Question(task, form, text, names, images=(*shown, *earlier), preface=self._preface()), truth
        )

    def _preface(self) -> str:
        if self.vocabulary.context_form is not ContextForm.PREFACE:
            return ""
        return preface_text(self.record.modality, _order(self.record))

    def _knows(self, name: str, taught: Sequence[str]) -> bool:
        known = name in taught
        if not known:
            self.unknown[name] += 1
        return known


def _order(record: Record) -> ClinicalContext:
    return ClinicalContext(record.age, record.sex, record.indication)


def _whole(record: Record) -> str:
    """Findings and impression in one, as a full report is told; empty unless both are there."""
    if not record.findings or not record.impression:
        return ""
    return f"Findings: {record.findings} Impression: {record.impression}"


def _images(record: Record, source: Path) -> Images:
    return tuple(
        load_volume(source, image) if is_volume(source, image) else load_picture(source, image)
        for image in record.shown
    )


def _voxels(source: Path, mask: RecordMask, images: Callable[[], Images]) -> NDArray[np.bool_]:
    image = images()[mask.image]
    if isinstance(image, Volume):
        return load_volume_masks(source, (mask,), image)[0]
    return load_planar_mask(source, mask, image)
