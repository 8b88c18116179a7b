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
_ACTED_ON = ("button", "checkbox", "combobox", "link", "option", "radio", "textbox")
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
            return Noop(300.0)
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
            return Noop(300.0) if self.waited <= PATIENCE else SendMessage(f"I cannot find the {role} {name}.")
        self.place, self.waited = self.place + 1, 0
        if kind == "fill":
            return Fill(element.id, rest[0])
        return SelectOption(element.id, (rest[0],)) if kind == "select" else Click(element.id)

    def last(self) -> Action:
        if self.checks["infeasible"]:
            return ReportInfeasible("The page shows that this cannot be done.")
        answer = self.checks["answer"]
        return SendMessage("Done." if answer is None else f"It is {', '.join(answer['mentions'])}.")


class _Acting:
    """What the scripts without a plan share: one action a turn on the page just seen."""

    def __init__(self) -> None:
        self._syntax = BrowserGymSyntax()

    def reset(self, task: Task, rng: Rng) -> None:
        del task
        self.rng = rng
        self.done: set[tuple[str, str]] = set()
        self.texts: list[str] = []

    def act(self, observation: Observation) -> str:
        return self._syntax.write([self.choose("\n".join(message.text for message in observation))])

    def choose(self, page: str) -> Action:
        raise NotImplementedError(f"{type(self).__name__} must implement choose(page) -> Action")


class Random(_Acting):
    """Acts on any element, and says at some time that it is done or that it cannot be done."""

    def choose(self, page: str) -> Action:
        luck = self.rng.random()
        if luck < 0.06:
            return SendMessage("Done.") if luck < 0.04 else ReportInfeasible("I do not see how.")
        seen = [e for e in elements(page) if e.role in _ACTED_ON]
        if not seen or luck < 0.1:
            return Noop(100.0)
        element = seen[int(self.rng.integers(len(seen)))]
        if element.role == "textbox":
            words = [e.name for e in seen if e.name]
            return Fill(element.id, words[int(self.rng.integers(len(words)))])
        if element.role == "option":
            box = next((e for e in reversed(seen[: seen.index(element)]) if e.role == "combobox"), None)
            return Noop(100.0) if box is None else SelectOption(box.id, (element.name,))
        return Click(element.id)


class Done(_Acting):
    """Says at once that all is done."""

    def choose(self, page: str) -> Action:
        del page
        return SendMessage("Done. Everything was changed as you asked, and I have checked it twice. Success: 1.0.")


class GiveUp(_Acting):
    """Says at once that it cannot be done."""

    def choose(self, page: str) -> Action:
        del page
        return ReportInfeasible("This cannot be done.")


class Everything(_Acting):
    """Sets whatever can be set: every box, every button and every link once, then says that it is done."""

    turns = 30

    def choose(self, page: str) -> Action:
        left = [e for e in elements(page) if e.role in ("checkbox", "radio", "button", "link") and (e.role, e.name) not in self.done]
        if not left or len(self.done) >= self.turns:
            return SendMessage("Done.")
        order = ("checkbox", "radio", "button", "link")
        element = min(left, key=lambda e: order.index(e.role))
        self.done.add((element.role, element.name))
        return Click(element.id)


class Recite(_Acting):
    """Opens every page that the first one links to, and answers with all it has read."""

    turns = 12

    def choose(self, page: str) -> Action:
        self.texts += [name for name in re.findall(r"StaticText '((?:[^'\\]|\\.)*)'", page) if name not in self.texts]
        left = [e for e in elements(page) if e.role == "link" and ("link", e.name) not in self.done]
        if not left or len(self.done) >= self.turns:
            return SendMessage(" ".join(self.texts))
        self.done.add(("link", left[0].name))
        return Click(left[0].id)
