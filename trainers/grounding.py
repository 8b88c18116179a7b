"""Voting at test time (GUI-RC): an answer to each task from several samples of an agent.

rollout(env, agent, tasks, group_size=K)  ->  vote(trajectories)  ->  accuracy of single samples, and of the votes
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..agents.base import Agent
from ..agents.rollout import EnvSource
from ..records import Trajectory
from ..rewards.boxes import Point, hit
from ..rewards.grounding import BOX, answer_of, screen_of
from ..rewards.gui_vote import consensus, region
from ..trajectory_io import read_trajectories
from .evaluate import evaluate


@dataclass(frozen=True, slots=True, kw_only=True)
class Voted:
    """The vote on one task. ``point``: where most samples agree, None without a readable one; ``single``: share of samples that hit."""

    task: str
    samples: int
    readable: int
    point: Point | None
    hit: bool
    single: float


def vote(trajectories: Sequence[Trajectory], *, side: float = 50.0) -> dict[str, Any]:
    """GUI-RC (arXiv 2508.05615) over the samples of each task: their boxes, or squares of ``side`` pixels about their points, vote for
    pixels, and the centre of the region with the most votes is the answer.

    ``single`` and ``voted`` are the shares of hits, averaged over tasks; ``votes`` has one ``Voted`` for each. Tasks without a target
    (negative samples) and voided episodes are left out and counted. Raises ``ValueError`` when nothing is left.
    """
    groups: Mapping[str, list[Trajectory]] = defaultdict(list)
    left_out = 0
    for trajectory in trajectories:
        measures = trajectory.turns[-1].measures if trajectory.turns else {}
        if trajectory.outcome.valid and all(f"target_{name}" in measures for name in BOX):
            groups[trajectory.task.hash].append(trajectory)
        else:
            left_out += 1
    if not groups:
        raise ValueError("no episode has a target to vote on; give episodes of Ground-v0")
    votes = [_vote(group, side) for group in groups.values()]
    count = len(votes)
    return {
        "tasks": count,
        "left_out": left_out,
        "single": sum(v.single for v in votes) / count,
        "voted": sum(v.hit for v in votes) / count,
        "votes": votes,
    }


def _vote(group: Sequence[Trajectory], side: float) -> Voted:
    turns = [t.turns[-1] for t in group]
    answers = [answer_of(turn) for turn in turns]
    width, height = screen_of(turns[0]) or (1, 1)
    found = consensus([region(answer, side=side) for answer in answers], width, height)
    target = [turns[0].measures[f"target_{name}"] for name in BOX]
    return Voted(
        task=group[0].task.id,
        samples=len(group),
        readable=sum(answer is not None for answer in answers),
        point=None if found is None else found.point,
        hit=found is not None and hit(found.point, target),
        single=sum(turn.measures.get("hit", 0.0) for turn in turns) / len(turns),
    )


def vote_folder(folder: str | Path, *, side: float = 50.0) -> dict[str, Any]:
    """``vote`` on a finished evaluation, ``turnwise eval ... --k 16 --out FOLDER``."""
    return vote(read_trajectories(Path(folder) / "trajectories.jsonl"), side=side)


def evaluate_votes(
    env: EnvSource, agent: Agent, out: str | Path, *, split: str = "test", k: int = 16, side: float = 50.0, **options: Any
) -> dict[str, Any]:
    """Sample every task ``k`` times into the folder ``out`` and vote (the paper: 64, temperature 0.7). ``options`` as of ``evaluate``."""
    evaluate(env, agent, split, k=k, out=out, **options)
    return vote_folder(out, side=side)
