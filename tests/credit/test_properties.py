"""What holds for every registered estimator of turns, also for those registered later; test_tokens.py has those of tokens."""

import subprocess
import sys

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from turnwise.records import Message, Outcome, StopReason, Task, TokenTrace, Trajectory, Turn
from turnwise.trainers.credit import TurnBatch, estimate, list_estimators, register_estimator

ESTIMATORS = list_estimators("turn")
OUTCOME_ONLY = {"grpo", "rloo", "tree_grpo", "dr_grpo", "opo", "reinforce_pp_baseline", "pass_at_k", "ngrpo", "s_grpo", "empg"}
OVER_THE_BATCH = {"reinforce_pp", "reinforce_pp_baseline", "gdpo", "ppr", "spa", "turn_ppo", "empg"}
"""What normalises over all groups, unless told not to."""
WITHOUT_BASELINE = {"ngrpo", "vine"}
"""What gives equal episodes something."""
CHOICES = [
    *((name, {}) for name in ESTIMATORS),
    ("grpo", {"std": False}),
    ("grpo", {"ddof": 0, "eps": 1e-4, "singleton": "raw"}),
    ("rloo", {"singleton": "raw"}),
    ("turn_rloo", {"std": True, "gamma": 0.9}),
    ("igpo", {"mode": "joint", "gamma": 0.9, "ddof": 1}),
    ("gtpo", {"scope": "turn", "ddof": 1, "floor": 0.0, "eps": 1e-6, "singleton": "zero"}),
    ("gtpo", {"unscored": "zero"}),
    ("gigpo", {"std": True, "cross_steps": True, "singleton": "raw"}),
    ("gigpo", {"unscored": "zero", "ddof": 0, "std": True}),
    ("ngrpo", {"virtual": 2, "max_reward": 0.5, "singleton": "raw"}),
    ("gdpo", {"whitened": False, "weights": {"turn": 2.0, "outcome": 1.0}}),
    ("mt_grpo", {"turn_weight": 0.5, "ddof": 0}),
    ("istar", {"step_ddof": 0, "singleton": "raw"}),
    ("hgpo", {"std": False, "base_group": True, "history": 1}),
    ("gated", {"base": "gigpo", "threshold": 0.2}),
    ("empg", {"base": "turn_rloo", "zeta": 0.05}),
    ("user_rl", {"turn": "r2g", "score": "r2g"}),
    ("user_rl", {"turn": "em", "unscored": "zero", "ddof": 0}),
    ("user_rl", {"turn": "naive", "gamma": 1.0, "singleton": "zero"}),
]
"""Every estimator as published, and each of their choices made otherwise."""
every_choice = pytest.mark.parametrize(("name", "choice"), CHOICES, ids=str)
number = st.one_of(st.none(), st.integers(-8, 8).map(lambda n: n / 4))
episode = st.lists(st.tuples(number, st.sampled_from(["a", "b", None])), max_size=5)
episodes = st.lists(st.tuples(episode, st.integers(0, 4).map(lambda n: n / 4), st.integers(0, 2), st.booleans()), max_size=8)


def build(rows, keep=None):
    rows = rows if keep is None else [rows[i] for i in keep]
    return TurnBatch.from_lists(
        [[r for r, _ in turns] for turns, *_ in rows],
        [outcome for _, outcome, *_ in rows],
        [group for *_, group, _ in rows],
        [[a for _, a in turns] for turns, *_ in rows],
        valid=[ok for *_, ok in rows],
        **columns([[(0.0 if r is None else r, a) for r, a in turns] for turns, *_ in rows]),
    )


def columns(rows):
    """What critics, entropies and tokenizers say, out of the turns themselves."""
    return {
        "values": [[0.25 * r + 0.1 * (a == "a") for r, a in turns] for turns in rows],
        "entropies": [[abs(r) + 0.5 * (a == "b") for r, a in turns] for turns in rows],
        "token_counts": [[1 + (a == "a") for _, a in turns] for turns in rows],
        "parents": [-1] * len(rows),
        "forks": [0] * len(rows),
    }


