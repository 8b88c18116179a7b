"""What an instance of an outside format offers: a sandbox for the agent, and grading by that format's own rules.

    instance = load_image_instance(task.data)
    box = instance.open("docker", limits)          # the repository at its base commit, without later history
    grade = instance.grade(box.changes(), "docker", limits)

``changes`` are those of the sandbox that ``open`` gave. Grading opens one of its own.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, Protocol, TypeAlias

from ...sandbox.base import Limits, Sandbox
from ...sandbox.tree import Changes
from ..instance import Grade

Resolution: TypeAlias = Literal["FULL", "PARTIAL", "NO"]


class Gradable(Protocol):
    """One instance. ``image`` is empty where the repository is given in line and needs no container."""

    @property
    def id(self) -> str: ...

    @property
    def project(self) -> str:
        """What splits go by."""
        ...

    @property
    def statement(self) -> str: ...

    @property
    def work(self) -> str:
        """The folder of the repository in the sandbox."""
        ...

    @property
    def image(self) -> str: ...

    @property
    def fix(self) -> str:
        """A shell command that makes the gold change in the work folder of an opened sandbox. Never shown to an agent."""
        ...

    def open(self, backend: str = "auto", limits: Limits | None = None) -> Sandbox:
        """The agent's sandbox. Raises ``SandboxUnavailable``, and ``EnvFault`` for an instance that cannot be set up."""
        ...

    def grade(self, changes: Changes, backend: str = "auto", limits: Limits | None = None) -> FormatGrade:
        """Grade what the agent changed, in a fresh sandbox. Raises what ``open`` does; whatever the changes do is a grade."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class FormatGrade(Grade):
    """A ``Grade`` with what the outside formats report: shares of the two lists, SWE-bench's three levels.

    ``fail_to_pass``, ``pass_to_pass``: share of the list that is as it should be; an empty list counts 1. ``fraction``: of both lists
    together. ``valid``: the run of the tests says something; where it is False the shares are 0.
    """

    resolved: Resolution
    fail_to_pass: float
    pass_to_pass: float
    fraction: float
    valid: bool = True
