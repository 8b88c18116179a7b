"""How an agent writes tool calls, and how it is told what came of them. Parsing is total: any text gives a ``Said``.

    Hermes().parse(message).calls      # (ToolCall(id="0", name="find", arguments='{"q": 1}'),)

Structured calls of the message itself (native tool calls of a chat endpoint) come before anything in its text, in every dialect.
"""

from __future__ import annotations

import ast
import json
import re
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, cast

from ...records import Json, Message, Observation, ToolCall
from .tool import ToolResult, ToolSpec

MAX_CALLS = 32
"""Calls of one message that are looked at."""
_MAX_TEXT = 200_000
_XML_CALL = re.compile(r"<function=([^<>\s]{1,200})>((?:(?!<function=).)*?)</function>", re.DOTALL)
_XML_PARAMETER = re.compile(r"<parameter=([^<>\s]{1,200})>((?:(?!<parameter=).)*?)</parameter>", re.DOTALL)


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """One assistant message: the calls it makes, the text besides, and what could not be read (``problem``, for the agent)."""

    calls: tuple[ToolCall, ...] = ()
    text: str = ""
    problem: str = ""
    native: bool = False
    """The calls came as structured calls of the message."""
    formatted: bool = True
    """The calls are written exactly as the dialect asks; False also where they could be made out all the same."""


class ToolDialect(Protocol):
    """``instructions`` go into the system message; ``write`` writes what ``parse`` reads."""

    def instructions(self, specs: Sequence[ToolSpec]) -> str: ...

    def parse(self, message: Message) -> Said: ...

    def write(self, calls: Sequence[tuple[str, Mapping[str, Any]]], text: str = "") -> str: ...


def answer(said: Said, results: Sequence[ToolResult]) -> Observation:
    """What the agent is told of its calls: a tool message for each native call; for calls written as text one user message with a
    ``<tool_response>`` block for each, as chat endpoints refuse tool messages that answer no native call."""
    pairs = list(zip(said.calls, results, strict=True))
    if said.native:
        return tuple(Message(role="tool", content=result.text, tool_call_id=call.id) for call, result in pairs)
    return (Message(role="user", content="\n".join(f"<tool_response>\n{result.text}\n</tool_response>" for _, result in pairs)),)


class _Text(ABC):
    """What all dialects share: native calls first, then ``_read`` of the text."""

    def parse(self, message: Message) -> Said:
        if message.tool_calls:
            return Said(calls=message.tool_calls[:MAX_CALLS], text=message.text, native=True)
        if len(message.text) > _MAX_TEXT:
            return Said(
                text=message.text, problem=f"The message has {len(message.text)} characters; the most is {_MAX_TEXT}.", formatted=False
            )
        said = self._read(message.text)
        if len(said.calls) > MAX_CALLS:
            return Said(text=said.text, problem=f"{len(said.calls)} calls in one message; the most is {MAX_CALLS}.", formatted=False)
        return said

    @abstractmethod
    def _read(self, text: str) -> Said: ...


class Hermes(_Text):
    """``<tool_call>{"name": ..., "arguments": {...}}</tool_call>``, one block per call; text outside the blocks is for the user.

    Nous Research's Hermes format, which Qwen's chat templates use.
    """

    def instructions(self, specs: Sequence[ToolSpec]) -> str:
        return (
            "# Tools\n\nYou may call these functions; their signatures are within <tools></tools>:\n<tools>\n"
            + "\n".join(json.dumps(spec.openai(), ensure_ascii=False) for spec in specs)
            + '\n</tools>\n\nTo call one, write <tool_call>\n{"name": "...", "arguments": {...}}\n</tool_call>. '
            "Several calls: several blocks. A message without a call goes to the user."
        )

    def write(self, calls: Sequence[tuple[str, Mapping[str, Any]]], text: str = "") -> str:
        blocks = [f"<tool_call>\n{json.dumps({'name': n, 'arguments': dict(a)}, ensure_ascii=False)}\n</tool_call>" for n, a in calls]
        return "\n".join([text, *blocks] if text else blocks)

    def _read(self, text: str) -> Said:
        outside, calls, problem = list[str](), list[ToolCall](), ""
        rest = text
        while (start := rest.find("<tool_call>")) >= 0:
            outside.append(rest[:start])
            end = rest.find("</tool_call>", start)
            if end < 0:
                return Said(text=text, problem="<tool_call> is not closed by </tool_call>.", formatted=False)
            found = _json_call(rest[start + len("<tool_call>") : end], len(calls))
            if isinstance(found, str):
                problem = problem or found
            else:
                calls.append(found)
            rest = rest[end + len("</tool_call>") :]
        outside.append(rest)
        left = "".join(outside).strip()
        if problem:
            return Said(text=left, problem=problem, formatted=False)
        return Said(calls=tuple(calls), text=left)


