import copy
import math

import numpy as np
import pytest
import torch
from peft import LoraConfig, get_peft_model
from turnwise.agents.tiny import build_model
from turnwise.trainers.assemble import assemble
from turnwise.trainers.learner import Learner, learning_rate
from turnwise.trainers.loss import LossOptions, k1, k2, k3, log_ratio_of, policy_loss

from .conftest import VOCABULARY, random_trajectories


def batch(seed=1, count=6, logprob=-4.0):
    episodes = random_trajectories(seed, count, logprob=logprob)
    turns = sum(len(t.turns) for t in episodes)
    return assemble(episodes, np.random.default_rng(seed).normal(size=turns))


def weights(model):
    return torch.cat([p.detach().float().flatten() for p in model.parameters()])


def test_the_clipped_loss_by_hand():
    logprobs = torch.tensor([-1.0, -1.0, -1.0, -1.0], requires_grad=True)
    sampled = logprobs.detach() - torch.log(torch.tensor([1.5, 0.5, 1.5, 0.5]))
    advantage = torch.tensor([2.0, 2.0, -2.0, -2.0])
    weight = torch.full((4,), 0.25)
    terms = policy_loss(logprobs, sampled, advantage, weight, LossOptions(clip_low=0.2, clip_high=0.28))
    # min(3, 2.56) = 2.56; min(1, 1.6) = 1; min(-3, -2.56) = -3; min(-1, -1.6) = -1.6
    assert float(terms.loss.detach()) == pytest.approx(-(2.56 + 1.0 - 3.0 - 1.6) / 4)
    assert float(terms.stats["clip_fraction"]) == pytest.approx(0.5)
    assert float(terms.stats["ratio_max"]) == pytest.approx(1.5)
    terms.loss.backward()
    # the clipped ones pass no gradient; elsewhere it is -w A rho
    assert logprobs.grad.tolist() == pytest.approx([0.0, -0.25, 0.75, 0.0])


def test_k3_golden():
    assert float(k3(torch.tensor(-1.0), torch.tensor(-1.1))) == pytest.approx(0.004837, abs=1e-6)
    assert float(k3(torch.tensor(-100.0), torch.tensor(0.0))) == 10.0


LOG_RATIOS, TURNS = torch.tensor([0.01, -0.02, 0.03, 0.002, 0.004]), torch.tensor([0, 0, 1, 1, 1])


@pytest.mark.parametrize(
    ("level", "expected"),
    [
        ("token", [1.010050, 0.980199, 1.030455, 1.002002, 1.004008]),
        ("turn_sum", [0.990050] * 2 + [1.036656] * 3),
        ("turn", [0.995012] * 2 + [1.012072] * 3),
        ("sequence", [1.005214] * 5),  # exp(0.026 / 5)
    ],
)
def test_ratios_by_hand(level, expected):
    found = log_ratio_of(level, LOG_RATIOS, TURNS, TURNS * 0).exp()
    assert found.tolist() == pytest.approx(expected, abs=1e-6)


def test_a_ratio_of_turns_needs_turns():
    with pytest.raises(ValueError, match="a ratio by turn_sum needs to know which tokens belong together; pass turn"):
        log_ratio_of("turn_sum", LOG_RATIOS, None, None)


def test_the_dual_clip_by_hand():
    sampled = -1.0 - torch.log(torch.tensor([5.0, 2.0, 5.0]))
    terms = policy_loss(torch.full((3,), -1.0), sampled, torch.tensor([-2.0, -2.0, 2.0]), torch.ones(3), LossOptions(dual_clip=3.0))
    # max(-10, -6) = -6; max(-4, -6) = -4; min(10, 2.56) = 2.56
    assert float(terms.loss) == pytest.approx(6 + 4 - 2.56, abs=1e-5)


