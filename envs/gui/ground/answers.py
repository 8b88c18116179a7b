"""Answers that point: read from whatever form a model writes them in, told what is wrong with the others.

read_answer("click(start_box='(500,250)')", (1920, 1080), "thousandths")  # Answer(numbers=(960.0, 270.0))

The last action call counts, else the last ``"point_2d": ...`` or the like, else the last 2 or 4 numbers in brackets; what stands before
``</think>`` never does. How coordinates count is given and never guessed.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

from ....rewards.boxes import Box, Point, centre, normalised
from ....rewards.gui_score import Space, from_pixels, to_pixels
from ..actions import MAX_TEXT, plain_number, shown
from ..calls import Call, action_part, find_calls

Kind: TypeAlias = Literal["point", "box"]
Coordinates: TypeAlias = "Space | tuple[float, float]"

CALLS = frozenset((
    "click", "left_single", "left_double", "right_single", "hover", "tap", "long_press",
    "mouse_click", "mouse_dblclick", "mouse_move", "mouse_down", "mouse_up",
))  # fmt: skip
"""Calls of UI-TARS and BrowserGym that point at a place."""
_PLACES = ("start_box", "point", "start_point", "position", "coordinate", "box", "bbox")
_S = r"\s{0,40}"  # bounded, so that any text is read in linear time
_N = rf"{_S}([+-]?\d{{1,12}}(?:\.\d{{1,15}})?){_S}"
_FOUR = rf"[\[(]{_N},{_N},{_N},{_N}[\])]"
_TWO = rf"[\[(]{_N},{_N}[\])]"
_PAIR = rf"\({_N},{_N}\){_S},?{_S}\({_N},{_N}\)"
_TAGS = rf"<(?:point|box|bbox)>{_S}[\[(]?{_N}[,\s]{_N}(?:[,\s]{_N}[,\s]{_N})?[\])]?{_S}</(?:point|box|bbox)>"
_PLAIN = re.compile("|".join((_FOUR, _PAIR, _TWO, _TAGS)))
_BARE = re.compile(rf"{_N}[,\s]{_N}(?:[,\s]{_N}[,\s]{_N})?\.?{_S}")
_KEYS = "bbox_2d|point_2d|bbox|box|box_2d|point|coordinate|coordinates|click"
_KEYED = re.compile(rf'"(?:{_KEYS})"{_S}:{_S}(?:\[{_S})?(?:{_FOUR}|{_TWO})')
_XY = re.compile(rf'"x"{_S}:{_N},{_S}"y"{_S}:{_N}')
_NEGATIVE = re.compile(r"\W*negative\W*", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Answer:
    """``numbers``: a point, or a box with its corners in order, in pixels of the screenshot. ``negative``: it says there is no
    such element. ``problem``: why it cannot be read, for the agent; the others are then empty."""

    numbers: tuple[float, ...] = ()
    negative: bool = False
    problem: str = ""

    @property
    def point(self) -> Point:
        """Where it points: the point, or the box's centre."""
        return (self.numbers[0], self.numbers[1]) if len(self.numbers) == 2 else centre(self.numbers)

    @property
    def box(self) -> Box:
        """The box; one without area for a point."""
        return normalised(self.numbers if len(self.numbers) == 4 else (*self.numbers, *self.numbers))


def read_answer(text: str, screen: tuple[int, int], coordinates: Coordinates = "pixels", *, kind: Kind = "point") -> Answer:
    """The answer in a message; any text gives one. ``screen``: (width, height) of the screenshot in pixels. ``kind`` only words problems.

    A box is cut to the screen, inverted corners are put in order; what points beside the screen is a problem.
    """
    if len(text) > MAX_TEXT:
        return Answer(
            problem=f"The message has {len(text)} characters; at most {MAX_TEXT} are read. Write {example(kind, screen, coordinates)}"
        )
    said = text.rpartition("</think>")[2]
    if _NEGATIVE.fullmatch(said[:100]) and len(said) <= 100:
        return Answer(negative=True)
    numbers = _of_calls(said) or _of_text(said)
    if not numbers:
        seen = f"in {shown(said.strip(), 60)}" if said.strip() else "as the message is empty"
        return Answer(problem=f"No {kind} was found {seen}. Write {example(kind, screen, coordinates)}")
    pixels = _pixels(numbers, screen, coordinates)
    x, y = pixels if len(pixels) == 2 else centre(pixels)
    if not (0.0 <= x <= screen[0] and 0.0 <= y <= screen[1]):
        what = "point" if len(numbers) == 2 else "centre of the box"
        across, down = from_pixels(screen, *screen, coordinates)
        wrong = ", ".join(f"{n:g}" for n in numbers)
        limits = f"x runs from 0 to {across:g}, y from 0 to {down:g}"
        return Answer(problem=f"The {what} ({wrong}) lies outside the screenshot: {limits}. Write {example(kind, screen, coordinates)}")
    if len(pixels) == 4:
        x1, y1, x2, y2 = normalised(pixels)
        return Answer((max(x1, 0.0), max(y1, 0.0), min(x2, float(screen[0])), min(y2, float(screen[1]))))
    return Answer(pixels)


