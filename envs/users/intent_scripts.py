"""Agents for ``turnwise/Intent-v0``: one that clarifies, one that asks for all at once, and some that must not succeed."""

from __future__ import annotations

from typing import cast

from ...records import Observation, Task
from ..base import Rng
from ..tools.dialects import DIALECTS
from .domains import DOMAINS


class Clarify:
    """Asks for every missing detail, the most important first, and submits what was told. With ``talk`` in plain text."""

    def __init__(self, dialect: str = "hermes", *, talk: bool = False) -> None:
        self._dialect = DIALECTS[dialect]()
        self.talk = talk

    def reset(self, task: Task, rng: Rng) -> None:
        self.rng = rng
        self.fields = DOMAINS[str(task.data["domain"])].fields
        self.wanted = cast("dict[str, str]", task.data["wanted"])
        missing = cast("dict[str, int]", task.data["missing"])
        self.left = self.plan(sorted(missing, key=lambda name: -missing[name]))

    def plan(self, missing: list[str]) -> list[str]:
        """Questions, in order."""
        return [self.fields[name].question for name in missing]

    def act(self, observation: Observation) -> str:
        del observation
        if not self.left:
            return self._dialect.write([("submit", {"details": self.details()})])
        question = self.left.pop(0)
        return question if self.talk else self._dialect.write([("ask", {"question": question})])

    def details(self) -> dict[str, str]:
        return self.wanted


class AskAll(Clarify):
    """Asks for everything at once, and submits what was told: right, but a nuisance."""

    def plan(self, missing: list[str]) -> list[str]:
        del missing
        return [" ".join(field.question for field in self.fields.values())]


class Erring(Clarify):
    """Asks for all that the request leaves open, also for what turns out not to matter; but leaves out every question with chance
    ``leave_out``, and what it would have told."""

    def __init__(self, dialect: str = "hermes", *, talk: bool = False, leave_out: float = 0.2) -> None:
        super().__init__(dialect, talk=talk)
        self.leave_out = leave_out

    def plan(self, missing: list[str]) -> list[str]:
        given = [name for name in self.wanted if name not in missing]
        asked = [name for name in self.fields if name not in given and self.rng.random() >= self.leave_out]
        self.wanted = {name: value for name, value in self.wanted.items() if name in asked or name in given}
        return super().plan(asked)


class RandomClerk(Clarify):
    """Asks for some of what is missing, and guesses the rest."""

    def plan(self, missing: list[str]) -> list[str]:
        self.asked = [name for name in missing if self.rng.random() < 0.7]
        return super().plan(self.asked)

    def details(self) -> dict[str, str]:
        return {name: value if name in self.asked else self._guess(name) for name, value in self.wanted.items()}

    def _guess(self, name: str) -> str:
        return str(self.rng.choice(self.fields[name].values)).format(name="Bavuno")


class Guess(RandomClerk):
    """Submits a guess without asking anything."""

    def plan(self, missing: list[str]) -> list[str]:
        self.asked = []
        return []


class Skip(Clarify):
    """Submits what the request says, without asking."""

    def reset(self, task: Task, rng: Rng) -> None:
        super().reset(task, rng)
        missing = cast("dict[str, int]", task.data["missing"])
        self.left, self.wanted = [], {name: value for name, value in self.wanted.items() if name not in missing}


class Spam(Clarify):
    """Calls everything it knows of, every turn."""

    def act(self, observation: Observation) -> str:
        del observation
        return self._dialect.write([("ask", {"question": "?"}), ("cheat", {}), ("submit", {}), ("submit", {"details": {"all": "yes"}})])
