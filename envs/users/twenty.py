"""``turnwise/Twenty-v0``: twenty questions about a small knowledge base; a turn is worth the share of the doubt that it removes.

env = Twenty(); env.reset(seed=0); env.step('<tool_call>{"name": "ask", "arguments": {"attribute": "size", "value": "small"}}</tool_call>')
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any, cast

import numpy as np

from ...records import Message, Observation, Outcome, Task
from ..base import Manifest, Rng
from ..scripts import ECHO, NULL
from ..search.world import SPLITS, SplitName, word
from ..tasks import Split, TaskSet
from ..tools.dialects import DIALECTS, Said
from ..tools.env import ToolEnv
from ..tools.tool import ToolError, ToolResult, tool

ENV_ID = "turnwise/Twenty-v0"
ATTRIBUTES: dict[str, tuple[str, ...]] = {
    "size": ("small", "medium", "large"),
    "colour": ("red", "green", "blue", "white"),
    "home": ("forest", "sea", "desert", "mountain"),
    "food": ("leaves", "fish", "seeds"),
    "legs": ("none", "two", "four", "six"),
    "skin": ("fur", "feathers", "scales"),
    "active": ("day", "night"),
}
QUESTIONS = 20
DEFAULT_WEIGHTS: Mapping[str, float] = {"information": 1.0, "format": 0.02}
Facts = dict[str, dict[str, str]]


class Creatures:
    """The tools, and what is known of one episode."""

    def __init__(self, facts: Facts, secret: str) -> None:
        self.facts, self.secret = facts, secret
        self.possible = set(facts)
        self.questions = 0
        self.guessed: str | None = None

    @tool
    def ask(self, attribute: str, value: str) -> str:
        """Ask whether the secret creature has a value of an attribute. The answer is yes or no.

        Args:
            attribute: Name of the attribute.
            value: The value asked about.
        """
        allowed = ATTRIBUTES.get(attribute)
        if allowed is None:
            raise ToolError(f"there is no attribute {attribute[:40]!r}; allowed: {', '.join(ATTRIBUTES)}")
        if value not in allowed:
            raise ToolError(f"{attribute} is never {value[:40]!r}; allowed: {', '.join(allowed)}")
        if self.questions == QUESTIONS:
            raise ToolError(f"all {QUESTIONS} questions have been asked; guess")
        self.questions += 1
        yes = self.facts[self.secret][attribute] == value
        self.possible = {name for name in self.possible if (self.facts[name][attribute] == value) == yes}
        return "yes" if yes else "no"

    @tool
    def look_up(self, name: str) -> dict[str, str]:
        """Read everything known about a creature. Costs no question.

        Args:
            name: Name of the creature.
        """
        return self.facts[self._known(name)]

    @tool
    def guess(self, name: str) -> str:
        """Name the secret creature. There is one guess.

        Args:
            name: Name of the creature.
        """
        self.guessed = self._known(name)
        return "right" if name == self.secret else "wrong"

    def _known(self, name: str) -> str:
        if name not in self.facts:
            raise ToolError(f"there is no creature {name[:40]!r}; allowed: {', '.join(self.facts)}")
        return name


class Twenty(ToolEnv):
    """Find out which of ``size`` creatures is meant.

    Actions: tool calls ``ask``, ``look_up``, ``guess``, several in a message if wanted. Observations: the results. Rewards:
    ``information``, log(creatures possible before / after the turn) / log(size), so that all turns together are worth at most 1;
    ``format``; ``executed``. Outcome: 1 for the right guess. Start: the creatures of the task. End: the guess; truncated after
    ``max_turns``. Arguments: ``size`` (8 to 64), ``tasks`` per split, ``dialect``, ``weights``, ``max_turns``. Version 0.
    """

    components = ("format", "executed", "information")

    def __init__(
        self,
        size: int = 32,
        *,
        tasks: int = 1000,
        dialect: str = "hermes",
        weights: Mapping[str, float] | None = None,
        max_turns: int = 25,
    ) -> None:
        if not 8 <= size <= 64:
            raise ValueError(f"size is {size}; allowed: 8 to 64")
        super().__init__(
            Secrets(size, tasks), dialect=dialect, weights=DEFAULT_WEIGHTS if weights is None else weights, max_turns=max_turns
        )
        self._world = Creatures({"": {}}, "")
        self._before = 1

    def open(self, task: Task) -> tuple[object, str]:
        facts = cast("Facts", task.data["facts"])
        self._world = Creatures(facts, str(task.data["secret"]))
        self._before = len(facts)
        values = "\n".join(f"- {name}: {', '.join(allowed)}" for name, allowed in ATTRIBUTES.items())
        rules = f"Find the secret creature. Ask at most {QUESTIONS} questions, then guess once.\nAttributes and their values:\n{values}"
        return self._world, rules

    def scored(self, said: Said, results: Sequence[ToolResult]) -> Mapping[str, float]:
        del said, results
        before, self._before = self._before, len(self._world.possible)
        return {"information": math.log(before / self._before) / math.log(len(self._world.facts))}

    def verdict(self) -> Outcome | None:
        guessed = self._world.guessed
        return None if guessed is None else Outcome(score=float(guessed == self._world.secret))

    def anchor(self) -> str:
        """The creatures still possible."""
        return hashlib.sha256("\n".join(sorted(self._world.possible)).encode()).hexdigest()

    def potential(self) -> float:
        """Minus the share of the doubt that is left."""
        return -math.log(len(self._world.possible)) / math.log(max(2, len(self._world.facts)))

    def snapshot(self) -> bytes:
        world = self._world
        state: dict[str, Any] = {
            "facts": world.facts,
            "secret": world.secret,
            "possible": sorted(world.possible),
            "questions": world.questions,
            "guessed": world.guessed,
            "turn": self.turn_index,
            "done": self.done,
        }
        return json.dumps(state).encode()

    def restore(self, snapshot: bytes) -> None:
        saved = json.loads(snapshot)
        self._world = world = Creatures(saved["facts"], saved["secret"])
        world.possible, world.questions, world.guessed = set(saved["possible"]), saved["questions"], saved["guessed"]
        self._before = len(world.possible)
        self.attach(world)
        self.turn_index, self.done = saved["turn"], saved["done"]


class Secrets(TaskSet):
    """``count`` tasks a split; every eight share their creatures. Names of different splits are made of different words."""

    def __init__(self, size: int, count: int) -> None:
        if count < 1:
            raise ValueError(f"tasks is {count}; it must be at least 1")
        self.size, self.count = size, count

    def list_splits(self) -> list[Split]:
        return [Split(name=name, type=name, num_tasks=self.count) for name in SPLITS]

    def get_task(self, split: str, index: int) -> Task:
        self.check_index(split, index)
        group, member = divmod(index, 8)
        facts = creatures(cast("SplitName", split), group, self.size)
        names = list(facts)
        prompt = (Message(role="user", content=f"I think of one of these creatures: {', '.join(names)}. Which one is it?"),)
        rng = np.random.default_rng(np.random.SeedSequence([SPLITS.index(cast("SplitName", split)), group, self.size, 1]))
        order = rng.permutation(names)
        data = {"facts": facts, "secret": str(order[member])}
        return Task(id=f"{split}-{self.size}-{index}", env_id=ENV_ID, split=split, prompt=prompt, data=data)


@lru_cache(maxsize=256)
def creatures(split: SplitName, group: int, size: int) -> Facts:
    """``size`` creatures with attributes that tell every two of them apart, in a random order."""
    rng = np.random.default_rng(np.random.SeedSequence([SPLITS.index(split), group, size]))
    seen: set[tuple[str, ...]] = set()
    while len(seen) < size:
        seen.add(tuple(str(rng.choice(values)) for values in ATTRIBUTES.values()))
    rows = sorted(seen)
    return {
        word(split, group * 64 + n, 0): dict(zip(ATTRIBUTES, rows[int(row)], strict=True)) for n, row in enumerate(rng.permutation(size))
    }


class Halving:
    """Asks what splits the possible creatures best, then guesses."""

    def __init__(self, dialect: str = "hermes") -> None:
        self._dialect = DIALECTS[dialect]()

    def reset(self, task: Task, rng: Rng) -> None:
        self.rng = rng
        self.facts = cast("Facts", task.data["facts"])
        self.possible = list(self.facts)
        self.asked: tuple[str, str] | None = None

    def act(self, observation: Observation) -> str:
        if self.asked is not None:
            attribute, value = self.asked
            yes = "yes" in observation[-1].text
            self.possible = [name for name in self.possible if (self.facts[name][attribute] == value) == yes]
        if len(self.possible) == 1:
            return self._dialect.write([("guess", {"name": self.possible[0]})])
        self.asked = self._question()
        return self._dialect.write([("ask", {"attribute": self.asked[0], "value": self.asked[1]})])

    def _question(self) -> tuple[str, str]:
        def unevenness(question: tuple[str, str]) -> int:
            return abs(2 * sum(self.facts[name][question[0]] == question[1] for name in self.possible) - len(self.possible))

        return min(((a, v) for a, values in ATTRIBUTES.items() for v in values), key=unevenness)


class RandomQuestions(Halving):
    """Asks anything, and guesses any creature after a few questions."""

    def act(self, observation: Observation) -> str:
        del observation
        if self.rng.random() < 0.2:
            return self._dialect.write([("guess", {"name": str(self.rng.choice(list(self.facts)))})])
        return self._dialect.write([("ask", dict(zip(("attribute", "value"), self._question(), strict=True)))])

    def _question(self) -> tuple[str, str]:
        attribute = str(self.rng.choice(list(ATTRIBUTES)))
        return attribute, str(self.rng.choice(ATTRIBUTES[attribute]))


class Spam(Halving):
    """Calls everything it knows of, every turn, but never guesses."""

    def act(self, observation: Observation) -> str:
        del observation
        return self._dialect.write(
            [("ask", {"attribute": "size", "value": "small"}), ("look_up", {"name": ""}), ("guess", {}), ("cheat", {})]
        )


MANIFEST = Manifest(
    description="Twenty questions; each turn is worth the doubt it removes.",
    turn_reward_range=(0.0, 1.02),
    max_turns=25,
    random_score=0.3,
    scripts={
        "expert": f"{__name__}:Halving",
        "random": f"{__name__}:RandomQuestions",
        "hack_spam": f"{__name__}:Spam",
        "null": NULL,
        "echo": ECHO,
    },
    anchors=True,
    potentials=True,
    snapshots=True,
    tools=True,
)
