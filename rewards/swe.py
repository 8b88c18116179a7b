"""Rewards of software engineering: tests by difficulty (VeRPO), tests repaired, places found, care taken, speed (ACECode), stages (G-RA).

verpo([[True, True, False], [True, False, False], [True, True, True], [True, False, False]])  # [0.4, 0.0, 1.0, 0.0]

Letters: N episodes of one task, m tests, rho_j the share of the episodes that pass test j.
"""

from __future__ import annotations

import ast
import difflib
import math
import warnings
from collections import defaultdict
from collections.abc import Callable, Collection, Mapping, Sequence
from math import nan
from typing import TypeAlias

from ..records import Trajectory
from .rubric import RewardValues

Difficulty: TypeAlias = str | Callable[[float], float]
"""How the weight of a test follows from its rho: "linear", "exponential", "uniform", or a function that gives a number >= 0."""
DIFFICULTIES: Mapping[str, Callable[[float], float]] = {
    "linear": lambda rho: 1.0 - rho,
    "exponential": lambda rho: math.exp(-rho / 0.5),
    "uniform": lambda rho: 1.0,
}
TEST = "test:"
"""What the names of a turn's measures begin with that say whether a test passed (1.0 or 0.0) in the state after the turn."""
STAGES = (-1.0, 0.0, 0.25, 1.0)
"""Outcomes of G-RA's stages; the order is the paper's, the numbers are not known from it."""


def difficulty_weights(rates: Sequence[float], difficulty: Difficulty = "linear") -> list[float]:
    """w_j of VeRPO (arXiv 2601.03525), which sum to 1: tests that few episodes pass weigh more. All raw weights 0: 1/m each.

    "linear" w_j ~ 1 - rho_j; "exponential" w_j ~ exp(-rho_j / 0.5); "uniform" 1/m. The paper's own formula is not verified.
    Raises ``ValueError`` for another name, a rate outside 0..1, or a function that gives a negative or infinite weight.
    """
    if not all(0.0 <= rate <= 1.0 for rate in rates):
        raise ValueError(f"pass rates are {list(rates)}; each is a share in 0..1")
    if isinstance(difficulty, str) and difficulty not in DIFFICULTIES:
        raise ValueError(f"difficulty is {difficulty!r}; allowed: {', '.join(DIFFICULTIES)}, or a function of the pass rate")
    raw = [(DIFFICULTIES[difficulty] if isinstance(difficulty, str) else difficulty)(rate) for rate in rates]
    if not all(math.isfinite(w) and w >= 0 for w in raw):
        raise ValueError(f"the difficulty function gave {raw} for the rates {list(rates)}; weights are finite and not negative")
    total = sum(raw)
    return [w / total for w in raw] if total > 0 else [1.0 / len(raw) for _ in raw]


def verpo(passes: Sequence[Sequence[bool]], difficulty: Difficulty = "linear", *, bonus: float = 0.0) -> list[float]:
    """r_i = sum_j w_j pass_ij + bonus where all pass, one number per episode. ``passes``: [N, m]. No tests: 0."""
    if len({len(row) for row in passes}) > 1:
        raise ValueError(f"the episodes have {sorted({len(row) for row in passes})} tests; all must have the same ones")
    if not passes or not passes[0]:
        return [0.0 for _ in passes]
    weights = difficulty_weights([sum(column) / len(passes) for column in zip(*passes, strict=True)], difficulty)
    return [sum(w for w, passed in zip(weights, row, strict=True) if passed) + bonus * all(row) for row in passes]


