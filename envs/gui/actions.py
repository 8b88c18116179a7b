"""What a GUI agent can do, and how it writes it. A back end carries out ``Action`` values; an ``ActionSyntax`` reads and writes them.

    text -> ActionSyntax.parse -> Parsed(actions, thought, problem) -> back end

Parsing is total: any text gives a ``Parsed``, and what cannot be read is a ``problem`` for the agent. Coordinates are CSS pixels of the
viewport, (0, 0) at its top left; wheel amounts are CSS pixels too, positive to the right and down. Keys are Playwright's names.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol, TypeAlias, TypeVar

T = TypeVar("T")
Button: TypeAlias = Literal["left", "middle", "right"]
Modifier: TypeAlias = Literal["Alt", "Control", "ControlOrMeta", "Meta", "Shift"]
BUTTONS: tuple[Button, ...] = ("left", "middle", "right")
MODIFIERS: tuple[Modifier, ...] = ("Alt", "Control", "ControlOrMeta", "Meta", "Shift")

MAX_TEXT = 200_000
"""Characters of one message that are looked at."""
MAX_ACTIONS = 32
"""Actions of one message."""
MAX_NUMBER = 1_000_000.0
"""The largest magnitude of any number in an action."""
MAX_WAIT_MS = 10_000.0
"""The longest wait one action may ask for, in milliseconds."""
MAX_NAME = 200
"""Characters of an element's id or a key combination."""
MAX_ITEMS = 200
"""Options, files, arguments of one action."""


class Unreadable(ValueError):
    """What an agent wrote is no action; the text is for the agent. Never leaves ``ActionSyntax.parse``."""


@dataclass(frozen=True, slots=True)
class Click:
    """``count`` clicks on the element's centre (2: double click) with ``modifiers`` held."""

    id: str
    button: Button = "left"
    modifiers: tuple[Modifier, ...] = ()
    count: int = 1


@dataclass(frozen=True, slots=True)
class Hover:
    id: str


@dataclass(frozen=True, slots=True)
class Fill:
    """Replace what is in a field. ``autocomplete``: the last character is typed, so that menus that listen to keys open."""

    id: str
    value: str
    autocomplete: bool = False


@dataclass(frozen=True, slots=True)
class SelectOption:
    """Choose the options of a <select> by value or label."""

    id: str
    options: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Press:
    """Focus the element and press ``keys`` ("Control+a")."""

    id: str
    keys: str


@dataclass(frozen=True, slots=True)
class Focus:
    id: str


@dataclass(frozen=True, slots=True)
class Clear:
    id: str


@dataclass(frozen=True, slots=True)
class Check:
    id: str


@dataclass(frozen=True, slots=True)
class Uncheck:
    id: str


@dataclass(frozen=True, slots=True)
class DragAndDrop:
    source: str
    target: str


@dataclass(frozen=True, slots=True)
class Scroll:
    """Turn the wheel over the element ``id``, or where the mouse is."""

    dx: float
    dy: float
    id: str | None = None


@dataclass(frozen=True, slots=True)
class UploadFile:
    """Give files to the chooser that a click on the element opens; none clears it."""

    id: str
    files: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class MouseMove:
    x: float
    y: float


@dataclass(frozen=True, slots=True)
class MouseDown:
    x: float
    y: float
    button: Button = "left"


@dataclass(frozen=True, slots=True)
class MouseUp:
    x: float
    y: float
    button: Button = "left"


@dataclass(frozen=True, slots=True)
class MouseClick:
    """``count`` 2 is a double click."""

    x: float
    y: float
    button: Button = "left"
    count: int = 1


@dataclass(frozen=True, slots=True)
class MouseDrag:
    """Press the left button at the first point, release it at the second."""

    from_x: float
    from_y: float
    to_x: float
    to_y: float


@dataclass(frozen=True, slots=True)
class ScrollAt:
    """Move to (x, y) and turn the wheel."""

    x: float
    y: float
    dx: float
    dy: float


@dataclass(frozen=True, slots=True)
class MouseUploadFile:
    """Give files to the chooser that a click at (x, y) opens; none clears it."""

    x: float
    y: float
    files: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class KeyDown:
    key: str


@dataclass(frozen=True, slots=True)
class KeyUp:
    key: str


@dataclass(frozen=True, slots=True)
class KeyPress:
    """Press a combination ("Control+a") in whatever has the focus."""

    keys: str


@dataclass(frozen=True, slots=True)
class TypeText:
    """A key press for each character; a line feed presses Enter."""

    text: str


@dataclass(frozen=True, slots=True)
class InsertText:
    """Put text where the focus is with one input event and no key events."""

    text: str


@dataclass(frozen=True, slots=True)
class Goto:
    url: str


@dataclass(frozen=True, slots=True)
class GoBack:
    pass


@dataclass(frozen=True, slots=True)
class GoForward:
    pass


@dataclass(frozen=True, slots=True)
class NewTab:
    pass


@dataclass(frozen=True, slots=True)
class CloseTab:
    pass


@dataclass(frozen=True, slots=True)
class FocusTab:
    """``index`` counts the open tabs from 0."""

    index: int


@dataclass(frozen=True, slots=True)
class SendMessage:
    """Say something to the user."""

    text: str


@dataclass(frozen=True, slots=True)
class ReportInfeasible:
    """Say that the task cannot be done, which ends it."""

    reason: str = ""


@dataclass(frozen=True, slots=True)
class Noop:
    wait_ms: float = 1000.0


