"""The rules of each data set, with figures by hand."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from turnwise.envs.swe.formats.rules import RULES, ended, judge, judge_map, status_of, without_timing

END = "\n=== 3 passed in 0.10s ==="


def grade(rule, statuses, first, second=(), *, log=END, exit_code=0):
    return judge(RULES[rule], statuses, first, second, log=log, exit_code=exit_code)


def test_partial_is_two_of_three_and_the_dense_share_six_of_seven():
    found = grade("swe-bench", {"a": "PASSED", "b": "XFAIL", "c": "FAILED", **dict.fromkeys("defg", "PASSED")}, "abc", "defg", exit_code=1)
    assert (found.resolved, found.score) == ("PARTIAL", 0.0)
    assert round(found.fail_to_pass, 6) == 0.666667
    assert found.pass_to_pass == 1.0
    assert round(found.fraction, 6) == 0.857143


@pytest.mark.parametrize(
    ("rule", "status", "first", "second"),
    [
        *[("swe-bench", s, a, b) for s, a, b in [("PASSED", 1, 1), ("XFAIL", 1, 1), ("SKIPPED", 0, 1), ("ERROR", 0, 0), (None, 0, 0)]],
        *[("fail-only", s, a, b) for s, a, b in [("PASSED", 1, 1), ("FAILED", 0, 0), ("ERROR", 1, 1), (None, 1, 1)]],
        *[("swe-smith", s, a, b) for s, a, b in [("XFAIL", 1, 1), ("SKIPPED", 0, 0), ("FAILED", 0, 0), (None, 1, 1)]],
        *[("swe-rebench-v2", s, a, b) for s, a, b in [("PASSED", 1, 1), ("XFAIL", 0, 0), ("SKIPPED", 0, 0), (None, 0, 0)]],
    ],
)
def test_what_counts_as_right(rule, status, first, second):
    seen = {"other": "PASSED"} | ({"t": status} if status else {})
    assert grade(rule, seen, ["t"]).fail_to_pass == first
    assert grade(rule, seen, [], ["t"]).pass_to_pass == second


def test_full_partial_and_no():
    assert grade("swe-bench", {"a": "PASSED", "b": "SKIPPED"}, ["a"], ["b"]).resolved == "FULL"
    assert grade("swe-bench", {"a": "PASSED", "b": "FAILED"}, ["a"], ["b"], exit_code=1).resolved == "NO"
    assert grade("swe-bench", {"a": "FAILED", "b": "PASSED"}, ["a"], ["b"], exit_code=1).resolved == "NO"


def test_a_part_of_the_fix_that_breaks_something_is_not_partial():
    found = grade("swe-bench", {"a": "PASSED", "b": "FAILED", "c": "FAILED"}, ["a", "b"], ["c"], exit_code=1)
    assert (found.resolved, found.fail_to_pass, found.pass_to_pass) == ("NO", 0.5, 0.0)


def test_empty_lists_count_one_but_two_of_them_pass_nothing():
    assert grade("swe-bench", {"a": "PASSED"}, ["a"]).pass_to_pass == 1.0
    assert grade("swe-rebench-v2", {"a": "PASSED"}, [], []).score == 0.0


@pytest.mark.parametrize("rule", sorted(RULES))
def test_runs_that_say_nothing_pass_under_no_rule(rule):
    assert not grade(rule, {"a": "PASSED"}, ["a"], log="PASSED a").valid
    assert grade(rule, {}, ["a"], exit_code=1).score == 0.0
    if rule != "exit-code":
        assert "exit code 2" in grade(rule, {"a": "PASSED"}, ["a"], exit_code=2).note
        assert grade(rule, {}, ["a"]).note == "the log shows no test"


def test_an_exit_code_that_a_failure_explains_is_a_valid_run():
    assert grade("swe-bench", {"a": "PASSED", "b": "FAILED"}, ["a"], exit_code=1).score == 1.0


def test_v2_takes_a_higher_exit_code_for_a_broken_runner():
    found = grade("swe-rebench-v2", {"a": "PASSED", "b": "FAILED"}, ["a"], exit_code=2)
    assert (found.valid, found.score) == (False, 0.0)


def test_exit_code_decides_for_skyrls_scripts():
    assert grade("exit-code", {"a": "FAILED"}, ["a"], exit_code=0).score == 1.0
    assert grade("exit-code", {"a": "PASSED"}, ["a"], exit_code=1).score == 0.0


@pytest.mark.parametrize(
    ("name", "plain"),
    [
        ("foo [1.34 ms]", "foo"),
        ("foo [1.3 MS]", "foo"),
        ("foo in 3 sec", "foo"),
        ("foo (4 s)", "foo"),
        ("foo (1.234s)", "foo"),
        ("foo in 29.08 msec bar", "foo bar"),
        ("foo[3]", "foo[3]"),
        ("test [1 of 2]", "test [1 of 2]"),
    ],
)
def test_timings_are_taken_out_of_names(name, plain):
    assert without_timing(name) == plain


def test_v2_compares_names_without_timings_on_both_sides():
    assert grade("swe-rebench-v2", {"foo [1.34 ms]": "PASSED", "bar (2 s)": "PASSED"}, ["foo [9.9 ms]"], ["bar"]).score == 1.0


def test_an_id_cut_in_its_parameters_means_all_that_begin_so():
    seen = {"t.py::a[x]": "PASSED", "t.py::a[xy]": "FAILED", "t.py::b[x": "PASSED"}
    assert status_of("t.py::a[x", seen) == "FAILED"
    assert status_of("t.py::b[x", seen) == "PASSED"
    assert status_of("t.py::a[x]", seen) == "PASSED"
    assert status_of("t.py::c[", seen) is None
    assert status_of("t.py::a", seen) is None


def test_r2e_wants_the_same_map():
    wanted = {"A.test_one": "PASSED", "test_two": "FAILED"}

    def score(found):
        return judge_map(found, wanted, log=END, exit_code=1).score

    assert score({"A.test_one": "PASSED", "test_two": "FAILED"}) == 1.0
    assert score({"A.test_one": "PASSED", "test_two - assert 1": "FAILED"}) == 1.0
    assert score({"\x1b[1mA.test_one\x1b[0m": "PASSED", "test_two": "FAILED"}) == 1.0
    assert score({"A.test_one": "PASSED", "test_two": "PASSED"}) == 0.0  # an expected failure that passes
    assert score({"A.test_one": "PASSED", "test_two": "FAILED", "test_new": "PASSED"}) == 0.0  # one too many
    assert score({"A.test_one": "PASSED"}) == 0.0
    assert score({}) == 0.0
    assert "3 tests ran, 2 are expected" in judge_map({**wanted, "x": "PASSED"}, wanted, log=END, exit_code=0).note
    assert not judge_map(wanted, wanted, log="", exit_code=0).valid


@pytest.mark.parametrize(
    "line",
    [
        "===== 1 failed, 2 passed in 0.10s =====",
        "=== 5 passed, 1 warnings in 1.20 seconds ===",
        "2 passed in 0.02s",
        "\x1b[32m===== \x1b[1m2 passed\x1b[0m in 0.02s =====",
        "Ran 3 tests in 0.004s",
        "=========== tests finished: 1 passed, in 0.10 seconds ===========",
        "ok  \tgithub.com/a/b\t0.01s",
        "test result: ok. 1 passed; 0 failed",
        "Tests:       1 passed, 1 total",
        "  3 passing (8ms)",
    ],
)
def test_signs_that_a_runner_came_to_its_end(line):
    assert ended("noise\n" + line + "\nnoise")


def test_no_sign_in_what_tests_print():
    assert not ended("PASSED t.py::a\nall tests passed\nI ran 3 tests")


STATUS = st.sampled_from(["PASSED", "FAILED", "ERROR", "SKIPPED", "XFAIL"])


@settings(max_examples=200, deadline=None)
@given(
    statuses=st.dictionaries(st.text(max_size=6), STATUS, max_size=6),
    first=st.lists(st.text(max_size=6), max_size=4),
    second=st.lists(st.text(max_size=6), max_size=4),
    log=st.one_of(st.just(END), st.text(max_size=60)),
    exit_code=st.one_of(st.none(), st.integers(-20, 300)),
    rule=st.sampled_from(sorted(RULES)),
)
def test_every_grade_is_in_its_bounds(statuses, first, second, log, exit_code, rule):
    for found in (
        judge(RULES[rule], statuses, first, second, log=log, exit_code=exit_code),
        judge_map(statuses, dict.fromkeys(first, "PASSED"), log=log, exit_code=exit_code),
    ):
        assert found.score in (0.0, 1.0)
        assert found.score == (found.resolved == "FULL")
        assert all(0 <= x <= 1 for x in (found.fail_to_pass, found.pass_to_pass, found.fraction))
        assert found.valid or found.score == 0
