"""Sandboxes as forks: one Python per process and kind of sandbox is started in bubblewrap, and each sandbox is a fork of that.

A fork gets all that bubblewrap would give it: its own user, process, mount, network, IPC, host-name and control-group namespaces, no
capabilities, the system call filter, and work folders of its own; what it inherits of mounts is read-only and locked.
"""

from __future__ import annotations

import contextlib
import marshal
import os
import socket
import subprocess
import threading
import weakref
from collections import OrderedDict
from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass

from .base import SandboxError
from .inside_fork import MOST
from .session import Connection, Session, connected

KEPT = 4
"""Servers without a sandbox that are kept for the next one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Serving:
    """How a server is started: its command line, what it inherits (closed after the start), its system call filter."""

    argv: list[str]
    environ: Mapping[str, str]
    inherited: tuple[int, ...]
    rules: bytes


class ForkServer:
    """A process in bubblewrap that makes sandboxes. It ends, and all of them with it, when this process does."""

    def __init__(self, serving: Serving) -> None:
        self._socket, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        try:
            process = subprocess.Popen(
                serving.argv,
                env=dict(serving.environ),
                stdin=theirs.fileno(),
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                pass_fds=serving.inherited,
                start_new_session=True,
            )
        finally:
            theirs.close()
            for fd in serving.inherited:
                os.close(fd)
        self._given_up = False
        self.close = weakref.finalize(self, _end, self._socket, process, os.getpid())
        self._socket.send(serving.rules)

    def fork(self, sizes: Mapping[str, int], environ: Mapping[str, str]) -> Connection:
        """A new sandbox with file systems in memory of these ``sizes`` (path -> bytes). Raises ``OSError``: the server has ended."""
        if self._given_up:
            raise OSError("the process that makes sandboxes has ended")
        request = marshal.dumps((dict(sizes), dict(environ)), 2)
        if len(request) > MOST:
            raise SandboxError(f"the variables of a sandbox take {len(request)} bytes; the most is {MOST}")
        ours, theirs = connected()
        try:
            socket.send_fds(self._socket, [request], [theirs.fileno()])
        except OSError:
            ours.close()
            raise
        finally:
            theirs.close()
        return Connection(socket=ours, keeper=self, give_up=self.give_up)

    def give_up(self) -> None:
        """Make no more: a fork did not start, as it does while this is being killed. Sandboxes that run are not touched."""
        self._given_up = True


def _end(connection: socket.socket, process: subprocess.Popen[bytes], owner: int) -> None:
    if os.getpid() == owner:
        with contextlib.suppress(OSError):
            connection.shutdown(socket.SHUT_RDWR)
    connection.close()
    if os.getpid() != owner:
        process.returncode = 0  # it is not this process's child
        return
    process.wait()


class ForkServers:
    """The servers of this process, by what they are for. Safe with threads; a forked process starts its own."""

    def __init__(self) -> None:
        self._owner = os.getpid()
        self._lock = threading.Lock()
        self._found: OrderedDict[Hashable, ForkServer | None] = OrderedDict()

    def fork(
        self, kind: Hashable, serving: Callable[[], Serving], sizes: Mapping[str, int], environ: Mapping[str, str]
    ) -> Connection | None:
        """A new sandbox; ``None``: namespaces within namespaces cannot be had here."""
        if os.getpid() != self._owner:
            self.__init__()
        with self._lock:
            for _ in range(2):
                if kind not in self._found:
                    self._found[kind] = _tried(ForkServer(serving()), sizes, environ)
                self._found.move_to_end(kind)
                while len(self._found) > KEPT:
                    self._found.popitem(last=False)
                server = self._found[kind]
                if server is None:
                    return None
                try:
                    return server.fork(sizes, environ)
                except OSError:  # it was killed
                    del self._found[kind]
        raise SandboxError("the process that makes sandboxes ends as soon as it is started")


def _tried(server: ForkServer, sizes: Mapping[str, int], environ: Mapping[str, str]) -> ForkServer | None:
    """The server, if a sandbox of it starts."""
    try:
        session = Session(server.fork(sizes, environ))
        session.ready()
    except (OSError, SandboxError):
        return None
    session.close()
    return server
