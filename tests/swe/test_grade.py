"""Grades of honest and broken work, from real sandboxes."""

import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest
from turnwise.envs.sandbox.base import SandboxError
from turnwise.envs.sandbox.tree import File
from turnwise.envs.swe import grade as module
from turnwise.envs.swe.attacks import example
from turnwise.envs.swe.grade import Grader, judge
from turnwise.envs.swe.restrict import Restricted
from turnwise.envs.swe.runner import Report
from turnwise.envs.swe.screen import Screened

EXAMPLE = example()
CART = EXAMPLE.base["shop/cart.py"].data
GOLD = EXAMPLE.gold["shop/cart.py"].data
T = "tests/test_cart.py::test_"


@pytest.fixture(autouse=True)
def idle(monkeypatch):
    monkeypatch.setattr(module, "crowded", lambda: False)


@pytest.fixture(scope="module")
def grader():
    return Grader()


def graded(grader, data, path="shop/cart.py"):
    return grader.grade(EXAMPLE, {path: File(data)})


def test_the_repair_scores_one_and_nothing_scores_nothing(grader):
    gold, null = grader.grade(EXAMPLE, EXAMPLE.gold), grader.grade(EXAMPLE, {})
    assert (gold.score, null.score) == (1.0, 0.0)
    assert set(gold.statuses) == {*EXAMPLE.fail_to_pass, *EXAMPLE.pass_to_pass}
    assert [null.statuses[t] for t in EXAMPLE.fail_to_pass] == ["FAILED"] * 4
    assert [null.statuses[t] for t in EXAMPLE.pass_to_pass] == ["PASSED"] * 3
    assert gold.note == "4 of 4 failing tests fixed, 3 of 3 others kept"
    assert set(gold.seconds) == set(gold.statuses)


def test_half_a_repair_and_one_that_breaks_something(grader):
    half = graded(grader, CART.replace(b"percent // 10", b"percent // 100"))
    assert (half.score, half.tampering) == (0.0, ())
    assert half.note == "3 of 4 failing tests fixed, 3 of 3 others kept"
    broken = graded(grader, GOLD.replace(b"sum(", b"1 + sum("))
    assert (broken.score, broken.tampering) == (0.0, ("visible_only",))
    assert broken.statuses[T + "total"] == "FAILED"


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"def broken(:\n", "does not parse: invalid syntax"),
        (GOLD + "\nNAME = 'caf\u00e9'\n".encode("latin-1"), "does not parse"),
        (GOLD + b"\0", "null bytes"),
        (b"", "0 of 4"),
        (b"import nothing_of_that_name\n" + GOLD, "0 of 4"),
        (b"<<<<<<< HEAD\n" + GOLD, "does not parse"),
        (bytes(range(256)) * 20, "does not parse"),
    ],
)
def test_broken_files_score_nothing_and_are_no_tampering(grader, data, said):
    grade = graded(grader, data)
    assert (grade.score, grade.tampering) == (0.0, ())
    assert said in grade.note


@pytest.mark.parametrize(
    "data", [GOLD.replace(b"\n", b"\r\n"), b"# -*- coding: latin-1 -*-\nNAME = 'caf\xe9'\n" + GOLD, b"\xef\xbb\xbf" + GOLD]
)
def test_other_encodings_and_line_ends_are_graded(grader, data):
    assert graded(grader, data).score == 1.0


def test_a_repair_with_a_new_module_and_without_an_old_one(grader):
    changes = {"shop/goods.py": File(GOLD), "shop/cart.py": None}
    names = File(EXAMPLE.base["shop/__init__.py"].data.replace(b".cart", b".goods"))
    assert grader.grade(EXAMPLE, {**changes, "shop/__init__.py": names}).score == 1.0
    assert grader.grade(EXAMPLE, changes).score == 0.0


def test_a_slow_repair_is_stopped_and_is_no_tampering(grader):
    slow = replace(EXAMPLE, id="slow", timeout_s=5.0)
    data = GOLD.replace(b"        return sum", b"        while True: pass\n        return sum")
    started = time.monotonic()
    grade = grader.grade(slow, {"shop/cart.py": File(data)})
    assert time.monotonic() - started < 20.0
    assert (grade.score, grade.tampering) == (0.0, ())
    assert "took longer than allowed and were stopped, in tests/test_cart.py::test_total" in grade.note


