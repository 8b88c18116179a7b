import json
import pickle
import re
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from turnwise.agents.rollout import rollout
from turnwise.agents.scripted import ScriptedAgent
from turnwise.envs.base import EnvFault
from turnwise.envs.mcp.env import MCP, read_arguments
from turnwise.envs.mcp.scripts import AnswerOnly, Gold, Spam
from turnwise.envs.mcp.session import ServerSpec
from turnwise.envs.mcp.stockroom import StockTasks
from turnwise.envs.mcp.tasks import load_tasks
from turnwise.envs.tools.dialects import Hermes
from turnwise.records import Message, StopReason, ToolCall

pytest.importorskip("mcp")
WRITE = Hermes().write
ODD = [sys.executable, str(Path(__file__).with_name("odd_server.py"))]
SCENE = {
    "items": [{"item_id": "L-1", "name": "Bomi lamp", "price": 12}, {"item_id": "L-2", "name": "Celu rug", "price": 30}],
    "stock": [
        {"item_id": "L-1", "place": "east", "quantity": 5},
        {"item_id": "L-1", "place": "west", "quantity": 3},
        {"item_id": "L-2", "place": "east", "quantity": 9},
    ],
    "orders": [{"order_id": "W-1", "item_id": "L-2", "quantity": 2}],
}


@pytest.fixture(scope="module")
def stockroom():
    env = MCP(tasks=1000)
    yield env
    env.close()


def row(**more):
    gold = [{"name": "find_items", "arguments": {"text": "lamp"}}]
    gold.append({"name": "move", "arguments": {"item_id": "L-1", "source": "west", "target": "east", "quantity": 3}})
    return {
        "split": "test",
        "prompt": "Bring every lamp to east. How many are there then?",
        "setup": [{"name": "load", "arguments": SCENE}],
        "checks": [{"name": "stock_of", "arguments": {"item_id": "L-1"}, "equals": {"east": 8}}, {"name": "export", "contains": '"L-2"'}],
        "gold": gold,
        "answer": 8,
        **more,
    }


def write_tasks(tmp_path, *rows):
    path = tmp_path / "tasks.jsonl"
    path.write_text("".join(json.dumps(r) + "\n" for r in rows))
    return path


@pytest.fixture
def lamps(stockroom, tmp_path):
    """An environment on the stockroom's own session, with a task whose every number was worked out by hand."""
    return stockroom, load_tasks(write_tasks(tmp_path, row()), "turnwise/MCP-v0").get_task("test", 0)


def test_one_episode_in_numbers(lamps):
    env, task = lamps
    observation, _ = env.reset(seed=0, options={"task": task})
    assert "A stockroom with four places" in observation[0].text
    assert '"name": "answer"' in observation[0].text
    assert '"load"' not in observation[0].text
    # gold: find_items(text) and move(4 parameters): highest 1 + 2 + 5 = 8. One of two names, two right: 0.5 + 2.
    observation, total, _, _, info = env.step(WRITE([("find_items", {"text": "lamp"})]))
    assert json.loads(observation[0].text.split("\n", 1)[1].rsplit("\n", 1)[0]) == {"item_id": "L-1", "name": "Bomi lamp", "price": 12}
    assert info["turn"]["components"] == pytest.approx({"correctness": 2.5 / 8, "format": 0.02})
    assert total == pytest.approx(2.5 / 8 + 0.02)
    # Both names; move with 4 right names, 3 right values of 4: 1 + 2 + 1 + 3 = 7.
    move = {"item_id": "L-1", "source": "west", "target": "east", "quantity": 2}
    observation, _, _, _, info = env.step(WRITE([("move", move)]))
    assert "moved 2 of L-1 from west to east" in observation[0].text
    assert info["turn"]["components"]["correctness"] == pytest.approx((7 - 2.5) / 8)
    # A call too many: two of three names. The unused move with 3 of 4 values stays the best: 2/3 + 2 + 4.
    observation, _, _, _, info = env.step(WRITE([("move", {**move, "quantity": 1})]))
    assert info["turn"]["components"]["correctness"] == pytest.approx((2 / 3 - 1) / 8)
    _, total, terminated, _, info = env.step(WRITE([("answer", {"text": "8.0"})]))
    assert (terminated, info["stop"], info["outcome"].components) == (True, StopReason.SUCCESS, {"answer": 1.0, "checks": 1.0})
    assert total == pytest.approx(1.02)


