"""Two hundred readings from a seed: each task on each side, with and without prior, on every kind of source.

One number makes one reading. Readings of one language, kind of source and presence of a prior come in pairs
that share the tasks out between them, so that every combination occurs; each task speaks of every side. The
last of each language does all tasks at once, with two priors or none.
"""

import random
from dataclasses import dataclass, field, replace
from itertools import product

import numpy as np
from pydicom.dataset import Dataset

from model.reading import (
    Answer,
    BoundingBox,
    Caption,
    Change,
    ChangeStatus,
    Comparison,
    Disagreement,
    Finding,
    Laterality,
    Mask,
    Modality,
    Narrative,
    Presence,
    Reading,
    Task,
)
from structured_reports.sources import PriorSource, Run, Sources
from tests.contract.structured_reports.round_trip.sentences import SENTENCES, Side
from tests.contract.structured_reports.round_trip.source_kinds import KINDS, geometry_of
from tests.unit.structured_reports.published_names import CHEST_IMAGENOME_FINDINGS, CHEST_IMAGENOME_STRUCTURES
from tests.unit.structured_reports.readings import MODEL, RUN, key, prior_of

COUNT = 200
SIDES: tuple[Side, ...] = (None, Laterality.LEFT, Laterality.RIGHT, Laterality.BILATERAL)
SETTINGS = tuple(product(SENTENCES, (False, True)))
"""Language, and whether there is a prior."""
PER_SETTING = COUNT // len(SETTINGS)
CERTAIN_STATUSES = (ChangeStatus.NEW, ChangeStatus.INCREASED, ChangeStatus.DECREASED, ChangeStatus.UNCHANGED)

FINDINGS = {
    Modality.CXR: CHEST_IMAGENOME_FINDINGS,
    Modality.CT: tuple(
        f"{place} {what}"
        for place in ("hepatic", "splenic", "renal", "pancreatic")
        for what in ("cyst", "mass", "calcification", "laceration")
    ),
    Modality.DERM: (
        *("actinic keratosis", "basal cell carcinoma", "benign keratosis", "dermatofibroma", "melanoma"),
        *("melanocytic nevus", "vascular lesion", "nodular prurigo", "lentigo", "wart", "tinea", "scar"),
        *("blue nevus", "abscess", "burn", "ulcer"),
    ),
}
"""Labels with and without a reviewed code."""
STRUCTURES = {
    Modality.CXR: CHEST_IMAGENOME_STRUCTURES,
    Modality.CT: ("liver", "spleen", "pancreas", "left kidney", "right kidney", "aorta", "spine"),
    Modality.DERM: ("skin", "skin lesion"),
}
ORGANS: dict[Modality, tuple[tuple[str, Side], ...]] = {
    Modality.CXR: (
        *(("heart", None), ("left lung", None), ("right lung", None), ("lung", Laterality.BILATERAL)),
        *(("pleural effusion", Laterality.LEFT), ("pneumothorax", Laterality.RIGHT)),
    ),
    Modality.CT: (
        *(("liver", None), ("spleen", Laterality.LEFT), ("right kidney", Laterality.RIGHT)),
        *(("kidneys", Laterality.BILATERAL), ("pancreas", None)),
    ),
    Modality.DERM: tuple(("skin lesion", side) for side in SIDES),
}


@dataclass(frozen=True, slots=True, eq=False)
class Case:
    """One generated reading with what it is written from."""

    number: int
    kind: str
    has_prior: bool
    language: str
    tasks: tuple[Task, ...]
    reading: Reading
    sources: Sources
    run: Run


