"""Calls in Python's notation, found in any text and read without ever running or compiling it: ``click('12', button="right")``.

Values are texts, numbers, True, False, None, and flat lists or tuples of them. Each character is looked at a bounded number of times,
nesting deeper than a list is refused, and no number is computed, so any text is read in bounded time and space.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

from .actions import MAX_ITEMS, MAX_NUMBER, Unreadable, check_text, shown

Scalar: TypeAlias = str | int | float | bool | None
Value: TypeAlias = "Scalar | list[Scalar]"

_MAX_FOUND = 256
_MAX_FAILED = 100
_MAX_SOURCE = 80
_CONSTANTS: dict[str, Scalar] = {"True": True, "False": False, "None": None}
_NAME = re.compile(r"(?<![\w.])[A-Za-z_]\w{0,60}\(", re.ASCII)
_TOKEN = re.compile(
    r"""(?P<space>\s+)
    | (?P<long>'''(?:[^'\\]++|\\.|'(?!''))*+'''|\"\"\"(?:[^"\\]++|\\.|"(?!""))*+\"\"\")
    | (?P<text>'(?:[^'\\]++|\\.)*+'|"(?:[^"\\]++|\\.)*+")
    | (?P<number>[+-]?(?:\d++\.?\d*+|\.\d++)(?:[eE][+-]?\d++)?)
    | (?P<name>[A-Za-z_]\w*+)
    | (?P<mark>[()\[\],=])""",
    re.VERBOSE | re.DOTALL | re.ASCII,
)
_ESCAPE = re.compile(r"\\(?:([\\'\"abfnrtv\n])|x([0-9a-fA-F]{2})|u([0-9a-fA-F]{4})|U([0-9a-fA-F]{8})|([0-7]{1,3}))")
_SIMPLE = {"a": "\a", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v", "\n": "", "\\": "\\", "'": "'", '"': '"'}
_BEFORE = re.compile(
    r"\s*(?:[-*>]{1,3}\s+|\d{1,3}[.)]\s+)?(?:\**action\s*\d{0,3}\**:\**\s*)?(?:<action>\s*)?[`\s\[]*", re.IGNORECASE | re.ASCII
)
_BETWEEN = re.compile(r"[\s;,`]*", re.ASCII)
_FENCE = re.compile(r"^[ \t]*```[\w+-]{0,20}[ \t]*\r?$", re.MULTILINE | re.ASCII)
_TAG = re.compile(r"^[ \t]*<action>", re.MULTILINE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """A call at ``text[start:end]``, ``source`` its first characters. ``leads``: it begins its line, or follows a call that does.
    ``problem``: why it cannot be read."""

    name: str
    source: str = ""
    args: tuple[Value, ...] = ()
    kwargs: Mapping[str, Value] = field(default_factory=dict[str, Value])
    start: int = 0
    end: int = 0
    leads: bool = False
    problem: str = ""


def action_part(text: str) -> tuple[str, str]:
    """The text before the actions, and where to look for them: the last fenced block or <action> block that begins a line, else all.

    ``action_part("I see.\\n```\\nclick('1')\\n```")`` is ``("I see.\\n", "click('1')\\n")``.
    """
    fences = list(_FENCE.finditer(text))
    opening, closing = None, len(text)
    if fences:
        if not text[fences[-1].end() :].strip() and len(fences) > 1:
            opening, closing = fences[-2], fences[-1].start()
        elif len(fences) % 2:
            opening = fences[-1]
        else:
            opening, closing = fences[-2], fences[-1].start()
    tags = list(_TAG.finditer(text))
    if tags and (opening is None or tags[-1].start() > opening.start()):
        opening = tags[-1]
        end = text.rfind("</action>", opening.end())
        closing = len(text) if end < 0 else end
    return ("", text) if opening is None else (text[: opening.start()], text[opening.end() : closing])


def choose(calls: list[Call], known: Collection[str]) -> list[Call]:
    """The calls that are meant: those that lead their line if any of these is known; else all known ones; else all."""
    leading = [call for call in calls if call.leads]
    if any(call.name in known for call in leading):
        return leading
    return [call for call in calls if call.name in known] or calls


def find_calls(text: str, known: Collection[str]) -> list[Call]:
    """All calls in ``text``, in order. What looks like one but has no plain arguments is left out unless its name is ``known``."""
    found: list[Call] = []
    position, failed = 0, 0
    while len(found) < _MAX_FOUND and failed < _MAX_FAILED:
        match = _NAME.search(text, position)
        if match is None:
            break
        name, start = match[0][:-1], match.start()
        line = text.rfind("\n", 0, start) + 1
        previous = found[-1] if found else None
        if previous is not None and line <= previous.end:
            leads = previous.leads and _BETWEEN.fullmatch(text, previous.end, start) is not None
        else:
            leads = start - line < 100 and _BEFORE.fullmatch(text, line, start) is not None
        if not leads and text[line : line + 100].lstrip().startswith("#"):  # a comment
            position = match.end()
            continue
        try:
            args, kwargs, end = _Reader(text, match.end()).arguments()
            source = text[start : min(end, start + _MAX_SOURCE)] + ("…" if end > start + _MAX_SOURCE else "")
            found.append(Call(name=name, source=source, args=args, kwargs=kwargs, start=start, end=end, leads=leads))
            position = end
        except Unreadable as error:
            failed += 1
            position = match.end()
            if name in known:
                source = text[start : start + _MAX_SOURCE].split("\n")[0]
                found.append(Call(name=name, source=source, start=start, end=match.end(), leads=leads, problem=str(error)))
    return found


class _Reader:
    """The tokens of one call's arguments."""

    def __init__(self, text: str, position: int) -> None:
        self._text = text
        self._position = position

    def arguments(self) -> tuple[tuple[Value, ...], dict[str, Value], int]:
        """What stands between the brackets, and where the call ends. Raises ``Unreadable``."""
        args, kwargs = list[Value](), dict[str, Value]()
        while True:
            kind, token = self._next()
            if token == ")" and kind == "mark":
                return tuple(args), kwargs, self._position
            if kind == "name" and token not in _CONSTANTS and self._peek() == ("mark", "="):
                self._next()
                if token in kwargs:
                    raise Unreadable(f"the argument {shown(token)} is given twice")
                kwargs[token] = self._value(*self._next())
            elif kwargs:
                raise Unreadable("an argument without a name follows one with a name")
            else:
                args.append(self._value(kind, token))
            if len(args) + len(kwargs) > MAX_ITEMS:
                raise Unreadable(f"over {MAX_ITEMS} arguments")
            if self._peek() == ("mark", ","):
                self._next()
            elif self._peek() != ("mark", ")"):
                raise self._unexpected(*self._next())

    def _value(self, kind: str, token: str) -> Value:
        if kind != "mark" or token not in "([":
            return self._scalar(kind, token)
        closing, items, comma = ")" if token == "(" else "]", list[Scalar](), False
        while self._peek() != ("mark", closing):
            if items and not comma:
                raise self._unexpected(*self._next())
            items.append(self._scalar(*self._next()))
            if len(items) > MAX_ITEMS:
                raise Unreadable(f"a list of over {MAX_ITEMS} items")
            comma = self._peek() == ("mark", ",")
            if comma:
                self._next()
        self._next()
        return items[0] if closing == ")" and len(items) == 1 and not comma else items

    def _scalar(self, kind: str, token: str) -> Scalar:
        if kind in ("text", "long"):
            parts = [unescaped(token[3:-3] if kind == "long" else token[1:-1])]
            while self._peek()[0] in ("text", "long"):  # 'a' 'b' is 'ab'
                kind, token = self._next()
                parts.append(unescaped(token[3:-3] if kind == "long" else token[1:-1]))
            return check_text("".join(parts))
        if kind == "number":
            return _number(token)
        if kind == "name" and token in _CONSTANTS:
            return _CONSTANTS[token]
        raise self._unexpected(kind, token)

    def _match(self) -> re.Match[str]:
        match = _TOKEN.match(self._text, self._position)
        while match is not None and match.lastgroup == "space":
            match = _TOKEN.match(self._text, match.end())
        if match is None:
            rest = self._text[self._position : self._position + 40].lstrip()
            if not rest:
                raise Unreadable("the bracket is not closed by )")
            if rest[0] in "'\"":
                raise Unreadable(f"the text {shown(rest, 30)} is not closed by {rest[0]}")
            raise Unreadable(f"{shown(rest[0])} where a plain value (text in quotes, number, True, False, None, list) or ) is expected")
        return match

    def _peek(self) -> tuple[str, str]:
        match = self._match()
        return match.lastgroup or "", match[0]

    def _next(self) -> tuple[str, str]:
        match = self._match()
        self._position = match.end()
        return match.lastgroup or "", match[0]

    @staticmethod
    def _unexpected(kind: str, token: str) -> Unreadable:
        hint = "; texts stand in quotes" if kind == "name" else ""
        return Unreadable(f"{shown(token, 30)} where a plain value or , or ) is expected{hint}")


def unescaped(inside: str) -> str:
    """What ``inside`` means between quotes in Python; an escape that Python does not know stays as it is."""
    return _ESCAPE.sub(_unescape, inside) if "\\" in inside else inside


def _unescape(match: re.Match[str]) -> str:
    simple, *codes, octal = match.groups()
    if simple is not None:
        return _SIMPLE[simple]
    code = int(octal, 8) if octal is not None else int(next(c for c in codes if c is not None), 16)
    return chr(code) if code < 0x110000 else match[0]


def _number(token: str) -> int | float:
    if len(token) <= 40:
        whole = token.lstrip("+-").isdigit()
        value = int(token) if whole else float(token)
        if abs(value) <= MAX_NUMBER:
            return value
    raise Unreadable(f"the number {token[:20]}{'…' if len(token) > 20 else ''} is too large; the most is {MAX_NUMBER:.0f}")
