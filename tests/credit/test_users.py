"""UserRL: published numbers, and the estimator against the plain functions of one episode."""

import statistics

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from turnwise.rewards.users import token_advantages, trajectory_score, turn_credits
from turnwise.trainers.credit import TurnBatch, estimate

THREE = [[0.0, 0.0, 1.0], [1.0, 0.0], [0.0, 1.0, 0.0]]
Z = [-0.577344, 1.154689, -0.577344]


def check(batch, expected, **parameters):
    np.testing.assert_allclose(estimate("user_rl", batch, **parameters), expected, atol=1e-5)


def test_equalized_is_trajectory_grpo():
    batch = TurnBatch.from_lists(THREE, [0.0] * 3, token_counts=[[2] * 3, [2] * 2, [2] * 3])
    check(batch, [Z[0]] * 3 + [Z[1]] * 2 + [Z[2]] * 3)


def test_reward_to_go():
    batch = TurnBatch.from_lists(THREE, [0.0] * 3, token_counts=[[2] * 3, [2] * 2, [2] * 3])
    expected = [-0.454304, -0.567880, -0.709850, 1.154689, 0, -0.513195, -0.641494, 0]
    check(batch, expected, turn="r2g")
    # the outcome may be given apart: it is part of the last turn
    apart = TurnBatch.from_lists([[0.0, 0.0, 0.0], *THREE[1:]], [1.0, 0.0, 0.0], token_counts=[[2] * 3, [2] * 2, [2] * 3])
    check(apart, expected, turn="r2g")


def test_group_scores():
    # "sum" scores .375, 0, .25, .625
    batch = TurnBatch.from_lists([[0.0, 0.75], [0.0], [0.25], [0.625]], [0.0] * 4)
    check(batch, [0.240191, 0.240191, -1.200957, -0.240191, 1.200957])


def test_tokens_weigh_the_scale():
    # r2g credits [1, .5] over 2 and 3 tokens; scores 1, -1: z = 1 / 1.414214 = 0.707106
    batch = TurnBatch.from_lists([[0.75, 0.5], [-1.0]], [0.0, 0.0], token_counts=[[2, 3], [1]])
    check(batch, [0.707106 * 1.428571, 0.707106 * 0.714286, -0.707106], turn="r2g", gamma=0.5, score="r2g")
    # without counts a turn is one token: z 2 / 1.5
    check(TurnBatch.from_lists([[0.75, 0.5], [-1.0]], [0.0, 0.0]), [0.942808, 0.471404, -0.707106], turn="r2g", gamma=0.5, score="r2g")


def test_the_two_settings_are_independent():
    batch = TurnBatch.from_lists([[0.0, 1.0], [1.0, 0.0], [0.0, 0.0]], [0.0] * 3)
    # r2g scores .8, 1, 0: mean .6, std .529150; sum scores .5, .5, 0: z .57735
    check(batch, [0.377964] * 2 + [0.755928] * 2 + [-1.133891] * 2, score="r2g")
    check(batch, [0.0, 0.577349, 0.577349, 0.0, 0.0, 0.0], turn="naive")
    # em credits .5, 1: 2 / 1.5 of them
    check(batch, [0.384899, 0.769799, 0.769799, 0.384899, -1.154698, -1.154698], turn="em")


def test_a_group_of_one_keeps_its_raw_score():
    batch = TurnBatch.from_lists([[0.0, 0.5, 0.0, 1.0]], [0.0])
    check(batch, [0.375] * 4)
    check(batch, [0.0] * 4, singleton="zero")


def test_unscored_turns_are_not_in_the_mean_but_the_last_is():
    batch = TurnBatch.from_lists([[None, 0.5, None], [0.25, 0.25]], [1.0, 0.0])
    # (0.5 + 1) / 2 = .75 and .25; with zeros in: .5 and .25; two values always give +-0.707107 less what eps takes
    check(batch, [0.707105] * 3 + [-0.707105] * 2)
    one = TurnBatch.from_lists([[None, 0.5, None]], [1.0])
    check(one, [0.75] * 3)
    check(one, [0.5] * 3, unscored="zero")


rows = st.lists(st.lists(st.integers(-4, 8).map(lambda n: n / 4), min_size=1, max_size=5), min_size=2, max_size=6)


@settings(max_examples=100, deadline=None)
@given(rows, st.sampled_from(["equalized", "r2g", "em", "naive"]), st.sampled_from(["sum", "r2g"]), st.integers(0, 99))
def test_the_estimator_does_what_the_functions_of_one_episode_say(rewards, turn, score, seed):
    rng = np.random.default_rng(seed)
    counts = [[int(rng.integers(1, 5)) for _ in row] for row in rewards]
    scores = [trajectory_score(row, score) for row in rewards]
    mean, deviation = statistics.fmean(scores), statistics.stdev(scores)
    tokens = [
        value
        for row, n, s in zip(rewards, counts, scores, strict=True)
        for value in token_advantages(turn_credits(row, turn), n, (s - mean) / (deviation + 1e-6))
    ]
    found = estimate("user_rl", TurnBatch.from_lists(rewards, [0.0] * len(rewards), token_counts=counts), turn=turn, score=score)
    spread = np.repeat(found, [n for row in counts for n in row])
    np.testing.assert_allclose(spread, tokens, atol=1e-6, rtol=1e-6)


def test_a_slope_of_zero_is_refused():
    with pytest.raises(ValueError, match="k is 0"):
        estimate("user_rl", TurnBatch.from_lists([[0.0]], [0.0]), turn="em", k=0.0)
