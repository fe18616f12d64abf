"""The fourteen observations of CheXpert (Irvin 2019), as tables of labels name them and as records do."""

from collections.abc import Mapping

from model.errors import RowError

OBSERVATIONS: Mapping[str, str] = {
    "Atelectasis": "atelectasis",
    "Cardiomegaly": "enlarged cardiac silhouette",
    "Consolidation": "consolidation",
    "Edema": "pulmonary edema/hazy opacity",
    "Enlarged Cardiomediastinum": "enlarged cardiomediastinum",
    "Fracture": "fracture",
    "Lung Lesion": "lung lesion",
    "Lung Opacity": "lung opacity",
    "No Finding": "no finding",
    "Pleural Effusion": "pleural effusion",
    "Pleural Other": "pleural other",
    "Pneumonia": "pneumonia",
    "Pneumothorax": "pneumothorax",
    "Support Devices": "support devices",
}
"""Spelled as `model.vocabulary` does where it has a name for the same thing."""

_VALUES: Mapping[str, bool | None] = {"1": True, "0": False, "-1": None}


def observed(cells: Mapping[str, str]) -> dict[str, bool | None]:
    """Read one row of a table of labels: 1.0 present, 0.0 absent, -1.0 uncertain; blank is not named.

    Raises:
        RowError: a cell holds anything else.
    """
    told = {name: cells.get(column, "").strip() for column, name in OBSERVATIONS.items()}
    try:
        return {name: _VALUES[value.removesuffix(".0")] for name, value in told.items() if value}
    except KeyError:
        raise RowError("a label is neither 1, 0 nor -1") from None
