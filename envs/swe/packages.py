"""Tasks of packages from the index: small files that name a source archive by its hash, and what to change in it.

    packages()["toolz"].tasks[0].statement
    build({"kind": "package", "package": "toolz", "version": "1.2.0", "sha256": "...", "id": "toolz-1.2.0__6d485259"}) -> Instance

The archive is downloaded on first use, kept in the cache folder, and its hash checked whenever it is read.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, cast

from .instance import Instance
from .make.baseline import Baseline
from .make.mutate import Mutation
from .make.sources import Project, read_source
from .make.tasks import instance, task_id
from .make.validate import Found

KIND = "package"
FOLDER = Path(__file__).with_name("tasks")
SPLITS = ("train", "validation", "test")
_KEYS = {"package", "version", "sha256", "licence", "split", "suite_s", "tests", "excluded", "tasks"}
_TASK_KEYS = {"id", "difficulty", "mutations", "fail_to_pass", "withheld", "statement"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Package:
    """One package and its tasks. ``passing``: the tests that pass without a change, in order; ``excluded``: the others, with the reason."""

    name: str
    version: str
    sha256: str
    licence: str
    split: str
    suite_s: float
    passing: tuple[str, ...]
    excluded: Mapping[str, str]
    tasks: Mapping[str, Found]

    @property
    def requirement(self) -> str:
        return f"{self.name}=={self.version}"

    @property
    def timeout_s(self) -> float:
        """For one graded run of the tests."""
        return max(60.0, 20 * self.suite_s)

    def data(self, task: str) -> dict[str, Any]:
        """What ``Task.data`` holds of a task."""
        return {"kind": KIND, "package": self.name, "version": self.version, "sha256": self.sha256, "id": task}


def build(data: Mapping[str, Any]) -> Instance:
    """The instance of a task's data.

    Raises ``ValueError`` for data that names no shipped task, and the errors of ``make.errors`` where the archive cannot be had.
    """
    if data.get("kind") != KIND or set(data) != {"kind", "package", "version", "sha256", "id"}:
        raise ValueError(f"this is not a package's task: {dict(data)!r}; expected kind {KIND!r}, package, version, sha256 and id")
    package = packages().get(str(data["package"]))
    if package is None:
        raise ValueError(f"there are no tasks of the package {data['package']!r}; there are: {', '.join(packages())}")
    if (data["version"], data["sha256"]) != (package.version, package.sha256):
        raise ValueError(f"the task is of {data['package']} {data['version']} ({data['sha256']}), not of {package.requirement}")
    if data["id"] not in package.tasks:
        raise ValueError(f"there is no task {data['id']!r} of {package.requirement}")
    return instance(source(package), package.passing, package.tasks[data["id"]], package.timeout_s)


def source(package: Package) -> Project:
    """The package's files."""
    return _source(package.requirement, package.sha256)


@lru_cache(maxsize=32)
def _source(requirement: str, sha256: str) -> Project:
    return read_source(requirement, sha256)


@lru_cache(maxsize=1)
def packages() -> Mapping[str, Package]:
    """The shipped packages by name, sorted."""
    return {package.name: package for package in map(read_package, sorted(FOLDER.glob("*.json")))}


def read_package(path: Path) -> Package:
    """A file that ``write_package`` wrote. Raises ``ValueError`` for anything else."""
    try:
        data: Any = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ValueError(f"{path} is not JSON ({error})") from error
    data = cast("dict[str, Any]", data) if isinstance(data, dict) else {}
    if set(data) != _KEYS:
        raise ValueError(f"{path} is not a file of a package's tasks; expected the keys {', '.join(sorted(_KEYS))}")
    if data["split"] not in SPLITS:
        raise ValueError(f"{path}: split is {data['split']!r}; allowed: {', '.join(SPLITS)}")
    passing = tuple(_unfold(data["tests"]))
    tasks: dict[str, Found] = {}
    for given in data["tasks"]:
        if set(given) != _TASK_KEYS:
            raise ValueError(f"{path}: a task has the keys {sorted(given)}; expected {', '.join(sorted(_TASK_KEYS))}")
        withheld = _expand(given["withheld"], passing)
        tasks[given["id"]] = Found(
            mutations=tuple(Mutation.from_data(m) for m in given["mutations"]),
            failing=_expand(given["fail_to_pass"], passing),
            withheld=withheld,
            statement=given["statement"],
        )
    texts: dict[str, Any] = {key: data[key] for key in ("version", "sha256", "licence", "split", "suite_s", "excluded")}
    return Package(name=data["package"], passing=passing, tasks=tasks, **texts)


