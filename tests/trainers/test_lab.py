import contextlib
import json
import math
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
import yaml
from turnwise.envs.guess_number import GuessNumber
from turnwise.trainers.config import find_recipe, load_config
from turnwise.trainers.lab.charts import Series, line_chart, ticks
from turnwise.trainers.lab.curves import Curve, band, over_seeds
from turnwise.trainers.lab.grid import Cell, Lab, cell_config, cells, read_lab, trials, warm_config
from turnwise.trainers.lab.play import Job, minutes_left, play_lab
from turnwise.trainers.lab.report import overview, unfinished, write_lab_report
from turnwise.trainers.lab.table import rows
from turnwise.trainers.signal import signal_and_noise
from turnwise.trainers.stats import Interval

SMALL = {
    "settings": {
        **{"env_args": {"high": 30, "max_turns": 5}, "tiny": {"hidden": 32, "layers": 1, "heads": 2, "vocab_size": 320}},
        **{"warm_episodes": 24, "teacher": "random", "warm_epochs": 40, "warm_batch": 8, "steps": 2, "groups": 3, "group_size": 4},
        **{"max_new_tokens": 12, "eval_tasks": 3, "eval_every": 1, "eval_greedy": False, "signal_every": 1},
    },
    "environments": {"guess": {"env": "turnwise/GuessNumber-v0"}},
    "methods": {"grpo": {"estimator": "grpo"}, "turns": {"estimator": "turn_rloo", "estimator_args": {"gamma": 0.9}}},
    "seeds": 2,
}


def file(folder: Path, **changes) -> Path:
    path = folder / "trial.yaml"
    path.write_text(yaml.safe_dump({**SMALL, **changes}))
    return path


def curve(rollouts, success, seconds=None, **row) -> Curve:
    steps = [
        {"groups": 4, "groups_without_signal": 1, "groups_replaced": 1, "turn_reward": 0.1 * n, "success": 0.5, **row} for n in range(8)
    ]
    return Curve(rollouts=tuple(rollouts), seconds=tuple(seconds or rollouts), success=tuple(success), rows=tuple(steps))


def test_a_cell_trains_with_the_lab_under_its_environment_under_its_method_under_what_tuning_chose(tmp_path):
    lab = read_lab(
        file(tmp_path, settings={**SMALL["settings"], "lr": 1e-3, "steps": 9}, environments={"guess": {"steps": 7, "groups": 2}})
    )
    assert [c.path.as_posix() for c in cells(lab)] == [f"runs/guess/{m}/seed-{s}" for s in (0, 1) for m in ("grpo", "turns")]
    config = cell_config(lab, Cell("guess", "turns", 1), {"lr": 3e-3})
    assert (config.lr, config.steps, config.groups, config.estimator, config.seed) == (3e-3, 7, 2, "turn_rloo", 1)
    warm = warm_config(lab, Cell("guess", "turns", 1))
    assert (warm.estimator, warm.estimator_args, warm.steps, warm.seed) == ("turn_rloo", {}, 0, 0)
    assert warm_config(Lab(**{**SMALL, "warm": "seed"}), Cell("guess", "grpo", 1)).seed == 1


