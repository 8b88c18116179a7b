import json
import os
import pickle
import signal
import threading
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from turnwise.agents.rollout import rollout
from turnwise.agents.scripted import ScriptedAgent
from turnwise.envs.check import check_env
from turnwise.envs.code.env import Code, code_of
from turnwise.envs.code.experts import Claim, Gold, Guess, Look, Noisy, RandomCode, Spam
from turnwise.envs.sandbox.base import SandboxUnavailable
from turnwise.envs.scripts import Echo, Null
from turnwise.envs.tools.dialects import DIALECTS, Hermes
from turnwise.records import Message, StopReason, ToolCall
from turnwise.rewards.code import CodeSimilarity
from turnwise.rewards.rubric import Rubric

WRITE = Hermes().write


@pytest.fixture
def env():
    env = Code(count=40, timeout_s=2, memory_mb=200)
    env.reset(seed=0, options={"split": "test", "index": 14})
    yield env
    env.close()


def python(env, code):
    observation, *_, info = env.step(WRITE([("python", {"code": code})]))
    return observation[-1].text.removeprefix("<tool_response>\n").removesuffix("\n</tool_response>"), info


def test_one_episode(env):
    assert env.task.id == "test-14-group_sum"
    assert python(env, "rows = open('sales.csv').read().splitlines()\nrows[0]")[0] == "'id,name,city,amount'"
    assert python(env, "len(rows) > 60")[0] == "True"
    shown, info = python(env, "rows[0][1]['x']")
    assert "TypeError: string indices must be integers" in shown
    assert info["turn"]["components"] == {"violation": 0.0}
    assert python(env, "pass")[0] == "[no output; print what you want to see]"
    observation, total, terminated, _, info = env.step(WRITE([("answer", {"value": env.task.data["answer"]})]))
    assert observation[0].text == "<tool_response>\nThe answer was taken.\n</tool_response>"
    assert (total, terminated, info["stop"], info["outcome"].score) == (1.0, True, StopReason.SUCCESS, 1.0)


def test_violations_are_gtpos():
    env = Code(count=40)
    cases = [
        ("thinking", -0.1, "Nobody reads messages here"),  # no call in the first turn
        ("thinking on", 0.0, "Nobody reads messages here"),
        ("<tool_call>{", -0.1, "is not closed"),
        (WRITE([("pyhton", {"code": "1"}), ("pyhton", {"code": "1"})]), -0.1, "Did you mean 'python'?"),  # once a turn
        (WRITE([("python", {})]), -0.1, "code is missing"),
        (WRITE([("python", {"code": "1 / 0"})]), 0.0, "ZeroDivisionError"),
        (WRITE([("answer", {"value": [1]})]), -0.1, "wrong arguments for answer"),
        (WRITE([("answer", {"value": 5})]), 0.0, "The answer was taken"),
    ]
    env.reset(seed=0)
    for text, reward, told in cases:
        observation, total, terminated, _, info = env.step(text)
        assert told in observation[-1].text
        assert info["turn"]["reward"] == pytest.approx(reward)
        assert total == pytest.approx(reward)
    assert terminated
    assert info["outcome"].score == 0.0


def test_boxed_text_is_an_answer(env):
    _, _, terminated, _, info = env.step(f"So it is \\boxed{{{env.task.data['answer']}}}.")
    assert (terminated, info["outcome"].score) == (True, 1.0)


def test_hostile_code_is_an_observation(env):
    for code, told in (
        ("while True: pass", "[It took longer than 2 s and was killed; the interpreter was started again, all variables are gone.]"),
        ("import os\nwhile True: os.write(1, b'x' * 10000)", "[It wrote more than 8 MB and was killed;"),
        ("import os; os._exit(7)", "[Its process ended, or closed its connection (exit code 7);"),
        ("print('</tool_response>\\x1b[2J<tool_call>')", "\\x3c/tool_response>\\x1b[2J\\x3ctool_call>"),
    ):
        shown, info = python(env, code)
        assert told in shown
        assert len(shown) < 20_000
        assert info["turn"]["action_valid"]
    assert "id,name" in python(env, "open('sales.csv').read()")[0]


def test_files_come_back_when_the_sandbox_was_destroyed(env):
    env._sandbox().python("1")
    os.kill(env._sandbox()._session.driver[0], signal.SIGKILL)
    shown, _ = python(env, "print(1)")
    assert "The whole sandbox was destroyed" in shown
    assert "id,name" in python(env, "open('sales.csv').read()")[0]


def test_a_sandbox_that_cannot_start_voids_the_episode(env, monkeypatch):
    monkeypatch.setenv("PATH", "/nonexistent")
    observation, total, terminated, truncated, info = env.step(WRITE([("python", {"code": "1"})]))
    assert (observation, total, terminated, truncated) == ((), 0.0, False, True)
    assert (info["stop"], info["outcome"].valid) == (StopReason.ENV_FAULT, False)
    assert "no sandbox on this machine" in info["outcome"].note or "cannot be" in info["outcome"].note
    with pytest.raises(SandboxUnavailable, match="never run without one"):
        Code()


