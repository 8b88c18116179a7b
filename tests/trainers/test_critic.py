"""Values: what they are read off, what they learn, whom their gradient reaches."""

import copy
import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from peft import LoraConfig, get_peft_model
from turnwise.agents.render import Renderer
from turnwise.agents.rollout import rollout
from turnwise.agents.scripted import ScriptedAgent
from turnwise.agents.tiny import build_model, build_tokenizer
from turnwise.agents.vision import image_reader
from turnwise.trainers.assemble import assemble
from turnwise.trainers.config_parts import CriticConfig
from turnwise.trainers.crediting import Estimated
from turnwise.trainers.critic import Critic, StepValues, explained_variance, update_both, value_loss
from turnwise.trainers.demonstrate import tokenize_demonstration
from turnwise.trainers.learner import Learner
from turnwise.trainers.states import shares, states_of

from .conftest import VOCABULARY, random_trajectories, trajectory
from .doors_kit import ASK, Doors, Rooms, Walker
from .vision_kit import load, play


@pytest.fixture(scope="module")
def doors():
    """(tokenizer size, the four episodes with their tokens)."""
    renderer = Renderer(build_tokenizer([ASK, "gold", "dust", "leave"], vocab_size=300))
    played = rollout(Doors, ScriptedAgent(Walker), Rooms().get_task_range("train", 0, 4), seed=0)
    return len(renderer.tokenizer), [tokenize_demonstration(t, renderer) for t in sorted(played, key=lambda t: t.task.id)]


def critic_of(model, *, head=None, **options):
    own = {k: options.pop(k) for k in ("minibatches", "token_budget", "images", "seed") if k in options}
    critic = Critic(model, CriticConfig(**options), **own)
    if head is not None:
        shake(critic.head, head)
    return critic


def shake(module, seed, size=1.0):
    with torch.no_grad():
        for p in module.parameters():
            p.add_(size * torch.randn(p.shape, generator=torch.Generator().manual_seed(seed)))


def flat(module):
    return torch.cat([p.detach().flatten() for p in module.parameters()]).clone()


def lesson_of(critic, episodes, seed=0):
    values = critic.values(episodes)
    return critic.lesson(episodes, values, np.random.default_rng(seed).normal(size=len(values)))


# ---- what is learned -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "options",
    [
        {"trunk": "separate", "lr": 3e-3},
        {"trunk": "policy", "lr": 3e-2, "epochs": 10},
        {"trunk": "policy", "lr": 3e-2, "epochs": 4, "hidden": 16},
        {"trunk": "policy", "lr": 3e-2, "coef": 1.0},
    ],
    ids=str,
)
@pytest.mark.parametrize("lam", [1.0, 0.5])
def test_turn_values_become_the_true_ones(doors, options, lam):
    """Before the doors 0.2 + (1 + 0.25) / 2; then what the room pays. With lambda 0.5 only by way of the critic's own values."""
    size, episodes = doors
    model = build_model(size, seed=3, hidden=32, layers=2, heads=4)
    shake(model, 5, 0.2)  # as built, layers hardly mix positions, and all rooms look alike to a head
    critic, learner = critic_of(model, **options), Learner(model, lr=1e-4)
    samples = assemble(episodes, np.zeros(8))
    assert critic.values(episodes).tolist() == [0.0] * 8
    for _ in range(150):
        credit = Estimated("turn_ppo", {"gamma": 1.0, "lam": lam}, values=StepValues(critic))
        row = update_both(learner, critic, samples, episodes, credit, step=0)
    assert critic.values(episodes) == pytest.approx([0.825, 1.0, 0.825, 0.25] * 2, abs=0.02)
    assert row["value_loss"] == pytest.approx(0.5 * 0.375**2 / 2, abs=2e-3) if lam == 1.0 else row["value_loss"] < 0.1
    assert (row["values"], row["turns_without_tokens"]) == (8.0, 0.0)


