"""One running driver, seen from the host: its start, the frames to it and from it, its end. Nothing that it says is believed."""

from __future__ import annotations

import ast
import contextlib
import marshal
import os
import select
import signal
import socket
import struct
import subprocess
import time
import weakref
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np

from . import driver, inside, inside_fork, inside_kill, inside_shell, inside_tree, interpreter
from .base import Limits, SandboxError
from .tree import MAX_TREE_MB

START_S = 20.0
END_S = 1.0
"""What a driver whose connection was closed may take to end, before it is killed."""
_CREDENTIALS = struct.Struct("3i")
_MAX_FRAME = (MAX_TREE_MB + 16) << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """How a backend starts the driver: ``argv``, files it inherits, and what else is to be done when the sandbox ends."""

    argv: list[str]
    environ: Mapping[str, str]
    inherited: tuple[int, ...] = ()
    clean: Callable[[], None] | None = None
    work: str = ""
    """The work folder, where only this start decides where it is."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Connection:
    """A driver that was started otherwise, as a fork. ``keeper`` lives as long as the session does; ``give_up``: it makes no more forks."""

    socket: socket.socket
    keeper: object
    give_up: Callable[[], None]


Starter: TypeAlias = "Callable[[Limits], Command | Connection | Session]"
"""Called again for every restart. The ``inherited`` descriptors of a command are closed after the start."""


class Broken(Exception):
    """The driver died or talks nonsense: code in the sandbox did that."""


@lru_cache(maxsize=1)
def driver_source() -> str:
    """The program that runs in the sandbox: its modules one after the other, without the lines that only their being several needs."""
    texts: list[str] = []
    for module in (inside, inside_kill, inside_shell, inside_tree, interpreter, driver, inside_fork):
        text = Path(str(module.__file__)).read_text(encoding="utf-8")
        lines = text.splitlines()
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.ImportFrom) and (node.level or node.module == "__future__"):
                indent = node.col_offset * " "
                lines[node.lineno - 1 : node.end_lineno] = [f"{indent}pass"] + [""] * ((node.end_lineno or 0) - node.lineno)
        texts += lines
    return "\n".join(["from __future__ import annotations", *texts, ""])


def connected() -> tuple[socket.socket, socket.socket]:
    """The host's and the driver's end of a connection; at the host's, the kernel will say who spoke."""
    ours, theirs = socket.socketpair()
    if hasattr(socket, "SO_PASSCRED"):
        ours.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)  # before anything is said: later it would not be known
    return ours, theirs


