"""Agents for ``turnwise/Recommend-v0``: one that asks, reads and foresees, one that does not ask, and some that must not succeed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, cast

from ...records import Observation, Task
from ..base import Rng
from ..search.world import SplitName
from ..tools.dialects import DIALECTS
from .catalogue import BOUNDS, KINDS, Value, catalogue, choice, liking, obeys


class Advise:
    """Asks for every attribute, reads what keeps the instruction, recommends the best liked."""

    def __init__(self, dialect: str = "hermes") -> None:
        self._dialect = DIALECTS[dialect]()

    def reset(self, task: Task, rng: Rng) -> None:
        self.rng = rng
        split, group, size = task.data["shop"]
        self.items = catalogue(cast("SplitName", split), group, size)
        self.kind = str(task.data["kind"])
        self.rules = cast("dict[str, Value]", task.data["rules"])
        self.tastes = cast("dict[str, list[str | int]]", task.data["tastes"])
        self.fixed = next(name for name in self.rules if name not in BOUNDS)
        self.kept = [i for i, item in self.items.items() if obeys(item, self.rules)]
        self.left = self.plan()

    def plan(self) -> list[str]:
        """All messages, in order."""
        looks = {"attribute": self.fixed, "value": self.rules[self.fixed], "max_price": self.rules["max_price"]}
        reads: list[tuple[str, Mapping[str, Any]]] = [("read", {"item_id": i}) for i in self.kept]
        asks = [f"Which {name} do you like best?" for name in KINDS[self.kind] if name != self.fixed]
        return [*asks, self._dialect.write([("search", looks)]), self._dialect.write(reads), self.offer(self.best())]

    def best(self) -> list[str]:
        ranked = sorted(self.kept, key=lambda i: -liking(self.items[i], self.tastes))
        return ranked[: int(self.rules["count"])]

    def offer(self, chosen: Sequence[str], claims: int = 2, prediction: str = "") -> str:
        """A recommendation with true claims; without a ``prediction``, what the user will take."""
        said = [
            {"item_id": i, "attribute": name, "value": self.items[i][name]}
            for i in chosen
            for name in (self.fixed, "price", "rating")[:claims]
        ]
        foreseen = prediction or choice(self.items, chosen, self.rules, self.tastes)
        return self._dialect.write([("recommend", {"item_ids": list(chosen), "claims": said, "prediction": foreseen})])

    def act(self, observation: Observation) -> str:
        del observation
        return self.left.pop(0) if self.left else ""


class Unasked(Advise):
    """Recommends anything that keeps the instruction, with true claims, without asking what is liked."""

    def plan(self) -> list[str]:
        chosen = [str(i) for i in self.rng.permutation(self.kept)[: int(self.rules["count"])]]
        return [self.offer(chosen, prediction=str(self.rng.choice(chosen)))]


class RandomPick(Advise):
    """Recommends any items, after some questions or none."""

    def plan(self) -> list[str]:
        chosen = [str(i) for i in self.rng.permutation(list(self.items))[: int(self.rng.integers(1, 4))]]
        asks = [f"Which {name} do you like best?" for name in KINDS[self.kind] if self.rng.random() < 0.5]
        return [*asks, self.offer(chosen, prediction=str(self.rng.choice([*chosen, "none"])))]


class Claimless(Advise):
    """Recommends the best items and foresees the choice, but says nothing about them."""

    def plan(self) -> list[str]:
        return [self.offer(self.best(), claims=0)]


class Nothing(Advise):
    """Recommends what the user cannot want, and foresees that it will take nothing."""

    def plan(self) -> list[str]:
        unwanted = [i for i in self.items if i not in self.kept]
        return [self.offer(unwanted[: int(self.rules["count"])], prediction="none")]


class Blind(Advise):
    """Recommends ids that it has not seen anywhere, again and again."""

    def act(self, observation: Observation) -> str:
        del observation
        chosen = [f"item{n}" for n in range(int(self.rules["count"]))]
        return self._dialect.write([("recommend", {"item_ids": chosen, "claims": [], "prediction": chosen[0]})])


class Spam(Advise):
    """Calls everything it knows of, every turn."""

    def act(self, observation: Observation) -> str:
        del observation
        nothing: dict[str, Any] = {"item_ids": [], "claims": [], "prediction": "none"}
        rest: list[tuple[str, dict[str, Any]]] = [("search", {}), ("read", {"item_id": ""}), ("cheat", {}), ("recommend", nothing)]
        return self._dialect.write([("ask", {"question": "?"}), *rest])
