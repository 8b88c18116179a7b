import contextlib
from collections import Counter
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from turnwise.envs.service.world import TRANSFERS, ServiceWorld, calculate, expected_changes
from turnwise.envs.tools.database import Database
from turnwise.envs.tools.tool import ToolError

SCHEMA = "CREATE TABLE t (id TEXT PRIMARY KEY, n INTEGER); INSERT INTO t VALUES ('a', 1), ('b', 2), ('c', 2);" + TRANSFERS


def test_edits_are_stated_as_rows_and_taken_back():
    db = Database(SCHEMA)
    edits = [
        {"table": "t", "where": {"id": "a"}, "add": {"n": 4}},
        {"table": "t", "where": {"id": "a"}, "set": {"n": 9}},
        {"table": "t", "delete": {"n": 2}},
        {"table": "t", "insert": {"id": "d", "n": 0}},
        {"table": "t", "where": {"id": "d"}, "add": {"n": 7}},
    ]
    before = db.rows()
    assert expected_changes(db, edits) == Counter(
        [("t", "-", ("a", 1)), ("t", "+", ("a", 9)), ("t", "-", ("b", 2)), ("t", "-", ("c", 2)), ("t", "+", ("d", 7))]
    )
    assert db.rows() == before
    undone = [{"table": "t", "where": {"id": "a"}, "set": {"n": 5}}, {"table": "t", "where": {"id": "a"}, "set": {"n": 1}}]
    assert expected_changes(db, undone) == Counter()
    for nothing in ({"table": "t", "delete": {"id": "z"}}, {"table": "t", "where": {"id": "z"}, "set": {"n": 1}}):
        with pytest.raises(ValueError, match="touches no row of t; the task contradicts its world"):
            expected_changes(db, [nothing])
    assert db.rows() == before


def test_guards_note_what_breaks_the_policy():
    world = ServiceWorld(Database(SCHEMA))
    world.private("a")
    world.consent()
    assert world.violations == {"not identified", "no consent"}
    world.violations.clear()
    world.identified("a")
    world.agreed = True
    world.private("a")
    world.consent()
    assert world.violations == set()
    world.private("b")
    world.identified("b")
    assert world.violations == {"other customer", "second customer"}
    again = ServiceWorld(Database(SCHEMA))
    again.resume(world.state())
    assert (again.customer, again.agreed, again.violations) == ("b", True, world.violations)


def test_a_transfer_is_a_row_and_needs_a_customer():
    world = ServiceWorld(Database(SCHEMA))
    world.transfer_to_human("O1", "other")
    assert world.transferred
    assert world.violations == {"not identified"}
    assert world.db.rows()["transfers"] == Counter([("O1", "other")])


def test_arithmetic():
    for expression, value in (("2 * (3.50 + 1)", "9"), ("-1/4", "-0.25"), ("0.1+0.2", "0.3"), ("100", "100"), ("7-7.0", "0")):
        assert calculate(expression) == value
    for wrong in ("", "1/0", "2**9", "__import__('os')", "x", "9" * 300, "(" * 150, "1e999*1e999", "True"):
        with pytest.raises(ToolError):
            calculate(wrong)


@given(st.integers(-999, 999), st.integers(-999, 999), st.integers(1, 99))
def test_arithmetic_agrees_with_decimal(a, b, c):
    assert Decimal(calculate(f"({a} + {b}) * {c} / 8")) == Decimal(a + b) * c / 8


@given(st.text(max_size=60))
def test_any_expression_is_a_value_or_an_error_for_the_agent(text):
    with contextlib.suppress(ToolError):
        Decimal(calculate(text))
