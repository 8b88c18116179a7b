import math
import time

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from turnwise.rewards.gui_vote import NO_BOX, consensus, parse_score, region, soft_verdict, vote_grid, votes, voting_rewards

GOLDEN = [[2, 2, 6, 6], [3, 3, 7, 7], [2, 2, 6, 6], [8, 8, 10, 10]]
WIDTH, HEIGHT = 14, 11
BOXES = st.lists(st.tuples(*[st.integers(-4, 18)] * 4), max_size=7)


def pixel_votes(boxes, width, height):
    grid = np.zeros((height, width), dtype=int)
    for x1, y1, x2, y2 in boxes:
        left, right, top, bottom = min(x1, x2), max(x1, x2), min(y1, y2), max(y1, y2)
        for y in range(height):
            for x in range(width):
                grid[y, x] += left <= x < right and top <= y < bottom
    return grid


def pixel_rewards(boxes, width, height):
    grid = pixel_votes(boxes, width, height)
    rewards = []
    for x1, y1, x2, y2 in boxes:
        own = [grid[y, x] for y in range(height) for x in range(width) if min(x1, x2) <= x < max(x1, x2) and min(y1, y2) <= y < max(y1, y2)]
        rewards.append(sum(own) / (grid.max() * len(own)) if own else 0.0)
    return rewards


def pixel_consensus(boxes, width, height):
    """(box, area) of the largest region, by flooding pixels in reading order."""
    grid = pixel_votes(boxes, width, height)
    if grid.max() == 0:
        return None
    seen, best = set(), []
    for y in range(height):
        for x in range(width):
            if grid[y, x] != grid.max() or (y, x) in seen:
                continue
            queue, own = [(y, x)], []
            seen.add((y, x))
            while queue:
                r, c = queue.pop()
                own.append((r, c))
                for near in ((r - 1, c), (r + 1, c), (r, c - 1), (r, c + 1)):
                    if 0 <= near[0] < height and 0 <= near[1] < width and grid[near] == grid.max() and near not in seen:
                        seen.add(near)
                        queue.append(near)
            if len(own) > len(best):
                best = own
    rows, columns = [r for r, _ in best], [c for _, c in best]
    return (min(columns), min(rows), max(columns) + 1, max(rows) + 1), len(best)


# ---- boxes that vote -------------------------------------------------------------------------------------------------------------------


def test_voting_golden():
    # rewards.md 1.3
    assert vote_grid(GOLDEN, 10, 10).highest == 3
    assert voting_rewards(GOLDEN, 10, 10) == pytest.approx([0.854167, 0.708333, 0.854167, 0.333333], abs=1e-6)
    found = consensus(GOLDEN, 10, 10)
    assert (found.box, found.point, found.votes, found.area) == ((3.0, 3.0, 6.0, 6.0), (4.5, 4.5), 3, 9)


def test_the_grid_by_hand():
    grid = vote_grid([[1, 0, 3, 2], [2, 1, 9, 9]], 4, 3)
    assert grid.pixels().tolist() == [[0, 1, 1, 0], [0, 1, 2, 1], [0, 0, 1, 1]]
    assert (grid.x.tolist(), grid.y.tolist()) == ([0, 1, 2, 3, 4], [0, 1, 2, 3])
    assert vote_grid([], 4, 3).pixels().tolist() == [[0] * 4] * 3


@given(BOXES)
def test_cells_equal_pixels(boxes):
    assert (vote_grid(boxes, WIDTH, HEIGHT).pixels() == pixel_votes(boxes, WIDTH, HEIGHT)).all()
    assert voting_rewards(boxes, WIDTH, HEIGHT) == pytest.approx(pixel_rewards(boxes, WIDTH, HEIGHT))


@given(BOXES)
def test_consensus_equals_that_of_pixels(boxes):
    found = consensus(boxes, WIDTH, HEIGHT)
    assert (None if found is None else (found.box, found.area)) == pixel_consensus(boxes, WIDTH, HEIGHT)


