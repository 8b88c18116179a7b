"""Memory-T1's rewards (arXiv 2512.20092): is the answer right, is it drawn from the right sessions, do these fit the time asked about.

    memory_t1(accuracy=1.0, evidence=0.5, time=(0.156735 + 0.5) / 2)   # 0.765674

Days are day numbers (``date.toordinal``), ranges of days hold both ends.
"""

from __future__ import annotations

import math
import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import date
from typing import TypeAlias

from .qa import exact_match

Days: TypeAlias = tuple[float, float]
UNKNOWN_START, UNKNOWN_END = date(2020, 1, 1), date(2025, 8, 1)
"""What stands for an unknown start or end of a range."""
MIN_SIMILARITY = 0.2
INVALID = -1.0
"""The reward of an output that cannot be read."""
WEIGHTS = (0.6, 0.2, 0.2)
_LETTER = re.compile(r"[A-Za-z]+|\d+")


@dataclass(frozen=True, slots=True)
class EventTime:
    """An event of a session: how similar its text is to what is asked (0 to 1), and when it took place."""

    similarity: float
    days: Days


def day_range(start: str | None, end: str | None) -> Days:
    """Day numbers of two ISO dates; None is unknown. Raises ``ValueError`` for other text."""
    first = date.fromisoformat(start) if start is not None else UNKNOWN_START
    last = date.fromisoformat(end) if end is not None else UNKNOWN_END
    return first.toordinal(), last.toordinal()


def memory_t1(accuracy: float, evidence: float, time: float) -> float:
    """R = 0.6 accuracy + 0.2 evidence + 0.2 time."""
    return WEIGHTS[0] * accuracy + WEIGHTS[1] * evidence + WEIGHTS[2] * time


def evidence(selected: Collection[str], gold: Collection[str]) -> float:
    """1 if exactly the gold sessions were selected, 0.5 if some of them, -1 if none."""
    chosen, wanted = set(selected), set(gold)
    if chosen == wanted:
        return 1.0
    return 0.5 if chosen & wanted else -1.0


def closeness(distance: float, span: float) -> float:
    """s of a session: 1 inside the gold range (distance 0), else 1.5 / (1 + e^(x/2)) - 0.5 with x = distance / max(span, 1), in days.

    It jumps from 1 to 0.25 at the edge and falls to -0.5.
    """
    if distance <= 0:
        return 1.0
    x = min(distance / max(span, 1.0), 1000.0)
    return min(1.0, max(-0.5, 1.5 / (1.0 + math.exp(0.5 * x)) - 0.5))


def event_consistency(events: Sequence[EventTime], gold: Days) -> float:
    """e of a session: mean of similarity times (contained in the gold range 1, overlapping 0.5, apart -1) over the events at least
    ``MIN_SIMILARITY`` similar to what is asked; 0 when there is none."""
    near = [e for e in events if e.similarity >= MIN_SIMILARITY]
    return sum(e.similarity * _relation(e.days, gold) for e in near) / len(near) if near else 0.0


def _relation(days: Days, gold: Days) -> float:
    if gold[0] <= days[0] and days[1] <= gold[1]:
        return 1.0
    return 0.5 if days[0] <= gold[1] and gold[0] <= days[1] else -1.0


def time_consistency(sessions: Sequence[tuple[float, Sequence[EventTime]]], gold: Days) -> float:
    """Mean of (s + e) / 2 over the selected sessions, each its day and its events. None selected: 0 (ours)."""
    if not sessions:
        return 0.0
    values: list[float] = []
    for day, events in sessions:
        distance = max(gold[0] - day, day - gold[1], 0.0)
        values.append((closeness(distance, gold[1] - gold[0]) + event_consistency(events, gold)) / 2)
    return sum(values) / len(values)


def option_accuracy(answer: str, gold: str) -> float:
    """1 for the right option, name or date. (The reference code's branch for locating a date can only return -0.5; not kept.)"""
    return exact_match(answer, gold)


def set_accuracy(answer: str, gold: Sequence[str]) -> float:
    """1 for exactly the right options, in any order."""
    return float(bool(letters(answer)) and set(letters(answer)) == {g.upper() for g in gold})


def days_accuracy(answer: str, gold: int, tolerance: int = 1) -> float:
    """1 for a whole number at most ``tolerance`` off."""
    text = answer.strip().removesuffix(".").removesuffix("s").removesuffix("day").strip()
    return float(re.fullmatch(r"[0-9]{1,9}", text) is not None and abs(int(text) - gold) <= tolerance)


def timeline_accuracy(answer: str, gold: Sequence[str]) -> float:
    """Share of positions that hold the right option; 0 unless every option is named exactly once."""
    named, wanted = letters(answer), [g.upper() for g in gold]
    if sorted(named) != sorted(wanted):
        return 0.0
    return sum(a == b for a, b in zip(named, wanted, strict=True)) / len(wanted)


def letters(text: str) -> list[str]:
    """The options a text lists, in capitals: "(b) and A" gives B, A. Other words count as options, so a sentence is no list."""
    return [found.upper() for found in _LETTER.findall(text[:200]) if found.lower() != "and"]