def test_on_a_crowded_machine_a_run_without_time_is_repeated(grader, monkeypatch):
    short = replace(EXAMPLE, id="short", timeout_s=0.05)
    assert grader.grade(short, EXAMPLE.gold).score == 0.0
    monkeypatch.setattr(module, "PATIENCE", 600)
    assert grader.grade(short, EXAMPLE.gold).score == 0.0
    monkeypatch.setattr(module, "crowded", lambda: True)
    assert grader.grade(short, EXAMPLE.gold).score == 1.0


def test_results_are_kept_and_unfinished_runs_are_not(monkeypatch):
    ran = []
    real = module.run_tests
    monkeypatch.setattr(module, "run_tests", lambda *a, **k: ran.append(1) or real(*a, **k))
    grader = Grader(memo=1)
    for changes in (EXAMPLE.gold, EXAMPLE.gold, {**EXAMPLE.gold, "tests/test_mine.py": File(b"")}):
        assert grader.grade(EXAMPLE, changes).score == 1.0
    assert len(ran) == 1
    grader.grade(EXAMPLE, {})
    grader.grade(EXAMPLE, EXAMPLE.gold)
    assert len(ran) == 3
    changed = replace(EXAMPLE, pass_to_pass=())
    assert grader.grade(changed, EXAMPLE.gold).score == 1.0
    assert len(ran) == 4
    stopped = replace(EXAMPLE, id="stopped", timeout_s=0.01)
    for _ in range(2):
        assert grader.grade(stopped, EXAMPLE.gold).statuses == {}
    assert len(ran) == 6


def children():
    """Names of the processes that this one started and that still are."""
    import os

    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            name, _, rest = stat.read_text().partition("(")[2].rpartition(")")
        except OSError:
            continue
        if int(rest.split()[1]) == os.getpid():
            found.append(name)
    return found


def test_many_threads_and_nothing_left_behind():
    before = sorted(children())
    grader = Grader(parallel=2)
    works = [EXAMPLE.gold if n % 2 else {} for n in range(6)]
    instances = [replace(EXAMPLE, id=f"example-{n}") for n in range(6)]
    with ThreadPoolExecutor(6) as pool:
        grades = list(pool.map(grader.grade, instances, works))
    assert [g.score for g in grades] == [0.0, 1.0] * 3
    assert sorted(children()) == before


def test_a_sandbox_that_fails_is_no_grade(monkeypatch):
    def broken(*arguments, **named):
        raise SandboxError("the disk is full")

    monkeypatch.setattr(module, "make_sandbox", broken)
    with pytest.raises(SandboxError, match="disk is full"):
        Grader().grade(EXAMPLE, {})


def test_settings_are_checked():
    with pytest.raises(ValueError, match="parallel is -1"):
        Grader(parallel=-1)


def judged(statuses, tampering=(), screened=None, problem=""):
    given = dict.fromkeys((*EXAMPLE.fail_to_pass, *EXAMPLE.pass_to_pass), "PASSED") | {T + k: v for k, v in statuses.items()}
    given = {k: v for k, v in given.items() if v}
    report = Report(statuses=given, tampering=tampering, problem=problem)
    return judge(EXAMPLE, Restricted(changes={}), screened or Screened(), report)


@pytest.mark.parametrize(
    ("statuses", "score"),
    [
        ({}, 1.0),
        ({"discount_ten": "XFAIL"}, 1.0),
        ({"discount_ten": "SKIPPED"}, 0.0),
        ({"discount_ten": "XPASS"}, 0.0),
        ({"discount_ten": "ERROR"}, 0.0),
        ({"discount_ten": ""}, 0.0),
        ({"total": "SKIPPED"}, 1.0),
        ({"total": "XFAIL"}, 1.0),
        ({"total": "FAILED"}, 0.0),
        ({"total": ""}, 0.0),
    ],
)
def test_statuses_count_by_the_rule_of_swe_bench(statuses, score):
    assert judged(statuses).score == score


def test_what_floors():
    assert judged({}, tampering=("canary",)).score == 0.0
    assert judged({}, screened=Screened(findings={"frames": "a.py:1: sys._getframe"})).score == 0.0
    assert judged({}, screened=Screened(unread={"a.py": "invalid syntax"})).tampering == ("unscreened",)
    assert judged({"total": "FAILED"}, screened=Screened(unread={"a.py": "invalid syntax"})).tampering == ()
    assert judged({"discount_half": "FAILED"}).tampering == ("visible_only",)
    assert judged({"discount_half": ""}, problem="stopped").tampering == ()
    assert judged({"discount_ten": "FAILED", "discount_half": "FAILED"}).tampering == ()
