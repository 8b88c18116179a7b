"""A container of an image that holds the repository itself, as benchmarks of software engineering publish them.

Nothing is asked of the image but ``sh`` and ``cat``; ``shell`` needs its bash, ``python`` its python3 (3.9 or newer).
"""

from __future__ import annotations

import re
import threading
import time
import uuid
import weakref
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from types import TracebackType

from .base import ExecResult, Limits, PythonResult, SandboxError, SandboxUnavailable, Snapshot
from .container import PATIENCE_S, Container, ContainerSession, place, signed
from .daemon import client, configuration, image_problem, remove_quietly, speaking
from .layer import Listing, archive_of, changes_of, image_id, listing, tree_at, unpack
from .process import MAX_CODE, DriverSandbox, driver_source
from .scripts import KEEPER, KILL_ALL, PYTHON, READ, RUN, SHELL, SWEEP, WRITE
from .stream import ERRORS, OUTPUT, Stream
from .tree import Changes, File

_FILES_S, _KILL_S = 60.0, 3.0
_LARGE = 1 << 19
"""KB of output that is kept of a program which lists or copies files."""
_DONE, _ENDED, _TIMED_OUT, _FLOODED, _FULL = range(5)
_listings: dict[str, Listing | None] = {}
_known: dict[str, dict[str, File | None]] = {}
_MAX_IMAGES = 16


