"""mini-swe-agent's interface (version 2, text form): one shell command a message, each in a shell of its own; and its file formats.

    command_of("Look.\\n```bash\\nls\\n```")                 # "ls"
    MiniEnvironment(box).execute({"command": "ls"})         # for mini-swe-agent's own agents, on our sandbox
    to_mini(trajectory), predictions(trajectories)          # what it writes, of our episodes

Source: mini-swe-agent 2.4.6. Nothing of it is imported here, but the exception that ends its agents, and that by ``MiniEnvironment`` alone.
"""

from __future__ import annotations

import platform
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from ...records import Message, StopReason, Trajectory
from ..sandbox.base import ExecResult, Sandbox
from .paging import whole
from .tools import lost_files

SUBMIT = "COMPLETE_TASK_AND_SUBMIT_FINAL_OUTPUT"
FORMAT = "mini-swe-agent-1.1"
MAX_SHOWN, KEPT = 10_000, 5_000
"""Characters from which an output is cut, and how many are left of its beginning and of its end."""
FORMAT_ERRORS = 3
"""Messages without exactly one command, one after the other, that end an episode."""
ENVIRON = {"PAGER": "cat", "MANPAGER": "cat", "LESS": "-R", "PIP_PROGRESS_BAR": "off", "TQDM_DISABLE": "1"}
_BLOCK = re.compile(r"```mswea_bash_command\s*\n(.*?)\n```", re.DOTALL)
_PLAIN_BLOCK = re.compile(r"```bash\s*\n(.*?)\n```", re.DOTALL)
_MAX_TEXT = 200_000

RULES = f"""You work on a repository through a shell, one command at a time.

Every message of yours holds one fenced block tagged mswea_bash_command, and in it one command (commands may be joined with && or ||).
Say before it what you are about to do and why:

I look at the files first.

```mswea_bash_command
ls -la
```

Each command runs in a new shell in the repository's folder: folders and variables do not stay, files do. There is no network.
python3 -m pytest runs the tests. Change the code, not the tests; hidden tests decide. When you are done send the command

```mswea_bash_command
echo {SUBMIT}
```

alone. It ends your work."""


def commands_of(text: str) -> list[str]:
    """The commands of a message: blocks tagged ``mswea_bash_command``; where there is none, those tagged ``bash`` (version 1)."""
    if len(text) > _MAX_TEXT:
        return []
    found = _BLOCK.findall(text) or _PLAIN_BLOCK.findall(text)
    return [command.strip() for command in found]


def command_of(text: str) -> str | None:
    """The command of a message; None unless there is exactly one."""
    found = commands_of(text)
    return found[0] if len(found) == 1 else None