def generated(number: int) -> Case:
    """Make reading `number`, 0 to 199; the same number always makes the same."""
    language, has_prior = SETTINGS[number // PER_SETTING]
    place = number % PER_SETTING
    is_whole = place == PER_SETTING - 1
    kinds = list(KINDS)
    kind = kinds[number % len(kinds) if is_whole else place // 2]
    # Both of a pair share the tasks out from the same shuffled list.
    tasks = list(Task)
    random.Random(number - place % 2).shuffle(tasks)
    chosen = tasks if is_whole else tasks[place % 2 :: 2]
    images = KINDS[kind].make()
    dates = ("20251201", "20250101")[: (2 if is_whole else 1) if has_prior else 0]
    priors = tuple(prior_of(images[0], date) for date in dates)
    drawing = _Drawing(random.Random(1000 + number), images, KINDS[kind].modality, language, priors)
    return Case(
        number,
        kind,
        has_prior,
        language,
        tuple(chosen),
        drawing.reading(chosen),
        Sources(tuple(images), priors),
        replace(RUN, language=language),
    )


@dataclass(slots=True, eq=False)
class _Drawing:
    """Draws the parts of one reading."""

    chance: random.Random
    images: list[Dataset]
    modality: Modality
    language: str
    priors: tuple[PriorSource, ...]
    labels: list[str] = field(init=False)
    """Names of findings that are still free: each is used once, so that statements cannot contradict."""

    def __post_init__(self) -> None:
        self.labels = list(FINDINGS[self.modality])
        self.chance.shuffle(self.labels)

    def reading(self, tasks: list[Task]) -> Reading:
        sentences = SENTENCES[self.language]
        findings: list[Finding] = []
        if Task.CLASSIFICATION in tasks:
            findings += [self._classified(side) for side in SIDES]
        if Task.PATHOLOGY_DETECTION in tasks:
            findings += [self._detected(side) for side in SIDES]
        return Reading(
            modality=self.modality,
            model=MODEL,
            tasks_done=tuple(tasks),
            narrative=self._narrative() if Task.REPORT in tasks else None,
            findings=tuple(findings),
            boxes=self._structures() if Task.ANATOMY_DETECTION in tasks else (),
            masks=self._masks() if Task.SEGMENTATION in tasks else (),
            comparisons=self._comparisons(findings) if Task.COMPARISON in tasks else (),
            answers=tuple(self._answer(side) for side in SIDES) if Task.VQA in tasks else (),
            caveats=(sentences.caveat,) if self.chance.random() < 0.5 else (),
            disagreements=tuple(self._contested(findings)),
            captions=(
                tuple(Caption(self._box("region", None), self._says("caption", side)) for side in SIDES)
                if Task.REGION_CAPTIONING in tasks
                else ()
            ),
        )

    def _says(self, part: str, side: Side) -> str:
        sentences = SENTENCES[self.language]
        sentence: str = getattr(sentences, part)
        return sentence.format(side=sentences.sides[side])

    def _narrative(self) -> Narrative:
        findings = "\n".join(self._says("finding", side) for side in SIDES)
        return Narrative(findings, " ".join(self._says("impression", side) for side in SIDES))

    def _classified(self, side: Side) -> Finding:
        presence = self.chance.choice(list(Presence))
        certainty = self.chance.choice([None, self.chance.random()])
        evidence = self._says("evidence", side) if self.chance.random() < 0.5 else ""
        return Finding(self.labels.pop(), presence, certainty, side, evidence)

    def _detected(self, side: Side) -> Finding:
        label, count = self.labels.pop(), self.chance.choice([1, 1, 2])
        boxes = tuple(self._box(label, side) for _ in range(count))
        presence = self.chance.choice([Presence.PRESENT, Presence.PRESENT, Presence.UNDETERMINED])
        severity = self.chance.choice([None, "tiny", "moderate", "large"])
        return Finding(
            label, presence, self.chance.random(), side, self._says("evidence", side), boxes, severity
        )

    def _contested(self, findings: list[Finding]) -> list[Disagreement]:
        other = {Presence.PRESENT: Presence.ABSENT}
        return [
            Disagreement(
                f.label,
                (("report text", f.presence), ("yes/no answer", other.get(f.presence, Presence.PRESENT))),
                f.presence,
            )
            for f in findings[:1]
            if self.chance.random() < 0.3
        ]

    def _structures(self) -> tuple[BoundingBox, ...]:
        """Box four structures, or so many that they leave the measurements."""
        known = STRUCTURES[self.modality]
        sideless = [label for label in known if not label.startswith(("left", "right"))]
        further = self.chance.sample(known, 8) if self.chance.random() < 0.2 and len(known) >= 8 else []
        return tuple(
            [self._box(self.chance.choice(sideless), side) for side in SIDES]
            + [self._box(label, None) for label in further]
        )

    def _box(self, label: str, side: Side) -> BoundingBox:
        """Draw a box of quarter pixels on any frame: SCOORD holds such numbers exactly."""
        image = self.chance.choice(self.images)
        frame = self.chance.randint(1, int(image.get("NumberOfFrames", 1)))
        low, high = [], []
        for size in (int(image.Rows), int(image.Columns)):
            ends = sorted(self.chance.sample(range(4 * size), 2))
            start = min(ends[0], 4 * size - 8)
            low.append(start / 4)
            high.append(max(ends[1], start + 8) / 4)
        return BoundingBox(label, key(image, frame), (low[0], low[1]), (high[0], high[1]), side)

    def _masks(self) -> tuple[Mask, ...]:
        """Mask every organ as one or two blobs, which may overlap; one mask of four is empty now and then."""
        masks = [self._mask(label, side) for label, side in ORGANS[self.modality]]
        if self.chance.random() < 0.3:
            masks[0] = replace(masks[0], voxels=np.zeros_like(masks[0].voxels))
        return tuple(masks)

    def _mask(self, label: str, side: Side) -> Mask:
        image = self.images[0]
        planes = [
            (each, frame)
            for each in self.images
            for frame in range(1, int(each.get("NumberOfFrames", 1)) + 1)
        ]
        geometry = geometry_of(self.images) if self.modality is Modality.CT else None
        if geometry is None:
            planes = [self.chance.choice(planes)]
        shape = (len(planes), int(image.Rows), int(image.Columns))
        voxels = np.zeros(shape, dtype=bool)
        for _ in range(self.chance.choice([1, 2])):
            voxels |= self._blob(shape)
        return Mask(label, voxels, tuple(key(ds, frame) for ds, frame in planes), geometry, side)

    def _blob(self, shape: tuple[int, ...]) -> np.ndarray:
        centre = [self.chance.randrange(size) for size in shape]
        radius = [1 + self.chance.random() * size / 3 for size in shape]
        grid = np.ogrid[tuple(slice(0, size) for size in shape)]
        parts = [((axis - c) / r) ** 2 for axis, c, r in zip(grid, centre, radius, strict=True)]
        return sum(parts[1:], start=parts[0]) <= 1

    def _comparisons(self, findings: list[Finding]) -> tuple[Comparison, ...]:
        return tuple(self._comparison(prior, findings) for prior in range(len(self.priors)))

    def _comparison(self, prior: int, findings: list[Finding]) -> Comparison:
        changes = [self._change_of(finding) for finding in findings] if prior == 0 else []
        changes += [
            Change(
                self.labels.pop(), self.chance.choice(list(ChangeStatus)), side, self._says("change", side)
            )
            for side in SIDES[prior:]
        ]
        return Comparison(prior, tuple(changes), " ".join(self._says("change", side) for side in SIDES))

    def _change_of(self, finding: Finding) -> Change:
        is_absent = finding.presence is Presence.ABSENT
        status = ChangeStatus.RESOLVED if is_absent else self.chance.choice(CERTAIN_STATUSES)
        return Change(finding.label, status, finding.laterality, self._says("change", finding.laterality))

    def _answer(self, side: Side) -> Answer:
        return Answer(Task.VQA, self._says("question", side), self._says("answer", side), (0.5, 0.75))
