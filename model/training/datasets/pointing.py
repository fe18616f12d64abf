"""Questions about places that a record knows: boxes to find, regions to describe, masks to draw."""

from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from model.answers import BOXES_PER_NAME
from model.prompts import without_control_tokens
from model.protocol import DETECTION_GROUP
from model.questions import Form
from model.reading import Modality, Task
from model.training.asking import ask, is_free
from model.training.datasets.facts import Facts
from model.training.datasets.record import Record
from model.training.instruction import Instruction
from model.training.phantoms.truth import Box
from model.training.tagged_answers import detection_answer, segmentation_answer

REGIONS = 4
"""Most regions of one record that are described at a time."""


def detections(facts: Facts, rng: np.random.Generator, *, anatomy: bool) -> Iterator[Instruction]:
    """Ask for the structures, or the findings, of each image that has boxes.

    What is asked and not there is a finding that the record denies; a structure or finding of which it says
    nothing is never asked.
    """
    record, vocabulary = facts.record, facts.vocabulary
    order = vocabulary.chest_structures if anatomy else vocabulary.chest_findings
    denied = () if anatomy else {name for name, said in record.labels.items() if said is False}
    for image in dict.fromkeys(box.image for box in record.boxes):
        boxes = _boxes(record, image, anatomy=anatomy)
        known = [name for name in order if name in boxes or name in denied]
        known += [name for name in boxes if name not in order]
        if known:
            task = Task.ANATOMY_DETECTION if anatomy else Task.PATHOLOGY_DETECTION
            yield _detection(str(image), task, known, boxes, rng)


def regions(facts: Facts, rng: np.random.Generator) -> Iterator[Instruction]:
    """Ask what some of the captioned boxes show."""
    captioned = [box for box in facts.record.boxes if without_control_tokens(box.caption or "")]
    for n in rng.permutation(len(captioned))[:REGIONS]:
        box = captioned[int(n)]
        yield Instruction(
            Modality.CXR,
            Task.REGION_CAPTIONING,
            Form.REGION,
            (str(box.image),),
            ask(Modality.CXR, Form.REGION, rng, box=box.box),
            without_control_tokens(box.caption or ""),
            region=box.box,
        )


def segmentations(facts: Facts, rng: np.random.Generator) -> Iterator[Instruction]:
    """Ask for each structure that is masked; several masks of one structure of an image are one."""
    modality = facts.record.modality
    for image, label in dict.fromkeys((mask.image, mask.label) for mask in facts.record.masks):
        yield Instruction(
            modality,
            Task.SEGMENTATION,
            Form.SEGMENTATION,
            (str(image),),
            ask(modality, Form.SEGMENTATION, rng, names=(label,)),
            segmentation_answer(modality, label, shown=True),
            subjects=(label,),
            mask=label,
        )


def _detection(
    image: str, task: Task, known: Sequence[str], boxes: Mapping[str, Sequence[Box]], rng: np.random.Generator
) -> Instruction:
    """Half of the questions name neighbours in order, as serving does; the others a few in any order."""
    if free := is_free(rng):
        names = (known[int(rng.integers(len(known)))],)
    elif rng.random() < 0.5:
        start = DETECTION_GROUP * int(rng.integers(-(-len(known) // DETECTION_GROUP)))
        names = tuple(known[start : start + DETECTION_GROUP])
    else:
        most = min(len(known), DETECTION_GROUP)
        drawn = rng.permutation(len(known))[: rng.integers(1, most + 1)]
        names = tuple(known[int(n)] for n in drawn)
    question = ask(Modality.CXR, Form.DETECTION, rng, names=names, free=free)
    answer, told = detection_answer(names, boxes)
    return Instruction(
        Modality.CXR, task, Form.DETECTION, (image,), question, answer, boxes=told, subjects=names
    )


def _boxes(record: Record, image: int, *, anatomy: bool) -> dict[str, list[Box]]:
    """The boxes of each name, smallest first: of one finding in nested structures the closest are told."""
    found: dict[str, list[Box]] = {}
    for box in record.boxes:
        if box.image == image and box.anatomy is anatomy:
            found.setdefault(box.label, []).append(box.box)
    return {name: sorted(dict.fromkeys(boxes), key=_area)[:BOXES_PER_NAME] for name, boxes in found.items()}


def _area(box: Box) -> float:
    return (box[2] - box[0]) * (box[3] - box[1])
