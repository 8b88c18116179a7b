"""UI-TARS' syntax: ``Thought: ...`` and ``Action: click(start_box='<|box_start|>(100,200)<|box_end|>')``, or several actions.

Actions and coordinate spaces are those of ByteDance's UI-TARS (arXiv 2501.12326; its action parser, Apache-2.0). UI-TARS and the Doubao
models write thousandths of the screen ("relative"); UI-TARS 1.5 and other models built on Qwen2.5-VL write pixels of the image after its
processor has resized it ("absolute", ``smart_resize``). All become CSS pixels, kept to a thousandth.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import KW_ONLY, dataclass, field
from typing import Literal

from ...rewards.gui_score import LEAST_PIXELS, MOST_PIXELS, smart_resize
from . import actions as a
from .actions import (
    MAX_NUMBER,
    Action,
    Parsed,
    Unreadable,
    check_count,
    check_text,
    did_you_mean,
    escaped,
    read_each,
    sentence,
    shown,
    too_long,
)
from .calls import Call, Value, choose, find_calls, unescaped
from .keys import check_keys, read_key, split_keys
from .signatures import bind

WAIT_MS = 5000.0
"""What ``wait()`` waits."""

_CALLS: dict[str, tuple[str, ...]] = {
    "click": ("start_box",),
    "left_double": ("start_box",),
    "right_single": ("start_box",),
    "hover": ("start_box",),
    "drag": ("start_box", "end_box"),
    "hotkey": ("key",),
    "type": ("content",),
    "scroll": ("start_box", "direction"),
    "wait": (),
    "finished": ("content",),
    "call_user": ("content",),
}
_OPTIONAL = {("scroll", "start_box"), ("finished", "content"), ("call_user", "content")}
_OTHER_NAMES = {"left_single": "click", "select": "drag"}
_KNOWN = {*_CALLS, *_OTHER_NAMES}
_OTHER_ARGUMENTS = {"point": "start_box", "start_point": "start_box", "end_point": "end_box", "hotkey": "key"}
_DIRECTIONS = {"up": (0, -1), "down": (0, 1), "left": (-1, 0), "right": (1, 0)}
_ACTION = re.compile(r"^[ \t*]*action[ \t*]*:", re.IGNORECASE | re.MULTILINE)
_MARK = re.compile(r"^[ \t*]*action[ \t*]*:[\s*`]*\Z", re.IGNORECASE | re.MULTILINE)
_GAP = re.compile(r"[\s;,`*]*(?:action[ \t*]*:[\s*`]*)?", re.IGNORECASE)
_THOUGHT = re.compile(r"\A\s*thought:\s*", re.IGNORECASE)
_NUMBER = re.compile(r"[+-]?(?:\d+\.?\d*|\.\d+)")
_NO_NUMBER = re.compile(r"(?:<\|?/?\w{1,20}\|?>|[\s,;()\[\]])*")
_UNESCAPED = re.compile(r"""\w+\(\s*content\s*=\s*(['"])(.*)\1\s*\)\s*\Z""", re.DOTALL)


@dataclass(frozen=True)
class UiTarsSyntax:
    """For a screen of ``width`` x ``height`` CSS pixels. ``image`` (width, height) is the screenshot's size where it is not the screen's.

    ``scroll_pixels`` is how far one ``scroll`` goes. ``decimals`` bounds the decimals ``write`` puts into coordinates: None writes as many
    as an exact round trip needs, 0 whole numbers as the models do, off by up to half a unit. Raises ``ValueError`` for a screen without
    area and what ``smart_resize`` refuses.

    >>> UiTarsSyntax(1920, 1080).parse("Thought: there\\nAction: click(start_box='(500,250)')").actions
    (MouseClick(x=960.0, y=270.0, button='left', count=1),)
    """

    width: int
    height: int
    _: KW_ONLY
    coordinates: Literal["relative", "absolute"] = "relative"
    image: tuple[int, int] | None = None
    min_pixels: int = LEAST_PIXELS
    max_pixels: int = MOST_PIXELS
    scroll_pixels: float = 500.0
    decimals: int | None = None
    multi: bool = True
    space: tuple[int, int] = field(init=False)
    """The largest x and y the model may write."""

    def __post_init__(self) -> None:
        if min(self.width, self.height) < 1:
            raise ValueError(f"a screen of {self.width} x {self.height} pixels; allowed: sides from 1")
        if self.coordinates not in ("relative", "absolute"):
            raise ValueError(f"coordinates {self.coordinates!r}; allowed: 'relative' (0 to 1000), 'absolute' (pixels of the resized image)")
        space = (1000, 1000)
        if self.coordinates == "absolute":
            across, down = self.image or (self.width, self.height)
            tall, wide = smart_resize(down, across, least_pixels=self.min_pixels, most_pixels=self.max_pixels)
            space = (wide, tall)
        object.__setattr__(self, "space", space)

    def instructions(self) -> str:
        """The output format and one line for each action."""
        box, end = "start_box='<|box_start|>(x1,y1)<|box_end|>'", "end_box='<|box_start|>(x2,y2)<|box_end|>'"
        several = f"; several actions (at most {a.MAX_ACTIONS}) are separated by blank lines" if self.multi else ""
        lines = [
            f"click({box})",
            f"left_double({box})  # double click",
            f"right_single({box})  # click with the right button",
            f"hover({box})  # move the mouse",
            f"drag({box}, {end})",
            "hotkey(key='ctrl c')  # at most 5 keys, in lower case, separated by spaces",
            "type(content='...')  # escape \\', \\\" and \\n; \\n at the end submits",
            f"scroll({box}, direction='up' | 'down' | 'left' | 'right')",
            f"wait()  # wait {WAIT_MS / 1000:g} seconds",
            "finished(content='...')  # the task is done; content is the answer, where one is asked for",
            "call_user()  # the task cannot be done",
        ]
        return (
            "# Output format\n\nThought: ...\nAction: ...\n\n# Actions\n\n"
            + "\n".join(lines)
            + f"\n\nx runs from 0 (left) to {self.space[0]}, y from 0 (top) to {self.space[1]}. Write one action{several}."
        )

    def parse(self, text: str) -> Parsed:
        if (refused := too_long(text)) is not None:
            return refused
        mark = _ACTION.search(text)
        start = mark.end() if mark else 0
        part = text[start:]
        calls = choose(find_calls(part, _KNOWN), _KNOWN)
        calls = _last_run(part, calls)
        thought = text[: start + calls[0].start] if calls else text[: mark.start()] if mark else text
        thought = _THOUGHT.sub("", _MARK.sub("", thought)).strip()
        if not calls:
            found = "The message is empty." if not text.strip() else f"No action was found in {shown(text.strip(), 60)}."
            return Parsed(thought=thought, problem=f"{found} {self._next()}")
        repaired = _UNESCAPED.match(part, calls[0].start) if len(calls) == 1 and calls[0].problem else None
        if repaired is not None:
            calls = [Call(name=calls[0].name, source=calls[0].source, kwargs={"content": unescaped(repaired[2])})]
        return read_each(calls, self._action, thought, self.multi)

    def write(self, actions: Sequence[Action], thought: str = "") -> str:
        """A thought loses its line breaks, as "Action:" at the start of a line ends it."""
        check_count(actions, self.multi)
        lines = "\n\n".join(self._written(action) for action in actions)
        return f"Thought: {' '.join(thought.split())}\nAction: {lines}" if thought.strip() else f"Action: {lines}"

    def _action(self, call: Call) -> Action:
        name = _OTHER_NAMES.get(call.name, call.name)
        if name not in _CALLS:
            raise Unreadable(f"There is no action {shown(call.name)}.{did_you_mean(call.name, _CALLS)} {self._next()}")
        try:
            if call.problem:
                raise Unreadable(call.problem)
            given = self._arguments(name, call)
            return self._made(name, given)
        except Unreadable as error:
            raise Unreadable(f"{escaped(call.source)} cannot be read: {sentence(str(error))} Write it as {_signature(name)}.") from error

    @staticmethod
    def _arguments(name: str, call: Call) -> Mapping[str, Value]:
        names = list(_CALLS[name])
        kwargs: dict[str, Value] = {}
        for key, value in call.kwargs.items():
            key = key if key in names else _OTHER_ARGUMENTS.get(key, key)
            if key in kwargs:
                raise Unreadable(f"{key} is given twice")
            kwargs[key] = value
        given = bind(Call(name=name, args=call.args, kwargs=kwargs), names)
        for key in names:
            if key not in given and (name, key) not in _OPTIONAL:
                raise Unreadable(f"{key} is missing")
        return given

    def _made(self, name: str, given: Mapping[str, Value]) -> Action:
        match name:
            case "click" | "left_double" | "right_single":
                x, y = self._point(given["start_box"])
                return a.MouseClick(x, y, "right" if name == "right_single" else "left", 2 if name == "left_double" else 1)
            case "hover":
                return a.MouseMove(*self._point(given["start_box"]))
            case "drag":
                return a.MouseDrag(*self._point(given["start_box"]), *self._point(given["end_box"]))
            case "scroll":
                direction = _text("direction", given["direction"]).strip().lower()
                if direction not in _DIRECTIONS:
                    raise Unreadable(f"direction is one of {', '.join(_DIRECTIONS)}, not {shown(direction)}")
                dx, dy = (n * self.scroll_pixels for n in _DIRECTIONS[direction])
                return a.ScrollAt(*self._point(given["start_box"]), dx, dy) if "start_box" in given else a.Scroll(dx, dy)
            case "hotkey":
                return a.KeyPress(_read_hotkey(_text("key", given["key"])))
            case "type":
                return a.TypeText(_text("content", given["content"]))
            case "wait":
                return a.Noop(WAIT_MS)
            case "finished":
                return a.Finish(_text("content", given.get("content", "")))
            case _:
                return a.ReportInfeasible(_text("content", given.get("content", "")))

    def _point(self, value: Value) -> tuple[float, float]:
        """The point, or the centre of the box, in CSS pixels."""
        numbers = _numbers(value)
        if len(numbers) not in (2, 4):
            raise Unreadable(f"a point has 2 numbers and a box 4, {shown(value)} has {len(numbers)}")
        (x, y), (right, bottom) = numbers[:2], numbers[-2:]
        x, y = (x + right) / 2, (y + bottom) / 2
        if not (0 <= x <= self.space[0] and 0 <= y <= self.space[1]):
            raise Unreadable(
                f"the point ({x:g}, {y:g}) is outside the screen; allowed: x from 0 to {self.space[0]}, y from 0 to {self.space[1]}"
            )
        return _scaled(x, self.space[0], self.width), _scaled(y, self.space[1], self.height)

    def _box(self, name: str, x: float, y: float) -> str:
        across, down = self._coordinate(x, self.space[0], self.width), self._coordinate(y, self.space[1], self.height)
        return f"{name}='<|box_start|>({across},{down})<|box_end|>'"

    def _coordinate(self, pixels: float, space: int, size: int) -> str:
        """``pixels`` as the model writes it, with the fewest decimals that give it back."""
        if not 0 <= pixels <= size:
            raise ValueError(f"the coordinate {pixels} is outside the screen of {self.width} x {self.height} pixels")
        value = pixels / size * space
        most = 9 if self.decimals is None else self.decimals
        for places in range(most):
            if _scaled(round(value, places), space, size) == pixels:
                return f"{round(value, places):.{places}f}"
        return f"{round(value, most):.{most}f}"

    def _written(self, action: Action) -> str:
        match action:
            case a.MouseClick(x, y, "left", 1):
                return f"click({self._box('start_box', x, y)})"
            case a.MouseClick(x, y, "left", 2):
                return f"left_double({self._box('start_box', x, y)})"
            case a.MouseClick(x, y, "right", 1):
                return f"right_single({self._box('start_box', x, y)})"
            case a.MouseMove(x, y):
                return f"hover({self._box('start_box', x, y)})"
            case a.MouseDrag():
                return f"drag({self._box('start_box', action.from_x, action.from_y)}, {self._box('end_box', action.to_x, action.to_y)})"
            case a.ScrollAt(x, y, dx, dy) if (way := self._way(dx, dy)) is not None:
                return f"scroll({self._box('start_box', x, y)}, direction='{way}')"
            case a.Scroll(dx, dy, None) if (way := self._way(dx, dy)) is not None:
                return f"scroll(direction='{way}')"
            case a.KeyPress(keys) if len(words := [_word(key) for key in split_keys(check_keys(keys))]) <= 5:
                return f"hotkey(key={_quoted(' '.join(words))})"
            case a.TypeText(text):
                return f"type(content={_quoted(text)})"
            case a.Noop(wait_ms) if wait_ms == WAIT_MS:
                return "wait()"
            case a.Finish(answer):
                return f"finished(content={_quoted(answer)})"
            case a.ReportInfeasible(reason):
                return f"call_user(content={_quoted(reason)})" if reason else "call_user()"
            case _:
                raise ValueError(f"UI-TARS has no call for {action}; its actions: {', '.join(_CALLS)}")

    def _way(self, dx: float, dy: float) -> str | None:
        return next((way for way, (x, y) in _DIRECTIONS.items() if (x * self.scroll_pixels, y * self.scroll_pixels) == (dx, dy)), None)

    def _next(self) -> str:
        return f"Allowed: {', '.join(_CALLS)}. Write e.g. Action: click(start_box='(100,200)')"


def _last_run(text: str, calls: list[Call]) -> list[Call]:
    """The last calls with nothing but line ends and "Action:" in between: an action that a thought looks back on is not done again."""
    kept = calls[-1:]
    for call in reversed(calls[:-1]):
        if not call.problem and _GAP.fullmatch(text, call.end, kept[0].start) is None:
            break
        kept.insert(0, call)
    return kept


def _signature(name: str) -> str:
    values = {"start_box": "'(x,y)'", "end_box": "'(x,y)'", "direction": "'down'", "key": "'ctrl c'", "content": "'...'"}
    return f"{name}({', '.join(f'{p}={values[p]}' for p in _CALLS[name])})"


def _text(name: str, value: Value) -> str:
    if not isinstance(value, str):
        raise Unreadable(f"{name} is a text in quotes, not {shown(value)}")
    return check_text(value)


def _numbers(value: Value) -> list[float]:
    """The numbers of "(1,2)", "<point>1 2</point>", "[1, 2, 3, 4]", or of a list. Raises ``Unreadable`` for anything besides them."""
    if isinstance(value, str):
        if len(value) > 200 or _NO_NUMBER.fullmatch(_NUMBER.sub(" ", value)) is None:
            raise Unreadable(f"a point is written '(x,y)', not {shown(value)}")
        words = _NUMBER.findall(value)
        numbers = [float(word) for word in words]
    elif isinstance(value, list):
        numbers = [float(item) for item in value if isinstance(item, int | float) and not isinstance(item, bool)]
        if len(numbers) != len(value):
            raise Unreadable(f"a point is written '(x,y)', not {shown(value)}")
    else:
        raise Unreadable(f"a point is written '(x,y)', not {shown(value)}")
    if any(abs(number) > MAX_NUMBER for number in numbers):
        raise Unreadable(f"a coordinate of {shown(value, 40)} is too large; the most is {MAX_NUMBER:.0f}")
    return numbers


def _scaled(value: float, space: int, size: int) -> float:
    return round(value / space * size, 3)


def _read_hotkey(keys: str) -> str:
    words = [key for word in keys.split()[:6] for key in split_keys(word)]  # "ctrl c" as well as "ctrl+c"
    if not words:
        raise Unreadable("key is empty; write e.g. 'ctrl c' or 'enter'")
    return check_keys("+".join(read_key(word) for word in words[:6]))


def _word(key: str) -> str:
    """How UI-TARS writes a key."""
    return "ctrl" if key == "Control" else key if len(key) == 1 else key.lower()


def _quoted(text: str) -> str:
    inside = "".join(c if c.isprintable() else repr(c)[1:-1] for c in text.replace("\\", "\\\\").replace("'", "\\'"))
    return f"'{inside}'"