def test_token_values_become_the_true_ones(doors):
    """As soon as the door is named its room is known."""
    size, episodes = doors
    critic = critic_of(build_model(size, seed=3, hidden=32, layers=2, heads=4), trunk="separate", level="token", lr=3e-3)
    for _ in range(120):
        credit = Estimated("token_gae", {}, values=StepValues(critic))
        values, targets = credit.targets(episodes)
        row = critic.update(critic.lesson(episodes, values, targets))
    sizes = [t.num_action_tokens for t in episodes]
    assert row["value_loss"] == pytest.approx(0.5 * 0.375**2 * 4 / sum(sizes), abs=2e-3)  # which door it will be nobody knows
    rows = np.split(critic.values(episodes), np.cumsum(sizes)[:-1])
    for episode, own, (room, named) in zip(episodes, rows, [(1.0, 1.2), (0.25, 0.45)] * 2, strict=True):
        first = len(episode.turns[0].tokens.action_ids)
        expected = [0.825] + [named] * (first - 1) + [room] * (len(own) - first)
        assert own == pytest.approx(expected, abs=0.03)


def test_targets_are_the_returns_of_the_estimators_own_rewards(doors):
    _, episodes = doors
    episodes = episodes[:1]  # 0.2, then 1

    def targets(name, values, **parameters):
        given, found = Estimated(name, parameters, values=lambda _: np.asarray(values)).targets(episodes)
        assert given.tolist() == values
        return found.tolist()

    assert targets("turn_ppo", [0.5, 0.5], gamma=1.0, lam=1.0) == pytest.approx([1.2, 1.0])
    assert targets("turn_ppo", [0.5, 0.5], gamma=0.9, lam=0.0) == pytest.approx([0.2 + 0.45, 1.0])
    assert targets("spa", [0.5, 0.5]) == pytest.approx([0.2, 0.0])
    assert targets("ppr", [0.5, 0.5], beta=1.0) == pytest.approx([1.2, 1.0])
    counts = [len(turn.tokens.action_ids) for turn in episodes[0].turns]
    assert targets("token_gae", [0.5] * sum(counts)) == pytest.approx([1.2] * counts[0] + [1.0] * counts[1])
    assert targets("bilevel_gae", [0.5] * sum(counts), turn_gamma=0.5) == pytest.approx([0.7] * counts[0] + [1.0] * counts[1])
    with pytest.raises(ValueError, match=r"'turn_ppo' was given no values.*pass values="):
        Estimated("turn_ppo", {}).targets(episodes)
    with pytest.raises(ValueError, match=r"\(3,\) values for 2 turns; give one per turn"):
        Estimated("turn_ppo", {}, values=lambda _: np.zeros(3))(episodes)


def test_the_loss_is_the_larger_of_the_plain_and_the_clipped_one():
    columns = [[1.0, 0.5, -1.0], [0.0, 2.0, -1.0], [0.6, 0.0, -1.0], [0.5, 0.25, 0.25]]
    values, target, old, weight = (torch.tensor(c, dtype=torch.float64) for c in columns)
    # 0.5 (0.5 * 1 + 0.25 * 2.25); the second value may move from 0 to 0.2 alone: (2 - 0.2)^2 = 3.24
    assert float(value_loss(values, target, old, weight)) == pytest.approx(0.53125)
    assert float(value_loss(values, target, old, weight, 0.2)) == pytest.approx(0.5 * (0.5 + 0.25 * 3.24))
    # d/dV: w (V - R), and 0 where the clipped error is the larger one
    values.requires_grad_()
    value_loss(values, target, old, weight, 0.2).backward()
    assert values.grad.tolist() == pytest.approx([0.5, 0.0, 0.0])
    off = torch.tensor([1.1, 0.45, -0.9], dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda v: value_loss(v, target, old, weight, 0.2), (off,))
    assert torch.autograd.gradcheck(lambda v: value_loss(v, target, old, weight), (off,))


def test_explained_variance():
    target, weight = np.array([0.0, 1.0, 9.0]), np.array([0.5, 0.5, 0.0])
    assert explained_variance(target, target, weight) == 1.0
    assert explained_variance(np.array([5.0, 5.0, 0.0]), target, weight) == pytest.approx(0.0)
    assert explained_variance(np.array([0.0, 0.5, 0.0]), target, weight) == pytest.approx(0.75)
    assert explained_variance(target, np.ones(3), weight) == 0.0


# ---- whom the gradient reaches -------------------------------------------------------------------------------------


