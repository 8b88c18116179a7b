"""Rewards of two attempts at one problem, and how a final answer is read and compared.

second_attempt(r1=0.0, r2=1.0)   # 11.0: right, and better than before
read_answer("It is <answer> 1,200 </answer>")   # "1,200"
"""

from __future__ import annotations

import re
from fractions import Fraction

from .qa import exact_match

ALPHA = 10.0
"""Weight of the improvement in SCoRe's second stage (arXiv 2409.12917). The form of the bonus is the paper's; the number is
recalled and was not verified."""
_NUMBER = re.compile(r"[-+]?(?:\d{1,3}(?:,\d{3})+|\d{1,40})(?:\.\d{1,20})?(?:/\d{1,40})?")
_MAX_ANSWER = 400


def improvement(r1: float, r2: float) -> float:
    """r2 - r1: what the second attempt gained or spoilt."""
    return r2 - r1


def second_attempt(r1: float, r2: float, alpha: float = ALPHA) -> float:
    """r2 + alpha (r2 - r1), the second attempt's reward in SCoRe's second stage."""
    return r2 + alpha * improvement(r1, r2)


def read_answer(text: str) -> str | None:
    r"""The one final answer of a text: inside ``<answer>``, else inside ``\boxed{}``, else the text itself if it is only a number.

    None when there is none, or when several differ, so that listing answers never helps.
    """
    for opening, closing in (("<answer>", "</answer>"), ("\\boxed{", "}")):
        found = _between(text, opening, closing)
        if found:
            first = found[0]
            return first if first and len(first) <= _MAX_ANSWER and all(same_answer(f, first) for f in found[1:]) else None
    bare = text.strip()
    return bare if len(bare) <= _MAX_ANSWER and number(bare) is not None else None


def number(text: str) -> Fraction | None:
    """The number a text is (``-3``, ``1,200``, ``0.5``, ``3/4``, with or without ``$`` or a full stop), else None."""
    match = _NUMBER.fullmatch(text.strip()[:_MAX_ANSWER].strip("$ ").removesuffix("."))
    if match is None:
        return None
    try:
        if "/" in match[0]:
            above, _, below = match[0].replace(",", "").partition("/")
            return Fraction(above) / Fraction(below)
        return Fraction(match[0].replace(",", ""))
    except ZeroDivisionError:
        return None


def same_answer(given: str, gold: str) -> bool:
    """Equal numbers, or texts that are equal after SQuAD normalisation. An empty answer equals nothing."""
    a, b = number(given), number(gold)
    if a is not None or b is not None:
        return a == b
    return bool(given.strip()) and exact_match(given, gold) == 1.0


def _between(text: str, opening: str, closing: str) -> list[str]:
    found: list[str] = []
    end = 0
    while (start := text.find(opening, end)) >= 0:
        end = text.find(closing, start)
        if end < 0:
            break
        found.append(text[start + len(opening) : end].strip())
        end += len(closing)
    return found
