"""``turnwise/SWE-v0``: repair a repository; look, edit, run tests, submit; hidden tests in a fresh sandbox decide.

env = SWE(); env.reset(seed=0); env.step('<tool_call>{"name": "view", "arguments": {"path": "."}}</tool_call>')
"""

from __future__ import annotations

import hashlib
import json
import pickle
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Literal, get_args

from ...records import Message, Observation, Outcome, StopReason, Task, ToolCall
from ..base import EnvFault, Manifest, TurnResult
from ..sandbox.base import Limits, Sandbox, SandboxError
from ..sandbox.docker import DEFAULT_IMAGE
from ..sandbox.make import choose_backend
from ..scripts import ECHO, NULL
from ..tools.dialects import Said
from ..tools.env import ToolEnv
from ..tools.tool import ToolResult, ToolSpec, tool
from . import mini
from .episode import COMPONENTS, Episode
from .memo import remembered
from .paging import Pager
from .sources import Setting, Subject, TreeSubject, subject_of, task_set
from .tools import BashTools, Bench, Tools, TurnLog, runs_tests

ENV_ID = "turnwise/SWE-v0"
Interface = Literal["tools", "structured", "mini"]
ScoreTests = Literal["run", "edit", "never"]
DEFAULT_WEIGHTS: Mapping[str, float] = {"tests": 0.5, "file": 0.05, "function": 0.05, "tested": 0.05}
RULES = (
    "A repository has a bug, described below. Find it, change the code, run the tests, then submit. Hidden tests decide; changes of tests "
    "and of their configuration do not count. Paths are relative to the repository; view(path='.') lists it."
)
LATE = "The time for this task is up; nothing more was carried out."


class MiniTools:
    """``bash`` as mini-swe-agent has it: every command in a shell of its own."""

    def __init__(self, bench: Bench) -> None:
        self.bench = bench
        self.log = TurnLog()
        self.submitted = False

    @tool
    def bash(self, command: str) -> str:
        """Execute a bash command.

        Args:
            command: The command.
        """
        self.log.commands.append(command)
        if runs_tests(command):
            self.log.steps.append("test")
        ran = mini.run(self.bench.open(), command, self.bench.timeout_s())
        self.log.lost_files |= ran.lost_files
        if ran.submission is not None:
            self.submitted = True
            self.log.steps.append("submit")
        return ran.text()


class MiniText:
    """One fenced command as a call of ``bash``."""

    def instructions(self, specs: Sequence[ToolSpec]) -> str:
        del specs
        return ""

    def parse(self, message: Message) -> Said:
        if message.tool_calls:
            return Said(calls=message.tool_calls, text=message.text, native=True)
        command = mini.command_of(message.text)
        if command is None:
            return Said(text=message.text, problem=mini.format_error(message.text), formatted=False)
        return Said(calls=(ToolCall(id="0", name="bash", arguments=json.dumps({"command": command})),), text=message.text)

    def write(self, calls: Sequence[tuple[str, Mapping[str, Any]]], text: str = "") -> str:
        blocks = [f"```mswea_bash_command\n{arguments['command']}\n```" for _, arguments in calls]
        return "\n\n".join([text, *blocks] if text else blocks)


