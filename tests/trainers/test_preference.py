"""DPO and IPR on pairs of turns and episodes: numbers by hand, exact gradients through packs, and which pairs there are."""

import copy
from dataclasses import replace

import numpy as np
import pytest
import torch
from turnwise.records import Outcome
from turnwise.trainers.assemble import assemble
from turnwise.trainers.learner import Learner
from turnwise.trainers.preference import Pair, PreferenceOptions, dpo_loss, ipr_loss, outcome_pairs, side_weights, step_pairs

from .conftest import trajectory


def numbers(*values):
    return torch.tensor(values, dtype=torch.float64)


def test_goldens():
    # log-ratios 2 and -1, beta 0.1: -log sigmoid(0.3); StepAgent's implicit form 1.5 and 0.5: -log sigmoid(0.1)
    found = dpo_loss(numbers(-3.0, -2.0), numbers(-6.0, -1.0), numbers(-5.0, -3.5), numbers(-5.0, -1.5), 0.1)
    assert found.tolist() == pytest.approx([0.554355, 0.644397], abs=1e-6)
    assert float(dpo_loss(*numbers(-1.0, -2.0, -1.0, -2.0), 0.5)) == pytest.approx(np.log(2))


def test_the_loss_of_ipr_by_hand():
    """Two outcome pairs and a step pair; the likelihood is that of the chosen episodes, 6 nats over 4 tokens."""
    chosen, rejected = numbers(-3.0, -3.0, -1.0), numbers(-6.0, -3.0, -2.0)
    references = numbers(-5.0, -3.0, -1.0), numbers(-5.0, -3.0, -2.0)
    tokens, outcome = numbers(3.0, 1.0, 2.0), torch.tensor([True, True, False])
    loss, parts = ipr_loss(chosen, rejected, *references, tokens, outcome, PreferenceOptions(sft=0.5))
    assert float(parts["outcome_loss"]) == pytest.approx((0.554355 + 0.693147) / 2, abs=1e-6)
    assert float(parts["step_loss"]) == pytest.approx(0.693147, abs=1e-6)
    assert float(parts["sft_loss"]) == pytest.approx(1.5)
    assert float(loss) == pytest.approx((0.554355 + 0.693147) / 2 + 0.693147 + 0.75, abs=1e-6)
    # only steps: their chosen side is what is imitated
    _, parts = ipr_loss(chosen, rejected, *references, tokens, torch.tensor([False] * 3), PreferenceOptions())
    assert float(parts["outcome_loss"]) == 0.0
    assert float(parts["sft_loss"]) == pytest.approx(7 / 6)


@pytest.mark.parametrize("sft", [0.0, 0.7])
def test_the_gradients_are_those_of_the_losses(sft):
    rng = torch.Generator().manual_seed(1)
    sums = -5 * torch.rand(8, generator=rng, dtype=torch.float64)
    references, tokens = sums + torch.randn(8, generator=rng, dtype=torch.float64), torch.arange(1.0, 9.0, dtype=torch.float64)
    outcome, options = torch.tensor([True, False, True, False]), PreferenceOptions(beta=0.6, sft=sft)

    def loss(x):
        return ipr_loss(x[0::2], x[1::2], references[0::2], references[1::2], tokens[0::2], outcome, options)[0]

    assert torch.autograd.gradcheck(loss, (sums.clone().requires_grad_(),))
    found, row = side_weights(sums, references, tokens, outcome, options)
    step = 1e-6
    for side in range(8):
        nudge = torch.zeros(8, dtype=torch.float64).index_fill(0, torch.tensor([side]), step)
        assert -float(found[side]) == pytest.approx(float(loss(sums + nudge) - loss(sums - nudge)) / (2 * step), abs=1e-6)
    assert row["loss"] == pytest.approx(float(loss(sums)))


def episode(actions, score, contexts=None, anchors=None, rollout=0, seed=0):
    """One token or tuple of tokens per action; contexts are [5], [9], [9], ... unless given."""
    spoken = [a if isinstance(a, tuple) else (a,) for a in actions]
    seen = contexts or [[5]] + [[9]] * (len(actions) - 1)
    made = trajectory([(c, a, [-1.0] * len(a)) for c, a in zip(seen, spoken, strict=True)], rollout=rollout)
    turns = [replace(turn, anchor=None if anchors is None else anchors[n]) for n, turn in enumerate(made.turns)]
    return replace(made, turns=tuple(turns), outcome=Outcome(score=score), env_seed=seed)


