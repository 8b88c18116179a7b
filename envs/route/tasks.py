"""Questions about fictional worlds, each with a pool of simulated models that know some of the answers.

    task = Questions().get_task("train", 0);  task.data["hops"], task.data["models"]

Who is good at what changes from task to task (names, prices and order are drawn anew), so descriptions have to be read.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, cast

import numpy as np

from ...records import Message, Task
from ...rewards.qa import contains, normalise
from ..search.world import RELATIONS, SPLITS, Names, Relation, SplitName, World
from ..tasks import Split, TaskSet

ENV_ID = "turnwise/Route-v0"
NAMES = ("Alder", "Birch", "Cedar", "Elm", "Hazel", "Linden", "Maple", "Rowan")
TOPICS: Mapping[str, str] = {
    "person": "people: where they were born, who taught them, whom they work for",
    "place": "places: their mayors and sister cities",
    "work": "books and songs: their authors, publishers and settings",
    "organisation": "organisations: their founders and headquarters",
    "year": "dates: when people were born, towns chartered and organisations founded",
}
"""Topic -> how descriptions speak of it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Kind:
    """A kind of model. ``price``: range per million tokens; ``skill``: chance of knowing a fact of its topics, ``other``: of the rest."""

    description: str
    price: tuple[float, float]
    skill: float
    other: float
    candid: bool
    style: str
    topics: int


_KINDS = {
    "specialist": _Kind(
        description="Small. Knows {0}. Says so when it does not know.",
        price=(0.15, 0.4),
        skill=0.95,
        other=0.05,
        candid=True,
        style="plain",
        topics=1,
    ),
    "pair": _Kind(
        description="Middle-sized. Knows {0}; and {1}. Says so when it does not know.",
        price=(0.6, 1.0),
        skill=0.98,
        other=0.1,
        candid=True,
        style="plain",
        topics=2,
    ),
    "large": _Kind(
        description="The largest and dearest. Knows everything; its answers are long.",
        price=(2.0, 4.0),
        skill=1.0,
        other=1.0,
        candid=True,
        style="wordy",
        topics=0,
    ),
    "tiny": _Kind(
        description="Tiny and cheap. Answers everything in one word, and is often wrong.",
        price=(0.03, 0.08),
        skill=0.25,
        other=0.25,
        candid=False,
        style="terse",
        topics=0,
    ),
}


def topic_of(relation: Relation) -> str:
    return "year" if relation.object == "year" else relation.subject


class Questions(TaskSet):
    """``count`` questions a split over one world of ``size`` people each; names of different splits are made of different words, or
    are different pairs of the same words (``names``, see ``World``)."""

    def __init__(self, hops: Sequence[int] = (1, 2), size: int = 400, count: int = 1000, names: Names = "made-up") -> None:
        if not hops or not set(hops) <= {1, 2} or count < 1:
            raise ValueError(f"hops are {list(hops)} (allowed: 1 and 2), tasks is {count} (at least 1)")
        self.hops, self.size, self.count, self.names = tuple(hops), size, count, names
        world(SPLITS[0], size, names)

    def list_splits(self) -> list[Split]:
        return [Split(name=name, type=name, num_tasks=self.count) for name in SPLITS]

    def get_task(self, split: str, index: int) -> Task:
        self.check_index(split, index)
        rng = np.random.default_rng(np.random.SeedSequence([SPLITS.index(cast("SplitName", split)), index, self.size, 17]))
        hops = _hops(rng, world(cast("SplitName", split), self.size, self.names), self.hops[index % len(self.hops)])
        asked = " of the ".join(hop["words"][int(rng.integers(2))] for hop in reversed(hops))
        question = f"What is the {asked} of {hops[0]['entity']}?"
        data = {"question": question, "answers": [hops[-1]["answer"]], "hops": hops, "models": _pool(rng, hops)}
        prompt = (Message(role="user", content=question),)
        return Task(id=f"{split}-{self.size}-{index}", env_id=ENV_ID, split=split, prompt=prompt, data=data)


@lru_cache(maxsize=12)
def world(split: SplitName, size: int, names: Names = "made-up") -> World:
    return World(split, size, names=names)


def _hops(rng: np.random.Generator, world: World, count: int) -> list[dict[str, Any]]:
    """A chain of facts in which no answer or wrong answer was named before."""
    while True:
        relations = list(RELATIONS.values())
        relation = relations[int(rng.integers(len(relations)))]
        entities = world.entities[relation.subject]
        entity = entities[int(rng.integers(len(entities)))]
        hops: list[dict[str, Any]] = []
        while True:
            hops.append(_hop(rng, world, relation, entity))
            if len(hops) == count:
                break
            onward = [r for r in relations if r.subject == relation.object and r is not relation]
            if not onward:
                break
            relation, entity = onward[int(rng.integers(len(onward)))], str(hops[-1]["answer"])
        names = [hops[0]["entity"], *(h["answer"] for h in hops), *(h["wrong"] for h in hops)]
        apart = all(not contains(a, b) for i, a in enumerate(names) for j, b in enumerate(names) if i != j)
        if len(hops) == count and apart and len({normalise(n) for n in names}) == len(names):
            return hops


def _hop(rng: np.random.Generator, world: World, relation: Relation, entity: str) -> dict[str, Any]:
    others = world.facts(relation.words[0])
    fact, other = world.fact(entity, relation.words[0]), others[int(rng.integers(len(others)))]
    words = list(relation.words)
    return {"entity": entity, "words": words, "answer": fact.value, "wrong": other.value, "topic": topic_of(relation)}


def _pool(rng: np.random.Generator, hops: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """A specialist for each topic, one model for two topics, one that knows everything, one that guesses; in a random order."""
    topics = list(TOPICS)
    pair = [topics[int(i)] for i in rng.choice(len(topics), 2, replace=False)]
    kinds = [("specialist", [t]) for t in topics] + [("pair", pair), ("large", []), ("tiny", [])]
    names = [NAMES[int(i)] for i in rng.permutation(len(NAMES))]
    rows: list[dict[str, Any]] = []
    for name, (kind, known) in zip(names, [kinds[int(i)] for i in rng.permutation(len(kinds))], strict=True):
        made = _KINDS[kind]
        chances = [made.skill if hop["topic"] in known or not made.topics else made.other for hop in hops]
        rows.append(
            {
                "name": name,
                "price": round(float(rng.uniform(*made.price)), 2),
                "description": made.description.format(*(TOPICS[t] for t in known)),
                "knows": [bool(rng.random() < chance) for chance in chances],
                "candid": made.candid,
                "style": made.style,
            }
        )
    return rows