def full(episodes, turns):
    """Every column that some estimator cannot do without, for equally long episodes."""
    return {
        "anchors": [list("abc"[:turns])] * episodes,
        "values": [[0.5, 0.25, 0.5][:turns]] * episodes,
        "entropies": [[0.5, 0.25, 0.75][:turns]] * episodes,
        "parents": [-1] * episodes,
        "forks": [0] * episodes,
    }


def split(values, rows):
    ends = np.cumsum([len(turns) for turns, *_ in rows], dtype=int)
    return np.split(np.asarray(values), ends)[:-1]


def test_the_six_are_there():
    assert {"grpo", "rloo", "igpo", "gtpo", "gigpo", "turn_rloo"} <= set(ESTIMATORS)


@every_choice
@given(rows=episodes)
@settings(max_examples=25, deadline=None)
def test_one_finite_number_per_turn_and_zero_for_voided_episodes(name, choice, rows):
    out = estimate(name, build(rows), **choice)
    assert out.shape == (sum(len(turns) for turns, *_ in rows),)
    assert np.isfinite(out).all()
    for values, (*_, ok) in zip(split(out, rows), rows, strict=True):
        assert ok or not values.any()


@every_choice
@given(rows=episodes)
@settings(max_examples=25, deadline=None)
def test_voided_episodes_change_nothing_for_the_others(name, choice, rows):
    keep = [i for i, (*_, ok) in enumerate(rows) if ok]
    with_void = split(estimate(name, build(rows), **choice), rows)
    without = split(estimate(name, build(rows, keep), **choice), [rows[i] for i in keep])
    for i, values in zip(keep, without, strict=True):
        np.testing.assert_allclose(with_void[i], values, atol=1e-9)


@every_choice
@given(rows=episodes, seed=st.integers(0, 9))
@settings(max_examples=25, deadline=None)
def test_permuting_episodes_permutes_advantages(name, choice, rows, seed):
    order = np.random.default_rng(seed).permutation(len(rows)).tolist()
    straight = split(estimate(name, build(rows), **choice), rows)
    shuffled = split(estimate(name, build(rows, order), **choice), [rows[i] for i in order])
    for place, i in enumerate(order):
        np.testing.assert_allclose(shuffled[place], straight[i], atol=1e-6)


@pytest.mark.parametrize(("name", "choice"), [c for c in CHOICES if c[0] not in OVER_THE_BATCH or c[1].get("whitened") is False], ids=str)
@given(rows=episodes)
@settings(max_examples=25, deadline=None)
def test_groups_know_nothing_of_each_other(name, choice, rows):
    together = split(estimate(name, build(rows), **choice), rows)
    for group in {g for _, _, g, _ in rows}:
        own = [i for i, (_, _, g, _) in enumerate(rows) if g == group]
        for i, values in zip(own, split(estimate(name, build(rows, own), **choice), [rows[i] for i in own]), strict=True):
            np.testing.assert_allclose(together[i], values, atol=1e-6)


@every_choice
@given(rows=episodes)
@settings(max_examples=25, deadline=None)
def test_numpy_and_torch_agree(name, choice, rows):
    batch = build(rows)
    out = estimate(name, batch.to_torch(), **choice)
    assert isinstance(out, torch.Tensor)
    np.testing.assert_allclose(out.numpy(), estimate(name, batch, **choice), atol=1e-9)


@pytest.mark.parametrize("name", ["grpo", "rloo", "igpo", "gtpo", "gigpo", "user_rl"])
@given(rows=episodes)
@settings(max_examples=25, deadline=None)
def test_an_unscored_turn_changes_nothing_for_the_others(name, rows):
    # turn_rloo is not here: a turn more moves the later ones to other positions, which is its baseline's doing
    longer = [([(None, "a"), *turns], *rest) if turns else (turns, *rest) for turns, *rest in rows]
    plain = split(estimate(name, build(rows)), rows)
    for before, after, (turns, *_) in zip(plain, split(estimate(name, build(longer)), longer), rows, strict=True):
        np.testing.assert_allclose(after[1:] if turns else after, before, atol=1e-9)


every_comparison = pytest.mark.parametrize(("name", "choice"), [c for c in CHOICES if c[0] not in WITHOUT_BASELINE], ids=str)


