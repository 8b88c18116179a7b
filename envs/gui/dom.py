"""The elements of a page at one moment, from a DOM snapshot: ids, tags, attributes, boxes, texts.

An element's id is its place among all elements of the document at the time it was first seen ("0" is <html>), as in BrowserGym; the parts
of an SVG, which have none there, count for themselves ("g0"). An element keeps its id for the episode, and no id is given twice.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

Json: TypeAlias = dict[str, Any]
Box: TypeAlias = tuple[float, float, float, float]

MAX_NODES = 20_000
"""Elements of a page that are looked at; the rest is counted."""
MAX_LINES = 1500
"""Lines of an observation; the rest is counted."""
STYLES = ("background-color", "cursor")
"""The computed styles that a snapshot is asked for."""
_ELEMENT, _TEXT = 1, 3
_STATE = {"input": "checked", "option": "selected"}


@dataclass(frozen=True, slots=True)
class Element:
    """``box`` (x1, y1, x2, y2) in CSS pixels of the screen; None when the element has no layout."""

    id: str
    node: int
    tag: str
    attributes: Mapping[str, str]
    box: Box | None
    clickable: bool = False
    value: str = ""
    background: str = ""
    """Its background colour as "#rrggbb"; empty when it has none of its own."""
    cursor: str = ""
    """The mouse's shape over it, such as "pointer" or "se-resize"."""


@dataclass(frozen=True, slots=True)
class Dom:
    """The elements of one document in document order. ``left_out``: how many there were beyond ``MAX_NODES``."""

    elements: tuple[Element, ...]
    parents: tuple[int, ...]
    """For every element the index of its parent element, -1 for the root."""
    texts: Mapping[int, tuple[tuple[int, str], ...]]
    """For an element's index its own texts, each with the number of elements before it, for their order among the children."""
    left_out: int = 0
    by_node: Mapping[int, int] = field(default_factory=dict[int, int])
    """Index of an element by the browser's node number."""
    skipped: frozenset[int] = frozenset()
    """Node numbers of the elements that were left out with all below them."""

    def find(self, element_id: str) -> Element | None:
        return next((e for e in self.elements if e.id == element_id), None)


class Ids:
    """The ids of one episode's elements, by the browser's node numbers."""

    def __init__(self) -> None:
        self._of_node: dict[int, str] = {}
        self._node: dict[str, int] = {}
        self._graphics = 0

    def of(self, node: int, *, graphic: bool = False) -> str:
        """The id of a node; the next one for a new node."""
        known = self._of_node.get(node)
        if known is not None:
            return known
        number = f"g{self._graphics}" if graphic else str(len(self._node) - self._graphics)
        self._graphics += graphic
        self._of_node[node], self._node[number] = number, node
        return number

    def node(self, element_id: str) -> int | None:
        return self._node.get(element_id)


def read_dom(snapshot: Json, frame: str, ids: Ids, skip: frozenset[str] = frozenset()) -> Dom:
    """The document of ``frame`` in a DOMSnapshot; new elements get the next of ``ids``.

    Elements whose HTML id is in ``skip`` are left out and all below them, which take no number; they themselves do.
    """
    strings: list[str] = snapshot["strings"]
    for document in snapshot["documents"]:
        if document["frameId"] >= 0 and strings[document["frameId"]] == frame:
            return _Reader(document, strings, ids, skip).read()
    return Dom((), (), {})


