import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from turnwise.rewards.gui import (
    action_match,
    box_format,
    difficulty,
    distance,
    edge_agreement,
    gui_g1,
    gui_g2,
    gui_g2_coverage,
    gui_g2_point,
    mobile_r1_action,
    mobile_r1_format,
    parse_box,
)

PREDICTED, TARGET = [110, 52, 150, 68], [100, 50, 140, 70]
COORDINATE = st.one_of(st.integers(-50, 200), st.floats(-1e9, 1e9))
BOX = st.tuples(COORDINATE, COORDINATE, COORDINATE, COORDINATE)
SCREEN_BOX = st.tuples(st.integers(0, 300), st.integers(0, 300), st.integers(1, 60), st.integers(1, 60)).map(
    lambda b: (b[0], b[1], b[0] + b[2], b[1] + b[3])
)


# ---- GUI-G2 ----------------------------------------------------------------------------------------------------------------------------


def test_gui_g2_golden():
    # rewards.md 1.1
    assert gui_g2_point(PREDICTED, TARGET) == pytest.approx(0.882497, abs=1e-6)
    assert gui_g2_coverage(PREDICTED, TARGET) == pytest.approx(0.957340, abs=1e-6)
    assert gui_g2(PREDICTED, TARGET) == pytest.approx(1.839837, abs=1e-6)
    assert gui_g2(PREDICTED, TARGET, nu=0.8, gamma=0.2) == pytest.approx(0.8 * 0.882497 + 0.2 * 0.957340, abs=1e-6)


def test_gui_g2_by_hand():
    # centres one sigma apart in x: alpha 1, width 20
    assert gui_g2_point([20, 0, 40, 10], [0, 0, 20, 10], alpha=1.0) == pytest.approx(math.exp(-0.5))
    assert gui_g2_point([0, 10, 20, 20], [0, 0, 20, 10], alpha=1.0) == pytest.approx(math.exp(-0.5))
    # one of 10 in y: Sigma = 100, D = 1/8 in R_c
    assert gui_g2_coverage([0, 10, 20, 20], [0, 0, 20, 10], alpha=1.0) == pytest.approx(math.exp(-0.125))
    # no distance; widths 10 and 20: sqrt(2 * 10 * 20 / (100 + 400)) = sqrt(0.8)
    assert gui_g2_coverage([5, 0, 15, 8], [0, 0, 20, 8]) == pytest.approx(math.sqrt(0.8))
    # sizes that differ do not matter to the point reward
    assert gui_g2_point([5, 0, 15, 8], [0, 0, 20, 8]) == 1.0
    assert gui_g2(TARGET, TARGET) == 2.0


def test_gui_g2_without_area_counts_one_pixel():
    # sigma = 0.5 px, one pixel off: exp(-1/2 * 4)
    assert gui_g2_point([11, 5, 11, 5], [10, 5, 10, 5]) == pytest.approx(math.exp(-2))
    # 1 px against 2 px in x and y, same centre: sqrt(4 / 5) squared
    assert gui_g2_coverage([10, 5, 10, 5], [9, 4, 11, 6]) == pytest.approx(0.8)
    assert gui_g2([10, 5, 10, 5], [10, 5, 10, 5]) == 2.0
    # as shares of the image one pixel is something else
    assert gui_g2_point([0.11, 0.5, 0.13, 0.5], [0.1, 0.4, 0.14, 0.6], least=1e-3) == pytest.approx(1.0)


def test_a_target_far_away_is_worth_nothing():
    assert gui_g2([1e9, 1e9, 1e9, 1e9], [0, 0, 1, 1]) == 0.0
    assert gui_g2([1e9, 1e9, 1e9, 1e9], [0, 0, 1, 1], least=1e-9) == 0.0


@given(BOX, BOX)
def test_gui_g2_ranges_and_symmetry(a, b):
    assert 0.0 <= gui_g2_point(a, b) <= 1.0
    assert 0.0 <= gui_g2_coverage(a, b) <= 1.0
    assert gui_g2_coverage(a, b) == pytest.approx(gui_g2_coverage(b, a))
    assert gui_g2_coverage(a, a) == pytest.approx(1.0)
    assert gui_g2(a, b) == pytest.approx(gui_g2((a[2], a[3], a[0], a[1]), (b[0], b[3], b[2], b[1])))


