import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from turnwise.rewards.gui_score import click_point, from_pixels, screenspot, screenspot_accuracy, smart_resize, to_pixels

SPACES = st.sampled_from(["pixels", "share", "thousandths", "resized"])


def test_smart_resize_golden():
    # rewards.md 1.13
    assert smart_resize(1080, 1920) == (1092, 1932)
    x, y = to_pixels((960, 540), 1920, 1080, "resized")
    assert (x / 1920, y / 1080) == pytest.approx((0.496894, 0.494505), abs=1e-6)


@pytest.mark.parametrize(
    ("height", "width", "resized"),
    [
        (28, 28, (280, 280)),  # filled to 100 tokens
        (42, 1000, (84, 1372)),  # 56 by 1008 is too small; times sqrt(78400 / 42000) = 1.3663: 57.4 and 1366.3, filled
        (280, 280, (280, 280)),
        (4000, 4000, (3584, 3584)),  # cut to 128 * 28 each
        (10000, 10000, (3556, 3556)),  # 3584 but for the last bit, so 127 * 28, as in the models' own processor
        (3584, 3612, (3556, 3584)),  # 16,512 tokens are too many: each side by 0.99611, cut to a multiple
    ],
)
def test_smart_resize_by_hand(height, width, resized):
    assert smart_resize(height, width) == resized


def test_smart_resize_within_areas():
    assert smart_resize(30, 6000, most_pixels=78_400) == (28, 3948)  # beta 1.51523: 19.8 would be no row at all; 3959.8 down to 3948
    assert smart_resize(1080, 1920, most_pixels=1_003_520) == (728, 1316)  # beta 1.43747; 751.3 -> 728, 1335.7 -> 1316


@given(st.integers(1, 8000), st.integers(1, 8000))
def test_smart_resize_keeps_its_promises(height, width):
    if max(height, width) > 200 * min(height, width):
        with pytest.raises(ValueError, match="200 times"):
            smart_resize(height, width)
        return
    high, wide = smart_resize(height, width)
    assert high % 28 == wide % 28 == 0
    assert 100 * 784 <= high * wide <= 16384 * 784
    assert smart_resize(width, height) == (wide, high)
    if max(high, wide) <= 200 * min(high, wide):  # rounding may make the longest images a little longer
        assert smart_resize(high, wide) == (high, wide)


def test_spaces_by_hand():
    assert to_pixels((500, 250), 1280, 720, "thousandths") == (640.0, 180.0)
    assert to_pixels((0.5, 0.25), 1280, 720, "share") == (640.0, 180.0)
    assert to_pixels((640, 180), 1280, 720, "pixels") == (640.0, 180.0)
    assert to_pixels((500, 250), 1280, 720, (1000, 1000)) == (640.0, 180.0)
    assert from_pixels((640, 180), 1280, 720, (640, 360)) == (320.0, 90.0)
    assert from_pixels((640, 180), 1280, 720, "thousandths") == (500.0, 250.0)
    assert from_pixels((960, 540), 1920, 1080, "resized") == (966.0, 546.0)
    assert to_pixels((-100, 2000), 1280, 720, "thousandths") == (-128.0, 1440.0)  # outside the screen, and stays so


@given(st.tuples(*[st.floats(-5000, 5000)] * 2), st.integers(30, 4000), st.integers(30, 4000), SPACES)
def test_spaces_are_inverse(point, width, height, space):
    assert to_pixels(from_pixels(point, width, height, space), width, height, space) == pytest.approx(point, abs=1e-6)


def test_click_points():
    assert click_point([3, 4]) == (3.0, 4.0)
    assert click_point([2, 2, 6, 10]) == (4.0, 6.0)
    assert click_point([6, 10, 2, 2]) == (4.0, 6.0)
    for nothing in (None, [], [1], [1, 2, 3], [math.nan, 1], [1, 2, 3, math.inf], ["1", "2"]):
        assert click_point(nothing) is None


@pytest.mark.parametrize(
    ("answer", "target", "verdict"),
    [
        ([5, 5], [0, 0, 10, 10], "correct"),
        ([10, 0], [0, 0, 10, 10], "correct"),
        ([10.01, 0], [0, 0, 10, 10], "wrong"),
        ([8, 8, 20, 20], [0, 0, 10, 10], "wrong"),  # overlaps, but its centre is outside
        ([0, 0, 20, 20], [0, 0, 10, 10], "correct"),
        ([0.5, 0.5], [0.4, 0.4, 0.5, 0.5], "correct"),
        ([5, 5], [5, 5, 5, 5], "correct"),
        ("negative", [0, 0, 10, 10], "wrong"),
        ("negative", None, "correct"),
        ([5, 5], None, "wrong"),
        (None, None, "wrong_format"),
        (None, [0, 0, 10, 10], "wrong_format"),
        ([math.nan, 5], [0, 0, 10, 10], "wrong_format"),
        ([1, 2, 3], [0, 0, 10, 10], "wrong_format"),
        ("55", [0, 0, 10, 10], "wrong_format"),
    ],
)
def test_screenspot(answer, target, verdict):
    assert screenspot(answer, target) == verdict


def test_screenspot_accuracy_by_hand():
    verdicts = ["correct", "wrong", "wrong_format", "correct"]
    table = screenspot_accuracy(verdicts, ["text", "text", "icon", "text"], ["dev", "cad", "cad", "cad"])
    assert table == {
        "all": {"action_acc": 0.5, "text_acc": pytest.approx(2 / 3), "icon_acc": 0.0, "wrong_format": 0.25, "count": 4.0},
        "dev": {"action_acc": 1.0, "text_acc": 1.0, "wrong_format": 0.0, "count": 1.0},
        "cad": {
            "action_acc": pytest.approx(1 / 3),
            "text_acc": 0.5,
            "icon_acc": 0.0,
            "wrong_format": pytest.approx(1 / 3),
            "count": 3.0,
        },
    }
    assert screenspot_accuracy([], []) == {"all": {"action_acc": 0.0, "wrong_format": 0.0, "count": 0.0}}


def test_scores_name_faults():
    for call, message in (
        (lambda: smart_resize(0, 10), "sides are at least 1"),
        (lambda: smart_resize(1, 201), "200 times"),
        (lambda: smart_resize(10, 10, factor=0), "factor 0"),
        (lambda: smart_resize(10, 10, least_pixels=9, most_pixels=8), "areas from 9 to 8"),
        (lambda: to_pixels((1, math.nan), 10, 10, "share"), "is no point"),
        (lambda: to_pixels((1, 1), 0, 10, "share"), "must be above 0"),
        (lambda: to_pixels((1, 1), 10, 10, (0, 10)), "must be above 0"),
        (lambda: from_pixels((1, 1), 10, 10, "percent"), "allowed: pixels, share, thousandths, resized"),
        (lambda: screenspot([1, 1], [0, 0, math.nan, 1]), "is no box"),
        (lambda: screenspot_accuracy(["correct"], []), "give one of each"),
        (lambda: screenspot_accuracy(["correct"], ["text"], []), "give one of each"),
        (lambda: screenspot_accuracy(["correct"], ["text"], ["all"]), "rename it"),
    ):
        with pytest.raises(ValueError, match=message):
            call()
