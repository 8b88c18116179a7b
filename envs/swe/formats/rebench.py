"""SWE-rebench V1 (SWE-bench's fields and rules) and V2 (20 languages, literal PASSED).

Facts: V1: rows bring ``docker_image`` and ``install_config {test_cmd, log_parser, ...}``. V2: scripts/eval.py of SWE-rebench-V2 (commit
dd8b58f3): work folder ``/<repository>``, patches applied with ``--recount --ignore-space-change``, installation not repeated, 900 s.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, cast

from ...search.rows import BadRow
from .parsers import parser_name
from .spec import Spec, both_lists, diff_field, mapping_of, optional, project_of, repository_of, text_field
from .swebench import like_swebench

FIELDS = (
    *("instance_id", "repo", "base_commit", "patch", "test_patch", "problem_statement", "version", "FAIL_TO_PASS", "PASS_TO_PASS"),
    *("docker_image", "image_name", "install_config", "repository", "log_parser", "test_cmd", "eval_script"),
)
V2_TIMEOUT_S = 900.0


def image_name(id: str) -> str:
    """``swerebench/sweb.eval.x86_64.<id in lower case, "__" as "_1776_">:latest``."""
    return f"swerebench/sweb.eval.x86_64.{id.lower().replace('__', '_1776_')}:latest"


def read(row: Mapping[str, Any]) -> Spec:
    """A row of SWE-rebench (V1). Raises ``BadRow``."""
    config = mapping_of(row, "install_config", required=False)
    commands = _commands(config, required=False)
    given = {
        **row,
        "log_parser": optional(row, "log_parser") or optional(config, "log_parser"),
        "test_cmd": optional(row, "test_cmd") or " && ".join(commands),
    }
    return like_swebench(given, format="swe-rebench", image=image_name, rule="swe-bench")


def read_v2(row: Mapping[str, Any]) -> Spec:
    """A row of SWE-rebench V2. Raises ``BadRow``."""
    given, repo, repository = dict(row), project_of(row), repository_of(row)
    config = mapping_of(row, "install_config")
    first, second = both_lists(row)
    try:
        parser = parser_name("", text_field(config, "log_parser"))
    except ValueError as error:
        raise BadRow(str(error)) from None
    return Spec(
        format="swe-rebench-v2",
        id=text_field(given, "instance_id"),
        repo=repo,
        statement=text_field(given, "problem_statement"),
        image=optional(row, "image_name") if repository is not None else text_field(given, "image_name"),
        parser=parser,
        rule="swe-rebench-v2",
        work=f"/{repo.split('/')[1]}",
        base_commit=text_field(given, "base_commit"),
        patch=diff_field(row, "patch"),
        test_patch=diff_field(row, "test_patch"),
        fail_to_pass=first,
        pass_to_pass=second,
        command="\n".join(_commands(config, required=True)),
        chain="swe-rebench-v2",
        timeout_s=V2_TIMEOUT_S,
        repository=repository,
    )


def _commands(config: Mapping[str, Any], *, required: bool) -> list[str]:
    """``test_cmd``: a text or a list of texts."""
    value: object = config.get("test_cmd")
    items = cast("Sequence[object]", [value] if isinstance(value, str) else value if isinstance(value, list | tuple) else [])
    found = [item for item in items if isinstance(item, str) and item.strip()]
    if required and not found:
        raise BadRow("'install_config' has no 'test_cmd', a text or a list of texts")
    return found
