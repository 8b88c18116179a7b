import copy

import pytest
from hypothesis import given
from hypothesis import strategies as st
from turnwise.envs.gui.web.checks import Said, fits, holds, judge, matches

BEFORE = {
    "tables": {
        "issues": {"7": {"state": "open", "labels": ["bug"], "assignee": ""}, "8": {"state": "open", "labels": [], "assignee": "Ann"}},
        "comments": {},
        "cart": {"p1": {"quantity": 1}},
    },
    "seen": {"/list": {}},
}
CLOSED = {"kind": "row", "table": "issues", "key": "7", "where": {"state": "closed"}}
COMMENT = {"kind": "added", "table": "comments", "where": {"issue": "7", "text": {"text": "Fixed."}}}
CHECKS = {
    "goals": [
        {"name": "seen /issue/7", "weight": 0.5, "required": False, "any": [{"kind": "seen", "table": "", "routes": ["/issue/7"]}]},
        {"name": "closed", "weight": 1.0, "required": True, "any": [CLOSED]},
        {"name": "comment", "weight": 1.0, "required": True, "any": [COMMENT]},
    ],
    "allowed": [],
    "answer": None,
    "infeasible": False,
}
DONE = Said(message="Done.")


def changed(**edits):
    """``BEFORE`` with rows replaced: changed(issues={"7": {...}}, comments={"c1": {...}}); None removes a row."""
    after = copy.deepcopy(BEFORE)
    for table, rows in edits.items():
        for key, row in rows.items():
            if row is None:
                del after["tables"][table][key]
            else:
                after["tables"][table].setdefault(key, {}).update(row)
    return after


FINISHED = changed(issues={"7": {"state": "closed"}}, comments={"c1": {"issue": "7", "text": "fixed", "author": "Ann"}})


def test_progress_is_the_weighted_share_of_goals():
    assert judge(CHECKS, BEFORE, BEFORE, Said()).progress == 0.0
    seen = {**BEFORE, "seen": {"/list": {}, "/issue/7": {}}}
    assert judge(CHECKS, BEFORE, seen, Said()).progress == pytest.approx(0.5 / 2.5)
    assert judge(CHECKS, BEFORE, changed(issues={"7": {"state": "closed"}}), Said()).progress == pytest.approx(1.0 / 2.5)
    assert judge(CHECKS, BEFORE, {**FINISHED, "seen": seen["seen"]}, Said()).progress == 1.0


def test_success_needs_the_rows_the_right_end_and_nothing_else():
    assert judge(CHECKS, BEFORE, FINISHED, DONE).success  # the page seen is no requirement
    assert not judge(CHECKS, BEFORE, FINISHED, Said()).success
    assert not judge(CHECKS, BEFORE, FINISHED, Said(infeasible=True)).success
    verdict = judge(CHECKS, BEFORE, changed(issues={"7": {"state": "closed"}}), DONE)
    assert (verdict.success, verdict.missing, verdict.note) == (False, ("comment",), "not done: comment")


@pytest.mark.parametrize(
    ("edits", "told"),
    [
        ({"issues": {"8": {"state": "closed"}}}, "issues 8 was updated in state"),
        ({"issues": {"7": {"state": "closed", "assignee": "Bob"}}}, "issues 7 was updated in assignee, state"),
        ({"comments": {"c2": {"issue": "8", "text": "Fixed."}}}, "comments c2 was added"),
        ({"cart": {"p1": None}}, "cart p1 was removed"),
        ({"cart": {"p2": {"quantity": 1}}}, "cart p2 was added"),
        ({"subscriptions": {"newsletter": {"email": "a@b"}}}, "subscriptions newsletter was added"),
    ],
)
def test_what_is_changed_without_need_spoils_the_task(edits, told):
    after = copy.deepcopy(FINISHED)
    for table, rows in edits.items():
        here = after["tables"].setdefault(table, {})
        for key, row in rows.items():
            if row is None:
                del here[key]
            else:
                here[key] = {**here.get(key, {}), **row}
    verdict = judge(CHECKS, BEFORE, after, DONE)
    assert not verdict.success
    assert verdict.missing == ()
    assert told in verdict.note


def test_a_second_row_of_the_same_kind_is_one_too_many():
    twice = copy.deepcopy(FINISHED)
    twice["tables"]["comments"]["c2"] = {"issue": "7", "text": "Fixed.", "author": "Ann"}
    assert judge(CHECKS, BEFORE, twice, DONE).missing == ("comment",)


def test_allowed_changes_without_a_key_bind_the_value():
    read = {"kind": "row", "table": "issues", "key": None, "where": {"state": "closed"}}
    checks = {**CHECKS, "goals": [], "allowed": [read]}
    assert judge(checks, BEFORE, changed(issues={"8": {"state": "closed"}}), DONE).success
    assert not judge(checks, BEFORE, changed(issues={"8": {"state": "odd"}}), DONE).success
    assert not judge(checks, BEFORE, changed(issues={"8": {"state": "closed", "assignee": "Bob"}}), DONE).success


def test_columns_of_several_goals_on_one_row_may_change_together():
    assigned = {"kind": "row", "table": "issues", "key": "7", "where": {"assignee": "Ann"}}
    goals = [{"name": "a", "any": [CLOSED]}, {"name": "b", "any": [assigned]}]
    after = changed(issues={"7": {"state": "closed", "assignee": "Ann"}})
    assert judge({"goals": goals, "answer": None, "infeasible": False}, BEFORE, after, DONE).success


