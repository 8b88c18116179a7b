"""The whole job on a small scale: every phase, what it writes, and that a killed run ends like one that was not killed."""

import functools
import itertools
import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace

import pytest
import torch
import yaml
from turnwise.agents.tiny import build_tiny
from turnwise.envs.guess_number import GuessNumber, Numbers
from turnwise.records import Outcome, TokenTrace
from turnwise.trainers.collect import collect, play_groups
from turnwise.trainers.config import TrainConfig, find_recipe, load_config, parse_settings
from turnwise.trainers.crediting import Estimated, of_turns
from turnwise.trainers.demonstrate import demonstrations
from turnwise.trainers.loop import Training
from turnwise.trainers.progress import Clock, Display
from turnwise.trainers.runs import RunFolder
from turnwise.trajectory_io import read_trajectories, write_trajectories

from .small import SMALL, run, started, weights


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs") / "a"
    return folder, run(folder)[1]


def test_the_summary_and_the_run_folder_are_complete(finished):
    folder, summary = finished
    assert set(summary) == {"before", "after", "rollouts", "seconds", "peak_mb", "run"}
    assert summary["rollouts"] >= 3 * 3 * 4
    rows = RunFolder.open(folder).metrics()
    assert [r["step"] for r in rows if r["phase"] == "rl"] == [1, 2, 3]
    assert [r["step"] for r in rows if r["phase"] == "warm"] == [20, 40, 60, 80, 100, 120]
    last = rows[-1]
    assert last["rollouts"] == summary["rollouts"]
    assert {"rollout", "credit", "train", "save"} <= set(last["seconds"])
    for name in ("before", "after"):
        results = json.loads((folder / f"{name}.json").read_text())
        assert {"mean", "low", "high"} <= set(results["sampled"]["success"])
        assert results["greedy"]["episodes"] == 3
    assert sorted(p.name for p in (folder / "checkpoints").iterdir()) == ["step-00002", "step-00003"]
    saved = read_trajectories(folder / "trajectories" / "step-00002.jsonl")
    notes = json.loads((folder / "trajectories" / "step-00002.credit.json").read_text())
    assert [len(e["advantages"]) for e in notes["episodes"]] == [len(t.turns) for t in saved]
    assert [[len(x) for x in e["trained"]] for e in notes["episodes"]] == [[len(u.tokens.action_ids) for u in t.turns] for t in saved]


def test_on_policy_ratios_are_one(finished):
    folder, _ = finished
    rows = [r for r in RunFolder.open(folder).metrics() if r["phase"] == "rl" and r["optimizer_steps"]]
    assert rows
    for row in rows:
        assert row["ratio_max"] == pytest.approx(1.0, abs=1e-3)
        assert row["clip_fraction"] == 0.0


def test_the_same_seed_gives_the_same_weights_and_another_seed_others(finished, tmp_path):
    run(tmp_path / "b")
    run(tmp_path / "c", seed=1)
    mine, same, other = weights(finished[0]), weights(tmp_path / "b"), weights(tmp_path / "c")
    assert all(torch.equal(mine[name], same[name]) for name in mine)
    assert not all(torch.equal(mine[name], other[name]) for name in mine)


def test_zero_learning_rate_leaves_the_warm_started_policy(tmp_path):
    run(tmp_path / "b", lr=0.0)
    run(tmp_path / "w", steps=0)
    after, warmed = weights(tmp_path / "b"), weights(tmp_path / "w")
    assert all(torch.equal(after[name], warmed[name]) for name in after)


@pytest.mark.slow
@pytest.mark.parametrize("when", ["warm", "rl"])
def test_a_killed_run_ends_with_the_weights_of_one_that_was_not(tmp_path, when):
    config = {**SMALL, "steps": 6, "group_size": 6}
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text(yaml.safe_dump(config))

    def command(*arguments):
        return [sys.executable, "-m", "turnwise", "train", *map(str, arguments)]

    subprocess.run(command(recipe, "--out", tmp_path / "whole"), check=True, capture_output=True)
    process = subprocess.Popen(command(recipe, "--out", tmp_path / "killed"), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    wanted = tmp_path / "killed" / "checkpoints" / ("warm-00100" if when == "warm" else "step-00002")
    deadline = time.monotonic() + 120
    while not wanted.exists() and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.005)
    os.kill(process.pid, signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    done = subprocess.run(command("--resume", tmp_path / "killed"), check=True, capture_output=True, text=True)
    summary = json.loads(done.stdout.splitlines()[-1])
    whole, killed = weights(tmp_path / "whole"), weights(tmp_path / "killed")
    assert all(torch.equal(whole[name], killed[name]) for name in whole)
    rows = [[r["step"] for r in RunFolder.open(tmp_path / name).metrics() if r["phase"] == "rl"] for name in ("whole", "killed")]
    assert rows[0] == rows[1] == [1, 2, 3, 4, 5, 6]
    assert summary["rollouts"] == RunFolder.open(tmp_path / "whole").metrics()[-1]["rollouts"]


def test_ctrl_c_stops_cleanly_and_says_how_to_go_on(tmp_path):
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text(yaml.safe_dump({**SMALL, "steps": 500}))
    command = [sys.executable, "-m", "turnwise", "train", str(recipe), "--out", str(tmp_path / "run")]
    # A suite that runs in the background of a shell inherits an ignored SIGINT; a person at a terminal does not.
    listen = functools.partial(signal.signal, signal.SIGINT, signal.SIG_DFL)
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, preexec_fn=listen)
    deadline = time.monotonic() + 120
    while not list(tmp_path.glob("run/checkpoints/step-00002")) and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 130
    assert f"turnwise train --resume {tmp_path / 'run'}" in errors.replace("\n", "")
    assert "Traceback" not in errors


