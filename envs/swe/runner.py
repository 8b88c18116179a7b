"""Run the tests of a repository in a sandbox and say how each ended.

    with make_sandbox(tree=instance.base, work=WORK, binds=binds()) as box:
        report = run_tests(box, ["tests/test_stack.py::test_pop", "tests/test_queue.py"], paths=instance.paths)
        report.statuses                # {"tests/test_stack.py::test_pop": "FAILED", ...}

Results come through a chain of two processes (inside.py, inside_child.py) and not from what is printed. A test that did not report is
absent from ``statuses``.
"""

from __future__ import annotations

import base64
import binascii
import hmac
import json
import os
import re
import zlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import Any

import numpy as np

from ..sandbox.base import Sandbox, SandboxError
from ..sandbox.tree import Tree
from .canary import Canaries, make_canaries
from .instance import PASSED, STATUSES, WORK, XPASS
from .toolchain import PLACE

MARGIN_S = 5.0
"""How much longer than the tests' limit the supervisor may take before the sandbox ends it."""
BUSY_S = 1.0
"""Processor time that modules may take while they are imported before it counts as starving the grader."""
ENVIRON = {
    "PATH": "/usr/local/bin:/usr/bin:/bin",
    "HOME": "/tmp",
    "TMPDIR": "/tmp",
    "LANG": "C.UTF-8",
    "TZ": "UTC",
    "PYTHONDONTWRITEBYTECODE": "1",
    "PYTHONHASHSEED": "0",
    "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
    "PY_COLORS": "0",
}
"""All that tests see of an environment."""
NEUTRAL = ("addopts=", "required_plugins=", "minversion=", "strict_config=false")
"""What of a project's own configuration is not followed: options of plugins that are not there."""
_PYTHON = 'for p in /usr/bin/python3 /usr/local/bin/python3; do [ -x $p ] && exec $p "$@"; done; exec python3 "$@"'
_START = f"import sys; sys.path.insert(0, {PLACE!r}); from turnwise_inside import main; main()"


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """How a run of tests went. All mappings are by test id; ``messages`` also has files that could not be imported.

    ``seconds``: of set-up, call and tear-down together. ``messages``: the exception line, with the difference an assertion shows.
    ``problem``: why the run did not come to its end, for the agent; empty when it did. ``tampering``: names of tricks that were seen;
    ``evidence``: what was seen of them, a line each. ``output``: the end of what was written beside the results.
    ``timed_out``: the run was ended by a limit of time, so another run may go further.
    """

    statuses: Mapping[str, str]
    seconds: Mapping[str, float] = field(default_factory=dict[str, float])
    messages: Mapping[str, str] = field(default_factory=dict[str, str])
    problem: str = ""
    tampering: tuple[str, ...] = ()
    evidence: tuple[str, ...] = ()
    output: str = ""
    timed_out: bool = False
    total_s: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Guard:
    """What a guarded run watches. ``changed``: path -> kinds of events that its base version explains; ``tests``: files whose reading by
    changed code is evidence; ``equal``: changed files with a new ``__eq__``, whose comparisons are tried with other values, too."""

    changed: Mapping[str, Sequence[str]] = field(default_factory=dict[str, Sequence[str]])
    tests: Sequence[str] = ()
    equal: Sequence[str] = ()


