"""Where tasks come from, and what an episode needs of a repository, whichever source it is from.

task_set("tiny") | task_set("shipped") | task_set("tasks.jsonl") | task_set("swe-bench:verified.jsonl")
load(task.data)                      # Instance, or ImageInstance of an outside format
subject_of(task.data, grader, ...)   # opens sandboxes, grades, runs the tests, writes the patch
"""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from importlib import import_module
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

from ...records import canonical_json
from ..sandbox.base import Limits, Sandbox, SandboxError
from ..sandbox.make import make_sandbox
from ..sandbox.tree import Changes
from ..tasks import TaskSet
from .grade import Grader
from .instance import Grade, Instance
from .paging import whole
from .patch import git_diff
from .runner import configuration, run_tests
from .stored import from_data
from .toolchain import PLACE, binds
from .tools import summary

if TYPE_CHECKING:
    from .formats.instance import ImageInstance

Loaded: TypeAlias = "Instance | ImageInstance"
NOT_GRADED = (".git", "__pycache__", ".pytest_cache", ".hypothesis", ".mypy_cache", ".ruff_cache")
"""Folders whose files are no part of a change."""
ENVIRON = {"PYTHONPATH": PLACE, "PYTHONDONTWRITEBYTECODE": "1", "PYTHONHASHSEED": "0", "PAGER": "cat", "GIT_PAGER": "cat"}
_COMMIT = (
    "command -v git >/dev/null || exit 0; export GIT_CONFIG_NOSYSTEM=1 GIT_CONFIG_GLOBAL=/dev/null HOME=/tmp "
    "GIT_AUTHOR_NAME=turnwise GIT_AUTHOR_EMAIL=turnwise@localhost GIT_COMMITTER_NAME=turnwise GIT_COMMITTER_EMAIL=turnwise@localhost "
    "GIT_AUTHOR_DATE='2000-01-01T00:00:00Z' GIT_COMMITTER_DATE='2000-01-01T00:00:00Z'; "
    "here() { git -c safe.directory='*' \"$@\"; }; "  # a container's folder belongs to another user
    "here init -q -b main . && here add -A -f . && here commit -q --allow-empty --no-gpg-sign -m base"
)


def task_set(tasks: str, options: Mapping[str, Any]) -> TaskSet:
    """The tasks called ``tasks``; ``options`` are the arguments of their task set. Raises ``ValueError`` for an unknown name."""
    if tasks == "tiny":
        from .tiny.tasks import TinyRepos

        return TinyRepos(**options)
    if tasks == "shipped":
        return import_module(f"{__package__}.tasks_shipped").ShippedTasks(**options)
    if tasks.endswith(".jsonl") and ":" not in tasks:
        return import_module(f"{__package__}.tasks_shipped").from_jsonl(tasks, **options)
    if ":" in tasks:
        from .formats.tasks import format_tasks

        return format_tasks(tasks, **options)
    raise ValueError(
        f"tasks is {tasks!r}; allowed: 'tiny', 'shipped', the path of a .jsonl file, or FORMAT:PATH such as 'swe-bench:x.jsonl'"
    )


def load(data: Mapping[str, Any]) -> Loaded:
    """The instance of a task's data. Raises ``ValueError`` for a kind that there is not, and what reading it raises."""
    kind = data.get("kind")
    if kind == "stored":
        return from_data(data)
    if kind == "package":
        return _package(canonical_json(dict(data)))
    if kind == "image":
        from .formats.tasks import load_image_instance

        return load_image_instance(data)
    raise ValueError(f"the task's data is of kind {kind!r}; allowed: 'stored', 'package', 'image'")


@lru_cache(maxsize=64)
def _package(text: str) -> Instance:
    import json

    return import_module(f"{__package__}.packages").build(json.loads(text))


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """How the sandboxes of an episode are made. ``grading``: arguments of ``Grader``, sorted."""

    backend: str
    image: str
    limits: Limits
    grading: tuple[tuple[str, Any], ...] = ()

    @property
    def grader(self) -> Grader:
        """That of this process, so that environments of a group grade the same repair once."""
        return _grader(self.backend, self.image, self.grading)


@lru_cache(maxsize=8)
def _grader(backend: str, image: str, options: tuple[tuple[str, Any], ...]) -> Grader:
    return Grader(backend, image=image, **dict(options))


