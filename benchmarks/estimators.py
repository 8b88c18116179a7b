"""Held-out success against rollouts for every estimator, from the same warm-started policies.

    python benchmarks/estimators.py --out FOLDER --seeds 0 1 2 --steps 24 [--recipe retail-tiny --estimators grpo turn_rloo]

One warm start per seed; then every estimator trains that policy with equal settings. Runs go two at a time, a thread each.
Prints, for every estimator, the rollouts after which sampled held-out success first reached the goal, and the curve.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from pathlib import Path

from turnwise.trainers.credit import list_estimators


def train(recipe: str, out: Path, *settings: str, threads: int = 1) -> None:
    """One run in a process of its own; a finished run is left as it is, a stopped one goes on."""
    if (out / "after.json").exists():
        return
    arguments = ["--resume", str(out)] if (out / "config.yaml").exists() else [recipe, "--out", str(out), *settings]
    out.parent.mkdir(parents=True, exist_ok=True)
    with out.with_suffix(".log").open("a") as log:
        environment = {**os.environ, "OMP_NUM_THREADS": str(threads)}
        subprocess.run([sys.executable, "-m", "turnwise", "train", *arguments], check=True, stdout=log, stderr=log, env=environment)


def warm_policy(recipe: str, out: Path, seed: int, settings: list[str]) -> Path:
    """The warm-started policy of a seed, as an ordinary checkpoint with its tokenizer."""
    run, policy = out / f"warm-{seed}", out / f"policy-{seed}"
    own = [*settings, "steps=0", "eval_tasks=10", f"seed={seed}"]
    train(recipe, run, *[x for setting in own for x in ("--set", setting)], threads=2)
    if not policy.exists():
        shutil.copytree(run / "checkpoints" / "step-00000", policy)
        shutil.copytree(run / "tokenizer", policy, dirs_exist_ok=True)
    return policy


def curve(run: Path) -> list[tuple[int, float]]:
    """(rollouts, sampled held-out success) of every evaluation."""
    rows = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    rollouts = {r["step"]: r["rollouts"] for r in rows if r["phase"] == "rl"}
    points = {0: "before", max(rollouts): "after"} | {int(p.stem[5:]): p.stem for p in run.glob("step-*.json")}
    results = {step: json.loads((run / f"{name}.json").read_text()) for step, name in points.items()}
    return [(rollouts.get(step, 0), results[step]["sampled"]["success"]["mean"]) for step in sorted(points)]


def reached(points: list[tuple[int, float]], goal: float) -> float | None:
    """Rollouts at which the goal is reached, between evaluations by a straight line."""
    for (n0, y0), (n1, y1) in pairwise(points):
        if y0 < goal <= y1:
            return n0 + (n1 - n0) * (goal - y0) / (y1 - y0)
    return None


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--recipe", default="search-tiny")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--estimators", nargs="+", default=list_estimators("turn"))
    parser.add_argument("--steps", type=int, default=24)
    parser.add_argument("--eval-every", type=int, default=3)
    parser.add_argument("--eval-tasks", type=int, default=200)
    parser.add_argument("--goal", type=float, default=0.8)
    parser.add_argument("--set", dest="settings", action="append", default=[], help="further KEY=VALUE for every run, warm starts too")
    arguments = parser.parse_args()
    policies = {seed: warm_policy(arguments.recipe, arguments.out, seed, arguments.settings) for seed in arguments.seeds}
    runs = [(estimator, seed) for seed in arguments.seeds for estimator in arguments.estimators]

    def one(job: tuple[str, int]) -> None:
        estimator, seed = job
        own = [
            f"estimator={estimator}",
            f"seed={seed}",
            f"policy={policies[seed]}",
            "tiny={}",
            "warm_episodes=0",
            f"steps={arguments.steps}",
        ]
        own += [f"eval_every={arguments.eval_every}", f"eval_tasks={arguments.eval_tasks}", "schedule=constant", *arguments.settings]
        train(arguments.recipe, arguments.out / f"{estimator}-{seed}", *[x for setting in own for x in ("--set", setting)])

    with ThreadPoolExecutor(2) as pool:
        list(pool.map(one, runs))
    for estimator in arguments.estimators:
        curves = [curve(arguments.out / f"{estimator}-{seed}") for seed in arguments.seeds]
        goals = [reached(points, arguments.goal) for points in curves]
        shown = ", ".join("not reached" if g is None else f"{g:,.0f}" for g in goals)
        print(f"{estimator:<10} rollouts to {arguments.goal}: {shown}")
        for seed, points in zip(arguments.seeds, curves, strict=True):
            print(f"    seed {seed}: " + "  ".join(f"{n}:{y:.2f}" for n, y in points))


if __name__ == "__main__":
    main()