def spans(pairs):
    return [
        tuple((tuple(turn.tokens.action_ids[0] for turn in side.turns if turn.trained), side.rollout) for side in (p.chosen, p.rejected))
        for p in pairs
    ]


def test_step_pairs_of_one_prefix():
    """Three episodes share their first turn; two of them part at the second, with Monte-Carlo values 0.8 and 0.2 and outcomes 1 and 0.3."""
    episodes = [
        episode([7, 10, 11], 1.0),
        episode([7, 12, 13], 0.3, rollout=1),
        episode([8, 10], 1.0, rollout=2),
        episode([7, 14], 0.0, rollout=3, seed=9),
    ]
    values = [0.5, 0.8, 1.0, 0.5, 0.2, 0.3, 0.5, 1.0, 0.0, 0.0]
    assert spans(step_pairs(episodes, values)) == [(((10, 11), 0), ((12, 13), 1))]
    assert spans(step_pairs(episodes, values, extent="turn")) == [(((10,), 0), ((12,), 1))]
    assert len(step_pairs(episodes, values, margin=0.35, outcome_margin=0.2)) == 1
    assert step_pairs(episodes, values, margin=0.7) == []
    assert step_pairs(episodes, values, outcome_margin=0.75) == []
    # the same action twice is no choice, and a voided episode none either
    assert step_pairs([episodes[0], replace(episodes[0], rollout=4, outcome=Outcome(score=0.0))], [1.0] * 3 + [0.0] * 3) == []
    assert step_pairs([episodes[0], replace(episodes[1], outcome=Outcome.void("x"))], values[:6]) == []


def test_step_pairs_of_one_state():
    """The same place reached by different ways: anchors tell, tokens do not. Best against worst; turns without an anchor give none."""
    episodes = [
        episode([7, 10], 1.0, anchors=["start", "shop"]),
        episode([8, 11], 0.0, anchors=["start", "shop"], rollout=1),
        episode([12], 0.5, contexts=[[5, 6]], anchors=["shop"], rollout=2),
        episode([13], 0.0, anchors=[None], rollout=3),
    ]
    values = [0.4, 0.9, 0.4, 0.1, 0.5, -5.0]
    assert spans(step_pairs(episodes, values, same="anchor", extent="turn")) == [(((10,), 0), ((11,), 1))]
    assert step_pairs(episodes[:3], values[:5]) == []  # first turns are worth the same, second ones have other prefixes
    worse = step_pairs(episodes, [0.4, 0.0, 0.4, 0.9, 0.5, 0.0], same="anchor")
    assert worse == []  # the better turn is in the worse episode
    assert len(step_pairs(episodes, [0.4, 0.0, 0.4, 0.9, 0.5, 0.0], same="anchor", outcome_margin=None)) == 1


def test_turns_without_tokens_are_in_no_state():
    """A teacher's first turn, after which two forks begin with the whole history: they meet in their first own turn."""

    def fork(action, score, rollout):
        made = episode([1, action, 4], score, contexts=[[5], [5, 1, 9], [9]], rollout=rollout)
        first, second, third = made.turns
        second = replace(second, tokens=replace(second.tokens, restart=True))
        return replace(made, turns=(replace(first, tokens=None), second, third))

    forks = [fork(2, 1.0, 0), fork(3, 0.0, 1)]
    (pair,) = step_pairs(forks, [0.0, 1.0, 0.0, 0.0, -1.0, 0.0])
    assert [[turn.trained for turn in side.turns] for side in (pair.chosen, pair.rejected)] == [[False, True, True]] * 2
    assert (pair.chosen.rollout, pair.rejected.rollout) == (0, 1)


def test_outcome_pairs_are_of_one_group_and_apart():
    episodes = [episode([7], 0.3), episode([8], 1.0, rollout=1), episode([9], 0.305, rollout=2), episode([10], 0.0, rollout=3, seed=1)]
    found = outcome_pairs(episodes)
    assert spans(found) == [(((8,), 1), ((7,), 0)), (((8,), 1), ((9,), 2))]
    assert {p.kind for p in found} == {"outcome"}


