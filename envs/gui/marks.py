"""Set-of-marks: the ids of elements that can be acted on, drawn on a screenshot (Yang et al. 2023, arXiv 2310.11441)."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .browser import View
    from .dom import Element

_ROLES = {
    *("button", "link", "textbox", "searchbox", "checkbox", "radio", "combobox", "listbox", "option", "menuitem", "menuitemcheckbox"),
    *("menuitemradio", "tab", "switch", "slider", "spinbutton", "treeitem"),
}
_TAGS = {"a", "button", "input", "select", "textarea", "option", "label", "summary"}
_COLOURS = ("#d81b60", "#1e88e5", "#00796b", "#e65100", "#5e35b1", "#6d4c41")


def marked(view: View) -> list[Element]:
    """The visible elements that can be acted on, in document order; of nested ones the inner."""
    roles = {node.get("backendDOMNodeId"): node.get("role", {}).get("value") for node in view.nodes}
    width, height = view.size
    found = list[int]()
    for index, element in enumerate(view.dom.elements):
        acts = element.clickable or element.tag in _TAGS or roles.get(element.node) in _ROLES
        if not acts or element.box is None or element.tag in ("html", "body"):
            continue
        x1, y1, x2, y2 = element.box
        if x2 - x1 >= 1 and y2 - y1 >= 1 and x1 < width and y1 < height and x2 > 0 and y2 > 0:
            found.append(index)
    inside = set[int]()
    for index in found:
        parent = view.dom.parents[index]
        while parent >= 0:
            inside.add(parent)
            parent = view.dom.parents[parent]
    return [view.dom.elements[index] for index in found if index not in inside]


def draw_marks(view: View, scale: float = 1.0) -> bytes:
    """PNG of the view's screenshot with a box and the id on every element that can be acted on. Raises ``ImportError`` without pillow."""
    from PIL import Image, ImageDraw, ImageFont

    image = Image.open(io.BytesIO(view.screenshot)).convert("RGB")
    draw = ImageDraw.Draw(image)
    font: Any = ImageFont.load_default(size=max(9, round(9 * scale)))
    for number, element in enumerate(marked(view)):
        assert element.box is not None
        x1, y1, x2, y2 = (value * scale for value in element.box)
        colour = _COLOURS[number % len(_COLOURS)]
        draw.rectangle((x1, y1, max(x1, x2 - 1), max(y1, y2 - 1)), outline=colour)
        left, top, right, bottom = draw.textbbox((0, 0), element.id, font=font)
        wide, high = right - left + 2, bottom - top + 2
        x = min(max(0, x1), image.width - wide)
        y = y1 - high if y1 >= high else min(max(0, y1), image.height - high)
        draw.rectangle((x, y, x + wide, y + high), fill=colour)
        draw.text((x + 1 - left, y + 1 - top), element.id, fill="white", font=font)
    out = io.BytesIO()
    image.save(out, format="PNG", compress_level=1)
    return out.getvalue()
