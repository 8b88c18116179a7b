"""Plans for forms: texts, passwords, dates and times typed, sliders, spinners, colours, autocomplete."""

from __future__ import annotations

from collections import deque
from collections.abc import Generator

from .experts_clicks import COLOURS
from .plans import Plan, click, complete, drag_points, fill, press, quoted, said, solves, submit
from .reading import Lost, Node, Page

ORDINALS = ("1st", "2nd", "3rd")


@solves("enter-text", "enter-text-dynamic")
def enter_text(page: Page) -> Plan:
    page = yield fill(page.find("textbox"), quoted(page.goal)[0])
    yield submit(page)


@solves("enter-text-2")
def enter_in_case(page: Page) -> Plan:
    text, case = said(r'"(.*)" in all (upper|lower)', page.goal)
    page = yield fill(page.find("textbox"), text.upper() if case == "upper" else text.lower())
    yield submit(page)


@solves("enter-password")
def enter_twice(page: Page) -> Plan:
    first, second = page.all("textbox")[:2]
    page = yield fill(first, quoted(page.goal)[0])
    page = yield fill(second, quoted(page.goal)[0])
    yield submit(page)


@solves("login-user", "login-user-popup")
def log_in(page: Page) -> Plan:
    name, password = quoted(page.goal)[:2]
    for place, text in enumerate((name, password)):
        page = yield fill(page.all("textbox")[place], text)
        if page.all("button", "Cancel"):
            # Something came up in between and took what was typed.
            page = yield click(page.button("Cancel"))
            page = yield fill(page.all("textbox")[place], text)
    yield click(page.find("button", where=lambda node: node.name in ("Login", "OK")))


@solves("enter-date")
def enter_date(page: Page) -> Plan:
    month, day, year = said(r"(\d+)/(\d+)/(\d+)", page.goal)
    page = yield fill(page.find("Date"), f"{year}-{month}-{day}")
    yield submit(page)


@solves("enter-time")
def enter_time(page: Page) -> Plan:
    hour, minute, half = said(r"(\d+):(\d+) ([AP])M", page.goal)
    page = yield fill(page.find("InputTime"), f"{int(hour) % 12 + (12 if half == 'P' else 0):02}:{minute}")
    yield submit(page)


@solves("multi-layouts", "multi-orderings")
def search_films(page: Page) -> Plan:
    genre, name, year = said(r"for (\w+) movies directed by (.*) from year (\d+)", page.goal)
    words = {"genre": genre, "director": name, "year": year, "date": year}
    relevant = [(node, node.name.lower()) for node in page.nodes]
    fields = [(i, node) for i, (node, _) in enumerate(relevant) if node.role == "textbox"]
    labels = [(i, text) for i, (node, text) in enumerate(relevant) if node.role in ("StaticText", "rowheader")]
    labels = [(i, next(words[word] for word in words if word in text)) for i, text in labels if any(word in text for word in words)]
    shift = 0 if labels and labels[0][0] < fields[0][0] else 1
    for place, (i, field) in enumerate(fields):
        before = [text for j, text in labels if j < i]
        text = before[-1] if not shift else labels[place][1]
        page = yield fill(field, text)
    buttons = page.all("button") or [node for node in page.nodes if node.role == "generic" and "clickable" in node.flags]
    yield click(buttons[-1])


@solves("use-autocomplete", "use-autocomplete-nodelay")
def use_autocomplete(page: Page) -> Plan:
    start, end = [*quoted(page.goal), ""][:2]
    field = page.find("textbox")
    page = yield complete(field, start)
    known = [node for node in page.nodes if node.id and node.role in ("menuitem", "option", "listitem", "generic") and node.name]
    page = yield click(next((n for n in known if n.name.startswith(start) and n.name.endswith(end)), None) or _proposal(page, start, end))
    yield submit(page)


def _proposal(page: Page, start: str, end: str) -> Node:
    text = page.find("StaticText", where=lambda node: node.name.startswith(start) and node.name.endswith(end))
    return page.holder(text.name)


@solves("use-colorwheel")
def pick_named_colour(page: Page) -> Plan:
    (name,) = said(r"Select (\w+) with", page.goal)
    page = yield fill(page.find("textbox"), COLOURS[name].removeprefix("#"))
    yield submit(page)


@solves("use-colorwheel-2")
def pick_shown_colour(page: Page) -> Plan:
    (colour,) = said(r"#(\w{6})", page.goal)
    page = yield fill(page.find("textbox"), colour)
    yield submit(page)


