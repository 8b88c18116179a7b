"""What runs inside a sandbox, as its process 1: starts the interpreter and commands, watches them, answers the host.

    host -> length (4 bytes, big-endian) + marshal((serial, operation, arguments)) -> standard input
    standard output -> length + HEADER + kept output + kept errors -> host

This file and interpreter.py run alone, as one text, so they import nothing of Turnwise; and nothing slow, as each episode starts
one: no ``typing``, ``re``, ``json``, ``subprocess`` or enum (``signal``). The interpreter is a fork of this process: it starts in a
millisecond.

What it is told is trusted, what runs in it is not: code under test has the same user id, so it may write into this process's pipes
through /proc. The host therefore believes nothing it reads, and no secret (a hidden test's expected output) is ever sent here.
"""

from __future__ import annotations

import marshal
import os
import resource
import select
import struct
import sys
import time

from .interpreter import Ended, interpret, read_exactly

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from signal import SIG_DFL, SIG_IGN, SIGINT, SIGKILL, SIGPIPE
    from signal import signal as set_handler
    from typing import Any, TypedDict

    class Limits(TypedDict):
        """What one call may use. Bytes, seconds, numbers; ``processes`` 0: not limited here."""

        timeout: float
        memory: int
        file_size: int
        processes: int
        cpu: int
        keep: int
        flood: int
        max_files: int

else:
    from _signal import SIG_DFL, SIG_IGN, SIGINT, SIGKILL, SIGPIPE
    from _signal import signal as set_handler

HEADER = struct.Struct("!IiIQQI")
"""serial, exit code (minus the signal), flags, bytes of output and of errors in all, bytes of output kept."""
TIMED_OUT, FLOODED, MEMORY, FILES, LOST, RAISED = 1, 2, 4, 8, 16, 32
WORK = sys.argv[1] if __name__ == "__main__" else ""
TICK = 0.05
READY = 0
ISOLATED = os.getpid() == 1
"""Only process 1 of a process namespace may kill everything it sees."""
SUICIDE = 70
"""Exit status after which the host starts a new sandbox."""


def write_all(fd: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(fd, view) :]


class Stream:
    """One output pipe: the first ``keep`` bytes, and how many there were."""

    def __init__(self, fd: int) -> None:
        self.fd, self.kept, self.total, self.open = fd, bytearray(), 0, True
        os.set_blocking(fd, False)

    def drain(self, keep: int, most: int) -> None:
        """Read what is there, but not for ever."""
        while self.open and self.total <= most:
            try:
                piece = os.read(self.fd, 1 << 16)
            except BlockingIOError:
                return
            self.open = bool(piece)
            self.total += len(piece)
            self.kept += piece[: max(0, keep - len(self.kept))]

    def take(self) -> tuple[bytes, int]:
        out = bytes(self.kept), self.total
        self.kept, self.total = bytearray(), 0
        return out


def set_limits(limits: Limits) -> None:
    for what, most in (
        (resource.RLIMIT_DATA, limits["memory"]),
        (resource.RLIMIT_FSIZE, limits["file_size"]),
        (resource.RLIMIT_NPROC, limits["processes"]),
        (resource.RLIMIT_CPU, limits["cpu"]),
        (resource.RLIMIT_NOFILE, 256),
        (resource.RLIMIT_CORE, 0),
    ):
        if most:
            hard = resource.getrlimit(what)[1]
            most = most if hard == resource.RLIM_INFINITY else min(most, hard)
            resource.setrlimit(what, (most, most))


def start(run: Callable[[], Any], fds: tuple[int, int, int], keep: tuple[int, ...], limits: Limits) -> int:
    """Fork; in the child, with these standard streams and limits and no other descriptor but ``keep``, in a session of its own, do
    ``run`` and never return."""
    pid = os.fork()
    if pid:
        return pid
    try:
        os.setsid()
        for number, fd in enumerate(fds):
            os.dup2(fd, number)
        edges = [2, *sorted(keep), 256]
        for place, low in enumerate(edges[:-1]):
            os.closerange(low + 1, edges[place + 1])
        set_handler(SIGPIPE, SIG_DFL)
        set_handler(SIGINT, SIG_DFL)
        os.chdir(WORK)
        set_limits(limits)
        run()
    except BaseException as error:
        os.write(2, f"{type(error).__name__}: {error}\n".encode("utf-8", "replace"))
    finally:
        os._exit(127)


# ---- process 1 -------------------------------------------------------------------------------------------------------


class Interpreter:
    """The child that keeps the variables of an episode."""

    def __init__(self, limits: Limits) -> None:
        requests, self.requests = os.pipe()
        self.replies, replies = os.pipe()
        read, write = os.pipe()
        null = os.open(os.devnull, os.O_RDONLY)
        self.pid = start(lambda: interpret(requests, replies), (null, write, write), (requests, replies), limits)
        for fd in (requests, replies, write, null):
            os.close(fd)
        self.output = Stream(read)

    def close(self) -> None:
        for fd in (self.requests, self.replies, self.output.fd):
            os.close(fd)


