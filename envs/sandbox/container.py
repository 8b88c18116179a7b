"""One container: it lives as long as this process holds its input, and is removed with this object."""

from __future__ import annotations

import os
import time
import uuid
import weakref
from collections.abc import Mapping
from typing import Any

import numpy as np

from .base import SandboxError
from .daemon import address, client, missing, remove_quietly, speaking
from .inside import HEADER
from .session import START_S, Broken, Session
from .stream import OUTPUT, Stream

PATIENCE_S = 1.0


class Container:
    """Made and started at once. Raises ``SandboxError`` with what the daemon says."""

    def __init__(self, config: dict[str, Any], *, what: str = "", outputs: bool = False, start: bool = True) -> None:
        what = what or str(config["Image"])
        self.id = ""
        self._params = {"stdin": 1, "stream": 1, **({"stdout": 1, "stderr": 1} if outputs else {})}
        self._stream: Stream | None = None
        api = client()
        with speaking(f"make a container of {what!r}"):
            self.id = str(api.create_container_from_config(config, f"turnwise-{uuid.uuid4().hex}")["Id"])
        self._remove = weakref.finalize(self, remove_quietly, "container", self.id, *place())
        if start:
            try:
                self._start(f"start a container of {what!r}")
            except SandboxError:
                self.close()
                raise

    def _start(self, doing: str) -> None:
        api = client()
        with speaking(doing):
            self._stream = Stream(api.attach_socket(self.id, params=self._params))
            api.start(self.id)

    @property
    def stream(self) -> Stream:
        assert self._stream is not None  # it was started
        return self._stream

    def close(self) -> None:
        """Twice is fine."""
        if self._stream is not None:
            self._stream.close()
            self._stream = None
        self._remove()

    def attach(self, argv: list[str], environ: Mapping[str, str] | None = None) -> tuple[str, Stream]:
        """Start a command, which must not say anything before it was sent something: its id, and the way to it."""
        api = client()
        with speaking("run a command"):
            call = str(api.exec_create(self.id, argv, stdin=True, environment=dict(environ or {}))["Id"])
            return call, Stream(api.exec_start(call, socket=True))

    def runs(self, call: str) -> bool:
        with speaking("look at a command"):
            return bool(client().exec_inspect(call)["Running"])

    def exit_code(self, call: str) -> int:
        """Minus the signal, where docker says 128 and the signal."""
        for _ in range(200):  # the output may end a moment before the process is collected
            with speaking("look at a command"):
                found: int | None = client().exec_inspect(call)["ExitCode"]
            if found is not None:
                return signed(found)
            time.sleep(0.01)
        return -9

    def restart(self) -> None:
        """End everything that runs; the files stay, but for folders in memory."""
        self.stream.close()
        with speaking("stop the container"):
            client().stop(self.id, timeout=0)
        self._start("start the container again")

    def ending(self, patience_s: float = 0.0) -> str:
        """How code in it ended it; empty: it runs. Raises ``SandboxError`` where somebody else did, or the daemon is gone.

        ``patience_s``: connections may end so long before the container is seen to."""
        deadline = time.monotonic() + patience_s
        while True:
            try:
                with speaking("look at the container"):
                    state: dict[str, Any] = client().inspect_container(self.id)["State"]
            except SandboxError as error:
                if missing(error):
                    raise SandboxError("the container was removed from outside while it was used") from error
                raise
            if not state["Running"]:
                break
            if time.monotonic() >= deadline:
                return ""
            time.sleep(0.05)
        if state["ExitCode"] == 137 and not state["OOMKilled"]:  # nothing inside can kill process 1
            raise SandboxError("the container was killed from outside while it was used")
        return "out of memory" if state["OOMKilled"] else f"its first process ended with exit code {state['ExitCode']}"

    def out_of_memory(self, since: float) -> bool:
        """Whether the kernel killed something in it for its memory since then (of ``time.time``)."""
        wanted = {"container": [self.id], "event": ["oom"], "type": ["container"]}
        with speaking("read its events"):
            return bool(list(client().events(since=int(since), until=time.time(), filters=wanted, decode=True)))

    def written_mb(self) -> float:
        """What its files hold above those of its image."""
        with speaking("measure the container"):
            found: list[dict[str, Any]] = client().containers(all=True, size=True, filters={"id": self.id})
        return sum(about.get("SizeRw", 0) for about in found) / (1 << 20)


class ContainerSession(Session):
    """A driver in a container, or in a command of one."""

    def __init__(self, container: Container, stream: Stream, name: str, *, own: bool = True) -> None:
        """``own``: the container ends with this. ``name``: of what runs the driver, for messages."""
        self.told, self.work = False, ""
        self._serial = np.random.default_rng()
        self._running = container, stream
        self._about = name
        self._out = bytearray()
        self._errors = bytearray()
        self.close = weakref.finalize(self, _end, stream, container if own else None)

    def ready(self) -> None:
        deadline = time.monotonic() + START_S
        try:
            if len(self._frame(deadline)) == HEADER.size:
                return
            said = "it answered in a way that is not the driver's"
        except Broken as error:
            said = self._errors.decode("utf-8", "replace").strip()[-2000:] or str(error)
        except SandboxError:
            self.close()
            raise
        self.close()
        raise SandboxError(f"the sandbox did not start ({self._about}): {said}")

    def _send(self, data: bytes, deadline: float) -> None:
        self._running[1].send(data)
        if not self._running[1].flush(deadline):
            raise Broken(self._why("no request is taken any more"))

    def _read(self, count: int, deadline: float) -> bytes:
        stream = self._running[1]
        while len(self._out) < count:
            found = stream.piece(deadline - time.monotonic())
            if found is not None:
                kept = self._out if found[0] == OUTPUT else self._errors
                kept += found[1]
                del self._errors[:-4000]
            elif stream.ended:
                raise Broken(self._why("its process has ended"))
            else:
                raise Broken("no answer in time")
        data = bytes(self._out[:count])
        del self._out[:count]
        return data

    def _why(self, otherwise: str) -> str:
        """Raises ``SandboxError`` where somebody else ended the container."""
        return self._running[0].ending(PATIENCE_S) or otherwise


def _end(stream: Stream, container: Container | None) -> None:
    stream.close()
    if container is not None:
        container.close()


def signed(code: int) -> int:
    """Docker and bash say 128 and the number of the signal."""
    return 128 - code if 128 < code <= 128 + 64 else code


def place() -> tuple[int, str, str]:
    """What a finalizer needs to know to remove something later."""
    return os.getpid(), address(), str(client().api_version)
