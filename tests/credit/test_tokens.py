"""What holds for every estimator that gives a number to each action token, also for those registered later."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from turnwise.trainers.credit import TurnBatch, estimate, list_estimators, register_estimator
from turnwise.trainers.credit.registry import check_critic, check_parameters, level_of

ESTIMATORS = list_estimators("token")
every = pytest.mark.parametrize("name", ESTIMATORS)
quarter = st.integers(-8, 8).map(lambda n: n / 4)
turns = st.lists(st.tuples(st.one_of(st.none(), quarter), st.lists(quarter, max_size=3)), max_size=4)
"""(reward, values of its tokens) of each turn."""
episodes = st.lists(st.tuples(turns, quarter, st.booleans()), max_size=6)


def build(rows):
    return TurnBatch.from_lists(
        [[r for r, _ in own] for own, *_ in rows],
        [outcome for _, outcome, _ in rows],
        valid=[ok for *_, ok in rows],
        token_counts=[[len(v) for _, v in own] for own, *_ in rows],
        token_values=[[x for _, v in own for x in v] for own, *_ in rows],
    )


def split(out, rows):
    return np.split(out, np.cumsum([sum(len(v) for _, v in own) for own, *_ in rows], dtype=int))[:-1]


def test_the_two_are_there():
    assert set(ESTIMATORS) >= {"token_gae", "bilevel_gae"}
    assert set(list_estimators()) == {*ESTIMATORS, *list_estimators("turn")}
    assert (level_of("token_gae"), level_of("grpo")) == ("token", "turn")


@every
@pytest.mark.parametrize("whitened", [True, False])
@given(rows=episodes)
def test_one_finite_number_per_token_the_same_on_torch_and_zero_for_voided_episodes(name, whitened, rows):
    batch = build(rows)
    out = estimate(name, batch, lam=0.9, gamma=0.95, whitened=whitened)
    assert out.shape == (sum(len(v) for own, *_ in rows for _, v in own),)
    assert np.isfinite(out).all()
    np.testing.assert_allclose(estimate(name, batch.to_torch(), lam=0.9, gamma=0.95, whitened=whitened).numpy(), out, atol=1e-9)
    for own, (*_, ok) in zip(split(out, rows), rows, strict=True):
        assert ok or not own.any()


@every
@given(rows=episodes, seed=st.integers(0, 99))
def test_order_does_not_matter_and_voided_episodes_change_nothing_for_the_others(name, rows, seed):
    out = split(estimate(name, build(rows), lam=0.9), rows)
    order = [int(n) for n in np.random.default_rng(seed).permutation(len(rows)) if rows[n][2]]
    kept = [rows[n] for n in order]
    for number, own in zip(order, split(estimate(name, build(kept), lam=0.9), kept), strict=True):
        np.testing.assert_allclose(own, out[number], atol=1e-6)


@every
@given(rows=episodes.filter(lambda rows: any(own for own, *_ in rows)), data=st.data())
def test_a_turns_reward_reaches_the_tokens_up_to_its_end_and_no_others(name, rows, data):
    episode = data.draw(st.sampled_from([n for n, (own, *_) in enumerate(rows) if own]))
    turn = data.draw(st.integers(0, len(rows[episode][0]) - 1))
    changed = [(list(own), outcome, True) for own, outcome, _ in rows]
    before = split(estimate(name, build(changed), whitened=False), rows)
    reward, values = changed[episode][0][turn]
    changed[episode][0][turn] = ((reward or 0.0) + 0.5, values)
    after = split(estimate(name, build(changed), whitened=False), rows)
    for number, (own, *_) in enumerate(rows):
        reached = sum(len(v) for _, v in own[: turn + 1]) if number == episode else 0
        assert (after[number][:reached] > before[number][:reached]).all()
        np.testing.assert_allclose(after[number][reached:], before[number][reached:], atol=1e-12)


@given(rows=episodes)
def test_token_gae_does_not_care_how_tokens_are_cut_into_turns(rows):
    whole = [([(sum(r or 0.0 for r, _ in own), [x for _, v in own for x in v])] if own else [], outcome, ok) for own, outcome, ok in rows]
    late = [([(None, v) for _, v in own[:-1]] + [(sum(r or 0.0 for r, _ in own), own[-1][1])] if own else [], o, ok) for own, o, ok in rows]
    np.testing.assert_allclose(estimate("token_gae", build(late), lam=0.5), estimate("token_gae", build(whole), lam=0.5), atol=1e-6)


def test_what_a_run_without_the_right_critic_is_told():
    with pytest.raises(ValueError, match=r"'token_gae' needs values of every action token.*set critic: {level: token}"):
        check_parameters("token_gae", {})
    with pytest.raises(ValueError, match=r"'turn_ppo' needs values of every turn.*set critic: {level: turn}"):
        check_parameters("turn_ppo", {}, "token")
    with pytest.raises(ValueError, match=r"'bilevel_gae' reads values of every token.*level is turn; set critic: {level: token}"):
        check_critic("bilevel_gae", "turn")
    with pytest.raises(ValueError, match=r"'grpo' reads no critic; remove critic.*: bilevel_gae, .*turn_ppo"):
        check_critic("grpo", "turn")
    with pytest.raises(ValueError, match=r"no estimator 'token_gea'.*Did you mean 'token_gae'"):
        check_critic("token_gea", "token")
    for name, level in (("token_gae", "token"), ("bilevel_gae", "token"), ("turn_ppo", "turn"), ("ppr", "turn"), ("spa", "turn")):
        check_critic(name, level)
        check_parameters(name, {"lam": 0.9, "whitened": False}, level)
    for name in ("ppr", "spa"):  # which do without
        check_parameters(name, {})


def test_an_estimator_of_turns_takes_no_base_of_tokens():
    if "surprise" not in list_estimators():
        register_estimator("surprise", level="token")(lambda batch: np.zeros(int(batch.token_counts.sum())))
    check_parameters("surprise", {})
    with pytest.raises(ValueError, match="'gated' is for turns, but its base gives every token a number"):
        check_parameters("gated", {"base": "surprise"})


def test_token_estimators_need_to_know_where_turns_end():
    batch = replace(build([([(1.0, [0.5])], 0.0, True)]), token_counts=None)
    with pytest.raises(ValueError, match=r"needs the number of action tokens of every turn.*token_counts="):
        estimate("token_gae", batch)
