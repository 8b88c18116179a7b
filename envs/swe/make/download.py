"""Source archives from the package index, through pip: its mirrors, certificates and credentials are the user's settings.

pip asks a package's build backend for its name before it keeps the archive, which would run the package's code outside any sandbox. Here
the common backends are replaced, in pip's processes alone, by one that reads the name from the archive's own PKG-INFO.
"""

from __future__ import annotations

import hashlib
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

from ..toolchain import cache_folder
from .errors import HashMismatch, Missing, NeedsPython, SourceError, Unreachable

TIMEOUT_S = 300.0
_BACKENDS = (
    "setuptools.build_meta", "hatchling.build", "flit_core.buildapi", "flit.buildapi", "poetry.core.masonry.api", "poetry.masonry.api",
    "poetry_dynamic_versioning.backend", "pdm.backend", "pdm.pep517.api", "uv_build", "flit_scm", "jupyter_packaging.build_api",
)  # fmt: skip
_BACKEND = """
import email, os, re

def get_requires_for_build_wheel(config_settings=None):
    return []

def prepare_metadata_for_build_wheel(metadata_directory, config_settings=None):
    with open("PKG-INFO", encoding="utf-8", errors="replace") as file:
        about = email.message_from_file(file)
    folder = re.sub("[^A-Za-z0-9.]+", "_", about["Name"]) + "-" + about["Version"].replace("-", "_") + ".dist-info"
    os.makedirs(os.path.join(metadata_directory, folder))
    with open(os.path.join(metadata_directory, folder, "METADATA"), "w", encoding="utf-8") as file:
        file.write(f"Metadata-Version: 2.1\\nName: {about['Name']}\\nVersion: {about['Version']}\\n")
    return folder

class __legacy__:
    get_requires_for_build_wheel = staticmethod(get_requires_for_build_wheel)
    prepare_metadata_for_build_wheel = staticmethod(prepare_metadata_for_build_wheel)

buildapi = __legacy__
"""
_REQUIREMENT = re.compile(r"(?P<name>[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?)(?:==(?P<version>[A-Za-z0-9.!+_-]+))?")


def sdist(requirement: str, sha256: str = "") -> tuple[Path, str]:
    """The source archive of "name==version" (or the newest of "name"), from the cache or the index, and its sha256.

    With ``sha256`` it is checked, also in the cache, where an archive of "name==version" is used without asking the index.
    Raises the errors of ``errors``; ``ValueError`` for something that is no requirement.
    """
    found = _REQUIREMENT.fullmatch(requirement.strip())
    if found is None:
        raise ValueError(f"{requirement!r} is neither a folder nor a package as name or name==version")
    name, version = re.sub(r"[-_.]+", "_", found["name"]).lower(), found["version"]
    shelf = cache_folder() / "sdists"
    if version:
        for archive in sorted(shelf.glob(f"{name}-{version}.*")):
            if not sha256 or _hash(archive) == sha256:
                return archive, _hash(archive)
    shelf.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=shelf) as folder:
        archive = _download(requirement.strip(), found["name"], Path(folder))
        digest = _hash(archive)
        if sha256 and digest != sha256:
            raise HashMismatch(
                f"the archive of {requirement} has the sha256 {digest}, not {sha256}; the index gives another file than the one the tasks "
                "were made of: ask an index you trust"
            )
        ending = ".zip" if archive.name.endswith(".zip") else "".join(Path(archive.name).suffixes[-2:])
        number = version or archive.name[: -len(ending)].rsplit("-", 1)[-1]
        place = shelf / f"{name}-{number}{ending}"
        os.replace(archive, place)
    return place, digest


def _download(requirement: str, name: str, folder: Path) -> Path:
    backends = folder / "backends"
    for module in _BACKENDS:
        place = backends.joinpath(*module.split(".")).with_suffix(".py")
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(_BACKEND)
        for parent in place.relative_to(backends).parents[:-1]:
            (backends / parent / "__init__.py").touch()
    argv = [sys.executable, "-m", "pip", "download", "--no-deps", "--no-build-isolation", "--use-pep517", "--no-binary", name]
    argv += ["--disable-pip-version-check", "--no-input", "--progress-bar", "off", "--dest", str(folder / "files"), requirement]
    try:
        done = subprocess.run(argv, env=os.environ | {"PYTHONPATH": str(backends)}, capture_output=True, text=True, timeout=TIMEOUT_S)
    except subprocess.TimeoutExpired as error:
        raise Unreachable(f"pip did not download {requirement} in {TIMEOUT_S:.0f} s; check the network and the index") from error
    archives = sorted((folder / "files").glob("*")) if done.returncode == 0 else []
    if len(archives) != 1:
        raise _problem(requirement, done.stdout + done.stderr)
    return archives[0]


def _problem(requirement: str, said: str) -> SourceError:
    """What pip's message means."""
    if "No module named pip" in said:
        return Unreachable(f"pip is needed to download {requirement}, and this Python has none; install it with: python -m ensurepip")
    if "Retrying (" in said or "connection" in said.lower() or "ProxyError" in said or "--no-index" in said:
        return Unreachable(f"the package index does not answer, so {requirement} was not downloaded; check the network, or PIP_INDEX_URL")
    needs = re.findall(r"Requires-Python ([^\s;]+)", said)
    if needs and "Could not find a version" in said:
        return NeedsPython(f"{requirement} asks for Python {needs[-1]}, this is {sys.version.split()[0]}; choose an older version of it")
    if "from versions: none" in said or re.search(r"\b404 (?:Client Error|Not Found)|HTTP error 404", said):
        return Missing(f"the package index has no source archive of {requirement}; give another package, or a folder with its source")
    versions = re.search(r"from versions: ([^)]*)\)", said)
    if versions:
        return Missing(f"there is no {requirement}; the newest that are there: {', '.join(versions[1].split(', ')[-5:])}")
    last = [line for line in said.strip().splitlines() if line.strip()][-3:]
    return SourceError(f"pip could not download {requirement}: {' / '.join(last)}; download and unpack it yourself, and give the folder")


def _hash(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
