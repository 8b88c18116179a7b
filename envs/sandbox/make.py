"""``make_sandbox``: the sandbox of this machine. Code never runs outside one because none could be had: then nothing runs."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from .base import Limits, SandboxUnavailable
from .bubblewrap import bubblewrap
from .bubblewrap import probe as probe_bubblewrap
from .docker import DEFAULT_IMAGE, docker
from .docker import probe as probe_docker
from .local import local
from .process import DriverSandbox

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
    backend: str = "auto", *, limits: Limits | None = None, files: Mapping[str, bytes] | None = None, image: str = DEFAULT_IMAGE
) -> DriverSandbox:
    """A sandbox that starts with its first call.

    ``backend``: "bubblewrap"; "docker" (a container of ``image``, which needs ``python3``); "auto", the first of these that works;
    "local", which is no sandbox: code runs as the caller, for code one trusts. ``files`` are put into the work folder.
    Raises what ``choose_backend`` does.
    """
    limits, files = limits or Limits(), files or {}
    chosen = choose_backend(backend, image)
    if chosen == "docker":
        return docker(limits, files, image)
    return bubblewrap(limits, files) if chosen == "bubblewrap" else local(limits, files)
