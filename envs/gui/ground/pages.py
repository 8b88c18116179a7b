"""Pages of tasks in the browser, and where their targets are."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, cast

from ....records import Task
from ....rewards.boxes import Box
from ..browser import BrowserOptions, Tab, shared_browser
from ..page import PageFault
from ..site import Document
from .sheet import Theme
from .tasks import page_of

_PLACES = (0.5, 0.5), (0.25, 0.25), (0.75, 0.25), (0.25, 0.75), (0.75, 0.75)
"""Where in its box an element must be on top, as shares of width and height."""

_MEASURE = """(() => {
  const target = document.querySelector('[data-t="%s"]');
  if (!target) return null;
  const box = target.getBoundingClientRect();
  const top = %s.map(([x, y]) => document.elementFromPoint(box.left + x * box.width, box.top + y * box.height));
  let cut = false;
  for (const one of [target, ...target.querySelectorAll('*')]) {
    if (one.namespaceURI.endsWith('html') && one.clientWidth && one.scrollWidth > one.clientWidth + 1) cut = true;
  }
  return {
    box: [box.left, box.top, box.right, box.bottom],
    seen: top.filter((one) => one && (one === target || target.contains(one))).length,
    cut, screen: [innerWidth, innerHeight],
  };
})()"""


@dataclass(frozen=True, slots=True)
class Measured:
    """The target as it is laid out: its ``box`` in CSS pixels; ``seen``, at how many of 5 points it is on top; ``cut``, text that does not
    fit; ``inside``, whether the whole box is on the screen."""

    box: Box
    seen: int
    cut: bool
    inside: bool

    @property
    def visible(self) -> bool:
        return self.seen == len(_PLACES) and self.inside

    @property
    def whole(self) -> bool:
        return self.visible and not self.cut


def size_of(task: Task) -> tuple[tuple[int, int], float]:
    """The screen of a task: (width, height) in CSS pixels, and the scale."""
    width, height = task.data["size"]
    return (int(width), int(height)), float(task.data["scale"])


def document_of(task: Task) -> Document:
    """The page of a task; its ``start`` measures the target."""
    data = task.data
    size, _ = size_of(task)
    html = page_of(str(data["layout"]), cast(Theme, data["theme"]), str(data["words"]), int(data["seed"]), size)
    start = _MEASURE % (data["target"], json.dumps(_PLACES))
    return Document({"/page.html": html.encode()}, "/page.html", start)


def measured(found: Any) -> Measured:
    """What ``start`` gave. Raises ``PageFault`` when the page has no such element."""
    if not isinstance(found, Mapping):
        raise PageFault("the page has no such element")
    seen = cast("Mapping[str, Any]", found)
    x1, y1, x2, y2 = (float(v) for v in seen["box"])
    width, height = (float(v) for v in seen["screen"])
    inside = -0.5 <= x1 < x2 <= width + 0.5 and -0.5 <= y1 < y2 <= height + 0.5
    return Measured((x1, y1, x2, y2), int(seen["seen"]), bool(seen["cut"]), inside)


_own: dict[int, Tab] = {}
_lock = threading.Lock()


def target_box(task: Task) -> Box:
    """The target's box in pixels of the screenshot, by rendering the task in a page of its own that the process keeps.

    For scripts and for making data sets; no episode needs it. Raises ``PageFault``, ``MissingBrowser``.
    """
    with _lock:
        tab = _own.get(os.getpid())
        if tab is None or tab.browser.closed:
            tab = _own[os.getpid()] = shared_browser(BrowserOptions(fast_frames=True)).tab()
        size, scale = size_of(task)
        tab.resize(size, scale)
        found = measured(tab.load(document_of(task)))
    x1, y1, x2, y2 = (scale * v for v in found.box)
    return (x1, y1, x2, y2)
