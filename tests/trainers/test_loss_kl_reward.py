"""The divergence from the reference as a turn reward."""

import copy
import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from turnwise.envs.guess_number import GuessNumber
from turnwise.records import Outcome
from turnwise.trainers.assemble import assemble
from turnwise.trainers.config import TrainConfig
from turnwise.trainers.crediting import Estimated
from turnwise.trainers.kl_reward import KlReward
from turnwise.trainers.learner import Learner
from turnwise.trainers.shaping import Shaping

from .conftest import random_trajectories, trajectory


def below(gap):
    """A reference that gives every token ``gap`` less than the sampler did."""
    return lambda samples: [torch.from_numpy(s.logprobs[s.action]) - gap for s in samples]


@pytest.mark.parametrize(("kind", "per_token"), [("k1", 0.1), ("k2", 0.005), ("k3", 0.00483742)])
def test_a_turn_pays_for_its_own_tokens(kind, per_token):
    episode = trajectory([([5], [6, 7, 8], [-1.0] * 3), ([9], [10], [-1.0]), ([5, 9], [10, 11], [-1.0] * 2)], restarts=(2,))
    turns = (episode.turns[0], replace(episode.turns[1], trained=False), episode.turns[2])
    function = KlReward(below(0.1), kind)
    (first, second) = function([replace(episode, turns=turns), trajectory([([5], [6], [-2.0])])])
    assert first.turns[0] == pytest.approx(-3 * per_token, abs=1e-6)
    assert math.isnan(first.turns[1])
    assert first.turns[2] == pytest.approx(-2 * per_token, abs=1e-6)
    assert second.turns == [pytest.approx(-per_token, abs=1e-6)]
    assert math.isnan(first.outcome)
    assert function.per_token == pytest.approx(per_token, abs=1e-6)


def test_it_is_weighted_added_to_the_turn_reward_and_given_credit():
    """Turn rewards 0.5 and none, divergences 0.3 and 0.1 nats, coefficient 2: rewards -0.1 and -0.2; the return-to-go sees both."""
    episode = trajectory([([5], [6, 7, 8], [-1.0] * 3), ([9], [10], [-1.0])])
    episode = replace(episode, turns=(replace(episode.turns[0], reward=0.5), episode.turns[1]))
    other = replace(trajectory([([5], [6], [-1.0])], rollout=1), outcome=Outcome(score=0.0))
    shaping = Shaping(TrainConfig(kl_coef=2.0, kl="k1", kl_in="reward"), GuessNumber())
    rewards = shaping.of_step(None, KlReward(below(0.1), "k1"))
    shaped = rewards([episode, other, replace(other, outcome=Outcome.void("x"), rollout=2)])
    assert [turn.reward for turn in shaped[0].turns] == pytest.approx([-0.1, -0.2], abs=1e-6)
    assert dict(shaped[0].turns[0].components) == pytest.approx({"environment": 0.5, "kl": -0.6}, abs=1e-6)
    assert shaped[2].turns[0].reward is None
    assert (shaping.counts["kl_turns"], shaping.counts["kl"]) == (3, pytest.approx(0.1, abs=1e-6))
    # returns: 1 - 0.1 - 0.2 = 0.7 and 0.8 against the other's -0.2 and 0; one number per token
    credit = Estimated("turn_rloo", {})(shaped)
    assert credit.tolist() == pytest.approx([0.9] * 3 + [0.8, -0.9, 0.0], abs=1e-6)


def test_the_learner_gives_the_references_log_probs(model):
    reference = copy.deepcopy(model)
    with torch.no_grad():
        for p in reference.parameters():
            p.add_(0.05 * torch.randn(p.shape, generator=torch.Generator().manual_seed(0)))
    samples = assemble(random_trajectories(1))
    learner = Learner(model, lr=0.0, reference=reference)
    own = Learner(copy.deepcopy(reference), lr=0.0).logprobs(samples)
    for found, expected, policy in zip(learner.reference_logprobs(samples), own, learner.logprobs(samples), strict=True):
        torch.testing.assert_close(found, expected, atol=1e-5, rtol=0)
        assert not torch.allclose(found, policy, atol=1e-3)
    with pytest.raises(ValueError, match="there is no reference model"):
        Learner(model, lr=0.0).reference_logprobs(samples)
    assert np.isfinite([float(x.sum()) for x in own]).all()


def test_in_the_reward_it_is_not_in_the_loss_as_well():
    assert TrainConfig(kl_coef=0.5).loss_options().kl_coef == 0.5
    assert TrainConfig(kl_coef=0.5, kl_in="reward").loss_options().kl_coef == 0.0


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"kl_in": "reward"}, "kl_coef is 0"),
        ({"kl_in": "reward", "kl_coef": 0.1, "estimator": "grpo"}, "grpo reads outcomes alone"),
    ],
)
def test_a_reward_that_nobody_reads_is_refused(changes, message):
    with pytest.raises(ValueError, match=message):
        TrainConfig(**changes).check_estimator()
    TrainConfig(kl_in="reward", kl_coef=0.1, estimator="gigpo").check_estimator()
