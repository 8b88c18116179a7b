"""The default backend: Linux namespaces through bubblewrap. Needs no daemon and no image; the system's own /usr is seen, read-only."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path

from .base import Limits, SandboxUnavailable
from .process import Command, DriverSandbox, driver_source
from .seccomp import filter_program

WORK = "/work"
_NOBODY = "65534"
_ETC = ("/etc/alternatives", "/etc/ld.so.cache", "/etc/localtime")
_PYTHONS = ("/usr/bin/python3", "/usr/local/bin/python3")
_PROGRAM = "/driver.pyc"
_COMPILE = """
import importlib._bootstrap_external as b, marshal, sys
code = compile(sys.stdin.read(), 'driver', 'exec', dont_inherit=True)
sys.stdout.buffer.write(b.MAGIC_NUMBER + bytes(12) + marshal.dumps(code))
"""
ENVIRON = {
    "PATH": "/usr/local/bin:/usr/bin:/bin",
    "HOME": WORK,
    "TMPDIR": "/tmp",
    "LANG": "C.UTF-8",
    "PYTHONHASHSEED": "0",
    "PYTHONDONTWRITEBYTECODE": "1",
}
"""All that code sees of an environment. The hash seed is fixed so that an episode can be repeated."""


def bubblewrap(limits: Limits, files: Mapping[str, bytes]) -> DriverSandbox:
    """A sandbox with: its own user, process, network, IPC and host-name namespaces; no capabilities; a system call filter; the system
    read-only; a work folder and /tmp in memory, of limited size; nothing of the caller's files and environment.

    Raises ``SandboxUnavailable`` where bwrap, setpriv (for root) or a Python under /usr is missing.
    """
    problem = probe()
    if problem:
        raise SandboxUnavailable(problem)
    return DriverSandbox("bubblewrap", command, limits, files)


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


def command(limits: Limits) -> Command:
    """How the driver is started."""
    argv, inherited = _bwrap(limits, compiled())
    return Command(argv=[*argv, _PROGRAM, WORK], environ=_environ(), inherited=inherited)


@lru_cache(maxsize=1)
def compiled() -> bytes:
    """The driver as a .pyc file of the sandbox's Python, made by it in a first sandbox: compiling takes longer than all else at a start.

    Raises ``SandboxUnavailable`` with what bwrap says where it cannot make a sandbox. Once per process.
    """
    argv, inherited = _bwrap(Limits(), b"")
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


def _bwrap(limits: Limits, program: bytes) -> tuple[list[str], tuple[int, ...]]:
    """The command line up to the interpreter's script, and the pipes it reads.

    Not ``--die-with-parent``: it fires when the starting *thread* ends. The driver ends when its input is closed, which the death of
    the host does too, and as process 1 takes everything with it."""
    interpreter = python()
    assert interpreter is not None  # probe() was asked first
    size = str(limits.disk_mb << 20)
    argv = ["bwrap", "--unshare-all", "--new-session", "--as-pid-1", "--cap-drop", "ALL", "--hostname", "sandbox", "--clearenv"]
    for name, value in ENVIRON.items():
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
    argv += ["--proc", "/proc", "--dev", "/dev", "--size", size, "--tmpfs", "/dev/shm", "--remount-ro", "/dev"]
    rules = filter_program()
    inherited = (_pipe(rules),) if rules else ()
    argv += [word for fd in inherited for word in ("--seccomp", str(fd))]
    if program:
        inherited = (*inherited, _pipe(program))
        argv += ["--perms", "0444", "--ro-bind-data", str(inherited[-1]), _PROGRAM]
    argv += ["--size", size, "--tmpfs", "/tmp", "--size", size, "--tmpfs", WORK, "--remount-ro", "/", "--chdir", "/"]
    argv += [interpreter, "-S", "-s"]
    if os.geteuid() == 0:  # process limits do not bind root
        argv = ["setpriv", f"--reuid={_NOBODY}", f"--regid={_NOBODY}", "--clear-groups", *argv]
    return argv, inherited


def _pipe(data: bytes) -> int:
    """The reading end of a pipe that holds ``data`` (less than a pipe takes, 64 KB)."""
    read, write = os.pipe()
    os.write(write, data)
    os.close(write)
    return read
