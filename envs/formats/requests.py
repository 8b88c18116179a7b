"""Made-up requests for ``turnwise/ToolCalls-v0``: a user asks for one to three things, each of which is one call."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, cast

import numpy as np

from ...records import Message, Task
from ..search.world import SPLITS, SplitName, word
from ..tasks import Split, TaskSet

ENV_ID = "turnwise/ToolCalls-v0"
LISTED = 6
"""Tools that a prompt lists, those that are needed among them."""


@dataclass(frozen=True, slots=True)
class Kind:
    """A tool: what its parameters are, and how one asks for it. ``draw(rng, name)`` gives the parameters, ``name`` makes up names."""

    name: str
    about: str
    parameters: dict[str, str]
    ask: str
    draw: Callable[[np.random.Generator, Callable[[], str]], dict[str, Any]]


def _of(rng: np.random.Generator, *values: str) -> str:
    return str(rng.choice(values))


def _days(rng: np.random.Generator) -> str:
    return _of(rng, "Monday", "Tuesday", "Wednesday", "Thursday", "Friday")


KINDS: tuple[Kind, ...] = (
    Kind(
        "weather",
        "The weather in a city.",
        {"city": "string", "day": "string"},
        "tell me the weather in {city} on {day}",
        lambda rng, name: {"city": name(), "day": _days(rng)},
    ),
    Kind(
        "book_table",
        "Book a table in a restaurant.",
        {"restaurant": "string", "guests": "integer", "hour": "integer"},
        "book a table for {guests} at {restaurant} at {hour} o'clock",
        lambda rng, name: {"restaurant": name(), "guests": int(rng.integers(2, 9)), "hour": int(rng.integers(17, 23))},
    ),
    Kind(
        "send_money",
        "Send money to somebody.",
        {"to": "string", "amount": "integer", "currency": "string"},
        "send {amount} {currency} to {to}",
        lambda rng, name: {"to": name(), "amount": int(rng.integers(5, 900)), "currency": _of(rng, "EUR", "USD", "CHF")},
    ),
    Kind(
        "wake",
        "Set an alarm.",
        {"hour": "integer", "minute": "integer"},
        "wake me at {hour}:{minute:02d}",
        lambda rng, name: {"hour": int(rng.integers(4, 12)), "minute": int(rng.integers(60))},
    ),
    Kind(
        "route",
        "Find a way from one place to another.",
        {"start": "string", "end": "string", "by": "string"},
        "find the way from {start} to {end} by {by}",
        lambda rng, name: {"start": name(), "end": name(), "by": _of(rng, "car", "train", "bicycle")},
    ),
    Kind(
        "message",
        "Send somebody a message.",
        {"to": "string", "text": "string"},
        'write to {to}: "{text}"',
        lambda rng, name: {"to": name(), "text": f"See you in {name()}"},
    ),
    Kind(
        "buy_shares",
        "Buy shares of a company.",
        {"company": "string", "count": "integer"},
        "buy {count} shares of {company}",
        lambda rng, name: {"company": name(), "count": int(rng.integers(1, 200))},
    ),
    Kind(
        "play",
        "Play music.",
        {"artist": "string", "loud": "boolean"},
        "play something by {artist}, {volume}",
        lambda rng, name: {"artist": name(), "loud": bool(rng.integers(2))},
    ),
)


class Requests(TaskSet):
    """``count`` tasks a split. Names of different splits are made of different words."""

    def __init__(self, count: int) -> None:
        if count < 1:
            raise ValueError(f"tasks is {count}; it must be at least 1")
        self.count = count

    def list_splits(self) -> list[Split]:
        return [Split(name=name, type=name, num_tasks=self.count) for name in SPLITS]

    def get_task(self, split: str, index: int) -> Task:
        self.check_index(split, index)
        part = cast("SplitName", split)
        rng = np.random.default_rng(np.random.SeedSequence([SPLITS.index(part), index, 41]))
        names = iter(range(index * 16, index * 16 + 16))
        listed = [KINDS[int(n)] for n in rng.permutation(len(KINDS))[:LISTED]]
        needed = [listed[int(n)] for n in rng.permutation(LISTED)[: 1 + index % 3]]

        def name() -> str:
            return word(part, next(names), 0)

        calls = [{"name": kind.name, "parameters": kind.draw(rng, name)} for kind in needed]
        asked = ", and ".join(_sentence(kind, call["parameters"]) for kind, call in zip(needed, calls, strict=True))
        prompt = (Message(role="system", content=_system(listed)), Message(role="user", content=f"Please {asked}."))
        data = {"calls": calls, "response": False}
        return Task(id=f"{split}-{index}", env_id=ENV_ID, split=split, prompt=prompt, data=data)


def _sentence(kind: Kind, parameters: Any) -> str:
    extra = {"volume": "loud" if parameters["loud"] else "but softly"} if "loud" in parameters else {}
    return kind.ask.format(**parameters, **extra)


def _system(listed: list[Kind]) -> str:
    tools = "\n".join(json.dumps({"name": k.name, "description": k.about, "parameters": k.parameters}) for k in listed)
    return (
        f"You may call these tools:\n{tools}\n\nReply in this layout, one call a line:\n<think>your thoughts</think>\n<tool_call>\n"
        '{"name": "...", "parameters": {...}}\n{"name": "...", "parameters": {...}}\n</tool_call>'
    )