def format_error(text: str) -> str:
    """What an agent is told whose message does not hold exactly one command."""
    return (
        f"Format error: seen {len(commands_of(text))} commands, allowed is exactly 1. Write one block tagged mswea_bash_command:\n\n"
        "```mswea_bash_command\nyour command\n```\n\nYour last message was not carried out."
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Ran:
    """How a command went, as mini-swe-agent tells it: ``returncode`` -1 and ``exception_info`` where it was killed."""

    output: str
    returncode: int
    exception_info: str = ""
    lost_files: bool = False
    """It went beyond a limit on which the sandbox starts anew."""

    @property
    def submission(self) -> str | None:
        """What stands below the line that submits; None where the command did not submit."""
        lines = self.output.lstrip().splitlines(keepends=True)
        if lines and lines[0].strip() == SUBMIT and self.returncode == 0:
            return "".join(lines[1:])
        return None

    def text(self) -> str:
        """The observation."""
        head = f"<exception>{_safe(self.exception_info)}</exception>\n" if self.exception_info else ""
        head += f"<returncode>{self.returncode}</returncode>\n"
        if len(self.output) < MAX_SHOWN:
            return f"{head}<output>\n{_safe(self.output)}</output>"
        return (
            f"{head}<warning>\nThe output is too long to be shown whole. Ask for less of it: use head, tail, sed or a narrower search, "
            "or write it into a file and look into that.\n</warning>"
            f"<output_head>\n{_safe(self.output[:KEPT])}\n</output_head>\n<elided_chars>\n{len(self.output) - 2 * KEPT} characters elided\n"
            f"</elided_chars>\n<output_tail>\n{_safe(self.output[-KEPT:])}\n</output_tail>"
        )


def run(box: Sandbox, command: str, timeout_s: float, cwd: str = "", environ: Mapping[str, str] | None = None) -> Ran:
    """Run a command in a new bash, output and errors together."""
    inner = 'cd -- "$2" && exec bash -c "$1" 2>&1' if cwd else 'exec bash -c "$1" 2>&1'
    result = box.exec(["bash", "-c", inner, "bash", command, cwd], timeout_s=timeout_s, environ=ENVIRON if environ is None else environ)
    return ran(result)


def ran(result: ExecResult) -> Ran:
    output = (result.stdout + result.stderr).decode("utf-8", "replace")
    if result.truncated:
        output += "\n[more was printed than is kept]"
    if result.problem:
        told = f"The command did not come to its end: {result.problem}"
        return Ran(output=output, returncode=-1, exception_info=told, lost_files=lost_files(result))
    return Ran(output=output, returncode=result.exit_code)


def _safe(text: str) -> str:
    return whole(text.encode("utf-8", "replace"))


# ---- its agents on our sandbox -------------------------------------------------------------------------------------------


@dataclass(slots=True, kw_only=True)
class MiniConfig:
    """Fields of mini-swe-agent's environments. ``cwd`` "": the work folder; ``timeout`` in seconds for a command."""

    cwd: str = ""
    timeout: int = 60
    env: dict[str, str] = field(default_factory=lambda: dict(ENVIRON))

    def model_dump(self, mode: str = "python") -> dict[str, Any]:
        del mode
        return asdict(self)


class MiniEnvironment:
    """An environment in the sense of mini-swe-agent, on a sandbox of ours. ``submitted``: its exception ``Submitted``, imported from the
    installed package where none is given."""

    def __init__(self, box: Sandbox, *, submitted: Callable[[dict[str, Any]], Exception] | None = None, **config: Any) -> None:
        self.box = box
        self.config = MiniConfig(**config)
        self._submitted = submitted

    def execute(self, action: Mapping[str, Any], cwd: str = "", *, timeout: int | None = None) -> dict[str, Any]:
        """Run ``action["command"]``: {"output", "returncode", "exception_info"}. Raises ``Submitted`` where it submits."""
        done = run(
            self.box, str(action.get("command", "")), timeout or self.config.timeout, cwd=cwd or self.config.cwd, environ=self.config.env
        )
        if done.submission is not None:
            message = {
                "role": "exit",
                "content": done.submission,
                "extra": {"exit_status": "Submitted", "submission": done.submission},
            }
            raise self._exception()(message)
        return {"output": done.output, "returncode": done.returncode, "exception_info": done.exception_info}

    def get_template_vars(self, **kwargs: Any) -> dict[str, Any]:
        return {**self.config.model_dump(), **platform.uname()._asdict(), **kwargs}

    def serialize(self) -> dict[str, Any]:
        about = {"environment": self.config.model_dump(), "environment_type": f"{type(self).__module__}.{type(self).__name__}"}
        return {"info": {"config": about}}

    def _exception(self) -> Callable[[dict[str, Any]], Exception]:
        if self._submitted is None:
            from importlib import import_module

            self._submitted = import_module("minisweagent.exceptions").Submitted
        assert self._submitted is not None
        return self._submitted


# ---- its files, of our episodes ------------------------------------------------------------------------------------------

_EXITS = {
    StopReason.MAX_TURNS: "LimitsExceeded",
    StopReason.MAX_TOKENS: "LimitsExceeded",
    StopReason.CONTEXT_OVERFLOW: "ContextWindowExceededError",
    StopReason.TIMEOUT: "TimeExceeded",
    StopReason.INVALID_ACTION: "RepeatedFormatError",
}


def patch_of(trajectory: Trajectory) -> str:
    """The patch that an episode of ``turnwise/SWE-v0`` handed in; "" where it handed in none."""
    last = trajectory.final_observation[-1].text if trajectory.final_observation else ""
    return last if last.startswith("diff --git ") else ""


def to_mini(trajectory: Trajectory) -> dict[str, Any]:
    """An episode as mini-swe-agent writes it (``*.traj.json``). Messages before and after each action are kept as they were."""
    messages: list[dict[str, Any]] = []
    for turn in trajectory.turns:
        messages += [_message(m) for m in turn.observation]
        actions = [{"command": command} for command in commands_of(turn.action.text)]
        messages.append({**_message(turn.action), "extra": {"actions": actions}})
    patch = patch_of(trajectory)
    messages += [_message(m) for m in trajectory.final_observation[: -1 if patch else None]]
    status = "Submitted" if trajectory.outcome.components.get("submitted") else _EXITS.get(trajectory.stop, trajectory.stop.value)
    messages.append({"role": "exit", "content": patch, "extra": {"exit_status": status, "submission": patch}})
    return {
        "info": {
            "model_stats": {"instance_cost": 0.0, "api_calls": len(trajectory.turns)},
            "config": {"agent_type": trajectory.agent, "environment_type": trajectory.env_version},
            "exit_status": status,
            "submission": patch,
        },
        "messages": messages,
        "trajectory_format": FORMAT,
        "instance_id": trajectory.task.id,
    }


def predictions(trajectories: Iterable[Trajectory]) -> dict[str, dict[str, str]]:
    """SWE-bench's predictions: {instance id: {model_name_or_path, instance_id, model_patch}}. Raises ``ValueError`` for two of a task."""
    found: dict[str, dict[str, str]] = {}
    for trajectory in trajectories:
        name = trajectory.task.id
        if name in found:
            raise ValueError(f"two episodes are of task {name!r}; a file of predictions holds one of each, so choose one")
        found[name] = {"model_name_or_path": trajectory.agent, "instance_id": name, "model_patch": patch_of(trajectory)}
    return found


def _message(message: Message) -> dict[str, Any]:
    made: dict[str, Any] = {"role": message.role, "content": message.text}
    if message.tool_calls:
        made["tool_calls"] = [
            {"id": c.id, "type": "function", "function": {"name": c.name, "arguments": c.arguments}} for c in message.tool_calls
        ]
    if message.tool_call_id is not None:
        made["tool_call_id"] = message.tool_call_id
    return made
