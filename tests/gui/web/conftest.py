"""A tab with the three apps in it; the tests are skipped where there is no browser."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest
from turnwise.envs.gui import actions as a
from turnwise.envs.gui.browser import Tab, shared_browser
from turnwise.envs.gui.chromium import MissingBrowser
from turnwise.envs.gui.site import Document
from turnwise.envs.gui.web.scripts import elements, find
from turnwise.envs.gui.web.site import site
from turnwise.envs.gui.web.tasks import WebTaskSet


@dataclass
class App:
    """An app on the screen: what its page says, and how to act on it by role and name."""

    tab: Tab
    config: dict[str, Any] = field(default_factory=dict)

    def open(self, app: str, **changes: Any) -> dict[str, Any]:
        """Start ``app`` with the records of one task, without pop-ups and delays unless ``changes`` say so; its state."""
        task = WebTaskSet(apps=[app], popups=0, slow=0, half_filled=0).get_task("train", 0)
        self.config = {**task.data["config"], "clock": "manual", **changes}
        return self.tab.load(Document(site(app), "/index.html", f"app.setup({json.dumps(self.config)})", inlined=False))

    @property
    def text(self) -> str:
        return self.tab.look().axtree

    def has(self, role: str, name: str) -> bool:
        return find(elements(self.text), role, name) is not None

    def id(self, role: str, name: str) -> str:
        text = self.text
        element = find(elements(text), role, name)
        assert element is not None, f"no {role} {name!r} in\n{text}"
        return element.id

    def do(self, action: a.Action) -> str:
        problem = self.tab.perform(action)
        self.tab.settle()
        return problem

    def click(self, role: str, name: str) -> None:
        assert self.do(a.Click(self.id(role, name))) == ""

    def fill(self, name: str, text: str) -> None:
        assert self.do(a.Fill(self.id("textbox", name), text)) == ""

    def select(self, name: str, option: str) -> None:
        assert self.do(a.SelectOption(self.id("combobox", name), (option,))) == ""

    def run(self, script: str) -> Any:
        return self.tab.evaluate(script)

    def tables(self) -> dict[str, Any]:
        return self.run("app.read().tables")

    @property
    def route(self) -> str:
        return self.run("app.state.route")

    def names(self, role: str) -> Sequence[str]:
        return [e.name for e in elements(self.text) if e.role == role]


@pytest.fixture(scope="session")
def _tab() -> Iterator[Tab]:
    try:
        tab = shared_browser().tab()
    except MissingBrowser as missing:
        pytest.skip(str(missing))
    yield tab
    tab.close()


@pytest.fixture
def app(_tab: Tab) -> App:
    return App(_tab)


@pytest.fixture
def opened(app: App) -> Callable[..., App]:
    """``opened("shop", start="/cart")``: the app, started."""

    def start(name: str, **changes: Any) -> App:
        app.open(name, **changes)
        return app

    return start
