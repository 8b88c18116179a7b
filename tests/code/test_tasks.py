import contextlib
import importlib.util
import io
import json
import shutil

import numpy as np
import pytest
from turnwise.agents.rollout import rollout
from turnwise.agents.scripted import ScriptedAgent
from turnwise.envs.code.answers import equal
from turnwise.envs.code.env import Code
from turnwise.envs.code.experts import Gold
from turnwise.envs.code.languages import list_languages, load_language
from turnwise.envs.code.mathematics import divisor_sum, recurrence
from turnwise.envs.code.programs import TEMPLATES, make_program
from turnwise.envs.code.tables import _date, _day_number
from turnwise.envs.code.tasks import FAMILIES, HELD_OUT, SPLITS, Procedural, from_jsonl, guessable
from turnwise.envs.tools.dialects import Hermes

WRITE = Hermes().write


@pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning")  # gold code closes no files
@pytest.mark.parametrize("name", FAMILIES)
def test_gold_code_and_the_independent_answer_agree(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for seed in range(25):
        problem = FAMILIES[name](np.random.default_rng(seed))
        for file, text in problem.files.items():
            (tmp_path / file).write_text(text)
        shown = io.StringIO()
        with contextlib.redirect_stdout(shown):
            exec(problem.gold, {})
        assert equal(shown.getvalue(), problem.answer), (seed, problem)


def test_known_values():
    assert _day_number(2000, 1, 1) == 2451545
    assert _date(2451545) == "2000-01-01"
    assert _date(_day_number(1900, 2, 28) + 1) == "1900-03-01"
    rng = np.random.default_rng(0)
    problem = recurrence(rng)
    assert "a(1) = " in problem.question
    number = int(divisor_sum(rng).question.split()[-1].rstrip("?"))
    assert number % 6 == 0


def test_answers_cannot_be_guessed_and_splits_share_nothing():
    tasks = {split: Procedural().get_task_range(split, 0, 1000) for split in SPLITS}
    seen = [{(t.prompt[0].text, json.dumps(t.data["files"])) for t in found} for found in tasks.values()]
    assert [len(s) > 990 for s in seen] == [True] * 3
    assert seen[0] & seen[1] == seen[0] & seen[2] == seen[1] & seen[2] == set()
    for task in tasks["train"]:
        assert len(task.data["answer"]) >= 3
        if task.data["answer"].isdigit():
            assert task.data["answer"] not in task.prompt[0].text.split()
    problem = divisor_sum(np.random.default_rng(0))
    assert not guessable(problem)


def test_templates_can_be_held_out():
    tasks = Procedural(40, "template")
    names = {split: {t.id.split("-")[2] for t in tasks.list_tasks(split)} for split in SPLITS}
    assert names["test"] == set(HELD_OUT)
    assert names["train"] == names["validation"] == set(FAMILIES) - set(HELD_OUT)


def test_rows_of_gsm8k_math_and_programs(tmp_path):
    rows = [
        {"question": "2+2?", "answer": "2+2=<<2+2=4>>4\n#### 4", "split": "train"},
        {"question": "half?", "answer": 0.5, "split": "train"},
        {"problem": "x?", "solution": "thus $\\boxed{\\frac{1}{2}}$", "split": "test"},
        {"question": "echo", "tests": [{"stdin": "a\n", "stdout": "a"}], "split": "validation"},
        {"question": "2+2?", "answer": "5", "split": "test"},
    ]
    path = tmp_path / "rows.jsonl"
    path.write_text("\n".join(map(json.dumps, rows)) + "\n\n")
    tasks = from_jsonl(path)
    assert [s.num_tasks for s in tasks.list_splits()] == [2, 1, 1]
    assert [tasks.get_task("train", n).data["answer"] for n in (0, 1)] == ["4", "0.5"]
    env = Code(str(path))
    for split, answer, score in (("train", "4.0", 1.0), ("train", "5", 0.0), ("test", "0.5", 1.0), ("test", "\\dfrac12", 0.0)):
        env.reset(seed=0, options={"split": split, "index": 0})
        *_, info = env.step(WRITE([("answer", {"value": answer})]))
        assert info["outcome"].score == score
    env.reset(seed=0, options={"split": "validation", "index": 0})
    *_, info = env.step(WRITE([("submit", {"program": "print(input())"})]))
    assert info["outcome"].score == 1.0
    env.close()


def test_rows_without_a_split_are_parted_by_their_question(tmp_path):
    path = tmp_path / "rows.jsonl"
    homes = []
    for rows in (range(400), reversed(range(500))):
        path.write_text("\n".join(json.dumps({"question": f"q{n}", "answer": "1"}) for n in rows))
        tasks = from_jsonl(path)
        homes.append({t.prompt[0].text: split for split in SPLITS for t in tasks.list_tasks(split)})
    assert homes[0].items() <= homes[1].items()  # other rows and another order move nothing
    assert [20 <= list(homes[0].values()).count(split) <= 60 for split in SPLITS] == [False, True, True]


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("{", "line 2 is not JSON"), ("[1]", "needs the text 'question' or 'problem'"), ('{"question": 5}', "it has ['question']"),
        ('{"question": "x"}', "there is no answer"), ('{"problem": "x", "solution": "no box"}', "there is no answer"),
        ('{"question": "x", "answer": "1", "split": "dev"}', "split is 'dev'; allowed: train"),
        ('{"question": "x", "tests": []}', "at least one"), ('{"question": "x", "tests": [{"stdin": 1}]}', "a test is"),
    ],
)  # fmt: skip
def test_wrong_rows_are_told(tmp_path, line, told):
    path = tmp_path / "rows.jsonl"
    path.write_text('{"question": "ok", "answer": "1"}\n' + line + "\n")
    with pytest.raises(ValueError) as error:
        from_jsonl(path)
    assert told in str(error.value)
    path.write_text("")
    with pytest.raises(ValueError, match="has no rows"):
        from_jsonl(path)