@dataclass(frozen=True, slots=True)
class Finish:
    """Say that the task is done, perhaps with an answer."""

    answer: str = ""


ElementAction: TypeAlias = Click | Hover | Fill | SelectOption | Press | Focus | Clear | Check | Uncheck | DragAndDrop | Scroll | UploadFile
MouseAction: TypeAlias = MouseMove | MouseDown | MouseUp | MouseClick | MouseDrag | ScrollAt | MouseUploadFile
KeyboardAction: TypeAlias = KeyDown | KeyUp | KeyPress | TypeText | InsertText
PageAction: TypeAlias = Goto | GoBack | GoForward | NewTab | CloseTab | FocusTab
TalkAction: TypeAlias = SendMessage | ReportInfeasible | Noop | Finish
Action: TypeAlias = ElementAction | MouseAction | KeyboardAction | PageAction | TalkAction


@dataclass(frozen=True, slots=True, kw_only=True)
class Parsed:
    """One message: the actions it asks for, or a ``problem`` for the agent and no action. ``thought`` is the text before the actions."""

    actions: tuple[Action, ...] = ()
    thought: str = ""
    problem: str = ""


class ActionSyntax(Protocol):
    """How an agent writes actions. ``instructions`` go into the system message; ``parse(write(actions)).actions`` are the same actions.

    ``parse`` never raises. ``write`` raises ``ValueError`` for an action that the syntax has no words for.
    """

    def instructions(self) -> str: ...

    def parse(self, text: str) -> Parsed: ...

    def write(self, actions: Sequence[Action], thought: str = "") -> str: ...


def shown(value: object, limit: int = 80) -> str:
    """What an agent wrote, for a message to it: cut, with control characters and half surrogate pairs as escapes."""
    if not isinstance(value, str):
        try:
            return _cut(repr(value), limit)
        except (RecursionError, ValueError):  # nested too deeply; a number of over 4,300 digits
            return f"a {type(value).__name__} too large to show"
    cut = value if len(value) <= limit else value[:limit]
    quoted = repr(cut)
    return quoted if len(value) <= limit else f"{quoted[:-1]}…{quoted[-1]} ({len(value)} characters)"


def escaped(text: str) -> str:
    """``text`` with control characters and half surrogate pairs as escapes."""
    return "".join(c if c.isprintable() else repr(c)[1:-1] for c in text)


def sentence(text: str) -> str:
    """``text`` with a full stop, unless it ends in a question."""
    return text if text.endswith(("?", ".")) else f"{text}."


def _cut(text: str, limit: int) -> str:
    return text if len(text) <= limit else f"{text[:limit]}… ({len(text)} characters)"


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """ " Did you mean X?" with the known name nearest to ``name``, or nothing."""
    lower = {word.lower(): word for word in known}
    close = difflib.get_close_matches(name[:50].lower(), lower, 1)
    return f" Did you mean {lower[close[0]]}?" if close else ""


def check_text(value: str) -> str:
    """``value`` with surrogate pairs joined; raises ``Unreadable`` for half a pair, which no browser takes."""
    if not any("\ud800" <= character <= "\udfff" for character in value):
        return value
    try:
        return value.encode("utf-16", "surrogatepass").decode("utf-16")
    except UnicodeDecodeError as error:
        raise Unreadable(f"half of a surrogate pair is no text: {shown(value)}") from error


def check_point(x: float, y: float, screen: tuple[int, int] | None) -> None:
    """Raises ``Unreadable`` for a point outside of ``screen`` (width, height), its edges included; None: no bound is known."""
    if screen is not None and not (0 <= x <= screen[0] and 0 <= y <= screen[1]):
        raise Unreadable(f"the point ({x:g}, {y:g}) is outside the screen; allowed: x from 0 to {screen[0]}, y from 0 to {screen[1]}")


def too_long(text: str) -> Parsed | None:
    """The answer to a message that is longer than ``MAX_TEXT``."""
    if len(text) <= MAX_TEXT:
        return None
    return Parsed(problem=f"The message has {len(text)} characters; the most is {MAX_TEXT}. Write only the next action.")


def too_many(count: int, multi: bool) -> str:
    """What to tell an agent that wrote ``count`` actions, or nothing."""
    if count <= (MAX_ACTIONS if multi else 1):
        return ""
    allowed = f"at most {MAX_ACTIONS} are" if multi else "one is"
    return f"{count} actions were found in the message; {allowed} allowed. Write only what is to be done next."


def read_each(written: Iterable[T], read: Callable[[T], Action], thought: str, multi: bool) -> Parsed:
    """The actions of a message, each by ``read``; the first ``Unreadable`` one, or too many, are the problem."""
    actions: list[Action] = []
    for one in written:
        try:
            actions.append(read(one))
        except Unreadable as error:
            return Parsed(thought=thought, problem=str(error))
    problem = too_many(len(actions), multi)
    return Parsed(actions=() if problem else tuple(actions), thought=thought, problem=problem)


def check_count(actions: Sequence[object], multi: bool) -> None:
    """Raises ``ValueError`` if ``actions`` are none, or more than one message may hold."""
    most = MAX_ACTIONS if multi else 1
    if not 1 <= len(actions) <= most:
        raise ValueError(f"{len(actions)} actions for one message; allowed: 1" + (f" to {most}" if most > 1 else " (multi=True: more)"))


def plain_number(value: float) -> int | float:
    """5.0 as 5, for writing."""
    return int(value) if value == int(value) else value
