import pytest
from hypothesis import given
from hypothesis import strategies as st
from turnwise.rewards.state import Allowed, Required, RowChange, judge_state, row_changes

BEFORE = {"orders": {"W1": {"status": "open", "by": "a"}, "W2": {"status": "open", "by": "b"}}, "notes": {"n": {"text": "x"}}}
SENT = {"orders": {**BEFORE["orders"], "W1": {"status": "sent", "by": "a"}}, "notes": BEFORE["notes"]}
WANT = {"required": [Required("orders", {"status": "sent"})], "allowed": [Allowed("orders", key="W1", columns=("status",))]}


def test_what_was_wanted_and_nothing_else():
    verdict = judge_state(BEFORE, SENT, **WANT)
    assert (verdict.score, verdict.changes) == (1.0, (RowChange("orders", "updated", "W1", ("status",)),))
    assert judge_state(BEFORE, BEFORE, **WANT).missing == ("orders has 0 rows with {'status': 'sent'}, not 1",)
    assert judge_state(BEFORE, BEFORE).score == 1.0


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"orders": {"W1": {"status": "sent", "by": "z"}, "W2": BEFORE["orders"]["W2"]}}, "orders W1 was updated in by, status"),
        ({"orders": {"W1": SENT["orders"]["W1"], "W2": {"status": "open", "by": "z"}}}, "orders W2 was updated in by"),
        ({"orders": {"W1": SENT["orders"]["W1"]}}, "orders W2 was removed"),
        ({"notes": {"n": {"text": "x"}, "m": {"text": "y"}}}, "notes m was added"),
        ({"notes": {"n": {"text": "x", "tag": None}}}, "notes n was updated in tag"),
        ({"extra": {"e": {}}}, "extra e was added"),
    ],
)
def test_collateral_damage_fails(change, told):
    verdict = judge_state(BEFORE, {**SENT, **change}, **WANT)
    assert (verdict.score, [str(c) for c in verdict.collateral]) == (0.0, [told])


def test_two_rows_where_one_was_wanted_fail_even_if_allowed():
    after = {**SENT, "orders": {key: {**row, "status": "sent"} for key, row in BEFORE["orders"].items()}}
    verdict = judge_state(BEFORE, after, required=WANT["required"], allowed=[Allowed("orders")])
    assert (verdict.missing, verdict.collateral, verdict.score) == (("orders has 2 rows with {'status': 'sent'}, not 1",), (), 0.0)


def test_kinds_of_changes_can_be_allowed_alone():
    after = {"orders": BEFORE["orders"], "notes": {"m": {"text": "y"}}}
    assert [c.kind for c in judge_state(BEFORE, after, allowed=[Allowed("notes", kinds=("added",))]).collateral] == ["removed"]
    assert judge_state(BEFORE, after, allowed=[Allowed("notes", kinds=("added", "removed"))]).score == 1.0


STATES = st.dictionaries(
    st.sampled_from("ab"), st.dictionaries(st.sampled_from("xy"), st.dictionaries(st.sampled_from("pq"), st.integers(0, 1)))
)


@given(STATES, STATES)
def test_no_change_is_found_exactly_between_equal_states(a, b):
    def full(state):
        return {table: rows for table, rows in state.items() if rows}

    assert (row_changes(a, b) == []) == (full(a) == full(b))
    assert judge_state(a, b, allowed=[Allowed("a"), Allowed("b")]).score == 1.0
