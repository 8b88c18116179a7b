"""One session with an MCP server, for code that is not asynchronous: a thread of its own holds the event loop and the connection.

with McpSession(ServerSpec.of("python -m my_server"), call_timeout=10) as session:
    session.tools; session.call("find", {"text": "x"})
"""

from __future__ import annotations

import asyncio
import json
import os
import shlex
import shutil
import sys
import tempfile
import threading
from collections.abc import Coroutine, Mapping, Sequence
from concurrent.futures import CancelledError, Future
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar, cast

from ...records import Json
from ..base import EnvFault
from ..tools.tool import ToolResult, ToolSpec, render, without_titles

if TYPE_CHECKING:
    from anyio import CancelScope
    from mcp import Client
    from mcp.types import CallToolResult

Value = TypeVar("Value")
MAX_PAGES = 100
_CLOSING_SECONDS = 10.0
_GRACE_SECONDS = 5.0
_TAIL = 1000
_DIES_WITH_US = "import ctypes, os, signal, sys; ctypes.CDLL(None).prctl(1, signal.SIGKILL); os.execvp(sys.argv[1], sys.argv[1:])"
"""Run before a server on Linux: it is killed (PR_SET_PDEATHSIG) when the thread that started it ends, also when we are killed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerSpec:
    """Where a server is: a ``command`` that is started and spoken to over stdio, or a ``url`` (streamable HTTP) with ``headers``."""

    command: tuple[str, ...] = ()
    env: Mapping[str, str] = field(default_factory=dict[str, str])
    cwd: str | None = None
    url: str = ""
    headers: Mapping[str, str] = field(default_factory=dict[str, str])

    @classmethod
    def of(cls, given: str | Sequence[str] | Mapping[str, Any]) -> ServerSpec:
        """From "http://host/mcp", a command line, a list [command, argument, ...], or a mapping {command, args, env, cwd} or {url,
        headers}, as MCP clients write it. ``ValueError`` for anything else and for a command that does not exist."""
        if isinstance(given, str):
            spec = cls(url=given) if given.startswith(("http://", "https://")) else cls(command=tuple(shlex.split(given)))
        elif isinstance(given, Mapping):
            unknown = sorted(set(given) - {"command", "args", "env", "cwd", "url", "headers"})
            if unknown or ("command" in given) == ("url" in given):
                raise ValueError(f"server {dict(given)!r}: give command (with args, env, cwd) or url (with headers); unknown: {unknown}")
            command = (str(given["command"]), *map(str, given.get("args", ()))) if "command" in given else ()
            plain = {name: given[name] for name in ("env", "cwd", "url", "headers") if name in given}
            spec = cls(command=command, **plain)
        else:
            spec = cls(command=tuple(given))
        if not spec.url and (not spec.command or shutil.which(spec.command[0]) is None):
            raise ValueError(f"server command {' '.join(spec.command)!r} cannot be run; give a program that exists, or an http:// address")
        return spec

    def __str__(self) -> str:
        return self.url or shlex.join(self.command)


class McpSession:
    """Connects when made. ``call_timeout`` and ``start_timeout`` in seconds. Raises ``EnvFault`` when the server cannot be reached.

    ``spent``: a call ran out of time, so what the server is doing is unknown and the session should not serve another episode.
    """

    def __init__(self, server: ServerSpec, *, call_timeout: float = 30.0, start_timeout: float = 60.0) -> None:
        self.server, self.call_timeout = server, call_timeout
        self.spent = False
        self.tools: tuple[ToolSpec, ...] = ()
        self.instructions = ""
        self._errors = tempfile.TemporaryFile("w+", errors="replace")  # noqa: SIM115 closed by close()
        self._ready: Future[Client] = Future()
        self._loop = asyncio.new_event_loop()
        self._stop = asyncio.Event()
        self._connecting: CancelScope | None = None
        self._thread = threading.Thread(target=self._run, name=f"mcp {server}"[:60], daemon=True)
        self._thread.start()
        try:
            self._client = self._ready.result(start_timeout)
            self.tools = self._submit(self._list(), start_timeout)
            self.instructions = self._client.instructions or ""
        except EnvFault:
            self.close()
            raise
        except BaseException as error:
            reason = f"not within {start_timeout} s" if isinstance(error, TimeoutError) else _cause(error)
            fault = EnvFault(f"MCP server {server} did not start: {reason}{self._tail()}")
            self.close()
            if isinstance(error, KeyboardInterrupt):
                raise
            raise fault from error

    def __enter__(self) -> McpSession:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def alive(self) -> bool:
        return self._thread.is_alive() and not self._stop.is_set()

    def call(self, name: str, arguments: Mapping[str, Any]) -> ToolResult:
        """Run a tool of the server. A refusal, and a call that takes longer than ``call_timeout``, is a ``ToolResult``; a server that is
        gone is an ``EnvFault``."""
        from mcp import MCPError
        from mcp.types import CONNECTION_CLOSED, REQUEST_TIMEOUT

        calling = self._client.call_tool(name, dict(arguments), read_timeout_seconds=self.call_timeout)
        try:
            return _result(self._submit(calling, self.call_timeout + _GRACE_SECONDS))
        except MCPError as error:
            if error.code == REQUEST_TIMEOUT:
                return self._late(name)
            if error.code == CONNECTION_CLOSED:
                raise self._gone(name) from error
            return ToolResult(text=f"Error: {error}", failure="refused")
        except TimeoutError:
            return self._late(name)
        except EnvFault:
            raise
        except RuntimeError as error:  # the server's answer breaks the tool's own output schema
            return ToolResult(text=f"Error: {name} gave an unusable answer: {error}", failure="refused")

    def close(self) -> None:
        """End the session and the server that was started for it. May be called twice."""
        if self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._end)
            self._thread.join(_CLOSING_SECONDS)
        self._errors.close()

    def _late(self, name: str) -> ToolResult:
        self.spent = True
        if not self.alive:
            raise self._gone(name)
        return ToolResult(text=f"Error: {name} took longer than {self.call_timeout:g} s and was given up.", failure="refused")

    def _gone(self, name: str) -> EnvFault:
        self.spent = True
        return EnvFault(f"MCP server {self.server} ended during {name}{self._tail()}")

    def _tail(self) -> str:
        """What the server wrote to stderr last."""
        self._errors.seek(0)
        text = self._errors.read()[-_TAIL:].strip()
        return f"; it wrote: {text}" if text else ""

    def _submit(self, work: Coroutine[Any, Any, Value], timeout: float) -> Value:
        """Run ``work`` in the session's thread."""
        try:
            future = asyncio.run_coroutine_threadsafe(work, self._loop)
        except RuntimeError as error:  # the loop was closed
            work.close()
            raise EnvFault(f"the session with MCP server {self.server} was closed") from error
        try:
            return future.result(timeout)
        except CancelledError as error:
            self.spent = True
            raise EnvFault(f"the session with MCP server {self.server} broke{self._tail()}") from error
        except TimeoutError:
            future.cancel()
            raise

    # ---- in the session's thread -----------------------------------------------------------------------------------

    def _run(self) -> None:
        with asyncio.Runner(loop_factory=lambda: self._loop) as runner:
            try:
                runner.run(self._live())
            except BaseException as error:  # the thread's end: whoever waits for the connection is told
                if not self._ready.done():
                    self._ready.set_exception(error)

    def _end(self) -> None:
        self._stop.set()
        if self._connecting is not None:
            self._connecting.cancel()

    async def _live(self) -> None:
        from anyio import CancelScope
        from mcp import Client

        async with AsyncExitStack() as stack:
            self._connecting = stack.enter_context(CancelScope())
            # The handshake of 2025 opens a session with a state of its own, over HTTP too; the newer protocol has none.
            client = await stack.enter_async_context(Client(await self._transport(stack), mode="legacy"))
            self._connecting = None
            self._ready.set_result(client)
            await self._stop.wait()

    async def _transport(self, stack: AsyncExitStack) -> Any:
        if self.server.url:
            import httpx2
            from mcp.client.streamable_http import streamable_http_client

            # A call may take as long as call_timeout says, so reading has no limit of its own.
            limits = httpx2.Timeout(30.0, read=None)
            http = await stack.enter_async_context(httpx2.AsyncClient(headers=dict(self.server.headers), timeout=limits))
            return streamable_http_client(self.server.url, http_client=http)
        from mcp import StdioServerParameters, stdio_client

        command = self.server.command
        if sys.platform == "linux":
            command = (sys.executable, "-I", "-S", "-c", _DIES_WITH_US, *command)
        parameters = StdioServerParameters(command=command[0], args=list(command[1:]), env=dict(self.server.env), cwd=self.server.cwd)
        return stdio_client(parameters, errlog=self._errors)

    async def _list(self) -> tuple[ToolSpec, ...]:
        """The server's tools, page by page."""
        found: dict[str, ToolSpec] = {}
        cursor: str | None = None
        for _ in range(MAX_PAGES):
            page = await self._client.list_tools(cursor=cursor)
            for tool in page.tools:
                if tool.name in found:
                    raise EnvFault(f"MCP server {self.server} lists {tool.name!r} twice")
                schema = cast("dict[str, Json]", {"type": "object", "properties": {}, **without_titles(tool.input_schema)})
                found[tool.name] = ToolSpec(name=tool.name, description=tool.description or "", parameters=schema)
            cursor = page.next_cursor
            if not cursor:
                return tuple(found.values())
        raise EnvFault(f"MCP server {self.server} lists more than {MAX_PAGES} pages of tools")


