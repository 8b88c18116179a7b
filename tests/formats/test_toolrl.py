import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from turnwise.agents.rollout import rollout
from turnwise.agents.scripted import ScriptedAgent
from turnwise.envs.formats.requests import KINDS, Requests
from turnwise.envs.formats.toolrl import Expert, OneShort, ResponseOnly, Spam, ToolCalls, load_toolrl, read_calls, write
from turnwise.envs.search.rows import LoadReport
from turnwise.records import Message, StopReason, ToolCall

TRUTH = (
    '<think>t</think>\n<tool_call>\n{"name": "get_weather", "parameters": {"city": "Paris", "unit": "C"}}\n'
    '{"name": "book", "parameters": {"id": 7}}\n</tool_call>'
)
CHAT = [{"role": "system", "content": "tools"}, {"role": "user", "content": "weather in Paris, and book 7"}]
ROWS = [
    {"data_source": "rlla", "prompt": CHAT, "ability": "tool", "reward_model": {"style": "rule", "ground_truth": TRUTH}},
    {"instruction": "tools", "input": "hello", "output": "<think>t</think>\n<response>hi</response>"},
    {"instruction": "tools", "input": "both", "output": TRUTH + "\n<response>one moment</response>"},
]


def save(tmp_path, rows, name="rows.jsonl"):
    path = tmp_path / name
    path.write_text("".join(json.dumps(r) + "\n" for r in rows))
    return path


def play(path, index, action):
    env = ToolCalls(path)
    env.reset(seed=0, options={"split": "train", "index": index})
    observation, total, terminated, truncated, info = env.step(action)
    assert terminated
    assert not truncated
    return observation[0].text, total, info


def test_rows_become_tasks(tmp_path):
    tasks = load_toolrl(save(tmp_path, ROWS))
    assert [len(tasks.get_task("train", n).data["calls"]) for n in range(3)] == [2, 0, 2]
    assert [tasks.get_task("train", n).data["response"] for n in range(3)] == [False, True, True]
    assert tasks.get_task("train", 0).prompt[1].text == "weather in Paris, and book 7"
    assert tasks.get_task("train", 0).data["calls"][1] == {"name": "book", "parameters": {"id": 7}}


def test_parquet_rows(tmp_path):
    parquet = pytest.importorskip("pyarrow.parquet")
    import pyarrow

    parquet.write_table(pyarrow.Table.from_pylist(ROWS[:1]), tmp_path / "train.parquet")
    assert load_toolrl(tmp_path / "train.parquet").get_task("train", 0).hash == load_toolrl(save(tmp_path, ROWS)).get_task("train", 0).hash


@pytest.mark.parametrize(
    ("made", "correctness", "score"),
    [
        # names 1/3, get_weather: names of parameters 1/3, one value: 1/3 + 4/3 = 1.666667 of 6
        ([("get_weather", {"city": "Paris", "units": "C"}), ("search", {"q": "x"})], -1.333333, 0.0),
        ([("get_weather", {"city": "Paris", "unit": "C"}), ("book", {"id": 7})], 3.0, 1.0),
        ([("book", {"id": 7}), ("get_weather", {"unit": "C", "city": "Paris"})], 3.0, 1.0),
        # one of two names, one whole call of 3 points: 0.5 + 3 = 3.5 of 6
        ([("get_weather", {"city": "Paris", "unit": "C"})], 0.5, 0.0),
    ],
)
def test_toolrls_numbers(tmp_path, made, correctness, score):
    calls = [{"name": n, "parameters": p} for n, p in made]
    _, total, info = play(save(tmp_path, ROWS), 0, write(calls))
    assert info["turn"]["components"] == pytest.approx({"format": 1.0, "correctness": correctness}, abs=1e-6)
    assert info["outcome"].score == score
    assert total == pytest.approx(1 + correctness + score, abs=1e-6)


@pytest.mark.parametrize(
    ("index", "text", "components", "score"),
    [
        (0, "no tags at all", (0.0, -3.0), 0.0),
        (0, TRUTH.replace("<think>t</think>\n", ""), (0.0, 3.0), 0.0),
        (0, TRUTH.replace("}}\n", "\n", 1), (1.0, -3.0), 0.0),
        (0, TRUTH + "\n<response>x</response>", (0.0, 3.0), 0.0),
        (1, "<think>t</think>\n<response>hi</response>", (1.0, 0.0), 1.0),
        (1, TRUTH, (0.0, 0.0), 0.0),
        (2, TRUTH + "\n<response>x</response>", (1.0, 3.0), 1.0),
        (2, TRUTH, (0.0, 3.0), 0.0),
    ],
)
def test_layouts(tmp_path, index, text, components, score):
    _, _, info = play(save(tmp_path, ROWS), index, text)
    assert tuple(info["turn"]["components"].values()) == components
    assert info["outcome"].score == score


