"""The Docker daemon, through the ``docker`` SDK: a client, errors that say what to do, labels, and what remains of processes that are gone.

``DOCKER_HOST``, ``DOCKER_TLS_VERIFY`` and ``DOCKER_CERT_PATH`` work as usual; contexts of the ``docker`` program do not, nor does ssh.
"""

from __future__ import annotations

import contextlib
import importlib
import os
import socket
import threading
from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .base import Limits, SandboxError, SandboxUnavailable

OWNER, MACHINE = "turnwise.owner", "turnwise.machine"
"""Labels of every container and image: "process id:start time", and "host name:boot id:process namespace" in which that process is."""
ANSWER_S = 120
_clients: dict[tuple[int, str], Any] = {}
_used: set[str] = set()
"""Images that go when what was made from them does."""
_lock = threading.Lock()


@dataclass(frozen=True, slots=True)
class Reaped:
    """How many containers and snapshot images were removed."""

    containers: int = 0
    images: int = 0


def address() -> str:
    return os.environ.get("DOCKER_HOST") or "unix:///var/run/docker.sock"


def client() -> Any:
    """The ``docker.APIClient`` of this process. Making the first one reaps what is left of processes that are gone.

    Raises ``SandboxUnavailable`` where the SDK is missing or the daemon does not answer.
    """
    key = (os.getpid(), address())
    with _lock:
        api = _clients.get(key)
        if api is None:
            api = _clients[key] = _connect()
            reap()
        return api


def _connect(version: str = "auto") -> Any:
    try:
        docker: Any = importlib.import_module("docker")
    except ImportError as error:
        raise SandboxUnavailable("the docker SDK is not installed; get it with: pip install 'turnwise[swe]'") from error
    try:
        if address().startswith("unix://"):
            with socket.socket(socket.AF_UNIX) as tried:  # its errors are exact
                tried.connect(address().removeprefix("unix://"))
        return docker.APIClient(version=version, timeout=ANSWER_S, **docker.utils.kwargs_from_env())
    except PermissionError as error:
        raise SandboxUnavailable(
            f"this user may not use the docker daemon at {address()}: join the group that owns the socket (mostly docker), or run as root"
        ) from error
    except (FileNotFoundError, ConnectionRefusedError) as error:
        raise SandboxUnavailable(
            f"no docker daemon answers at {address()}: start it (systemctl start docker), or name another in DOCKER_HOST"
        ) from error
    except (docker.errors.DockerException, OSError) as error:
        raise SandboxUnavailable(f"the docker daemon at {address()} does not answer: {error}") from error


@contextlib.contextmanager
def speaking(doing: str) -> Generator[None]:
    """What the SDK raises becomes a ``SandboxError`` that says what was being done."""
    errors: Any = importlib.import_module("docker.errors")
    requests: Any = importlib.import_module("requests")
    try:
        yield
    except errors.APIError as error:
        said = str(error.explanation or error)
        error.response.close()
        if "no space left on device" in said:
            said = f"the disk of the daemon is full; make room (docker system prune): {said}"
        raise SandboxError(f"docker cannot {doing}: {said}") from error
    except (errors.DockerException, requests.exceptions.RequestException, OSError) as error:
        if (api := _clients.pop((os.getpid(), address()), None)) is not None:
            api.close()
        raise SandboxError(f"docker cannot {doing}: the daemon at {address()} went away ({type(error).__name__}: {error})") from error


def missing(error: SandboxError) -> bool:
    """Whether the daemon said that there is no such thing."""
    return status(error) == 404


def status(error: SandboxError) -> int:
    """The HTTP status of the daemon's refusal; 0: it was none."""
    return getattr(getattr(error.__cause__, "response", None), "status_code", 0)


def image_problem(image: str, pull: bool = False) -> str:
    """What is missing; empty: a container of ``image`` can be made. It is fetched only if ``pull``."""
    try:
        with speaking(f"look for the image {image!r}"):
            client().inspect_image(image)
        return ""
    except SandboxError as error:
        if not missing(error):
            return str(error)
    if not pull:
        return f"there is no image {image!r}; get it with: docker pull {image} (or pass pull=True)"
    try:
        with speaking(f"pull the image {image!r}"):
            client().pull(image, tag=None if ":" in image.rsplit("/", 1)[-1] or "@" in image else "latest")
        return ""
    except SandboxError as error:
        return str(error)


