"""The adapter against a stand-in with the interface of AppWorld 0.1.3 (its data needs a download)."""

import sys
import types

import pytest
from turnwise.envs.base import EnvFault
from turnwise.envs.formats.appworld import AppWorldEnv
from turnwise.records import StopReason


class World:
    """Executes nothing; the code says what happens."""

    made: list = []  # noqa: RUF012

    def __init__(self, *, task_id, experiment_name, remote_environment_url=None):
        if task_id == "broken":
            raise OSError("no data")
        person = types.SimpleNamespace(first_name="Ann", last_name="Lee", email="ann@example.com")
        self.task = types.SimpleNamespace(
            instruction=f"Do {task_id}.", supervisor=person if remote_environment_url is None else vars(person)
        )
        self.code, self.closed = [], False
        World.made.append(self)

    def execute(self, code):
        if "vanish" in code:
            raise ConnectionError("server gone")
        self.code.append(code)
        return f"ran {code.strip()}"

    def task_completed(self):
        return any("complete_task" in code for code in self.code)

    def evaluate(self):
        return types.SimpleNamespace(success=any("pay" in code for code in self.code))

    def close(self):
        self.closed = True


@pytest.fixture
def env(monkeypatch):
    module = types.ModuleType("appworld")
    module.AppWorld = World
    module.load_task_ids = lambda split: [f"{split}_1", "broken"]
    monkeypatch.setitem(sys.modules, "appworld", module)
    World.made.clear()
    return AppWorldEnv(max_turns=4)


def begin(env, index=0):
    return env.reset(seed=0, options={"split": "dev", "index": index})[0]


def test_a_task_is_done_by_code_and_judged_by_appworld(env):
    observation = begin(env)
    assert "Ann Lee (ann@example.com)" in observation[0].text
    assert observation[1].text == "Do dev_1."
    for text, told in (("print(1)", "0 pieces of code"), ("<code>a</code><code>b</code>", "2 pieces of code")):
        observation, _, _, _, info = env.step(text)
        assert told in observation[0].text
        assert not info["turn"]["action_valid"]
    assert env.step("I pay. <code>\npay()\n</code>")[0][0].text == "ran pay()"
    _, total, terminated, _, info = env.step("<code>apis.supervisor.complete_task()</code>")
    assert (total, terminated, info["stop"]) == (1.0, True, StopReason.SUCCESS)
    assert World.made[0].code == ["\npay()\n", "apis.supervisor.complete_task()"]


def test_the_limit_truncates_and_is_judged_too(env):
    begin(env)
    for _ in range(3):
        env.step("<code>pay()</code>")
    _, _, terminated, truncated, info = env.step("")
    assert (terminated, truncated, info["stop"], info["outcome"].score) == (False, True, StopReason.MAX_TURNS, 1.0)


def test_failures_of_appworld_void_and_worlds_are_closed(env):
    begin(env)
    *_, truncated, info = env.step("<code>vanish</code>")
    assert (truncated, info["stop"], info["outcome"].valid) == (True, StopReason.ENV_FAULT, False)
    begin(env)
    assert World.made[0].closed
    env.close()
    assert all(world.closed for world in World.made)
    with pytest.raises(EnvFault, match="could not start task 'broken': OSError: no data"):
        begin(env, 1)


def test_its_splits_have_their_types(env):
    assert {s.name: s.type for s in env.tasks.list_splits()} == {
        "train": "train",
        "dev": "validation",
        "test_normal": "test",
        "test_challenge": "test",
    }


def test_what_is_missing_is_told():
    with pytest.raises(ImportError, match="pip install appworld"):
        AppWorldEnv()
