"""A server in a sandbox that makes more of them: each a fork of it, in namespaces of its own. See forks.py.

    host -> (its end of a socket, marshal((sizes, environ))) -> server -> clone -> name spaces, mounts, no rights -> driver's main()

Starting Python takes four times as long as all of this. Nothing untrusted ever runs in the server or in its namespaces.
"""

from __future__ import annotations

import marshal
import os
import struct
import sys

from .driver import main
from .inside import write_all

TYPE_CHECKING = False
if TYPE_CHECKING:
    from signal import SIG_DFL, SIG_IGN, SIGCHLD
    from signal import signal as set_handler
else:
    from _signal import SIG_DFL, SIG_IGN, SIGCHLD
    from _signal import signal as set_handler

FORKS = "--forks"
MOST = 1 << 16
"""Bytes of one request."""
_SPACES = 0x20000 | 0x2000000 | 0x4000000 | 0x8000000 | 0x10000000 | 0x20000000 | 0x40000000
"""clone: mounts, control groups, host name, IPC, users, processes, network."""
_CLONE = {"x86_64": 56, "aarch64": 220}
_NOSUID, _NODEV, _NOEXEC = 2, 4, 8
_CHILD_ENDS = 17
_SET_SECCOMP, _FILTER, _DROP_BOUND, _SET_DUMPABLE = 22, 2, 24, 4
_CAPABILITIES = struct.Struct("Ii")
_CAPABILITY_VERSION = 0x20080522
_SET_FLAGS, _UP = 0x8914, 1


class Maker:
    """What the server keeps ready."""

    def __init__(self, rules: bytes) -> None:
        import ctypes

        self.ctypes = ctypes
        self.c = ctypes.CDLL(None, use_errno=True)
        self.clone = _CLONE[os.uname().machine]
        self.rules = ctypes.create_string_buffer(rules, len(rules))

    def do(self, what: str, result: int) -> int:
        if result < 0:
            raise OSError(self.ctypes.get_errno(), f"{what}: {os.strerror(self.ctypes.get_errno())}")
        return result

    def fork(self, connection: int, sizes: dict[str, int], environ: dict[str, str]) -> None:
        """Start a driver that serves ``connection``; returns in the server only. Raises ``OSError``."""
        user, group = os.getuid(), os.getgid()
        # One system call: unshare would need a fork more, as its caller does not enter a new process namespace itself.
        if self.do("clone", self.c.syscall(self.clone, _SPACES | _CHILD_ENDS, 0, 0, 0, 0)):
            return
        try:
            for name, text in (("setgroups", "deny"), ("uid_map", f"{user} {user} 1"), ("gid_map", f"{group} {group} 1")):
                with open(f"/proc/self/{name}", "w") as file:
                    file.write(text)
            self.mount(sizes)
            loopback()
            self.renounce()
            set_handler(SIGCHLD, SIG_DFL)
            os.environ.clear()
            os.environ.update(environ)
            os.setsid()
            os.dup2(connection, 0)
            os.dup2(connection, 1)
            os.closerange(3, 256)
            os.chdir("/")
        except BaseException as error:
            text = f"{type(error).__name__}: {error}".encode("utf-8", "replace")
            write_all(connection, struct.pack("!I", len(text)) + text)
            os._exit(1)
        try:
            main()
        finally:
            os._exit(1)

    def mount(self, sizes: dict[str, int]) -> None:
        places = [("proc", "/proc", _NOEXEC, ""), ("devpts", "/dev/pts", _NOEXEC, "newinstance,ptmxmode=0666,mode=620")]
        places += [("tmpfs", path, _NODEV, f"mode=0755,size={size}") for path, size in sizes.items()]
        for kind, path, flags, data in places:
            flags |= _NOSUID | (_NODEV if kind == "proc" else 0)
            name = kind.encode()
            self.do(f"mount {path}", self.c.mount(name, path.encode(), name, self.ctypes.c_ulong(flags), data.encode() or None))

    def renounce(self) -> None:
        """Give up all capabilities for good, and the system calls that the filter refuses."""
        for number in range(64):
            if self.c.prctl(_DROP_BOUND, number, 0, 0, 0) < 0:
                break
        self.do("capset", self.c.capset(_CAPABILITIES.pack(_CAPABILITY_VERSION, 0), bytes(24)))
        if len(self.rules):
            program = struct.pack("HxxxxxxP", len(self.rules) // 8, self.ctypes.addressof(self.rules))
            self.do("seccomp", self.c.prctl(_SET_SECCOMP, _FILTER, program, 0, 0))


def loopback() -> None:
    """Bring up the one interface of a new network namespace."""
    import _socket
    import fcntl

    plug = _socket.socket(_socket.AF_INET, _socket.SOCK_DGRAM)
    fcntl.ioctl(plug.fileno(), _SET_FLAGS, struct.pack("16sH14x", b"lo", _UP))
    plug.close()


def serve_forks() -> None:
    """Make a sandbox for every request, until the host is gone."""
    import _socket
    import fcntl
    import gc

    del fcntl  # only loaded ahead
    asked = _socket.socket(fileno=0)
    maker = Maker(asked.recv(MOST))
    set_handler(SIGCHLD, SIG_IGN)
    gc.freeze()
    while True:
        message, notes, _, _ = asked.recvmsg(MOST, _socket.CMSG_SPACE(4))
        if not message:
            os._exit(0)
        for _, _, data in notes:
            connection = struct.unpack("i", data)[0]
            try:
                maker.fork(connection, *marshal.loads(message))
            except OSError as error:
                text = str(error).encode()
                write_all(connection, struct.pack("!I", len(text)) + text)
            os.close(connection)


if __name__ == "__main__":
    if FORKS in sys.argv[2:]:
        serve_forks()
    else:
        main()