class JsonCalls(_Text):
    """The whole message is one JSON object {"name", "arguments"}, a list of them, or one a line (ToolRL's rows say "parameters")."""

    def instructions(self, specs: Sequence[ToolSpec]) -> str:
        listed = "\n".join(json.dumps(spec.openai()["function"], ensure_ascii=False) for spec in specs)
        return (
            f"You may call these functions:\n{listed}\n\nTo call, reply with nothing but a JSON object "
            '{"name": "...", "arguments": {...}}, or a list of such objects for several calls. Any other message goes to the user.'
        )

    def write(self, calls: Sequence[tuple[str, Mapping[str, Any]]], text: str = "") -> str:
        if not calls:
            return text
        made = [{"name": n, "arguments": dict(a)} for n, a in calls]
        return json.dumps(made[0] if len(made) == 1 else made, ensure_ascii=False)

    def _read(self, text: str) -> Said:
        stripped = text.strip()
        if not stripped.startswith(("{", "[")):
            return Said(text=stripped)
        value = _load(stripped)
        if value is None:
            lines = [_load(line) for line in stripped.splitlines() if line.strip()]
            if not all(isinstance(line, dict) for line in lines):
                return Said(text=stripped, problem="That is not JSON.", formatted=False)
            value = lines
        items = cast("list[object]", value) if isinstance(value, list) else [value]
        calls: list[ToolCall] = []
        for item in items:
            found = _call_of(item, len(calls))
            if isinstance(found, str):
                return Said(text=stripped, problem=found, formatted=False)
            calls.append(found)
        return Said(calls=tuple(calls))


class PythonCalls(_Text):
    """``[find(q="x"), book(id=7)]``, as in the Berkeley Function Calling Leaderboard; values are Python literals, arguments are named."""

    def instructions(self, specs: Sequence[ToolSpec]) -> str:
        listed = "\n".join(json.dumps(spec.openai()["function"], ensure_ascii=False) for spec in specs)
        return (
            f"You may call these functions:\n{listed}\n\nTo call, reply with nothing but a list of calls: "
            "[function(parameter=value, ...), ...]. Any other message goes to the user."
        )

    def write(self, calls: Sequence[tuple[str, Mapping[str, Any]]], text: str = "") -> str:
        if not calls:
            return text
        return "[" + ", ".join(f"{n}({', '.join(f'{k}={v!r}' for k, v in a.items())})" for n, a in calls) + "]"

    def _read(self, text: str) -> Said:
        stripped = text.strip()
        bare = not stripped.startswith("[")
        if bare and not re.match(r"[A-Za-z_][\w.]{0,200}\(", stripped):
            return Said(text=stripped)
        try:
            body = ast.parse(stripped, mode="eval").body
        except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
            return Said(text=stripped, problem=f"That is not a list of calls ({type(error).__name__}).", formatted=False)
        nodes = body.elts if isinstance(body, ast.List | ast.Tuple) else [body]
        calls: list[ToolCall] = []
        for node in nodes:
            found = _python_call(node, len(calls))
            if isinstance(found, str):
                return Said(text=stripped, problem=found, formatted=False)
            calls.append(found)
        return Said(calls=tuple(calls), formatted=not bare)


