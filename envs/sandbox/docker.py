"""The alternative backend: a Docker container per sandbox, with the driver as its process 1.

For a repository that lies in the image itself see image.py.
"""

from __future__ import annotations

from .base import Limits, SandboxError, SandboxUnavailable
from .bubblewrap import ENVIRON, Place
from .container import Container, ContainerSession
from .daemon import configuration, image_problem
from .process import DriverSandbox, driver_source
from .transfer import Base

DEFAULT_IMAGE = "python:3.11-slim"
_USER = "65534:65534"
_tried: set[str] = set()


def docker(limits: Limits, base: Base, place: Place | None = None, image: str = DEFAULT_IMAGE, pull: bool = False) -> DriverSandbox:
    """A container without network, capabilities and new privileges, its system read-only, its folder and /tmp in memory.

    Memory, cores and processes are limited by its control group. Raises ``SandboxUnavailable`` where the daemon does not answer or
    lacks the image, which is fetched only if ``pull``.
    """
    place = place or Place()
    problem = probe(image, pull)
    if problem:
        raise SandboxUnavailable(problem)
    return DriverSandbox("docker", lambda given: _start(given, image, place, base.space), limits, base, work=place.work)


def probe(image: str = DEFAULT_IMAGE, pull: bool = False) -> str:
    """What is missing; empty: a container with Python can be run. One that could is not tried again in this process."""
    if image in _tried:
        return ""
    try:
        if problem := image_problem(image, pull):
            return problem
        session = _start(Limits(), image, Place(), 0)
        session.ready()
        session.close()
    except SandboxUnavailable as error:
        return str(error)
    except SandboxError as error:
        return f"the image {image!r} does not run the driver, which needs python3 (3.9 or newer): {error}"
    _tried.add(image)
    return ""


def _start(limits: Limits, image: str, place: Place, space: int) -> ContainerSession:
    room = limits.disk_mb << 20
    tmpfs = {path: f"size={size},mode=1777,exec" for path, size in (("/tmp", room), (place.work, room + space))}
    argv = ["python3", "-S", "-s", "-c", driver_source(), place.work]
    config = configuration(image, argv, limits, tmpfs=tmpfs, environ={**ENVIRON, **place.environ}, binds=place.binds)
    host = config["HostConfig"]
    config["User"] = _USER
    host["ReadonlyRootfs"] = True
    host["Memory"] = host["MemorySwap"] = host["Memory"] + space
    host["Ulimits"] = [{"Name": "core", "Soft": 0, "Hard": 0}]  # the driver limits what it starts, not itself
    container = Container(config, what=image, outputs=True)
    return ContainerSession(container, container.stream, f"python3 of {image}")