@given(st.lists(st.tuples(*[st.floats(-1e9, 1e9)] * 4), max_size=6), st.floats(0, 1e5))
@example([(0.0, 0.0, 9.0, 9.0)], 5e-324)
@example([(0.0, 0.0, 1.0, 172.0), (0.0, 1.0, 1.0, 86.0)], 1.5)
def test_rewards_are_shares_and_some_box_that_is_in_the_image_is_not_worth_nothing(boxes, least_area):
    rewards = voting_rewards(boxes, 1920, 1080, least_area=least_area)
    assert len(rewards) == len(boxes)
    assert all(0.0 <= r <= 1.0 for r in rewards)
    assert (max(rewards, default=0.0) > 0.0) == (consensus(boxes, 1920, 1080) is not None)
    assert all(r <= plain for r, plain in zip(rewards, voting_rewards(boxes, 1920, 1080), strict=True))


def test_fractions_inverted_boxes_and_boxes_beside_the_image():
    assert voting_rewards([[2.9, 2.9, 6.9, 6.9], [6, 6, 2, 2]], 10, 10) == [1.0, 1.0]
    assert voting_rewards([[2, 2, 2.9, 9], [0, 0, 4, 4], [20, 20, 30, 30], [-9, -9, -1, -1]], 10, 10) == [0.0, 1.0, 0.0, 0.0]
    assert voting_rewards([NO_BOX, NO_BOX], 10, 10) == [0.0, 0.0]
    assert voting_rewards([], 10, 10) == []
    assert consensus([NO_BOX], 10, 10) is None
    assert consensus([], 10, 10) is None


def test_consensus_takes_the_larger_region_and_then_the_first():
    assert consensus([[5, 0, 7, 2], [0, 3, 2, 5]], 10, 10).box == (5.0, 0.0, 7.0, 2.0)  # equal: the higher one
    assert consensus([[5, 0, 7, 2], [0, 0, 2, 2]], 10, 10).box == (0.0, 0.0, 2.0, 2.0)  # then the left one
    assert consensus([[5, 0, 7, 2], [0, 3, 2, 6]], 10, 10).box == (0.0, 3.0, 2.0, 6.0)
    # regions that touch at a corner are two
    assert consensus([[0, 0, 2, 2], [2, 2, 5, 5]], 10, 10).area == 9


def test_the_shrinkage_hole_and_the_prior_that_closes_it():
    honest, tiny = [10, 10, 30, 30], [20, 20, 21, 21]
    rest = [[8, 8, 28, 28], [12, 12, 32, 32]]
    open_hole = voting_rewards([honest, tiny, *rest], 100, 100)
    closed = voting_rewards([honest, tiny, *rest], 100, 100, least_area=400.0)
    assert open_hole[1] == 1.0 > open_hole[0]
    assert closed[1] == pytest.approx(1 / 400)
    assert closed[0] == open_hole[0]


def test_regions():
    assert region([1, 2, 3, 4]) == (1.0, 2.0, 3.0, 4.0)
    assert region([100, 60]) == (75.0, 35.0, 125.0, 85.0)
    assert region([100, 60], side=100.0) == (50.0, 10.0, 150.0, 110.0)
    for nothing in (None, [], [1], [1, 2, 3], [1, 2, 3, 4, 5], [math.nan, 2], [1, 2, 3, math.inf], [1e300, 0]):
        assert region(nothing) == NO_BOX
    assert region([1e9, 1e9]) == (1e9 - 25, 1e9 - 25, 1e9, 1e9)


def test_64_boxes_on_a_4k_image_take_milliseconds():
    rng = np.random.default_rng(0)
    boxes = np.concatenate([rng.uniform(0, 2000, (64, 2)), rng.uniform(0, 2000, (64, 2))], axis=1).tolist()
    seconds = []
    for _ in range(5):
        start = time.perf_counter()
        voting_rewards(boxes, 3840, 2160)
        consensus(boxes, 3840, 2160)
        seconds.append(time.perf_counter() - start)
    assert min(seconds) < 0.05  # 1 ms on an idle machine; pixels take a hundred times as long


