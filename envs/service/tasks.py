"""Tasks of customer-service worlds: what a user wants, how a perfect agent does it, and the one end state that counts.

world (split, number) -> a customer -> drafts of requests by template -> Task with goal, gold calls, expected edits
"""

from __future__ import annotations

import itertools
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, Literal, TypeAlias, TypeVar, cast

import numpy as np

from ...records import Task
from ..search.world import SPLITS, SplitName, word
from ..tasks import Split, TaskSet
from ..tools.database import Rows
from ..users.user import Change, Fact, Goal, Request
from .world import Edit

Rng: TypeAlias = np.random.Generator
Holdout: TypeAlias = Literal["entity", "template"]
Identity: TypeAlias = Literal["mixed", "number"]
GoldCall: TypeAlias = tuple[str, dict[str, Any]]
Person = TypeVar("Person")
TASKS_PER_WORLD = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """One request of a user. ``reads`` and ``writes`` are the gold calls, ``inform`` what the agent must say, ``edits`` the changes
    that must be in the database afterwards, stated without any tool. ``change``: a change of mind, which the gold calls know."""

    say: list[str]
    facts: dict[str, Fact] = field(default_factory=dict[str, Fact])
    reads: list[GoldCall] = field(default_factory=list[GoldCall])
    writes: list[GoldCall] = field(default_factory=list[GoldCall])
    inform: list[str] = field(default_factory=list[str])
    edits: list[Edit] = field(default_factory=list[Edit])
    change: Change | None = None


@dataclass(slots=True)
class Case(Generic[Person]):
    """What a template may use: the world, the customer, randomness; ``used`` holds ids that earlier requests have touched."""

    world: Any
    person: Person
    rng: Rng
    minds: float = 0.0
    """Chance of a change of mind, where a template has one."""
    used: set[str] = field(default_factory=set[str])

    def pick(self, choices: Sequence[Any]) -> Any:
        return choices[int(self.rng.integers(len(choices)))]

    def turns(self) -> bool:
        """Whether this user is to change its mind."""
        return bool(self.rng.random() < self.minds)


class Ids:
    """Ids such as O481-207, or ``short`` O481, no two alike in a world. Small policies learn to copy short ones much sooner."""

    def __init__(self, rng: np.random.Generator, *, short: bool = False) -> None:
        self._rng, self._short, self._seen = rng, short, set[str]()

    def new(self, letter: str) -> str:
        while True:
            first, second = (int(n) for n in self._rng.integers(100, 1000, 2))
            id = f"{letter}{first}" if self._short else f"{letter}{first}-{second}"
            if id not in self._seen:
                self._seen.add(id)
                return id


def namer(split: SplitName, number: int) -> Callable[[], tuple[str, str]]:
    """Gives first and last name of the next person of world ``number``; no two people of any split share one."""
    words = itertools.count(number * 2 * TASKS_PER_WORLD)
    return lambda: (word(split, next(words), 1), word(split, next(words), 1))


def money(cents: int) -> str:
    """12.50"""
    return f"{cents / 100:.2f}"


Template: TypeAlias = Callable[[Any], Draft | None]
"""Case -> a request, or None when this customer has nothing that fits."""


def fact(say: str, *asked: str) -> Fact:
    return {"say": say, "asked": list(asked)}


def introduced(case: Case[Any], identity: Identity, by_name: tuple[dict[str, Fact], GoldCall]) -> tuple[dict[str, Fact], GoldCall]:
    """How a customer with ``email`` and ``id`` says who it is: by number, or with ``identity`` "mixed" by any of email, name and number."""
    person = case.person
    how = "number" if identity == "number" else case.pick(("email", "name", "number"))
    if how == "email":
        return {"email": fact(f"My email is {person.email}.", "email")}, ("find_customer_by_email", {"email": person.email})
    if how == "number":
        told = fact(f"My customer number is {person.id}.", "customer number", "customer id")
        return {"number": told}, ("find_customer_by_number", {"customer_id": person.id})
    return by_name


