"""tau2-bench's domains as Turnwise environments, through tau2's own ``AgentGymEnv``; needs the package ``tau2`` from its repository.

    env = Tau2("retail"); env.reset(seed=0, options={"split": "test", "index": 0})
    load_tau2("data/tau2/domains/airline/tasks.json", domain="airline")

tau2's environment says ``truncated=False`` whatever happened; here the reason why a simulation ended decides.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

from ...records import Message, Observation, Outcome, StopReason, Task, ToolCall
from ..base import EnvFault, Manifest, TurnResult
from ..search.rows import BadRow, LoadReport, Row, parsed, read_rows, text_field
from ..tasks import ListTaskSet, SplitType, TaskSet
from ..tools.env import ToolEnv
from ..tools.tool import ToolResult, ToolSpec, no_such_tool, render, without_titles
from ..tools.values import read_json

ENV_ID = "tau2"
STOP = "###STOP###"
REWARDS = ("DB", "ENV_ASSERTION", "NL_ASSERTION", "ACTION", "COMMUNICATE")
ENDS: Mapping[str, StopReason | None] = {
    "user_stop": None,
    "agent_stop": None,
    "max_steps": StopReason.MAX_TURNS,
    "timeout": StopReason.TIMEOUT,
    "too_many_errors": StopReason.FAILURE,
    "agent_error": StopReason.INVALID_ACTION,
}
"""Why a simulation ended, and how it counts; None: by its reward. Every other reason (infrastructure_error, user_error,
context_window_exceeded, unexpected_error) says nothing about the agent and voids the episode."""


class Tau2(ToolEnv):
    """Serve a simulated customer with the tools and the policy of a tau2 domain.

    Actions: calls of the domain's tools, or text for the customer. Observations: results, and what the customer says. Rewards: none for
    turns unless ``weights`` (``format``, ``executed``) says so. Outcome: tau2's reward, the product over the task's reward_basis. Start:
    the customer's first words. End: the customer or the agent stops (``done``); truncated after ``max_steps`` of tau2's steps or
    ``max_turns`` messages; failures of the simulation void. Arguments: ``domain`` (airline, retail, telecom, ...); ``tasks``, a
    ``TaskSet`` of ``load_tau2``, or None for all of the domain's as split test; ``max_steps``; ``solo``, work on a ticket without
    customer; ``user_llm`` and ``user_llm_args``, who plays the customer; ``dialect``; ``weights``; ``max_turns``. Version: tau2's.
    """

    def __init__(
        self,
        domain: str = "airline",
        *,
        tasks: TaskSet | None = None,
        max_steps: int = 200,
        solo: bool = False,
        user_llm: str | None = None,
        user_llm_args: Mapping[str, Any] | None = None,
        dialect: str = "hermes",
        weights: Mapping[str, float] | None = None,
        max_turns: int = 100,
    ) -> None:
        if max_steps < 1:
            raise ValueError(f"max_steps is {max_steps}; it must be at least 1")
        _gym()
        given = tasks if tasks is not None else _domain_tasks(domain)
        super().__init__(given, dialect=dialect, weights=weights or {}, max_turns=max_turns)
        model = {"user_llm": user_llm, "user_llm_args": None if user_llm_args is None else dict(user_llm_args)}
        self._arguments: dict[str, Any] = {"domain": domain, "max_steps": max_steps, "solo_mode": solo, **model}
        self._inner: Any = None
        self._first = ""
        self._over: Outcome | None = None
        self._stop: StopReason | None = None

    def open(self, task: Task) -> tuple[object, str]:
        self.close()
        self._over, self._stop = None, None
        try:
            self._inner = _gym().AgentGymEnv(task_id=task.data["task"]["id"], **self._arguments)
            seen, info = self._inner.reset(seed=int(self.np_random.integers(2**31)))
        except Exception as error:  # whatever tau2, or the model that plays the customer, raises
            raise EnvFault(f"tau2 could not start task {task.id!r}: {type(error).__name__}: {error}") from error
        self._first = _said(seen) or str(task.data["task"].get("ticket") or "")
        return _Tools(self, info["tools"]), str(info["policy"])

    def start(self, task: Task) -> Observation:
        system, *_ = super().start(task)
        return (system, Message(role="user", content=self._first))

    def hear(self, text: str) -> str:
        if not text.strip():
            return "Write something to the customer, or call a function."
        return self.forward(text)

    def verdict(self) -> Outcome | None:
        return self._over

    def act(self, action: Message) -> TurnResult:
        result = super().act(action)
        return result if result.outcome is None or self._stop is None else replace(result, stop=self._stop)

    def forward(self, action: str) -> str:
        """One step of tau2; what it shows."""
        try:
            seen, reward, over, _, info = self._inner.step(action)
        except Exception as error:  # as in open
            self._inner = None
            raise EnvFault(f"tau2 failed: {type(error).__name__}: {error}") from error
        if over:
            self._end(float(reward), info.get("simulation_run"))
        return _said(seen) or "The conversation is over."

    def _end(self, reward: float, run: object) -> None:
        self._inner = None
        if not isinstance(run, str) or not run:
            raise EnvFault("tau2's simulation broke off without a record")
        reason = str(json.loads(run).get("termination_reason"))
        if reason not in ENDS:
            raise EnvFault(f"tau2's simulation ended with {reason}")
        self._stop = ENDS[reason]
        self._over = Outcome(
            score=reward if self._stop is None else 0.0, success=self._stop is None and abs(reward - 1.0) <= 1e-6, note=reason
        )

    def close(self) -> None:
        """End a simulation that still runs: tau2 keeps a thread that waits for the agent."""
        if self._inner is not None:
            inner, self._inner = self._inner, None
            inner.step(STOP)


class _Tools:
    """tau2's tools; every call is a step."""

    def __init__(self, env: Tau2, tools: list[Any]) -> None:
        self._env = env
        found: list[ToolSpec] = []
        for tool in tools:
            function = tool.openai_schema["function"]
            parameters: dict[str, Any] = {"type": "object", "properties": {}}
            parameters.update(without_titles(function["parameters"]))
            found.append(ToolSpec(name=function["name"], description=function["description"], parameters=parameters))
        self._specs = tuple(found)

    @property
    def specs(self) -> tuple[ToolSpec, ...]:
        return self._specs

    def run(self, call: ToolCall) -> ToolResult:
        names = [spec.name for spec in self._specs]
        if call.name not in names:
            return no_such_tool(call.name, names)
        try:
            arguments = read_json(call.arguments or "{}")
        except ValueError as error:
            return ToolResult(text=f"Error: the arguments of {call.name} are not JSON ({error}).", failure="invalid_arguments")
        if not isinstance(arguments, dict):
            return ToolResult(text=f"Error: the arguments of {call.name} are no JSON object.", failure="invalid_arguments")
        seen = self._env.forward(json.dumps({"name": call.name, "arguments": arguments}))
        return ToolResult(text=render(seen), failure="refused" if seen.startswith(("Error", "Invalid action")) else None)


