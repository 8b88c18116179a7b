"""Tasks from a project: mutations are drawn, tried in several sandboxes at once, and kept in the order in which they were drawn.

with Factory(read_source("toolz==1.2.0"), seed=0) as factory:
    for found in factory.tasks(40, hard=0.2):
        instance(factory.project, factory.baseline.passing, found)
    factory.tally.dropped                # {"survived": 12, "duplicate": 3, ...}
"""

from __future__ import annotations

import hashlib
import json
import queue
import threading
from collections import Counter, defaultdict, deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field

import numpy as np

from ...sandbox.bubblewrap import python as sandbox_python
from ...sandbox.tree import File, Tree
from ..instance import Instance, Location
from ..runner import Report, configuration, run_tests
from .baseline import SUITE_S, Baseline, check_python, covered, measure
from .bench import Bench, open_sandbox, sandbox_version
from .cut import cut, function_of
from .errors import SuiteFails
from .mutate import Mutation, mutate, parses, sources
from .sources import Project
from .text import decode
from .validate import Bounds, Dropped, Found, Maker

TRACE_FACTOR = 30.0
AHEAD = 2
"""Candidates in work for each sandbox."""


@dataclass(slots=True)
class Tally:
    """What happened to the candidates. ``tried`` and ``kept`` go by the kind of mutation ("several" for hard ones)."""

    tried: Counter[str] = field(default_factory=Counter[str])
    kept: Counter[str] = field(default_factory=Counter[str])
    dropped: Counter[str] = field(default_factory=Counter[str])


class Factory:
    """Measures a project's tests, then makes tasks. Same project, seed and tests: same tasks, whatever ``workers`` is.

    ``workers``: sandboxes at once; ``per_function``: tasks of one function at most; ``slow_s``: tests that take longer are left out.
    Raises the errors of ``errors`` where the project will not do.
    """

    def __init__(
        self,
        project: Project,
        *,
        seed: int = 0,
        workers: int = 2,
        per_function: int = 3,
        bounds: Bounds | None = None,
        slow_s: float | None = None,
        backend: str = "auto",
    ) -> None:
        if workers < 1 or per_function < 1:
            raise ValueError(f"workers is {workers} and per_function {per_function}; both must be at least 1")
        self.project, self.seed, self.workers, self.per_function = project, seed, workers, per_function
        self.tally = Tally()
        check_python(project, sandbox_version(sandbox_python()))
        self._benches = [Bench(project, backend) for _ in range(workers)]
        try:
            self.baseline = measure(project, lambda: self._whole(backend), slow_s=slow_s)
            self._lines = covered(self._benches[0], self.baseline, SUITE_S + TRACE_FACTOR * self.baseline.suite_s)
            self._agree()
        except BaseException:
            self.close()
            raise
        self._makers = [Maker(bench, self.baseline, self._lines, seed, bounds or Bounds()) for bench in self._benches]

    def __enter__(self) -> Factory:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def processor_s(self) -> float:
        """What the runs in its sandboxes took so far, but for the baseline's."""
        return sum(bench.processor_s for bench in self._benches)

    def close(self) -> None:
        for bench in self._benches:
            bench.close()

    def candidates(self) -> Iterator[Mutation]:
        """Mutations of lines that passing tests run, each once: a kind is drawn, then a function, then a place."""
        rng = np.random.default_rng(np.random.SeedSequence([self.seed, 1]))
        pool: dict[str, dict[tuple[str, str], list[Mutation]]] = defaultdict(lambda: defaultdict(list))
        for path, found in sources(self.project.tree, self.project.code()).items():
            lines = self._lines.get(path, {})
            for mutation in found:
                if any(line in lines for line in range(mutation.probe, mutation.probe_last + 1)):
                    pool[mutation.kind][path, mutation.function].append(mutation)
        while pool:
            kind = sorted(pool)[int(rng.integers(len(pool)))]
            functions = pool[kind]
            place = sorted(functions)[int(rng.integers(len(functions)))]
            yield functions[place].pop(int(rng.integers(len(functions[place]))))
            if not functions[place]:
                del functions[place]
            if not functions:
                del pool[kind]

    def tasks(self, count: int, hard: float = 0.0) -> Iterator[Found]:
        """``count`` tasks, or as many as there are; the share ``hard`` of them, at the end, with several faults."""
        if count < 1 or not 0 <= hard <= 1:
            raise ValueError(f"count is {count} and hard {hard}; expected at least 1, and a share from 0 to 1")
        several = round(count * hard)
        singles: list[Found] = []
        wanted = max(count - several, min(several, 3))
        shown = 0
        for found in self._in_order(((mutation,) for mutation in self.candidates()), wanted, {}):
            singles.append(found)
            if shown < count - several:
                shown += 1
                yield found
        alone = {found.mutations[0]: frozenset(found.failing) for found in singles}
        if several and len(singles) > 1:
            yield from self._in_order(self._combinations(singles), several, alone)

    def _combinations(self, singles: Sequence[Found]) -> Iterator[tuple[Mutation, ...]]:
        rng = np.random.default_rng(np.random.SeedSequence([self.seed, 2]))
        seen: set[tuple[int, ...]] = set()
        for _ in range(50 * len(singles)):
            size = min(int(rng.integers(2, 4)), len(singles))
            chosen = tuple(sorted(int(i) for i in rng.choice(len(singles), size=size, replace=False)))
            mutations = [singles[i].mutations[0] for i in chosen]
            if chosen not in seen and len({(m.path, m.function) for m in mutations}) == size:
                seen.add(chosen)
                yield tuple(mutations)

    def _in_order(self, groups: Iterator[tuple[Mutation, ...]], count: int, alone: dict[Mutation, frozenset[str]]) -> Iterator[Found]:
        """Results in the order of the candidates, of which a fixed number is in work: so the outcome does not depend on timing."""
        stop = threading.Event()
        free: queue.SimpleQueue[Maker] = queue.SimpleQueue()
        for maker in self._makers:
            free.put(maker)

        def work(group: tuple[Mutation, ...]) -> Found | Dropped:
            if stop.is_set():
                return Dropped("stopped")
            maker = free.get()
            try:
                return maker.try_mutations(group, [alone[m] for m in group] if len(group) > 1 else ())
            finally:
                free.put(maker)

        kept, seen, crowd = 0, set[tuple[frozenset[str], str]](), Counter[tuple[str, str]]()
        waiting: deque[tuple[tuple[Mutation, ...], Future[Found | Dropped]]] = deque()
        with ThreadPoolExecutor(self.workers) as pool:
            try:
                while kept < count:
                    while len(waiting) < AHEAD * self.workers and (group := self._next(groups)) is not None:
                        waiting.append((group, pool.submit(work, group)))
                    if not waiting:
                        return
                    group, future = waiting.popleft()
                    found = self._judge(group, future.result(), seen, crowd)
                    if found is not None:
                        kept += 1
                        yield found
            finally:
                stop.set()
                for _, future in waiting:
                    future.cancel()

    def _next(self, groups: Iterator[tuple[Mutation, ...]]) -> tuple[Mutation, ...] | None:
        for group in groups:
            if all(parses(self.project.tree, mutation) for mutation in group):
                return group
            self.tally.dropped["does not parse"] += 1
        return None

    def _judge(
        self,
        group: tuple[Mutation, ...],
        result: Found | Dropped,
        seen: set[tuple[frozenset[str], str]],
        crowd: Counter[tuple[str, str]],
    ) -> Found | None:
        kind = group[0].kind if len(group) == 1 else "several"
        self.tally.tried[kind] += 1
        if isinstance(result, Found):
            place = (group[0].path, group[0].function)
            key = (frozenset(result.failing), " ".join(f"{m.path}:{m.function}" for m in group))
            crowded = len(group) == 1 and crowd[place] >= self.per_function
            result = Dropped("duplicate") if key in seen else Dropped("crowded") if crowded else result
            seen.add(key)
            if isinstance(result, Found):
                crowd[place] += 1
                self.tally.kept[kind] += 1
                return result
        self.tally.dropped[result.reason] += 1
        return None

    def _whole(self, backend: str) -> Report:
        with open_sandbox(self.project, backend) as box:
            config = configuration(self.project.tree)
            return run_tests(box, self.project.tests, paths=self.project.paths, timeout_s=SUITE_S, config=config)

    def _agree(self) -> None:
        """The run in a warm interpreter must say what the runs that grade say."""
        run = self._benches[-1].test({}, timeout_s=SUITE_S)
        other = [test for test in self.baseline.passing if run.statuses.get(test) != "PASSED"]
        if run.problem or len(other) > max(3, 0.05 * len(self.baseline.passing)):
            raise SuiteFails(f"{len(other)} tests of {self.project.name} do not pass in a warm interpreter ({[*other[:1], run.problem]})")
        drop = set(other)
        kept = tuple(test for test in self.baseline.passing if test not in drop)
        excluded = dict(self.baseline.excluded) | dict.fromkeys(other, "flaky")
        self.baseline = Baseline(passing=kept, excluded=excluded, seconds=self.baseline.seconds, suite_s=self.baseline.suite_s)


