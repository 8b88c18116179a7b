"""Sandboxes that are started before they are wanted.

    with SandboxPool(sandbox_maker(tree=tree, work="/testbed"), size=4) as pool:
        with pool.take() as box:          # fresh, and running already
            box.shell("ls")

A sandbox is never given twice: its taker closes it, and another one is started in its place.
"""

from __future__ import annotations

import os
import threading
from collections import deque
from collections.abc import Callable
from types import TracebackType
from typing import Generic, TypeVar

from .base import Sandbox, SandboxError

BoxT = TypeVar("BoxT", bound=Sandbox)


class SandboxPool(Generic[BoxT]):
    """Keeps ``size`` sandboxes ready that a background thread makes with ``make`` and starts with a command.

    ``take`` may be called from any thread. A forked process has no part in the pool of its parent: there ``take`` raises
    ``SandboxError``, and ``close`` does nothing. A pool that nobody holds any more closes itself.
    """

    def __init__(self, make: Callable[[], BoxT], size: int = 4) -> None:
        if size < 1:
            raise ValueError(f"size is {size}; a pool keeps at least 1 sandbox")
        self._shared = _Shared[BoxT](make, size)
        self._thread = threading.Thread(target=_fill, args=(self._shared,), name="sandbox-pool", daemon=True)
        self._thread.start()

    def __enter__(self) -> SandboxPool[BoxT]:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def __del__(self) -> None:
        self.close()

    @property
    def made(self) -> int:
        """Sandboxes that were started."""
        return self._shared.made

    @property
    def taken(self) -> int:
        """Sandboxes that were given out."""
        return self._shared.taken

    @property
    def waited(self) -> int:
        """Takes that found none ready."""
        return self._shared.waited

    @property
    def ready(self) -> int:
        """Sandboxes that can be had at once."""
        return len(self._shared.boxes)

    def take(self, timeout_s: float = 60.0) -> BoxT:
        """A sandbox that nobody had; whoever takes it closes it.

        Raises ``SandboxError`` when the pool was closed, none came in time, or what kept one from starting.
        """
        return self._shared.take(timeout_s)

    def close(self) -> None:
        """End the sandboxes that were not taken. Twice is fine; a ``take`` that waits raises."""
        shared = getattr(self, "_shared", None)  # __init__ may have raised
        if shared is None or os.getpid() != shared.owner:
            return
        with shared.changed:
            shared.closed = True
            shared.changed.notify_all()
        if threading.current_thread() is not self._thread:
            self._thread.join()
        while shared.boxes:
            shared.boxes.popleft().close()


class _Shared(Generic[BoxT]):
    """What the pool and its thread both hold; the thread does not hold the pool, so that this can be forgotten."""

    def __init__(self, make: Callable[[], BoxT], size: int) -> None:
        self.make, self.size, self.owner = make, size, os.getpid()
        self.changed = threading.Condition()
        self.boxes: deque[BoxT] = deque()
        self.made = self.taken = self.waited = 0
        self.closed = False
        self.error: Exception | None = None
        """Why the last one did not start; nothing is tried again before somebody wants one."""

    def take(self, timeout_s: float) -> BoxT:
        if os.getpid() != self.owner:
            raise SandboxError("this pool belongs to the process that made it; make one in each process")
        with self.changed:
            if not self.boxes and not self.closed:
                self.waited += 1
                self.error = None
                self.changed.notify_all()
                self.changed.wait_for(lambda: self.boxes or self.closed or self.error, timeout_s)
            if self.closed:
                raise SandboxError("the pool was closed; make another one")
            if not self.boxes:
                raise SandboxError(f"no sandbox is ready: {self.error or f'none came within {timeout_s:g} s'}") from self.error
            self.taken += 1
            box = self.boxes.popleft()
            self.changed.notify_all()
            return box


def _fill(shared: _Shared[BoxT]) -> None:
    while True:
        with shared.changed:
            shared.changed.wait_for(lambda: shared.closed or (len(shared.boxes) < shared.size and shared.error is None))
            if shared.closed:
                return
        try:
            box = shared.make()
            box.exec(["true"])
        except Exception as error:
            with shared.changed:
                shared.error = error
                shared.changed.notify_all()
            continue
        with shared.changed:
            shared.made += 1
            shared.boxes.append(box)  # where the pool was closed meanwhile, close() ends it: it waits for this thread
            shared.changed.notify_all()