def test_wrong_arguments_are_explained():
    episodes = [episode([7], 0.3)]
    with pytest.raises(ValueError, match="2 values for 1 turns"):
        step_pairs(episodes, [1.0, 2.0])
    with pytest.raises(ValueError, match="same is 'state'; allowed: prefix, anchor"):
        step_pairs(episodes, [1.0], same="state")
    with pytest.raises(ValueError, match="extent is 'all'; allowed: turn, suffix"):
        step_pairs(episodes, [1.0], extent="all")
    with pytest.raises(ValueError, match="beta is 0"):
        PreferenceOptions(beta=0.0)


@pytest.fixture
def pairs():
    """A step pair, one side of which was cut in two by a restart, and an outcome pair."""
    episodes = [episode([(7, 8), (10, 11), 12], 1.0), episode([(7, 8), 13, 14], 0.0, rollout=1)]
    ids = [5, 7, 8, 9, 13, 9]
    last = replace(episodes[1].turns[2], tokens=replace(episodes[1].turns[2].tokens, context_ids=tuple(ids), restart=True))
    episodes[1] = replace(episodes[1], turns=(*episodes[1].turns[:2], last))
    found = [*step_pairs(episodes, [0.5, 0.9, 1.0, 0.5, 0.1, 0.0]), *outcome_pairs(episodes)]
    assert [p.kind for p in found] == ["step", "outcome"]
    return found


@pytest.mark.parametrize("budget", [1, 8192])
def test_one_step_has_the_gradient_of_the_definition_however_it_is_packed(model, pairs, budget):
    reference = copy.deepcopy(model)
    with torch.no_grad():
        for p in reference.parameters():
            p.add_(0.05 * torch.randn(p.shape, generator=torch.Generator().manual_seed(0)))
    options = PreferenceOptions(beta=0.5, sft=0.3)

    def score(m, side):
        total, tokens = 0.0, 0
        for s in assemble([side]):
            logits = torch.log_softmax(m(input_ids=torch.from_numpy(s.ids)[None]).logits[0].float(), -1)
            at = np.flatnonzero(s.action)
            total, tokens = total + logits[at - 1, s.ids[at]].sum(), tokens + len(at)
        return total, tokens

    sides = [[score(m, side) for side in (p.chosen, p.rejected)] for m in (model, reference) for p in pairs]
    c, r = (torch.stack([row[k][0] for row in sides[:2]]) for k in (0, 1))
    rc, rr = (torch.stack([row[k][0] for row in sides[2:]]).detach() for k in (0, 1))
    tokens = torch.tensor([row[0][1] for row in sides[:2]])
    loss, _ = ipr_loss(c, r, rc, rr, tokens, torch.tensor([False, True]), options)
    loss.backward()
    expected = {n: p.grad.clone() for n, p in model.named_parameters()}
    model.zero_grad()
    learner, seen = Learner(model, lr=0.0, reference=reference, token_budget=budget), {}
    learner._optimizer.apply = lambda rate, where: float(seen.update({n: p.grad.clone() for n, p in model.named_parameters()}) is None)
    row = learner.prefer(pairs, options)
    assert row["loss"] == pytest.approx(float(loss.detach()), abs=1e-4)
    assert (row["outcome_pairs"], row["step_pairs"]) == (1, 1)
    for name, gradient in expected.items():
        torch.testing.assert_close(seen[name], gradient, atol=2e-5, rtol=1e-3, msg=lambda m, name=name: f"{name}: {m}")


def test_preferring_orders_the_pairs_and_needs_a_reference_and_pairs(model, pairs):
    learner = Learner(model, lr=1e-3, reference=copy.deepcopy(model))
    rows = [learner.prefer(pairs) for _ in range(12)]
    assert rows[0]["loss"] == pytest.approx(2 * np.log(2), abs=1e-5)  # one mean for outcomes, one for steps
    assert rows[0]["margin"] == pytest.approx(0.0, abs=1e-6)
    assert rows[-1]["preferred"] == 1.0
    assert rows[-1]["loss"] < rows[0]["loss"]
    assert learner.step == 12
    with pytest.raises(ValueError, match="there are no pairs"):
        learner.prefer([])
    with pytest.raises(ValueError, match="there is no reference model"):
        Learner(model, lr=1e-3).prefer([Pair(chosen=pairs[0].chosen, rejected=pairs[0].rejected, kind="step")])
