"""The host's side of a sandbox: starts the driver, talks to it in frames over its own pipes, believes nothing, restarts what broke."""

from __future__ import annotations

import contextlib
import marshal
import os
import select
import signal
import struct
import subprocess
import threading
import time
import weakref
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from types import TracebackType
from typing import Any, TypeAlias

import numpy as np

from . import driver, interpreter
from .base import ExecResult, Limits, PythonResult, SandboxError

GRACE_S = 5.0
"""How much longer than a call's limit the driver may take to say how it went, before everything is killed from outside."""
START_S = 20.0
_MAX_FRAME = 80_000_000
MAX_CODE = 200_000
"""Characters of code, or bytes of arguments, in one call."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """How a backend starts the driver: ``argv``, files it inherits, and what else is to be done when the sandbox ends."""

    argv: list[str]
    environ: Mapping[str, str]
    inherited: tuple[int, ...] = ()
    clean: Callable[[], None] | None = None


Starter: TypeAlias = Callable[[Limits], Command]
"""Makes the ``Command``; called again for every restart. Its ``inherited`` descriptors are closed after the start."""


class Broken(Exception):
    """The driver died or talks nonsense: code in the sandbox did that."""


@lru_cache(maxsize=1)
def driver_source() -> str:
    """The program that runs in the sandbox: interpreter.py, then driver.py without the lines that only their being two files needs."""
    future = "from __future__ import annotations\n"
    first, second = (Path(str(module.__file__)).read_text(encoding="utf-8") for module in (interpreter, driver))
    lines = [line for line in second.replace(future, "").splitlines() if not line.startswith("from .interpreter import")]
    return "\n".join([first, *lines, ""])


class Session:
    """One running driver."""

    def __init__(self, command: Command) -> None:
        self.process = subprocess.Popen(
            command.argv,
            env=dict(command.environ),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            pass_fds=command.inherited,
            start_new_session=True,
            bufsize=0,
        )
        for fd in command.inherited:
            os.close(fd)
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        assert self.process.stderr is not None
        self._in, self._out, self._err = self.process.stdin, self.process.stdout, self.process.stderr
        os.set_blocking(self._in.fileno(), False)
        self._serial = np.random.default_rng()
        self.close = weakref.finalize(self, _end, self.process, command.clean)
        self.exited = False

    def ready(self) -> None:
        """Wait until the driver answers. Raises ``SandboxError`` with what the backend wrote."""
        try:
            if len(self._frame(time.monotonic() + START_S)) == driver.HEADER.size:
                return
            said = "it answered in a way that is not the driver's"
        except Broken as error:
            os.set_blocking(self._err.fileno(), False)
            said = (self._err.read() or b"").decode("utf-8", "replace").strip()[-2000:] or str(error)
        self.close()
        raise SandboxError(f"the sandbox did not start ({self.process.args[0]!r}): {said}")  # pyright: ignore[reportIndexIssue, reportUnknownMemberType, reportUnknownArgumentType]

    def call(self, operation: str, arguments: tuple[Any, ...], timeout: float) -> tuple[int, int, bytes, int, bytes, int]:
        """(code, flags, output, bytes of it in all, errors, bytes of them in all). Raises ``Broken``."""
        serial = int(self._serial.integers(1, 1 << 32))
        body = marshal.dumps((serial, operation, arguments), 2)
        deadline = time.monotonic() + timeout
        self._send(struct.pack("!I", len(body)) + body, deadline)
        answer = self._frame(deadline)
        if len(answer) < driver.HEADER.size:
            raise Broken("a frame without a header")
        echoed, code, flags, total, errors_total, length = driver.HEADER.unpack_from(answer)
        if echoed != serial or length > len(answer) - driver.HEADER.size:
            raise Broken("a frame that answers nothing that was asked")
        split = driver.HEADER.size + length
        return code, flags, answer[driver.HEADER.size : split], total, answer[split:], errors_total

    def _send(self, data: bytes, deadline: float) -> None:
        view = memoryview(data)
        while view:
            _, writable, _ = select.select([], [self._in], [], max(0.0, deadline - time.monotonic()))
            if not writable:
                raise Broken("no request is taken any more")
            try:
                view = view[os.write(self._in.fileno(), view) :]
            except BlockingIOError:
                continue
            except OSError as error:
                raise Broken(f"its process has ended ({type(error).__name__})") from error

    def _frame(self, deadline: float) -> bytes:
        length = int.from_bytes(self._read(4, deadline), "big")
        if length > _MAX_FRAME:
            raise Broken(f"a frame of {length} bytes")
        return self._read(length, deadline)

    def _read(self, count: int, deadline: float) -> bytes:
        pieces: list[bytes] = []
        while count:
            readable, _, _ = select.select([self._out], [], [], max(0.0, deadline - time.monotonic()))
            if not readable:
                raise Broken("no answer in time")
            piece = os.read(self._out.fileno(), min(count, 1 << 20))
            if not piece:
                raise Broken("its process has ended")
            pieces.append(piece)
            count -= len(piece)
        return b"".join(pieces)


def _end(process: subprocess.Popen[bytes], clean: Callable[[], None] | None) -> None:
    """Kill the driver's session and wait. When its input closes the driver ends by itself, and with it all in its process namespace."""
    for pipe in (process.stdin, process.stdout, process.stderr):
        if pipe is not None:
            pipe.close()
    try:
        process.wait(timeout=1.0)
    except subprocess.TimeoutExpired:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)
        process.kill()
        process.wait()
    if clean is not None:
        clean()


