"""Declines what the model cannot judge, from the pixels alone: headers lie, and phantoms taught it little.

The limits are wide: they stop blank, broken and foreign pictures, not unusual patients.
"""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from model.answers import is_frontal_chest, is_no_frontal_chest
from model.errors import AbstentionError
from model.families.family import Generation
from model.reading import Modality
from model.volume import PlanarImage, View, Volume

SURE = 0.8
"""Certainty at which the model's own "not a chest" is decisive. Of 100 foreign phantoms that it declines,
nearly all are above; real radiographs with many lines and tubes were seen just below."""

SMALLEST_SIDE = 64
"""Pixels; a smaller picture holds no anatomy."""

LEAST_CONTRAST = 0.02
"""Standard deviation of grey, 0 to 1, below which a picture is blank."""

FEWEST_LEVELS = 12
"""Distinct grey levels below which a picture is a drawing, a mask or text."""

LEAST_CORRELATION = 0.5
"""Between neighbouring pixels, below which a picture is noise; of radiographs it is above 0.9."""

LEAST_REDNESS = 0.8
"""Mean red over mean blue of a photograph of skin: usually above 1.1, under cold light hardly below 1."""

LUNG_SHARE = (0.04, 0.45)
"""Least and most of the image that one lung covers on a frontal radiograph."""

LUNG_RATIO = 3.5
"""Most that one lung is larger than the other before the masks are not believed."""

MIRRORED_HEART = -0.02
"""Shift of the heart from the middle of the lungs to the patient's left, in units of the distance between
their centres; usually 0.03 to 0.3. Less means a mirrored image, or a heart that is truly on the right."""

LUNG_OFFSET = 0.25
"""Most that the centres of the two lungs differ in height, as a share of the image's."""

LUNG_OVERLAP = 0.1
"""Most of the smaller lung that the other may cover."""

LEAST_COLOUR = 0.05
"""Mean difference between the channels of a picture, 0 to 1, from which it is in colour."""

_AIR_HU = -500
_TISSUE_HU = (-200, 300)
_TISSUE_SHARE = 0.03


def check_pixels(modality: Modality, images: Sequence[PlanarImage | Volume]) -> None:
    """Decline pictures without content.

    Raises:
        AbstentionError: there is no image, or one is of the wrong kind, too small, blank or without contrast.
    """
    if not images:
        raise AbstentionError("There is no image to read.")
    for image in images:
        if isinstance(image, Volume) != (modality is Modality.CT):
            raise AbstentionError("The images are not of the kind that was announced.")
        if isinstance(image, Volume):
            _check_volume(image)
        else:
            _check_planar(image.pixels)
            if modality is Modality.DERM:
                _check_skin(image.pixels)
            elif image.pixels.ndim == 3 and float(np.ptp(image.pixels, axis=-1).mean()) > LEAST_COLOUR:
                raise AbstentionError("The image is in colour, as no radiograph is.")
    first = images[0]
    if isinstance(first, PlanarImage) and first.view is View.LATERAL:
        raise AbstentionError("There is no frontal view.")


def check_gate_answers(answers: Sequence[Generation]) -> str | None:
    """Decline what the model itself takes in no wording of the question for a frontal chest radiograph.

    Of foreign pictures it says the same in any words; of radiographs that are unlike those it was taught,
    surely one thing in one wording and another in the next. A model that disagrees with itself, or is not
    sure, declines nothing: the doubt is returned as a caveat, and the check of the lungs has the last word.

    Raises:
        AbstentionError: no answer takes it for one, and one of them is none to the question or given with a
            certainty of at least `SURE`.
    """
    taken = [is_frontal_chest(answer.text) for answer in answers]
    if all(taken):
        return None
    is_decisive = any(a.certainty >= SURE or not is_no_frontal_chest(a.text) for a in answers)
    if is_decisive and not any(taken):
        raise AbstentionError("The image does not look like a frontal chest radiograph.")
    return "The model is not sure that this is a frontal chest radiograph."


def check_lungs(masks: Mapping[str, NDArray[np.bool_]]) -> None:
    """Decline a chest whose lungs are not where lungs are.

    `masks` holds (J, I) of `left lung` and `right lung` on the image as it is hung: the patient's left is on
    the image's right. A lung that is missing counts as empty.

    Raises:
        AbstentionError: a lung is missing, implausibly small or large, on the wrong side, or the two do not
            match in size or height, or lie over each other.
    """
    right, left = (_lung(masks, label) for label in ("right lung", "left lung"))
    centres = [np.argwhere(lung).mean(axis=0) / lung.shape for lung in (right, left)]
    if not centres[0][1] < centres[1][1]:
        raise AbstentionError("The lungs are on the wrong sides of the image.")
    sizes = sorted((int(right.sum()), int(left.sum())))
    if sizes[1] > LUNG_RATIO * sizes[0]:
        raise AbstentionError("The lungs differ implausibly in size.")
    if abs(centres[0][0] - centres[1][0]) > LUNG_OFFSET:
        raise AbstentionError("The lungs lie at implausibly different heights.")
    if int((right & left).sum()) > LUNG_OVERLAP * sizes[0]:
        raise AbstentionError("The lungs lie over each other.")


