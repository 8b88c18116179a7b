import math
from itertools import combinations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from turnwise.records import Message, Outcome, StopReason, Task, ToolCall, Trajectory, Turn
from turnwise.rewards.gui_progress import (
    Progrm,
    action_key,
    change,
    mean_similarities,
    progress_labels,
    progress_rewards,
    recipe,
    recipes,
    sequence_novelty,
)
from turnwise.rewards.rubric import Rubric

WORDS = st.text(alphabet="ABC", max_size=7)


def within(part, whole):
    rest = iter(whole)
    return all(x in rest for x in part)


def longest(a, b):
    return max(n for n in range(len(a) + 1) if any(within(c, b) for c in combinations(a, n)))


# ---- ProgRM ----------------------------------------------------------------------------------------------------------------------------


def test_progress_golden():
    # rewards.md 1.4
    labels = progress_labels("ABCDEH", ["ACEG"])
    assert labels == [0.0, 0.25, 0.25, 0.5, 0.5, 0.75, 0.75]
    assert progress_rewards(labels) == [0.25, 0.0, 0.25, 0.0, 0.25, 0.0]
    assert sum(progress_rewards(labels)) == 0.75


def test_recipes_by_hand():
    assert recipe(["ABXCD", "AYBCZD"]) == tuple("ABCD")
    assert recipe(["ABCD", "XABC", "AXC"]) == tuple("AC")
    assert recipe(["AB", "CD"]) == ()
    assert recipe(["AAB"]) == tuple("AAB")
    assert recipe([]) == ()
    assert recipe([["A", None, "B"], ["A", "B"]]) == ("A", "B")
    # two ways, of which one fold would leave nothing
    assert recipes(["ABCD", "AXBCD", "WXYZ", "WXQYZ"]) == [tuple("ABCD"), tuple("WXYZ")]
    # 1 of 4 is shared: a quarter of the founder
    assert recipes(["ABCD", "AXYZ"]) == [tuple("ABCD"), tuple("AXYZ")]
    assert recipes(["ABCD", "AXYZ"], kept=0.25) == [("A",)]
    assert recipes(["", [None]]) == []
    assert recipes([]) == []


def test_a_recipe_never_falls_below_the_kept_share_of_its_founder():
    # ABCD -> AB after the second; the third would leave A, a quarter of ABCD
    assert recipes(["ABCD", "ABXY", "AQRS"]) == [("A", "B"), tuple("AQRS")]


@given(WORDS, WORDS)
def test_the_fold_of_two_is_a_longest_common_subsequence(a, b):
    shared = recipe([a, b])
    assert within(shared, a)
    assert within(shared, b)
    assert len(shared) == longest(a, b)


@given(st.lists(WORDS, min_size=1, max_size=5), st.floats(0, 1))
def test_recipes_are_common_to_their_members(words, kept):
    assert all(within(recipe(words), w) for w in words)
    ways = recipes(words, kept=kept)
    assert all(way for way in ways)
    # every success follows some recipe to its end, so that its turns sum to 1
    for word in filter(None, words):
        assert progress_labels(word, ways, success=True)[-1] == 1.0


def test_labels_by_hand():
    # the second recipe is matched to 2 of 3, the first to 1 of 4
    assert progress_labels("XAY", ["ABCD", "XYZ"]) == pytest.approx([0.0, 1 / 3, 1 / 3, 2 / 3])
    # equal shares: the longer one, whatever comes first
    assert progress_labels("AXB", ["AC", "ABCD"]) == [0.0, 0.25, 0.25, 0.5]
    # out of order: only one of the two counts
    assert progress_labels("BA", ["AB"]) == [0.0, 0.5, 0.5]
    assert progress_labels([None, "A", None], [["A", "B"]]) == [0.0, 0.0, 0.5, 0.5]
    assert progress_labels("", ["AB"]) == [0.0]


def test_without_a_recipe_only_success_is_progress():
    assert progress_labels("AB", [], success=True) == [0.0, 0.0, 1.0]
    assert progress_labels("AB", ["", [None]], success=True) == [0.0, 0.0, 1.0]
    assert progress_labels("AB", []) == [0.0, 0.0, 0.0]
    assert progress_labels("", [], success=True) == [0.0]