@given(SCREEN_BOX, SCREEN_BOX, st.integers(1, 20))
def test_gui_g2_falls_with_distance_and_scales_with_the_screen(a, b, step):
    (x1, y1, x2, y2), right = a, (a[0] + a[2]) >= (b[0] + b[2])
    further = (x1 + step, y1, x2 + step, y2) if right else (x1 - step, y1, x2 - step, y2)
    assert gui_g2_point(further, b) <= gui_g2_point(a, b)
    assert gui_g2_coverage(further, b) <= gui_g2_coverage(a, b)
    assert gui_g2([3 * v for v in a], [3 * v for v in b]) == pytest.approx(gui_g2(a, b))


# ---- GUI-G1 ----------------------------------------------------------------------------------------------------------------------------


def test_gui_g1_golden():
    # rewards.md 1.2
    assert edge_agreement(PREDICTED, TARGET, 1000, 500) == pytest.approx(0.992991, abs=1e-6)
    assert gui_g1(PREDICTED, TARGET, 1000, 500) == pytest.approx(1.249124, abs=1e-6)
    assert gui_g1(PREDICTED, TARGET, 1000, 500, overlap="plain") == pytest.approx(1.249124, abs=1e-6)
    assert gui_g1(PREDICTED, TARGET, 1000, 500, iou_weight=0.0, box_weight=0.0) == 1.0
    assert gui_g1(TARGET, TARGET, 1000, 500) == 1.375


def test_gui_g1_overlaps_of_one_pixel_count_in_the_plain_form_only():
    # 1 of 19 columns is shared; the centre is not in the target; R_box = 4 / (2 / 0.91 + 2) = 1.82 / 1.91
    one = ([9, 0, 19, 10], [0, 0, 10, 10], 100, 100)
    assert gui_g1(*one) == pytest.approx(0.125 * 1.82 / 1.91)
    assert gui_g1(*one, overlap="plain") == pytest.approx(0.25 / 19 + 0.125 * 1.82 / 1.91)


def test_edges_that_are_off_by_a_whole_side_are_worth_nothing():
    assert edge_agreement([100, 0, 100, 10], [0, 0, 10, 10], 100, 100) == 0.0  # d = 0
    assert edge_agreement([500, 0, 510, 10], [0, 0, 10, 10], 100, 100) == 0.0  # d < 0
    assert edge_agreement([99, 0, 10, 10], [0, 0, 10, 10], 100, 100) > 0.0
    assert gui_g1([500, 0, 510, 10], [0, 0, 10, 10], 100, 100) == 0.0


@given(BOX, BOX, st.integers(1, 5000), st.integers(1, 5000), st.sampled_from(["inclusive", "plain"]))
def test_gui_g1_is_bounded_and_its_overlaps_are_ordered(a, b, width, height, overlap):
    assert 0.0 <= gui_g1(a, b, width, height, overlap=overlap) <= 1.375
    assert gui_g1(a, b, width, height) <= gui_g1(a, b, width, height, overlap="plain")
    assert 0.0 <= edge_agreement(a, b, width, height) <= 1.0
    assert edge_agreement(a, b, width, height) == edge_agreement(b, a, width, height)


@given(SCREEN_BOX, st.integers(0, 200), st.integers(0, 200))
def test_edge_agreement_falls_as_the_box_moves_away(box, near, more):
    def moved(by):
        return (box[0] + by, box[1], box[2] + by, box[3])

    assert edge_agreement(moved(near + more), box, 400, 400) <= edge_agreement(moved(near), box, 400, 400)


# ---- difficulty, distance --------------------------------------------------------------------------------------------------------------


def test_difficulty_by_hand():
    # shares of the image 1, 1/16, 1/100: raw 1, 4, 10, mean 5
    boxes, sizes = [[0, 0, 100, 100], [0, 0, 25, 25], [0, 0, 20, 20]], [(100, 100), (100, 100), (200, 200)]
    assert difficulty(boxes, sizes) == pytest.approx([0.2, 0.8, 2.0])
    # clipped at 4: mean 3
    assert difficulty(boxes, sizes, highest=4.0) == pytest.approx([1 / 3, 4 / 3, 4 / 3])
    # a point is one pixel; a target larger than the image counts as the image: 10 and 1
    assert difficulty([[5, 5, 5, 5], [-50, -50, 60, 60]], [(10, 10), (10, 10)]) == pytest.approx([20 / 11, 2 / 11])
    assert difficulty([], []) == []


