"""A sandbox made of a driver that runs in it: what its calls mean, and what happens when code in it breaks it."""

from __future__ import annotations

import os
import threading
from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import Any

from . import inside
from .base import ExecResult, Limits, PythonResult, SandboxError, SandboxUnavailable, Snapshot
from .session import START_S, Broken, Command, Connection, Session, Starter, driver_source
from .transfer import Base, decode, records, to_bytes
from .tree import MAX_TREE_MB, Changes, File, apply, difference

__all__ = ["Broken", "Command", "DriverSandbox", "Session", "Starter", "driver_source"]

GRACE_S = 5.0
"""How much longer than a call's limit the driver may take to say how it went, before everything is killed from outside."""
COPY_S = 60.0
"""What one piece of a tree may take on its way in or out."""
MAX_CODE = 200_000
"""Characters of code, or bytes of arguments, in one call."""
NEW_SHELL = "; the shell's folder, variables and functions are gone, the next command starts a new one in the work folder"


class DriverSandbox:
    """A ``Sandbox`` that speaks with the driver. It starts with the first call, and again when code in it has destroyed it.

    ``starter`` makes the command; ``base`` (or plain ``files``) is put into the work folder at every start. ``work`` is that folder's
    path inside. Calls from several threads wait for each other. Raises ``SandboxError`` when it cannot be started, or was closed.
    """

    def __init__(self, backend: str, starter: Starter, limits: Limits, files: Mapping[str, bytes] | Base, *, work: str = "/work") -> None:
        self.backend, self.limits = backend, limits
        self.base = files if isinstance(files, Base) else Base(files=files)
        self.starts = 0
        self.unreadable: tuple[str, ...] = ()
        """What the last ``tree`` or ``changes`` left out because it cannot be read."""
        self._work = work
        self._starter = starter
        self._restored: Changes = {}
        self._owner = 0
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
        problem = _problem(exit_code, flags, limits, output + errors, flags & inside.LOST != 0)
        if flags & inside.LOST:
            problem += "; the interpreter was started again, all variables are gone"
        return PythonResult(
            output=output + errors,
            raised=bool(flags & inside.RAISED),
            timed_out=bool(flags & inside.TIMED_OUT),
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
            timed_out=bool(flags & inside.TIMED_OUT),
            truncated=out_total > len(out) or err_total > len(err),
            problem=_problem(exit_code, flags, limits, err, False),
        )

    def shell(self, command: str, timeout_s: float | None = None) -> ExecResult:
        if "\0" in command or len(command) > MAX_CODE:
            problem = f"a command has at most {MAX_CODE} characters, none of them NUL; it was not run"
            return ExecResult(exit_code=127, stdout=b"", problem=problem)
        limits = self.limits.within(timeout_s)
        with self._lock:
            try:
                arguments = (to_bytes(command), self._wire(limits))
                code, flags, output, total, errors, _ = self._call("shell", arguments, limits.timeout_s + GRACE_S)
            except Broken as error:
                return ExecResult(exit_code=-9, stdout=b"", problem=f"the whole sandbox was destroyed ({error}); it was started again, "
                                  "the shell's variables and all files that were made are gone")  # fmt: skip
        if flags & inside.RAISED:
            raise SandboxUnavailable(f"no shell can be started in this sandbox: {errors.decode('utf-8', 'replace')}")
        lost = flags & inside.LOST != 0
        ended = f"the shell was killed by signal {-code}" if code < 0 else "the command ended the shell"
        problem = (_problem(code, flags, limits, errors, False) or ended) + NEW_SHELL if lost else ""
        if flags & inside.RENEWED:
            output = b"[the shell had ended meanwhile; this is a new one, in the work folder]\n" + output
        return ExecResult(
            exit_code=code,
            stdout=output,
            timed_out=bool(flags & inside.TIMED_OUT),
            truncated=total > len(output),
            problem=problem,
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

    def put(self, changes: Changes) -> None:
        pieces = list(records(changes))
        with self._lock:
            try:
                for piece in pieces:
                    self._send(piece)
            except Broken as error:
                raise OSError(f"the files cannot be written: the sandbox was destroyed ({error})") from error

    def tree(self) -> dict[str, File]:
        """Copy out the whole work folder, also what other tools made; raises ``ValueError`` above ``MAX_TREE_MB`` or the limit of files.

        Links stay links; pipes, sockets and empty folders are left out; ``unreadable`` names files that are closed to their owner.
        Where code destroyed the sandbox meanwhile, it is started again, and that is its tree.
        """
        with self._lock:
            try:
                return self._copy()
            except Broken:
                self._end()
            try:
                return self._copy()
            except Broken as error:
                raise SandboxError(f"the work folder cannot be copied out ({error})") from error

    def changes(self) -> dict[str, File | None]:
        return difference(self.base.tree, self.tree())

    def snapshot(self) -> Snapshot:
        return Snapshot(backend=self.backend, changes=self.changes())

    def restore(self, snapshot: Snapshot) -> None:
        """Start anew with the next call, from the files of a snapshot; they are also what is left when code destroys the sandbox."""
        if snapshot.image:
            raise ValueError(f"this is a snapshot of an image of {snapshot.backend}; a sandbox of {self.backend} holds files only")
        Base(apply(self.base.tree, snapshot.changes))  # refuses what cannot be put
        with self._lock:
            self._end()
            self._restored = snapshot.changes

    @property
    def work(self) -> str:
        """The work folder's path inside."""
        if self.backend == "local":
            with self._lock:
                return (self._session or self._start()).work
        return self._work

    def close(self) -> None:
        self._closed = True
        self._end()

    def _end(self) -> None:
        session, self._session = self._session, None
        if session is not None:
            session.close()

    def _call(
        self, operation: str, arguments: tuple[Any, ...], timeout: float, payload: bytes = b""
    ) -> tuple[int, int, bytes, int, bytes, int]:
        if self._closed:
            raise SandboxError("the sandbox was closed; make another one")
        session = self._session or self._start()
        if self._owner != os.getpid():
            raise SandboxError("this sandbox belongs to the process that started it; make one in each process")
        try:
            answer = session.call(operation, arguments, timeout, payload)
        except (Broken, SandboxError):
            session.close()
            self._session = None
            raise
        if answer[1] & inside.FILES or (answer[1] & inside.RAISED and operation in ("python", "run") and answer[0] == 1 and answer[4]):
            session.close()  # the driver ends itself
            self._session = None
        return answer

    def _start(self) -> Session:
        if self._closed:
            raise SandboxError("the sandbox was closed; make another one")
        session = self._begin(again=True)
        self.starts += 1
        self._session, self._owner = session, os.getpid()
        try:
            for piece in (*self.base.pieces, *records(self._restored)):
                self._send(piece)
        except (Broken, OSError) as error:
            self._end()
            raise SandboxError(f"the sandbox did not take its files: {error}") from error
        return session

    def _begin(self, again: bool) -> Session:
        started = self._starter(self.limits)
        session = started if isinstance(started, Session) else Session(started)
        try:
            session.ready()
        except SandboxError:
            if again and isinstance(started, Connection):  # what makes the forks was ending just then
                started.give_up()
                return self._begin(again=False)
            raise
        return session

    def _send(self, piece: bytes) -> None:
        code, _, _, _, errors, _ = self._call("put", (), COPY_S, piece)
        if code:
            raise OSError(f"the files cannot be written: {errors.decode('utf-8', 'replace')}")

    def _copy(self) -> dict[str, File]:
        """Raises ``Broken``."""
        session = self._session or self._start()
        if not session.told and self.base.tree:
            self._call("base", (self.base.digests,), COPY_S)
            session.told = True
        most = self.limits.max_files + self.base.entries
        found: dict[str, File] = {}
        closed: list[str] = []
        size = 0
        answer = self._call("tree", (most, MAX_TREE_MB << 20), COPY_S)
        while not answer[0] and answer[2]:
            try:
                size += decode(answer[2], self.base.tree, found, closed)
            except ValueError as error:
                self._end()
                raise Broken(f"what it says of its files is {error}") from error
            if size > MAX_TREE_MB << 20 or len(found) > most:
                self._end()
                raise Broken("it says that there are more files than it may")
            answer = self._call("more", (), COPY_S)
        if answer[0]:
            raise ValueError(f"the work folder cannot be copied out: {answer[4].decode('utf-8', 'replace')}")
        self.unreadable = tuple(sorted(closed))
        return dict(sorted(found.items()))

    def _wire(self, limits: Limits) -> inside.Limits:
        mega = 1 << 20
        return {
            "timeout": limits.timeout_s,
            "memory": limits.memory_mb * mega,
            "file_size": limits.file_size_mb * mega,
            "processes": limits.processes if self.backend == "bubblewrap" else 0,  # docker's cgroup counts; elsewhere nothing can
            "cpu": limits.cpu_s,
            "keep": limits.keep_kb << 10,
            "flood": limits.flood_mb * mega,
            "max_files": limits.max_files + self.base.entries,
        }


def _problem(code: int, flags: int, limits: Limits, errors: bytes, lost: bool) -> str:
    if flags & inside.TIMED_OUT:
        return f"it took longer than {limits.timeout_s:g} s and was killed"
    if flags & inside.FLOODED:
        return f"it wrote more than {limits.flood_mb} MB and was killed"
    if flags & inside.MEMORY:
        return f"it used more than {limits.memory_mb} MB of memory and was killed"
    if flags & inside.FILES:
        return f"it made more than {limits.max_files} files and was killed; all files that were made are gone"
    if not lost:
        return ""
    if code < 0:
        return f"its process was killed by signal {-code}"
    return f"its process ended, or closed its connection (exit code {code})"
