"""Plans for menus, trees, lists of food, guessing and small games."""

from __future__ import annotations

import itertools
import math
import re
from functools import lru_cache

from .plans import Plan, click, fill, first, hover, point, quoted, said, solves, submit, wait
from .reading import Lost, Node, Page


@solves("click-menu")
def select_in_menu(page: Page) -> Plan:
    *path, last = said(r"Select (.*)", page.goal)[0].split(">")
    for name in path:
        page = yield hover(page.find("menuitem", name))
    yield click(page.find("menuitem", last))


@solves("click-menu-2")
def select_below_button(page: Page) -> Plan:
    name = quoted(page.goal)[-1]
    page = yield click(page.button("Menu"))
    icons = {
        **{"ui-icon-disk": "Save", "ui-icon-seek-start": "Prev", "ui-icon-stop": "Stop", "ui-icon-play": "Play"},
        **{"ui-icon-seek-end": "Next", "ui-icon-zoomin": "Zoom In", "ui-icon-zoomout": "Zoom Out"},
    }
    name = icons.get(name, name)
    if name in ("Prev", "Stop", "Play", "Next"):
        page = yield hover(page.find("menuitem", "Playback"))
    yield click(page.find("menuitem", name))


@solves("click-pie", "click-pie-nodelay")
def select_in_pie(page: Page) -> Plan:
    (name,) = quoted(page.goal)
    page = yield point("mouse_click", *page.find("text", "+").place)
    page = yield wait(1000)
    yield point("mouse_click", *page.find("text", name).place)


@solves("navigate-tree")
def navigate_tree(page: Page) -> Plan:
    name = quoted(page.goal)[0]
    opened = set[str]()
    while not page.shows(name):
        closed = [node for node in page.all(said="expandable") if node.role == "listitem" and node.id not in opened]
        if not closed:
            raise Lost(f"no folder holds {name}")
        opened.add(closed[0].id)
        page = yield click(first(node for node in page.inside(closed[0]) if node.has("folder")))
    yield click(page.holder(name))


@solves("order-food")
def order_food(page: Page) -> Plan:
    wanted: list[str] = []
    if found := re.search(r"Order (\d) items that are (\S+)", page.goal):
        name = _dish_of(page, found[2])
        wanted = [name] * int(found[1])
    else:
        listed = said(r"each item: (.*)", page.goal)[0]
        wanted = [node.name for node in page.all("StaticText") if len(node.name) > 1 and node.name in listed.split(", ")]
    for name in wanted:
        dish = page.find("StaticText", name)
        page = yield click(first(node for node in page.after(dish) if node.has("add")))
    yield click(page.button("Order!"))


def _dish_of(page: Page, kind: str) -> str:
    image = page.find("image", kind)
    return first(node for node in reversed(page.nodes[: image.index]) if node.role == "StaticText").name


# ---- guessing --------------------------------------------------------------------------------------------------------


@solves("guess-number")
def guess_number(page: Page) -> Plan:
    low, high = 0, 9
    while True:
        middle = (low + high) // 2
        page = yield fill(page.find("spinbutton"), str(middle))
        page = yield submit(page)
        text = " ".join(page.texts)
        if "lower" in text:
            high = middle - 1
        elif "higher" in text:
            low = middle + 1
        else:
            raise Lost("the page says neither lower nor higher")


@solves("generate-number")
def generate_number(page: Page) -> Plan:
    for _ in range(18):
        number = next((int(text) for text in page.texts if text.isdigit()), None)
        if number is not None and _fits(page.goal, number):
            break
        page = yield click(page.button("Generate"))
    yield submit(page)


def _fits(goal: str, number: int) -> bool:
    if found := re.search(r"(less|greater) than (\d+)", goal):
        return number < int(found[2]) if found[1] == "less" else number > int(found[2])
    return number % 2 == (1 if "odd" in goal else 0)


@solves("find-greatest")
def find_greatest(page: Page) -> Plan:
    cards = page.all(said="card")
    page = yield click(max(cards, key=lambda card: int(page.words(card))))
    yield submit(page)


_RINGS = {"HOT": (0.0, 5.0), "WARM": (5.0, 10.0), "COLD": (10.0, 40.0), "ICE COLD": (40.0, 1000.0)}


