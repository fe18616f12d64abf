"""Captions find room at their boxes."""

from itertools import combinations

import pytest

from structured_reports.captions import Area, placed

CANVAS = (100.0, 100.0)
BOX: Area = (20.0, 40.0, 60.0, 80.0)


def test_a_caption_stands_above_its_box():
    assert placed([BOX], [(30.0, 10.0)], CANVAS) == [(20.0, 30.0, 50.0, 40.0)]


def test_at_the_upper_edge_a_caption_stands_inside_its_box():
    assert placed([(20.0, 4.0, 60.0, 80.0)], [(30.0, 10.0)], CANVAS) == [(20.0, 4.0, 50.0, 14.0)]


def test_at_the_right_edge_a_caption_moves_to_the_left():
    assert placed([(90.0, 40.0, 100.0, 80.0)], [(30.0, 10.0)], CANVAS) == [(70.0, 30.0, 100.0, 40.0)]


def test_the_first_caption_has_the_choice_and_none_covers_another():
    areas = placed([BOX] * 6, [(30.0, 10.0)] * 6, CANVAS)
    assert areas[0] == placed([BOX], [(30.0, 10.0)], CANVAS)[0]
    for one, other in combinations(areas, 2):
        assert one[2] <= other[0] or other[2] <= one[0] or one[3] <= other[1] or other[3] <= one[1]


def test_where_there_is_no_room_every_caption_is_still_placed_inside():
    areas = placed([BOX] * 40, [(30.0, 10.0)] * 40, CANVAS)
    assert len(areas) == 40
    assert all(0 <= left < right <= 100 and 0 <= top < bottom <= 100 for left, top, right, bottom in areas)
    # A line above the box, four inside and two below, each at its left and its right edge: none is left free.
    assert len(set(areas)) == 7 * 2


@pytest.mark.parametrize("size", [(300.0, 10.0), (30.0, 300.0), (300.0, 300.0)])
def test_a_caption_larger_than_the_image_is_cut_to_it(size: tuple[float, float]):
    ((left, top, right, bottom),) = placed([BOX], [size], CANVAS)
    assert 0 <= left < right <= 100
    assert 0 <= top < bottom <= 100
