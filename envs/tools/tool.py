"""Typed Python functions as tools: a JSON schema from signature and docstring, validated calls, errors an agent can act on.

@tool
def find_order(self, order_id: str) -> dict: ...
box = Toolbox(world);  box.schemas;  box.call("find_order", {"order_id": "W1"}).text
"""

from __future__ import annotations

import difflib
import inspect
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Literal, Protocol, TypeAlias, TypeVar, cast, get_type_hints, runtime_checkable

import docstring_parser
from pydantic import BaseModel, ConfigDict, Field, ValidationError, create_model

from ...records import Json, ToolCall

Function = TypeVar("Function", bound=Callable[..., Any])
Failure: TypeAlias = Literal["unknown_tool", "invalid_arguments", "refused"]
MAX_RESULT_CHARS = 20_000
"""Longer results are cut, and say so."""
_MARK = "_turnwise_tool"
_MAX_ARGUMENT_CHARS = 100_000
_MAX_SHOWN = 80


class ToolError(Exception):
    """A tool cannot do what was asked; the text is what the agent sees. Anything else a tool raises is the environment's fault."""


def tool(function: Function) -> Function:
    """Mark a method as a tool. Every parameter needs a type; the docstring's ``Args:`` describe them.

    Raises ``TypeError`` for a parameter without a type, or one that takes any number of arguments.
    """
    _check_signature(function)
    setattr(function, _MARK, True)
    return function


def _check_signature(function: Callable[..., Any]) -> None:
    for parameter in _parameters(function):
        if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
            raise TypeError(f"tool {function.__name__}: parameter *{parameter.name} takes any arguments; name each of them")
        if parameter.annotation is inspect.Parameter.empty:
            raise TypeError(f"tool {function.__name__}: parameter {parameter.name} has no type; annotate it")


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolSpec:
    """What a model is told about a tool. ``parameters`` is a JSON schema of type object."""

    name: str
    description: str
    parameters: dict[str, Json]

    def openai(self) -> dict[str, Json]:
        """The form of the chat API's ``tools``."""
        function: dict[str, Json] = {"name": self.name, "description": self.description, "parameters": self.parameters}
        return {"type": "function", "function": function}


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolResult:
    """What came of a call. ``text`` goes to the agent; ``failure`` None: the tool ran."""

    text: str
    value: Any = None
    failure: Failure | None = None

    @property
    def ok(self) -> bool:
        return self.failure is None


@runtime_checkable
class Tools(Protocol):
    """Tools from anywhere: what there is, and how a call is run. ``Toolbox`` makes them of Python functions."""

    @property
    def specs(self) -> tuple[ToolSpec, ...]: ...

    def run(self, call: ToolCall) -> ToolResult:
        """What came of the call. What is wrong with a call is a ``ToolResult``; what is raised is the environment's fault."""
        ...


@dataclass(frozen=True, slots=True)
class _Described:
    spec: ToolSpec
    model: type[BaseModel]


class Toolbox:
    """The tools of an object (its methods marked with ``tool``), or of a list of functions.

    Raises ``ValueError`` when there is no tool, or two have one name.
    """

    def __init__(self, source: object) -> None:
        self._tools: dict[str, tuple[_Described, Callable[..., Any]]] = {}
        for function in _functions(source):
            described = _describe(getattr(function, "__func__", function))
            if described.spec.name in self._tools:
                raise ValueError(f"two tools are called {described.spec.name!r}; rename one")
            self._tools[described.spec.name] = (described, function)
        if not self._tools:
            raise ValueError(f"{type(source).__name__} has no tools; mark its methods with @tool")

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(self._tools)

    @property
    def specs(self) -> tuple[ToolSpec, ...]:
        return tuple(described.spec for described, _ in self._tools.values())

    @property
    def schemas(self) -> list[dict[str, Json]]:
        """For the chat API's ``tools``."""
        return [spec.openai() for spec in self.specs]

    def call(self, name: str, arguments: Mapping[str, Any] | str) -> ToolResult:
        """Run a tool. ``arguments``: a mapping of JSON values, or JSON text. What is wrong with a call is a ``ToolResult``, never
        raised; an exception that is no ``ToolError`` comes from the tool itself and is raised."""
        found = self._tools.get(name)
        if found is None:
            return no_such_tool(name, self._tools)
        described, function = found
        checked = _check(described, arguments)
        if isinstance(checked, ToolResult):
            return checked
        try:
            value = function(**checked)
        except ToolError as error:
            return ToolResult(text=f"Error: {error}", failure="refused")
        return ToolResult(text=render(value), value=value)

    def run(self, call: ToolCall) -> ToolResult:
        """``call`` with the fields of a message's tool call."""
        return self.call(call.name, call.arguments)


