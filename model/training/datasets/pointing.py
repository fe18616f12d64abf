"""Questions about places that a record knows: boxes to find, regions to describe, masks to draw."""

from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from model.answers import BOXES_PER_NAME
from model.prompts import without_control_tokens
from model.protocol import DETECTION_GROUP
from model.questions import Form
from model.reading import Modality, Task
from model.training.asking import ask, is_free
from model.training.datasets.record import Record
from model.training.instruction import Instruction
from model.training.phantoms.truth import Box
from model.training.tagged_answers import detection_answer, segmentation_answer
from model.vocabulary import Vocabulary

REGIONS = 4
"""Most regions of one record that are described at a time."""


def detections(record: Record, rng: np.random.Generator, vocabulary: Vocabulary) -> Iterator[Instruction]:
    """Ask for structures and for findings of each image that has boxes.

    What is asked and not there is a finding that the record denies; a structure or finding of which it says
    nothing is never asked.
    """
    for image in dict.fromkeys(box.image for box in record.boxes):
        for task, order in (
            (Task.ANATOMY_DETECTION, vocabulary.chest_structures),
            (Task.PATHOLOGY_DETECTION, vocabulary.chest_findings),
        ):
            boxes = _boxes(record, image, anatomy=task is Task.ANATOMY_DETECTION)
            absent = [] if task is Task.ANATOMY_DETECTION else _denied(record, order)
            known = {*boxes, *absent}
            if names := [*(n for n in order if n in known), *(n for n in boxes if n not in order)]:
                yield _detection(str(image), task, names, boxes, rng)


def regions(record: Record, rng: np.random.Generator) -> Iterator[Instruction]:
    """Ask what some of the captioned boxes show."""
    captioned = [box for box in record.boxes if box.caption]
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


def segmentations(record: Record, rng: np.random.Generator) -> Iterator[Instruction]:
    """Ask for each mask."""
    for mask in record.masks:
        yield Instruction(
            record.modality,
            Task.SEGMENTATION,
            Form.SEGMENTATION,
            (str(mask.image),),
            ask(record.modality, Form.SEGMENTATION, rng, names=(mask.label,)),
            segmentation_answer(record.modality, mask.label, shown=True),
            subjects=(mask.label,),
            mask=mask.label,
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


def _denied(record: Record, order: Sequence[str]) -> list[str]:
    return [name for name in order if record.labels.get(name) is False]


def _area(box: Box) -> float:
    return (box[2] - box[0]) * (box[3] - box[1])
