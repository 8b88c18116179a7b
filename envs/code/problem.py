"""What a template makes: a question, its exact answer, and code that finds it in another way."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

from ..base import Rng


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """``gold`` prints the answer; it runs in the sandbox, beside ``files`` (name -> text)."""

    question: str
    answer: str
    gold: str
    files: Mapping[str, str] = field(default_factory=dict[str, str])


Template: TypeAlias = Callable[[Rng], Problem]


def draw(rng: Rng, low: int, high: int) -> int:
    """A whole number from low to high, both included."""
    return int(rng.integers(low, high + 1))


def some(rng: Rng, count: int, low: int, high: int) -> list[int]:
    """``count`` different whole numbers from low to high."""
    return [low + int(n) for n in rng.choice(high - low + 1, size=count, replace=False)]
