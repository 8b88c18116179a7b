"""MiniWoB++'s own actions as JSON: ``{"action_type": "CLICK_ELEMENT", "ref": 5}``, with the type's name or its number.

Types, their order and the key names are those of the ``miniwob`` package (Farama Foundation, MIT; preset "all_supported"). Differences:
``key`` and ``field`` may be names as well as numbers, a field that there is not is a problem instead of an empty text, and any key and any
length of text are taken. Whether an element with that ``ref`` exists is for the back end to say.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import KW_ONLY, dataclass
from typing import Any, cast

from . import actions as a
from .actions import (
    Action,
    Parsed,
    Unreadable,
    check_count,
    check_point,
    check_text,
    did_you_mean,
    escaped,
    plain_number,
    sentence,
    shown,
    too_long,
    too_many,
)
from .calls import action_part
from .keys import MODIFIERS, check_keys, split_keys

_ARGUMENTS: dict[str, tuple[str, ...]] = {
    "NONE": (),
    "MOVE_COORDS": ("coords",),
    "CLICK_COORDS": ("coords",),
    "DBLCLICK_COORDS": ("coords",),
    "MOUSEDOWN_COORDS": ("coords",),
    "MOUSEUP_COORDS": ("coords",),
    "SCROLL_UP_COORDS": ("coords",),
    "SCROLL_DOWN_COORDS": ("coords",),
    "CLICK_ELEMENT": ("ref",),
    "PRESS_KEY": ("key",),
    "TYPE_TEXT": ("text",),
    "TYPE_FIELD": ("field",),
    "FOCUS_ELEMENT_AND_TYPE_TEXT": ("ref", "text"),
    "FOCUS_ELEMENT_AND_TYPE_FIELD": ("ref", "field"),
}
ACTION_TYPES: tuple[str, ...] = tuple(_ARGUMENTS)
"""The types by their numbers."""
KEYS: tuple[str, ...] = (
    *("<Enter>", "<PageUp>", "<PageDown>", "<Backspace>", "<Delete>", "<Tab>", "<Space>"),
    *("<ArrowUp>", "<ArrowRight>", "<ArrowDown>", "<ArrowLeft>"),
    *'[]-=;"\\,./`1234567890',
    *(f"<Numpad{n}>" for n in range(10)),
    *("<NumpadAdd>", "<NumpadMultiply>", "<NumpadSubtract>", "<NumpadDivide>", "<NumpadDecimal>", "<NumpadEnter>"),
    *(chr(n) for n in range(97, 123)),
    *("C-a", "C-c", "C-x", "C-v"),
    *(chr(n) for n in range(65, 91)),
)
"""The keys by their numbers."""
SCREEN = (160, 210)
"""Width and height of a task's area in CSS pixels."""
SCROLL_PIXELS = 50.0
_MODIFIER = {"A-": "Alt", "C-": "Control", "M-": "Meta", "S-": "Shift"}
_PREFIX = {name: prefix for prefix, name in _MODIFIER.items()}
_REF = re.compile(r"-?\d{1,7}", re.ASCII)
_MAX_TRIES = 50
_EXAMPLE = '{"action_type": "CLICK_ELEMENT", "ref": 5}'
_NEXT = f"Write one JSON object, for example {_EXAMPLE}"
_DECODER = json.JSONDecoder()


