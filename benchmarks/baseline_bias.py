"""The bias of a baseline per turn index, measured where the gradient is known.

    python benchmarks/baseline_bias.py [--groups 100000] [--group-size 4] [--turns 6] [--go-on 0.5]

At every turn the policy goes on with probability p_t = sigmoid(theta_t), each turn having a theta of its own, or gives up; whoever goes
on in all of them wins 1. The gradient of the success rate J = prod p_t is J (1 - p_t) for every turn. An estimator's is the mean over
episodes of its advantage times d log pi / d theta_t: 1 - p_t where the episode went on at t, -p_t where it gave up there.
"""

from __future__ import annotations

import argparse

import numpy as np
from turnwise.trainers.credit import TurnBatch, estimate

ESTIMATORS = ("turn_rloo", "turn_mean", "rloo")


def sampled(groups: int, size: int, chance: np.ndarray, rng: np.random.Generator) -> TurnBatch:
    """``groups`` of ``size`` episodes."""
    goes_on = rng.random((groups * size, len(chance))) < chance
    won = goes_on.all(1)
    lengths = np.where(won, len(chance), goes_on.argmin(1) + 1)
    rewards = [[0.0] * n for n in lengths]
    return TurnBatch.from_lists(rewards, won.astype(float).tolist(), np.repeat(np.arange(groups), size).tolist())


def gradients(batch: TurnBatch, advantages: np.ndarray, chance: np.ndarray) -> np.ndarray:
    """[groups, turns] the gradient each group gives."""
    last = batch.offsets[1:][batch.episode] - 1 == np.arange(batch.num_turns)
    gave_up = last & (batch.outcome[batch.episode] < 1)
    score = np.where(gave_up, -chance[batch.position], 1 - chance[batch.position])
    out = np.zeros((batch.num_groups, len(chance)))
    np.add.at(out, (batch.group[batch.episode], batch.position), advantages * score)
    return out / (batch.num_episodes / batch.num_groups)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--groups", type=int, default=100_000)
    parser.add_argument("--group-size", type=int, default=4)
    parser.add_argument("--turns", type=int, default=6)
    parser.add_argument("--go-on", type=float, default=0.5)
    given = parser.parse_args()
    chance = np.full(given.turns, given.go_on)
    batch = sampled(given.groups, given.group_size, chance, np.random.default_rng(0))
    exact = chance.prod() * (1 - chance)
    print("| | " + " | ".join(f"turn {t + 1}" for t in range(given.turns)) + " |")
    print("|---" * (given.turns + 1) + "|")
    print("| exact | " + " | ".join(f"{g:.5f}" for g in exact) + " |")
    for name in ESTIMATORS:
        each = gradients(batch, np.asarray(estimate(name, batch)), chance)
        mean, error = each.mean(0), each.std(0) / np.sqrt(given.groups)
        print(f"| {name} | " + " | ".join(f"{m:.5f} ± {1.96 * e:.5f}" for m, e in zip(mean, error, strict=True)) + " |")


if __name__ == "__main__":
    main()