class ServiceTasks(TaskSet, ABC):
    """``tasks`` per split (a number, or a mapping of splits); every eight share a world, each with its own customer.

    ``requests`` per conversation; ``holdout`` "entity": names, ids and worlds differ between the splits, "template": so do the kinds of
    request; ``templates`` restricts the kinds; ``identity`` "number": customers name their number,
    else some say who they are by other means; ``minds`` is the chance of a change of mind. Raises ``ValueError`` for what is unknown.
    """

    env_id: str = ""
    templates: Mapping[str, tuple[SplitName, Template]] = {}
    """Name -> (the split that has it under ``holdout`` "template", the template)."""

    def __init__(
        self,
        tasks: int | Mapping[str, int] = 1000,
        *,
        requests: int = 1,
        identity: Identity = "mixed",
        holdout: Holdout = "entity",
        templates: Sequence[str] | None = None,
        minds: float = 0.25,
    ) -> None:
        counts = dict.fromkeys(SPLITS, tasks) if isinstance(tasks, int) else dict(tasks)
        if set(counts) - set(SPLITS) or any(n < 1 for n in counts.values()):
            raise ValueError(f"tasks is {tasks}; allowed: a number of at least 1, or such numbers for {', '.join(SPLITS)}")
        if requests not in (1, 2, 3):
            raise ValueError(f"requests is {requests}; allowed: 1 to 3 per conversation")
        if holdout not in ("entity", "template"):
            raise ValueError(f"holdout is {holdout!r}; allowed: entity, template")
        if identity not in ("mixed", "number"):
            raise ValueError(f"identity is {identity!r}; allowed: mixed, number")
        if not 0 <= minds <= 1:
            raise ValueError(f"minds is {minds}; it is a chance, 0 to 1")
        unknown = sorted(set(templates or ()) - set(self.templates))
        if unknown:
            raise ValueError(f"there is no template {unknown[0]!r}; allowed: {', '.join(self.templates)}")
        self.counts, self.requests, self.minds = counts, requests, minds
        self.identity: Identity = identity
        chosen = [n for n in self.templates if templates is None or n in templates]
        self.chosen = {s: [n for n in chosen if holdout == "entity" or self.templates[n][0] == s] for s in SPLITS}
        self.holdout: Holdout = holdout
        for split, count in counts.items():
            if count and not self.chosen[cast("SplitName", split)]:
                raise ValueError(f"no template is left for split {split!r}; with holdout 'template' name some of each split")

    # ---- what a world writes ---------------------------------------------------------------------------------------

    @abstractmethod
    def world(self, split: SplitName, number: int) -> Any:
        """World ``number`` of a split. Cached."""

    @abstractmethod
    def start(self, split: SplitName, number: int) -> tuple[bytes, Rows]:
        """Its database as a snapshot, and its rows. Cached."""

    @abstractmethod
    def people(self, world: Any) -> Sequence[Any]:
        """At least ``TASKS_PER_WORLD`` customers."""

    @abstractmethod
    def introduction(self, case: Any) -> tuple[dict[str, Fact], GoldCall]:
        """What the customer says of who it is, and the call that finds it."""

    # ---- TaskSet ---------------------------------------------------------------------------------------------------

    def list_splits(self) -> list[Split]:
        return [Split(name=name, type=name, num_tasks=self.counts[name]) for name in SPLITS if self.counts.get(name)]

    def get_task(self, split: str, index: int) -> Task:
        self.check_index(split, index)
        name = cast("SplitName", split)
        number, member = divmod(index, TASKS_PER_WORLD)
        world = self.world(name, number)
        people = self.people(world)
        for attempt in range(len(people)):
            rng = np.random.default_rng(np.random.SeedSequence([SPLITS.index(name), index, self.requests, attempt]))
            case = Case(world, people[(member + attempt) % len(people)], rng, self.minds)
            drafts = self._drafts(name, case)
            if drafts is not None:
                break
        else:
            raise ValueError(f"no customer of world {number} of {split!r} has {self.requests} requests of {self.chosen[name]}; allow more")
        facts, find = self.introduction(case)
        goal: Goal = {"opening": ["Hello.", "Hi.", "Good day."], "facts": facts, "requests": [_request(d) for _, d in drafts]}
        data = {
            "world": [split, number],
            "user": goal,
            "find": list(find),
            "templates": [kind for kind, _ in drafts],
            "steps": [{"reads": [list(c) for c in d.reads], "writes": [list(c) for c in d.writes], "inform": d.inform} for _, d in drafts],
            "edits": [dict(edit) for _, d in drafts for edit in d.edits],
        }
        kinds = "+".join(kind for kind, _ in drafts)
        return Task(id=f"{split}-{index}-{kinds}", env_id=self.env_id, split=split, data=data)

    def _drafts(self, split: SplitName, case: Case[Any]) -> list[tuple[str, Draft]] | None:
        """One draft per request. A template may find nothing for this customer; then another is drawn. None: no template fits."""
        drafts: list[tuple[str, Draft]] = []
        while len(drafts) < self.requests:
            order = [self.chosen[split][int(i)] for i in case.rng.permutation(len(self.chosen[split]))]
            # A transfer ends the conversation: such a request comes last, and nothing is to be told before it, as a user who has
            # said everything at once hears one report only.
            transfers = len(drafts) + 1 == self.requests and not any(d.inform for _, d in drafts)
            for kind in order:
                draft = self.templates[kind][1](case)
                if draft is not None and (transfers or not any(name == "transfer_to_human" for name, _ in draft.writes)):
                    drafts.append((kind, draft))
                    break
            else:
                return None
        return drafts


def _request(draft: Draft) -> Request:
    request: Request = {"say": draft.say, "facts": draft.facts}
    if draft.change is not None:
        request["change"] = draft.change
    return request
