"""Carries out ``Action`` values on a page with real input events. What cannot be done is a sentence for the agent, not an exception."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, cast

from . import actions as a
from .actions import Action, shown
from .cdp import CdpError, Json
from .keyboard import MODIFIER_BITS, Key, key_named
from .keys import split_keys
from .page import Page, PageFault

_DRAG_STEPS = 6
_HOVER_TRIES = 25
_AT_ONCE_MS = 20
_BUTTON_BITS = {"left": 1, "right": 2, "middle": 4}
_FRAME = "new Promise((done) => requestAnimationFrame(() => setTimeout(done, 0)))"


class _Failed(Exception):
    """The action was not carried out; the text says why."""


async def perform(page: Page, action: Action) -> str:
    """Carry out ``action``. Gives "" or why it was not done. Raises ``PageFault`` when the page itself fails.

    Talk (``SendMessage``, ``ReportInfeasible``, ``Finish``) is for the environment and does nothing here.
    """
    try:
        await _do(page, action)
    except _Failed as failed:
        return str(failed)
    except CdpError as error:
        return f"The browser refused it: {error}."
    return ""


async def _do(page: Page, action: Action) -> None:
    match action:
        case a.MouseMove() | a.MouseDown() | a.MouseUp() | a.MouseClick() | a.MouseDrag() | a.ScrollAt():
            await _mouse_action(page, action)
        case a.KeyDown(key=keys) | a.KeyUp(key=keys) | a.KeyPress(keys=keys):
            await _keys(page, keys, down=not isinstance(action, a.KeyUp), up=not isinstance(action, a.KeyDown))
        case a.TypeText(text=text):
            await _type(page, text)
        case a.InsertText(text=text):
            await page.bounded(page.send("Input.insertText", {"text": text}))
        case a.Goto(url=url):
            await _go_to(page, url)
        case a.GoBack() | a.GoForward():
            await page.evaluate("history.back()" if isinstance(action, a.GoBack) else "history.forward()")
            await asyncio.sleep(0.02)  # a traversal starts in another process; nothing tells when there is nowhere to go
        case a.NewTab() | a.CloseTab() | a.FocusTab():
            raise _Failed("There is one tab, which stays open; tabs cannot be opened, closed or changed here.")
        case a.UploadFile() | a.MouseUploadFile():
            raise _Failed("There are no files to upload here.")
        case a.Noop(wait_ms=wait_ms):
            await asyncio.sleep(wait_ms / 1000)
        case a.SendMessage() | a.ReportInfeasible() | a.Finish():
            return
        case _:
            await _element_action(page, action)


async def _element_action(page: Page, action: a.ElementAction) -> None:
    match action:
        case a.Click(id=element, button=button, modifiers=modifiers, count=count):
            target = await _element(page, element)
            where = await target.ask("click")
            if where.get("tag") == "SELECT":
                # Its list is a window of the system, which no page and no screenshot shows.
                await target.ask("focus")
                return
            await _click_on(target, where, button, count, modifiers)
        case a.Hover(id=element):
            where = await _ask(page, element, "point", True)
            await _move(page, where["x"], where["y"])
        case a.Fill(id=element, value=value, autocomplete=autocomplete):
            await _fill(page, element, value, autocomplete)
        case a.Clear(id=element):
            await _fill(page, element, "", False)
        case a.SelectOption(id=element, options=options):
            await _ask(page, element, "select", list(options))
        case a.Press(id=element, keys=keys):
            await _ask(page, element, "focus")
            await _keys(page, keys, down=True, up=True)
        case a.Focus(id=element):
            await _ask(page, element, "focus")
        case a.Check(id=element) | a.Uncheck(id=element):
            target = await _element(page, element)
            where = await target.ask("checked", isinstance(action, a.Check))
            if not where.get("already"):
                await _click_on(target, where, "left", 1, ())
        case a.DragAndDrop(source=source, target=target):
            start = await _ask(page, source, "click")
            end = await _ask(page, target, "point", True)
            await _drag(page, (start["x"], start["y"]), (end["x"], end["y"]))
        case a.Scroll(dx=dx, dy=dy, id=element):
            where = await _ask(page, element, "point", True) if element is not None else None
            await _wheel(page, (where["x"], where["y"]) if where else _rest(page), dx, dy)
        case a.UploadFile():
            raise _Failed("There are no files to upload here.")


@dataclass(frozen=True, slots=True)
class _Element:
    page: Page
    id: str
    handle: str

    async def ask(self, function: str, *arguments: object) -> Mapping[str, Any]:
        """What ``js/isolated.js`` says about the element; its problem fails the action."""
        try:
            said = cast("Mapping[str, Any] | None", await self.page.call(self.handle, function, *arguments)) or {}
        except CdpError as error:
            raise _gone(self.id) from error
        if problem := said.get("problem"):
            raise _Failed(f"Element [{self.id}] {problem}.")
        return said

    async def missed(self) -> bool:
        """Whether the click after the last answer that named a place met something else."""
        try:
            return (await self.page.call(self.handle, "missed"))["missed"]
        except (CdpError, PageFault):
            if self.page.fault:
                raise
            return False  # the click led to another document


async def _element(page: Page, element: str) -> _Element:
    node = page.ids.node(element)
    if node is None:
        raise _Failed(f"There is no element {shown(element)} on the page; use an id in [brackets] of the last observation.")
    try:
        return _Element(page, element, await page.element(node))
    except CdpError as error:
        raise _gone(element) from error


def _gone(element: str) -> _Failed:
    return _Failed(f"Element [{element}] is no longer on the page.")


async def _ask(page: Page, element: str, function: str, *arguments: object) -> Mapping[str, Any]:
    return await (await _element(page, element)).ask(function, *arguments)


async def _click_on(target: _Element, where: Mapping[str, Any], button: str, count: int, modifiers: tuple[str, ...]) -> None:
    """Click at the place ``where`` that was found for the element.

    What a page shows under the mouse may take a moment to load; until then a picture has no area, and the click meets something else.
    Such a click is kept from the page (js/isolated.js) and done once more when the element can be met, or as it is when that does not come.
    """
    page = target.page
    await _click(page, where["x"], where["y"], button, count, modifiers)
    if not await target.missed():
        return
    for _ in range(_HOVER_TRIES):
        try:
            where = await target.ask("click")
            break
        except _Failed:
            await asyncio.sleep(0.02)
    await _click(page, where["x"], where["y"], button, count, modifiers)
    await target.missed()


# ---- mouse -----------------------------------------------------------------------------------------------------------


async def _mouse_action(page: Page, action: a.MouseAction) -> None:
    match action:
        case a.MouseMove(x=x, y=y):
            _on_screen(page, x, y)
            await _move(page, x, y)
        case a.MouseDown(x=x, y=y, button=button):
            _on_screen(page, x, y)
            page.held_buttons.add(button)
            await _send_all(page, _event(page, "mouseMoved", x, y), _event(page, "mousePressed", x, y, button, 1))
        case a.MouseUp(x=x, y=y, button=button):
            _on_screen(page, x, y)
            moved = _event(page, "mouseMoved", x, y)
            page.held_buttons.discard(button)
            await _send_all(page, moved, _event(page, "mouseReleased", x, y, button, 1))
        case a.MouseClick(x=x, y=y, button=button, count=count):
            _on_screen(page, x, y)
            await _click(page, x, y, button, count, ())
        case a.MouseDrag(from_x=x, from_y=y, to_x=to_x, to_y=to_y):
            _on_screen(page, x, y)
            _on_screen(page, to_x, to_y)
            await _drag(page, (x, y), (to_x, to_y))
        case a.ScrollAt(x=x, y=y, dx=dx, dy=dy):
            _on_screen(page, x, y)
            await _wheel(page, (x, y), dx, dy)
        case a.MouseUploadFile():
            raise _Failed("There are no files to upload here.")


def _on_screen(page: Page, x: float, y: float) -> None:
    width, height = page.size
    if not (0 <= x <= width and 0 <= y <= height):
        raise _Failed(f"The point ({x:g}, {y:g}) is outside the screen; allowed: x from 0 to {width}, y from 0 to {height}.")


def _rest(page: Page) -> tuple[float, float]:
    return page.mouse if page.mouse != (0.0, 0.0) else (page.size[0] / 2, page.size[1] / 2)


def _event(page: Page, kind: str, x: float, y: float, button: str = "none", count: int = 0, modifiers: tuple[str, ...] = ()) -> Json:
    page.mouse = page.pointed = (x, y)
    if kind == "mousePressed" and page.pressed is None:
        page.pressed = (x, y)
    held = page.held_buttons
    return {
        "type": kind,
        "x": x,
        "y": y,
        "button": button if button != "none" else next(iter(sorted(held)), "none"),
        "buttons": sum(_BUTTON_BITS[b] for b in held),
        "clickCount": count,
        "modifiers": _modifiers(page, modifiers),
    }


def _modifiers(page: Page, more: tuple[str, ...] = ()) -> int:
    names = {"Control" if m == "ControlOrMeta" else m for m in (*more, *page.held)}
    return sum(MODIFIER_BITS.get(name, 0) for name in names)


async def _send_all(page: Page, *events: Json) -> None:
    """Input events in order; the page has handled all of them when the last one is answered."""
    await page.all(*[page.send("Input.dispatchMouseEvent", event) for event in events])


def _small_step(page: Page, x: float, y: float) -> tuple[float, float]:
    """A pixel on the way to (x, y): menus that open under a resting mouse tell by it what was not meant."""
    from_x, from_y = page.mouse
    return from_x + max(-1.0, min(1.0, x - from_x)), from_y + max(-1.0, min(1.0, y - from_y))


def _there(page: Page, x: float, y: float, modifiers: tuple[str, ...] = ()) -> list[Json]:
    """Events that bring the mouse to (x, y) in two movements, both seen by the page.

    A movement waits for the page's next frame, and those until then become one, unless another event follows: here the release of no
    button, of which a page does not hear.
    """
    if page.mouse == (x, y):
        return []
    first = _event(page, "mouseMoved", *_small_step(page, x, y), modifiers=modifiers)
    apart = [] if page.held_buttons else [_event(page, "mouseReleased", *page.mouse)]
    return [first, *apart, _event(page, "mouseMoved", x, y, modifiers=modifiers)]


async def _move(page: Page, x: float, y: float) -> None:
    if not page.held_buttons:
        await _send_all(page, *_there(page, x, y), _event(page, "mouseReleased", x, y))
        return
    # Nothing may be released here: each movement is waited for.
    await _send_all(page, _event(page, "mouseMoved", *_small_step(page, x, y)))
    await _send_all(page, _event(page, "mouseMoved", x, y))


async def _click(page: Page, x: float, y: float, button: str, count: int, modifiers: tuple[str, ...]) -> None:
    events = _there(page, x, y, modifiers)
    for number in range(1, count + 1):
        page.held_buttons.add(button)
        events.append(_event(page, "mousePressed", x, y, button, number, modifiers))
        page.held_buttons.discard(button)
        events.append(_event(page, "mouseReleased", x, y, button, number, modifiers))
    await _send_all(page, *events)


async def _drag(page: Page, start: tuple[float, float], end: tuple[float, float]) -> None:
    (x1, y1), (x2, y2) = start, end
    await _send_all(page, _event(page, "mouseMoved", x1, y1))
    page.held_buttons.add("left")
    await _send_all(page, _event(page, "mousePressed", x1, y1, "left", 1))
    for step in range(1, _DRAG_STEPS + 1):
        share = step / _DRAG_STEPS
        await _send_all(page, _event(page, "mouseMoved", x1 + (x2 - x1) * share, y1 + (y2 - y1) * share))
    page.held_buttons.discard("left")
    await _send_all(page, _event(page, "mouseReleased", x2, y2, "left", 1))


async def _wheel(page: Page, where: tuple[float, float], dx: float, dy: float) -> None:
    x, y = where
    turn = {**_event(page, "mouseWheel", x, y), "deltaX": dx, "deltaY": dy}
    await _send_all(page, _event(page, "mouseMoved", x, y), turn)
    # The wheel is answered before the page has scrolled, which it does with its next frame.
    for _ in range(2):
        await page.evaluate(_FRAME, isolated=True)


# ---- keyboard --------------------------------------------------------------------------------------------------------


async def _keys(page: Page, keys: str, *, down: bool, up: bool) -> None:
    """Press the keys of a combination in order, then let them go in reverse."""
    names = ["Control" if name == "ControlOrMeta" else name for name in split_keys(keys)]
    commands = list[asyncio.Future[Json]]()
    if down:
        for name in names:
            key = _key(name, page)
            if key.key in MODIFIER_BITS or not up:
                page.held.add(key.key)
            commands.append(_press(page, key))
    if up:
        for name in reversed(names):
            key = _key(name, page)
            page.held.discard(key.key)
            commands.append(page.send("Input.dispatchKeyEvent", _key_event("keyUp", key, _modifiers(page))))
    await page.all(*commands)


def _key(name: str, page: Page) -> Key:
    key = key_named(name, shift="Shift" in page.held)
    if key is None:
        raise _Failed(f"There is no key {shown(name)}; use e.g. Enter, Tab, ArrowDown, a, Control+a.")
    return key


def _press(page: Page, key: Key) -> asyncio.Future[Json]:
    modifiers = _modifiers(page)
    plain = not modifiers & ~MODIFIER_BITS["Shift"]
    text = key.text if plain else ""
    event = _key_event("keyDown" if text else "rawKeyDown", key, modifiers)
    if text:
        event |= {"text": text, "unmodifiedText": text}
    if modifiers & MODIFIER_BITS["Control"] and (command := _COMMANDS.get(key.key.lower())):
        event["commands"] = [command]
    return page.send("Input.dispatchKeyEvent", event)


_COMMANDS = {"a": "selectAll", "c": "copy", "x": "cut", "v": "paste", "z": "undo", "y": "redo"}


def _key_event(kind: str, key: Key, modifiers: int) -> Json:
    return {
        "type": kind,
        "key": key.key,
        "code": key.code,
        "windowsVirtualKeyCode": key.number,
        "location": key.location,
        "isKeypad": key.location == 3,
        "modifiers": modifiers,
    }


async def _type(page: Page, text: str) -> None:
    commands = list[asyncio.Future[Json]]()
    for character in text.replace("\r\n", "\n"):
        key = key_named("Enter" if character == "\n" else "Tab" if character == "\t" else character)
        if key is None:
            commands.append(page.send("Input.insertText", {"text": character}))
            continue
        commands.append(_press(page, key))
        commands.append(page.send("Input.dispatchKeyEvent", _key_event("keyUp", key, _modifiers(page))))
    await page.all(*commands)


async def _fill(page: Page, element: str, value: str, autocomplete: bool) -> None:
    said = await _ask(page, element, "fill", value)
    if said.get("set"):
        return
    typed = value[-1:] if autocomplete else ""
    body = value[: len(value) - len(typed)]
    if body:
        await page.bounded(page.send("Input.insertText", {"text": body}))
    else:
        await _keys(page, "Delete", down=True, up=True)
    if typed:
        if body:
            # A menu that answers at once answers both; whether it has time to answer the first must not be left to chance.
            await page.evaluate(f"__turnwise_quiet({_AT_ONCE_MS}, 1000)")
        await _type(page, typed)


async def _go_to(page: Page, url: str) -> None:
    problem = await page.go(url)
    if problem:
        raise _Failed(problem)