def test_cispo_lets_every_token_learn():
    logprobs = torch.tensor([-1.0, -2.0], requires_grad=True)
    sampled = logprobs.detach() - torch.log(torch.tensor([2.0, 0.5]))
    terms = policy_loss(logprobs, sampled, torch.tensor([1.0, -1.0]), torch.ones(2), LossOptions(objective="cispo"))
    # clipped ratios 1.28 and 0.8, times A log pi: -1.28 and 1.6
    assert float(terms.loss.detach()) == pytest.approx(-(1.28 * 1 * -1 + 0.8 * -1 * -2))
    terms.loss.backward()
    assert logprobs.grad.tolist() == pytest.approx([-1.28, 0.8])


def test_divergences_by_hand():
    logprobs, reference = torch.tensor(-1.0), torch.tensor(-1.1)
    assert float(k1(logprobs, reference)) == pytest.approx(0.1)
    assert float(k2(logprobs, reference)) == pytest.approx(0.005)
    one, options = logprobs[None], LossOptions(kl="k2", kl_coef=2.0)
    terms = policy_loss(one, one, torch.zeros(1), torch.ones(1), options, reference=reference[None])
    assert float(terms.loss) == pytest.approx(0.01, abs=1e-6)


@pytest.mark.parametrize("kl", ["k1", "k2", "k3"])
@pytest.mark.parametrize("ratio", ["token", "turn", "turn_sum", "sequence"])
def test_the_gradient_is_that_of_the_loss(ratio, kl):
    """Against central differences, in float64, away from the bounds."""
    rng = torch.Generator().manual_seed(3)
    sampled = -torch.rand(7, generator=rng, dtype=torch.float64) - 0.5
    logprobs = (sampled + 0.05 * torch.randn(7, generator=rng, dtype=torch.float64)).requires_grad_()
    reference = sampled - 0.1
    advantage, weight = torch.randn(7, generator=rng, dtype=torch.float64), torch.rand(7, generator=rng, dtype=torch.float64)
    turn, sample = torch.tensor([0, 0, 1, 1, 1, 2, 3]), torch.tensor([0, 0, 0, 0, 0, 1, 1])
    options = LossOptions(ratio=ratio, kl=kl, kl_coef=0.3, clip_low=0.5, clip_high=0.5)

    def loss(x):
        return policy_loss(x, sampled, advantage, weight, options, turn=turn, sample=sample, reference=reference).loss

    assert torch.autograd.gradcheck(loss, (logprobs,), atol=1e-7)


@pytest.mark.parametrize("ratio", ["token", "turn", "turn_sum", "sequence"])
@pytest.mark.parametrize("objective", ["clip", "cispo"])
def test_on_policy_every_form_has_the_policy_gradient(ratio, objective):
    """At a ratio of 1 what a token gets is its weight times its advantage, spread over its turn or sample where that is the level."""
    logprobs = torch.tensor([-1.0, -2.0, -0.5], requires_grad=True)
    weight, advantage = torch.full((3,), 1 / 3), torch.tensor([2.0, 2.0, 2.0])
    turn = torch.tensor([0, 0, 0])
    options = LossOptions(ratio=ratio, objective=objective)
    policy_loss(logprobs, logprobs.detach(), advantage, weight, options, turn=turn, sample=turn).loss.backward()
    expected = 2.0 if ratio == "turn_sum" and objective == "clip" else 2 / 3
    assert logprobs.grad.tolist() == pytest.approx([-expected] * 3)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"ratio": "word"}, "ratio is 'word'; allowed: token, turn"),
        ({"objective": "clipped"}, "objective is 'clipped'; allowed: clip, cispo"),
        ({"kl": "k4"}, "kl is 'k4'; allowed: k1, k2, k3"),
        ({"dual_clip": 0.5}, "dual_clip is 0.5; allowed: above 1"),
        ({"dual_clip": 3.0, "objective": "cispo"}, "dual_clip is for the objective clip"),
    ],
)
def test_unknown_forms_of_the_loss_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        LossOptions(**options)


