"""SWE-smith: the patch of a row is the bug; it is applied before the agent comes, and the fix is its reverse.

Facts: swesmith (commits cf2e649d, 032f1a10): only the files of FAIL_TO_PASS are run, within 120 s, and a test that the log does not show
counts as passed. Those files are taken out of the agent's copy.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping
from typing import Any

from ...search.rows import BadRow
from .parsers import parser_name
from .spec import ACTIVATE, Spec, both_lists, diff_field, optional, project_of, repository_of, text_field

FIELDS = (
    *("instance_id", "repo", "base_commit", "patch", "problem_statement", "FAIL_TO_PASS", "PASS_TO_PASS", "image_name", "log_parser"),
    *("test_cmd", "repository"),
)
TIMEOUT_S = 120.0
COMMAND = "pytest --disable-warnings --color=no --tb=no --verbose"
_OWN = {
    "gin-gonic/gin": "parse_log_gotest",
    "HIPS/autograd": "parse_log_autograd",
    "paramiko/paramiko": "parse_log_paramiko",
    "python/mypy": "parse_log_mypy",
    "tornadoweb/tornado": "parse_log_tornado",
    "un33k/python-slugify": "parse_log_python_slugify",
}
"""Projects with a test command and a log parser of their own; their rows must give ``test_cmd``."""
_ID = re.compile(r"([^.]+)__([^.]+(?:\.[^.]+)*)\.([0-9a-f]{8})\.[^.]+")


def image_name(id: str, given: str = "") -> str:
    """The row's ``image_name`` with what it may lack: the owner on the registry, "__" as "_1776_". Without one, from the id
    ``<owner>__<repository>.<commit>.<bug>``: ``swebench/swesmith.x86_64.<owner>_1776_<repository>.<commit>``."""
    if given:
        return given if "/" in given else f"jyangballin/{given.replace('__', '_1776_')}:latest"
    found = _ID.fullmatch(id)
    if not found:
        raise BadRow(f"'instance_id' is {id!r}, which does not have the form owner__repository.commit.bug; give 'image_name'")
    return f"swebench/swesmith.x86_64.{found[1]}_1776_{found[2]}.{found[3]}:latest".lower()


def read(row: Mapping[str, Any]) -> Spec:
    """A row of SWE-smith. Raises ``BadRow``; also for one without an issue text, of which the data set has many."""
    given, id = dict(row), text_field(dict(row), "instance_id")
    first, second = both_lists(row)
    repository = repository_of(row)
    files = sorted({test.split("::", 1)[0] for test in first})
    source = id.split(".")[0].replace("__", "/")
    command = optional(row, "test_cmd")
    if source in _OWN and not command:
        raise BadRow(f"{source} has a test command of its own; give it as 'test_cmd'")
    try:
        parser = parser_name(source, optional(row, "log_parser") or _OWN.get(source, "parse_log_smith"))
    except ValueError as error:
        raise BadRow(str(error)) from None
    return Spec(
        format="swe-smith",
        id=id,
        repo=project_of(row),
        statement=text_field(given, "problem_statement"),
        image=image_name(id, optional(row, "image_name")) if repository is None or optional(row, "image_name") else "",
        parser=parser,
        rule="swe-smith",
        base_commit=optional(row, "base_commit"),
        patch=diff_field(row, "patch"),
        patch_is_bug=True,
        fail_to_pass=first,
        pass_to_pass=tuple(test for test in second if test.startswith(tuple(files))),
        prepare=(ACTIVATE,),
        command=command if source in _OWN else " ".join([command or COMMAND, *map(shlex.quote, files)]),
        held=tuple(sorted({test.split("::", 1)[0] for test in (*first, *second)})),
        hidden=tuple(files),
        timeout_s=TIMEOUT_S,
        repository=repository,
    )
