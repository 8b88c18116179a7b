"""JSON that an agent wrote, read so that whatever comes later (comparing, sending, hashing) cannot break on it."""

from __future__ import annotations

import json
from typing import Any, cast

MAX_CHARS = 100_000
MAX_DEPTH = 50


def read_json(text: str) -> Any:
    """The JSON value. Half surrogate pairs become "?". Raises ``ValueError`` for anything else than JSON, NaN and infinities, more than
    ``MAX_CHARS`` characters and values nested more than ``MAX_DEPTH`` deep."""
    if len(text) > MAX_CHARS:
        raise ValueError(f"{len(text)} characters, more than {MAX_CHARS}")
    try:
        value = json.loads(text, parse_constant=_no_constant)
        value = json.loads(json.dumps(value, ensure_ascii=False, allow_nan=False).encode("utf-8", "replace"))
    except RecursionError as error:
        raise ValueError(f"nested more than {MAX_DEPTH} deep") from error
    if _depth(value) > MAX_DEPTH:
        raise ValueError(f"nested more than {MAX_DEPTH} deep")
    return value


def _no_constant(name: str) -> float:
    raise ValueError(f"{name} is no JSON value")


def _depth(value: object) -> int:
    depth, level = 0, [value]
    while level:
        depth += 1
        children: list[object] = []
        for item in level:
            if isinstance(item, dict):
                children += cast("dict[str, object]", item).values()
            elif isinstance(item, list):
                children += cast("list[object]", item)
        level = children
    return depth