def trunk_gradient(model, coef, episodes):
    critic = critic_of(model, head=1, coef=coef)
    lesson = lesson_of(critic, episodes)
    row = critic.beside(lesson)({s.rollout for s in lesson.states.samples})
    found = torch.cat([torch.zeros(p.numel()) if p.grad is None else p.grad.flatten() for p in model.parameters()])
    model.zero_grad()
    return found, row, flat(critic.head)


def test_coef_weighs_what_the_trunk_is_told_and_not_what_the_head_learns(model):
    episodes = random_trajectories(1)
    half, row, head = trunk_gradient(model, 0.5, episodes)
    whole, same, same_head = trunk_gradient(model, 1.0, episodes)
    assert whole.abs().max() > 1e-3
    torch.testing.assert_close(2 * half, whole, atol=1e-6, rtol=1e-4)
    assert row == same
    torch.testing.assert_close(head, same_head)


def test_the_trunks_gradient_is_that_of_the_loss(model):
    episodes = random_trajectories(2)
    critic = critic_of(model, head=1, coef=1.0, token_budget=30)
    lesson = lesson_of(critic, episodes)
    critic.beside(lesson)({s.rollout for s in lesson.states.samples})
    parameter = model.model.layers[0].self_attn.v_proj.weight
    place = np.unravel_index(int(parameter.grad.abs().argmax()), parameter.shape)
    same = critic_of(model, head=1)  # the other one's head has learned

    def loss(step):
        with torch.no_grad():
            parameter[place] += step
            found = value_loss(torch.from_numpy(same.values(episodes)), lesson.target, lesson.old, lesson.weight)
            parameter[place] -= step
        return float(found)

    assert (loss(1e-2) - loss(-1e-2)) / 2e-2 == pytest.approx(float(parameter.grad[place]), rel=1e-2)


@pytest.mark.parametrize("trunk", ["policy", "separate"])
def test_without_coef_the_policy_is_left_alone(model, trunk):
    episodes = random_trajectories(3)
    before, state = flat(model), torch.random.get_rng_state()
    critic = critic_of(model, head=1, trunk=trunk, epochs=2, minibatches=2, lr=1e-2)
    trunk_before = flat(critic.trunk)
    row = critic.update(lesson_of(critic, episodes))
    assert row["critic_steps"] == 4
    assert torch.equal(flat(model), before)
    assert all(p.grad is None for p in model.parameters())
    assert torch.equal(flat(critic.trunk), trunk_before) == (trunk == "policy")
    assert torch.equal(torch.random.get_rng_state(), state)


def test_nothing_beside_the_policys_gradient_changes_nothing(model):
    twin = copy.deepcopy(model)
    samples = assemble(
        random_trajectories(4, logprob=-4.0), np.random.default_rng(0).normal(size=len(states_of(random_trajectories(4), "turn").tokens))
    )
    one, other = Learner(model, lr=1e-3, minibatches=2), Learner(twin, lr=1e-3, minibatches=2)
    assert one.update(samples) == other.update(samples, beside=lambda _: {})
    assert torch.equal(flat(model), flat(twin))


def test_an_adapter_is_the_trunk_that_learns(model):
    policy = get_peft_model(model, LoraConfig(r=4, target_modules=["q_proj", "v_proj"], task_type="CAUSAL_LM"))
    critic = critic_of(policy, head=1, trunk="separate", lr=1e-2)
    assert {n.split(".")[0] for n in critic.state_dict()["weights"]} == {"head", "trunk"}
    frozen = {n: p.detach().clone() for n, p in critic.trunk.named_parameters() if "lora_" not in n}
    critic.update(lesson_of(critic, random_trajectories(5)))
    after = dict(critic.trunk.named_parameters())
    assert all(torch.equal(after[n], p) for n, p in frozen.items())
    moved = [n for n, p in policy.named_parameters() if "lora_" in n and not torch.equal(after[n], p)]
    assert moved
    assert all("lora_" in n for n in critic.state_dict()["weights"] if n.startswith("trunk."))


# ---- what values are read off --------------------------------------------------------------------------------------

TURNS = [([1, 2, 3], [7, 8], [-1.0, -1.0]), ([3, 4], [9], [-1.0]), ([5], [6, 6], [-1.0, -1.0])]
WHOLE = [1, 2, 3, 7, 8, 3, 4, 9, 5]


@pytest.fixture
def sharp(model):
    shake(model, 5, 0.2)  # as built, layers hardly mix positions
    return model