def instance(project: Project, passing: Sequence[str], found: Found, timeout_s: float = 60.0) -> Instance:
    """The task as a complete instance."""
    changed = mutate(project.tree, found.mutations)
    shortened = cut(project.tree, {function_of(test) for test in found.withheld})
    failing = set(found.failing)
    return Instance(
        id=task_id(project, found.mutations),
        project=project.name,
        statement=found.statement,
        base={**project.tree, **changed, **shortened},
        held=project.held(),
        fail_to_pass=found.failing,
        pass_to_pass=tuple(test for test in passing if test not in failing),
        withheld=found.withheld,
        gold={path: project.tree[path] for path in changed},
        locations=locations(project.tree, changed, found.mutations),
        paths=project.paths,
        timeout_s=timeout_s,
    )


def task_id(project: Project, mutations: Sequence[Mutation]) -> str:
    """Such as "toolz-1.2.0__9f8e7d6c": the same for the same mutations."""
    data = json.dumps([m.to_data() for m in mutations], sort_keys=True).encode()
    name = f"{project.name}-{project.version}" if project.version else project.name
    return f"{name}__{hashlib.sha256(data).hexdigest()[:8]}"


def locations(tree: Tree, changed: dict[str, File], mutations: Sequence[Mutation]) -> tuple[Location, ...]:
    """Where the mutations are in the mutated files."""
    found: list[Location] = []
    shift: Counter[str] = Counter()
    for mutation in sorted(mutations, key=lambda m: (m.path, m.line, m.column)):
        first = mutation.line + shift[mutation.path]
        height = _breaks(mutation.new)
        found.append(Location(path=mutation.path, first=first, last=first + height, function=mutation.function))
        shift[mutation.path] += height - _breaks(mutation.old)
    assert all(at.last <= len(decode(changed[at.path].data).lines) for at in found)
    return tuple(found)


def _breaks(text: str) -> int:
    return text.replace("\r\n", "\n").replace("\r", "\n").count("\n")