def write_answer(numbers: tuple[float, ...], screen: tuple[int, int], coordinates: Coordinates = "pixels", *, decimals: int = 6) -> str:
    """A point (2 numbers) or a box (4) in pixels of the screenshot as ``read_answer`` reads it back, with at most ``decimals``."""
    points = zip(numbers[::2], numbers[1::2], strict=True)
    values = [v for point in points for v in from_pixels(point, *screen, coordinates)]
    text = ", ".join(str(plain_number(round(v, decimals))) for v in values)
    return f"[{text}]" if len(numbers) == 4 else f"({text})"


def instructions(kind: Kind, screen: tuple[int, int], coordinates: Coordinates, *, negatives: bool = False) -> str:
    """What an agent is told about the form of its answer."""
    across, down = from_pixels(screen, *screen, coordinates)
    what = "the point to click as (x, y)" if kind == "point" else "the box of the element as [x1, y1, x2, y2]"
    none = ' If there is no such element, answer "negative".' if negatives else ""
    return f"Answer with {what}; x runs from 0 (left) to {across:g}, y from 0 (top) to {down:g}.{none}"


def example(kind: Kind, screen: tuple[int, int], coordinates: Coordinates) -> str:
    """An answer for the middle of the screen, as a sentence ends with it."""
    width, height = screen
    x, y = width / 4, height / 4
    return f"e.g. {write_answer((x, y) if kind == 'point' else (x, y, 2 * x, 2 * y), screen, coordinates)}."


def _of_calls(said: str) -> tuple[float, ...]:
    _, part = action_part(said)
    for call in reversed(find_calls(part, CALLS)):
        if call.name in CALLS and not call.problem and len(numbers := _of_call(call)) in (2, 4):
            return numbers
    return ()


def _of_call(call: Call) -> tuple[float, ...]:
    """The numbers of ``(x, y, ...)``, ``x=, y=``, ``'(x,y)'`` or ``'<point>x y</point>'``."""
    for value in (*(call.kwargs[name] for name in _PLACES if name in call.kwargs), *call.args[:1]):
        if isinstance(value, str):
            inner = value.replace("<|box_start|>", "").replace("<|box_end|>", "")
            return _of_text(inner) or _bare(inner)
        if isinstance(value, list):
            return _finite(value)
    if "x" in call.kwargs and "y" in call.kwargs:
        return _finite([call.kwargs["x"], call.kwargs["y"]])
    numbers = [value for value in call.args if isinstance(value, int | float) and not isinstance(value, bool)]
    return _finite(numbers)


def _finite(values: Sequence[object]) -> tuple[float, ...]:
    numbers = [float(v) for v in values if isinstance(v, int | float) and not isinstance(v, bool) and abs(v) < 1e9]
    return tuple(numbers) if len(numbers) == len(values) else ()


def _of_text(said: str) -> tuple[float, ...]:
    """The numbers of the last key that names a place, else of the last group; () without one."""
    for pattern in (_KEYED, _XY, _PLAIN):
        found = list(pattern.finditer(said))
        if found:
            return _groups(found[-1])
    return _bare(said)


def _bare(said: str) -> tuple[float, ...]:
    match = _BARE.fullmatch(said) if len(said) < 200 else None
    return _groups(match) if match else ()


def _groups(match: re.Match[str]) -> tuple[float, ...]:
    return _finite([float(group) for group in match.groups() if group is not None])


def _pixels(numbers: tuple[float, ...], screen: tuple[int, int], coordinates: Coordinates) -> tuple[float, ...]:
    points = zip(numbers[::2], numbers[1::2], strict=True)
    return tuple(v for point in points for v in to_pixels(point, *screen, coordinates))
