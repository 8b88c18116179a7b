import json
import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from turnwise.agents.rollout import rollout
from turnwise.agents.scripted import ScriptedAgent
from turnwise.envs.check import check_env
from turnwise.envs.tools.dialects import DIALECTS, Hermes
from turnwise.envs.users.twenty import ATTRIBUTES, Halving, RandomQuestions, Spam, Twenty, creatures
from turnwise.records import Message, StopReason, ToolCall

WRITE = Hermes().write


def begin(**options):
    env = Twenty(**options)
    env.reset(seed=0, options={"split": "test", "index": 3})
    return env, env.task.data["facts"], env.task.data["secret"]


def test_one_episode_in_numbers():
    env, facts, secret = begin(size=16, weights={"information": 1.0, "format": 0.5, "executed": 0.25})
    value = facts[secret]["size"]
    left = sum(f["size"] == value for f in facts.values())
    observation, _, _, _, info = env.step(WRITE([("ask", {"attribute": "size", "value": value})]))
    assert observation[0].text == "<tool_response>\nyes\n</tool_response>"
    assert info["turn"]["components"] == pytest.approx({"information": math.log(16 / left) / math.log(16), "format": 0.5, "executed": 0.25})
    assert info["turn"]["potential"] == pytest.approx(-math.log(left) / math.log(16))
    both = [("look_up", {"name": secret}), ("ask", {"attribute": "size", "value": "huge"})]
    observation, _, _, _, info = env.step(WRITE(both))
    assert json.dumps(facts[secret]) in observation[0].text
    assert "size is never 'huge'; allowed: small, medium, large" in observation[0].text
    assert info["turn"]["components"] == {"information": 0.0, "format": 0.5, "executed": 0.125}
    _, _, terminated, _, info = env.step(WRITE([("guess", {"name": secret}), ("ask", {"attribute": "size", "value": value})]))
    assert (terminated, info["outcome"].score, info["stop"]) == (True, 1.0, StopReason.SUCCESS)


def test_native_calls_are_answered_one_by_one_and_the_first_guess_counts():
    env, facts, secret = begin(size=8)
    wrong = next(name for name in facts if name != secret)
    calls = tuple(ToolCall(id=f"c{n}", name="guess", arguments=json.dumps({"name": name})) for n, name in enumerate((wrong, secret)))
    observation, _, terminated, _, info = env.step(Message(role="assistant", tool_calls=calls))
    assert [(m.role, m.tool_call_id, m.text) for m in observation] == [
        ("tool", "c0", "wrong"),
        ("tool", "c1", "Error: the episode was over."),
    ]
    assert (terminated, info["outcome"].score, info["stop"]) == (True, 0.0, StopReason.FAILURE)


def test_what_cannot_be_used_is_told():
    env, *_ = begin()
    for text, told, valid in (
        ("hello", "Nobody reads messages here", True),
        ("<tool_call>{", "Error: <tool_call> is not closed", False),
        (WRITE([("aks", {})]), "Did you mean 'ask'?", False),
        (WRITE([("ask", {"attribute": "price", "value": "low"})]), "there is no attribute 'price'; allowed: size,", False),
        (WRITE([("guess", {"name": "Nobody"})]), "there is no creature 'Nobody'", False),
    ):
        observation, _, terminated, _, info = env.step(text)
        assert told in observation[0].text
        assert (info["turn"]["action_valid"], terminated) == (valid, False)
    for wrong, message in (
        ({"dialect": "yaml"}, "allowed: hermes"),
        ({"weights": {"x": 1}}, "unknown turn reward"),
        ({"size": 65}, "8 to 64"),
    ):
        with pytest.raises(ValueError, match=message):
            Twenty(**wrong)


def test_there_are_twenty_questions():
    env, *_ = begin()
    ask = ("ask", {"attribute": "legs", "value": "two"})
    observation, *_ = env.step(WRITE([ask] * 21))
    assert observation[0].text.count("Error: all 20 questions have been asked; guess") == 1


@pytest.mark.parametrize("dialect", DIALECTS)
def test_the_gold_agent_wins_a_thousand_tasks_in_every_dialect(dialect):
    env = Twenty(dialect=dialect)
    tasks = env.tasks.get_task_range("test", 0, 1000 if dialect == "hermes" else 100)
    done = rollout(lambda: env, ScriptedAgent(Halving, dialect=dialect), tasks, concurrency=1)
    assert all(t.outcome.score == 1.0 for t in done)
    assert all(sum(turn.components["information"] for turn in t.turns) == pytest.approx(1.0) for t in done)
    assert max(len(t.turns) for t in done) <= 10


def test_bad_agents_score_what_chance_gives():
    tasks = Twenty().tasks.get_task_range("test", 0, 400)
    assert sum(t.outcome.score for t in rollout(Twenty, ScriptedAgent(Spam), tasks)) == 0
    lucky = sum(t.outcome.score for t in rollout(Twenty, ScriptedAgent(RandomQuestions), tasks)) / 400
    assert 0.005 <= lucky <= 0.08  # one in 32


def test_secrets_are_anywhere_in_the_list_and_splits_share_no_names():
    tasks = Twenty().tasks
    places = {list(t.data["facts"]).index(t.data["secret"]) for t in tasks.get_task_range("train", 0, 400)}
    assert places == set(range(32))
    names = [{n for g in range(20) for n in creatures(split, g, 32)} for split in ("train", "validation", "test")]
    assert names[0] & names[1] == names[0] & names[2] == names[1] & names[2] == set()
    facts = creatures("train", 0, 64)
    assert len({tuple(f.values()) for f in facts.values()}) == 64


@settings(max_examples=50)
@given(
    st.lists(
        st.text() | st.builds(lambda a, v: WRITE([("ask", {"attribute": a, "value": v})]), st.sampled_from([*ATTRIBUTES, "x"]), st.text())
    )
)
def test_any_text_is_an_observation(texts):
    env = Twenty(size=8, tasks=1)
    env.reset(seed=0)
    for text in texts[:24]:
        observation, _, terminated, _, _ = env.step(text)
        assert observation
        assert not terminated


def test_the_contract_is_kept_with_other_arguments():
    assert check_env("turnwise/Twenty-v0", dialect="hermes", size=8).ok


def test_silence_is_no_format():
    env, *_ = begin(weights={"format": 1.0})
    assert [env.step(text)[1] for text in ("", " \n", "hello")] == [0.0, 0.0, 1.0]
