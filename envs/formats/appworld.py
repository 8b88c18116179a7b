"""AppWorld's tasks as a Turnwise environment, through AppWorld's own client; needs the package ``appworld`` and its data.

    env = AppWorldEnv(); env.reset(seed=0, options={"split": "dev", "index": 0}); env.step("<code>print(1)</code>")

AppWorld's evaluation is a set of state checks that fail on collateral damage too; ``rewards/state.py`` has such checks for other states.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from importlib import import_module
from typing import Any, cast

from ...records import Message, Observation, Outcome, Task
from ..base import Env, EnvFault, Manifest, TurnResult
from ..tasks import Split, SplitType, TaskSet
from ..tools.tool import render

ENV_ID = "appworld"
SPLITS: Mapping[str, SplitType] = {"train": "train", "dev": "validation", "test_normal": "test", "test_challenge": "test"}
_CODE = re.compile(r"<code>(.*?)</code>", re.DOTALL)
_RULES = (
    "You work in the apps of {name} ({email}) by writing Python. Reply with one piece of code between <code> and </code>; `apis` is "
    "there, and what you print is shown. When the task is done, call apis.supervisor.complete_task(), with answer=... where one is asked "
    "for."
)


class AppWorldEnv(Env):
    """Do a task in AppWorld's apps by writing code.

    Actions: text with one ``<code>...</code>``; anything else is told and not executed. Observations: what the code printed. Rewards: turns
    are unscored. Outcome: 1 if AppWorld's evaluation succeeds, also where the turn limit ends the episode. Start: the instruction. End:
    the task is marked as completed; truncated after ``max_turns``. Arguments: ``experiment_name``; ``remote_environment_url`` of a
    server of AppWorld's, one for each environment; ``max_turns``.
    """

    def __init__(self, *, experiment_name: str = "turnwise", remote_environment_url: str | None = None, max_turns: int = 40) -> None:
        self._client = _client()
        super().__init__(AppWorldTasks(), max_turns=max_turns)
        self._arguments: dict[str, Any] = {"experiment_name": experiment_name}
        if remote_environment_url is not None:
            self._arguments["remote_environment_url"] = remote_environment_url
        self._world: Any = None

    def start(self, task: Task) -> Observation:
        self.close()
        try:
            self._world = self._client.AppWorld(task_id=task.data["task_id"], **self._arguments)
            supervisor, instruction = self._world.task.supervisor, str(self._world.task.instruction)
        except Exception as error:  # whatever AppWorld, or its server, raises
            raise EnvFault(f"AppWorld could not start task {task.id!r}: {type(error).__name__}: {error}") from error
        who = {name: str(_field(supervisor, name)) for name in ("first_name", "last_name", "email")}
        rules = _RULES.format(name=f"{who['first_name']} {who['last_name']}", email=who["email"])
        return (Message(role="system", content=rules), Message(role="user", content=instruction))

    def act(self, action: Message) -> TurnResult:
        found = _CODE.findall(action.text)
        if len(found) != 1:
            told = f"Error: {len(found)} pieces of code; write exactly one, between <code> and </code>."
            return TurnResult(observation=(Message(role="user", content=told),), action_valid=False)
        try:
            shown = str(self._world.execute(found[0]))
            over = bool(self._world.task_completed())
        except Exception as error:  # errors of the agent's code are in what execute returns
            raise EnvFault(f"AppWorld failed: {type(error).__name__}: {error}") from error
        return TurnResult(observation=(Message(role="user", content=render(shown)),), outcome=self.outcome() if over else None)

    def outcome(self) -> Outcome:
        try:
            return Outcome(score=float(self._world.evaluate().success))
        except Exception as error:
            raise EnvFault(f"AppWorld could not evaluate: {type(error).__name__}: {error}") from error

    def close(self) -> None:
        if self._world is not None:
            world, self._world = self._world, None
            world.close()


class AppWorldTasks(TaskSet):
    """The task ids of AppWorld's data."""

    def __init__(self) -> None:
        self._ids: dict[str, list[str]] = {}

    def list_splits(self) -> list[Split]:
        return [Split(name=name, type=kind, num_tasks=len(self._of(name))) for name, kind in SPLITS.items()]

    def get_task(self, split: str, index: int) -> Task:
        self.check_index(split, index)
        id = self._of(split)[index]
        return Task(id=id, env_id=ENV_ID, split=split, data={"task_id": id})

    def _of(self, split: str) -> list[str]:
        if split not in self._ids:
            self._ids[split] = list(_client().load_task_ids(split))
        return self._ids[split]


def _field(holder: Any, name: str) -> Any:
    return cast("Mapping[str, Any]", holder)[name] if isinstance(holder, Mapping) else getattr(holder, name)


def _client() -> Any:
    try:
        return import_module("appworld")
    except ImportError as error:
        raise ImportError("this needs AppWorld: pip install appworld, then appworld install and appworld download data") from error


MANIFEST = Manifest(description="A task in AppWorld's apps, done by writing code.", max_turns=40, sandbox=True, deterministic=False)
