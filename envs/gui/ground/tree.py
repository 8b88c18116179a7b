"""What a page shows, as text with places: for policies that read, and for seeing that a task can be solved."""

from __future__ import annotations

from collections.abc import Callable
from typing import cast

from ....rewards.boxes import Box
from ..browser import View
from ..dom import Element, Json, cut_lines

_SILENT = {"none", "generic", "InlineTextBox", "LineBreak", "ListMarker", "RootWebArea", "image"}
_SHAPES = {"circle", "rect"}


def tree_text(view: View, place: Callable[[Box], str]) -> str:
    """A line for each element with a role or a text of its own, in order: role, name, value, state, and ``place`` of its box."""
    lines: list[str] = []
    by_id = {node["nodeId"]: node for node in view.nodes}

    def walk(node: Json, above: str) -> None:
        element = _element(view, node.get("backendDOMNodeId", -1))
        role, name = _value(node, "role"), " ".join(_value(node, "name").split())
        if not node.get("ignored") and role not in _SILENT and not (role == "StaticText" and name == above):
            lines.append(_line(node, role, name, element, place))
            above = name
        for child in node.get("childIds", ()):
            if child in by_id:
                walk(by_id[child], above)

    if view.nodes:
        walk(view.nodes[0], "")
    elements = view.dom.elements
    shapes = [e for i, e in enumerate(elements) if e.tag in _SHAPES and e.box and "data-t" in e.attributes and view.dom.parents[i] >= 0]
    lines += [f"{e.tag} {e.attributes.get('fill', '')} at {place(cast(Box, e.box))}" for e in shapes]
    return cut_lines(lines, view.dom.left_out)


def _line(node: Json, role: str, name: str, element: Element | None, place: Callable[[Box], str]) -> str:
    said = f"{role} {name!r}" if name else role
    value = _value(node, "value")
    said += f", value={value!r}" if value and value != name else ""
    states = {p["name"]: p["value"].get("value") for p in node.get("properties", ())}
    said += f", checked={states['checked']}" if "checked" in states else ""
    return f"{said} at {place(element.box)}" if element is not None and element.box is not None else said


def _element(view: View, node: int) -> Element | None:
    index = view.dom.by_node.get(node, -1)
    return view.dom.elements[index] if index >= 0 else None


def _value(node: Json, name: str) -> str:
    found: Json = node.get(name) or {}
    value = found.get("value")
    return "" if value is None else str(value)
