"""``make_sandbox``: the sandbox of this machine. Code never runs outside one because none could be had: then nothing runs."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path

from .base import Limits, SandboxUnavailable
from .bubblewrap import WORK, Place, bubblewrap
from .bubblewrap import probe as probe_bubblewrap
from .docker import DEFAULT_IMAGE, docker
from .docker import probe as probe_docker
from .local import local
from .process import DriverSandbox
from .transfer import Base
from .tree import Tree

TAKEN = ("/usr", "/bin", "/sbin", "/lib", "/lib64", "/etc", "/proc", "/dev", "/sys")
"""What belongs to the system of a sandbox."""
_TOPS = ("/tmp", "/opt", "/home", "/var", "/root")
BACKENDS = ("auto", "bubblewrap", "docker", "local")


def choose_backend(backend: str = "auto", image: str = DEFAULT_IMAGE) -> str:
    """The backend that "auto" means here, or the one asked for. Each is tried once per process, with a real call.

    Raises ``SandboxUnavailable`` with what was tried and how to get it; ``ValueError`` for an unknown backend.
    """
    if backend not in BACKENDS:
        raise ValueError(f"unknown sandbox backend {backend!r}; allowed: {', '.join(BACKENDS)}")
    if backend == "local":
        return backend
    probes: dict[str, Callable[[], str]] = {"bubblewrap": probe_bubblewrap, "docker": lambda: probe_docker(image)}
    tried: list[str] = []
    for name, probe in probes.items():
        if backend in ("auto", name):
            problem = probe()
            if not problem:
                return name
            tried.append(f"{name}: {problem}")
    raise SandboxUnavailable(
        "there is no sandbox on this machine, and code of an agent is never run without one.\n  "
        + "\n  ".join(tried)
        + '\nInstall one of them; or, only for code you trust, ask for backend="local", which protects nothing.'
    )


def make_sandbox(
    backend: str = "auto",
    *,
    tree: Tree | None = None,
    work: str = WORK,
    limits: Limits | None = None,
    files: Mapping[str, bytes] | None = None,
    environ: Mapping[str, str] | None = None,
    binds: Mapping[str, str | Path] | None = None,
    image: str = DEFAULT_IMAGE,
) -> DriverSandbox:
    """A sandbox that starts with its first call.

    ``backend``: "bubblewrap"; "docker" (a container of ``image``, which needs ``python3``); "auto", the first of these that works;
    "local", which is no sandbox: code runs as the caller, for code one trusts. ``tree``, and ``files`` over it, are put into the work
    folder, whose path inside is ``work``; they come on top of ``disk_mb`` and ``max_files``. ``environ``: variables beside the usual
    ones. ``binds``: path inside -> folder of the host that is seen there, read-only, and must be open to everybody.

    Raises what ``choose_backend`` does; ``ValueError`` for a path that cannot be used.
    """
    return sandbox_maker(backend, tree=tree, work=work, limits=limits, files=files, environ=environ, binds=binds, image=image)()


def sandbox_maker(
    backend: str = "auto",
    *,
    tree: Tree | None = None,
    work: str = WORK,
    limits: Limits | None = None,
    files: Mapping[str, bytes] | None = None,
    environ: Mapping[str, str] | None = None,
    binds: Mapping[str, str | Path] | None = None,
    image: str = DEFAULT_IMAGE,
) -> Callable[[], DriverSandbox]:
    """What makes sandboxes of one specification: as ``make_sandbox``, but everything is checked and encoded once for all of them."""
    limits, base = limits or Limits(), Base(tree, files)
    place = Place(
        work=check_inside(work),
        environ=dict(environ or {}),
        binds={check_inside(inside): Path(outside).absolute() for inside, outside in (binds or {}).items()},
    )
    chosen = choose_backend(backend, image)
    if chosen == "docker":
        return lambda: docker(limits, base, place, image)
    backing = bubblewrap if chosen == "bubblewrap" else local
    backing(limits, base, place).close()  # what it refuses is refused now
    return lambda: backing(limits, base, place)


def check_inside(path: str) -> str:
    """``path`` if a folder may be put there. Raises ``ValueError`` for one that is not absolute, or would hide the system."""
    plain = path == os.path.normpath(path) and path.startswith("/") and not path.startswith("//")
    if not plain or path == "/" or any(path == taken or path.startswith(taken + "/") for taken in TAKEN) or path in _TOPS:
        raise ValueError(f"{path!r} cannot be a folder of a sandbox; give an absolute path, such as '/testbed', outside {', '.join(TAKEN)}")
    return path
