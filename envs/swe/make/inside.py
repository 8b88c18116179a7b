"""What runs in the sandbox while tasks are made: a warm interpreter that forks a child for every run of the tests.

Only for the project's own code and mutants of it; what an agent wrote is graded elsewhere. The file is sent into the sandbox as text, so
it imports nothing of this package, and Python 3.9 must be able to run it.
"""

from __future__ import annotations

import importlib
import itertools
import json
import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from types import CodeType, FrameType, TracebackType
from typing import Any

MAX_LOCALS, MAX_REPR, MAX_TEXT = 40, 300, 600


def ready(toolchain: str, environ: dict[str, str]) -> None:
    """Import what every run needs, once."""
    os.environ.clear()
    os.environ.update(environ)
    sys.path.append(toolchain)
    for name in ("pytest", "_pytest.assertion.rewrite", "unittest", "random"):
        importlib.import_module(name)


def serve(request: dict[str, Any]) -> None:
    """Do ``request`` in a child, which leaves its answer in the file ``request["answer"]``; {"problem": "timeout"} if it takes too long."""
    answer = request["answer"]
    if os.path.exists(answer):
        os.remove(answer)
    child = os.fork()
    if child == 0:
        try:
            os.setsid()
            _child(request)
        finally:
            os._exit(0)
    deadline = time.monotonic() + request["timeout_s"]
    pause = 0.001
    while os.waitpid(child, os.WNOHANG)[0] == 0:
        if time.monotonic() > deadline:
            _kill(child)
            os.waitpid(child, 0)
            with open(answer, "w") as file:
                json.dump({"problem": "timeout"}, file)
            return
        time.sleep(pause)
        pause = min(pause * 1.5, 0.02)
    _kill(child)


def _kill(child: int) -> None:
    try:
        os.killpg(child, signal.SIGKILL)
    except ProcessLookupError:
        return


def _child(request: dict[str, Any]) -> None:
    importlib.import_module("random").seed()  # a copy of the parent's state would make random tests look deterministic
    nothing = os.open(os.devnull, os.O_RDWR)
    for descriptor in (0, 1, 2):
        os.dup2(nothing, descriptor)
    sys.stdin, sys.stdout, sys.stderr = os.fdopen(os.dup(0)), os.fdopen(os.dup(1), "w"), os.fdopen(os.dup(2), "w")
    os.chdir(request["root"])
    paths = [os.path.normpath(os.path.join(request["root"], str(path))) for path in request["paths"]]
    sys.path[:0] = paths
    os.environ["PYTHONPATH"] = os.pathsep.join(paths)
    do: Callable[[dict[str, Any]], dict[str, Any]] = {"test": test, "evaluate": evaluate}[request["do"]]
    result = do(request)
    result["processor_s"] = time.process_time()
    with open(request["answer"], "w") as file:
        json.dump(result, file)


