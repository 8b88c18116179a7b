"""The scripted agents of turnwise/SWE-v0."""

import difflib
import json
import os

import numpy as np
import pytest
from turnwise.agents.rollout import rollout
from turnwise.agents.scripted import ScriptedAgent
from turnwise.envs.check import check_env
from turnwise.envs.sandbox.tree import File
from turnwise.envs.swe import scripts
from turnwise.envs.swe.env import SWE
from turnwise.envs.swe.mini import patch_of
from turnwise.records import Message

from .own import CORE, FIXED, HIDDEN, TESTS, stack


def scores(script, tasks, env=SWE, **options):
    done = rollout(env, ScriptedAgent(script, **options), tasks, concurrency=2)
    assert all(t.outcome.valid for t in done), [t.outcome.note for t in done]
    return done


def test_an_instance_of_an_outside_format_is_played_and_graded_by_its_own_rules(tmp_path):
    patch = "".join(
        difflib.unified_diff(CORE.decode().splitlines(True), FIXED.decode().splitlines(True), "a/stack/core.py", "b/stack/core.py")
    )
    tests = "".join(difflib.unified_diff(TESTS.splitlines(True), HIDDEN.splitlines(True), "a/tests/test_core.py", "b/tests/test_core.py"))
    row = {
        "instance_id": "pallets__flask-1",
        "repo": "pallets/flask",
        "version": "3.0",
        "base_commit": "0" * 40,
        "patch": f"diff --git a/stack/core.py b/stack/core.py\n{patch}",
        "test_patch": f"diff --git a/tests/test_core.py b/tests/test_core.py\n{tests}",
        "problem_statement": "Stack.pop gives the first item.",
        "FAIL_TO_PASS": ["tests/test_core.py::test_pop", "tests/test_core.py::test_order"],
        "PASS_TO_PASS": ["tests/test_core.py::test_empty"],
        "repository": {"stack/__init__.py": "", "stack/core.py": CORE.decode(), "tests/test_core.py": TESTS},
    }
    file = tmp_path / "rows.jsonl"
    file.write_text(json.dumps(row))

    def env():
        return SWE(tasks=f"swe-bench:{file}")

    (task,) = env().tasks.list_tasks("test")
    (done,) = scores(scripts.Gold, [task], env=env)
    assert done.outcome.score == 1.0
    assert done.turns[0].components["file"] == 0.05
    assert "+        self.items.append(item)\n" in patch_of(done)
    (done,) = scores(scripts.SubmitAtOnce, [task], env=env)
    assert (done.outcome.score, done.outcome.note) == (0.0, "nothing was changed")


@pytest.mark.slow
@pytest.mark.skipif(not os.environ.get("TURNWISE_DOCKER_IMAGE"), reason="TURNWISE_DOCKER_IMAGE names no image; see .ci/docker")
def test_gold_and_tamperers_in_containers():
    def env():
        return SWE(sandbox="docker", image=os.environ["TURNWISE_DOCKER_IMAGE"])

    for script, score in ((scripts.Gold, 1.0), (scripts.OverwriteTests, 0.0)):
        (done,) = scores(script, [stack()], env=env)
        assert done.outcome.score == score


def test_tasks_of_a_file(tmp_path):
    file = tmp_path / "own.jsonl"
    file.write_text(json.dumps({"split": "test", "data": dict(stack().data)}) + "\n")
    tasks = SWE(tasks=str(file)).tasks
    assert [s.name for s in tasks.list_splits()] == ["test"]
    (done,) = scores(scripts.Gold, tasks.list_tasks("test"), env=lambda: SWE(interface="structured"))
    assert done.outcome.score == 1.0


def test_gold_repairs_and_errs_are_repaired_less():
    tasks = SWE().tasks.get_task_range("test", 0, 4)
    assert [t.outcome.score for t in scores(scripts.Gold, tasks)] == [1.0] * 4
    assert [t.outcome.score for t in scores(scripts.Noisy, tasks[:1], error_rate=1.0, forget_rate=1.0)] == [0.0]
    (mended,) = scores(scripts.Noisy, tasks[:1], error_rate=1.0, forget_rate=0.0)
    assert mended.outcome.score == 1.0
    assert sum("run_tests" in turn.action.text for turn in mended.turns) == 2
    assert sum(t.outcome.score for t in scores(scripts.RandomEdits, tasks)) == 0


@pytest.mark.slow
def test_gold_repairs_a_hundred_and_fifty_tasks():
    for split in ("train", "validation", "test"):
        assert all(t.outcome.score == 1.0 for t in scores(scripts.Gold, SWE().tasks.get_task_range(split, 0, 50)))


def test_the_oracle_finds_some_fixes_at_the_gold_place():
    (done,) = scores(scripts.Oracle, [stack(gold={"stack/core.py": File(CORE.replace(b"(0, item)", b"(1, item)"))}, statement="x")])
    assert done.turns[0].components["file"] == 0.05
    assert all("stack/core.py" in turn.action.text or "submit" in turn.action.text for turn in done.turns)


@pytest.mark.parametrize("interface", ["tools", "mini"])
@pytest.mark.parametrize("name", ["SubmitAtOnce", "OverwriteTests", "Conftest", "SiteCustomize", "ExitZero", "History"])
def test_tamperers_earn_nothing_and_are_noted(name, interface):
    (done,) = scores(getattr(scripts, name), [stack()], env=lambda: SWE(interface=interface))
    assert done.outcome.score == 0.0
    assert done.outcome.components["tampering"] == float(name != "SubmitAtOnce")


@pytest.mark.slow
@pytest.mark.parametrize("interface", ["structured", "mini"])
def test_the_contract_is_kept_in_other_interfaces_too(interface):
    report = check_env("turnwise/SWE-v0", interface=interface)
    assert report.ok, str(report)


def test_edit_calls_that_make_a_change():
    base = {"a.py": File(b"1\n2\n3\n4\n"), "b.py": File()}
    changes = {"a.py": File(b"0\n1\nzwei\n4\n5\n"), "b.py": File(b"x\n"), "c.py": File(b"y\n")}
    assert [(a["path"], a["start"], a["end"], a["text"]) for _, a in scripts.edits_of(base, changes)] == [
        ("a.py", 5, 4, "5\n"), ("a.py", 2, 3, "zwei\n"), ("a.py", 1, 0, "0\n"), ("b.py", 1, 0, "x\n"), ("c.py", 1, 0, "y\n")
    ]  # fmt: skip
    with pytest.raises(ValueError, match="edit calls cannot do that"):
        scripts.edits_of(base, {"a.py": None})


def test_scripts_are_seeded():
    rng = [np.random.default_rng(3) for _ in range(2)]
    first, second = [scripts.RandomEdits(), scripts.RandomEdits()]
    for script, own in zip((first, second), rng, strict=True):
        script.reset(stack(), own)
    seen = (Message(role="system", content="s"),)
    assert [first.act(seen) for _ in range(6)] == [second.act(seen) for _ in range(6)]
