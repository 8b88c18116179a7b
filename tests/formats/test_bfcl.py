import contextlib
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from turnwise.agents.rollout import rollout
from turnwise.agents.scripted import ScriptedAgent
from turnwise.envs.base import EnvFault
from turnwise.envs.formats.bfcl import BFCL, as_text, load_bfcl, parse_gold
from turnwise.envs.formats.calendar import Calendar, Conversations
from turnwise.envs.formats.scripts import AllDone, EveryFunction, GoldCalls
from turnwise.envs.tools.dialects import DIALECTS
from turnwise.records import Message, StopReason, ToolCall
from turnwise.rewards.tools import missing_results

CLASSES = {"Shelf": f"{__name__}:Shelf", "Sums": f"{__name__}:Sums"}


class Shelf:
    """A class in the leaderboard's form."""

    def __init__(self):
        self.books: list[str] = []
        self._private = 0

    def _load_scenario(self, scenario, long_context=False):
        self.books = scenario.get("books", [])
        self.long = long_context

    def put(self, title: str, count: int = 1) -> dict[str, int]:
        """Put books.

        Args:
            title (str): The title.
            count (int): [Optional] How many.
        """
        self._private += 1
        self.books += [title] * count
        return {"now": len(self.books)}

    def look(self) -> list[str]:
        """Look."""
        return self.books

    def burn(self, title: str) -> str:
        """Burn a book."""
        self.books.remove(title)
        return "burnt"


class Sums:
    """A class without state."""

    def add(self, a: float, b: float) -> float:
        """Add."""
        return a + b


def entry(**more):
    row = {
        "id": "multi_turn_base_0",
        "question": [[{"role": "user", "content": "Put two Emmas."}], [{"role": "user", "content": "What is there?"}]],
        "initial_config": {"Shelf": {"books": ["Ulysses"]}},
        "path": ["Shelf.put"],
        "involved_classes": ["Shelf", "Sums"],
        "ground_truth": [["put('Emma', count=2)"], ["look()"]],
    }
    return {**row, **more}


def save(tmp_path, *rows, name="questions.json"):
    path = tmp_path / name
    path.write_text("".join(json.dumps(r) + "\n" for r in rows))
    return path


def begin(tmp_path, row=None, **options):
    env = BFCL(load_bfcl(save(tmp_path, row or entry())), classes=CLASSES, **options)
    observation, _ = env.reset(seed=0, options={"split": "test", "index": 0})
    return env, observation


def test_one_conversation_in_numbers(tmp_path):
    env, observation = begin(tmp_path)
    assert [m.role for m in observation] == ["system", "user"]
    assert '"name": "add"' in observation[0].text
    observation, _, _, _, info = env.step("[put(title='Emma', count=2), add(a=1, b=2.5)]")
    assert observation[0].text == '<tool_response>\n{"now": 3}\n</tool_response>\n<tool_response>\n3.5\n</tool_response>'
    assert info["turn"]["components"] == {"check": 0.0, "format": 0.02}
    assert info["turn"]["potential"] == 0.0
    observation, _, _, _, info = env.step("Done.")
    assert observation[0].text == "What is there?"
    assert info["turn"]["components"] == {"check": 0.5, "format": 0.02}
    assert info["turn"]["potential"] == 0.5
    observation, *_ = env.step("look()")  # understood without its brackets, but not well formed
    assert "['Ulysses', 'Emma', 'Emma']" in observation[0].text
    _, total, terminated, _, info = env.step("Ulysses and two Emmas.")
    assert (terminated, info["stop"], info["outcome"].score) == (True, StopReason.SUCCESS, 1.0)
    assert total == pytest.approx(1.52)


@pytest.mark.parametrize(
    ("steps", "note"),
    [
        (["Done."], "request 1 of 2: no call was made"),
        (["[put(title='Emma')]", "Done."], "request 1 of 2: Shelf differs in books"),
        (["[look()]", "Done."], "Shelf differs in books"),
        (["[put(title='Emma', count=2)]", "Done.", "[add(a=1, b=1)]", "Done."], "request 2 of 2: the result ['Ulysses', 'Emma', 'Emma']"),
        (["[put(title='Emma', count=2)]", "Done.", "I know it.", ""], "request 2 of 2: no call was made"),
    ],
)
def test_a_request_that_fails_ends_it(tmp_path, steps, note):
    env, _ = begin(tmp_path)
    for step in steps:
        _, _, terminated, _, info = env.step(step)
        if terminated:
            break
    assert (info["outcome"].score, info["stop"]) == (0.0, StopReason.FAILURE)
    assert note in info["outcome"].note


