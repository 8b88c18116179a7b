"""Which of an agent's changes are taken over into the sandbox that grades them.

    restricted = restrict(instance, box.changes())
    restricted.changes       # what is laid over the base
    restricted.dropped       # {"tests/test_new.py": "a new test file; ...", ...}
    restricted.tampering     # {"tests_changed": "tests/test_stack.py", ...}: only what has no place in a repair

Dropped is whatever could steer the tests instead of the code under test. Most of it is harmless (caches, a new test file of one's
own); what an honest repair has no use for (another's test changed, the runner's configuration, modules named as the standard
library's) is also tampering.
"""

from __future__ import annotations

import ast
import configparser
import os
import re
import sys
import tomllib
import warnings
from collections.abc import Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatch
from pathlib import PurePosixPath
from typing import Any

from ..sandbox.tree import Changes, File, Tree, check_path
from .instance import Instance

MAX_SOURCE = 1 << 20
"""Bytes of one Python file."""
MAX_FILE = 4 << 20
MAX_TOTAL = 16 << 20
MAX_FILES = 1000

_TEST_FOLDERS = {"test", "tests"}
_TEST_FILE = re.compile(r"(test_.*|.*_test|tests?)\.py", re.IGNORECASE)
_TEST_SUPPORT = {"testing", "_testing", "testutils", "test_utils", "_test_utils", "testsuite"}
_CACHES = {
    "__pycache__", ".pytest_cache", ".hypothesis", ".mypy_cache", ".ruff_cache", ".tox", ".nox", ".venv", "venv", ".eggs", ".git", ".cache",
    "node_modules", "htmlcov", ".idea", ".vscode", ".turnwise",
}  # fmt: skip
_CACHED = (".pyc", ".pyo", ".coverage", ".swp")
_NATIVE = re.compile(r".*\.(so|pyd|dll|dylib|a|o)(\.[\d.]+)?", re.IGNORECASE)
_CONFIGURATION = {
    "pytest.ini", ".pytest.ini", "pytest.toml", ".pytest.toml", "tox.ini", "setup.cfg", "pyproject.toml", ".coveragerc", "noxfile.py",
    "pytest.cfg",
}  # fmt: skip
_STARTUP = {"sitecustomize.py", "usercustomize.py", "pyvenv.cfg"}
_RUNNER = {
    "pytest",
    "_pytest",
    "pluggy",
    "iniconfig",
    "packaging",
    "pygments",
    "py",
    "turnwise_inside",
    "turnwise_inside_child",
    "hypothesis",
}
_ENVIRONMENT = {".env", ".envrc", "pytest.env"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Restricted:
    """``tampering``: stable name -> the first path with it."""

    changes: Changes
    dropped: dict[str, str] = field(default_factory=dict[str, str])
    tampering: dict[str, str] = field(default_factory=dict[str, str])


def restrict(instance: Instance, changes: Changes) -> Restricted:
    """Sort ``changes`` of ``instance.base`` into what is taken and what is dropped, with the reason. Raises nothing for any changes."""
    taken: dict[str, File | None] = {}
    dropped: dict[str, str] = {}
    tampering: dict[str, str] = {}
    roots = import_roots(instance)
    size = 0
    for path, file in sorted(changes.items(), key=lambda item: item[0].encode("utf-8", "surrogatepass")):
        name, reason = _judge(instance, changes, path, file, roots)
        if not reason and file is not None:
            size += len(file.data)
            if size > MAX_TOTAL or len(taken) >= MAX_FILES:
                name, reason = "oversized", f"all changes together are above {MAX_TOTAL >> 20} MB or {MAX_FILES} files"
        if not reason:
            taken[path] = file
            continue
        shown = path.encode("utf-8", "backslashreplace").decode()
        dropped[shown] = reason
        if name:
            tampering.setdefault(name, shown)
    return Restricted(changes=taken, dropped=dropped, tampering=tampering)


def import_roots(instance: Instance) -> tuple[str, ...]:
    """Folders below the work folder ("" for itself) that modules are imported from: ``paths``, and those of test files outside packages."""
    found = {"" if p in (".", "") else os.path.normpath(p) for p in instance.paths}
    for path in instance.held:
        folder = PurePosixPath(path).parent
        if path.endswith(".py") and (folder / "__init__.py").as_posix() not in instance.held:
            found.add("" if folder.as_posix() == "." else folder.as_posix())
    return tuple(sorted(found))


def looks_like_test(path: str) -> bool:
    """A test file or something in a folder of tests, by name."""
    *folders, name = path.split("/")
    return bool(_TEST_FILE.fullmatch(name)) or any(f.lower() in _TEST_FOLDERS for f in folders)


def _judge(instance: Instance, changes: Changes, path: str, file: File | None, roots: Sequence[str]) -> tuple[str, str]:
    """(name of tampering or empty, reason to drop or empty)."""
    try:
        check_path(path)
        path.encode()
    except UnicodeEncodeError:
        return "", "its name is not text"
    except ValueError:
        return "path_escape", "it is no path inside the repository"
    if any(ord(c) < 32 for c in path):
        return "", "its name has control characters"
    parts = path.split("/")
    if any(part in _CACHES or part.endswith((".egg-info", ".dist-info")) for part in parts) or parts[-1].endswith(_CACHED):
        return _made(instance, path, file)
    found = _placed(instance, changes, path, file)
    if found:
        return found
    return _named(instance, path, file, roots) or _sized(path, file) or ("", "")


def _made(instance: Instance, path: str, file: File | None) -> tuple[str, str]:
    """Caches and what tools make; all dropped, but some would be believed before the source they stand beside."""
    name = path.rsplit("/", 1)[-1]
    if name == "entry_points.txt" and file is not None and b"pytest11" in file.data:
        return "plugin", "it would load a plugin into the test runner"
    if name.endswith((".pyc", ".pyo")) and file is not None:
        checked = len(file.data) < 8 or int.from_bytes(file.data[4:8], "little") != 1
        if not checked or ("/__pycache__/" not in f"/{path}" and path not in instance.base):
            return "bytecode", "bytecode that would be run without a look at the source"
    return "", "a cache, or made by a tool"


def _placed(instance: Instance, changes: Changes, path: str, file: File | None) -> tuple[str, str] | None:
    """Links, and what is in the place of a test."""
    parents = ["/".join(path.split("/")[:end]) for end in range(1, path.count("/") + 1)]
    folder = any(h.startswith(path + "/") for h in instance.held)
    below = any(p in instance.held for p in parents)
    if path in instance.held or folder or below:
        if file is not None and file.link is not None:
            return "link", "a link in the place of a test; the test is restored"
        return ("tests_changed", "it takes the place of tests") if folder or below else _test_change(instance, path, file)
    for parent in parents:
        above = changes.get(parent, instance.base.get(parent))
        if above is not None and above.link is not None:
            return "link", "it lies behind a link"
    if file is None or file.link is None:
        return None
    target = os.path.normpath((PurePosixPath(path).parent / file.link).as_posix())
    if file.link.startswith("/") or target == ".." or target.startswith("../"):
        return "link", "a link that leaves the repository"
    if target in instance.held or looks_like_test(target) or any(h.startswith(target + "/") for h in instance.held):
        return "link", "a link to a test"
    return "", "a link; only plain files are taken"


def _named(instance: Instance, path: str, file: File | None, roots: Sequence[str]) -> tuple[str, str] | None:
    """What its name makes of it."""
    name = path.rsplit("/", 1)[-1]
    if name == "conftest.py":
        return "conftest", "conftest.py steers the tests; it is restored"
    if name in _CONFIGURATION:
        same = _settings(name, instance.base.get(path)) == _settings(name, file)
        return "" if same else "configuration", "configuration; it is restored"
    if name in _STARTUP or name.endswith(".pth"):
        return "startup", "Python would run it at every start"
    if name in _ENVIRONMENT:
        steers = file is not None and re.search(rb"PYTHON|PYTEST|LD_PRELOAD|\bPATH\b", file.data)
        return "environment" if steers else "", "it sets environment variables"
    if any(fnmatch(path, pattern) for pattern in instance.protected):
        return "", "the task does not allow changes of it"
    if looks_like_test(path) and path not in instance.gold:
        return _test_change(instance, path, file) if path in instance.base else ("", "a new test file; only the task's own tests count")
    if path in instance.base and path not in instance.gold and _TEST_SUPPORT & {part.removesuffix(".py") for part in path.split("/")}:
        return "", "what tests are written with; it is kept as it was"
    if _NATIVE.fullmatch(name):
        module = (path.rpartition("/")[0] + "/" + name.split(".", 1)[0]).lstrip("/") + ".py"
        return "native" if file is not None and module in instance.base else "", "native code is not taken"
    if file is not None and path not in instance.base and _shadows(instance, path, roots):
        return "shadowing", "a module with the name of one of the standard library or the test runner"
    return None


def _sized(path: str, file: File | None) -> tuple[str, str] | None:
    if file is None:
        return None
    if path.endswith(".py") and len(file.data) > MAX_SOURCE:
        return "oversized", f"a Python file of {len(file.data)} bytes; the most is {MAX_SOURCE}"
    if len(file.data) > MAX_FILE:
        return "", f"it has {len(file.data)} bytes; the most is {MAX_FILE}"
    return None


def _shadows(instance: Instance, path: str, roots: Sequence[str]) -> bool:
    """Whether a new file makes a top-level module whose name is taken, and the base has none of that name."""
    for root in roots:
        if root and not path.startswith(root + "/"):
            continue
        below = path.removeprefix(root + "/") if root else path
        top = below.split("/", 1)[0]
        module = top.removesuffix(".py")
        if not below.endswith(".py") or not (
            module in sys.stdlib_module_names or module in _RUNNER or module.startswith("turnwise_inside")
        ):
            continue
        place = f"{root}/{module}" if root else module
        if f"{place}.py" not in instance.base and not any(p.startswith(place + "/") for p in instance.base):
            return True
    return False


def _test_change(instance: Instance, path: str, file: File | None) -> tuple[str, str]:
    before = instance.base.get(path)
    if file is None:
        return ("tests_deleted", "a test was deleted; it is restored") if before else ("", "it was not there")
    if before is None:
        return "", "a new test file; only the task's own tests count"
    if before.data == file.data:
        return "", "only its mode was changed"
    if only_adds(before.data, file.data):
        return "", "tests were added to a test file; only the task's own tests count"
    return "tests_changed", "a test was changed; it is restored"


def only_adds(before: bytes, after: bytes) -> bool:
    """Whether Python source ``after`` has all statements of ``before``, in order, and besides only imports, and functions and classes of
    new names."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            old, new = ast.parse(before), ast.parse(after)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return False
    return _adds(old.body, new.body)


def _adds(old: list[ast.stmt], new: list[ast.stmt]) -> bool:
    names = {s.name for s in old if isinstance(s, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef)}
    rest = list(old)
    for statement in new:
        if rest and ast.dump(rest[0]) == ast.dump(statement):
            del rest[0]
            continue
        if rest and isinstance(statement, ast.ClassDef) and isinstance(rest[0], ast.ClassDef) and statement.name == rest[0].name:
            first = rest.pop(0)
            assert isinstance(first, ast.ClassDef)
            heads = [(c.bases, c.keywords, c.decorator_list) for c in (first, statement)]
            if _dumps(heads[0]) != _dumps(heads[1]) or not _adds(first.body, statement.body):
                return False
            continue
        if isinstance(statement, ast.Import | ast.ImportFrom):
            continue
        if not isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef) or statement.name in names:
            return False
        names.add(statement.name)
    return not rest


def _dumps(groups: Sequence[Sequence[ast.AST]]) -> list[list[str]]:
    return [[ast.dump(node) for node in group] for group in groups]


def _settings(name: str, file: File | None) -> Any:
    """What a configuration file tells the test runner; a file that is not there tells it nothing, one that cannot be read is itself."""
    if file is None:
        return {}
    if file.link is not None:
        return file.link
    try:
        text = file.data.decode()
        if name.endswith(".toml"):
            data = tomllib.loads(text)
            if name != "pyproject.toml":
                return data
            plugins = data.get("project", {}).get("entry-points", {}).get("pytest11")
            return {k: v for k, v in {"pytest": data.get("tool", {}).get("pytest"), "plugins": plugins}.items() if v}
        if name.endswith((".ini", ".cfg")):
            parser = configparser.RawConfigParser()
            parser.read_string(text)
            return {s: dict(parser[s]) for s in ("pytest", "tool:pytest") if parser.has_section(s)}
    except (UnicodeDecodeError, ValueError, configparser.Error, AttributeError):
        return file.data
    return {}


def held_over(base: Tree, changes: Changes, held: Tree) -> dict[str, File | None]:
    """What turns ``base`` into the graded tree: the allowed ``changes``, then ``held``. The folder of a held file is nobody else's."""
    result: dict[str, File | None] = {p: f for p, f in changes.items() if not any(h == p or h.startswith(p + "/") for h in held)}
    result.update({path: file for path, file in held.items() if base.get(path) != file or path in changes})
    return result