class Session:
    """One running driver, at the other end of a socket: unlike a pipe it cannot be opened through /proc by what runs beside it."""

    def __init__(self, start: Command | Connection) -> None:
        self.told = False
        """Whether it knows what the host has already."""
        self.work = ""
        self._serial = np.random.default_rng()
        self._err = -1
        process: subprocess.Popen[bytes] | None = None
        clean: Callable[[], None] | None = None
        self._keeper: object = None
        if isinstance(start, Connection):
            self._name, self._socket, self._keeper = "a fork", start.socket, start.keeper
        else:
            self._name, self.work, clean = start.argv[0], start.work, start.clean
            process = self._run(start)
        self._socket.setblocking(False)
        self.driver: list[int] = []
        """The process id of the driver, and a descriptor of it, once it said something."""
        self.close = weakref.finalize(self, _end, self._socket, self._err, process, self.driver, clean, os.getpid())

    def _run(self, command: Command) -> subprocess.Popen[bytes]:
        self._socket, theirs = connected()
        self._err, err = os.pipe()
        try:
            return subprocess.Popen(
                command.argv,
                env=dict(command.environ),
                stdin=theirs.fileno(),
                stdout=theirs.fileno(),
                stderr=err,
                pass_fds=command.inherited,
                start_new_session=True,
            )
        except BaseException:
            self._socket.close()
            os.close(self._err)
            if command.clean is not None:
                command.clean()
            raise
        finally:
            theirs.close()
            for fd in (err, *command.inherited):
                os.close(fd)

    def ready(self) -> None:
        """Wait until the driver answers. Raises ``SandboxError`` with what it, or the backend, wrote."""
        said = ""
        try:
            self._meet(time.monotonic() + START_S)
            frame = self._frame(time.monotonic() + START_S)
            if len(frame) == inside.HEADER.size:
                return
            said = frame.decode("utf-8", "replace")[:2000] or "it answered in a way that is not the driver's"
        except Broken as error:
            if self._err >= 0:
                os.set_blocking(self._err, False)
                with contextlib.suppress(BlockingIOError):
                    said = os.read(self._err, 1 << 16).decode("utf-8", "replace").strip()[-2000:]
            said = said or str(error)
        self.close()
        raise SandboxError(f"the sandbox did not start ({self._name!r}): {said}")

    def _meet(self, deadline: float) -> None:
        """Learn who the driver is: the kernel says so beside its first byte."""
        if not hasattr(socket, "SO_PASSCRED") or not hasattr(os, "pidfd_open"):
            return
        self._wait(select.POLLIN, deadline, "no answer in time")
        _, notes, _, _ = self._socket.recvmsg(1, socket.CMSG_SPACE(_CREDENTIALS.size), socket.MSG_PEEK)
        for level, kind, data in notes:
            if (level, kind) == (socket.SOL_SOCKET, socket.SCM_CREDENTIALS):
                pid = int(_CREDENTIALS.unpack(data)[0])
                with contextlib.suppress(ProcessLookupError):
                    self.driver += [pid, os.pidfd_open(pid)] if pid else []  # 0: it ended without a word
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 0)

    def call(
        self, operation: str, arguments: tuple[Any, ...], timeout: float, payload: bytes = b""
    ) -> tuple[int, int, bytes, int, bytes, int]:
        """(code, flags, output, bytes of it in all, errors, bytes of them in all). ``payload``: a last argument that is large.

        Raises ``Broken``."""
        serial = int(self._serial.integers(1, 1 << 32))
        body = marshal.dumps((serial, operation, arguments, len(payload)), 2)
        deadline = time.monotonic() + timeout
        self._send(struct.pack("!I", len(body)) + body, deadline)
        if payload:
            self._send(payload, deadline)
        answer = self._frame(deadline)
        if len(answer) < inside.HEADER.size:
            raise Broken("a frame without a header")
        echoed, code, flags, total, errors_total, length = inside.HEADER.unpack_from(answer)
        if echoed != serial or length > len(answer) - inside.HEADER.size:
            raise Broken("a frame that answers nothing that was asked")
        split = inside.HEADER.size + length
        return code, flags, answer[inside.HEADER.size : split], total, answer[split:], errors_total

    def _send(self, data: bytes, deadline: float) -> None:
        view = memoryview(data)
        while view:
            self._wait(select.POLLOUT, deadline, "no request is taken any more")
            try:
                view = view[self._socket.send(view) :]
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
            self._wait(select.POLLIN, deadline, "no answer in time")
            try:
                piece = self._socket.recv(min(count, 1 << 20))
            except BlockingIOError:
                continue
            except OSError as error:
                raise Broken(f"its process has ended ({type(error).__name__})") from error
            if not piece:
                raise Broken("its process has ended")
            pieces.append(piece)
            count -= len(piece)
        return b"".join(pieces)

    def _wait(self, event: int, deadline: float, problem: str) -> None:
        poll = select.poll()  # select cannot take descriptors above 1023
        try:
            poll.register(self._socket, event)
        except ValueError as error:
            raise Broken("its connection was closed") from error
        if not poll.poll(max(0.0, deadline - time.monotonic()) * 1000):
            raise Broken(problem)


def _end(
    connection: socket.socket,
    errors: int,
    process: subprocess.Popen[bytes] | None,
    driver: list[int],
    clean: Callable[[], None] | None,
    owner: int,
) -> None:
    """End the driver, and with it all in its process namespace, and wait for that. A forked process only forgets them."""
    mine = os.getpid() == owner
    with contextlib.suppress(OSError):
        if mine:
            connection.shutdown(socket.SHUT_RDWR)  # also where a forked process holds a copy
    connection.close()
    if errors >= 0:
        os.close(errors)
    if mine and driver:
        _, descriptor = driver
        poll = select.poll()
        poll.register(descriptor, select.POLLIN)
        if not poll.poll(END_S * 1000):
            with contextlib.suppress(ProcessLookupError, PermissionError):
                signal.pidfd_send_signal(descriptor, signal.SIGKILL)
            poll.poll(END_S * 1000)
    if driver:
        os.close(driver[1])
    if process is not None:
        if not mine:
            process.returncode = 0  # it is not this process's child
            return
        try:
            process.wait(timeout=END_S)
        except subprocess.TimeoutExpired:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
    if mine and clean is not None:
        clean()
