"""Questions about fictional worlds: chains of one to four hops, comparisons, and yes/no questions.

    tasks, passages = make_tasks(train=200, validation=50, test=50, seed=0)

``Task.data``: ``question``, ``answers`` (gold alternatives), ``kind``, and ``hops``: for every step its entity, relation, the
noun the question used for it (``asked``), query, answer and gold passage id. Ordered pairs of relations in ``HELD_OUT`` occur
in the test split only; every test question of two hops or more has one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

import numpy as np

from ...records import Message, Task
from ..tasks import ListTaskSet
from .retrieval import Passage
from .world import RELATIONS, SPLITS, Fact, Names, SplitName, World

ENV_ID = "turnwise/Search-v0"
HELD_OUT: frozenset[tuple[str, str]] = frozenset(
    (
        ("author", "birthplace"),
        ("author", "birth year"),
        ("mentor", "employer"),
        ("birthplace", "mayor"),
        ("mayor", "mentor"),
        ("employer", "founder"),
        ("founder", "birth year"),
        ("founder", "birthplace"),
        ("headquarters", "mayor"),
        ("publisher", "headquarters"),
        ("setting", "charter year"),
    )
)
KINDS = ("chain1", "chain2", "chain3", "chain4", "comparison", "yes_no")
_ASK = ("What is {}?", "Name {}.", "Which name or year is {}?")
_EARLIER = ("Which has the earlier {y}: {a} or {b}?", "Of {a} and {b}, which has the earlier {y}?")
_LATER = ("Which has the later {y}: {a} or {b}?", "Of {a} and {b}, which has the later {y}?")
_SAME = ("Do {a} and {b} have the same {y}?", "Is the {y} of {a} also the {y} of {b}?")


def _chains(hops: int, split: SplitName) -> list[tuple[str, ...]]:
    """All relation paths of a length that the split may use."""
    paths: list[tuple[str, ...]] = [(name,) for name in RELATIONS]
    for _ in range(hops - 1):
        paths = [(*p, n) for p in paths for n, r in RELATIONS.items() if RELATIONS[p[-1]].object == r.subject]
    if hops == 1:
        return paths
    return [p for p in paths if any(pair in HELD_OUT for pair in pairwise(p)) == (split == "test")]


class QuestionMaker:
    """Draws questions about one world from a generator seeded by (seed, split); ``kinds`` of ``KINDS``, evenly."""

    def __init__(self, world: World, seed: int = 0, kinds: Sequence[str] = KINDS) -> None:
        unknown = sorted(set(kinds) - set(KINDS))
        if unknown or not kinds:
            raise ValueError(f"question kinds {unknown or 'none'} are not known; allowed: {', '.join(KINDS)}")
        self.world = world
        self.kinds = tuple(kinds)
        self._rng = np.random.default_rng(np.random.SeedSequence([seed, SPLITS.index(world.split), 17]))
        self._paths = {hops: _chains(hops, world.split) for hops in range(1, 5)}
        self._seen: set[str] = set()

    def make(self) -> dict[str, Any]:
        """The private data of a question not made before."""
        for _ in range(500):
            kind = self._pick(self.kinds)
            data = self._comparison() if kind == "comparison" else self._yes_no() if kind == "yes_no" else self._chain(int(kind[-1]))
            if data is not None and data["question"] not in self._seen:
                self._seen.add(data["question"])
                return data
        raise ValueError(f"the {self.world.split} world has no new questions after {len(self._seen)}; ask for fewer or raise size")

    def _pick(self, options: Sequence[Any]) -> Any:
        return options[int(self._rng.integers(len(options)))]

    def _walk(self, entity: str, path: Sequence[str]) -> list[Fact] | None:
        """The facts along a path, or None if it visits an entity twice."""
        facts: list[Fact] = []
        visited = {entity}
        for name in path:
            fact = self.world.fact(entity, name)
            if fact.value in visited:
                return None
            facts.append(fact)
            entity = fact.value
            visited.add(entity)
        return facts

    def _phrase(self, entity: str, path: Sequence[str]) -> tuple[str, list[str]]:
        """ "the X of the Y of entity", and the nouns chosen, in the order of the hops."""
        nouns = [str(self._pick(RELATIONS[name].words)) for name in path]
        for noun in nouns:
            entity = f"the {noun} of {entity}"
        return entity, nouns

    def _chain(self, hops: int) -> dict[str, Any] | None:
        path = self._pick(self._paths[hops])
        entity = self._pick(self.world.facts(path[0])).entity
        facts = self._walk(entity, path)
        if facts is None:
            return None
        phrase, nouns = self._phrase(entity, path)
        return _data(self._pick(_ASK).format(phrase), facts[-1].value, f"chain{hops}", facts, nouns)

    def _two_branches(self, last: str, same: bool) -> tuple[list[Fact], list[Fact], str] | None:
        """Two two-hop walks along one path and the noun of its first relation; ``last`` is the kind of its end, ``same``
        whether the ends should be equal."""
        path = self._pick([p for p in self._paths[2] if (RELATIONS[p[1]].object == "year") == (last == "year")])
        starts = [f.entity for f in self.world.facts(path[0])]
        first = self._walk(self._pick(starts), path)
        if first is None:
            return None
        seconds = [self._walk(s, path) for s in starts if s != first[0].entity]
        fits = [w for w in seconds if w is not None and w[0].value != first[0].value and (w[1].value == first[1].value) == same]
        if not fits:
            return None
        second = self._pick(fits)
        return first, second, self._pick(RELATIONS[path[0]].words)

    def _comparison(self) -> dict[str, Any] | None:
        branches = self._two_branches("year", same=False)
        if branches is None:
            return None
        first, second, noun = branches
        a, b = (f"the {noun} of {walk[0].entity}" for walk in (first, second))
        earlier = bool(self._rng.integers(2))
        question = self._pick(_EARLIER if earlier else _LATER).format(a=a, b=b, y=first[1].relation)
        first_wins = (int(first[1].value) < int(second[1].value)) == earlier
        answer = (first if first_wins else second)[0].value
        return _data(question, answer, "earlier" if earlier else "later", [*first, *second], [noun, first[1].relation] * 2)

    def _yes_no(self) -> dict[str, Any] | None:
        same = bool(self._rng.integers(2))
        branches = self._two_branches("name", same)
        if branches is None:
            return None
        first, second, noun = branches
        a, b = (f"the {noun} of {walk[0].entity}" for walk in (first, second))
        question = self._pick(_SAME).format(a=a, b=b, y=first[1].relation)
        return _data(question, "yes" if same else "no", "same", [*first, *second], [noun, first[1].relation] * 2)


def _data(question: str, answer: str, kind: str, facts: Sequence[Fact], nouns: Sequence[str]) -> dict[str, Any]:
    hops = [
        {
            "entity": f.entity,
            "relation": f.relation,
            "asked": noun,
            "query": f"{noun} of {f.entity}",
            "answer": f.value,
            "passage": f.passage,
        }
        for f, noun in zip(facts, nouns, strict=True)
    ]
    return {"question": question, "answers": [answer], "kind": kind, "hops": hops}


def make_tasks(
    *,
    train: int = 200,
    validation: int = 50,
    test: int = 50,
    size: int | Mapping[SplitName, int] | None = None,
    seed: int = 0,
    kinds: Sequence[str] = KINDS,
    names: Names = "made-up",
) -> tuple[ListTaskSet, list[Passage]]:
    """Tasks of three splits and the corpus that answers them. ``size``: people per world, one number or one a split;
    where none is given it grows with the number of tasks. Raises ``ValueError`` for a negative number or an unknown split."""
    sizes: Mapping[SplitName, int] = size if isinstance(size, Mapping) else dict.fromkeys(SPLITS, size) if size else {}
    unknown = sorted(set(sizes) - set(SPLITS))
    if unknown:
        raise ValueError(f"size names the splits {unknown}; allowed: {', '.join(SPLITS)}")
    counts: dict[SplitName, int] = {"train": train, "validation": validation, "test": test}
    passages: list[Passage] = []
    tasks: dict[SplitName, list[Task]] = {}
    for split, count in counts.items():
        if count < 0:
            raise ValueError(f"the number of {split} tasks is {count}; it must be 0 or more")
        world = World(split, size=sizes.get(split) or max(24, count // 4), seed=seed, names=names)
        maker = QuestionMaker(world, seed, kinds)
        passages += world.passages
        tasks[split] = [_task(maker.make(), split, index, seed) for index in range(count)]
    return ListTaskSet({split: (split, made) for split, made in tasks.items() if made}), passages


def _task(data: dict[str, Any], split: str, index: int, seed: int) -> Task:
    prompt = (Message(role="user", content=data["question"]),)
    return Task(id=f"{split}-{index}", env_id=ENV_ID, split=split, prompt=prompt, data=data, seed=seed)