def test_tuning_tries_every_combination_for_every_method_away_from_seeds_and_test_tasks(tmp_path):
    lab = read_lab(file(tmp_path, tuning={"grid": {"lr": [1e-3, 3e-3], "groups": [2]}}))
    assert [(c.method, dict(c.tuned)["lr"], c.path.name) for c in trials(lab)] == [
        ("grpo", 1e-3, "tuning-0"),
        ("grpo", 3e-3, "tuning-1"),
        ("turns", 1e-3, "tuning-0"),
        ("turns", 3e-3, "tuning-1"),
    ]
    config = cell_config(lab, trials(lab)[1])
    assert (config.eval_split, config.seed, config.lr, config.groups) == ("validation", 1000, 3e-3, 2)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        (
            {"methods": {"grpo": {"estimator": "grop"}}},
            "'guess' with method 'grpo': .*no estimator 'grop'.*Did you mean 'grpo'",
        ),
        ({"environments": {"guess": {"grops": 2}}}, "unknown key 'grops'.*Did you mean 'groups'"),
        ({"method": {}}, "unknown key 'method'.*Did you mean 'methods'"),
        ({"methods": {}}, "methods: .*at least 1"),
        ({"seeds": 0}, "seeds: "),
        ({"seeds": [1, 1]}, r"seeds is \[1, 1\]; give how many, or different numbers"),
        ({"baseline": "ppo"}, "baseline is 'ppo'; methods: grpo, turns"),
        ({"methods": {"a/b": {}}}, "method 'a/b': a name may hold"),
        ({"methods": {"a": {"warm_lr": 0.1, "tiny": {}}}}, "sets [a-z_]+, [a-z_]+, which all methods share; set it in settings"),
        ({"tuning": {"grid": {"lr": [1e-3]}, "seed": 1}}, "tuning.seed 1 is one of the seeds"),
    ],
)
def test_wrong_labs_are_told(tmp_path, changes, said):
    with pytest.raises(ValueError, match=said):
        read_lab(file(tmp_path, **changes))


def test_a_curve_is_straight_between_evaluations():
    one = curve([0, 100, 300], [0.2, 0.6, 0.8], seconds=[0.0, 10.0, 50.0])
    assert one.area(100) == pytest.approx(0.4)
    assert one.area() == pytest.approx((100 * 0.4 + 200 * 0.7) / 300)
    assert one.area(200) == pytest.approx((100 * 0.4 + 100 * 0.65) / 200)
    assert [one.reached(t) for t in (0.1, 0.5, 0.7, 0.9)] == [0.0, pytest.approx(75.0), pytest.approx(200.0), None]
    assert one.reached(0.7, one.seconds) == pytest.approx(30.0)
    assert one.dead_groups() == pytest.approx(2 / 5)
    assert one.gain("turn_reward") == pytest.approx(0.6)  # mean of 0.6 and 0.7 less that of 0.0 and 0.1


def test_the_time_left_is_that_of_runs_not_finished(tmp_path):
    lab = read_lab(file(tmp_path, seeds=2))
    warm, *runs = (Job(f"{n}", tmp_path / f"{n}", cell_config(lab, cells(lab)[0]), None if n == 0 else "0") for n in range(4))
    for job in (warm, *runs):
        job.folder.mkdir()
    (warm.folder / "before.json").touch()
    (runs[0].folder / "after.json").touch()
    assert minutes_left([warm, *runs], 4, 480.0) == 6.0  # two minutes a run, three to go: the warm start has no policy yet
    (warm.folder / "policy").mkdir()
    assert minutes_left([warm, *runs], 4, 480.0) == 4.0


def test_intervals_over_seeds_are_students():
    # deviations -1, 0, 1: standard error 1 / sqrt(3), t of two degrees of freedom 4.303
    assert over_seeds([1.0, 2.0, 3.0]) == Interval(
        mean=2.0, low=pytest.approx(2 - 4.303 / math.sqrt(3)), high=pytest.approx(2 + 4.303 / math.sqrt(3))
    )
    assert math.isnan(over_seeds([1.0]).low)
    places = band([curve([0, 10], [0.0, 1.0]), curve([0, 20], [0.0, 1.0])], points=3)
    assert [(x, i.mean) for x, i in places] == [(0.0, 0.0), (5.0, pytest.approx(0.375)), (10.0, pytest.approx(0.75))]