class DriverSandbox:
    """A ``Sandbox`` that speaks with the driver. It starts with the first call, and again when code in it has destroyed it.

    ``starter`` makes the command; ``files`` are put into the work folder at every start. Calls from several threads wait for each
    other. Raises ``SandboxError`` when it cannot be started, or was closed.
    """

    def __init__(self, backend: str, starter: Starter, limits: Limits, files: Mapping[str, bytes]) -> None:
        self.backend, self.limits = backend, limits
        self.files = dict(files)
        self.starts = 0
        self._starter = starter
        self._session: Session | None = None
        self._closed = False
        self._lock = threading.Lock()

    def __enter__(self) -> DriverSandbox:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def python(self, code: str, timeout_s: float | None = None) -> PythonResult:
        if len(code) > MAX_CODE:
            return PythonResult(
                output=b"", raised=True, problem=f"the code has {len(code)} characters; the most is {MAX_CODE}; it was not run"
            )
        limits = self.limits.within(timeout_s)
        text = code.encode("utf-8", "backslashreplace").decode()  # half a surrogate pair cannot be sent
        with self._lock:
            try:
                exit_code, flags, output, total, errors, _ = self._call("python", (text, self._wire(limits)), limits.timeout_s + GRACE_S)
            except Broken as error:
                return PythonResult(output=b"", problem=f"the whole sandbox was destroyed ({error}); it was started again, all variables "
                                    "and all files that were made are gone")  # fmt: skip
        problem = _problem(exit_code, flags, limits, output + errors, flags & driver.LOST != 0)
        if flags & driver.LOST:
            problem += "; the interpreter was started again, all variables are gone"
        return PythonResult(
            output=output + errors,
            raised=bool(flags & driver.RAISED),
            timed_out=bool(flags & driver.TIMED_OUT),
            truncated=total > len(output),
            problem=problem,
        )

    def exec(
        self, argv: Sequence[str], *, stdin: bytes = b"", timeout_s: float | None = None, environ: Mapping[str, str] | None = None
    ) -> ExecResult:
        limits = self.limits.within(timeout_s)
        words = [word.replace("\0", "\\0").encode("utf-8", "replace").decode() for word in argv]
        if not words or sum(map(len, words)) > MAX_CODE:
            return ExecResult(exit_code=127, stdout=b"", problem=f"a command has 1 to {MAX_CODE} characters; it was not run")
        with self._lock:
            try:
                arguments = (words, bytes(stdin), dict(environ or {}), self._wire(limits))
                exit_code, flags, out, out_total, err, err_total = self._call("run", arguments, limits.timeout_s + GRACE_S)
            except Broken as error:
                return ExecResult(exit_code=-9, stdout=b"", problem=f"the whole sandbox was destroyed ({error}); it was started again, "
                                  "all files that were made are gone")  # fmt: skip
        return ExecResult(
            exit_code=exit_code,
            stdout=out,
            stderr=err,
            timed_out=bool(flags & driver.TIMED_OUT),
            truncated=out_total > len(out) or err_total > len(err),
            problem=_problem(exit_code, flags, limits, err, False),
        )

    def read(self, path: str) -> bytes:
        with self._lock:
            try:
                most = self.limits.file_size_mb << 20
                code, _, data, size, errors, _ = self._call("read", (path.replace("\0", ""), most), START_S)
            except Broken as error:
                raise FileNotFoundError(f"{path!r} cannot be read: the sandbox was destroyed ({error})") from error
        if code:
            raise FileNotFoundError(f"{path!r} cannot be read: {errors.decode('utf-8', 'replace')}")
        if size > len(data):
            raise ValueError(f"{path!r} has {size} bytes; the most is {most}")
        return data

    def write(self, path: str, data: bytes) -> None:
        with self._lock:
            try:
                code, _, _, _, errors, _ = self._call("write", (path.replace("\0", ""), bytes(data)), START_S)
            except Broken as error:
                raise OSError(f"{path!r} cannot be written: the sandbox was destroyed ({error})") from error
        if code:
            raise OSError(f"{path!r} cannot be written: {errors.decode('utf-8', 'replace')}")

    def close(self) -> None:
        self._closed = True
        if self._session is not None:
            self._session.close()
            self._session = None

    def _call(self, operation: str, arguments: tuple[Any, ...], timeout: float) -> tuple[int, int, bytes, int, bytes, int]:
        if self._closed:
            raise SandboxError("the sandbox was closed; make another one")
        session = self._session or self._start()
        try:
            answer = session.call(operation, arguments, timeout)
        except Broken:
            session.close()
            self._session = None
            raise
        if answer[1] & driver.FILES or (answer[1] & driver.RAISED and operation in ("python", "run") and answer[0] == 1 and answer[4]):
            session.close()  # the driver ends itself
            self._session = None
        return answer

    def _start(self) -> Session:
        session = Session(self._starter(self.limits))
        session.ready()
        self.starts += 1
        try:
            for path, data in self.files.items():
                code, _, _, _, errors, _ = session.call("write", (path, data), START_S)
                if code:
                    raise SandboxError(f"{path!r} cannot be put into the sandbox: {errors.decode('utf-8', 'replace')}")
        except (Broken, SandboxError) as error:
            session.close()
            raise error if isinstance(error, SandboxError) else SandboxError(f"the sandbox did not take its files: {error}") from error
        self._session = session
        return session

    def _wire(self, limits: Limits) -> driver.Limits:
        mega = 1 << 20
        return {
            "timeout": limits.timeout_s,
            "memory": limits.memory_mb * mega,
            "file_size": limits.file_size_mb * mega,
            "processes": limits.processes if self.backend == "bubblewrap" else 0,  # docker's cgroup counts; elsewhere nothing can
            "cpu": limits.cpu_s,
            "keep": limits.keep_kb << 10,
            "flood": limits.flood_mb * mega,
            "max_files": limits.max_files,
        }


def _problem(code: int, flags: int, limits: Limits, errors: bytes, lost: bool) -> str:
    if flags & driver.TIMED_OUT:
        return f"it took longer than {limits.timeout_s:g} s and was killed"
    if flags & driver.FLOODED:
        return f"it wrote more than {limits.flood_mb} MB and was killed"
    if flags & driver.MEMORY:
        return f"it used more than {limits.memory_mb} MB of memory and was killed"
    if flags & driver.FILES:
        return f"it made more than {limits.max_files} files and was killed; all files that were made are gone"
    if not lost:
        return ""
    if code < 0:
        return f"its process was killed by signal {-code}"
    return f"its process ended, or closed its connection (exit code {code})"
