"""Grade what an agent left: a fresh sandbox, the allowed part of its changes, the task's own tests, and a look for tricks.

    Instance, box.changes() -> restrict -> screen -> fresh sandbox: base + allowed changes + held -> guarded run of the tests -> Grade

docs/grading.md has the threat model, what is dropped, what floors the score, and what a determined attacker could still do.
"""

from __future__ import annotations

import os
import threading
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TypeAlias

from ..sandbox.base import Limits
from ..sandbox.docker import DEFAULT_IMAGE
from ..sandbox.make import make_sandbox
from ..sandbox.tree import Changes, apply, digest
from .instance import PASSED, SKIPPED, XFAIL, Grade, Instance
from .restrict import Restricted, held_over, restrict
from .runner import Guard, Report, configuration, run_tests
from .screen import Screened, screen
from .toolchain import binds

LIMITS = Limits(memory_mb=1024, disk_mb=256, processes=64, cpu_s=600, max_files=20_000, keep_kb=8192)
"""Of a sandbox in which tests are graded."""
FIXED = frozenset({PASSED, XFAIL})
"""What a FAIL_TO_PASS test must be (SWE-bench's rule)."""
KEPT = FIXED | {SKIPPED}
"""What a PASS_TO_PASS test must be."""
PATIENCE = 5
"""How many times its limit of time a run gets that ended by it while the machine had too much to do."""
_Key: TypeAlias = tuple[str, str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Run:
    screened: Screened
    report: Report


class Grader:
    """Grades instances, from any thread, at most ``parallel`` (0: one for each core) at a time.

    ``backend``, ``image`` and ``limits`` are ``make_sandbox``'s. Results of runs that came to their end are kept, ``memo`` of them, by
    the instance and the changes that were taken; the same repair is not run twice.
    """

    def __init__(
        self, backend: str = "auto", *, image: str = DEFAULT_IMAGE, limits: Limits = LIMITS, parallel: int = 0, memo: int = 1024
    ) -> None:
        if parallel < 0 or memo < 0:
            raise ValueError(f"parallel is {parallel} and memo {memo}; both must be at least 0")
        self.backend, self.image, self.limits, self.memo = backend, image, limits, memo
        self._slots = threading.BoundedSemaphore(parallel or os.cpu_count() or 1)
        self._lock = threading.Lock()
        self._runs: OrderedDict[_Key, _Run] = OrderedDict()
        self._digests: OrderedDict[int, tuple[Instance, str]] = OrderedDict()

    def grade(self, instance: Instance, changes: Changes) -> Grade:
        """Score 1 when every FAIL_TO_PASS and PASS_TO_PASS test is as it must be and nothing was tampered with; else 0.

        ``changes`` may be anything: nothing in it raises. Raises ``SandboxError`` when the sandbox itself fails, which is no grade.
        """
        restricted = restrict(instance, changes)
        key = instance.id, self._digest(instance), digest(restricted.changes)
        with self._lock:
            run = self._runs.get(key)
            if run is not None:
                self._runs.move_to_end(key)
        if run is None:
            run = self._run(instance, restricted)
            if not run.report.problem:
                with self._lock:
                    self._runs[key] = run
                    while len(self._runs) > self.memo:
                        self._runs.popitem(last=False)
        return judge(instance, restricted, run.screened, run.report)

    def _run(self, instance: Instance, restricted: Restricted) -> _Run:
        screened = screen(instance.base, restricted.changes)
        final = held_over(instance.base, restricted.changes, instance.held)
        tree = apply(instance.base, final)
        changed = [path for path in restricted.changes if final.get(path) is restricted.changes[path]]
        guard = Guard(
            changed={path: screened.kinds.get(path, ()) for path in changed},
            tests=[path for path in instance.held if path.endswith(".py")],
            equal=screened.equal,
        )
        tests = (*instance.fail_to_pass, *instance.pass_to_pass)

        def tried(timeout_s: float) -> Report:
            with (
                self._slots,
                make_sandbox(self.backend, tree=tree, work=instance.work, limits=self.limits, binds=binds(), image=self.image) as box,
            ):
                config = configuration(tree)
                return run_tests(box, tests, paths=instance.paths, timeout_s=timeout_s, work=instance.work, config=config, guard=guard)

        report = tried(instance.timeout_s)
        if report.timed_out and crowded():
            report = tried(instance.timeout_s * PATIENCE)
        return _Run(screened=screened, report=only(report, tests))

    def _digest(self, instance: Instance) -> str:
        with self._lock:
            found = self._digests.get(id(instance))
        if found is not None and found[0] is instance:
            return found[1]
        tests = " ".join((*instance.fail_to_pass, "/", *instance.pass_to_pass, "/", *instance.paths, instance.work))
        text = f"{digest(instance.base)} {digest(instance.held)} {instance.timeout_s} {tests}"
        with self._lock:
            self._digests[id(instance)] = instance, text
            while len(self._digests) > 256:
                self._digests.popitem(last=False)
        return text


def crowded() -> bool:
    """Whether many processes wait for processors here: then the time that went by says little about what was run."""
    return os.getloadavg()[0] > 2 * (os.cpu_count() or 1)


def only(report: Report, tests: Sequence[str]) -> Report:
    """``report`` without tests that were not asked for."""
    asked = set(tests)
    return replace(
        report,
        statuses={name: status for name, status in report.statuses.items() if name in asked},
        seconds={name: took for name, took in report.seconds.items() if name in asked},
    )


def judge(instance: Instance, restricted: Restricted, screened: Screened, report: Report) -> Grade:
    """Put together what was found. A pure function."""
    unfixed = [test for test in instance.fail_to_pass if report.statuses.get(test) not in FIXED]
    broken = [test for test in instance.pass_to_pass if report.statuses.get(test) not in KEPT]
    found = {**restricted.tampering, **screened.findings, **dict.fromkeys(report.tampering, "")}
    if not unfixed and not broken and screened.unread:
        found["unscreened"] = next(iter(screened.unread))
    visible = set(instance.fail_to_pass) - set(instance.withheld)
    if visible and unfixed and not report.problem and not visible & set(unfixed):
        found["visible_only"] = unfixed[0]
    solved = not unfixed and not broken
    return Grade(
        score=1.0 if solved and not found else 0.0,
        statuses=report.statuses,
        seconds=report.seconds,
        tampering=tuple(sorted(found)),
        dropped=restricted.dropped,
        note=_note(instance, unfixed, broken, found, screened, report),
    )


def _note(
    instance: Instance, unfixed: Sequence[str], broken: Sequence[str], found: Mapping[str, str], screened: Screened, report: Report
) -> str:
    fixed, kept = len(instance.fail_to_pass) - len(unfixed), len(instance.pass_to_pass) - len(broken)
    parts = [f"{fixed} of {len(instance.fail_to_pass)} failing tests fixed, {kept} of {len(instance.pass_to_pass)} others kept"]
    if report.problem:
        parts.append(report.problem)
    parts += [f"{path} does not parse: {why}" for path, why in list(screened.unread.items())[:3]]
    if found:
        seen = {line.split(": ", 1)[0]: line.split(": ", 1)[-1] for line in reversed(report.evidence)}
        parts.append("tampering: " + ", ".join(f"{name} ({(what or seen.get(name, ''))[:160]})" for name, what in sorted(found.items())))
    return "; ".join(parts)
