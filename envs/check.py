"""``check_env``: hold an environment to its manifest. Every check has a name, and says what it saw when it fails.

report = check_env("turnwise/KeyDoor-v0"); report.ok; print(report)
"""

from __future__ import annotations

import gc
import math
import multiprocessing
import os
import pickle
import threading
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeAlias, cast

import numpy as np
from gymnasium.utils.env_checker import check_env as gymnasium_check

from ..records import Message, Observation, Outcome, StopReason, Task, check_reward
from . import registry
from .base import ActionLike, Env, Manifest, Script
from .scripts import ECHO, NULL, load_script

EPISODES = 5
"""Tasks played per script."""
HOSTILE = ("", "\x00\x07\x1b[2J", "<answer>", "\ud800", "{" * 2000, "9" * 100_000, "</think></search>")


class CheckError(AssertionError):
    """An environment broke a promise."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckResult:
    name: str
    passed: bool
    detail: str = ""

    def __str__(self) -> str:
        return f"{'ok  ' if self.passed else 'FAIL'}  {self.name:<{max(map(len, CHECKS))}}  {self.detail}".rstrip()


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckReport:
    """Results of all checks, in order."""

    id: str
    results: tuple[CheckResult, ...]

    @property
    def ok(self) -> bool:
        return all(result.passed for result in self.results)

    def __str__(self) -> str:
        return "\n".join(map(str, self.results))


@dataclass(slots=True)
class _Step:
    observation: Observation
    total: float
    terminated: bool
    truncated: bool
    info: dict[str, Any]


@dataclass(slots=True)
class _Played:
    """One episode: what reset gave, every step, the actions taken."""

    task: Task
    first: Observation
    start_info: dict[str, Any]
    steps: list[_Step] = field(default_factory=list[_Step])
    actions: list[ActionLike] = field(default_factory=list[ActionLike])

    @property
    def score(self) -> float:
        outcome = cast("Outcome | None", self.steps[-1].info.get("outcome"))
        return outcome.score if outcome is not None else math.nan


@dataclass(slots=True, kw_only=True)
class _Context:
    make: Callable[[], Env]
    manifest: Manifest
    splits: list[str]

    def script(self, name: str) -> Script:
        given = self.manifest.scripts.get(name, {"null": NULL, "echo": ECHO}.get(name))
        if given is None:
            raise CheckError(f"the manifest has no script {name!r}; it has: {', '.join(self.manifest.scripts) or 'none'}")
        return cast("Script", load_script(given)())

    def tasks(self, env: Env) -> Iterator[Task]:
        """A few tasks, turn about from every split."""
        for number in range(EPISODES):
            split = self.splits[number % len(self.splits)]
            yield env.tasks.get_task(split, number // len(self.splits) % env.tasks.num_tasks(split))

    def play(self, env: Env, task: Task, script: Script | list[ActionLike], seed: int = 0) -> _Played:
        observation, info = env.reset(seed=seed, options={"task": task})
        played = _Played(task, observation, info)
        if not isinstance(script, list):
            script.reset(task, np.random.default_rng(seed))
        for number in range(self.manifest.max_turns + 1):
            action = script[number % len(script)] if isinstance(script, list) else script.act(observation)
            played.actions.append(action)
            step = _Step(*env.step(action))
            played.steps.append(step)
            observation = step.observation
            if step.terminated or step.truncated:
                return played
        raise CheckError(f"task {task.id!r} was still going on after {len(played.steps)} turns; max_turns is {self.manifest.max_turns}")


Check: TypeAlias = Callable[[_Context, Env], str]


def check_env(id: str, **kwargs: Any) -> CheckReport:
    """Run every check on the environment ``id`` (made with ``kwargs``). Never raises for what the environment does wrong."""
    return CheckReport(id=id, results=tuple(iter_checks(id, **kwargs)))


def iter_checks(id: str, **kwargs: Any) -> Iterator[CheckResult]:
    """``check_env``, each result as soon as it is there: an environment with a browser takes minutes."""
    registry.spec(id)
    for name, check in CHECKS.items():
        yield _run(name, check, lambda: registry.make(id, **kwargs), registry.manifest(id))


def _run(name: str, check: Check, make: Callable[[], Env], manifest: Manifest) -> CheckResult:
    try:
        env = make()
        try:
            context = _Context(make=make, manifest=manifest, splits=[s.name for s in env.tasks.list_splits() if s.num_tasks])
            return CheckResult(name=name, passed=True, detail=check(context, env))
        finally:
            env.close()
    except Exception as error:  # whatever an environment raises is what the report is for
        return CheckResult(name=name, passed=False, detail=f"{type(error).__name__}: {error}")


def _require(condition: bool, message: str) -> None:
    if not condition:
        raise CheckError(message)


def _gymnasium(context: _Context, env: Env) -> str:
    del context
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Gymnasium warns about every space that is not its own
        gymnasium_check(env, skip_render_check=True)
    return "Gymnasium's own checker"


def _splits(context: _Context, env: Env) -> str:
    _require(bool(context.splits), "no split has a task")
    where: dict[str, str] = {}
    for split in env.tasks.list_splits():
        for task in env.tasks.get_task_range(split.name, 0, min(split.num_tasks, 2000)):
            _require(task.split == split.name, f"task {task.id!r} of split {split.name!r} says it is of {task.split!r}")
            other = where.setdefault(task.hash, split.name)
            _require(other == split.name, f"task {task.id!r} of split {split.name!r} is also in {other!r} (equal hash)")
    return f"{len(where)} tasks, no overlap"


def _determinism(context: _Context, env: Env) -> str:
    if not context.manifest.deterministic:
        return "not promised"
    for task in context.tasks(env):
        once = context.play(env, task, context.script("random"), seed=7)
        again = context.play(env, task, context.script("random"), seed=7)
        _same(once, again, "the same seed")
    return f"{EPISODES} episodes, twice each"


def _replay(context: _Context, env: Env) -> str:
    if not context.manifest.deterministic:
        return "not promised"
    for task in context.tasks(env):
        once = context.play(env, task, context.script("expert"), seed=3)
        other = context.make()
        try:
            _same(once, context.play(other, task, once.actions, seed=3), "the same actions in another instance")
        finally:
            other.close()
    return "same actions, another instance"


def _same(a: _Played, b: _Played, how: str) -> None:
    _require(a.first == b.first, f"task {a.task.id!r}: reset gave another observation with {how}")
    for number, (x, y) in enumerate(zip(a.steps, b.steps, strict=False)):
        equal = (x.observation, x.total, x.terminated, x.truncated) == (y.observation, y.total, y.terminated, y.truncated)
        equal = equal and x.info["turn"] == y.info["turn"]
        _require(equal, f"task {a.task.id!r}: turn {number} differs with {how}")
    _require(len(a.steps) == len(b.steps), f"task {a.task.id!r}: {len(a.steps)} turns, then {len(b.steps)}, with {how}")


def _expert(context: _Context, env: Env) -> str:
    for task in context.tasks(env):
        score = context.play(env, task, context.script("expert")).score
        _require(
            abs(score - context.manifest.max_score) < 1e-9, f"task {task.id!r}: the expert scored {score}, not {context.manifest.max_score}"
        )
    return f"scores {context.manifest.max_score}"


def _floor(context: _Context, env: Env) -> str:
    names = ["null", "echo", *(n for n in context.manifest.scripts if n.startswith("hack"))]
    for name in names:
        for task in context.tasks(env):
            score = context.play(env, task, context.script(name)).score
            limit = context.manifest.floor_score
            _require(score <= limit + 1e-9, f"task {task.id!r}: script {name!r} scored {score}, above the floor {limit}")
    return f"{', '.join(names)} at most {context.manifest.floor_score}"


def _random(context: _Context, env: Env) -> str:
    scores = [context.play(env, task, context.script("random"), seed=s).score for s in range(6) for task in context.tasks(env)]
    mean = sum(scores) / len(scores)
    _require(
        mean <= context.manifest.random_score + 1e-9,
        f"the random script scored {mean:.3f} on average, above {context.manifest.random_score}",
    )
    return f"mean {mean:.2f}, at most {context.manifest.random_score}"


def _rewards(context: _Context, env: Env) -> str:
    low, high = context.manifest.turn_reward_range
    worst, best = context.manifest.outcome_range
    for name in ("expert", "random", "null"):
        for task in context.tasks(env):
            played = context.play(env, task, context.script(name))
            for number, step in enumerate(played.steps):
                turn = step.info["turn"]
                where = f"task {task.id!r}, script {name!r}, turn {number}"
                check_reward(turn["reward"], turn["components"], where)
                if turn["reward"] is not None:
                    _require(low - 1e-9 <= turn["reward"] <= high + 1e-9, f"{where}: reward {turn['reward']} is outside [{low}, {high}]")
            _require(worst <= played.score <= best, f"task {task.id!r}: outcome {played.score} is outside [{worst}, {best}]")
    return f"turns in [{low}, {high}], outcome in [{worst}, {best}]"


def _float(context: _Context, env: Env) -> str:
    for name in ("expert", "random"):
        for task in context.tasks(env):
            played = context.play(env, task, context.script(name))
            floats = sum(step.total for step in played.steps)
            outcome: Outcome = played.steps[-1].info["outcome"]
            honest = sum(step.info["turn"]["reward"] or 0.0 for step in played.steps) + (outcome.score if outcome.valid else 0.0)
            _require(
                abs(floats - honest) < 1e-6, f"task {task.id!r}: the floats of step sum to {floats}, turn rewards plus outcome to {honest}"
            )
    return "step's floats = turn rewards + outcome"


def _endings(context: _Context, env: Env) -> str:
    for name in ("expert", "random", "null"):
        for task in context.tasks(env):
            played = context.play(env, task, context.script(name))
            last = played.steps[-1]
            _require(not (last.terminated and last.truncated), f"task {task.id!r}: terminated and truncated at once")
            _require("outcome" in last.info and "stop" in last.info, f"task {task.id!r}: the last info has no outcome or no stop reason")
            stop: StopReason = last.info["stop"]
            _require(stop.terminates == last.terminated, f"task {task.id!r}: stop reason {stop.value!r} with terminated={last.terminated}")
            early = [s for s in played.steps[:-1] if "outcome" in s.info]
            _require(not early, f"task {task.id!r}: an outcome was given before the end")
            try:
                env.step("")
            except RuntimeError:
                continue
            raise CheckError(f"task {task.id!r}: step() after the end was accepted; it must raise RuntimeError")
    return "one ending, with its reason"


def _limit(context: _Context, env: Env) -> str:
    _require(env.max_turns == context.manifest.max_turns, f"max_turns is {env.max_turns}, the manifest says {context.manifest.max_turns}")
    env.max_turns = 2
    for task in context.tasks(env):
        played = context.play(env, task, ["\n"])
        last = played.steps[-1]
        if last.terminated:
            continue
        _require(len(played.steps) == 2 and last.truncated, f"task {task.id!r}: {len(played.steps)} turns under a limit of 2")
        _require(last.info["stop"] is StopReason.MAX_TURNS, f"task {task.id!r}: cut off by the turn limit with stop {last.info['stop']}")
    return "truncates at max_turns"


def _hostile(context: _Context, env: Env) -> str:
    task = next(context.tasks(env))
    for text in HOSTILE:
        for action in (text, Message(role="assistant", content=text)):
            played = context.play(env, task, [action])
            outcome: Outcome = played.steps[-1].info["outcome"]
            _require(outcome.valid, f"the action {text[:20]!r} was treated as a fault of the environment")
            _require(outcome.score < context.manifest.max_score, f"the action {text[:20]!r} alone reached the maximum score")
    return f"{len(HOSTILE)} unusable actions are observations"


def _capabilities(context: _Context, env: Env) -> str:
    m = context.manifest
    played = context.play(env, next(context.tasks(env)), context.script("expert"))
    for name, key, promised in (("anchors", "anchor", m.anchors), ("potentials", "potential", m.potentials)):
        given = all(step.info["turn"][key] is not None for step in played.steps)
        _require(given or not promised, f"the manifest promises {name}, but a turn has none")
        present = any(step.info["turn"][key] is not None for step in played.steps)
        _require(promised or not present, f"turns have {name}, but the manifest does not say so")
    return ", ".join(n for n in ("anchors", "potentials", "snapshots") if getattr(m, n)) or "none promised"


def _snapshots(context: _Context, env: Env) -> str:
    if not context.manifest.snapshots:
        return "not promised"
    for task in context.tasks(env):
        actions = context.play(env, task, context.script("expert")).actions
        if len(actions) < 2:
            continue
        half = len(actions) // 2
        env.reset(seed=0, options={"task": task})
        for action in actions[:half]:
            env.step(action)
        saved = pickle.loads(pickle.dumps(env.snapshot()))
        straight = [env.step(action) for action in actions[half:]]
        other = context.make()
        try:
            other.restore(saved)
            again = [other.step(action) for action in actions[half:]]
        finally:
            other.close()
        _require(straight == again, f"task {task.id!r}: another instance went on differently after restore()")
    return "restored in another instance"


def _pickling(context: _Context, env: Env) -> str:
    copy = cast(Env, pickle.loads(pickle.dumps(env)))
    task = next(context.tasks(env))
    _same(context.play(env, task, context.script("expert")), context.play(copy, task, context.script("expert")), "a pickled copy")
    return "a pickled copy plays the same"


def _secrets(context: _Context, env: Env) -> str:
    for task in context.tasks(env):
        before = pickle.dumps(dict(task.data))
        context.play(env, task, context.script("random"))
        _require(pickle.dumps(dict(task.data)) == before, f"task {task.id!r}: an episode changed the private data of its task")
    return "tasks are left as they were"


def _leaks(context: _Context, env: Env) -> str:
    before = _resources()
    for task in context.tasks(env):
        other = context.make()
        context.play(other, task, context.script("expert"))
        other.close()
        del other
    gc.collect()
    more = [f"{count - before[name]} more {name}" for name, count in _resources().items() if count > before[name]]
    _require(not more, f"{', '.join(more)} after close() than before the environments were made")
    return "no threads, files or processes left"


def _resources() -> dict[str, int]:
    own = Path("/proc/self")
    if not own.exists():  # elsewhere only what Python itself started is known
        return {"threads": threading.active_count(), "children": len(multiprocessing.active_children())}
    children = [child for listed in own.glob("task/*/children") for child in listed.read_text().split()]
    return {"threads": threading.active_count(), "files": len(os.listdir(own / "fd")), "children": len(children)}


CHECKS: dict[str, Check] = {
    "gymnasium": _gymnasium,
    "splits": _splits,
    "determinism": _determinism,
    "replay": _replay,
    "expert": _expert,
    "floor": _floor,
    "random": _random,
    "rewards": _rewards,
    "float": _float,
    "endings": _endings,
    "turn limit": _limit,
    "hostile actions": _hostile,
    "capabilities": _capabilities,
    "snapshots": _snapshots,
    "pickling": _pickling,
    "private data": _secrets,
    "leaks": _leaks,
}
"""Name -> check, in the order of the report."""
