"""What was measured on one real picture, and how a family is asked for it."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from model.families.family import Family
from model.protocol import questions_for
from model.reading import Modality, PriorImages, ReadingRequest, Task
from model.segments import mask_voxels
from model.volume import PlanarImage, Volume

Mask = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Example:
    """One value of one figure."""

    part: str
    """The table that it belongs to."""
    figure: str
    case: str
    """Names the picture; holds nothing that identifies a patient."""
    patient: str
    """Values of one patient are drawn together."""
    value: float


def masks_of(family: Family, modality: Modality, image: PlanarImage | Volume) -> Mapping[str, Mask]:
    """Ask for every organ that the weights know, as serving does; (K, J, I) each, empty where none came."""
    request = ReadingRequest(modality, (image,), (Task.SEGMENTATION,))
    questions = questions_for(request, family.vocabulary)
    answers = family.look(modality, [image]).answer(questions)
    shape = image.voxels.shape if isinstance(image, Volume) else (1, *image.pixels.shape[:2])
    found: dict[str, Mask] = {}
    for question, answer in zip(questions, answers, strict=True):
        (label,) = question.subjects
        whole = mask_voxels(answer.masks[0], label) if answer.masks else np.zeros(shape, np.bool_)
        found[label] = whole
    return found


def comparison_of(family: Family, current: PlanarImage, prior: PlanarImage, days: int) -> str:
    """Ask what changed, as serving does."""
    priors = (PriorImages((prior,), days),)
    request = ReadingRequest(Modality.CXR, (current,), (Task.COMPARISON,), priors)
    (question,) = questions_for(request, family.vocabulary)
    (answer,) = family.look(Modality.CXR, [current, prior]).answer([question])
    return answer.text
