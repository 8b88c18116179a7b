"""Turnwise: a gym for language-model agents that act over many turns.

Importing this package tells Gymnasium the ids of the built-in environments; it loads no torch, opens nothing and prints
nothing, and names are resolved on first use.
"""

from importlib import import_module
from typing import Any

from turnwise.envs.builtin import register_with_gymnasium

__version__ = "0.1.0"

_HOMES = {
    "TurnBatch": "turnwise.trainers.credit",
    "check_env": "turnwise.envs.check",
    "compare": "turnwise.trainers.evaluate",
    "estimate": "turnwise.trainers.credit",
    "evaluate": "turnwise.trainers.evaluate",
    "list_envs": "turnwise.envs.registry",
    "list_estimators": "turnwise.trainers.credit",
    "list_modifiers": "turnwise.trainers.credit",
    "make": "turnwise.envs.registry",
    "modify": "turnwise.trainers.credit",
    "register": "turnwise.envs.registry",
    "register_estimator": "turnwise.trainers.credit",
    "register_modifier": "turnwise.trainers.credit",
    "rollout": "turnwise.agents.rollout",
}

__all__ = sorted(_HOMES)

register_with_gymnasium()


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'turnwise' has no attribute {name!r}; public names: {', '.join(__all__)}")
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return __all__
