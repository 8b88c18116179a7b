import ast
import pickle

import numpy as np
import pytest
from turnwise.envs.sandbox.make import make_sandbox
from turnwise.envs.sandbox.tree import apply
from turnwise.envs.swe.env import SWE
from turnwise.envs.swe.instance import WORK
from turnwise.envs.swe.runner import run_tests
from turnwise.envs.swe.stored import from_data
from turnwise.envs.swe.tiny.compose import Bug, locate, planted
from turnwise.envs.swe.tiny.domains import DOMAINS, KINDS
from turnwise.envs.swe.tiny.easy import FAMILIES
from turnwise.envs.swe.tiny.tasks import TinyRepos
from turnwise.envs.swe.tiny.teacher import Noisy
from turnwise.envs.swe.toolchain import binds

SPLITS = ("train", "validation", "test")


def outcomes(tree, held):
    """Test name -> whether it passes, by running the files of a task in this process."""
    space: dict = {}
    files = {**tree, **held}
    modules = [path for path in files if not path.startswith("tests/") and not path.endswith("__init__.py")]
    for path in modules:
        lines = [line for line in files[path].data.decode().splitlines() if not line.startswith("from .")]
        exec("\n".join(lines), space)
    found = {}
    for path in held:
        names = dict(space)
        exec("\n".join(line for line in files[path].data.decode().splitlines() if not line.startswith("from ")), names)
        for name, function in names.items():
            if name.startswith("test_"):
                try:
                    function()
                    found[f"{path}::{name}"] = True
                except Exception:
                    found[f"{path}::{name}"] = False
    return found


@pytest.mark.parametrize("level", ["easy", "normal"])
def test_what_fails_is_known_and_the_gold_fix_repairs_it(level):
    tasks = TinyRepos(level=level)
    for split in SPLITS:
        for index in range(120):
            made = tasks.instance(split, index)
            before = outcomes(made.base, made.held)
            assert {n for n, passed in before.items() if not passed} == set(made.fail_to_pass)
            assert {n for n, passed in before.items() if passed} == set(made.pass_to_pass)
            assert all(outcomes(apply(made.base, made.gold), made.held).values())


@pytest.mark.parametrize("level", ["easy", "normal"])
def test_half_of_the_failing_tests_is_withheld(level):
    tasks = TinyRepos(level=level)
    for index in range(60):
        made = tasks.instance("train", index)
        assert len(made.withheld) == (len(made.fail_to_pass) + 1) // 2
        assert 1 <= len(made.withheld) < len(made.fail_to_pass)
        (path,) = made.held
        shown = {node.name for node in ast.parse(made.base[path].data).body if isinstance(node, ast.FunctionDef)}
        assert {f"{path}::{name}" for name in shown} == (set(made.fail_to_pass) | set(made.pass_to_pass)) - set(made.withheld)
        # answers keyed to what can be seen do not pass: no withheld call stands in a file the agent gets, or in the issue
        for node in ast.parse(made.held[path].data).body:
            if isinstance(node, ast.FunctionDef) and f"{path}::{node.name}" in made.withheld:
                call = ast.unparse(node.body[0].test.left)
                assert call not in made.base[path].data.decode()
                assert call not in made.statement


@pytest.mark.parametrize("level", ["easy", "normal"])
def test_the_location_is_the_line_that_the_fix_changes(level):
    tasks = TinyRepos(level=level)
    for index in range(60):
        made = tasks.instance("validation", index)
        (path,) = made.gold
        (at,) = made.locations
        old, new = made.base[path].data.decode().splitlines(), made.gold[path].data.decode().splitlines()
        assert at.path == path
        assert old[: at.first - 1] == new[: at.first - 1]
        assert at.function
        assert at.function.split(".")[0] in made.base[path].data.decode()


def test_a_location_inside_a_class_has_a_dotted_name():
    wrong = "class A:\n    def f(self):\n        x = 1\n        return x + 1\n\n    def g(self):\n        return 2\n"
    at = locate("a.py", wrong, wrong.replace("x + 1", "x - 1"))
    assert (at.first, at.last, at.function) == (4, 4, "A.f")
    gone = locate("a.py", wrong.replace("        x = 1\n", ""), wrong)
    assert (gone.first, gone.last, gone.function) == (3, 3, "A.f")


@pytest.mark.parametrize("level", ["easy", "normal"])
def test_tasks_are_deterministic_and_no_two_are_the_same(level):
    tasks, again = TinyRepos(level=level), TinyRepos(level=level)
    hashes = [t.hash for split in SPLITS for t in tasks.get_task_range(split, 0, 400)]
    assert len(set(hashes)) == len(hashes)
    assert [again.get_task(s, 7).hash for s in SPLITS] == [tasks.get_task(s, 7).hash for s in SPLITS]
    assert TinyRepos(level=level, seed=1).get_task("train", 7).hash != tasks.get_task("train", 7).hash
    assert pickle.loads(pickle.dumps(tasks)).get_task("test", 3) == tasks.get_task("test", 3)
    assert [s.num_tasks for s in tasks.list_splits()] == [20_000, 1000, 1000]


