"""The entropy bonus and how tokens are summed."""

import copy
from dataclasses import replace

import numpy as np
import pytest
import torch
from turnwise.trainers.assemble import assemble
from turnwise.trainers.head import token_logprobs
from turnwise.trainers.learner import Learner
from turnwise.trainers.loss import LossOptions, LossTerms, policy_loss

from .conftest import random_trajectories, trajectory


def weights(model):
    return torch.cat([p.detach().flatten() for p in model.parameters()])


@pytest.mark.parametrize("chunk", [7, 1 << 20])
def test_entropies_and_their_gradient(chunk):
    """Two logits a and 0 at temperature 1: p = sigmoid(a), H = -p log p - q log q, dH/da = -a p q. Chunks of one token, and all at once."""
    head = torch.nn.Linear(1, 2, bias=False, dtype=torch.float64)
    with torch.no_grad():
        head.weight.copy_(torch.tensor([[1.0], [0.0]]))
    a = torch.tensor([[0.0], [1.0], [-2.0]], dtype=torch.float64, requires_grad=True)
    options = {"chunk_logits": 2 if chunk == 7 else chunk, "entropy_gradient": True}
    _, entropy = token_logprobs(head, a, torch.tensor([0, 1, 0]), **options)
    assert entropy.tolist() == pytest.approx([0.693147, 0.582203, 0.365334], abs=1e-6)
    (gradient,) = torch.autograd.grad(entropy.sum(), a)
    # -a p q: 0, -0.196612, 0.209987
    assert gradient[:, 0].tolist() == pytest.approx([0.0, -0.196612, 0.209987], abs=1e-6)
    assert not token_logprobs(head, a, torch.tensor([0, 1, 0]), chunk_logits=options["chunk_logits"])[1].requires_grad


def test_the_entropy_bonus_is_subtracted_and_differentiable():
    logits = torch.randn(4, 5, generator=torch.Generator().manual_seed(0), dtype=torch.float64, requires_grad=True)
    weight, advantage = torch.tensor([0.1, 0.2, 0.3, 0.4]).double(), torch.tensor([1.0, -1.0, 0.5, 0.0]).double()
    options = LossOptions(entropy_coef=0.3, clip_low=0.9, clip_high=9.0)
    sampled = torch.full((4,), -1.6, dtype=torch.float64)

    def loss(x):
        logprobs = torch.log_softmax(x, -1)
        entropy = -(logprobs.exp() * logprobs).sum(-1)
        return policy_loss(logprobs[:, 0], sampled, advantage, weight, options, entropy=entropy).loss

    assert torch.autograd.gradcheck(loss, (logits,))
    one = torch.zeros(1)
    terms = policy_loss(one, one, one, torch.ones(1), LossOptions(entropy_coef=0.5), entropy=torch.tensor([0.8]))
    assert float(terms.loss) == pytest.approx(-0.4)
    with pytest.raises(ValueError, match="there are no entropies"):
        policy_loss(one, one, one, torch.ones(1), LossOptions(entropy_coef=0.5))


def test_the_entropy_bonus_raises_the_entropy_of_samples_without_advantage(model):
    samples = assemble(random_trajectories(5, 4), np.zeros(sum(len(t.turns) for t in random_trajectories(5, 4))))
    with torch.no_grad():
        model.get_output_embeddings().weight.mul_(2.0)  # a policy that has made up its mind
    learner = Learner(model, lr=3e-3, loss=LossOptions(entropy_coef=1.0))
    rows = [learner.update(samples) for _ in range(8)]
    assert rows[0]["skipped_samples"] == 0
    assert rows[-1]["entropy"] > rows[0]["entropy"] + 0.1


def test_a_constant_divides_every_episode_alike():
    long, short = trajectory([([5], [6, 7, 8], [-1.0] * 3), ([9], [10], [-1.0])]), trajectory([([5], [6], [-1.0])], rollout=1)
    for merge in (True, False):
        samples = assemble([long, short], aggregate="constant", aggregate_length=8, merge=merge)
        tokens = np.concatenate([s.weight[s.action] for s in samples])
        assert tokens.tolist() == pytest.approx([1 / 16] * 5)  # 8 tokens times 2 episodes


