"""No sandbox at all: the same interface in a temporary folder. Only ever used when asked for by name, for code one trusts."""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from collections.abc import Mapping

from .base import Limits
from .bubblewrap import ENVIRON
from .process import Command, DriverSandbox, driver_source


def local(limits: Limits, files: Mapping[str, bytes]) -> DriverSandbox:
    """Time, output, per-process memory and file size are limited. Network, the caller's files, its other processes and the number of
    new ones are not: code can do whatever the caller can."""
    return DriverSandbox("local", _command, limits, files)


def _command(limits: Limits) -> Command:
    del limits
    folder = tempfile.mkdtemp(prefix="turnwise-local-")
    environ = {**ENVIRON, "PATH": os.environ.get("PATH", os.defpath), "HOME": folder, "TMPDIR": folder}
    return Command(
        argv=[sys.executable, "-S", "-s", "-c", driver_source(), folder],
        environ=environ,
        clean=lambda: shutil.rmtree(folder, ignore_errors=True),
    )
