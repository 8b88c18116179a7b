"""``turnwise/GuessNumber-v0``: find a number; a turn is worth what it tells, in bits.

env = GuessNumber(); env.reset(seed=0); env.step("<guess>32</guess>")[0][0].text   # "higher" or "lower"
"""

from __future__ import annotations

import json
import math
import re

from ..records import Message, Observation, Outcome, Task
from .base import Env, Manifest, Rng, TurnResult
from .scripts import ECHO, NULL
from .tasks import Split, SplitType, TaskSet

ENV_ID = "turnwise/GuessNumber-v0"
LIMIT = 1024
"""Upper end of the ranges that tasks are drawn from."""
_GUESS = re.compile(r".*<guess>\s*(\d{1,9})\s*</guess>.*|\s*(\d{1,9})\s*", re.DOTALL)
_SPLITS: tuple[tuple[SplitType, int, int], ...] = (("train", 0, 8), ("validation", 8, 9), ("test", 9, 10))
"""A number belongs to the split whose part of 0..9 its residue falls into, so no split shares a task with another."""


class GuessNumber(Env):
    """Find a hidden whole number between 1 and ``high``.

    Actions: ``<guess>37</guess>``, or the number alone. Observations: the question, then "higher" or "lower".
    Rewards: log2 of the numbers that were possible before the guess over those that are after it, in bits; a guess outside
    what is possible tells nothing (0). Outcome: 1 when the number is found. Start: ``high`` and the number come from the
    task. End: the number is found; truncated after ``max_turns``. Arguments: ``high``, ``max_turns``. Version 0.
    """

    def __init__(self, high: int = 100, *, max_turns: int = 10) -> None:
        if not 2 <= high <= LIMIT:
            raise ValueError(f"high is {high}; allowed: 2 to {LIMIT}")
        super().__init__(Numbers(high), max_turns=max_turns)
        self._number = self._low = self._high = 1

    def start(self, task: Task) -> Observation:
        self._number, self._low, self._high = int(task.data["number"]), 1, int(task.data["high"])
        return task.prompt

    def act(self, action: Message) -> TurnResult:
        found = _GUESS.fullmatch(action.text)
        if found is None:
            return TurnResult(observation=_HOW, reward=0.0, action_valid=False)
        guess = int(found[1] or found[2])
        before = self._high - self._low + 1
        if guess == self._number:
            bits = math.log2(before)
            self._low = self._high = guess
            return TurnResult(reward=bits, outcome=_FOUND)
        if guess < self._number:
            self._low = max(self._low, guess + 1)
        else:
            self._high = min(self._high, guess - 1)
        bits = math.log2(before / (self._high - self._low + 1))
        return TurnResult(observation=_HIGHER if guess < self._number else _LOWER, reward=bits)

    def anchor(self) -> str:
        """What is still possible."""
        return f"{self._low}-{self._high}"

    def potential(self) -> float:
        """Minus the bits that are still missing."""
        return -math.log2(self._high - self._low + 1)

    def snapshot(self) -> bytes:
        return json.dumps([self._number, self._low, self._high, self.turn_index, self.done]).encode()

    def restore(self, snapshot: bytes) -> None:
        self._number, self._low, self._high, self.turn_index, self.done = json.loads(snapshot)


_FOUND = Outcome(score=1.0)
_HIGHER = (Message(role="user", content="higher"),)
_LOWER = (Message(role="user", content="lower"),)
_HOW = (Message(role="user", content="That is no guess. Write a whole number, for example <guess>37</guess>."),)


class Numbers(TaskSet):
    """Every number from 1 to ``high`` is one task."""

    def __init__(self, high: int) -> None:
        self.high = high
        self._numbers = {name: [n for n in range(1, high + 1) if low <= n % 10 < end] for name, low, end in _SPLITS}

    def list_splits(self) -> list[Split]:
        return [Split(name=name, type=name, num_tasks=len(self._numbers[name])) for name, *_ in _SPLITS if self._numbers[name]]

    def get_task(self, split: str, index: int) -> Task:
        self.check_index(split, index)
        number = self._numbers[split][index]
        text = f"I think of a whole number between 1 and {self.high}. Guess it: <guess>number</guess>."
        prompt = (Message(role="user", content=text),)
        return Task(id=f"{self.high}-{number}", env_id=ENV_ID, split=split, prompt=prompt, data={"number": number, "high": self.high})


class Bisection:
    """Always guesses the middle of what is possible."""

    def reset(self, task: Task, rng: Rng) -> None:
        del rng
        self.low, self.high = 1, int(task.data["high"])
        self.last = 0

    def act(self, observation: Observation) -> str:
        said = observation[-1].text
        if said == "higher":
            self.low = self.last + 1
        elif said == "lower":
            self.high = self.last - 1
        self.last = (self.low + self.high) // 2
        return f"<guess>{self.last}</guess>"


class RandomGuess:
    """Guesses any number of the range, again and again."""

    def reset(self, task: Task, rng: Rng) -> None:
        self.rng, self.high = rng, int(task.data["high"])

    def act(self, observation: Observation) -> str:
        del observation
        return f"<guess>{int(self.rng.integers(1, self.high + 1))}</guess>"


MANIFEST = Manifest(
    description="Find a hidden number; each turn is worth the bits it tells.",
    turn_reward_range=(0.0, 10.0),
    max_turns=10,
    random_score=0.4,
    scripts={"expert": f"{__name__}:Bisection", "random": f"{__name__}:RandomGuess", "null": NULL, "echo": ECHO},
    anchors=True,
    potentials=True,
    snapshots=True,
)
