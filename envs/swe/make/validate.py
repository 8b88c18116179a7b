"""From a mutation to a task: does it make some tests fail and leave others passing, each time, and can it be told from outside?

Maker.try_mutations([mutation]) -> Found(failing=(...), withheld=(...), statement="...") or Dropped("survived")
"""

from __future__ import annotations

import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from ...sandbox.tree import File
from .baseline import Baseline
from .bench import Bench, Failure, Run
from .cut import cut, function_of
from .mutate import Mutation, mutate
from .statement import Example, find_assertion, find_example, leak, write_statement
from .text import decode

DROPS = ("survived", "broke everything", "flaky", "duplicate", "timeout", "crowded", "cannot withhold", "no statement", "does not parse")
"""Why candidates are dropped, as counted."""
EXAMPLES_TRIED = 6


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounds:
    """What counts as a task: at most ``most_failing`` tests fail, and of what passed at least the share ``least_passing`` still does."""

    most_failing: int = 60
    least_passing: float = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """A validated task. ``failing``: in the order of the baseline; ``withheld``: those whose functions the agent does not get."""

    mutations: tuple[Mutation, ...]
    failing: tuple[str, ...]
    withheld: tuple[str, ...]
    statement: str
    shown: bool = True
    """Whether the statement has an example that runs by itself."""

    @property
    def difficulty(self) -> str:
        """ "hard": several faults; "medium": one, and no failing test to be seen; "easy": one, with failing tests in the repository."""
        return "hard" if len(self.mutations) > 1 else "easy" if set(self.failing) - set(self.withheld) else "medium"


@dataclass(frozen=True, slots=True)
class Dropped:
    """Why there is no task: one of ``DROPS``."""

    reason: str