def _lung(masks: Mapping[str, NDArray[np.bool_]], label: str) -> NDArray[np.bool_]:
    mask = masks.get(label)
    if mask is None or not mask.any():
        raise AbstentionError(f"The {label} was not found.")
    share = float(mask.mean())
    if not LUNG_SHARE[0] <= share <= LUNG_SHARE[1]:
        raise AbstentionError(f"The {label} covers an implausible {share:.0%} of the image.")
    return mask


def check_lesion(masks: Mapping[str, NDArray[np.bool_]]) -> None:
    """Decline a photograph on which no lesion was found: a diagnosis would be of nothing.

    Raises:
        AbstentionError: there is no mask of a lesion.
    """
    if "lesion" not in masks:
        raise AbstentionError("No skin lesion was found.")


def heart_is_on_the_right(masks: Mapping[str, NDArray[np.bool_]]) -> bool:
    """Whether the heart lies on the other side of the lungs' middle; `masks` as `check_lungs` takes them.

    False also where one of the three is missing.
    """
    centres: list[float] = []
    for label in ("right lung", "left lung", "heart"):
        mask = masks.get(label)
        if mask is None or not mask.any():
            return False
        centres.append(float(np.nonzero(mask)[1].mean()))
    right, left, heart = centres
    return (heart - (left + right) / 2) / max(left - right, 1) < MIRRORED_HEART


def _check_planar(pixels: NDArray[np.float32]) -> None:
    if min(pixels.shape[:2]) < SMALLEST_SIDE:
        raise AbstentionError(f"The image is too small: {pixels.shape[1]} x {pixels.shape[0]} pixels.")
    if not np.isfinite(pixels).all():
        raise AbstentionError("The image holds values that are no numbers.")
    grey = pixels.mean(axis=-1) if pixels.ndim == 3 else pixels
    if float(grey.std()) < LEAST_CONTRAST:
        raise AbstentionError("The image is blank or has no contrast.")
    if _neighbour_correlation(grey) < LEAST_CORRELATION:
        raise AbstentionError("The image is noise.")
    step = max(1, min(grey.shape) // 512)
    if len(np.unique(np.rint(grey[::step, ::step] * 255))) < FEWEST_LEVELS:
        raise AbstentionError("The image has too few grey levels for a photograph or radiograph.")


def _check_skin(pixels: NDArray[np.float32]) -> None:
    if pixels.ndim != 3:
        raise AbstentionError("The photograph has no colours.")
    red, _, blue = pixels.mean(axis=(0, 1))
    if red < LEAST_REDNESS * blue:
        raise AbstentionError("The photograph has not the colours of skin.")


def _check_volume(volume: Volume) -> None:
    voxels = volume.voxels
    if min(voxels.shape[1:]) < SMALLEST_SIDE:
        raise AbstentionError(f"The slices are too small: {voxels.shape[2]} x {voxels.shape[1]} pixels.")
    sample = voxels[:: max(1, len(voxels) // 16), ::4, ::4]
    if not np.isfinite(sample).all():
        raise AbstentionError("The volume holds values that are no numbers.")
    tissue = (sample > _TISSUE_HU[0]) & (sample < _TISSUE_HU[1])
    if float(tissue.mean()) < _TISSUE_SHARE or float(sample[tissue].std()) < 1:
        raise AbstentionError("The volume holds hardly any soft tissue.")
    if float(sample.min()) > _AIR_HU:
        raise AbstentionError("The volume holds no air; its values are not Hounsfield units.")
    if _neighbour_correlation(voxels[len(voxels) // 2]) < LEAST_CORRELATION:
        raise AbstentionError("The volume is noise.")


def _neighbour_correlation(grey: NDArray[np.float32]) -> float:
    """Correlation of pixels with their right neighbours."""
    deviation = grey.astype(np.float64) - float(grey.mean())
    variance = float((deviation**2).mean())
    return float((deviation[:, :-1] * deviation[:, 1:]).mean()) / variance if variance else 0.0