@solves("use-spinner")
def use_spinner(page: Page) -> Plan:
    (wanted,) = said(r"Select (-?\d+) with", page.goal)
    while (value := int(page.find("spinbutton").value)) != int(wanted):
        page = yield click(page.find("generic", said="ui-spinner-up" if value < int(wanted) else "ui-spinner-down"))
    yield submit(page)


@solves("use-slider")
def use_slider(page: Page) -> Plan:
    (wanted,) = said(r"Select (-?\d+) with", page.goal)
    page = yield from _measured(page, int(wanted))
    yield submit(page)


def _shown_value(page: Page, handle: Node) -> int:
    """The number that stands behind a slider."""
    number = next((node for node in page.after(handle) if node.role == "StaticText"), None)
    if number is None:
        raise Lost("the slider shows no value")
    return int(number.name)


def _handles(page: Page) -> list[Node]:
    return page.all("generic", said="ui-slider-handle")


def _measured(page: Page, wanted: int) -> Generator[str, Page, Page]:
    """Move a slider of unknown range: a page is a fifth of it, and the ends are found by pressing Home and End."""
    handle = _handles(page)[0]
    page = yield press(handle, "Home")
    low = _shown_value(page, handle)
    page = yield press(handle, "End")
    high = _shown_value(page, handle)
    for key in shortest_keys(high, wanted, low, high):
        page = yield press(handle, key)
    return page


def shortest_keys(value: int, wanted: int, low: int, high: int) -> list[str]:
    """The fewest keys that take a slider from ``value`` to ``wanted``; Page Up and Page Down move by a fifth of its range."""
    leap = max(1, (high - low) // 5)
    moves = {"ArrowRight": 1, "ArrowLeft": -1, "PageUp": leap, "PageDown": -leap}
    back: dict[int, tuple[int, str]] = {value: (value, "")}
    queue = deque([value])
    while queue and wanted not in back:
        here = queue.popleft()
        steps = [(key, min(high, max(low, here + by))) for key, by in moves.items()] + [("Home", low), ("End", high)]
        for key, there in steps:
            if there not in back:
                back[there] = (here, key)
                queue.append(there)
    if wanted not in back:
        raise Lost(f"{wanted} is not between {low} and {high}")
    found = list[str]()
    while wanted != value:
        wanted, key = back[wanted]
        found.append(key)
    return found[::-1]


@solves("use-slider-2")
def use_three_sliders(page: Page) -> Plan:
    wanted = [int(part) for part in said(r"\[(-?\d+),(-?\d+),(-?\d+)\]", page.goal)]
    for place, target in enumerate(wanted):
        handle = _handles(page)[place]
        for key in shortest_keys(_shown_value(page, handle), target, 0, 20):
            page = yield press(handle, key)
    yield submit(page)


@solves("form-sequence")
def slide_and_check(page: Page) -> Plan:
    wanted, box = said(r"Select (-?\d+) with the slider, click the (\d)", page.goal)
    handle = _handles(page)[0]
    for key in shortest_keys(_shown_value(page, handle), int(wanted), -10, 10):
        page = yield press(handle, key)
    page = yield click(page.all("checkbox")[int(box) - 1])
    yield submit(page)


@solves("form-sequence-2")
def choose_and_enter(page: Page) -> Plan:
    radio, number, field = said(r'the (\d)\w\w radio .* number "(-?\d+)" into the (\d)', page.goal)
    page = yield click(page.all("radio")[int(radio) - 1])
    page = yield fill(page.all("textbox")[int(field) - 1], number)
    yield submit(page)


@solves("form-sequence-3")
def choose_and_press(page: Page) -> Plan:
    option, button = said(r'Choose (.*) from the dropdown, then click the button labeled "(.*)"', page.goal)
    page = yield click(page.find(said="selectric"))
    page = yield click(page.find("listitem", where=lambda node: option in (node.name, page.words(node))))
    yield click(page.button(button))


@solves("resize-textarea")
def resize(page: Page) -> Plan:
    side, way = said(r"the (width|height) is (smaller|larger)", page.goal)
    x, y = page.find(said="ui-resizable-se").place
    by = 12 if way == "larger" else -15
    page = yield drag_points((x, y), (x + by, y) if side == "width" else (x, y + by))
    yield submit(page)