def _said(seen: object) -> str:
    """What tau2 shows, without the name of who says it."""
    text = str(seen or "")
    for role in ("user: ", "tool: ", "assistant: "):
        text = text.removeprefix(role)
    return text


def load_tau2(
    path: str | Path, domain: str, split: SplitType = "test", *, skip_bad: bool = False, report: LoadReport | None = None
) -> ListTaskSet:
    """The tasks of a tau2 domain (a JSON list of {id, user_scenario, initial_state, evaluation_criteria}), each whole in ``data["task"]``.

    Raises ``ValueError`` for a bad row (with file and line; ``skip_bad`` counts it in ``report`` instead), and for none.
    """
    rows = parsed(read_rows(path), lambda row: _task(row, domain, split), report or LoadReport(source=str(path)), skip_bad=skip_bad)
    tasks = list(rows)
    if not tasks:
        raise ValueError(f"{path}: no tasks")
    return ListTaskSet({split: (split, tasks)})


def _task(row: Row, domain: str, split: str) -> Task:
    id = text_field(row, "id")
    if not isinstance(row.get("user_scenario"), dict):
        raise BadRow(f"task {id!r}: user_scenario is no object")
    criteria: Any = row.get("evaluation_criteria") or {}
    if not isinstance(criteria, dict):
        raise BadRow(f"task {id!r}: evaluation_criteria is no object")
    given = cast("Row", criteria)
    basis: Any = given.get("reward_basis") or []
    unknown = [name for name in basis if name not in REWARDS]
    if unknown:
        raise BadRow(f"task {id!r}: reward_basis holds {unknown[0]!r}; allowed: {', '.join(REWARDS)}")
    actions: Any = given.get("actions") or []
    for action in cast("list[object]", actions):
        if not isinstance(action, dict) or "name" not in action or "arguments" not in action:
            raise BadRow(f"task {id!r}: an action has no name or no arguments")
    return Task(id=f"{domain}-{id}", env_id=ENV_ID, split=split, data={"domain": domain, "task": row})


def _domain_tasks(domain: str) -> ListTaskSet:
    from importlib import import_module

    registry: Any = import_module("tau2.registry").registry
    rows = [cast("Row", json.loads(task.model_dump_json())) for task in registry.get_tasks_loader(domain)()]
    return ListTaskSet({"test": ("test", [_task(row, domain, "test") for row in rows])})


def _gym() -> Any:
    from importlib import import_module

    try:
        return import_module("tau2.gym.gym_agent")
    except ImportError as error:
        raise ImportError(
            "this needs tau2-bench, which is installed from its repository: pip install git+https://github.com/sierra-research/tau2-bench "
            "(the package tau2 on PyPI is something else)"
        ) from error


MANIFEST = Manifest(
    description="A domain of tau2-bench.", turn_reward_range=(0.0, 2.0), max_turns=100, tools=True, network=True, deterministic=False
)
