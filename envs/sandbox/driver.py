"""What runs inside a sandbox, as its process 1: starts the interpreter and commands, watches them, answers the host.

    host -> length (4 bytes, big-endian) + marshal((serial, operation, arguments, bytes of payload)) + payload -> standard input
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
import select
import struct
import sys
import time

from .inside import (
    FILES,
    FLOODED,
    HEADER,
    ISOLATED,
    LOST,
    MEMORY,
    RAISED,
    RENEWED,
    TICK,
    TIMED_OUT,
    WORK,
    Ended,
    Stream,
    execute,
    read_exactly,
    resident,
    set_dumpable,
    start,
    write_all,
)
from .inside_kill import Children, running
from .inside_shell import Shell
from .inside_tree import TooMuch, copy_out, put_files, remove
from .interpreter import interpret

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from signal import SIG_IGN, SIGINT, SIGPIPE
    from signal import signal as set_handler
    from typing import Any

    from .inside import Limits
else:
    from _signal import SIG_IGN, SIGINT, SIGPIPE
    from _signal import signal as set_handler

READY = 0
GIT = b"[user]\n\tname = agent\n\temail = agent@localhost\n[init]\n\tdefaultBranch = main\n[safe]\n\tdirectory = *\n"
LATE = 4096
"""Bytes kept of what background jobs of the shell said between two commands."""
SUICIDE = 70
"""Exit status after which the host starts a new sandbox."""


# ---- process 1 -------------------------------------------------------------------------------------------------------


class Interpreter:
    """The child that keeps the variables of an episode."""

    def __init__(self, limits: Limits) -> None:
        requests, self.requests = os.pipe()
        self.replies, replies = os.pipe()
        read, write = os.pipe()
        null = os.open(os.devnull, os.O_RDONLY)

        def run() -> None:
            set_dumpable(True)  # its own /proc/self is to be as usual
            interpret(requests, replies)

        self.pid = start(run, (null, write, write), (requests, replies), limits)
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
        self.bash: Shell | None = None
        self.command = 0
        self.children = Children()
        self.same: dict[bytes, bytes] = {}
        self.copying: Iterator[bytes] = iter(())
        self.doomed = False
        self.checked = 0.0

    def serve(self) -> None:
        self.answer(0, READY)
        while True:
            head = read_exactly(self.control, 4)
            serial, operation, arguments, more = marshal.loads(read_exactly(self.control, struct.unpack("!I", head)[0]))
            if more:
                arguments = *arguments, read_exactly(self.control, more)
            try:
                self.answer(serial, *getattr(self, operation)(serial, *arguments))
            except OSError as error:  # the folder is full, no process can be started, there is no such file
                self.answer(serial, 1, RAISED, errors=f"{type(error).__name__}: {error.strerror}".encode("utf-8", "replace"))
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
            self.children.waited.add(self.interpreter.pid)
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
            if not flags and len(reply) < 8:  # a child of its own may hold the pipes open
                status = self.children.ended(child.pid)
                flags = 0 if status is None else LOST
        child.output.drain(limits["keep"], limits["flood"])
        flags = flags or self.excess(limits, (child.output,))
        if not flags and struct.unpack("!I", reply[:4])[0] != serial:
            flags = LOST
        output, total = child.output.take()
        if not flags:
            raised = bool(struct.unpack("!I", reply[4:])[0])
            return int(raised), RAISED * raised, output, total
        status = self.finish(child.pid, status, flags == LOST)
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
        before = running() if self.interpreter or self.bash else frozenset[int]()
        self.command = pid = start(lambda: execute(argv, full), (feed_read, out_write, err_write), (), limits)
        for fd in (feed_read, out_write, err_write):
            os.close(fd)
        out, err = Stream(out_read), Stream(err_read)
        os.set_blocking(feed, False)
        pending, fed = memoryview(stdin), False
        flags, deadline, status = 0, time.monotonic() + limits["timeout"], None
        pause = 0.0001
        while not flags and status is None:
            waiting = [s.fd for s in (out, err) if s.open]
            if not waiting and (status := self.children.ended(pid)) is not None:
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
            status = self.children.ended(pid)
        for stream in (out, err):
            stream.drain(limits["keep"], limits["flood"])
        flags = flags or self.excess(limits, (out, err))
        status = self.finish(pid, status, False, before)
        self.command = 0
        for fd in (out_read, err_read, *(() if fed else (feed,))):
            os.close(fd)
        output, total = out.take()
        errors, errors_total = err.take()
        return status, flags, output, total, errors, errors_total

    def shell(self, serial: int, command: bytes, limits: Limits) -> tuple[Any, ...]:
        """Run a command in the shell; one that takes too long, floods or ends the shell costs it, with all it started."""
        renewed = 0
        if self.bash is not None and self.children.ended(self.bash.pid) is not None:  # since the last command
            self.finish(self.bash.pid, 0, False)
            self.bash.close()
            self.bash = None
            renewed = RENEWED
        if self.bash is None:
            self.bash = Shell(limits)
            self.children.waited.add(self.bash.pid)
        bash = self.bash
        bash.output.once(min(LATE, limits["keep"]))
        pending, pause = memoryview(b"%d\0%b\0" % (serial, command)), 0.0001
        flags, deadline = 0, time.monotonic() + limits["timeout"]
        code: int | None = None
        status: int | None = None
        while not flags and code is None:
            waiting = [self.control, *([bash.replies] if bash.open else []), *([bash.output.fd] if bash.output.open else [])]
            pause = pause if bash.open else min(TICK, 2 * pause)  # it ends, or was replaced by a program
            readable, writable, _ = select.select(waiting, [bash.requests] if pending else [], [], TICK if bash.open else pause)
            if writable:
                try:
                    pending = pending[os.write(bash.requests, pending[: 1 << 16]) :]
                except BrokenPipeError:
                    pending = memoryview(b"")
            if bash.replies in readable:
                code = bash.reply(serial)
            flags = self.watch(readable, deadline, limits, (bash.output,))
            if not flags and code is None:  # what it started may hold the pipes open, and write
                status = self.children.ended(bash.pid)
                flags = 0 if status is None else LOST
        bash.output.once(limits["keep"])  # not until it is empty: what runs in the background may go on writing
        flags = flags or self.excess(limits, (bash.output,))
        if not flags:
            return code, renewed, *bash.output.take()
        status = self.finish(bash.pid, status, False)
        bash.output.drain(limits["keep"], limits["flood"])
        output, total = bash.output.take()
        bash.close()
        self.bash = None
        return status, flags | LOST | renewed, output, total

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

    def finish(self, leader: int, status: int | None, wait: bool, known: frozenset[int] = frozenset()) -> int:
        """Kill what is left of the session that ``leader`` began, and give the exit code of that; the interpreter and the shell live on,
        unless they are it. ``wait``: it seems to end by itself."""
        if status is None and wait:
            status = self.children.linger(leader)
        others = [child.pid for child in (self.interpreter, self.bash) if child is not None and child.pid != leader]
        if not self.children.kill(leader, others, known):
            self.doomed = True
        return self.children.reap(leader) if status is None else status

    def close(self) -> None:
        """Leave nothing behind where no namespace ends with this process: no child, and not the folder that was made for it."""
        for leader in (self.command, *(child.pid for child in (self.interpreter, self.bash) if child is not None)):
            if leader:
                self.children.kill(leader, [])
        if len(sys.argv) > 2:
            remove(os.fsencode(sys.argv[2]))

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

    def put(self, serial: int, records: bytearray) -> tuple[Any, ...]:
        del serial
        put_files(records)
        return (0,)

    def base(self, serial: int, digests: dict[bytes, bytes]) -> tuple[Any, ...]:
        """What the host has already, so that ``tree`` need not send it."""
        del serial
        self.same = digests
        return (0,)

    def tree(self, serial: int, most_files: int, most_bytes: int) -> tuple[Any, ...]:
        """The first piece of the whole folder; ``more`` gives the others, the empty one is the last."""
        self.copying = copy_out(self.same, most_files, most_bytes)
        return self.more(serial)

    def more(self, serial: int) -> tuple[Any, ...]:
        del serial
        try:
            piece = next(self.copying, b"")
        except TooMuch as error:
            return 1, RAISED, b"", 0, str(error).encode()
        return 0, 0, piece, len(piece)


def settle(home: str) -> None:
    """Make the home folder, with what git needs: a name, and trust in folders of whatever owner."""
    if not os.path.isdir(home):
        os.makedirs(home)
        with open(os.path.join(home, ".gitconfig"), "wb") as file:
            file.write(GIT)


def main() -> None:
    """Serve on standard input and output until the host is gone; then everything in here goes too."""
    if ISOLATED:
        set_dumpable(False)
    control, answers = os.dup(0), os.dup(1)
    null = os.open(os.devnull, os.O_RDWR)
    for number in (0, 1, 2):
        os.dup2(null, number)
    os.close(null)
    set_handler(SIGPIPE, SIG_IGN)
    set_handler(SIGINT, SIG_IGN)
    os.umask(0o022)
    settle(os.environ.get("HOME", "/tmp/home"))
    driver = Driver(control, answers)
    try:
        driver.serve()
    except (Ended, BrokenPipeError):
        if not ISOLATED:
            driver.close()
        os._exit(0)
