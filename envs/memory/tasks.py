"""Temporal questions about dialogues, with the sessions that are needed and the days that are asked about.

task = Questions(sessions=16).get_task("train", 0);  task.data["kind"], task.data["answer"], task.data["gold"], task.data["range"]
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import date, timedelta
from typing import Any, cast

import numpy as np

from ...records import Message, Task
from ..search.world import SPLITS, SplitName
from ..tasks import Split, TaskSet
from .dialogues import ACTIONS, Dialogue, Event, make_dialogue

ENV_ID = "turnwise/Memory-v0"
Rng = np.random.Generator
Made = dict[str, Any]
"""``question``, ``answer`` (text, number or list), ``sessions`` that are needed, ``range`` of days asked about (a task's range
also holds the days of its needed sessions, so that choosing these is never told to be far off)."""
LETTERS = "ABCD"


class Questions(TaskSet):
    """``count`` questions a split; as many as there are kinds share a dialogue of ``sessions`` sessions."""

    def __init__(self, sessions: int = 16, kinds: Sequence[str] = (), count: int = 1000) -> None:
        kinds = tuple(kinds) or tuple(KINDS)
        unknown = sorted(set(kinds) - set(KINDS))
        if unknown or not 8 <= sessions <= 100 or count < 1:
            allowed = f"kinds: {', '.join(KINDS)}; sessions: 8 to 100; tasks: at least 1"
            raise ValueError(f"kinds are {list(kinds)}, sessions is {sessions}, tasks is {count}; allowed: {allowed}")
        self.sessions, self.kinds, self.count = sessions, kinds, count

    def list_splits(self) -> list[Split]:
        return [Split(name=name, type=name, num_tasks=self.count) for name in SPLITS]

    def get_task(self, split: str, index: int) -> Task:
        self.check_index(split, index)
        group, place = divmod(index, len(self.kinds))
        kind, part = self.kinds[place], cast("SplitName", split)
        dialogue = make_dialogue(part, group, self.sessions)
        seed = np.random.SeedSequence([SPLITS.index(part), group, self.sessions, 1, *kind.encode()])
        made = KINDS[kind](np.random.default_rng(seed), dialogue)
        needed = sorted(set(cast("list[int]", made["sessions"])))
        days = [*cast("tuple[date, date]", made["range"]), *map(dialogue.day, needed)]
        data: dict[str, Any] = {
            "kind": kind,
            "question": made["question"],
            "answer": made["answer"],
            "gold": [str(dialogue.sessions[n]["id"]) for n in needed],
            "range": [min(days).isoformat(), max(days).isoformat()],
            "sessions": dialogue.sessions,
        }
        prompt = (Message(role="user", content=made["question"]),)
        return Task(id=f"{split}-{self.sessions}-{group}-{kind}", env_id=ENV_ID, split=split, prompt=prompt, data=data)


def _some(rng: Rng, events: Sequence[Event], count: int) -> list[Event]:
    """``count`` events on different days, in a random order."""
    chosen: list[Event] = []
    for n in rng.permutation(len(events)):
        if events[int(n)].day not in {e.day for e in chosen}:
            chosen.append(events[int(n)])
        if len(chosen) == count:
            return chosen
    raise ValueError(f"a dialogue has fewer than {count} events on different days; raise sessions")


def _of(events: Sequence[Event]) -> Made:
    """Sessions and range of days of events."""
    days = [e.day for e in events]
    return {"sessions": [n for e in events for n in e.told], "range": (min(days), max(days))}


def _listed(events: Sequence[Event]) -> str:
    return "\n".join(f"({letter}) {event.text}" for letter, event in zip(LETTERS, events, strict=False))


def _when(rng: Rng, dialogue: Dialogue, corrected: bool = False) -> Made:
    event = _some(rng, [e for e in dialogue.events if (len(e.told) > 1) == corrected], 1)[0]
    question = f"On what date did {event.person} {ACTIONS[event.action][0]}? Answer in the form YYYY-MM-DD."
    return {"question": question, "answer": event.day.isoformat(), **_of([event])}


def _corrected(rng: Rng, dialogue: Dialogue) -> Made:
    return _when(rng, dialogue, corrected=True)


def _days(rng: Rng, dialogue: Dialogue) -> Made:
    a, b = _some(rng, dialogue.events, 2)
    question = f"How many days lie between the day on which {a.text} and the day on which {b.text}? Answer with a whole number."
    return {"question": question, "answer": abs((a.day - b.day).days), **_of([a, b])}


def _first(rng: Rng, dialogue: Dialogue) -> Made:
    events = _some(rng, dialogue.events, 2)
    answer = LETTERS[0] if events[0].day < events[1].day else LETTERS[1]
    return {"question": f"Which of these was first? Answer with its letter.\n{_listed(events)}", "answer": answer, **_of(events)}


def _timeline(rng: Rng, dialogue: Dialogue) -> Made:
    events = _some(rng, dialogue.events, 4)
    order = sorted(range(4), key=lambda n: events[n].day)
    question = f"In which order did these take place? Answer with the letters, the earliest first, with commas.\n{_listed(events)}"
    return {"question": question, "answer": [LETTERS[n] for n in order], **_of(events)}


def _range(rng: Rng, dialogue: Dialogue) -> Made:
    """One to three of four events lie in the range, which starts and ends a little away from them."""
    events = _some(rng, dialogue.events, 4)
    days = sorted(e.day for e in events)
    low = int(rng.integers(0, 4))
    high = int(rng.integers(low, 4 if low else 3))
    start = days[low] - timedelta(days=_gap(rng, days[low - 1] if low else None, days[low]))
    end = days[high] + timedelta(days=_gap(rng, days[high], days[high + 1] if high < 3 else None))
    inside = [letter for letter, event in zip(LETTERS, events, strict=True) if start <= event.day <= end]
    question = (
        f"Which of these took place from {start.isoformat()} to {end.isoformat()}, both included? "
        f"Answer with the letters, with commas.\n{_listed(events)}"
    )
    return {"question": question, "answer": inside, "sessions": _of(events)["sessions"], "range": (start, end)}


def _gap(rng: Rng, before: date | None, after: date | None) -> int:
    """Days that fit between two events without touching the other one."""
    free = (after - before).days if before is not None and after is not None else 8
    return int(rng.integers(0, min(free, 8)))


def _state(rng: Rng, dialogue: Dialogue) -> Made:
    last = dialogue.day(len(dialogue.sessions) - 1)
    spans = [(s, s.start, s.end or last + timedelta(days=1)) for s in dialogue.states]
    roomy = [span for span in spans if (span[2] - span[1]).days >= 3]
    state, start, end = roomy[int(rng.integers(len(roomy)))]
    day = start + timedelta(days=int(rng.integers(1, (end - start).days - 1)))
    following = [s.told for s in dialogue.states if s.person == state.person and s.start == state.end]
    where = "Where" if state.verb == "live in" else "For whom"
    question = f"{where} did {state.person} {state.verb.split()[0]} on {day.isoformat()}? Answer with the name alone."
    return {"question": question, "answer": state.value, "sessions": [state.told, *following], "range": (start, end - timedelta(days=1))}


KINDS: dict[str, Callable[[Rng, Dialogue], Made]] = {
    "when": _when,
    "corrected": _corrected,
    "days": _days,
    "first": _first,
    "timeline": _timeline,
    "range": _range,
    "state": _state,
}
