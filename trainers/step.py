"""What is kept of one step of reinforcement learning: its row of numbers, and its episodes with their credit."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ..trajectory_io import write_trajectories
from .assemble import Sample
from .collect import Collected
from .crediting import of_turns


def measures(got: Collected) -> dict[str, Any]:
    """Means over the valid episodes that were played, and counts of everything that was not as hoped."""
    valid = [t for t in got.played if t.outcome.valid]
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


def save_step(folder: Path, step: int, got: Collected, samples: Sequence[Sample], estimator: str) -> None:
    """Write ``step-N.jsonl`` (episodes) and ``step-N.credit.json`` (advantages of turns, which tokens were trained) to ``folder``."""
    target = folder / f"step-{step:05d}.jsonl"
    target.unlink(missing_ok=True)
    write_trajectories(target, got.trajectories)
    used = {s.rollout for s in samples if s.advantage.any()}
    episodes: list[dict[str, Any]] = []
    for number, (trajectory, own) in enumerate(zip(got.trajectories, of_turns(got.trajectories, got.advantages), strict=True)):
        trained = [[number in used and turn.trained] * len(turn.tokens.action_ids if turn.tokens else ()) for turn in trajectory.turns]
        episodes.append({"advantages": own, "trained": trained})
    (folder / f"step-{step:05d}.credit.json").write_text(json.dumps({"estimator": estimator, "episodes": episodes}) + "\n")
