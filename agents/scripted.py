"""Scripted policies (experts, random and null players) behind the agent protocol."""

from __future__ import annotations

from functools import partial
from typing import Any, cast

import numpy as np

from ..envs.base import Script, ScriptFactory
from ..envs.scripts import load_script
from ..records import Message, Observation
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
            script = self._factory()
            script.reset(episode.task, np.random.default_rng(episode.policy_seed))
            episode.memory = script
        action = script.act(observation)
        return Act(message=Message(role="assistant", content=action) if isinstance(action, str) else action)

    def forget(self, episode: Episode) -> None:
        episode.memory = None