def test_voting_names_faults():
    for call, message in (
        (lambda: vote_grid([[0, 0, math.nan, 1]], 10, 10), "is no box"),
        (lambda: voting_rewards([[0, 0, 1]], 10, 10), "is no box"),
        (lambda: consensus([[0, 0, 1, math.inf]], 10, 10), "is no box"),
        (lambda: vote_grid([], 0, 10), "both are from 1"),
        (lambda: vote_grid([], 10, -3), "both are from 1"),
        (lambda: vote_grid([], 10, 2_000_000), "both are from 1"),
        (lambda: voting_rewards([], 10, 10, least_area=-1.0), "least_area is -1"),
        (lambda: voting_rewards([], 10, 10, least_area=math.nan), "least_area is nan"),
        (lambda: region([1, 2], side=-5.0), "side is -5"),
    ):
        with pytest.raises(ValueError, match=message):
            call()


# ---- judges that vote ------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "score"),
    [
        ("The form is sent.\nSCORE: 1", 1.0),
        ("SCORE: 0", 0.0),
        ("I would say SCORE: 0 at first.\nSCORE: 1", 1.0),
        ("SCORE: 1\nSCORE: unclear", 1.0),
        ("SCORE:1.", 1.0),
        ("SCORE: 0.5", 0.5),
        ("SCORE:\n-1", -1.0),
        ("SCORE: 10", 10.0),
        ("SCORE: 1e5", None),
        ("SCORE: 1st", None),
        ("SCORE: " + "9" * 400, None),
        ("SCORE: １", None),
        ("score: 1", None),
        ("success", None),
        ("", None),
    ],
)
def test_parse_score(text, score):
    assert parse_score(text) == score


def test_votes_golden():
    # rewards.md 1.6
    assert votes([1, 1, 1, 0], "majority") is True
    assert votes([1, 1, 1, 0], "all") is False
    assert votes([1, 1, 0, 0], "majority") is False
    assert votes([1, 1, None, 1], "all") is True
    assert votes([1, 1, None, 1]) is True


def test_votes_by_hand():
    assert votes([]) is None
    assert votes([None, None]) is None
    assert votes([None, None, None, 1]) is True
    assert votes([None, None, None, 1], quorum=2) is None
    assert votes([None, None, 1, 1], quorum=2) is True
    assert votes([1, 0, None], "majority") is False
    assert votes([1, 1, 0], "majority") is True
    assert votes([0.5, 10, 2]) is False


@given(st.lists(st.sampled_from([0, 1, None]), max_size=8))
def test_unanimous_is_a_majority_and_order_does_not_matter(scores):
    if votes(scores, "all"):
        assert votes(scores, "majority")
    assert (votes(scores) is None) == (set(scores) <= {None})
    for rule in ("all", "majority"):
        assert votes(scores, rule) == votes(scores[::-1], rule) == votes([*scores, None], rule)


def test_soft_verdict():
    # rewards.md 1.5
    assert soft_verdict(1.3, 0.2) == pytest.approx(0.750260, abs=1e-6)
    assert soft_verdict(0.2, 1.3) == pytest.approx(1 - 0.750260, abs=1e-6)
    assert soft_verdict(5.0, 5.0) == 0.5
    assert soft_verdict(1e308, -1e308) == 1.0
    assert soft_verdict(-1e308, 1e308) == 0.0
    assert soft_verdict(-math.inf, 0.0) == 0.0
    assert soft_verdict(0.0, -math.inf) == 1.0


@given(st.floats(-1e308, 1e308), st.floats(-1e308, 1e308), st.floats(0, 1e3))
def test_soft_verdict_is_a_probability_that_rises_with_the_positive_logit(positive, negative, more):
    assert 0.0 <= soft_verdict(positive, negative) <= soft_verdict(positive + more, negative) <= 1.0
    assert soft_verdict(positive, negative) + soft_verdict(negative, positive) == pytest.approx(1.0)


def test_verdicts_name_faults():
    for call, message in (
        (lambda: votes([1], "any"), "allowed: 'all', 'majority'"),
        (lambda: votes([1], quorum=0), "quorum is 0"),
        (lambda: votes([math.nan]), "could not be read is None"),
        (lambda: soft_verdict(math.nan, 0.0), "logits are nan"),
        (lambda: soft_verdict(-math.inf, -math.inf), "logits are -inf"),
    ):
        with pytest.raises(ValueError, match=message):
            call()
