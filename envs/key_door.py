"""``turnwise/KeyDoor-v0``: a text grid with a key, a door and a treasure: long episodes, states that come back.

env = KeyDoor(); env.reset(seed=0); env.step("east")
"""

from __future__ import annotations

import json
from collections import deque
from functools import lru_cache
from typing import Any, Literal

import numpy as np

from ..records import Message, Observation, Outcome, StopReason, Task
from .base import Env, Manifest, Rng, TurnResult
from .scripts import ECHO, NULL
from .tasks import Split, SplitType, TaskSet

ENV_ID = "turnwise/KeyDoor-v0"
MOVES = {"north": (-1, 0), "south": (1, 0), "west": (0, -1), "east": (0, 1)}
ACTIONS = (*MOVES, "take", "open")
KEY_REWARD = DOOR_REWARD = 0.25
STEP_COST = -0.01
_SPLITS: tuple[tuple[SplitType, int, int], ...] = (("train", 0, 1000), ("validation", 1000, 100), ("test", 1100, 100))
"""(name, first grid, number of grids); further train grids come after these, so that held-out ones stay what they are."""
_PROMPT = (Message(role="user", content=f"Take the key (k), open the door (D), reach the treasure (T). Actions: {', '.join(ACTIONS)}."),)
Cell = tuple[int, int]
State = tuple[Cell, bool, bool]
"""Where the agent is, whether it holds the key, whether the door is open."""


class Grid:
    """Walls and things of one task: rows of ``#`` wall, ``.`` floor, ``k`` key, ``D`` door, ``T`` treasure, ``@`` start."""

    def __init__(self, rows: list[str]) -> None:
        self.rows = rows
        places = {c: (y, x) for y, row in enumerate(rows) for x, c in enumerate(row) if c in "@kDT"}
        self.start, self.key, self.door, self.treasure = (places[c] for c in "@kDT")
        self.to_goal = self._distances()

    def step(self, state: State, action: str) -> tuple[State, str]:
        """The state after ``action``, and what happened."""
        at, has_key, is_open = state
        if action in MOVES:
            there = (at[0] + MOVES[action][0], at[1] + MOVES[action][1])
            seen = self.rows[there[0]][there[1]]
            if seen == "#":
                return state, "There is a wall."
            if seen == "D" and not is_open:
                return state, "The door is closed."
            return (there, has_key, is_open), f"You go {action}."
        if action == "take":
            if at == self.key and not has_key:
                return (at, True, is_open), "You take the key."
            return state, "There is nothing to take."
        beside = abs(at[0] - self.door[0]) + abs(at[1] - self.door[1]) == 1
        if not beside or is_open:
            return state, "There is nothing to open."
        return ((at, has_key, True), "You open the door.") if has_key else (state, "The door is locked.")

    def _distances(self) -> dict[State, int]:
        """Fewest turns to the treasure from every state that can reach it (breadth first, backwards over a forward map)."""
        before: dict[State, list[State]] = {}
        todo, known = deque([(self.start, False, False)]), {(self.start, False, False)}
        ends: list[State] = []
        while todo:
            state = todo.popleft()
            if state[0] == self.treasure:
                ends.append(state)
                continue
            for action in ACTIONS:
                after, _ = self.step(state, action)
                if after != state:
                    before.setdefault(after, []).append(state)
                    if after not in known:
                        known.add(after)
                        todo.append(after)
        distance = dict.fromkeys(ends, 0)
        todo = deque(ends)
        while todo:
            state = todo.popleft()
            for earlier in before.get(state, []):
                if earlier not in distance:
                    distance[earlier] = distance[state] + 1
                    todo.append(earlier)
        return distance


def make_rows(rng: np.random.Generator, size: int) -> list[str]:
    """Two rooms with a door in the wall between them: start and key on one side, treasure on the other; always solvable."""
    wall = int(rng.integers(2, size - 2)) + 1
    grid = [["#" if y in (0, size + 1) or x in (0, size + 1, wall) else "." for x in range(size + 2)] for y in range(size + 2)]
    grid[int(rng.integers(1, size + 1))][wall] = "D"
    left = [(y, x) for y in range(1, size + 1) for x in range(1, wall)]
    right = [(y, x) for y in range(1, size + 1) for x in range(wall + 1, size + 1)]
    start, key = (left[int(i)] for i in rng.choice(len(left), 2, replace=False))
    for mark, (y, x) in (("@", start), ("k", key), ("T", right[int(rng.integers(len(right)))])):
        grid[y][x] = mark
    return ["".join(row) for row in grid]


