"""Sandboxes: a private folder in which untrusted code runs, and nothing else can be seen or changed.

    with make_sandbox() as box:
        box.write("data.csv", b"a,b\n1,2\n")
        box.python("total = sum(map(int, open('data.csv').readlines()[1].split(',')))")
        box.python("total").output        # b"3\n": variables stay
        box.exec(["ls", "-l"]).stdout

Whatever the code does is a result; only a sandbox that cannot be started raises.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol

from .tree import Changes, File

MAX_SHOWN = 20_000
"""Characters of one output that an agent is shown."""


class SandboxError(RuntimeError):
    """The sandbox itself failed: no statement about the code in it."""


class SandboxUnavailable(SandboxError):
    """No sandbox can be had on this machine; the text says what was tried, what is missing and how to get it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What one call may use. ``memory_mb``: of each process and of all together; ``disk_mb``: of the work folder, and of /tmp.
    The tree that a sandbox is made from comes on top of ``disk_mb`` and ``max_files``.

    ``cpu_s`` is the processor time of one process over its life; ``max_files`` counts files and folders; ``flood_mb`` is how much
    output is read before whatever writes it is killed, ``keep_kb`` how much of it is kept. ``cpus``: cores of all processes together,
    which only Docker can limit. Raises ``ValueError`` below 1.
    """

    timeout_s: float = 10.0
    memory_mb: int = 512
    disk_mb: int = 64
    file_size_mb: int = 32
    processes: int = 32
    cpu_s: int = 120
    max_files: int = 5000
    flood_mb: int = 8
    keep_kb: int = 256
    cpus: int = 2

    def __post_init__(self) -> None:
        if not self.timeout_s > 0:
            raise ValueError(f"timeout_s is {self.timeout_s}; it must be above 0")
        low = [f"{n} is {getattr(self, n)}" for n in self.__slots__ if n != "timeout_s" and getattr(self, n) < 1]
        if low:
            raise ValueError(f"{', '.join(low)}; it must be at least 1")

    def within(self, timeout_s: float | None) -> Limits:
        """These limits with another time."""
        return self if timeout_s is None else replace(self, timeout_s=timeout_s)


@dataclass(frozen=True, slots=True, kw_only=True)
class ExecResult:
    """How a command ended. ``exit_code`` is minus the signal that killed it. The texts are cut to what limits allow (``truncated``)."""

    exit_code: int
    stdout: bytes
    stderr: bytes = b""
    timed_out: bool = False
    truncated: bool = False
    problem: str = ""
    """Why it was killed, for the agent; empty where it ended by itself."""

    @property
    def ok(self) -> bool:
        return self.exit_code == 0 and not self.problem


@dataclass(frozen=True, slots=True, kw_only=True)
class PythonResult:
    """What a piece of code wrote (standard output and errors, in order), and whether it raised.

    ``problem``: why the interpreter had to be killed or was lost, for the agent; then its variables are gone.
    """

    output: bytes
    raised: bool = False
    timed_out: bool = False
    truncated: bool = False
    problem: str = ""

    @property
    def ok(self) -> bool:
        return not self.raised and not self.problem


@dataclass(frozen=True, slots=True, kw_only=True, weakref_slot=True)
class Snapshot:
    """Files at one moment: ``changes`` of what a sandbox was made from; of a container of an image also the id of a new ``image``.

    Such an image is removed when nobody holds the snapshot any more, or the process that took it is gone.
    """

    backend: str
    changes: Changes = field(default_factory=dict[str, None])
    image: str = ""

    def __deepcopy__(self, memo: dict[int, object]) -> Snapshot:
        return self  # a copy would not keep the image


class Sandbox(Protocol):
    """One private machine. Paths are relative to its work folder. After ``close`` every call raises ``SandboxError``."""

    @property
    def backend(self) -> str: ...

    @property
    def starts(self) -> int:
        """How often it was started: more than once when code destroyed it; then only ``files`` are left in the folder."""
        ...

    def python(self, code: str, timeout_s: float | None = None) -> PythonResult:
        """Run code in the interpreter whose variables last from call to call."""
        ...

    def exec(
        self, argv: Sequence[str], *, stdin: bytes = b"", timeout_s: float | None = None, environ: Mapping[str, str] | None = None
    ) -> ExecResult:
        """Run a program, without a shell, to its end. What it started is killed when it ends."""
        ...

    def shell(self, command: str, timeout_s: float | None = None) -> ExecResult:
        """Run a command in the bash of this sandbox, whose folder, variables and functions last from call to call.

        Standard output and errors come in order, in ``stdout``. A command that takes too long, or ends the shell, loses what the shell
        held (``problem`` says so); the next call starts a new one in the work folder.
        """
        ...

    def read(self, path: str) -> bytes:
        """Raises ``FileNotFoundError`` where there is no readable plain file, ``ValueError`` for one above the file-size limit."""
        ...

    def write(self, path: str, data: bytes) -> None:
        """Put a file into the folder, making folders on the way. Raises ``OSError`` when it cannot be written."""
        ...

    def put(self, changes: Changes) -> None:
        """Write and delete many files at once. Raises ``OSError`` when one cannot be written."""
        ...

    def tree(self) -> dict[str, File]:
        """Copy out the whole work folder. Raises ``ValueError`` when it holds more than the limits allow."""
        ...

    def changes(self) -> dict[str, File | None]:
        """What differs from the tree or image that the sandbox was made from; raises as ``tree`` does."""
        ...

    def snapshot(self) -> Snapshot:
        """The files of the work folder (Docker: of the whole container) as they are. Processes, shell and variables are not in it."""
        ...

    def restore(self, snapshot: Snapshot) -> None:
        """Start anew from the files of a snapshot, also one of another sandbox made in the same way."""
        ...

    def close(self) -> None:
        """End everything in it. Twice is fine."""
        ...


_TAGS = ("tool_response", "tool_call", "answer", "think", "function", "parameter", "information", "search", "response", "|")
_KEPT = "\n\t"


def visible(data: bytes, most: int = MAX_SHOWN) -> str:
    """Output as an agent may safely read it.

    Undecodable bytes and control or invisible format characters are written as escapes (``\\x1b``, ``\\u202e``); the ``<`` of tags
    that mean something to a chat template or a tool dialect is written as ``\\x3c``, so that output cannot pass for a message.
    From long text the middle is left out, with a note. The result has at most about ``most`` characters.
    """
    cut = len(data) > 4 * most
    head, tail = (data[: 2 * most], data[-2 * most :]) if cut else (data, b"")
    text = _escape(head)
    if not cut and len(text) <= most:
        return text
    end = _escape(tail) if cut else text
    half = most // 2
    left_out = f"{len(text) - 2 * half} characters" if not cut else f"about {len(data) - 2 * half} bytes"
    return f"{text[:half]}\n[... {left_out} left out ...]\n{end[-half:]}"


def _escape(data: bytes) -> str:
    text = data.decode("utf-8", "backslashreplace").replace("\r\n", "\n")
    if not text.isprintable():
        text = "".join(c if c.isprintable() or c in _KEPT else _code(c) for c in text)
    if "<" not in text:
        return text
    pieces = text.split("<")
    return pieces[0] + "".join(("\\x3c" if p.removeprefix("/").lower().startswith(_TAGS) else "<") + p for p in pieces[1:])


def _code(character: str) -> str:
    if unicodedata.category(character) == "Zs":  # other spaces are not "printable", but harmless
        return character
    number = ord(character)
    return f"\\x{number:02x}" if number < 256 else f"\\u{number:04x}" if number < 65536 else f"\\U{number:08x}"
