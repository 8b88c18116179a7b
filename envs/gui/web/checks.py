"""Checks of a web app's end state, as data: what must have changed, what counts as progress, and that nothing else was touched.

    state before, state after, what the agent said -> judge(checks, ...) -> Verdict(progress, reached, missing, spoiled, ...)

A state is ``{"tables": {table: {key: row}}, "seen": {route: {}}}``. A condition is a mapping with ``kind`` and ``table``:

    row      {"key", "where"}     row ``key`` has these columns; it may be updated in these columns and no other
    added    {"where", "count"}   ``count`` (1) rows that were not there at the start have these columns
    removed  {"key"}              row ``key`` is gone
    seen     {"routes"}           one of these pages was shown in full (never required for what is asked of the state)

A column's wanted value is a JSON value, or one of: ``{"text": t}``, equal but for white space, case and a final full stop;
``{"mentions": [...], "never": [...]}``, a text of at most ``MAX_STATEMENT`` characters in which the first occur as whole words and
numbers, and the second do not; ``{"same": [...]}``, a list equal but for order; ``{"lacks": [...]}``, a list without these.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, TypeAlias, cast

from ....records import canonical_json
from ....rewards.state import RowChange, State, row_changes

AppState: TypeAlias = Mapping[str, Any]
Condition: TypeAlias = Mapping[str, Any]
MAX_STATEMENT = 400
"""Characters of a text in which a wanted fact counts: pasting whole pages is no answer."""
_WORD = re.compile(r"\d+(?:[.:/-]\d+)*|[^\W\d_]+")
_NUMBER = re.compile(r"\d+(?:\.\d+)?")


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """What the agent told the user: a last message, or that the task cannot be done. Neither: it has not ended the task."""

    message: str | None = None
    infeasible: bool = False

    @property
    def ended(self) -> bool:
        return self.infeasible or self.message is not None


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """``progress``: weighted share of the goals reached, in 0..1. ``missing``: names of required goals that do not hold.
    ``spoiled``: rows changed that nothing allows. ``answered``: the right answer was given, or none is wanted.
    ``told``: the task was ended in the right way, by a message or by saying that it cannot be done."""

    progress: float
    missing: tuple[str, ...] = ()
    spoiled: tuple[RowChange, ...] = ()
    answered: bool = True
    told: bool = False

    @property
    def success(self) -> bool:
        return not self.missing and not self.spoiled and self.answered and self.told

    @property
    def note(self) -> str:
        """Why the task is not done, in a line; empty after a success."""
        parts = [f"not done: {name}" for name in self.missing] + [f"changed without need: {change}" for change in self.spoiled[:3]]
        parts += ["the answer is wrong or missing"] * (not self.answered) + ["not ended in the right way"] * (not self.told)
        return "; ".join(parts)


def judge(checks: Mapping[str, Any], before: AppState, after: AppState, said: Said) -> Verdict:
    """Hold ``after`` against ``checks``: {"goals": [{"name", "weight", "required", "any": [Condition]}], "allowed": [Condition],
    "answer": {"mentions", "never"} or None, "infeasible": bool}. An answer weighs as much as one goal."""
    start, end = cast(State, before["tables"]), cast(State, after["tables"])
    goals = cast("Sequence[Mapping[str, Any]]", checks["goals"])
    met = [any(holds(condition, before, after) for condition in goal["any"]) for goal in goals]
    weights = [float(goal.get("weight", 1.0)) for goal in goals]
    missing = [str(goal["name"]) for goal, ok in zip(goals, met, strict=True) if goal.get("required", True) and not ok]
    allowed = [condition for goal in goals for condition in goal["any"]] + list(checks.get("allowed", ()))
    spoiled = [change for change in row_changes(start, end) if not _covered(change, allowed, end)]
    wanted, infeasible = checks.get("answer"), bool(checks.get("infeasible", False))
    answered = wanted is None or (said.message is not None and matches(said.message, wanted))
    reached, total = sum(w for w, ok in zip(weights, met, strict=True) if ok), sum(weights)
    if wanted is not None or infeasible:
        total += 1.0
        reached += float(answered if wanted is not None else said.infeasible)
    return Verdict(
        progress=reached / total if total else 0.0,
        missing=tuple(missing),
        spoiled=tuple(spoiled),
        answered=answered,
        told=said.ended and said.infeasible == infeasible,
    )


def holds(condition: Condition, before: AppState, after: AppState) -> bool:
    """Whether one condition is true of the end state. Raises ``ValueError`` for an unknown kind."""
    kind = condition["kind"]
    if kind == "seen":
        return any(route in after["seen"] for route in condition["routes"])
    old = cast("Mapping[str, Any]", before["tables"].get(condition["table"], {}))
    new = cast("Mapping[str, Any]", after["tables"].get(condition["table"], {}))
    if kind == "row":
        return condition["key"] in new and fits(new[condition["key"]], condition["where"])
    if kind == "removed":
        return condition["key"] in old and condition["key"] not in new
    if kind == "added":
        count = sum(key not in old and fits(row, condition["where"]) for key, row in new.items())
        return count == condition.get("count", 1)
    raise ValueError(f"there is no condition {kind!r}; allowed: row, added, removed, seen")


def fits(row: Mapping[str, Any], where: Mapping[str, Any]) -> bool:
    """Whether ``row`` has all columns of ``where`` with the wanted values."""
    return all(column in row and matches(row[column], wanted) for column, wanted in where.items())


def matches(value: Any, wanted: Any) -> bool:
    """Whether a value is the wanted one (see the module's text for what can be wanted)."""
    if not isinstance(wanted, Mapping):
        return type(value) is type(wanted) and value == wanted
    want = cast("Mapping[str, Any]", wanted)
    if "text" in want:
        return isinstance(value, str) and _plain(value) == _plain(str(want["text"]))
    if "mentions" in want:
        if not isinstance(value, str) or len(value) > MAX_STATEMENT:
            return False
        said = _words(value)
        return all(_within(_words(str(w)), said) for w in want["mentions"]) and not any(
            _within(_words(str(w)), said) for w in want.get("never", ())
        )
    if "same" in want:
        return isinstance(value, list) and _bag(cast("list[Any]", value)) == _bag(want["same"])
    if "lacks" in want:
        return isinstance(value, list) and not set(_bag(cast("list[Any]", value))) & set(_bag(want["lacks"]))
    return value == want


def _plain(text: str) -> str:
    return " ".join(text.split()).casefold().removesuffix(".")


def _bag(values: Sequence[Any]) -> Counter[str]:
    return Counter(canonical_json(value) for value in values)


def _words(text: str) -> list[str]:
    """Words and numbers, equal for equal values: "$1,084.20" and "1084.2" are the same number."""
    found = _WORD.findall(re.sub(r"(?<=\d),(?=\d{3}(?!\d))", "", text.casefold()))
    return [str(Decimal(word).normalize()) if _NUMBER.fullmatch(word) else word for word in found]


def _within(needle: Sequence[str], said: Sequence[str]) -> bool:
    size = len(needle)
    return any(list(said[n : n + size]) == list(needle) for n in range(len(said) - size + 1)) if size else False


def _covered(change: RowChange, allowed: Sequence[Condition], end: State) -> bool:
    """Whether a change is one that is asked for. A row condition without a key allows the columns in which a row ends as it says."""
    here = [condition for condition in allowed if condition["kind"] != "seen" and condition["table"] == change.table]
    if change.kind == "removed":
        return any(condition["kind"] == "removed" and condition["key"] == change.key for condition in here)
    row = end[change.table][change.key]
    if change.kind == "added":
        return any(condition["kind"] == "added" and fits(row, condition["where"]) for condition in here)
    columns: set[str] = set()
    for condition in here:
        if condition["kind"] == "row" and condition.get("key") == change.key:
            columns |= set(condition["where"])
        elif condition["kind"] == "row" and condition.get("key") is None:
            columns |= {column for column, wanted in condition["where"].items() if matches(row.get(column), wanted)}
    return set(change.columns) <= columns
