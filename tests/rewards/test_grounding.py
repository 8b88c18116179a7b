import math

import pytest
from turnwise.records import Message, Outcome, StopReason, Task, Trajectory, Turn
from turnwise.rewards.grounding import GuiRcpo, answer_of, screen_of
from turnwise.trainers.shaping import FUNCTIONS

BOXES = ([2, 2, 6, 6], [3, 3, 7, 7], [2, 2, 6, 6], [8, 8, 10, 10])


def episode(numbers, task="a", rollout=0, size=(10, 10), turns=1):
    names = ("x", "y") if len(numbers) == 2 else ("x1", "y1", "x2", "y2")[: len(numbers)]
    measures = dict(zip(names, map(float, numbers), strict=True)) | ({"width": size[0], "height": size[1]} if size else {})
    said = Message(role="assistant", content="x")
    played = tuple(Turn(index=n, observation=(), action=said, measures=measures if n == turns - 1 else {}) for n in range(turns))
    where = Task(id=task, env_id="e", split="train", data={"id": task})
    return Trajectory(task=where, turns=played, outcome=Outcome(score=0.0), stop=StopReason.FAILURE, rollout=rollout)


def test_the_papers_four_boxes():
    """The reference's golden values for four boxes on 10 x 10 pixels."""
    values = GuiRcpo()([episode(box) for box in BOXES])
    assert [v.turns[-1] for v in values] == pytest.approx([0.854167, 0.708333, 0.854167, 0.333333], abs=1e-6)
    assert all(math.isnan(v.outcome) for v in values)


def test_groups_are_apart_and_only_last_turns_are_scored():
    mixed = [episode(BOXES[0]), episode([0, 0, 5, 5], task="b", turns=3), episode(BOXES[1]), episode(BOXES[2]), episode(BOXES[3])]
    values = [v.turns for v in GuiRcpo()(mixed)]
    assert [v[-1] for v in values] == pytest.approx([0.854167, 1.0, 0.708333, 0.854167, 0.333333], abs=1e-6)
    assert [math.isnan(v) for v in values[1]] == [True, True, False]


def test_points_vote_with_squares_and_unreadable_answers_get_nothing():
    group = [episode([20, 20], size=(100, 100)), episode([20, 20], size=(100, 100)), episode([], size=(100, 100))]
    assert [v.turns for v in GuiRcpo(side=10)(group)] == [[1.0], [1.0], [0.0]]
    # Two squares of side 10 whose centres are 5 apart share half: (50 * 2 + 50 * 1) / (100 * 2).
    assert [v.turns[0] for v in GuiRcpo(side=10)([episode([20, 20], size=(100, 100)), episode([25, 20], size=(100, 100))])] == [0.75, 0.75]


def test_a_prior_on_size_stops_boxes_from_shrinking():
    group = [episode([10, 10, 11, 11], size=(100, 100)), episode([10, 10, 30, 30], size=(100, 100))]
    assert [v.turns[0] for v in GuiRcpo()(group)] == pytest.approx([1.0, 401 / 800])
    assert [v.turns[0] for v in GuiRcpo(least_area=100)(group)] == pytest.approx([0.01, 401 / 800])


def test_what_it_cannot_score_is_refused():
    with pytest.raises(ValueError, match="no turn measured width and height"):
        GuiRcpo()([episode([1, 2], size=None)])
    with pytest.raises(ValueError, match="side is -1"):
        GuiRcpo(side=-1)
    with pytest.raises(ValueError, match="least_area is -1"):
        GuiRcpo(least_area=-1)
    assert GuiRcpo()([]) == []
    assert FUNCTIONS["gui_rcpo"] is GuiRcpo
    assert (answer_of(episode([3, 4]).turns[0]), screen_of(episode([3, 4]).turns[0])) == ((3.0, 4.0), (10, 10))
