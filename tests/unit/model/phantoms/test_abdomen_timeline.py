"""Abdomens at several dates: lesions of known volume, exact growth, and the true registration."""

from functools import cache
from itertools import pairwise

import numpy as np
import pytest

from model.reading import ChangeStatus
from model.training.phantoms.abdomen_timeline import AbdomenTimeline, make_abdomen_timeline

SHAPE = (56, 96, 96)
SEEDS = (1, 2, 4)


@cache
def timeline_of(seed: int) -> AbdomenTimeline:
    return make_abdomen_timeline(seed, shape=SHAPE)


def voxel_ml(affine: np.ndarray) -> float:
    return abs(float(np.linalg.det(affine[:3, :3]))) / 1000


def centroid_lps(affine: np.ndarray, mask: np.ndarray) -> np.ndarray:
    return affine[:3] @ np.append(np.argwhere(mask).mean(axis=0), 1.0)


def test_same_seed_gives_the_same_bytes() -> None:
    once, again = (make_abdomen_timeline(3, shape=(20, 48, 48)) for _ in range(2))
    assert once.intervals == again.intervals
    for a, b in zip(once.scans, again.scans, strict=True):
        assert a.case.voxels.tobytes() == b.case.voxels.tobytes()
        assert a.lesions == b.lesions


def test_the_drawn_voxels_hold_the_volume() -> None:
    for seed in SEEDS:
        for scan in timeline_of(seed).scans:
            for lesion in scan.lesions:
                drawn = scan.lesion_masks[lesion.finding].sum() * voxel_ml(scan.case.affine)
                # A small lesion is a few dozen voxels here.
                assert drawn == pytest.approx(lesion.volume_ml, rel=0.12 if lesion.volume_ml > 3 else 0.35)


def test_volume_and_diameter_are_those_of_a_ball() -> None:
    for seed in SEEDS:
        for lesion in timeline_of(seed).scans[0].lesions:
            assert lesion.diameter_mm is not None
            assert lesion.volume_ml == pytest.approx(np.pi / 6 * lesion.diameter_mm**3 / 1000)


def test_lesions_lie_in_the_organ_they_name() -> None:
    for seed in SEEDS:
        for scan in timeline_of(seed).scans:
            for lesion in scan.lesions:
                organ = lesion.label.split()[0]
                mask = scan.lesion_masks[lesion.finding]
                assert (mask & scan.case.masks[organ]).sum() > 0.9 * mask.sum()


def test_cysts_are_water_and_metastases_are_less_dense_than_the_liver() -> None:
    seen = set()
    for seed in SEEDS:
        for scan in timeline_of(seed).scans:
            lesions = np.any(list(scan.lesion_masks.values()), axis=0)
            for lesion in scan.lesions:
                mask = scan.lesion_masks[lesion.finding]
                if mask.sum() < 60:
                    continue
                organ = lesion.label.split()[0]
                around = float(np.median(scan.case.voxels[scan.case.masks[organ] & ~lesions]))
                inside = float(np.median(scan.case.voxels[mask]))
                seen.add(lesion.label)
                assert inside < around - 4
                if lesion.label.endswith("cyst"):
                    assert inside == pytest.approx(5, abs=20)
    assert {"liver cyst", "liver metastasis"} <= seen


def test_growth_is_exact_and_named() -> None:
    statuses = set()
    for seed in (*SEEDS, 0, 5):
        timeline = timeline_of(seed) if seed in SEEDS else make_abdomen_timeline(seed, shape=(16, 40, 40))
        first, second = ({s.finding: s for s in scan.lesions} for scan in timeline.scans)
        assert len(timeline.intervals) == len(first) == len(second)
        for interval in timeline.intervals:
            before, now = first[interval.finding], second[interval.finding]
            assert interval.volume_percent == pytest.approx(100 * (now.volume_ml / before.volume_ml - 1))
            assert interval.diameter_percent is not None
            cube = (1 + interval.diameter_percent / 100) ** 3
            assert cube == pytest.approx(1 + (interval.volume_percent or 0) / 100)
            expected = ChangeStatus.UNCHANGED
            if abs(interval.diameter_percent) > 5:
                grew = interval.diameter_percent > 0
                expected = ChangeStatus.INCREASED if grew else ChangeStatus.DECREASED
            assert interval.status is expected
            statuses.add(interval.status)
    assert {ChangeStatus.UNCHANGED, ChangeStatus.INCREASED} <= statuses


def test_the_registration_lays_each_scan_on_the_first() -> None:
    moved = []
    for seed in SEEDS:
        first, second = timeline_of(seed).scans
        assert np.array_equal(first.to_first, np.eye(4))
        moved.append(float(np.linalg.norm(second.to_first[:3, 3])))
        for organ in ("liver", "spleen"):
            there = centroid_lps(first.case.affine, first.case.masks[organ])
            here = centroid_lps(second.case.affine, second.case.masks[organ])
            assert second.to_first[:3] @ np.append(here, 1.0) == pytest.approx(there, abs=0.01)
    assert max(moved) > 3


def test_as_many_dates_as_asked_for() -> None:
    timeline = make_abdomen_timeline(6, dates=3, shape=(16, 40, 40))
    days = [scan.day for scan in timeline.scans]
    assert len(days) == 3
    assert days == sorted(set(days))
    assert {(i.first_day, i.last_day) for i in timeline.intervals} == set(pairwise(days))
