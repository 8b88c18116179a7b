"""Gated against summed turn rewards on small repositories, from the same warm-started policies.

    python benchmarks/swe_gate.py --out FOLDER [--seeds 0 1 2 --steps 30 --arms outcome summed gated farmed farmed-gated]

One warm start per seed; then every arm trains that policy with equal settings, two runs at a time, a thread each. Prints for every arm,
averaged over seeds: held-out success, turns, and the shares of episodes submitted and with a change, before and after; and over the
steps success and the turn reward, as it was trained and as it would be without the gate. A stopped benchmark goes on where it was.
"""

from __future__ import annotations

import argparse
import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from statistics import mean
from typing import Any

import yaml
from estimators import train, warm_policy
from turnwise.records import StopReason
from turnwise.trainers.config import find_recipe
from turnwise.trajectory_io import read_trajectories

MODEST = {"fixed": 0.5, "file": 0.1, "tested": 0.1, "parses": 0.05, "format": 0.02}
FARMED = {"fixed": 0.5, "file": 0.1, "tested": 0.1, "parses": 1.0, "format": 0.5}
"""Pays for every call that can be read and every edit that parses: the longer an episode, the more, whatever comes of it."""
GATE = {"levels": ["outcome", ["fixed"], ["file", "tested"], ["parses", "format"]], "thresholds": [0.0, 0.0, 0.0]}
ARMS: dict[str, tuple[dict[str, float], dict[str, Any] | None]] = {
    "outcome": ({}, None),
    "summed": (MODEST, None),
    "gated": (MODEST, GATE),
    "farmed": (FARMED, None),
    "farmed-gated": (FARMED, GATE),
}


def run_arm(recipe: str, out: Path, arm: str, seed: int, policy: Path, steps: int, settings: list[str]) -> Path:
    """One run of an arm; its folder."""
    weights, gate = ARMS[arm]
    given = [s for s in settings if s.startswith("env_args=")]
    env_args = yaml.safe_load(given[-1].partition("=")[2] if given else find_recipe(recipe).read_text())
    env_args = env_args if given else env_args["env_args"]
    own = [s for s in settings if s not in given]
    own += [f"env_args={json.dumps({**env_args, 'weights': weights})}", f"gate={json.dumps(gate)}", f"steps={steps}", f"seed={seed}"]
    own += [f"policy={policy}", "tiny={}", "warm_episodes=0", "save_every=5"]
    folder = out / f"{arm}-{seed}"
    train(recipe, folder, *[x for setting in own for x in ("--set", setting)])
    return folder


def steps_of(run: Path) -> list[dict[str, float]]:
    rows = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    return [row for row in rows if row["phase"] == "rl"]


def held_out(run: Path, name: str) -> dict[str, float]:
    """G-RA's three shares (completed, modified, resolved) and the length of held-out episodes, sampled."""
    episodes = [t for t in read_trajectories(run / "eval" / f"{name}-sampled" / "trajectories.jsonl") if t.outcome.valid]
    return {
        "resolved": mean(t.outcome.success for t in episodes),
        "submitted": mean(t.stop in (StopReason.SUCCESS, StopReason.FAILURE) for t in episodes),
        "modified": mean(t.outcome.components.get("patch", 0.0) > 0 for t in episodes),
        "turns": mean(len(t.turns) for t in episodes),
        "turn reward": mean(t.turn_reward_sum for t in episodes),
    }


def report(arm: str, runs: list[Path]) -> None:
    print(f"\n{arm} ({len(runs)} seeds)")
    for name in ("before", "after"):
        found = [held_out(run, name) for run in runs]
        print(f"    held out, {name:<6} " + "  ".join(f"{key} {mean(f[key] for f in found):.3f}" for key in found[0]))
        print("        resolved by seed  " + "  ".join(f"{f['resolved']:.3f}" for f in found))
    columns = [steps_of(run) for run in runs]
    count = min(map(len, columns))
    for step in sorted({*range(0, count, max(1, count // 10)), count - 1}):
        rows = [own[step] for own in columns]
        success, trained, turns = (mean(row[key] for row in rows) for key in ("success", "turn_reward", "mean_turns"))
        ungated = mean(row.get("ungated_turn_reward", row["turn_reward"]) for row in rows)
        print(f"    step {step + 1:>3}  success {success:.3f}  turn reward {trained:6.3f}  ungated {ungated:6.3f}  turns {turns:.2f}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--recipe", default="swe-tiny")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--arms", nargs="+", default=list(ARMS), choices=list(ARMS))
    parser.add_argument("--steps", type=int, default=30)
    parser.add_argument("--set", dest="settings", action="append", default=[], help="further KEY=VALUE for every run, warm starts too")
    arguments = parser.parse_args()
    policies = {seed: warm_policy(arguments.recipe, arguments.out, seed, arguments.settings) for seed in arguments.seeds}
    jobs = [(arm, seed) for seed in arguments.seeds for arm in arguments.arms]

    def one(job: tuple[str, int]) -> Path:
        arm, seed = job
        return run_arm(arguments.recipe, arguments.out, arm, seed, policies[seed], arguments.steps, arguments.settings)

    with ThreadPoolExecutor(2) as pool:
        folders = dict(zip(jobs, pool.map(one, jobs), strict=True))
    for arm in arguments.arms:
        report(arm, [folders[arm, seed] for seed in arguments.seeds])


if __name__ == "__main__":
    main()
