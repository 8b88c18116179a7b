import math
from decimal import Decimal

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from turnwise.rewards import boxes
from turnwise.rewards.boxes import area, around, centre, clipped, from_xywh, hit, iou, is_coordinates, normalised, size

COORDINATE = st.one_of(st.integers(-50, 200), st.floats(-1e9, 1e9))
BOX = st.tuples(COORDINATE, COORDINATE, COORDINATE, COORDINATE)


def test_boxes_by_hand():
    assert normalised([6, 7, 2, 3]) == (2.0, 3.0, 6.0, 7.0)
    assert normalised([2, 7, 6, 3]) == (2.0, 3.0, 6.0, 7.0)
    assert from_xywh([10, 20, 30, 40]) == (10.0, 20.0, 40.0, 60.0)
    assert from_xywh([10, 20, -30, 40]) == (-20.0, 20.0, 10.0, 60.0)
    assert around((100, 40)) == (75.0, 15.0, 125.0, 65.0)
    assert around((100, 40), 0) == (100.0, 40.0, 100.0, 40.0)
    assert size([10, 10, 10, 30]) == (1.0, 20.0)
    assert size([10, 10, 10.5, 30], 0.25) == (0.5, 20.0)
    assert clipped([-5, 2, 20, 4], 10, 3) == (0.0, 2.0, 10.0, 3.0)
    assert clipped([20, 20, 30, 30], 10, 15) == (10.0, 15.0, 10.0, 15.0)
    assert centre([10, 0, 0, 5]) == (5.0, 2.5)
    assert area([0, 0, 4, 5]) == 20.0
    assert area([4, 5, 0, 0]) == 20.0
    assert area([3, 0, 3, 9]) == 0.0


@pytest.mark.parametrize(
    ("point", "inside"),
    [((2, 3), True), ((6, 7), True), ((2, 7), True), ((4, 5), True), ((1.99, 5), False), ((4, 7.01), False), ((6.01, 3), False)],
)
def test_a_hit_counts_all_edges(point, inside):
    assert hit(point, [2, 3, 6, 7]) is inside
    assert hit(point, [6, 7, 2, 3]) is inside


def test_hit_of_a_box_without_area():
    assert hit((5, 5), [5, 5, 5, 5])
    assert not hit((5, 5.001), [5, 5, 5, 5])


def test_iou_by_hand():
    assert iou([0, 0, 10, 10], [5, 0, 15, 10]) == pytest.approx(1 / 3)
    assert iou([110, 52, 150, 68], [100, 50, 140, 70]) == 0.5
    assert iou([0, 0, 2, 2], [2, 0, 4, 2]) == 0.0  # they touch
    assert iou([0, 0, 2, 2], [1, 0, 3, 2]) == pytest.approx(1 / 3)
    assert iou([0, 0, 2, 2], [1, 0, 3, 2], above=1.0) == 0.0
    assert iou([5, 5, 5, 5], [5, 5, 5, 5]) == 0.0


@given(BOX, BOX)
def test_iou_is_symmetric_and_a_share(a, b):
    value = iou(a, b)
    assert 0.0 <= value <= 1.0
    assert value == pytest.approx(iou(b, a))
    if area(a) > 0:
        assert iou(a, a) == pytest.approx(1.0)


@given(BOX, st.floats(1, 5000), st.floats(1, 5000))
def test_clipping_stays_within_and_is_idempotent(box, width, height):
    x1, y1, x2, y2 = clipped(box, width, height)
    assert 0.0 <= x1 <= x2 <= width
    assert 0.0 <= y1 <= y2 <= height
    assert clipped((x1, y1, x2, y2), width, height) == (x1, y1, x2, y2)
    assert area((x1, y1, x2, y2)) <= area(box) * (1 + 1e-9)


@given(BOX)
def test_normalised_is_idempotent_and_holds_its_centre(box):
    assert normalised(normalised(box)) == normalised(box)
    assert hit(centre(box), box)


@given(st.tuples(COORDINATE, COORDINATE), st.floats(0, 1e9))
def test_a_square_about_a_point_can_always_be_used_as_a_box(point, side):
    assert hit(point, normalised(around(point, side)))


@pytest.mark.parametrize(
    "values",
    [
        [math.nan, 0, 1, 1],
        [0, math.inf, 1, 1],
        [0, 0, -math.inf, 1],
        [0, 0, 1],
        [0, 0, 1, 1, 1],
        [],
        [0, 0, 1, 2e9],
        [0, 0, 1, 10**400],
        ["1", 0, 1, 1],
        [True, 0, 1, 1],
        [None, 0, 1, 1],
        [Decimal(1), 0, 1, 1],
        [1j, 0, 1, 1],
    ],
)
def test_what_is_no_box_is_refused(values):
    assert not is_coordinates(values, 4)
    good = [0, 0, 1, 1]
    for call in (
        lambda: normalised(values),
        lambda: from_xywh(values),
        lambda: size(values),
        lambda: clipped(values, 9, 9),
        lambda: centre(values),
        lambda: area(values),
        lambda: hit((0, 0), values),
        lambda: iou(values, good),
        lambda: iou(good, values),
    ):
        with pytest.raises(ValueError, match="is no box"):
            call()


def test_other_faults_are_named():
    for call, message in (
        (lambda: hit((math.nan, 0), [0, 0, 1, 1]), "is no point"),
        (lambda: hit((0, 0, 0), [0, 0, 1, 1]), "is no point"),
        (lambda: around((math.inf, 0)), "is no point"),
        (lambda: around((0, 0), -1), "side is -1"),
        (lambda: around((0, 0), math.nan), "side is nan"),
        (lambda: size([0, 0, 1, 1], 0.0), "least size is 0.0"),
        (lambda: size([0, 0, 1, 1], math.nan), "least size is nan"),
        (lambda: clipped([0, 0, 1, 1], 0, 5), "must be above 0"),
        (lambda: clipped([0, 0, 1, 1], 5, math.inf), "must be above 0"),
        (lambda: from_xywh([1e9, 0, 1e9, 0]), "is no box"),
    ):
        with pytest.raises(ValueError, match=message):
            call()


def test_numbers_of_numpy_are_numbers():
    assert normalised(np.array([3, 4, 1, 2])) == (1.0, 2.0, 3.0, 4.0)
    assert normalised(np.array([3, 4, 1, 2], dtype=np.float32)) == (1.0, 2.0, 3.0, 4.0)
    assert is_coordinates([boxes.LIMIT, -boxes.LIMIT], 2)
