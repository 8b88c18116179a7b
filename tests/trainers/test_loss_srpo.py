"""Routing failures to the policy that is told of a success: golden weights, exact tokens, and a plain recomputation."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from turnwise.agents.render import Renderer
from turnwise.agents.tiny import build_model, build_tokenizer
from turnwise.records import Message, Outcome, StopReason, Task, TextPart, Trajectory, Turn
from turnwise.trainers.assemble import assemble
from turnwise.trainers.config import TrainConfig
from turnwise.trainers.demonstrate import tokenize_demonstration
from turnwise.trainers.distill import Routing, distillation_advantages, entropy_weights, routed, teachers, told
from turnwise.trainers.learner import Learner
from turnwise.trainers.loss import policy_loss


def test_goldens():
    weights = entropy_weights([0.1, 1.0, 2.0])
    assert weights.tolist() == pytest.approx([1.927849, 0.783805, 0.288346], abs=1e-6)
    assert weights.mean() == pytest.approx(1.0)
    assert entropy_weights([0.1, 1.0, 2.0], beta=0.0).tolist() == [1.0] * 3
    assert entropy_weights([]).tolist() == []
    assert routed([True, False, False, True], [True, True, False, False]).tolist() == [False, True, False, False]


def test_the_advantage_gives_minus_the_gradient_of_the_reverse_kl():
    """Summed over what may be sampled, with its probabilities, the gradient is that of KL(policy || teacher), here by autograd."""
    rng = torch.Generator().manual_seed(0)
    logits = torch.randn(5, generator=rng, dtype=torch.float64, requires_grad=True)
    teacher = torch.log_softmax(torch.randn(5, generator=rng, dtype=torch.float64), -1)
    policy = torch.log_softmax(logits, -1)
    advantage = torch.from_numpy(distillation_advantages(teacher, policy.detach(), np.full(5, 0.5)))
    policy_loss(policy, policy.detach(), advantage, policy.detach().exp()).loss.backward(retain_graph=True)
    (expected,) = torch.autograd.grad(0.5 * (policy.exp() * (policy - teacher)).sum(), logits)
    torch.testing.assert_close(logits.grad, expected)


@pytest.fixture(scope="module")
def parts():
    tokenizer = build_tokenizer(["guess the number higher lower", "<guess>12</guess> one two three"], vocab_size=330)
    model = build_model(len(tokenizer), seed=2, hidden=32, layers=2, heads=2)
    return model, Renderer(tokenizer)


def episode(renderer, said, score, *, rollout=0, seed=0, prompt=None):
    prompt = prompt or (Message(role="system", content="play"), Message(role="user", content="guess the number"))
    seen = [prompt] + [(Message(role="user", content="higher"),)] * (len(said) - 1)
    turns = [
        Turn(index=n, observation=o, action=Message(role="assistant", content=a)) for n, (o, a) in enumerate(zip(seen, said, strict=True))
    ]
    task = Task(id="t", env_id="x", split="train", prompt=prompt)
    stop = StopReason.SUCCESS if score >= 1 else StopReason.MAX_TURNS
    made = Trajectory(task=task, turns=tuple(turns), outcome=Outcome(score=score), stop=stop, rollout=rollout, env_seed=seed)
    made = tokenize_demonstration(made, renderer)
    sampled = [replace(t, tokens=replace(t.tokens, logprobs=(-3.0,) * len(t.tokens.action_ids))) for t in made.turns]
    return replace(made, turns=tuple(sampled))


def test_failures_take_the_successes_of_their_group_in_turn(parts):
    _, renderer = parts
    a, b = episode(renderer, ["one"], 1.0), episode(renderer, ["two"], 1.0, rollout=1)
    lost = [episode(renderer, ["three"], 0.0, rollout=n) for n in (2, 3, 4)]
    void = replace(lost[0], outcome=Outcome.void("x"), stop=StopReason.ENV_FAULT)
    alone = episode(renderer, ["three"], 0.0, seed=1)
    assert teachers([lost[0], a, lost[1], void, b, lost[2], alone]) == [a, None, b, None, None, a, None]


def test_the_teacher_sees_the_success_and_scores_the_very_same_tokens(parts):
    _, renderer = parts
    lost, won = episode(renderer, ["one", "two"], 0.0), episode(renderer, ["three", "<guess>12</guess>"], 1.0)
    view = told(lost, won, renderer, feedback=" HINT {actions} END")
    assert [t.tokens.action_ids for t in view.turns] == [t.tokens.action_ids for t in lost.turns]
    assert view.turns[1].tokens.context_ids == lost.turns[1].tokens.context_ids
    text = renderer.tokenizer.decode(view.turns[0].tokens.context_ids)
    assert "guess the number HINT 1. three\n2. <guess>12</guess> END<|im_end|>" in text
    # a context that was rebuilt in the episode is rebuilt with the hint
    again = replace(lost.turns[1].tokens, context_ids=(1, 2), restart=True)
    view = told(replace(lost, turns=(lost.turns[0], replace(lost.turns[1], tokens=again))), won, renderer, feedback=" HINT {actions}")
    text = renderer.tokenizer.decode(view.turns[1].tokens.context_ids)
    assert "HINT 1. three" in text
    assert "one<|im_end|>" in text
    for prompt in ((Message(role="system", content="play"),), (Message(role="user", content=(TextPart(text="guess"),)),)):
        bare = told(episode(renderer, ["one"], 0.0, prompt=prompt), won, renderer, feedback=" HINT {actions}")
        assert "HINT 1. three" in renderer.tokenizer.decode(bare.turns[0].tokens.context_ids)


def plain(model, ids, action):
    """(log-probs, entropies) of the action tokens of one sequence, by a plain forward pass."""
    with torch.no_grad():
        logprobs = torch.log_softmax(model(input_ids=torch.from_numpy(ids)[None]).logits[0].float(), -1)
    at = np.flatnonzero(action)
    rows = logprobs[at - 1].double()
    return rows[torch.arange(len(at)), torch.from_numpy(ids[at])].numpy(), -(rows.exp() * rows).sum(-1).numpy()


def test_advantages_of_failures_are_replaced_and_those_of_others_kept(parts):
    model, renderer = parts
    won, lost = episode(renderer, ["three"], 1.0), episode(renderer, ["one", "two two"], 0.0, rollout=1)
    quiet = episode(renderer, ["one", "two", "one"], 0.0, rollout=2)
    quiet = replace(quiet, turns=(quiet.turns[0], replace(quiet.turns[1], trained=False), quiet.turns[2]))
    alone = episode(renderer, ["one"], 0.0, seed=1)
    batch = [lost, won, quiet, alone]
    tokens = [sum(len(u.tokens.action_ids) for u in t.turns) for t in batch]
    given = np.arange(1.0, sum(tokens) + 1)
    found, counts = Routing(Learner(model, lr=0.0).scores, renderer, max_tokens=2000)(batch, given)
    teacher, entropy = [], []
    for own in (lost, quiet):
        (sample,) = assemble([told(own, won, renderer)])
        p, h = plain(model, sample.ids, sample.action)
        teacher.append(p)
        entropy.append(h)
    weight = np.exp(-np.concatenate(entropy))
    expected = weight / weight.mean() * (np.concatenate(teacher) + 3.0)
    parts_of = np.split(found, np.cumsum(tokens)[:-1])
    middle = np.concatenate([[turn.trained] * len(turn.tokens.action_ids) for turn in quiet.turns]).astype(bool)
    assert np.concatenate([parts_of[0], parts_of[2][middle]]).tolist() == pytest.approx(expected.tolist(), abs=1e-4)
    before = np.split(given, np.cumsum(tokens)[:-1])
    assert parts_of[1].tolist() == before[1].tolist()
    assert parts_of[2][~middle].tolist() == before[2][~middle].tolist()
    assert parts_of[3].tolist() == before[3].tolist()
    assert {name: counts[name] for name in ("srpo_distilled", "srpo_untold", "srpo_too_long")} == {
        "srpo_distilled": 2,
        "srpo_untold": 1,
        "srpo_too_long": 0,
    }
    assert counts["srpo_kl"] == pytest.approx(float((-3.0 - np.concatenate(teacher)).mean()), abs=1e-4)
    assert given.tolist() == np.arange(1.0, sum(tokens) + 1).tolist()


def test_what_does_not_fit_keeps_its_advantages_and_is_counted(parts):
    model, renderer = parts
    batch = [episode(renderer, ["three"], 1.0), episode(renderer, ["one"], 0.0, rollout=1)]
    given = np.ones(sum(len(t.turns[0].tokens.action_ids) for t in batch))
    found, counts = Routing(Learner(model, lr=0.0).scores, renderer, max_tokens=20)(batch, given)
    assert found.tolist() == given.tolist()
    assert (counts["srpo_too_long"], counts["srpo_distilled"], counts["srpo_untold"]) == (1, 0, 0)


def test_it_does_not_go_with_gvpo():
    with pytest.raises(ValueError, match="leave one of them out"):
        TrainConfig(objective="gvpo", srpo_beta=1.0).loss_options()
