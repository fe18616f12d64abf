"""Says from the header how a radiograph was taken, and how it must be turned to be hung for reading."""

import re
from collections.abc import Mapping, Sequence

from pydicom.dataset import Dataset

from model.imaging.elements import items, text, values, words
from model.volume import UPRIGHT, Orientation, View

_FRONTAL = re.compile(r"\b(?:PA|AP|FRONTAL|POSTERO.?ANTERIOR|ANTERO.?POSTERIOR)\b")
_LATERAL = re.compile(r"\b(?:LAT|LATERAL|LL|RL)\b")
_OTHER = re.compile(r"\b(?:LLD|RLD|OBL|OBLI|OBLIQUE|LAO|RAO|LPO|RPO|DECUB\w*)\b")

_VIEW_CODES: Mapping[str, View] = {
    "399348003": View.FRONTAL,
    "272479007": View.FRONTAL,
    "399033003": View.FRONTAL,
    "R-10206": View.FRONTAL,
    "R-10214": View.FRONTAL,
    "R-10202": View.FRONTAL,
    "399067008": View.LATERAL,
    "399173006": View.LATERAL,
    "399198007": View.LATERAL,
    "R-10236": View.LATERAL,
    "R-10232": View.LATERAL,
    "R-102CD": View.LATERAL,
}
"""Codes of PS3.16 CID 4010, SNOMED CT and, for older objects, SNOMED-RT."""


def radiograph_view(ds: Dataset) -> View | None:
    """Which view the header names; None if it is neither of the two, or if the header contradicts itself."""
    series = words(ds, "SeriesDescription", "ProtocolName", "AcquisitionDeviceProcessingDescription")
    named = {
        _view_position(words(ds, "ViewPosition")),
        _coded_view(ds),
        _described_view(series),
        _directed_view(values(ds, "PatientOrientation")),
    } - {View.UNKNOWN}
    return View.UNKNOWN if not named else named.pop() if len(named) == 1 else None


def _view_position(position: str) -> View | None:
    if not position:
        return View.UNKNOWN
    if _OTHER.search(position):
        return None
    if _FRONTAL.search(position):
        return View.FRONTAL
    return View.LATERAL if _LATERAL.search(position) else None


def _coded_view(ds: Dataset) -> View | None:
    """By meaning, which a human chose, before code: writers are seen to pair a meaning with a wrong code."""
    for item in items(ds, "ViewCodeSequence"):
        meant = _described_view(words(item, "CodeMeaning"))
        return _VIEW_CODES.get(text(item, "CodeValue"), meant) if meant is View.UNKNOWN else meant
    return View.UNKNOWN


def _described_view(description: str) -> View | None:
    """A description of a whole series may name several views and then names none."""
    frontal, lateral = _FRONTAL.search(description), _LATERAL.search(description)
    if _OTHER.search(description) and not frontal:
        return None
    if bool(frontal) == bool(lateral):
        return View.UNKNOWN
    return View.FRONTAL if frontal else View.LATERAL


def _directed_view(patient_orientation: Sequence[str]) -> View:
    if states_hanging(patient_orientation):
        return View.FRONTAL
    sides = len(patient_orientation) == 2 and any(one[:1] in ("A", "P") for one in patient_orientation)
    return View.LATERAL if sides else View.UNKNOWN


def frontal_orientation(patient_orientation: Sequence[str]) -> Orientation:
    """How a frontal image must be turned so that rows run to the patient's left and columns to the feet.

    `patient_orientation` is Patient Orientation (PS3.3 C.7.6.1.1.1): the directions of the rows and of the
    columns, the main one first (`LF` is left, a little towards the feet). What names no frontal view leaves
    the image as it is.
    """
    if not states_hanging(patient_orientation):
        return UPRIGHT
    row, column = (direction[:1] for direction in patient_orientation)
    if row in "LR":
        return Orientation(rows_flipped=column == "H", columns_flipped=row == "R")
    return Orientation(transposed=True, rows_flipped=row == "H", columns_flipped=column == "R")


def lateral_orientation(patient_orientation: Sequence[str]) -> Orientation:
    """How a lateral image must be rotated so that the head is up.

    It is never mirrored: whether the patient looks to the left or to the right tells the side that was next
    to the detector.
    """
    row, column = ([direction[:1] for direction in patient_orientation] + ["", ""])[:2]
    if row in ("A", "P") and column in ("F", "H"):
        upside_down = column == "H"
        return Orientation(rows_flipped=upside_down, columns_flipped=upside_down)
    if row in ("F", "H") and column in ("A", "P"):
        return Orientation(transposed=True, rows_flipped=row == "H", columns_flipped=row == "F")
    return UPRIGHT


def states_hanging(patient_orientation: Sequence[str]) -> bool:
    """Whether Patient Orientation fixes left and right, head and feet of a frontal image."""
    axes = ["LR" if direction[:1] in "LR" else "FH" for direction in patient_orientation]
    known = all(direction[:1] in ("L", "R", "F", "H") for direction in patient_orientation)
    return known and sorted(axes) == ["FH", "LR"]
