"""Who plays ``turnwise/MCP-v0``: the gold calls of the task, and agents that must not succeed."""

from __future__ import annotations

from typing import Any, cast

from ...records import Observation, Task
from ..base import Rng
from ..tools.dialects import DIALECTS
from .stockroom import PLACES


class Gold:
    """Makes the task's gold calls, one a turn, and gives its answer. Needs tasks with gold calls."""

    def __init__(self, dialect: str = "hermes") -> None:
        self._dialect = DIALECTS[dialect]()

    def reset(self, task: Task, rng: Rng) -> None:
        self.rng = rng
        answer = cast("str | list[str]", task.data.get("answer", "done"))
        self.gold = cast("list[dict[str, Any]]", list(task.data.get("gold", ())))
        self.answer = answer if isinstance(answer, str) else answer[0]
        self.turn = 0

    def act(self, observation: Observation) -> str:
        del observation
        self.turn += 1
        if self.turn <= len(self.gold):
            call = self.gold[self.turn - 1]
            return self._dialect.write([(call["name"], call["arguments"])])
        return self._dialect.write([("answer", {"text": self.answer})])


class AnswerOnly(Gold):
    """Knows the right answer and does nothing for it."""

    def act(self, observation: Observation) -> str:
        del observation
        return self._dialect.write([("answer", {"text": self.answer})])


class RandomCalls(Gold):
    """Calls the functions of the task with arguments drawn from those of its gold calls, and answers at some point."""

    def act(self, observation: Observation) -> str:
        del observation
        if not self.gold or self.rng.random() < 0.2:
            return self._dialect.write([("answer", {"text": str(self.rng.integers(100))})])
        values = [value for call in self.gold for value in call["arguments"].values()]
        call = self.gold[int(self.rng.integers(len(self.gold)))]
        drawn = {name: values[int(self.rng.integers(len(values)))] for name in call["arguments"]}
        return self._dialect.write([(call["name"], drawn)])


class Spam(Gold):
    """Calls every function of the stockroom with what it finds in the task, and answers rightly in the end."""

    def act(self, observation: Observation) -> str:
        del observation
        self.turn += 1
        if self.turn > 3:
            return self._dialect.write([("answer", {"text": self.answer})])
        given = {k: v for call in self.gold for k, v in call["arguments"].items()}
        item, order = given.get("item_id", "L-10"), given.get("order_id", "W-100")
        calls: list[tuple[str, dict[str, Any]]] = [("find_items", {"text": ""}), ("stock_of", {"item_id": item}), ("export", {})]
        calls.append(("read_order", {"order_id": order}))
        for place in PLACES:
            calls.append(("receive", {"item_id": item, "place": place, "quantity": 7}))
            calls.append(("move", {"item_id": item, "source": place, "target": PLACES[0], "quantity": 3}))
            calls.append(("ship", {"order_id": order, "item_id": item, "place": place, "quantity": 1}))
        return self._dialect.write(calls)
