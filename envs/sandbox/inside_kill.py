"""Waiting for processes in a sandbox, and killing what is left of them. See driver.py."""

from __future__ import annotations

import os
import time

from .inside import ISOLATED

TYPE_CHECKING = False
if TYPE_CHECKING:
    from signal import SIGKILL
else:
    from _signal import SIGKILL

KILL_S = 2.0
"""What killed processes may take to end."""


class Children:
    """The exit codes of processes that were started here. Process 1 also gets the orphans of others; those are only collected."""

    def __init__(self) -> None:
        self.waited: set[int] = set()
        self.codes: dict[int, int] = {}

    def collect(self) -> bool:
        """Collect all that have ended. False: there are no children at all."""
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return False
            if not pid:
                return True
            if pid in self.waited:
                self.codes[pid] = os.waitstatus_to_exitcode(status)

    def ended(self, pid: int) -> int | None:
        """Its exit code, asked for until it is there and then not again; ``None``: it runs."""
        self.waited.add(pid)
        alive = self.collect()
        if pid not in self.codes and alive:
            return None
        self.waited.discard(pid)
        return self.codes.pop(pid, -9)

    def linger(self, pid: int) -> int | None:
        """The exit code of a child that seems to end by itself, if it does so soon."""
        for _ in range(20):
            status = self.ended(pid)
            if status is not None:
                return status
            time.sleep(0.005)
        return None

    def kill(self, leader: int, others: list[int], known: frozenset[int] = frozenset()) -> bool:
        """Kill the session of ``leader`` and what comes from it: all processes but this one, the sessions and descendants of ``others``,
        and ``known``. False: some would not end."""
        deadline = time.monotonic() + KILL_S
        if not ISOLATED:
            strike(-leader)
            while victims := family([leader])[0] if os.path.isdir("/proc/self") else set[int]():
                for pid in victims:
                    strike(pid)
                self.collect()
                if time.monotonic() > deadline:
                    return False
                time.sleep(0.001)
            self.collect()
            return True
        if not others:
            strike(-1)
            while self.collect():
                if time.monotonic() > deadline:
                    return False
                time.sleep(0.001)
            return True
        strike(-leader)
        while victims := family(others)[1] - known:
            for pid in victims:
                strike(pid)
            self.collect()
            if time.monotonic() > deadline:
                return False
            time.sleep(0.001)
        self.collect()
        return True

    def reap(self, pid: int) -> int:
        """The exit code of a child that was killed."""
        deadline = time.monotonic() + KILL_S
        while (status := self.ended(pid)) is None:
            if time.monotonic() > deadline:
                raise OSError(0, "a killed process does not end")
            time.sleep(0.0005)
        return status


def strike(target: int) -> None:
    try:
        os.kill(target, SIGKILL)
    except (ProcessLookupError, PermissionError):
        return


def running() -> frozenset[int]:
    return frozenset(int(name) for name in os.listdir("/proc") if name.isdigit()) if ISOLATED else frozenset()


def family(leaders: list[int]) -> tuple[set[int], set[int]]:
    """(the processes of these sessions and all that descend from them or their leaders, all other living ones but process 1 and this)."""
    about: dict[int, tuple[int, int]] = {}
    for name in os.listdir("/proc"):
        if not name.isdigit():
            continue
        try:
            with open(f"/proc/{name}/stat", "rb") as file:
                words = file.read().rpartition(b")")[2].split()
        except OSError:
            continue
        if words and words[0] not in (b"Z", b"X"):
            about[int(name)] = int(words[1]), int(words[3])
    inside = set(leaders)
    grown = True
    while grown:
        more = {pid for pid, (parent, session) in about.items() if pid not in inside and (parent in inside or session in leaders)}
        inside |= more
        grown = bool(more)
    return inside & set(about), set(about) - inside - {1, os.getpid()}
