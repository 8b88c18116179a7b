"""Checks of a final state that also catch collateral damage, as AppWorld's evaluations do (arXiv 2407.18901).

before = {"orders": {"W1": {"status": "open"}, "W2": {"status": "open"}}}
judge_state(before, after, required=[Required("orders", {"status": "sent"})], allowed=[Allowed("orders", key="W1", columns=("status",))])
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

Table: TypeAlias = Mapping[str, Mapping[str, Any]]
"""key -> row, a mapping of columns to JSON values"""
State: TypeAlias = Mapping[str, Table]
Kind: TypeAlias = Literal["added", "removed", "updated"]


@dataclass(frozen=True, slots=True)
class Required:
    """The final ``table`` must hold exactly ``count`` rows in which all columns of ``where`` have these values."""

    table: str
    where: Mapping[str, Any]
    count: int = 1


@dataclass(frozen=True, slots=True)
class Allowed:
    """Changes that a solution may make to ``table``: of these kinds, to this row (None: any), in these columns (None: any).

    ``columns`` limit updates only; a row that is added or removed changes as a whole.
    """

    table: str
    kinds: tuple[Kind, ...] = ("added", "removed", "updated")
    key: str | None = None
    columns: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True)
class RowChange:
    """One row that differs. ``columns``: those that differ, for an update."""

    table: str
    kind: Kind
    key: str
    columns: tuple[str, ...] = ()

    def __str__(self) -> str:
        return f"{self.table} {self.key} was {self.kind}" + (f" in {', '.join(self.columns)}" if self.columns else "")


@dataclass(frozen=True, slots=True)
class StateVerdict:
    """``missing``: requirements that do not hold; ``collateral``: changes that nothing allows. ``score``: 1 if both are empty, else 0."""

    missing: tuple[str, ...] = ()
    collateral: tuple[RowChange, ...] = ()
    changes: tuple[RowChange, ...] = field(default=())

    @property
    def score(self) -> float:
        return float(not self.missing and not self.collateral)


def row_changes(before: State, after: State) -> list[RowChange]:
    """Every row that was added, removed or updated, ordered by table and key."""
    found: list[RowChange] = []
    for table in sorted({*before, *after}):
        old, new = before.get(table, {}), after.get(table, {})
        for key in sorted({*old, *new}):
            if key not in old:
                found.append(RowChange(table, "added", key))
            elif key not in new:
                found.append(RowChange(table, "removed", key))
            else:
                a, b = old[key], new[key]
                columns = tuple(c for c in sorted({*a, *b}) if (c in a, a.get(c)) != (c in b, b.get(c)))
                if columns:
                    found.append(RowChange(table, "updated", key, columns))
    return found


def judge_state(before: State, after: State, *, required: Sequence[Required] = (), allowed: Sequence[Allowed] = ()) -> StateVerdict:
    """Whether ``after`` is what was wanted and nothing else was touched. Nothing required and nothing allowed: no change may be made."""
    missing: list[str] = []
    for want in required:
        count = sum(all(c in row and row[c] == v for c, v in want.where.items()) for row in after.get(want.table, {}).values())
        if count != want.count:
            missing.append(f"{want.table} has {count} rows with {dict(want.where)}, not {want.count}")
    changes = row_changes(before, after)
    collateral = [change for change in changes if not any(_covers(a, change) for a in allowed)]
    return StateVerdict(tuple(missing), tuple(collateral), tuple(changes))


def _covers(allowed: Allowed, change: RowChange) -> bool:
    if allowed.table != change.table or change.kind not in allowed.kinds or allowed.key not in (None, change.key):
        return False
    return change.kind != "updated" or allowed.columns is None or set(change.columns) <= set(allowed.columns)
