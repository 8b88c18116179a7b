import math
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from turnwise.records import Message, Outcome, StopReason, Task, Trajectory, Turn
from turnwise.rewards import swe
from turnwise.rewards.rubric import Rubric
from turnwise.rewards.swe import (
    Verpo,
    acecode,
    difficulty_weights,
    edit_parses,
    edited_functions,
    fixed_share,
    functions_at,
    localisation,
    newly_located,
    parses,
    speed,
    stage,
    verpo,
)

PASSES = [[True, True, False], [True, False, False], [True, True, True], [True, False, False]]
NAMES = st.sampled_from("abcdef")
RUNS = st.dictionaries(NAMES, st.booleans(), max_size=6)


# ---- VeRPO ---------------------------------------------------------------------------------------------------------------------------


def test_verpo_golden():
    # rewards.md 3.2: rho = 1, 0.5, 0.25
    assert difficulty_weights([1.0, 0.5, 0.25]) == pytest.approx([0.0, 0.4, 0.6])
    assert verpo(PASSES) == pytest.approx([0.4, 0.0, 1.0, 0.0])
    assert difficulty_weights([1.0, 0.5, 0.25], "exponential") == pytest.approx([0.121952, 0.331499, 0.546549], abs=1e-6)
    assert verpo(PASSES, "exponential")[0] == pytest.approx(0.453451, abs=1e-6)
    assert verpo(PASSES, "uniform") == pytest.approx([2 / 3, 1 / 3, 1.0, 1 / 3])
    assert verpo(PASSES, lambda rho: (1 - rho) ** 2) == pytest.approx([4 / 13, 0.0, 1.0, 0.0])
    assert verpo(PASSES, bonus=0.5) == pytest.approx([0.4, 0.0, 1.5, 0.0])
    # all tests pass everywhere: 1/m each
    assert verpo([[True, True], [True, True]]) == [1.0, 1.0]
    assert verpo([[], []]) == [0.0, 0.0]
    assert verpo([]) == []


def test_verpo_refuses_what_is_no_rate_or_weight():
    for call, message in (
        (lambda: difficulty_weights([1.2]), "share in 0..1"),
        (lambda: difficulty_weights([0.5], "hard"), "allowed: linear, exponential, uniform"),
        (lambda: difficulty_weights([0.5], lambda rho: -rho), "not negative"),
        (lambda: verpo([[True], [True, False]]), r"have \[1, 2\] tests"),
        (lambda: Verpo("hard"), "allowed: linear"),
    ):
        with pytest.raises(ValueError, match=message):
            call()


@given(
    st.integers(1, 5).flatmap(lambda m: st.lists(st.lists(st.booleans(), min_size=m, max_size=m), min_size=1, max_size=6)),
    st.sampled_from(["linear", "exponential", "uniform"]),
)
def test_verpo_is_a_share_and_more_tests_are_never_worth_less(passes, difficulty):
    values = verpo(passes, difficulty)
    assert all(-1e-9 <= v <= 1 + 1e-9 for v in values)
    assert sum(difficulty_weights([sum(c) / len(passes) for c in zip(*passes, strict=True)], difficulty)) == pytest.approx(1.0)
    for row, value in zip(passes, values, strict=True):
        for other, less in zip(passes, values, strict=True):
            if all(a or not b for a, b in zip(row, other, strict=True)):
                assert value >= less - 1e-9


def episode(*states, task="t", score=0.0, valid=True):
    """An episode whose turns measured these tests: "ab" passed of a and b, None for no measure."""
    turns = []
    for index, state in enumerate(states):
        measures = {"seconds": 2.0} if state is None else {f"test:{n}": float(n in state) for n in "abc"}
        turns.append(Turn(index=index, observation=(), action=Message(role="assistant", content="x"), measures=measures))
    outcome = Outcome(score=score) if valid else Outcome.void("x")
    stop = StopReason.SUCCESS if valid else StopReason.ENV_FAULT
    made = Task(id=task, env_id="x", split="train", data={"name": task})
    return Trajectory(task=made, turns=tuple(turns), outcome=outcome, stop=stop)


