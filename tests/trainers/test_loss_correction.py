"""Importance weights between the sampler and the learner: by hand, by property, and through an update."""

import copy

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from turnwise.trainers.assemble import assemble
from turnwise.trainers.correction import correct, importance_weights
from turnwise.trainers.learner import Learner
from turnwise.trainers.loss import LossOptions

from .conftest import random_trajectories, trajectory

RATIOS, EPISODE = np.log([1.5, 4.0, 0.5, 0.8, 1.0]), np.array([0, 0, 1, 1, 1])


@pytest.mark.parametrize(
    ("kind", "low", "high", "expected"),
    [
        ("token", 0.0, 2.0, [1.5, 2.0, 0.5, 0.8, 1.0]),
        ("sequence", 0.0, 7.0, [6.0, 6.0, 0.4, 0.4, 0.4]),  # products: 6 and 0.4
        ("sequence", 0.0, 3.0, [0.0, 0.0, 0.4, 0.4, 0.4]),
        ("sequence", 0.5, 7.0, [6.0, 6.0, 0.0, 0.0, 0.0]),
        ("geometric", 0.7, 2.0, [0.0, 0.0, 1.0, 1.0, 1.0]),  # 6 ** (1/2) = 2.449490, 0.4 ** (1/3) = 0.736806
        ("geometric", 0.74, 2.5, [1.0, 1.0, 0.0, 0.0, 0.0]),
    ],
)
def test_weights_by_hand(kind, low, high, expected):
    assert importance_weights(RATIOS, EPISODE, kind, low, high).tolist() == pytest.approx(expected, abs=1e-12)


@given(st.lists(st.floats(-3, 3), min_size=2, max_size=8), st.sampled_from(["token", "sequence", "geometric"]), st.randoms())
def test_weights_of_one_episode_know_nothing_of_the_others_and_follow_a_permutation(ratios, kind, random):
    ratio, episode = np.array(ratios), np.arange(len(ratios)) % 2
    weights = importance_weights(ratio, episode, kind, 0.5, 2.0)
    order = np.array(random.sample(range(len(ratios)), len(ratios)))
    assert importance_weights(ratio[order], episode[order], kind, 0.5, 2.0) == pytest.approx(weights[order])
    changed = np.where(episode == 1, ratio + 1.0, ratio)
    assert importance_weights(changed, episode, kind, 0.5, 2.0)[episode == 0] == pytest.approx(weights[episode == 0])


def test_an_infinite_gap_gives_a_finite_weight():
    assert importance_weights(np.array([1e9, -1e9]), np.array([0, 1]), "token", 0.0, 2.0).tolist() == [2.0, 0.0]
    assert importance_weights(np.array([1e9]), np.array([0]), "sequence", 0.0, 3.0).tolist() == [0.0]


def pair(restarts=()):
    """An episode of two turns, two tokens and one, and one of a single token; all sampled at -1."""
    history = [5, 6, 7, 8] if not restarts else [5, 6, 7, 8, 9]
    return [
        trajectory([([5, 6], [7, 8], [-1.0, -1.0]), (history if restarts else [9], [10], [-1.0])], restarts=restarts),
        trajectory([([5, 6], [11], [-1.0])], rollout=1),
    ]


def test_samples_are_weighted_counted_and_given_the_learners_own_log_probs():
    samples = assemble(pair(), [1.0, 2.0, -1.0])
    old = [np.array([-1.0, -1.0 + np.log(4.0), -1.0]), np.array([-1.0 - np.log(2.0)])]
    found, counts = correct(samples, old, "token", 0.0, 2.0)
    assert found[0].advantage[found[0].action].tolist() == pytest.approx([1.0, 2.0, 2.0])
    assert found[1].advantage[found[1].action].tolist() == pytest.approx([-0.5])
    assert found[0].logprobs[found[0].action] == pytest.approx(old[0])
    assert samples[0].advantage[samples[0].action].tolist() == [1.0, 1.0, 2.0]  # what was given stays
    # k3 of the gaps log 4, -log 2 and 0: 4 - 1 - log 4 = 1.613706, 0.5 - 1 + log 2 = 0.193147
    assert counts == pytest.approx(
        {
            "correction_truncated": 0.25,
            "correction_masked": 0.0,
            "correction_weight": (1 + 2 + 1 + 0.5) / 4,
            "mismatch_kl": (1.613706 + 0.193147) / 4,
            "mismatch_max": np.log(4.0),
        },
        abs=1e-6,
    )
    with pytest.raises(ValueError, match=r"log-probs of \[2, 1\] tokens for samples of \[3, 1\]"):
        correct(samples, [old[0][:2], old[1]], "token", 0.0, 2.0)


