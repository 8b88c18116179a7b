"""No sandbox at all: the same interface in a temporary folder. Only ever used when asked for by name, for code one trusts."""

from __future__ import annotations

import contextlib
import importlib.util
import marshal
import os
import shutil
import signal
import sys
import tempfile
import time
from functools import lru_cache
from pathlib import Path

from .base import Limits
from .bubblewrap import ENVIRON, Place
from .process import Command, DriverSandbox, driver_source
from .transfer import Base

_KILL_S = 1.0
"""What killing the processes of a folder may take; each pass over them takes a few milliseconds."""


def local(limits: Limits, base: Base, place: Place | None = None) -> DriverSandbox:
    """Time, output, per-process memory and file size are limited. Network, the caller's files, its other processes and the number of
    new ones are not: code can do whatever the caller can.

    The work folder is a new temporary one at every start (``work`` of the sandbox), wherever ``place`` wants it. Raises ``ValueError``
    when folders are to be bound, as nothing can be.
    """
    place = place or Place()
    if place.binds:
        raise ValueError(f"{', '.join(place.binds)} cannot be bound without a sandbox; use the folders themselves")
    return DriverSandbox("local", lambda _: _command(place), limits, base)


@lru_cache(maxsize=1)
def _compiled(source: str) -> bytes:
    return importlib.util.MAGIC_NUMBER + bytes(12) + marshal.dumps(compile(source, "driver", "exec", dont_inherit=True, optimize=2))


def _command(place: Place) -> Command:
    folder = Path(tempfile.mkdtemp(prefix="turnwise-local-"))
    for name in ("work", "tmp"):
        (folder / name).mkdir()
    environ = {**ENVIRON, "PATH": os.environ.get("PATH", os.defpath), "HOME": f"{folder}/home", "TMPDIR": f"{folder}/tmp"}
    program = folder / "driver.pyc"
    program.write_bytes(_compiled(driver_source()))
    return Command(
        argv=[sys.executable, "-S", "-s", str(program), f"{folder}/work", str(folder)],
        environ={**environ, **place.environ},
        clean=lambda: _clean(folder),
        work=f"{folder}/work",
    )


def _clean(folder: Path) -> None:
    """Where code ended its driver, what it had started is still there: every process that says so in its environment is killed."""
    mark = f"TMPDIR={folder}/tmp".encode()
    end = time.monotonic() + _KILL_S
    while _kill(mark) and time.monotonic() < end:  # what is forked, or becomes another program, during a pass is found by the next
        pass
    shutil.rmtree(folder, ignore_errors=True)


def _kill(mark: bytes) -> bool:
    """Kill every process that has ``mark`` in its environment; whether there was one, or one that may turn out to."""
    found = False
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):  # it has ended, or is not ours
            environ = (process / "environ").read_bytes()
            if mark in environ.split(b"\0"):
                os.kill(int(process.name), signal.SIGKILL)
                found = True
            elif not environ:
                found |= _starting(process)
    return found


def _starting(process: Path) -> bool:
    """Whether an environment that was read as empty may not be: for a moment of ``execve`` a process has none yet.

    See proc_pid_stat(5): ``vsize`` is 0 of a kernel thread and of what has ended, ``env_end`` is 0 until the environment is there."""
    fields = (process / "stat").read_text(errors="replace").rpartition(")")[2].split()
    vsize, env_start, env_end = (int(fields[field - 3]) for field in (23, 50, 51))
    return vsize > 0 and not 0 < env_start == env_end