@given(st.lists(SCREEN_BOX, min_size=1, max_size=8), st.floats(1, 100))
def test_difficulty_is_one_on_average_and_never_less_for_a_smaller_target(boxes, highest):
    weights = difficulty(boxes, [(400, 400)] * len(boxes), highest=highest)
    assert sum(weights) / len(weights) == pytest.approx(1.0)
    areas = [(b[2] - b[0]) * (b[3] - b[1]) for b in boxes]
    assert all(u >= v - 1e-9 for a, u in zip(areas, weights, strict=True) for b, v in zip(areas, weights, strict=True) if a <= b)


def test_distance_golden():
    # rewards.md 1.13, gui_coordinate: d = 0.054562
    assert distance((0.700, 0.800), (0.664, 0.841)) == pytest.approx(0.404819, abs=1e-6)
    assert distance((0.5, 0.5), (0.5, 0.5)) == 1.0
    assert distance((0.65, 0.5), (0.5, 0.5)) == pytest.approx(0.0)
    assert distance((0.9, 0.5), (0.5, 0.5)) == 0.0
    assert distance((0.5, 0.6), (0.5, 0.5), radius=0.2) == pytest.approx(0.25)


@given(st.tuples(*[st.floats(0, 1)] * 2), st.tuples(*[st.floats(0, 1)] * 2), st.floats(0, 1))
def test_distance_is_symmetric_bounded_and_rises_on_the_way(a, b, t):
    nearer = tuple(p + t * (q - p) for p, q in zip(a, b, strict=True))
    assert 0.0 <= distance(a, b) <= 1.0
    assert distance(a, b) == distance(b, a)
    assert distance(nearer, b) >= distance(a, b) - 1e-9


def test_faults_are_named():
    bad = [0, 0, math.nan, 1]
    for call, message in (
        (lambda: gui_g2(bad, TARGET), "is no box"),
        (lambda: gui_g2(TARGET, [0, 0, 1]), "is no box"),
        (lambda: gui_g2(TARGET, TARGET, alpha=0.0), "alpha is 0.0"),
        (lambda: gui_g2(TARGET, TARGET, alpha=math.nan), "alpha is nan"),
        (lambda: gui_g2(TARGET, TARGET, nu=math.inf), "nu is inf"),
        (lambda: gui_g2(TARGET, TARGET, least=0.0), "least size"),
        (lambda: gui_g1(bad, TARGET, 10, 10), "is no box"),
        (lambda: gui_g1(TARGET, TARGET, 0, 10), "must be above 0"),
        (lambda: gui_g1(TARGET, TARGET, 10, -1), "must be above 0"),
        (lambda: gui_g1(TARGET, TARGET, 10, 10, overlap="exact"), "allowed: 'inclusive', 'plain'"),
        (lambda: gui_g1(TARGET, TARGET, 10, 10, iou_weight=math.nan), "weights are nan"),
        (lambda: difficulty([bad], [(10, 10)]), "is no box"),
        (lambda: difficulty([TARGET], [(0, 10)]), "must be above 0"),
        (lambda: difficulty([TARGET], [(10, 10)], highest=0.5), "highest is 0.5"),
        (lambda: difficulty([TARGET], []), "shorter"),
        (lambda: distance((0, math.inf), (0, 0)), "is no point"),
        (lambda: distance((0, 0), (0, 0), radius=0.0), "radius is 0.0"),
    ):
        with pytest.raises(ValueError, match=message):
            call()


# ---- what agents write -----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "box", "form"),
    [
        ("[110,52,150,68]", (110, 52, 150, 68), 1.0),
        ("[ 110, 52,150 , 68 ]", (110, 52, 150, 68), 1.0),
        ("[150, 68, 110, 52]", (110, 52, 150, 68), 1.0),
        ("The box is [1.5, -2, 3, 4].", (1.5, -2, 3, 4), 0.0),
        ("[1, 2] or [1, 2, 3, 4] or [5, 6, 7, 8]", (1, 2, 3, 4), 0.0),
        ("[1.0, 2, 3, 4]", (1, 2, 3, 4), 0.0),
        ("[1, 2, 3, 4, 5]", None, 0.0),
        ("[1, 2, 3, 4e9]", None, 0.0),
        ("[1, 2, 3, 9999999999]", None, 1.0),
        ("[1, 2, 3, " + "9" * 400 + "]", None, 1.0),
        ("[nan, 2, 3, 4]", None, 0.0),
        ("[１, 2, 3, 4]", None, 0.0),
        ("", None, 0.0),
    ],
)
def test_parse_box(text, box, form):
    assert parse_box(text) == box
    assert box_format(text) == form


@given(st.text(alphabet="[],.-0123456789 e\n", max_size=60))
def test_parse_box_never_raises(text):
    box = parse_box(text)
    assert box is None or (box[0] <= box[2] and box[1] <= box[3])