@pytest.mark.parametrize("level", ["turn", "token"])
def test_values_are_those_of_a_plain_forward_pass_however_episodes_are_cut_and_packed(sharp, level):
    critic = critic_of(sharp, head=2, level=level)
    forked = trajectory([TURNS[0], TURNS[1], (WHOLE, *TURNS[2][1:])], restarts=(2,))
    found = critic.values([trajectory(TURNS)])
    with torch.no_grad():
        ids = torch.tensor([[*WHOLE, 6, 6]])
        hidden = copy.deepcopy(sharp).model(input_ids=ids).last_hidden_state[0]
        own = critic.head(hidden)[[2, 6, 8] if level == "turn" else [2, 3, 6, 8, 9]]
    assert found == pytest.approx(own.tolist(), abs=1e-5)
    assert critic.values([forked]) == pytest.approx(found, abs=1e-5)
    assert critic.values([trajectory(TURNS)], merge=False) == pytest.approx(found, abs=1e-5)
    episodes = random_trajectories(7, 9)
    together = critic.values(episodes)
    assert np.ptp(together) > 0.5
    assert np.concatenate([critic.values([t]) for t in episodes]) == pytest.approx(together, abs=1e-5)
    for budget in (40, 1):
        assert critic_of(sharp, head=2, level=level, token_budget=budget).values(episodes) == pytest.approx(together, abs=1e-5)


def test_a_value_does_not_know_what_is_done_next(sharp):
    turn, token = critic_of(sharp, head=2), critic_of(sharp, head=2, level="token")
    other = trajectory([*TURNS[:2], ([5], [6, 20], [-1.0, -1.0])])
    assert turn.values([other]).tolist() == turn.values([trajectory(TURNS)]).tolist()
    assert token.values([other]).tolist() == token.values([trajectory(TURNS)]).tolist()
    other = trajectory([([1, 2, 3], [7, 21], [-1.0, -1.0]), *TURNS[1:]])
    differ = token.values([other]) != token.values([trajectory(TURNS)])
    assert differ.tolist() == [False, False, True, True, True]


def test_turns_that_are_voided_empty_or_not_trained(sharp):
    critic = critic_of(sharp, head=2)
    full = trajectory(TURNS)
    own = critic.values([full]).tolist()
    silent = trajectory([TURNS[0], ([3, 4, 9], [], []), TURNS[2], ([2], [], [])])
    void = trajectory(TURNS, valid=False)
    watched = replace(full, turns=(full.turns[0], replace(full.turns[1], trained=False), full.turns[2]))
    found = critic.values([void, silent, watched])
    assert found[:3].tolist() == [0.0] * 3
    # a turn without tokens is worth what the next one is, and the last of all nothing
    assert found[3:7] == pytest.approx([own[0], own[2], own[2], 0.0], abs=1e-5)
    assert found[7:] == pytest.approx(own, abs=1e-5)
    lesson = critic.lesson([void, silent, watched], found, np.ones(10))
    assert lesson.weight.tolist() == pytest.approx([0, 0, 0, 0.2, 0, 0.2, 0, 0.2, 0.2, 0.2])
    token = critic_of(sharp, head=2, level="token")
    assert token.values([void, silent]).shape == (5 + 4,)
    row = update_both(
        Learner(sharp, lr=0.0),
        critic,
        assemble([void, silent, watched], np.ones(10)),
        [void, silent, watched],
        Estimated("turn_ppo", {}, values=StepValues(critic)),
        step=0,
    )
    assert (row["values"], row["turns_without_tokens"]) == (5.0, 2.0)
    untold = replace(full, turns=tuple(replace(turn, tokens=None) for turn in full.turns))
    with pytest.raises(ValueError, match="no tokens were recorded"):
        critic.values([untold])


def test_every_value_or_every_episode_weighs_the_same():
    episodes = [trajectory(TURNS), trajectory(TURNS[:1]), trajectory(TURNS, valid=False)]
    states = states_of(episodes, "turn")
    assert shares(episodes, states, "token").tolist() == [0.25] * 4 + [0.0] * 3
    assert shares(episodes, states, "rollout") == pytest.approx([1 / 6] * 3 + [0.5] + [0.0] * 3)
    states = states_of(episodes, "token")
    assert shares(episodes, states, "rollout") == pytest.approx([0.1] * 5 + [0.25] * 2 + [0.0] * 5)
    assert shares(episodes[2:], states_of(episodes[2:], "turn"), "token").tolist() == [0.0] * 3


