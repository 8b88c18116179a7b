from dataclasses import replace

import numpy as np
import pytest
from turnwise.records import Message, Turn
from turnwise.trainers.assemble import assemble

from .conftest import random_trajectories, trajectory


def test_turns_merge_into_one_sample_with_the_action_tokens_marked():
    episode = trajectory([([1, 2], [7, 8], [-0.5, -0.25]), ([3], [9], [-1.0])])
    (sample,) = assemble([episode], [0.5, -1.0])
    assert sample.ids.tolist() == [1, 2, 7, 8, 3, 9]
    assert sample.action.tolist() == [False, False, True, True, False, True]
    assert sample.advantage.tolist() == [0, 0, 0.5, 0.5, 0, -1]
    assert sample.logprobs.tolist() == [0, 0, -0.5, -0.25, 0, -1]
    np.testing.assert_allclose(sample.weight, [0, 0, 1 / 3, 1 / 3, 0, 1 / 3])


def test_a_restart_begins_a_new_sample_with_the_rebuilt_context():
    episode = trajectory([([1, 2], [7], [-0.5]), ([1, 2, 5], [9], [-1.0]), ([4], [6], [-2.0])], restarts=(1,))
    first, second = assemble([episode], [1.0, 2.0, 3.0])
    assert first.ids.tolist() == [1, 2, 7]
    assert second.ids.tolist() == [1, 2, 5, 9, 4, 6]
    assert second.advantage.tolist() == [0, 0, 0, 2, 0, 3]


def test_without_merging_every_turn_is_a_sample_and_the_weights_stay():
    episode = trajectory([([1, 2], [7, 8], [-0.5, -0.5]), ([3], [9], [-1.0])])
    first, second = assemble([episode], [1.0, 2.0], merge=False)
    assert (first.ids.tolist(), second.ids.tolist()) == ([1, 2, 7, 8], [1, 2, 7, 8, 3, 9])
    assert second.action.tolist() == [False] * 5 + [True]
    assert float(first.weight.sum() + second.weight.sum()) == pytest.approx(1.0)


def test_rollout_aggregation_weighs_a_long_episode_like_a_short_one():
    long = trajectory([([1], [5, 5, 5], [-1.0] * 3), ([2], [6], [-1.0])])
    short = trajectory([([1], [5], [-1.0])])
    for merge in (True, False):
        samples = assemble([long, short], aggregate="rollout", merge=merge)
        totals = [sum(float(s.weight.sum()) for s in samples if s.rollout == r) for r in (0, 1)]
        assert totals == pytest.approx([0.5, 0.5])


def test_a_voided_episode_gives_no_sample_and_changes_no_weight():
    episodes = random_trajectories(0, count=3)
    void = trajectory([([1], [5], [-1.0]), ([1], [5], [-1.0])], valid=False)
    turns = sum(len(t.turns) for t in episodes)
    advantages = np.arange(turns, dtype=float)
    without = assemble(episodes, advantages)
    first = len(episodes[0].turns)
    with_void = assemble([episodes[0], void, *episodes[1:]], np.concatenate([advantages[:first], [9, 9], advantages[first:]]))
    assert [s.weight.tolist() for s in with_void] == [s.weight.tolist() for s in without]
    assert [s.advantage.tolist() for s in with_void] == [s.advantage.tolist() for s in without]


def test_wrong_number_of_advantages_and_turns_without_tokens_are_refused():
    episode = trajectory([([1], [5], [-1.0])])
    with pytest.raises(ValueError, match="advantages for 1 turns"):
        assemble([episode], [1.0, 2.0])
    bare = Turn(index=0, observation=(), action=Message(role="assistant", content="x"))
    object.__setattr__(episode, "turns", (bare,))
    with pytest.raises(ValueError, match="no tokens were recorded"):
        assemble([episode])


@pytest.mark.parametrize("merge", [True, False])
def test_a_turn_that_is_not_trained_is_context_and_has_no_weight(merge):
    episode = trajectory([([1], [7, 8], [-0.5, -0.5]), ([2], [9, 9, 9], [-1.0] * 3), ([3], [6, 5], [-1.0] * 2)])
    first, recalled, last = episode.turns
    episode = replace(episode, turns=(first, replace(recalled, trained=False), last))
    samples = assemble([episode], [1.0, 2.0, 3.0], merge=merge)
    assert samples[-1].ids.tolist() == [1, 7, 8, 2, 9, 9, 9, 3, 6, 5]
    assert samples[-1].action.tolist()[3:] == [False] * 5 + [True, True]
    assert [s.advantage[s.action].tolist() for s in samples] == ([[1, 1, 3, 3]] if merge else [[1, 1], [3, 3]])
    assert sum(float(s.weight.sum()) for s in samples) == pytest.approx(1.0)  # a quarter for each trained token
    nothing = replace(episode, turns=tuple(replace(t, trained=False) for t in episode.turns))
    assert assemble([nothing], [1.0, 2.0, 3.0]) == []


def test_advantages_of_tokens_go_to_their_tokens_over_restarts_and_untrained_turns():
    episode = trajectory([([1, 2], [7, 8], [-0.5] * 2), ([3], [9], [-1.0]), ([4], [5, 6], [-1.0] * 2)], restarts=(2,))
    turns = (episode.turns[0], replace(episode.turns[1], trained=False), episode.turns[2])
    first, second = assemble([replace(episode, turns=turns)], token_advantages=[0.5, -1.0, 4.0, 2.0, 3.0])
    assert first.advantage.tolist() == [0, 0, 0.5, -1, 0, 0]
    assert second.advantage.tolist() == [0, 2, 3]
    with pytest.raises(ValueError, match=r"\(4,\) token_advantages for 5 action tokens"):
        assemble([episode], token_advantages=[1.0] * 4)
    with pytest.raises(ValueError, match="give one of them"):
        assemble([episode], [1.0] * 3, token_advantages=[1.0] * 5)