class Verpo:
    """A ``RewardFn``: the difficulty-weighted tests of every turn whose ``measures`` hold "test:ID"; other turns are not scored.

    rho_j comes from the episodes of the same task, each as it stood after its last measured turn; a test that an episode did not
    measure counts as failed, and so does an episode without any. ``gains``: a turn is worth what it adds to the turn measured before,
    so that an episode's turns sum to its last value and testing again earns nothing; False: its whole value, as in the paper.
    ``start``: the weighted sum before the first measured turn. ``bonus``: added to the outcome where all tests pass at the end.
    """

    def __init__(
        self, difficulty: Difficulty = "linear", *, gains: bool = True, start: float = 0.0, bonus: float = 0.0, name: str = "verpo"
    ) -> None:
        difficulty_weights([0.5], difficulty)
        self.difficulty, self.gains, self.start, self.bonus, self.name = difficulty, gains, start, bonus, name

    def __call__(self, trajectories: Sequence[Trajectory], /) -> list[RewardValues]:
        groups: Mapping[str, list[int]] = defaultdict(list)
        for place, trajectory in enumerate(trajectories):
            groups[trajectory.task.hash].append(place)
        found: dict[int, RewardValues] = {}
        for places in groups.values():
            found |= dict(zip(places, self._group([trajectories[p] for p in places]), strict=True))
        return [found[place] for place in range(len(trajectories))]

    def _group(self, group: Sequence[Trajectory]) -> list[RewardValues]:
        states = [[_tests(turn.measures) for turn in t.turns] for t in group]
        names = sorted({name for own in states for state in own for name in state})
        last = [next((s for s in reversed(own) if s), dict[str, float]()) for own in states]
        rates = [sum(state.get(name, 0.0) >= 1.0 for state in last) / len(group) for name in names]
        weights = dict(zip(names, difficulty_weights(rates, self.difficulty), strict=True)) if names else {}
        values: list[RewardValues] = []
        for own, end in zip(states, last, strict=True):
            turns, before = list[float](), self.start
            for state in own:
                now = sum(weights[name] for name, passed in state.items() if passed >= 1.0)
                turns.append((now - before if self.gains else now) if state else nan)
                before = now if state else before
            done = bool(names) and all(end.get(name, 0.0) >= 1.0 for name in names)
            values.append(RewardValues(turns=turns, outcome=self.bonus if self.bonus and done else nan))
        return values


def _tests(measures: Mapping[str, float]) -> dict[str, float]:
    return {name: value for name, value in measures.items() if name.startswith(TEST)}


def fixed_share(before: Mapping[str, bool], after: Mapping[str, bool], *, of: int | None = None) -> float:
    """Failing tests repaired less passing tests broken since the last run, as a share of those that failed then.

    ``before``, ``after``: test -> whether it passed; a test that is missing after has failed. ``of``: the number to divide by
    instead, such as the tests that failed at the start: the sum over an episode is then that of its first and last run alone, and
    breaking and repairing again earns nothing. Nothing to divide by: by 1.
    """
    fixed = sum(not passed and after.get(name, False) for name, passed in before.items())
    broken = sum(passed and not after.get(name, False) for name, passed in before.items())
    failing = sum(not passed for passed in before.values()) if of is None else of
    return (fixed - broken) / max(1, failing)


def newly_located(found: Collection[str], seen: Collection[str], gold: Collection[str]) -> float:
    """Share of the ``gold`` places (files, or "file::function") that are in ``found`` and were not ``seen`` before; no gold: 0.

    Over an episode it sums to the share of all gold places found, at most 1.
    """
    wanted = set(gold)
    return len(wanted & set(found) - set(seen)) / len(wanted) if wanted else 0.0


def localisation(edited: Collection[str], gold: Collection[str]) -> float:
    """F1 of the places edited against those of the gold fix: editing everywhere is not finding. 0 where either is empty."""
    common = len(set(edited) & set(gold))
    return 2.0 * common / (len(set(edited)) + len(set(gold))) if common else 0.0


def functions_at(source: str, first: int, last: int) -> set[str]:
    """Dotted names of the innermost functions and classes that lines ``first`` to ``last`` (from 1, inclusive) of a module lie in.

    "" stands for the module itself: a line outside of all of them, or a source that is not Python.
    """
    tree = _tree(source)
    return {_enclosing(tree, line) if tree else "" for line in range(first, max(first, last) + 1)}