class _Reader:
    def __init__(self, document: Json, strings: list[str], ids: Ids, skip: frozenset[str]) -> None:
        self.document, self.nodes, self.strings = document, document["nodes"], strings
        self.ids, self.skip = ids, skip
        self.elements, self.parents = list[Element](), list[int]()
        self.texts = dict[int, list[tuple[int, str]]]()
        self.place = dict[int, int]()
        """Index of the element that a node is or, for a shadow root, belongs to."""
        self.boxes = _boxes(document)
        self.styles = self._styles()
        self.clickable = set(self._indices("isClickable"))
        self.chosen = {i for name in ("inputChecked", "optionSelected") for i in self._indices(name)}
        self.values = self._rare("inputValue") | self._rare("textValue")

    def read(self) -> Dom:
        kinds: list[int] = self.nodes["nodeType"]
        parents: list[int] = self.nodes["parentIndex"]
        skipped, skipped_nodes = set[int](), set[int]()
        left_out = 0
        for index, kind in enumerate(kinds):
            if parents[index] in skipped:
                skipped.add(index)
                continue
            parent = self.place.get(parents[index], -1)
            if kind == _TEXT:
                self._text(index, parent)
            elif kind == _ELEMENT and len(self.elements) >= MAX_NODES:
                left_out += 1
            elif kind == _ELEMENT and not self._element(index, parent):
                skipped.add(index)
                skipped_nodes.add(self.nodes["backendNodeId"][index])
            elif kind != _ELEMENT and parent >= 0:
                self.place[index] = parent
        by_node = {element.node: i for i, element in enumerate(self.elements)}
        texts = {index: tuple(found) for index, found in self.texts.items()}
        return Dom(tuple(self.elements), tuple(self.parents), texts, left_out, by_node, frozenset(skipped_nodes))

    def _text(self, index: int, parent: int) -> None:
        number: int = self.nodes["nodeValue"][index]
        text = self.strings[number] if number >= 0 else ""
        if parent >= 0 and text.strip():
            self.texts.setdefault(parent, []).append((len(self.elements), text))

    def _element(self, index: int, parent: int) -> bool:
        """Take the element in; False when it is to be skipped."""
        name: int = self.nodes["nodeName"][index]
        tag = self.strings[name].lower()
        pairs: list[int] = self.nodes["attributes"][index]
        # An attribute without a value has the index -1.
        attributes = {self.strings[k]: self.strings[v] if v >= 0 else "" for k, v in zip(pairs[::2], pairs[1::2], strict=True)}
        node: int = self.nodes["backendNodeId"][index]
        if attributes.get("id") in self.skip:
            self.ids.of(node)
        if tag.startswith("::") or attributes.get("id") in self.skip:
            return False
        if state := _STATE.get(tag):
            # As it is now and not as the file had it.
            attributes.pop(state, None)
            if index in self.chosen:
                attributes[state] = ""
        self.place[index] = len(self.elements)
        graphic = parent >= 0 and (self.elements[parent].tag == "svg" or self.elements[parent].id.startswith("g"))
        number = self.ids.of(node, graphic=graphic and self.elements[parent].tag != "foreignobject")
        box, value = self.boxes.get(index), self.values.get(index, "")
        background, cursor = self.styles.get(index, ("", ""))
        self.elements.append(Element(number, node, tag, attributes, box, index in self.clickable, value, background, cursor))
        self.parents.append(parent)
        return True

    def _styles(self) -> dict[int, tuple[str, str]]:
        layout: Json = self.document["layout"]
        styles = dict[int, tuple[str, str]]()
        listed: list[list[int]] = layout.get("styles", [])
        for index, numbers in zip(layout["nodeIndex"], listed, strict=False):
            if len(numbers) == len(STYLES):
                named = [self.strings[number] if number >= 0 else "" for number in numbers]
                styles[index] = (_hex(named[0]), named[1])
        return styles

    def _indices(self, name: str) -> list[int]:
        rare: Json = self.nodes.get(name) or {"index": []}
        return rare["index"]

    def _rare(self, name: str) -> dict[int, str]:
        rare: Json = self.nodes.get(name) or {"index": [], "value": []}
        return {index: self.strings[value] for index, value in zip(rare["index"], rare["value"], strict=True) if value >= 0}


def _boxes(document: Json) -> dict[int, Box]:
    layout = document["layout"]
    left, top = float(document.get("scrollOffsetX", 0.0)), float(document.get("scrollOffsetY", 0.0))
    boxes = dict[int, Box]()
    for index, bounds in zip(layout["nodeIndex"], layout["bounds"], strict=True):
        if len(bounds) == 4:
            x, y, width, height = bounds
            boxes[index] = (x - left, y - top, x - left + width, y - top + height)
    return boxes


def _hex(colour: str) -> str:
    """ "rgb(255, 0, 0)" as "#ff0000"; "" for what is transparent or no plain colour."""
    found = re.fullmatch(r"rgba?\((\d+), (\d+), (\d+)(?:, ([\d.]+))?\)", colour)
    if found is None or float(found[4] or 1) == 0:
        return ""
    return "#" + "".join(f"{int(part):02x}" for part in found.groups()[:3])


def cut_lines(lines: list[str], left_out: int) -> str:
    """The lines as text, at most ``MAX_LINES`` of them, and how much is missing."""
    more = len(lines) - MAX_LINES
    kept = lines[:MAX_LINES]
    if more > 0:
        kept.append(f"... and {more} further lines: the page is too long to be shown at once")
    if left_out:
        kept.append(f"... and {left_out} further elements that were not looked at")
    return "\n".join(kept)
