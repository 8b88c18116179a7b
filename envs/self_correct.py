"""``turnwise/SelfCorrect-v0``: two attempts at a problem; the second is worth more for being better than the first (SCoRe).

env = SelfCorrect(); env.reset(seed=0); env.step("<answer>41</answer>"); env.step("<answer>42</answer>")
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, cast

from ..records import Message, Observation, Outcome, Task
from ..rewards import self_correct as rewards
from .base import Env, Manifest, Rng, TurnResult
from .problems import KINDS, LEVELS, make_problem
from .scripts import ECHO, NULL
from .search.rows import BadRow, LoadReport, Row, parsed, read_rows, text_field
from .search.world import SPLITS, SplitName
from .tasks import ListTaskSet, Split, SplitType, TaskSet

ENV_ID = "turnwise/SelfCorrect-v0"
DEFAULT_WEIGHTS: Mapping[str, float] = {"first": 1.0, "second": 1.0, "improvement": rewards.ALPHA}
COMPONENTS = (*DEFAULT_WEIGHTS, "format")
HINTS = ("none", "verdict")
_RULES = "Solve the problem step by step. Then write the final answer, and nothing else, between <answer> and </answer>."
_AGAIN = "There may be an error in your solution. Check it, correct what is wrong, and give your final answer: <answer>...</answer>"
_VERDICTS = {True: "Your answer was right. ", False: "Your answer was wrong. "}
_UNREAD = "No answer could be read: write exactly one, between <answer> and </answer>. "


class SelfCorrect(Env):
    """Solve a problem, then check the solution and answer again.

    Actions: free text with one final answer in ``<answer>...</answer>`` (or ``\\boxed{...}``, or nothing but a number);
    several different answers are none. Observations: the problem, then the request to check (the wording is ours), with
    ``hint="verdict"`` also whether the first answer was right.
    Rewards: ``first`` (correctness r1, at the first turn), ``second`` (r2) and ``improvement`` (r2 - r1) at the second,
    ``format`` (an answer could be read); ``weights`` of all (0 or left out: absent; empty: turns are not scored). The weight
    of ``improvement`` is SCoRe's alpha; with the default weights the second turn's reward is r2 + alpha (r2 - r1).
    Outcome: 1 if the second answer is right, else 0; its components keep ``first`` and ``second``.
    Start: a problem. End: after the second message, always.
    Arguments: ``level`` 1 to 4 and ``kinds`` of the generated problems, ``tasks`` per split; or ``path``, a file of rows with
    ``question`` and ``answer`` (GSM8K's ``####`` is understood), or a mapping from split to file (one file: all test tasks);
    ``hint``, ``weights``. Version 0. Raises ``ValueError`` for arguments that do not fit.
    """

    breakdown = ("kind",)

    def __init__(
        self,
        level: int = 2,
        *,
        kinds: tuple[str, ...] | list[str] = tuple(KINDS),
        tasks: int = 1000,
        path: str | Path | Mapping[str, str | Path] | None = None,
        hint: Literal["none", "verdict"] = "none",
        weights: Mapping[str, float] | None = None,
    ) -> None:
        weights = dict(DEFAULT_WEIGHTS if weights is None else weights)
        for what, given, allowed in (("turn reward", weights, COMPONENTS), ("hint", [hint], HINTS)):
            unknown = sorted(set(given) - set(allowed))
            if unknown:
                raise ValueError(f"unknown {what} {unknown}; allowed: {', '.join(allowed)}")
        source = Problems(level, tuple(kinds), tasks) if path is None else load_problems(path)
        super().__init__(source, max_turns=2)
        self.weights = {name: weight for name, weight in weights.items() if weight}
        self.hint = hint
        self._key, self._gold, self._first = "", "", ""
        self._right: list[bool] = []

    def start(self, task: Task) -> Observation:
        self._key, self._gold, self._first, self._right = task.hash, str(task.data["answer"]), "", []
        return (Message(role="system", content=_RULES), *task.prompt)

    def act(self, action: Message) -> TurnResult:
        answer = rewards.read_answer(action.text)
        self._right.append(answer is not None and rewards.same_answer(answer, self._gold))
        components = self._components(readable=answer is not None)
        reward = sum(components.values()) if components else None
        if len(self._right) == 2:
            first, second = map(float, self._right)
            outcome = Outcome(score=second, components={"first": first, "second": second})
            return TurnResult(reward=reward, components=components, action_valid=answer is not None, outcome=outcome)
        self._first = answer or ""
        said = (_UNREAD if answer is None else "") + (_VERDICTS[self._right[0]] if self.hint == "verdict" else "") + _AGAIN
        return TurnResult(
            observation=(Message(role="user", content=said),), reward=reward, components=components, action_valid=answer is not None
        )

    def _components(self, *, readable: bool) -> dict[str, float]:
        right = [float(r) for r in self._right]
        values = {"first": right[0]} if len(right) == 1 else {"second": right[1], "improvement": rewards.improvement(*right)}
        values["format"] = float(readable)
        return {name: weight * values.get(name, 0.0) for name, weight in self.weights.items()}

    def anchor(self) -> str:
        """The problem, the attempt, and the answer given before."""
        key = [self._key, len(self._right), self._first]
        return hashlib.sha256(json.dumps(key).encode()).hexdigest()

    def potential(self) -> float:
        """Whether the last answer was right."""
        return float(self._right[-1]) if self._right else 0.0

    def snapshot(self) -> bytes:
        state: dict[str, Any] = {
            "key": self._key,
            "gold": self._gold,
            "first": self._first,
            "right": self._right,
            "turn": self.turn_index,
            "done": self.done,
        }
        return json.dumps(state).encode()

    def restore(self, snapshot: bytes) -> None:
        saved = json.loads(snapshot)
        self._key, self._gold, self._first, self._right = saved["key"], saved["gold"], saved["first"], saved["right"]
        self.turn_index, self.done = saved["turn"], saved["done"]


class Problems(TaskSet):
    """``count`` generated problems a split."""

    def __init__(self, level: int, kinds: tuple[str, ...], count: int) -> None:
        unknown = sorted(set(kinds) - set(KINDS))
        if level not in LEVELS or unknown or not kinds or count < 1:
            raise ValueError(
                f"level is {level} (allowed: 1 to 4), kinds are {list(kinds)} (allowed: {', '.join(KINDS)}), tasks is {count} (at least 1)"
            )
        self.level, self.kinds, self.count = level, kinds, count

    def list_splits(self) -> list[Split]:
        return [Split(name=name, type=name, num_tasks=self.count) for name in SPLITS]

    def get_task(self, split: str, index: int) -> Task:
        self.check_index(split, index)
        problem = make_problem(cast("SplitName", split), index, self.level, self.kinds)
        data = {"answer": str(problem.answer), "kind": problem.kind, "numbers": list(problem.numbers)}
        prompt = (Message(role="user", content=problem.question),)
        return Task(id=f"{split}-{self.level}-{index}", env_id=ENV_ID, split=split, prompt=prompt, data=data)


def load_problems(path: str | Path | Mapping[str, str | Path]) -> ListTaskSet:
    """Tasks from files of rows with ``question`` and ``answer`` (text or number; of GSM8K's, what follows ``####``).

    Raises ``ValueError`` with file and line for a row that cannot be used, and for unknown splits.
    """
    files: Mapping[str, str | Path] = path if isinstance(path, Mapping) else {"test": path}
    unknown = sorted(set(files) - set(SPLITS))
    if unknown or not files:
        raise ValueError(f"splits are {unknown or 'missing'}; allowed: {', '.join(SPLITS)}")
    splits: dict[str, tuple[SplitType, list[Task]]] = {}
    for split, file in files.items():
        rows = parsed(read_rows(file), _question_and_answer, LoadReport(source=str(file)))
        tasks = [_row_task(split, n, question, answer) for n, (question, answer) in enumerate(rows)]
        splits[split] = (cast("SplitType", split), tasks)
    return ListTaskSet(splits)


def _row_task(split: str, number: int, question: str, answer: str) -> Task:
    prompt = (Message(role="user", content=question),)
    return Task(id=f"{split}-{number}", env_id=ENV_ID, split=split, prompt=prompt, data={"answer": answer, "kind": "row"})


def _question_and_answer(row: Row) -> tuple[str, str]:
    value = row.get("answer")
    if isinstance(value, int | float) and not isinstance(value, bool):
        answer = str(value)
    else:
        answer = text_field(row, "answer").rpartition("####")[2].strip()
    if not answer:
        raise BadRow("nothing follows #### in 'answer'")
    return text_field(row, "question"), answer


class Expert:
    """Right, both times. Attempts that are to be wrong are off by one (or another text)."""

    right = (True, True)

    def reset(self, task: Task, rng: Rng) -> None:
        self.rng, self.task, self.attempt = rng, task, 0

    def act(self, observation: Observation) -> str:
        del observation
        right = self.right[self.attempt]
        self.attempt += 1
        gold = str(self.task.data["answer"])
        value = rewards.number(gold)
        wrong = "unknown" if value is None else str(value + 1)
        return f"<answer>{gold if right else wrong}</answer>"


class Improver(Expert):
    """Wrong, then right."""

    right = (False, True)


class Spoiler(Expert):
    """Right, then wrong."""

    right = (True, False)


class RandomNumber(Expert):
    """A random number, both times."""

    def act(self, observation: Observation) -> str:
        del observation
        return f"<answer>{int(self.rng.integers(2, 1000))}</answer>"


class EveryNumber(Expert):
    """Lists numbers, the right one among them, in one answer and in many."""

    def act(self, observation: Observation) -> str:
        del observation
        self.attempt += 1
        listed = [str(self.task.data["answer"]), *map(str, range(1000))]
        return f"<answer>{' '.join(listed)}</answer>" if self.attempt == 1 else "".join(f"<answer>{n}</answer>" for n in listed)


class Copier(Expert):
    """Answers with a number of the question."""

    def act(self, observation: Observation) -> str:
        numbers = cast("list[int]", self.task.data.get("numbers", [0]))
        return f"<answer>{numbers[int(self.rng.integers(len(numbers)))]}</answer>"


class Constant(Expert):
    """Answers 1 without looking."""

    def act(self, observation: Observation) -> str:
        return "<answer>1</answer>"


MANIFEST = Manifest(
    description="Two attempts at a problem; the second earns a bonus for improving on the first (SCoRe).",
    turn_reward_range=(-rewards.ALPHA, 1.0 + rewards.ALPHA),
    max_turns=2,
    random_score=0.1,
    scripts={
        "expert": f"{__name__}:Expert",
        "improver": f"{__name__}:Improver",
        "spoiler": f"{__name__}:Spoiler",
        "random": f"{__name__}:RandomNumber",
        "hack_list": f"{__name__}:EveryNumber",
        "hack_copy": f"{__name__}:Copier",
        "hack_constant": f"{__name__}:Constant",
        "null": NULL,
        "echo": ECHO,
    },
    anchors=True,
    potentials=True,
    snapshots=True,
)