def edited_functions(before: str, after: str) -> set[str]:
    """Dotted names of what lines differ in: as they were in ``before``, and in ``after`` for lines that are new."""
    old, new = before.splitlines(), after.splitlines()
    found: set[str] = set()
    for kind, i, j, k, m in difflib.SequenceMatcher(None, old, new, autojunk=False).get_opcodes():
        if kind in ("replace", "delete"):
            found |= functions_at(before, i + 1, j)
        elif kind == "insert":
            found |= functions_at(after, k + 1, m)
    return found


def _enclosing(node: ast.AST, line: int, names: tuple[str, ...] = ()) -> str:
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            start = min([child.lineno, *(d.lineno for d in child.decorator_list)])
            if start <= line <= (child.end_lineno or start):
                return _enclosing(child, line, (*names, child.name))
        elif isinstance(child, ast.stmt) and child.lineno <= line <= (child.end_lineno or child.lineno):
            return _enclosing(child, line, names)
    return ".".join(names)


def _tree(source: str) -> ast.Module | None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # such as invalid escapes, which still parse
        try:
            return ast.parse(source)
        except (SyntaxError, ValueError, RecursionError, MemoryError):
            return None


def parses(source: str) -> bool:
    """Whether a text is Python that compiles to a syntax tree. Never raises."""
    return _tree(source) is not None


def edit_parses(changed: Mapping[str, str | None]) -> float:
    """1 if every changed Python file (path -> new text, None for a deleted one) parses, else 0. Nothing changed: 0."""
    texts = [text for path, text in changed.items() if path.endswith(".py") and text is not None]
    return float(bool(changed) and all(parses(text) for text in texts))


def tested_before_submit(steps: Sequence[str]) -> float:
    """1 if there is a "submit" and a "test" after the last "edit" before it, else 0. Other steps are passed over.

    Nothing edited: 0, as there is nothing to submit.
    """
    if "submit" not in steps:
        return 0.0
    until = list(steps[: list(steps).index("submit")])
    if "edit" not in until:
        return 0.0
    last = len(until) - 1 - until[::-1].index("edit")
    return float("test" in until[last:])


def acecode(passed: int, total: int, seconds: float = 0.0, reference_seconds: float = 0.0, *, compiles: bool = True) -> float:
    """ACECode's levels (arXiv 2412.17264; the numbers are ours): does not compile -1; fails -0.3 + 0.3 passed/total; passes
    0.5 + 0.5 ``speed``. ``seconds``: its own running time, beside that of the reference.

    Raises ``ValueError`` for more tests passed than there are, or none, or a negative time.
    """
    if not 0 <= passed <= total or total < 1:
        raise ValueError(f"{passed} of {total} tests passed; there is at least one, and no more pass than there are")
    if not compiles:
        return -1.0
    if passed < total:
        return -0.3 + 0.3 * passed / total
    return 0.5 + 0.5 * speed(seconds, reference_seconds)


def speed(seconds: float, reference_seconds: float) -> float:
    """clip(reference time / own time, 0, 1): 1 where it is at least as fast. Raises ``ValueError`` for a negative time."""
    if seconds < 0 or reference_seconds < 0:
        raise ValueError(f"times are {seconds} and {reference_seconds} s; a time is not negative")
    return 1.0 if seconds <= reference_seconds else reference_seconds / seconds


def stage(*, submitted: bool, changed: bool, passed: bool, values: Sequence[float] = STAGES) -> float:
    """G-RA's outcome (arXiv 2508.10548): not submitted < nothing changed < tests fail < tests pass; ``values`` in that order."""
    if len(values) != 4:
        raise ValueError(f"{len(values)} values; there are 4 stages: not submitted, nothing changed, tests fail, tests pass")
    return values[0] if not submitted else values[1] if not changed else values[3] if passed else values[2]
