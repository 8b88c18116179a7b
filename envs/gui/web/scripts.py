"""Scripts of ``turnwise/WebTasks-v0``: they see what an agent sees, the text of the page, and name elements by role and accessible name."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, cast

from ....records import Observation, Task
from ...base import Rng
from ..actions import Action, Click, Fill, Noop, ReportInfeasible, SelectOption, SendMessage
from ..browsergym import BrowserGymSyntax
from .draft import Step

DISMISS = ("No thanks", "Only necessary cookies", "Not now", "Leave without saving")
"""Buttons of pop-ups and of the question about unsaved changes."""
LOADING = "Loading, please wait"
PATIENCE = 3
"""How often a script waits for an element that it cannot see."""
_ELEMENT = re.compile(r"^\s*\[([^\]]+)\] ([a-zA-Z]+) '((?:[^'\\]|\\.)*)'|^\s*\[([^\]]+)\] ([a-zA-Z]+) \"((?:[^\"\\]|\\.)*)\"", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Element:
    """One line of the page's text."""

    id: str
    role: str
    name: str


def elements(text: str) -> list[Element]:
    """The elements that a page's text lists."""
    found: list[Element] = []
    for match in _ELEMENT.finditer(text):
        id, role, name = (match[1], match[2], match[3]) if match[1] else (match[4], match[5], match[6])
        found.append(Element(id, role, name.replace("\\'", "'").replace('\\"', '"').replace("\\\\", "\\")))
    return found


def find(seen: Sequence[Element], role: str, name: str) -> Element | None:
    """The first element with this role and name; a name that ends in * stands for all that begin so."""
    stem = name[:-1] if name.endswith("*") else None
    return next((e for e in seen if e.role == role and (e.name == name if stem is None else e.name.startswith(stem))), None)


class Expert:
    """Follows the gold steps: closes what is in the way, waits for pages that load, and says when it is done."""

    def __init__(self) -> None:
        self._syntax = BrowserGymSyntax()

    def reset(self, task: Task, rng: Rng) -> None:
        del rng
        self.steps = cast("list[Step]", task.data["steps"])
        self.checks = cast("dict[str, Any]", task.data["checks"])
        self.place = self.waited = 0

    def act(self, observation: Observation) -> str:
        return self._syntax.write([self.choose("\n".join(message.text for message in observation))])

    def choose(self, page: str) -> Action:
        """The next action on the page with this text."""
        seen = elements(page)
        for name in DISMISS:
            if (button := find(seen, "button", name)) is not None:
                return Click(button.id)
        if LOADING in page:
            return Noop(500.0)
        if self.place == len(self.steps):
            return self.last()
        kind, role, name, *rest = self.steps[self.place]
        element = find(seen, role, name)
        if element is None and kind == "find":
            element = find(seen, "link", rest[0])
            if element is not None:
                return Click(element.id)
        if element is None:
            self.waited += 1
            return Noop(500.0) if self.waited <= PATIENCE else SendMessage(f"I cannot find the {role} {name}.")
        self.place, self.waited = self.place + 1, 0
        if kind == "fill":
            return Fill(element.id, rest[0])
        return SelectOption(element.id, (rest[0],)) if kind == "select" else Click(element.id)

    def last(self) -> Action:
        if self.checks["infeasible"]:
            return ReportInfeasible("The page shows that this cannot be done.")
        answer = self.checks["answer"]
        return SendMessage("Done." if answer is None else f"It is {', '.join(answer['mentions'])}.")
