"""Plans for texts: copied, found, marked, styled, read from tables, and sums."""

from __future__ import annotations

import re
from collections.abc import Generator

from .plans import Plan, click, drag_points, fill, keys, press, said, solves, submit, write
from .reading import Lost, Node, Page

_WORD = re.compile(r"[^a-zA-Z0-9]")


@solves("text-transform")
def type_letters(page: Page) -> Plan:
    page = yield fill(page.find("textbox"), "".join(node.name for node in page.all("StaticText")))
    yield submit(page)


@solves("copy-paste")
def copy_paste(page: Page) -> Plan:
    source = page.find("textbox", where=lambda node: "multiline" in node.flags)
    yield from _copy(page, source, page.find("textbox", where=lambda node: "multiline" not in node.flags))


@solves("copy-paste-2")
def copy_paste_nth(page: Page) -> Plan:
    (place,) = said(r"from the (\d)", page.goal)
    yield from _copy(page, page.all("textbox")[int(place) - 1], page.all("textbox")[-1])


def _copy(page: Page, source: Node, target: Node) -> Plan:
    page = yield press(source, "Control+a")
    page = yield press(source, "Control+c")
    page = yield press(target, "Control+v")
    yield submit(page)


@solves("find-word")
def find_word(page: Page) -> Plan:
    (place,) = said(r"the (\d+)\w\w word", page.goal)
    words = page.find("paragraph").name.split()
    page = yield fill(page.find("textbox"), _WORD.sub("", words[int(place) - 1]))
    yield submit(page)


@solves("scroll-text")
def find_last_word(page: Page) -> Plan:
    area = page.find("textbox", said="text-area")
    page = yield fill(page.find("textbox", said="answer-input"), _WORD.sub("", area.value.split()[-1]))
    yield submit(page)


@solves("scroll-text-2")
def scroll_to_end(page: Page) -> Plan:
    (end,) = said(r"to the (bottom|top)", page.goal)
    page = yield press(page.find("textbox", said="text-area"), "Control+End" if end == "bottom" else "Control+Home")
    yield submit(page)


@solves("sign-agreement")
def sign(page: Page) -> Plan:
    if "enter the name" not in page.goal:
        yield click(page.button("Cancel"))
        return
    name, button = said(r'the name "(.*)" then press "(.*)"', page.goal)
    page = yield "scroll_at(80, 110, 0, 5000)"
    page = yield fill(page.find("textbox", "Name"), name)
    yield click(page.button(button))


