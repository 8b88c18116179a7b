import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from turnwise.agents.rollout import rollout
from turnwise.agents.scripted import ScriptedAgent
from turnwise.envs.check import check_env
from turnwise.envs.problems import LEVELS, make_problem
from turnwise.envs.scripts import Echo, Null
from turnwise.envs.self_correct import Constant, Copier, EveryNumber, Expert, Improver, RandomNumber, SelfCorrect, Spoiler
from turnwise.records import Message, StopReason, Task
from turnwise.rewards.self_correct import improvement, number, read_answer, same_answer, second_attempt

TASK = Task(id="t", env_id="turnwise/SelfCorrect-v0", split="test", prompt=(Message(role="user", content="6 * 7?"),), data={"answer": "42"})


def play(*texts, **options):
    env = SelfCorrect(**options)
    env.reset(seed=0, options={"task": TASK})
    return [env.step(text) for text in texts]


def test_the_bonus_of_score_in_numbers():
    assert second_attempt(0.0, 1.0) == 11.0
    assert second_attempt(1.0, 0.0) == -10.0
    assert second_attempt(1.0, 1.0) == 1.0
    assert second_attempt(0.0, 1.0, alpha=2.0) == 3.0
    assert improvement(1.0, 0.0) == -1.0


@pytest.mark.parametrize(
    ("first", "second", "rewards", "score"),
    [("41", "42", (0.0, 11.0), 1.0), ("42", "41", (1.0, -10.0), 0.0), ("42", "42", (1.0, 1.0), 1.0), ("1", "2", (0.0, 0.0), 0.0)],
)
def test_two_attempts_in_numbers(first, second, rewards, score):
    (_, _, _, _, one), (_, _, terminated, truncated, two) = play(f"<answer>{first}</answer>", f"so <answer>{second}</answer>")
    assert (one["turn"]["reward"], two["turn"]["reward"]) == rewards
    assert (terminated, truncated, two["outcome"].score) == (True, False, score)
    assert two["stop"] is (StopReason.SUCCESS if score else StopReason.FAILURE)
    assert two["outcome"].components == {"first": float(first == "42"), "second": float(second == "42")}


def test_components_have_weights():
    one, two = play("<answer>41</answer>", "no", weights={"second": 0.5, "improvement": 2.0, "format": 0.1})
    assert one[4]["turn"]["components"] == {"second": 0.0, "improvement": 0.0, "format": 0.1}
    assert two[4]["turn"]["components"] == {"second": 0.0, "improvement": 0.0, "format": 0.0}
    assert [step[4]["turn"]["action_valid"] for step in (one, two)] == [True, False]
    assert [step[4]["turn"]["potential"] for step in play("<answer>42</answer>", "42")] == [1.0, 1.0]
    assert play("42", weights={})[0][4]["turn"]["reward"] is None


def test_the_second_prompt_tells_a_verdict_only_where_asked_to():
    assert "wrong. There may be an error" in play("<answer>41</answer>", hint="verdict")[0][0][0].text
    assert "right. There may be an error" in play("<answer>42</answer>", hint="verdict")[0][0][0].text
    plain = [play(f"<answer>{n}</answer>")[0][0][0].text for n in (41, 42)]
    assert plain[0] == plain[1]
    assert plain[0].startswith("There may be an error")
    assert "No answer could be read: write exactly one" in play("I do not know")[0][0][0].text


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("x <answer> 42 </answer> y", "42"),
        ("<answer>42</answer> ... <answer>42.0</answer>", "42"),
        ("<answer>1</answer><answer>2</answer>", None),
        (r"thus \boxed{42}", "42"),
        (r"\boxed{41} <answer>42</answer>", "42"),
        ("42", "42"),
        ("It is 42", None),
        ("<answer></answer>", None),
        ("<answer>42", None),
        ("", None),
    ],
)
def test_one_answer_is_read(text, answer):
    assert read_answer(text) == answer


@pytest.mark.parametrize(
    ("given_", "gold", "equal"),
    [
        ("1,200", "1200", True),
        ("$7.50", "7.5", True),
        ("3/4", "0.75", True),
        ("-3.", "-3", True),
        ("1/0", "1", False),
        ("42 apples", "42", False),
        ("12,00", "1200", False),
        ("The Moon", "moon!", True),
        ("", "", False),
        ("1 2", "2", False),
    ],
)
def test_answers_are_compared_exactly(given_, gold, equal):
    assert same_answer(given_, gold) is equal


