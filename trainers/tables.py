"""What evaluations found, as tables for a terminal."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from rich.table import Table


def result_tables(results: dict[str, Any]) -> Iterator[Table]:
    """The measures of an evaluation, then a table for each of its breakdowns."""
    table = Table("measure", "value", title=f"{results['agent']} on {results['env']} ({results['split']})")
    for name in ("score", "success"):
        table.add_row(name, interval(results[name]))
    for name in ("pass_at_k", "pass_hat_k"):
        table.add_row(name, ", ".join(f"{i}: {v:.3f}" for i, v in results[name].items()))
    for name in ("tasks", "episodes", "faults", "mean_turns", "mean_tokens", "invalid_action_rate", "stop_reasons"):
        table.add_row(name, str(results[name]))
    yield table
    for name, parts in results["by"].items():
        table = Table(name.replace("/", " / "), "tasks", "score", "success")
        for label, part in parts.items():
            table.add_row(label, str(part["tasks"]), f"{part['score']:.3f}", f"{part['success']:.3f}")
        yield table


def interval(value: dict[str, float] | None) -> str:
    return "no verdict" if value is None else f"{value['mean']:.3f} [{value['low']:.3f}, {value['high']:.3f}]"
