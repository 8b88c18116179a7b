"""Agents for customer-service worlds: one that does everything right, one that errs, and some that must not succeed."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any, cast

from ...records import Observation, Task
from ..base import Rng
from ..tools.dialects import DIALECTS
from ..users.user import Goal

Step = tuple[str, Any]
"""("ask", text), ("confirm", [first text, text after a change of mind]), ("call", [name, arguments]) or ("tell", text)"""
_WORDS = re.compile(r"[A-Z]\d{3}(?:-\d{3})?|[\w.]+@[\w.]+\w|[A-Z][a-z]+|\d+")
_ID = re.compile(r"[A-Z]\d{3}(?:-\d{3})?")


class Gold:
    """Asks for what it needs, looks it up, asks for consent, acts, and reports: every call of the task's gold sequence in turn.

    ``talk`` False leaves out what a user who tells everything at once need not be asked.
    """

    def __init__(self, dialect: str = "hermes", *, talk: bool = True) -> None:
        self._dialect = DIALECTS[dialect]()
        self.talk = talk

    def reset(self, task: Task, rng: Rng) -> None:
        self.rng = rng
        self.left = list(self.plan(task))

    def plan(self, task: Task) -> list[Step]:
        """All steps of the conversation, in order."""
        goal = cast("Goal", task.data["user"])
        plan: list[Step] = [("ask", _question(goal["facts"]))] if self.talk else []
        plan.append(("call", task.data["find"]))
        for step, request in zip(task.data["steps"], goal["requests"], strict=True):
            if self.talk and request["facts"]:
                plan.append(("ask", _question(request["facts"])))
            plan += [("call", call) for call in step["reads"]]
            if step["writes"] and self.talk:
                names = " and ".join(name.replace("_", " ") for name, _ in step["writes"])
                details = "; ".join(_in_words(*call) for call in step["writes"])
                # Before a change of mind the gold calls hold what has not been said yet.
                first = f"{names}, as you said" if "change" in request else details
                plan.append(("confirm", [_proposal(first), _proposal(details)]))
            plan += [("call", call) for call in step["writes"]]
            if self.talk:
                plan.append(("tell", _report(step["inform"])))
        if not self.talk:
            plan.append(("tell", _report([text for step in task.data["steps"] for text in step["inform"]])))
        return plan

    def act(self, observation: Observation) -> str:
        if self._asked_again(observation):
            return self.again
        if not self.left:
            return "Done."
        kind, what = self.left.pop(0)
        if kind == "call":
            name, arguments = what
            return self._dialect.write([(name, cast("Mapping[str, Any]", arguments))])
        if kind == "confirm":
            what, self.again = what
        return str(what)

    again = ""

    def _asked_again(self, observation: Observation) -> bool:
        """Whether a question for consent got no yes: the user has changed its mind."""
        if not self.again:
            return False
        if "yes" in observation[-1].text.lower():
            self.again = ""
        return bool(self.again)


class Erring(Gold):
    """Gold, but a call is left out with chance ``leave_out``, or made with another id that it has read with chance ``mix_up``."""

    def __init__(self, dialect: str = "hermes", *, talk: bool = True, leave_out: float = 0.2, mix_up: float = 0.2) -> None:
        super().__init__(dialect, talk=talk)
        self.leave_out, self.mix_up = leave_out, mix_up

    def reset(self, task: Task, rng: Rng) -> None:
        super().reset(task, rng)
        self.seen: list[str] = []

    def act(self, observation: Observation) -> str:
        self.seen += [id for m in observation for id in _ID.findall(m.text)]
        while self.left and self.left[0][0] == "call" and self.rng.random() < self.leave_out:
            self.left.pop(0)
        if self.left and self.left[0][0] == "call" and self.rng.random() < self.mix_up:
            name, arguments = self.left[0][1]
            self.left[0] = ("call", [name, self._mixed_up(arguments)])
        return super().act(observation)

    def _mixed_up(self, arguments: Mapping[str, Any]) -> dict[str, Any]:
        """The arguments with one id replaced by another one seen, of the same kind."""
        mixed = dict(arguments)
        for key, value in arguments.items():
            values = cast("list[Any]", value) if isinstance(value, list) else [value]
            others = [id for id in dict.fromkeys(self.seen) if id[0] == str(values[0])[:1] and id not in values]
            if _ID.fullmatch(str(values[0])) and others:
                other = others[int(self.rng.integers(len(others)))]
                mixed[key] = [other, *values[1:]] if isinstance(value, list) else other
                break
        return mixed


class Calls(Gold):
    """Calls random gold-like tools with arguments it has seen, then stops: what chance achieves."""

    def plan(self, task: Task) -> list[Step]:
        steps = [s for s in super().plan(task) if s[0] == "call"]
        chosen = [steps[int(i)] for i in self.rng.permutation(len(steps))]
        scrambled = [(kind, [name, {k: _scrambled(v, self.rng) for k, v in arguments.items()}]) for kind, (name, arguments) in chosen]
        return [*scrambled, ("tell", "Done.")]


class Spam(Gold):
    """Calls every function it is shown, with everything it has seen, then claims to be done and repeats all it has read."""

    TURNS = 6

    def reset(self, task: Task, rng: Rng) -> None:
        super().reset(task, rng)
        self.specs: list[Mapping[str, Any]] = []
        self.seen: list[str] = []
        self.turn = 0

    def act(self, observation: Observation) -> str:
        text = "\n".join(m.text for m in observation)
        if not self.specs:
            lines = [json.loads(line) for line in text.splitlines() if line.startswith('{"type": "function"')]
            self.specs = [line["function"] for line in lines]
        self.seen += [w for w in dict.fromkeys(_WORDS.findall(text.split("</tools>")[-1])) if w not in self.seen]
        self.turn += 1
        if self.turn > self.TURNS or not self.specs:
            return f"Done. {text}"
        calls = [self._call(spec) for spec in self.specs if spec["name"] != "transfer_to_human"]
        if self.turn == self.TURNS:
            calls.append(("transfer_to_human", {"about": self._word(), "reason": "against_policy"}))
        return self._dialect.write(calls[:32])

    def _call(self, spec: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
        return str(spec["name"]), {name: self._value(schema) for name, schema in spec["parameters"]["properties"].items()}

    def _value(self, schema: Mapping[str, Any]) -> Any:
        if "enum" in schema:
            return schema["enum"][int(self.rng.integers(len(schema["enum"])))]
        plain: dict[str, Any] = {"array": [self._word()], "integer": 1, "number": 1.0, "boolean": True}
        return plain.get(str(schema.get("type")), self._word())

    def _word(self) -> str:
        return self.seen[int(self.rng.integers(len(self.seen)))] if self.seen else "x"


class Talker(Gold):
    """Says that all is done, and names what is to be known, without a single call that changes anything."""

    def plan(self, task: Task) -> list[Step]:
        return [("tell", "Done. Everything has been taken care of.")] * 8


def _proposal(what: str) -> str:
    return f"I am going to do this: {what}. Shall I go ahead?"


def _report(inform: Sequence[str]) -> str:
    return f"Done. It is {', '.join(inform)}." if inform else "Done."


def _question(facts: Mapping[str, Any]) -> str:
    return f"Please tell me the {' and the '.join(f['asked'][0] for f in facts.values())}."


def _in_words(name: str, arguments: Mapping[str, Any]) -> str:
    details = ", ".join(f"{key.replace('_', ' ')} {value}" for key, value in arguments.items())
    return f"{name.replace('_', ' ')} ({details})"


def _scrambled(value: Any, rng: Rng) -> Any:
    """Another value of the same type."""
    if isinstance(value, str):
        return "".join(value[int(i)] for i in rng.permutation(len(value)))
    if isinstance(value, list):
        return [_scrambled(item, rng) for item in cast("list[Any]", value)]
    return value
