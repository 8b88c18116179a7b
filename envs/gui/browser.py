"""The browser pool: one Chromium serves many isolated episodes at once; a synchronous face for environments.

    browser = shared_browser()            one for each process and set of options, started when first needed
    tab = browser.tab(size=(160, 210))    a page; one episode at a time in it
    tab.load(document); view = tab.look(); tab.perform(action)

A tab that is closed leaves its page for the next one, as a new one costs the browser several episodes' time. A page is renewed after
``renew`` episodes and after every fault; the browser itself after ``restart`` episodes or when it holds more than ``most_memory``: new
pages then go to a new one, and the old one ends with its last page. A fault costs the episode in that page only; when the whole browser
dies, the episodes in it.
"""

from __future__ import annotations

import asyncio
import atexit
import base64
import concurrent.futures
import os
import threading
from collections.abc import Coroutine, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, TypeVar

from .actions import Action
from .axtree import axtree_text
from .cdp import CdpError, Json
from .chromium import FAST_FRAMES, Chromium, find_chromium
from .dom import MAX_NODES, STYLES, Dom, Element, read_dom
from .html_text import html_text
from .page import Page, PageFault
from .perform import perform
from .site import Document

T = TypeVar("T")
_GRACE = 5.0


@dataclass(slots=True)
class Counters:
    """What the pool did. ``opened``: pages made; ``faults``: pages that failed; ``restarts``: browsers started after the first."""

    loads: int = 0
    opened: int = 0
    renewed: int = 0
    faults: int = 0
    restarts: int = 0


@dataclass(frozen=True)
class View:
    """The page as it was at one moment. ``screenshot`` is PNG or empty."""

    dom: Dom
    nodes: Sequence[Json]
    screenshot: bytes = b""
    notes: tuple[str, ...] = ()
    boxes: bool = False
    size: tuple[int, int] = (0, 0)

    @cached_property
    def axtree(self) -> str:
        if self.dom.left_out:
            total = len(self.dom.elements) + self.dom.left_out
            return f"The page has {total} elements, too many for its accessibility tree; this is its HTML.\n{self.html}"
        return axtree_text(self.nodes, self.dom, boxes=self.boxes)

    @cached_property
    def html(self) -> str:
        return html_text(self.dom)

    def find(self, element_id: str) -> Element | None:
        return self.dom.find(element_id)


@dataclass(frozen=True, slots=True, kw_only=True)
class BrowserOptions:
    """``window``: a visible one. ``network``: pages may reach the network. ``timeout``: seconds for one command.

    ``fast_frames``: frames are drawn as fast as they are asked for. A screenshot then takes 5 ms, where it otherwise waits for the clock of
    60 Hz; everything else takes a few milliseconds more. ``keep``: pages that wait for the next tab, at most; each holds some 25 MB.
    """

    executable: str = ""
    window: bool = False
    network: bool = False
    fast_frames: bool = False
    timeout: float = 10.0
    renew: int = 500
    keep: int = 32
    restart: int = 20_000
    most_memory: int = 3 << 30
    arguments: tuple[str, ...] = ()