def test_native_calls_and_weights(tmp_path):
    calls = (
        ToolCall(id="0", name="get_weather", arguments='{"city": "Paris", "unit": "C"}'),
        ToolCall(id="1", name="book", arguments='{"id": 7}'),
    )
    told, _, info = play(save(tmp_path, ROWS), 0, Message(role="assistant", tool_calls=calls))
    assert (told, info["outcome"].score, info["stop"]) == ("2 calls were noted.", 1.0, StopReason.SUCCESS)
    told, _, info = play(save(tmp_path, ROWS), 0, Message(role="assistant", tool_calls=(ToolCall(id="0", name="x", arguments="{"),)))
    assert info["turn"]["components"]["correctness"] == -3.0
    assert "could not be read" in told
    env = ToolCalls(1, weights={"correctness": 0.5})
    env.reset(seed=0)
    assert env.step("")[4]["turn"]["components"] == {"correctness": -1.5}
    for wrong, message in (({"weights": {"x": 1}}, "unknown turn reward"), ({"tasks": 0}, "tasks is 0")):
        with pytest.raises(ValueError, match=message):
            ToolCalls(**wrong)


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ({"prompt": CHAT}, "rows.jsonl:1: reward_model"),
        ({"prompt": [], "reward_model": {"ground_truth": TRUTH}}, "prompt is no list"),
        ({"prompt": [{"role": "x", "content": "y"}], "reward_model": {"ground_truth": TRUTH}}, "the role 'x'"),
        ({"instruction": "a", "input": "b", "output": "<tool_call>\n{\n</tool_call>"}, "cannot be read"),
        ({"instruction": "a", "input": "b", "output": "<tool_call>\n</tool_call>"}, "empty <tool_call>"),
        ({"instruction": "a"}, "no 'output'"),
    ],
)
def test_bad_rows_name_their_line_or_are_counted(tmp_path, row, message):
    path = save(tmp_path, [row, ROWS[0]])
    with pytest.raises(ValueError, match=message):
        load_toolrl(path)
    report = LoadReport(source="x")
    assert load_toolrl(path, "test", skip_bad=True, report=report).num_tasks("test") == 1
    assert (report.rows, report.loaded, report.skipped) == (2, 1, 1)


@given(st.text(), st.text())
def test_any_text_ends_the_turn_with_a_reward(before, inside):
    env = ToolCalls(1)
    env.reset(seed=0)
    _, _, terminated, _, info = env.step(f"{before}<tool_call>\n{inside}\n</tool_call>")
    assert terminated
    assert -3.0 <= info["turn"]["reward"] <= 4.0
    assert info["outcome"].score == 0.0


def test_calls_that_would_break_comparing_are_refused():
    assert read_calls('<tool_call>\n{"name": "a", "arguments": {"b": "\\ud800"}}\n</tool_call>') == [("a", {"b": "?"})]
    for inside, message in (
        ('{"name": "a", "parameters": {"b": NaN}}', "NaN is no JSON value"),
        ('{"name": ""}', "needs the text 'name'"),
        ("[1]", "a JSON object is needed, not a list"),
        ('{"name": "a"}\n' * 33, "33 calls, more than 32"),
        ('{"name": "a", "parameters": 3}', "not a int"),
    ):
        with pytest.raises(ValueError, match=message):
            read_calls(f"<tool_call>\n{inside}\n</tool_call>")


def test_gold_wins_a_thousand_tasks_and_the_others_none():
    tasks = Requests(1000).get_task_range("test", 0, 1000)
    assert sum(t.outcome.score for t in rollout(ToolCalls, ScriptedAgent(Expert), tasks)) == 1000
    for script in (Spam, ResponseOnly, OneShort):
        assert sum(t.outcome.score for t in rollout(ToolCalls, ScriptedAgent(script), tasks[:200])) == 0


def test_what_is_asked_is_in_the_request():
    for split in ("train", "test"):
        for task in Requests(200).list_tasks(split):
            asked = task.prompt[1].text
            for call in task.data["calls"]:
                kind = next(kind for kind in KINDS if kind.name == call["name"])
                assert set(call["parameters"]) == set(kind.parameters)
                assert all(str(value) in asked for value in call["parameters"].values() if not isinstance(value, bool))
