import json
from datetime import date, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from turnwise.agents.rollout import rollout
from turnwise.agents.scripted import ScriptedAgent
from turnwise.envs.check import check_env
from turnwise.envs.memory.dialogues import make_dialogue, shown
from turnwise.envs.memory.env import Memory, read_output
from turnwise.envs.memory.scripts import Blind, Expert, RandomReader, Searcher, Spam
from turnwise.envs.memory.tasks import KINDS, Questions
from turnwise.envs.scripts import Echo, Null
from turnwise.envs.tools.dialects import Hermes
from turnwise.records import StopReason, Task

WRITE = Hermes().write


def session(number, day, lines, *events):
    told = [{"text": text, "start": at, "end": at} for text, at in events]
    return {"id": f"session_{number}", "date": day, "lines": lines, "events": told}


TASK = Task(
    id="t",
    env_id="turnwise/Memory-v0",
    split="test",
    data={
        "kind": "days",
        "question": "How many days lie between the day on which Ada ran a marathon and the day on which Bo sold a boat?",
        "answer": 12,
        "gold": ["session_1", "session_3"],
        "range": ["2022-03-01", "2022-03-15"],
        "sessions": [
            session(1, "2022-03-03", [["Ada", "I ran a marathon two days ago."]], ("Ada ran a marathon", "2022-03-01")),
            session(2, "2022-03-08", [["Bo", "It rains."]]),
            session(3, "2022-03-15", [["Bo", "I sold a boat the other day, on 13 March."]], ("Bo sold a boat", "2022-03-13")),
            session(4, "2022-05-01", [["Ada", "I bought a hat."]], ("Ada bought a hat", "2022-05-01")),
        ],
    },
)


def begin(**options):
    env = Memory(**options)
    first, _ = env.reset(seed=0, options={"task": TASK})
    return env, first


def answer(selected, text):
    return WRITE([("answer", {"selected_memory": selected, "answer": text})])


def read(*ids):
    return WRITE([("read_session", {"session": id}) for id in ids])


def test_one_episode_in_numbers():
    env, _ = begin(weights={"new_evidence": 1.0, "evidence": 0.2, "time": 0.2, "format": 0.5, "executed": 0.25})
    observation, _, _, _, info = env.step(read("session_1", "session_2", "session_9"))
    assert "session_1, 2022-03-03 (Thursday)\nAda: I ran a marathon two days ago." in observation[0].text
    assert "there is no session 'session_9'; the sessions are session_1 to session_4" in observation[0].text
    expected = {"new_evidence": 0.5, "evidence": 0.0, "time": 0.0, "format": 0.5, "executed": 0.25 * 2 / 3}
    assert info["turn"]["components"] == pytest.approx(expected)
    assert info["turn"]["potential"] == 0.5
    _, _, _, _, info = env.step(read("session_1", "session_3"))
    assert info["turn"]["components"]["new_evidence"] == 0.5
    _, _, terminated, _, info = env.step(answer(["session_1", "session_3"], "13"))
    # question: 18 tokens without articles; "Ada ran marathon" shares 3 of 3: F1 6/21; "Bo sold boat" likewise; both sessions within
    similarity = 2 * 3 / (3 + 18)
    assert info["turn"]["components"]["evidence"] == pytest.approx(0.2)
    assert info["turn"]["components"]["time"] == pytest.approx(0.2 * (1 + similarity) / 2)
    assert (terminated, info["outcome"].score, info["stop"]) == (True, 1.0, StopReason.SUCCESS)
    parts = info["outcome"].components
    assert parts == pytest.approx(
        {"accuracy": 1.0, "evidence": 1.0, "time": (1 + similarity) / 2, "memory_t1": 0.8 + 0.1 * (1 + similarity)}
    )


def test_a_guess_is_worth_nothing_but_its_evidence():
    env, _ = begin()
    _, _, terminated, _, info = env.step(answer(["session_4"], "12"))
    assert (terminated, info["outcome"].score, info["outcome"].success) == (True, 0.0, False)
    assert info["outcome"].components["accuracy"] == 1.0
    assert "before any session" in info["outcome"].note
    # 47 days from a range of 14: x = 47 / 14; the event (shares 1 of 3 and 18 tokens) is too unlike to count
    s = 1.5 / (1 + 2.718281828459045 ** (0.5 * 47 / 14)) - 0.5
    assert info["turn"]["components"] == pytest.approx({"new_evidence": 0.0, "evidence": -0.2, "time": 0.2 * s / 2, "format": 0.02})


def test_the_blended_reward_can_be_the_outcome():
    env, _ = begin(outcome_metric="memory_t1")
    env.step(read("session_1"))
    _, _, _, _, info = env.step(answer(["session_1"], "12"))
    assert info["outcome"].success
    assert info["outcome"].score == pytest.approx(0.6 + 0.1 + 0.1 * (1 + 2 / 7))
    env, _ = begin(outcome_metric="memory_t1", max_turns=1)
    assert env.step("hello")[4]["outcome"].score == -1.0