def test_methods_are_compared_seed_by_seed_over_the_rollouts_that_all_of_them_played():
    lab = Lab(**{**SMALL, "thresholds": [0.5], "seeds": 3})
    grpo = {s: curve([0, 100], [0.2, 0.4 + 0.1 * s]) for s in range(3)}
    turns = {s: curve([0, 100, 200], [0.2, 0.5 + 0.1 * s, 0.9]) for s in range(3)}
    first, second = rows(lab, {("guess", "grpo"): grpo, ("guess", "turns"): turns})
    assert (first.budget, second.budget) == (100.0, 100.0)
    assert second.area.mean == pytest.approx(0.4)  # over 100 rollouts: (0.2 + 0.6) / 2
    # each seed is 0.05 ahead, which the spread over seeds would hide
    assert (second.against.mean, second.against.low, second.against.high) == tuple(pytest.approx(0.05) for _ in range(3))
    assert first.rollouts_to["0.5"] == (pytest.approx(100.0), 2)  # never, 100, 75
    assert second.rollouts_to["0.5"] == (pytest.approx(75.0), 3)
    assert second.dead_groups.mean == pytest.approx(0.4)


def test_an_overview_sets_all_methods_against_the_baseline_on_all_environments():
    lab = Lab(**{**SMALL, "environments": {"guess": SMALL["environments"]["guess"], "other": {"env": "turnwise/KeyDoor-v0"}}})
    flat = {s: curve([0, 100], [0.2, 0.4 + 0.1 * s]) for s in range(2)}
    ahead = {s: curve([0, 100], [0.2, 0.5 + 0.1 * s]) for s in range(2)}
    noisy = {0: curve([0, 100], [0.2, 0.6]), 1: curve([0, 100], [0.2, 0.4])}
    found = {("guess", "grpo"): flat, ("guess", "turns"): ahead, ("other", "grpo"): flat, ("other", "turns"): noisy}
    # areas differ by 0.05 and 0.05; by 0.1 and -0.05, whose mean is 0.025 and half interval 12.706 * 0.10607 / sqrt(2)
    assert overview(lab, rows(lab, found)) == (["method", "guess", "other"], [["turns", "+0.050 ±0.000 *", "+0.025 ±0.953"]])
    alone = Lab(**SMALL)
    assert overview(alone, rows(alone, {("guess", "grpo"): flat, ("guess", "turns"): ahead})) == ([], [])
    assert unfinished(lab, found) == []
    assert unfinished(lab, {("other", "turns"): {0: noisy[0]}})[-1] == "other / turns / seed-1"
    many = Lab(**{**SMALL, "seeds": 8})
    assert unfinished(many, {("guess", "grpo"): flat}) == ["14 of 16 runs of guess"]


def test_turn_reward_that_rises_while_the_outcome_does_not_is_marked():
    lab = Lab(**{**SMALL, "seeds": 3})
    hacked = rows(lab, {("guess", "grpo"): {s: curve([0, 100], [0.2, 0.2]) for s in range(3)}})
    honest = rows(lab, {("guess", "grpo"): {s: curve([0, 100], [0.2, 0.2], turn_reward=0.3) for s in range(3)}})
    assert (hacked[0].hacking, honest[0].hacking) == (True, False)


def test_signal_and_noise_of_gradients_by_hand():
    # g = (3, 1), (1, 1), of two parameters: |sum|^2 = 16 + 4, sum of squares 10 + 2; signal (20 - 12) / 2; noise (12 / 2 - 4) / 2
    gradients = [[torch.tensor([3.0]), torch.tensor([[1.0]])], [torch.tensor([1.0]), torch.tensor([[1.0]])]]
    assert signal_and_noise(gradients) == pytest.approx((4.0, 1.0))
    with pytest.raises(ValueError, match="1 gradients; at least two"):
        signal_and_noise(gradients[:1])


def test_signal_and_noise_are_unbiased():
    generator = torch.Generator().manual_seed(0)
    mean = torch.tensor([1.0, -2.0])
    drawn = [signal_and_noise([[mean + torch.randn(2, generator=generator)] for _ in range(4)]) for _ in range(4000)]
    signal, noise = (sum(d[i] for d in drawn) / len(drawn) for i in (0, 1))
    assert signal == pytest.approx(5.0, abs=0.15)
    assert noise == pytest.approx(0.5, abs=0.03)  # variance 2 of one, of the mean of four


