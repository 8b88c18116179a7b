"""A sandbox in which the tests of one project run again and again, each time with other files changed.

with Bench(project) as bench:
    bench.test({}).statuses                                    # {"tests/test_a.py::test_b": "PASSED", ...}
    bench.test({"a.py": File(b"...")}, only={"tests/test_a.py::test_b"}).failures
"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

from ...sandbox.base import Limits, SandboxError
from ...sandbox.make import make_sandbox
from ...sandbox.process import DriverSandbox
from ...sandbox.tree import Changes, File
from ..instance import WORK
from ..runner import ENVIRON, NEUTRAL, configuration
from ..toolchain import PLACE, binds
from . import inside
from .sources import Project

_ANSWER = ".turnwise-answer.json"
LIMITS = Limits(disk_mb=256, memory_mb=2048, processes=64, max_files=20_000, cpu_s=36_000)


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """How a test failed, seen from its own file: ``line`` there (0: not in it), ``function`` that the line is in, and ``deepest``: whether
    the line itself raised it. ``locals``: local variables as literals, where they have one."""

    type: str
    message: str
    line: int = 0
    function: str = ""
    deepest: bool = False
    locals: Mapping[str, str] = field(default_factory=dict[str, str])


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """One run of the tests. ``problem``: "timeout", or what broke the run as a whole. ``problems``: file that cannot be read -> error.

    ``lines``: source -> line -> the tests that ran it, only of a traced run.
    """

    statuses: Mapping[str, str] = field(default_factory=dict[str, str])
    seconds: Mapping[str, float] = field(default_factory=dict[str, float])
    failures: Mapping[str, Failure] = field(default_factory=dict[str, Failure])
    problems: Mapping[str, str] = field(default_factory=dict[str, str])
    problem: str = ""
    lines: Mapping[str, Mapping[int, Sequence[str]]] = field(default_factory=dict[str, dict[int, list[str]]])

    def failing(self) -> set[str]:
        return {test for test, status in self.statuses.items() if status in ("FAILED", "ERROR")}


class Bench:
    """One sandbox with a project in it. Not for several threads at once; ``close`` it."""

    def __init__(self, project: Project, backend: str = "auto") -> None:
        self.project = project
        self._box = open_sandbox(project, backend)
        self.processor_s = 0.0
        """That the runs so far took, in the sandbox; without those that were stopped."""
        self._put: set[str] = set()
        self._starts = 0

    def __enter__(self) -> Bench:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self._box.close()

    def test(
        self,
        changes: Changes,
        *,
        only: Collection[str] | None = None,
        files: Sequence[str] | None = None,
        trace: Sequence[str] = (),
        timeout_s: float = 60.0,
    ) -> Run:
        """Run the tests with ``changes`` to the project's files.

        ``only``: these test ids (default all); ``files``: of these files (default: those that ``only`` names, or all).
        """
        if files is None:
            files = self.project.tests if only is None else sorted({test.split("::")[0] for test in only})
        request = {"do": "test", "files": list(files), "only": None if only is None else sorted(only), "trace": list(trace)}
        found = self._ask(request | {"arguments": _arguments(configuration(self.project.tree))}, changes, timeout_s)
        if "statuses" not in found:
            return Run(problem=str(found.get("problem", "the run ended without a result")))
        if not found["statuses"] and found["exit"] not in (0, 5):
            return Run(problem="no test ran", problems=found["problems"])
        names = list(found["seconds"])
        return Run(
            statuses=found["statuses"],
            seconds=found["seconds"],
            failures={test: Failure(**about) for test, about in found["failures"].items()},
            problems=found["problems"],
            lines={path: {int(n): [names[i] for i in tests] for n, tests in lines.items()} for path, lines in found["lines"].items()},
        )

    def evaluate(self, changes: Changes, snippets: Sequence[tuple[str, str]], timeout_s: float = 10.0) -> list[dict[str, str]]:
        """What each (statements, expression) gives: {"value": its repr} or {"error": "Type: message"}; empty where it takes too long."""
        found = self._ask({"do": "evaluate", "snippets": [list(s) for s in snippets]}, changes, timeout_s)
        return found.get("found", [])

    def _ask(self, request: dict[str, Any], changes: Changes, timeout_s: float) -> dict[str, Any]:
        self._ready(changes)
        request |= {"root": WORK, "paths": list(self.project.paths), "timeout_s": timeout_s, "answer": f"{WORK}/{_ANSWER}"}
        done = self._box.python(f"serve(json.loads({json.dumps(request)!r}))", timeout_s=timeout_s + 20)
        if not done.ok:
            return {"problem": done.problem or done.output.decode("utf-8", "replace")[-500:]}
        try:
            found: dict[str, Any] = json.loads(self._box.read(_ANSWER))
        except (FileNotFoundError, ValueError) as error:
            return {"problem": f"the run left no result ({error})"}
        self.processor_s += found.get("processor_s", 0.0)
        return found

    def _ready(self, changes: Changes) -> None:
        """The sandbox running, with the project's files as they are but for ``changes``."""
        if self._starts != self._box.starts or self._box.starts == 0:
            done = self._box.python(f"{_inside()}\nready({PLACE!r}, {ENVIRON!r})")
            if not done.ok:
                raise SandboxError(f"the sandbox cannot run pytest: {done.problem or done.output.decode('utf-8', 'replace')[-500:]}")
            self._starts = self._box.starts
            self._put = set()
        back: dict[str, File | None] = {path: self.project.tree.get(path) for path in self._put if path not in changes}
        self._box.put(back | dict(changes))
        self._put = set(changes)


def _arguments(config: str) -> list[str]:
    """As ``run_tests`` starts pytest."""
    config = f"{WORK}/{config}" if config else "/dev/null"
    settings = [word for setting in NEUTRAL for word in ("-o", setting)]
    return ["-q", "--tb=no", "-p", "no:cacheprovider", "--continue-on-collection-errors", f"--rootdir={WORK}", "-c", config, *settings]


@lru_cache(maxsize=2)
def sandbox_version(interpreter: str | None) -> str:
    """Such as "3.11.2", of the Python that runs in sandboxes."""
    if interpreter is None:
        return "none"
    code = "import platform; print(platform.python_version())"
    return subprocess.run([interpreter, "-I", "-c", code], capture_output=True, text=True, check=True, timeout=60).stdout.strip()


@lru_cache(maxsize=1)
def _inside() -> str:
    return Path(str(inside.__file__)).read_text(encoding="utf-8")


def open_sandbox(project: Project, backend: str) -> DriverSandbox:
    """A sandbox with the project's files, in which its tests can run."""
    return make_sandbox(backend, tree=project.tree, work=WORK, limits=LIMITS, binds=binds())
