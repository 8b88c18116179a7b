"""One browser for all tests of a session; they are skipped where there is none."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from turnwise.envs.gui.browser import Browser, BrowserOptions, Tab
from turnwise.envs.gui.chromium import MissingBrowser
from turnwise.envs.gui.site import Document


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    try:
        made = Browser(BrowserOptions(timeout=8.0))
    except MissingBrowser as missing:
        pytest.skip(str(missing))
    yield made
    made.close()


@pytest.fixture
def tab(browser: Browser) -> Iterator[Tab]:
    made = browser.tab(size=(400, 300))
    yield made
    made.close()


@pytest.fixture
def show(tab: Tab) -> Callable[[str], Tab]:
    """``show(html)`` puts a page on the screen and gives its tab."""

    def shown(html: str, start: str = "null") -> Tab:
        tab.load(page_of(html, start))
        tab.look()
        return tab

    return shown


def page_of(html: str, start: str = "null", *, inlined: bool = True) -> Document:
    return Document({"/index.html": f"<!doctype html><meta charset=utf-8>{html}".encode()}, "/index.html", start, inlined=inlined)


def id_of(tab: Tab, tag: str, number: int = 0) -> str:
    """The id of the ``number``-th element with that tag."""
    return [e.id for e in tab.look().dom.elements if e.tag == tag][number]