@solves("hot-cold")
def find_hot(page: Page) -> Plan:
    places = [(x, y) for x in range(5, 155) for y in range(55, 170)]
    probe = (80, 112)
    while True:
        page = yield point("mouse_move", *probe)
        said_so = next((text for text in page.texts if text in _RINGS), "")
        if said_so == "HOT":
            yield point("mouse_click", *probe)
            return
        if not said_so:
            raise Lost("the page says neither hot nor cold")
        low, high = _RINGS[said_so]
        places = [place for place in places if low <= math.dist(place, probe) < high]
        probe = _best_probe(places)


def _best_probe(places: list[tuple[int, int]]) -> tuple[int, int]:
    """The point whose answer would tell most: it leaves the fewest places on average."""
    few = places[:: max(1, len(places) // 300)]
    tried = list(itertools.product(range(6, 155, 6), range(56, 170, 6))) + places[:: max(1, len(places) // 60)]

    def left(probe: tuple[int, int]) -> float:
        counts = dict.fromkeys(_RINGS, 0)
        for place in few:
            far = math.dist(place, probe)
            counts["HOT" if far < 5 else "WARM" if far < 10 else "COLD" if far < 40 else "ICE COLD"] += 1
        return sum(count * count for name, count in counts.items() if name != "HOT")

    return min(tried, key=left)


# ---- games -----------------------------------------------------------------------------------------------------------

LINES = ((0, 1, 2), (3, 4, 5), (6, 7, 8), (0, 3, 6), (1, 4, 7), (2, 5, 8), (0, 4, 8), (2, 4, 6))
_RANDOM = 0.55
"""How often the page's player moves at random; otherwise it wins, or blocks, where it can at once."""


@solves("tic-tac-toe")
def play_tic_tac_toe(page: Page) -> Plan:
    while True:
        board = "".join(_mark(page.find(said=f"ttt-{place}")) for place in range(9))
        best = max((p for p in range(9) if board[p] == " "), key=lambda p: chance_to_win(_put(board, p, "x"), yours=False))
        page = yield click(page.find(said=f"ttt-{best}"))


def _mark(node: Node) -> str:
    return "x" if node.has("mark-x") else "o" if node.has("mark-o") else " "


def _put(board: str, place: int, mark: str) -> str:
    return board[:place] + mark + board[place + 1 :]


@lru_cache(maxsize=20_000)
def chance_to_win(board: str, *, yours: bool) -> float:
    """The chance to win from ``board``."""
    for line in LINES:
        marks = {board[place] for place in line}
        if len(marks) == 1 and marks != {" "}:
            return float(marks == {"x"})
    free = [place for place in range(9) if board[place] == " "]
    if not free:
        return 0.0
    if yours:
        return max(chance_to_win(_put(board, place, "x"), yours=False) for place in free)
    chances = [chance_to_win(_put(board, place, "o"), yours=True) for place in free]
    mean = sum(chances) / len(chances)
    forced = _completes(board, "o") or _completes(board, "x")
    aimed = sum(chance_to_win(_put(board, place, "o"), yours=True) for place in forced) / len(forced) if forced else mean
    return _RANDOM * mean + (1 - _RANDOM) * aimed


def _completes(board: str, mark: str) -> list[int]:
    """The free places that give ``mark`` a line."""
    return sorted({p for line in LINES for p in line if board[p] == " " and all(board[q] == mark for q in line if q != p)})


_DIGITS = (
    "0110100110011001100110010110 0010011000100010001000100010 0110100110010010010010001111 0110100100010110000110010110",
    "1000101010101111001000100010 1111100010001110000110010110 0110100110001110100110010110 1111100100010010001001000100",
    "0110100110010110100110010110 0110100110010111000110010110",
)
DIGITS = tuple(" ".join(_DIGITS).split())
"""Seven rows of four boxes for each digit, as the pictures of the page show them."""


@solves("number-checkboxes")
def draw_digit(page: Page) -> Plan:
    (digit,) = quoted(page.goal)
    boxes = page.all("checkbox")
    for box, mark in zip(boxes, DIGITS[int(digit)], strict=True):
        if mark == "1":
            page = yield click(box)
    yield submit(page)