@given(WORDS, st.lists(WORDS, max_size=3), st.booleans())
def test_labels_never_fall_and_rewards_telescope(actions, ways, success):
    labels = progress_labels(actions, ways, success=success)
    rewards = progress_rewards(labels)
    assert len(labels) == len(actions) + 1
    assert all(0.0 <= p <= 1.0 for p in labels)
    assert all(r >= 0.0 for r in rewards)
    assert sum(rewards) == pytest.approx(labels[-1])
    full = [way for way in ways if way]
    if full:
        assert labels[-1] == pytest.approx(max(longest(actions, way) / len(way) for way in full))


def test_progress_names_faults():
    for call, message in (
        (lambda: progress_rewards([]), "progress labels are"),
        (lambda: progress_rewards([0.0, math.nan]), "progress labels are"),
        (lambda: recipes(["A"], kept=1.5), "kept is 1.5"),
        (lambda: recipes(["A"], kept=math.nan), "kept is nan"),
        (lambda: Progrm(kept=-1.0), "kept is -1"),
    ):
        with pytest.raises(ValueError, match=message):
            call()
    assert progress_rewards([0.0, 0.6, 0.4]) == pytest.approx([0.6, -0.2])  # a learned progress may fall


def episode(actions, *, task="t", success=False, valid=True):
    """An episode that did these actions, a letter a turn; a small letter is an invalid action."""
    turns = tuple(
        Turn(index=i, observation=(), action=Message(role="assistant", content=f" {a}\n"), action_valid=a.isupper())
        for i, a in enumerate(actions)
    )
    outcome = Outcome(score=float(success)) if valid else Outcome.void("x")
    stop = StopReason.ENV_FAULT if not valid else StopReason.SUCCESS if success else StopReason.FAILURE
    made = Task(id=task, env_id="x", split="train", data={"name": task})
    return Trajectory(task=made, turns=turns, outcome=outcome, stop=stop)


def test_progrm_compares_the_episodes_of_a_task():
    group = [episode("ABCD", success=True), episode("ACxB"), episode("ABXCD", success=True), episode("")]
    other = [episode("ZAB", task="u", success=True), episode("ABZ", task="u")]
    values = Progrm()([*group[:2], *other, *group[2:]])
    assert [list(v.turns) for v in values] == [
        [0.25, 0.25, 0.25, 0.25],
        [0.25, 0.25, 0.0, 0.0],
        pytest.approx([1 / 3, 1 / 3, 1 / 3]),
        pytest.approx([1 / 3, 1 / 3, 0.0]),
        [0.25, 0.25, 0.0, 0.25, 0.25],
        [],
    ]
    assert all(math.isnan(v.outcome) for v in values)


def test_progrm_without_a_success_scores_nothing_unless_there_is_a_demonstration():
    lost = [episode("AB"), episode("BA")]
    assert all(math.isnan(r) for v in Progrm()(lost) for r in v.turns)
    shown = Progrm(demonstrations={"t": ["ABCD"]})(lost)
    assert [list(v.turns) for v in shown] == [[0.25, 0.25], [0.25, 0.0]]
    assert Progrm()([]) == []


def test_a_success_without_a_counted_action_is_rewarded_at_its_end():
    (value,) = Progrm()([episode("xy", success=True)])
    assert list(value.turns) == [0.0, 1.0]


def test_progrm_takes_the_callers_key():
    kinds = Progrm(lambda turn: turn.action.text.strip() in "AEIOU", name="vowels")
    (won, lost) = kinds([episode("AB", success=True), episode("EX")])
    assert kinds.name == "vowels"
    assert (list(won.turns), list(lost.turns)) == ([0.5, 0.5], [0.5, 0.5])


def test_progrm_through_a_rubric():
    scored = Rubric([(Progrm(), 2.0)])([episode("AB", success=True), episode("A"), episode("AB", valid=False)])
    assert [dict(e) for s in scored for e in s.added] == [{"progrm": 1.0}, {"progrm": 1.0}, {"progrm": 1.0}, {}, {}]
    assert [s.counts for s in scored] == [{"progrm": 2}, {"progrm": 1}, {"progrm": 0}]


