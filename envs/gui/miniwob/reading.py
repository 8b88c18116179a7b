"""Reads what ``GuiEnv`` shows, the accessibility tree as text, back into nodes. Any text can be read; lines that are no nodes are left out.

page = read_page("Goal: Click on Ok.\\nPage:\\n[12] button 'Ok'")
page.find("button", "Ok").id        '12'
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

_LINE = re.compile(r"(\t*)(?:([0-9]+) x )?(?:\[(\w+)\] )?([A-Za-z]\w*)(?=[ ,]|$)(.*)", re.DOTALL)
_DESCRIBED = re.compile(r" \(([^()]*(?:\([^()]*\)[^()]*)*)\)(?=,|$)")
_NUMBER = r"(-?[0-9]{1,9}(?:\.[0-9]{1,9})?)"
_PLACE = re.compile(rf"at \({_NUMBER}, {_NUMBER}\)(?: size {_NUMBER}x{_NUMBER})?$")
_ATTRIBUTE = re.compile(r"(?:^|(?<= ))([a-z][\w-]*)=")
_COLOUR = re.compile(r"#[0-9a-f]{6}")
_ESCAPES = {"n": "\n"}


class Lost(LookupError):
    """The page does not show what was looked for."""


@dataclass(frozen=True, slots=True)
class Node:
    """One line. ``text`` is its name, or the text in it; ``said`` the description in brackets of an element without a name.

    ``at`` and ``size`` are CSS pixels of the screen, ``index`` the place among the nodes of the page, ``parent`` that of the node it is in
    (-1: none), ``count`` how many such elements follow each other.
    """

    index: int
    depth: int
    role: str
    id: str = ""
    name: str = ""
    said: str = ""
    value: str = ""
    flags: frozenset[str] = frozenset()
    states: Mapping[str, str] = field(default_factory=dict[str, str])
    at: tuple[float, float] | None = None
    size: tuple[float, float] | None = None
    colour: str = ""
    count: int = 1
    parent: int = -1

    @property
    def place(self) -> tuple[float, float]:
        """Its centre. Raises ``Lost`` when the page does not say it."""
        if self.at is None:
            raise Lost(f"[{self.id}] {self.role} says no place")
        return self.at

    def attribute(self, name: str) -> str:
        """An attribute of a shape, such as ``fill``; "" when it has none."""
        return self.states.get(name, "")

    def has(self, word: str) -> bool:
        """Whether ``word`` is one of its HTML ids and classes."""
        return word in self.said.split() or word in (self.states.get("id", ""), *self.states.get("class", "").split())


@dataclass(frozen=True)
class Page:
    """``goal``: what is to be reached ("" after the first message); ``notes``: what was said before the page."""

    nodes: tuple[Node, ...]
    goal: str = ""
    notes: str = ""

    def all(self, role: str = "", name: str | None = None, said: str = "", where: Callable[[Node], bool] | None = None) -> list[Node]:
        """The nodes with that role, name and class or HTML id (each when given)."""
        return [
            node
            for node in self.nodes
            if (not role or node.role == role)
            and (name is None or node.name == name)
            and (not said or node.has(said))
            and (where is None or where(node))
        ]

    def find(self, role: str = "", name: str | None = None, said: str = "", where: Callable[[Node], bool] | None = None) -> Node:
        """The first of ``all``. Raises ``Lost``."""
        found = self.all(role, name, said, where)
        if not found:
            raise Lost(f"there is no {role or 'node'} {name or said} on the page")
        return found[0]

    def button(self, name: str) -> Node:
        """The button with that name in any case."""
        return self.find("button", where=lambda node: node.name.lower() == name.lower())

    @property
    def texts(self) -> list[str]:
        """All names and texts in order."""
        return [node.name for node in self.nodes if node.name]

    def shows(self, text: str) -> bool:
        return any(node.name == text for node in self.nodes)

    def holder(self, text: str) -> Node:
        """The innermost element with an id whose name is ``text`` or in which the text stands. Raises ``Lost``."""
        node = self.find(name=text)
        while not node.id:
            if node.parent < 0:
                raise Lost(f"the text {text!r} is in no element with an id")
            node = self.nodes[node.parent]
        return node

    def after(self, node: Node) -> tuple[Node, ...]:
        """The nodes behind ``node``, those in it included."""
        return self.nodes[node.index + 1 :]

    def inside(self, node: Node) -> Iterator[Node]:
        for other in self.after(node):
            if other.depth <= node.depth:
                return
            yield other

    def words(self, node: Node) -> str:
        """The texts in ``node``, its name included."""
        return " ".join(part.name for part in (node, *self.inside(node)) if part.name)


def read_page(text: str, goal: str = "") -> Page:
    """The page in a message of ``GuiEnv``; ``goal`` is kept where the message says none. Never raises."""
    notes, mark, shown = ("", "Page:", text[6:]) if text.startswith("Page:\n") else text.partition("\nPage:\n")
    if not mark:
        return Page((), goal, text)
    lines = notes.split("\n")
    if lines[0].startswith("Goal: "):
        goal = lines[0].removeprefix("Goal: ")
    return Page(_nodes(shown.split("\n")), goal, notes)


def _nodes(lines: list[str]) -> tuple[Node, ...]:
    nodes, path = list[Node](), list[Node]()
    for line in lines:
        found = _LINE.fullmatch(line)
        if found is None:
            continue
        tabs, count, element, role, rest = found.groups()
        while path and path[-1].depth >= len(tabs):
            path.pop()
        node = _read(len(nodes), len(tabs), element or "", role, int(count[:9]) if count else 1, path[-1].index if path else -1, rest)
        nodes.append(node)
        path.append(node)
    return tuple(nodes)


def _read(index: int, depth: int, element: str, role: str, count: int, parent: int, rest: str) -> Node:
    name, said, value, colour = "", "", "", ""
    at = size = None
    if rest.startswith(" '"):
        name, rest = _unquoted(rest[1:])
    elif found := _DESCRIBED.match(rest):
        said, rest = found[1], rest[found.end() :]
    flags, states = set[str](), dict[str, str]()
    if (place := _PLACE.search(rest)) is not None:
        at = (float(place[1]), float(place[2]))
        size = (float(place[3]), float(place[4])) if place[3] else None
        rest = rest[: place.start()].rstrip(" ,")
    if rest.startswith(", "):
        value, parts = _parts(rest[2:])
        colour = next((part for part in parts if _COLOUR.fullmatch(part)), "")
        for part in parts:
            key, equals, said_so = part.partition("=")
            if equals:
                states[key] = said_so
            else:
                flags.add(key)
    else:
        marks = list(_ATTRIBUTE.finditer(rest))
        ends = [mark.start() for mark in marks[1:]] + [len(rest)]
        states = {mark[1]: rest[mark.end() : end].strip() for mark, end in zip(marks, ends, strict=False)}
    return Node(index, depth, role, element, name, said, value, frozenset(flags), states, at, size, colour, count, parent)


def _parts(rest: str) -> tuple[str, list[str]]:
    """The value, which may hold commas, and the other parts."""
    if not rest.startswith("value='"):
        return "", rest.split(", ")
    value, rest = _unquoted(rest.removeprefix("value="))
    return value, rest.removeprefix(", ").split(", ") if rest else []


def _unquoted(quoted: str) -> tuple[str, str]:
    """The text in quotes at the start, and what follows it."""
    text, place = list[str](), 1
    while place < len(quoted) and quoted[place] != "'":
        if quoted[place] == "\\" and place + 1 < len(quoted):
            place += 1
            text.append(_ESCAPES.get(quoted[place], quoted[place]))
        else:
            text.append(quoted[place])
        place += 1
    return "".join(text), quoted[place + 1 :]