def test_verpo_as_a_reward_function_compares_the_episodes_of_a_task():
    # the last measured states are the golden's; the second task has weights of its own
    group = [episode("a", None, "ab"), episode("a"), episode("ab", "abc"), episode("a", None)]
    other = [episode("a", task="u"), episode("", task="u")]
    values = Verpo(bonus=0.5)([*group[:2], *other, *group[2:]])
    assert [list(v.turns) for v in values[:2]] == [[0.0, pytest.approx(math.nan, nan_ok=True), pytest.approx(0.4)], [0.0]]
    assert list(values[4].turns) == pytest.approx([0.4, 0.6])
    assert list(values[5].turns) == [0.0, pytest.approx(math.nan, nan_ok=True)]
    assert values[4].outcome == 0.5
    assert math.isnan(values[0].outcome)
    # of task u: rho = 0.5, 0, 0, so w = 0.2, 0.4, 0.4
    assert list(values[2].turns) == pytest.approx([0.2])
    whole = Verpo(gains=False)([*group])
    assert list(whole[2].turns) == pytest.approx([0.4, 1.0])
    started = Verpo(start=0.3)([*group])
    assert list(started[2].turns) == pytest.approx([0.1, 0.6])


def test_verpo_through_a_rubric_leaves_unmeasured_and_void_episodes_alone():
    scored = Rubric([(Verpo(), 0.5)])([episode(None), episode("", "abc"), episode("abc", valid=False)])
    assert [s.counts for s in scored] == [{"verpo": 0}, {"verpo": 2}, {"verpo": 0}]
    assert [dict(e) for e in scored[1].added] == [{"verpo": 0.0}, {"verpo": pytest.approx(0.5)}]
    assert scored[2].apply().turns[0].reward is None


def test_testing_again_earns_nothing():
    (value,) = Verpo()([episode("a", "a", "", "a", "abc")])
    assert sum(value.turns) == pytest.approx(1.0)
    assert value.turns[1] == 0.0


# ---- tests repaired ------------------------------------------------------------------------------------------------------------------


def test_fixed_share_by_hand():
    before = {"a": False, "b": False, "c": True, "d": True}
    assert fixed_share(before, {"a": True, "b": False, "c": True, "d": True}) == 0.5
    assert fixed_share(before, {"a": True, "b": True, "c": False, "d": True}) == 0.5
    assert fixed_share(before, {}) == -1.0
    assert fixed_share(before, {**before, "e": True}) == 0.0
    assert fixed_share({"c": True}, {"c": True}) == 0.0
    assert fixed_share(before, dict.fromkeys(before, True), of=4) == 0.5


@given(st.lists(st.lists(st.booleans(), min_size=4, max_size=4), min_size=2, max_size=6))
def test_with_a_fixed_denominator_only_the_first_and_the_last_run_count(runs):
    states = [dict(zip("abcd", run, strict=True)) for run in runs]
    total = sum(fixed_share(a, b, of=4) for a, b in pairwise(states))
    assert total == pytest.approx(fixed_share(states[0], states[-1], of=4))


@given(RUNS, RUNS)
def test_fixed_share_is_at_most_one(before, after):
    assert -len(before) <= fixed_share(before, after) <= 1


# ---- places --------------------------------------------------------------------------------------------------------------------------


def test_places_by_hand():
    assert newly_located(["a", "b"], [], ["a", "c"]) == 0.5
    assert newly_located(["a", "b"], ["a"], ["a", "c"]) == 0.0
    assert newly_located([], [], []) == 0.0
    assert localisation(["a"], ["a"]) == 1.0
    assert localisation(["a", "b", "c"], ["a"]) == 0.5
    assert localisation([], ["a"]) == 0.0
    assert localisation(["b"], []) == 0.0


@given(st.lists(st.sets(NAMES), max_size=6), st.sets(NAMES, min_size=1))
def test_finding_places_sums_to_at_most_one(turns, gold):
    seen, total = set(), 0.0
    for found in turns:
        total += newly_located(found, seen, gold)
        seen |= found
    assert total == pytest.approx(len(seen & gold) / len(gold))