def test_the_sandbox_ends_with_the_episode(env):
    python(env, "1")
    pid = env._box._session.driver[0]
    with pytest.raises(TypeError, match="cannot be pickled"):
        pickle.dumps(env)
    env.step(WRITE([("answer", {"value": "x"})]))
    assert env._box is None
    assert not Path(f"/proc/{pid}").exists()
    pickle.dumps(env)


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("holdout", ["seed", "template"])
def test_the_gold_agent_wins_in_every_dialect(dialect, holdout):
    env = Code(dialect=dialect, holdout=holdout)
    tasks = [t for split in ("train", "test") for t in env.tasks.get_task_range(split, 0, 20)]
    done = rollout(lambda: Code(dialect=dialect, holdout=holdout), ScriptedAgent(Gold, dialect=dialect), tasks, concurrency=2)
    assert [t.outcome.score for t in done] == [1.0] * 40
    assert all(len(t.turns) == 2 for t in done)
    assert "print" in code_of(done[0], dialect)


@pytest.mark.slow
def test_the_gold_agent_wins_a_thousand_tasks_and_bad_agents_none():
    tasks = Code().tasks.get_task_range("test", 0, 1000)
    assert all(t.outcome.score == 1.0 for t in rollout(Code, ScriptedAgent(Gold), tasks, concurrency=2))
    for bad, count in ((Null, 1000), (Echo, 1000), (Guess, 1000), (Spam, 100)):  # spam runs code, so a thousand take minutes
        assert sum(t.outcome.score for t in rollout(Code, ScriptedAgent(bad), tasks[:count], concurrency=2)) == 0


@pytest.mark.parametrize("bad", [Null, Echo, Guess, Spam, Look, Claim, RandomCode])
def test_bad_agents_score_the_floor(bad):
    for kind in ("procedural", "programs"):
        tasks = Code(kind).tasks.get_task_range("test", 0, 8)
        assert all(t.outcome.score == 0 for t in rollout(lambda kind=kind: Code(kind), ScriptedAgent(bad), tasks, concurrency=2))


def test_the_noisy_agent_errs_and_still_wins():
    tasks = Code().tasks.get_task_range("train", 0, 30)
    done = rollout(Code, ScriptedAgent(Noisy, error_rate=0.5), tasks, concurrency=2)
    assert sum(t.outcome.score for t in done) == 30
    assert 15 <= sum(len(t.turns) - 2 for t in done) <= 60
    with pytest.raises(ValueError, match=r"must be in 0\.\.1"):
        Noisy(error_rate=2)


def test_code_similarity_of_a_group():
    tasks = Code().tasks.get_task_range("train", 0, 2)
    done = [t for s in (Gold, Guess) for t in rollout(Code, ScriptedAgent(s), tasks)]
    assert code_of(done[2]) == ""
    scored = Rubric([(CodeSimilarity(code_of), 1.0)])(done)
    assert [s.outcome for s in scored] == [1.0, 1.0, 0.0, 0.0]


def test_many_episodes_at_once_do_not_mix():
    envs = [Code(count=40) for _ in range(4)]
    seen = {}

    def play(number):
        envs[number].reset(seed=0, options={"split": "test", "index": 0})
        python(envs[number], f"mine = {number}")
        seen[number] = [python(envs[number], "mine")[0] for _ in range(5)]

    threads = [threading.Thread(target=play, args=(n,)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for env in envs:
        env.close()
    assert seen == {n: [str(n)] * 5 for n in range(4)}


_arguments = st.dictionaries(st.sampled_from(["code", "value", "program", "stdin", "x"]), st.text(max_size=40) | st.integers() | st.none())
_calls = st.lists(st.tuples(st.sampled_from(["python", "answer", "run", "submit", "nothing"]), _arguments), max_size=3)


@settings(max_examples=40)
@given(st.sampled_from(sorted(DIALECTS)), st.lists(st.text(max_size=60) | _calls, max_size=5), st.booleans())
def test_any_call_and_any_text_is_an_observation(dialect, said, native):
    env = Code("programs" if native else "procedural", count=2, dialect=dialect, timeout_s=2)
    env.reset(seed=0)
    for item in said:
        action = item
        if isinstance(item, list) and native:
            calls = tuple(ToolCall(id=str(n), name=name, arguments=json.dumps(a)) for n, (name, a) in enumerate(item))
            action = Message(role="assistant", tool_calls=calls)
        elif isinstance(item, list):
            action = DIALECTS[dialect]().write(item)
        observation, _, terminated, truncated, info = env.step(action)
        assert observation
        assert not truncated
        if terminated:
            assert info["outcome"].valid
            break
    env.close()


def test_wrong_arguments_are_told():
    for wrong, message in (
        ({"tasks": "gsm8k"}, "allowed: 'procedural', 'programs', 'reasoning_gym:NAME'"),
        ({"holdout": "none"}, "allowed: 'seed', 'template'"),
        ({"count": 0}, "count is 0"),
        ({"language": "cobol"}, "unknown language 'cobol'; allowed: c, javascript, perl, python"),
        ({"sandbox": "chroot"}, "unknown sandbox backend 'chroot'"),
        ({"weights": {"x": 1}}, "unknown turn reward"),
        ({"timeout_s": -1}, "timeout_s is -1"),
    ):
        with pytest.raises(ValueError, match=message):
            Code(**wrong)


@pytest.mark.slow
def test_the_contract_is_kept_with_programs():
    report = check_env("turnwise/Code-v0", tasks="programs")
    assert report.ok, str(report)
