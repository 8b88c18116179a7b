"""What holds for every registered modifier, with the choices as published and otherwise."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from turnwise.records import Message, Outcome, StopReason, Task, Trajectory, Turn
from turnwise.trainers.credit import Tokens, TurnBatch, estimate, list_modifiers, modify
from turnwise.trainers.credit.modifiers import modifier_kind

CHOICES = [
    *((name, {}) for name in list_modifiers()),
    ("redit", {"noise": "uniform", "of": "both", "scale": 0.5}),
    ("clip_delta", {"clip": False, "alpha": 0.5}),
    ("clip_delta", {"delta": False, "eta": 0.2}),
    ("potential", {"gamma": 0.9, "end": "own", "weight": 0.5}),
    ("prof", {"keep": 1}),
    ("prof", {"keep": 3}),
    ("xrpo", {"lam": 1.0, "kappa": 2.0}),
    ("empg", {"zeta": 0.0, "k": 2.0}),
    ("entropy_weighting", {"level": "sequence"}),
    ("entropy_weighting", {"mode": "scale", "alpha2": 0.5}),
    ("entropy_weighting", {"mode": "scale", "level": "sequence"}),
]
OVER_THE_BATCH = {"empg"}
"""What looks at all groups."""
every_choice = pytest.mark.parametrize(("name", "choice"), CHOICES, ids=str)
columnar = pytest.mark.parametrize(("name", "choice"), [c for c in CHOICES if modifier_kind(c[0]) != "episodes"], ids=str)
number = st.one_of(st.none(), st.integers(-8, 8).map(lambda n: n / 4))
turn = st.tuples(number, st.lists(st.integers(0, 8).map(lambda n: n / 4), max_size=3))
episode = st.tuples(st.lists(turn, max_size=4), st.integers(0, 4).map(lambda n: n / 4), st.integers(0, 2), st.booleans())
episodes = st.lists(episode, max_size=8)
"""(turns, outcome, group, valid) each; a turn is its reward and the surprise of every token."""


def seeded(rows):
    """An identity for every episode, which stays with it wherever it stands."""
    return [(*row, number) for number, row in enumerate(rows)]


def build(rows):
    return TurnBatch.from_lists(
        [[reward for reward, _ in turns] for turns, *_ in rows],
        [outcome for _, outcome, *_ in rows],
        [group for _, _, group, *_ in rows],
        valid=[ok for *_, ok, _ in rows],
        entropies=[[float(np.mean(own)) if own else 0.0 for _, own in turns] for turns, *_ in rows],
        token_counts=[[len(own) for _, own in turns] for turns, *_ in rows],
        potentials=[[0.25 * number, *(None if reward == 0.5 else len(own) / 4 for reward, own in turns)] for turns, *_, number in rows],
        seeds=[number for *_, number in rows],
    )


def trajectories(rows):
    """Observations that are alike by their token counts: far apart from each other, or equal."""
    out = []
    for turns, outcome, group, ok, _ in rows:
        made = tuple(
            Turn(
                index=n, observation=(Message(role="user", content="abc"[len(own) % 3] * 9),), action=Message(role="assistant", content="x")
            )
            for n, (_, own) in enumerate(turns)
        )
        end = Outcome(score=outcome) if ok else Outcome.void("broken")
        stop = StopReason.FAILURE if ok else StopReason.ENV_FAULT
        out.append(Trajectory(task=Task(id="t", env_id="e", split="train", data={"n": group}), turns=made, outcome=end, stop=stop))
    return out


def split(values, lengths):
    return np.split(np.asarray(values, np.float64), np.cumsum(lengths, dtype=int))[:-1] if lengths else []


def worked(name, choice, rows, *, to_torch=False):
    """For every episode all numbers that the modifier decides about it: flat arrays that are equal if and only if they are."""
    kind = modifier_kind(name)
    turns = [len(own) for own, *_ in rows]
    if kind == "episodes":
        batch = TurnBatch.from_trajectories(modify(name, trajectories(rows), **choice))
        # labels are numbered in order of the batch: whether two turns of a group share one is what counts
        same = (batch.anchor[:, None] == batch.anchor[None, :]) & (batch.anchor >= 0)
        return split(same.sum(1), turns)
    batch, tokens = build(rows), Tokens.from_turns([own for turns, *_ in rows for _, own in turns])
    advantages = estimate("turn_rloo", batch)
    per_token = np.repeat(advantages, batch.token_counts)
    if to_torch:
        batch, tokens = batch.to_torch(), tokens.to_torch()
        advantages, per_token = torch.as_tensor(advantages), torch.as_tensor(per_token)
    if kind == "filter":
        return split(batch.valid & modify(name, batch, **choice), [1] * len(rows))
    if kind == "reward":
        changed = modify(name, batch, **choice)
        rewards, scored = split(changed.reward, turns), split(changed.scored, turns)
        outcomes = split(changed.outcome, [1] * len(rows))
        return [np.concatenate(parts) for parts in zip(rewards, scored, outcomes, strict=True)]
    if kind == "advantage":
        return split(modify(name, batch, advantages, **choice), turns)
    out = modify(name, batch, tokens, per_token, **choice)
    assert to_torch == isinstance(out, torch.Tensor)
    return split(out, [sum(len(own) for _, own in turns) for turns, *_ in rows])


@every_choice
@given(rows=episodes)
@settings(max_examples=25, deadline=None)
def test_voided_episodes_change_nothing_and_are_left_alone(name, choice, rows):
    rows = seeded(rows)
    keep = [i for i, (*_, ok, _) in enumerate(rows) if ok]
    together, alone = worked(name, choice, rows), worked(name, choice, [rows[i] for i in keep])
    for i, values in zip(keep, alone, strict=True):
        np.testing.assert_allclose(together[i], values, atol=1e-9)
    if modifier_kind(name) == "reward":
        batch = build(rows)
        changed = modify(name, batch, **choice)
        void = ~batch.valid[batch.episode]
        assert changed.reward[void].tolist() == batch.reward[void].tolist()
        assert changed.outcome[~batch.valid].tolist() == batch.outcome[~batch.valid].tolist()
    else:
        assert not any(together[i].any() for i in range(len(rows)) if i not in keep)


@every_choice
@given(rows=episodes, seed=st.integers(0, 9))
@settings(max_examples=25, deadline=None)
def test_permuting_episodes_permutes_what_comes_out(name, choice, rows, seed):
    rows = seeded(rows)
    if name == "prof":  # of equal episodes the earlier stay: make them unequal
        rows = [([((r or 0.0) + 1e-3 * n, own) for r, own in turns] or [(1e-3 * n, [])], *rest, n) for turns, *rest, n in rows]
    order = np.random.default_rng(seed).permutation(len(rows)).tolist()
    straight, shuffled = worked(name, choice, rows), worked(name, choice, [rows[i] for i in order])
    for place, i in enumerate(order):
        np.testing.assert_allclose(shuffled[place], straight[i], atol=1e-6)


@pytest.mark.parametrize(("name", "choice"), [c for c in CHOICES if c[0] not in OVER_THE_BATCH], ids=str)
@given(rows=episodes)
@settings(max_examples=25, deadline=None)
def test_groups_know_nothing_of_each_other(name, choice, rows):
    rows = seeded(rows)
    together = worked(name, choice, rows)
    for group in {g for _, _, g, *_ in rows}:
        own = [i for i, (_, _, g, *_) in enumerate(rows) if g == group]
        for i, values in zip(own, worked(name, choice, [rows[i] for i in own]), strict=True):
            np.testing.assert_allclose(together[i], values, atol=1e-6)


@columnar
@given(rows=episodes)
@settings(max_examples=25, deadline=None)
def test_numpy_and_torch_agree(name, choice, rows):
    rows = seeded(rows)
    for a, b in zip(worked(name, choice, rows), worked(name, choice, rows, to_torch=True), strict=True):
        assert np.isfinite(a).all()
        np.testing.assert_allclose(b, a, atol=1e-9)


@columnar
def test_inputs_are_left_as_they_were(name, choice):
    rows = seeded([([(0.5, [0.5]), (1.0, [0.25, 1.0])], float(n % 2), 0, True) for n in range(4)])
    batch = replace(build(rows), components=np.ones((4, 1)), component_names=("outcome",))
    advantages, tokens = np.ones(8), Tokens.from_turns([own for turns, *_ in rows for _, own in turns])
    inputs = {"filter": (batch,), "reward": (batch,), "advantage": (batch, advantages), "token": (batch, tokens, np.ones(12))}
    arrays = {n: getattr(batch, n).copy() for n in ("reward", "outcome", "scored", "valid", "components", "entropies", "potentials")}
    modify(name, *inputs[modifier_kind(name)], **choice)
    for column, before in arrays.items():
        np.testing.assert_array_equal(getattr(batch, column), before)
    assert advantages.tolist() == [1.0] * 8
    assert inputs["token"][2].tolist() == [1.0] * 12


@columnar
def test_a_hundred_turns_beside_one_and_none(name, choice):
    rng = np.random.default_rng(0)
    rows = seeded([([(float(r), [abs(float(r))] * 3) for r in rng.normal(size=n)], float(n % 2), 0, True) for n in (100, 1, 0, 37)])
    for values, (turns, *_) in zip(worked(name, choice, rows), rows, strict=True):
        assert np.isfinite(values).all()
        assert np.abs(values).max(initial=0.0) < 1000, turns