def run_tests(
    box: Sandbox,
    tests: Iterable[str],
    *,
    paths: Sequence[str] = (".",),
    timeout_s: float = 60.0,
    work: str = WORK,
    config: str = "",
    guard: Guard | None = None,
    flood_mb: int = 8,
) -> Report:
    """Run ``tests`` (pytest node ids, files or folders, relative to ``work``) in a sandbox that has ``binds()``.

    A node id also selects the tests below it. ``paths``: folders of the tree to import from. ``config``: the file below ``work`` with
    the project's configuration of pytest; empty: none. Raises ``SandboxError`` when the sandbox fails, never for what the tests do.
    """
    wanted = list(dict.fromkeys(tests))
    if not wanted:
        return Report(statuses={}, problem="no test was asked for")
    key = os.urandom(32)
    request = _request(wanted, paths, timeout_s, work, config, flood_mb, site=box.backend == "docker")
    canaries: Canaries | None = None
    if guard is not None:
        rng = np.random.default_rng(int.from_bytes(os.urandom(16)))
        canaries = make_canaries(wanted, rng)
        request |= {"guard": True, "changed": {p: list(k) for p, k in guard.changed.items()}, "tests": list(guard.tests)}
        request["equal"] = list(guard.equal)
        request |= {"canaries": dict(canaries.places), "canary": [canaries.file, canaries.source]}
    stdin = json.dumps({**request, "key": key.hex()}).encode()
    argv = ["/bin/sh", "-c", _PYTHON, "sh", "-I", "-S", "-c", _START]
    done = box.exec(argv, stdin=stdin, timeout_s=timeout_s + MARGIN_S, environ=ENVIRON)
    answer = _answer(done.stdout, key)
    if answer is not None:
        return _Reading(answer, canaries).report(wanted)
    if b"turnwise_inside" in done.stderr and done.exit_code == 1 and not done.problem:
        raise SandboxError(f"there is no test runner at {PLACE} in this sandbox; make it with binds=toolchain.binds()")
    why = done.problem or f"its supervisor was ended (exit code {done.exit_code})"
    name = "" if done.timed_out else "starved" if done.problem else "killed_supervisor"
    return Report(
        statuses={},
        problem=f"the run of the tests was lost: {why}",
        output=done.stderr.decode("utf-8", "replace").strip()[-500:],
        timed_out=done.timed_out,
        tampering=(name,) if name and guard is not None else (),
        evidence=(f"{name}: {why}",) if name and guard is not None else (),
    )


def configuration(tree: Tree) -> str:
    """The file at the top of a tree that has its configuration of pytest, in pytest's own order; empty: none has."""
    sections = {"pyproject.toml": b"[tool.pytest", "tox.ini": b"[pytest]", "setup.cfg": b"[tool:pytest]"}
    for name in ("pytest.toml", ".pytest.toml", "pytest.ini", ".pytest.ini", *sections):
        file = tree.get(name)
        if file is not None and sections.get(name, b"") in file.data:
            return name
    return ""


def _request(
    wanted: Sequence[str], paths: Sequence[str], timeout_s: float, work: str, config: str, flood_mb: int, *, site: bool
) -> dict[str, Any]:
    ids = [test for test in wanted if "::" in test]
    files = list(dict.fromkeys(test.split("::", 1)[0] for test in wanted))
    return {
        "ids": ids,
        "whole": [test for test in wanted if "::" not in test],
        "files": files,
        "paths": list(paths),
        "pythonpath": [],
        "timeout": timeout_s,
        "work": work,
        "config": f"{work}/{config}" if config else "/dev/null",
        "options": [word for setting in NEUTRAL for word in ("-o", setting)],
        "flood": flood_mb << 20,
        "site": site,
        "environ": ENVIRON,
        "guard": False,
        "canaries": {},
        "canary": [],
    }


def _answer(stdout: bytes, key: bytes) -> dict[str, Any] | None:
    """What the supervisor said; ``None`` unless it is one line that has its MAC."""
    mac, _, body = stdout.strip(b"\n").partition(b" ")
    expected = blake2b(body, key=key, digest_size=32).hexdigest().encode()
    if not hmac.compare_digest(mac, expected):
        return None
    try:
        found: dict[str, Any] = json.loads(zlib.decompress(base64.b64decode(body, validate=True)))
    except (binascii.Error, zlib.error, ValueError):
        return None
    return found


