import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from turnwise.records import Message, Outcome, StopReason, Task, Trajectory, Turn
from turnwise.rewards.code import (
    CodeSimilarity,
    StepGains,
    embedding_similarity,
    gtpo_turn_rewards,
    io_reward,
    same_output,
    shaped_outcomes,
    step_gains,
    token_cosine,
)
from turnwise.rewards.rubric import Rubric
from turnwise.trainers.credit import TurnBatch, estimate


def test_gtpo_golden_from_turns_to_advantages():
    """Three episodes: right, right with a violation, failed with similarities 0.8 and 0.4; 0.5 * 0.6 = 0.3."""
    shaped = shaped_outcomes([1, 1, 0], ["p", "q", "f"], similarity=lambda a, b: [[0.8, 0.4]])
    assert shaped == pytest.approx([1, 1, 0.3])
    turns = [gtpo_turn_rewards(v, o) for v, o in zip([[False] * 3, [True, False], [False] * 3], shaped, strict=True)]
    assert [x for t in turns for x in t] == pytest.approx([0, 0, 1, -0.1, 1, 0, 0, 0.3])
    batch = TurnBatch.from_lists(turn_rewards=turns, outcomes=[0, 0, 0], groups=[0, 0, 0])
    wanted = [0.461322, 0.748403, 1.067381, 0.429425, 1.067381, -1.347284, -1.261160, -1.165467]
    assert estimate("gtpo", batch) == pytest.approx(wanted, abs=1e-5)  # the reference divides by the rounded 0.313500


def test_code_similarity():
    assert token_cosine("x = 1", "x = 1") == pytest.approx(1.0)
    assert token_cosine("x = 1", "x = 2") == pytest.approx(2 / 3)  # two of three tokens
    assert token_cosine("", "x") == 0.0
    vectors = {"a": [1.0, 0.0], "b": [0.6, 0.8], "c": [-2.0, 0.0], "z": [0.0, 0.0]}
    cosine = embedding_similarity(lambda texts: np.array([vectors[t] for t in texts]))
    assert np.array(cosine(["a", "c", "z"], ["a", "b"])) == pytest.approx(np.array([[1, 0.6], [-1, -0.6], [0, 0]]))
    assert shaped_outcomes([0, 1, 0, 1], ["a", "a", "c", "b"], similarity=cosine) == pytest.approx([0.4, 1, 0, 1])
    assert shaped_outcomes([0, 0], ["a", "b"]) == [0, 0]
    assert shaped_outcomes([], []) == []
    for wrong in (np.ones(2), np.ones((1, 2)), np.full((2, 2), np.nan)):
        with pytest.raises(ValueError, match="one row per text"):
            embedding_similarity(lambda _, wrong=wrong: wrong)(["a", "b"], ["a", "b"])


def test_step_gains_golden():
    assert step_gains([0.25, 0.25, 0.5, 0.5, 1.0]) == pytest.approx([0.225, 0.25, 0.45, 0.5])
    assert step_gains([0.5, 0.45, 0.2]) == pytest.approx([-0.225, -0.25])
    assert step_gains([0.5, 0.55]) == [0.0]
    assert step_gains([1.0]) == []
    for wrong in ([], [0.5, 1.5], [math.nan]):
        with pytest.raises(ValueError, match="success rates"):
            step_gains(wrong)


@given(st.lists(st.floats(0, 1), min_size=2, max_size=12))
def test_step_gains_are_the_differences_where_nothing_is_small(rates):
    assert step_gains(rates, epsilon=0.0) == pytest.approx([b - a for a, b in itertools.pairwise(rates)])


def test_outputs_are_compared_like_agnostics():
    assert same_output("1 2 \n3\n\n", "1 2\n3")
    assert not same_output("1  2", "1 2")
    assert not same_output("1\n\n2", "1\n2")
    assert io_reward(["1\n", "2"], ["1", "2\n"]) == 1.0
    assert io_reward(["1", None], ["1", "2"]) == 0.0
    assert io_reward([], []) == 0.0


def episode(task, code, score, turns=2):
    actions = [Turn(index=n, observation=(), action=Message(role="assistant", content=code)) for n in range(turns)]
    stop = StopReason.SUCCESS if score else StopReason.FAILURE
    return Trajectory(task=task, turns=tuple(actions), outcome=Outcome(score=score), stop=stop)


def test_in_a_rubric():
    one, two = (Task(id=n, env_id="e", split="train", data={"n": n}) for n in "ab")
    group = [episode(one, "x = 1", 1.0), episode(one, "x = 2", 0.0), episode(two, "x = 1", 0.0)]
    functions = [(CodeSimilarity(lambda t: t.turns[0].action.text), 1.0), (StepGains(lambda t: [0.0, 0.5, 1.0]), 2.0)]
    scored = Rubric(functions)(group)
    assert [s.outcome for s in scored] == pytest.approx([1.0, 0.5 * 2 / 3, 0.0])
    assert scored[1].turn_rewards == [1.0, 1.0]
    assert scored[1].apply().outcome.success is False