def test_an_episode_is_one_however_it_was_cut():
    """Ratios 4 and 0.25 in two samples of one episode: their product is 1, which is inside the bounds; each alone is not."""
    whole, cut = assemble(pair(), [1.0] * 3), assemble(pair(restarts=(1,)), [1.0] * 3)
    assert [len(whole), len(cut)] == [2, 3]
    ratios = np.log([4.0, 1.0, 0.25])
    for samples, old in ((whole, [ratios, [0.0]]), (cut, [ratios[:2], ratios[2:], [0.0]])):
        found, counts = correct(samples, [np.asarray(x) - 1.0 for x in old], "sequence", 0.5, 2.0)
        assert np.concatenate([s.advantage[s.action] for s in found]).tolist() == pytest.approx([1.0] * 4)
        assert counts["correction_masked"] == 0
        masked, counts = correct(samples, [np.asarray(x) - 1.1 for x in old], "geometric", 0.95, 2.0)
        assert not any(s.advantage.any() for s in masked)
        assert counts["correction_masked"] == 2


@pytest.fixture
def samples(model):
    """Sampled by the model itself, to the last bit of its log-probs."""
    episodes = random_trajectories(3, 6)
    made = assemble(episodes, np.random.default_rng(3).normal(size=sum(len(t.turns) for t in episodes)))
    for s, values in zip(made, Learner(model, lr=0.0).logprobs(made), strict=True):
        s.logprobs[s.action] = values.numpy()
    return made


def weights(model):
    return torch.cat([p.detach().flatten() for p in model.parameters()])


@pytest.mark.parametrize("kind", ["token", "sequence", "geometric"])
def test_where_sampler_and_learner_agree_nothing_is_corrected(model, samples, kind):
    twin = copy.deepcopy(model)
    metrics = Learner(model, lr=1e-3, loss=LossOptions(correction=kind)).update(samples)
    Learner(twin, lr=1e-3).update(samples)
    torch.testing.assert_close(weights(model), weights(twin), atol=1e-5, rtol=0)
    assert metrics["mismatch_kl"] == pytest.approx(0.0, abs=1e-6)
    assert metrics["correction_weight"] == pytest.approx(1.0, abs=1e-4)
    assert (metrics["correction_truncated"], metrics["correction_masked"]) == (0.0, 0.0)


def test_the_ratio_is_against_the_learner_and_the_gap_is_a_constant_weight(model, samples):
    """A sampler that was off by a factor of 2 on every token: ratios stay 1, gradients double, where the plain loss would clip."""
    twin = copy.deepcopy(model)
    for s in samples:
        s.logprobs[s.action] -= np.float32(np.log(2.0))
    metrics = Learner(model, lr=0.0, loss=LossOptions(correction="token", correction_high=5.0), max_grad_norm=1e9).update(samples)
    for s in samples:
        s.logprobs[s.action] += np.float32(np.log(2.0))
    plain = Learner(twin, lr=0.0, max_grad_norm=1e9).update(samples)
    assert metrics["ratio_max"] == pytest.approx(1.0, abs=1e-5)
    assert metrics["correction_weight"] == pytest.approx(2.0, abs=1e-4)
    assert metrics["grad_norm"] == pytest.approx(2 * plain["grad_norm"], rel=1e-4)


def test_masked_episodes_are_skipped_and_counted_and_the_rest_keep_their_share(model, samples):
    first = [s for s in samples if s.rollout == 0]
    for s in first:
        s.logprobs[s.action] -= 1.0
    twin = copy.deepcopy(model)
    metrics = Learner(model, lr=1e-3, loss=LossOptions(correction="geometric")).update(samples)
    assert metrics["correction_masked"] == 1.0
    assert metrics["skipped_samples"] == len(first)
    for s in first:
        s.advantage[:] = 0.0
    Learner(twin, lr=1e-3).update(samples)
    torch.testing.assert_close(weights(model), weights(twin), atol=1e-5, rtol=0)


def test_log_probs_come_in_the_order_of_the_samples_whatever_the_packs(model, samples):
    alone = [Learner(model, lr=0.0).logprobs([s])[0] for s in samples]
    for budget in (1, 40, 8192):
        for own, found in zip(alone, Learner(model, lr=0.0, token_budget=budget).logprobs(samples), strict=True):
            torch.testing.assert_close(found, own, atol=1e-5, rtol=0)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"correction": "tokens"}, "correction is 'tokens'; allowed: none, token"),
        ({"correction_high": 2.0}, "correction_high given, but correction is none"),
        ({"correction": "token", "correction_low": 0.5}, "a correction of tokens has an upper bound alone"),
        ({"correction": "geometric", "correction_high": 0.9}, "bounded by 0.99 and 0.9"),
        ({"correction": "sequence", "correction_low": 4.0}, "bounded by 4.0 and 3.0"),
    ],
)
def test_bounds_that_mean_nothing_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        LossOptions(**options)
