"""The one rollout loop: many episodes at once, every episode accounted for.

    tasks x group_size -> workers (one environment each) -> [act -> step]* -> Trajectory, in completion order

Members of a group share the task and the environment seed and differ in the policy seed. An environment that fails is
replaced and the whole episode is tried again; if it fails again the episode is kept as voided, never dropped. With a ``Tree``
the members of a group branch off each other (``agents.trees``).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

from ..envs.pool import Workers
from ..records import Task, Trajectory
from .base import Agent
from .episode import EnvSource, Job, Limits, Slot, on_pool, play_episode
from .trees import Tree, play_trees

Progress: TypeAlias = Callable[[Trajectory], None]


class RolloutInterrupted(KeyboardInterrupt):
    """Ctrl-C during ``rollout``; ``finished`` are the episodes that had ended by then."""

    def __init__(self, finished: list[Trajectory]) -> None:
        super().__init__(f"rollout interrupted; {len(finished)} episodes had finished")
        self.finished = finished


def rollout(env: EnvSource, agent: Agent, tasks: Sequence[Task], **options: Any) -> list[Trajectory]:
    """``rollout_async`` for callers without an event loop. Ctrl-C raises ``RolloutInterrupted`` with the finished episodes."""
    finished: list[Trajectory] = []
    progress: Progress | None = options.pop("progress", None)

    def keep(trajectory: Trajectory) -> None:
        finished.append(trajectory)
        if progress is not None:
            progress(trajectory)

    try:
        return asyncio.run(rollout_async(env, agent, tasks, progress=keep, **options))
    except KeyboardInterrupt as error:
        raise RolloutInterrupted(finished) from error


async def rollout_async(
    env: EnvSource,
    agent: Agent,
    tasks: Sequence[Task],
    group_size: int | None = None,
    seed: int = 0,
    concurrency: int = 16,
    retries: int = 1,
    max_tokens: int | None = None,
    timeout: float | None = None,
    workers: Workers | None = None,
    call_timeout: float | None = None,
    progress: Progress | None = None,
    tree: Tree | None = None,
) -> list[Trajectory]:
    """Play every task ``group_size`` (1) times; ``len(tasks) * group_size`` trajectories in completion order.

    ``env``: a registered id or a factory. ``max_tokens``: sampled tokens per episode. ``timeout``: seconds per episode,
    checked around every agent call and step. ``workers`` and ``call_timeout`` (seconds per environment call) are those of
    ``EnvPool``; by default inline, and threads with a ``call_timeout`` or where the manifest says network or sandbox.
    ``progress`` is called with each finished trajectory. What the agent raises is raised here; what the environment raises voids
    its episode after ``retries`` further attempts. ``tree``: members of a group branch off each other; the group's size is
    ``tree.size``, and its probes come beside it. Raises ``ValueError`` for numbers out of range, another ``group_size`` than the
    tree's, and a tree on an environment that cannot be restored.
    """
    size = group_size if group_size is not None else 1 if tree is None else tree.size
    for label, value, least in (("group_size", size, 1), ("concurrency", concurrency, 1), ("retries", retries, 0)):
        if value < least:
            raise ValueError(f"{label} is {value}; it must be at least {least}")
    limits: dict[str, Any] = {"max_tokens": max_tokens, "timeout": timeout, "call_timeout": call_timeout, "workers": workers}
    options: dict[str, Any] = {"seed": seed, "concurrency": concurrency, "retries": retries, "progress": progress, **limits}
    if tree is None:
        return await play_jobs(env, agent, [(task, member) for task in tasks for member in range(size)], **options)
    if size != tree.size:
        raise ValueError(f"group_size is {size}, but trunks + rounds * branches of the tree is {tree.size}; make them equal")
    return await play_trees(env, agent, tasks, tree, **options)


async def play_jobs(
    env: EnvSource,
    agent: Agent,
    jobs: Sequence[tuple[Task, int]],
    *,
    seed: int = 0,
    concurrency: int = 16,
    retries: int = 1,
    max_tokens: int | None = None,
    timeout: float | None = None,
    workers: Workers | None = None,
    call_timeout: float | None = None,
    progress: Progress | None = None,
) -> list[Trajectory]:
    """Play exactly the given (task, rollout index) pairs, as ``rollout_async`` does."""
    limits = Limits(max_tokens=max_tokens, timeout=timeout)
    pending, finished = iter(jobs), list[Trajectory]()

    async def play_on(slot: Slot) -> None:
        for task, member in pending:
            played = await play_episode(slot, agent, Job(task=task, member=member), seed, retries, limits)
            finished.append(played.trajectory)
            if progress is not None:
                progress(played.trajectory)

    if jobs:
        await on_pool(env, min(concurrency, len(jobs)), play_on, workers=workers, call_timeout=call_timeout)
    return finished
