"""GVPO: golden values, its gradient, and groups that are never torn."""

import copy
from dataclasses import replace

import numpy as np
import pytest
import torch
from turnwise import TurnBatch, estimate
from turnwise.trainers.assemble import assemble
from turnwise.trainers.gvpo import gvpo_samples, penalties
from turnwise.trainers.learner import Learner
from turnwise.trainers.loss import LossOptions, policy_loss

from .conftest import random_trajectories, trajectory

GVPO = LossOptions(objective="gvpo", gvpo_anchor="sampler")


def weights(model):
    return torch.cat([p.detach().flatten() for p in model.parameters()])


def three(log_ratios=(0.2, -0.1, 0.05), scores=(1.0, 0.0, 0.5)):
    """The golden group: three responses of one token each, log pi -10, -12, -9."""
    logprobs = [np.array([-10.0]), np.array([-12.0]), np.array([-9.0])]
    episodes = [
        trajectory([([5, 6], [n + 7], [float(x[0]) - gap])], rollout=n) for n, (x, gap) in enumerate(zip(logprobs, log_ratios, strict=True))
    ]
    advantages = estimate("dr_grpo", TurnBatch.from_lists([[0.0]] * 3, list(scores)))
    return assemble(episodes, advantages), logprobs


def test_golden():
    samples, logprobs = three()
    weighted, found = gvpo_samples(samples, logprobs, [s.logprobs[s.action] for s in samples], 0.1)
    own = np.array([s.weight[s.action][0] for s in weighted])
    # w = [0.485, -0.485, 0], times beta / (k - 1) = 0.05
    assert own.tolist() == pytest.approx([0.02425, -0.02425, 0.0], abs=1e-6)
    assert -sum(w * x[0] for w, x in zip(own, logprobs, strict=True)) == pytest.approx(-0.0485, abs=1e-6)
    assert found == pytest.approx({"gvpo_log_ratio": 0.05, "gvpo_alone": 0.0}, abs=1e-6)


def test_weights_of_a_group_sum_to_zero_and_know_no_other_group():
    rng = np.random.default_rng(0)
    log_ratio, group = rng.normal(size=7), np.array([0, 0, 0, 1, 1, 2, 1])
    found = penalties(log_ratio, group, 0.3)
    assert np.bincount(group, weights=found).tolist() == pytest.approx([0.0] * 3, abs=1e-12)
    assert found[5] == pytest.approx(0.0)
    changed = penalties(np.where(group == 1, log_ratio + rng.normal(size=7), log_ratio), group, 0.3)
    assert changed[group != 1].tolist() == pytest.approx(found[group != 1].tolist())


def test_an_episode_is_the_sum_of_its_samples_and_a_group_of_one_weighs_nothing():
    cut = trajectory([([5], [6, 7], [-1.0, -1.0]), ([5, 9], [8], [-1.0])], restarts=(1,))
    other, alone = trajectory([([5], [9], [-1.0])], rollout=1), replace(trajectory([([5], [9], [-1.0])], rollout=2), env_seed=4)
    samples = assemble([cut, other, alone], [1.0, 1.0, -1.0, 3.0])
    logprobs = [np.array([-0.8, -1.0]), np.array([-0.7]), np.array([-1.0]), np.array([-0.2])]
    weighted, found = gvpo_samples(samples, logprobs, [s.logprobs[s.action] for s in samples], 0.5)
    # log-ratios 0.5 and 0; w = 1 - 0.5 * 0.25 and -1 + 0.5 * 0.25, times 0.5 / (2 - 1); the lonely group is no group of the mean
    assert [s.weight[s.action].tolist() for s in weighted] == [pytest.approx(x) for x in ([0.4375] * 2, [0.4375], [-0.4375], [0.0])]
    assert found["gvpo_alone"] == 1