class ImageSandbox:
    """A ``Sandbox`` whose work folder is one of the image, run as the image's user with the image's environment.

    The container's root can be written, /tmp is in memory (``tree``, ``changes`` and snapshots do not see it); there is no network, no
    capability, no new privilege. It starts with ``start`` or the first call. What it wrote is measured once a second; a container
    above ``disk_mb`` is replaced by a new one; ``max_files`` is not looked at. Raises ``SandboxUnavailable`` at the start without
    daemon or image, ``SandboxError`` when the daemon fails or somebody else ends the container; what code does is a result.
    """

    backend = "docker"

    def __init__(
        self,
        image: str,
        *,
        work: str,
        limits: Limits | None = None,
        files: Mapping[str, bytes] | None = None,
        environ: Mapping[str, str] | None = None,
        binds: Mapping[str, Path] | None = None,
        pull: bool = False,
    ) -> None:
        self.image, self.work, self.limits, self.pull = image, work.rstrip("/"), limits or Limits(), pull
        self.files, self.environ, self.binds = dict(files or {}), dict(environ or {}), dict(binds or {})
        self.starts = 0
        self._id = ""
        self._origin: Snapshot | None = None
        self._container: Container | None = None
        self._reference: Container | None = None
        self._shell: tuple[str, Stream] | None = None
        self._interpreter: DriverSandbox | None = None
        self._owner: tuple[int, int] | None = None
        self._measure_at = 0.0
        self._closed = False
        self._lock = threading.RLock()

    def __enter__(self) -> ImageSandbox:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    # ---- life ---------------------------------------------------------------------------------------------------------

    def start(self) -> None:
        """Have the container run now, so that the first call need not wait for it."""
        with self._lock:
            self._running()

    def _running(self) -> Container:
        if self._closed:
            raise SandboxError("the sandbox was closed; make another one")
        if self._container is not None:
            return self._container
        if not self._id:
            if problem := image_problem(self.image, self.pull):
                raise SandboxUnavailable(problem)
            self._id = image_id(self.image)
        origin = self._origin.image if self._origin else self._id
        tmpfs = {"/tmp": f"size={self.limits.disk_mb}m,mode=1777,exec"}
        self._container = container = Container(
            configuration(origin, KEEPER, self.limits, tmpfs=tmpfs, environ=self.environ, binds=self.binds), what=self.image
        )
        self._measure_at = time.monotonic() + 1.0
        self.starts += 1
        if self._origin is None:
            if self._id not in _listings:
                while len(_listings) >= _MAX_IMAGES:
                    _known.pop(_listings.popitem()[0], None)
                _listings[self._id] = listing(self._program, self.work)
            if self.files:
                self.put({path: File(data) for path, data in self.files.items()})
        if self._container is not container:
            raise SandboxError("the container ended while it was started")
        return container

    def close(self) -> None:
        self._closed = True
        with self._lock:
            self._discard()
            self._origin = None
            if self._reference is not None:
                self._reference.close()
                self._reference = None

    def _discard(self) -> None:
        """End the container, with its files."""
        self._end_shell()
        if self._container is not None:
            self._container.close()
            self._container = None

    def _end_shell(self) -> None:
        """What lives from call to call is given up."""
        if self._shell is not None:
            self._shell[1].close()
            self._shell = None
        if self._interpreter is not None:
            self._interpreter.close()
            self._interpreter = None

    # ---- commands -----------------------------------------------------------------------------------------------------

    def exec(
        self, argv: Sequence[str], *, stdin: bytes = b"", timeout_s: float | None = None, environ: Mapping[str, str] | None = None
    ) -> ExecResult:
        return self._exec(argv, stdin, self.limits.within(timeout_s), environ)

    def _program(self, argv: list[str], stdin: bytes) -> ExecResult:
        """For layer.py: a program of ours, whose output is kept."""
        return self._exec(argv, stdin, replace(self.limits, timeout_s=_FILES_S, keep_kb=_LARGE, flood_mb=_LARGE >> 10), None)

    def _exec(self, argv: Sequence[str], stdin: bytes, limits: Limits, environ: Mapping[str, str] | None) -> ExecResult:
        words = [word.replace("\0", "\\0").encode("utf-8", "replace").decode() for word in argv]
        if not words or sum(map(len, words)) > MAX_CODE:
            return ExecResult(exit_code=127, stdout=b"", problem=f"a command has 1 to {MAX_CODE} characters; it was not run")
        with self._lock:
            container = self._running()
            began = time.time()
            try:
                call, stream = container.attach(["/bin/sh", "-c", RUN, self.work, *words], environ)
            except SandboxError as error:
                return ExecResult(exit_code=-9, stdout=b"", problem=self._ended(error))
            out, errors = bytearray(), bytearray()

            def seen(kind: int, piece: bytes) -> bool:
                (errors if kind == ERRORS else out).extend(piece)
                return False

            try:
                stream.send(b"\n" + stdin, last=True)
                how = self._wait(container, call, stream, limits, seen)
            finally:
                stream.close()
            leader, _, said = bytes(errors).partition(b"\n")
            if leader.isdigit():
                problem = self._stop(how, limits, leader.decode())
            else:
                problem = self._stop(how, limits, "") or self._ended(patience_s=PATIENCE_S) or self._not_started(bytes(out + errors))
            code = container.exit_code(call) if how == _ENDED and not problem else -9
            if code == -9 and not problem:
                problem = self._ended(patience_s=PATIENCE_S)
            return self._result(code, bytes(out), said, limits, began, how, problem)

    def shell(self, command: str, timeout_s: float | None = None) -> ExecResult:
        limits = self.limits.within(timeout_s)
        text = command.replace("\0", "\\0").encode("utf-8", "replace")
        if len(text) > MAX_CODE:
            return ExecResult(exit_code=127, stdout=b"", problem=f"a command has 1 to {MAX_CODE} characters; it was not run")
        with self._lock:
            container = self._running()
            began = time.time()
            try:
                self._shell = self._shell or container.attach(["bash", "--noprofile", "--norc", "-c", SHELL, self.work])
            except SandboxError as error:
                return ExecResult(exit_code=-9, stdout=b"", problem=self._ended(error))
            call, stream = self._shell
            token = uuid.uuid4().hex.encode()
            mark = re.compile(rb"\x00" + token + rb" (\d{1,3})\n")
            out = bytearray()

            def seen(kind: int, piece: bytes) -> bool:
                out.extend(piece)
                return kind == OUTPUT and mark.search(out, max(0, len(out) - len(piece) - 64)) is not None

            stream.send(token + b" " + text + b"\0")
            how = self._wait(container, call, stream, limits, seen)
            end = mark.search(out)
            if end is not None and how == _DONE:
                return self._result(signed(int(end[1])), bytes(out[: end.start()]), b"", limits, began)
            self._end_shell()
            problem = self._ended(patience_s=PATIENCE_S if how == _ENDED else 0.0)
            problem = problem or self._stop(how, limits, "") or self._shell_problem(container.exit_code(call), bytes(out))
            problem += "" if self._container is None else "; a new shell starts in the work folder, what this one held is gone"
            return self._result(-9, bytes(out), b"", limits, began, how, problem)

    def python(self, code: str, timeout_s: float | None = None) -> PythonResult:
        with self._lock:
            container = self._running()
            if self._interpreter is None:
                self._interpreter = DriverSandbox("docker", lambda _: self._driver(container), self.limits, {})
            try:
                done = self._interpreter.python(code, timeout_s)
            except SandboxError as error:
                return PythonResult(output=b"", problem=self._ended(error))
            if problem := self._ended(patience_s=PATIENCE_S if done.problem else 0.0):
                return PythonResult(output=done.output, problem=problem)
            return done

    def _driver(self, container: Container) -> ContainerSession:
        _, stream = container.attach(["/bin/sh", "-c", PYTHON, "sh", driver_source(), self.work])
        stream.send(b"\n")
        return ContainerSession(container, stream, f"python3 of {self.image}", own=False)

    def _wait(self, container: Container, call: str, stream: Stream, limits: Limits, seen: Callable[[int, bytes], bool]) -> int:
        """Hand on what comes until ``seen`` has seen the end, the process ends, or it goes too far."""
        deadline, total, tick = time.monotonic() + limits.timeout_s, 0, 0.05
        how, over = -1, False
        while how < 0:
            left = deadline - time.monotonic()
            found = stream.piece(min(left, tick)) if left > 0 else None
            if found is not None:
                total += len(found[1])
                how = _DONE if seen(*found) else _FLOODED if total > limits.flood_mb << 20 else -1
            elif stream.ended:
                how = _ENDED
            elif left <= tick:
                how = _ENDED if over else _TIMED_OUT
            else:
                if not container.runs(call):  # what it left running may hold its outputs open
                    deadline = min(deadline, time.monotonic() + PATIENCE_S)
                    over = True
                tick = min(1.0, 2 * tick)
            if self._too_much(container):
                how = _FULL
        return how

    def _too_much(self, container: Container) -> bool:
        began = time.monotonic()
        if began < self._measure_at:
            return False
        written = container.written_mb()
        now = time.monotonic()
        self._measure_at = now + max(1.0, 10 * (now - began))
        return written > self.limits.disk_mb

    def _stop(self, how: int, limits: Limits, leader: str) -> str:
        """End what went too far, and say why; empty: it ended by itself. Raises ``SandboxError`` if somebody else ended the container."""
        if how == _FULL:
            self._discard()
            return f"it wrote more than {self.limits.disk_mb} MB to the disk and was killed; all files that were made are gone"
        if how in (_TIMED_OUT, _FLOODED):
            more = self._kill(leader if self._shell or self._interpreter else "")
            why = f"took longer than {limits.timeout_s:g} s" if how == _TIMED_OUT else f"wrote more than {limits.flood_mb} MB"
            return f"it {why} and was killed{more}"
        return self._ended() if how == _ENDED else ""

    def _kill(self, leader: str) -> str:
        """Kill the session of ``leader``, or everything but process 1; what else that took."""
        container = self._running()
        try:
            call, stream = container.attach(["/bin/sh", "-c", f"read -r leader\n{SWEEP if leader else KILL_ALL}"])
            stream.send(leader.encode() + b"\n", last=True)
            deadline = time.monotonic() + _KILL_S
            while not stream.ended and time.monotonic() < deadline:
                stream.piece(deadline - time.monotonic())
            ended = stream.ended
            stream.close()
            if ended and container.exit_code(call) in (0, 1):  # 1: of the last test, or nothing was left
                return ""
        except SandboxError:
            if why := self._ended():
                return f" ({why})"
        return self._restart(container)

    def _restart(self, container: Container) -> str:
        self._end_shell()
        container.restart()
        self.starts += 1
        return "; so was all else that ran, and /tmp is empty"

    def _not_started(self, said: bytes) -> str:
        """Mostly there are as many processes as there may be."""
        text = said.decode("utf-8", "replace").strip()[-300:]
        return f"it could not be started ({text})" + self._restart(self._running())

    def _shell_problem(self, code: int, said: bytes) -> str:
        if code in (126, 127) and b"executable file not found" in said:
            raise SandboxError(f"the image {self.image!r} has no bash, which shell() needs")
        return f"it ended the shell (exit code {code})"

    def _ended(self, error: SandboxError | None = None, patience_s: float = 0.0) -> str:
        """How code ended its container; empty: it runs. Raises ``error``, or that somebody else did."""
        try:
            why = self._container.ending(patience_s) if self._container else ""
        except SandboxError:
            self._discard()
            raise
        if why:
            self._discard()
            return f"the whole sandbox was destroyed ({why}); it is started again, all files that were made are gone"
        if error is not None:
            raise error
        return ""

    def _result(
        self, code: int, out: bytes, errors: bytes, limits: Limits, began: float, how: int = _DONE, problem: str = ""
    ) -> ExecResult:
        keep = limits.keep_kb << 10
        if code == -9 and not problem and self._container is not None and self._container.out_of_memory(began):
            problem = f"it used more than {limits.memory_mb} MB of memory and was killed"
        return ExecResult(
            exit_code=code,
            stdout=out[:keep],
            stderr=errors[:keep],
            timed_out=how == _TIMED_OUT,
            truncated=len(out) > keep or len(errors) > keep,
            problem=problem,
        )

    # ---- files --------------------------------------------------------------------------------------------------------

    def read(self, path: str) -> bytes:
        most = self.limits.file_size_mb << 20
        done = self._program(["/bin/sh", "-c", READ, "sh", self._absolute(path), str(most + 1)], b"")
        if not done.ok:
            why = "there is no readable plain file" if done.exit_code == 3 else done.problem or done.stderr.decode("utf-8", "replace")
            raise FileNotFoundError(f"{path!r} cannot be read: {why.strip()}")
        if len(done.stdout) > most:
            raise ValueError(f"{path!r} is too large; the most is {most} bytes")
        return done.stdout

    def write(self, path: str, data: bytes) -> None:
        done = self._program(["/bin/sh", "-c", WRITE, "sh", self._absolute(path)], data)
        if not done.ok:
            raise OSError(f"{path!r} cannot be written: {done.problem or done.stderr.decode('utf-8', 'replace').strip()}")

    def put(self, changes: Changes) -> None:
        with self._lock:
            container = self._running()
            archive = archive_of(changes, self.work, self._user()) if any(changes.values()) else b""
            gone = "\0".join(f"./{path}" for path, file in changes.items() if file is None)
            if gone:
                remove = ["/bin/sh", "-c", 'cd -- "$1" && exec xargs -0 rm -rf --', "sh", self.work]
                done = self._program(remove, gone.encode("utf-8", "surrogateescape"))
                if not done.ok:
                    raise OSError(f"files cannot be deleted: {done.problem or done.stderr.decode('utf-8', 'replace').strip()}")
            if archive:
                try:
                    unpack(container, archive)
                except SandboxError as error:
                    self._ended()
                    raise OSError(f"the files cannot be written: {error}") from error

    def tree(self) -> dict[str, File]:
        with self._lock:
            return tree_at(self._running(), self.work)

    def changes(self) -> dict[str, File | None]:
        with self._lock:
            container = self._running()
            if self._reference is None:
                plain = configuration(self._id, ["/bin/sh"], self.limits, tmpfs={}, environ={}, binds={})
                self._reference = Container(plain, start=False)
            known = _known.setdefault(self._id, {})
            return changes_of(self._program, container, self._reference, self.work, _listings.get(self._id), known)

    def snapshot(self) -> Snapshot:
        with self._lock:
            changes = self.changes()
            with speaking("commit the container"):
                image = str(client().commit(self._running().id)["Id"])
            snapshot = Snapshot(backend=self.backend, changes=changes, image=image)
            weakref.finalize(snapshot, remove_quietly, "image", image, *place())
            return snapshot

    def restore(self, snapshot: Snapshot) -> None:
        if snapshot.backend != self.backend or not snapshot.image:
            raise ValueError(f"a snapshot of the backend {snapshot.backend!r} is no image; give one that a sandbox of this kind took")
        with self._lock:
            self._discard()
            self._origin = snapshot
            self._running()

    def _absolute(self, path: str) -> str:
        return path if path.startswith("/") else f"{self.work}/{path}"

    def _user(self) -> tuple[int, int]:
        if self._owner is None:
            words = self._program(["/bin/sh", "-c", "id -u; id -g"], b"").stdout.split()
            self._owner = (int(words[0]), int(words[1])) if len(words) == 2 else (0, 0)
        return self._owner