def test_episodes_that_are_left_out_enter_no_weight():
    episodes = random_trajectories(2, 4)
    turns = np.cumsum([0] + [len(t.turns) for t in episodes])
    advantages = np.arange(1.0, turns[-1] + 1)
    kept = np.concatenate([advantages[: turns[1]], advantages[turns[2] :]])
    for options in ({}, {"aggregate": "rollout"}, {"aggregate": "constant", "aggregate_length": 9}):
        without = assemble([episodes[0], *episodes[2:]], kept, **options)
        left = assemble(episodes, advantages, leave_out=[1], **options)
        assert [s.weight.tolist() for s in left] == [s.weight.tolist() for s in without]
        assert [s.advantage.tolist() for s in left] == [s.advantage.tolist() for s in without]
        assert [s.rollout for s in left] == [0, 2, 3]


def test_episodes_of_one_task_and_environment_seed_have_one_number():
    episodes = [replace(t, env_seed=number // 2) for number, t in enumerate(random_trajectories(2, 6))]
    assert [s.group for s in assemble(episodes, leave_out=[2])] == [0, 0, 1, 2, 2]


def test_minibatches_of_a_constant_aggregate_keep_the_length_of_episodes(model):
    """One long episode and one short, a mini-batch each: per token the same weight, where a mean over tokens would not give it."""
    long, short = trajectory([([5], [6] * 6, [-1.0] * 6)]), trajectory([([5], [6], [-1.0])], rollout=1)
    samples = assemble([long, short], [1.0, 1.0], aggregate="constant", aggregate_length=8)
    learner = Learner(model, lr=0.0, minibatches=2, loss=LossOptions(aggregate="constant", aggregate_length=8))
    seen = []
    inner = learner._step

    def step(part, terms, beside):
        seen.append({len(s.weight[s.action]): float(s.weight.max()) for s in part})
        return inner(part, terms, beside)

    learner._step = step
    learner.update(samples)
    assert sorted(sorted(d.items()) for d in seen) == [[(1, 0.125)], [(6, 0.125)]]  # 1 / 16 times 2 episodes over 1


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"aggregate": "constant"}, "needs aggregate_length"),
        ({"aggregate_length": 5}, "aggregate 'token' takes no aggregate_length"),
        ({"aggregate": "constant", "aggregate_length": 0}, "aggregate_length is 0"),
        ({"aggregate": "mean"}, "aggregate is 'mean'; allowed: token, rollout, constant"),
        ({"entropy_coef": -0.1}, "entropy_coef is -0.1; allowed: 0 and above"),
    ],
)
def test_forms_that_mean_nothing_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        LossOptions(**options)
    if "aggregate_length" in options:
        with pytest.raises(ValueError, match=message):
            assemble([], **options)


def test_without_options_an_update_is_that_of_before(model):
    """The plain loss spelled out, packed and forwarded by hand, gives the update bit for bit."""
    episodes = random_trajectories(8, 6, logprob=-4.0)
    samples = assemble(episodes, np.random.default_rng(8).normal(size=sum(len(t.turns) for t in episodes)))
    twin = copy.deepcopy(model)
    Learner(model, lr=1e-3, loss=LossOptions()).update(samples)
    learner = Learner(twin, lr=1e-3)

    def terms(one):
        logprobs, entropy = learner._forward(one)
        ratio = (logprobs - one.logprobs).exp()
        surrogate = torch.minimum(ratio * one.advantage, ratio.clamp(0.8, 1.28) * one.advantage)
        return LossTerms(loss=-(one.weight * surrogate).sum(), stats={}), entropy

    learner._step(samples, terms)
    assert torch.equal(weights(model), weights(twin))
