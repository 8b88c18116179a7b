"""The adapter against a stand-in of tau2's published interface (``tau2.gym.gym_agent`` and ``tau2.registry``): a real tau2 needs a checkout
of its repository and a model that plays the customer. The loader reads tau2's own form."""

import json
import sys
import threading
import types

import pytest
from turnwise.envs.formats.tau2 import Tau2, load_tau2
from turnwise.envs.tools.dialects import Hermes
from turnwise.records import StopReason

WRITE = Hermes().write
ROW = {
    "id": "0",
    "user_scenario": {"persona": None, "instructions": {"domain": "airline", "reason_for_call": "cancel", "task_instructions": "be brief"}},
    "initial_state": None,
    "evaluation_criteria": {
        "actions": [{"action_id": "a", "requestor": "assistant", "name": "cancel", "arguments": {"id": "R1"}, "compare_args": None}],
        "communicate_info": ["100"],
        "reward_basis": ["DB", "COMMUNICATE"],
    },
}


class Tool:
    @property
    def openai_schema(self):
        parameters = {"title": "parameters", "type": "object", "properties": {"id": {"title": "Id", "type": "string"}}}
        return {"type": "function", "function": {"name": "cancel", "description": "Cancel.", "parameters": parameters}}


class AgentGymEnv:
    """Ends as its task id says; a thread waits for the agent until the end, as in tau2."""

    def __init__(self, *, domain, task_id, max_steps, solo_mode, user_llm, user_llm_args):
        assert (domain, solo_mode, user_llm, user_llm_args) == ("airline", False, None, None)
        self.reason, self.max_steps, self.steps = task_id, max_steps, 0
        self.ended = threading.Event()
        self.cancelled = False
        self.actions = []

    def info(self, reason=None):
        run = json.dumps({"termination_reason": reason}) if reason else {}
        return {"tools": [Tool()], "policy": "Be polite.", "simulation_run": run}

    def reset(self, seed=None, options=None):
        if self.reason == "no_start":
            raise RuntimeError("no key for the model")
        threading.Thread(target=self.ended.wait, daemon=True).start()
        return "user: Cancel R1, please.", self.info()

    def end(self, reason, reward=0.0):
        self.ended.set()
        return "user: ###STOP###", reward, True, False, self.info(reason)

    def step(self, action):
        self.steps += 1
        self.actions.append(action)
        if self.reason == "crash":
            self.ended.set()
            return "", 0.0, True, False, self.info()
        if action == "###STOP###":
            return self.end("agent_stop")
        if self.steps >= self.max_steps:
            return self.end("max_steps")
        if action.startswith("{"):
            call = json.loads(action)
            if call["arguments"].get("id") != "R1":
                return "tool: Error: no such reservation", 0.0, False, False, self.info()
            self.cancelled = True
            return 'tool: {"refund": 100}', 0.0, False, False, self.info()
        if self.reason == "0":
            return self.end("user_stop", float(self.cancelled and "100" in action))
        return self.end(self.reason)


class Row:
    def __init__(self, row):
        self.row = row

    def model_dump_json(self):
        return json.dumps(self.row)


@pytest.fixture
def tau2(monkeypatch):
    ids = ["0", "max_steps", "infrastructure_error", "context_window_exceeded", "too_many_errors", "timeout", "crash", "no_start"]
    gym, registry = types.ModuleType("tau2.gym.gym_agent"), types.ModuleType("tau2.registry")
    gym.AgentGymEnv = AgentGymEnv
    tasks = [Row({**ROW, "id": id}) for id in ids]
    registry.registry = types.SimpleNamespace(get_tasks_loader=lambda domain: lambda: tasks)
    for name, module in (("tau2", types.ModuleType("tau2")), ("tau2.gym", types.ModuleType("tau2.gym"))):
        monkeypatch.setitem(sys.modules, name, module)
    monkeypatch.setitem(sys.modules, "tau2.gym.gym_agent", gym)
    monkeypatch.setitem(sys.modules, "tau2.registry", registry)
    return ids


