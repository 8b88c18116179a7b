"""BrowserGym's high-level action set in its Python-call notation: ``click('12')``, ``fill('a5', 'text')``, ``mouse_click(10, 20)``.

Names, parameters and subsets are those of ServiceNow's BrowserGym (browsergym.core.action.highlevel, Apache-2.0). Differences: arguments
are checked before anything is done, calls are never executed as Python, and a call on a line of its own is preferred to one in prose.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import KW_ONLY, dataclass, field
from typing import Any, cast

from . import actions as a
from .actions import (
    Action,
    Parsed,
    Unreadable,
    check_count,
    check_point,
    did_you_mean,
    escaped,
    plain_number,
    read_each,
    sentence,
    shown,
    too_long,
)
from .calls import Call, action_part, choose, find_calls
from .signatures import (
    BUTTON,
    FLAG,
    ID,
    INDEX,
    KEY,
    KEYS,
    MODIFIER_LIST,
    NUMBER,
    REQUIRED,
    TEXT,
    TEXTS,
    WAIT,
    Kind,
    Parameter,
    Signature,
)

SUBSETS = ("bid", "coord", "nav", "tab", "chat", "infeas")
DEFAULT_SUBSETS = ("chat", "infeas", "bid", "nav", "tab")
"""BrowserGym's own default; ``noop`` is always there."""

_P = Parameter
_BID = _P("bid", ID, "id")
_BUTTON = _P("button", BUTTON, "button", "left")
_MODIFIERS = _P("modifiers", MODIFIER_LIST, "modifiers", ())
_XY = (_P("x", NUMBER, "x"), _P("y", NUMBER, "y"))
_DOUBLE = (("count", 2),)


def _pair(first: str, second: str, kind: Kind) -> tuple[Parameter, Parameter]:
    return _P(first, kind, first), _P(second, kind, second)