def test_the_key_of_a_turn():
    calls = (ToolCall(id="1", name="click", arguments='{"bid": "a"}'), ToolCall(id="2", name="noop"))
    native = Turn(index=0, observation=(), action=Message(role="assistant", content="so", tool_calls=calls))
    assert action_key(native) == (("click", '{"bid": "a"}'), ("noop", "{}"))
    assert [action_key(t) for t in episode("Ax").turns] == ["A", None]
    assert action_key(Turn(index=0, observation=(), action=Message(role="assistant", content=" \n"))) is None


# ---- ScreenExplorer --------------------------------------------------------------------------------------------------------------------


def test_screen_explorer_golden():
    # rewards.md 1.11
    similarity = [[1, 0.9, 0.5], [0.9, 1, 0.6], [0.5, 0.6, 1]]
    assert mean_similarities(similarity) == pytest.approx([0.70, 0.55])
    assert [1 - s for s in mean_similarities(similarity)] == pytest.approx([0.30, 0.45])


def test_change_and_novelty_by_hand():
    assert change([1, 0], [1, 1]) == pytest.approx(1 - math.sqrt(0.5))
    assert change([[1, 2], [3, 4]], [[1, 2], [3, 4]]) == 0.0
    assert change([1, 2], [-1, -2]) == pytest.approx(2.0)
    assert change([0, 0], [0, 0]) == 0.0
    assert change([0, 0], [0, 3]) == 1.0
    assert change([1e300, 0], [1e-300, 1e-300]) == pytest.approx(1 - math.sqrt(0.5))
    assert change([5e-324, 0], [1, 0]) == pytest.approx(0.0)
    # S_1 = (0 + 1) / 2, S_2 = (1 + 0) / 2
    assert sequence_novelty([[1, 0], [0, 1], [2, 0]]) == pytest.approx([0.5, 0.5])
    assert sequence_novelty([[1, 0], [1, 0], [1, 0]]) == pytest.approx([0.0, 0.0])
    assert sequence_novelty([[0, 0], [0, 0]]) == [0.0]
    assert sequence_novelty(np.ones((3, 2, 2))) == pytest.approx([0.0, 0.0])
    assert sequence_novelty(np.ones((1, 4))) == []
    assert sequence_novelty(np.ones((0, 4))) == []


VECTOR = st.lists(st.floats(-1e6, 1e6), min_size=3, max_size=3)


@given(VECTOR, VECTOR, st.floats(0.01, 100))
def test_change_is_symmetric_bounded_and_blind_to_length(a, b, scale):
    value = change(a, b)
    assert 0.0 <= value <= 2.0
    assert value == pytest.approx(change(b, a))
    assert change(a, a) == 0.0
    if min(map(abs, [x for x in a + b if x] or [1.0])) > 1e-300:
        assert change([scale * x for x in a], b) == pytest.approx(value, abs=1e-9)


@given(st.lists(VECTOR, min_size=1, max_size=6))
def test_novelty_of_two_states_is_their_change(states):
    novelty = sequence_novelty(states)
    assert len(novelty) == len(states) - 1
    assert all(-1e-12 <= n <= 2.0 + 1e-12 for n in novelty)
    if len(states) == 2:
        assert novelty == pytest.approx([change(*states)], abs=1e-12)


def test_embeddings_must_be_numbers_of_one_shape():
    for call, message in (
        (lambda: change([1, math.nan], [1, 2]), "all of them finite"),
        (lambda: change([1, math.inf], [1, 2]), "all of them finite"),
        (lambda: change([], []), "one at least"),
        (lambda: change([1, 2], [1, 2, 3]), "must be equal"),
        (lambda: sequence_novelty([1, 2, 3]), "one embedding for each"),
        (lambda: sequence_novelty([[1, math.nan]]), "all of them finite"),
        (lambda: sequence_novelty(np.ones((2, 0))), "one at least"),
        (lambda: mean_similarities([[1, 2]]), "finite and square"),
        (lambda: mean_similarities([[math.nan]]), "finite and square"),
    ):
        with pytest.raises(ValueError, match=message):
            call()
