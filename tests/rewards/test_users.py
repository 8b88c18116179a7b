import pytest
from hypothesis import given
from hypothesis import strategies as st
from turnwise.rewards.users import intention, token_advantages, trajectory_score, turn_credits

REWARDS = [0.0, 0.5, 0.0, 1.0]


@pytest.mark.parametrize(
    ("turn", "expected"),
    [
        ("equalized", [1.0, 1.0, 1.0, 1.0]),
        ("r2g", [0.912, 1.14, 0.8, 1.0]),
        ("em", [0.5, 0.8655, 0.5, 1.0]),
        ("naive", [0.0, 0.5, 0.0, 1.0]),
    ],
)
def test_turn_credits(turn, expected):
    assert turn_credits(REWARDS, turn) == pytest.approx(expected)
    assert turn_credits([], turn) == []


def test_em_with_other_slopes():
    # 0.5 + 0.5 (1 - e^-0.5) / (1 - e^-1) = 0.8112; a reward below 0 gets less than a half, however far below
    assert turn_credits([0.5, -0.5], "em", k=1.0) == [0.8112, -0.0131]
    assert turn_credits([-1e9], "em")[0] < -1e20
    with pytest.raises(ValueError, match="k is 0"):
        turn_credits([0.5], "em", k=0)


def test_trajectory_scores():
    assert trajectory_score(REWARDS) == 0.375
    assert trajectory_score(REWARDS, "r2g") == pytest.approx(0.912)
    assert trajectory_score([0.0, 0.0, 1.0]) == 0.3333
    assert trajectory_score([], "sum") == trajectory_score([], "r2g") == 0.0
    assert trajectory_score([1.0, 1.0, 1.0], "r2g", gamma=0.5) == 1.75


def test_token_advantages():
    assert token_advantages([1.0, 0.5], [2, 3], 1.25) == pytest.approx([1.785714] * 2 + [0.892857] * 3, abs=1e-6)
    # only the tokens with credit have z as their mean: 2 of 5 here
    assert token_advantages([0.5, 0.0], [2, 3], -1.0) == pytest.approx([-1.0, -1.0, 0.0, 0.0, 0.0])


def test_without_credit_nothing_is_learned_and_negative_credit_turns_the_sign():
    assert token_advantages([0.0, 0.0], [1, 1], -2.0) == [0.0, 0.0]
    assert token_advantages([0.1 + 0.2, -0.3], [1, 1], 1.0) == [0.0, 0.0]  # they cancel out but for rounding
    assert token_advantages([1.0, -0.5], [1, 1], 1.0) == pytest.approx([4.0, -2.0])


@given(st.lists(st.tuples(st.integers(1, 8), st.integers(1, 9)), min_size=1), st.floats(-3, 3))
def test_the_mean_over_tokens_is_z(turns, z):
    values = token_advantages([c / 4 for c, _ in turns], [n for _, n in turns], z)
    assert sum(values) / len(values) == pytest.approx(z, abs=1e-9)


@pytest.mark.parametrize(
    ("found", "asked", "worth"),
    [([3, 2, 1], 3, 0.6), ([3], 1, 1.0), ([2], 1, 0.7), ([1], 1, 0.4), ([], 1, 0.0), ([], 0, 0.0), ([], 4, -0.6), ([2], 8, -0.7)],
)
def test_intention(found, asked, worth):
    assert intention(found, asked) == pytest.approx(worth)


def test_unknown_settings_are_refused():
    with pytest.raises(ValueError, match="turn is 'rtg'; allowed: equalized, r2g, em, naive"):
        turn_credits([0.0], "rtg")
    with pytest.raises(ValueError, match="score is 'mean'; allowed: sum, r2g"):
        trajectory_score([0.0], "mean")