def configuration(
    image: str, command: list[str], limits: Limits, *, tmpfs: Mapping[str, str], environ: Mapping[str, str], binds: Mapping[str, Path]
) -> dict[str, Any]:
    """What the Engine API takes to create a container: no network, no capabilities, no new privileges, limited, labelled, and ended by
    the end of its input, which is that of this process."""
    memory = (limits.memory_mb + len(tmpfs) * limits.disk_mb + 64) << 20  # folders in memory and process 1 count too
    size = limits.file_size_mb << 20
    return {
        "Image": image,
        "Entrypoint": command,
        "Cmd": [],
        "Env": [f"{name}={value}" for name, value in environ.items()],
        "Hostname": "sandbox",
        "OpenStdin": True,
        "StdinOnce": True,
        "AttachStdin": True,
        "StopTimeout": 1,
        "Labels": labels(),
        "HostConfig": {
            "NetworkMode": "none",
            "CapDrop": ["ALL"],
            "SecurityOpt": ["no-new-privileges"],
            "Memory": memory,
            "MemorySwap": memory,
            "PidsLimit": limits.processes,
            "CpuPeriod": 100_000,
            "CpuQuota": 100_000 * limits.cpus,
            "ShmSize": limits.disk_mb << 20,
            "Tmpfs": dict(tmpfs),
            "LogConfig": {"Type": "none", "Config": {}},
            "Ulimits": [{"Name": name, "Soft": most, "Hard": most} for name, most in (("core", 0), ("cpu", limits.cpu_s), ("fsize", size))],
            "Mounts": [
                {"Type": "bind", "Source": str(path.resolve()), "Target": target, "ReadOnly": True} for target, path in binds.items()
            ],
        },
    }


def labels() -> dict[str, str]:
    pid = os.getpid()
    return {OWNER: f"{pid}:{_started(pid)}", MACHINE: ":".join(_machine())}


def reap() -> Reaped:
    """Remove the containers and snapshot images of processes of this machine that are gone, killed ones too.

    What belongs to another machine, or to another process namespace of this one, is left alone: whether its owner lives cannot be seen.
    """
    return _remove_where(_orphaned)


def remove_own() -> Reaped:
    """Remove everything of this process."""
    own = labels()
    return _remove_where(lambda found: all(found.get(name) == value for name, value in own.items()))


def _remove_where(holds: Callable[[Mapping[str, str]], bool]) -> Reaped:
    api: Any = _clients.get((os.getpid(), address())) or client()
    with speaking("list its containers and images"):
        containers = [found["Id"] for found in api.containers(all=True, filters={"label": OWNER}) if holds(found["Labels"])]
        images = [found for found in api.images(all=True, filters={"label": OWNER}) if holds(found["Labels"])]
    images.sort(key=lambda found: -found["Created"])  # what was made from others first
    return Reaped(sum(remove(api, "container", name) for name in containers), sum(remove(api, "image", found["Id"]) for found in images))


def remove(api: Any, kind: str, name: str) -> bool:
    """Whether it went now: several may remove the same thing at once, and an image that is still used is removed after what uses it."""
    try:
        with speaking(f"remove the {kind} {name}"):
            if kind == "container":
                api.remove_container(name, force=True, v=True)
            else:
                api.remove_image(name, force=True, noprune=True)
        _used.discard(name)
        return True
    except SandboxError as error:
        if kind == "image" and status(error) == 409:
            _used.add(name)
        elif not missing(error) and "already in progress" not in str(error):
            raise
        return False


def remove_quietly(kind: str, name: str, owner: int, host: str, version: str) -> None:
    """For finalizers: with a client of its own, as one may run in the middle of a call of another, and only in the process that made it."""
    if os.getpid() != owner or address() != host:
        return
    with contextlib.suppress(SandboxError):  # a daemon that is gone holds nothing running; what it kept on disk is reaped later
        api = _connect(version)
        try:
            remove(api, kind, name)
            for image in sorted(_used):
                remove(api, "image", image)
        finally:
            api.close()


def _orphaned(found: Mapping[str, str]) -> bool:
    host, boot, space = _machine()
    theirs = (*found.get(MACHINE, "").split(":"), "", "", "")[:3]
    if theirs[0] != host:
        return False
    if theirs[1] != boot:
        return True
    pid, _, started = found.get(OWNER, "").partition(":")
    return theirs[2] == space and (not pid.isdigit() or _started(int(pid)) != started)


def _machine() -> tuple[str, str, str]:
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        return socket.gethostname(), boot, os.readlink("/proc/self/ns/pid").strip("pid:[]")
    except OSError:  # not Linux: Docker Desktop
        return socket.gethostname(), "", ""


def _started(pid: int) -> str:
    """When a process started, in clock ticks since boot; empty: there is none."""
    try:
        return Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()[19].decode()
    except (OSError, IndexError):
        return ""