@pytest.mark.parametrize("trunk", ["policy", "separate"])
def test_every_minibatch_weighs_as_much_as_the_step(model, trunk):
    critic = critic_of(model, trunk=trunk, minibatches=3, lr=1e-9)
    episodes = random_trajectories(11)
    values = critic.values(episodes)
    row = critic.update(critic.lesson(episodes, values, values + 1.0))
    assert (row["value_loss"], row["critic_steps"]) == (pytest.approx(0.5), 3.0)


def test_nothing_to_learn_takes_no_step(model):
    critic = critic_of(model)
    void = [trajectory(TURNS, valid=False)]
    row = update_both(Learner(model, lr=1e-3), critic, [], void, Estimated("turn_ppo", {}, values=StepValues(critic)), step=0)
    assert row == {"values": 0.0, "turns_without_tokens": 0.0, "critic_steps": 0.0, "skipped_samples": 0.0, "optimizer_steps": 0.0}
    assert critic.values([]).tolist() == StepValues(critic)([]).tolist() == []


def test_the_values_of_a_step_are_read_once(model):
    critic = critic_of(model, head=3)
    episodes = random_trajectories(8)
    values = StepValues(critic)
    first = values(episodes[:4])
    assert first == pytest.approx(critic.values(episodes[:4]), abs=1e-6)
    shake(critic.head, 9)
    assert values(episodes[:4]).tolist() == first.tolist()
    fresh = critic.values(episodes[4:])
    assert values([episodes[5], episodes[0], episodes[4]]).tolist()[-len(episodes[4].turns) :] == pytest.approx(
        fresh[: len(episodes[4].turns)].tolist(), abs=1e-6
    )


@pytest.mark.parametrize("family", ["qwen3_vl", "qwen2_5_vl"])
def test_values_of_what_was_seen(tmp_path, family):
    from turnwise.agents.policy import PolicyAgent

    model, processor = load(tmp_path, family)
    episodes = play(PolicyAgent(model, processor, max_new_tokens=4))
    for level in ("turn", "token"):
        critic = critic_of(model, head=2, level=level, images=image_reader(processor))
        together = critic.values(episodes)
        alone = [critic.values([t]) for t in episodes]
        assert together == pytest.approx(np.concatenate(alone), abs=1e-4)
        assert critic.values(episodes, merge=False) == pytest.approx(together, abs=1e-4)
        # equal text, another picture
        assert math.dist(alone[0][:1], alone[2][:1]) > 1e-3


# ---- the whole of it -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("options", [{"trunk": "separate"}, {"hidden": 8, "epochs": 2}], ids=str)
def test_saved_and_loaded_critics_continue_alike(dtype, options):
    def run(stop=None):
        model = build_model(VOCABULARY, seed=3, hidden=32, layers=2, heads=4).to(dtype)
        critic = critic_of(model, minibatches=2, seed=4, **options)
        for number in range(4):
            if number == stop:
                state = copy.deepcopy(critic.state_dict())
                critic = critic_of(copy.deepcopy(model), minibatches=2, seed=4, **options)
                critic.load_state_dict(state)
            critic.update(lesson_of(critic, random_trajectories(number), number))
        return critic.values(random_trajectories(9)), critic.step

    whole, stopped = run(), run(stop=2)
    assert whole[1] == stopped[1] == 8 * options.get("epochs", 1)
    assert whole[0].any()
    assert whole[0].tolist() == stopped[0].tolist()


def test_the_state_of_another_critic_is_refused(model):
    with pytest.raises(ValueError, match=r"another kind \(weights that only one has: head.layers"):
        critic_of(model).load_state_dict(critic_of(model, hidden=4).state_dict())


def test_a_gradient_that_is_not_finite_names_the_critic(model):
    critic = critic_of(model, head=1)
    episodes = random_trajectories(1)
    lesson = critic.lesson(episodes, critic.values(episodes), np.full(sum(len(t.turns) for t in episodes), np.inf))
    with pytest.raises(FloatingPointError, match="at step 0 of the critic"):
        critic.update(lesson)