def test_search_tells_ids_and_dates_only():
    env, _ = begin()
    observation, *_ = env.step(WRITE([("search", {"query": "Who sold a BOAT?"})]))
    assert observation[0].text == "<tool_response>\nsession_3: 2022-03-15\nsession_1: 2022-03-03\nsession_4: 2022-05-01\n</tool_response>"
    observation, *_ = env.step(WRITE([("search", {"query": "?"}), ("list_sessions", {})]))
    assert "No session has any of these words." in observation[0].text
    assert "session_4: 2022-05-01" in observation[0].text


def test_the_one_shot_form():
    env, first = begin(form="one_shot")
    assert "session_2, 2022-03-08 (Tuesday)\nBo: It rains." in first[1].text
    assert first[1].text.endswith(f"Question: {TASK.data['question']}")
    _, _, terminated, _, info = env.step('<think>so</think>```json\n{"selected_memory": ["session_3", "session_1"], "answer": 12}\n```')
    assert (terminated, info["outcome"].score, info["outcome"].components["evidence"]) == (True, 1.0, 1.0)
    assert info["turn"]["components"]["evidence"] == 0.2
    env, _ = begin(form="one_shot", outcome_metric="memory_t1")
    _, _, terminated, _, info = env.step("12")
    assert (terminated, info["outcome"].score, info["stop"], info["turn"]["action_valid"]) == (True, -1.0, StopReason.INVALID_ACTION, False)
    env, _ = begin(form="one_shot")
    _, _, _, _, info = env.step('{"selected_memory": ["session_77"], "answer": "12"}')
    assert (info["outcome"].score, info["outcome"].components["evidence"], info["outcome"].components["time"]) == (1.0, -1.0, 0.0)


@pytest.mark.parametrize(
    "text",
    ["", "12", "[1]", '{"answer": "x"}', '{"selected_memory": "a", "answer": "x"}', '{"selected_memory": [1], "answer": "x"}', "[" * 9000],
)
def test_outputs_that_are_not_the_json_asked_for(text):
    assert read_output(text) is None


@settings(max_examples=50, deadline=None)
@given(st.lists(st.text() | st.text().map(lambda t: WRITE([("search", {"query": t}), ("read_session", {"session": t})]))))
def test_any_text_is_an_observation(texts):
    env, _ = begin()
    for text in texts[:11]:
        observation, _, terminated, _, _ = env.step(text)
        assert observation
        assert not terminated
    read_output("".join(texts))


def told_days(dialogue):
    """Dates from the words of the dialogue alone: (who, what) -> the days told, in order."""
    numbers = {"two": 2, "three": 3, "four": 4, "five": 5, "six": 6}
    found = {}
    people = {line[0] for s in dialogue.sessions for line in s["lines"]}
    for s in dialogue.sessions:
        day = date.fromisoformat(s["date"])
        for speaker, text in s["lines"]:
            text = text.removeprefix("I have to correct a date: ").removesuffix(", not when I said.").removesuffix(".")
            if text.startswith("Do you remember") or " would like to " in text:
                continue
            subject, _, rest = text.partition(" ")
            who = speaker if subject == "I" else subject
            words = rest.split()
            if words[-1:] == ["today"]:
                at, what = day, words[:-1]
            elif words[-1:] == ["yesterday"]:
                at, what = day - timedelta(days=1), words[:-1]
            elif words[-2:] == ["days", "ago"]:
                at, what = day - timedelta(days=numbers[words[-3]]), words[:-3]
            elif words[-1:] == ["ago"]:
                at, what = day - timedelta(days=14 if words[-2] == "weeks" else 7), words[:-4]
            elif "past" in words[-2:]:
                at = next(d for n in range(1, 7) if f"{(d := day - timedelta(days=n)):%A}" == words[-1])
                what = words[:-3]
            elif words[-1:] and words[-1].isdigit():
                months = [f"{date(2000, m, 1):%B}" for m in range(1, 13)]
                at, what = date(int(words[-1]), months.index(words[-2]) + 1, int(words[-3])), words[:-4]
            else:
                continue
            found.setdefault((who, " ".join(what)), []).append(at)
    assert len(people) == 2
    return found


def test_what_is_told_is_what_happened():
    corrected = 0
    for index in range(60):
        dialogue = make_dialogue("validation", index, 16)
        told = told_days(dialogue)
        for event in dialogue.events:
            days = told[event.person, event.text.removeprefix(event.person + " ")]
            assert days[-1] == event.day, (event, days)
            assert len(days) == len(event.told)
            corrected += len(days) == 2
            for number in event.told:
                assert event.text in {e["text"] for e in dialogue.sessions[number]["events"]}
        for state in dialogue.states[1:3] + dialogue.states[4:]:
            change = "moved to" if state.verb == "live in" else "started to work for"
            assert told[state.person, f"{change} {state.value}"] == [state.start]
        assert f"At the moment I live in {dialogue.states[0].value}." in shown(dialogue.sessions[0])
    assert corrected == 180


