"""Log parsers: literal logs of each runner, and that they never raise."""

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from turnwise.envs.swe.formats.parsers import PARSERS, parse, parser_name

RA = """============================= test session starts ==============================
collected 5 items

tests/test_a.py F.sxX                                                    [100%]
PASSED tests/test_a.py::test_one
SKIPPED [1] tests/test_a.py:7: not on this machine
XFAIL tests/test_a.py::test_later - known
XPASS tests/test_a.py::test_surprise
ERROR tests/test_b.py - ImportError: no
FAILED tests/test_a.py::test_two - assert 1 == 2
========================= 1 failed, 1 passed in 0.01s =========================="""

VERBOSE = """tests/test_a.py::test_one PASSED                                         [ 50%]
tests/test_a.py::test_two[a b] FAILED                                    [100%]
tests/test_a.py::test_three SKIPPED (why)"""

DJANGO = """test_one (app.tests.Case) ... ok
test_two (app.tests.Case) ... FAIL
test_three (app.tests.Case) ... ERROR
test_four (app.tests.Case) ... skipped 'no database'
test_five (app.tests.Case) ... System check identified no issues (0 silenced).
ok
FAIL: test_two (app.tests.Case)
Ran 5 tests in 0.004s"""

SYMPY = """sympy/core/tests/test_x.py[3]
test_one ok
test_two F
test_three E
________________ sympy/core/tests/test_x.py:test_two ________________
tests finished: 1 passed, 1 failed, 1 exceptions, in 0.10 seconds"""

R2E = """=== short test summary info ===
\x1b[32mPASSED\x1b[0m r2e_tests/test_1.py::Case::\x1b[1mtest_one\x1b[0m
FAILED r2e_tests/test_1.py::test_two - assert 1 == 2
ERROR r2e_tests/test_2.py
1 failed, 1 passed in 0.01s
=== short test summary info ===
PASSED r2e_tests/test_9.py::test_nine"""


def test_pytest_reads_summary_and_verbose_lines():
    assert parse("parse_log_pytest", RA) == {
        "tests/test_a.py::test_one": "PASSED",
        "tests/test_a.py::test_later": "XFAIL",
        "tests/test_b.py": "ERROR",
        "tests/test_a.py::test_two": "FAILED",
    }
    assert parse("parse_log_pytest", VERBOSE) == {"tests/test_a.py::test_one": "PASSED", "tests/test_a.py::test_three": "SKIPPED"}


def test_the_last_status_of_a_test_counts():
    assert parse("parse_log_pytest", "PASSED t.py::a\nFAILED t.py::a - x") == {"t.py::a": "FAILED"}


def test_options_cut_absolute_paths_in_parameters():
    log = "PASSED t.py::a[/usr/lib/x.pem]\nPASSED t.py::a[//host/x]\nPASSED t.py::a[/a/*.py]\nPASSED t.py::b"
    assert list(parse("parse_log_pytest_options", log)) == ["t.py::a[/x.pem]", "t.py::a[//host/x]", "t.py::a[/a/*.py]", "t.py::b"]


def test_v2_takes_colours_out_and_plain_does_not():
    log = "\x1b[32mPASSED\x1b[0m t.py::\x1b[1ma\x1b[0m"
    assert parse("parse_log_pytest_v2", log) == {"t.py::a": "PASSED"}
    assert parse("parse_log_pytest", log) == {}


def test_pydantic_takes_notes_out():
    assert parse("parse_log_pytest_pydantic", "FAILED [50%] t.py::a - x") == {"t.py::a": "FAILED"}


def test_matplotlib_writes_mouse_buttons_as_numbers():
    log = "PASSED t.py::a[MouseButton.LEFT]\nFAILED t.py::b[MouseButton.RIGHT] - x\nt.py::c PASSED"
    assert parse("parse_log_matplotlib", log) == {"t.py::a[1]": "PASSED", "t.py::b[3]": "FAILED"}


def test_seaborn_reads_failures_and_passes_only():
    log = "FAILED t.py::a - x\nt.py::b PASSED [ 1%]\nPASSED t.py::c\nERROR t.py::d"
    assert parse("parse_log_seaborn", log) == {"t.py::a": "FAILED", "t.py::b": "PASSED", "t.py::c": "PASSED"}