@dataclass(slots=True)
class Maker:
    """Tries mutations in one sandbox. ``lines``: as ``covered`` gives it."""

    bench: Bench
    baseline: Baseline
    lines: Mapping[str, Mapping[int, frozenset[str]]]
    seed: int = 0
    bounds: Bounds = field(default_factory=Bounds)

    def covering(self, mutation: Mutation) -> set[str]:
        """The tests that run a line whose change they may notice."""
        lines = self.lines.get(mutation.path, {})
        return {test for line in range(mutation.probe, mutation.probe_last + 1) for test in lines.get(line, ())}

    def try_mutations(self, mutations: Sequence[Mutation], known: Sequence[frozenset[str]] = ()) -> Found | Dropped:
        """``known``: of several mutations, what fails with each alone; each must still be noticed."""
        changes = mutate(self.bench.project.tree, mutations)
        limit = self._limit()
        tests = set[str]().union(*(self.covering(m) for m in mutations))
        first = self.bench.test(changes, only=tests, timeout_s=limit)
        if first.problem:
            return Dropped("timeout" if first.problem == "timeout" else "broke everything")
        failing = self._failing(first, tests)
        if not failing:
            return Dropped("survived")
        if self._too_many(failing):
            return Dropped("broke everything")
        confirmed = self._confirm(mutations, changes, failing)
        if isinstance(confirmed, Dropped):
            return confirmed
        failing, withheld, failures = confirmed
        if any(not (alone - set[str]().union(*(k for k in known if k is not alone))) & failing for alone in known):
            return Dropped("duplicate")
        return self._describe(mutations, changes, failing, withheld, failures, known)

    def _confirm(
        self, mutations: Sequence[Mutation], changes: Mapping[str, File], failing: set[str]
    ) -> tuple[set[str], set[str], Mapping[str, Failure]] | Dropped:
        """Run the whole suite once more, in what the agent gets, and what was cut out of it as it will be graded.

        Tests beyond ``failing`` may fail, as fixtures that tests share hide lines from the trace; then all of it must happen again.
        """
        for _ in range(2):
            withheld = self._withhold(failing, self._rng(mutations))
            if withheld is None:
                return Dropped("cannot withhold")
            gone = {function_of(test) for test in withheld}
            visible = {test for test in self.baseline.passing if function_of(test) not in gone}
            shown = self.bench.test({**changes, **cut(self.bench.project.tree, gone)}, timeout_s=self._limit())
            graded = self.bench.test(changes, only=failing | (set(self.baseline.passing) - visible), timeout_s=self._limit())
            if shown.problem or graded.problem:
                return Dropped("timeout" if "timeout" in (shown.problem, graded.problem) else "broke everything")
            again = self._failing(shown, visible) | self._failing(graded, failing | (set(self.baseline.passing) - visible))
            if self._too_many(again):
                return Dropped("broke everything")
            if self._failing(graded, failing) != failing:
                return Dropped("flaky")
            if again == failing and self._failing(shown, visible) == failing & visible:
                return failing, withheld, graded.failures
            failing = again
        return Dropped("flaky")

    def _rng(self, mutations: Sequence[Mutation]) -> np.random.Generator:
        return np.random.default_rng(np.random.SeedSequence([self.seed, zlib.crc32(repr([m.to_data() for m in mutations]).encode())]))

    def _describe(
        self,
        mutations: Sequence[Mutation],
        changes: Mapping[str, File],
        failing: set[str],
        withheld: set[str],
        failures: Mapping[str, Failure],
        known: Sequence[frozenset[str]],
    ) -> Found | Dropped:
        rng = self._rng(mutations)
        rng.permutation(len({function_of(test) for test in failing}))  # already drawn for what is withheld
        groups = [failing & (alone - set[str]().union(*(k for k in known if k is not alone))) for alone in known] or [failing]
        examples = [self._example(changes, failures, self._by_visibility(group, withheld), mutations, withheld) for group in groups]
        if any(example is None for example in examples):
            return Dropped("no statement")
        told = [example for example in examples if example is not None]
        order = [test for test in self.baseline.passing if test in failing]
        functions = {function_of(test) for test in failing}
        statement = write_statement(told, rng, more=len(functions) - 1)
        if leak(statement, self.bench.project.tree, mutations, withheld):
            return Dropped("no statement")
        return Found(
            mutations=tuple(mutations),
            failing=tuple(order),
            withheld=tuple(test for test in order if test in withheld),
            statement=statement,
            shown=all(example.expected[0] for example in told),
        )

    def _example(
        self,
        changes: Mapping[str, File],
        failures: Mapping[str, Failure],
        tests: Sequence[str],
        mutations: Sequence[Mutation],
        withheld: set[str],
    ) -> Example | None:
        """A symptom that gives nothing away, of a visible test if there is one."""
        tree = self.bench.project.tree
        sources = {path: decode(tree[path].data).text for path in {function_of(test)[0] for test in tests} if path in tree}
        tests = [test for test in tests if function_of(test)[0] in sources]
        for test in tests[:EXAMPLES_TRIED]:
            found = find_example(self.bench, changes, sources, failures, [test])
            if found is not None and not leak(
                write_statement([found], np.random.default_rng(np.random.SeedSequence(0))), tree, mutations, withheld
            ):
                return found
        return find_assertion(sources, failures, tests)

    def _by_visibility(self, tests: set[str], withheld: set[str]) -> list[str]:
        """Visible ones first; of each function one, then the rest."""
        ordered = sorted((t for t in self.baseline.passing if t in tests), key=lambda t: t in withheld)
        first: dict[tuple[str, str], str] = {}
        for test in ordered:
            first.setdefault(function_of(test), test)
        return [*first.values(), *(t for t in ordered if t not in first.values())]

    def _withhold(self, failing: set[str], rng: np.random.Generator) -> set[str] | None:
        """Half of the failing test functions, rounded up, that can be cut out; their tests. ``None`` where too few can."""
        functions = sorted({function_of(test) for test in failing})
        wanted = (len(functions) + 1) // 2
        chosen: set[tuple[str, str]] = set()
        for index in rng.permutation(len(functions)):
            if len(chosen) == wanted:
                break
            try:
                cut(self.bench.project.tree, [functions[int(index)]])
            except ValueError:
                continue
            chosen.add(functions[int(index)])
        return {test for test in failing if function_of(test) in chosen} if len(chosen) == wanted else None

    def _failing(self, run: Run, tests: set[str]) -> set[str]:
        return {test for test in tests if run.statuses.get(test) != "PASSED"}

    def _too_many(self, failing: set[str]) -> bool:
        passing = len(self.baseline.passing)
        return len(failing) > self.bounds.most_failing or passing - len(failing) < self.bounds.least_passing * passing

    def _limit(self) -> float:
        return 10.0 + 5.0 * self.baseline.suite_s
