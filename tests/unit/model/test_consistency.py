"""Boxes and words are held against the masks of lungs and heart; a contradiction is recorded or left out."""

import numpy as np
import pytest
from numpy.typing import NDArray

from model.consistency import believable_boxes, cardiothoracic_ratio, check_heart
from model.merging import Evidence, merge_findings
from model.reading import BoundingBox, Laterality, Presence
from model.vocabulary import DEMO, RELEASED
from model.volume import FrameKey, Orientation, PlanarImage

LEFT, RIGHT = Laterality.LEFT, Laterality.RIGHT
PRESENT, ABSENT = Presence.PRESENT, Presence.ABSENT
HEART = "enlarged cardiac silhouette"
FRAME = FrameKey("1.2")


def image(orientation: Orientation | None = None) -> PlanarImage:
    return PlanarImage(np.zeros((100, 200), np.float32), FRAME, orientation=orientation or Orientation())


def block(rows: slice, columns: slice) -> NDArray[np.bool_]:
    mask = np.zeros((100, 200), np.bool_)
    mask[rows, columns] = True
    return mask


def masks(heart_width: int = 40) -> dict[str, NDArray[np.bool_]]:
    """Lungs from column 20 to 180: a chest 160 wide; the right lung is on the image's left."""
    return {
        "right lung": block(slice(20, 80), slice(20, 90)),
        "left lung": block(slice(20, 80), slice(120, 180)),
        "heart": block(slice(50, 80), slice(60, 60 + heart_width)),
    }


def box(j0: float, i0: float, j1: float, i1: float, side: Laterality | None) -> BoundingBox:
    return BoundingBox("consolidation", FRAME, (j0, i0), (j1, i1), side)


def test_box_in_its_lung_is_believed() -> None:
    here = box(30, 30, 50, 60, RIGHT)
    assert believable_boxes("consolidation", [here], masks(), image()) == ([here], [])


def test_box_outside_the_chest_is_left_out_and_told() -> None:
    kept, caveats = believable_boxes("consolidation", [box(90, 30, 99, 60, RIGHT)], masks(), image())
    assert kept == []
    assert caveats == ["A box of consolidation lies outside the chest and was left out."]


def test_box_in_the_other_lung_is_left_out_and_told() -> None:
    # A patient far to the image's left: the middle of the image lies in his left lung.
    shifted = {
        **masks(),
        "right lung": block(slice(20, 80), slice(0, 40)),
        "left lung": block(slice(20, 80), slice(60, 110)),
    }
    kept, caveats = believable_boxes("consolidation", [box(30, 62, 50, 90, RIGHT)], shifted, image())
    assert kept == []
    assert "lies in the left lung but on the right side of the image" in caveats[0]


def test_box_of_what_need_not_lie_in_the_chest_is_kept() -> None:
    far = box(90, 30, 99, 60, RIGHT)
    assert believable_boxes("hernia", [far], masks(), image()) == ([far], [])


def test_without_both_lungs_nothing_is_doubted() -> None:
    far = box(90, 30, 99, 60, RIGHT)
    assert believable_boxes("consolidation", [far], {"right lung": masks()["right lung"]}, image())[0] == [
        far
    ]


def test_box_of_stored_pixels_is_held_against_masks_as_hung() -> None:
    # Hung, the box lies at columns 30 to 60; stored, 200 - 60 to 200 - 30.
    stored = box(30, 140, 50, 170, RIGHT)
    flipped = image(Orientation(columns_flipped=True))
    assert believable_boxes("consolidation", [stored], masks(), flipped) == ([stored], [])
    assert believable_boxes("consolidation", [stored], masks(), image())[0] == []


def test_cardiothoracic_ratio_is_width_by_width() -> None:
    assert cardiothoracic_ratio(masks(heart_width=80)) == pytest.approx(80 / 160)
    assert cardiothoracic_ratio({"heart": masks()["heart"]}) is None


@pytest.mark.parametrize(
    ("probability", "width", "seen"),
    [(0.05, 120, PRESENT), (0.95, 50, ABSENT), (0.05, 80, None), (0.95, 80, None), (0.5, 120, None)],
)
def test_clear_contradiction_on_the_heart_is_recorded(
    probability: float, width: int, seen: Presence | None
) -> None:
    merged = merge_findings(Evidence(probabilities={HEART: probability}), DEMO)
    concluded = merged.findings[0].presence
    check_heart(merged, masks(width))
    assert bool(merged.caveats) is (seen is not None)
    assert merged.findings[0].presence is concluded
    if seen is not None:
        assert f"{width / 160:.0%}" in merged.caveats[0]
        assert merged.disagreements[HEART].said == (("yes/no answer", concluded), ("masks", seen))


def test_every_name_of_the_released_vocabulary_is_concluded_on() -> None:
    evidence = Evidence(probabilities=dict.fromkeys(RELEASED.chest_findings, 0.9))
    found = merge_findings(evidence, RELEASED).findings
    assert [f.label for f in found] == list(RELEASED.chest_findings)
    assert {f.presence for f in found} == {PRESENT}
