"""The one rollout loop: many episodes at once, every episode accounted for.

    tasks x group_size -> workers (one environment each) -> [act -> step]* -> Trajectory, in completion order

Members of a group share the task and the environment seed and differ in the policy seed. An environment that fails is
replaced and the whole episode is tried again; if it fails again the episode is kept as voided, never dropped.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, TypeAlias

import numpy as np

from ..envs.base import Env
from ..envs.pool import EnvPool, Fault, Workers
from ..records import Observation, Outcome, StopReason, Task, Trajectory, Turn
from .base import Act, Agent, Episode

EnvSource: TypeAlias = "str | Callable[[], Any]"
Progress: TypeAlias = Callable[[Trajectory], None]


class RolloutInterrupted(KeyboardInterrupt):
    """Ctrl-C during ``rollout``; ``finished`` are the episodes that had ended by then."""

    def __init__(self, finished: list[Trajectory]) -> None:
        super().__init__(f"rollout interrupted; {len(finished)} episodes had finished")
        self.finished = finished


def episode_seeds(seed: int, task: Task, rollout: int) -> tuple[int, int]:
    """(environment seed, policy seed) of member ``rollout`` of the group of ``task``."""
    words = [int(task.hash[i : i + 8], 16) for i in range(0, 64, 8)]
    env = np.random.SeedSequence([seed, *words], spawn_key=(0,))
    policy = np.random.SeedSequence([seed, *words], spawn_key=(1, rollout))
    return int(env.generate_state(1)[0]), int(policy.generate_state(1)[0])


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
    group_size: int = 1,
    seed: int = 0,
    concurrency: int = 16,
    retries: int = 1,
    max_tokens: int | None = None,
    timeout: float | None = None,
    workers: Workers | None = None,
    call_timeout: float | None = None,
    progress: Progress | None = None,
) -> list[Trajectory]:
    """Play every task ``group_size`` times; ``len(tasks) * group_size`` trajectories in completion order.

    ``env``: a registered id or a factory. ``max_tokens``: sampled tokens per episode. ``timeout``: seconds per episode,
    checked around every agent call and step. ``workers`` and ``call_timeout`` (seconds per environment call) are those of
    ``EnvPool``; by default inline, and threads with a ``call_timeout`` or where the manifest says network or sandbox.
    ``progress`` is called with each finished trajectory. What the agent raises is raised here; what the environment raises voids
    its episode after ``retries`` further attempts.
    """
    for label, value, least in (("group_size", group_size, 1), ("concurrency", concurrency, 1), ("retries", retries, 0)):
        if value < least:
            raise ValueError(f"{label} is {value}; it must be at least {least}")
    jobs = [(task, member) for task in tasks for member in range(group_size)]
    limits: dict[str, Any] = {"max_tokens": max_tokens, "timeout": timeout, "call_timeout": call_timeout, "workers": workers}
    return await play_jobs(env, agent, jobs, seed=seed, concurrency=concurrency, retries=retries, progress=progress, **limits)


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
    limits = _Limits(max_tokens=max_tokens, timeout=timeout)
    pending, finished = iter(jobs), list[Trajectory]()

    async def play_on(slot: _Slot) -> None:
        for task, member in pending:
            trajectory = await _play(slot, agent, task, member, seed, retries, limits)
            finished.append(trajectory)
            if progress is not None:
                progress(trajectory)

    if not jobs:
        return finished
    factory = _factory(env)
    first = factory()  # a wrong id or argument is the caller's error, not a fault
    pool = EnvPool(factory, min(concurrency, len(jobs)), workers=workers or _workers(first, call_timeout), call_timeout=call_timeout)
    pool.adopt(first)
    players = [asyncio.create_task(play_on(_Slot(pool, number))) for number in range(pool.size)]
    try:
        await asyncio.gather(*players)
    finally:
        for player in players:
            player.cancel()
        await asyncio.gather(*players, return_exceptions=True)
        pool.close()
    return finished


@dataclass(frozen=True, slots=True, kw_only=True)
class _Limits:
    max_tokens: int | None
    timeout: float | None


class _Fault(Exception):
    """Something the environment raised."""


@dataclass(frozen=True, slots=True)
class _Slot:
    """One place of the pool."""

    pool: EnvPool
    number: int

    async def call(self, method: str, argument: Any = ()) -> Any:
        result = await self.pool.call(self.number, method, argument)
        if isinstance(result, Fault):
            raise _Fault(result.note)
        return result


@dataclass(slots=True, kw_only=True)
class _Record:
    """What one attempt has produced so far; ``usage`` goes on over all attempts, as it was all spent."""

    usage: dict[str, int]
    turns: list[Turn] = field(default_factory=list[Turn])
    start_potential: float | None = None
    final: Observation = ()
    sampled: int = 0

    def add(self, act: Act) -> None:
        for name, count in act.usage.items():
            self.usage[name] = self.usage.get(name, 0) + count
        self.sampled += len(act.tokens.action_ids) if act.tokens is not None else act.usage.get("completion_tokens", 0)


async def _play(slot: _Slot, agent: Agent, task: Task, member: int, seed: int, retries: int, limits: _Limits) -> Trajectory:
    env_seed, policy_seed = episode_seeds(seed, task, member)
    attempt, usage = 0, dict[str, int]()
    while True:
        attempt += 1
        record = _Record(usage=usage)
        episode = Episode(task=task, rollout=member, policy_seed=policy_seed)
        try:
            outcome, stop = await _attempt(slot, agent, episode, env_seed, record, limits)
        except _Fault as fault:
            outcome, stop = Outcome.void(str(fault)), StopReason.ENV_FAULT
        finally:
            agent.forget(episode)
        if stop is StopReason.ENV_FAULT:
            slot.pool.renew(slot.number)
            if attempt <= retries:
                continue
        return Trajectory(
            task=task,
            turns=tuple(record.turns),
            outcome=outcome,
            stop=stop,
            rollout=member,
            env_seed=env_seed,
            policy_seed=policy_seed,
            agent=agent.name,
            env_version=task.env_id,
            start_potential=record.start_potential,
            final_observation=record.final,
            attempts=attempt,
            usage=record.usage,
        )


async def _attempt(
    slot: _Slot, agent: Agent, episode: Episode, env_seed: int, record: _Record, limits: _Limits
) -> tuple[Outcome, StopReason]:
    deadline = None if limits.timeout is None else time.monotonic() + limits.timeout
    observation, info = await slot.call("reset", {"seed": env_seed, "options": {"task": episode.task}})
    record.start_potential, record.final = info.get("potential"), observation
    while True:
        await asyncio.sleep(0)  # inline steps never wait; let the other episodes run
        if limits.max_tokens is not None and record.sampled >= limits.max_tokens:
            return await _cut(slot, StopReason.MAX_TOKENS)
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
        index = len(record.turns)
        own = {"tokens": act.tokens, "chat_logprobs": act.chat_logprobs}
        record.turns.append(Turn(index=index, observation=seen, action=act.message, seconds=seconds, **own, **info["turn"]))
        record.final = observation
        if terminated or truncated:
            return info["outcome"], info["stop"]


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


async def _cut(slot: _Slot, stop: StopReason, note: str = "") -> tuple[Outcome, StopReason]:
    """The verdict on an episode that a limit outside the environment ends."""
    if stop.voids:
        return Outcome.void(note or f"the agent stopped with {stop.value}"), stop
    outcome: Outcome = await slot.call("outcome")
    return outcome, stop


def _factory(env: EnvSource) -> Callable[[], Env]:
    if not isinstance(env, str):
        return env
    from ..envs.registry import make

    return partial(make, env)


def _workers(env: Any, call_timeout: float | None) -> Workers:
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