@dataclass(frozen=True)
class MiniWobSyntax:
    """``fields`` are the task's (name, value) pairs, which TYPE_FIELD types; ``screen`` (width, height) bounds coordinates, None does not.

    >>> MiniWobSyntax().parse('{"action_type": "CLICK_ELEMENT", "ref": 5}').actions
    (Click(id='5', button='left', modifiers=(), count=1),)
    """

    fields: Sequence[tuple[str, str]] = ()
    _: KW_ONLY
    screen: tuple[int, int] | None = SCREEN
    multi: bool = False

    def instructions(self) -> str:
        """One line for each type."""
        values = {"coords": "[x, y]", "ref": "number", "key": "...", "text": "...", "field": "..."}
        lines = [
            json.dumps({"action_type": name, **{argument: values[argument] for argument in arguments}})
            .replace('"[x, y]"', "[x, y]")
            .replace('"number"', "number")
            for name, arguments in _ARGUMENTS.items()
            if self.fields or "field" not in arguments
        ]
        across = f", x from 0 to {self.screen[0]} and y from 0 to {self.screen[1]}" if self.screen else ""
        notes = [
            "ref is an element's number on the page.",
            f"coords are pixels from the top left{across}.",
            "A key is a character (a, A, 1), a name in <> (<Enter>, <Tab>, <ArrowDown>), or one of these after C- (Control), S-, A- or M-.",
        ]
        if self.fields:
            notes.append(f"field is one of {', '.join(json.dumps(name) for name, _ in self.fields)}; its value is typed.")
        how = f"a list of at most {a.MAX_ACTIONS} such objects" if self.multi else "one such object"
        listed = "\n".join(lines)
        return f"# Actions\n\n{listed}\n\n{' '.join(notes)} Think first, then end your message with a block of {how}:\n```\n{_EXAMPLE}\n```"

    def parse(self, text: str) -> Parsed:
        if (refused := too_long(text)) is not None:
            return refused
        before, part = action_part(text)
        found, fault = _objects(part)
        if not found:
            before, part = "", text
            found, fault = _objects(part)
        if not found:
            said = "The message is empty." if not text.strip() else f"No JSON object was found in {shown(text.strip(), 60)}{fault}."
            return Parsed(thought=text.strip(), problem=f"{said} {_NEXT}")
        thought = (before + part[: found[0].start]).strip().removesuffix("[").rstrip()
        found = [each for each in found if "action_type" in each.value] or found
        if problem := too_many(len(found), self.multi):
            return Parsed(thought=thought, problem=problem)
        read: list[Action] = []
        for each in found:
            try:
                read += self._read(each.value)
            except Unreadable as error:
                source = escaped(part[each.start : min(each.end, each.start + 120)]) + ("…" if each.end > each.start + 120 else "")
                return Parsed(thought=thought, problem=f"{source} cannot be read: {sentence(str(error))} {_NEXT}")
        return Parsed(actions=tuple(read), thought=thought)

    def write(self, actions: Sequence[Action], thought: str = "") -> str:
        """A click on an element and the text typed after it become FOCUS_ELEMENT_AND_TYPE_TEXT."""
        objects: list[dict[str, Any]] = []
        waiting = list(actions)
        while waiting:
            action = waiting.pop(0)
            if isinstance(action, a.Click) and waiting and isinstance(waiting[0], a.TypeText):
                objects.append({"action_type": "FOCUS_ELEMENT_AND_TYPE_TEXT", "ref": _ref(action), "text": waiting[0].text})
                waiting.pop(0)
            else:
                objects.append(_written(action))
        check_count(objects, self.multi)
        text = json.dumps(objects[0] if len(objects) == 1 else objects, ensure_ascii=False)
        return f"{thought}\n```\n{text}\n```" if thought else text

    def _read(self, value: Mapping[str, Any]) -> list[Action]:
        name = _type_name(value.get("action_type"))
        for argument in _ARGUMENTS[name]:
            if argument not in value:
                raise Unreadable(f"{name} needs {' and '.join(_ARGUMENTS[name])}; {argument} is missing")
        if name == "NONE":
            return [a.Noop(0.0)]
        if "coords" in _ARGUMENTS[name]:
            return [_at_point(name, *self._point(value["coords"]))]
        if name == "PRESS_KEY":
            return [a.KeyPress(_read_key(value["key"]))]
        read: list[Action] = [a.Click(_read_ref(value["ref"]))] if "ref" in _ARGUMENTS[name] else []
        if "field" in _ARGUMENTS[name]:
            read.append(a.TypeText(self._field(value["field"])))
        elif "text" in _ARGUMENTS[name]:
            if not isinstance(value["text"], str):
                raise Unreadable(f"text is a text in double quotes, not {shown(value['text'])}")
            read.append(a.TypeText(check_text(value["text"])))
        return read

    def _point(self, coords: object) -> tuple[float, float]:
        given = cast("list[object]", coords) if isinstance(coords, list) else []
        numbers = [n for n in map(_number, given) if n is not None]
        if len(numbers) != 2 or len(given) != 2:
            raise Unreadable(f"coords are two numbers [x, y], not {shown(cast('object', coords))}")
        x, y = numbers
        check_point(x, y, self.screen)
        return x, y

    def _field(self, field: object) -> str:
        if not self.fields:
            raise Unreadable("this task has no fields; type a text of your own with TYPE_TEXT")
        names = [name for name, _ in self.fields]
        if isinstance(field, str) and field in names:
            return self.fields[names.index(field)][1]
        if isinstance(field, int) and not isinstance(field, bool) and 0 <= field < len(names):
            return self.fields[field][1]
        raise Unreadable(f"field is one of {shown(', '.join(names), 300)}, or its number from 0 to {len(names) - 1}, not {shown(field)}")


@dataclass(frozen=True, slots=True)
class _Object:
    """A JSON object at ``text[start:end]``."""

    value: dict[str, Any]
    start: int
    end: int


def _objects(text: str) -> tuple[list[_Object], str]:
    """The JSON objects in ``text``, one after the other, and what is wrong with the first that is none."""
    found: list[_Object] = []
    position, tries, fault = 0, 0, ""
    while len(found) <= a.MAX_ACTIONS and tries < _MAX_TRIES:
        start = text.find("{", position)
        if start < 0:
            break
        try:
            value, position = _DECODER.raw_decode(text, start)
        except (ValueError, RecursionError) as error:
            reason = error.msg if isinstance(error, json.JSONDecodeError) else "it is nested too deeply or has too long a number"
            fault = fault or f" ({reason})"
            tries += 1
            position = start + 1
            continue
        found.append(_Object(cast("dict[str, Any]", value), start, position))
    return found, fault


