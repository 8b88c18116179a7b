"""What the experts of ``turnwise/MiniWoB-v0`` are made of: a plan for each task type, and the calls that plans write.

A plan is a generator that is given the first page, yields one call at a time and is sent the page that follows:

    @solves("click-test")
    def click_test(page: Page) -> Plan:
        yield click(page.find("button"))
"""

from __future__ import annotations

import re
from collections.abc import Callable, Generator, Iterable
from typing import TypeAlias

from .reading import Lost, Node, Page

Plan: TypeAlias = Generator[str, Page, None]
PLANS: dict[str, Callable[[Page], Plan]] = {}
"""The plan of each task type that has one."""


def solves(*types: str) -> Callable[[Callable[[Page], Plan]], Callable[[Page], Plan]]:
    """Registers a plan for these task types."""

    def register(plan: Callable[[Page], Plan]) -> Callable[[Page], Plan]:
        for kind in types:
            PLANS[kind] = plan
        return plan

    return register


def said(pattern: str, goal: str) -> tuple[str, ...]:
    """The groups of ``pattern`` where it is found in ``goal``. Raises ``Lost``."""
    found = re.search(pattern, goal)
    if found is None:
        raise Lost(f"the goal {goal!r} does not read like {pattern!r}")
    return tuple(part or "" for part in found.groups())


def first(nodes: Iterable[Node]) -> Node:
    """The first of ``nodes``. Raises ``Lost`` when there is none."""
    for node in nodes:
        return node
    raise Lost("nothing of the kind is on the page")


def quoted(goal: str) -> list[str]:
    """What the goal has in double quotes."""
    return re.findall(r'"(.*?)"', goal)


def click(node: Node) -> str:
    return f"click({node.id!r})"


def hover(node: Node) -> str:
    return f"hover({node.id!r})"


def fill(node: Node, text: str) -> str:
    return f"fill({node.id!r}, {text!r})"


def complete(node: Node, text: str) -> str:
    """Fill so that a menu of proposals opens."""
    return f"fill({node.id!r}, {text!r}, True)"


def press(node: Node, keys: str) -> str:
    return f"press({node.id!r}, {keys!r})"


def keys(combination: str) -> str:
    return f"keyboard_press({combination!r})"


def write(text: str) -> str:
    return f"keyboard_type({text!r})"


def select(node: Node, *options: str) -> str:
    return f"select_option({node.id!r}, {options[0]!r})" if len(options) == 1 else f"select_option({node.id!r}, {list(options)!r})"


def drag(source: Node, target: Node) -> str:
    return f"drag_and_drop({source.id!r}, {target.id!r})"


def drag_points(start: tuple[float, float], end: tuple[float, float]) -> str:
    return f"mouse_drag_and_drop({_number(start[0])}, {_number(start[1])}, {_number(end[0])}, {_number(end[1])})"


def point(call: str, x: float, y: float) -> str:
    """``mouse_click``, ``mouse_move``, ``mouse_down`` or ``mouse_up`` at a point."""
    return f"{call}({_number(x)}, {_number(y)})"


def wait(milliseconds: float) -> str:
    return f"noop({_number(milliseconds)})"


def _number(value: float) -> str:
    rounded = round(value, 2)
    return str(int(rounded)) if rounded == int(rounded) else str(rounded)


def submit(page: Page) -> str:
    return click(page.button("Submit"))
