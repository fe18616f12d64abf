"""Whether the sign of a change is told on real radiographs: of inserted lesions, of real consolidation."""

from collections.abc import Iterator, Mapping
from itertools import pairwise
from pathlib import Path

import numpy as np

from model.evaluation.transfer.example import Example, comparison_of
from model.evaluation.transfer.real_sets import RealPicture, dated_radiographs, masked_radiographs
from model.families.family import Family
from model.reading import Change, ChangeStatus
from model.report_language.changes import changes_in
from model.training.phantoms.insertion import Radiograph, insert_change
from model.training.phantoms.truth import ChangeTruth, ChestCase
from model.training.telling import visible_changes
from model.volume import FrameKey, PlanarImage

SIGN: Mapping[ChangeStatus, int] = {
    ChangeStatus.NEW: 1,
    ChangeStatus.INCREASED: 1,
    ChangeStatus.UNCHANGED: 0,
    ChangeStatus.DECREASED: -1,
    ChangeStatus.RESOLVED: -1,
}

_CALLED: Mapping[str, frozenset[str]] = {
    "lung nodule": frozenset({"lung nodule", "lung lesion", "mass/nodule (not otherwise specified)"}),
    "consolidation": frozenset({"consolidation", "airspace opacity", "lung opacity", "pneumonia"}),
}
"""What weights of either vocabulary may call an inserted finding."""

INSERTIONS = 100
"""Pairs of radiographs with a lesion."""

_DEFAULT_MM = 400.0
"""Field of view of a radiograph that does not tell its pixel spacing."""


def inserted_changes(family: Family, folder: Path) -> Iterator[Example]:
    """Signs of change of lesions inserted into pairs: one radiograph twice, and two dates, in turn.

    What really changed between two dates is not known and not marked. All backgrounds are of one patient: the
    interval tells how much the lesions differ, not how much people do.
    """
    real = dated_radiographs(folder)
    if len(real) < 2:
        return
    for seed in range(INSERTIONS):
        rng = np.random.default_rng([seed, 62])
        one, other = (real[int(n)] for n in rng.permutation(len(real))[:2])
        twice = seed % 2 == 0
        case = insert_change(seed, _radiograph(one), _radiograph(one if twice else other), days_between=30)
        yield from _marks(family, case, "one radiograph twice" if twice else "two dates")


def _marks(family: Family, case: ChestCase, background: str) -> Iterator[Example]:
    changes = visible_changes(case)
    if not changes or case.prior is None:
        return
    (change,) = changes
    pictures = [PlanarImage(view.pixels, FrameKey("1")) for view in (case.current, case.prior)]
    told = changes_in(
        comparison_of(family, pictures[0], pictures[1], case.days_between), family.vocabulary.chest_findings
    ).value
    name, part = f"inserted {case.seed}", "inserted lesions"
    for figure, value in (
        (f"sign of change, {background}", told_sign(told, change) == SIGN[change.status]),
        (f"sign of change, {change.label}", told_sign(told, change) == SIGN[change.status]),
        ("the inserted finding is spoken of", spoken_of(told, change)),
        ("something true or untrue is told", bool(told)),
    ):
        yield Example(part, figure, name, name, float(value))


def told_sign(told: tuple[Change, ...], change: ChangeTruth) -> int:
    """The sign that is told of a finding on its side; 0, as of what is unchanged, where nothing is told."""
    signs = [SIGN[one.status] for one in told if _is_of(one, change)]
    return signs[0] if len(set(signs)) == 1 else 0


def spoken_of(told: tuple[Change, ...], change: ChangeTruth) -> bool:
    return any(_is_of(one, change) for one in told)


def _is_of(told: Change, true: ChangeTruth) -> bool:
    called = _CALLED.get(true.label, frozenset({true.label}))
    return told.label in called and told.laterality in (None, true.laterality)


def consolidation_course(family: Family, folder: Path) -> Iterator[Example]:
    """Signs of change of consolidation that radiologists outlined at several dates of one patient."""
    for earlier, later in _intervals(masked_radiographs(folder)):
        before, now = (_share(picture) for picture in (earlier, later))
        sign = 0 if before and 0.8 < now / before < 1.25 else int(np.sign(now - before))
        text = comparison_of(family, later.image, earlier.image, later.day - earlier.day)
        told = changes_in(text, family.vocabulary.chest_findings).value
        true = ChangeTruth("consolidation", None, None, ChangeStatus.UNCHANGED)
        signs = {SIGN[one.status] for one in told if one.label in _CALLED[true.label]}
        case = f"{later.patient}, day {earlier.day} to {later.day}"
        right = signs == {sign} or (not signs and sign == 0)
        yield Example("course of a consolidation", "sign of change", case, later.patient, float(right))


def _intervals(pictures: list[RealPicture]) -> Iterator[tuple[RealPicture, RealPicture]]:
    for patient in dict.fromkeys(picture.patient for picture in pictures):
        dated = sorted((p for p in pictures if p.patient == patient), key=lambda p: p.day)
        if any("consolidation" in (picture.masks or {}) for picture in dated):
            yield from pairwise(dated)


def _share(picture: RealPicture) -> float:
    """Consolidated part of the lungs."""
    masks = picture.masks or {}
    lungs = sum(int(masks[name].sum()) for name in ("left lung", "right lung") if name in masks)
    return int(masks["consolidation"].sum()) / max(lungs, 1) if "consolidation" in masks else 0.0


def _radiograph(picture: RealPicture) -> Radiograph:
    pixels = picture.image.pixels
    rows, columns = pixels.shape
    spacing = picture.image.spacing_mm or (_DEFAULT_MM / rows, _DEFAULT_MM / columns)
    view = str(getattr(picture.header, "ViewPosition", "PA") or "PA")
    return Radiograph(pixels, spacing, view)
