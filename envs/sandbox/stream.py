"""A connection to a process in a container: its two outputs come in frames (8 bytes of header each), its input goes the other way."""

from __future__ import annotations

import contextlib
import select
import socket
import ssl
import struct
import time
import weakref
from typing import Any

OUTPUT, ERRORS = 1, 2
_HEADER = struct.Struct("!BxxxI")
_WAITS = (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError)


class Stream:
    """Wraps what ``APIClient.attach_socket`` and ``exec_start(socket=True)`` return.

    The process must say nothing before it was sent something: the SDK may lose what comes together with the answer's header.
    """

    def __init__(self, raw: Any) -> None:
        self._socket: socket.socket = getattr(raw, "_sock", raw)
        self._socket.setblocking(False)
        self._pending = memoryview(b"")
        self._ending = False
        self._head = b""
        self._left = 0
        self._kind = OUTPUT
        self.ended = False
        self._close = weakref.finalize(self, _close, raw, self._socket)

    def send(self, data: bytes, *, last: bool = False) -> None:
        """Queue input, which goes out while ``piece`` waits; ``last``: the process then reads the end of its input."""
        self._pending = memoryview(bytes(self._pending) + data)
        self._ending = last

    def piece(self, wait_s: float) -> tuple[int, bytes] | None:
        """What came next, and from where; ``None``: nothing within ``wait_s``, or the end (``ended``)."""
        deadline = time.monotonic() + wait_s
        while not self.ended:
            self._push()
            try:
                found = self._pull()
            except _WAITS:
                left = deadline - time.monotonic()
                if left <= 0:
                    return None
                select.select([self._socket], [self._socket] if self._pending else [], [], left)
                continue
            except OSError:
                self.ended = True
                return None
            if found:
                return self._kind, found
        return None

    def flush(self, deadline: float) -> bool:
        """Whether all input went out by ``deadline`` (of ``time.monotonic``) while the process said nothing."""
        while self._pending and not self.ended:
            self._push()
            left = deadline - time.monotonic()
            if left <= 0:
                return False
            if self._pending:
                select.select([], [self._socket], [], left)
        return not self.ended

    def close(self) -> None:
        """Twice is fine."""
        self._close()
        self.ended = True

    def _push(self) -> None:
        try:
            while self._pending:
                self._pending = self._pending[self._socket.send(self._pending[: 1 << 18]) :]
            if self._ending:
                self._ending = False
                self._socket.shutdown(socket.SHUT_WR)
        except _WAITS:
            return
        except OSError:  # it reads no more; what it said last is still to be read
            self._pending, self._ending = memoryview(b""), False

    def _pull(self) -> bytes:
        """Some of a frame; empty: a header, or the end. Raises one of ``_WAITS`` when nothing is there."""
        got = self._socket.recv(min(self._left, 1 << 18) if self._left else _HEADER.size - len(self._head))
        if not got:
            self.ended = True
        elif self._left:
            self._left -= len(got)
            return got
        else:
            self._head += got
            if len(self._head) == _HEADER.size:
                self._kind, self._left = _HEADER.unpack(self._head)
                self._head = b""
        return b""


def _close(raw: Any, connected: socket.socket) -> None:
    """Everything that the SDK wraps a connection in, each of which would keep it open."""
    with contextlib.suppress(OSError):
        connected.shutdown(socket.SHUT_RDWR)
    response = getattr(raw, "_response", None)
    if response is not None:
        response.close()
    with contextlib.suppress(OSError):
        raw.close()
    connected.close()