def test_other_calls_with_the_same_state_and_results_pass(tmp_path):
    env, _ = begin(tmp_path)
    env.step("[put(title='Emma'), put(title='Emma')]")
    assert env.step("Done.")[4]["turn"]["components"]["check"] == 0.5
    env, _ = begin(tmp_path, entry(initial_config={"Shelf": {}}, ground_truth=[["put('Emma', count=2)"], []]))
    env.step("[put(title='Emma', count=2)]")
    assert env.step("Done.")[4]["turn"]["components"]["check"] == 0.5


def test_results_of_earlier_requests_count(tmp_path):
    row = entry(ground_truth=[["put('Emma', count=2)", "look()"], ["look()"]])
    env, _ = begin(tmp_path, row)
    env.step("[put(title='Emma', count=2), look(), look()]")
    env.step("Done.")
    env.step("[add(a=0, b=0)]")
    assert env.step("As before.")[4]["outcome"].score == 1.0


def test_missing_results_are_counted():
    assert missing_results(["A", "B", "B"], ["B", "B"]) == []
    assert missing_results(["A", "B", "B"], ["B", "B", "B"]) == ["B"]


def test_a_request_without_gold_calls_is_skipped_or_must_stay_without_calls(tmp_path):
    row = entry(ground_truth=[[], ["look()"]])
    for irrelevance, ended in ((False, False), (True, True)):
        env, _ = begin(tmp_path, row, irrelevance=irrelevance)
        env.step("[look()]")
        assert env.step("I cannot.")[2] == ended
    env, _ = begin(tmp_path, row, irrelevance=True)
    assert not env.step("I cannot.")[2]


def test_functions_that_come_later(tmp_path):
    row = entry(
        question=[[{"role": "user", "content": "Put two Emmas."}], []],
        ground_truth=[[], ["put('Emma', count=2)"]],
        missed_function={"1": ["put"]},
    )
    env, observation = begin(tmp_path, row)
    assert '"put"' not in observation[0].text
    assert "there is no tool 'put'" in env.step("[put(title='Emma', count=2)]")[0][0].text
    observation, *_ = env.step("I cannot.")
    assert "You may also call these functions from now on" in observation[0].text
    assert '"name": "put"' in observation[0].text
    env.step("[put(title='Emma', count=2)]")
    assert env.step("Done.")[4]["outcome"].score == 1.0


def test_what_a_class_raises_is_a_result_and_wrong_calls_are_told(tmp_path):
    env, _ = begin(tmp_path)
    for text, told, valid in (
        ("[burn(title='x')]", "Error during execution: list.remove(x): x not in list", False),
        ("[put(count='two')]", "wrong arguments for put", False),
        ("[_load_scenario(scenario={})]", "there is no tool '_load_scenario'", False),
        ("[put(", "Error: That is not a list of calls", False),
    ):
        observation, _, terminated, _, info = env.step(text)
        assert told in observation[0].text
        assert (terminated, info["turn"]["action_valid"]) == (False, valid)


def test_a_conversation_goes_on_from_a_snapshot_of_any_class(tmp_path):
    env, _ = begin(tmp_path)
    env.step("[put(title='Emma', count=2)]")
    other, _ = begin(tmp_path)
    other.restore(env.snapshot())
    assert other.anchor() == env.anchor()
    assert [e.step("Done.")[0] for e in (env, other)] == [(Message(role="user", content="What is there?"),)] * 2
    assert len(env._gold["Shelf"].books) == 3


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"question": []}, "questions.json:1: .*question is no list"),
        ({"ground_truth": [["look()"]]}, "2 requests, but gold calls for 1"),
        ({"ground_truth": [["look("], ["look()"]]}, "gold call 'look\\(' cannot be read"),
        ({"ground_truth": [["look(look())"], ["look()"]]}, "cannot be read"),
        ({"ground_truth": [["__import__('os').system('x')"], []]}, "cannot be read"),
        ({"initial_config": []}, "is no object"),
        ({"id": ""}, "'id' is empty"),
    ],
)
def test_bad_rows_name_their_line(tmp_path, change, message):
    with pytest.raises(ValueError, match=message):
        load_bfcl(save(tmp_path, entry(**change)))


