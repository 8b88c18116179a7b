"""Time of every estimator on one core.

    python benchmarks/credit.py [--turns 1000000] [--device cpu]

Groups of 8 episodes of 1 to 19 turns, one state in three seen again, half of the episodes forked from another of their group. Turns have
ten tokens on average, which the estimators of tokens go over. numpy, or torch on ``--device``. Prints the best of three calls, and what
building the batch took.
"""

from __future__ import annotations

import argparse
import time

import numpy as np
from turnwise.trainers.credit import TurnBatch, estimate, list_estimators


def made(turns: int, seed: int = 0) -> TurnBatch:
    rng = np.random.default_rng(seed)
    lengths = rng.integers(1, 20, turns // 10)
    episodes, total = len(lengths), int(lengths.sum())
    episode = np.repeat(np.arange(episodes), lengths)
    offsets = np.concatenate([[0], np.cumsum(lengths)])
    group = np.arange(episodes) // 8
    position = np.arange(total) - offsets[episode]
    # Every second episode of a group comes from the one before it.
    parents = np.where(np.arange(episodes) % 2 == 1, np.arange(episodes) - 1, -1)
    forks = np.where(parents >= 0, np.minimum(lengths, lengths[parents]) // 2, 0)
    states = group[episode] * 32 + rng.integers(0, 32, total)
    _, anchor = np.unique(states, return_inverse=True)
    outcome = rng.integers(0, 2, episodes).astype(np.float64)
    tokens = rng.integers(1, 20, total)
    return TurnBatch(
        offsets=offsets,
        reward=rng.normal(size=total),
        scored=rng.random(total) < 0.9,
        outcome=outcome,
        success=outcome >= 1,
        valid=rng.random(episodes) < 0.99,
        group=group,
        anchor=anchor,
        episode=episode,
        position=position,
        num_groups=int(group[-1]) + 1,
        num_anchors=int(anchor.max()) + 1,
        anchored=True,
        values=rng.normal(size=total),
        entropies=rng.random(total),
        token_counts=tokens,
        token_values=rng.normal(size=int(tokens.sum())),
        parents=parents,
        forks=forks,
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--turns", type=int, default=1_000_000)
    parser.add_argument("--device", help="torch on this device; numpy without")
    arguments = parser.parse_args()
    batch = made(arguments.turns)
    if arguments.device:
        batch = batch.to_torch(arguments.device)
    print(f"{batch.num_turns:,} turns, {batch.num_episodes:,} episodes, {batch.num_groups:,} groups\n\n| estimator | ms |\n|---|---|")
    for name in list_estimators():
        print(f"| {name} | {min(timed(name, batch) for _ in range(3)) * 1000:.0f} |", flush=True)


def timed(name: str, batch: TurnBatch) -> float:
    import sys

    torch = sys.modules.get("torch")
    began = time.perf_counter()
    out = estimate(name, batch)
    if torch is not None and getattr(out, "is_cuda", False):
        torch.cuda.synchronize()
    return time.perf_counter() - began


if __name__ == "__main__":
    main()
