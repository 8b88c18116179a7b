"""One episode: an agent and an environment take turns, from the task's start or from a turn of another episode.

Job -> reset (-> restore) -> [act -> step]* -> Played; what the environment raises is tried again, then voids the episode
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, Literal, TypeAlias

import numpy as np

from ..envs.base import Env
from ..envs.pool import EnvPool, Fault, Workers
from ..records import Observation, Outcome, StopReason, Task, Trajectory, Turn
from .base import Act, Agent, Episode

EnvSource: TypeAlias = "str | Callable[[], Any]"
Restore: TypeAlias = Literal["snapshot", "replay"]
"""How an environment is brought back to a turn: by its own snapshot, or by doing all actions up to there again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What ends an episode from outside: ``max_tokens`` sampled, a parent's included; ``timeout`` seconds of its own."""

    max_tokens: int | None
    timeout: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """Where a forked episode begins: before turn ``turn`` of ``played``, whose last turn comes after that. 0: at its start."""

    played: Played
    turn: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """One episode to be played. ``keep``: it may be forked, so its snapshots and what its agent knows are kept; see ``release``."""

    task: Task
    member: int
    origin: Origin | None = None
    restore: Restore = "snapshot"
    keep: bool = False
    probe: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Played:
    """An episode that ended, and what a fork of it needs.

    ``snapshots``: of the environment, by the turn they were taken before; there is none of turn 0, which a reset brings back.
    ``sampled``: tokens sampled before each turn, and in all.
    """

    trajectory: Trajectory
    episode: Episode
    snapshots: dict[int, Any]
    sampled: list[int]
    kept: bool = False
    """Whether the agent still holds what it knows of the episode."""


class EnvironmentFault(Exception):
    """Something the environment raised."""


@dataclass(frozen=True, slots=True)
class Slot:
    """One place of the pool."""

    pool: EnvPool
    number: int

    async def call(self, method: str, argument: Any = ()) -> Any:
        result = await self.pool.call(self.number, method, argument)
        if isinstance(result, Fault):
            raise EnvironmentFault(result.note)
        return result


@dataclass(slots=True, kw_only=True)
class _Record:
    """What one attempt has produced so far; ``usage`` goes on over all attempts, as it was all spent."""

    usage: dict[str, int]
    turns: list[Turn] = field(default_factory=list[Turn])
    snapshots: dict[int, Any] = field(default_factory=dict[int, Any])
    sampled: list[int] = field(default_factory=lambda: [0])
    start_potential: float | None = None
    final: Observation = ()

    def add(self, act: Act) -> None:
        for name, count in act.usage.items():
            self.usage[name] = self.usage.get(name, 0) + count
        new = len(act.tokens.action_ids) if act.tokens is not None else act.usage.get("completion_tokens", 0)
        self.sampled.append(self.sampled[-1] + new)


def episode_seeds(seed: int, task: Task, rollout: int) -> tuple[int, int]:
    """(environment seed, policy seed) of member ``rollout`` of the group of ``task``."""
    env = np.random.SeedSequence([seed, *task_words(task)], spawn_key=(0,))
    policy = np.random.SeedSequence([seed, *task_words(task)], spawn_key=(1, rollout))
    return int(env.generate_state(1)[0]), int(policy.generate_state(1)[0])


def task_words(task: Task) -> list[int]:
    """The task's hash as numbers that seed what belongs to it."""
    return [int(task.hash[i : i + 8], 16) for i in range(0, 64, 8)]


async def play_episode(slot: Slot, agent: Agent, job: Job, seed: int, retries: int, limits: Limits) -> Played:
    """Play one episode, with ``retries`` further attempts where the environment fails.

    A forked one begins with the turns of its parent, which are marked as not trained, and goes on with a policy seed of its own.
    """
    env_seed, policy_seed = episode_seeds(seed, job.task, job.member)
    origin = job.origin
    prefix = () if origin is None else tuple(replace(turn, trained=False) for turn in origin.played.trajectory.turns[: origin.turn])
    parent = None if origin is None else origin.played.episode
    attempt, usage = 0, dict[str, int]()
    while True:
        attempt += 1
        record = _Record(usage=usage, turns=list(prefix))
        episode = Episode(task=job.task, rollout=job.member, policy_seed=policy_seed, prefix=prefix, parent=parent)
        kept = False
        try:
            outcome, stop = await _attempt(slot, agent, episode, job, env_seed, record, limits)
            kept = job.keep and not stop.voids
        except EnvironmentFault as fault:
            outcome, stop = Outcome.void(str(fault)), StopReason.ENV_FAULT
        finally:
            if not kept:
                agent.forget(episode)
        if stop is StopReason.ENV_FAULT:
            slot.pool.renew(slot.number)
            if attempt <= retries:
                continue
        trajectory = Trajectory(
            task=job.task,
            turns=tuple(record.turns),
            outcome=outcome,
            stop=stop,
            rollout=job.member,
            env_seed=env_seed,
            policy_seed=policy_seed,
            agent=agent.name,
            env_version=job.task.env_id,
            start_potential=record.start_potential,
            final_observation=record.final,
            attempts=attempt,
            usage=record.usage,
            parent=None if origin is None else origin.played.trajectory.rollout,
            fork=len(prefix),
            probe=job.probe,
        )
        snapshots = record.snapshots if kept else {}
        return Played(trajectory=trajectory, episode=episode, snapshots=snapshots, sampled=record.sampled, kept=kept)


