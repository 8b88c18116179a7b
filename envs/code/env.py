"""``turnwise/Code-v0``: reason, run code in a sandbox, read what it prints, answer (tool-integrated reasoning).

env = Code(); env.reset(seed=0); env.step('<tool_call>{"name": "python", "arguments": {"code": "2**100"}}</tool_call>')
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, cast

from ...records import Outcome, Task, Trajectory
from ..base import EnvFault, Manifest, TurnResult
from ..sandbox.base import Limits, Sandbox, SandboxError
from ..sandbox.docker import DEFAULT_IMAGE
from ..sandbox.make import choose_backend, make_sandbox
from ..scripts import ECHO, NULL
from ..tasks import TaskSet
from ..tools.dialects import DIALECTS, Said, Xml
from ..tools.env import ToolEnv
from ..tools.tool import Toolbox, ToolResult
from .answers import boxed, equal
from .languages import Language, load_language
from .tasks import ENV_ID, Holdout, Procedural, Programs, ReasoningGym, from_jsonl, reasoning_gym_score
from .worlds import ProgramWorld, PythonWorld, limits_of

__all__ = ["ENV_ID", "MANIFEST", "Code", "code_of"]

DEFAULT_WEIGHTS: Mapping[str, float] = {"violation": 0.1}
_CODE = {"python": "code", "run": "program", "submit": "program"}
"""Tool -> the argument that holds code."""


class Code(ToolEnv):
    """Problems with exact answers, and a sandbox to compute in.

    Actions: tool calls ``python`` and ``answer``; for programs ``run`` and ``submit``. Observations: what was printed, with control
    characters and tags of tool dialects made visible as escapes, and why code was killed where it was. Rewards: ``violation``, -1 for a
    turn with any format violation (no call in the first turn, a call that cannot be read, an unknown tool, wrong arguments), weighted
    0.1 by default (GTPO, arXiv 2511.14846); ``format``; ``executed``. Outcome: 1 for the exact answer (a program: every hidden case),
    else 0; reasoning-gym's own score for its tasks. Start: the problem. End: the answer, also as ``\\boxed{}`` in a message without a
    call; truncated after ``max_turns``, with 0. The sandbox starts with the first call and ends with the episode.

    Arguments: ``tasks``: "procedural", "programs", "reasoning_gym:NAME" or the path of a .jsonl file; ``count`` tasks per split and
    ``holdout`` ("seed", or "template": other templates in the test split) for those that are made; ``language`` of programs, a name or a
    .yaml file; ``sandbox`` "auto", "bubblewrap", "docker" or "local" (no protection), ``image`` for Docker; ``timeout_s`` and
    ``memory_mb`` of one Python call; ``dialect``, ``weights``, ``max_turns``. Raises ``SandboxUnavailable`` where there is no sandbox.
    Version 0.
    """

    components = ("format", "executed", "violation")

    breakdown = ("kind",)

    def __init__(
        self,
        tasks: str = "procedural",
        *,
        count: int = 1000,
        holdout: Holdout = "seed",
        language: str = "python",
        sandbox: str = "auto",
        image: str = "",
        timeout_s: float = 10.0,
        memory_mb: int = 512,
        dialect: str = "hermes",
        weights: Mapping[str, float] | None = None,
        max_turns: int = 10,
    ) -> None:
        self.language: Language = load_language(language)
        self.limits = Limits(timeout_s=timeout_s, memory_mb=memory_mb)
        self.image = image or (self.language.image if tasks == "programs" else "") or DEFAULT_IMAGE
        self.backend = choose_backend(sandbox, self.image)
        super().__init__(
            _task_set(tasks, count, holdout, self.language.name),
            dialect=dialect,
            weights=DEFAULT_WEIGHTS if weights is None else weights,
            max_turns=max_turns,
        )
        self._world: PythonWorld | ProgramWorld = PythonWorld(self._no_sandbox)
        self._box: Sandbox | None = None
        self._files: dict[str, bytes] = {}

    # ---- the episode -----------------------------------------------------------------------------------------------

    def open(self, task: Task) -> tuple[object, str]:
        self._end()
        if task.data["kind"] == "program":
            cases = [(str(stdin), str(stdout)) for stdin, stdout in task.data["cases"]]
            self._files = {}
            self._world = ProgramWorld(self._sandbox, self._fresh, self.language, cases)
            return self._world, _program_rules(self.language)
        self._files = {name: str(text).encode() for name, text in task.data["files"].items()}
        self._world = PythonWorld(self._sandbox)
        return self._world, _python_rules(self.limits)

    def act(self, action: Any) -> TurnResult:
        try:
            result = super().act(action)
        except SandboxError as error:
            self._end()
            raise EnvFault(str(error)) from error
        if result.outcome is not None:
            self._end()
        return result

    def hear(self, text: str) -> str:
        world = self._world
        answer = boxed(text) if isinstance(world, PythonWorld) else None
        if answer and isinstance(world, PythonWorld):
            return world.answer(answer)
        return super().hear(text)

    def scored(self, said: Said, results: Sequence[ToolResult]) -> Mapping[str, float]:
        missing = self.turn_index == 0 and not said.calls
        wrong = any(result.failure in ("unknown_tool", "invalid_arguments") for result in results)
        return {"violation": -1.0 if said.problem or missing or wrong else 0.0}

    def verdict(self) -> Outcome | None:
        world = self._world
        if isinstance(world, ProgramWorld):
            return None if world.score is None else Outcome(score=world.score)
        if world.answered is None:
            return None
        assert self.task is not None
        data = self.task.data
        if data["kind"] == "reasoning_gym":
            return Outcome(score=reasoning_gym_score(data, world.answered))
        return Outcome(score=float(equal(world.answered, str(data["answer"]))))

    def outcome(self) -> Outcome:
        self._end()
        return Outcome(score=0.0)

    def close(self) -> None:
        self._end()
        super().close()

    # ---- the sandbox -----------------------------------------------------------------------------------------------

    def _sandbox(self) -> Sandbox:
        if self._box is None:
            limits = limits_of(self.language, self.limits) if isinstance(self._world, ProgramWorld) else self.limits
            self._box = make_sandbox(self.backend, limits=limits, files=self._files, image=self.image)
        return self._box

    def _fresh(self) -> Sandbox:
        self._end()
        return self._sandbox()

    def _end(self) -> None:
        if self._box is not None:
            self._box.close()
            self._box = None

    def _no_sandbox(self) -> Sandbox:
        raise RuntimeError("there is no episode; call reset() first")

    def __getstate__(self) -> dict[str, Any]:
        if self._box is not None:
            raise TypeError("an episode with a running sandbox cannot be pickled; close() the environment first")
        return {**self.__dict__, "_world": None, "_toolbox": None, "done": True}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._world = PythonWorld(self._no_sandbox)


def _task_set(tasks: str, count: int, holdout: Holdout, language: str) -> TaskSet:
    if tasks == "procedural":
        return Procedural(count, holdout)
    if tasks == "programs":
        return Programs(language, count, holdout)
    if tasks.startswith("reasoning_gym:"):
        return ReasoningGym(tasks.removeprefix("reasoning_gym:"), count)
    if tasks.endswith(".jsonl"):
        return from_jsonl(Path(tasks))
    raise ValueError(f"tasks is {tasks!r}; allowed: 'procedural', 'programs', 'reasoning_gym:NAME', or the path of a .jsonl file")


def _python_rules(limits: Limits) -> str:
    return (
        "Solve the problem. Think, and compute with python(code): it runs in a sandbox without network, "
        f"{limits.timeout_s:g} s and {limits.memory_mb} MB per call; variables and files stay from call to call. "
        "Then give the exact answer once with answer(value); that ends the episode. "
        "A message without a call whose last \\boxed{...} holds the answer does the same."
    )


def _program_rules(language: Language) -> str:
    return (
        f"Write a program in {language.name} that reads standard input and writes standard output. Try it with run(program, stdin); "
        f"each run may take {language.timeout_s:g} s and {language.memory_mb} MB, without network. Then hand it in once with "
        "submit(program); it must print exactly what is wanted for every hidden input."
    )


def code_of(trajectory: Trajectory, dialect: str = "hermes") -> str:
    """All code of an episode, in order: what ``CodeSimilarity`` compares. Calls that cannot be read have none."""
    empty = PythonWorld(lambda: cast("Sandbox", None))
    parse = Xml(Toolbox(empty).specs).parse if dialect == "xml" else DIALECTS[dialect]().parse
    found: list[str] = []
    for turn in trajectory.turns:
        for call in parse(turn.action).calls:
            try:
                arguments = json.loads(call.arguments)
            except ValueError:
                continue
            code = cast("dict[str, Any]", arguments).get(_CODE.get(call.name, "")) if isinstance(arguments, dict) else None
            if isinstance(code, str):
                found.append(code)
    return "\n".join(found)


MANIFEST = Manifest(
    description="Reason, run Python or programs in a sandbox, answer exactly.",
    turn_reward_range=(-0.1, 0.0),
    max_turns=10,
    random_score=0.05,
    scripts={
        "expert": "turnwise.envs.code.experts:Gold",
        "noisy": "turnwise.envs.code.experts:Noisy",
        "random": "turnwise.envs.code.experts:RandomCode",
        "hack_guess": "turnwise.envs.code.experts:Guess",
        "hack_spam": "turnwise.envs.code.experts:Spam",
        "hack_look": "turnwise.envs.code.experts:Look",
        "hack_claim": "turnwise.envs.code.experts:Claim",
        "null": NULL,
        "echo": ECHO,
    },
    tools=True,
    sandbox=True,
)