def _result(answer: CallToolResult) -> ToolResult:
    """What the agent reads of an answer, and its value: the structured content, else the text, read as JSON where it is JSON."""
    text = "\n".join(_block(block) for block in answer.content)
    if answer.is_error:
        return ToolResult(text=render(f"Error: {text}"), failure="refused")
    value: Any = answer.structured_content
    if isinstance(value, dict) and set(cast("dict[str, Any]", value)) == {"result"}:  # how the SDK wraps what is no object
        value = cast("dict[str, Any]", value)["result"]
    if value is None:
        try:
            value = json.loads(text)
        except (ValueError, RecursionError):
            value = text
    if not answer.content and answer.structured_content is not None:
        text = json.dumps(answer.structured_content, ensure_ascii=False)
    return ToolResult(text=render(text), value=value)


def _block(block: Any) -> str:
    """A piece of content as text; what is no text is named, with its kind and size."""
    if block.type == "text":
        return str(block.text)
    if block.type in ("image", "audio"):
        return f"[{block.type}: {block.mime_type}, {len(block.data) * 3 // 4} bytes, not shown]"
    if block.type == "resource" and getattr(block.resource, "text", None) is not None:
        return str(block.resource.text)
    where = getattr(block, "uri", None) or getattr(getattr(block, "resource", None), "uri", "")
    return f"[{block.type}: {where}, not shown]"


def _cause(error: BaseException) -> str:
    """The first real error inside exception groups."""
    while isinstance(error, BaseExceptionGroup):
        error = cast("BaseExceptionGroup[BaseException]", error).exceptions[0]
    return f"{type(error).__name__}: {error}"


def python_path() -> str:
    """``PYTHONPATH`` for a Python server that imports what we can import."""
    return os.pathsep.join(path for path in sys.path if path)