SIGNATURES: tuple[Signature, ...] = (
    Signature("noop", "", a.Noop, (_P("wait_ms", WAIT, "wait_ms", 1000.0),), "do nothing for wait_ms milliseconds"),
    Signature("send_msg_to_user", "chat", a.SendMessage, (_P("text", TEXT, "text"),), "send a message to the user"),
    Signature("report_infeasible", "infeas", a.ReportInfeasible, (_P("reason", TEXT, "reason"),), "say that the task cannot be done"),
    Signature("scroll", "bid", a.Scroll, (_P("delta_x", NUMBER, "dx"), _P("delta_y", NUMBER, "dy")), "scroll, in pixels right and down"),
    Signature(
        "fill",
        "bid",
        a.Fill,
        (_BID, _P("value", TEXT, "value"), _P("enable_autocomplete_menu", FLAG, "autocomplete", False)),
        "replace the text of a field",
    ),
    Signature(
        "select_option", "bid", a.SelectOption, (_BID, _P("options", TEXTS, "options")), "choose options of a <select> by value or label"
    ),
    Signature("click", "bid", a.Click, (_BID, _BUTTON, _MODIFIERS), "click an element"),
    Signature("dblclick", "bid", a.Click, (_BID, _BUTTON, _MODIFIERS), "double click an element", _DOUBLE),
    Signature("hover", "bid", a.Hover, (_BID,), "move the mouse over an element"),
    Signature("press", "bid", a.Press, (_BID, _P("key_comb", KEYS, "keys")), "focus an element and press keys: 'Enter', 'Control+a'"),
    Signature("focus", "bid", a.Focus, (_BID,), "focus an element"),
    Signature("clear", "bid", a.Clear, (_BID,), "empty a field"),
    Signature("check", "bid", a.Check, (_BID,), "check a checkbox or radio button"),
    Signature("uncheck", "bid", a.Uncheck, (_BID,), "uncheck a checkbox"),
    Signature("drag_and_drop", "bid", a.DragAndDrop, (_P("from_bid", ID, "source"), _P("to_bid", ID, "target")), "drag one onto another"),
    Signature("upload_file", "bid", a.UploadFile, (_BID, _P("file", TEXTS, "files")), "click an element and choose files"),
    Signature("scroll_at", "coord", a.ScrollAt, (*_XY, *_pair("dx", "dy", NUMBER)), "scroll at a point, in pixels right and down"),
    Signature("mouse_move", "coord", a.MouseMove, _XY, "move the mouse"),
    Signature("mouse_up", "coord", a.MouseUp, (*_XY, _BUTTON), "move the mouse and release a button"),
    Signature("mouse_down", "coord", a.MouseDown, (*_XY, _BUTTON), "move the mouse and hold a button"),
    Signature("mouse_click", "coord", a.MouseClick, (*_XY, _BUTTON), "click at a point"),
    Signature("mouse_dblclick", "coord", a.MouseClick, (*_XY, _BUTTON), "double click at a point", _DOUBLE),
    Signature(
        "mouse_drag_and_drop",
        "coord",
        a.MouseDrag,
        (*_pair("from_x", "from_y", NUMBER), *_pair("to_x", "to_y", NUMBER)),
        "drag from a point to another",
    ),
    Signature("mouse_upload_file", "coord", a.MouseUploadFile, (*_XY, _P("file", TEXTS, "files")), "click at a point and choose files"),
    Signature("keyboard_down", "coord", a.KeyDown, (_P("key", KEY, "key"),), "hold a key"),
    Signature("keyboard_up", "coord", a.KeyUp, (_P("key", KEY, "key"),), "release a key"),
    Signature("keyboard_press", "coord", a.KeyPress, (_P("key", KEYS, "keys"),), "press keys: 'Enter', 'Control+a'"),
    Signature("keyboard_type", "coord", a.TypeText, (_P("text", TEXT, "text"),), "type text, key by key"),
    Signature("keyboard_insert_text", "coord", a.InsertText, (_P("text", TEXT, "text"),), "insert text without key events"),
    Signature("goto", "nav", a.Goto, (_P("url", TEXT, "url"),), "go to an address"),
    Signature("go_back", "nav", a.GoBack, (), "go back in the history"),
    Signature("go_forward", "nav", a.GoForward, (), "go forward in the history"),
    Signature("tab_close", "tab", a.CloseTab, (), "close the tab"),
    Signature("tab_focus", "tab", a.FocusTab, (_P("index", INDEX, "index"),), "go to an open tab, counted from 0"),
    Signature("new_tab", "tab", a.NewTab, (), "open a new tab"),
)
_BY_NAME = {signature.name: signature for signature in SIGNATURES}
_EXAMPLES = ("click('12')", "mouse_click(40, 80)", "go_back()", "send_msg_to_user('Done.')", "new_tab()", "report_infeasible('No form.')")