def test_a_chart_holds_what_it_shows_and_nothing_runs_in_it():
    points = [(0.0, Interval(mean=0.2, low=0.1, high=0.3)), (100.0, Interval(mean=0.6, low=0.5, high=0.7))]
    svg = line_chart([Series("a", points, 0), Series("b", [], 1)], title="<b>", x="rollouts", y="success")
    assert svg.count("<polyline") == 1
    assert svg.count("<polygon") == 1
    assert "<b>" not in svg
    # 0.2 of a plot from 30 to 260 is at 260 - 46
    assert 'points="46.0,214.0 448.0,122.0"' in svg
    assert ticks(1000) == [0, 200, 400, 600, 800, 1000]
    assert ticks(0.7) == pytest.approx([0, 0.2, 0.4, 0.6])


@pytest.mark.slow
def test_a_lab_is_played_reported_and_goes_on_where_it_was(tmp_path):
    path, out, said = file(tmp_path, tuning={"grid": {"lr": [1e-3, 1e-4]}}), tmp_path / "lab", []
    assert play_lab(read_lab(path), out, 2, said.append) == []
    assert len(said) == 1 + 4 + 4
    lab = read_lab(path)
    page = write_lab_report(lab, out).read_text()
    assert page.count("<svg") == 3
    assert "Not finished" not in page
    table = json.loads((out / "lab.json").read_text())
    assert [(r["method"], r["seeds"]) for r in table] == [("grpo", 2), ("turns", 2)]
    assert {json.loads((out / c.path / "before.json").read_text())["sampled"]["success"]["mean"] for c in cells(lab)} == {
        table[0]["before"]["mean"]
    }
    tuned = {t["method"]: t["chosen"]["lr"] for t in json.loads((out / "tuned.json").read_text())}
    for cell in cells(lab):
        assert yaml.safe_load((out / cell.path / "config.yaml").read_text())["lr"] == tuned[cell.method]
    assert any("gradient_signal" in json.loads(line) for line in (out / cells(lab)[1].path / "metrics.jsonl").read_text().splitlines())
    # a run that is gone is played again, the others are left, and a lab that says otherwise is refused
    (out / cells(lab)[0].path / "after.json").unlink()
    said.clear()
    assert play_lab(lab, out, 1, said.append) == []
    assert [line.split("]")[1].split()[:5] for line in said] == [["guess", "/", "grpo", "/", "seed-0"]]
    with pytest.raises(ValueError, match=r"was run with other settings \(temperature: 1.0 there, 0.5 now\)"):
        play_lab(read_lab(file(tmp_path, settings={**SMALL["settings"], "temperature": 0.5})), out, 1, said.append)
    # its warm start is good for other ways of training from it
    shutil.rmtree(out / "runs")
    said.clear()
    assert play_lab(read_lab(file(tmp_path, settings={**SMALL["settings"], "lr": 2e-3}, seeds=1)), out, 2, said.append) == []
    assert [line.split("]")[1].split()[0] for line in said] == ["guess", "guess"]