@every_choice
def test_a_hundred_turns_beside_one_and_none(name, choice):
    rng = np.random.default_rng(0)
    lengths = [100, 1, 0, 37]
    rows = [[(float(r), "ab"[n % 2]) for n, r in enumerate(rng.normal(size=length))] for length in lengths]
    out = estimate(name, build([(turns, float(n % 2), 0, True) for n, turns in enumerate(rows)]), **choice)
    assert out.shape == (138,)
    assert np.isfinite(out).all()
    assert np.abs(out).max() < 1000


@every_comparison
@pytest.mark.parametrize("value", [0.1, 1 / 3, -7.3, 1e9 / 7])
def test_equal_episodes_get_exactly_zero(name, choice, value):
    batch = TurnBatch.from_lists([[value]] * 7, [value] * 7, **full(7, 1))
    assert estimate(name, batch, **choice).tolist() == [0.0] * 7


@every_comparison
def test_equal_totals_that_differ_in_the_last_bit_are_equal(name, choice):
    more = {**full(4, 1), "entropies": [[0.1 + 0.2], [0.3]] * 2}
    batch = TurnBatch.from_lists([[0.1 + 0.2], [0.3]] * 2, [0.1 + 0.2, 0.3] * 2, **more)
    assert estimate(name, batch, **{**choice, **({"eps": 0.0} if name == "grpo" else {})}).tolist() == [0.0] * 4


def test_estimating_on_numpy_loads_no_torch():
    more = "anchors=[['a']], values=[[0.0]], entropies=[[0.0]], parents=[-1], forks=[0], token_counts=[[1]], token_values=[[0.0]]"
    batch = f"t.TurnBatch.from_lists([[0.5]], [1.0], {more})"
    code = f"import sys, turnwise as t; [t.estimate(n, {batch}) for n in t.list_estimators()]"
    subprocess.run([sys.executable, "-c", f"{code}; sys.exit('torch' in sys.modules)"], check=True)


@pytest.mark.parametrize("name", ESTIMATORS)
def test_a_turns_reward_reaches_its_own_advantage_unsummed(name):
    # the others must differ: a z-score of three values, two of them equal, says only which is the odd one
    rewards = [[0.0, 0.0, 0.0], [0.5, 0.25, 0.5], [0.25, 0.0, 0.0]]
    more = full(3, 3)
    before = estimate(name, TurnBatch.from_lists(rewards, [1.0, 0.0, 0.0], **more))
    rewards[0] = [0.0, 0.75, 0.0]
    after = estimate(name, TurnBatch.from_lists(rewards, [1.0, 0.0, 0.0], **more))
    if name in OUTCOME_ONLY:
        assert after.tolist() == before.tolist()
    elif name in ("mt_grpo", "tree_rpo"):  # what an episode earns is credited to its first turn, or the turn that has siblings
        assert after[0] > before[0] + 0.1
    else:
        assert after[1] > before[1] + 0.1


def test_the_change_of_one_reward_is_what_the_formulas_say():
    rewards = [[0.0, 0.0], [0.0, 0.0]]
    changed = [[0.0, 0.3], [0.0, 0.0]]

    def change(name, **parameters):
        values = [estimate(name, TurnBatch.from_lists(r, [1.0, 0.0], anchors=[["a", "b"]] * 2), **parameters) for r in (rewards, changed)]
        return (values[1] - values[0]).tolist()

    assert change("turn_rloo") == pytest.approx([0.3, 0.3, -0.3, -0.3])
    assert change("turn_rloo", gamma=0.5) == pytest.approx([0.15, 0.3, -0.15, -0.3])
    # episode part: +0.15 / -0.15; step part of turn 2: +0.15 / -0.15, of turn 1 0.95 times that
    assert change("gigpo") == pytest.approx([0.2925, 0.3, -0.2925, -0.3])


@pytest.mark.parametrize("name", ESTIMATORS)
def test_rewards_that_are_not_finite_count_as_zero_and_are_counted(name):
    more = full(2, 2)
    bad = TurnBatch.from_lists([[float("nan"), 0.5], [float("inf"), 0.0]], [1.0, float("nan")], **more)
    good = TurnBatch.from_lists([[0.0, 0.5], [0.0, 0.0]], [1.0, 0.0], **more)
    assert bad.nonfinite == 3
    assert estimate(name, bad).tolist() == estimate(name, good).tolist()