@dataclass(frozen=True)
class BrowserGymSyntax:
    """Python calls of the given ``subsets``; with ``multi`` several in one message, one a line or separated by ``;``.

    ``screen`` (width, height) in CSS pixels bounds coordinates; None leaves them to the back end. ``without``: calls that are not offered.
    Raises ``ValueError`` for an unknown subset.

    >>> BrowserGymSyntax().parse("Press it.\\nclick('12')").actions
    (Click(id='12', button='left', modifiers=(), count=1),)
    """

    subsets: Sequence[str] = DEFAULT_SUBSETS
    _: KW_ONLY
    multi: bool = False
    screen: tuple[int, int] | None = None
    without: Sequence[str] = ()
    allowed: tuple[Signature, ...] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        for subset in self.subsets:
            if subset not in SUBSETS:
                raise ValueError(f"there is no action subset {subset!r}.{did_you_mean(subset, SUBSETS)} The subsets: {', '.join(SUBSETS)}")
        groups = {"", *self.subsets}
        allowed = tuple(s for s in SIGNATURES if s.group in groups and s.name not in self.without)
        object.__setattr__(self, "allowed", allowed)

    def instructions(self) -> str:
        """One line for each allowed action."""
        how = (
            f"calls, one a line (at most {a.MAX_ACTIONS}; they are done in order, without a look at the page in between)"
            if self.multi
            else "exactly one call"
        )
        notes = ["A bid is an element's id as the page lists it, in quotes. "] if "bid" in self.subsets else []
        if "coord" in self.subsets:
            across = f", x from 0 to {self.screen[0]} and y from 0 to {self.screen[1]}" if self.screen else ""
            notes.append(f"Coordinates are pixels from the top left{across}. ")
        listed = "\n".join(f"{signature}  # {signature.does}" for signature in self.allowed)
        return (
            f"# Actions\n\n{listed}\n\n{''.join(notes)}Think first, then end your message with a block of {how}:\n"
            f"```\n{self._example()}\n```"
        )

    def parse(self, text: str) -> Parsed:
        if (refused := too_long(text)) is not None:
            return refused
        before, part = action_part(text)
        calls = choose(find_calls(part, _BY_NAME), _BY_NAME)
        if not calls:
            before, part = "", text
            calls = choose(find_calls(part, _BY_NAME), _BY_NAME)
        if not calls:
            found = "The message is empty." if not text.strip() else f"No action was found in {shown(text.strip(), 60)}."
            return Parsed(thought=text.strip(), problem=f"{found} {self._next()}")
        thought = (before + part[: calls[0].start]).strip()
        return read_each(calls, self._action, thought, self.multi)

    def write(self, actions: Sequence[Action], thought: str = "") -> str:
        check_count(actions, self.multi)
        lines = "\n".join(self._written(action) for action in actions)
        return f"{thought}\n```\n{lines}\n```" if thought else lines

    def _action(self, call: Call) -> Action:
        signature = _BY_NAME.get(call.name)
        if signature is None:
            close = did_you_mean(call.name, [s.name for s in self.allowed])
            raise Unreadable(f"There is no action {shown(call.name)}.{close} {self._next()}")
        if signature not in self.allowed:
            raise Unreadable(f"The action {call.name} is not allowed here. {self._next()}")
        try:
            if call.problem:
                raise Unreadable(call.problem)
            action = signature.read(call)
            for x, y in points(action):
                check_point(x, y, self.screen)
        except Unreadable as error:
            raise Unreadable(f"{escaped(call.source)} cannot be read: {sentence(str(error))} Write it as {signature}.") from error
        return action

    def _written(self, action: Action) -> str:
        signature = next((s for s in self.allowed if s.writes(action)), None)
        if signature is None:
            raise ValueError(f"BrowserGym's subsets {', '.join(self.subsets)} have no call for {action}")
        words = list[str]()
        by_name = False
        for parameter in signature.parameters:
            value = getattr(action, parameter.field)
            if parameter.default is not REQUIRED and value == parameter.default:
                by_name = True  # what follows a left-out argument needs its name
            else:
                words.append(f"{parameter.name}={_literal(value)}" if by_name else _literal(value))
        return f"{signature.name}({', '.join(words)})"

    def _example(self) -> str:
        return next((e for e in _EXAMPLES if any(e.startswith(f"{s.name}(") for s in self.allowed)), "noop()")

    def _next(self) -> str:
        return f"Allowed: {', '.join(s.name for s in self.allowed)}. Write one call, for example {self._example()}"


def points(action: Action) -> list[tuple[float, float]]:
    """The points on the screen that ``action`` names."""
    match action:
        case a.MouseDrag():
            return [(action.from_x, action.from_y), (action.to_x, action.to_y)]
        case a.MouseMove() | a.MouseDown() | a.MouseUp() | a.MouseClick() | a.ScrollAt() | a.MouseUploadFile():
            return [(action.x, action.y)]
        case _:
            return []


def _literal(value: Any) -> str:
    if isinstance(value, tuple):
        items = list(cast("tuple[str, ...]", value))
        return repr(items[0]) if len(items) == 1 and items[0] not in a.MODIFIERS else repr(items)
    return repr(plain_number(value)) if isinstance(value, float) else repr(value)