SOURCE = """import os

x = 1


class A:
    y = 2

    @property
    def f(self):
        def inner():
            return 1
        return inner()


if x:
    def g():
        return 2
"""


def test_functions_of_lines():
    assert functions_at(SOURCE, 1, 3) == {""}
    assert functions_at(SOURCE, 7, 7) == {"A"}
    assert functions_at(SOURCE, 9, 9) == {"A.f"}
    assert functions_at(SOURCE, 12, 13) == {"A.f.inner", "A.f"}
    assert functions_at(SOURCE, 18, 18) == {"g"}
    assert functions_at("def (", 1, 1) == {""}
    assert edited_functions(SOURCE, SOURCE.replace("return 2", "return 3")) == {"g"}
    assert edited_functions(SOURCE, SOURCE.replace("x = 1\n", "")) == {""}
    assert edited_functions(SOURCE, SOURCE + "\n\ndef h():\n    return 4\n") == {"", "h"}
    assert edited_functions(SOURCE, SOURCE) == set()


@given(st.text(max_size=60), st.text(max_size=60))
def test_any_text_has_places(before, after):
    assert (edited_functions(before, after) == set()) == (before.splitlines() == after.splitlines())


# ---- care, speed, stages -------------------------------------------------------------------------------------------------------------


def test_edits_that_parse():
    assert [parses(t) for t in ("x = 1\n", "x = \n", "", "\0", "(" * 5000, 'x = "\\d"\n')] == [True, False, True, False, False, True]
    assert edit_parses({"a.py": "x = 1\n", "b.txt": "((("}) == 1.0
    assert edit_parses({"a.py": "x = 1\n", "b.py": "((("}) == 0.0
    assert edit_parses({"a.py": None}) == 1.0
    assert edit_parses({}) == 0.0


@given(st.text())
def test_parsing_is_total(text):
    assert parses(text) in (True, False)


def test_tested_before_submit_by_hand():
    for steps, value in (
        ("edit test submit", 1.0),
        ("test edit submit", 0.0),
        ("edit test edit submit", 0.0),
        ("edit test view submit", 1.0),
        ("edit test", 0.0),
        ("test submit", 0.0),
        ("edit submit test", 0.0),
        ("", 0.0),
    ):
        assert swe.tested_before_submit(steps.split()) == value, steps


def test_acecode_golden():
    # rewards.md 3.7
    assert acecode(4, 4, seconds=2.0, reference_seconds=1.0) == 0.75
    assert acecode(3, 4) == pytest.approx(-0.075)
    assert acecode(0, 4, compiles=False) == -1.0
    assert acecode(0, 4) == -0.3
    assert acecode(4, 4, seconds=0.5, reference_seconds=1.0) == 1.0
    assert speed(0.0, 0.0) == 1.0
    assert speed(3.0, 0.0) == 0.0
    for passed, total, seconds in ((5, 4, 1.0), (0, 0, 1.0), (4, 4, -1.0)):
        with pytest.raises(ValueError, match=r"tests passed|not negative"):
            acecode(passed, total, seconds, 1.0)


@given(st.integers(1, 9), st.floats(0, 1e6), st.floats(0, 1e6))
def test_acecode_levels_are_in_order(total, seconds, reference):
    levels = [acecode(n, total, seconds, reference) for n in range(total + 1)]
    assert levels == sorted(levels)
    assert -1.0 < levels[0] < 0 < 0.5 <= levels[-1] <= 1.0


def test_stages_of_gated_accumulation():
    assert stage(submitted=False, changed=True, passed=True) == -1.0
    assert stage(submitted=True, changed=False, passed=False) == 0.0
    assert stage(submitted=True, changed=True, passed=False) == 0.25
    assert stage(submitted=True, changed=True, passed=True) == 1.0
    with pytest.raises(ValueError, match="4 stages"):
        stage(submitted=True, changed=True, passed=True, values=(0.0, 1.0))
