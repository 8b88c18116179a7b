"""The environment contract: a real ``gymnasium.Env`` whose turn rewards and outcome stay apart.

    reset(task) -> start() -> observation
    step(text)  -> anchor() -> act(message) -> TurnResult -> (observation, float, terminated, truncated, info)

An author writes ``start`` and ``act``; ``Env`` keeps the turn limit, the float, the channels in ``info`` and faults.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, NotRequired, Protocol, TypeAlias, TypedDict, cast

import gymnasium
import numpy as np

from ..records import Message, Observation, Outcome, StopReason, Task, check_reward
from .spaces import Action, Messages
from .tasks import TaskSet

ActionLike: TypeAlias = str | Message
Rng: TypeAlias = np.random.Generator


class EnvFault(RuntimeError):
    """The environment failed (not the agent). The episode is voided: truncated, ``outcome.valid=False``."""


class TurnInfo(TypedDict):
    """``info["turn"]`` of every step."""

    reward: float | None
    components: Mapping[str, float]
    anchor: str | None
    potential: float | None
    action_valid: bool
    trained: NotRequired[bool]
    """Given, as False, when the action's tokens are not to be trained."""
    measures: NotRequired[Mapping[str, float]]
    """Numbers about the turn that are no part of its reward; given when there are any."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TurnResult:
    """What ``Env.act`` returns. ``outcome`` is given exactly when the task itself ends here, together with ``stop``."""

    observation: Observation = ()
    reward: float | None = None
    components: Mapping[str, float] = field(default_factory=dict[str, float])
    action_valid: bool = True
    trained: bool = True
    measures: Mapping[str, float] = field(default_factory=dict[str, float])
    outcome: Outcome | None = None
    stop: StopReason | None = None


class Script(Protocol):
    """A scripted policy that ships with an environment: expert, noisy expert, random. It may read the private task."""

    def reset(self, task: Task, rng: Rng) -> None: ...

    def act(self, observation: Observation) -> ActionLike: ...


ScriptFactory: TypeAlias = "str | Callable[..., Script]"


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """What an environment promises; ``check_env`` holds it to every word.

    ``turn_reward_range`` and ``outcome_range`` bound single values. ``scripts`` maps names ("expert", "random", ...) to
    factories or "module:Class" strings. ``max_score`` is the outcome the expert must reach, ``floor_score`` the highest
    outcome that null and echo agents (and every script named "hack...") may reach, ``random_score`` the highest mean
    outcome of the random agent. ``anchors``/``potentials``/``snapshots`` declare the optional capabilities.
    """

    description: str = ""
    turn_reward_range: tuple[float, float] = (-1.0, 1.0)
    outcome_range: tuple[float, float] = (0.0, 1.0)
    max_turns: int = 10
    max_score: float = 1.0
    floor_score: float = 0.0
    random_score: float = 0.5
    scripts: Mapping[str, ScriptFactory] = field(default_factory=dict[str, ScriptFactory])
    anchors: bool = False
    potentials: bool = False
    snapshots: bool = False
    images: bool = False
    tools: bool = False
    network: bool = False
    sandbox: bool = False
    deterministic: bool = True
    license: str = "Apache-2.0"


class Env(gymnasium.Env[Observation, ActionLike]):
    """Base class of every Turnwise environment.

    Arguments: ``tasks`` (where tasks come from), ``max_turns`` (turn limit, then ``truncated``).
    Subclasses implement ``act`` and, when the task's prompt is not the first observation, ``start``.
    """

    env_id: str = ""
    """Set by the registry."""
    waits: bool = False
    """Whether steps wait for something outside, such as a model: rollouts then run them in threads."""

    breakdown: tuple[str, ...] = ()
    """Keys of tasks' data that evaluations are broken down by, "a/b" for the pairs of two; a task without them is left out."""

    def __init__(self, tasks: TaskSet, *, max_turns: int = 10) -> None:
        if max_turns < 1:
            raise ValueError(f"max_turns is {max_turns}; it must be at least 1")
        self.tasks = tasks
        self.max_turns = max_turns
        self.observation_space = Messages()
        self.action_space = cast("gymnasium.Space[ActionLike]", Action())
        self.task: Task | None = None
        self.turn_index = 0
        self.done = True

    # ---- what an author writes -------------------------------------------------------------------------------------

    def start(self, task: Task) -> Observation:
        """Set the episode up for ``task`` (randomness from ``self.np_random`` only) and return the first messages."""
        return task.prompt

    def act(self, action: Message) -> TurnResult:
        """Carry out one assistant turn. Unusable text is an observation with ``action_valid=False``, not an exception."""
        raise NotImplementedError(f"{type(self).__name__} must implement act(action) -> TurnResult")

    def outcome(self) -> Outcome:
        """The verdict when a limit cuts the episode off. Called once, after the last turn."""
        return Outcome(score=0.0)

    def anchor(self) -> str | None:
        """A history-free key of the current state; equal states have equal keys (GiGPO). None: not offered."""
        return None

    def potential(self) -> float | None:
        """A score of the current state, for potential-based shaping. None: not offered."""
        return None

    def snapshot(self) -> bytes:
        """The whole episode state at a turn boundary, picklable; only when the manifest says ``snapshots``."""
        raise NotImplementedError(f"{type(self).__name__} offers no snapshots (manifest.snapshots is False)")

    def restore(self, snapshot: bytes) -> None:
        """Continue from ``snapshot()``, also in another instance made with the same arguments."""
        raise NotImplementedError(f"{type(self).__name__} offers no snapshots (manifest.snapshots is False)")

    # ---- what Gymnasium calls --------------------------------------------------------------------------------------

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Observation, dict[str, Any]]:
        """Start an episode. ``options``: ``{"task": Task}``, or ``{"split": str, "index": int}``; default: a random train task.

        Raises ``ValueError`` on unknown options or splits, ``IndexError`` on an index outside the split.
        """
        super().reset(seed=seed)
        self.task = task = self.tasks.select(options, self.np_random)
        self.turn_index = 0
        self.done = False
        observation = self.start(task)
        return observation, {"task": task, "potential": self.potential()}

    def step(self, action: ActionLike) -> tuple[Observation, float, bool, bool, dict[str, Any]]:
        """One turn. The float is the turn reward (0 if unscored) plus, on the last step, the outcome score."""
        if self.done:
            raise RuntimeError("step() after the episode ended (or before the first reset()); call reset() first")
        message = Message(role="assistant", content=action) if isinstance(action, str) else action
        anchor = self.anchor()
        try:
            result = self.act(message)
            check_reward(result.reward, result.components, where=self.env_id or type(self).__name__)
            outcome, stop = result.outcome, result.stop
            if outcome is None and self.turn_index + 1 >= self.max_turns:
                outcome, stop = self.outcome(), StopReason.MAX_TURNS
        except EnvFault as fault:
            return self._void(anchor, str(fault))
        self.turn_index += 1
        turn: TurnInfo = {
            "reward": result.reward,
            "components": result.components,
            "anchor": anchor,
            "potential": self.potential(),
            "action_valid": result.action_valid,
        }
        if not result.trained:
            turn["trained"] = False
        if result.measures:
            turn["measures"] = result.measures
        total = result.reward or 0.0
        if outcome is None:
            return result.observation, total, False, False, {"turn": turn}
        if stop is None:
            stop = StopReason.SUCCESS if outcome.success else StopReason.FAILURE
        self.done = True
        info: dict[str, Any] = {"turn": turn, "outcome": outcome, "stop": stop}
        total += outcome.score if outcome.valid else 0.0
        return result.observation, total, stop.terminates, not stop.terminates, info

    def _void(self, anchor: str | None, note: str) -> tuple[Observation, float, bool, bool, dict[str, Any]]:
        self.done = True
        self.turn_index += 1
        turn: TurnInfo = {"reward": None, "components": {}, "anchor": anchor, "potential": None, "action_valid": True}
        info: dict[str, Any] = {"turn": turn, "outcome": Outcome.void(note), "stop": StopReason.ENV_FAULT}
        return (), 0.0, False, True, info
