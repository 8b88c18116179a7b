"""The test runner that is bound into sandboxes: pytest and what it needs, copied once from the running interpreter's packages.

    make_sandbox(tree=..., work="/testbed", binds=binds())     # {"/opt/toolchain": Path(".../toolchain-...")}, read-only

An agent cannot change it, its repository cannot shadow it, and tests run with the same version whatever the image has installed.
"""

from __future__ import annotations

import contextlib
import hashlib
import importlib.metadata
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path

from ..sandbox.bubblewrap import python as sandbox_python

PLACE = "/opt/toolchain"
"""Where sandboxes see the folder."""
PACKAGES = ("pytest", "pluggy", "iniconfig", "packaging", "pygments")
INSIDE = ("inside", "inside_child", "inside_guard")
"""Modules of this folder that run in the sandbox; there they are called ``turnwise_inside``, ..."""
_ABANDONED_S = 3600.0
_SKIPPED = ("pygments/lexers/", "pygments/styles/", "pygments/formatters/")
_KEPT = ("__init__.py", "_mapping.py", "python.py", "diff.py", "terminal.py", "default.py")


def cache_folder() -> Path:
    """Where things that are made once are kept: $TURNWISE_CACHE; for root /var/cache/turnwise; else $XDG_CACHE_HOME or ~/.cache, /turnwise.

    Made when missing. Sandboxes may run as another user, so the folder and those above it must be readable by everybody.
    """
    named = os.environ.get("TURNWISE_CACHE")
    if named:
        folder = Path(named).expanduser().absolute()
    elif os.geteuid() == 0:
        folder = Path("/var/cache/turnwise")
    else:
        folder = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "turnwise"
    folder.mkdir(parents=True, exist_ok=True, mode=0o755)
    return folder


def binds() -> dict[str, Path]:
    """What ``make_sandbox(binds=)`` needs so that ``run_tests`` works in the sandbox."""
    return {PLACE: toolchain()}


@lru_cache(maxsize=4)
def toolchain() -> Path:
    """The folder with pytest, made at the first call on a machine; its name has the versions' hash, so it never changes.

    Raises ``ModuleNotFoundError`` where a package is missing, ``OSError`` where the cache folder cannot be written.
    """
    sources = _sources()
    found = hashlib.sha256()
    for name in PACKAGES:
        found.update(f"{name} {importlib.metadata.version(name)}\n".encode())
    for name in INSIDE:
        found.update(sources[name].read_bytes())
    interpreter = sandbox_python()
    found.update(_version(interpreter).encode())
    place = cache_folder() / f"toolchain-{found.hexdigest()[:16]}"
    if not place.is_dir():
        _make(place, sources, interpreter)
    return place


def _sources() -> dict[str, Path]:
    missing: list[str] = []
    for name in PACKAGES:
        try:
            importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            missing.append(name)
    if missing:
        raise ModuleNotFoundError(
            f"{', '.join(missing)} is not installed, and tests of repositories run with it; pip install 'turnwise[swe]'"
        )
    return {name: Path(__file__).with_name(f"{name}.py") for name in INSIDE}


def _version(interpreter: str | None) -> str:
    if interpreter is None:
        return "none"
    return os.path.realpath(interpreter) + str(os.stat(interpreter).st_mtime_ns)


def _files(name: str) -> Iterator[tuple[str, Path]]:
    """(place, file) of what a distribution imports; of pygments only what pytest uses."""
    for file in importlib.metadata.files(name) or ():
        path = file.as_posix()
        if file.suffix != ".py" and file.name != "py.typed":
            continue
        if path.startswith("..") or (path.startswith(_SKIPPED) and file.name not in _KEPT):
            continue
        yield path, Path(str(file.locate()))


def _make(place: Path, sources: dict[str, Path], interpreter: str | None) -> None:
    """In a folder beside it that is then renamed: whoever comes second finds it complete. What a killed process left is removed."""
    for left in place.parent.glob("toolchain-*.part"):
        with contextlib.suppress(OSError):  # another process was faster
            if time.time() - left.stat().st_mtime > _ABANDONED_S:
                shutil.rmtree(left, ignore_errors=True)
    staging = Path(tempfile.mkdtemp(prefix="toolchain-", suffix=".part", dir=place.parent))
    try:
        for name in PACKAGES:
            for path, file in _files(name):
                target = staging / path
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(file, target)
        for name, file in sources.items():
            shutil.copyfile(file, staging / f"turnwise_{name}.py")
        if interpreter is not None:  # by the Python that will run it; others compile in memory
            command = [interpreter, "-I", "-S", "-m", "compileall", "-q", "--invalidation-mode", "unchecked-hash", "."]
            subprocess.run(command, check=True, cwd=staging, capture_output=True, timeout=300)
        for here, folders, names in os.walk(staging):
            for one in (*folders, *names):
                Path(here, one).chmod(0o755 if one in folders else 0o644)
        staging.chmod(0o755)
        try:
            staging.rename(place)
        except OSError:
            if not place.is_dir():  # else another process was faster
                raise
    finally:
        shutil.rmtree(staging, ignore_errors=True)
