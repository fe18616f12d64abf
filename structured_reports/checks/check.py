"""One rule that an object of a bundle keeps or breaks."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import StrEnum

from pydicom.dataset import Dataset

from structured_reports.checks.bundle import Bundle

Judge = Callable[[Dataset, Bundle], Iterator[str]]
"""Yields what is wrong with an object, in sentences without values of attributes; nothing if all is well."""


class Outcome(StrEnum):
    """What a rule says of an object."""

    KEPT = "kept"
    BROKEN = "broken"
    NOT_JUDGED = "not judged"
    """What it would be compared with is not at hand."""


@dataclass(frozen=True, slots=True)
class Check:
    """A rule, in words and as code."""

    identifier: str
    """`A1` to `A20` as IHE AI Results is read here, `R…` for what viewers and archives ask for beside."""
    title: str
    applies: Callable[[Dataset], bool]
    judge: Judge
    needs_images: bool = False
    """Whether it can be judged only beside an image of the study."""


@dataclass(frozen=True, slots=True)
class Judgement:
    """One rule on one object."""

    check: Check
    sop_instance_uid: str
    modality: str
    outcome: Outcome
    faults: tuple[str, ...] = ()


def judged(check: Check, ds: Dataset, bundle: Bundle) -> Judgement | None:
    """Judge one object by one rule; None where the rule does not apply."""
    uid, modality = str(ds.get("SOPInstanceUID")), str(ds.get("Modality") or "?")
    if not check.applies(ds):
        return None
    if check.needs_images and bundle.source_of(ds) is None:
        return Judgement(check, uid, modality, Outcome.NOT_JUDGED, ("no image of its study is at hand",))
    try:
        faults = tuple(dict.fromkeys(check.judge(ds, bundle)))
    except (AttributeError, IndexError, KeyError, NotImplementedError, TypeError, ValueError) as error:
        faults = (f"cannot be read: {type(error).__name__}",)
    return Judgement(check, uid, modality, Outcome.BROKEN if faults else Outcome.KEPT, faults)