def test_answers_in_a_file_of_their_own_and_unknown_names(tmp_path):
    row = entry()
    truth = row.pop("ground_truth")
    tasks = load_bfcl(save(tmp_path, row), save(tmp_path, {"id": row["id"], "ground_truth": truth}, name="answers.json"))
    assert tasks.get_task("test", 0).data["gold"] == truth
    with pytest.raises(EnvFault, match="needs the class Shelf; name it in classes"):
        BFCL(tasks).reset(seed=0, options={"split": "test", "index": 0})
    tasks = load_bfcl(save(tmp_path, entry(ground_truth=[["fly()"], []])))
    env = BFCL(tasks, classes=CLASSES)
    env.reset(seed=0, options={"split": "test", "index": 0})
    env.step("[look()]")
    *_, truncated, info = env.step("Done.")
    assert (truncated, info["outcome"].valid) == (True, False)
    assert "has a method fly" in info["outcome"].note


def test_texts_of_results():
    assert [as_text(v) for v in ("a", {"b": 1}, [1, "c"], None, 2.5)] == ["a", '{"b": 1}', "[1, 'c']", "None", "2.5"]
    assert as_text({"b": {1}}) == "{'b': {1}}"
    assert parse_gold("f('a', -1, b=[True, None])") == ("f", ["a", -1], {"b": [True, None]})


@given(st.text(max_size=60))
def test_reading_gold_calls_is_total(text):
    with contextlib.suppress(ValueError):
        name, positional, named = parse_gold(text)
        assert (type(name), type(positional), type(named)) == (str, list, dict)


CALLS = st.builds(
    lambda n, a: Message(role="assistant", tool_calls=(ToolCall(id="0", name=n, arguments=json.dumps(a)),)),
    st.sampled_from(["add_event", "move_event", "cancel_event", "list_events", "free_hours", "x"]),
    st.dictionaries(st.sampled_from(["title", "day", "hour", "y"]), st.text() | st.integers() | st.none() | st.lists(st.text())),
)


@settings(max_examples=100)
@given(st.lists(CALLS | st.text(), max_size=12))
def test_anything_is_an_observation(actions):
    env = BFCL(3)
    env.reset(seed=0, options={"split": "train", "index": 0})
    for action in actions:
        observation, _, terminated, truncated, info = env.step(action)
        assert observation[0].text
        assert not truncated
        if terminated:
            assert info["outcome"].score == 0.0
            break


def test_the_calendar_says_what_cannot_be_done():
    calendar = Calendar()
    calendar._load_scenario({"events": {"a": {"day": "Monday", "hour": 8}}})
    for result, told in (
        (calendar.add_event("a", "Monday", 9), "there is an event 'a' already"),
        (calendar.add_event("b", "Monday", 8), "Monday at 8 is taken"),
        (calendar.add_event("b", "Sunday", 8), "there is no Sunday at 8"),
        (calendar.move_event("c", "Monday", 9), "there is no event 'c'"),
        (calendar.cancel_event("c"), "there is no event 'c'"),
        (calendar.list_events("x"), "allowed: Monday"),
        (calendar.free_hours("x"), "there is no day"),
    ):
        assert told in result["error"]
    assert calendar.move_event("a", "Monday", 8) == {"event": {"a": {"day": "Monday", "hour": 8}}}
    assert calendar.free_hours("Monday")["hours"] == list(range(9, 18))


@pytest.mark.parametrize("dialect", DIALECTS)
def test_the_gold_agent_wins_in_every_dialect(dialect):
    tasks = Conversations(1000).get_task_range("test", 0, 1000 if dialect == "python" else 60)
    done = rollout(lambda: BFCL(dialect=dialect), ScriptedAgent(GoldCalls, dialect=dialect), tasks)
    assert all(t.outcome.score == 1.0 for t in done)
    assert all(sum(turn.components["check"] for turn in t.turns) == pytest.approx(1.0) for t in done)


def test_bad_agents_win_nothing_and_every_task_changes_the_calendar():
    tasks = Conversations(300).list_tasks("test")
    for script in (AllDone, EveryFunction):
        assert sum(t.outcome.score for t in rollout(BFCL, ScriptedAgent(script), tasks)) == 0
    changing = ("add_event", "move_event", "cancel_event")
    assert all(any(call.startswith(changing) for calls in t.data["gold"] for call in calls) for t in tasks)