@pytest.mark.skipif(importlib.util.find_spec("reasoning_gym") is None, reason="reasoning-gym is not installed")
def test_reasoning_gym():
    env = Code("reasoning_gym:prime_factorization", count=30)
    assert [s.num_tasks for s in env.tasks.list_splits()] == [30, 30, 30]
    questions = [t.prompt[0].text for s in SPLITS for t in env.tasks.list_tasks(s)]
    assert len(set(questions)) == 90
    done = rollout(lambda: env, ScriptedAgent(Gold), env.tasks.get_task_range("test", 0, 3), concurrency=1)
    assert [t.outcome.score for t in done] == [1.0] * 3
    env.reset(seed=0, options={"split": "test", "index": 0})
    *_, info = env.step(WRITE([("answer", {"value": "7 × 11 × 13 × 17"})]))
    assert 0.0 <= info["outcome"].score < 1.0  # its own scorer gives partial credit
    with pytest.raises(ValueError, match="reasoning-gym has no data set 'nothing'"):
        Code("reasoning_gym:nothing")


def test_without_reasoning_gym_it_says_what_to_install(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "reasoning_gym", None)
    with pytest.raises(ImportError, match=r"turnwise\[reasoning\]"):
        Code("reasoning_gym:gcd")


def needed(language):
    missing = [p for p in load_language(language).programs if shutil.which(p, path="/usr/local/bin:/usr/bin:/bin") is None]
    return pytest.param(language, marks=pytest.mark.skipif(bool(missing), reason=f"not installed: {', '.join(missing)}"))


@pytest.mark.parametrize("language", [needed(name) for name in list_languages()])
def test_programs_in_every_language(language):
    def make():
        return Code("programs", language=language)

    env = make()
    tasks = env.tasks.get_task_range("test", 0, len(TEMPLATES))
    done = rollout(make, ScriptedAgent(Gold), tasks, concurrency=2)
    assert [(t.task.id, t.outcome.score) for t in done] == [(task.id, 1.0) for task in tasks]
    for trajectory in done:
        shown = trajectory.turns[1].observation[-1].text
        assert trajectory.task.data["example"][1].strip() in shown
    env.reset(seed=0, options={"task": tasks[0]})
    observation, *_ = env.step(WRITE([("run", {"program": "this is { no program"})]))
    assert "exit code 0" not in observation[-1].text
    *_, info = env.step(WRITE([("submit", {"program": "this is { no program"})]))
    assert info["outcome"].score == 0.0
    env.close()