def write_package(path: Path, project: Project, baseline: Baseline, split: str, tasks: Iterable[Found]) -> None:
    """One task a line. Raises ``ValueError`` for a project that is no archive of the index."""
    if not project.sha256:
        raise ValueError(f"{project.name} is a folder; tasks go without its files only for a package in the index: use .jsonl")
    head: dict[str, Any] = {
        "package": project.name,
        "version": project.version,
        "sha256": project.sha256,
        "licence": project.licence,
        "split": split,
        "suite_s": baseline.suite_s,
        "excluded": dict(sorted(baseline.excluded.items())),
        "tests": _fold(baseline.passing),
    }
    lines = [f"{json.dumps(key)}: {json.dumps(value, ensure_ascii=False)}" for key, value in head.items()]
    rows = [json.dumps(_task(project, baseline.passing, found), ensure_ascii=False) for found in tasks]
    text = "{\n" + ",\n".join([*lines, '"tasks": [\n' + ",\n".join(rows) + "\n]"]) + "\n}\n"
    staging = path.with_suffix(".part")
    staging.write_text(text, encoding="utf-8")
    staging.replace(path)


def _task(project: Project, passing: Sequence[str], found: Found) -> dict[str, Any]:
    return {
        "id": task_id(project, found.mutations),
        "difficulty": found.difficulty,
        "mutations": [mutation.to_data() for mutation in found.mutations],
        "fail_to_pass": _collapse(found.failing, passing),
        "withheld": _collapse(found.withheld, passing),
        "statement": found.statement,
    }


def _fold(tests: Sequence[str]) -> dict[str, dict[str, list[str]]]:
    """File -> function -> the parameters in brackets; none: a test without them."""
    found: dict[str, dict[str, list[str]]] = defaultdict(lambda: defaultdict(list))
    for test in tests:
        path, _, rest = test.partition("::")
        function, bracket, parameters = rest.partition("[")
        if bracket:
            found[path][function].append(parameters.removesuffix("]"))
        else:
            found[path].setdefault(function, [])
    return found


def _unfold(tests: Mapping[str, Mapping[str, Sequence[str]]]) -> list[str]:
    return [
        f"{path}::{function}{f'[{parameters}]' if parameters is not None else ''}"
        for path, functions in tests.items()
        for function, cases in functions.items()
        for parameters in (cases or [None])
    ]


def _collapse(tests: Sequence[str], passing: Sequence[str]) -> list[str]:
    """The tests, a function of which all cases are meant by its name alone."""
    chosen = set(tests)
    cases: dict[str, set[str]] = defaultdict(set)
    for test in passing:
        cases[test.partition("[")[0]].add(test)
    whole = {function for function, members in cases.items() if members <= chosen}
    return list(dict.fromkeys(test.partition("[")[0] if test.partition("[")[0] in whole else test for test in tests))


def _expand(tests: Sequence[str], passing: Sequence[str]) -> tuple[str, ...]:
    names = set(tests)
    found = tuple(test for test in passing if test in names or test.partition("[")[0] in names)
    lost = names - set(found) - {test.partition("[")[0] for test in found}
    if lost:
        raise ValueError(f"{sorted(lost)[0]!r} is not among the package's tests")
    return found
