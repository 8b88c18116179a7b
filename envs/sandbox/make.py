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


def make_sandbox(
    backend: str = "auto", *, limits: Limits | None = None, files: Mapping[str, bytes] | None = None, image: str = DEFAULT_IMAGE
) -> DriverSandbox:
    """A sandbox that starts with its first call.

    ``backend``: "bubblewrap"; "docker" (a container of ``image``, which needs ``python3``); "auto", the first of these that works;
    "local", which is no sandbox: code runs as the caller, for code one trusts. ``files`` are put into the work folder.
    Raises ``SandboxUnavailable`` with what was tried and how to get it; ``ValueError`` for an unknown backend.
    """
    limits, files = limits or Limits(), files or {}
    if backend not in BACKENDS:
        raise ValueError(f"unknown sandbox backend {backend!r}; allowed: {', '.join(BACKENDS)}")
    if backend == "local":
        return local(limits, files)
    makers: dict[str, tuple[Callable[[], str], Callable[[], DriverSandbox]]] = {
        "bubblewrap": (probe_bubblewrap, lambda: bubblewrap(limits, files)),
        "docker": (lambda: probe_docker(image), lambda: docker(limits, files, image)),
    }
    tried: list[str] = []
    for name, (probe, make) in makers.items():
        if backend in ("auto", name):
            problem = probe()
            if not problem:
                return make()
            tried.append(f"{name}: {problem}")
    raise SandboxUnavailable(
        "there is no sandbox on this machine, and code of an agent is never run without one.\n  "
        + "\n  ".join(tried)
        + '\nInstall one of them; or, only for code you trust, ask for backend="local", which protects nothing.'
    )
