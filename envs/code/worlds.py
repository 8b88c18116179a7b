"""The tools of ``turnwise/Code-v0``: Python with a memory, and programs that are judged by what they print."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from ...rewards.code import io_reward
from ..base import EnvFault
from ..sandbox.base import ExecResult, Limits, Sandbox, visible
from ..tools.tool import ToolError, tool
from .languages import Language

MAX_OUTPUT = 16_000
"""Characters of output shown per call."""
MAX_ANSWER = 100_000
Opener = Callable[[], Sandbox]


class PythonWorld:
    """``python`` and ``answer``. ``open`` gives the episode's sandbox; it is asked at the first call."""

    def __init__(self, open: Opener) -> None:
        self._open = open
        self.answered: str | None = None
        self.calls = 0

    @tool
    def python(self, code: str) -> str:
        """Run Python code and read what it prints. Variables and files stay from call to call; the value of a last expression is shown.

        Args:
            code: The code.
        """
        self.calls += 1
        result = self._open().python(code)
        notes = [visible(result.output, MAX_OUTPUT).rstrip("\n")] if result.output else []
        if result.truncated:
            notes.append("[more was printed than is kept]")
        if result.problem:
            notes.append(f"[{_sentence(result.problem)}]")
        return "\n".join(notes) or "[no output; print what you want to see]"

    @tool
    def answer(self, value: str | int | float) -> str:
        """Give the final answer. It counts, and ends the episode.

        Args:
            value: The answer alone, without words around it.
        """
        self.answered = str(value)[:MAX_ANSWER]
        return "The answer was taken."


class ProgramWorld:
    """``run`` and ``submit``, for programs in one language. Nothing of the hidden cases but their inputs ever enters a sandbox."""

    def __init__(self, open: Opener, fresh: Opener, language: Language, cases: list[tuple[str, str]]) -> None:
        self._open, self._fresh = open, fresh
        self.language, self.cases = language, cases
        self.score: float | None = None
        self.calls = 0

    @tool
    def run(self, program: str, stdin: str = "") -> str:
        """Compile and run a program, and see what it prints.

        Args:
            program: The whole source text.
            stdin: What it reads from standard input.
        """
        self.calls += 1
        box = self._ready(self._open())
        refused = self._build(box, program)
        result = refused or self._execute(box, stdin)
        text = [f"{'compiler ' if refused else ''}exit code {result.exit_code}"]
        for name, data in (("output", result.stdout), ("errors", result.stderr)):
            if data:
                text.append(f"{name}:\n{visible(data, MAX_OUTPUT // 2)}".rstrip("\n"))
        if result.problem:
            text.append(f"[{_sentence(result.problem)}]")
        return "\n".join(text)

    @tool
    def submit(self, program: str) -> str:
        """Hand in the final program. It is run on hidden inputs; that counts, and ends the episode.

        Args:
            program: The whole source text.
        """
        box = self._ready(self._fresh())  # nothing of earlier runs may be in the way of the verdict, or help it
        seen: list[str | None] = [None] * len(self.cases)
        if self._build(box, program) is None:
            for place, (stdin, _) in enumerate(self.cases):
                result = self._execute(box, stdin)
                if not result.ok or result.truncated:
                    break
                seen[place] = result.stdout.decode("utf-8", "replace")
        self.score = io_reward(seen, [wanted for _, wanted in self.cases])
        return "The program was taken."

    def _ready(self, box: Sandbox) -> Sandbox:
        for name in self.language.programs if not box.starts else ():
            if not box.exec(["sh", "-c", 'command -v "$0"', name]).ok:
                raise EnvFault(f"{name}, which {self.language.name} needs, is not installed in the {box.backend} sandbox")
        return box

    def _build(self, box: Sandbox, program: str) -> ExecResult | None:
        """What the compiler said, where it failed."""
        try:
            box.write(self.language.filename, program.encode("utf-8", "backslashreplace"))
        except OSError as error:
            raise ToolError(f"the program cannot be stored: {visible(str(error).encode('utf-8', 'replace'), 300)}") from error
        if self.language.compile is None:
            return None
        result = box.exec(self.language.compile, timeout_s=max(20.0, self.language.timeout_s))
        return None if result.ok else result

    def _execute(self, box: Sandbox, stdin: str) -> ExecResult:
        result = box.exec(self.language.run, stdin=stdin.encode("utf-8", "backslashreplace"))
        return replace(result, problem="it printed more than is kept") if result.truncated and not result.problem else result


def limits_of(language: Language, limits: Limits) -> Limits:
    """The sandbox of a language: its own time and memory."""
    return replace(limits, timeout_s=language.timeout_s, memory_mb=language.memory_mb)


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:] + "."
