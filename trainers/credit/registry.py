"""Estimators by name.

@register_estimator("mine")
def mine(batch: TurnBatch, *, scale: float = 1.0) -> Array: ...
"""

from __future__ import annotations

import difflib
import inspect
from collections.abc import Callable, Mapping
from typing import Any, TypeAlias, TypeVar

from .batch import TurnBatch
from .segments import Array

Estimator: TypeAlias = Callable[..., Array]
E = TypeVar("E", bound=Estimator)
_ESTIMATORS: dict[str, Estimator] = {}


def register_estimator(name: str) -> Callable[[E], E]:
    """Decorator: make a function of a ``TurnBatch`` known as ``name``; its keyword arguments are its parameters.

    Raises ``ValueError`` when the name is taken by another function.
    """

    def add(function: E) -> E:
        known = _ESTIMATORS.get(name)
        if known is not None and (known.__module__, known.__qualname__) != (function.__module__, function.__qualname__):
            raise ValueError(f"estimator {name!r} is already {known.__module__}.{known.__qualname__}; choose another name")
        _ESTIMATORS[name] = function
        return function

    return add


def list_estimators() -> list[str]:
    """Names that ``estimate`` knows, sorted."""
    return sorted(_ESTIMATORS)


def estimate(name: str, batch: TurnBatch, **parameters: Any) -> Array:
    """[T] advantages of ``batch``'s turns, in order; numpy or torch as the batch is.

    Raises ``ValueError`` for an unknown estimator or parameter, with the closest known name.
    """
    _known(name, list(_ESTIMATORS), "estimator")
    function = _ESTIMATORS[name]
    allowed = [p.name for p in inspect.signature(function).parameters.values() if p.kind is inspect.Parameter.KEYWORD_ONLY]
    for parameter in parameters:
        _known(parameter, allowed, f"parameter of estimator {name!r}:")
    return function(batch, **parameters)


def check_parameters(name: str, parameters: Mapping[str, Any]) -> None:
    """Raise ``ValueError`` if there is no such estimator or it does not take these parameters or their values."""
    columns: dict[str, Any] = {"anchors": [["a"]], "values": [[0.0]], "entropies": [[0.0]], "token_counts": [[1]]}
    columns |= {"parents": [-1], "forks": [0]}
    estimate(name, TurnBatch.from_lists([[0.0]], [0.0], **columns), **parameters)


def reads_turn_rewards(name: str, parameters: Mapping[str, Any]) -> bool:
    """Whether the rewards of turns change what an estimator gives: tried on two episodes of two turns, a success and a failure."""

    def advantages(first: float, second: float) -> Array:
        columns: dict[str, Any] = {"anchors": [["a", "b"]] * 2, "values": [[0.0, 0.0]] * 2, "entropies": [[1.0, 1.0]] * 2}
        columns |= {"token_counts": [[1, 1]] * 2, "parents": [-1, -1], "forks": [0, 0]}
        return estimate(name, TurnBatch.from_lists([[first, second], [second, 0.0]], [1.0, 0.0], **columns), **parameters)

    return bool((advantages(0.0, 0.0) != advantages(0.5, -0.25)).any())


def needed(column: Array | None, estimator: str, name: str, source: str) -> Array:
    """``column``, which ``estimator`` cannot do without. Raises ``ValueError`` that says where it comes from."""
    if column is None:
        raise ValueError(f"estimator {estimator!r} needs {name}, which this batch does not have; {source}")
    return column


def _known(name: str, allowed: list[str], what: str) -> None:
    if name not in allowed:
        close = difflib.get_close_matches(name, allowed, 1)
        hint = f" Did you mean {close[0]!r}?" if close else ""
        raise ValueError(f"there is no {what} {name!r}; allowed: {', '.join(sorted(allowed)) or 'none'}.{hint}")


def anchored(batch: TurnBatch, estimator: str) -> None:
    """Raise ``ValueError`` if no turn of the batch says in which state it was taken."""
    source = "the environment's anchor() must give it (manifest: anchors), or give anchors= to TurnBatch.from_lists"
    needed(batch.anchor if batch.anchored else None, estimator, "the state of every turn (anchors)", source)