@dataclass
class Browser:
    """Pages of one Chromium at a time; methods may be called from any thread. Raises ``MissingBrowser`` when there is none."""

    options: BrowserOptions = field(default_factory=BrowserOptions)
    counters: Counters = field(default_factory=Counters)

    def __post_init__(self) -> None:
        self._executable = self.options.executable or find_chromium(window=self.options.window)
        self._loop = asyncio.new_event_loop()
        self._lock = asyncio.Lock()
        self._chromium: Chromium | None = None
        self._all: list[Chromium] = []
        self._free: list[Page] = []
        self._thread = threading.Thread(target=self._loop.run_forever, name="turnwise-browser", daemon=True)
        self._thread.start()
        self.closed = False

    def tab(self, *, size: tuple[int, int] = (1024, 768), scale: float = 1.0) -> Tab:
        """A page of ``size`` CSS pixels (width, height), ``scale`` device pixels for each."""
        return Tab(self, size, scale)

    def run(self, work: Coroutine[Any, Any, T], seconds: float) -> T:
        """The result of ``work`` on the browser's loop. Raises ``PageFault`` when it takes longer than ``seconds``."""
        future = asyncio.run_coroutine_threadsafe(work, self._loop)
        try:
            return future.result(seconds)
        except concurrent.futures.TimeoutError:
            future.cancel()
            raise PageFault(f"the browser did not answer within {seconds:g} s") from None

    async def open_page(self, size: tuple[int, int], scale: float) -> Page:
        chromium = await self._running()
        while self._free:
            page = self._free.pop()
            if page.chromium is chromium and not page.fault:
                return page
            await self._drop(page)
        self.counters.opened += 1
        return await Page.open(chromium, size=size, scale=scale, timeout=self.options.timeout, network=self.options.network)

    async def _running(self) -> Chromium:
        async with self._lock:
            current = self._chromium
            if current is not None and current.alive and not self._used_up(current):
                return current
            if current is not None:
                self.counters.restarts += 1
            o = self.options
            arguments = (*o.arguments, *((FAST_FRAMES,) if o.fast_frames else ()))
            self._chromium = await Chromium.start(self._executable, window=o.window, network=o.network, arguments=arguments)
            self._all = [c for c in self._all if c.alive] + [self._chromium]
            free, self._free = self._free, []
            for page in free:
                await page.close()
            if current is not None and current.alive and current.pages <= 0:
                current.close()
            return self._chromium

    def _used_up(self, chromium: Chromium) -> bool:
        return chromium.loads >= self.options.restart or (chromium.memory() or 0) > self.options.most_memory

    async def give_back(self, page: Page) -> None:
        """Keep ``page`` for the next tab where it is fit for that, else close it."""
        if self._fit(page) and await page.clear() and self._fit(page):  # much may happen while it is cleared
            self._free.append(page)
        else:
            await self._drop(page)

    def _fit(self, page: Page) -> bool:
        usable = not page.fault and page.loads < self.options.renew and page.chromium is self._chromium and page.chromium.alive
        return usable and len(self._free) < self.options.keep

    async def _drop(self, page: Page) -> None:
        """Close ``page``; the last one of a browser that was replaced ends it."""
        await page.close()
        chromium = page.chromium
        if chromium is not self._chromium and chromium.pages <= 0:
            chromium.close()

    def memory(self) -> int | None:
        """Resident bytes of the browser's processes."""
        sizes = [c.memory() for c in self._all if c.alive]
        return None if any(s is None for s in sizes) else sum(s or 0 for s in sizes)

    def close(self) -> None:
        """End the browser; its tabs fail from then on. A second call does nothing."""
        if self.closed:
            return
        self.closed = True

        async def end() -> None:
            for chromium in self._all:
                chromium.close()

        self.run(end(), _GRACE)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(_GRACE)
        if not self._thread.is_alive():
            self._loop.close()


