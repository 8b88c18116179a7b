"""Which turns the strategies fork, by hand."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from turnwise.agents.branching import STRATEGIES, Along, Arpo, Entropy, Fork, Uniform, entropy
from turnwise.records import Message, Outcome, StopReason, Task, TokenTrace, Trajectory, Turn

TASK = Task(id="t", env_id="x/X-v0", split="train")


def member(rollout, surprises, *, parent=None, fork=0):
    """An episode whose turns have these mean surprises, two tokens each."""
    turns = []
    for index, h in enumerate(surprises):
        trace = TokenTrace(context_ids=(1,), action_ids=(2, 3), logprobs=(-h - 0.25, -h + 0.25), restart=index == 0)
        action = Message(role="assistant", content="x")
        turns.append(Turn(index=index, observation=(), action=action, tokens=trace, trained=index >= fork))
    outcome = Outcome(score=1.0)
    return Trajectory(task=TASK, turns=tuple(turns), outcome=outcome, stop=StopReason.SUCCESS, rollout=rollout, parent=parent, fork=fork)


def rng(seed=0):
    return np.random.default_rng(seed)


def test_entropy_takes_the_highest_turns_and_penalises_siblings():
    # 0 has turns of 0.5 and 0.9; 1 has 0.52 and 0.3; 2 was forked from 0 at turn 1, where it has 0.88.
    members = [member(0, [0.5, 0.9]), member(1, [0.52, 0.3]), member(2, [0.5, 0.88], parent=0, fork=1)]
    # both first turns have a sibling (0.45, 0.47), as have turn 1 of 0 and of 2 (0.85, 0.83); turn 1 of 1 has none (0.30)
    assert Entropy()(members, 5, rng()) == [Fork(0, 1), Fork(2, 1), Fork(1, 0), Fork(0, 0), Fork(1, 1)]
    # a penalty of 0.59 leaves -0.09, 0.31, -0.07, 0.30 and 0.29
    assert Entropy(penalty=0.59)(members, 3, rng()) == [Fork(0, 1), Fork(1, 1), Fork(2, 1)]
    assert Entropy()([member(0, [0.1])], 3, rng()) == [Fork(0, 0)] * 3  # fewer turns than forks: again from the first


def test_siblings_are_those_of_the_same_state_whoever_the_parent_was():
    # 1 was forked from 0 at turn 2, 2 from 1 at turn 1: its turn 1 is a sibling of turn 1 of 0, which 1 only shares.
    members = [member(0, [0.0, 0.7, 0.0]), member(1, [0.0, 0.7, 0.65], parent=0, fork=2), member(2, [0.0, 0.68], parent=1, fork=1)]
    # turn 1 of 0: 0.6, of 2: 0.58; turn 2 of 1: 0.55 and of 0: -0.1
    assert Entropy(penalty=0.1)(members, 4, rng()) == [Fork(0, 1), Fork(2, 1), Fork(1, 2), Fork(0, 0)]


def test_uniform_goes_round_the_trees_and_expands_every_inner_turn_equally_often():
    members = [member(0, [0.0] * 4), member(1, [0.0] * 2), member(2, [0.0] * 4, parent=0, fork=2), member(3, [0.0])]
    chosen = Uniform()(members, 3000, rng())
    assert {0, 2} >= {f.parent for f in chosen if f.parent not in (1, 3)}
    tree = {0: 0, 2: 0, 1: 1, 3: 3}
    assert [sum(tree[f.parent] == root for f in chosen) for root in (0, 1, 3)] == [1000, 1000, 1000]
    # Tree 0: after turn 0, 1 and 2 of 0, and after turn 2 of 2, which is its only inner one; the others can be forked in one place.
    counts = {f: chosen.count(f) for f in set(chosen)}
    assert set(counts) == {Fork(0, 1), Fork(0, 2), Fork(0, 3), Fork(2, 3), Fork(1, 1), Fork(3, 0)}
    for f in (Fork(0, 1), Fork(0, 2), Fork(0, 3), Fork(2, 3)):
        assert 190 < counts[f] < 310


def test_arpo_draws_turns_in_proportion_to_its_probability():
    # p of turn 1: 0.5 + 0.2 * (3 - 1) = 0.9; of turn 2: 0.5 + 0.2 * (0 - 1) = 0.3
    chosen = Arpo()([member(0, [1.0, 3.0, 0.0])], 4000, rng())
    assert 2850 < chosen.count(Fork(0, 1)) < 3150
    assert chosen.count(Fork(0, 2)) == 4000 - chosen.count(Fork(0, 1))
    assert set(Arpo(base=-9.0)([member(0, [1.0, 3.0, 0.0])], 50, rng())) == {Fork(0, 1), Fork(0, 2)}
    assert Arpo()([member(4, [1.0]), member(6, [1.0])], 3, rng()) == [Fork(4, 0), Fork(6, 0), Fork(4, 0)]


def test_along_an_expert_every_prefix_gets_its_share():
    expert = [member(0, [0.0] * 4), member(1, [0.0] * 9, parent=0, fork=2)]
    assert [f.turn for f in Along()(expert, 8, rng())] == [0, 0, 1, 1, 2, 2, 3, 3]
    assert [f.turn for f in Along()(expert, 2, rng())] == [0, 2]
    assert {f.parent for f in Along()(expert, 8, rng())} == {0}


def test_entropy_is_the_mean_surprise_and_without_log_probs_an_error():
    (turn,) = member(0, [0.4]).turns
    assert entropy(turn) == pytest.approx(0.4)
    chat = Turn(index=0, observation=(), action=turn.action, chat_logprobs=(-0.5, -1.0))
    assert entropy(chat) == pytest.approx(0.75)
    with pytest.raises(ValueError, match="turn 3 was played without log-probs"):
        entropy(Turn(index=3, observation=(), action=turn.action))


@st.composite
def groups(draw):
    made = [member(0, draw(st.lists(st.floats(0, 3), min_size=1, max_size=5)))]
    for rollout in range(1, draw(st.integers(1, 5))):
        parent = draw(st.sampled_from([*made, None]))
        own = draw(st.lists(st.floats(0, 3), min_size=1, max_size=4))
        fork = 0 if parent is None else draw(st.integers(0, len(parent.turns) - 1))
        made.append(member(rollout, [0.5] * fork + own, parent=None if parent is None else parent.rollout, fork=fork))
    return made


@pytest.mark.parametrize("name", list(STRATEGIES))
@given(members=groups(), count=st.integers(0, 9), seed=st.integers(0, 3))
def test_every_strategy_names_turns_that_are_there_and_repeats_itself(name, members, count, seed):
    strategy = STRATEGIES[name]()
    chosen = strategy(members, count, rng(seed))
    assert chosen == strategy(members, count, rng(seed))
    assert len(chosen) == count
    length = {t.rollout: len(t.turns) for t in members}
    assert all(0 <= f.turn < length[f.parent] for f in chosen)
