"""The accessibility tree of a page as text, one node a line, indented by tabs."""

from __future__ import annotations

from collections.abc import Sequence

from .dom import Dom, Element, Json, cut_lines

MAX_LABEL = 400
"""Characters of a name or value that are shown; what is left out is in the middle."""
_TAIL = 60
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
_BLOCKS = {"listitem", "paragraph"}
"""Silent roles that take the text in them for a name, so that it can be pointed at."""
_HANDLES = {"move", "grab"} | {f"{side}-resize" for side in ("e", "s", "se", "ew", "ns", "nwse", "col", "row")}
"""Shapes of the mouse over what can be dragged; the other sides and corners of a box say no more than these."""
_ACTIVE = {"a", "button", "input", "select", "textarea", "label"}
_FLAGS = ("focused", "disabled", "required", "readonly", "multiline", "multiselectable", "modal", "busy")
_STATES = ("checked", "pressed", "expanded", "selected", "invalid", "level")
GRAPHICS = {"circle", "ellipse", "rect", "line", "polygon", "polyline", "path", "text"}
_GEOMETRY = ("cx", "cy", "r", "rx", "ry", "x", "y", "width", "height", "x1", "y1", "x2", "y2", "points", "transform", "d")


def axtree_text(nodes: Sequence[Json], dom: Dom, *, boxes: bool = False) -> str:
    """The tree as text; ``boxes``: with x, y of every element's centre.

    Nodes without a name that do nothing are passed over. An element that can be clicked, focused or dragged but has no name is described
    by its title, HTML id, classes and colour. Handles for dragging, paragraphs and the items of a list that listens to the mouse say where
    they are. Coloured boxes with nothing in them are counted where equal ones follow each other. Shapes of an SVG, which have no place in
    the accessibility tree, are listed with colour and geometry.
    """
    by_id = {node["nodeId"]: node for node in nodes}
    lines = list[str]()
    listed = set[int]()
    parents = set(dom.parents)

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
        leaf = element is not None and index not in parents and index not in dom.texts
        if node.get("ignored"):
            line = _unnamed(element, dom, index) if element is not None else ""
        else:
            line = _line(node, role, name, element, parent_name, boxes)
            if not line and element is not None and role in _SILENT:
                line = _unnamed(element, dom, index)
        if line and leaf and not name and element is not None and element.background and role in _SILENT | {"button"}:
            line += f", {element.background}"
        elif not line and leaf and element is not None and _painted(element):
            _count(lines, "\t" * depth, f"generic ({said}), {element.background}" if (said := _described(element)) else element.background)
        if line:
            lines.append("\t" * depth + line)
        inner, place = depth + 1 if line else depth, len(lines)
        inside = _value(node) or name if line else parent_name
        for child in node.get("childIds", ()):
            if child in by_id:
                walk(by_id[child], inner, inside)
        if (
            not line
            and role in _BLOCKS
            and element is not None
            and len(lines) == place + 1
            and lines[place].lstrip("\t").startswith("StaticText")
        ):
            placed = role == "paragraph" or dom.elements[dom.parents[index]].clickable
            lines[place] = "\t" * depth + _block(element, role, lines[place].lstrip("\t").removeprefix("StaticText "), placed=placed)
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
    focusable = role in _SILENT and bool(properties.get("focusable"))
    if role in _SILENT and not name and not clickable and not focusable and not properties.get("focused"):
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
    elif element is not None and (clickable or focusable or role not in _SILENT) and (said := _described(element)):
        parts[0] += f" ({said})"
    if (value := _value(node)) and value != name:
        parts.append(f"value={_quoted(value)}")
    if clickable and role in _SILENT | {"StaticText", "image", "img", "Section", "listitem", "LabelText", "cell", "gridcell", "row"}:
        parts.append("clickable")
    elif focusable:
        parts.append("focusable")
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


def _value(node: Json) -> str:
    value = node.get("value", {}).get("value")
    return "" if value is None else str(value)


def _unnamed(element: Element, dom: Dom, index: int) -> str:
    """The line of an element that has no place in the tree but is a button or changes the mouse's shape, else nothing."""
    if element.box is None:
        return ""
    parent = dom.parents[index]
    cursor = element.cursor if parent < 0 or dom.elements[parent].cursor != element.cursor else ""
    handle = cursor in _HANDLES
    if not handle and cursor != "pointer" and element.tag not in ("a", "button"):
        return ""
    inside = [dom.elements[i] for i in _below(dom, index)] if not handle else []
    if any(e.clickable or e.tag in _ACTIVE or {"role", "tabindex"} & set(e.attributes) for e in inside):
        return ""
    if handle and min(element.box[2] - element.box[0], element.box[3] - element.box[1]) < 4:
        return ""
    described = f"[{element.id}] generic" + (f" ({said})" if (said := _described(element)) else "")
    return f"{described}, {cursor} {_place(element)}" if handle else f"{described}, clickable"


def _painted(element: Element) -> bool:
    if element.box is None or not element.background or element.tag in ("html", "body"):
        return False
    x1, y1, x2, y2 = element.box
    return min(x2 - x1, y2 - y1) >= 3


def _count(lines: list[str], indent: str, said: str) -> None:
    """One more of what ``said`` describes: the line before is counted on when it says the same."""
    before = lines[-1] if lines else ""
    if before == f"{indent}{said}":
        lines[-1] = f"{indent}2 x {said}"
    elif (times := before.removeprefix(indent).partition(" x ")[0]).isdecimal() and before == f"{indent}{times} x {said}":
        lines[-1] = f"{indent}{int(times) + 1} x {said}"
    else:
        lines.append(f"{indent}{said}")


def _block(element: Element, role: str, quoted: str, *, placed: bool) -> str:
    return f"[{element.id}] {role} {quoted}" + (f", {_place(element)}" if placed and element.box is not None else "")


def _place(element: Element) -> str:
    assert element.box is not None
    x1, y1, x2, y2 = element.box
    return f"at ({(x1 + x2) / 2:.0f}, {(y1 + y2) / 2:.0f}) size {x2 - x1:.0f}x{y2 - y1:.0f}"


def _described(element: Element) -> str:
    said = [element.attributes.get("title", ""), element.attributes.get("id", ""), element.attributes.get("class", "")]
    return " ".join(part for part in said if part).strip()[:60]


def _below(dom: Dom, root: int) -> list[int]:
    """Indices of the elements inside ``root``."""
    inside = {root}
    for index in range(root + 1, len(dom.elements)):
        if dom.parents[index] < root:
            break
        if dom.parents[index] in inside:
            inside.add(index)
    return sorted(inside - {root})


def _graphics(dom: Dom, root: int) -> list[tuple[int, Element]]:
    return [(index, dom.elements[index]) for index in _below(dom, root) if dom.elements[index].tag in GRAPHICS]


def _graphic(element: Element, dom: Dom, index: int) -> str:
    attributes = element.attributes
    parts = [f"[{element.id}] {element.tag}"]
    inside = [i for i in (index, *_below(dom, index)) if i in dom.texts]
    if text := " ".join(part.strip() for i in inside for _, part in dom.texts[i]):
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
        parts.append(_place(element))
    return " ".join(parts)


def _text(value: Json | None) -> str:
    return "" if not value else str(value.get("value", ""))


def _word(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _quoted(text: str) -> str:
    cut = text if len(text) <= MAX_LABEL else f"{text[: MAX_LABEL - _TAIL]}... ({len(text)} characters) ...{text[-_TAIL:]}"
    return "'" + cut.replace("\\", "\\\\").replace("'", "\\'").replace("\n", "\\n") + "'"
