"""The default backend: Linux namespaces through bubblewrap. Needs no daemon and no image; the system's own /usr is seen, read-only."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path

from .base import Limits, SandboxUnavailable
from .forks import ForkServers, Serving
from .inside_fork import FORKS
from .process import DriverSandbox
from .seccomp import filter_program
from .session import Command, Connection, driver_source
from .transfer import Base

WORK = "/work"
_NOBODY = "65534"
_ETC = ("/etc/alternatives", "/etc/ld.so.cache", "/etc/localtime")
_PYTHONS = ("/usr/bin/python3", "/usr/local/bin/python3")
_PROGRAM = "/driver.pyc"
_COMPILE = """
import importlib._bootstrap_external as b, marshal, sys
code = compile(sys.stdin.read(), 'driver', 'exec', dont_inherit=True, optimize=2)
sys.stdout.buffer.write(b.MAGIC_NUMBER + bytes(12) + marshal.dumps(code))
"""
_SERVERS = ForkServers()
ENVIRON = {
    "PATH": "/usr/local/bin:/usr/bin:/bin",
    "HOME": "/tmp/home",
    "USER": "nobody",
    "LOGNAME": "nobody",
    "TMPDIR": "/tmp",
    "LANG": "C.UTF-8",
    "PAGER": "cat",
    "GIT_PAGER": "cat",
    "PYTHONHASHSEED": "0",
    "PYTHONDONTWRITEBYTECODE": "1",
}
"""All that code sees of an environment. The hash seed is fixed so that an episode can be repeated."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """What a sandbox is made of beside its limits: the path of its work folder, variables, and folders of the host to be seen in it."""

    work: str = WORK
    environ: Mapping[str, str] = field(default_factory=dict[str, str])
    binds: Mapping[str, Path] = field(default_factory=dict[str, Path])


def bubblewrap(limits: Limits, base: Base, place: Place | None = None) -> DriverSandbox:
    """A sandbox with: its own user, process, network, IPC and host-name namespaces; no capabilities; a system call filter; the system
    read-only; a work folder and /tmp in memory, of limited size; nothing of the caller's files and environment.

    Raises ``SandboxUnavailable`` where bwrap, setpriv (for root) or a Python under /usr is missing; ``ValueError`` for a folder that
    cannot be bound.
    """
    place = place or Place()
    problem = probe()
    if problem:
        raise SandboxUnavailable(problem)
    for inside, outside in place.binds.items():
        check_bind(inside, outside)
    return DriverSandbox("bubblewrap", lambda given: start(given, base, place), limits, base, work=place.work)


def check_bind(inside: str, outside: Path) -> None:
    """Raises ``ValueError`` for a folder that the sandbox's user could not read, naming the one that is closed."""
    if not outside.is_absolute() or not outside.is_dir():
        raise ValueError(f"{str(outside)!r} cannot be bound at {inside!r}: it is not an absolute path of a folder")
    for folder in (outside, *outside.parents):
        needed = 0o5 if folder == outside else 0o1
        open_to_all = folder.stat().st_mode & needed == needed
        if not open_to_all and (os.geteuid() == 0 or not os.access(folder, os.X_OK)):
            raise ValueError(
                f"{str(outside)!r} cannot be bound at {inside!r}: {str(folder)!r} is closed to others, and the sandbox runs as one "
                f"(user {_NOBODY}); choose a folder that everybody may read, or chmod o+rx it"
            )


def probe() -> str:
    """What is missing; empty: a sandbox could be made. Tried once per process."""
    if shutil.which("bwrap") is None:
        return "the program bwrap is not installed (Debian and Ubuntu: apt-get install bubblewrap)"
    if os.geteuid() == 0 and shutil.which("setpriv") is None:
        return (
            "the program setpriv is not installed, and root must give up its rights first (Debian and Ubuntu: apt-get install util-linux)"
        )
    if python() is None:
        return f"there is no Python at {' or '.join(_PYTHONS)} to run in the sandbox (Debian and Ubuntu: apt-get install python3)"
    try:
        compiled()
    except SandboxUnavailable as error:
        return str(error)
    return ""


def python() -> str | None:
    """The interpreter that runs in the sandbox: the system's."""
    return next((path for path in _PYTHONS if Path(path).exists()), None)


