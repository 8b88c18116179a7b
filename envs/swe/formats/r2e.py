"""R2E-Gym: the run must give exactly the map of tests to statuses that the row expects, failures among them.

Facts: R2E-Gym (commits 69bc9535, 0277f10b): repository in /testbed with its Python in ``.venv``, tests in /r2e_tests (linked into the
repository while they run), run by ``run_tests.sh``; both are kept from the agent. The gold change is in ``parsed_commit_content``.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from typing import Any, cast

from ...search.rows import BadRow
from ..instance import STATUSES
from .parsers import parser_name
from .spec import Spec, mapping_of, optional, repository_of, text_field

FIELDS = (
    *("docker_image", "repo_name", "commit_hash", "problem_statement", "expected_output_json", "parsed_commit_content", "patch"),
    *("instance_id", "repository", "log_parser"),
)
TIMEOUT_S = 300.0
_PATH = "/root/.venv/bin:/root/.local/bin:/root/.cargo/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_HIDDEN = ("run_tests.sh", "r2e_tests")
_PREPARE = (
    'if [ -d .venv ]; then mkdir -p /root/.local/bin; ln -sfn "$PWD/.venv" /root/.venv; fi',
    f"export PATH={_PATH}",
    "if [ -d /r2e_tests ] && [ ! -e r2e_tests ]; then ln -s /r2e_tests r2e_tests; fi",
)


def read(row: Mapping[str, Any]) -> Spec:
    """A row of R2E-Gym or of its subset. Raises ``BadRow``."""
    given, repo = dict(row), text_field(dict(row), "repo_name")
    repository = repository_of(row)
    expected = {str(test): status for test, status in mapping_of(row, "expected_output_json").items()}
    wrong = [f"{test!r}: {status!r}" for test, status in expected.items() if status not in STATUSES]
    if wrong:
        raise BadRow(f"'expected_output_json' holds {wrong[0]}; allowed: {', '.join(STATUSES)}")
    if not expected:
        raise BadRow("'expected_output_json' is empty; such an instance cannot tell a fix from none")
    try:
        parser = parser_name(repo, optional(row, "log_parser") or "parse_log_r2e")
    except ValueError as error:
        raise BadRow(str(error)) from None
    return Spec(
        format="r2e-gym",
        id=optional(row, "instance_id") or f"{repo}-{text_field(given, 'commit_hash')}",
        repo=repo,
        statement=issue(text_field(given, "problem_statement")),
        image=optional(row, "docker_image") if repository is not None else text_field(given, "docker_image"),
        parser=parser,
        rule="r2e-gym",
        patch=optional(row, "patch") or gold_patch(row),
        expected=expected,
        prepare=_PREPARE,
        command="bash run_tests.sh",
        held=_HIDDEN,
        hidden=(*_HIDDEN, "/r2e_tests"),
        timeout_s=TIMEOUT_S,
        repository=repository,
    )


def issue(text: str) -> str:
    """What stands between [ISSUE] and [/ISSUE]; without them the whole text."""
    inner = text.partition("[ISSUE]")[2].rpartition("[/ISSUE]")[0]
    return inner.strip() or text.strip()


def gold_patch(row: Mapping[str, Any]) -> str:
    """A diff of the Python files that the commit changed, its tests left out; empty where the row does not have the commit."""
    diffs = cast(object, mapping_of(row, "parsed_commit_content", required=False).get("file_diffs", []))
    pieces: list[str] = []
    listed = cast("Sequence[object]", diffs if isinstance(diffs, list) else [])
    for one in listed:
        entry = cast("dict[str, Any]", one) if isinstance(one, dict) else {}
        path = _at(entry, "header", "file", "path")
        old, new = entry.get("old_file_content"), entry.get("new_file_content")
        if isinstance(path, str) and path.endswith(".py") and not _is_test(path) and isinstance(old, str) and isinstance(new, str):
            pieces.append(diff_of(path, old, new))
    return "".join(pieces)


def diff_of(path: str, old: str, new: str) -> str:
    """A unified diff of one file; an empty ``old`` makes it a new file, an empty ``new`` a deleted one."""
    names = (f"a/{path}" if old else "/dev/null", f"b/{path}" if new else "/dev/null")
    head = f"diff --git a/{path} b/{path}\n" + ("" if old else "new file mode 100644\n") + ("" if new else "deleted file mode 100644\n")
    lines = difflib.unified_diff(_ended(old), _ended(new), *names)
    return head + "".join(line if line.endswith("\n") else line + "\n\\ No newline at end of file\n" for line in lines)


def _ended(text: str) -> list[str]:
    """Lines with their line feeds; other characters that end lines elsewhere do not end them in a diff."""
    pieces = text.split("\n")
    return [piece + "\n" for piece in pieces[:-1]] + ([pieces[-1]] if pieces[-1] else [])


def _is_test(path: str) -> bool:
    parts = path.split("/")
    return path.endswith("_test.py") or parts[-1].startswith("test_") or any(p in ("tests", "Tests", "test", "Test") for p in parts)


def _at(value: object, *keys: str) -> object:
    for key in keys:
        value = cast("dict[str, object]", value).get(key) if isinstance(value, dict) else None
    return value
