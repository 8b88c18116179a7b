"""Procedural problems with one whole number as the answer, in four levels, for environments that need exact answers.

    make_problem("train", 7, level=2)   # Problem(kind="word", question="...", answer=58, numbers=(12, 5, 2))

No number of a question is its answer, and no answer is 0 or 1, so that neither copying nor a constant is ever right.
"""

from __future__ import annotations

import math
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np

from .search.world import SPLITS, SplitName, word

Rng: TypeAlias = np.random.Generator
LEVELS = (1, 2, 3, 4)
_HIGH = {1: 40, 2: 50, 3: 200, 4: 900}
_PARTS: dict[SplitName, range] = {"train": range(8), "validation": range(8, 9), "test": range(9, 10)}
"""A problem belongs to the split whose part of 0..9 the checksum of its numbers falls into: no split shares a problem with another."""
_THINGS = ("stones", "apples", "coins", "books", "shells", "lamps", "pears", "bells")


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    kind: str
    question: str
    answer: int
    numbers: tuple[int, ...]
    """The numbers of the question, in order."""


def make_problem(split: SplitName, index: int, level: int, kinds: tuple[str, ...] = ()) -> Problem:
    """Problem ``index`` of a split; kinds take turns (default: all of ``KINDS``)."""
    kinds = kinds or tuple(KINDS)
    kind = kinds[index % len(kinds)]
    rng = np.random.default_rng(np.random.SeedSequence([SPLITS.index(split), index, level, list(KINDS).index(kind)]))
    while True:
        question, answer, numbers = KINDS[kind](rng, level, word(split, index, level))
        part = zlib.crc32(f"{kind} {numbers}".encode()) % 10
        if part in _PARTS[split] and 1 < answer < 10**6 and answer not in numbers:
            return Problem(kind=kind, question=question, answer=answer, numbers=numbers)


Made: TypeAlias = tuple[str, int, tuple[int, ...]]


def _draw(rng: Rng, low: int, high: int) -> int:
    return int(rng.integers(low, high + 1))


def _arithmetic(rng: Rng, level: int, name: str) -> Made:
    """Precedence: a sum with one product in it; from level 3 with brackets."""
    del name
    high = _HIGH[level]
    a, b, c = _draw(rng, 2, high), _draw(rng, 2, 9 if level < 4 else 40), _draw(rng, 2, high)
    if level == 1:
        text, value, numbers = (f"{a} + {c}", a + c, (a, c)) if rng.random() < 0.5 else (f"{a} - {c}", a - c, (a, c))
    elif level == 2:
        text, value, numbers = f"{a} + {b} * {c}", a + b * c, (a, b, c)
    else:
        d = _draw(rng, 2, high)
        text, value, numbers = f"{a} - {b} * ({c} - {d})", a - b * (c - d), (a, b, c, d)
    return f"What is {text}?", value, numbers


def _number(rng: Rng, level: int, name: str) -> Made:
    """Remainders, digit sums, common divisors, counting multiples."""
    del name
    high = _HIGH[level] * 10
    pick = _draw(rng, 0, min(level, 3))
    if pick == 0:
        a = _draw(rng, high // 5, high * 10)
        return f"What is the sum of the digits of {a}?", sum(map(int, str(a))), (a,)
    if pick == 1:
        a, b = _draw(rng, high // 5, high), _draw(rng, 3, 9 if level < 3 else 60)
        return f"What is the remainder when {a} is divided by {b}?", a % b, (a, b)
    if pick == 2:
        factor, a, b = _draw(rng, 2, 9 * level), _draw(rng, 2, 30), _draw(rng, 2, 30)
        a, b = a * factor, b * factor
        return f"What is the greatest common divisor of {a} and {b}?", math.gcd(a, b), (a, b)
    a, length, c = _draw(rng, 2, high), _draw(rng, 20, high), _draw(rng, 3, 17)
    b = a + length
    return f"How many whole numbers from {a} to {b}, both included, are divisible by {c}?", b // c - (a - 1) // c, (a, b, c)


def _word(rng: Rng, level: int, name: str) -> Made:
    """A short story; from level 2 one of its numbers does not matter."""
    thing, other = (_THINGS[int(i)] for i in rng.choice(len(_THINGS), 2, replace=False))
    high = _HIGH[level]
    a, b = _draw(rng, 3, high), _draw(rng, 2, high)
    if level == 1:
        return f"{name} has {a} {thing} and finds {b} more. How many {thing} does {name} have?", a + b, (a, b)
    boxes, each, lost, idle = _draw(rng, 4, 9 * level), _draw(rng, 2, 6 * level), _draw(rng, 2, 3), _draw(rng, 2, high)
    story = f"{name} has {boxes} boxes of {each} {thing} and {idle} {other}. {lost} of the boxes are given away."
    if level == 2:
        return f"{story} How many {thing} are left?", (boxes - lost) * each, (boxes, each, idle, lost)
    story += f" Then {name} finds {a} {thing}, and a third of all {thing} is sold."
    total = (boxes - lost) * each + a
    kept = total - total // 3 if total % 3 == 0 else 0
    if level == 3:
        return f"{story} How many {thing} are left?", kept, (boxes, each, idle, lost, a)
    return (
        f"{story} Each of the {thing} left is worth {b} points, each of the {other} 5. How many points are all of these worth together?",
        (kept * b + 5 * idle) if kept else 0,
        (boxes, each, idle, lost, a, b, 5),
    )


KINDS: dict[str, Callable[[Rng, int, str], Made]] = {"arithmetic": _arithmetic, "number": _number, "word": _word}
"""Kind -> maker of (question, answer, numbers); an answer below 2 is drawn again."""
