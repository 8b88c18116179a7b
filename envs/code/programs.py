"""Tasks judged by input and output: eight templates, each with a reference in Python here and a gold program in every shipped language.

Hidden inputs are drawn per task; expected outputs are computed here, and never enter a sandbox.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import gcd
from pathlib import Path
from typing import Any, cast

import yaml

from ..base import Rng
from .problem import draw

CASES = 5
_WORDS = ("amber", "birch", "cedar", "delta", "ember", "fjord", "grove", "heath", "islet", "juniper", "kelp", "lagoon")


@dataclass(frozen=True, slots=True, kw_only=True)
class Program:
    """A task: what to write, input and output to try, hidden cases, and gold programs by language."""

    statement: str
    example: tuple[str, str]
    cases: list[tuple[str, str]]
    gold: dict[str, str]


def _numbers(rng: Rng, k: int) -> str:
    del k
    count = draw(rng, 5, 30)
    return f"{count}\n{' '.join(str(draw(rng, -999, 999)) for _ in range(count))}\n"


def _text(rng: Rng, k: int) -> str:
    del k
    return " ".join(_WORDS[int(n)] for n in rng.integers(len(_WORDS), size=draw(rng, 4, 12))) + "\n"


def _pairs(rng: Rng, k: int) -> str:
    del k
    count = draw(rng, 2, 8)
    return f"{count}\n" + "".join(f"{draw(rng, 1, 10**6)} {draw(rng, 1, 10**6)}\n" for _ in range(count))


def _brackets(rng: Rng, k: int) -> str:
    del k
    depth, text = 0, ""
    for _ in range(draw(rng, 5, 30)):
        up = depth == 0 or rng.random() < 0.55
        depth += 1 if up else -1
        text += "(" if up else ")"
    return text + (")" * depth if rng.random() < 0.6 else ")" * (depth + 1)) + "\n"


def _number(rng: Rng, k: int) -> str:
    del k
    return f"{draw(rng, 2, 999) * draw(rng, 2, 999)}\n"


def _list(text: str) -> list[int]:
    return [int(word) for word in text.split()[1:]]


def _weighted(text: str, k: int) -> str:
    return str(sum(x * (n % k + 1) for n, x in enumerate(_list(text))))


def _largest_run(text: str, k: int) -> str:
    values = _list(text)
    return str(max(sum(values[n : n + min(k, len(values))]) for n in range(len(values) - min(k, len(values)) + 1)))


def _shifted(text: str, k: int) -> str:
    return "".join(chr((ord(c) - 97 + k) % 26 + 97) if c.isalpha() else c for c in text.strip())


def _long_words(text: str, k: int) -> str:
    return " ".join(word for word in reversed(text.split()) if len(word) > min(k, 4)) or "none"


def _gcds(text: str, k: int) -> str:
    values = _list(text)
    return "\n".join(str(gcd(a, b) * k) for a, b in zip(values[::2], values[1::2], strict=True))


def _balance(text: str, k: int) -> str:
    depth, most = 0, 0
    for c in text.strip():
        depth += 1 if c == "(" else -1
        most = max(most, depth)
        if depth < 0:
            return "bad"
    return str(most * k) if depth == 0 else "bad"


def _factors(text: str, k: int) -> str:
    n, found, p = int(text), list[int](), 2
    while n > 1:
        while n % p == 0:
            found.append(p)
            n //= p
        p += 1
    return " ".join(str(p + k) for p in found)


def _multiples(text: str, k: int) -> str:
    return " ".join(map(str, sorted({x for x in _list(text) if x % k == 0}))) or "none"


TEMPLATES: dict[str, tuple[Callable[[Rng, int], str], Callable[[str, int], str]]] = {
    "weighted_sum": (_numbers, _weighted),
    "largest_run": (_numbers, _largest_run),
    "shift": (_text, _shifted),
    "long_words": (_text, _long_words),
    "gcds": (_pairs, _gcds),
    "brackets": (_brackets, _balance),
    "factors": (_number, _factors),
    "multiples": (_numbers, _multiples),
}
"""Name -> (draws an input, the expected output); the second argument of both is the task's number K."""


def _stored() -> dict[str, dict[str, Any]]:
    return cast("dict[str, dict[str, Any]]", yaml.safe_load((Path(__file__).parent / "programs.yaml").read_text(encoding="utf-8")))


_STORED: dict[str, dict[str, Any]] = {}


def make_program(template: str, rng: Rng) -> Program:
    """A task of ``template``, with its number K and its inputs drawn from ``rng``. Hidden inputs are different from each other."""
    if not _STORED:
        _STORED.update(_stored())
    stored = _STORED[template]
    k = draw(rng, 2, 9)
    make, expected = TEMPLATES[template]
    inputs: dict[str, None] = {}
    while len(inputs) < CASES + 1:
        inputs[make(rng, k)] = None
    example, *hidden = [(text, expected(text, k) + "\n") for text in inputs]
    gold = {language: str(code).replace("@K@", str(k)) for language, code in stored["gold"].items()}
    return Program(statement=str(stored["statement"]).strip().replace("@K@", str(k)), example=example, cases=hidden, gold=gold)