class Driver:
    def __init__(self, control: int, answers: int) -> None:
        self.control, self.answers = control, answers
        self.interpreter: Interpreter | None = None
        self.doomed = False
        self.checked = 0.0

    def serve(self) -> None:
        self.answer(0, READY)
        while True:
            head = read_exactly(self.control, 4)
            serial, operation, arguments = marshal.loads(read_exactly(self.control, struct.unpack("!I", head)[0]))
            try:
                self.answer(serial, *getattr(self, operation)(serial, *arguments))
            except OSError as error:  # the folder is full, no process can be started, there is no such file
                self.answer(serial, 1, RAISED, errors=f"{type(error).__name__}: {error.strerror}".encode())
                self.doomed = operation in ("python", "run")
            if self.doomed:
                os._exit(SUICIDE)

    def answer(
        self, serial: int, code: int, flags: int = 0, output: bytes = b"", total: int = 0, errors: bytes = b"", errors_total: int = 0
    ) -> None:
        body = HEADER.pack(serial, code, flags, total, errors_total or len(errors), len(output)) + output + errors
        write_all(self.answers, struct.pack("!I", len(body)) + body)

    def python(self, serial: int, code: str, limits: Limits) -> tuple[Any, ...]:
        """Run code in the interpreter; one that hangs, floods or dies is gone, with its variables and all it started."""
        if self.interpreter is None:
            self.interpreter = Interpreter(limits)
        child = self.interpreter
        request = marshal.dumps((serial, code), 2)
        os.set_blocking(child.requests, False)
        pending = memoryview(struct.pack("!I", len(request)) + request)
        flags, reply, deadline = 0, b"", time.monotonic() + limits["timeout"]
        status: int | None = None
        while not flags and len(reply) < 8:
            write = [child.requests] if pending else []
            readable, writable, _ = select.select([child.replies, child.output.fd, self.control], write, [], TICK)
            if writable:
                try:
                    pending = pending[os.write(child.requests, pending) :]
                except BrokenPipeError:
                    flags = LOST
            if child.replies in readable:
                piece = os.read(child.replies, 8 - len(reply))
                reply += piece
                flags = 0 if piece else LOST
            flags = flags or self.watch(readable, deadline, limits, (child.output,))
            if not flags and not readable:  # a child of its own may hold the pipes open
                status = self.ended(child.pid)
                flags = 0 if status is None else LOST
        child.output.drain(limits["keep"], limits["flood"])
        flags = flags or self.excess(limits, (child.output,))
        if not flags and struct.unpack("!I", reply[:4])[0] != serial:
            flags = LOST
        output, total = child.output.take()
        if not flags:
            raised = bool(struct.unpack("!I", reply[4:])[0])
            return int(raised), RAISED * raised, output, total
        if status is None:
            status = self.reap(child.pid, wait=flags == LOST)
        self.kill(None)
        child.close()
        self.interpreter = None
        return status, flags | LOST, output, total

    def run(self, serial: int, argv: list[str], stdin: bytes, environ: dict[str, str], limits: Limits) -> tuple[Any, ...]:
        """Run a command to its end; then whatever is left of it is killed."""
        del serial
        feed_read, feed = os.pipe()
        out_read, out_write = os.pipe()
        err_read, err_write = os.pipe()
        full = {**os.environ, **environ}
        pid = start(lambda: os.execvpe(argv[0], argv, full), (feed_read, out_write, err_write), (), limits)
        for fd in (feed_read, out_write, err_write):
            os.close(fd)
        out, err = Stream(out_read), Stream(err_read)
        os.set_blocking(feed, False)
        pending, fed = memoryview(stdin), False
        flags, deadline, status = 0, time.monotonic() + limits["timeout"], None
        pause = 0.0001
        while not flags and status is None:
            waiting = [s.fd for s in (out, err) if s.open]
            if not waiting and (status := self.ended(pid)) is not None:
                break
            if not pending and not fed:
                os.close(feed)
                fed = True
            pause = TICK if waiting or pending else min(TICK, 2 * pause)  # both outputs closed: the end is near, mostly
            readable, writable, _ = select.select([*waiting, self.control], [feed] if pending else [], [], pause)
            if writable:
                try:
                    pending = pending[os.write(feed, pending[: 1 << 16]) :]
                except BrokenPipeError:
                    pending = memoryview(b"")
            flags = self.watch(readable, deadline, limits, (out, err))
            if not readable:
                status = self.ended(pid)
        for stream in (out, err):
            stream.drain(limits["keep"], limits["flood"])
        flags = flags or self.excess(limits, (out, err))
        if status is None:
            status = self.reap(pid, wait=False)
        self.kill(pid)
        for fd in (out_read, err_read, *(() if fed else (feed,))):
            os.close(fd)
        output, total = out.take()
        errors, errors_total = err.take()
        return status, flags, output, total, errors, errors_total

    def ended(self, pid: int) -> int | None:
        try:
            found, status = os.waitpid(pid, os.WNOHANG)
        except ChildProcessError:  # collected with the orphans of a command
            return -9
        return os.waitstatus_to_exitcode(status) if found else None

    def reap(self, pid: int, wait: bool) -> int:
        """The exit code of a child that is to be gone; ``wait``: it seems to end by itself."""
        for step in range(400):
            status = self.ended(pid)
            if status is not None:
                return status
            if step == (20 if wait else 0):
                os.kill(pid, SIGKILL)
            time.sleep(0.005 if wait else 0.0005)
        raise OSError(0, "a killed process does not end")

    def watch(self, readable: list[int], deadline: float, limits: Limits, streams: tuple[Stream, ...]) -> int:
        """Read what came; the flag of what went wrong, or 0."""
        if self.control in readable:  # the host says nothing during a call: it is gone
            raise Ended
        for stream in streams:
            if stream.fd in readable:
                stream.drain(limits["keep"], limits["flood"])
        if any(s.total > limits["flood"] for s in streams):
            return FLOODED
        if time.monotonic() > deadline:
            return TIMED_OUT
        if time.monotonic() < self.checked + TICK:
            return 0
        return self.excess(limits, streams)

    def excess(self, limits: Limits, streams: tuple[Stream, ...]) -> int:
        """What the limits of the single process do not stop: memory and files of all together."""
        if any(s.total > limits["flood"] for s in streams):
            return FLOODED
        if not ISOLATED:
            return 0
        self.checked = time.monotonic()
        for folder in (WORK, "/tmp"):
            about = os.statvfs(folder)
            if about.f_files - about.f_ffree > limits["max_files"]:
                self.doomed = True
                return FILES
        used = sum(resident(pid) for pid in os.listdir("/proc") if pid.isdigit() and pid != "1")
        return MEMORY if used > limits["memory"] else 0

    def kill(self, pid: int | None) -> None:
        """Kill everything but this process; a command's session only, where an interpreter must live on."""
        everything = ISOLATED and (pid is None or self.interpreter is None)
        group = pid or (self.interpreter.pid if self.interpreter else 0)
        try:
            if everything:
                os.kill(-1, SIGKILL)
            elif group:
                os.killpg(group, SIGKILL)
        except ProcessLookupError:
            pass
        for _ in range(1000):  # orphans become children of process 1
            try:
                if not os.waitpid(-1, os.WNOHANG)[0]:
                    if not everything:
                        return
                    time.sleep(0.002)
            except ChildProcessError:
                return
        self.doomed = True

    def write(self, serial: int, path: str, data: bytes) -> tuple[Any, ...]:
        del serial
        target = os.path.join(WORK, path)
        os.makedirs(os.path.dirname(target), exist_ok=True)
        fd = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NONBLOCK | os.O_CLOEXEC, 0o644)
        try:
            write_all(fd, data)
        finally:
            os.close(fd)
        return (0,)

    def read(self, serial: int, path: str, most: int) -> tuple[Any, ...]:
        del serial
        fd = os.open(os.path.join(WORK, path), os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        try:
            about = os.fstat(fd)
            if about.st_mode & 0o170000 != 0o100000:  # a pipe would never end
                return 1, RAISED, b"", 0, b"it is not a plain file"
            data = b""
            while len(data) < most and (piece := os.read(fd, most - len(data))):
                data += piece
        finally:
            os.close(fd)
        return 0, 0, data, about.st_size


def resident(pid: str) -> int:
    """Bytes of memory of a process that no file backs; 0 once it is gone."""
    try:
        with open(f"/proc/{pid}/status", "rb") as file:
            text = file.read()
    except OSError:
        return 0
    found = 0
    for name in (b"RssAnon:", b"RssShmem:"):
        place = text.find(name)
        found += int(text[place + len(name) :].split(None, 1)[0]) * 1024 if place >= 0 else 0
    return found


def main() -> None:
    """Serve on standard input and output until the host is gone; then everything in here goes too."""
    control, answers = os.dup(0), os.dup(1)
    null = os.open(os.devnull, os.O_RDWR)
    for number in (0, 1, 2):
        os.dup2(null, number)
    os.close(null)
    set_handler(SIGPIPE, SIG_IGN)
    set_handler(SIGINT, SIG_IGN)
    try:
        Driver(control, answers).serve()
    except (Ended, BrokenPipeError):
        os._exit(0)


if __name__ == "__main__":
    main()
