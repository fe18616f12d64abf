"""Two readings of one study, side by side; the expected values are worked by hand."""

from dataclasses import replace

import numpy as np
import pytest

from model.reading import (
    BoundingBox,
    Change,
    ChangeStatus,
    Comparison,
    Finding,
    Laterality,
    Mask,
    Modality,
    Presence,
    Reading,
    Task,
)
from model.volume import FrameKey
from tests.fakes import FakeFamily
from worker.shadow.differences import differences

FRAME, OTHER = FrameKey("1.1"), FrameKey("1.2")
EMPTY = Reading(Modality.CXR, FakeFamily().identity, (Task.REPORT,))


def box(left: float, right: float, frame: FrameKey = FRAME, label: str = "heart") -> BoundingBox:
    return BoundingBox(label, frame, (0.0, left), (10.0, right))


def mask(columns: slice, frames: tuple[FrameKey, ...] = (FRAME,), side: Laterality | None = None) -> Mask:
    voxels = np.zeros((len(frames), 4, 10), bool)
    voxels[:, :, columns] = True
    return Mask("lung", voxels, frames, laterality=side)


def findings(**presence: Presence) -> tuple[Finding, ...]:
    return tuple(Finding(label, said) for label, said in presence.items())


def test_a_finding_of_one_of_them_is_told() -> None:
    first = replace(EMPTY, findings=findings(nodule=Presence.PRESENT, effusion=Presence.ABSENT))
    second = replace(EMPTY, findings=findings(nodule=Presence.ABSENT, mass=Presence.PRESENT))
    found = differences(first, second)
    assert found.presence["nodule"] == ("present", "absent")
    assert found.told() == ("mass: not mentioned → present", "nodule: present → absent")


def test_absent_and_not_mentioned_are_the_same() -> None:
    first = replace(EMPTY, findings=findings(effusion=Presence.ABSENT))
    assert differences(first, EMPTY).told() == ()


def test_doubt_is_a_difference() -> None:
    first = replace(EMPTY, findings=findings(effusion=Presence.UNDETERMINED))
    assert differences(first, EMPTY).told() == ("effusion: undetermined → not mentioned",)


@pytest.mark.parametrize(
    ("other", "overlap"),
    [((0, 10), 1.0), ((5, 15), 1 / 3), ((10, 20), 0.0)],
)
def test_boxes_are_compared_by_intersection_over_union(other: tuple[float, float], overlap: float) -> None:
    first, second = replace(EMPTY, boxes=(box(0, 10),)), replace(EMPTY, boxes=(box(*other),))
    assert differences(first, second).boxes == {"heart": pytest.approx(overlap)}


def test_a_box_that_the_other_lacks_counts_nothing() -> None:
    first = replace(EMPTY, boxes=(box(0, 10), box(20, 30)))
    second = replace(EMPTY, boxes=(box(0, 10),))
    assert differences(first, second).boxes == {"heart": pytest.approx(2 / 3)}


def test_the_same_corners_on_another_frame_are_another_place() -> None:
    first, second = replace(EMPTY, boxes=(box(0, 10),)), replace(EMPTY, boxes=(box(0, 10, OTHER),))
    assert differences(first, second).boxes == {"heart": 0.0}


def test_masks_are_compared_by_dice_whatever_the_order_of_their_frames() -> None:
    first = replace(EMPTY, masks=(mask(slice(0, 4), (FRAME, OTHER)),))
    second = replace(EMPTY, masks=(mask(slice(2, 6), (OTHER, FRAME)),))
    assert differences(first, second).masks == {"lung": pytest.approx(0.5)}


def test_both_sides_of_an_organ_count() -> None:
    sides = (mask(slice(0, 2), side=Laterality.RIGHT), mask(slice(6, 8), side=Laterality.LEFT))
    first, second = replace(EMPTY, masks=sides), replace(EMPTY, masks=sides[:1])
    assert differences(first, second).masks == {"lung": pytest.approx(2 / 3)}


def test_a_change_is_told_with_its_side_and_prior() -> None:
    def since(status: ChangeStatus) -> Reading:
        change = Change("effusion", status, Laterality.LEFT)
        return replace(EMPTY, comparisons=(Comparison(0, (change,), ""),))

    found = differences(since(ChangeStatus.NEW), since(ChangeStatus.UNCHANGED))
    assert found.told() == ("change of left effusion since prior 1: new → unchanged",)


def test_declining_is_told_first() -> None:
    found = differences(EMPTY, replace(EMPTY, abstention="no chest"))
    assert found.declined == (False, True)
    assert found.told()[0] == "only the candidate declines"
