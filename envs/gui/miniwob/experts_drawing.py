"""Plans for shapes: seen, counted, clicked, dragged and drawn."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Generator

from .plans import Plan, click, drag_points, fill, first, point, press, said, solves, submit, wait
from .reading import Lost, Node, Page

_KINDS = {"rect": "rectangle", "circle": "circle", "polygon": "triangle"}
SHAPES = ("rect", "circle", "polygon")
TOP = 50
"""Where drawings begin, in pixels from the upper edge of the screen."""


def shapes(page: Page) -> list[Node]:
    return [node for node in page.nodes if node.role in (*SHAPES, "text") and not node.has("shape-container")]


def is_large(node: Node) -> bool:
    """Shapes of 20 and 10 pixels; letters of 20 and 10 pixels, which are a little higher."""
    return node.size is not None and node.size[1] > 15


def kind(node: Node) -> str:
    """rectangle, circle, triangle, letter or digit."""
    if node.role == "text":
        return "digit" if node.name.isdigit() else "letter"
    return _KINDS[node.role]


def matching(page: Page, description: str) -> list[Node]:
    """The shapes that "large yellow item" means."""
    words = description.split()
    size = words.pop(0) if words[0] in ("large", "small") and len(words) > 1 else ""
    colour = words.pop(0) if len(words) > 1 else ""
    what = words[0] if words else "item"

    def fits(node: Node) -> bool:
        named = what in ("item", node.name, kind(node)) or (what == "shape" and node.role in SHAPES)
        return named and (not size or is_large(node) == (size == "large")) and (not colour or node.attribute("fill") == colour)

    return [node for node in shapes(page) if fits(node)]


@solves("click-shape")
def click_shape(page: Page) -> Plan:
    found = matching(page, said(r"Click on a (.*)", page.goal)[0])
    if not found:
        raise Lost("no shape is like that")
    yield click(found[0])


@solves("count-shape")
def count_shapes(page: Page) -> Plan:
    (description,) = said(r"How many (.*)s are there", page.goal)
    yield click(page.button(str(len(matching(page, description)))))


@solves("identify-shape")
def identify_shape(page: Page) -> Plan:
    what = kind(shapes(page)[0])
    yield click(page.button("Number" if what == "digit" else what))


@solves("grid-coordinate")
def click_coordinate(page: Page) -> Plan:
    (where,) = said(r"coordinate (\(.*\))", page.goal)
    yield click(page.find("circle", said=where))


@solves("ascending-numbers")
def click_ascending(page: Page) -> Plan:
    # With the first click the numbers are hidden; their places stay.
    for node in sorted(page.all("text"), key=lambda node: int(node.name)):
        yield point("mouse_click", *node.place)


# ---- dragging --------------------------------------------------------------------------------------------------------


@solves("drag-circle", "drag-single-shape")
def drag_aside(page: Page) -> Plan:
    (way,) = said(r"(left|right|up|down)", page.goal)
    x, y = first(node for node in shapes(page) if node.role in SHAPES).place
    dx, dy = {"left": (-20, 0), "right": (20, 0), "up": (0, -20), "down": (0, 20)}[way]
    page = yield drag_points((x, y), (x + dx, y + dy))
    yield submit(page)


@solves("drag-shapes")
def drag_into_box(page: Page) -> Plan:
    (what,) = said(r"Drag all (\w+)s into", page.goal)
    box = page.find("rect", said="shape-container")
    for node in [node for node in shapes(page) if kind(node) == what]:
        page = yield drag_points(node.place, box.place)
    yield submit(page)


@solves("drag-shapes-2")
def sort_into_boxes(page: Page) -> Plan:
    (what,) = said(r"Drag all (.*) into the left box", page.goal)
    left, right = page.all("rect", said="shape-container")
    colour = what.removesuffix(" shapes") if what.endswith(" shapes") else ""
    for node in shapes(page):
        goes_left = node.attribute("fill") == colour if colour else f"{kind(node)}s" == what
        page = yield drag_points(node.place, (left if goes_left else right).place)
    yield submit(page)


@solves("drag-box")
def drag_inside(page: Page) -> Plan:
    page = yield f"drag_and_drop({page.find(said='draggableSmall').id!r}, {page.find(said='draggableLarge').id!r})"
    yield submit(page)


def _items(page: Page) -> list[Node]:
    return page.all("listitem")


@solves("drag-items")
def drag_item(page: Page) -> Plan:
    items, here, there = _asked(page)
    (x, y), (_, target) = items[here].place, items[there].place
    # An item gives way once the mouse is past its middle.
    yield drag_points((x, y), (x, target + (6 if there > here else -6)))


@solves("drag-items-grid")
def drag_in_grid(page: Page) -> Plan:
    items, here, there = _asked(page)
    (x1, y1), (x2, y2) = items[here].place, items[there].place
    page = yield point("mouse_down", x1, y1)
    # First along the row, then along the column, each time past the middle of the item that is to give way.
    if abs(x2 - x1) > 5:
        x2 += math.copysign(8, x2 - x1)
        page = yield point("mouse_move", x2, y1)
    if abs(y2 - y1) > 5:
        y2 += math.copysign(8, y2 - y1)
        page = yield point("mouse_move", x2, y2)
    yield point("mouse_up", x2, y2)


def _asked(page: Page) -> tuple[list[Node], int, int]:
    """The items, the place of the one to drag and where it is to go."""
    name, where = said(r"Drag (\S+) (.*)\.$", page.goal)
    items = _items(page)
    here = next((i for i, node in enumerate(items) if node.name == name), None)
    if here is None:
        raise Lost(f"there is no {name}")
    return items, here, _place(where, here, len(items))


def _place(where: str, here: int, count: int) -> int:
    """The place that the words mean, from 0."""
    if found := re.search(r"(\d+)\w\w position", where):
        return int(found[1]) - 1
    if count == 9 and "by one" not in where:
        row = 3 * (("top" not in where) + ("bottom" in where))
        return row + ("left" not in where) + ("right" in where)
    step = 3 if count == 9 else 1
    moves = {"up by one": -step, "down by one": step, "left by one": -1, "right by one": 1}
    for words, by in moves.items():
        if words in where:
            return here + by
    return 0 if "top" in where else count - 1


@solves("drag-sort-numbers")
def sort_numbers(page: Page) -> Plan:
    for place in range(len(_items(page))):
        items = _items(page)
        least = min(items[place:], key=lambda node: int(node.name))
        if least is not items[place]:
            page = yield f"drag_and_drop({least.id!r}, {items[place].id!r})"
    yield submit(page)


# ---- points and lines ------------------------------------------------------------------------------------------------


def nearest_pixel(error: Callable[[float, float], float]) -> tuple[int, int]:
    """The whole pixel of the drawing, which pages count clicks in, with the least ``error``."""
    return min(((x, y) for x in range(3, 148) for y in range(3, 128)), key=lambda p: error(*p))


def _mark(page: Page, where: tuple[int, int]) -> Plan:
    """Click a point of the drawing, which lies ``TOP`` below the upper edge of the screen, and submit."""
    page = yield point("mouse_click", where[0], where[1] + TOP)
    yield submit(page)


def _centre(node: Node) -> tuple[float, float]:
    return float(node.attribute("cx")), float(node.attribute("cy"))


@solves("circle-center")
def click_centre(page: Page) -> Plan:
    centre = _centre(page.find("circle"))
    yield from _mark(page, nearest_pixel(lambda x, y: math.dist((x - 0.5, y - 0.5), centre)))


@solves("find-midpoint")
def click_midpoint(page: Page) -> Plan:
    (x1, y1), (x2, y2) = (_centre(node) for node in page.all("circle")[:2])
    yield from _mark(page, nearest_pixel(lambda x, y: math.dist((x, y), ((x1 + x2) / 2, (y1 + y2) / 2))))


@solves("bisect-angle")
def click_bisector(page: Page) -> Plan:
    vertex, one, two = (_centre(node) for node in page.all("circle")[:3])
    yield from _mark(
        page,
        nearest_pixel(
            lambda x, y: (
                abs(_angle(vertex, one, (x, y)))
                + abs(_angle(vertex, two, (x, y)))
                + abs(abs(_angle(vertex, one, (x, y))) - abs(_angle(vertex, two, (x, y))))
            )
        ),
    )


@solves("right-angle")
def click_right_angle(page: Page) -> Plan:
    black, blue = (_centre(page.find("circle", said=name)) for name in ("init-black", "init-blue"))
    # The page draws the new point half a pixel smaller than the others.
    yield from _mark(page, nearest_pixel(lambda x, y: abs(abs(_angle(blue, black, (x + 0.5, y + 0.5))) - math.pi / 2)))


def _angle(vertex: tuple[float, float], one: tuple[float, float], two: tuple[float, float]) -> float:
    """The angle between the directions from ``vertex`` to two points, between -pi and pi; far off for the vertex itself."""
    if math.dist(vertex, two) < 15:
        return 10.0
    turn = math.atan2(two[1] - vertex[1], two[0] - vertex[0]) - math.atan2(one[1] - vertex[1], one[0] - vertex[0])
    return math.remainder(turn, 2 * math.pi)


@solves("draw-line")
def draw_line(page: Page) -> Plan:
    (way,) = said(r"Draw a (vertical|horizontal)", page.goal)
    x, y = page.find("circle").place
    x, y = x - 3, y - 3
    half = min(30, y - TOP - 5) if way == "vertical" else min(30, x - 5)
    ends = ((x, y - half), (x, y + half)) if way == "vertical" else ((x - half, y), (x + half, y))
    page = yield drag_points(*ends)
    yield submit(page)


@solves("draw-circle")
def draw_circle(page: Page) -> Plan:
    x, y = page.find("circle").place
    page = yield from _around(page, x, y, 18)
    yield submit(page)


def _around(page: Page, x: float, y: float, radius: float) -> Generator[str, Page, Page]:
    steps = 14
    yield point("mouse_down", x + radius, y)
    for step in range(1, steps + 1):
        angle = 2 * math.pi * step / steps
        yield point("mouse_move", x + radius * math.cos(angle), y + radius * math.sin(angle))
    return (yield point("mouse_up", x + radius, y))


@solves("visual-addition")
def count_blocks(page: Page) -> Plan:
    blocks = sum(node.count for node in page.all(said="addition-block"))
    page = yield fill(page.find("textbox"), str(blocks))
    yield submit(page)


# ---- the cube --------------------------------------------------------------------------------------------------------

_START = (42.0, 136.0)
"""Degrees by which the cube is turned at first."""
_SIDES = {"1": (42, 264), "2": (177, 175), "3": (86, 175), "4": (358, 175), "5": (269, 175), "6": (42, 88)}
"""Degrees at which each side faces the user."""


def turned(pixels: int) -> float:
    """Degrees that the cube turns while the mouse is held after one movement: a fifth of it at once, then less and less, down to one."""
    speed, total = 0.2 * pixels, 0.0
    while abs(speed) > 1:
        total += speed
        speed *= 0.83
    return total


def _pixels(degrees: float) -> int:
    return min(range(-150, 151), key=lambda pixels: abs(turned(pixels) - degrees))


@solves("drag-cube")
def turn_cube(page: Page) -> Plan:
    (side,) = said(r'that "(\d)" is', page.goal)
    across, up = (math.remainder(to - start, 360) for to, start in zip(_SIDES[side], _START, strict=True))
    dx, dy = -_pixels(across), -_pixels(up)
    x, y = 80 - dx / 2, 125 - dy / 2
    # The cube moves with the mouse wherever that is, so it is let come to rest before the button is pressed and before it is released.
    page = yield point("mouse_move", x, y)
    page = yield wait(200)
    page = yield point("mouse_down", x, y)
    page = yield point("mouse_move", x + dx, y + dy)
    page = yield wait(900)
    page = yield point("mouse_up", x + dx, y + dy)
    yield press(page.button("Submit"), "Enter")