class KeyDoor(Env):
    """Take the key, open the door, reach the treasure.

    Actions: one of north, south, west, east, take, open; other text is an observation and an invalid action.
    Observations: what happened and a map (``@`` you, ``k`` key, ``D`` closed door, ``/`` open door, ``T`` treasure, ``#`` wall); with
    ``view`` "compass", in place of the map, how far things are: "key 2 north 1 east, door 3 west, treasure 1 south 5 west".
    Rewards: 0.25 for the key and for the door, once each, and -0.01 a turn. Outcome: 1 at the treasure.
    Start: the grid of the task. End: at the treasure; truncated after ``max_turns``. Arguments: ``size`` of the grid's
    side, ``max_turns``, ``train`` grids, ``view`` "map" or "compass". Version 0.
    """

    def __init__(self, size: int = 5, *, max_turns: int = 50, train: int = 1000, view: Literal["map", "compass"] = "map") -> None:
        if not 5 <= size <= 20:
            raise ValueError(f"size is {size}; allowed: 5 to 20")
        if view not in ("map", "compass"):
            raise ValueError(f"view is {view!r}; allowed: map, compass")
        super().__init__(Grids(size, train), max_turns=max_turns)
        self._view = view
        self._grid = Grid(make_rows(np.random.default_rng(0), size))
        self._state: State = (self._grid.start, False, False)

    def start(self, task: Task) -> Observation:
        self._grid = Grid(list(task.data["rows"]))
        self._state = (self._grid.start, False, False)
        return (*task.prompt, self._see("You are in a room."))

    def act(self, action: Message) -> TurnResult:
        word = action.text.strip().lower()
        components = {"turn": STEP_COST, "key": 0.0, "door": 0.0}
        if word not in ACTIONS:
            text = f"That is no action. Write one of: {', '.join(ACTIONS)}."
            return TurnResult(observation=(self._see(text),), reward=STEP_COST, components=components, action_valid=False)
        before, (self._state, what) = self._state, self._grid.step(self._state, word)
        components["key"] = KEY_REWARD if self._state[1] and not before[1] else 0.0
        components["door"] = DOOR_REWARD if self._state[2] and not before[2] else 0.0
        reward = sum(components.values())
        if self._state[0] == self._grid.treasure:
            return TurnResult(reward=reward, components=components, outcome=Outcome(score=1.0), stop=StopReason.SUCCESS)
        return TurnResult(observation=(self._see(what),), reward=reward, components=components)

    def anchor(self) -> str:
        """Place, key and door: all that matters for what comes."""
        (y, x), key, door = self._state
        return f"{y},{x},{int(key)},{int(door)}"

    def potential(self) -> float:
        """Minus the fewest turns to the treasure, as a share of those from the start."""
        start = self._grid.to_goal[self._grid.start, False, False]
        return -self._grid.to_goal[self._state] / start

    def snapshot(self) -> bytes:
        state: dict[str, Any] = {"rows": self._grid.rows, "state": self._state, "turn": self.turn_index, "done": self.done}
        return json.dumps(state).encode()

    def restore(self, snapshot: bytes) -> None:
        saved = json.loads(snapshot)
        self._grid = Grid(saved["rows"])
        at, key, door = saved["state"]
        self._state = ((at[0], at[1]), key, door)
        self.turn_index, self.done = saved["turn"], saved["done"]

    def _see(self, text: str) -> Message:
        held = " You hold the key." if self._state[1] else ""
        return Message(role="user", content=f"{text}{held}\n{self._map() if self._view == 'map' else self._compass()}")

    def _map(self) -> str:
        at, has_key, is_open = self._state
        marks = {self._grid.door: "/" if is_open else "D", self._grid.start: "."}
        if has_key:
            marks[self._grid.key] = "."
        marks[at] = "@"
        return "\n".join("".join(marks.get((y, x), c) for x, c in enumerate(row)) for y, row in enumerate(self._grid.rows))

    def _compass(self) -> str:
        at, has_key, is_open = self._state
        things = {} if has_key else {"key": self._grid.key}
        things |= {"open door" if is_open else "door": self._grid.door, "treasure": self._grid.treasure}
        return ", ".join(f"{name} {_way(there[0] - at[0], there[1] - at[1])}" for name, there in things.items())


