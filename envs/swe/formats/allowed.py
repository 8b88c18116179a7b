"""Which of an agent's changes are graded: not the tests, not what configures or replaces the test runner, not git's own files."""

from __future__ import annotations

import posixpath
from collections.abc import Sequence
from fnmatch import fnmatch

from ...sandbox.tree import Changes, File, check_path
from .spec import Spec
from .swebench import test_files

CONFIGURATION = ("conftest.py", "pytest.ini", ".pytest.ini", "tox.ini", "setup.cfg", "pyproject.toml", "pytest.toml", "runtests.py")
"""Names of files that configure a test run; graded only where the gold change touches them too."""
STARTUP = ("sitecustomize.py", "usercustomize.py", "*.pth")
RUNNERS = ("pytest", "_pytest", "pluggy", "iniconfig", "xdist", "unittest", "py")
"""Modules that would be imported in place of the test runner's own, were they in the work folder."""
GIT_FILES = (".git", ".gitattributes", ".gitmodules")


def allowed(spec: Spec, changes: Changes) -> tuple[dict[str, File | None], dict[str, str], tuple[str, ...]]:
    """(changes that are graded, path -> why it is not, names of the tricks that were seen)."""
    held = sorted({*test_files(spec.test_patch), *spec.held, *(_file_of(t) for t in (*spec.fail_to_pass, *spec.pass_to_pass))} - {""})
    gold = spec.gold_paths
    kept: dict[str, File | None] = {}
    dropped: dict[str, str] = {}
    tricks: set[str] = set()
    for path, file in sorted(changes.items()):
        why, trick = _refusal(path, file, held, gold)
        if why:
            dropped[path] = why
        else:
            kept[path] = file
        tricks |= {trick} - {""}
    return kept, dropped, tuple(sorted(tricks))


def _refusal(path: str, file: File | None, held: Sequence[str], gold: set[str]) -> tuple[str, str]:
    """(why, trick); empty: nothing is wrong."""
    try:
        parts = check_path(path).split("/")
    except ValueError as error:
        return str(error), "path_out"
    name, top = parts[-1], parts[0].split(".")[0]
    if file is not None and file.link is not None and _leaves(path, file.link):
        return "a link that leaves the repository", "link_out"
    if set(parts) & set(GIT_FILES):
        return "git's own file", ""
    if "__pycache__" in parts or name.endswith((".pyc", ".pyo")) or ".pytest_cache" in parts:
        return "a file that Python or the test runner makes", ""
    if any(path == h or path.startswith(h + "/") for h in held):
        return "a test file; it is as the instance has it", ""
    if any(h.startswith(path + "/") for h in held):
        return "it would take the place of a folder of tests", ""
    if path in gold:
        return "", ""
    if any(fnmatch(name, pattern) for pattern in STARTUP):
        return "Python would run it at every start", "startup_hook"
    if top in RUNNERS and file is not None:
        return "it would be imported in place of the test runner", "runner_shadowed"
    if name in CONFIGURATION:
        return "it configures the test run, and the gold change does not touch it", ""
    return "", ""


def _leaves(path: str, link: str) -> bool:
    target = posixpath.normpath(posixpath.join(posixpath.dirname(path), link))
    return link.startswith("/") or target == ".." or target.startswith("../")


def _file_of(test: str) -> str:
    """The file of a pytest id; empty for ids of other runners."""
    file, sep, _ = test.partition("::")
    return file if sep and not file.startswith("/") else ""