def _type_name(given: object) -> str:
    if isinstance(given, int) and not isinstance(given, bool) and 0 <= given < len(ACTION_TYPES):
        return ACTION_TYPES[given]
    if isinstance(given, str) and given.upper() in _ARGUMENTS:
        return given.upper()
    if given is None:
        raise Unreadable("the object has no action_type")
    hint = did_you_mean(given, ACTION_TYPES) if isinstance(given, str) else ""
    raise Unreadable(f"there is no action_type {shown(given)}.{hint} The types: {', '.join(ACTION_TYPES)}")


def _number(value: object) -> float | None:
    if isinstance(value, int | float) and not isinstance(value, bool) and abs(value) <= a.MAX_NUMBER:
        return float(value)
    return None


def _at_point(name: str, x: float, y: float) -> Action:
    match name:
        case "MOVE_COORDS":
            return a.MouseMove(x, y)
        case "CLICK_COORDS" | "DBLCLICK_COORDS":
            return a.MouseClick(x, y, count=2 if name.startswith("DBL") else 1)
        case "MOUSEDOWN_COORDS":
            return a.MouseDown(x, y)
        case "MOUSEUP_COORDS":
            return a.MouseUp(x, y)
        case _:
            return a.ScrollAt(x, y, 0.0, -SCROLL_PIXELS if name == "SCROLL_UP_COORDS" else SCROLL_PIXELS)


def _read_ref(ref: object) -> str:
    if isinstance(ref, int) and not isinstance(ref, bool) and abs(ref) <= a.MAX_NUMBER:
        return str(ref)
    if isinstance(ref, str) and _REF.fullmatch(ref):
        return str(int(ref))
    raise Unreadable(f"ref is an element's number as the page lists it, not {shown(ref)}")


def _read_key(key: object) -> str:
    if isinstance(key, int) and not isinstance(key, bool) and 0 <= key < len(KEYS):
        return check_keys(_playwright(KEYS[key]))
    if isinstance(key, str) and key:
        return check_keys(_playwright(key))
    raise Unreadable(f"key is a text such as a, <Enter> or C-a, or a number from 0 to {len(KEYS) - 1}, not {shown(key)}")


def _playwright(key: str) -> str:
    """ "C-<Enter>" as "Control+Enter"."""
    parts: list[str] = []
    while len(key) > 2 and key[:2] in _MODIFIER and len(parts) < len(_MODIFIER):
        parts.append(_MODIFIER[key[:2]])
        key = key[2:]
    return "+".join([*parts, key[1:-1] if len(key) > 2 and key[0] == "<" and key[-1] == ">" else key])


def _miniwob(keys: str) -> str:
    *modifiers, key = split_keys(check_keys(keys))
    if any(m not in MODIFIERS or m not in _PREFIX for m in modifiers):
        raise ValueError(f"MiniWoB++ has no way to write the keys {keys!r}: modifiers, then one key")
    return "".join(_PREFIX[m] for m in modifiers) + (key if len(key) == 1 else f"<{key}>")


def _ref(action: a.Click) -> int:
    if (action.button, action.modifiers, action.count) != ("left", (), 1) or str(_as_int(action.id)) != action.id:
        raise ValueError(f"MiniWoB++ has no way to write {action}: a plain left click on an element whose id is a number")
    return int(action.id)


def _as_int(text: str) -> int | None:
    return int(text) if _REF.fullmatch(text) else None


def _written(action: Action) -> dict[str, Any]:
    match action:
        case a.Noop(0.0):
            return {"action_type": "NONE"}
        case a.Click():
            return {"action_type": "CLICK_ELEMENT", "ref": _ref(action)}
        case a.KeyPress(keys):
            return {"action_type": "PRESS_KEY", "key": _miniwob(keys)}
        case a.TypeText(text):
            return {"action_type": "TYPE_TEXT", "text": text}
        case a.MouseMove(x, y):
            name = "MOVE_COORDS"
        case a.MouseClick(x, y, "left", 1):
            name = "CLICK_COORDS"
        case a.MouseClick(x, y, "left", 2):
            name = "DBLCLICK_COORDS"
        case a.MouseDown(x, y, "left"):
            name = "MOUSEDOWN_COORDS"
        case a.MouseUp(x, y, "left"):
            name = "MOUSEUP_COORDS"
        case a.ScrollAt(x, y, 0.0, dy) if abs(dy) == SCROLL_PIXELS:
            name = "SCROLL_UP_COORDS" if dy < 0 else "SCROLL_DOWN_COORDS"
        case _:
            raise ValueError(f"MiniWoB++ has no way to write {action}; its types: {', '.join(ACTION_TYPES)}")
    return {"action_type": name, "coords": [plain_number(x), plain_number(y)]}