def _way(south: int, east: int) -> str:
    """ "2 north 1 east", or "here"."""
    parts = [(abs(south), "south" if south > 0 else "north"), (abs(east), "east" if east > 0 else "west")]
    return " ".join(f"{count} {where}" for count, where in parts if count) or "here"


class Grids(TaskSet):
    """``train`` train, 100 validation and 100 test grids of one size, no two alike.

    Raises ``ValueError`` where there are not that many.
    """

    def __init__(self, size: int, train: int = 1000) -> None:
        self.size = size
        self.counts: dict[str, int] = {name: train if name == "train" else count for name, _, count in _SPLITS}
        most = _most_grids(size) // 2 - self.counts["validation"] - self.counts["test"]
        if not 1 <= train <= most:
            raise ValueError(f"train is {train}; allowed: 1 to {most}, half of the grids of size {size}")
        self._total = max(1000, train) + self.counts["validation"] + self.counts["test"]

    def list_splits(self) -> list[Split]:
        return [Split(name=name, type=name, num_tasks=self.counts[name]) for name, *_ in _SPLITS]

    def get_task(self, split: str, index: int) -> Task:
        self.check_index(split, index)
        first, count = next((first, count) for name, first, count in _SPLITS if name == split)
        place = first + index if index < count else _SPLITS[-1][1] + _SPLITS[-1][2] + index - count
        data = {"rows": list(_grids(self.size, self._total)[place])}
        return Task(id=f"{split}-{index}", env_id=ENV_ID, split=split, prompt=_PROMPT, data=data, seed=index)


def _most_grids(size: int) -> int:
    """How many ``make_rows`` can make: wall, door, start, key, treasure."""
    walls = range(3, size - 1)
    return sum(size * size * (w - 1) * (size * (w - 1) - 1) * size * (size - w) for w in walls)


@lru_cache(maxsize=4)
def _grids(size: int, total: int) -> list[tuple[str, ...]]:
    rng = np.random.default_rng(np.random.SeedSequence([size, 20_26]))
    found: dict[tuple[str, ...], None] = {}
    while len(found) < total:
        found[tuple(make_rows(rng, size))] = None
    return list(found)


class Planner:
    """Takes a shortest way, by breadth-first search."""

    def reset(self, task: Task, rng: Rng) -> None:
        del rng
        self.grid = Grid(list(task.data["rows"]))
        self.state: State = (self.grid.start, False, False)

    def act(self, observation: Observation) -> str:
        del observation
        for action in ACTIONS:
            after, _ = self.grid.step(self.state, action)
            if after != self.state and self.grid.to_goal.get(after, 1 << 30) < self.grid.to_goal[self.state]:
                self.state = after
                return action
        raise ValueError("no way to the treasure from here; the planner and the environment disagree about the state")


class Stray(Planner):
    """Takes a shortest way, but with probability ``error_rate`` a random action."""

    def __init__(self, error_rate: float = 0.3) -> None:
        if not 0.0 <= error_rate <= 1.0:
            raise ValueError(f"error_rate is {error_rate}; allowed: 0 to 1")
        self.error_rate = error_rate

    def reset(self, task: Task, rng: Rng) -> None:
        super().reset(task, rng)
        self.rng = rng

    def act(self, observation: Observation) -> str:
        if self.rng.random() >= self.error_rate:
            return super().act(observation)
        action = ACTIONS[int(self.rng.integers(len(ACTIONS)))]
        self.state, _ = self.grid.step(self.state, action)
        return action


class Wanderer:
    """A random action every turn."""

    def reset(self, task: Task, rng: Rng) -> None:
        del task
        self.rng = rng

    def act(self, observation: Observation) -> str:
        del observation
        return ACTIONS[int(self.rng.integers(len(ACTIONS)))]


MANIFEST = Manifest(
    description="A text grid: take the key, open the door, reach the treasure.",
    turn_reward_range=(-0.01, 0.24),
    max_turns=50,
    random_score=0.4,
    scripts={"expert": f"{__name__}:Planner", "noisy": f"{__name__}:Stray", "random": f"{__name__}:Wanderer", "null": NULL, "echo": ECHO},
    anchors=True,
    potentials=True,
    snapshots=True,
)
