"""The whole job with pictures: a tiny policy overfits ten of them, resumes bit for bit, trains with LoRA, a reference and keep_images."""

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch
import turnwise
import yaml
from safetensors.torch import load_file
from turnwise.agents.tiny_vision import build_tiny_vlm
from turnwise.agents.vision import VisionProcessor
from turnwise.trainers.config import TrainConfig
from turnwise.trainers.loop import Training
from turnwise.trainers.policies import policy_agent
from turnwise.trainers.progress import Display
from turnwise.trainers.runs import RunFolder
from turnwise.trajectory_io import read_trajectories, write_trajectories

from .vision_kit import TEXTS, play

BASE = {
    "env": "test/Squares-v0",
    "policy": "tiny-vlm",
    "tiny": {"hidden": 32, "layers": 2, "heads": 2, "vocab_size": 300, "vision_hidden": 32, "vision_layers": 2},
    "warm_episodes": 10,
    "warm_batch": 10,
    "warm_lr": 6e-3,
    "groups": 4,
    "group_size": 4,
    "lr": 4e-4,
    "max_new_tokens": 20,
    "eval_split": "train",
    "allow_train": True,
    "eval_tasks": 10,
}


def run(folder, **changes):
    training = Training(RunFolder.create(folder, TrainConfig(**{**BASE, **changes})))
    with Display() as display:
        return training, training.run(display)


def success(folder, name):
    results = json.loads((folder / f"{name}.json").read_text())
    return {label: results[label]["success"]["mean"] for label in ("sampled", "greedy")}


@pytest.mark.slow
@pytest.mark.parametrize(("name", "epochs"), [("tiny-vlm", 220), ("tiny-vlm-2.5", 320)])
def test_ten_pictures_are_learned_by_heart_from_demonstrations(tmp_path, name, epochs):
    run(tmp_path / "run", policy=name, warm_epochs=epochs, steps=0)
    assert success(tmp_path / "run", "after")["sampled"] >= 0.9
    # and by looking: the same policy on the same words with the pictures exchanged is wrong
    agent, _ = policy_agent(str(tmp_path / "run"), "test/Squares-v0", 0.0)
    prompts = [t.task.prompt for t in read_trajectories(tmp_path / "run" / "eval" / "after-greedy" / "trajectories.jsonl")]
    answers = {episode.turns[0].action.text for episode in play(agent, [[p] for p in prompts])}
    assert len(answers) == 9  # ten pictures, nine cells


@pytest.mark.slow
def test_reinforcement_learning_teaches_what_the_warm_start_left_open(tmp_path):
    half = {"warm_epochs": 140, "env_args": {"max_turns": 1}}  # clicks somewhere, seldom where the square is
    run(tmp_path / "run", **half, steps=170, groups=10, group_size=16, lr=5e-4, checkpoint_every=85)
    before, after = (success(tmp_path / "run", name) for name in ("before", "after"))
    assert before["sampled"] <= 0.4
    assert after["sampled"] >= 0.8
    assert after["greedy"] >= 0.9


SMALL = {"warm_epochs": 110, "group_size": 6, "steps": 4, "checkpoint_every": 1, "save_every": 1}


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs") / "a"
    run(folder, **SMALL)  # warm enough to click somewhere, so that some groups carry signal
    return folder


def weights(folder):
    return load_file(sorted((folder / "checkpoints").glob("step-*"))[-1] / "model.safetensors")


def test_a_resumed_run_ends_with_the_same_weights(finished, tmp_path):
    copy = tmp_path / "copy"
    shutil.copytree(finished, copy)
    shutil.rmtree(copy / "checkpoints" / "step-00004")
    (copy / "after.json").unlink()
    with Display() as display:
        Training(RunFolder.open(copy)).run(display)
    whole, again = weights(finished), weights(copy)
    assert all(torch.equal(whole[name], again[name]) for name in whole)
    rows = [[r["step"] for r in RunFolder.open(f).metrics() if r["phase"] == "rl"] for f in (finished, copy)]
    assert rows[0] == rows[1] == [1, 2, 3, 4]
    assert any(r.get("optimizer_steps") for r in RunFolder.open(copy).metrics() if r["step"] == 4)