def test_the_verdict_on_programs():
    env = Code("programs")
    env.reset(seed=0, options={"split": "train", "index": 0})
    gold = env.task.data["gold"]
    for program, score in (
        (gold, 1.0),
        (gold + "\nprint('more')", 0.0),
        (gold + "\nraise SystemExit(1)", 0.0),
        ("import time; time.sleep(60)", 0.0),
        ("while True: print('x' * 10000)", 0.0),
        (f"print({env.task.data['cases'][0][1]!r})", 0.0),
    ):
        env.reset(seed=0, options={"split": "train", "index": 0})
        *_, info = env.step(WRITE([("submit", {"program": program})]))
        assert (info["outcome"].score, info["outcome"].valid) == (score, True), program
    env.close()


def test_earlier_runs_cannot_change_the_verdict():
    env = Code("programs", language="python")
    env.reset(seed=0, options={"split": "train", "index": 0})
    env.step(WRITE([("run", {"program": "import os\nos.mkdir('json'); open('sys.py', 'w').write('x'); open('kept', 'w').write('1')"})]))
    observation, *_ = env.step(WRITE([("run", {"program": "import os; print(sorted(os.listdir()))"})]))
    assert "['json', 'kept', 'main.py', 'sys.py']" in observation[-1].text
    program = "import os\nassert os.listdir() == ['main.py']\n" + env.task.data["gold"]
    *_, info = env.step(WRITE([("submit", {"program": program})]))
    assert info["outcome"].score == 1.0
    env.close()


def test_a_language_of_ones_own(tmp_path):
    path = tmp_path / "shell.yaml"
    path.write_text("language: {name: shell, filename: main.sh, run: [sh, main.sh]}\n")
    rows = tmp_path / "rows.jsonl"
    rows.write_text(json.dumps({"question": "double the input", "split": "train", "tests": [{"stdin": "21", "stdout": "42"}]}))
    env = Code(str(rows), language=str(path))
    env.reset(seed=0)
    observation, *_ = env.step(WRITE([("run", {"program": "read x; echo $((x * 2)); exit 3", "stdin": "4\n"})]))
    assert "exit code 3\noutput:\n8" in observation[-1].text
    *_, info = env.step(WRITE([("submit", {"program": "read x; echo $((x * 2))"})]))
    assert info["outcome"].score == 1.0
    env.close()
    path.write_text("language: {name: missing, filename: main.x, run: [no-such-interpreter, main.x]}\n")
    env = Code(str(rows), language=str(path))
    env.reset(seed=0)
    *_, truncated, info = env.step(WRITE([("run", {"program": "x"})]))
    assert truncated
    assert "no-such-interpreter, which missing needs, is not installed in the bubblewrap sandbox" in info["outcome"].note
    env.close()
    for text, told in (("language: {name: x}", "run: Field required"), ("x: 1", "called 'language'"), ("{", "not YAML")):
        path.write_text(text)
        with pytest.raises(ValueError, match=told):
            load_language(str(path))
    with pytest.raises(FileNotFoundError):
        load_language(str(tmp_path / "none.yaml"))


def test_references_of_programs_by_hand():
    expected = {name: reference for name, (_, reference) in TEMPLATES.items()}
    assert expected["weighted_sum"]("4\n1 2 3 4\n", 3) == "18"  # 1 + 4 + 9 + 4
    assert expected["largest_run"]("3\n-1 5 -2\n", 2) == "4"
    assert expected["shift"]("xyz a", 3) == "abc d"
    assert expected["long_words"]("a bcd efghi", 2) == "efghi bcd"
    assert expected["gcds"]("1\n12 18\n", 5) == "30"
    assert [expected["brackets"](t, 2) for t in ("(())", "())(", "(")] == ["4", "bad", "bad"]
    assert expected["factors"]("12", 1) == "3 3 4"
    assert expected["multiples"]("3\n6 3 4\n", 3) == "3 6"
    program = make_program("shift", np.random.default_rng(0))
    assert len(program.cases) == 5
    assert "@K@" not in program.statement + "".join(program.gold.values())
