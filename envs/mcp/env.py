"""``turnwise/MCP-v0``: the tools of any MCP server and a file of tasks, as an environment.

env = MCP("uvx my-server", tasks="tasks.yaml", hidden=["reset"]); env.reset(seed=0); env.step("<tool_call>...</tool_call>")
"""

from __future__ import annotations

import sys
import weakref
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, cast

from ...records import Outcome, Task, ToolCall, canonical_json
from ...rewards.tools import Call, progress, same_answer
from ..base import EnvFault, Manifest
from ..scripts import ECHO, NULL
from ..tasks import TaskSet
from ..tools.dialects import Said
from ..tools.env import ToolEnv
from ..tools.tool import Toolbox, ToolResult, ToolSpec, no_such_tool, tool
from ..tools.values import read_json
from .session import McpSession, ServerSpec, python_path
from .stockroom import ENV_ID, HIDDEN, StockTasks
from .tasks import load_tasks

OWN_NAMES = frozenset(("reset", "step", "state", "close", "render", "seed", "snapshot", "restore"))
"""Names no agent's tool may have: what an environment does itself (OpenEnv reserves reset, step, state and close)."""
RESERVED = OWN_NAMES | {"answer"}
DEFAULT_WEIGHTS: Mapping[str, float] = {"correctness": 1.0, "format": 0.02}


class MCP(ToolEnv):
    """Solve tasks with the tools of an MCP server.

    Actions: calls of the server's tools, several in a message if wanted, and ``answer(text)``, which ends the episode. Observations: what
    the tools gave; refusals, and calls that took longer than ``call_timeout`` seconds, as errors. Rewards: ``correctness``, how much
    nearer the turn came to the task's gold calls (ToolRL's match, all turns together at most 1; 0 where a task has none); ``format``;
    ``executed``. Outcome: 1 if the answer is right (where the task has one) and every check holds. Start: a session with the server, then
    the task's ``setup`` calls. End: ``answer``; truncated after ``max_turns`` with outcome 0; a server that dies voids the episode.

    Arguments: ``server``, a URL, a command line, a list or a mapping (see ``ServerSpec.of``; None: the stockroom that comes with Turnwise);
    ``tasks``, a file (see ``tasks.py``), a ``TaskSet``, or how many tasks a split of the stockroom has; ``hidden``, tools that only
    setup and checks may call; ``instructions`` before the server's own; ``keep_session``, play all episodes in one session: faster, and
    right only where ``setup`` brings the server into a known state (default: the stockroom only); ``start_timeout``; ``dialect``;
    ``weights``; ``max_turns``. Version 0.

    Raises ``ValueError`` for a server that cannot be run, bad tasks, and at the first reset for tools whose names are reserved.
    """

    components = ("format", "executed", "correctness")

    def __init__(
        self,
        server: str | Sequence[str] | Mapping[str, Any] | None = None,
        *,
        tasks: str | Path | TaskSet | int = 1000,
        hidden: Sequence[str] = (),
        instructions: str = "",
        keep_session: bool | None = None,
        call_timeout: float = 30.0,
        start_timeout: float = 60.0,
        dialect: str = "hermes",
        weights: Mapping[str, float] | None = None,
        max_turns: int = 15,
    ) -> None:
        need_mcp()
        if call_timeout <= 0 or start_timeout <= 0:
            raise ValueError(f"call_timeout is {call_timeout}, start_timeout {start_timeout}; they must be positive")
        if (server is None) != isinstance(tasks, int):
            raise ValueError("give server and a file of tasks together, or neither (the stockroom; tasks is then a number)")
        found = StockTasks(tasks) if isinstance(tasks, int) else tasks if isinstance(tasks, TaskSet) else load_tasks(tasks, ENV_ID)
        super().__init__(found, dialect=dialect, weights=DEFAULT_WEIGHTS if weights is None else weights, max_turns=max_turns)
        self.server = _demo() if server is None else ServerSpec.of(server)
        self._hidden = frozenset(HIDDEN if server is None else hidden)
        self._instructions = instructions
        self._keep = server is None if keep_session is None else keep_session
        self._call_timeout, self._start_timeout = call_timeout, start_timeout
        self._held = _Held()
        self._agent: _AgentTools | None = None
        self._before = 0.0
        self._judged: Outcome | None = None
        weakref.finalize(self, self._held.drop)  # also when the interpreter ends

    def open(self, task: Task) -> tuple[object, str]:
        session = self._session()
        self._agent = _AgentTools(session, self._hidden)
        self._before, self._judged = 0.0, None
        for row in task.data.get("setup", ()):
            done = session.call(row["name"], row["arguments"])
            if not done.ok:
                raise EnvFault(f"task {task.id!r}: setup call {row['name']} failed: {done.text}")
        rules = ["Solve the task with the functions below, then call answer: that ends the episode."]
        return self._agent, "\n".join(filter(None, (*rules, self._instructions, session.instructions)))

    def scored(self, said: Said, results: Sequence[ToolResult]) -> Mapping[str, float]:
        del said, results
        assert self._agent is not None
        assert self.task is not None
        wanted: list[Call] = [(row["name"], row["arguments"]) for row in self.task.data.get("gold", ())]
        before, self._before = self._before, progress(self._agent.made, wanted)
        return {"correctness": self._before - before}

    def verdict(self) -> Outcome | None:
        assert self._agent is not None
        assert self.task is not None
        if self._agent.answered is None:
            return None
        if self._judged is None:
            self._judged = self._judge(self._agent.answered, self.task)
        return self._judged

    def _judge(self, given: str, task: Task) -> Outcome:
        parts: dict[str, float] = {}
        notes: list[str] = []
        if "answer" in task.data:
            wanted = cast("str | list[str]", task.data["answer"])
            parts["answer"] = float(any(same_answer(given, w) for w in ([wanted] if isinstance(wanted, str) else wanted)))
        checks = cast("list[dict[str, Any]]", task.data.get("checks", []))
        if checks:
            session = self._session(new=False)
            held = [_holds(session.call(row["name"], row["arguments"]), row) for row in checks]
            parts["checks"] = sum(held) / len(held)
            notes = [f"check {n + 1} ({row['name']}) failed" for n, row in enumerate(checks) if not held[n]]
            if session.spent:
                raise EnvFault(f"task {task.id!r}: the server did not answer the checks")
        return Outcome(score=float(min(parts.values()) == 1.0), components=parts, note="; ".join(notes))

    def _session(self, *, new: bool = True) -> McpSession:
        """The session; with ``new``, one in which an episode may begin."""
        session = self._held.session
        if new and session is not None and (not self._keep or session.spent or not session.alive):
            self._held.drop()
            session = None
        if session is None:
            if not new:
                raise EnvFault("the session with the server was closed in the middle of the episode")
            session = McpSession(self.server, call_timeout=self._call_timeout, start_timeout=self._start_timeout)
            self._held.session = session
        return session

    def close(self) -> None:
        """End the session and its server; ``reset`` opens a new one."""
        self._held.drop()

    def __getstate__(self) -> dict[str, Any]:
        """A session cannot be copied: the copy begins with ``reset``."""
        return {**self.__dict__, "_held": _Held(), "_agent": None, "_toolbox": None, "done": True}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        weakref.finalize(self, self._held.drop)


