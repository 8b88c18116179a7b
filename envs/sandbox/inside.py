"""What the parts of the program inside a sandbox share: flags, limits, pipes and the start of processes. See driver.py."""

from __future__ import annotations

import os
import resource
import struct
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from signal import SIG_DFL, SIGINT, SIGPIPE
    from signal import signal as set_handler
    from typing import Any, TypedDict

    class Limits(TypedDict):
        """What one call may use. Bytes, seconds, numbers; ``processes`` 0: not limited here."""

        timeout: float
        memory: int
        file_size: int
        processes: int
        cpu: int
        keep: int
        flood: int
        max_files: int

else:
    from _signal import SIG_DFL, SIGINT, SIGPIPE
    from _signal import signal as set_handler

HEADER = struct.Struct("!IiIQQI")
"""serial, exit code (minus the signal), flags, bytes of output and of errors in all, bytes of output kept."""
TIMED_OUT, FLOODED, MEMORY, FILES, LOST, RAISED, RENEWED = 1, 2, 4, 8, 16, 32, 64
WORK = sys.argv[1] if __name__ == "__main__" else ""
TICK = 0.05
ISOLATED = os.getpid() == 1
"""Only process 1 of a process namespace may kill everything it sees."""


class Ended(Exception):
    """The host is gone."""


def read_exactly(fd: int, count: int) -> bytearray:
    data = bytearray(count)
    view = memoryview(data)
    while view:
        found = os.readv(fd, [view])
        if not found:
            raise Ended
        view = view[found:]
    return data


def write_all(fd: int, data: bytes | memoryview) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(fd, view) :]


class Stream:
    """One output pipe: the first ``keep`` bytes, and how many there were."""

    def __init__(self, fd: int) -> None:
        self.fd, self.kept, self.total, self.open = fd, bytearray(), 0, True
        os.set_blocking(fd, False)

    def drain(self, keep: int, most: int) -> None:
        """Read what is there, but not for ever."""
        while self.open and self.total <= most:
            if not self.once(keep):
                return

    def once(self, keep: int) -> bool:
        """Read once: as much as a pipe holds. False: nothing is there now."""
        try:
            piece = os.read(self.fd, 1 << 20)
        except BlockingIOError:
            return False
        self.open = bool(piece)
        self.total += len(piece)
        self.kept += piece[: max(0, keep - len(self.kept))]
        return True

    def take(self) -> tuple[bytes, int]:
        out = bytes(self.kept), self.total
        self.kept, self.total = bytearray(), 0
        return out


def set_limits(limits: Limits) -> None:
    for what, most in (
        (resource.RLIMIT_DATA, limits["memory"]),
        (resource.RLIMIT_FSIZE, limits["file_size"]),
        (resource.RLIMIT_NPROC, limits["processes"]),
        (resource.RLIMIT_CPU, limits["cpu"]),
        (resource.RLIMIT_NOFILE, 256),
        (resource.RLIMIT_CORE, 0),
    ):
        if most:
            hard = resource.getrlimit(what)[1]
            most = most if hard == resource.RLIM_INFINITY else min(most, hard)
            resource.setrlimit(what, (most, most))


def start(run: Callable[[], Any], fds: tuple[int, int, int], keep: tuple[int, ...], limits: Limits) -> int:
    """Fork; in the child, with these standard streams and limits and no other descriptor but ``keep``, in a session of its own, do
    ``run`` and never return."""
    pid = os.fork()
    if pid:
        return pid
    try:
        os.setsid()
        for number, fd in enumerate(fds):
            os.dup2(fd, number)
        edges = [2, *sorted(keep), 256]
        for place, low in enumerate(edges[:-1]):
            os.closerange(low + 1, edges[place + 1])
        set_handler(SIGPIPE, SIG_DFL)
        set_handler(SIGINT, SIG_DFL)
        os.chdir(WORK)
        set_limits(limits)
        run()
    except BaseException as error:
        os.write(2, f"{type(error).__name__}: {error}\n".encode("utf-8", "replace"))
    finally:
        os._exit(127)


def execute(argv: list[str], environ: dict[str, str]) -> None:
    """Become a program, searched for in PATH. ``os.execvpe`` would import ``warnings`` for that, each time anew."""
    if "/" in argv[0]:
        os.execve(argv[0], argv, environ)
    problem: OSError | None = None
    for folder in environ.get("PATH", os.defpath).split(":"):
        try:
            os.execve(os.path.join(folder, argv[0]), argv, environ)
        except (FileNotFoundError, NotADirectoryError):
            continue
        except OSError as error:
            problem = problem or error
    raise problem or FileNotFoundError(2, "No such file or directory", argv[0])


def resident(pid: str) -> int:
    """Bytes of memory of a process that no file backs; 0 once it is gone."""
    try:
        with open(f"/proc/{pid}/status", "rb") as file:
            text = file.read()
    except OSError:
        return 0
    found = 0
    for name in (b"RssAnon:", b"RssShmem:"):
        place = text.find(name)
        found += int(text[place + len(name) :].split(None, 1)[0]) * 1024 if place >= 0 else 0
    return found


def set_dumpable(on: bool) -> None:
    """Of a process that is not dumpable (prctl PR_SET_DUMPABLE) code with the same user id can neither read nor write the memory or open
    the pipes through /proc. ``ctypes`` itself would take 10 ms."""
    try:
        import _ctypes
    except ImportError:  # a Python without it: the host believes nothing anyway
        return
    library: Any = _ctypes
    library.call_function(library.dlsym(library.dlopen(None, 0), "prctl"), (4, int(on), 0, 0, 0))