@pytest.mark.parametrize("ratio", ["turn", "turn_sum"])
def test_ratios_of_turns_are_the_same_however_the_episode_is_cut(model, ratio):
    """An episode in one sample or a sample for each turn, packed with others or alone: one update."""
    episodes = random_trajectories(4, 5, logprob=-4.0)
    advantages = np.random.default_rng(4).normal(size=sum(len(t.turns) for t in episodes))
    found = []
    for merge, budget in ((True, 8192), (False, 8192), (True, 1)):
        twin = copy.deepcopy(model)
        options = LossOptions(ratio=ratio, clip_low=0.9, clip_high=9.0)
        Learner(twin, lr=1e-2, loss=options, token_budget=budget).update(assemble(episodes, advantages, merge=merge))
        found.append(weights(twin))
    for other in found[1:]:
        torch.testing.assert_close(other, found[0], atol=1e-4, rtol=0)


@pytest.mark.parametrize(
    ("schedule", "expected"), [("constant", [0.5, 1, 1, 1, 1]), ("linear", [0.5, 1, 1, 0.5, 0]), ("cosine", [0.5, 1, 1, 0.5, 0])]
)
def test_schedules(schedule, expected):
    rates = [learning_rate(s, base=1.0, schedule=schedule, warmup=2, total=6) for s in (0, 1, 2, 4, 6)]
    assert rates == pytest.approx(expected)


def test_zero_learning_rate_changes_nothing_and_a_positive_one_does(model):
    before = weights(model)
    Learner(model, lr=0.0).update(batch())
    assert torch.equal(weights(model), before)
    metrics = Learner(model, lr=1e-3).update(batch())
    assert not torch.equal(weights(model), before)
    assert metrics["grad_norm"] > 0
    assert metrics["trained_tokens"] == sum(int(s.action.sum()) for s in batch())


def test_imitation_overfits_one_batch(model):
    samples = assemble(random_trajectories(2, 3, group=1))
    learner = Learner(model, lr=1e-2)
    losses = [learner.imitate(samples)["loss"] for _ in range(60)]
    assert losses[0] > math.log(VOCABULARY) - 0.5
    assert losses[-1] < 0.05


def test_a_rewarded_action_becomes_more_likely_and_a_punished_one_less(model):
    samples = batch(3, 4)
    samples = [s for s in samples if s.action.any()][:2]
    up, down = samples
    up.advantage[:] = up.action
    down.advantage[:] = -down.action.astype(np.float32)
    learner = Learner(model, lr=1e-3)
    before = [x.sum() for x in learner.logprobs([up, down])]
    for s, value in zip((up, down), learner.logprobs([up, down]), strict=True):
        s.logprobs[s.action] = value.numpy()
    metrics = learner.update([up, down])
    after = [x.sum() for x in learner.logprobs([up, down])]
    assert metrics["ratio_max"] == pytest.approx(1.0, abs=1e-5)
    assert after[0] > before[0]
    assert after[1] < before[1]


def test_samples_without_advantage_are_skipped_without_changing_the_gradient(model):
    samples = batch(4)
    for s in samples[:2]:
        s.advantage[:] = 0
    twin = copy.deepcopy(model)
    metrics = Learner(model, lr=1e-3).update(samples)
    assert metrics["skipped_samples"] == 2
    kept = Learner(twin, lr=1e-3, loss=LossOptions(kl_coef=1e-30), reference=copy.deepcopy(twin))
    assert kept.update(samples)["skipped_samples"] == 0
    torch.testing.assert_close(weights(model), weights(twin), atol=1e-5, rtol=0)


def test_all_advantages_zero_takes_no_step(model):
    samples = batch(4)
    for s in samples:
        s.advantage[:] = 0
    learner = Learner(model, lr=1e-3)
    assert learner.update(samples) == {"skipped_samples": float(len(samples)), "optimizer_steps": 0.0}
    assert learner.step == 0


def test_kl_term_pulls_towards_the_reference_and_needs_one(model):
    with pytest.raises(ValueError, match="no reference model"):
        Learner(model, lr=1e-3, loss=LossOptions(kl_coef=0.1))
    reference = copy.deepcopy(model)
    with torch.no_grad():
        for p in model.parameters():
            p.add_(0.05 * torch.randn(p.shape, generator=torch.Generator().manual_seed(0)))
    samples = batch(5)
    for s in samples:
        s.advantage[:] = 0
    learner = Learner(model, lr=3e-3, loss=LossOptions(kl_coef=1.0), reference=reference)
    kls = [learner.update(samples)["kl"] for _ in range(15)]
    assert kls[0] > 0.01
    assert kls[-1] < 0.5 * kls[0]


