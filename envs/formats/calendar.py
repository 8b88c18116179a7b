"""A calendar in the form of the Berkeley leaderboard's classes, and made-up conversations about it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, TypeAlias, cast

import numpy as np

from ...records import Message, Task
from ..search.world import SPLITS, SplitName, word
from ..tasks import Split, TaskSet

ENV_ID = "turnwise/BFCL-v0"
DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday")
HOURS = range(8, 18)
KINDS = ("lunch", "review", "call", "visit")


class Calendar:
    """One week of events. As in the leaderboard, public attributes are the state, and what cannot be done is said in the result."""

    def __init__(self) -> None:
        self.events: dict[str, dict[str, Any]] = {}

    def _load_scenario(self, scenario: dict[str, Any], long_context: bool = False) -> None:
        del long_context
        self.events = {title: dict(event) for title, event in scenario.get("events", {}).items()}

    def list_events(self, day: str) -> dict[str, Any]:
        """The events of a day, with their hours.

        Args:
            day (str): Monday to Friday.
        """
        return {"events": self._on(day)} if day in DAYS else {"error": f"there is no day {day[:20]!r}; allowed: {', '.join(DAYS)}"}

    def free_hours(self, day: str) -> dict[str, Any]:
        """The hours of a day without an event.

        Args:
            day (str): Monday to Friday.
        """
        taken = self._on(day).values()
        return {"hours": [hour for hour in HOURS if hour not in taken]} if day in DAYS else {"error": f"there is no day {day[:20]!r}"}

    def add_event(self, title: str, day: str, hour: int) -> dict[str, Any]:
        """Put a new event into the calendar.

        Args:
            title (str): Its title; no two events share one.
            day (str): Monday to Friday.
            hour (int): 8 to 17.
        """
        if title in self.events:
            return {"error": f"there is an event {title[:40]!r} already; move_event moves it"}
        return self._place(title, day, hour)

    def move_event(self, title: str, day: str, hour: int) -> dict[str, Any]:
        """Move an event.

        Args:
            title (str): Its title.
            day (str): Monday to Friday.
            hour (int): 8 to 17.
        """
        return self._place(title, day, hour) if title in self.events else {"error": f"there is no event {title[:40]!r}"}

    def cancel_event(self, title: str) -> dict[str, Any]:
        """Take an event out of the calendar.

        Args:
            title (str): Its title.
        """
        if title not in self.events:
            return {"error": f"there is no event {title[:40]!r}"}
        return {"cancelled": {title: self.events.pop(title)}}

    def _on(self, day: str) -> dict[str, int]:
        return {title: event["hour"] for title, event in sorted(self.events.items()) if event["day"] == day}

    def _place(self, title: str, day: str, hour: int) -> dict[str, Any]:
        if day not in DAYS or hour not in HOURS:
            return {"error": f"there is no {day[:20]} at {hour}; days are {', '.join(DAYS)}, hours {HOURS[0]} to {HOURS[-1]}"}
        if any(event == {"day": day, "hour": hour} for other, event in self.events.items() if other != title):
            return {"error": f"{day} at {hour} is taken"}
        self.events[title] = {"day": day, "hour": hour}
        return {"event": {title: self.events[title]}}


class Conversations(TaskSet):
    """``count`` tasks a split: three requests each, one of which changes the calendar at least. Names differ between splits."""

    def __init__(self, count: int) -> None:
        if count < 1:
            raise ValueError(f"tasks is {count}; it must be at least 1")
        self.count = count

    def list_splits(self) -> list[Split]:
        return [Split(name=name, type=name, num_tasks=self.count) for name in SPLITS]

    def get_task(self, split: str, index: int) -> Task:
        self.check_index(split, index)
        part = cast("SplitName", split)
        rng = np.random.default_rng(np.random.SeedSequence([SPLITS.index(part), index, 53]))
        titles = [f"{word(part, index * 8 + n, 0)} {rng.choice(KINDS)}" for n in range(8)]
        places = [(day, hour) for day in DAYS for hour in HOURS]
        taken = [places[int(n)] for n in rng.permutation(len(places))[:6]]
        events = {title: {"day": day, "hour": hour} for title, (day, hour) in zip(titles, taken, strict=False)}
        room = Calendar()
        room._load_scenario({"events": events})  # pyright: ignore[reportPrivateUsage]
        asks = [_ASKS[int(rng.integers(len(_ASKS)))] for _ in range(2)]
        asks.insert(int(rng.integers(3)), _CHANGES[int(rng.integers(len(_CHANGES)))])
        spare = iter(titles[6:])
        turns: list[list[dict[str, str]]] = []
        gold: list[list[str]] = []
        for ask in asks:
            text, calls = ask(room, rng, spare)
            turns.append([{"role": "user", "content": text}])
            gold.append(calls)
        data = {"turns": turns, "config": {"Calendar": {"events": events}}, "classes": ["Calendar"], "gold": gold, "missed": {}}
        prompt = (Message(role="user", content=turns[0][0]["content"]),)
        return Task(id=f"{split}-{index}", env_id=ENV_ID, split=split, prompt=prompt, data=data)


Titles: TypeAlias = Iterator[str]
Ask: TypeAlias = Callable[[Calendar, np.random.Generator, Titles], tuple[str, list[str]]]


def _list(room: Calendar, rng: np.random.Generator, spare: Titles) -> tuple[str, list[str]]:
    del room, spare
    day = str(rng.choice(DAYS))
    return f"What is on my calendar on {day}?", [f"list_events(day={day!r})"]


def _add(room: Calendar, rng: np.random.Generator, spare: Titles) -> tuple[str, list[str]]:
    title = next(spare, None)
    if title is None:
        return _list(room, rng, spare)
    day = str(rng.choice(DAYS))
    free = cast("list[int]", room.free_hours(day)["hours"])
    hour = free[int(rng.integers(len(free)))]
    room.add_event(title, day, hour)
    return f"Put '{title}' on {day} at {hour}.", [f"add_event(title={title!r}, day={day!r}, hour={hour})"]


def _move(room: Calendar, rng: np.random.Generator, spare: Titles) -> tuple[str, list[str]]:
    if not room.events:
        return _add(room, rng, spare)
    title, day = str(rng.choice(sorted(room.events))), str(rng.choice(DAYS))
    hour = room.free_hours(day)["hours"][0]
    room.move_event(title, day, hour)
    text = f"Move '{title}' to the first free hour on {day}."
    return text, [f"free_hours(day={day!r})", f"move_event(title={title!r}, day={day!r}, hour={hour})"]


def _cancel(room: Calendar, rng: np.random.Generator, spare: Titles) -> tuple[str, list[str]]:
    if not room.events:
        return _add(room, rng, spare)
    title = str(rng.choice(sorted(room.events)))
    day = room.events[title]["day"]
    titles = list(room.list_events(day)["events"])
    for each in titles:
        room.cancel_event(each)
    return f"Cancel everything I have on {day}.", [f"list_events(day={day!r})", *(f"cancel_event(title={each!r})" for each in titles)]


_CHANGES: tuple[Ask, ...] = (_add, _move, _cancel)
_ASKS: tuple[Ask, ...] = (_list, *_CHANGES)
