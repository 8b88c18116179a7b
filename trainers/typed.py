"""What a person types in ``turnwise play``: tool calls as on a command line, or any text as it stands.

view src/a.py 10 20                 # arguments in order, or name=value
bash grep -rn "def push" src        # a tool with one text takes the rest of the line as it is
edit src/a.py 3 4 <<END             # the last argument in lines of its own, up to END
"""

from __future__ import annotations

import difflib
import json
import shlex
from collections.abc import Callable, Mapping, Sequence
from typing import Any, cast

from ..envs.base import ActionLike
from ..envs.tools.tool import ToolSpec
from ..records import Message, ToolCall


def usage(tools: Sequence[ToolSpec]) -> str:
    """How each tool is called."""
    lines = [f"  {tool.name}{''.join(f' {name}' if needed else f' [{name}]' for name, needed in _names(tool))}" for tool in tools]
    return "\n".join(["Type a call:", *lines, "A text of several lines: end the call with <<END, then the lines, then END."])


def read_action(tools: Sequence[ToolSpec], ask: Callable[[str], str], tell: Callable[[str], None]) -> ActionLike:
    """The next action. ``ask(prompt)`` gives a line; ``tell`` says what is wrong with a call, and it is asked again.

    A line that begins with a space, or with no tool's name, is a message as it stands.
    """
    by_name = {tool.name: tool for tool in tools}
    while True:
        line = ask("you")
        name, _, rest = line.partition(" ")
        if name not in by_name:
            close = difflib.get_close_matches(name, by_name, 1, cutoff=0.75)
            if not close:
                return line
            tell(f"There is no {name}; did you mean {close[0]}? (To say it as a message, begin with a space.)")
            continue
        try:
            arguments = _arguments(by_name[name], rest.strip(), ask)
        except ValueError as error:
            tell(f"{error}. The call is: {usage([by_name[name]]).splitlines()[1].strip()}")
            continue
        return Message(role="assistant", tool_calls=(ToolCall(id="0", name=name, arguments=json.dumps(arguments)),))


def _names(tool: ToolSpec) -> list[tuple[str, bool]]:
    required = cast("list[str]", tool.parameters.get("required", []))
    return [(name, name in required) for name in _schemas(tool)]


def _schemas(tool: ToolSpec) -> Mapping[str, dict[str, Any]]:
    return cast("Mapping[str, dict[str, Any]]", tool.parameters.get("properties", {}))


def _arguments(tool: ToolSpec, rest: str, ask: Callable[[str], str]) -> dict[str, Any]:
    """The arguments of a call. Raises ``ValueError`` for what they cannot be."""
    schemas = _schemas(tool)
    body: str | None = None
    head, mark, word = rest.rpartition("<<")
    if mark and (word := word.strip("'\"")).isidentifier():
        lines: list[str] = []
        while (line := ask("...")).strip() != word:
            lines.append(f"{line}\n")
        body = "".join(lines)
    if [schema.get("type") for schema in schemas.values()] == ["string"]:
        name = next(iter(schemas))
        if body is not None:
            return {name: f"{rest}\n{body}{word}" if head.strip() else body}  # the shell's own <<
        return {name: rest} if rest else {}
    rest = rest if body is None else head
    found: dict[str, Any] = {}
    free = list(schemas)
    for item in shlex.split(rest):
        key, equals, value = item.partition("=")
        if equals and key in free:
            free.remove(key)
        elif free:
            key, value = free.pop(0), item
        else:
            raise ValueError(f"{item!r} is one argument too many")
        found[key] = _value(key, value, schemas[key])
    if body is not None:
        if not free:
            raise ValueError("all arguments are given; there is none for the lines below the call")
        last = free[-1] if schemas[free[-1]].get("type") == "string" and "default" not in schemas[free[-1]] else free[0]
        found[last] = body
    return found


def _value(name: str, text: str, schema: Mapping[str, Any]) -> Any:
    if schema.get("type") in (None, "string"):
        return text
    try:
        return json.loads(text)
    except ValueError:
        raise ValueError(f"{name} is {text!r}; it must be of type {schema['type']}") from None
