"""Records refuse what must not exist, at the place where it is built."""

import math

import pytest
from turnwise.records import Message, Outcome, StopReason, Task, TokenTrace, ToolCall, Trajectory, Turn

TASK = Task(id="t", env_id="x/X-v0", split="train", prompt=(Message(role="user", content="q"),), data={"answer": "a"})


def turn(index: int = 0, **kw) -> Turn:
    return Turn(index=index, observation=(), action=Message(role="assistant", content="a"), **kw)


def forked(**kw) -> Trajectory:
    return Trajectory(task=TASK, turns=(turn(0), turn(1)), outcome=Outcome(score=0.0), stop=StopReason.FAILURE, **kw)


def test_task_hash_names_the_problem_not_the_split():
    other = Task(id="u", env_id="x/X-v0", split="test", prompt=TASK.prompt, data={"answer": "a"})
    assert TASK.hash == other.hash
    assert TASK.hash != Task(id="t", env_id="x/X-v0", split="train", prompt=TASK.prompt, data={"answer": "b"}).hash


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: Message(role="robot"), "role 'robot' is unknown"),
        (lambda: Message(role="user", tool_calls=(ToolCall(id="1", name="f"),)), "only 'assistant'"),
        (lambda: Task(id="", env_id="x", split="s"), "non-empty id"),
        (lambda: Task(id="t", env_id="x", split="s", data={"f": math.nan}), "plain JSON"),
        (lambda: Task(id="t", env_id="x", split="s", data={"f": "\ud800"}), "task 't'.*half of a surrogate pair"),
        (lambda: turn(reward=math.inf), "must be finite"),
        (lambda: turn(reward=1.0, components={"a": 0.4}), "sum to 0.4"),
        (lambda: turn(components={"a": 0.0}), "not scored"),
        (lambda: Outcome(score=math.nan), "must be finite"),
        (lambda: Outcome(score=1.0, success=True, valid=False), "cannot be a success"),
        (lambda: TokenTrace(context_ids=(), action_ids=(1,), logprobs=()), "one per token"),
        (lambda: TokenTrace(context_ids=(), action_ids=(1,), logprobs=(math.nan,)), "not finite"),
        (lambda: Trajectory(task=TASK, turns=(turn(1),), outcome=Outcome(score=0.0), stop=StopReason.FAILURE), "has index 1"),
        (lambda: Trajectory(task=TASK, turns=(), outcome=Outcome(score=0.0), stop=StopReason.ENV_FAULT), "voids the episode"),
        (lambda: forked(parent=0), "rollout 0 has the parent 0"),
        (lambda: forked(parent=-1), "has the parent -1"),
        (lambda: forked(fork=1), "fork is 1; allowed: 0 to 0"),
        (lambda: forked(parent=1, fork=3), "fork is 3; allowed: 0 to 2"),
        (lambda: forked(parent=1, fork=1), "a turn before the fork is trained"),
    ],
)
def test_bad_records_are_refused(build, message):
    with pytest.raises(ValueError, match=message):
        build()


def test_components_may_differ_from_the_reward_by_a_millionth():
    turn(reward=0.3, components={"a": 0.1, "b": 0.2 + 9e-7})
    with pytest.raises(ValueError, match="sum to"):
        turn(reward=0.3, components={"a": 0.1, "b": 0.2 + 2e-6})


def test_every_stop_reason_has_exactly_one_kind():
    kinds = {s: (s.terminates, s.truncates, s.voids) for s in StopReason}
    assert all(sum(k) == 1 for k in kinds.values())
    assert StopReason.MAX_TURNS.truncates
    assert StopReason.ENV_FAULT.voids
    assert StopReason.GAVE_UP.terminates


def test_unscored_turns_are_not_zero():
    t = Trajectory(task=TASK, turns=(turn(0), turn(1, reward=0.5)), outcome=Outcome(score=1.0), stop=StopReason.SUCCESS)
    assert t.turn_reward_sum == 0.5
    assert t.turns[0].reward is None
    assert t.outcome.success


def test_tokens_of_a_parent_are_not_sampled_again():
    traces = [TokenTrace(context_ids=(1,), action_ids=(2,) * n, logprobs=(-0.5,) * n) for n in (3, 2)]
    turns = (turn(0, tokens=traces[0], trained=False), turn(1, tokens=traces[1]))
    t = Trajectory(task=TASK, turns=turns, outcome=Outcome(score=0.0), stop=StopReason.FAILURE, parent=1, fork=1)
    assert (t.num_action_tokens, t.own_turns) == (2, turns[1:])
    assert TokenTrace(context_ids=(), action_ids=(1, 2), logprobs=(-0.5, -1.0)).surprise == 0.75
    assert TokenTrace(context_ids=(1,), action_ids=(), logprobs=()).surprise == 0.0
