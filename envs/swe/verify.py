"""Whether tasks can be solved, and only by a repair: the gold patch must score 1 and no change at all 0."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from .grade import Grader
from .instance import Instance


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """``gold`` and ``null``: the scores of the fix and of no change; ``note``: what is wrong, or empty; ``seconds`` of both."""

    id: str
    project: str
    gold: float
    null: float
    note: str
    seconds: float

    @property
    def ok(self) -> bool:
        return self.gold == 1 and self.null == 0 and not self.note


def verify(instance: Instance, grader: Grader) -> Verdict:
    """Grade the gold patch and no change. Raises ``SandboxError`` where the sandbox itself fails."""
    started = time.monotonic()
    gold, null = grader.grade(instance, instance.gold), grader.grade(instance, {})
    problems = [f"gold: {gold.note or 'scored 0'}" for _ in [0] if gold.score != 1]
    problems += [f"gold was taken for tampering: {', '.join(gold.tampering)}" for _ in [0] if gold.tampering]
    problems += ["no change at all scores above 0" for _ in [0] if null.score != 0]
    problems += [f"no change at all was taken for tampering: {', '.join(null.tampering)}" for _ in [0] if null.tampering]
    passing = [test for test in instance.fail_to_pass if null.statuses.get(test) == "PASSED"]
    problems += [f"{passing[0]} passes without a fix" for _ in passing[:1]]
    broken = [test for test in instance.pass_to_pass if null.statuses.get(test) != "PASSED"]
    problems += [f"{broken[0]} fails without a change ({null.statuses.get(broken[0], 'absent')})" for _ in broken[:1]]
    return Verdict(
        id=instance.id,
        project=instance.project,
        gold=gold.score,
        null=null.score,
        note="; ".join(problems),
        seconds=time.monotonic() - started,
    )


def verify_all(instances: Iterable[Callable[[], Instance]], grader: Grader, workers: int = 0) -> Iterator[Verdict]:
    """The verdicts in order, ``workers`` (0: one for each core) at a time."""
    with ThreadPoolExecutor(workers or os.cpu_count() or 1) as pool:

        def one(make: Callable[[], Instance]) -> Verdict:
            return verify(make(), grader)

        yield from pool.map(one, instances)
