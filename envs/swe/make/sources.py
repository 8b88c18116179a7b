"""Projects to make tasks of: a folder, the HEAD of a git checkout, or a source archive from the package index.

read_source("toolz==1.2.0") -> Project(name="toolz", version="1.2.0", tests=("toolz/tests/test_curried.py", ...), ...)
"""

from __future__ import annotations

import email
import fnmatch
import re
import subprocess
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, cast

from ...sandbox.tree import File, Tree, tree_of, tree_of_tar
from .download import sdist
from .errors import Missing, NoTests, SourceError, Unreachable

_LEFT_OUT = {
    ".git", ".hg", ".svn", ".tox", ".nox", ".venv", "venv", "node_modules", "__pycache__", ".pytest_cache", ".mypy_cache", ".ruff_cache",
    ".hypothesis", ".eggs", ".idea", ".vscode", "dist", ".coverage", "htmlcov",
}  # fmt: skip
_TEST_NAMES = ("test_*.py", "*_test.py", "tests.py", "test.py")
_TEST_FOLDERS = {"test", "tests", "testing"}
CONFIGURATION = ("pytest.ini", ".pytest.ini", "tox.ini", "setup.cfg", "pyproject.toml", "pytest.toml", ".pytest.toml")
"""Where pytest looks for its settings."""
_PERMISSIVE = ("mit", "bsd", "apache", "isc", "psf", "python software foundation", "zpl", "0bsd", "unlicense", "public domain", "cc0")


@dataclass(frozen=True, slots=True, kw_only=True)
class Project:
    """A project as it is: ``paths`` are the folders that Python imports from, ``tests`` the files with tests.

    ``sha256``: of the source archive, empty for a folder; ``requires_python``: as its metadata says, such as ">=3.9".
    """

    name: str
    version: str
    sha256: str
    tree: Tree
    paths: tuple[str, ...]
    tests: tuple[str, ...]
    requires_python: str = ""
    licence: str = ""

    def is_held(self, path: str) -> bool:
        """Whether grading puts the file back: tests and all beside them, ``conftest.py``, and pytest's settings."""
        place = PurePosixPath(path)
        return path in self.tests or place.name == "conftest.py" or path in CONFIGURATION or bool(_TEST_FOLDERS & set(place.parts[:-1]))

    def held(self) -> dict[str, File]:
        return {path: file for path, file in self.tree.items() if self.is_held(path)}

    def code(self) -> list[str]:
        """Sources that a mutation may be in: below ``paths``, no tests, no examples, nothing that installs."""
        skipped = {"docs", "doc", "examples", "example", "benchmarks", "benchmark", "bench", "scripts", "tools", "tasks"}
        found: list[str] = []
        for path, file in self.tree.items():
            parts = PurePosixPath(path).parts
            plain = path.endswith(".py") and file.link is None and parts[-1] not in ("setup.py", "conftest.py", "noxfile.py")
            if plain and not self.is_held(path) and not skipped & set(parts[:1]):
                found.append(path)
        return found


def read_source(source: str | Path, sha256: str = "") -> Project:
    """What ``source`` names: a folder (with a ``.git``: the files of HEAD, as committed), else "name" or "name==version" in the index.

    Raises the errors of ``errors``, and ``ValueError`` for what is neither.
    """
    folder = Path(source)
    if folder.is_dir():
        return project(folder.resolve().name, git_tree(folder) if (folder / ".git").exists() else folder_tree(folder))
    if isinstance(source, Path) or "/" in source or source.endswith((".gz", ".zip")):
        raise Missing(f"{str(source)!r} is not a folder; give a folder, or a package as name==version")
    archive, digest = sdist(source, sha256)
    if not archive.name.endswith((".tar.gz", ".tar.bz2", ".tar.xz", ".tgz")):
        raise SourceError(f"the source archive of {source} is no tar archive ({archive.name}); unpack it, and give the folder")
    name, version = re.sub(r"\.(tar\.\w+|tgz)$", "", archive.name).rsplit("-", 1)
    return project(name.replace("_", "-"), tree_of_tar(archive.read_bytes(), strip=1), version, digest)


def folder_tree(folder: Path) -> dict[str, File]:
    """The files of a folder, without what tools leave behind."""
    return tree_of(folder, lambda path: not _LEFT_OUT & set(path.split("/")) and not path.endswith((".pyc", ".pyo", ".so")))