def no_such_tool(name: str, tools: Iterable[str]) -> ToolResult:
    """The answer to a call of a tool that there is not."""
    known = list(tools)
    close = difflib.get_close_matches(name[:200], known, 1)
    hint = f" Did you mean {close[0]!r}?" if close else ""
    text = f"Error: there is no tool {name[:_MAX_SHOWN]!r}.{hint} The tools are: {', '.join(known)}."
    return ToolResult(text=text, failure="unknown_tool")


def render(value: Any) -> str:
    """A result as the agent reads it: text as it is, nothing as "done", everything else as JSON; cut at ``MAX_RESULT_CHARS``."""
    text = "done" if value is None else value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)
    if len(text) <= MAX_RESULT_CHARS:
        return text
    return f"{text[:MAX_RESULT_CHARS]}\n[cut: {len(text) - MAX_RESULT_CHARS} of {len(text)} characters left out]"


def _functions(source: object) -> Sequence[Callable[..., Any]]:
    if isinstance(source, Sequence):
        functions = cast("Sequence[Callable[..., Any]]", source)
        for function in functions:
            _check_signature(function)
        return functions
    return [getattr(source, name) for name in _marked(type(source))]


@lru_cache(maxsize=256)
def _marked(kind: type) -> tuple[str, ...]:
    """Names of a class's tools, in the order they were written."""
    names = {n for n, member in inspect.getmembers_static(kind) if getattr(member, _MARK, False)}
    return tuple(dict.fromkeys(n for cls in reversed(kind.__mro__) for n in vars(cls) if n in names))


def _parameters(function: Callable[..., Any]) -> list[inspect.Parameter]:
    return [p for p in inspect.signature(function).parameters.values() if p.name != "self"]


@lru_cache(maxsize=1024)
def _describe(function: Callable[..., Any]) -> _Described:
    """Schema and validator of a function, made once."""
    doc = docstring_parser.parse(inspect.getdoc(function) or "")
    about = {p.arg_name: p.description for p in doc.params}
    hints = get_type_hints(function)
    fields: dict[str, Any] = {}
    for p in _parameters(function):
        default = ... if p.default is p.empty else p.default
        fields[p.name] = (hints[p.name], Field(default, description=about.get(p.name)))
    config = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False)
    model = create_model(function.__name__, __config__=config, **fields)
    schema = without_titles(model.model_json_schema())
    schema.setdefault("properties", {})
    description = "\n\n".join(part for part in (doc.short_description, doc.long_description) if part)
    return _Described(ToolSpec(name=function.__name__, description=description, parameters=schema), model)


def without_titles(schema: Any) -> Any:
    """Pydantic's titles repeat the names; a property that is itself called "title" stays."""
    if isinstance(schema, list):
        return [without_titles(item) for item in cast("list[Any]", schema)]
    if not isinstance(schema, dict):
        return schema
    given = cast("dict[str, Any]", schema)
    return {
        k: {name: without_titles(v) for name, v in value.items()} if k in ("properties", "$defs") else without_titles(value)
        for k, value in given.items()
        if k != "title" or not isinstance(value, str)
    }


def _check(described: _Described, arguments: Mapping[str, Any] | str) -> dict[str, Any] | ToolResult:
    """The validated arguments, as Python values, or what is wrong with them."""
    try:
        text = arguments if isinstance(arguments, str) else json.dumps(arguments)
        if len(text) > _MAX_ARGUMENT_CHARS:
            return _invalid(described, f"they are {len(text)} characters long, more than {_MAX_ARGUMENT_CHARS}")
        checked = described.model.model_validate_json(text.encode("utf-8", "replace") or b"{}", strict=True)
    except ValidationError as error:
        problems = [_problem(e) for e in error.errors(include_url=False, include_context=False)[:5]]
        return _invalid(described, "; ".join(problems))
    except (TypeError, ValueError, RecursionError) as error:
        return _invalid(described, f"they are not JSON ({error})")
    return {field: getattr(checked, field) for field in described.model.model_fields}


def _problem(error: Any) -> str:
    where = ".".join(str(part)[:_MAX_SHOWN] for part in error["loc"]) or "the arguments"
    if error["type"] == "missing":
        return f"{where} is missing"
    if error["type"] == "extra_forbidden":
        return f"{where} is not a parameter"
    if error["type"] == "json_invalid":
        return f"they are not JSON ({error['msg']})"
    seen = repr(error["input"])
    return f"{where}: {error['msg']} (seen: {seen[:_MAX_SHOWN]}{'…' if len(seen) > _MAX_SHOWN else ''})"


def _invalid(described: _Described, reason: str) -> ToolResult:
    properties = cast("dict[str, dict[str, Any]]", described.spec.parameters["properties"])
    required = cast("list[str]", described.spec.parameters.get("required", []))
    usage = ", ".join(n + ("" if n in required else "?") + f": {p.get('type', 'any')}" for n, p in properties.items())
    text = f"Error: wrong arguments for {described.spec.name}: {reason}. Parameters: {usage or 'none'}."
    return ToolResult(text=text, failure="invalid_arguments")