def test_the_run_folder_holds_processor_and_pictures(finished):
    processor = VisionProcessor.from_pretrained(finished / "tokenizer")
    assert processor.image_processor.patch_size == 8
    saved = [t for f in sorted((finished / "trajectories").glob("*.jsonl")) for t in read_trajectories(f)]
    played = read_trajectories(finished / "eval" / "after-sampled" / "trajectories.jsonl")
    assert any(len(t.turns) == 2 and t.turns[1].tokens.images for t in played)
    assert saved
    for trajectory in saved:
        assert all(turn.tokens.images for turn in trajectory.turns)
    rows = [r for r in RunFolder.open(finished).metrics() if r["phase"] == "rl" and r["optimizer_steps"]]
    assert rows
    for row in rows:
        assert row["ratio_max"] == pytest.approx(1.0, abs=1e-4)
        assert row["clip_fraction"] == 0.0


def test_recorded_episodes_with_pictures_can_teach(finished, tmp_path):
    recorded = read_trajectories(finished / "eval" / "after-sampled" / "trajectories.jsonl")
    write_trajectories(tmp_path / "demos.jsonl", recorded)
    training, _ = run(tmp_path / "run", teacher=str(tmp_path / "demos.jsonl"), warm_episodes=4, warm_epochs=1, steps=0)
    assert len(training.demonstrations()) == 4


def test_lora_with_a_frozen_tower_few_pictures_and_a_reference_trains_and_resumes(tmp_path):
    source = build_tiny_vlm(TEXTS, tmp_path / "base", family="qwen2_5_vl", vocab_size=320, hidden=32, heads=2)
    options = {"policy": str(source), "tiny": {}, "lora": {"r": 4}, "kl_coef": 0.01, "warm_episodes": 10, "warm_epochs": 4}
    vision = {"keep_images": 1, "freeze": True, "max_pixels": 40 * 40, "min_pixels": None}
    training, _ = run(tmp_path / "run", **options, vision=vision, steps=2, replace_rounds=0)
    saved = load_file(tmp_path / "run" / "checkpoints" / "step-00002" / "adapter_model.safetensors")
    assert not any("visual" in name for name in saved)
    again = Training(RunFolder.open(tmp_path / "run"))
    mine, theirs = (dict(t.model.named_parameters()) for t in (training, again))
    assert all(torch.equal(mine[name], theirs[name]) for name in mine)
    assert again.tokenizer.keep_images == 1
    played = read_trajectories(tmp_path / "run" / "eval" / "after-sampled" / "trajectories.jsonl")
    second = next(t for t in played if len(t.turns) == 2).turns[1].tokens
    assert second.restart
    assert [(s.height, s.width) for s in second.images] == [(2, 2)]
    assert training.agent().restarts == 0
    row = training.run_folder.metrics()[-1]
    assert row["restarts"] > 0


def test_a_reference_copy_of_a_warm_started_policy_can_see(tmp_path):
    _, summary = run(tmp_path / "run", warm_epochs=20, kl_coef=0.05, steps=1, groups=2)
    assert (tmp_path / "run" / "reference" / "config.json").exists()
    assert summary["rollouts"] >= 8


def test_vision_settings_of_a_text_policy_are_refused(tmp_path):
    with pytest.raises(ValueError, match="remove vision"):
        run(tmp_path / "run", policy="tiny", tiny={"hidden": 32, "layers": 1, "heads": 2}, vision={"keep_images": 2}, warm_epochs=1)


def test_the_page_runs_as_shown_and_its_settings_exist(tmp_path):
    page = (Path(turnwise.__file__).parent / "docs" / "vision.md").read_text()
    code, settings = (re.search(rf"```{kind}\n(.*?)```", page, re.DOTALL)[1] for kind in ("python", "yaml"))
    config = TrainConfig(**yaml.safe_load(settings))
    assert config.vision.keep_images == 3
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert done.stdout == "36 [(7, 3, 4)]\n" == re.search(r"# prints (.*)", code)[1] + "\n"
