"""GTPO's code similarity by what a recipe can write: names and import paths in place of functions.

rubric: {code_similarity: {weight: 1.0, alpha: 0.5, similarity: tokens, code_of: "turnwise.envs.code.env:code_of"}}
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any

from ..envs.tools.dialects import Hermes
from ..records import Message, Trajectory
from ..rewards.code import CodeSimilarity, token_similarity

_BLOCK = re.compile(r"^[ \t]*```[^\n`]*\n(.*?)^[ \t]*```[ \t]*$", re.MULTILINE | re.DOTALL)


def written(trajectory: Trajectory) -> str:
    """All code of an episode, in order: fenced blocks, and the arguments of calls, native or as ``<tool_call>``. "" where there is none."""
    return "\n".join(code for turn in trajectory.turns for code in _code(turn.action))


def _code(action: Message) -> list[str]:
    calls = Hermes().parse(action).calls
    return [text for call in calls for text in _arguments(call.arguments)] + [found[1] for found in _BLOCK.finditer(action.text)]


def _arguments(text: str) -> list[str]:
    """The values of a call's arguments; the text as it is where it cannot be read."""
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return [text]
    values = list(value.values()) if isinstance(value, dict) else [value]
    return [item if isinstance(item, str) else json.dumps(item, sort_keys=True) for item in values]


SIMILARITIES: Mapping[str, Callable[..., Any]] = {"tokens": token_similarity}
CODES: Mapping[str, Callable[..., Any]] = {"written": written}


def code_similarity(
    *, alpha: float = 0.5, similarity: str = "tokens", code_of: str = "written", name: str = "code_similarity"
) -> CodeSimilarity:
    """The ``RewardFn``: failed episodes get alpha times the mean similarity of their code to that of the group's successes.

    ``similarity`` "tokens": cosine of token counts, which needs no model and is not the paper's (GTPO, arXiv 2511.14846, embeds with a
    hosted one); else "module:function" of texts [F] and [P] to numbers [F][P]. ``code_of`` "written", or "module:function" of a trajectory.

    It is a reward of the rubric and no modifier of credit, because what it adds is then recorded with the episode, as a component of its
    outcome. Raises ``ValueError`` for a path that names no function.
    """
    code, alike = _named(code_of, CODES, "code_of"), _named(similarity, SIMILARITIES, "similarity")
    return CodeSimilarity(code, alpha=alpha, similarity=alike, name=name)


def _named(given: str, known: Mapping[str, Callable[..., Any]], what: str) -> Callable[..., Any]:
    if given in known:
        return known[given]
    module, _, attribute = given.partition(":")
    try:
        found = getattr(import_module(module), attribute) if module and attribute else None
    except (ImportError, AttributeError) as error:
        raise ValueError(f"rubric: code_similarity's {what} is {given!r}, which cannot be imported ({error})") from error
    if not callable(found):
        raise ValueError(f"rubric: code_similarity's {what} is {given!r}; allowed: {', '.join(known)}, or 'package.module:function'")
    return found
