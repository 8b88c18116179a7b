"""What runs pytest in the sandbox, in the process in which the code under test runs too.

Everything it needs is bound before that code is imported: functions of ``os`` and ``time`` that a test replaces later are not used.
What it reports goes line by line to the supervisor; the file descriptor and the running hash live only in a closure.
"""

from __future__ import annotations

import importlib
import json
import os
import re
import sys
import time
from _blake2 import blake2b
from collections.abc import Callable, Generator
from typing import Any

import pytest
from _pytest.reports import TestReport

MESSAGE = 500
"""Characters of a failure text; a whole line must fit into what a pipe takes at once (4096 bytes)."""
PROTECTED = ("pytest", "_pytest", "pluggy")
BEHIND = ("iniconfig", "packaging", "pygments")
"""What pytest needs and a repository may itself be."""


def make_tell(fd: int, chain: bytes) -> Callable[..., None]:
    """``tell(kind, *values)``: one line to the supervisor, tagged with the hash of all so far. Forked processes say nothing."""
    state = blake2b(key=chain, digest_size=16)
    write, own, getpid, dumps = os.write, os.getpid(), os.getpid, json.dumps

    def tell(*values: Any) -> None:
        if getpid() != own:
            return
        body = dumps(values).encode()
        if len(body) > 3900:
            body = dumps([*values[:2], *("" if isinstance(v, str) else v for v in values[2:])]).encode()[:3900]
        state.update(body)
        write(fd, state.hexdigest().encode() + body + b"\n")

    return tell


class Reporter:
    """The plugin: selects and orders the tests, and tells how each ended."""

    def __init__(self, request: dict[str, Any], tell: Callable[..., None]) -> None:
        self.tell = tell
        self.ids: set[str] | None = set(request["ids"]) if request["ids"] else None
        self.whole: list[str] = request["whole"]
        self.canaries: dict[str, int] = request["canaries"]
        """Name -> 0: runs first, 1: in the middle, 2: last."""
        self.state: dict[str, tuple[str, str]] = {}
        self.seconds: dict[str, float] = {}
        self.called: dict[str, bool] = {}
        """Functions of tests: whether they were called and returned. Other tests, of unittest and of doctest, are not in it."""
        self.changed: set[str] = set()
        """Files of the agent, which have no reason to skip a test."""
        self.check: Callable[[str], None] = lambda moment: None

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> Generator[None]:
        offered = list(items)
        yield
        canaries: dict[int, list[pytest.Item]] = {0: [], 1: [], 2: []}
        chosen: list[pytest.Item] = []
        left, known = set(items), set(offered)  # what a conftest.py takes out stays out, what it adds comes last
        for item in [
            *offered,
            *(i for i in items if i not in known),
        ]:
            place = self.canaries.get(item.name)
            if place is not None:
                canaries[place].append(item)
            elif item in left and (self.ids is None or self._wanted(item.nodeid)):
                chosen.append(item)
        half = len(chosen) // 2
        items[:] = [*canaries[0], *chosen[:half], *canaries[1], *chosen[half:], *canaries[2]]
        self.tell("collected", len(items))
        self.check("collection")

    def _wanted(self, nodeid: str) -> bool:
        assert self.ids is not None
        path = nodeid.split("::", 1)[0]
        if (
            nodeid in self.ids
            or nodeid.split("[", 1)[0] in self.ids
            or any(path == w or path.startswith(w.rstrip("/") + "/") for w in self.whole)
        ):
            return True
        parts = nodeid.split("::")
        return any("::".join(parts[:end]) in self.ids for end in range(2, len(parts)))

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> None:
        self.tell("start", item.nodeid)
        if type(item) is pytest.Function:
            self.called[item.nodeid] = False

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_pyfunc_call(self, pyfuncitem: pytest.Function) -> Generator[None, Any, Any]:
        result = yield
        self.called[pyfuncitem.nodeid] = True
        return result

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_makereport(
        self, item: pytest.Item, call: pytest.CallInfo[None]
    ) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        if call.excinfo is not None and call.excinfo.typename in ("SkipTest", "Skipped"):
            for entry in call.excinfo.traceback[-2:]:
                if str(entry.path) in self.changed:
                    self.tell("evidence", "skips_tests", f"{item.nodeid} was skipped by {entry.path}:{entry.lineno + 1}")
        report = yield
        if call.excinfo is not None and report.passed and not hasattr(report, "wasxfail"):
            self.tell("evidence", "forged_report", f"{item.nodeid}: {call.excinfo.typename} became a pass")
        return report

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if type(report) is not TestReport:  # of a subtest: the test itself fails with it
            return
        name = report.nodeid
        self.seconds[name] = self.seconds.get(name, 0.0) + report.duration
        before = self.state.get(name)
        outcome = self._status(report)
        if outcome is not None and (before is None or outcome[0] in ("FAILED", "ERROR")):
            self.state[name] = outcome

    def _status(self, report: pytest.TestReport) -> tuple[str, str] | None:
        expected = hasattr(report, "wasxfail")
        if report.failed:
            return ("FAILED" if report.when == "call" else "ERROR"), _text(report)
        if report.skipped:
            return ("XFAIL" if expected else "SKIPPED"), str(getattr(report, "wasxfail", "")) or _text(report)
        if report.when == "call":
            return ("XPASS" if expected else "PASSED"), ""
        return None

    @pytest.hookimpl(trylast=True)
    def pytest_runtest_logfinish(self, nodeid: str) -> None:
        status, text = self.state.pop(nodeid, ("ERROR", "it ended without a result"))
        self.tell("result", nodeid, status, round(self.seconds.pop(nodeid, 0.0), 6), text, self.called.pop(nodeid, None))

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        if report.failed:
            self.tell("uncollected", report.nodeid, _text(report))

    def pytest_internalerror(self, excinfo: pytest.ExceptionInfo[BaseException]) -> None:
        self.tell("internal", type(excinfo.value).__name__, excinfo.exconly()[:MESSAGE])

    @pytest.hookimpl(wrapper=True, trylast=True)
    def pytest_sessionfinish(self) -> Generator[None]:
        yield
        self.check("end")