def git_tree(folder: Path) -> dict[str, File]:
    """The files of HEAD: no history, nothing uncommitted, nothing that a filter or hook would have changed. Submodules are left out."""
    listed = _git(folder, "ls-tree", "-r", "-z", "--full-tree", "HEAD").split(b"\0")
    entries: list[tuple[str, str, str]] = []
    for line in listed:
        if line:
            about, path = line.split(b"\t", 1)
            mode, kind, name = about.decode().split()
            if kind == "blob":
                entries.append((path.decode("utf-8", "surrogateescape"), mode, name))
    data = _git(folder, "cat-file", "--batch", stdin="".join(f"{name}\n" for _, _, name in entries).encode())
    tree: dict[str, File] = {}
    at = 0
    for path, mode, _ in entries:
        end = data.index(b"\n", at)
        size = int(data[at:end].split()[-1])
        content = data[end + 1 : end + 1 + size]
        at = end + size + 2
        tree[path] = File(link=content.decode("utf-8", "surrogateescape")) if mode == "120000" else File(content, mode == "100755")
    return dict(sorted(tree.items()))


def project(name: str, tree: Tree, version: str = "", sha256: str = "") -> Project:
    """What a tree of files holds. Raises ``NoTests`` for one without tests, ``SourceError`` for an empty one."""
    if not tree:
        raise SourceError(f"{name} holds no files; give a Python project with tests that pass")
    about = email.message_from_bytes(tree["PKG-INFO"].data) if "PKG-INFO" in tree else email.message_from_string("")
    found: Any = _toml(tree).get("project")
    described: Mapping[str, Any] = cast("Mapping[str, Any]", found) if isinstance(found, dict) else {}
    tests = tuple(path for path, file in tree.items() if file.link is None and _is_test(path))
    if not tests:
        raise NoTests(f"{name} has no test files ({', '.join(_TEST_NAMES)}); its source archive may leave them out: give a git checkout")
    return Project(
        name=str(about["Name"] or described.get("name") or name),
        version=version or str(about["Version"] or described.get("version") or ""),
        sha256=sha256,
        tree=_settle(tree, about),
        paths=_paths(tree),
        tests=tests,
        requires_python=str(about["Requires-Python"] or described.get("requires-python") or ""),
        licence=_licence(about),
    )


def is_permissive(licence: str) -> bool:
    """Whether a licence's name is one that lets copies with changes be passed on without conditions on other code."""
    lowered = licence.lower()
    return any(re.search(rf"\b{re.escape(word)}", lowered) for word in _PERMISSIVE) and "gpl" not in lowered


def _is_test(path: str) -> bool:
    place = PurePosixPath(path)
    return any(fnmatch.fnmatch(place.name, pattern) for pattern in _TEST_NAMES) and not {"docs", "doc", "examples"} & set(place.parts[:1])


def _paths(tree: Tree) -> tuple[str, ...]:
    """Where packages are: ``src`` or ``lib`` where they hold some, and the root, from which tests may be imported."""
    return (*(top for top in ("src", "lib") if any(re.fullmatch(rf"{top}/([^/]+/__init__|[^/]+)\.py", path) for path in tree)), ".")


def _settle(tree: Tree, about: Any) -> dict[str, File]:
    """The tree, with the metadata that installing it leaves where ``importlib.metadata`` finds it: projects ask it for their version."""
    tree = {path: file for path, file in tree.items() if not path.endswith((".pyc", ".pyo"))}
    name = re.sub(r"[-_.]+", "_", str(about["Name"] or ""))
    folder = _paths(tree)[0].removeprefix(".")
    prefix = f"{folder}/" if folder else ""
    if name and not any(path.startswith(prefix) and path.endswith(".egg-info/PKG-INFO") for path in tree):
        tree[f"{prefix}{name}-{about['Version']}.dist-info/METADATA"] = tree["PKG-INFO"]
    return dict(sorted(tree.items()))


def _licence(about: Any) -> str:
    classifiers = [
        str(c).rsplit(" :: ", 1)[-1] for c in cast("Sequence[Any]", about.get_all("Classifier") or ()) if str(c).startswith("License")
    ]
    return str(about["License-Expression"] or (about["License"] if len(str(about["License"] or "")) < 60 else "") or "; ".join(classifiers))


def _toml(tree: Tree) -> dict[str, Any]:
    try:
        return tomllib.loads(tree["pyproject.toml"].data.decode()) if "pyproject.toml" in tree else {}
    except (tomllib.TOMLDecodeError, UnicodeDecodeError):
        return {}


def _git(folder: Path, *words: str, stdin: bytes = b"") -> bytes:
    try:
        done = subprocess.run(["git", "-C", str(folder), *words], input=stdin, capture_output=True, timeout=120)
    except FileNotFoundError as error:
        raise Unreachable(
            f"{folder} is a git checkout, and the program git is not installed; install it, or give a folder without .git"
        ) from error
    except subprocess.TimeoutExpired as error:
        raise Unreachable(f"git did not answer within 120 s in {folder}") from error
    if done.returncode:
        said = done.stderr.decode("utf-8", "replace").strip()
        if "HEAD" in said:
            raise Missing(f"the git checkout {folder} has no commit; commit the files that tasks are to be made of")
        raise SourceError(f"git could not read {folder}: {said}")
    return done.stdout
