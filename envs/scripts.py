"""Scripts that fit every environment: an agent that says nothing, one that repeats what it hears, one that types at random."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import Any

from ..records import Observation, Task
from .base import Rng, ScriptFactory
from .spaces import Action


def load_script(given: ScriptFactory) -> Callable[..., Any]:
    """What makes the script that a manifest names. Raises ``ValueError`` for a text that is not "package.module:Class"."""
    if not isinstance(given, str):
        return given
    module, _, attribute = given.partition(":")
    if not module or not attribute:
        raise ValueError(f"script {given!r} names no class; write it as 'package.module:Class'")
    return getattr(import_module(module), attribute)


class Null:
    """Says nothing, ever."""

    def reset(self, task: Task, rng: Rng) -> None:
        del task, rng

    def act(self, observation: Observation) -> str:
        del observation
        return ""


class Echo:
    """Repeats what it was told."""

    def reset(self, task: Task, rng: Rng) -> None:
        del task, rng

    def act(self, observation: Observation) -> str:
        return "\n".join(m.text for m in observation)


class Random:
    """Types random text; environments with an action grammar ship a better one."""

    def __init__(self) -> None:
        self._space = Action()

    def reset(self, task: Task, rng: Rng) -> None:
        del task
        self._space = Action(seed=rng)

    def act(self, observation: Observation) -> str:
        del observation
        return self._space.sample()


NULL = f"{__name__}:Null"
ECHO = f"{__name__}:Echo"
RANDOM = f"{__name__}:Random"
