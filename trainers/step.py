"""What is kept of one step of reinforcement learning: its row of numbers, and its episodes with their credit."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ..records import Trajectory
from ..trajectory_io import write_trajectories
from .collect import Collected
from .crediting import of_turns


def measures(got: Collected) -> dict[str, Any]:
    """Means over the valid episodes that the policy played from the start, and counts of everything that was not as hoped."""
    valid = [t for t in got.played if t.outcome.valid and _whole(t)]
    turns = [turn for t in valid for turn in t.turns]

    def mean(values: Sequence[float]) -> float:
        return float(np.mean(values)) if values else 0.0

    return {
        "score": mean([t.outcome.score for t in valid]),
        "success": mean([t.outcome.success for t in valid]),
        "turn_reward": mean([t.turn_reward_sum for t in valid]),
        "mean_turns": mean([len(t.turns) for t in valid]),
        "invalid_actions": mean([not turn.action_valid for turn in turns]),
        "sampled_tokens": sum(t.num_action_tokens for t in got.played),
        "groups_without_signal": got.without_signal,
        "groups_replaced": got.replaced,
        "faults": sum(not t.outcome.valid for t in got.played),
        "retried": sum(t.attempts > 1 for t in got.played),
        **{f"{name}_dropped": count for name, count in got.dropped.items()},
    }


def tree_measures(got: Collected, trunks: int) -> dict[str, Any]:
    """Of tree rollouts with so many ``trunks``: what was forked, what that saved, and what went wrong with it."""
    forked = [t for t in got.played if t.parent is not None]
    return {
        "forks": len(forked),
        "fork_faults": sum(not t.outcome.valid for t in forked),
        "forks_from_the_start": sum(t.parent is None and t.rollout >= trunks for t in got.played),
        "forks_without_turns": sum(not t.own_turns for t in forked),
        "mean_fork": float(np.mean([t.fork for t in forked])) if forked else 0.0,
        "shared_tokens": sum(len(turn.tokens.action_ids) for t in forked for turn in t.turns[: t.fork] if turn.tokens is not None),
        "vine_rollouts": len(got.probes),
        "vine_tokens": sum(t.num_action_tokens for t in got.probes),
        "vine_faults": sum(not t.outcome.valid for t in got.probes),
        "unvalued_turns": got.unvalued,
    }


def _whole(trajectory: Trajectory) -> bool:
    """Whether the policy played all of it: no turn is a parent's, and it is no expert's, which holds no tokens."""
    return trajectory.fork == 0 and (not trajectory.turns or any(turn.tokens is not None for turn in trajectory.turns))


def save_step(folder: Path, step: int, got: Collected, used: set[int], estimator: str) -> None:
    """Write ``step-N.jsonl`` (episodes) and ``step-N.credit.json`` (advantages of turns, which tokens were trained) to ``folder``.

    ``used``: places of the episodes that moved the policy.
    """
    target = folder / f"step-{step:05d}.jsonl"
    target.unlink(missing_ok=True)
    write_trajectories(target, got.trajectories)
    episodes: list[dict[str, Any]] = []
    for number, (trajectory, own) in enumerate(zip(got.trajectories, of_turns(got.trajectories, got.advantages), strict=True)):
        trained = [[number in used and turn.trained] * len(turn.tokens.action_ids if turn.tokens else ()) for turn in trajectory.turns]
        episodes.append({"advantages": own, "trained": trained})
    (folder / f"step-{step:05d}.credit.json").write_text(json.dumps({"estimator": estimator, "episodes": episodes}) + "\n")
