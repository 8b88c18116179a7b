"""How statuses become a grade: each data set has its own rule, and they contradict each other.

    judge(RULES["swe-bench"], statuses, fail_to_pass, pass_to_pass, log=log, exit_code=1)

| rule | a test of FAIL_TO_PASS passes | of PASS_TO_PASS | one that is missing |
|---|---|---|---|
| swe-bench | PASSED, XFAIL | and SKIPPED | fails |
| fail-only | all but FAILED | all but FAILED | passes |
| swe-smith | PASSED, XFAIL | PASSED, XFAIL | passes |
| swe-rebench-v2 | PASSED | PASSED | fails |

Sources: swebench/harness/grading.py (commit 2ff017b9), swesmith/harness/grading.py (commit 032f1a10), R2E-Gym's
``_calculate_reward_r2e``, scripts/eval.py of SWE-rebench-V2 (commit dd8b58f3). Beyond them, here no rule lets a run pass that says
nothing: no status at all, no sign that a test runner came to its end, or an exit code that no failure explains.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ..instance import ERROR, FAILED, PASSED, SKIPPED, XFAIL
from .base import FormatGrade, Resolution

_TIMINGS = (
    re.compile(r"\s{0,99}\[\s{0,9}\d{1,12}(?:\.\d{1,12})?\s{0,9}(?:ms|s)\s{0,9}\]\s{0,99}$", re.IGNORECASE),
    re.compile(r"\s{1,99}in\s{1,9}\d{1,12}(?:\.\d{1,12})?\s{1,9}(?:msec|sec)\b", re.IGNORECASE),
    re.compile(r"\s{0,99}\(\s{0,9}\d{1,12}(?:\.\d{1,12})?\s{0,9}(?:ms|s)\s{0,9}\)\s{0,99}$", re.IGNORECASE),
)
_COLOUR = re.compile(r"\x1b\[\d{1,9}m")
_ENDED = re.compile(
    r"^=+ .*\b(?:passed|failed|errors?|skipped|xfailed|xpassed|deselected|no tests ran)\b.* (?:in|seconds)\b"  # pytest, also old ones
    r"|^(?:\d+ (?:passed|failed|errors?|skipped)\b.*|no tests ran) in [\d.]+"  # pytest -q
    r"|^Ran \d+ tests? in "  # unittest, Django
    r"|^=* ?tests finished: "  # sympy
    r"|^(?:ok|FAIL|PASS)\b|^test result: "  # go, cargo
    r"|^Tests: +\d|^ *\d+ passing\b|^Tests run: \d"  # jest, mocha, JUnit
)
_LONGEST_END = 500
"""Characters of a line in which a runner says that it ended; so the search stays linear in what a log may hold."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """``first``, ``second``: the statuses that are right for a test of FAIL_TO_PASS and of PASS_TO_PASS; ``missing``: a test that
    the log does not show is right. ``by_exit``: the score is whether the exit code is 0, whatever the lists say. ``most_exit``: a
    higher exit code is a failure of the runner."""

    first: frozenset[str] = frozenset({PASSED, XFAIL})
    second: frozenset[str] = frozenset({PASSED, XFAIL, SKIPPED})
    missing: bool = False
    timings: bool = False
    by_exit: bool = False
    most_exit: int | None = None


_ALL_BUT_FAILED = frozenset({PASSED, ERROR, SKIPPED, XFAIL})
RULES: Mapping[str, Rule] = {
    "swe-bench": Rule(),
    "fail-only": Rule(first=_ALL_BUT_FAILED, second=_ALL_BUT_FAILED, missing=True),
    "swe-smith": Rule(second=frozenset({PASSED, XFAIL}), missing=True),
    "swe-rebench-v2": Rule(first=frozenset({PASSED}), second=frozenset({PASSED}), timings=True, most_exit=1),
    "exit-code": Rule(by_exit=True),
}


def judge(
    rule: Rule, statuses: Mapping[str, str], fail_to_pass: Sequence[str], pass_to_pass: Sequence[str], *, log: str, exit_code: int | None
) -> FormatGrade:
    """The grade of one run. ``exit_code``: of the test command, ``None`` where it is not known."""
    why = invalid(statuses, log, exit_code, rule)
    if why:
        return no_grade(why, statuses)
    if rule.by_exit and not statuses:
        return shares([exit_code == 0], [], {}, full=exit_code == 0)
    if rule.timings:
        statuses = {without_timing(test): status for test, status in statuses.items()}
        fail_to_pass, pass_to_pass = [[without_timing(t) for t in tests] for tests in (fail_to_pass, pass_to_pass)]
    first = [_right(status_of(test, statuses), rule.first, rule.missing) for test in fail_to_pass]
    second = [_right(status_of(test, statuses), rule.second, rule.missing) for test in pass_to_pass]
    if not first and not second and not rule.by_exit:
        return no_grade("the instance lists no test, so nothing can pass", statuses)
    return shares(first, second, statuses, full=exit_code == 0 if rule.by_exit else None)


def judge_map(statuses: Mapping[str, str], expected: Mapping[str, str], *, log: str, exit_code: int | None) -> FormatGrade:
    """R2E-Gym's rule: the same number of tests, and each with the status it is expected to have, failures too.

    Names are cut at " - " and stripped of colours on both sides. The shares count expected passes as FAIL_TO_PASS, the rest as
    PASS_TO_PASS; they do not decide.
    """
    found, wanted = short_names(statuses), short_names(expected)
    if not found or not wanted:
        return no_grade("no test is expected" if not wanted else "the log shows no test", statuses)
    if not ended(log):
        return no_grade("nothing shows that the test runner came to its end", statuses)
    right = {name: not name or found.get(name) == status for name, status in wanted.items()}
    first = [ok for name, ok in right.items() if wanted[name] == PASSED]
    second = [ok for name, ok in right.items() if wanted[name] != PASSED]
    full = len(found) == len(wanted) and all(right.values())
    counts = f"; {len(found)} tests ran, {len(wanted)} are expected" if len(found) != len(wanted) else ""
    del exit_code  # failures may be expected, so it says nothing
    return shares(first, second, statuses, full=full, more=counts)


def shares(first: Sequence[bool], second: Sequence[bool], statuses: Mapping[str, str], *, full: bool | None, more: str = "") -> FormatGrade:
    """SWE-bench's levels: FULL when both lists are right, PARTIAL when all of the second and a part of the first are.

    ``full`` decides instead where a rule of another kind does. An empty list counts 1.
    """
    f2p = sum(first) / len(first) if first else 1.0
    p2p = sum(second) / len(second) if second else 1.0
    both = [*first, *second]
    whole = full if full is not None else f2p == 1.0 and p2p == 1.0
    resolved: Resolution = "FULL" if whole else "PARTIAL" if 0 < f2p < 1 and p2p == 1 else "NO"
    return FormatGrade(
        score=float(whole),
        statuses=dict(statuses),
        resolved=resolved,
        fail_to_pass=f2p,
        pass_to_pass=p2p,
        fraction=sum(both) / len(both) if both else float(whole),
        note=f"{sum(first)} of {len(first)} FAIL_TO_PASS and {sum(second)} of {len(second)} PASS_TO_PASS are right{more}",
    )


def no_grade(why: str, statuses: Mapping[str, str] | None = None, *, valid: bool = False) -> FormatGrade:
    """The floor. ``valid``: something is known, such as that the patch does not apply."""
    return FormatGrade(
        score=0.0, statuses=dict(statuses or {}), resolved="NO", fail_to_pass=0.0, pass_to_pass=0.0, fraction=0.0, valid=valid, note=why
    )


def invalid(statuses: Mapping[str, str], log: str, exit_code: int | None, rule: Rule) -> str:
    """Why a run says nothing; empty: it does."""
    if rule.most_exit is not None and exit_code is not None and not 0 <= exit_code <= rule.most_exit:
        return f"the test runner failed (exit code {exit_code})"
    if not statuses and not rule.by_exit:
        return "the log shows no test"
    if not ended(log):
        return "nothing shows that the test runner came to its end"
    if exit_code not in (None, 0) and not rule.by_exit and not {FAILED, ERROR} & set(statuses.values()):
        return f"the test command ended with exit code {exit_code}, but no test failed"
    return ""


def ended(log: str) -> bool:
    """Whether a line of the log is one that a test runner writes when it comes to its end."""
    return any(_ENDED.match(_COLOUR.sub("", line)) for line in log.split("\n") if len(line) < _LONGEST_END)


def status_of(test: str, statuses: Mapping[str, str]) -> str | None:
    """The status of a test; ``None``: not seen.

    An id that was cut inside its parameters ("t[a") means all that begin so; the worst counts."""
    if test in statuses or "[" not in test or test.endswith("]"):
        return statuses.get(test)
    found = {status for name, status in statuses.items() if name.startswith(test)}
    return next((s for s in (FAILED, ERROR, SKIPPED, XFAIL, PASSED) if s in found), None)


def without_timing(test: str) -> str:
    """SWE-rebench V2: "foo [1.34 ms]", "foo (4 s)" and "foo in 3 sec" are all "foo"."""
    for timing in _TIMINGS:
        test = timing.sub("", test)
    return test.strip()


def short_names(statuses: Mapping[str, str]) -> dict[str, str]:
    """R2E-Gym: colours taken out, names cut at " - "; of names that become equal the last in order counts."""
    plain = {_COLOUR.sub("", test): status for test, status in statuses.items()}
    return {test.split(" - ")[0]: plain[test] for test in sorted(plain)}


def _right(status: str | None, right: frozenset[str], missing: bool) -> bool:
    return missing if status is None else status in right
