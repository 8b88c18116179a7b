"""The alternative backend: a Docker container per sandbox, through the ``docker`` program (``DOCKER_HOST`` and contexts work as usual)."""

from __future__ import annotations

import os
import shutil
import subprocess
import uuid
from collections.abc import Mapping
from functools import lru_cache

from .base import Limits, SandboxUnavailable
from .bubblewrap import ENVIRON, WORK
from .process import Command, DriverSandbox, driver_source

DEFAULT_IMAGE = "python:3.11-slim"
_USER = "65534:65534"


def docker(limits: Limits, files: Mapping[str, bytes], image: str = DEFAULT_IMAGE) -> DriverSandbox:
    """A container without network, capabilities and new privileges, its system read-only, its folder and /tmp in memory.

    Memory and processes are limited by its control group. Raises ``SandboxUnavailable`` where the daemon does not answer or lacks the
    image, which is never pulled here.
    """
    problem = probe(image)
    if problem:
        raise SandboxUnavailable(problem)
    return DriverSandbox("docker", lambda given: _command(given, image), limits, files)


@lru_cache(maxsize=8)
def probe(image: str = DEFAULT_IMAGE) -> str:
    """What is missing; empty: a container with Python could be run. Tried once per process and image."""
    if shutil.which("docker") is None:
        return "the program docker is not installed (https://docs.docker.com/engine/install)"
    problem = _run(["docker", "image", "inspect", "--format", "{{.Id}}", image])
    if "No such image" in problem:
        return f"there is no image {image!r}; get it with: docker pull {image}"
    if problem:
        return f"the docker daemon does not answer: {problem}"
    problem = _run(["docker", "run", "--rm", "--network", "none", image, "python3", "-c", ""])
    return problem and f"the image {image!r} does not run python3: {problem}"


def _run(argv: list[str]) -> str:
    """What went wrong; empty: nothing."""
    try:
        done = subprocess.run(argv, capture_output=True, stdin=subprocess.DEVNULL, timeout=60)
    except subprocess.TimeoutExpired:
        return "no answer within 60 s"
    except OSError as error:
        return str(error)
    return "" if done.returncode == 0 else done.stderr.decode("utf-8", "replace").strip()[-500:] or f"exit code {done.returncode}"


def _command(limits: Limits, image: str) -> Command:
    name = f"turnwise-{uuid.uuid4().hex}"
    size = f"size={limits.disk_mb}m,mode=1777"
    memory = f"{limits.memory_mb + 3 * limits.disk_mb + 64}m"  # the folders in memory and the driver count too
    argv = ["docker", "run", "-i", "--rm", "--name", name, "--network", "none", "--read-only", "--cap-drop", "ALL", "--user", _USER]
    argv += ["--security-opt", "no-new-privileges", "--memory", memory, "--memory-swap", memory, "--pids-limit", str(limits.processes)]
    argv += ["--tmpfs", f"/tmp:{size}", "--tmpfs", f"{WORK}:{size},exec", "--shm-size", f"{limits.disk_mb}m", "--hostname", "sandbox"]
    for key, value in ENVIRON.items():
        argv += ["--env", f"{key}={value}"]
    argv += ["--entrypoint", "python3", image, "-S", "-s", "-c", driver_source(), WORK]
    return Command(argv=argv, environ=dict(os.environ), clean=lambda: _remove(name))


def _remove(name: str) -> None:
    """A container whose client was killed goes on; one that has ended is gone already."""
    subprocess.run(["docker", "rm", "--force", name], capture_output=True, stdin=subprocess.DEVNULL, timeout=60)