@given(st.text())
def test_any_text_can_be_read(text):
    read_answer(text)
    read_answer(f"<answer>{text}</answer>")
    number(text)


@given(st.fractions(max_denominator=10**6))
def test_numbers_are_read_exactly(value):
    assert number(f"{value.numerator}/{value.denominator}") == value
    assert number(f"{value.numerator:,}") == value.numerator


@pytest.mark.parametrize("level", LEVELS)
def test_problems_are_disjoint_and_neither_copying_nor_a_constant_solves_them(level):
    problems = {split: [make_problem(split, n, level) for n in range(1000)] for split in ("train", "validation", "test")}
    numbers = [{(p.kind, p.numbers) for p in of} for of in problems.values()]
    assert numbers[0] & numbers[1] == numbers[0] & numbers[2] == numbers[1] & numbers[2] == set()
    for problem in problems["test"]:
        assert problem.answer > 1
        assert problem.answer not in problem.numbers
        assert all(str(n) in problem.question for n in problem.numbers)
        if problem.kind == "arithmetic":
            assert eval(problem.question.removeprefix("What is ").removesuffix("?")) == problem.answer
    assert len({p.question for p in problems["test"]}) > 700


@pytest.mark.parametrize("level", LEVELS)
def test_the_gold_agent_is_right_on_a_thousand_tasks(level):
    tasks = SelfCorrect(level).tasks.get_task_range("test", 0, 1000 if level == 2 else 100)
    for script, score, total in ((Expert, 1.0, 2.0), (Improver, 1.0, 11.0), (Spoiler, 0.0, -9.0)):
        for done in rollout(lambda: SelfCorrect(level), ScriptedAgent(script), tasks, concurrency=1):
            assert (done.outcome.score, done.turn_reward_sum) == (score, total)


def test_bad_agents_are_never_right():
    tasks = SelfCorrect().tasks.get_task_range("test", 0, 1000)
    for script in (Null, Echo, EveryNumber, Copier, Constant):
        assert sum(t.outcome.score for t in rollout(SelfCorrect, ScriptedAgent(script), tasks, concurrency=1)) == 0
    assert sum(t.outcome.score for t in rollout(SelfCorrect, ScriptedAgent(RandomNumber), tasks, concurrency=1)) < 15


def test_rows_of_ones_own(tmp_path):
    train, test = tmp_path / "train.jsonl", tmp_path / "test.jsonl"
    train.write_text(json.dumps({"question": "6 * 7?", "answer": "six times seven\n#### 42"}) + "\n")
    test.write_text(json.dumps({"question": "Half of 5?", "answer": 2.5}) + "\n" + json.dumps({"question": "Capital?", "answer": "Rome"}))
    env = SelfCorrect(path={"train": train, "test": str(test)})
    assert [(s.name, s.num_tasks) for s in env.tasks.list_splits()] == [("train", 1), ("test", 2)]
    assert env.tasks.get_task("train", 0).data["answer"] == "42"
    for index, answer in ((0, "5/2"), (1, "rome")):
        env.reset(seed=0, options={"split": "test", "index": index})
        env.step(f"<answer>{answer}</answer>")
        assert env.step(f"<answer>{answer}</answer>")[4]["outcome"].score == 1.0
    assert SelfCorrect(path=test).tasks.num_tasks("test") == 2
    test.write_text('{"question": "?", "answer": "####"}')
    with pytest.raises(ValueError, match=r"test\.jsonl:1: nothing follows ####"):
        SelfCorrect(path=test)


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"level": 5}, "1 to 4"),
        ({"kinds": ["logic"]}, "arithmetic, number, word"),
        ({"hint": "all"}, "none, verdict"),
        ({"weights": {"alpha": 1}}, "first, second, improvement, format"),
        ({"path": {"dev": "x"}}, "train, validation, test"),
    ],
)
def test_arguments_that_do_not_fit_are_refused(wrong, words):
    with pytest.raises(ValueError, match=words):
        SelfCorrect(**wrong)


def test_the_contract_is_kept_with_other_arguments():
    assert check_env("turnwise/SelfCorrect-v0", level=4, hint="verdict", kinds=["word"]).ok
