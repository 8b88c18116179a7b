"""The Chrome DevTools Protocol over a browser's pipe: commands, sessions and events as JSON messages that end in a zero byte.

All methods belong to one event loop. Commands are sent as they are called and may be awaited later, so that several are under way at once.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import os
from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

Json: TypeAlias = dict[str, Any]
Handler: TypeAlias = Callable[[str, Json], None]
_CHUNK = 1 << 20


class CdpError(RuntimeError):
    """The browser refused a command: ``method``, and why in the text."""

    def __init__(self, method: str, message: str) -> None:
        super().__init__(f"{method}: {message}")
        self.method = method


class Disconnected(RuntimeError):
    """The browser is gone; every command that was under way ends with this."""


class Connection:
    """One browser's pipe. ``read_fd`` and ``write_fd`` are taken over and closed by ``close``.

    ``listen(session, handler)`` gives every event of a session ("" for the browser) to ``handler(method, params)``.
    """

    def __init__(self, read_fd: int, write_fd: int, on_close: Callable[[], None]) -> None:
        self._read_fd, self._write_fd = read_fd, write_fd
        self._on_close = on_close
        self._loop = asyncio.get_running_loop()
        self._numbers = itertools.count(1)
        self._waiting: dict[int, tuple[str, asyncio.Future[Json]]] = {}
        self._handlers: dict[str, Handler] = {}
        self._received = bytearray()
        self._unsent = bytearray()
        self.closed = False
        for fd in (read_fd, write_fd):
            os.set_blocking(fd, False)
        self._loop.add_reader(read_fd, self._read)

    def send(self, method: str, params: Mapping[str, Any] | None = None, session: str = "") -> asyncio.Future[Json]:
        """The result of a command; it fails with ``CdpError`` or ``Disconnected``."""
        future: asyncio.Future[Json] = self._loop.create_future()
        # A command nobody awaits any more (its caller timed out) must not end in a warning.
        future.add_done_callback(_seen)
        if self.closed:
            future.set_exception(Disconnected(f"{method}: the browser is gone"))
            return future
        number = next(self._numbers)
        self._waiting[number] = (method, future)
        message: Json = {"id": number, "method": method, "params": params or {}}
        if session:
            message["sessionId"] = session
        self._unsent += json.dumps(message, separators=(",", ":")).encode() + b"\0"
        self._write()
        return future

    def listen(self, session: str, handler: Handler) -> None:
        self._handlers[session] = handler

    def forget(self, session: str) -> None:
        self._handlers.pop(session, None)

    def close(self) -> None:
        """Close the pipe, which also ends the browser, and fail what is under way. A second call does nothing."""
        if self.closed:
            return
        self.closed = True
        self._loop.remove_reader(self._read_fd)
        self._loop.remove_writer(self._write_fd)
        os.close(self._read_fd)
        os.close(self._write_fd)
        waiting, self._waiting = self._waiting, {}
        for method, future in waiting.values():
            if not future.done():
                future.set_exception(Disconnected(f"{method}: the browser is gone"))
        self._handlers.clear()
        self._on_close()

    def _write(self) -> None:
        # What the pipe does not take at once waits for it: a browser that stands still must not stop the loop.
        try:
            while self._unsent:
                del self._unsent[: os.write(self._write_fd, self._unsent[:_CHUNK])]
        except BlockingIOError:
            self._loop.add_writer(self._write_fd, self._write)
            return
        except OSError:
            self.close()
            return
        self._loop.remove_writer(self._write_fd)

    def _read(self) -> None:
        try:
            data = os.read(self._read_fd, _CHUNK)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            self.close()
            return
        searched = len(self._received)
        self._received += data
        while (end := self._received.find(b"\0", searched)) >= 0:
            message = bytes(self._received[:end])
            del self._received[: end + 1]
            searched = 0
            self._take(json.loads(message))
            if self.closed:
                return

    def _take(self, message: Json) -> None:
        if "id" not in message:
            handler = self._handlers.get(message.get("sessionId", ""))
            if handler is not None:
                handler(message["method"], message.get("params", {}))
            return
        method, future = self._waiting.pop(message["id"])
        if future.done():
            return
        if "error" in message:
            error = message["error"]
            future.set_exception(CdpError(method, f"{error.get('message', '')} {error.get('data', '')}".strip()))
        else:
            future.set_result(message["result"])


def _seen(future: asyncio.Future[Json]) -> None:
    if not future.cancelled():
        future.exception()
