"""Groups whose episodes branch off each other: trunks first, then rounds of forks, then probes of what states are worth.

    trunks -> [Branching -> forks]* -> (probes) -> Trajectory with parent and fork

A round is chosen once all episodes before it have ended, from (seed, task, round) alone, so that which turns are forked never depends
on timing. What a fork needs (snapshots of the environment, the agent's memory) is kept until the group is over.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from ..envs.base import Env
from ..envs.pool import Workers
from ..records import Task, Trajectory
from .base import Agent
from .branching import Branching, Fork, Uniform
from .episode import EnvSource, Job, Limits, Origin, Played, Restore, Slot, on_pool, play_episode, task_words


@dataclass(frozen=True, slots=True, kw_only=True)
class Tree:
    """How a group branches. It has ``size`` = ``trunks`` + ``rounds`` * ``branches`` members, whatever happens.

    ``trunks`` are played from the start (rollout indices 0, 1, ...); then in each round ``branching`` says where ``branches`` more are
    forked. A voided episode is not forked; a fork for which there is no episode left is played from the start instead, without a
    parent. ``restore``: environments are brought back by "snapshot" (a capability of the manifest), or by "replay" of the actions, which
    any environment can that follows from its seed. ``expert``: who plays the trunk in place of the agent; its turns are not trained.
    ``probes``: how many further episodes are played from the state before each turn of the members, for estimates of its value
    (VinePPO); they come with ``probe=True`` and rollout indices from ``size``. Raises ``ValueError`` for numbers out of range.
    """

    trunks: int
    branches: int = 0
    rounds: int = 1
    branching: Branching = field(default_factory=Uniform)
    restore: Restore = "snapshot"
    expert: Agent | None = None
    probes: int = 0

    def __post_init__(self) -> None:
        for name, least in (("trunks", 1), ("branches", 0), ("rounds", 1), ("probes", 0)):
            if getattr(self, name) < least:
                raise ValueError(f"tree: {name} is {getattr(self, name)}; it must be at least {least}")
        if self.restore not in ("snapshot", "replay"):
            raise ValueError(f"tree: restore is {self.restore!r}; allowed: snapshot, replay")
        if self.expert is not None and self.trunks != 1:
            raise ValueError(f"tree: trunks is {self.trunks}, but an expert's episodes are all the same; set trunks to 1")

    @property
    def size(self) -> int:
        return self.trunks + self.rounds * self.branches

    def check(self, env: Env) -> None:
        """Raise ``ValueError`` if ``env`` cannot be brought back to a turn in the way that is asked for."""
        inner = env.unwrapped
        if self.restore == "snapshot" and (self.branches or self.probes) and not can_snapshot(inner):
            name = getattr(inner, "env_id", "") or type(inner).__name__
            raise ValueError(
                f"{name} offers no snapshots (manifest: snapshots), which tree rollouts restore it from; set restore to 'replay' if it "
                "follows from seed and actions alone, or give it snapshot() and restore()"
            )


def can_snapshot(env: object) -> bool:
    """Whether the manifest promises snapshots; of an environment without one, whether its class has them."""
    from ..envs.registry import manifest

    env_id = getattr(env, "env_id", "")
    return manifest(env_id).snapshots if env_id else getattr(type(env), "snapshot", Env.snapshot) is not Env.snapshot


async def play_trees(
    env: EnvSource,
    agent: Agent,
    tasks: Sequence[Task],
    tree: Tree,
    *,
    seed: int = 0,
    concurrency: int = 16,
    retries: int = 1,
    max_tokens: int | None = None,
    timeout: float | None = None,
    workers: Workers | None = None,
    call_timeout: float | None = None,
    progress: Callable[[Trajectory], None] | None = None,
) -> list[Trajectory]:
    """``rollout_async`` with a tree. Members and probes in completion order; ``progress`` is called with members."""
    limits, finished = Limits(max_tokens=max_tokens, timeout=timeout), list[Trajectory]()
    groups = [_Group(task, tree, agent, seed) for task in tasks]
    # Groups begun earlier first: what they keep is freed the sooner.
    todo: asyncio.PriorityQueue[tuple[int, int, Job | None]] = asyncio.PriorityQueue()
    left = len(groups)

    def put(number: int, jobs: Sequence[Job]) -> None:
        for job in jobs:
            todo.put_nowait((number, job.member, job))

    async def play_on(slot: Slot) -> None:
        nonlocal left
        while True:
            number, _, job = await todo.get()
            if job is None:
                todo.put_nowait((number, 0, None))  # for the next player
                return
            group = groups[number]
            played = await play_episode(slot, group.agent_of(job.member), job, seed, retries, limits)
            played = group.take(played)
            finished.append(played.trajectory)
            if progress is not None and not job.probe:
                progress(played.trajectory)
            put(number, group.follow())
            left -= group.over
            if not left:
                todo.put_nowait((len(groups), 0, None))

    if not groups:
        return finished
    for number, group in enumerate(groups):
        put(number, group.trunks())
    try:
        size = min(concurrency, len(groups) * tree.size)
        await on_pool(env, size, play_on, workers=workers, call_timeout=call_timeout, check=tree.check)
    finally:
        for group in groups:
            group.release()
    return finished


class _Group:
    """The episodes of one task: which are to be played next, and what is kept of those that were."""

    def __init__(self, task: Task, tree: Tree, agent: Agent, seed: int) -> None:
        self.task, self.tree, self.over = task, tree, False
        self._agent, self._seed = agent, seed
        self._played: dict[int, Played] = {}
        self._round, self._awaited, self._probed = 0, 0, False

    def agent_of(self, member: int) -> Agent:
        expert = self.tree.expert
        return self._agent if expert is None or member >= self.tree.trunks else expert

    def trunks(self) -> list[Job]:
        return self._await([self._job(member, None) for member in range(self.tree.trunks)])

    def take(self, played: Played) -> Played:
        """``played`` as it is from now on: an expert's turns are not to be trained."""
        trajectory = played.trajectory
        if self.tree.expert is not None and trajectory.rollout < self.tree.trunks:
            shown = tuple(replace(turn, trained=False) for turn in trajectory.turns)
            played = replace(played, trajectory=replace(trajectory, turns=shown))
        if not trajectory.probe:
            self._played[trajectory.rollout] = played
        self._awaited -= 1
        return played

    def follow(self) -> list[Job]:
        """The jobs that can be begun now; none while others are under way. ``over`` is set when there will be no more."""
        if self._awaited:
            return []
        jobs = list[Job]()
        if self.tree.branches and self._round < self.tree.rounds:
            jobs = self._forks()
        elif not self._probed:
            jobs = self._probes()
        if not jobs:
            self.over = True
            self.release()
        return self._await(jobs)

    def release(self) -> None:
        """Let go of everything that was kept for forks."""
        for member, played in self._played.items():
            if played.kept:
                self.agent_of(member).forget(played.episode)
        self._played = {}

    def _await(self, jobs: list[Job]) -> list[Job]:
        self._awaited = len(jobs)
        return jobs

    def _job(self, member: int, fork: Fork | None, *, probe: bool = False) -> Job:
        more = self._round < self.tree.rounds and self.tree.branches > 0
        return Job(
            task=self.task,
            member=member,
            origin=None if fork is None else Origin(played=self._played[fork.parent], turn=fork.turn),
            restore=self.tree.restore,
            keep=not probe and (more or self.tree.probes > 0),
            probe=probe,
        )

    def _members(self) -> list[Trajectory]:
        """Those that can be forked."""
        members = [self._played[member].trajectory for member in sorted(self._played)]
        return [t for t in members if t.outcome.valid and t.turns]

    def _forks(self) -> list[Job]:
        count, members = self.tree.branches, self._members()
        first = self.tree.trunks + self._round * count
        rng = np.random.default_rng(np.random.SeedSequence([self._seed, *task_words(self.task)], spawn_key=(2, self._round)))
        self._round += 1
        forks = _checked(self.tree.branching(members, count, rng), members, count) if members else [None] * count
        return [self._job(first + number, fork) for number, fork in enumerate(forks)]

    def _probes(self) -> list[Job]:
        self._probed = True
        states = [state for state in states_of(self._members()) for _ in range(self.tree.probes)]
        return [self._job(self.tree.size + number, state, probe=True) for number, state in enumerate(states)]


