"""What a software-engineering task consists of, and what grading it gives.

    Task.data -> Instance -> sandbox(base) -> agent -> changes -> grade (fresh sandbox: base + changes + held) -> Grade

An ``Instance`` is complete: whoever holds it needs no network and no other file (but the image, where it names one).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from ..sandbox.tree import Changes, Tree

PASSED, FAILED, ERROR, SKIPPED, XFAIL, XPASS = "PASSED", "FAILED", "ERROR", "SKIPPED", "XFAIL", "XPASS"
STATUSES = (PASSED, FAILED, ERROR, SKIPPED, XFAIL, XPASS)
"""Of a test that ran; one that did not is absent, which is never a pass."""
WORK = "/testbed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Location:
    """A place that the fix changes: lines ``first`` to ``last`` (from 1, inclusive) of ``path`` in the base.

    ``function`` is the dotted name of what encloses it, such as "Stack.push"; empty at module level.
    """

    path: str
    first: int
    last: int
    function: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Instance:
    """One repository to repair.

    ``base``: the files the agent gets in ``work``; withheld tests are cut out of them. ``held``: test files, ``conftest.py`` and the
    configuration of the test runner as they must be when graded; they are laid over what the agent left. ``withheld``: those of
    ``fail_to_pass`` that ``base`` does not show. Test ids are pytest's node ids, relative to ``work``. ``gold``: the fix, as changes of
    ``base``. ``paths``: folders of the tree that Python imports from. ``protected``: globs of further paths whose changes are dropped.
    ``timeout_s``: for a whole run of the tests.
    """

    id: str
    project: str
    """What splits go by: the tasks of one project are all in one split."""
    statement: str
    base: Tree
    held: Tree
    fail_to_pass: tuple[str, ...]
    pass_to_pass: tuple[str, ...]
    withheld: tuple[str, ...] = ()
    gold: Changes = field(default_factory=dict[str, None])
    locations: tuple[Location, ...] = ()
    paths: tuple[str, ...] = (".",)
    protected: tuple[str, ...] = ()
    timeout_s: float = 60.0
    work: str = WORK

    def __post_init__(self) -> None:
        if not self.fail_to_pass:
            raise ValueError(f"instance {self.id!r} has no test that fails; it cannot tell a fix from none")
        both = sorted(set(self.fail_to_pass) & set(self.pass_to_pass))
        if both:
            raise ValueError(f"instance {self.id!r}: {both[0]!r} is in fail_to_pass and in pass_to_pass; it can only be in one")
        stray = sorted(set(self.withheld) - set(self.fail_to_pass))
        if stray:
            raise ValueError(f"instance {self.id!r}: {stray[0]!r} is withheld, but not in fail_to_pass")


@dataclass(frozen=True, slots=True, kw_only=True)
class Grade:
    """What was found in the fresh sandbox. ``score``: 1 when every FAIL_TO_PASS and PASS_TO_PASS test passed and nothing was tampered with.

    ``statuses``: test id -> one of ``STATUSES``. ``tampering``: the names of the tricks that were seen; ``dropped``: changed paths that
    were not taken over, with the reason. ``note``: why the score is what it is, for a person.
    """

    score: float
    statuses: Mapping[str, str]
    seconds: Mapping[str, float] = field(default_factory=dict[str, float])
    tampering: tuple[str, ...] = ()
    dropped: Mapping[str, str] = field(default_factory=dict[str, str])
    note: str = ""