# ---- actions ---------------------------------------------------------------------------------------------------------------------------

CLICK = ("click", {"coordinate": [65, 45]})
TAGS = "<think>the button</think>\n<action>click it</action>\n<tool_call>{}</tool_call>"


def test_mobile_r1_golden():
    # rewards.md 1.7
    assert mobile_r1_action(TAGS, ("click", {"coordinate": [60, 40]}), CLICK, {"coordinate": [50, 30, 80, 60]}) == 2.0
    assert mobile_r1_action(TAGS, ("type", {"text": "Berlin"}), ("type", {"text": "Bern"})) == 1.0
    assert mobile_r1_action("click", ("type", {"text": "Bern"}), ("type", {"text": "Bern"})) == 1.0
    assert mobile_r1_action("click", None, CLICK) == 0.0


@pytest.mark.parametrize(
    ("made", "value"),
    [
        (("click", {"coordinate": [80, 60]}), 1.0),
        (("click", {"coordinate": (50.0, 30)}), 1.0),
        (("click", {"coordinate": [81, 60]}), 0.0),
        (("tap", {"coordinate": [60, 40]}), 0.0),
        (("click", {}), 0.0),
        (("click", {"coordinate": [60, 40], "button": "left"}), 0.0),
        (("click", {"coordinate": [math.nan, 40]}), 0.0),
        (("click", {"coordinate": [10**400, 40]}), 0.0),
        (("click", {"coordinate": ["60", 40]}), 0.0),
        (("click", {"coordinate": [60, 40, 60, 40]}), 0.0),
        (("click", {"coordinate": "60, 40"}), 0.0),
        (("click", {"coordinate": None}), 0.0),
        (("click", {"coordinate": {"x": 60, "y": 40}}), 0.0),
        (None, 0.0),
    ],
)
def test_points_in_the_box(made, value):
    assert action_match(made, CLICK, {"coordinate": [80, 60, 50, 30]}) == value


def test_a_drag_has_two_boxes_and_other_arguments_are_exact():
    wanted = ("drag", {"start": [5, 5], "end": [25, 5], "hold": 1})
    boxes = {"start": [0, 0, 10, 10], "end": [20, 0, 30, 10]}
    assert action_match(("drag", {"start": [1, 1], "end": [21, 9], "hold": 1}), wanted, boxes) == 1.0
    assert action_match(("drag", {"start": [21, 9], "end": [1, 1], "hold": 1}), wanted, boxes) == 0.0
    assert action_match(("drag", {"start": [1, 1], "end": [21, 9], "hold": True}), wanted, boxes) == 0.0
    assert action_match(("wait", {}), ("wait", {})) == 1.0
    assert action_match(("wait", {"s": math.nan}), ("wait", {"s": 1})) == 0.0
    assert action_match(("wait", {"s": {1, 2}}), ("wait", {"s": 1})) == 0.0


def test_boxes_must_fit_the_wanted_action():
    with pytest.raises(ValueError, match=r"boxes for \['point'\]"):
        action_match(None, CLICK, {"point": [0, 0, 1, 1]})
    with pytest.raises(ValueError, match="is no box"):
        action_match(None, CLICK, {"coordinate": [0, 0, math.nan, 1]})


@pytest.mark.parametrize(
    ("text", "value"),
    [
        (TAGS, 1.0),
        (f"\n{TAGS}\n", 1.0),
        (TAGS.replace("\n", ""), 1.0),
        (f"Well. {TAGS}", 0.0),
        (f"{TAGS} Done.", 0.0),
        (TAGS + TAGS, 0.0),
        ("<action>a</action><think>t</think><tool_call>c</tool_call>", 0.0),
        ("<think>t</think><action> </action><tool_call>c</tool_call>", 0.0),
        ("<think>t<action>a</action></think><tool_call>c</tool_call>", 0.0),
        ("<think>t</think><action>a</action>", 0.0),
        ("", 0.0),
    ],
)
def test_mobile_r1_format(text, value):
    assert mobile_r1_format(text) == value


SCALAR = st.none() | st.booleans() | st.floats() | st.integers() | st.text()
JSON = st.recursive(SCALAR, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner))


@given(st.dictionaries(st.sampled_from(["coordinate", "text"]), JSON))
def test_action_match_never_raises_for_what_was_made(arguments):
    assert action_match(("click", arguments), CLICK, {"coordinate": [50, 30, 80, 60]}) in (0.0, 1.0)