class Recorder:
    """A pytest plugin that keeps statuses, seconds, where tests failed and, if wanted, which lines each test ran."""

    def __init__(self, root: str, only: list[str] | None, trace: list[str]) -> None:
        self.root = root
        self.only = None if only is None else set(only)
        self.traced = {os.path.join(root, path): path for path in trace}
        self.statuses: dict[str, str] = {}
        self.seconds: dict[str, float] = {}
        self.failures: dict[str, dict[str, Any]] = {}
        self.problems: dict[str, str] = {}
        self.lines: dict[str, dict[int, list[int]]] = {path: {} for path in trace}
        self._seen: set[tuple[str, int]] = set()
        self._codes: dict[CodeType, str | None] = {}

    def pytest_collection_modifyitems(self, config: Any, items: list[Any]) -> None:
        if self.only is not None:
            kept = [item for item in items if item.nodeid in self.only]
            config.hook.pytest_deselected(items=[item for item in items if item.nodeid not in self.only])
            items[:] = kept

    def pytest_collectreport(self, report: Any) -> None:
        if report.failed:
            self.problems[report.nodeid] = str(report.longrepr)[-MAX_TEXT:]

    def pytest_runtest_logreport(self, report: Any) -> None:
        name = report.nodeid
        self.seconds[name] = round(self.seconds.get(name, 0.0) + report.duration, 4)
        if hasattr(report, "wasxfail"):
            status = "XFAIL" if report.skipped else "XPASS"
        elif report.failed:
            status = "FAILED" if report.when == "call" else "ERROR"
        elif report.skipped:
            status = "SKIPPED"
        else:
            status = "PASSED"
        if report.when == "call" or status != "PASSED":
            before = self.statuses.get(name)
            self.statuses[name] = before if before in ("FAILED", "ERROR") else status

    def pytest_exception_interact(self, node: Any, call: Any, report: Any) -> None:
        if getattr(report, "when", "") == "call" and call.excinfo is not None:
            self.failures[node.nodeid] = failure(call.excinfo.value, call.excinfo.tb, str(node.path))

    def pytest_runtest_logstart(self, nodeid: str, location: Any) -> None:
        if self.traced:
            self._seen = set()
            threading.settrace(self._trace)
            sys.settrace(self._trace)

    def pytest_runtest_logfinish(self, nodeid: str, location: Any) -> None:
        if self.traced:
            sys.settrace(None)
            threading.settrace(None)  # type: ignore[arg-type]
            number = len(self.seconds) - 1
            for path, line in self._seen:
                self.lines[path].setdefault(line, []).append(number)

    def _trace(self, frame: FrameType, event: str, argument: object) -> Any:
        code = frame.f_code
        if code not in self._codes:
            self._codes[code] = self.traced.get(os.path.abspath(code.co_filename))
        path = self._codes[code]
        if path is None:
            return None
        seen = self._seen
        seen.add((path, frame.f_lineno))

        def local(frame: FrameType, event: str, argument: object) -> Any:
            seen.add((path, frame.f_lineno))
            return local

        return local


def test(request: dict[str, Any]) -> dict[str, Any]:
    """Run tests. ``files``: where they are; ``only``: their ids, or null for all; ``trace``: the sources whose lines are wanted."""
    import pytest

    recorder = Recorder(request["root"], request["only"], request["trace"])
    code = pytest.main([*request["arguments"], *request["files"]], plugins=[recorder])
    return {
        "exit": int(code),
        "statuses": recorder.statuses,
        "seconds": recorder.seconds,
        "failures": recorder.failures,
        "problems": recorder.problems,
        "lines": recorder.lines,
    }


def failure(error: BaseException, tb: TracebackType | None, path: str) -> dict[str, Any]:
    """Where in the test's own file it failed, with what, and the values of the local variables that can be written down."""
    found: dict[str, Any] = {"type": type(error).__name__, "message": str(error)[:MAX_TEXT], "line": 0, "function": "", "locals": {}}
    while tb is not None:
        frame = tb.tb_frame
        if os.path.abspath(frame.f_code.co_filename) == path:
            found["line"], found["function"] = tb.tb_lineno, frame.f_code.co_name
            found["deepest"] = tb.tb_next is None
            names = frame.f_locals if frame.f_code.co_name != "<module>" else {}
            found["locals"] = {
                name: text for name, text in ((n, written(v)) for n, v in list(names.items())[:MAX_LOCALS] if n.isidentifier()) if text
            }
        tb = tb.tb_next
    return found


def written(value: object) -> str:
    """A literal of the value; empty where there is none."""
    import ast

    try:
        text = repr(value)
        return text if len(text) <= MAX_REPR and ast.literal_eval(text) == value else ""
    except Exception:  # whatever a repr or a comparison of the project raises: then there is no literal
        return ""


def evaluate(request: dict[str, Any]) -> dict[str, Any]:
    """What each of ``snippets`` ([setup, expression] or [setup, ""]) gives: {"value": repr} or {"error": "Type: message"}."""
    found: list[dict[str, str]] = []
    for setup, expression in request["snippets"]:
        names: dict[str, Any] = {"__name__": "example"}
        try:
            exec(compile(setup, "<example>", "exec"), names)
            value: Any = eval(compile(expression, "<example>", "eval"), names) if expression else None
            listed = hasattr(value, "__next__")
            items: list[Any] = list(itertools.islice(value, 200)) if listed else []
            found.append({"value": repr(items) if listed else repr(value), "listed": "yes" if listed else ""})
        except BaseException as error:
            found.append({"error": f"{type(error).__name__}: {error}".removesuffix(": ")})
    return {"found": found}
