"""A page's HTML as an agent reads it: without scripts, styles and what takes no part in layout."""

from __future__ import annotations

from typing import cast

from .axtree import GRAPHICS, MAX_LABEL
from .dom import Dom, Element, cut_lines

_DROPPED = {"script", "style", "head", "meta", "link", "title", "noscript", "template", "base"}
_KEPT = (
    *(
        "id",
        "class",
        "type",
        "name",
        "value",
        "placeholder",
        "href",
        "src",
        "alt",
        "title",
        "for",
        "role",
        "checked",
        "selected",
        "disabled",
    ),
    *("readonly", "multiple", "min", "max", "step", "rows", "cols", "colspan", "rowspan", "tabindex", "contenteditable"),
)
_VOID = {"input", "br", "img", "hr", "col", "area", "wbr"}


def html_text(dom: Dom) -> str:
    """The document's HTML without scripts, styles and what takes no part in layout; ``bid`` is an element's id for actions."""
    skipped = set[int]()
    for index, element in enumerate(dom.elements):
        hidden = element.box is None and element.tag not in ("option", "optgroup", "html", "body")
        if element.tag in _DROPPED or hidden or dom.parents[index] in skipped:
            skipped.add(index)
    children = dict[int, list[int]]()
    for index, parent in enumerate(dom.parents):
        if index not in skipped:
            children.setdefault(parent, []).append(index)
    lines = list[str]()

    def walk(index: int, depth: int) -> None:
        element = dom.elements[index]
        shown = [f'{name}="{value[:100]}"' if value else name for name, value in _attributes(element)]
        tag = " ".join([element.tag, f'bid="{element.id}"', *shown])
        inside: list[tuple[int, str | int]] = [(place, text.strip()) for place, text in dom.texts.get(index, ())]
        inside += [(child, child) for child in children.get(index, ())]
        inside.sort(key=lambda item: item[0])
        words = [cast("str", part) for _, part in inside]
        if element.tag in _VOID:
            lines.append(f"{' ' * depth}<{tag}>")
        elif all(isinstance(part, str) for _, part in inside):
            lines.append(f"{' ' * depth}<{tag}>{' '.join(' '.join(w.split()) for w in words)[:MAX_LABEL]}</{element.tag}>")
        else:
            lines.append(f"{' ' * depth}<{tag}>")
            for _, part in inside:
                if isinstance(part, int):
                    walk(part, depth + 1)
                else:
                    lines.append(f"{' ' * (depth + 1)}{' '.join(part.split())[:MAX_LABEL]}")
            lines.append(f"{' ' * depth}</{element.tag}>")

    for root in children.get(-1, ()):
        walk(root, 0)
    return cut_lines(lines, dom.left_out)


def _attributes(element: Element) -> list[tuple[str, str]]:
    graphic = element.tag in GRAPHICS or element.tag in ("svg", "g")
    kept = [(name, element.attributes[name]) for name in _KEPT if name in element.attributes and name != "value"]
    kept += [(n, v) for n, v in element.attributes.items() if n.startswith("aria-") or (graphic and n not in _KEPT and n != "style")]
    if element.value or "value" in element.attributes:
        kept.append(("value", element.value or element.attributes.get("value", "")))
    return kept