@solves("highlight-text")
def mark_text(page: Page) -> Plan:
    text, button = page.find("StaticText"), page.button("Submit")
    if button.index < text.index:
        page = yield drag_points((6, 96), (156, 206))
    else:
        # To the right of the last line: about 28 characters a line of 11 pixels, and a gap below.
        lines = -(-len(text.name) // 28)
        page = yield drag_points((6, 56), (156, 62 + 11 * lines + 5))
    yield submit(page)


@solves("highlight-text-2")
def mark_paragraph(page: Page) -> Plan:
    (place,) = said(r"the (\d)", page.goal)
    node = page.all("paragraph")[int(place) - 1]
    (x, y), (width, height) = node.place, node.size or (0.0, 0.0)
    page = yield drag_points((x - width / 2 + 1, y - height / 2 + 1), (x + width / 2 - 1, y + height / 2 - 1))
    yield submit(page)


# ---- the text editor -------------------------------------------------------------------------------------------------

_STYLES = {"bold": "ql-bold", "italics": "ql-italic", "underlined": "ql-underline"}
_SWATCHES = {
    **{"": "#000000", "red": "#e60000", "orange": "#ff9900", "yellow": "#ffff00", "green": "#008a00", "blue": "#0066cc"},
    **{"purple": "#9933ff"},
}
"""The first row of the editor's palette."""


@solves("text-editor")
def style_text(page: Page) -> Plan:
    word, style, colour = said(r"(?:the text (\S+) the|everything the) (?:style (\w+)|color (\w+))", page.goal)
    editor = page.find(said="ql-editor")
    page = yield press(editor, "Control+a")
    if word:
        # Written anew: what comes before, the word in its style, what comes after.
        before, after = editor.value.strip().split(word, 1)
        page = yield keys("Delete")
        if before:
            page = yield write(before)
        page = yield from _set_style(page, style, colour)
        page = yield write(word)
        if after:
            page = yield from _set_style(page, style, "")
            page = yield write(after)
    else:
        page = yield from _set_style(page, style, colour)
    yield submit(page)


def _set_style(page: Page, style: str, colour: str) -> Generator[str, Page, Page]:
    """Switch a style on or off, or take a colour ("" for the usual one)."""
    if style:
        return (yield click(page.find(said=_STYLES[style])))
    page = yield click(page.find(said="ql-picker-label"))
    swatch = _SWATCHES[colour]
    return (yield click(page.find(said="ql-picker-item", where=lambda node: node.colour == swatch)))


# ---- tables and sums -------------------------------------------------------------------------------------------------


def _rows(page: Page) -> dict[str, str]:
    found = dict[str, str]()
    for row in page.all("row"):
        cells = [node.name for node in page.inside(row) if node.role == "cell"]
        if len(cells) == 2:
            found[cells[0]] = cells[1]
    return found


@solves("read-table")
def read_table(page: Page) -> Plan:
    (label,) = said(r"the value of (.*) into", page.goal)
    page = yield fill(page.find("textbox"), _rows(page)[label])
    yield submit(page)


@solves("read-table-2")
def read_table_twice(page: Page) -> Plan:
    rows = _rows(page)
    labels = [node.name.removesuffix(":") for node in page.all("StaticText") if node.name.removesuffix(":") in rows]
    for place, label in enumerate(labels[:2]):
        page = yield fill(page.all("textbox")[place], rows[label])
    yield submit(page)


@solves("simple-arithmetic")
def solve_sum(page: Page) -> Plan:
    one, sign_, two = said(r"(\d+) ([-+x]) (\d+) =", " ".join(page.texts))
    a, b = int(one), int(two)
    page = yield fill(page.find("textbox"), str(a + b if sign_ == "+" else a - b if sign_ == "-" else a * b))
    yield submit(page)


@solves("simple-algebra")
def solve_equation(page: Page) -> Plan:
    left, sign_, right, result = said(r"(\w+) ([-+]) (\w+) = (-?\d+)", " ".join(page.texts))
    total = int(result)
    if sign_ == "+":
        answer = total - int(right if left == "x" else left)
    else:
        answer = total + int(right) if left == "x" else int(left) - total
    page = yield fill(page.find("textbox"), str(answer))
    yield submit(page)


@solves("odd-or-even")
def mark_odd_or_even(page: Page) -> Plan:
    for number in [node for node in page.all("StaticText") if re.fullmatch(r"-?\d+", node.name)]:
        odd = int(number.name) % 2 == 1
        buttons = page.all("button", where=lambda node: node.name in ("Odd", "Even"))
        near = [node for node in buttons if (node.index < number.index) == odd and node.name == ("Odd" if odd else "Even")]
        page = yield click(near[-1] if odd else near[0])
    yield submit(page)


def first_price(page: Page) -> float | None:
    """The first amount of dollars on the page."""
    return next((float(text[1:]) for text in page.texts if re.fullmatch(r"\$\d+\.\d+", text)), None)


@solves("stock-market")
def buy_low(page: Page) -> Plan:
    (limit,) = said(r"less than \$(\d+\.\d+)", page.goal)
    for look in range(18):
        price = first_price(page)
        # It changes by up to 1.50 until the click arrives; the limit itself is the price after seven and a half seconds.
        if price is not None and price <= float(limit) - (2.5 if look < 16 else 1.0):
            break
        page = yield "noop(430)"
    yield click(page.button("Buy"))


@solves("terminal")
def delete_file(page: Page) -> Plan:
    ending = re.search(r"extension (\.\S+)", page.goal)
    page = yield write("ls\n")
    listed = [text.split() for text in page.texts if "." in text or " " in text]
    files = listed[-1] if listed else []
    fitting = [name for name in files if (name.endswith(ending[1]) if ending else "." not in name)]
    if not fitting:
        raise Lost("no file is like that")
    yield write(f"rm {fitting[0]}\n")