def test_an_interrupt_waits_for_a_safe_point_and_a_second_one_does_not():
    with Display() as display, display.interruptible():
        display.check()
        signal.raise_signal(signal.SIGINT)  # nothing is raised here, so nothing can be lost here
        with pytest.raises(KeyboardInterrupt):
            display.check()
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_lora_on_a_local_checkpoint_with_kl_to_its_base_resumes(tmp_path):
    source = build_tiny(["<guess>12</guess> higher lower"], tmp_path / "base", vocab_size=300, hidden=32, layers=1)
    options = {"policy": str(source), "lora": {"r": 4}, "kl_coef": 0.01, "tiny": {}, "warm_episodes": 0, "minibatches": 2}
    training, _ = run(tmp_path / "run", **options, steps=2)
    assert (tmp_path / "run" / "checkpoints" / "step-00002" / "adapter_model.safetensors").exists()
    again = Training(RunFolder.open(tmp_path / "run"))
    assert again.cursor.step == 2
    mine, theirs = (dict(t.model.named_parameters()) for t in (training, again))
    assert all(torch.equal(mine[name], theirs[name]) for name in mine if "lora" in name)


def test_the_shipped_recipes_are_valid_and_the_gpu_one_runs_on_a_small_checkpoint_of_its_class(tmp_path):
    for name in ("search-tiny", "search-qwen3-0.6b"):
        load_config(find_recipe(name))
    source = build_tiny(
        ["<search> mayor of Bomi </search> <answer> Anna </answer>"], tmp_path / "base", vocab_size=400, hidden=32, layers=1
    )
    world = "env_args={world: {train: 40, validation: 12, test: 12}, topk: 1, max_turns: 2}"
    small = ["steps=1", "groups=2", "group_size=2", "max_new_tokens=8", "eval_tasks=2", "eval_every=0", "max_context=1024", world]
    config = load_config(find_recipe("search-qwen3-0.6b"), {**parse_settings(small), "policy": str(source)})
    with Display() as display:
        summary = Training(RunFolder.create(tmp_path / "run", config)).run(display)
    assert summary["rollouts"] >= 4


def test_recorded_trajectories_can_teach(finished, tmp_path):
    folder, _ = finished
    recorded = read_trajectories(folder / "eval" / "after-sampled" / "trajectories.jsonl")
    write_trajectories(tmp_path / "demos.jsonl", recorded)
    training, _ = run(tmp_path / "run", teacher=str(tmp_path / "demos.jsonl"), warm_episodes=2, steps=0)
    assert len(training.demonstrations()) == 2


def test_copies_of_a_task_are_demonstrated_once():
    class Doubled(Numbers):
        def get_task(self, split, index):
            return super().get_task(split, index // 2)

    config = TrainConfig(**{**SMALL, "warm_episodes": 7})
    episodes = demonstrations(config, functools.partial(GuessNumber, **SMALL["env_args"]), Doubled(30, 30), 14)
    assert [t.task.data["number"] for t in episodes] == [Numbers(30, 30).get_task("train", i).data["number"] for i in (0, 1, 2, 3)]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"train_split": "test"}, "training refuses it"),
        ({"eval_split": "train"}, "evaluate a held-out split"),
        ({"groups": 500}, "only 24 train tasks"),
        ({"teacher": "nobody"}, "no script 'nobody'"),
        ({"warm_episodes": 999}, "warm_episodes is 999"),
        ({"policy": "/nowhere"}, "no model was found"),
        ({"env": "turnwise/GessNumber-v0"}, "Did you mean 'turnwise/GuessNumber-v0'"),
    ],
)
def test_wrong_settings_are_explained_before_anything_runs(tmp_path, changes, message):
    with pytest.raises(ValueError, match=message):
        started(tmp_path / "run", **changes)