def test_lora_trains_only_the_adapter_and_its_base_is_the_reference(model):
    base = copy.deepcopy(model)
    policy = get_peft_model(model, LoraConfig(r=4, target_modules=["q_proj", "v_proj"], task_type="CAUSAL_LM"))
    learner = Learner(policy, lr=1e-2, loss=LossOptions(kl_coef=0.01), reference="base")
    first = learner.update(batch(6))
    second = learner.update(batch(6))
    assert first["kl"] == pytest.approx(0.0, abs=1e-6)
    assert second["kl"] > 1e-6
    frozen = {n.replace(".base_layer", ""): p for n, p in policy.get_base_model().named_parameters() if "lora_" not in n}
    for name, parameter in base.named_parameters():
        assert torch.equal(frozen[name], parameter), name


@pytest.mark.parametrize(("dtype", "optimizer"), [(torch.float32, "adamw"), (torch.float32, "muon"), (torch.bfloat16, "adamw")])
def test_saved_and_loaded_learners_continue_alike(dtype, optimizer):
    def run(stop=None):
        model = build_model(VOCABULARY, seed=3, hidden=32, layers=2, heads=4).to(dtype)
        learner = Learner(model, lr=1e-3, minibatches=2, schedule="cosine", total_steps=8, optimizer=optimizer)
        for number in range(4):
            if number == stop:
                state, parameters = copy.deepcopy(learner.state_dict()), copy.deepcopy(model.state_dict())
                model = build_model(VOCABULARY, seed=9, hidden=32, layers=2, heads=4).to(dtype)
                model.load_state_dict(parameters)
                learner = Learner(model, lr=1e-3, minibatches=2, schedule="cosine", total_steps=8, optimizer=optimizer)
                learner.load_state_dict(state)
            learner.update(batch(number))
        return weights(model)

    assert torch.equal(run(), run(stop=2))


def test_bfloat16_weights_move_by_steps_smaller_than_their_resolution():
    model = build_model(VOCABULARY, seed=3, hidden=32, layers=2, heads=4).to(torch.bfloat16)
    learner = Learner(model, lr=1e-5)
    before = torch.cat([m.flatten().clone() for m in learner._optimizer.master])
    learner.update(batch())
    assert not torch.equal(torch.cat([m.flatten() for m in learner._optimizer.master]), before)


def test_minibatches_split_whole_episodes_and_each_weighs_as_much_as_the_batch(model):
    learner = Learner(model, lr=0.0, minibatches=3)
    metrics = learner.update(batch(7))
    assert metrics["optimizer_steps"] == 3
    assert learner.step == 3


def test_a_gradient_that_is_not_finite_is_an_error_that_changes_nothing(model):
    before = weights(model)
    samples = batch(8)
    samples[0].advantage[samples[0].action] = np.inf
    with pytest.raises(FloatingPointError, match="gradient norm"):
        Learner(model, lr=1e-3).update(samples)
    assert torch.equal(weights(model), before)


def test_muon_moves_hidden_matrices_by_the_rms_of_adamw(model):
    before = {n: p.detach().clone() for n, p in model.named_parameters()}
    Learner(model, lr=1e-2, optimizer="muon", max_grad_norm=1e9).update(batch(9))
    moved = {n: (p.detach() - before[n]).square().mean().sqrt().item() for n, p in model.named_parameters()}
    # 0.2 * lr, up to the spread of Newton-Schulz's singular values (0.7 to 1.2)
    assert moved["model.layers.0.self_attn.q_proj.weight"] == pytest.approx(2e-3, rel=0.35)
    assert moved["model.layers.0.input_layernorm.weight"] == pytest.approx(1e-2, rel=0.05)


def test_unknown_optimizers_are_refused(model):
    with pytest.raises(ValueError, match="adamw, muon"):
        Learner(model, lr=1e-3, optimizer="sgd")
