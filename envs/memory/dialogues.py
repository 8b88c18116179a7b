"""Long dialogues between two fictional people, in dated sessions, and what really happened when.

    dialogue = make_dialogue("train", 0, sessions=16);  dialogue.sessions[0]["lines"];  dialogue.events[0].day

Dates are mostly told relative to the session ("three days ago"); some are corrected later. What does not bear on any question: the same
things done by others, wishes, memories without a date, small talk.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date, timedelta
from functools import lru_cache
from typing import Any

import numpy as np

from ..search.world import SPLITS, SplitName, word

Rng = np.random.Generator
WORDS = 12
"""Made-up words of one dialogue."""
ACTIONS: tuple[tuple[str, str], ...] = (
    ("adopt a grey cat", "adopted a grey cat"),
    ("run a marathon", "ran a marathon"),
    ("buy a red bicycle", "bought a red bicycle"),
    ("break an arm", "broke an arm"),
    ("publish a poem", "published a poem"),
    ("paint the kitchen", "painted the kitchen"),
    ("climb a volcano", "climbed a volcano"),
    ("sell an old piano", "sold an old piano"),
    ("win a chess prize", "won a chess prize"),
    ("plant a cherry tree", "planted a cherry tree"),
    ("lose a silver ring", "lost a silver ring"),
    ("bake a wedding cake", "baked a wedding cake"),
    ("pass a driving test", "passed a driving test"),
    ("give a public lecture", "gave a public lecture"),
    ("repair a wooden boat", "repaired a wooden boat"),
    ("visit a glacier", "visited a glacier"),
    ("join a choir", "joined a choir"),
    ("meet a famous actor", "met a famous actor"),
    ("catch a huge trout", "caught a huge trout"),
    ("build a stone oven", "built a stone oven"),
    ("learn to juggle", "learned to juggle"),
    ("quit smoking", "quit smoking"),
    ("get a new passport", "got a new passport"),
    ("find a lost dog", "found a lost dog"),
)
"""(infinitive, past)."""
_NUMBERS = ("zero", "one", "two", "three", "four", "five", "six")
_OPENINGS = ("Good to hear from you.", "How have you been?", "There you are at last.", "I have been thinking of you.")
_TALK = (
    "It has been raining here for days.",
    "I slept badly, but never mind.",
    "The trains were late again.",
    "I am reading a long novel and cannot put it down.",
    "My neighbour plays the drums all evening.",
    "I should drink less coffee.",
    "The market was crowded this morning.",
    "We should cook together one day.",
    "I have lost my umbrella, as always.",
    "The new bakery is really good.",
)
_REPLIES = ("Oh, tell me more.", "Really? I would not have thought so.", "That is news.", "I am glad to hear it.", "What a story.")


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """``person`` did ``ACTIONS[action]`` on ``day``; the sessions of ``told`` are needed to know when."""

    person: str
    action: int
    day: date
    told: tuple[int, ...]

    @property
    def text(self) -> str:
        return f"{self.person} {ACTIONS[self.action][1]}"


@dataclass(frozen=True, slots=True, kw_only=True)
class State:
    """Where ``person`` lived or worked from ``start`` to the day before ``end`` (None: to the last session); told in session ``told``."""

    person: str
    verb: str
    value: str
    start: date
    end: date | None
    told: int


@dataclass(slots=True, kw_only=True)
class Dialogue:
    """``sessions``: plain JSON, each ``id``, ``date``, ``lines`` [(speaker, text)], ``events`` {text, start, end}."""

    sessions: list[dict[str, Any]]
    events: list[Event] = field(default_factory=list[Event])
    states: list[State] = field(default_factory=list[State])

    def day(self, session: int) -> date:
        return date.fromisoformat(self.sessions[session]["date"])


@lru_cache(maxsize=64)
def make_dialogue(split: SplitName, index: int, sessions: int) -> Dialogue:
    """Dialogue ``index`` of a split; always the same. Names of different splits are made of different words."""
    rng = np.random.default_rng(np.random.SeedSequence([SPLITS.index(split), index, sessions]))
    names = [word(split, index * WORDS + n, 0) for n in range(WORDS)]
    return _Writer(rng, names, sessions).write()


class _Writer:
    """Collects what is said in each session, then mixes it with small talk."""

    def __init__(self, rng: Rng, names: list[str], count: int) -> None:
        self.rng, self.names, self.count = rng, names, count
        self.people = names[:4]
        day = date(2021, 1, 1) + timedelta(days=int(rng.integers(700)))
        self.days: list[date] = []
        for _ in range(count):
            self.days.append(day)
            day += timedelta(days=int(rng.integers(4, 24)))
        self.said: list[list[tuple[str, str]]] = [[] for _ in range(count)]
        self.facts: list[list[dict[str, str]]] = [[] for _ in range(count)]
        self.events: list[Event] = []
        self.states: list[State] = []

    def write(self) -> Dialogue:
        for session in range(self.count):
            for _ in range(2):
                self._event(session)
        self._corrections()
        self._residence(self.names[0], "live in", "moved to", self.names[4:7])
        self._residence(self.names[1], "work for", "started to work for", [f"the {n} Guild" for n in self.names[7:10]])
        self._distractions()
        return Dialogue(sessions=[self._session(n) for n in range(self.count)], events=self.events, states=self.states)

    def _event(self, session: int) -> None:
        person = self.people[int(self.rng.choice(4, p=[0.35, 0.35, 0.15, 0.15]))]
        taken = {e.action for e in self.events if e.person == person}
        others = sorted({e.action for e in self.events} - taken)
        free = [a for a in range(len(ACTIONS)) if a not in taken]
        if not free:
            return
        action = (
            others[int(self.rng.integers(len(others)))] if others and self.rng.random() < 0.3 else free[int(self.rng.integers(len(free)))]
        )
        ago = int(self.rng.choice([0, 1, 2, 3, 4, 5, 6, 7, 14]))
        event = Event(person=person, action=action, day=self.days[session] - timedelta(days=ago), told=(session,))
        self.events.append(event)
        when = self._when(session, event.day)
        self._say(session, person, f"{{}} {ACTIONS[action][1]} {when}.")
        self._fact(session, event.text, event.day, event.day)

    def _corrections(self) -> None:
        """Three dates told wrong at first: the event took place earlier, and a later session says so."""
        early = [n for n, e in enumerate(self.events) if e.told[0] < self.count - 2 and e.person in self.people[:2]]
        for n in sorted(int(i) for i in self.rng.choice(early, min(3, len(early)), replace=False)):
            event = self.events[n]
            later = int(self.rng.integers(event.told[0] + 1, self.count))
            day = event.day - timedelta(days=int(self.rng.integers(2, 6)))
            self.events[n] = fixed = Event(person=event.person, action=event.action, day=day, told=(event.told[0], later))
            past = ACTIONS[event.action][1]
            self._say(later, event.person, f"I have to correct a date: {{}} {past} on {_spoken(day)}, not when I said.")
            for fact in self.facts[event.told[0]]:
                if fact["text"] == event.text:
                    fact.update(start=day.isoformat(), end=day.isoformat())
            self._fact(later, fixed.text, day, day)

    def _residence(self, person: str, verb: str, change: str, values: list[str]) -> None:
        """Three homes or employers, told in the first session and in two later ones."""
        first = 1 + int(self.rng.integers(self.count // 2 - 1))
        told = [0, first, first + 1 + int(self.rng.integers(self.count - first - 1))]
        starts = [self.days[0]]
        for session in told[1:]:
            ago = int(self.rng.integers(0, min(4, (self.days[session] - starts[-1]).days - 1)))
            starts.append(self.days[session] - timedelta(days=ago))
        self._say(0, person, f"At the moment {{}} {verb} {values[0]}.")
        for session, value, start in list(zip(told, values, starts, strict=True))[1:]:
            self._say(session, person, f"{{}} {change} {value} {self._when(session, start)}.")
        for session, value, start, end in zip(told, values, starts, [*starts[1:], None], strict=True):
            self.states.append(State(person=person, verb=verb, value=value, start=start, end=end, told=session))
            self._fact(session, f"{person} {verb} {value}", start, (end or self.days[-1] + timedelta(days=1)) - timedelta(days=1))

    def _distractions(self) -> None:
        """Wishes that never come true, memories without a date, and a friend who moves."""
        for session in range(1, self.count):
            person = self.people[int(self.rng.integers(2))]
            done = [e for e in self.events if e.person == person]
            earlier = [e for e in done if e.told[0] < session]
            never = [a for a in range(len(ACTIONS)) if a not in {e.action for e in done}]
            if self.rng.random() < 0.4 and never:
                self._say(session, person, f"One day {{}} would like to {ACTIONS[never[int(self.rng.integers(len(never)))]][0]}.")
            if self.rng.random() < 0.4 and earlier:
                self._say(session, person, f"Do you remember that {{}} {ACTIONS[earlier[int(self.rng.integers(len(earlier)))].action][1]}?")
        session = int(self.rng.integers(1, self.count))
        self._say(session, self.people[2], f"{{}} moved to {self.names[10]} {self._when(session, self.days[session])}.")

    def _say(self, session: int, person: str, text: str) -> None:
        """``{}`` in ``text`` becomes "I", or the name where a speaker talks of a friend."""
        own = person in self.people[:2]
        speaker = person if own else self.people[int(self.rng.integers(2))]
        self.said[session].append((speaker, text.replace("{}", "I" if own else person)))

    def _fact(self, session: int, text: str, start: date, end: date) -> None:
        self.facts[session].append({"text": text, "start": start.isoformat(), "end": end.isoformat()})

    def _when(self, session: int, day: date) -> str:
        ago = (self.days[session] - day).days
        ways = [f"on {_spoken(day)}"] if ago else []
        if ago < 2:
            ways += [("today", "yesterday")[ago]] * 2
        elif ago < 7:
            ways += [f"{_NUMBERS[ago]} days ago", f"this past {day:%A}"]
        elif ago % 7 == 0:
            ways += [f"exactly {_NUMBERS[ago // 7]} week{'s' if ago > 7 else ''} ago"] * 2
        return ways[int(self.rng.integers(len(ways)))]

    def _session(self, number: int) -> dict[str, Any]:
        a, b = self.people[:2]
        lines = [[a, _OPENINGS[int(self.rng.integers(len(_OPENINGS)))]], [b, _TALK[int(self.rng.integers(len(_TALK)))]]]
        for place in self.rng.permutation(len(self.said[number])):
            speaker, text = self.said[number][int(place)]
            other = b if speaker == a else a
            lines.append([speaker, text])
            if self.rng.random() < 0.5:
                lines.append([other, _REPLIES[int(self.rng.integers(len(_REPLIES)))]])
            if self.rng.random() < 0.5:
                lines.append([other, _TALK[int(self.rng.integers(len(_TALK)))]])
        return {"id": f"session_{number + 1}", "date": self.days[number].isoformat(), "lines": lines, "events": self.facts[number]}


def _spoken(day: date) -> str:
    return f"{day.day} {day:%B} {day.year}"


def shown(session: dict[str, Any]) -> str:
    """A session as the agent reads it."""
    day = date.fromisoformat(session["date"])
    lines = "\n".join(f"{speaker}: {text}" for speaker, text in session["lines"])
    return f"{session['id']}, {day.isoformat()} ({day:%A})\n{lines}"
