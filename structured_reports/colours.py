"""One colour per label, the same in SEG, GSPS and pictures; chosen to stay apart for colour-blind readers."""

from structured_reports.codes import CONCEPTS, FINDING_KIND

RGB = tuple[int, int, int]

_ANATOMY: dict[str, RGB] = {
    "left lung": (86, 180, 233),
    "right lung": (0, 158, 115),
    "heart": (213, 94, 0),
    "trachea": (204, 121, 167),
    "aorta": (230, 159, 0),
    "spine": (240, 228, 66),
    "liver": (213, 94, 0),
    "spleen": (204, 121, 167),
    "kidney": (86, 180, 233),
    "kidneys": (86, 180, 233),
    "left kidney": (86, 180, 233),
    "right kidney": (0, 158, 115),
    "pancreas": (240, 228, 66),
    "skin lesion": (0, 220, 220),
}
KIND_COLOURS: dict[str, RGB] = {
    "lungs": (86, 180, 233),
    "heart and vessels": (230, 159, 0),
    "mediastinum and airways": (204, 121, 167),
    "bones and wall": (240, 228, 66),
    "abdomen and diaphragm": (0, 158, 115),
}
"""Of structures that have no colour of their own, by the part of the body they belong to."""

FINDING_COLOUR: RGB = (255, 80, 80)
"""Whatever is not anatomy."""

REGION_COLOUR: RGB = (240, 240, 240)
"""Of what a person asked about; it says nothing of what is there."""


def colour_of(label: str) -> RGB:
    """Give the display colour of a label as 8-bit sRGB."""
    kind = CONCEPTS[label].kind if label in CONCEPTS else FINDING_KIND
    return _ANATOMY.get(label) or KIND_COLOURS.get(kind, FINDING_COLOUR)