def test_an_answer_counts_as_a_goal_and_decides():
    checks = {**CHECKS, "goals": CHECKS["goals"][:1], "answer": {"mentions": ["84.20"], "never": ["80.00"]}}
    seen = {**BEFORE, "seen": {"/issue/7": {}}}
    assert judge(checks, BEFORE, seen, Said()).progress == pytest.approx(0.5 / 1.5)
    right = judge(checks, BEFORE, seen, Said(message="You paid $84.2."))
    assert (right.success, right.progress) == (True, 1.0)
    wrong = judge(checks, BEFORE, seen, Said(message="You paid 84.20 or 80."))
    assert (wrong.success, wrong.answered, wrong.note) == (False, False, "the answer is wrong or missing")


def test_what_cannot_be_done_must_be_looked_at_reported_and_left_alone():
    look = {"name": "seen", "weight": 0.5, "required": True, "any": [{"kind": "seen", "table": "", "routes": ["/a", "/b"]}]}
    checks = {"goals": [look], "answer": None, "infeasible": True}
    seen = {**BEFORE, "seen": {"/b": {}}}
    gave_up = Said(infeasible=True)
    assert judge(checks, BEFORE, seen, gave_up).success
    assert judge(checks, BEFORE, seen, gave_up).progress == 1.0
    assert not judge(checks, BEFORE, BEFORE, gave_up).success
    assert not judge(checks, BEFORE, seen, DONE).success
    assert not judge(checks, BEFORE, {**FINISHED, "seen": {"/b": {}}}, gave_up).success


def test_removed_and_unknown_conditions():
    gone = {"kind": "removed", "table": "cart", "key": "p1"}
    assert holds(gone, BEFORE, changed(cart={"p1": None}))
    assert not holds(gone, BEFORE, BEFORE)
    assert not holds({**gone, "key": "p9"}, BEFORE, BEFORE)
    with pytest.raises(ValueError, match="no condition 'touched'; allowed: row, added, removed, seen"):
        holds({"kind": "touched", "table": "cart"}, BEFORE, BEFORE)


@pytest.mark.parametrize(
    ("value", "wanted", "fit"),
    [
        (3, 3, True),
        (3, 3.0, False),
        (1, True, False),
        (["a", "b"], ["b", "a"], False),
        (["a", "b"], {"same": ["b", "a"]}, True),
        (["a", "a"], {"same": ["a"]}, False),
        ([{"x": 1, "y": 2}], {"same": [{"y": 2, "x": 1}]}, True),
        ("a", {"same": ["a"]}, False),
        (" Thank  you\n", {"text": "thank you."}, True),
        ("Thank you all", {"text": "Thank you"}, False),
        (None, {"text": ""}, False),
        ("room 214, on 2026-07-04", {"mentions": ["214", "2026-07-04"]}, True),
        ("room 2140", {"mentions": ["214"]}, False),
        ("It is $1,084.20.", {"mentions": ["1084.2"]}, True),
        ("It is 1,08.", {"mentions": ["108"]}, False),
        ("Anna", {"mentions": ["Ann"]}, False),
        ("ann!", {"mentions": ["Ann"]}, True),
        ("Ann or Bob", {"mentions": ["Ann"], "never": ["Bob"]}, False),
        ("Ann " + "x" * 400, {"mentions": ["Ann"]}, False),
        (7, {"mentions": ["7"]}, False),
        ("", {"mentions": [""]}, False),
    ],
)
def test_values(value, wanted, fit):
    assert matches(value, wanted) is fit


def test_a_missing_column_never_fits():
    assert not fits({"a": 1}, {"b": None})


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(), lambda x: st.lists(x) | st.dictionaries(st.text(), x), max_leaves=5
)
ROWS = st.dictionaries(st.sampled_from("abc"), st.dictionaries(st.sampled_from("xyz"), JSON, min_size=1), max_size=3)
STATES = st.fixed_dictionaries({"tables": st.dictionaries(st.sampled_from(["t", "u"]), ROWS), "seen": st.just({})})


@given(STATES, STATES)
def test_without_goals_only_an_unchanged_state_passes(before, after):
    nothing = {"goals": [], "answer": None, "infeasible": False}
    rows = [{k: v for k, v in state["tables"].items() if v} for state in (before, after)]
    assert judge(nothing, before, after, DONE).success == (rows[0] == rows[1])


@given(STATES, STATES, st.text(), st.booleans())
def test_any_state_and_any_words_are_judged(before, after, text, infeasible):
    wanted = {"kind": "row", "table": "t", "key": "a", "where": {"x": {"mentions": ["1"]}}}
    checks = {"goals": [{"name": "g", "any": [wanted]}], "answer": {"mentions": ["1"], "never": ["2"]}, "infeasible": False}
    verdict = judge(checks, before, after, Said(message=text, infeasible=infeasible))
    assert 0.0 <= verdict.progress <= 1.0
    assert not verdict.success or not verdict.note


@given(st.integers(0, 10**9), st.integers(0, 99))
def test_amounts_are_numbers(whole, cents):
    amount = f"{whole}.{cents:02}"
    assert matches(f"The total was {whole:,}.{cents:02}.", {"mentions": [amount]})
    assert not matches(f"The total was {whole + 1}.{cents:02}.", {"mentions": [amount]})
