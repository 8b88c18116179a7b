"""Scripted policies (experts, random and null players) and recorded episodes behind the agent protocol."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from typing import Any, cast

import numpy as np

from ..envs.base import Script, ScriptFactory
from ..envs.scripts import load_script
from ..records import Message, Observation, Trajectory
from .base import Act, Episode


class ScriptedAgent:
    """Plays one fresh script per episode, seeded from the episode's policy seed.

    ``factory``: a callable that makes a ``Script``, or ``"package.module:Class"``; ``arguments`` are passed to it.
    """

    def __init__(self, factory: ScriptFactory, name: str = "scripted", **arguments: Any) -> None:
        self._factory = partial(load_script(factory), **arguments)
        self._name = name

    @property
    def name(self) -> str:
        return self._name

    async def act(self, observation: Observation, episode: Episode) -> Act:
        script = cast("Script | None", episode.memory)
        if script is None:
            script = episode.memory = self._start(episode)
        action = script.act(observation)
        return Act(message=Message(role="assistant", content=action) if isinstance(action, str) else action)

    def _start(self, episode: Episode) -> Script:
        """A script that stands where ``episode`` does: it plays a prefix again, with that one's seeds, and then draws its own."""
        rng, script = np.random.default_rng(episode.drawn_from(0)), self._factory()
        script.reset(episode.task, rng)
        for number, turn in enumerate(episode.prefix):
            script.act(turn.observation)
            if (seed := episode.drawn_from(number + 1)) != episode.drawn_from(number):
                fresh = np.random.default_rng(seed)
                rng.bit_generator.state = fresh.bit_generator.state  # the script holds this very generator
        return script

    def forget(self, episode: Episode) -> None:
        episode.memory = None


class RecordedAgent:
    """Does again what was done in recorded episodes, one per task; it keeps nothing, so it goes on after any turn of them.

    Raises ``ValueError`` for a task none was recorded of, and where the record ends before the environment ends the episode.
    """

    def __init__(self, trajectories: Iterable[Trajectory], name: str = "recorded") -> None:
        self._recorded: dict[str, Trajectory] = {}
        for trajectory in trajectories:
            self._recorded.setdefault(trajectory.task.hash, trajectory)
        self._name = name

    @property
    def name(self) -> str:
        return self._name

    async def act(self, observation: Observation, episode: Episode) -> Act:
        del observation
        task, turn = episode.task, sum(m.role == "assistant" for m in episode.messages)
        recorded = self._recorded.get(task.hash)
        if recorded is None:
            raise ValueError(f"no episode of task {task.id!r} was recorded; record one, or use fewer tasks")
        if turn >= len(recorded.turns):
            raise ValueError(
                f"task {task.id!r}: the recorded episode has {len(recorded.turns)} turns and the environment has not ended it; record it "
                "with the environment as it is now"
            )
        return Act(message=recorded.turns[turn].action)

    def forget(self, episode: Episode) -> None:
        """Nothing is kept for an episode."""