def test_answers_follow_from_what_happened():
    tasks = Questions()
    for index in range(700):
        task = tasks.get_task("train", index)
        kind, gold = task.data["kind"], task.data["answer"]
        dialogue = make_dialogue("train", index // 7, 16)
        by_text = {e.text: e for e in dialogue.events}
        listed = [by_text[line[4:]] for line in task.data["question"].splitlines()[1:]]
        if kind == "timeline":
            days = [listed["ABCD".index(letter)].day for letter in gold]
            assert days == sorted(days)
            assert len(set(days)) == 4
        elif kind == "first":
            assert gold == ("A" if listed[0].day < listed[1].day else "B")
        elif kind == "range":
            words = task.data["question"].split()
            start, end = (date.fromisoformat(words[n].strip(",")) for n in (6, 8))
            assert gold == [letter for letter, e in zip("ABCD", listed, strict=True) if start <= e.day <= end]
            assert 1 <= len(gold) <= 3
        elif kind == "state":
            day = date.fromisoformat(task.data["question"].split(" on ")[1][:10])
            state = next(s for s in dialogue.states if s.value == gold)
            assert state.start < day < (state.end or date.max)
            assert state.person in task.data["question"]
        low, high = task.data["range"]
        assert all(low <= s["date"] <= high for s in task.data["sessions"] if s["id"] in task.data["gold"])
    letters = [tasks.get_task("train", n).data["answer"] for n in range(3, 700, 7)]
    assert 30 <= letters.count("A") <= 70


@pytest.mark.parametrize("form", ["tools", "one_shot"])
def test_the_gold_agent_is_right_on_a_thousand_tasks(form):
    tasks = Questions().get_task_range("test", 0, 1000)
    done = rollout(lambda: Memory(form=form), ScriptedAgent(Expert), tasks, concurrency=1)
    assert all(t.outcome.score == 1.0 and t.outcome.components["evidence"] == 1.0 for t in done)
    assert all(t.outcome.components["time"] > 0.4 for t in done)
    if form == "tools":
        assert all(sum(turn.components["new_evidence"] for turn in t.turns) == pytest.approx(0.5) for t in done)
        assert max(len(t.turns) for t in done) <= 9


def test_bad_agents_score_nothing_and_searching_helps():
    tasks = Questions().get_task_range("test", 0, 1000)
    for script in (Null, Echo, Spam, Blind):
        done = rollout(Memory, ScriptedAgent(script), tasks, concurrency=1)
        assert sum(t.outcome.score for t in done) == 0
        assert script in (Spam, Blind) or max(t.turn_reward_sum for t in done) == 0.0
    few = tasks[:210]
    assert sum(t.outcome.success for t in rollout(Memory, ScriptedAgent(RandomReader), few, concurrency=1)) / 210 < 0.2
    assert 0.3 < sum(t.outcome.success for t in rollout(Memory, ScriptedAgent(Searcher), few, concurrency=1)) / 210 < 1.0


def test_splits_share_no_names_and_sizes_hold():
    names = [
        {line[0] for n in range(20) for s in make_dialogue(split, n, 8).sessions for line in s["lines"]} for split in ("train", "test")
    ]
    assert names[0] & names[1] == set()
    for sessions in (8, 100):
        tasks = Questions(sessions, count=70)
        assert all(len(tasks.get_task("test", n).data["sessions"]) == sessions for n in range(70))
    assert {Questions(kinds=["days", "range"]).get_task("train", n).data["kind"] for n in range(6)} == {"days", "range"}
    assert len(KINDS) == 7


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"sessions": 4}, "8 to 100"),
        ({"kinds": ["why"]}, "when, corrected, days"),
        ({"form": "voice"}, "tools, one_shot"),
        ({"outcome_metric": "f1"}, "accuracy, memory_t1"),
        ({"weights": {"recall": 1}}, "new_evidence, evidence, time"),
        ({"dialect": "yaml"}, "allowed: hermes"),
    ],
)
def test_arguments_that_do_not_fit_are_refused(wrong, words):
    with pytest.raises(ValueError, match=words):
        Memory(**wrong)


def test_tasks_are_plain_json():
    task = Questions().get_task("train", 3)
    assert json.loads(json.dumps(dict(task.data))) == dict(task.data)


def test_the_contract_is_kept_with_other_arguments():
    assert check_env("turnwise/Memory-v0", form="one_shot", sessions=8).ok
