"""One instance in our own words, and how the fields of a row are read into it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, cast

from ...sandbox.tree import File, Tree
from ...search.rows import BadRow
from ...search.rows import text_field as text_field
from .patches import paths_of

ACTIVATE = "if [ -f /opt/miniconda3/bin/activate ]; then . /opt/miniconda3/bin/activate; conda activate testbed; fi"
"""The images of SWE-bench and its relatives keep the project's Python in the conda environment "testbed"."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Spec:
    """What a row says, after its format's rules: where the repository is, what the fix is, how it is tested and judged.

    ``patch``: the gold diff; with ``patch_is_bug`` it is the bug, and applied before the agent comes. ``test_patch``: the tests that
    the agent does not see. ``prepare``: shell lines before the tests; ``command``: the shell lines of the tests, or ``eval_script``: a
    whole script with SWE-bench's markers. ``expected``: test -> status, for the rule that compares maps. ``held``: further files that
    are as in the image when graded. ``hidden``: paths taken from the agent's copy. ``repository``: the files of the work folder, for
    an instance without an image.
    """

    format: str
    id: str
    repo: str
    statement: str
    image: str
    parser: str
    rule: str = "swe-bench"
    work: str = "/testbed"
    base_commit: str = ""
    patch: str = ""
    patch_is_bug: bool = False
    test_patch: str = ""
    fail_to_pass: tuple[str, ...] = ()
    pass_to_pass: tuple[str, ...] = ()
    expected: Mapping[str, str] = field(default_factory=dict[str, str])
    prepare: tuple[str, ...] = ()
    command: str = ""
    eval_script: str = ""
    chain: str = "swe-bench"
    held: tuple[str, ...] = ()
    hidden: tuple[str, ...] = ()
    timeout_s: float = 1800.0
    repository: Tree | None = None

    @property
    def bug(self) -> str:
        """What is applied before the agent comes."""
        return self.patch if self.patch_is_bug else ""

    @property
    def gold_paths(self) -> set[str]:
        before, added = paths_of(self.patch)
        return {*before, *added}


def listed(row: Mapping[str, Any], name: str, *, required: bool = True) -> tuple[str, ...]:
    """A list of test ids: a list, or a JSON text of one, as some hub copies hold it; what is in it twice counts once.

    Raises ``BadRow`` where it is absent or holds what is no text."""
    value: object = row.get(name)
    if value is None:
        if required:
            raise BadRow(f"it has no {name!r}; its keys are {', '.join(sorted(map(str, row)))[:200] or 'none'}")
        return ()
    if isinstance(value, str):
        try:
            value = cast(object, json.loads(value))
        except (ValueError, RecursionError):
            raise BadRow(f"{name!r} is a text that is not JSON; it must be a list of test ids, or a JSON text of one") from None
    items = list(cast("Sequence[object]", value)) if isinstance(value, list | tuple) else None
    if items is None or not all(isinstance(item, str) and item.strip() for item in items):
        raise BadRow(f"{name!r} is {str(cast(object, value))[:80]!r}; it must be a list of test ids, or a JSON text of one")
    tests = cast("list[str]", items)
    return tuple(dict.fromkeys(tests))


def both_lists(row: Mapping[str, Any]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """FAIL_TO_PASS, which may not be empty, and PASS_TO_PASS. A test of both counts as one of FAIL_TO_PASS."""
    first, second = listed(row, "FAIL_TO_PASS"), listed(row, "PASS_TO_PASS")
    if not first:
        raise BadRow("'FAIL_TO_PASS' is empty; such an instance cannot tell a fix from none")
    wanted = set(first)
    return first, tuple(test for test in second if test not in wanted)


def mapping_of(row: Mapping[str, Any], name: str, *, required: bool = True) -> dict[str, Any]:
    """An object, or a JSON text of one."""
    value: object = row.get(name)
    if isinstance(value, str):
        try:
            value = cast(object, json.loads(value))
        except (ValueError, RecursionError):
            raise BadRow(f"{name!r} is a text that is not JSON; it must be an object, or a JSON text of one") from None
    if value is None and not required:
        return {}
    if not isinstance(value, dict):
        raise BadRow(f"{name!r} is {str(cast(object, value))[:80]!r}; it must be an object, or a JSON text of one")
    return cast("dict[str, Any]", value)


def optional(row: Mapping[str, Any], *names: str) -> str:
    """The first text among ``names``; empty where there is none."""
    return next((value for n in names if isinstance(value := row.get(n), str) and value.strip()), "")


def diff_field(row: Mapping[str, Any], name: str) -> str:
    """A unified diff. Raises ``BadRow`` for text that names no file."""
    text = text_field(dict(row), name)
    if paths_of(text) == ([], []):
        raise BadRow(f"{name!r} is not a unified diff: no file is named in it")
    return text


def repository_of(row: Mapping[str, Any]) -> Tree | None:
    """``repository``: {path: text}, the work folder of an instance that is tried without its image."""
    value: object = row.get("repository")
    if value is None:
        return None
    files = cast("dict[str, object]", value) if isinstance(value, dict) else {}
    if not files or not all(isinstance(text, str) for text in files.values()):
        raise BadRow("'repository' must be an object {path: text} with at least one file")
    return {path: File(cast(str, text).encode("utf-8", "surrogateescape"), executable=path.endswith(".sh")) for path, text in files.items()}


def project_of(row: Mapping[str, Any], name: str = "repo") -> str:
    repo = text_field(dict(row), name)
    if name == "repo" and repo.count("/") != 1:
        raise BadRow(f"'repo' is {repo!r}; it must have the form owner/name")
    return repo
