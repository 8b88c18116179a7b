"""Episodes that were cut off or ran long."""

import math
from dataclasses import replace

import pytest
from turnwise.envs.guess_number import GuessNumber
from turnwise.records import Outcome, StopReason
from turnwise.rewards.overlong import Overlong, cut_off, overlong_penalty
from turnwise.rewards.rubric import Rubric
from turnwise.trainers.config import TrainConfig
from turnwise.trainers.shaping import Shaping

from .conftest import trajectory


@pytest.mark.parametrize(("length", "expected"), [(1, 0.0), (16384, 0.0), (17408, -0.25), (18432, -0.5), (20480, -1.0), (30000, -1.0)])
def test_the_punishment_by_hand(length, expected):
    assert overlong_penalty(length, 20480, 4096) == pytest.approx(expected)


def test_only_limits_of_turns_and_tokens_cut_off():
    episode = trajectory([([5], [6], [-1.0])])
    ends = {stop: cut_off(replace(episode, stop=stop)) for stop in StopReason if not stop.voids}
    assert {stop for stop, cut in ends.items() if cut} == {StopReason.MAX_TURNS, StopReason.MAX_TOKENS, StopReason.CONTEXT_OVERFLOW}
    assert not cut_off(replace(episode, stop=StopReason.MAX_TURNS, outcome=Outcome.void("x")))


def test_the_punishment_lowers_the_outcome_and_nothing_else():
    """Lengths 4, 6 and 9 with a limit of 8 and a cache of 4: 0, -0.5 and -1."""
    episodes = [trajectory([([5], [6] * (n - 1), [-1.0] * (n - 1)), ([7], [8], [-1.0])]) for n in (4, 6, 9)]
    found = [s.apply() for s in Rubric([(Overlong(8, 4), 1.0)])(episodes)]
    assert [t.outcome.score for t in found] == [1.0, 0.5, 0.0]
    assert [t.outcome.success for t in found] == [True] * 3
    assert [dict(t.outcome.components) for t in found] == [
        {},
        {"environment": 1.0, "overlong": -0.5},
        {"environment": 1.0, "overlong": -1.0},
    ]
    assert [t.turns for t in found] == [t.turns for t in episodes]
    assert all(math.isnan(x) for v in Overlong(8, 4)(episodes) for x in v.turns)


def test_punished_episodes_are_counted():
    shaping = Shaping(TrainConfig(overlong="penalty", overlong_max=8, overlong_cache=4), GuessNumber())
    rewards = shaping.of_step(None)
    rewards([trajectory([([5], [6] * n, [-1.0] * n)]) for n in (4, 6, 9)])
    rewards([trajectory([([5], [6] * 9, [-1.0] * 9)], valid=False), trajectory([([5], [6] * 9, [-1.0] * 9)])])
    assert shaping.counts["overlong_punished"] == 3
    assert "overlong_turns" not in shaping.counts


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"overlong": "penalty"}, "needs overlong_max and overlong_cache"),
        ({"overlong": "penalty", "overlong_max": 5}, r"given: \(5, None\)"),
        ({"overlong": "penalty", "overlong_max": 5, "overlong_cache": 6}, "overlong_cache is 6 and overlong_max 5"),
        ({"overlong": "mask", "overlong_max": 5}, "are for overlong 'penalty', not 'mask'"),
    ],
)
def test_lengths_that_mean_nothing_are_refused(changes, message):
    with pytest.raises(ValueError, match=message):
        Shaping(TrainConfig(**changes), GuessNumber())
