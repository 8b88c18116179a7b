"""Names, parameters and value types of the calls a syntax knows, and the messages for a call that does not fit."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, fields
from typing import Any

from .actions import BUTTONS, MAX_NAME, MAX_WAIT_MS, MODIFIERS, Action, Unreadable, did_you_mean, shown
from .calls import Call, Value
from .keys import check_keys

REQUIRED: Any = object()
"""The default of a parameter that has none."""


@dataclass(frozen=True, slots=True)
class Kind:
    """How a parameter's type is written, and what makes a value of it (raises ``Unreadable``, saying what is wrong with the value)."""

    written: str
    read: Callable[[Value], Any]


def _text(value: Value) -> str:
    if not isinstance(value, str):
        raise Unreadable(f"is a text in quotes, not {shown(value)}")
    return value


def _id(value: Value) -> str:
    if not isinstance(value, str):
        raise Unreadable(f"is an element's id in quotes, such as '12', not {shown(value)}")
    if not value or len(value) > MAX_NAME or not value.isprintable():
        raise Unreadable(f"is an element's id as the page lists it, not {shown(value)}")
    return value


def _number(value: Value) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise Unreadable(f"is a number, not {shown(value)}")
    return float(value)


def _index(value: Value) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise Unreadable(f"is a whole number from 0, not {shown(value)}")
    return value


def _wait(value: Value) -> float:
    number = _number(value)
    if not 0 <= number <= MAX_WAIT_MS:
        raise Unreadable(f"is from 0 to {MAX_WAIT_MS:.0f} milliseconds, not {shown(value)}")
    return number


def _flag(value: Value) -> bool:
    if not isinstance(value, bool):
        raise Unreadable(f"is True or False, not {shown(value)}")
    return value


def _texts(value: Value) -> tuple[str, ...]:
    items = [value] if isinstance(value, str) else value
    if not isinstance(items, list) or not all(isinstance(item, str) for item in items):
        raise Unreadable(f"is a text in quotes or a list of them, not {shown(value)}")
    return tuple(item for item in items if isinstance(item, str))


def one_of(allowed: Collection[str]) -> Callable[[Value], str]:
    """Takes exactly these texts."""

    def read(value: Value) -> str:
        if not isinstance(value, str) or value not in allowed:
            hint = did_you_mean(value, allowed) if isinstance(value, str) else ""
            raise Unreadable(f"is one of {', '.join(map(repr, allowed))}, not {shown(value)}.{hint}")
        return value

    return read


def _modifiers(value: Value) -> tuple[str, ...]:
    each = one_of(MODIFIERS)
    if not isinstance(value, list):
        raise Unreadable(f"is a list such as ['Shift'], not {shown(value)}")
    return tuple(each(item) for item in value)


def _keys(value: Value) -> str:
    return check_keys(_text(value))


def _key(value: Value) -> str:
    return check_keys(_text(value), most=1)


def _either(words: Collection[str]) -> str:
    return " | ".join(map(repr, words))


TEXT = Kind("str", _text)
ID = Kind("str", _id)
NUMBER = Kind("float", _number)
INDEX = Kind("int", _index)
WAIT = Kind("float", _wait)
FLAG = Kind("bool", _flag)
TEXTS = Kind("str | list[str]", _texts)
BUTTON = Kind(_either(BUTTONS), one_of(BUTTONS))
MODIFIER_LIST = Kind(f"list[{_either(MODIFIERS)}]", _modifiers)
KEYS = Kind("str", _keys)
KEY = Kind("str", _key)


@dataclass(frozen=True, slots=True)
class Parameter:
    """``field`` is the name of the action's field; ``default`` is the field's value where the argument is left out."""

    name: str
    kind: Kind
    field: str
    default: Any = REQUIRED

    def __str__(self) -> str:
        if self.default is REQUIRED:
            return f"{self.name}: {self.kind.written}"
        return f"{self.name}: {self.kind.written} = {'[]' if self.default == () else repr(self.default)}"


@dataclass(frozen=True, slots=True)
class Signature:
    """A call that makes an action of the class ``make``, with ``fixed`` fields besides what the parameters give."""

    name: str
    group: str
    make: type[Action]
    parameters: tuple[Parameter, ...]
    does: str
    fixed: tuple[tuple[str, Any], ...] = ()

    def __str__(self) -> str:
        return f"{self.name}({', '.join(map(str, self.parameters))})"

    def read(self, call: Call) -> Action:
        """The action ``call`` asks for; raises ``Unreadable`` for arguments that do not fit."""
        given = bind(call, [p.name for p in self.parameters])
        values: dict[str, Any] = dict(self.fixed)
        for parameter in self.parameters:
            if parameter.name in given:
                try:
                    values[parameter.field] = parameter.kind.read(given[parameter.name])
                except Unreadable as error:
                    text = str(error)
                    raise Unreadable(f"{parameter.name} {text}" if text.startswith("is ") else f"{parameter.name}: {text}") from error
            elif parameter.default is REQUIRED:
                raise Unreadable(f"{parameter.name} is missing")
        return self.make(**values)

    def writes(self, action: Action) -> bool:
        """Whether ``read`` could have made ``action``: what no parameter sets is as ``fixed``, or as the class has it by default."""
        if not isinstance(action, self.make):
            return False
        named, fixed = {p.field for p in self.parameters}, dict(self.fixed)
        return all(getattr(action, f.name) == fixed.get(f.name, f.default) for f in fields(action) if f.name not in named)


def bind(call: Call, names: list[str]) -> Mapping[str, Value]:
    """The arguments of ``call`` by name, in the order of ``names``; raises ``Unreadable`` for too many, unknown and doubled ones."""
    if len(call.args) > len(names):
        raise Unreadable(f"arguments without a name: {len(call.args)} given, at most {len(names)} taken")
    given = dict(zip(names, call.args, strict=False))
    for name, value in call.kwargs.items():
        if name not in names:
            raise Unreadable(f"there is no argument {shown(name)}.{did_you_mean(name, names)}")
        if name in given:
            raise Unreadable(f"{name} is given twice")
        given[name] = value
    return given
