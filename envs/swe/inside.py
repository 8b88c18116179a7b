"""The supervisor of a test run, inside the sandbox: starts pytest in a child, takes its results from a pipe, answers the host.

    host -> request (JSON) -> standard input
    child (turnwise_inside_child) -> tag + JSON, a line each -> pipe -> here
    standard output -> MAC + compressed list of those lines -> host

Runs alone from the toolchain folder and imports nothing of Turnwise and nothing slow. It is not dumpable, so that code with the same
user id can neither read its memory nor write into its pipes through /proc; the key it shares with the host stays here. Each line of
the child is tagged with a hash over all that it has said so far, keyed with what only its reporter holds.
"""

from __future__ import annotations

import base64
import contextlib
import json
import os
import resource
import select
import sys
import time
import zlib
from _blake2 import blake2b  # hashlib takes 4 ms to import
from typing import Any

SIGKILL = 9
KEEP_OUTPUT = 4000
TAG = 32
MOST_SAID = 64 << 20


def protect() -> bool:
    """Make this process non-dumpable (prctl PR_SET_DUMPABLE 0). ``ctypes`` itself would take 10 ms."""
    try:
        import _ctypes

        prctl: Any = getattr(_ctypes, "dlsym")(getattr(_ctypes, "dlopen")(None, 0), "prctl")  # noqa: B009
        return getattr(_ctypes, "call_function")(prctl, (4, 0, 0, 0, 0)) == 0  # noqa: B009
    except (ImportError, AttributeError, OSError):
        return False


class Child:
    """The process that runs pytest: what it said, and how it ended."""

    def __init__(self, request: dict[str, Any], key: bytes) -> None:
        self.said: list[Any] = []
        self.output, self.output_bytes = b"", 0
        self.forged, self.heard = 0, 0
        self.rest = b""
        self.chain = blake2b(key=key, digest_size=TAG // 2)
        control_read, control = os.pipe()
        self.reports, report_write = os.pipe()
        self.out, out_write = os.pipe()
        self.pid = os.fork()
        if self.pid == 0:
            self._become(request, (control_read, report_write, out_write))
        for fd in (control_read, report_write, out_write):
            os.close(fd)
        for fd in (self.reports, self.out):
            os.set_blocking(fd, False)
        data = memoryview(json.dumps({**request, "chain": key.hex()}).encode())
        while data:
            try:
                data = data[os.write(control, data) :]
            except BrokenPipeError:
                break
        os.close(control)

    def _become(self, request: dict[str, Any], fds: tuple[int, int, int]) -> None:
        try:
            os.setsid()
            null = os.open(os.devnull, os.O_RDONLY)
            control, reports, out = (os.dup(fd) for fd in (fds[0], fds[1], fds[2]))
            moved = [os.dup2(fd, number + 20) for number, fd in enumerate((null, out, out, control, reports))]
            for number, fd in enumerate(moved):
                os.dup2(fd, number)
            os.closerange(5, 256)
            soft, hard = resource.getrlimit(resource.RLIMIT_DATA)
            if soft != resource.RLIM_INFINITY:  # less than all have together, so that it fails and not the sandbox
                resource.setrlimit(resource.RLIMIT_DATA, (soft * 3 // 4, hard))
            os.chdir(request["work"])
            flags = ["-s", "-P"] if request["site"] else ["-s", "-P", "-S"]
            place = os.path.dirname(os.path.abspath(__file__))
            code = f"import sys; sys.path.insert(0, {place!r}); from turnwise_inside_child import main; main()"
            os.execve(sys.executable, [sys.executable, *flags, "-c", code], request["environ"])
        except BaseException as error:
            os.write(2, f"{type(error).__name__}: {error}\n".encode())
        finally:
            os._exit(127)

    def listen(self, deadline: float, flood: int) -> str:
        """Until it ends; why it had to be killed, or empty."""
        fds = [self.reports, self.out]
        pause = 0.0005
        while True:
            readable = select.select(fds, [], [], min(0.05, pause))[0] if fds else []
            pause = 0.05 if len(fds) == 2 else pause * 2
            for fd in readable:
                if self._take(fd) == 0:
                    fds.remove(fd)
                    pause = 0.0005
            if not fds:
                time.sleep(min(0.01, pause))
            if self.output_bytes > flood or self.heard > MOST_SAID:
                return "output"
            if time.monotonic() > deadline:
                return "time"
            if not readable and os.waitid(os.P_PID, self.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None:
                for fd in list(fds):
                    while self._take(fd) > 0 and self.output_bytes <= flood:
                        pass
                return ""

    def _take(self, fd: int) -> int:
        """How many bytes were read; 0: it was closed, -1: nothing is there now."""
        try:
            data = os.read(fd, 1 << 16)
        except BlockingIOError:
            return -1
        if fd == self.out:
            self.output_bytes += len(data)
            self.output = (self.output + data)[-KEEP_OUTPUT:]
        elif data:
            self.heard += len(data)
            *lines, self.rest = (self.rest + data).split(b"\n")
            for line in lines:
                self._line(line)
            if len(self.rest) > 1 << 16:
                self.forged, self.rest = self.forged + 1, b""
        return len(data)

    def _line(self, line: bytes) -> None:
        tag, body = line[:TAG], line[TAG:]
        following = self.chain.copy()
        following.update(body)
        if following.hexdigest().encode() != tag:
            self.forged += 1
            return
        self.chain = following
        self.said.append(json.loads(body))

    def end(self, killed: bool) -> tuple[int, float]:
        """Its exit code, minus the signal where one ended it, and the processor time it used; nothing of its session is left."""
        if killed:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(self.pid, SIGKILL)
        _, status, used = os.wait4(self.pid, 0)
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, SIGKILL)
        return os.waitstatus_to_exitcode(status), used.ru_utime + used.ru_stime


def write_canary(request: dict[str, Any]) -> str:
    """The file of the tests whose results are known, in a new folder; its path, or empty where there are none."""
    if not request["canary"]:
        return ""
    name, source = request["canary"]
    folder = os.path.join(request["environ"]["TMPDIR"], os.urandom(6).hex())
    os.mkdir(folder, 0o755)
    with open(os.path.join(folder, name), "w") as file:
        file.write(source)
    return os.path.join(folder, name)


def main() -> None:
    sealed = protect()
    request: dict[str, Any] = json.loads(sys.stdin.buffer.read())
    key = bytes.fromhex(request.pop("key"))
    started = time.monotonic()
    request["canary_files"] = [canary] if (canary := write_canary(request)) else []
    child = Child(request, os.urandom(32))
    killed = child.listen(started + request["timeout"], request["flood"])
    ended, used = child.end(bool(killed))
    if canary:
        with contextlib.suppress(OSError):  # gone, or not alone any more: of no consequence
            os.unlink(canary)
            os.rmdir(os.path.dirname(canary))
    answer: dict[str, Any] = {
        "said": child.said,
        "exit": ended,
        "cpu": used,
        "killed": killed,
        "forged": child.forged,
        "sealed": sealed,
        "output": child.output.decode("utf-8", "backslashreplace"),
        "seconds": time.monotonic() - started,
    }
    body = base64.b64encode(zlib.compress(json.dumps(answer).encode(), 1))
    mac = blake2b(body, key=key, digest_size=32).hexdigest().encode()
    data = memoryview(mac + b" " + body + b"\n")
    while data:
        data = data[os.write(1, data) :]
    os._exit(0)