def start(limits: Limits, base: Base, place: Place) -> Command | Connection:
    """A new sandbox: a fork where that can be had, else a bubblewrap of its own."""
    environ = {**ENVIRON, **place.environ}
    room = limits.disk_mb << 20
    sizes = {"/dev/shm": room, "/tmp": room, place.work: room + base.space}
    covered = any(inside.startswith(f"{path}/") for inside in place.binds for path in sizes)
    if not covered and (found := _SERVERS.fork((place.work, *sorted(place.binds.items())), lambda: _serving(place), sizes, environ)):
        return found
    argv, inherited = _bwrap(compiled(), place, sizes, environ, filter_program())
    return Command(argv=[*argv, _PROGRAM, place.work], environ=_environ(), inherited=inherited)


def _serving(place: Place) -> Serving:
    sizes = dict.fromkeys(("/dev/shm", "/tmp", place.work), 1 << 20)
    argv, inherited = _bwrap(compiled(), place, sizes, ENVIRON, b"")
    return Serving(argv=[*argv, _PROGRAM, place.work, FORKS], environ=_environ(), inherited=inherited, rules=filter_program())


@lru_cache(maxsize=1)
def compiled() -> bytes:
    """The driver as a .pyc file of the sandbox's Python, made by it in a first sandbox: compiling takes longer than all else at a start.

    Raises ``SandboxUnavailable`` with what bwrap says where it cannot make a sandbox. Once per process.
    """
    argv, inherited = _bwrap(b"", Place(), {}, ENVIRON, filter_program())
    try:
        done = subprocess.run(
            [*argv, "-c", _COMPILE], input=driver_source().encode(), capture_output=True, pass_fds=inherited, env=_environ(), timeout=60
        )
    except subprocess.TimeoutExpired as error:
        raise SandboxUnavailable("bwrap is installed, but Python did not start in it within 60 s") from error
    finally:
        for fd in inherited:
            os.close(fd)
    if done.returncode or not done.stdout:
        said = done.stderr.decode("utf-8", "replace").strip()[-1000:]
        raise SandboxUnavailable(f"bwrap is installed, but cannot make a sandbox here: {said or f'exit code {done.returncode}'}")
    return done.stdout


def _environ() -> dict[str, str]:
    return {"PATH": os.environ.get("PATH", os.defpath)}


def _bwrap(
    program: bytes, place: Place, sizes: Mapping[str, int], environ: Mapping[str, str], rules: bytes
) -> tuple[list[str], tuple[int, ...]]:
    """The command line up to the interpreter's script, and the descriptors it reads. ``sizes``: of file systems in memory, in bytes.

    Not ``--die-with-parent``: it fires when the starting *thread* ends. The driver ends when its input is closed, which the death of
    the host does too, and as process 1 takes everything with it."""
    interpreter = python()
    assert interpreter is not None  # probe() was asked first
    argv = ["bwrap", "--unshare-all", "--new-session", "--as-pid-1", "--cap-drop", "ALL", "--hostname", "sandbox", "--clearenv"]
    for name, value in environ.items():
        argv += ["--setenv", name, value]
    argv += ["--ro-bind", "/usr", "/usr"]
    for name in ("bin", "sbin", "lib", "lib32", "lib64", "libx32"):
        path = Path("/", name)
        if path.is_symlink():
            argv += ["--symlink", os.readlink(path), str(path)]
        elif path.exists():
            argv += ["--ro-bind", str(path), str(path)]
    for path in _ETC:
        argv += ["--ro-bind-try", path, path]
    argv += ["--proc", "/proc", "--dev", "/dev"]
    inherited = (_held(rules),) if rules else ()
    argv += [word for fd in inherited for word in ("--seccomp", str(fd))]
    if program:
        inherited = (*inherited, _held(program))
        argv += ["--perms", "0444", "--file", str(inherited[-1]), _PROGRAM]
    for path, size in sizes.items():
        argv += ["--size", str(size), "--tmpfs", path]
    for inside, outside in place.binds.items():
        argv += ["--ro-bind", str(outside), inside]
    argv += ["--remount-ro", "/dev", "--remount-ro", "/", "--chdir", "/"]
    argv += [interpreter, "-S", "-s"]
    if os.geteuid() == 0:  # process limits do not bind root
        argv = ["setpriv", f"--reuid={_NOBODY}", f"--regid={_NOBODY}", "--clear-groups", *argv]
    return argv, inherited


def _held(data: bytes) -> int:
    """A descriptor from which ``data`` can be read, of any size."""
    fd = os.memfd_create("turnwise", os.MFD_CLOEXEC)
    os.write(fd, data)
    os.lseek(fd, 0, os.SEEK_SET)
    return fd
