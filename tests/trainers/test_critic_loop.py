"""Runs with a critic: what they write, that they resume as if they had not stopped, and what is refused before anything runs."""

import shutil

import pytest
import torch
from turnwise.agents.tiny import build_tiny
from turnwise.trainers.checkpoint import load_state
from turnwise.trainers.config import TrainConfig, load_config, quickened
from turnwise.trainers.loop import Training
from turnwise.trainers.progress import Display
from turnwise.trainers.runs import RunFolder
from turnwise.trajectory_io import read_trajectories

from .small import SMALL, rows, run, weights

TURN = {"estimator": "turn_ppo", "critic": {"trunk": "separate", "lr": 1e-3}}
TOKEN = {"estimator": "token_gae", "estimator_args": {"lam": 0.95}, "critic": {"level": "token", "coef": 0.5, "clip": 0.2}}
HEAD = {"estimator": "bilevel_gae", "critic": {"level": "token", "epochs": 3, "hidden": 8}, "aggregate": "rollout"}


def critic_state(folder):
    return load_state(RunFolder.open(folder).latest_checkpoint())["critic"]


def same(a, b):
    if isinstance(a, torch.Tensor):
        return torch.equal(a, b)
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(same(a[k], b[k]) for k in a)
    if isinstance(a, list):
        return len(a) == len(b) and all(map(same, a, b))
    return a == b


@pytest.mark.parametrize("options", [TURN, TOKEN, HEAD], ids=["separate", "shared", "detached"])
def test_a_run_with_a_critic_resumes_as_if_it_had_not_stopped(tmp_path, options):
    """Every step's file is kept for one step more, so that a run killed in its last step is one whose last checkpoint never was."""
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    _, summary = run(whole, **options, minibatches=2)
    shutil.copytree(whole, killed)
    shutil.rmtree(killed / "checkpoints" / "step-00003")
    (killed / "after.json").unlink()
    with Display() as display:
        resumed = Training(RunFolder.open(killed)).run(display)
    assert resumed["after"] == summary["after"]
    mine, other = weights(whole), weights(killed)
    assert all(torch.equal(mine[name], other[name]) for name in mine)
    assert same(critic_state(whole), critic_state(killed))
    assert critic_state(whole)["step"] > 3
    first, *_, last = rows(whole)
    assert {"value_loss", "explained_variance", "value_mean", "target_mean", "values", "critic_grad_norm"} <= set(last)
    assert (first["value_mean"], first["explained_variance"]) == (0.0, 0.0)
    assert last["value_mean"] != 0.0
    assert [{**row, "seconds": 0} for row in rows(killed)] == [{**row, "seconds": 0} for row in rows(whole)]
    trained = read_trajectories(whole / "trajectories" / "step-00003.jsonl")
    level = options["critic"].get("level", "turn")
    assert last["values"] == sum(len(t.turns) if level == "turn" else t.num_action_tokens for t in trained)


def test_the_critic_learns_alone_while_the_policy_waits(tmp_path):
    critic = {"coef": 1.0, "warmup_steps": 2}
    run(tmp_path / "a", estimator="turn_ppo", critic=critic, schedule="linear", steps=4, checkpoint_every=2)
    run(tmp_path / "w", steps=0)
    first, second, third, fourth = rows(tmp_path / "a")
    for row in (first, second):
        assert (row["optimizer_steps"], row["critic_steps"]) == (0.0, 1.0)
        assert "loss" not in row
    assert (third["optimizer_steps"], third["values_left_out"]) == (1.0, 0.0)
    assert third["ratio_max"] == pytest.approx(1.0, abs=1e-3)  # values on the trunk leave the policy as it sampled
    assert (third["lr"], fourth["lr"]) == pytest.approx((SMALL["lr"], SMALL["lr"] / 2))  # a schedule of two steps
    state, warmed = weights_of(tmp_path / "a", 2), weights(tmp_path / "w")
    assert all(torch.equal(state[name], warmed[name]) for name in warmed)
    assert not all(torch.equal(tensor, warmed[name]) for name, tensor in weights(tmp_path / "a").items())


def weights_of(folder, step):
    from safetensors.torch import load_file

    return load_file(folder / "checkpoints" / f"step-{step:05d}" / "model.safetensors")


def test_a_separate_trunk_of_a_policy_with_an_adapter_resumes(tmp_path):
    source = build_tiny(["<guess>12</guess> higher lower"], tmp_path / "base", vocab_size=300, hidden=32, layers=1)
    options = {"policy": str(source), "lora": {"r": 16}, "tiny": {}, "warm_lr": 0.03, "temperature": 0.3, "steps": 2}
    run(tmp_path / "run", **options, **TURN)
    saved = critic_state(tmp_path / "run")["weights"]
    assert critic_state(tmp_path / "run")["step"] == 2
    assert saved["head.layers.0.weight"].any()
    assert all(name.startswith("head.") or "lora_" in name for name in saved)
    again = Training(RunFolder.open(tmp_path / "run"))
    critic = again._open_critic()
    critic.load_state_dict(critic_state(tmp_path / "run"))
    assert same(critic.state_dict()["weights"], saved)


def test_a_run_without_a_critic_holds_none(tmp_path):
    run(tmp_path / "run", steps=1)
    assert critic_state(tmp_path / "run") is None
    assert not {"value_loss", "values"} & set(rows(tmp_path / "run")[0])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"estimator": "token_gae"}, r"'token_gae' needs values of every action token.*set critic: {level: token}"),
        ({"estimator": "turn_ppo"}, r"'turn_ppo' needs values of every turn.*set critic: {level: turn}"),
        ({"estimator": "bilevel_gae", "critic": {}}, r"'bilevel_gae' reads values of every token.*set critic: {level: token}"),
        ({"estimator": "ppr", "critic": {"level": "token"}}, r"'ppr' reads values of every turn.*set critic: {level: turn}"),
        ({"critic": {}}, r"'turn_rloo' reads no critic; remove critic, or take"),
        ({"estimator": "turn_ppo", "critic": {"coef": 0.5, "trunk": "separate"}}, r"coef is 0.5, which is for trunk: policy"),
        ({"estimator": "turn_ppo", "critic": {"coef": 0.5, "epochs": 2}}, r"epochs is 2, but with coef above 0"),
        ({"estimator": "turn_ppo", "critic": {"warmup_steps": 3}, "steps": 3}, r"warmup_steps is 3 of 3 steps"),
        ({"estimator": "turn_ppo", "critic": {"trunk": "seperate"}}, r"critic.trunk: Input should be 'policy' or 'separate'"),
        ({"estimator": "turn_ppo", "critic": {"rate": 1}}, r"critic.rate: Extra inputs"),
    ],
)
def test_what_does_not_go_together_is_refused_when_the_recipe_is_read(options, message):
    with pytest.raises(ValueError, match=message):
        load_config(None, options)


def test_a_quick_run_is_checked_for_the_steps_it_has(tmp_path):
    config = TrainConfig(**{**SMALL, "steps": 50, "estimator": "turn_ppo", "critic": {"warmup_steps": 8}})
    with pytest.raises(ValueError, match="warmup_steps is 8 of 5 steps"):
        Training(RunFolder.create(tmp_path / "run", quickened(config, [])))