class Xml(_Text):
    """``<function=find><parameter=q>x</parameter></function>``, as Qwen3-Coder writes. Parameters that are declared as text are taken
    as they are, all others are read as JSON; so this dialect needs the tools' ``specs``."""

    def __init__(self, specs: Sequence[ToolSpec] = ()) -> None:
        properties = {s.name: cast("dict[str, dict[str, Json]]", s.parameters.get("properties", {})) for s in specs}
        self._texts = {name: {p for p, schema in found.items() if schema.get("type") == "string"} for name, found in properties.items()}

    def instructions(self, specs: Sequence[ToolSpec]) -> str:
        listed = "\n".join(json.dumps(spec.openai()["function"], ensure_ascii=False) for spec in specs)
        return (
            f"You may call these functions:\n{listed}\n\nTo call one, write <function=NAME><parameter=NAME>value</parameter></function>, "
            "several times for several calls. A message without a call goes to the user."
        )

    def write(self, calls: Sequence[tuple[str, Mapping[str, Any]]], text: str = "") -> str:
        blocks = [
            f"<function={name}>"
            + "".join(f"<parameter={k}>{v if isinstance(v, str) else json.dumps(v)}</parameter>" for k, v in arguments.items())
            + "</function>"
            for name, arguments in calls
        ]
        return "\n".join([text, *blocks] if text else blocks)

    def _read(self, text: str) -> Said:
        calls: list[ToolCall] = []
        for name, inside in _XML_CALL.findall(text):
            arguments = {key: self._value(name, key, value) for key, value in _XML_PARAMETER.findall(inside)}
            calls.append(ToolCall(id=str(len(calls)), name=name, arguments=json.dumps(arguments)))
        left = _XML_CALL.sub("", text).strip()
        if "<function=" in left:
            return Said(text=left, problem="<function=...> is not closed by </function>.", formatted=False)
        return Said(calls=tuple(calls), text=left)

    def _value(self, name: str, key: str, text: str) -> Any:
        if key in self._texts.get(name, ()):
            return text
        value = _load(text.strip())
        return text if value is None and text.strip() != "null" else value


def _load(text: str) -> Any:
    """The JSON value, or None."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


def _json_call(text: str, number: int) -> ToolCall | str:
    value = _load(text)
    return "The call is not one JSON object." if value is None else _call_of(value, number)


def _call_of(value: object, number: int) -> ToolCall | str:
    """A call from its JSON value, or what is wrong with it."""
    if not isinstance(value, dict):
        return "A call is a JSON object with name and arguments."
    given = cast("dict[str, Any]", value)
    name, arguments = given.get("name"), given.get("arguments", given.get("parameters", {}))
    if not isinstance(name, str) or not name:
        return 'A call needs the text "name".'
    if isinstance(arguments, str):
        arguments = _load(arguments)
    if not isinstance(arguments, dict):
        return 'A call needs the object "arguments".'
    return ToolCall(id=str(number), name=name, arguments=json.dumps(arguments))


def _dotted(node: ast.expr) -> str | None:
    """``a.b.c`` as text, or None for anything else; without recursion, as chains may be long."""
    parts: list[str] = []
    while isinstance(node, ast.Attribute):
        parts.append(node.attr)
        node = node.value
    return ".".join([node.id, *reversed(parts)]) if isinstance(node, ast.Name) else None


def _python_call(node: ast.expr, number: int) -> ToolCall | str:
    if not isinstance(node, ast.Call):
        return "Every item of the list is a call, function(parameter=value)."
    name = _dotted(node.func)
    if name is None:
        return "A function is called by its name."
    if node.args or any(k.arg is None for k in node.keywords):
        return f"Name every argument of {name}: {name}(parameter=value)."
    try:
        arguments = {str(k.arg): ast.literal_eval(k.value) for k in node.keywords}
        return ToolCall(id=str(number), name=name, arguments=json.dumps(arguments))
    except (ValueError, TypeError, SyntaxError, RecursionError, MemoryError):
        return f"The arguments of {name} are plain values: texts, numbers, True, False, None, lists, dicts."


DIALECTS: dict[str, type[Hermes] | type[JsonCalls] | type[PythonCalls] | type[Xml]] = {
    "hermes": Hermes,
    "json": JsonCalls,
    "python": PythonCalls,
    "xml": Xml,
}