class Tab:
    """One page for one episode after the other; see ``Browser.tab``. Methods raise ``PageFault``; the next ``load`` starts afresh."""

    def __init__(self, browser: Browser, size: tuple[int, int], scale: float) -> None:
        self.browser, self.size, self.scale = browser, size, scale
        self._page: Page | None = None

    @property
    def page(self) -> Page:
        if self._page is None:
            raise PageFault("nothing is loaded in this tab; call load() first")
        return self._page

    def _run(self, work: Coroutine[Any, Any, T], seconds: float | None = None) -> T:
        limit = self.browser.options.timeout
        try:
            return self.browser.run(self._awake(work), (limit if seconds is None else seconds) * 4 + _GRACE)
        except PageFault as fault:
            self.browser.counters.faults += 1
            if self._page is not None:
                self._page.fault = self._page.fault or str(fault)
            raise

    async def _awake(self, work: Coroutine[Any, Any, T]) -> T:
        if self._page is not None:
            self._page.wake()
        try:
            return await work
        finally:
            if self._page is not None:
                self._page.rest()

    def resize(self, size: tuple[int, int], scale: float) -> None:
        """Another ``size`` and ``scale``, from the next ``load`` on."""
        self.size, self.scale = size, scale

    def load(self, document: Document, *, accept_dialogs: bool = False, seconds: float | None = None) -> Any:
        """Show ``document`` and give the value of its ``start``; at most ``seconds`` for loading."""
        return self._run(self._load(document, accept_dialogs, seconds), seconds)

    async def _load(self, document: Document, accept_dialogs: bool, seconds: float | None) -> Any:
        page = self._page
        if page is not None and (page.fault or page.loads >= self.browser.options.renew or not page.chromium.alive):
            self._page = None
            self.browser.counters.renewed += 1
            await self.browser.give_back(page)
        if self._page is None:
            try:
                self._page = await self.browser.open_page(self.size, self.scale)
            except CdpError as error:
                raise PageFault(str(error)) from error
        page = self._page
        await page.resize(self.size, self.scale)
        page.accept_dialogs = accept_dialogs
        self.browser.counters.loads += 1
        return await page.load(document, seconds=seconds)

    def look(
        self,
        *,
        tree: bool = True,
        screenshot: bool = False,
        settle: float | None = 1.0,
        skip: frozenset[str] = frozenset(),
        boxes: bool = False,
    ) -> View:
        """What the page shows once it is quiet (at most ``settle`` seconds from now; None: as it is)."""
        return self._run(self._look(tree, screenshot, settle, skip, boxes))

    async def _look(self, tree: bool, screenshot: bool, settle: float | None, skip: frozenset[str], boxes: bool) -> View:
        page = self.page
        if settle is not None:
            await page.settle(settle)
        picture = page.photograph() if screenshot else None  # it is drawn while the rest is read
        snapshot = page.send("DOMSnapshot.captureSnapshot", {"computedStyles": list(STYLES)})
        tree = tree and page.elements <= MAX_NODES  # the tree of a larger page takes the browser many seconds
        nodes = page.send("Accessibility.getFullAXTree", {"frameId": page.frame}) if tree else None
        try:
            patience = 3 * page.timeout  # a page of 100,000 elements takes seconds to be read
            dom = read_dom(await page.bounded(snapshot, patience), page.frame, page.ids, skip)
            listed = (await page.bounded(nodes, patience))["nodes"] if nodes is not None else ()
            image = base64.b64decode((await page.bounded(picture))["data"]) if picture is not None else b""
        except CdpError as error:
            raise PageFault(str(error)) from error
        return View(dom, listed, image, page.notes.take(), boxes, self.size)

    def perform(self, action: Action) -> str:
        """Carry out ``action``. Gives "" or why it could not be done, as a sentence for the agent."""
        return self._run(perform(self.page, action), 30.0)

    def settle(self, seconds: float = 1.0, probe: str = "null") -> Any:
        """Wait until the page is quiet, at most ``seconds``, and give the value of the expression ``probe`` (JSON) at that moment."""
        return self._run(self.page.settle(seconds, probe))

    def evaluate(self, expression: str) -> Any:
        """The value of ``expression`` in the episode's document, as JSON."""
        return self._run(self.page.evaluate(expression))

    def close(self) -> None:
        page, self._page = self._page, None
        if page is not None and not self.browser.closed:
            self._run(self.browser.give_back(page))


_shared: dict[tuple[int, BrowserOptions], Browser] = {}
_shared_lock = threading.Lock()


def shared_browser(options: BrowserOptions | None = None) -> Browser:
    """The browser with these options that all environments of this process share; it ends with the process."""
    key = (os.getpid(), options or BrowserOptions())
    with _shared_lock:
        browser = _shared.get(key)
        if browser is None or browser.closed:
            browser = _shared[key] = Browser(key[1])
        return browser


def close_shared() -> None:
    """End all shared browsers of this process; the next environment starts one anew."""
    with _shared_lock:
        for (pid, _), browser in list(_shared.items()):
            if pid == os.getpid():
                browser.close()
        _shared.clear()


atexit.register(close_shared)