class Subject(Protocol):
    """A repository to repair. ``gold``: path -> names of the functions that the fix changes. ``paths``: of the files, for hints."""

    @property
    def id(self) -> str: ...

    @property
    def work(self) -> str: ...

    @property
    def paths(self) -> Sequence[str]: ...

    @property
    def gold(self) -> Mapping[str, frozenset[str]]: ...

    @property
    def fail_to_pass(self) -> Sequence[str]: ...

    @property
    def pass_to_pass(self) -> Sequence[str]: ...

    def text(self, path: str) -> str:
        """A file as it was at first, as far as it is known here."""
        ...

    def open(self, git: bool) -> Sandbox:
        """A sandbox with the repository. ``git``: with a history of one commit, where git is installed."""
        ...

    def grade(self, changes: Changes) -> Grade:
        """Grade in a fresh sandbox."""
        ...

    def gold_grade(self) -> Grade | None:
        """The grade of the fix, where it is known."""
        ...

    def run_tests(self, box: Sandbox, tests: Sequence[str], timeout_s: float) -> str:
        """Run tests in the agent's sandbox; what it is told."""
        ...

    def patch(self, box: Sandbox | None, changes: Changes) -> str:
        """The changes as text."""
        ...


def subject_of(data: Mapping[str, Any], setting: Setting) -> Subject:
    """What an episode needs of the instance of a task's data."""
    loaded = load(data)
    return TreeSubject(loaded, setting) if isinstance(loaded, Instance) else ImageSubject(loaded, setting)


class TreeSubject:
    """An instance whose files are all there."""

    def __init__(self, instance: Instance, setting: Setting) -> None:
        self.instance, self.setting = instance, setting
        self.id, self.work = instance.id, instance.work
        self.paths = list(instance.base)
        self.fail_to_pass, self.pass_to_pass = instance.fail_to_pass, instance.pass_to_pass
        self.gold = {path: frozenset(at.function for at in instance.locations if at.path == path) for path in instance.gold}

    def text(self, path: str) -> str:
        file = self.instance.base.get(path)
        return "" if file is None else file.data.decode("utf-8", "replace")

    def open(self, git: bool) -> Sandbox:
        box = make_sandbox(
            self.setting.backend,
            tree=self.instance.base,
            work=self.work,
            limits=self.setting.limits,
            environ=ENVIRON,
            binds=binds(),
            image=self.setting.image,
        )
        if git:
            try:
                done = box.exec(["sh", "-c", _COMMIT])
                if not done.ok:
                    raise SandboxError(f"git could not take in the repository: {done.problem or whole(done.stderr)[-500:]}")
            except BaseException:
                box.close()
                raise
        return box

    def grade(self, changes: Changes) -> Grade:
        return self.setting.grader.grade(self.instance, changes)

    def gold_grade(self) -> Grade | None:
        return self.grade(self.instance.gold) if self.instance.gold else None

    def run_tests(self, box: Sandbox, tests: Sequence[str], timeout_s: float) -> str:
        wanted = tests or self._test_files()
        return summary(
            run_tests(
                box,
                wanted,
                paths=self.instance.paths,
                timeout_s=min(timeout_s, self.instance.timeout_s),
                work=self.work,
                config=configuration(self.instance.base),
            )
        )

    def patch(self, box: Sandbox | None, changes: Changes) -> str:
        del box
        return git_diff(self.instance.base, changes)

    def _test_files(self) -> list[str]:
        """The files of the tests that count, as far as they are to be seen."""
        files = dict.fromkeys(test.split("::", 1)[0] for test in (*self.fail_to_pass, *self.pass_to_pass))
        return [file for file in files if file in self.instance.base]


class ImageSubject:
    """An instance of an outside format, with its own sandbox and its own grading."""

    def __init__(self, instance: ImageInstance, setting: Setting) -> None:
        self.instance, self.setting = instance, setting
        spec = instance.spec
        self.id, self.work = instance.id, instance.work
        self.paths = list(spec.repository or ())
        self.fail_to_pass, self.pass_to_pass = spec.fail_to_pass, spec.pass_to_pass
        self.gold = {path: frozenset[str]() for path in spec.gold_paths}

    def text(self, path: str) -> str:
        file = (self.instance.spec.repository or {}).get(path)
        return "" if file is None else file.data.decode("utf-8", "replace")

    def open(self, git: bool) -> Sandbox:
        del git  # the images hold a repository
        return self.instance.open(self.setting.backend)

    def grade(self, changes: Changes) -> Grade:
        return self.instance.grade(changes, self.setting.backend)

    def gold_grade(self) -> Grade | None:
        return None

    def run_tests(self, box: Sandbox, tests: Sequence[str], timeout_s: float) -> str:
        done = box.shell(f"python3 -m pytest -q --no-header -rfE -p no:cacheprovider {shlex.join(tests)}", timeout_s)
        return "\n".join([whole(done.stdout).rstrip("\n"), *([f"[{done.problem}]"] if done.problem else [])])

    def patch(self, box: Sandbox | None, changes: Changes) -> str:
        if box is None or not changes:
            return ""
        done = box.exec(["sh", "-c", "git add -A -N . && git --no-pager diff --no-ext-diff --no-color --binary --full-index"])
        return done.stdout.decode("utf-8", "replace") if done.ok and not done.truncated else ""


def graded_part(changes: Changes) -> Changes:
    """The changes without what tools leave behind."""
    return {path: file for path, file in changes.items() if not any(part in NOT_GRADED for part in path.split("/"))}