@st.composite
def forked(draw):
    """Episodes of one task, most of them forked from an earlier one: (parent, fork, rewards, outcome, valid)."""
    rows = []
    for _ in range(draw(st.integers(1, 7))):
        parent = draw(st.integers(-1, len(rows) - 1))
        shared = rows[parent][2] if parent >= 0 else []
        fork = draw(st.integers(0, len(shared)))
        own = draw(st.lists(st.integers(-4, 4).map(lambda n: n / 4), min_size=1, max_size=3))
        rows.append((parent, fork, [*shared[:fork], *own], draw(st.integers(0, 4)) / 4, draw(st.booleans())))
    return rows


def grown(rows):
    parents, forks, rewards, outcomes, valid = (list(column) for column in zip(*rows, strict=True))
    # an entropy is the node's, as its reward is
    entropies = [[0.5 + abs(sum(row[: n + 1])) for n in range(len(row))] for row in rewards]
    return TurnBatch.from_lists(rewards, outcomes, valid=valid, entropies=entropies, parents=parents, forks=forks)


@pytest.mark.parametrize("name", ["tree_rpo", "at2po", "tree_grpo"])
@given(rows=forked())
@settings(max_examples=60, deadline=None)
def test_trees(name, rows):
    """Turns that are one node get one advantage; numpy and torch agree; what is voided counts nowhere, also as a parent."""
    batch = grown(rows)
    out = estimate(name, batch)
    np.testing.assert_allclose(estimate(name, batch.to_torch()).numpy(), out, atol=1e-9)
    parts = np.split(out, np.cumsum([len(row[2]) for row in rows])[:-1])
    for number, (parent, fork, *_, ok) in enumerate(rows):
        assert np.isfinite(parts[number]).all()
        if not ok:
            assert not parts[number].any()
        elif parent >= 0 and rows[parent][4] and name != "tree_grpo":
            np.testing.assert_allclose(parts[number][:fork], parts[parent][:fork], atol=1e-12)
    last = rows[-1]
    if not last[4]:  # nobody was forked from the last one
        without = estimate(name, grown(rows[:-1])) if len(rows) > 1 else np.zeros(0)
        np.testing.assert_allclose(out[: len(without)], without, atol=1e-9)


def test_unknown_names_and_parameters_name_the_closest():
    with pytest.raises(ValueError, match=r"no estimator 'turn_rlo'.*Did you mean 'turn_rloo'"):
        estimate("turn_rlo", build([([(0.0, None)], 0.0, 0, True)]))
    with pytest.raises(ValueError, match=r"parameter of estimator 'gigpo': 'step_wieght'.*Did you mean 'step_weight'"):
        estimate("gigpo", build([([(0.0, None)], 0.0, 0, True)]), step_wieght=1.0)
    with pytest.raises(ValueError, match="already"):
        register_estimator("grpo")(lambda batch: batch.reward)


@pytest.mark.parametrize(
    ("name", "choice"),
    [
        *((name, {"singleton": "raww"}) for name in ("grpo", "rloo", "gtpo", "gigpo", "user_rl", "dr_grpo", "opo", "ngrpo", "istar")),
        *((name, {"unscored": "skip"}) for name in ("gtpo", "gigpo", "user_rl")),
        ("igpo", {"mode": "both"}),
        ("at2po", {"mode": "median"}),
        ("tree_grpo", {"singleton": "raww"}),
        ("gtpo", {"scope": "batch"}),
        ("user_rl", {"turn": "equal"}),
        ("user_rl", {"score": "mean"}),
    ],
    ids=str,
)
def test_unknown_choices_are_refused(name, choice):
    with pytest.raises(ValueError, match=rf"{next(iter(choice.values()))}.*allowed: "):
        estimate(name, TurnBatch.from_lists([[0.0]], [0.0], **full(1, 1)), **choice)


