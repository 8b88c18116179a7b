"""Fictional worlds: people, places, works and organisations with made-up names, and short passages about them.

    world = World("train", size=30, seed=0)
    world.fact(world.entities["person"][0], "birthplace").value   # "Nomiru"

A world follows from (split, size, seed). Names of different splits never share a made-up word.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np

from .retrieval import Passage

SplitName: TypeAlias = Literal["train", "validation", "test"]
Names: TypeAlias = Literal["made-up", "pairs"]
SPLITS: tuple[SplitName, ...] = ("train", "validation", "test")


@dataclass(frozen=True, slots=True)
class Relation:
    """A function from one kind of entity to another kind (or to a year). ``words`` are its nouns, the first is its name."""

    subject: str
    object: str
    words: tuple[str, str]


RELATIONS: dict[str, Relation] = {
    r.words[0]: r
    for r in (
        Relation("person", "place", ("birthplace", "native town")),
        Relation("person", "organisation", ("employer", "workplace")),
        Relation("person", "person", ("mentor", "teacher")),
        Relation("person", "year", ("birth year", "date of birth")),
        Relation("place", "person", ("mayor", "town leader")),
        Relation("place", "place", ("sister city", "partner town")),
        Relation("place", "year", ("charter year", "date of charter")),
        Relation("work", "person", ("author", "writer")),
        Relation("work", "organisation", ("publisher", "publishing house")),
        Relation("work", "place", ("setting", "scene")),
        Relation("organisation", "place", ("headquarters", "main office")),
        Relation("organisation", "person", ("founder", "creator")),
        Relation("organisation", "year", ("founding year", "date of foundation")),
    )
}
KINDS = ("person", "place", "work", "organisation")
_SYLLABLES = tuple(c + v for c in "bcdfghjklmnprstvwyzq" for v in "aeiou")
_FIRSTS = tuple(a.capitalize() + b for a in _SYLLABLES[:50] for b in _SYLLABLES[50:58])
_SECONDS = tuple(a.capitalize() + b for a in _SYLLABLES[50:] for b in _SYLLABLES[:8])
"""The number of pairs must be no multiple of three: the splits take every third, and would then share out the second words."""
_TITLES = ("Song of {}", "Letters from {}", "Shadows over {}", "Return to {}")
_BODIES = ("{} Guild", "{} Institute", "{} Society", "{} Company")
_STATEMENTS = (
    "The {0} of {x}, also called the {1}, is {y}.",
    "{y} is the {0} ({1}) of {x}.",
    "Records of the {0} of {x} name {y} as the {1}.",
    "As for {x}, the {0} or {1} is {y}.",
)
_DISTRACTIONS = (
    "{z}, whose {0} is {w}, is often confused with {x}.",
    "Older guides mix up {x} and {z}, whose {0} is {w}.",
    "Compare {z}, where the {0} is {w}.",
)


def word(split: SplitName, index: int, seed: int) -> str:
    """The ``index``-th made-up word of a split; no two (split, index) share one."""
    number = _scatter(split, index, seed, len(_SYLLABLES) ** 3)
    parts: list[str] = []
    for _ in range(3):
        number, digit = divmod(number, len(_SYLLABLES))
        parts.append(_SYLLABLES[digit])
    return "".join(parts).capitalize()


def pair(split: SplitName, index: int, seed: int) -> str:
    """The ``index``-th pair of known words of a split; no two (split, index) share a pair, but all share the words."""
    first, second = divmod(_scatter(split, index, seed, len(_FIRSTS) * len(_SECONDS)), len(_SECONDS))
    return f"{_FIRSTS[first]} {_SECONDS[second]}"


def _scatter(split: SplitName, index: int, seed: int, total: int) -> int:
    """A number below ``total``, different for every (split, index)."""
    if not 0 <= index < total // 3 - 1:
        raise ValueError(f"name {index} is outside 0..{total // 3 - 2}; make the world smaller")
    return ((3 * index + SPLITS.index(split)) * 617_251 + seed * 7_919) % total


@dataclass(frozen=True, slots=True)
class Fact:
    """``value`` is the ``relation`` of ``entity``; the passage with id ``passage`` says so."""

    entity: str
    relation: str
    value: str
    passage: str


class World:
    """One split's entities, facts and passages. ``size`` is the number of people; the other kinds have half as many.

    ``names``: "made-up", every name of every split a new word; or "pairs", every name a new pair of 800 words that all splits
    share (for small policies: a word is one token, and unseen names are made of known ones; ``size`` is then at most 21,000).
    """

    def __init__(self, split: SplitName, size: int = 60, seed: int = 0, names: Names = "made-up") -> None:
        if split not in SPLITS:
            raise ValueError(f"there is no split {split!r}; allowed: {', '.join(SPLITS)}")
        if size < 8:
            raise ValueError(f"world size is {size}; at least 8 people are needed for questions of four hops")
        if names not in ("made-up", "pairs"):
            raise ValueError(f"names is {names!r}; allowed: made-up, pairs")
        self.split: SplitName = split
        self._rng = np.random.default_rng(np.random.SeedSequence([seed, SPLITS.index(split), size]))
        self.entities: dict[str, list[str]] = _names(split, size, seed, names)
        self._facts: dict[tuple[str, str], Fact] = {}
        self._by_relation: dict[str, list[Fact]] = {}
        for relation in RELATIONS:
            self._add_facts(relation)
        self.passages: list[Passage] = [self._passage(f, n) for facts in self._by_relation.values() for n, f in enumerate(facts)]

    def fact(self, entity: str, relation: str) -> Fact:
        return self._facts[entity, relation]

    def facts(self, relation: str) -> list[Fact]:
        return self._by_relation[relation]

    def _add_facts(self, name: str) -> None:
        relation = RELATIONS[name]
        found = self._by_relation.setdefault(name, [])
        objects = self.entities.get(relation.object, [])
        for number, entity in enumerate(self.entities[relation.subject]):
            if relation.object == "year":
                value = str(int(self._rng.integers(1200, 1990)))
            elif relation.object == relation.subject:
                value = objects[self._another(len(objects), number)]
            else:
                value = objects[int(self._rng.integers(len(objects)))]
            fact = Fact(entity, name, value, f"{self.split}-{len(self._facts)}")
            self._facts[entity, name] = fact
            found.append(fact)

    def _another(self, count: int, number: int) -> int:
        """A random index below ``count`` that is not ``number``."""
        drawn = int(self._rng.integers(count - 1))
        return drawn + (drawn >= number)

    def _passage(self, fact: Fact, number: int) -> Passage:
        """The passage of a fact, the ``number``-th of its relation."""
        relation = RELATIONS[fact.relation]
        facts = self._by_relation[fact.relation]
        other = facts[self._another(len(facts), number)]
        names = {"x": fact.entity, "y": fact.value, "z": other.entity, "w": other.value}
        sentences = [_STATEMENTS[int(self._rng.integers(len(_STATEMENTS)))].format(*relation.words, **names)]
        kind = self._rng.random()
        if kind < 0.6:
            distraction = _DISTRACTIONS[int(self._rng.integers(len(_DISTRACTIONS)))].format(*relation.words, **names)
            sentences.insert(0 if kind < 0.25 else 1, distraction)
        return Passage(fact.passage, fact.entity, " ".join(sentences))


def _names(split: SplitName, size: int, seed: int, style: Names) -> dict[str, list[str]]:
    """Names of every kind. Made-up first names are unique; made-up family names are shared by about four people."""
    half, families = size // 2, max(2, size // 4)
    counter = itertools.count()
    make = word if style == "made-up" else pair

    def some(count: int) -> list[str]:
        return [make(split, next(counter), seed) for _ in range(count)]

    people = some(size)
    if style == "made-up":
        last = some(families)
        people = [f"{name} {last[i % families]}" for i, name in enumerate(people)]
    # One frame each where names are pairs: which of four a name has is one more thing to memorise instead of to copy.
    titles, bodies = (_TITLES, _BODIES) if style == "made-up" else (_TITLES[:1], _BODIES[:1])
    return {
        "person": people,
        "place": some(half),
        "work": [titles[i % len(titles)].format(name) for i, name in enumerate(some(half))],
        "organisation": [bodies[i % len(bodies)].format(name) for i, name in enumerate(some(half))],
    }
