"""Tests made for one run, whose results are known: one that does not end as it must shows that results are being changed.

They run first, in the middle and last, in the process of the real tests, named with words of theirs.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from .instance import FAILED, PASSED, SKIPPED

PLACES = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Canaries:
    """``source``: of a test file named ``file``; ``places``: test -> 0 first, 1 middle, 2 last; ``expected``: test -> status."""

    file: str
    source: str
    places: Mapping[str, int]
    expected: Mapping[str, str]


def make_canaries(tests: Sequence[str], rng: np.random.Generator) -> Canaries:
    """Four for each place: one fails a comparison, one raises, one is skipped, one passes."""
    words = sorted({w for test in tests for w in re.findall(r"[a-z]{3,}", test.rsplit("::", 1)[-1].lower())} - {"test"}) or ["value"]
    names: list[str] = []
    while len(names) < 4 * PLACES + 1:
        name = "test_" + "_".join(str(w) for w in rng.choice(words, size=2)) + f"_{rng.integers(10, 1000)}"
        if name not in names:
            names.append(name)
    file = names.pop() + ".py"
    lines = ["import pytest", ""]
    places: dict[str, int] = {}
    expected: dict[str, str] = {}
    for place in range(PLACES):
        for kind in rng.permutation(4):
            name = names.pop()
            places[name] = place
            expected[name], body = _body(int(kind), rng)
            lines += [f"def {name}():", *(f"    {line}" for line in body), ""]
    return Canaries(file=file, source="\n".join(lines), places=places, expected=expected)


def _body(kind: int, rng: np.random.Generator) -> tuple[str, list[str]]:
    first, second = (int(n) for n in rng.choice(10_000, size=2, replace=False))
    if kind == 0:
        claims = (
            f"assert value == {second}",
            f"assert [value, {second}] == [value]",
            f"assert value in ({second}, {second + 1} + value)",
            "assert not value + 1",
            f"assert str(value) == '{second}'",
        )
        return FAILED, [f"value = {first}", str(rng.choice(claims))]
    if kind == 1:
        raised = ("ValueError", "KeyError", "AssertionError", "ZeroDivisionError")[int(rng.integers(4))]
        return FAILED, [f"raise {raised}({first})"]
    if kind == 2:
        return SKIPPED, [f"pytest.skip('{first}')"]
    return PASSED, [f"value = {first}", f"assert value + 1 == {first + 1}"]
