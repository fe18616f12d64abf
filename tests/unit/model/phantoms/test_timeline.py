"""Timelines: one body at several dates, its findings in two views, and exact change in between."""

from functools import cache
from itertools import pairwise

import numpy as np
import pytest

from model.reading import ChangeStatus, Laterality
from model.training.phantoms import augment
from model.training.phantoms.solid_findings import ROUND
from model.training.phantoms.timeline import ChestTimeline, _extents, make_chest_timeline

SIZE = 96
SEEDS = (0, 1, 3)


@cache
def timeline_of(seed: int) -> ChestTimeline:
    return make_chest_timeline(seed, size=SIZE)


def test_same_seed_gives_the_same_bytes() -> None:
    once, again = (make_chest_timeline(5, dates=2, size=64) for _ in range(2))
    assert once.intervals == again.intervals
    for a, b in zip(once.studies, again.studies, strict=True):
        assert [v.pixels.tobytes() for v in a.views] == [v.pixels.tobytes() for v in b.views]
        assert a.findings == b.findings


def test_the_first_study_is_frontal_and_lateral_and_days_count_up() -> None:
    for seed in SEEDS:
        studies = timeline_of(seed).studies
        assert [view.view for view in studies[0].views] == ["PA", "LL"]
        assert all([v.view for v in s.views] in (["PA", "LL"], ["AP"]) for s in studies)
        assert studies[0].day == 0
        assert all(a.day < b.day for a, b in pairwise(studies))


def test_pictures_are_radiographs_of_the_size_asked_for() -> None:
    for seed in SEEDS:
        for study in timeline_of(seed).studies:
            for view in study.views:
                assert view.pixels.shape == (SIZE, SIZE)
                assert view.pixels.dtype == np.float32
                assert 0 <= view.pixels.min() < view.pixels.max() <= 1
                assert {"left lung", "right lung", "heart"} == set(view.masks)
                assert {"trachea", "aorta", "spine"} <= set(view.boxes)


def test_findings_have_the_boxes_of_their_masks() -> None:
    for seed in SEEDS:
        for study in timeline_of(seed).studies:
            for view, masks in zip(study.views, study.finding_masks, strict=True):
                drawn = {augment.box_of(mask) for mask in masks.values() if mask.any()}
                assert drawn == {finding.box for finding in view.findings}
                assert set(masks) == {state.finding for state in study.findings}


def test_frontal_findings_lie_on_the_side_they_name() -> None:
    for seed in SEEDS:
        for study in timeline_of(seed).studies:
            view = study.views[0]
            spine = (view.boxes["spine"][0] + view.boxes["spine"][2]) / 2
            for finding in view.findings:
                middle = (finding.box[0] + finding.box[2]) / 2
                if finding.laterality is Laterality.RIGHT:
                    assert middle < spine
                if finding.laterality is Laterality.LEFT:
                    assert middle > spine


def test_a_finding_is_at_the_same_height_in_both_views() -> None:
    compared = 0
    for seed in SEEDS:
        for study in timeline_of(seed).studies:
            if len(study.views) < 2:
                continue
            tops = []
            for view, masks in zip(study.views, study.finding_masks, strict=True):
                pitch = view.spacing_mm[0]
                organs = np.flatnonzero((view.masks["left lung"] | view.masks["right lung"]).any(axis=1))
                tops.append(
                    {n: (np.nonzero(m)[0].mean() - organs[0]) * pitch for n, m in masks.items() if m.any()}
                )
            labels = {state.finding: state.label for state in study.findings}
            for number in tops[0].keys() & tops[1].keys():
                if labels[number] in ROUND:
                    compared += 1
                    assert tops[0][number] == pytest.approx(tops[1][number], abs=18)
    assert compared


def test_intervals_are_the_differences_of_what_was_drawn() -> None:
    for seed in SEEDS:
        timeline = timeline_of(seed)
        by_day = {study.day: {s.finding: s for s in study.findings} for study in timeline.studies}
        for interval in timeline.intervals:
            before = by_day[interval.first_day].get(interval.finding)
            now = by_day[interval.last_day].get(interval.finding)
            if before is None or now is None:
                assert interval.volume_percent is None
                assert interval.status is (ChangeStatus.NEW if before is None else ChangeStatus.RESOLVED)
                continue
            assert interval.volume_percent == pytest.approx(100 * (now.volume_ml / before.volume_ml - 1))
            if interval.label in ROUND:
                assert interval.diameter_percent is not None
                ratio = (1 + interval.diameter_percent / 100) ** 3
                assert ratio == pytest.approx(1 + interval.volume_percent / 100)
            if interval.status is ChangeStatus.INCREASED:
                assert interval.volume_percent > 5
            if interval.status is ChangeStatus.DECREASED:
                assert interval.volume_percent < -5
            if interval.status is ChangeStatus.UNCHANGED and interval.label in ROUND:
                assert abs(interval.volume_percent) < 16


def test_every_finding_of_a_date_is_in_the_interval_before_it() -> None:
    for seed in SEEDS:
        timeline = timeline_of(seed)
        for earlier, later in pairwise(timeline.studies):
            told = {i.finding for i in timeline.intervals if i.last_day == later.day}
            assert told == {s.finding for s in (*earlier.findings, *later.findings)}


@pytest.mark.parametrize("label", ["lung nodule", "pleural effusion", "enlarged cardiac silhouette"])
def test_courses_never_leave_doubt_about_their_status(label: str) -> None:
    rng = np.random.default_rng(0)
    for dates in (2, 3, 5):
        for _ in range(60):
            for before, now in pairwise(_extents(rng, label, dates)):
                if before and now:
                    change = abs(now / before - 1)
                    assert change < 0.05 or change >= 0.2


def test_as_many_dates_as_asked_for() -> None:
    assert len(make_chest_timeline(2, dates=2, size=48).studies) == 2