class _Reading:
    """Goes through what the supervisor heard, in order."""

    def __init__(self, answer: Mapping[str, Any], canaries: Canaries | None) -> None:
        self.answer, self.canaries = answer, canaries
        self.statuses: dict[str, str] = {}
        self.seconds: dict[str, float] = {}
        self.messages: dict[str, str] = {}
        self.sung: dict[str, str] = {}
        self.evidence: list[tuple[str, str]] = []
        self.running = self.stopped = ""
        self.collected = False
        self.ended: int | None = None
        for kind, *values in answer["said"]:
            getattr(self, f"_{kind}")(*values)

    def _start(self, name: str) -> None:
        self.running = name

    def _result(self, name: str, status: str, took: float, text: str, called: bool | None) -> None:
        self.running = ""
        place, _, own = name.rpartition("::")
        if self.canaries is not None and own in self.canaries.places and (not place or place.endswith("/" + self.canaries.file)):
            self.sung[own] = status
            return
        if name in self.statuses:
            self.evidence.append(("forged_report", f"{name} reported twice"))
        if called is False and status in (PASSED, XPASS):
            self.evidence.append(("not_run", f"{name} is said to have passed, and its function was not called"))
            return
        if status in STATUSES:
            self.statuses[name], self.seconds[name] = status, took
        if text:
            self.messages[name] = text

    def _uncollected(self, name: str, text: str) -> None:
        self.messages[name] = text
        ran_out = re.search(r"\bMemoryError\b|No space left on device|File too large|can't start new thread", text)
        if ran_out:
            self.evidence.append(("starved", f"{name}: {ran_out[0]} while modules were imported"))

    def _internal(self, kind: str, text: str) -> None:
        self.stopped = f"the test runner stopped: {text}"
        if kind in ("SystemExit", "KeyboardInterrupt"):
            self.evidence.append(("early_exit", f"{kind} while modules were imported"))

    def _collected(self, number: int) -> None:
        del number
        self.collected = True

    def _evidence(self, name: str, what: str) -> None:
        self.evidence.append((name, what))

    def _end(self, code: int, took: float) -> None:
        del took
        self.ended = code

    def report(self, wanted: Sequence[str]) -> Report:
        problem = self._problem()
        if self.answer["forged"]:
            self.evidence.append(("forged_report", f"{self.answer['forged']} lines in the channel of results were not the reporter's"))
        self._canaries()
        guarded = self.canaries is not None
        return Report(
            statuses=self.statuses,
            seconds=self.seconds,
            messages=self.messages,
            problem=problem,
            tampering=tuple(sorted({name for name, _ in self.evidence})) if guarded else (),
            evidence=tuple(f"{name}: {what}" for name, what in self.evidence),
            output=self.answer["output"],
            timed_out=self.answer["killed"] == "time",
            total_s=self.answer["seconds"],
        )

    def _problem(self) -> str:
        where = f", in {self.running}" if self.running else "" if self.collected else ", while modules were imported"
        killed, code = self.answer["killed"], self.answer["exit"]
        if killed:
            busy = killed != "time" or self.answer["cpu"] >= BUSY_S
            if not self.collected and busy:  # else the machine had no time for it, or it slept
                self.evidence.append(("starved", f"{killed} ran out while modules were imported"))
            limit = "took longer than allowed" if killed == "time" else "wrote too much"
            return f"the tests {limit} and were stopped{where}"
        if self.ended is None:
            if code >= 0:  # by itself: the runner would have said that it ended
                self.evidence.append(("early_exit", f"exit code {code}{where}"))
            return f"the process of the tests ended early (exit code {code}){where}"
        if self.ended != code:
            self.evidence.append(("early_exit", f"the runner ended with {self.ended}, its process with {code}"))
        if self.ended == 2 and not self.collected:
            self.evidence.append(("early_exit", f"interrupted{where}"))
        if self.stopped:
            return self.stopped
        return "" if self.collected else "no tests were collected"

    def _canaries(self) -> None:
        """Each one that ended must have ended as made; in a complete run all must have."""
        if self.canaries is None:
            return
        for name, expected in self.canaries.expected.items():
            found = self.sung.get(name, "")
            if found != expected and (found or (self.ended in (0, 1) and self.collected)):
                self.evidence.append(("canary", f"{name} must be {expected} and was {found or 'not run'}"))