@pytest.mark.parametrize(
    ("calls", "answer", "components", "note"),
    [
        ([], "8", {"answer": 1.0, "checks": 0.5}, "check 1 (stock_of) failed"),
        ([("move", {"item_id": "L-1", "source": "west", "target": "east", "quantity": 3})], "9", {"answer": 0.0, "checks": 1.0}, ""),
    ],
)
def test_answer_and_checks_must_both_hold(lamps, calls, answer, components, note):
    env, task = lamps
    env.reset(seed=0, options={"task": task})
    if calls:
        env.step(WRITE(calls))
    *_, info = env.step(WRITE([("answer", {"text": answer})]))
    assert (info["outcome"].score, info["outcome"].components, info["outcome"].note) == (0.0, components, note)


def test_what_cannot_be_used_is_told(lamps):
    env, task = lamps
    env.reset(seed=0, options={"task": task})
    for action, told in (
        (WRITE([("load", {"items": [], "stock": [], "orders": []})]), "there is no tool 'load'"),
        (WRITE([("find_item", {})]), "Did you mean 'find_items'?"),
        (WRITE([("find_items", {})]), "Field required"),
        (WRITE([("stock_of", {"item_id": "L-9"})]), "there is no item 'L-9'; find_items finds items by name"),
        (WRITE([("answer", {"texts": "8"})]), "text is missing"),
    ):
        observation, _, terminated, _, info = env.step(action)
        assert told in observation[0].text
        assert (info["turn"]["action_valid"], terminated) == (False, False)
    native = Message(role="assistant", tool_calls=(ToolCall(id="a", name="find_items", arguments='{"text": NaN}'),))
    observation, *_ = env.step(native)
    assert (observation[0].role, observation[0].tool_call_id) == ("tool", "a")
    assert "wrong arguments for find_items: they are not JSON (NaN is no JSON value)" in observation[0].text


def test_sql_in_arguments_is_text(lamps):
    env, task = lamps
    env.reset(seed=0, options={"task": task})
    evil = "x'; DROP TABLE items; --"
    calls = [("find_items", {"text": evil}), ("find_items", {"text": "' OR '1'='1"}), ("stock_of", {"item_id": evil})]
    calls += [("receive", {"item_id": "L-1", "place": evil, "quantity": 1}), ("find_items", {"text": "%"}), ("find_items", {"text": "_"})]
    observation, *_ = env.step(WRITE(calls))
    assert "Bomi" not in observation[0].text
    observation, *_ = env.step(WRITE([("find_items", {"text": "lamp"})]))
    assert "Bomi lamp" in observation[0].text


def test_a_session_that_is_not_kept_begins_afresh(tmp_path):
    tasks = write_tasks(tmp_path, *({"split": "test", "prompt": f"Task {n}", "answer": "x"} for n in range(2)))
    for keep, counts in ((False, ["1", "1"]), (True, ["1", "2"])):
        env = MCP(ODD, tasks=tasks, keep_session=keep)
        try:
            seen = []
            for index in range(2):
                env.reset(seed=0, options={"split": "test", "index": index})
                observation, *_ = env.step(WRITE([("count", {})]))
                seen.append(observation[0].text.split("\n")[1])
            assert seen == counts
        finally:
            env.close()


def test_a_server_that_dies_voids_its_episode_and_the_run_goes_on(tmp_path):
    rows = [{"split": "test", "prompt": f"Task {n}", "answer": "x", "gold": [{"name": "count"}]} for n in range(4)]
    rows[1]["gold"] = [{"name": "die"}]
    tasks = write_tasks(tmp_path, *rows)
    done = rollout(lambda: MCP(ODD, tasks=tasks), ScriptedAgent(Gold), load_tasks(tasks, "").list_tasks("test"), concurrency=2)
    assert sorted((t.task.id, t.outcome.valid, t.outcome.score) for t in done) == [
        ("test-0", True, 1.0),
        ("test-1", False, 0.0),
        ("test-2", True, 1.0),
        ("test-3", True, 1.0),
    ]
    dead = next(t for t in done if not t.outcome.valid)
    assert (dead.stop, dead.attempts) == (StopReason.ENV_FAULT, 2)
    assert "ended during die" in dead.outcome.note


def test_what_hangs_is_told_and_the_next_episode_has_a_new_server(tmp_path):
    env = MCP(ODD, tasks=write_tasks(tmp_path, {"split": "test", "prompt": "p", "answer": "x"}), keep_session=True, call_timeout=0.3)
    try:
        env.reset(seed=0, options={"split": "test", "index": 0})
        observation, _, _, _, info = env.step(WRITE([("count", {}), ("sleep", {}), ("count", {})]))
        assert [line for line in observation[0].text.split("\n") if "tool_response" not in line] == [
            "1",
            "Error: sleep took longer than 0.3 s and was given up.",
            "3",
        ]
        assert "outcome" not in info
        env.reset(seed=0, options={"split": "test", "index": 0})
        assert "1" in env.step(WRITE([("count", {})]))[0][0].text.split("\n")
    finally:
        env.close()


