"""Estimators by name.

@register_estimator("mine")
def mine(batch: TurnBatch, *, scale: float = 1.0) -> Array: ...
"""

from __future__ import annotations

import difflib
import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import import_module
from typing import Any, Literal, TypeAlias, TypeVar

from .batch import TurnBatch
from .segments import Array

Estimator: TypeAlias = Callable[..., Array]
E = TypeVar("E", bound=Estimator)
Level: TypeAlias = Literal["turn", "token"]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Entry:
    function: Estimator
    level: Level
    critic: bool


_ESTIMATORS: dict[str, _Entry] = {}


def register_estimator(name: str, *, level: Level = "turn", critic: bool = False) -> Callable[[E], E]:
    """Decorator: make a function of a ``TurnBatch`` known as ``name``; its keyword arguments are its parameters.

    ``level``: what it gives a number each, turns [T] or action tokens [N]. ``critic``: whether a critic of that level may give it values.
    It then takes ``whitened``, and its advantages with ``whitened=False`` plus the values are what the critic learns.
    Raises ``ValueError`` when the name is taken by another function.
    """

    def add(function: E) -> E:
        check_free(name, _ESTIMATORS[name].function if name in _ESTIMATORS else None, function, "estimator")
        _ESTIMATORS[name] = _Entry(function=function, level=level, critic=critic)
        return function

    return add


def check_free(name: str, known: Callable[..., Any] | None, function: Callable[..., Any], what: str) -> None:
    """Raise ``ValueError`` if ``name`` is ``known`` as another function; the same one may come again, when its module is read twice."""
    if known is not None and (known.__module__, known.__qualname__) != (function.__module__, function.__qualname__):
        raise ValueError(f"{what} {name!r} is already {known.__module__}.{known.__qualname__}; choose another name")


def list_estimators(level: Level | None = None) -> list[str]:
    """Names that ``estimate`` knows, sorted; those of one ``level`` if it is given."""
    return sorted(name for name, entry in _ESTIMATORS.items() if level in (None, entry.level))


def level_of(name: str) -> Level:
    """Whether ``estimate(name, ...)`` gives a number for every turn or for every action token. ``ValueError`` for an unknown estimator."""
    return _entry(name).level


def _entry(name: str) -> _Entry:
    name = imported(name, "estimator")
    check_name(name, list(_ESTIMATORS), "estimator")
    return _ESTIMATORS[name]


def estimator(name: str) -> Estimator:
    """The function of that name; ``module:name`` imports ``module`` first. Raises ``ValueError`` for an unknown one, with the closest."""
    return _entry(name).function


def imported(name: str, what: str) -> str:
    """``name``, or for ``module:name`` the part after the module, which is imported, as with ids of environments.

    So a recipe can name what is one's own. Raises ``ValueError`` for a module that is not there.
    """
    module, colon, rest = name.partition(":")
    if not colon:
        return name
    try:
        import_module(module)
    except ImportError as error:
        raise ValueError(f"{what} {name!r}: the module {module!r} cannot be imported ({error}); start where it can be found") from error
    return rest


def estimate(name: str, batch: TurnBatch, **parameters: Any) -> Array:
    """[T] advantages of ``batch``'s turns, in order; numpy or torch as the batch is. [N] of its action tokens by ``level_of(name)`` token.

    Raises ``ValueError`` for an unknown estimator or parameter, with the closest known name.
    """
    function = estimator(name)
    check_keywords(function, parameters, f"estimator {name!r}")
    return function(batch, **parameters)


def check_parameters(name: str, parameters: Mapping[str, Any], values: Level | None = None) -> None:
    """Raise ``ValueError`` if there is no such estimator, it does not take these parameters or their values, or cannot do with what
    the batches of a run will hold. ``values``: what there will be values of, if any."""
    advantages = estimate(name, smallest_batch(values), **parameters)
    if len(advantages) != (2 if level_of(name) == "token" else 1):
        tokens = ", ".join(list_estimators("token"))
        raise ValueError(f"estimator {name!r} is for turns, but its base gives every token a number; take any base but {tokens}")