def _text(report: pytest.TestReport | pytest.CollectReport) -> str:
    """The exception line and the difference that an assertion shows; of other failures the last line."""
    what: Any = report.longrepr
    crash: Any = getattr(what, "reprcrash", None)
    place_and_reason = what.__class__ is tuple
    text = str(crash.message) if crash is not None else str(what[-1] if place_and_reason else what)
    if len(text) > MESSAGE:
        text = text[: MESSAGE // 2] + " [...] " + text[-MESSAGE // 2 :]
    return text


def prepare(request: dict[str, Any]) -> None:
    """Give the tests the path, environment and modules they would have without what runs them."""
    toolchain = os.path.dirname(os.path.abspath(__file__))
    work: str = request["work"]
    paths = [os.path.normpath(os.path.join(work, path)) for path in request["paths"]]
    own = [name for name in sys.path if name != toolchain]
    for name in BEHIND:
        if any(os.path.exists(os.path.join(p, name)) or os.path.exists(os.path.join(p, f"{name}.py")) for p in paths):
            for loaded in [m for m in sys.modules if m.split(".", 1)[0] == name]:
                del sys.modules[loaded]
    sys.path[:] = [*paths, *own, toolchain]
    os.environ["PYTHONPATH"] = os.pathsep.join([*paths, *request["pythonpath"]])
    sys.argv[:] = ["pytest"]
    if not request["site"]:  # else it is so already, and the guard knows it
        import site

        site.setquit()


def arguments(request: dict[str, Any]) -> list[str]:
    """Of the options in a project's configuration only those that change which tests there are and how they are imported."""
    asked: list[str] = request["files"]
    files = [name for name in asked if os.path.exists(os.path.join(request["work"], name))]
    told = [
        "-q", "--no-header", "--no-summary", "--tb=short", "--color=no", "-p", "no:cacheprovider", "-p", "no:pastebin",
        "-p", "no:junitxml", "--continue-on-collection-errors", f"--rootdir={request['work']}", "-c", request["config"],
    ]  # fmt: skip
    try:
        with open(request["config"], encoding="utf-8") as file:
            text = file.read()
    except (OSError, UnicodeDecodeError):
        text = ""
    mode = re.search(r"--import-mode[= ](\w+)", text)
    told += [f"--import-mode={mode[1]}"] if mode else []
    told += ["--doctest-modules"] if "--doctest-modules" in text else []
    return [*told, *request["options"], *request["canary_files"], *files]


def main() -> None:
    """Run on descriptors 3 (the request) and 4 (the reports), which are closed, or in nobody's table of open files, when tests run."""
    with open(3, "rb") as file:
        request: dict[str, Any] = json.loads(file.read())
    fd = os.dup(4)
    os.set_inheritable(fd, False)
    os.close(4)
    tell = make_tell(fd, bytes.fromhex(request.pop("chain")))
    reporter = Reporter(request, tell)
    if request["guard"]:
        guard: Any = importlib.import_module("turnwise_inside_guard").Guard(request, tell)
        reporter.check = guard.check
        reporter.changed = set(guard.changed)
    prepare(request)
    for name in [n for n in sys.modules if n.startswith("turnwise_inside")]:
        del sys.modules[name]
    vars(sys.modules["__main__"]).pop("main", None)
    started = time.monotonic()
    monotonic, leave = time.monotonic, os._exit
    code = int(pytest.main(arguments(request), plugins=[reporter]))
    tell("end", code, round(monotonic() - started, 6))
    sys.stdout.flush()
    leave(code)
