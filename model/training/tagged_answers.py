"""Answers that hold tags: what is boxed, and what is masked."""

from collections.abc import Mapping, Sequence

from model.answers import BOXES_PER_NAME
from model.reading import Modality
from model.training.phantoms.truth import Box


def detection_answer(names: Sequence[str], boxes: Mapping[str, Sequence[Box]]) -> tuple[str, tuple[Box, ...]]:
    """Write `NAME,<DET>.` or `NAME,<N/A>.` for each name, and give the boxes in the order of their tags.

    A name has one tag for each of its first boxes, sorted from the left; more than `BOXES_PER_NAME` are not
    told.
    """
    targets = [sorted(boxes.get(name, ())[:BOXES_PER_NAME]) for name in names]
    parts = [f"{n},{','.join(['<DET>'] * len(t)) or '<N/A>'}." for n, t in zip(names, targets, strict=True)]
    return "".join(parts), tuple(box for target in targets for box in target)


def segmentation_answer(modality: Modality, name: str, *, shown: bool) -> str:
    """Point to the mask of a structure by its tag, or say that it is not there."""
    if shown:
        return f"The segmentation mask of {name} is {'<3DSEG>' if modality is Modality.CT else '<2DSEG>'}."
    verb = "are" if name.endswith("s") else "is"
    return f"There {verb} no {name} in the {'volume' if modality is Modality.CT else 'image'}."