def test_a_check_that_hangs_voids_the_episode_and_so_does_a_setup_that_fails(tmp_path):
    rows = [
        {"split": "test", "prompt": "a", "checks": [{"name": "sleep", "contains": "x"}]},
        {"split": "test", "prompt": "b", "answer": "x", "setup": [{"name": "refuse"}]},
    ]
    env = MCP(ODD, tasks=write_tasks(tmp_path, *rows), call_timeout=0.3)
    try:
        env.reset(seed=0, options={"split": "test", "index": 0})
        _, _, terminated, truncated, info = env.step(WRITE([("answer", {"text": "x"})]))
        assert (terminated, truncated, info["outcome"].valid) == (False, True, False)
        with pytest.raises(EnvFault, match="setup call refuse failed: Error: not today"):
            env.reset(seed=0, options={"split": "test", "index": 1})
    finally:
        env.close()


def test_reserved_names_are_refused_unless_hidden(tmp_path):
    tasks = write_tasks(tmp_path, {"split": "test", "prompt": "a", "answer": "x", "setup": [{"name": "reset"}]})
    for options, message in (({}, "the tools reset of .* are the environment's own"), ({"hidden": ["rest"]}, r"hidden names \['rest'\]")):
        env = MCP([*ODD, "--reserved"], tasks=tasks, **options)
        with pytest.raises(ValueError, match=message):
            env.reset(seed=0, options={"split": "test", "index": 0})
        env.close()
    env = MCP([*ODD, "--reserved"], tasks=tasks, hidden=["reset"])
    with pytest.raises(EnvFault, match="setup call reset failed"):  # reached, though it does nothing useful in this server
        env.reset(seed=0, options={"split": "test", "index": 0})
    env.close()


def test_a_copy_and_a_closed_environment_begin_again(lamps):
    env, task = lamps
    env.reset(seed=0, options={"task": task})
    copy = pickle.loads(pickle.dumps(env))
    with pytest.raises(RuntimeError, match="reset"):
        copy.step("x")
    other = MCP(tasks=1)
    other.reset(seed=0)
    other.close()
    _, _, _, truncated, info = other.step(WRITE([("find_items", {"text": ""})]))
    assert (truncated, info["outcome"].valid) == (True, False)


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def test_over_http_every_environment_has_a_stockroom_of_its_own_and_a_dead_server_is_a_fault(tmp_path):
    port = free_port()
    tasks = write_tasks(tmp_path, row(id="a"), row(id="b", prompt="Again"))
    arguments = [sys.executable, "-m", "turnwise.envs.mcp.demo", "--http", str(port)]
    with subprocess.Popen(arguments, stderr=subprocess.PIPE) as server:
        envs = [MCP(f"http://127.0.0.1:{port}/mcp", tasks=tasks, hidden=["load", "export"], call_timeout=5) for _ in range(2)]
        try:
            wait_for(port)
            scripts = [Gold(), Gold()]
            for env, script, index in zip(envs, scripts, range(2), strict=True):
                env.reset(seed=0, options={"split": "test", "index": index})
                script.reset(env.task, None)
            for turn in range(3):  # turn about, so that shared state would show
                infos = [env.step(script.act(()))[4] for env, script in zip(envs, scripts, strict=True)]
                assert all("outcome" in info for info in infos) == (turn == 2)
            assert [info["outcome"].score for info in infos] == [1.0, 1.0]
            envs[0].reset(seed=0, options={"split": "test", "index": 0})
            server.kill()
            server.wait()
            *_, info = envs[0].step(WRITE([("find_items", {"text": "lamp"})]))
            assert (info["outcome"].valid, info["stop"]) == (False, StopReason.ENV_FAULT)
        finally:
            server.kill()
            for env in envs:
                env.close()
            server.stderr.read()