TRACE = TokenTrace(context_ids=(1,), action_ids=(2, 3), logprobs=(-0.5, -0.25), restart=True)


class _Fixed:
    """Plays episodes whose outcomes are given: tasks with an even number are always won, so their groups carry no signal."""

    name = "fixed"

    def __init__(self):
        self.rounds = []

    def play(self, tasks, number):
        from turnwise.agents.scripted import ScriptedAgent

        self.rounds.append([t.data["number"] for t in tasks])
        groups = play_groups(GuessNumber, ScriptedAgent("turnwise.envs.guess_number:Bisection"), tasks, 2, seed=0)
        for group in groups:
            group[:] = [replace(t, turns=tuple(replace(turn, tokens=TRACE) for turn in t.turns)) for t in group]
            if group[0].task.data["number"] % 2:
                group[1] = replace(group[1], outcome=Outcome(score=0.0))
        return groups


def test_groups_without_signal_are_replaced_and_counted():
    tasks = GuessNumber().tasks
    stream = iter([next(t for t in tasks.list_tasks("train") if t.data["number"] == n) for n in (2, 3, 4, 5, 6, 10, 7)])
    fixed = _Fixed()
    got = collect(fixed.play, stream, 3, rewards=None, credit=Estimated("rloo", {}), rounds=2, clock=Clock())
    # round 0: 2, 3, 4 -> 3 has signal; round 1: 5, 6 -> 5; round 2: 10 -> none
    assert fixed.rounds == [[2, 3, 4], [5, 6], [10]]
    assert [t.task.data["number"] for t in got.trajectories] == [3, 3, 5, 5]
    assert (got.replaced, got.without_signal, len(got.played)) == (3, 1, 12)
    # one number for each of the two tokens of every turn: the lost member of each group is the second
    rows = [[1.0 if number % 2 == 0 else -1.0] * len(t.turns) for number, t in enumerate(got.trajectories)]
    assert got.advantages.tolist() == [x for row in rows for x in row for _ in range(2)]
    assert of_turns(got.trajectories, got.advantages) == rows


def test_a_policy_that_never_stops_and_says_nothing_usable_is_counted_and_trains_nothing(tmp_path):
    search = {"env": "turnwise/Search-v0", "env_args": {"world": {"train": 20, "validation": 5, "test": 5}, "max_turns": 5}}
    training, summary = run(tmp_path / "a", **search, warm_episodes=0, steps=1, max_new_tokens=3)
    row = training.run_folder.metrics()[-1]
    assert (row["invalid_actions"], row["success"], row["faults"]) == (1.0, 0.0, 0)
    assert row["groups_without_signal"] == SMALL["groups"]
    assert row["sampled_tokens"] == summary["rollouts"] * 5 * 3  # five turns, each cut off at three tokens
    assert row["optimizer_steps"] == 0


def test_a_run_can_be_evaluated_again_with_another_seed(finished, tmp_path):
    folder, _ = finished
    command = [sys.executable, "-m", "turnwise", "eval", "turnwise/GuessNumber-v0", "--policy", str(folder), "--out", str(tmp_path / "e")]
    done = subprocess.run(
        [*command, "--split", "test", "--seed", "7", "--n-tasks", "2", "--k", "2"], capture_output=True, text=True, check=True
    )
    assert "pass_at_k" in done.stdout
    results = json.loads((tmp_path / "e" / "results.json").read_text())
    assert (results["episodes"], results["seed"], results["agent"]) == (4, 7, "policy")
    script = [*command[:5], "--env-args", str(folder), "--out", str(tmp_path / "s"), "--n-tasks", "1"]
    subprocess.run(script, capture_output=True, check=True)
    (played,) = read_trajectories(tmp_path / "s" / "trajectories.jsonl")
    assert played.task.data["high"] == 30  # the run's, not the environment's default
    other = subprocess.run([*command[:4], "turnwise/Search-v0", *command[5:]], capture_output=True, text=True, check=False)
    assert other.returncode == 1
    assert "is a run on turnwise/GuessNumber-v0" in other.stderr.replace("\n", " ")


def test_a_task_that_comes_up_again_where_the_stream_starts_over_is_passed_over():
    one, two = GuessNumber().tasks.get_task_range("train", 0, 2)
    fixed = _Fixed()
    options = {"rewards": None, "credit": Estimated("rloo", {}), "rounds": 0, "clock": Clock()}
    collect(fixed.play, iter([one, one, two]), 2, **options)
    assert fixed.rounds == [[one.data["number"], two.data["number"]]]
    with pytest.raises(ValueError, match="only 1 different train tasks came up in 200 draws"):
        collect(fixed.play, itertools.repeat(one), 2, **options)