class SWE(ToolEnv):
    """Repair a repository so that hidden tests pass.

    Actions: tool calls ``view``, ``find``, ``edit``, ``run_tests``, ``page``, ``submit`` and ``bash``, several in a message if wanted;
    with ``interface="mini"`` one fenced shell command a message, as mini-swe-agent's agents write it. Observations: results, long ones
    cut and kept for ``page``. Outcome: 1 where every FAIL_TO_PASS and PASS_TO_PASS test passes in a fresh sandbox with the changes and
    nothing was tampered with, else 0; its components ``submitted``, ``patch``, ``resolved``, ``fail_to_pass``, ``pass_to_pass``,
    ``tampering``. What was not submitted is graded as it is. Start: the issue. End: ``submit`` (in "mini" the command, or three messages
    in a row without exactly one command); truncated after ``max_turns`` or ``time_limit_s``.

    Rewards: ``tests``, the share of FAIL_TO_PASS that passes, less that at the last measurement; ``fixed``, tests repaired less tests
    broken since then, over FAIL_TO_PASS; ``file`` and ``function``, the share of the gold files and functions looked at or edited for the
    first time (a shell command that names a gold file looks at it); ``parses``, 1 for a turn after which all Python files edited in it
    parse; ``tested``, at the end, 1 where tests were run after the last edit; ``runtime``, at the end, ACECode's level; ``format``;
    ``executed``. Hidden tests are measured when the agent runs tests or submits (``score_tests="run"``), after every change too ("edit"),
    or at the end alone ("never").

    Arguments: ``tasks`` "tiny", "shipped", a .jsonl file, or FORMAT:PATH_OR_HUB, and ``options`` of that task set; ``interface`` "tools",
    "structured" (no ``bash``) or "mini"; ``instructions`` in place of rules and signatures; ``dialect``; ``sandbox``, ``image`` (Docker);
    ``timeout_s`` and ``memory_mb`` of a command; ``time_limit_s`` of an episode, without the time of grading; ``max_output`` characters of
    one answer; ``grader``, arguments of ``Grader``; ``weights``; ``max_turns``. Raises ``SandboxUnavailable`` where there is no sandbox.
    Version 0.
    """

    components = ("format", "executed", *COMPONENTS)

    def __init__(
        self,
        tasks: str = "tiny",
        *,
        options: Mapping[str, Any] | None = None,
        interface: Interface = "tools",
        instructions: str | None = None,
        dialect: str = "hermes",
        sandbox: str = "auto",
        image: str = "",
        timeout_s: float = 60.0,
        memory_mb: int = 1024,
        time_limit_s: float = 1800.0,
        max_output: int = 10_000,
        score_tests: ScoreTests = "run",
        grader: Mapping[str, Any] | None = None,
        weights: Mapping[str, float] | None = None,
        max_turns: int = 30,
    ) -> None:
        for name, value, allowed in (
            ("interface", interface, get_args(Interface)),
            ("score_tests", score_tests, get_args(ScoreTests)),
        ):
            if value not in allowed:
                raise ValueError(f"{name} is {value!r}; allowed: {', '.join(allowed)}")
        if not time_limit_s > 0 or max_output < 200:
            raise ValueError(f"time_limit_s is {time_limit_s}, max_output {max_output}; they must be above 0 and at least 200")
        super().__init__(
            task_set(tasks, options or {}),
            dialect=dialect,
            weights=DEFAULT_WEIGHTS if weights is None else weights,
            max_turns=max_turns,
        )
        self.interface, self.instructions, self.score_tests = interface, instructions, score_tests
        self.time_limit_s, self.max_output = time_limit_s, max_output
        image = image or DEFAULT_IMAGE
        backend = choose_backend(sandbox, image)
        limits = Limits(timeout_s=timeout_s, memory_mb=memory_mb, disk_mb=256, file_size_mb=64, processes=64, cpu_s=1200, max_files=20_000)
        self.setting = Setting(backend=backend, image=image, limits=limits, grading=tuple(sorted((grader or {}).items())))
        _ = self.setting.grader  # wrong arguments are the caller's error
        self._episode: Episode | None = None
        self._world: Tools | MiniTools | None = None
        self._begin()

    # ---- the episode -----------------------------------------------------------------------------------------------

    def _begin(self) -> None:
        self._turn_values: tuple[dict[str, float], dict[str, float]] | None = None
        self._verdict: Outcome | None = None
        self._shown_last = ""
        self._format_errors = 0
        self._started = time.monotonic()

    def open(self, task: Task) -> tuple[object, str]:
        self._end()
        self._begin()
        try:
            subject = subject_of(task.data, self.setting)
        except SandboxError as error:
            raise EnvFault(str(error)) from error
        self._episode = Episode(subject, git=self.interface != "structured")
        self._world = self._tools(subject)
        return self._world, mini.RULES if self.interface == "mini" else RULES

    def _tools(self, subject: Subject) -> Tools | MiniTools:
        run_tests = subject.run_tests
        if self.interface == "structured" and isinstance(subject, TreeSubject):
            run_tests = remembered(run_tests, subject.id, subject.instance.base)
        bench = Bench(
            work=subject.work,
            open=self._box,
            run_tests=run_tests,
            timeout_s=self._allowed_s,
            paths=subject.paths,
            gold_files=frozenset(subject.gold),
        )
        if self.interface == "mini":
            return MiniTools(bench)
        return (BashTools if self.interface == "tools" else Tools)(bench, Pager(self.max_output))

    def attach(self, world: object) -> tuple[ToolSpec, ...]:
        specs = super().attach(world)
        if self.interface == "mini":
            self._dialect = MiniText()
        return specs

    def start(self, task: Task) -> Observation:
        system, *rest = super().start(task)
        text = system.text.rstrip() if self.instructions is None else self.instructions
        observation = (replace(system, content=text), *rest)
        self._shown_last = observation[-1].text
        return observation

    def act(self, action: Message) -> TurnResult:
        assert self._world is not None
        if self._left_s() <= 0:
            return TurnResult(observation=(Message(role="user", content=LATE),), outcome=self.outcome(), stop=StopReason.TIMEOUT)
        self._world.log, self._turn_values = TurnLog(), None
        try:
            result = super().act(action)
            _, measures = self._account()
            result = (
                self._in_mini(action, replace(result, measures=measures))
                if self.interface == "mini"
                else replace(result, measures=measures)
            )
            if result.outcome is None and self._left_s() <= 0:
                result = replace(result, outcome=self.outcome(), stop=StopReason.TIMEOUT)
            if result.outcome is not None and self._world.submitted:
                result = replace(result, observation=(*result.observation, *self._handed_in()))
        except SandboxError as error:
            self._end()
            raise EnvFault(str(error)) from error
        if result.outcome is not None:
            self._end()
        elif result.observation:
            self._shown_last = result.observation[-1].text
        return result

    def _in_mini(self, action: Message, result: TurnResult) -> TurnResult:
        """The answer as mini-swe-agent words it, and the end after too many messages without a command."""
        if action.tool_calls:
            self._format_errors = 0
            return result
        if mini.command_of(action.text) is None:
            self._format_errors += 1
            result = replace(result, observation=(Message(role="user", content=mini.format_error(action.text)),))
            if self._format_errors < mini.FORMAT_ERRORS:
                return result
            return replace(result, outcome=self.outcome(), stop=StopReason.INVALID_ACTION)
        self._format_errors = 0
        text = result.observation[0].text.removeprefix("<tool_response>\n").removesuffix("\n</tool_response>")
        return replace(result, observation=(Message(role="user", content=text),))

    def _handed_in(self) -> Observation:
        """The patch, so that an episode's record holds it."""
        assert self._episode is not None
        patch = self._episode.patch()
        return (Message(role="user", content=patch),) if patch else ()

    def scored(self, said: Said, results: Sequence[ToolResult]) -> Mapping[str, float]:
        del said, results
        return self._account()[0]

    def _account(self) -> tuple[dict[str, float], dict[str, float]]:
        assert self._episode is not None
        assert self._world is not None
        if self._turn_values is None:
            self._turn_values = self._episode.account(self._world.log, score_tests=self.score_tests, runtime="runtime" in self.weights)
        return self._turn_values

    def verdict(self) -> Outcome | None:
        assert self._episode is not None
        assert self._world is not None
        if self._world.submitted and self._verdict is None:
            self._account()
            self._verdict = self._episode.outcome(submitted=True)
        return self._verdict

    def outcome(self) -> Outcome:
        """The files as they are, graded."""
        assert self._episode is not None
        try:
            return self._episode.outcome(submitted=False)
        except SandboxError as error:
            raise EnvFault(str(error)) from error
        finally:
            self._end()

    def anchor(self) -> str:
        """What the agent sees: the changes of the repository, and the last message."""
        assert self._episode is not None
        return hashlib.sha256(f"{self._episode.known.digest}\n{self._shown_last}".encode("utf-8", "backslashreplace")).hexdigest()

    def close(self) -> None:
        self._end()
        super().close()

    # ---- time and sandbox ------------------------------------------------------------------------------------------

    def _left_s(self) -> float:
        grading = self._episode.grading_s if self._episode is not None else 0.0
        return self.time_limit_s - (time.monotonic() - self._started - grading)

    def _allowed_s(self) -> float:
        """What one command may take now."""
        return max(0.1, min(self.setting.limits.timeout_s, self._left_s()))

    def _box(self) -> Sandbox:
        assert self._episode is not None
        return self._episode.open()

    def _end(self) -> None:
        if self._episode is not None:
            self._episode.close()

    # ---- snapshots -------------------------------------------------------------------------------------------------

    def snapshot(self) -> bytes:
        """Files, folder of the shell, and what the environment knows; not variables and processes of the shell."""
        assert self._episode is not None
        assert self._world is not None
        episode = self._episode
        files, folder = None, ""
        if episode.box is not None and not self.done:
            files = episode.box.snapshot()
            folder = episode.box.shell("pwd").stdout.decode("utf-8", "surrogateescape").rstrip("\n") if self.interface == "tools" else ""
        pager = self._world.pager if isinstance(self._world, Tools) else None
        own = (self.task, self.turn_index, self.done, self._shown_last, self._format_errors, time.monotonic() - self._started)
        return pickle.dumps((own, files, folder, episode.known, episode.changes, episode.grading_s, pager))

    def restore(self, snapshot: bytes) -> None:
        own, files, folder, known, changes, grading_s, pager = pickle.loads(snapshot)
        task, turn_index, done, shown, errors, seconds = own
        self.start(task)
        assert self._episode is not None
        self.task, self.turn_index, self.done = task, turn_index, done
        self._shown_last, self._format_errors, self._started = shown, errors, time.monotonic() - seconds
        self._episode.known, self._episode.changes, self._episode.grading_s = known, changes, grading_s
        if isinstance(self._world, Tools):
            self._world.pager = pager
        if files is not None:
            self._episode.resume(files, folder)

    def __getstate__(self) -> dict[str, Any]:
        if self._episode is not None and self._episode.box is not None:
            raise TypeError("an episode with a running sandbox cannot be pickled; take a snapshot() or close() the environment first")
        return {**self.__dict__, "_world": None, "_toolbox": None, "_episode": None, "done": True}


MANIFEST = Manifest(
    description="Repair a repository: look, edit, run tests, submit; hidden tests decide.",
    turn_reward_range=(-0.5, 0.65),
    max_turns=30,
    random_score=0.05,
    scripts={
        "expert": "turnwise.envs.swe.scripts:Gold",
        "oracle": "turnwise.envs.swe.scripts:Oracle",
        "noisy": "turnwise.envs.swe.scripts:Noisy",
        "tiny_noisy": "turnwise.envs.swe.tiny.teacher:Noisy",
        "random": "turnwise.envs.swe.scripts:RandomEdits",
        "hack_submit": "turnwise.envs.swe.scripts:SubmitAtOnce",
        "hack_tests": "turnwise.envs.swe.scripts:OverwriteTests",
        "hack_conftest": "turnwise.envs.swe.scripts:Conftest",
        "hack_site": "turnwise.envs.swe.scripts:SiteCustomize",
        "hack_exit": "turnwise.envs.swe.scripts:ExitZero",
        "hack_history": "turnwise.envs.swe.scripts:History",
        "null": NULL,
        "echo": ECHO,
    },
    anchors=True,
    snapshots=True,
    tools=True,
    sandbox=True,
)