def begin(ids, id, **options):
    env = Tau2("airline", **options)
    return env, env.reset(seed=0, options={"split": "test", "index": ids.index(id)})[0]


def test_a_conversation(tau2):
    env, observation = begin(tau2, "0")
    assert observation[0].text.startswith("Be polite.")
    assert '"title"' not in observation[0].text
    assert observation[1].text == "Cancel R1, please."
    observation, *_ = env.step(WRITE([("cancel", {"id": "R9"})]))
    assert "Error: no such reservation" in observation[0].text
    observation, _, _, _, info = env.step(WRITE([("cancel", {"id": "R1"})]))
    assert '{"refund": 100}' in observation[0].text
    assert info["turn"]["reward"] is None
    assert env.step("  ")[0][0].text == "Write something to the customer, or call a function."
    _, total, terminated, truncated, info = env.step("You get 100 back.")
    assert (terminated, truncated, info["stop"], info["outcome"].score, total) == (True, False, StopReason.SUCCESS, 1.0, 1.0)


@pytest.mark.parametrize(
    ("id", "stop", "terminated", "valid"),
    [
        ("0", StopReason.FAILURE, True, True),
        ("max_steps", StopReason.MAX_TURNS, False, True),
        ("timeout", StopReason.TIMEOUT, False, True),
        ("too_many_errors", StopReason.FAILURE, True, True),
        ("infrastructure_error", StopReason.ENV_FAULT, False, False),
        ("context_window_exceeded", StopReason.ENV_FAULT, False, False),
        ("crash", StopReason.ENV_FAULT, False, False),
    ],
)
def test_why_it_ended_decides_what_it_counts(tau2, id, stop, terminated, valid):
    env, _ = begin(tau2, id)
    *_, over, cut, info = env.step("Hello.")
    assert (over, cut, info["stop"], info["outcome"].valid, info["outcome"].score) == (terminated, not terminated, stop, valid, 0.0)


def test_the_limit_of_steps_truncates(tau2):
    env, _ = begin(tau2, "0", max_steps=2)
    env.step(WRITE([("cancel", {"id": "R1"})]))
    _, _, terminated, truncated, info = env.step(WRITE([("cancel", {"id": "R1"})]))
    assert (terminated, truncated, info["stop"]) == (False, True, StopReason.MAX_TURNS)


def test_an_abandoned_simulation_is_ended_and_what_does_not_start_is_a_fault(tau2):
    before = threading.active_count()
    env, _ = begin(tau2, "0")
    inner = env._inner
    env.close()
    inner.ended.wait(5)
    assert inner.actions == ["###STOP###"]
    with pytest.raises(RuntimeError, match="could not start task 'airline-no_start': RuntimeError: no key"):
        begin(tau2, "no_start")
    assert threading.active_count() <= before + 1


def test_what_is_missing_is_told():
    with pytest.raises(ImportError, match="the package tau2 on PyPI is something else"):
        Tau2("airline")


def test_tasks_are_read_from_tau2s_files(tmp_path):
    path = tmp_path / "tasks.json"
    path.write_text(json.dumps([ROW, {**ROW, "id": "1"}]))
    tasks = load_tau2(path, "airline")
    assert [tasks.get_task("test", n).id for n in range(2)] == ["airline-0", "airline-1"]
    assert tasks.get_task("test", 0).data["task"] == ROW
    for change, message in (
        ({"id": 3}, "'id' is a int"),
        ({"user_scenario": "x"}, "user_scenario is no object"),
        ({"evaluation_criteria": {"reward_basis": ["LUCK"]}}, "reward_basis holds 'LUCK'"),
        ({"evaluation_criteria": {"actions": [{"name": "x"}]}}, "no arguments"),
    ):
        path.write_text(json.dumps([{**ROW, **change}]))
        with pytest.raises(ValueError, match=message):
            load_tau2(path, "airline")
