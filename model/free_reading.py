"""Concludes what a free answer says, by the tags and names that the model itself wrote."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from model.answers import diagnosis_in, labels_in, yes_or_no
from model.boxes import bounding_box, expected_side
from model.families.family import Generation
from model.free_answers import Boxed, Masked, free_answer
from model.gates import check_lungs, heart_is_on_the_right
from model.merging import Evidence, merge_findings
from model.protocol import prior_images
from model.questions import Question
from model.reading import (
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
    ReadingRequest,
    Task,
)
from model.report_language.changes import changes_in
from model.report_language.cleaning import clean_report
from model.report_language.statements import Statement, statements_in
from model.segments import mask_on_source, mask_voxels
from model.vocabulary import Vocabulary
from model.volume import PlanarImage, Volume

LESION = "lesion"
"""How a dermoscopy answer calls what it masks."""

_SEGMENT = re.compile(r"<[23]DSEG>")


@dataclass(slots=True)
class FreeReading:
    """What the answer to one question yields; `take` fills it."""

    request: ReadingRequest
    question: Question
    vocabulary: Vocabulary
    about_priors_only: bool = False
    """The words name images of priors and none of the current study."""
    region: BoundingBox | None = None
    """What a region caption is about."""
    caveats: list[str] = field(default_factory=list[str])
    done: dict[Task, None] = field(default_factory=dict[Task, None])
    evidence: Evidence = field(default_factory=Evidence)
    diagnosis: Finding | None = None
    anatomy: list[BoundingBox] = field(default_factory=list[BoundingBox])
    masks: list[Mask] = field(default_factory=list[Mask])
    comparison: Comparison | None = None
    narrative: Narrative | None = None
    captions: list[Caption] = field(default_factory=list[Caption])
    disagreements: list[Disagreement] = field(default_factory=list[Disagreement])

    @property
    def image(self) -> PlanarImage | Volume:
        """The image that boxes and masks belong to: one of the current study."""
        return self.request.images[self.question.images[0] if self.question.images else 0]

    @property
    def priors_shown(self) -> list[int]:
        """Which priors the question is about."""
        shown = set(self.question.images or ())
        priors = range(len(self.request.priors))
        return [n for n in priors if shown & set(prior_images(self.request, n))]

    @property
    def _told(self) -> tuple[str, ...]:
        """What sentences may speak of."""
        return (*self.vocabulary.chest_findings, *self.vocabulary.told_only)

    def findings(self) -> tuple[Finding, ...]:
        """Merge what was said; adds the caveats of disagreement."""
        merged = merge_findings(self.evidence, self.vocabulary)
        self.caveats += merged.caveats
        self.disagreements += merged.disagreements.values()
        return (*merged.findings, self.diagnosis) if self.diagnosis else tuple(merged.findings)

    def take(self, generation: Generation) -> None:
        """Read one answer.

        Raises:
            AbstentionError: masks show that the image is not what it was read as.
        """
        parsed = free_answer(generation.text)
        self.caveats += parsed.caveats
        if not generation.complete:
            self.caveats.append("The answer was cut at the length limit.")
        if parsed.value.boxed or parsed.value.masked:
            self._take_drawn(parsed.value.boxed, parsed.value.masked, generation)
        elif self.region is None and self.priors_shown:
            self._take_changes(generation.text)
        if parsed.value.words and self.comparison is None:
            self._take_words(parsed.value.words, complete=generation.complete)
        if not self.done:
            self.done[self.question.task] = None

    def _take_drawn(self, boxed: Sequence[Boxed], masked: Sequence[Masked], generation: Generation) -> None:
        tags = generation.text.count("<DET>"), len(_SEGMENT.findall(generation.text))
        if tags != (len(generation.boxes), len(generation.masks)):
            self.caveats.append("The answer has more or fewer boxes or masks than tags; all were left out.")
        elif self.about_priors_only:
            self.caveats.append("Boxes and masks of a prior were left out: ask about that study by itself.")
        else:
            for named in masked:
                self._take_mask(named, generation)
            for named in boxed:
                self._take_boxes(named, [generation.boxes[n] for n in named.tags])
            self._check_masks()

    def _take_mask(self, named: Masked, generation: Generation) -> None:
        label, image = named.name, self.image
        known = _organs(self.request.modality, self.vocabulary)
        probabilities = generation.masks[named.number]
        if isinstance(image, Volume):
            tag, grid = "<3DSEG>", image.voxels.shape
        else:
            tag, grid = "<2DSEG>", (1, *image.pixels.shape[:2])
        if label not in known:
            self.caveats.append("A mask of something that the model was not taught to mask was left out.")
            return
        self.done[Task.SEGMENTATION] = None
        if named.tag != tag or probabilities.shape != grid:
            self.caveats.append(f"The mask of {label} does not fit its image and was left out.")
            return
        voxels = mask_voxels(probabilities, label)
        if not voxels.any():
            self.caveats.append(f"The mask of {label} is empty and was left out.")
            return
        if isinstance(image, Volume) and (voxels[0].any() or voxels[-1].any()):
            self.caveats.append(
                f"The {label} may reach beyond the scanned slices; only the part inside was measured."
            )
        self.masks.append(mask_on_source(voxels, label, image))

    def _check_masks(self) -> None:
        """Lungs must lie where lungs are, each on its side."""
        if self.request.modality is not Modality.CXR:
            return
        hung = {mask.label: self.image.orientation.apply(mask.voxels)[0] for mask in self.masks}
        if {"left lung", "right lung"} <= hung.keys():
            check_lungs(hung)
            if heart_is_on_the_right(hung):
                self.caveats.append("The heart lies to the right: if the image is mirrored, sides are wrong.")
        wrong = {label for label, mask in hung.items() if expected_side(label) not in (None, _side_of(mask))}
        self.caveats += [f"The mask of {label} lies on the other side and was left out." for label in wrong]
        self.masks = [mask for mask in self.masks if mask.label not in wrong]

    def _take_boxes(self, named: Boxed, corners: Sequence[tuple[float, float, float, float]]) -> None:
        name, image = named.name, self.image
        is_finding = name in self.vocabulary.chest_findings
        if not isinstance(image, PlanarImage) or self.request.modality is not Modality.CXR:
            self.caveats.append("Boxes are drawn on radiographs only; those of the answer were left out.")
            return
        if not is_finding and name not in self.vocabulary.chest_structures:
            self.caveats.append("A box of something that the model was not taught to find was left out.")
            return
        self.done[Task.PATHOLOGY_DETECTION if is_finding else Task.ANATOMY_DETECTION] = None
        boxes: list[BoundingBox] = []
        for each in corners:
            box = bounding_box(name, each, image)
            if box is None:
                self.caveats.append(f"A box of {name} is empty or outside the image and was left out.")
            elif expected_side(name) not in (None, box.laterality):
                self.caveats.append(f"The box of {name} lies on the other side and was left out.")
            else:
                boxes.append(box)
        if not is_finding:
            self.anatomy += boxes
            if not named.tags:
                self.caveats.append(f"No {name} was found.")
        elif boxes or not named.tags:
            self.evidence.boxes[name] = boxes

    def _take_changes(self, text: str) -> None:
        """A comparison needs one prior that is known to be earlier; else the words stay words."""
        parsed = changes_in(text, self._told)
        if parsed.caveats or self.request.modality is not Modality.CXR:
            return
        if len(self.priors_shown) > 1:
            self.caveats.append(
                "The answer does not say which prior it compares with: name it by its <imgN>."
            )
            return
        (prior,) = self.priors_shown
        days = self.request.priors[prior].days_before
        if days is None or days < 0:
            self.caveats.append("No comparison: the order of the studies in time is not known.")
            return
        nothing = Change("chest", ChangeStatus.UNCHANGED, evidence=text.strip())
        self.comparison = Comparison(prior, parsed.value or (nothing,), text.strip())
        self.done[Task.COMPARISON] = None

    def _take_words(self, words: str, *, complete: bool) -> None:
        if yes_or_no(words) is not None:
            return
        if self.request.modality is Modality.CXR and self.region is None and self._take_labels(words):
            return
        cleaned = clean_report(words, complete=complete)
        if self.request.modality is Modality.DERM:
            self._take_diagnosis(cleaned.value)
        elif self.request.modality is Modality.CXR:
            self._take_statements(cleaned.value)
        if self.narrative is not None or statements_in(words, self._told):
            self.caveats += cleaned.caveats

    def _take_labels(self, words: str) -> bool:
        """A list names what is there; what it leaves out may not have been asked for."""
        parsed = labels_in(words, known=self.vocabulary.chest_findings)
        if parsed.caveats or parsed.value is None:
            return False
        named = [label for label in self.vocabulary.chest_findings if label in parsed.value]
        self.evidence.statements += [Statement(n, Presence.PRESENT, None, None, words) for n in named]
        self.done[Task.CLASSIFICATION] = None
        return True

    def _take_diagnosis(self, text: str) -> None:
        label = diagnosis_in(text, self.vocabulary.skin_lesions).value
        if label is None:
            return
        self.diagnosis = Finding(label, Presence.PRESENT, evidence=text)
        self.narrative = Narrative("", text)
        self.done[Task.CLASSIFICATION] = None

    def _take_statements(self, text: str) -> None:
        statements = statements_in(text, self._told)
        if self.region is not None:
            self._take_caption(self.region, text, statements)
            return
        self.evidence.statements += statements
        if statements:
            self.narrative = Narrative(text, "")
            self.done[Task.REPORT] = None

    def _take_caption(self, region: BoundingBox, text: str, statements: Sequence[Statement]) -> None:
        """What a region shows is there; what it does not show may be elsewhere."""
        opposite = {Laterality.LEFT: Laterality.RIGHT, Laterality.RIGHT: Laterality.LEFT}
        wrong = region.laterality and opposite[region.laterality]
        if wrong and any(statement.laterality is wrong for statement in statements):
            self.caveats.append("The description names the other side than its region and was left out.")
            return
        if text:
            self.captions.append(Caption(region, text))
        self.evidence.statements += [s for s in statements if s.presence is Presence.PRESENT]


def _organs(modality: Modality, vocabulary: Vocabulary) -> tuple[str, ...]:
    return {
        Modality.CXR: vocabulary.chest_organs,
        Modality.CT: vocabulary.abdominal_organs,
        Modality.DERM: (LESION,),
    }[modality]


def _side_of(mask: NDArray[np.bool_]) -> Laterality:
    """The patient's side of the middle of (J, I) on a hung radiograph."""
    middle = float(np.nonzero(mask)[1].mean()) / mask.shape[1]
    return Laterality.RIGHT if middle < 0.5 else Laterality.LEFT