def wait_for(port):
    for _ in range(200):
        with socket.socket() as s:
            if s.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.05)
    raise TimeoutError(f"nothing listens on {port}")


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([{"split": "test", "prompt": "p"}], "row 1: .*give answer or checks"),
        ([{"split": "dev", "prompt": "p", "answer": 1}], "row 1: split"),
        ([{"split": "test", "prompt": "p", "answr": 1, "answer": 1}], "row 1: answr"),
        ([row(), row(checks=[{"name": "x"}])], "row 2: checks.0: .*either equals or contains"),
        ([row(id="a"), row(id="a")], "row 2: the id 'a' was given before"),
        ([], "no tasks"),
    ],
)
def test_wrong_task_files_name_the_row(tmp_path, rows, message):
    with pytest.raises(ValueError, match=message):
        load_tasks(write_tasks(tmp_path, *rows), "x")


def test_task_files_in_yaml_and_broken_ones(tmp_path):
    path = tmp_path / "tasks.yaml"
    path.write_text("- {split: test, prompt: p, answer: ['yes', 3, 2.5], checks: [{name: a, equals: null}]}\n")
    task = load_tasks(path, "e").get_task("test", 0)
    assert task.data["answer"] == ["yes", "3", "2.5"]
    assert task.data["checks"] == [{"name": "a", "arguments": {}, "equals": None}]
    for name, text, message in (
        ("a.yaml", "{", "not YAML"),
        ("a.yaml", "x: 1", "write a list"),
        ("a.jsonl", "\n{\n", "a.jsonl:2: not JSON"),
    ):
        (tmp_path / name).write_text(text)
        with pytest.raises(ValueError, match=re.escape(message)):
            load_tasks(tmp_path / name, "e")


def test_wrong_arguments():
    for wrong, message in (
        ({"server": ODD}, "give server and a file of tasks together"),
        ({"call_timeout": 0}, "must be positive"),
        ({"tasks": 0}, "tasks is 0"),
        ({"weights": {"x": 1}}, "unknown turn reward"),
    ):
        with pytest.raises(ValueError, match=message):
            MCP(**wrong)
    assert str(MCP().server).endswith("-m turnwise.envs.mcp.demo")
    assert ServerSpec.of(ODD).command == tuple(ODD)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(), lambda c: st.lists(c) | st.dictionaries(st.text(), c)
)
NAMES = ("find_items", "stock_of", "read_order", "move", "receive", "ship", "answer", "export", "odd")
KEYS = st.sampled_from(("text", "item_id", "order_id", "place", "source", "target", "quantity", "x"))


@settings(max_examples=150)
@given(st.lists(st.tuples(st.sampled_from(NAMES), st.dictionaries(KEYS, json_values) | json_values | st.just("\ud800")), max_size=8))
def test_any_arguments_are_observations(stockroom, calls):
    stockroom.reset(seed=0, options={"split": "train", "index": 0})
    for name, arguments in calls:
        text = arguments if isinstance(arguments, str) else json.dumps(arguments)
        observation, _, terminated, truncated, info = stockroom.step(
            Message(role="assistant", tool_calls=(ToolCall(id="1", name=name, arguments=text),))
        )
        assert observation[0].text
        assert not truncated
        if terminated:
            assert info["outcome"].score == 0.0
            break


@given(st.text() | json_values.map(json.dumps))
def test_reading_arguments_is_total(text):
    read = read_arguments(text)
    assert isinstance(read, str) or json.dumps(read).encode()


def test_arguments_that_would_break_the_connection_are_refused():
    assert read_arguments('{"text": "a\\ud800b"}') == {"text": "a?b"}
    assert read_arguments("") == {}
    assert "nested more than 50 deep" in read_arguments('{"a":' * 60 + "1" + "}" * 60)
    assert "100001 characters, more than 100000" in read_arguments(" " * 100_001)
    assert "not a JSON object" in read_arguments("[1]")


@pytest.mark.slow
def test_gold_wins_a_thousand_tasks_and_knowing_the_answer_wins_none(stockroom):
    tasks = stockroom.tasks.get_task_range("test", 0, 1000)
    done = rollout(lambda: stockroom, ScriptedAgent(Gold), tasks, concurrency=1)
    assert all(t.outcome.score == 1.0 for t in done)
    assert all(sum(turn.components["correctness"] for turn in t.turns) == pytest.approx(1.0) for t in done)
    for script in (AnswerOnly, Spam):
        assert sum(t.outcome.score for t in rollout(lambda: stockroom, ScriptedAgent(script), tasks[:60], concurrency=1)) == 0


def test_splits_share_no_item():
    names = [
        {item["name"].split()[0] for n in range(200) for item in StockTasks(200).get_task(split, n).data["setup"][0]["arguments"]["items"]}
        for split in ("train", "validation", "test")
    ]
    assert names[0] & names[1] == names[0] & names[2] == names[1] & names[2] == set()