async def _attempt(
    slot: Slot, agent: Agent, episode: Episode, job: Job, env_seed: int, record: _Record, limits: Limits
) -> tuple[Outcome, StopReason]:
    deadline = None if limits.timeout is None else time.monotonic() + limits.timeout
    observation, info = await slot.call("reset", {"seed": env_seed, "options": {"task": episode.task}})
    record.start_potential, record.final = info.get("potential"), observation
    if job.origin is not None and episode.prefix:
        observation = record.final = await _resume(slot, episode, job.origin, job.restore, observation, record)
    while True:
        await asyncio.sleep(0)  # inline steps never wait; let the other episodes run
        if limits.max_tokens is not None and record.sampled[-1] >= limits.max_tokens:
            return await _cut(slot, StopReason.MAX_TOKENS)
        index = len(record.turns)
        if job.keep and job.restore == "snapshot" and index and index not in record.snapshots:
            record.snapshots[index] = await slot.call("snapshot")
        episode.messages.extend(observation)
        act = await _act(agent, observation, episode, deadline)
        if act is None:
            return await _cut(slot, StopReason.TIMEOUT)
        record.add(act)
        if act.stop is not None:
            return await _cut(slot, act.stop, act.note)
        episode.messages.append(act.message)
        started = time.perf_counter()
        seen = observation
        observation, _, terminated, truncated, info = await slot.call("step", act.message)
        seconds = time.perf_counter() - started
        own = {"tokens": act.tokens, "chat_logprobs": act.chat_logprobs}
        record.turns.append(Turn(index=index, observation=seen, action=act.message, seconds=seconds, **own, **info["turn"]))
        record.final = observation
        if terminated or truncated:
            return info["outcome"], info["stop"]


async def _resume(slot: Slot, episode: Episode, origin: Origin, how: Restore, first: Observation, record: _Record) -> Observation:
    """Bring the environment, which was reset to ``first``, and the messages to where the episode begins; what is seen there."""
    played, turn = origin.played, origin.turn
    seen = played.trajectory.turns[turn].observation
    if how == "snapshot":
        await slot.call("restore", (played.snapshots[turn],))
        record.snapshots[turn] = played.snapshots[turn]
    else:
        await _replay(slot, episode.prefix, first, seen)
    for done in episode.prefix:
        episode.messages.extend(done.observation)
        episode.messages.append(done.action)
    record.sampled = played.sampled[: turn + 1]
    return seen


async def _replay(slot: Slot, prefix: tuple[Turn, ...], first: Observation, last: Observation) -> None:
    """Do the actions of ``prefix`` again. Faults where something else is seen than the first time."""
    observation = first
    for done in prefix:
        _same(observation, done.observation, done.index)
        observation = (await slot.call("step", done.action))[0]
    _same(observation, last, len(prefix))


def _same(observation: Observation, before: Observation, turn: int) -> None:
    if observation != before:
        raise EnvironmentFault(
            f"before turn {turn} the environment showed something else when the episode was replayed, so it does not follow from seed "
            "and actions alone; restore it from snapshots"
        )


async def _act(agent: Agent, observation: Observation, episode: Episode, deadline: float | None) -> Act | None:
    """The agent's answer, or None when the episode's time is up."""
    if deadline is None:
        return await agent.act(observation, episode)
    remaining = deadline - time.monotonic()
    if remaining <= 0:
        return None
    timer = asyncio.timeout(remaining)
    try:
        async with timer:
            return await agent.act(observation, episode)
    except TimeoutError:
        if timer.expired():
            return None
        raise


async def _cut(slot: Slot, stop: StopReason, note: str = "") -> tuple[Outcome, StopReason]:
    """The verdict on an episode that a limit outside the environment ends."""
    if stop.voids:
        return Outcome.void(note or f"the agent stopped with {stop.value}"), stop
    outcome: Outcome = await slot.call("outcome")
    return outcome, stop


# ---- the pool they are played in ---------------------------------------------------------------------------------------


async def on_pool(
    env: EnvSource,
    size: int,
    play_on: Callable[[Slot], Awaitable[None]],
    *,
    workers: Workers | None,
    call_timeout: float | None,
    check: Callable[[Env], None] | None = None,
) -> None:
    """Run ``play_on`` once for each of ``size`` places of a pool of environments until all are done.

    ``check`` sees the first environment before anything is played and may raise.
    """
    factory = _factory(env)
    first = factory()  # a wrong id or argument is the caller's error, not a fault
    if check is not None:
        try:
            check(first)
        except ValueError:
            first.close()
            raise
    pool = EnvPool(factory, size, workers=workers or pick_workers(first, call_timeout), call_timeout=call_timeout)
    pool.adopt(first)
    players = [asyncio.ensure_future(play_on(Slot(pool, number))) for number in range(pool.size)]
    try:
        await asyncio.gather(*players)
    finally:
        for player in players:
            player.cancel()
        await asyncio.gather(*players, return_exceptions=True)
        pool.close()


def _factory(env: EnvSource) -> Callable[[], Env]:
    if not isinstance(env, str):
        return env
    from ..envs.registry import make

    return partial(make, env)


def pick_workers(env: Any, call_timeout: float | None) -> Workers:
    """Threads for environments that wait for something outside or may hang, else inline."""
    from ..envs.registry import manifest

    if call_timeout is not None:
        return "threads"
    if getattr(env.unwrapped, "waits", False):
        return "threads"
    env_id = getattr(env.unwrapped, "env_id", "")  # empty for one that is not registered: it has no manifest
    if not env_id:
        return "inline"
    promised = manifest(env_id)
    return "threads" if promised.network or promised.sandbox else "inline"
