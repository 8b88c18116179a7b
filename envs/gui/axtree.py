"""The accessibility tree of a page as text, one node a line, indented by tabs."""

from __future__ import annotations

from collections.abc import Sequence

from .dom import Dom, Element, Json, cut_lines

MAX_LABEL = 400
"""Characters of a name that are shown."""
_SILENT = {
    "none",
    "generic",
    "InlineTextBox",
    "LineBreak",
    "ListMarker",
    "LayoutTable",
    "LayoutTableRow",
    "LayoutTableCell",
    "MenuListPopup",
}
_FLAGS = ("focused", "disabled", "required", "readonly", "multiselectable", "modal", "busy")
_STATES = ("checked", "pressed", "expanded", "selected", "invalid", "level")
GRAPHICS = {"circle", "ellipse", "rect", "line", "polygon", "polyline", "path", "text"}
_GEOMETRY = ("cx", "cy", "r", "rx", "ry", "x", "y", "width", "height", "x1", "y1", "x2", "y2", "points", "transform", "d")


def axtree_text(nodes: Sequence[Json], dom: Dom, *, boxes: bool = False) -> str:
    """The tree as text; ``boxes``: with x, y of every element's centre.

    Nodes without a name that do nothing are passed over; an element that can be clicked but has no name is described by its
    title, HTML id and classes; shapes of an SVG, which have no place in the accessibility tree, are listed with colour and geometry.
    """
    by_id = {node["nodeId"]: node for node in nodes}
    lines = list[str]()
    listed = set[int]()

    def walk(node: Json, depth: int, parent_name: str) -> None:
        backend = node.get("backendDOMNodeId", -1)
        index = dom.by_node.get(backend, -1)
        if backend in dom.skipped:
            return
        listed.add(index)
        role, name = _text(node.get("role")), " ".join(_text(node.get("name")).split())
        element = dom.elements[index] if index >= 0 else None
        if element is not None and element.tag in GRAPHICS:
            lines.append("\t" * depth + _graphic(element, dom, index))
            return
        line = "" if node.get("ignored") else _line(node, role, name, element, parent_name, boxes)
        if line:
            lines.append("\t" * depth + line)
        inner = depth + 1 if line else depth
        for child in node.get("childIds", ()):
            if child in by_id:
                walk(by_id[child], inner, _text(node.get("value")) or name if line else parent_name)
        if element is not None and element.tag == "svg":
            lines.extend("\t" * inner + _graphic(e, dom, i) for i, e in _graphics(dom, index) if i not in listed)
            listed.update(i for i, _ in _graphics(dom, index))

    if nodes:
        walk(nodes[0], 0, "")
    missing = [(i, e) for i, e in enumerate(dom.elements) if e.tag in GRAPHICS and i not in listed and e.box]
    lines.extend("\t" + _graphic(e, dom, i) for i, e in missing)
    return cut_lines(lines, dom.left_out)


def _line(node: Json, role: str, name: str, element: Element | None, parent_name: str, boxes: bool) -> str:
    if role == "RootWebArea":
        return f"RootWebArea {_quoted(name)}"
    if role == "StaticText":
        return "" if not name or name == parent_name else f"StaticText {_quoted(name)}"
    if role in ("InlineTextBox", "LineBreak", "ListMarker"):
        return ""
    properties = {p["name"]: p["value"].get("value") for p in node.get("properties", ())}
    clickable = element is not None and element.clickable
    if role in _SILENT and not name and not clickable and not properties.get("focused"):
        return ""
    if (
        role in ("LabelText", "paragraph", "list", "listitem", "Section", "emphasis", "strong", "time", "code")
        and not name
        and not clickable
    ):
        return ""
    parts = [f"[{element.id}] {role}" if element is not None else role]
    if name:
        parts[0] += f" {_quoted(name)}"
    elif element is not None and (clickable or role not in _SILENT) and (said := _described(element)):
        parts[0] += f" ({said})"
    value = node.get("value", {}).get("value")
    if value not in (None, "") and str(value) != name:
        parts.append(f"value={_quoted(str(value))}")
    if clickable and role in _SILENT | {"StaticText", "image", "img", "Section", "listitem", "LabelText", "cell", "gridcell", "row"}:
        parts.append("clickable")
    parts += [flag for flag in _FLAGS if properties.get(flag) not in (None, False, "false")]
    parts += [
        f"{state}={_word(properties[state])}"
        for state in _STATES
        if properties.get(state) not in (None, "false", False) or (state in ("checked", "expanded", "selected") and state in properties)
    ]
    if boxes and element is not None and element.box is not None:
        x1, y1, x2, y2 = element.box
        parts.append(f"at ({(x1 + x2) / 2:.0f}, {(y1 + y2) / 2:.0f})")
    return ", ".join(parts)


def _described(element: Element) -> str:
    said = [element.attributes.get("title", ""), element.attributes.get("id", ""), element.attributes.get("class", "")]
    return " ".join(part for part in said if part).strip()[:60]


def _graphics(dom: Dom, root: int) -> list[tuple[int, Element]]:
    found = list[tuple[int, Element]]()
    inside = {root}
    for index in range(root + 1, len(dom.elements)):
        if dom.parents[index] not in inside:
            if dom.parents[index] < root:
                break
            continue
        inside.add(index)
        if dom.elements[index].tag in GRAPHICS:
            found.append((index, dom.elements[index]))
    return found


def _graphic(element: Element, dom: Dom, index: int) -> str:
    attributes = element.attributes
    parts = [f"[{element.id}] {element.tag}"]
    if text := " ".join(part for _, part in dom.texts.get(index, ())).strip():
        parts[0] += f" {_quoted(text)}"
    rules = (rule.partition(":") for rule in attributes.get("style", "").split(";"))
    style = {name.strip(): value.strip() for name, _, value in rules}
    for name in ("fill", "stroke", "opacity"):
        if value := attributes.get(name, style.get(name, "")):
            parts.append(f"{name}={value}")
    for name in ("id", "class"):
        if value := attributes.get(name, ""):
            parts.append(f"{name}={value[:40]}")
    parts += [f"{name}={attributes[name][:80]}" for name in _GEOMETRY if name in attributes]
    if element.box is not None:
        x1, y1, x2, y2 = element.box
        parts.append(f"at ({(x1 + x2) / 2:.0f}, {(y1 + y2) / 2:.0f}) size {x2 - x1:.0f}x{y2 - y1:.0f}")
    return " ".join(parts)


def _text(value: Json | None) -> str:
    return "" if not value else str(value.get("value", ""))


def _word(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _quoted(text: str) -> str:
    cut = text if len(text) <= MAX_LABEL else f"{text[:MAX_LABEL]}... ({len(text)} characters)"
    return "'" + cut.replace("\\", "\\\\").replace("'", "\\'").replace("\n", "\\n") + "'"
