"""``turnwise/GuessNumber-v0``: find a number; a turn is worth what it tells, in bits.

env = GuessNumber(); env.reset(seed=0); env.step("<guess>32</guess>")[0][0].text   # "higher" or "lower"
"""

from __future__ import annotations

import json
import math
import re
from functools import lru_cache

from ..records import Message, Observation, Outcome, Task
from .base import Env, Manifest, Rng, TurnResult
from .scripts import ECHO, NULL
from .tasks import Split, SplitType, TaskSet

ENV_ID = "turnwise/GuessNumber-v0"
LIMIT = 1024
"""Upper end of the ranges that tasks are drawn from."""
_GUESS = re.compile(r".*<guess>\s*(\d{1,9})\s*</guess>.*|\s*(\d{1,9})\s*", re.DOTALL)
_SPLITS: tuple[tuple[SplitType, int, int], ...] = (("train", 0, 8), ("validation", 8, 9), ("test", 9, 10))
"""A number, or the first one of a window, belongs to the split whose part of 0..9 its residue falls into; so no split shares a task."""


class GuessNumber(Env):
    """Find a hidden whole number between 1 and ``high``, or in a window of ``span`` numbers of them, which differs from task to task.

    Actions: ``<guess>37</guess>``, or the number alone. Observations: the question, then "higher" or "lower", with
    ``recap`` also what is still possible: "higher, 51 to 100".
    Rewards: log2 of the numbers that were possible before the guess over those that are after it, in bits; a guess outside
    what is possible tells nothing (0). Outcome: 1 when the number is found. Start: the range and the number come from the
    task. End: the number is found; truncated after ``max_turns``. Arguments: ``high``, ``span`` (default: all of 1 to ``high``,
    which makes ``high`` tasks; with windows there are nearly ``span`` times as many), ``recap``, ``max_turns``. Version 0.
    """

    def __init__(self, high: int = 100, *, span: int | None = None, recap: bool = False, max_turns: int = 10) -> None:
        if not 2 <= high <= LIMIT:
            raise ValueError(f"high is {high}; allowed: 2 to {LIMIT}")
        if span is not None and not 2 <= span <= high:
            raise ValueError(f"span is {span}; allowed: 2 to high, {high}, or none for all numbers")
        super().__init__(Numbers(high, high if span is None else span), max_turns=max_turns)
        self.recap = recap
        self._number = self._low = self._high = 1

    def start(self, task: Task) -> Observation:
        self._number, self._low, self._high = int(task.data["number"]), int(task.data.get("low", 1)), int(task.data["high"])
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
        said = "higher" if guess < self._number else "lower"
        text = f"{said}, {self._low} to {self._high}" if self.recap else said
        return TurnResult(observation=(Message(role="user", content=text),), reward=bits)

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
_HOW = (Message(role="user", content="That is no guess. Write a whole number, for example <guess>37</guess>."),)


class Numbers(TaskSet):
    """Every number of every window of ``span`` numbers in 1 to ``high`` is one task.

    One window: numbers that a policy is tested on are new to it. Several: windows are, as it must not learn which numbers never come.
    """

    def __init__(self, high: int, span: int) -> None:
        self.high, self.span = high, span
        self._tasks = _windows(high, span)

    def list_splits(self) -> list[Split]:
        return [Split(name=name, type=name, num_tasks=len(self._tasks[name])) for name, *_ in _SPLITS if self._tasks[name]]

    def get_task(self, split: str, index: int) -> Task:
        self.check_index(split, index)
        low, number = self._tasks[split][index]
        high = low + self.span - 1
        text = f"I think of a whole number between {low} and {high}. Guess it: <guess>number</guess>."
        data = {"number": number, "low": low, "high": high}
        name = f"{self.high}-{number}" if self.span == self.high else f"{low}-{high}-{number}"
        return Task(id=name, env_id=ENV_ID, split=split, prompt=(Message(role="user", content=text),), data=data)


@lru_cache(maxsize=8)
def _windows(high: int, span: int) -> dict[str, list[tuple[int, int]]]:
    """(first number, hidden number) of the tasks of each split."""
    pairs = [(low, number) for low in range(1, high - span + 2) for number in range(low, low + span)]
    out: dict[str, list[tuple[int, int]]] = {}
    for name, first, end in _SPLITS:
        out[name] = [(low, n) for low, n in pairs if first <= (n if span == high else low) % 10 < end]
    return out


class Bisection:
    """Always guesses the middle of what is possible."""

    def reset(self, task: Task, rng: Rng) -> None:
        del rng
        self.low, self.high = int(task.data.get("low", 1)), int(task.data["high"])
        self.last = 0

    def act(self, observation: Observation) -> str:
        said = observation[-1].text
        if said.startswith("higher"):
            self.low = max(self.low, self.last + 1)
        elif said.startswith("lower"):
            self.high = min(self.high, self.last - 1)
        self.last = self.guess()
        return f"<guess>{self.last}</guess>"

    def guess(self) -> int:
        """The number to try next."""
        return (self.low + self.high) // 2


class NoisyBisection(Bisection):
    """Guesses the middle of what is possible, but with probability ``error_rate`` any number of the task's range."""

    def __init__(self, error_rate: float = 0.3) -> None:
        if not 0.0 <= error_rate <= 1.0:
            raise ValueError(f"error_rate is {error_rate}; allowed: 0 to 1")
        self.error_rate = error_rate

    def reset(self, task: Task, rng: Rng) -> None:
        super().reset(task, rng)
        self.rng, self.all = rng, (self.low, self.high)

    def guess(self) -> int:
        if self.rng.random() >= self.error_rate:
            return super().guess()
        return int(self.rng.integers(self.all[0], self.all[1] + 1))


class RandomGuess:
    """Guesses any number of the range, again and again."""

    def reset(self, task: Task, rng: Rng) -> None:
        self.rng, self.low, self.high = rng, int(task.data.get("low", 1)), int(task.data["high"])

    def act(self, observation: Observation) -> str:
        del observation
        return f"<guess>{int(self.rng.integers(self.low, self.high + 1))}</guess>"


MANIFEST = Manifest(
    description="Find a hidden number; each turn is worth the bits it tells.",
    turn_reward_range=(0.0, 10.0),
    max_turns=10,
    random_score=0.4,
    scripts={
        "expert": f"{__name__}:Bisection",
        "noisy": f"{__name__}:NoisyBisection",
        "random": f"{__name__}:RandomGuess",
        "null": NULL,
        "echo": ECHO,
    },
    anchors=True,
    potentials=True,
    snapshots=True,
)
