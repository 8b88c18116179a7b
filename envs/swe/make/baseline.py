"""What a project's own tests do before anything is changed: which pass every time, how long they take, which lines they run."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from ..instance import PASSED
from ..runner import Report
from .bench import Bench
from .errors import NeedsPackages, NeedsPython, NoTests, SuiteFails
from .sources import Project

RUNS = 3
LEAST_PASSING = 0.5
"""Share of the tests that ran without being skipped."""
SUITE_S = 300.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Baseline:
    """``passing``: tests that passed in every run, in order. ``excluded``: test or file -> "flaky", "failing", "skipped",
    "slow", "unreadable".

    ``seconds``: of each passing test; ``suite_s``: of a whole run.
    """

    passing: tuple[str, ...]
    excluded: Mapping[str, str]
    seconds: Mapping[str, float] = field(default_factory=dict[str, float])
    suite_s: float = 0.0

    def counts(self) -> dict[str, int]:
        return dict(sorted(Counter(self.excluded.values()).items()))


def check_python(project: Project, version: str) -> None:
    """Raises ``NeedsPython`` unless ``version``, the sandbox's, is one that the project allows."""
    from packaging.specifiers import InvalidSpecifier, SpecifierSet

    if not project.requires_python:
        return
    try:
        allowed = version in SpecifierSet(project.requires_python)
    except InvalidSpecifier:
        return  # an old way of writing it; if it matters, the tests fail
    if not allowed:
        raise NeedsPython(
            f"{project.name} {project.version} asks for Python {project.requires_python}, and the sandbox has {version}; "
            "choose another version of it, or install that Python under /usr"
        )


def measure(project: Project, run: Callable[[], Report], *, slow_s: float | None = None, runs: int = RUNS) -> Baseline:
    """Run the whole suite ``runs`` times and keep what passes each time.

    ``slow_s``: leave out tests that took longer in any run. Raises ``NoTests``, ``NeedsPackages`` and ``SuiteFails``.
    """
    reports = [run() for _ in range(runs)]
    for report in reports:
        if report.problem and not report.statuses:
            raise (_missing(project, report) or SuiteFails(f"the tests of {project.name} did not run: {report.problem}"))
        if report.problem:
            raise SuiteFails(f"a run of the tests of {project.name} did not come to its end: {report.problem}")
    names = list(dict.fromkeys(name for report in reports for name in report.statuses))
    if not names:
        raise _missing(project, reports[0]) or NoTests(f"pytest collects no tests in {', '.join(project.tests[:3])}")
    excluded = {path: "unreadable" for report in reports for path in report.messages if path not in report.statuses}
    seconds: dict[str, float] = {}
    for name in names:
        found = {report.statuses.get(name) for report in reports}
        seconds[name] = max(report.seconds.get(name, 0.0) for report in reports)
        if len(found) > 1:
            excluded[name] = "flaky"
        elif found != {PASSED}:
            excluded[name] = "skipped" if found <= {"SKIPPED"} else "failing"
        elif slow_s is not None and seconds[name] > slow_s:
            excluded[name] = "slow"
    passing = tuple(name for name in names if name not in excluded)
    _enough(project, passing, excluded, names, reports[0])
    kept = {name: round(seconds[name], 4) for name in passing}
    return Baseline(passing=passing, excluded=excluded, seconds=kept, suite_s=round(max(r.total_s for r in reports), 3))


def covered(bench: Bench, baseline: Baseline, timeout_s: float) -> dict[str, dict[int, frozenset[str]]]:
    """Source -> line -> the passing tests that run it, from one traced run. Raises ``SuiteFails`` where that run does not end."""
    code = bench.project.code()
    run = bench.test({}, trace=code, timeout_s=timeout_s)
    if run.problem:
        raise SuiteFails(f"the traced run of the tests of {bench.project.name} did not come to its end: {run.problem}")
    passing = set(baseline.passing)
    found: dict[str, dict[int, frozenset[str]]] = {}
    for path, lines in run.lines.items():
        kept = {line: passing & set(tests) for line, tests in lines.items()}
        found[path] = {line: frozenset(tests) for line, tests in sorted(kept.items()) if tests}
    return found


def _enough(project: Project, passing: Sequence[str], excluded: Mapping[str, str], names: Sequence[str], report: Report) -> None:
    failing = sum(reason in ("failing", "flaky") for reason in excluded.values())
    if passing and len(passing) >= LEAST_PASSING * (len(passing) + failing):
        return
    missing = _missing(project, report)
    if missing is not None:
        raise missing
    first = next((name for name in names if excluded.get(name) == "failing"), "")
    why = f"; {first}: {report.messages.get(first, '').splitlines()[0] if report.messages.get(first) else 'failed'}" if first else ""
    raise SuiteFails(f"of {project.name}, {len(passing)} tests pass and {failing} fail; tasks are made of projects whose tests pass{why}")


def _missing(project: Project, report: Report) -> NeedsPackages | None:
    text = "\n".join([*report.messages.values(), report.output])
    modules = sorted(set(re.findall(r"No module named '([\w.]+)'", text)))
    if not modules:
        return None
    return NeedsPackages(
        f"the tests of {project.name} import {', '.join(modules)}, and the sandbox has only the standard library and pytest; "
        "choose a project without requirements"
    )