def smallest_batch(values: Level | None = None) -> TurnBatch:
    """One episode of one turn of two tokens with every column, to try parameters on; ``values``: what it has values of."""
    columns: dict[str, Any] = {"anchors": [["a"]], "entropies": [[0.0]], "token_counts": [[2]]}
    columns |= {"parents": [-1], "forks": [0], "potentials": [[0.0, 0.0]], "seeds": [0]}
    columns |= {"values": [[0.0]]} if values == "turn" else {"token_values": [[0.0, 0.0]]} if values == "token" else {}
    return TurnBatch.from_lists([[0.0]], [0.0], **columns)


def check_critic(name: str, level: Level) -> None:
    """Raise ``ValueError`` if estimator ``name`` reads no values of a critic, or not of ``level``."""
    own = level_of(name)
    if not _entry(name).critic:
        able = ", ".join(n for n in list_estimators() if _ESTIMATORS[n].critic)
        raise ValueError(f"estimator {name!r} reads no critic; remove critic, or take an estimator that does: {able}")
    if own != level:
        raise ValueError(f"estimator {name!r} reads values of every {own}, but the critic's level is {level}; set critic: {{level: {own}}}")


def reads_turn_rewards(name: str, parameters: Mapping[str, Any]) -> bool:
    """Whether the rewards of turns change what an estimator gives: tried on two episodes of two turns, a success and a failure."""

    def advantages(first: float, second: float) -> Array:
        columns: dict[str, Any] = {"anchors": [["a", "b"]] * 2, "values": [[0.0, 0.0]] * 2, "entropies": [[1.0, 1.0]] * 2}
        columns |= {"token_counts": [[1, 1]] * 2, "parents": [-1, -1], "forks": [0, 0]}
        return estimate(name, TurnBatch.from_lists([[first, second], [second, 0.0]], [1.0, 0.0], **columns), **parameters)

    return bool((advantages(0.0, 0.0) != advantages(0.5, -0.25)).any())


ENTROPIES = ("the entropy of every turn", "train with a policy that records it, or give entropies=")
"""What ``needed`` says of entropies: their name, and where they come from."""


def needed(column: Array | None, user: str, name: str, source: str, *, what: str = "estimator") -> Array:
    """``column``, which the estimator (or modifier) ``user`` cannot do without. Raises ``ValueError`` that says where it comes from."""
    if column is None:
        raise ValueError(f"{what} {user!r} needs {name}, which this batch does not have; {source}")
    return column


def check_keywords(function: Callable[..., Any], parameters: Mapping[str, Any], what: str) -> None:
    """Raise ``ValueError`` for a parameter that ``function`` does not take by keyword, with the closest it takes."""
    allowed = keywords(function)
    for parameter in parameters:
        check_name(parameter, list(allowed), f"parameter of {what}:")


def keywords(function: Callable[..., Any]) -> dict[str, Any]:
    """The keyword-only parameters of ``function`` and their defaults."""
    given = inspect.signature(function).parameters.values()
    return {p.name: p.default for p in given if p.kind is inspect.Parameter.KEYWORD_ONLY}


def signature(function: Callable[..., Any]) -> str:
    """``keywords`` as a person reads them: "gamma=0.95, std=False"."""
    return ", ".join(f"{name}={default}" for name, default in keywords(function).items())


def check_name(name: str, allowed: list[str], what: str) -> None:
    """Raise ``ValueError`` unless ``name`` is ``allowed``, with the closest that is."""
    if name not in allowed:
        close = difflib.get_close_matches(name, allowed, 1)
        hint = f" Did you mean {close[0]!r}?" if close else ""
        raise ValueError(f"there is no {what} {name!r}; allowed: {', '.join(sorted(allowed)) or 'none'}.{hint}")


def anchored(batch: TurnBatch, estimator: str) -> None:
    """Raise ``ValueError`` if no turn of the batch says in which state it was taken."""
    source = "the environment's anchor() must give it (manifest: anchors), or give anchors= to TurnBatch.from_lists"
    needed(batch.anchor if batch.anchored else None, estimator, "the state of every turn (anchors)", source)