@pytest.mark.slow
def test_a_run_that_fails_is_told_and_the_others_go_on(tmp_path):
    assert GuessNumber().tasks.num_tasks("train") < 500
    methods = {"grpo": {"estimator": "grpo"}, "wide": {"estimator": "grpo", "groups": 500}}
    path = file(tmp_path, methods=methods, seeds=1)
    done = subprocess.run(
        [sys.executable, "-m", "turnwise", "lab", str(path), "--out", str(tmp_path / "lab"), "--jobs", "1"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert "guess / wide / seed-0" in done.stdout
    assert "FAILED: groups is 500, but only" in done.stdout
    assert "1 runs failed, see error.txt" in done.stderr
    assert "Not finished: guess / wide / seed-0." in (tmp_path / "lab" / "lab.md").read_text()
    assert "groups is 500" in (tmp_path / "lab" / "runs/guess/wide/seed-0/error.txt").read_text()


@pytest.mark.slow
def test_runs_begin_as_soon_as_their_own_warm_start_is_made_and_not_without_it(tmp_path):
    guess = SMALL["environments"]["guess"]
    environments = {"long": {**guess, "warm_epochs": 500}, "guess": guess, "many": {**guess, "warm_episodes": 500}}
    lab, said = read_lab(file(tmp_path, environments=environments, methods={"grpo": {"estimator": "grpo"}}, seeds=1)), []
    assert play_lab(lab, tmp_path / "lab", 2, said.append) == ["warm start / many"]
    told = [line.split("]")[1].split("  ")[0].strip() for line in said]
    assert sorted(told) == ["guess / grpo / seed-0", "long / grpo / seed-0", "warm start / guess", "warm start / long", "warm start / many"]
    assert told.index("guess / grpo / seed-0") < told.index("warm start / long") < told.index("long / grpo / seed-0")
    assert not (tmp_path / "lab" / "runs" / "many").exists()


@contextlib.contextmanager
def playing(path, out, begun):
    """The command, once ``begun`` is there; killed with all it started if it has not ended by itself."""
    command = [sys.executable, "-m", "turnwise", "lab", str(path), "--out", str(out), "--jobs", "1"]
    running = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True)
    try:
        deadline = time.monotonic() + 120
        while not begun.exists():
            assert running.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.05)
        yield running
    finally:
        if running.poll() is None:
            os.killpg(running.pid, signal.SIGKILL)


@pytest.mark.slow
@pytest.mark.parametrize("whole_group", [False, True], ids=["the process", "all in the terminal"])
def test_ctrl_c_ends_a_lab_without_beginning_what_is_queued(tmp_path, whole_group):
    path, out = file(tmp_path, settings={**SMALL["settings"], "steps": 10_000}), tmp_path / "lab"
    first, *rest = [out / cell.path for cell in cells(read_lab(path))]
    with playing(path, out, first / "step-00001.json") as running:
        (os.killpg if whole_group else os.kill)(running.pid, signal.SIGINT)
        said, complained = running.communicate(timeout=60)
    assert running.returncode == 130
    assert said.count("stopping at the next safe point") == 1
    assert "stopped; the same command goes on" in complained
    assert not any(folder.exists() for folder in rest)
    assert list((first / "checkpoints").iterdir())  # of the step it had come to
    assert not (first / "after.json").exists()


@pytest.mark.slow
def test_a_second_ctrl_c_ends_a_lab_in_the_middle_of_a_step(tmp_path):
    path, out = file(tmp_path, settings={**SMALL["settings"], "steps": 1, "group_size": 4000}, seeds=1), tmp_path / "lab"
    first = out / cells(read_lab(path))[0].path
    with playing(path, out, first / "before.json") as running:
        time.sleep(1)  # into the step, which takes much longer
        os.kill(running.pid, signal.SIGINT)
        assert any("Ctrl-C again stops at once" in line for line in iter(running.stdout.readline, ""))
        os.kill(running.pid, signal.SIGINT)
        _, complained = running.communicate(timeout=60)
    assert running.returncode == 130
    assert "stopped; the same command goes on" in complained
    assert not (first / "step-00001.json").exists()


@pytest.mark.parametrize("name", ["lab-quick", "lab-credit", "lab-rare"])
def test_labs_that_ship_are_valid_and_no_recipes(name):
    assert cells(read_lab(name))
    with pytest.raises(ValueError, match=rf"this is a lab and not a recipe; play it with: turnwise lab .*{name}.yaml"):
        load_config(find_recipe(name))
