"""Boxes are measured as COCO measures them."""

import contextlib
import io

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pycocotools import mask as coco_mask
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from model.evaluation.detection import (
    COCO_THRESHOLDS,
    Box,
    Boxed,
    average_precision,
    matched_overlaps,
    overlaps,
)


def _box(rng: np.random.Generator) -> Box:
    x, y, width, height = (int(n) for n in rng.integers((0, 0, 8, 8), (60, 60, 40, 40)))
    return float(x), float(y), float(x + width), float(y + height)


def _near(box: Box, rng: np.random.Generator) -> Box:
    moved = np.array(box) + rng.integers(-4, 5, 4)
    return tuple(float(n) for n in moved)  # pyright: ignore[reportReturnType]  # four of them


def _images(seed: int, images: int = 12) -> list[Boxed]:
    """Some boxes are found nearly, some not at all, some found twice or where nothing is."""
    rng = np.random.default_rng(seed)
    made: list[Boxed] = []
    ranks = iter(rng.permutation(1000))
    for study in range(images):
        true = tuple(_box(rng) for _ in range(rng.integers(0, 4)))
        found = [_near(box, rng) for box in true if rng.random() < 0.8]
        found += [_near(box, rng) for box in true if rng.random() < 0.2]
        found += [_box(rng) for _ in range(rng.integers(0, 2))]
        scores = tuple(float(next(ranks)) for _ in found)
        made.append(Boxed(tuple(found), scores, true, study))
    return made


def _coco(images: list[Boxed]) -> dict[float, float]:
    """What the published implementation says, by overlap."""

    def plain(box: Box) -> list[float]:
        return [box[0], box[1], box[2] - box[0], box[3] - box[1]]

    true = [(n, box) for n, image in enumerate(images, 1) for box in image.true]
    annotations = [
        {"id": k, "image_id": n, "category_id": 1, "bbox": plain(b), "iscrowd": 0,
         "area": plain(b)[2] * plain(b)[3]}
        for k, (n, b) in enumerate(true, 1)
    ]  # fmt: skip
    results = [
        {"image_id": n, "category_id": 1, "bbox": plain(box), "score": score}
        for n, image in enumerate(images, 1)
        for box, score in zip(image.found, image.scores, strict=True)
    ]
    with contextlib.redirect_stdout(io.StringIO()):
        truth = COCO()
        truth.dataset = {
            "info": {},
            "images": [{"id": n} for n in range(1, len(images) + 1)],
            "annotations": annotations,
            "categories": [{"id": 1}],
        }
        truth.createIndex()
        judge = COCOeval(truth, truth.loadRes(results), "bbox")
        judge.evaluate()
        judge.accumulate()
    precision = judge.eval["precision"][:, :, 0, 0, 2]
    return {round(t, 2): float(p.mean()) for t, p in zip(judge.params.iouThrs, precision, strict=True)}


@pytest.mark.parametrize("seed", range(6))
def test_average_precision_equals_coco_at_every_overlap(seed: int) -> None:
    images = _images(seed)
    once = np.ones((1, len(images)), np.int64)
    found = {round(t, 2): average_precision(images, t, once)[0] for t in COCO_THRESHOLDS}
    assert found == pytest.approx(_coco(images))


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 10_000))
def test_average_precision_of_a_resample_equals_coco_on_the_drawn_studies(seed: int) -> None:
    images = _images(seed)
    counts = np.random.default_rng(seed).multinomial(12, np.full(12, 1 / 12), 2)
    for row, drawn in enumerate(counts):
        repeated = [image for image, n in zip(images, drawn, strict=True) for _ in range(n)]
        if not any(image.true for image in repeated) or not any(image.found for image in repeated):
            continue
        expected = _coco(repeated)[0.5]
        assert average_precision(images, 0.5, counts)[row] == pytest.approx(expected)


def test_nothing_found_is_zero_and_nothing_true_is_not_defined() -> None:
    once = np.ones((1, 1), np.int64)
    assert average_precision([Boxed((), (), ((0, 0, 1, 1),), 0)], 0.5, once).tolist() == [0]
    assert np.isnan(average_precision([Boxed(((0, 0, 1, 1),), (0.9,), (), 0)], 0.5, once)).all()


def test_overlap_worked_by_hand() -> None:
    """Two by two squares that share one unit square: 1 / (4 + 4 - 1)."""
    assert overlaps([(0, 0, 2, 2)], [(1, 1, 3, 3), (5, 5, 6, 6)]).tolist() == [[pytest.approx(1 / 7), 0]]


@pytest.mark.parametrize("seed", range(3))
def test_overlaps_equal_coco(seed: int) -> None:
    rng = np.random.default_rng(seed)
    found, true = [_box(rng) for _ in range(5)], [_box(rng) for _ in range(4)]
    plain = [[[b[0], b[1], b[2] - b[0], b[3] - b[1]] for b in boxes] for boxes in (found, true)]
    assert overlaps(found, true) == pytest.approx(coco_mask.iou(*plain, [0] * 4))


def test_a_found_box_serves_one_true_box() -> None:
    true: list[Box] = [(0, 0, 4, 4), (0, 0, 4, 4)]
    assert sorted(matched_overlaps([(0, 0, 4, 4)], true)) == [0, 1]


def test_boxes_are_dealt_out_for_the_largest_sum() -> None:
    """The first found box fits both true ones, the second only one of them."""
    true: list[Box] = [(0, 0, 10, 10), (0, 0, 10, 8)]
    found: list[Box] = [(0, 0, 10, 9), (0, 0, 10, 10)]
    assert matched_overlaps(found, true) == pytest.approx([1.0, 8 / 9])


def test_a_true_box_without_a_found_one_counts_as_zero() -> None:
    assert matched_overlaps([], [(0, 0, 1, 1), (2, 2, 3, 3)]) == [0, 0]


_edges = st.tuples(st.floats(0, 1), st.floats(0, 1)).map(sorted)
_boxes = st.lists(st.tuples(_edges, _edges).map(lambda e: (e[0][0], e[1][0], e[0][1], e[1][1])), max_size=4)


@given(_boxes, _boxes)
def test_overlap_is_symmetric_and_a_share(found: list[Box], true: list[Box]) -> None:
    there, back = overlaps(found, true), overlaps(true, found)
    assert there == pytest.approx(back.T)
    assert ((there >= 0) & (there <= 1 + 1e-9)).all()