def test_django():
    assert parse("parse_log_django", DJANGO) == {
        "test_one (app.tests.Case)": "PASSED",
        "test_two (app.tests.Case)": "FAILED",
        "test_two": "FAILED",
        "test_three (app.tests.Case)": "ERROR",
        "test_four (app.tests.Case)": "SKIPPED",
        "test_five (app.tests.Case)": "PASSED",
    }


def test_sympy():
    assert parse("parse_log_sympy", SYMPY) == {
        "sympy/core/tests/test_x.py:test_two": "FAILED",
        "test_one": "PASSED",
        "test_two": "FAILED",
        "test_three": "ERROR",
    }


def test_smith_reads_the_id_first_only():
    assert parse("parse_log_smith", VERBOSE + "\nPASSED tests/test_a.py::test_nine") == {
        "tests/test_a.py::test_one": "PASSED",
        "tests/test_a.py::test_three": "SKIPPED",
    }


def test_the_projects_of_smith_with_parsers_of_their_own():
    assert parse("parse_log_autograd", "[gw0] PASSED t.py::a\nPASSED t.py::b") == {"t.py::a": "PASSED"}
    assert parse("parse_log_paramiko", "PASSED t.py::a\nt.py::b PASSED") == {"t.py::a": "PASSED"}
    assert parse("parse_log_tornado", "test_a (m.C) ... ok\nFAIL: test_b (m.C)") == {"test_a (m.C)": "PASSED", "test_b (m.C)": "FAILED"}
    assert parse("parse_log_python_slugify", "test_a (m.C) ... ok\ntest_b (m.C) ... ERROR") == {
        "test_a (m.C)": "PASSED",
        "test_b (m.C)": "ERROR",
    }
    assert parse("parse_log_mypy", "x PASSED t.test::a\n[gw0] FAILED t.test::b") == {"t.test::a": "PASSED", "t.test::b": "FAILED"}


def test_r2e_joins_what_follows_the_file_and_reads_the_first_summary_only():
    assert parse("parse_log_r2e", R2E) == {"Case.test_one": "PASSED", "test_two": "FAILED", "": "ERROR"}


def test_other_languages():
    assert parse("parse_log_gotest", "--- PASS: TestA (0.00s)\n    --- FAIL: TestB/x_(y) (0.10s)\n--- SKIP: C (0.0s)") == {
        "TestA": "PASSED",
        "TestB/x_(y)": "FAILED",
        "C": "SKIPPED",
    }
    assert parse("parse_log_cargo", "test a::b ... ok\ntest a::c ... FAILED\ntest d ... ignored") == {
        "a::b": "PASSED",
        "a::c": "FAILED",
        "d": "SKIPPED",
    }


def test_the_parser_of_a_row():
    assert parser_name("Django/Django") == "parse_log_django"
    assert parser_name("acme/widget", "parse_log_astropy") == "parse_log_pytest_v2"
    assert parser_name("acme/widget", "parse_log_xarray") == "parse_log_pytest"
    with pytest.raises(ValueError, match=r"acme/widget.*parse_log_pytest, parse_log_pytest_options"):
        parser_name("acme/widget")
    with pytest.raises(ValueError, match="Did you mean 'parse_log_django'"):
        parser_name("acme/widget", "parse_log_djang")


LINES = st.lists(
    st.one_of(
        st.text(max_size=40),
        st.sampled_from([*RA.split("\n"), *VERBOSE.split("\n"), *DJANGO.split("\n"), *SYMPY.split("\n"), *R2E.split("\n")]),
        st.builds(
            " ".join, st.lists(st.sampled_from(["PASSED", "FAILED", "...", "ok", "[1]", "::", "FAIL:", "test_", " - ", "\r"]), max_size=6)
        ),
    ),
    max_size=30,
)


@settings(max_examples=200, deadline=None)
@given(lines=LINES)
def test_parsers_never_raise_and_give_statuses(lines):
    for name in PARSERS:
        found = parse(name, "\n".join(lines))
        assert set(found.values()) <= {"PASSED", "FAILED", "ERROR", "SKIPPED", "XFAIL"}


@pytest.mark.parametrize("piece", ["FAILED [", "(", " ... ", "PASSED", "_ x.py:", "[1m", "--- PASS: a (", "a\t", "=", "\x1b[3"])
def test_long_lines_take_linear_time(piece):
    log = "--- PASS: " + piece * 100_000
    begun = time.process_time()
    for name in PARSERS:
        parse(name, log)
        parse(name, piece * 100_000)
    assert time.process_time() - begun < 10