def test_a_task_is_a_stored_instance():
    tasks = TinyRepos(level="easy")
    task = tasks.get_task("test", 5)
    assert task.data["kind"] == "stored"
    assert from_data(task.data) == tasks.instance("test", 5)
    assert task.prompt[0].text == tasks.instance("test", 5).statement


def test_splits_share_words_but_no_names():
    packages = {s: {p.split("/")[0] for n in range(150) for p in TinyRepos().instance(s, n).gold} for s in SPLITS}
    assert not packages["train"] & packages["test"]
    assert not packages["train"] & packages["validation"]
    assert not packages["validation"] & packages["test"]


def test_every_bug_has_one_place_and_shows():
    rng = np.random.default_rng(np.random.SeedSequence([0]))
    kinds = set()
    for domain in DOMAINS:
        pieces = (*domain.first.pieces, *domain.second.pieces)
        for piece in pieces:
            for bug in piece.bugs:
                kinds.add(bug.kind)
                good, bad = {}, {}
                for other in pieces:
                    exec(other.source, good)
                    exec(planted(other.source, bug) if other is piece else other.source, bad)
                assert any(differs(piece.call(rng), good, bad) for _ in range(300)), (piece.name, bug)
    assert kinds == set(KINDS)


def differs(call, good, bad):
    try:
        return eval(call, good) != eval(call, bad)
    except Exception:
        return True


def test_a_bug_without_one_place_is_refused():
    with pytest.raises(ValueError, match="occurs 2 times"):
        planted("a + a", Bug(kind="operator", right="a", wrong="b"))


def test_the_easy_fix_depends_on_what_is_meant():
    lines = set()
    for made in (TinyRepos(level="easy").instance("train", n) for n in range(200)):
        (at,) = made.locations
        lines.add(made.gold[at.path].data.decode().splitlines()[at.first - 1])
    fixes = {(line.split("return ")[1], line.split()[1]) for line in lines}
    for word, symbol in FAMILIES["arithmetic"].items():
        assert len({name for text, name in fixes if text == f"a {symbol} b  # a {word} b"}) > 5
    assert len({text for text, _ in fixes}) == 4


def test_wrong_arguments_are_told():
    for wrong, message in (
        ({"level": "hard"}, "allowed: easy, normal"),
        ({"families": ("bits",)}, "arithmetic, comparison"),
        ({"functions": 0}, "1 to 6"),
        ({"test": 0}, "at least one"),
    ):
        with pytest.raises(ValueError, match=message):
            TinyRepos(**wrong)
    with pytest.raises(IndexError, match=r"outside 0\.\.999"):
        TinyRepos().instance("test", 1000)


@pytest.mark.slow
@pytest.mark.parametrize("level", ["easy", "normal"])
def test_the_runner_finds_the_same_tests_failing(level):
    tasks = TinyRepos(level=level)
    for index in range(25):
        made = tasks.instance("test", index)
        for tree, failing in ((made.base, set(made.fail_to_pass)), (apply(made.base, made.gold), set())):
            with make_sandbox(tree={**tree, **made.held}, work=WORK, binds=binds()) as box:
                report = run_tests(box, list(made.held), paths=made.paths)
            assert report.problem == ""
            assert set(report.statuses) == set(made.fail_to_pass) | set(made.pass_to_pass)
            assert {name for name, status in report.statuses.items() if status != "PASSED"} == failing


# ---- the teacher -------------------------------------------------------------------------------------------------------------------------

NEVER = dict.fromkeys(("wrong_place", "wrong_edit", "wrong_line", "no_edit", "skip_tests", "give_up"), 0.0)


def taught(level="easy", **rates):
    """The calls of one episode by name, and its outcome."""
    env = SWE(options={"level": level}, interface="structured", dialect="python", max_turns=12)
    observation, _ = env.reset(seed=0, options={"split": "validation", "index": 4})
    teacher = Noisy("python", **{**NEVER, **rates})
    teacher.reset(env.task, np.random.default_rng(np.random.SeedSequence([3])))
    calls, done = [], False
    while not done:
        action = teacher.act(observation)
        calls.append(action[1 : action.index("(")])
        observation, _, terminated, truncated, info = env.step(action)
        done = terminated or truncated
    env.close()
    return " ".join(calls), info["outcome"]


def test_a_teacher_that_never_errs_repairs():
    for options in ({}, {"look": "view"}, {"level": "normal"}):
        calls, outcome = taught(**options)
        assert calls == f"{options.get('look', 'find')} edit run_tests submit"
        assert outcome.success, outcome.note


def test_a_teacher_errs_as_it_is_told():
    for rates, seen in (
        ({"no_edit": 1.0}, "find submit"),
        ({"skip_tests": 1.0, "wrong_edit": 1.0}, "find edit submit"),
        ({"wrong_place": 1.0, "skip_tests": 1.0, "wrong_edit": 1.0}, "find find edit submit"),
        ({"wrong_edit": 1.0, "give_up": 1.0}, "find edit run_tests submit"),
        ({"wrong_line": 1.0, "give_up": 1.0}, "find edit run_tests submit"),
    ):
        calls, outcome = taught(**rates)
        assert (calls, outcome.success) == (seen, False), rates