@pytest.mark.parametrize(
    ("column", "message"),
    [
        ({"outcomes": [1.0]}, "outcomes has 1 entries for 2 episodes"),
        ({"anchors": [["a"], ["b"]]}, "episode 0: anchors has 1 turns, turn_rewards has 2"),
        ({"values": [[1.0, 2.0]]}, "values has 1 episodes, turn_rewards has 2"),
        ({"turn_rewards": [[0.0], 0.5]}, "episode 1: turn_rewards holds 0.5; give a list"),
        ({"turn_rewards": [[0.0], ["good"]]}, "episode 1: turn_rewards holds .'good'.; give a list"),
        ({"parents": [-1, 2]}, "episode 1: parent is 2; give another of the 2 episodes"),
        ({"parents": [0, -1]}, "episode 0: parent is 0"),
        ({"parents": [-1, 0], "forks": [0, 2]}, "episode 1: fork is 2; allowed: 0 to 1"),
        ({"parents": [-1, 0], "forks": [1, 0]}, "episode 0: fork is 1; allowed: 0 to 0"),
        ({"parents": [1, 0]}, "episode 0 comes from itself"),
        ({"forks": [0, 0]}, "forks are given without parents"),
        ({"parents": [-1, 0], "forks": [0]}, "forks has 1 entries for 2 episodes"),
        ({"token_values": [[1.0], []]}, "token_values are given without token_counts"),
        ({"token_values": [[1.0]], "token_counts": [[1, 0], [0]]}, "token_values has 1 entries for 2 episodes"),
        ({"token_values": [[1.0], [1.0]], "token_counts": [[1, 0], [0]]}, "episode 1: token_values has 1 entries for 0 action tokens"),
        ({"components": {"care": [1.0]}}, "care has 1 entries for 2 episodes"),
    ],
)
def test_columns_that_do_not_fit_are_named(column, message):
    with pytest.raises(ValueError, match=message):
        TurnBatch.from_lists(**{"turn_rewards": [[0.0, 0.0], [0.0]], "outcomes": [1.0, 0.0], **column})


def test_trajectories_give_the_batch_that_lists_give():
    def make(task, rewards, score, valid=True, env_seed=0, tokens=True):
        # turn i writes i + 1 tokens
        traces = [
            TokenTrace(context_ids=(1,), action_ids=(7,) * (i + 1), logprobs=tuple(-1.5 - n for n in range(i + 1)))
            for i in range(len(rewards))
        ]
        action = Message(role="assistant", content="x")
        turns = tuple(
            Turn(index=i, observation=(), action=action, reward=r, anchor=f"s{i}", tokens=traces[i] if tokens else None)
            for i, r in enumerate(rewards)
        )
        outcome = Outcome(score=score) if valid else Outcome.void("broken")
        stop = StopReason.SUCCESS if valid else StopReason.ENV_FAULT
        posed = Task(id=task, env_id="e", split="train", data={"n": task})
        return Trajectory(task=posed, turns=turns, outcome=outcome, stop=stop, env_seed=env_seed)

    played = [make("a", [0.5, None], 1.0), make("b", [0.25], 0.0, valid=False), make("a", [0.0], 0.0), make("a", [0.0], 0.0, env_seed=1)]
    batch = TurnBatch.from_trajectories(played)
    assert batch.reward.tolist() == [0.5, 0.0, 0.25, 0.0, 0.0]
    assert batch.outcome.tolist() == [1.0, 0.0, 0.0, 0.0]
    assert batch.group.tolist() == [0, 1, 0, 2]
    assert batch.scored.tolist() == [True, False, True, True, True]
    assert batch.valid.tolist() == [True, False, True, True]
    assert batch.token_counts.tolist() == [1, 2, 1, 1, 1]
    assert batch.entropies.tolist() == [1.5, 2.0, 1.5, 1.5, 1.5]  # mean of 1.5; of 1.5 and 2.5
    assert batch.component_names == ("outcome",)
    assert batch.components.tolist() == [[1.0], [0.0], [0.0], [0.0]]
    assert batch.anchor.tolist() == [0, 1, 2, 0, 3]
    assert TurnBatch.from_trajectories(played, groups=["x", "y", "y", "x"]).group.tolist() == [0, 1, 1, 0]
    assert TurnBatch.from_trajectories([]).components.shape == (0, 1)
    unsampled = TurnBatch.from_trajectories([*played, make("a", [0.0], 0.0, tokens=False)])
    assert (unsampled.token_counts, unsampled.entropies) == (None, None)