class _Held:
    """The session of an environment, apart from it, so that it can be closed when the environment is gone."""

    def __init__(self) -> None:
        self.session: McpSession | None = None

    def drop(self) -> None:
        session, self.session = self.session, None
        if session is not None:
            session.close()


class _AgentTools:
    """What the agent may call: the server's tools but the hidden ones, and ``answer``."""

    def __init__(self, session: McpSession, hidden: frozenset[str]) -> None:
        names = [spec.name for spec in session.tools]
        unknown = sorted(hidden - set(names))
        if unknown:
            raise ValueError(f"hidden names {unknown}, which {session.server} does not have; it has: {', '.join(names)}")
        reserved = sorted(RESERVED & (set(names) - hidden))
        if reserved:
            raise ValueError(
                f"the tools {', '.join(reserved)} of {session.server} have names that are the environment's own, out of an agent's reach; "
                f"hide them (hidden={reserved}; setup and checks may then call them) or rename them in the server"
            )
        self._session = session
        self._own = Toolbox(self)
        self._offered = tuple(spec for spec in session.tools if spec.name not in hidden)
        self._names = {spec.name for spec in self._offered}
        self.made: list[Call] = []
        self.answered: str | None = None

    @property
    def specs(self) -> tuple[ToolSpec, ...]:
        return (*self._offered, *self._own.specs)

    @tool
    def answer(self, text: str) -> str:
        """End the episode. Give the answer the task asks for, or "done" where it asks for none.

        Args:
            text: The answer alone, without explanation.
        """
        self.answered = text
        return "The episode is over."

    def run(self, call: ToolCall) -> ToolResult:
        if call.name == "answer":
            return self._own.run(call)
        if call.name not in self._names:
            return no_such_tool(call.name, [spec.name for spec in self.specs])
        arguments = read_arguments(call.arguments)
        if isinstance(arguments, str):
            return ToolResult(text=f"Error: wrong arguments for {call.name}: {arguments}.", failure="invalid_arguments")
        self.made.append((call.name, arguments))
        return self._session.call(call.name, arguments)


def read_arguments(text: str) -> dict[str, Any] | str:
    """The arguments of a call, fit to be sent as JSON, or what is wrong with them."""
    try:
        value = read_json(text or "{}")
    except ValueError as error:
        return f"they are not JSON ({error})"
    return cast("dict[str, Any]", value) if isinstance(value, dict) else "they are not a JSON object"


def _holds(result: ToolResult, check: Mapping[str, Any]) -> bool:
    if not result.ok:
        return False
    if "contains" in check:
        return check["contains"] in result.text
    try:
        return canonical_json(result.value) == canonical_json(check["equals"])
    except ValueError:
        return False


def _demo() -> ServerSpec:
    command = (sys.executable, "-m", f"{__name__.rsplit('.', 1)[0]}.demo")
    return ServerSpec(command=command, env={"PYTHONPATH": python_path()})


def need_mcp() -> None:
    """Raise ``ImportError`` with what to install unless the package mcp is there."""
    from importlib.util import find_spec

    if find_spec("mcp") is None:
        raise ImportError("MCP needs the package mcp; pip install 'turnwise[tools]'")


_SCRIPTS = f"{__name__.rsplit('.', 1)[0]}.scripts"
MANIFEST = Manifest(
    description="The tools of any MCP server and a file of tasks; by default a stockroom.",
    turn_reward_range=(-1.0, 1.02),
    max_turns=15,
    random_score=0.05,
    scripts={
        "expert": f"{_SCRIPTS}:Gold",
        "random": f"{_SCRIPTS}:RandomCalls",
        "hack_spam": f"{_SCRIPTS}:Spam",
        "hack_answer": f"{_SCRIPTS}:AnswerOnly",
        "null": NULL,
        "echo": ECHO,
    },
    tools=True,
    network=True,
)