def groups(model, seed=2):
    """Two groups of three episodes, one in two samples, sampled by the model itself."""
    episodes = [replace(t, env_seed=n // 3) for n, t in enumerate(random_trajectories(seed, 6))]
    scores = np.array([1.0, 0.0, 0.5, 0.0, 0.0, 1.0])
    centred = scores - np.repeat(scores.reshape(2, 3).mean(1), 3)
    samples = assemble(episodes, np.repeat(centred, [len(t.turns) for t in episodes]))
    for s, values in zip(samples, Learner(model, lr=0.0).logprobs(samples), strict=True):
        s.logprobs[s.action] = values.numpy()
    return samples, scores


def loss_by_hand(model, reference, samples, scores, beta):
    """The definition, on whole logits, with the weights held fixed."""

    def whole(m, s):
        logits = torch.log_softmax(m(input_ids=torch.from_numpy(s.ids)[None]).logits[0].float(), -1)
        at = np.flatnonzero(s.action)
        return logits[at - 1, s.ids[at]].sum()

    log_pi = torch.stack([whole(model, s) for s in samples])
    with torch.no_grad():
        ratio = log_pi - torch.stack([whole(reference, s) for s in samples])
        reward = torch.tensor(scores, dtype=torch.float32)
        w = torch.cat([(r - r.mean()) - beta * (x - x.mean()) for r, x in zip(reward.split(3), ratio.split(3), strict=True)])
    return -beta / 2 * (w * log_pi).sum() / 2


@pytest.mark.parametrize("budget", [1, 8192])
def test_the_gradient_is_that_of_the_definition_however_it_is_packed(model, budget):
    reference = copy.deepcopy(model)
    with torch.no_grad():
        for p in reference.parameters():
            p.add_(0.05 * torch.randn(p.shape, generator=torch.Generator().manual_seed(0)))
    samples, scores = groups(model)
    loss = loss_by_hand(model, reference, samples, scores, 0.4)
    loss.backward()
    expected = {n: p.grad.clone() for n, p in model.named_parameters()}
    model.zero_grad()
    options = LossOptions(objective="gvpo", gvpo_beta=0.4)
    learner = Learner(model, lr=0.0, loss=options, reference=reference, token_budget=budget)
    seen = {}
    learner._optimizer.apply = lambda rate, where: float(seen.update({n: p.grad.clone() for n, p in model.named_parameters()}) is None)
    row = learner.update(samples)
    assert row["loss"] == pytest.approx(float(loss.detach()), rel=1e-5)
    for name, gradient in expected.items():
        torch.testing.assert_close(seen[name], gradient, atol=1e-4, rtol=1e-3, msg=lambda m, name=name: f"{name}: {m}")


def test_minibatches_are_of_whole_groups(model):
    samples, _ = groups(model)
    learner = Learner(model, lr=0.0, loss=GVPO, minibatches=5)
    parts = list(learner._split(samples))
    assert sorted(sorted({s.group for s in part}) for part in parts) == [[0], [1]]
    row = learner.update(samples)
    assert (row["optimizer_steps"], row["gvpo_alone"]) == (2, 0)
    assert row["gvpo_log_ratio"] == pytest.approx(0.0, abs=1e-4)


def test_rewarded_episodes_become_likelier_and_nothing_to_compare_takes_no_step(model):
    samples, scores = groups(model)
    learner = Learner(model, lr=1e-3, loss=GVPO)
    before = [float(x.sum()) for x in learner.logprobs(samples)]
    for _ in range(3):
        learner.update(samples)
    after = [float(x.sum()) for x in learner.logprobs(samples)]
    rise = np.array(after) - before
    assert rise[scores == 1.0].min() > rise[scores == 0.0].max()
    old = weights(model)
    first = [s for s in samples if s.rollout == 0]
    assert learner.update(first) == {"skipped_samples": float(len(first)), "gvpo_alone": 1.0, "optimizer_steps": 0.0}
    assert torch.equal(weights(model), old)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"kl_coef": 0.1}, "objective gvpo has no kl_coef 0.1"),
        ({"ratio": "turn", "entropy_coef": 0.1}, "has no ratio turn, entropy_coef 0.1"),
        ({"correction": "token"}, "has no correction token"),
        ({"aggregate": "rollout"}, "has no aggregate rollout"),
        ({"dual_clip": 3.0}, "dual_clip is for the objective clip, not gvpo"),
        ({"gvpo_beta": 0.0}, "gvpo_beta is 0.0; allowed: above 0"),
        ({"gvpo_anchor": "base"}, "gvpo_anchor is 'base'; allowed: reference, sampler"),
    ],
)
def test_what_it_has_no_use_for_is_refused(options, message):
    with pytest.raises(ValueError, match=message):
        LossOptions(objective="gvpo", **options)


def test_it_needs_its_anchor_and_is_no_loss_of_tokens(model):
    with pytest.raises(ValueError, match="gvpo_anchor is 'reference' but there is no reference model"):
        Learner(model, lr=1e-3, loss=LossOptions(objective="gvpo"))
    one = torch.zeros(1)
    with pytest.raises(ValueError, match="weighs whole groups"):
        policy_loss(one, one, one, one, GVPO)
