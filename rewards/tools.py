"""Rewards of tool calls: how near the calls made are to the calls wanted (ToolRL), and how near one state is to another.

correctness([("f", {"a": 1})], [("f", {"a": 1})])  # 3.0
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal, InvalidOperation
from typing import Any, TypeAlias

from ..records import canonical_json

Call: TypeAlias = tuple[str, Mapping[str, Any]]
"""(name, arguments as JSON values)"""

_TAGS = ("think", "tool_call", "response")


def jaccard(a: Iterable[str], b: Iterable[str]) -> float:
    """Multiset Jaccard: sum of minima over sum of maxima; 1 where both are empty."""
    left, right = Counter(list(a)), Counter(list(b))  # a mapping would be taken for counts
    union = (left | right).total()
    return (left & right).total() / union if union else 1.0


def match_score(made: Sequence[Call], wanted: Sequence[Call]) -> tuple[float, float]:
    """(score, highest possible score) of ToolRL (arXiv 2504.13958): tool names, parameter names, parameter values.

    score = J(names) + sum over wanted calls of the best J(parameter names) + number of equal values among unused calls made of
    that name, taken greedily in the order wanted; highest = 1 + sum(1 + number of parameters). Values are equal when their
    JSON is.
    """
    score = jaccard((n for n, _ in made), (n for n, _ in wanted))
    unused = list(range(len(made)))
    for name, arguments in wanted:
        gains = [(_call_gain(made[i][1], arguments), -i) for i in unused if made[i][0] == name]
        gain, place = max(gains, default=(0.0, 0))
        if gain > 0:
            score += gain
            unused.remove(-place)
    return score, 1.0 + sum(1 + len(arguments) for _, arguments in wanted)


def _call_gain(made: Mapping[str, Any], wanted: Mapping[str, Any]) -> float:
    equal = sum(key in made and canonical_json(made[key]) == canonical_json(value) for key, value in wanted.items())
    return jaccard(made, wanted) + equal


def correctness(made: Sequence[Call] | None, wanted: Sequence[Call], *, low: float = -3.0, high: float = 3.0) -> float:
    """ToolRL's correctness in [low, high]: ``high`` for equal lists, else (high - low) score / highest + low.

    ``made`` None: the calls could not be read, ``low``. Nothing wanted: 0, whatever was made.
    """
    if not wanted:
        return 0.0
    if made is None:
        return low
    if [(n, canonical_json(dict(a))) for n, a in made] == [(n, canonical_json(dict(a))) for n, a in wanted]:
        return high
    score, highest = match_score(made, wanted)
    return (high - low) * score / highest + low


def tool_format(text: str, *, calls: bool, response: bool) -> float:
    """1 if ``text`` has exactly ToolRL's layout, else 0: think, then the tool calls and the response that are wanted, each tag once."""
    parts = [r"<think>.*?</think>"]
    if calls:
        parts.append(r"<tool_call>\n.*?\n</tool_call>")
    if response:
        parts.append(r"<response>.*?</response>")
    wanted = dict(zip(_TAGS, (True, calls, response), strict=True))
    once = all(text.count(f"<{tag}>") == text.count(f"</{tag}>") == int(wanted[tag]) for tag in _TAGS)
    return float(once and re.fullmatch("\n".join(parts), text, re.DOTALL) is not None)


def state_progress(done: Counter[Any], wanted: Counter[Any], *, penalty: float = 0.5) -> float:
    """How far a state has come: share of the wanted changes that are made, less ``penalty`` for every other change per wanted one.

    ``done`` and ``wanted``: changes since the start, with how often. 1 exactly for the wanted end state; at least
    -``penalty`` times the number of other changes. Nothing wanted: 1 with no change, else -``penalty`` per change.
    The difference between two turns is a turn reward that telescopes.
    """
    right, total = (done & wanted).total(), wanted.total()
    wrong = (done - wanted).total()
    if not total:
        return 1.0 if not wrong else -penalty * wrong
    return right / total - penalty * wrong / total


def progress(made: Sequence[Call], wanted: Sequence[Call]) -> float:
    """How much of the wanted calls has been made, in [0, 1]: ``match_score`` over its highest. 0 where nothing is wanted or made.

    The difference between two turns is a turn reward that telescopes; calls that are not wanted take from the share of equal names.
    """
    if not wanted or not made:
        return 0.0
    score, highest = match_score(made, wanted)
    return score / highest


def same_answer(given: str, wanted: str) -> bool:
    """Equal numbers ("12", "12.0"), else equal texts, but for case, the space around words and a final full stop."""
    left, right = (" ".join(text.casefold().split()).removesuffix(".") for text in (given, wanted))
    if left == right:
        return True
    try:
        return Decimal(left) == Decimal(right)
    except InvalidOperation:
        return False


def missing_results(results: Sequence[str], wanted: Sequence[str]) -> list[str]:
    """The wanted results that are not among ``results``, counting how often each occurs: BFCL's response check holds where none is.

    Berkeley Function Calling Leaderboard, multi-turn: ``results`` are those of all calls so far, ``wanted`` those of one turn's gold calls.
    """
    return list((Counter(wanted) - Counter(results)).elements())
