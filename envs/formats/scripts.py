"""Who plays ``turnwise/BFCL-v0``: the gold calls, and agents that must not succeed."""

from __future__ import annotations

from typing import Any

from ...records import Observation, Task
from ..base import Rng
from ..tools.dialects import DIALECTS
from .bfcl import parse_gold
from .calendar import DAYS


class GoldCalls:
    """Makes the gold calls of a request in one message, then says that it is done. Gold calls must name their arguments."""

    def __init__(self, dialect: str = "python") -> None:
        self._dialect = DIALECTS[dialect]()

    def reset(self, task: Task, rng: Rng) -> None:
        self.rng = rng
        self.gold = [[parse_gold(call) for call in calls] for calls in task.data["gold"]]
        self.request, self.called = 0, False

    def act(self, observation: Observation) -> str:
        del observation
        calls = [(name, named) for name, _, named in self.gold[self.request]] if self.request < len(self.gold) else []
        if self.called or not calls:
            self.request, self.called = self.request + 1, False
            return "Done."
        self.called = True
        return self._dialect.write(calls)


class AllDone(GoldCalls):
    """Says that it is done and calls nothing."""

    def act(self, observation: Observation) -> str:
        del observation
        return "Everything is done as you asked."


class RandomGoldCalls(GoldCalls):
    """Makes some gold call with arguments of any, or says that it is done."""

    def act(self, observation: Observation) -> str:
        del observation
        if self.rng.random() < 0.3:
            return "Done."
        every = [call for calls in self.gold for call in calls]
        name, _, named = every[int(self.rng.integers(len(every)))]
        values: dict[str, list[Any]] = {}
        for _, _, given in every:
            for key, value in given.items():
                values.setdefault(key, []).append(value)
        drawn = {key: values[key][int(self.rng.integers(len(values[key])))] for key in named}
        return self._dialect.write([(name, drawn)])


class EveryFunction(GoldCalls):
    """Calls every function of the calendar, for every request, and every gold call of the task."""

    def act(self, observation: Observation) -> str:
        del observation
        self.called = not self.called
        if not self.called:
            return "Done."
        calls: list[tuple[str, dict[str, Any]]] = [(name, {"day": day}) for day in DAYS for name in ("list_events", "free_hours")]
        calls += [(name, named) for gold in self.gold for name, _, named in gold]
        calls += [("add_event", {"title": "x", "day": day, "hour": 8}) for day in DAYS]
        return self._dialect.write(calls[:32])