def _checked(forks: list[Fork], members: Sequence[Trajectory], count: int) -> list[Fork]:
    """What a strategy has named, a parent's turns by the parent. Raises ``ValueError`` unless it is ``count`` turns that there are."""
    lengths = {t.rollout: len(t.turns) for t in members}
    wrong = next((fork for fork in forks if not 0 <= fork.turn < lengths.get(fork.parent, 0)), None)
    if wrong is not None or len(forks) != count:
        seen = f"{len(forks)} forks" if wrong is None else f"a fork at turn {wrong.turn} of rollout {wrong.parent}"
        raise ValueError(f"the branching strategy gave {seen}; it must give {count}, each at a turn of {lengths} (turns by rollout)")
    by_rollout = {t.rollout: t for t in members}
    return [_by_owner(fork, by_rollout) for fork in forks]


def _by_owner(fork: Fork, by_rollout: dict[int, Trajectory]) -> Fork:
    """The same state, by the episode that holds what it takes to go back to it."""
    trajectory = by_rollout[fork.parent]
    while trajectory.parent is not None and fork.turn < trajectory.fork:
        trajectory = by_rollout[trajectory.parent]
    return Fork(trajectory.rollout, fork.turn)


def states_of(members: Sequence[Trajectory]) -> Iterator[Fork | None]:
    """Every state that a turn of ``members`` was taken in, once: None is the start, which all share."""
    if members:
        yield None
    for t in members:
        yield from (Fork(t.rollout, turn) for turn in range(t.fork + 1, len(t.turns)))
