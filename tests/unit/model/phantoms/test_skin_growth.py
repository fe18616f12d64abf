"""Skin lesions at several dates grow by the area that is told, on the same skin."""

from functools import cache

import numpy as np
import pytest

from model.reading import SKIN_LESIONS, ChangeStatus
from model.training.phantoms.skin_growth import STABLE, SkinTimeline, _grown, make_skin_timeline
from model.training.phantoms.skin_scene import Canvas

SEEDS = range(14)


@cache
def timeline_of(seed: int) -> SkinTimeline:
    return make_skin_timeline(seed, dates=3, size=96)


def test_same_seed_gives_the_same_bytes() -> None:
    once, again = make_skin_timeline(2, size=64), make_skin_timeline(2, size=64)
    assert once.intervals == again.intervals
    for a, b in zip(once.photographs, again.photographs, strict=True):
        assert a.case.pixels.tobytes() == b.case.pixels.tobytes()


def test_the_change_in_area_is_that_of_the_drawn_pixels() -> None:
    statuses = set()
    for seed in SEEDS:
        timeline = timeline_of(seed)
        areas = [int(photograph.case.mask.sum()) for photograph in timeline.photographs]
        for n, interval in enumerate(timeline.intervals):
            share = areas[n + 1] / areas[n] - 1
            assert interval.area_percent == pytest.approx(100 * share)
            expected = ChangeStatus.UNCHANGED
            if abs(share) > STABLE:
                expected = ChangeStatus.INCREASED if share > 0 else ChangeStatus.DECREASED
            assert interval.status is expected
            # What was drawn leaves no doubt: a ratio of lengths is 1, or changes the area clearly.
            assert abs(share) < 0.03 or abs(share) > 0.15
            statuses.add(interval.status)
    assert statuses == {ChangeStatus.UNCHANGED, ChangeStatus.INCREASED, ChangeStatus.DECREASED}


@pytest.mark.parametrize("ratio", [0.8, 1.0, 1.3])
def test_a_disc_grows_by_the_square_of_the_ratio_about_its_middle(ratio: float) -> None:
    canvas = Canvas.of(np.random.default_rng(1), 200)
    edge = (0.35 - np.hypot(canvas.x, canvas.y)).astype(np.float32)
    skin = np.zeros((200, 200, 3), np.float32)
    _, mask = _grown(canvas, (skin, skin + 1, edge), ratio)
    pixels_per_unit = 199 / 2
    assert mask.sum() == pytest.approx(np.pi * (0.35 * ratio * pixels_per_unit) ** 2, rel=0.01)
    for axis in (canvas.x, canvas.y):
        assert float(axis[mask].mean()) == pytest.approx(0.0, abs=0.01)


def test_area_is_told_in_square_millimetres() -> None:
    for seed in SEEDS:
        photograph = timeline_of(seed).photographs[0]
        assert photograph.area_mm2 == pytest.approx(photograph.case.mask.sum() * photograph.pixel_mm**2)
        assert 0.5 < photograph.area_mm2 < 400


def test_lesions_never_reach_the_border() -> None:
    for seed in SEEDS:
        for photograph in timeline_of(seed).photographs:
            mask = photograph.case.mask
            assert mask.any()
            assert not mask[[0, -1]].any()
            assert not mask[:, [0, -1]].any()


def test_diagnosis_and_skin_stay_and_the_picture_changes() -> None:
    for seed in SEEDS:
        cases = [photograph.case for photograph in timeline_of(seed).photographs]
        assert {case.diagnosis for case in cases} <= set(SKIN_LESIONS)
        assert len({case.diagnosis for case in cases}) == 1
        assert not np.array_equal(cases[0].pixels, cases[1].pixels)
        assert all(case.pixels.shape == (96, 96, 3) for case in cases)
