"""One page of the browser, in which one episode after the other is shown, each in a document of its own.

    Page.open -> load(document) -> view / perform / evaluate -> load(the next) ... -> close

An episode's document is a sandboxed frame that fills the page: its own globals, timers and listeners, an origin of its own without
storage, no way to reach the page around it, to open windows or to start downloads.
All methods belong to the browser's event loop; ``Tab`` (browser.py) is their synchronous form.
"""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import Mapping
from functools import lru_cache
from html import escape
from pathlib import Path
from typing import Any

from .cdp import CdpError, Disconnected, Json
from .chromium import Chromium
from .dom import Ids
from .notes import Notes
from .site import Document, Text, document_text, file_path, media_type

HOST = "http://page.test"
_EMPTY = f"{HOST}/document"
"""The address of a document that stands alone; what is loaded from it is empty and gets its text by js/host.js and js/main.js."""
_WORLD = "turnwise"
_SOON_MS = 500
"""A timer that is due within this many milliseconds is waited for."""
_CLEAR_SECONDS = 1.0
"""A page that needs longer than this to let its last episode go is not kept."""
_IDLE_SECONDS = 0.03
"""A page that is left alone for so long makes the frame of its next episode: its agent is likely to think."""

_COUNT = "document.getElementsByTagName('*').length"


class PageFault(RuntimeError):
    """The page, its tab or the browser failed or did not answer in time. The episode in it is lost, no other."""


class Page:
    """``size`` (width, height) in CSS pixels, ``scale`` device pixels for each. ``timeout`` bounds every command, in seconds."""

    def __init__(self, chromium: Chromium, size: tuple[int, int], scale: float, timeout: float) -> None:
        self.chromium, self.size, self.scale, self.timeout = chromium, size, scale, timeout
        self.loads = 0
        self.notes = Notes()
        self.accept_dialogs = False
        self.frame = ""
        self.worlds: dict[str, dict[str, int]] = {}
        self.ids = Ids()
        self.mouse = (0.0, 0.0)
        self.pointed: tuple[float, float] | None = None
        self.pressed: tuple[float, float] | None = None
        """Where the mouse was put last, and where a button was first pressed; whoever wants to know sets them to None before."""
        self.held: set[str] = set()
        self.held_buttons: set[str] = set()
        self.elements = 0
        """How many the document had when it was last waited for."""
        self.fault = ""
        self._context = self._target = self.session = ""
        self._host_frame = ""
        self._site: Mapping[str, bytes] = {}
        self._made = ""
        """The frame that was made last: the episode's own until the one for the next is there."""
        self._unprepared = False
        """Whether the frame of the next episode is still to be made."""
        self._text: Text | None = None
        self._expected: Text | None = None
        """What was last shown, and what the next episode is expected to show."""
        self._idle: asyncio.TimerHandle | None = None
        self._known: set[str] = set()
        """Keys of the parts of documents that the page keeps."""
        self._origins = 0
        self._origin = ""
        self._moving = False
        self._arrived = asyncio.Event()
        self._failed: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    # ---- opening and closing -----------------------------------------------------------------------------------------

    @classmethod
    async def open(cls, chromium: Chromium, *, size: tuple[int, int], scale: float, timeout: float, network: bool = False) -> Page:
        page = cls(chromium, size, scale, timeout)
        chromium.pages += 1
        try:
            await page._set_up(network)
        except BaseException:
            await page.close()
            raise
        return page

    async def _set_up(self, network: bool) -> None:
        connection = self.chromium.connection
        created = await self.bounded(connection.send("Target.createBrowserContext", {"disposeOnDetach": True}))
        self._context = created["browserContextId"]
        width, height = self.size
        target = {"url": "about:blank", "browserContextId": self._context, "width": width, "height": height}
        self._target = (await self.bounded(connection.send("Target.createTarget", target)))["targetId"]
        attached = await self.bounded(connection.send("Target.attachToTarget", {"targetId": self._target, "flatten": True}))
        self.session = attached["sessionId"]
        self._host_frame = self._target  # a page's main frame has its target's id
        connection.listen(self.session, self._event)
        self._network = network
        await self.all(
            self.send("Page.enable"),
            self.send("Runtime.enable"),
            self.send("Accessibility.enable"),
            self.send("DOM.enable"),
            self.send("Inspector.enable"),
            self.send("Fetch.enable", {"patterns": [{"urlPattern": "http://*"}, {"urlPattern": "https://*"}]}),
            self.send("Browser.setDownloadBehavior", {"behavior": "deny", "browserContextId": self._context}),
            self.send("Emulation.setDeviceMetricsOverride", self._metrics()),
            self.send("Emulation.setFocusEmulationEnabled", {"enabled": True}),
            self.send("Page.addScriptToEvaluateOnNewDocument", {"source": _script("main.js")}),
            self.send("Page.addScriptToEvaluateOnNewDocument", {"source": _script("isolated.js"), "worldName": _WORLD}),
        )
        await self.bounded(self.send("Page.navigate", {"url": f"{HOST}/"}))
        await self.all(self.send("Runtime.evaluate", {"expression": _script("host.js")}))

    def _metrics(self) -> Json:
        return {"width": self.size[0], "height": self.size[1], "deviceScaleFactor": self.scale, "mobile": False}

    async def resize(self, size: tuple[int, int], scale: float) -> None:
        if (size, scale) != (self.size, self.scale):
            self.size, self.scale = size, scale
            self.send("Runtime.evaluate", {"expression": "episodes.drop()"})
            await self.bounded(self.send("Emulation.setDeviceMetricsOverride", self._metrics()))

    async def clear(self) -> bool:
        """Take the last episode off the page; whether that worked, so that the page is fit for another."""
        self.wake()
        self._site, self._origin, self.frame, self._unprepared = {}, "", "", False
        try:
            await self._release()
            await self._host("episodes.clear()", _CLEAR_SECONDS)
        except (PageFault, CdpError):
            return False
        return True

    async def close(self) -> None:
        """Give everything back to the browser. Never raises: a page that is gone is closed."""
        self.wake()
        self._unprepared = False
        self.chromium.pages -= 1
        connection = self.chromium.connection
        connection.forget(self.session)
        if not self._context or connection.closed:
            return
        if self.session:
            # A page in an endless script would not let itself be closed.
            connection.send("Runtime.terminateExecution", {}, self.session)
        try:
            await asyncio.wait_for(connection.send("Target.disposeBrowserContext", {"browserContextId": self._context}), self.timeout)
        except (CdpError, Disconnected, TimeoutError):
            if self.chromium.alive and self.chromium.pages <= 0:
                self.chromium.close()

    # ---- commands ----------------------------------------------------------------------------------------------------

    def send(self, method: str, params: Mapping[str, Any] | None = None) -> asyncio.Future[Json]:
        return self.chromium.connection.send(method, params, self.session)

    async def bounded(self, command: asyncio.Future[Json], seconds: float | None = None) -> Json:
        """The result of ``command``; raises ``PageFault`` when it takes too long, the page crashed or the browser is gone."""
        limit = self.timeout if seconds is None else seconds
        done, _ = await asyncio.wait((command, self._failed), timeout=limit, return_when=asyncio.FIRST_COMPLETED)
        if command in done:
            try:
                return command.result()
            except Disconnected as error:
                self.fault = self.fault or "the browser is gone"
                raise PageFault(str(error)) from error
        if not self.fault:
            self.fault = f"the page did not answer within {limit:g} s"
        raise PageFault(self.fault)

    async def all(self, *commands: asyncio.Future[Json]) -> list[Json]:
        return [await self.bounded(command) for command in commands]

    async def evaluate(self, expression: str, *, isolated: bool = False, seconds: float | None = None) -> Any:
        """The value (JSON) of ``expression`` in the episode's document, awaited. Raises ``PageFault``, also when the script fails."""
        context = self.worlds.get(self.frame, {}).get(_WORLD if isolated else "")
        if context is None:
            raise PageFault("the episode's document is gone")
        params: Json = {"expression": expression, "returnByValue": True, "awaitPromise": True, "contextId": context}
        return await self._value(self.send("Runtime.evaluate", params), seconds)

    async def element(self, node: int) -> str:
        """A handle on the element with that backend node number, for ``call``. Raises ``CdpError`` when there is none any more."""
        context = self.worlds.get(self.frame, {}).get(_WORLD)
        if context is None:
            raise PageFault("the episode's document is gone")
        self.send("Runtime.releaseObjectGroup", {"objectGroup": "turnwise"})  # the handles of the action before
        params: Json = {"backendNodeId": node, "executionContextId": context, "objectGroup": "turnwise"}
        return (await self.bounded(self.send("DOM.resolveNode", params)))["object"]["objectId"]

    async def call(self, handle: str, function: str, *arguments: Any) -> Any:
        """``turnwise.function(element, ...arguments)`` in the isolated world (js/isolated.js)."""
        params: Json = {
            "functionDeclaration": f"function(...given) {{ return turnwise.{function}(this, ...given); }}",
            "objectId": handle,
            "arguments": [{"value": value} for value in arguments],
            "returnByValue": True,
        }
        return await self._value(self.send("Runtime.callFunctionOn", params), None)

    async def _value(self, command: asyncio.Future[Json], seconds: float | None) -> Any:
        try:
            result = await self.bounded(command, seconds)
        except CdpError as error:
            raise PageFault(str(error)) from error
        if "exceptionDetails" in result:
            details = result["exceptionDetails"]
            text = details.get("exception", {}).get("description") or details.get("text", "")
            raise PageFault(f"a script in the page failed: {text.splitlines()[0] if text else 'no reason given'}")
        return result["result"].get("value")

    # ---- an episode --------------------------------------------------------------------------------------------------

    async def load(self, document: Document, *, seconds: float | None = None) -> Any:
        """Show ``document`` in place of what was there and give the value of its ``start``. Raises ``PageFault``."""
        self._site = document.site
        self._origin = self.frame = ""
        self._moving = False
        self.notes.take()
        self.ids = Ids()
        limit = self.timeout if seconds is None else seconds
        await self._release()
        self.send("Page.resetNavigationHistory")
        if document.inlined:
            text = document_text(document.site, document.path, HOST)
            more = {key: part for key, part in text.parts.items() if key not in self._known}
            await self._host(f"episodes.show({json.dumps(text.pieces)}, {json.dumps(more)})", limit)
            self._known.update(more)
            self._expected = text if document.ahead and text is self._text else None
            self._text = text
        else:
            self._origins += 1
            self._origin = f"http://e{self._origins}.test"
            await self._host(f"episodes.open({json.dumps(self._origin + document.path)})", limit)
        self.frame = self._made
        self.loads += 1
        self.chromium.loads += 1
        self._unprepared = document.inlined
        return await self.evaluate(document.start, seconds=limit)

    def rest(self) -> None:
        """Nothing is asked of the page from now until ``wake``."""
        if self._unprepared and not self.fault:
            self._idle = asyncio.get_running_loop().call_later(_IDLE_SECONDS, self._prepare)

    def wake(self) -> None:
        if self._idle is not None:
            self._idle.cancel()

    def _prepare(self) -> None:
        self._unprepared = False
        if self.chromium.alive:
            pieces = json.dumps(self._expected.pieces) if self._expected is not None else ""
            self.send("Runtime.evaluate", {"expression": f"episodes.prepare({pieces})"})

    async def go(self, url: str) -> str:
        """Go to another page of the task's own site. Gives "" or why not."""
        inside = url.removeprefix(self._origin) if self._origin else url
        path, _, rest = inside.partition("#")
        if not inside.startswith(("/", "#")):
            return f"The address {url[:100]!r} is not part of this site; its addresses start with /."
        if not self._origin:
            return "This page stands alone; there is no address to go to."
        if path and file_path(path) not in self._site:
            return f"There is no page {path[:100]!r} on this site."
        target = f"#{rest}" if not path else inside
        await self.evaluate(f"location.href = {json.dumps(target)}")
        return ""

    async def settle(self, bound: float, probe: str = "null") -> Any:
        """Wait until the page is quiet: no request under way, no timer due soon, no animation; at most ``bound`` seconds.

        Gives the value of the expression ``probe`` at that moment.
        """
        end = asyncio.get_running_loop().time() + bound
        while True:
            left = max(0.0, end - asyncio.get_running_loop().time())
            if self._moving and left:
                await self._arrival(left)
            try:
                quiet = f"Promise.resolve(__turnwise_quiet({_SOON_MS}, {left * 1000:g})).then((n) => [n, {_COUNT}, ({probe})])"
                refused, self.elements, said = await self.evaluate(quiet, seconds=self.timeout + bound)
            except PageFault:
                # The document went away meanwhile; the page it leads to is the one to wait for.
                if self.fault or not left:
                    raise
                self._moving = True
                continue
            if refused:
                self.notes.add("The page tried to open a window; windows stay closed here.")
            if not self._moving or not left:
                return said

    async def _arrival(self, seconds: float) -> None:
        """Wait until the document that the frame is going to is there."""
        self._arrived.clear()
        arrived = asyncio.ensure_future(self._arrived.wait())
        await asyncio.wait((arrived, self._failed), timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        arrived.cancel()
        self._moving = False

    def photograph(self) -> asyncio.Future[Json]:
        """Ask for a PNG of the whole screen, ``size`` times ``scale`` pixels, in base64 under "data"."""
        return self.send("Page.captureScreenshot", {"format": "png", "optimizeForSpeed": True})

    async def _host(self, expression: str, seconds: float) -> None:
        await self._value(self.send("Runtime.evaluate", {"expression": expression, "returnByValue": True, "awaitPromise": True}), seconds)

    async def _release(self) -> None:
        """Let go of what the last episode held, and put the mouse where it started."""
        for key in sorted(self.held):
            self.send("Input.dispatchKeyEvent", {"type": "keyUp", "key": key})
        x, y = self.mouse
        for button in sorted(self.held_buttons):
            self.send("Input.dispatchMouseEvent", {"type": "mouseReleased", "x": x, "y": y, "button": button, "clickCount": 1})
        self.held.clear()
        self.held_buttons.clear()
        if self.mouse != (0.0, 0.0):
            self.mouse = (0.0, 0.0)
            self.send("Input.dispatchMouseEvent", {"type": "mouseMoved", "x": 0, "y": 0})

    # ---- events ------------------------------------------------------------------------------------------------------

    def _event(self, method: str, params: Json) -> None:
        if method == "Fetch.requestPaused":
            self._serve(params)
        elif method == "Runtime.executionContextCreated":
            context = params["context"]
            data = context.get("auxData", {})
            name = "" if data.get("isDefault") else context.get("name", "")
            self.worlds.setdefault(data.get("frameId", ""), {})[name] = context["id"]
        elif method == "Page.frameAttached" and params["parentFrameId"] == self._host_frame:
            self._made = params["frameId"]
        elif method == "Page.frameDetached":
            self.worlds.pop(params["frameId"], None)
        elif method in ("Page.frameRequestedNavigation", "Page.frameStartedLoading") and params["frameId"] == self.frame:
            self._moving = True
        elif method == "Page.frameStoppedLoading" and params["frameId"] == self.frame:
            self._moving = False
            self._arrived.set()
        elif method == "Page.javascriptDialogOpening":
            self._dialog(params)
        elif method in ("Inspector.targetCrashed", "Target.targetCrashed", "Inspector.detached"):
            self.fault = "the page crashed" if "rash" in method else "the page was closed"
            if not self._failed.done():
                self._failed.set_result(None)

    def _serve(self, params: Json) -> None:
        url, request = params["request"]["url"], params["requestId"]
        top = params.get("frameId") == self._host_frame and params.get("resourceType") == "Document"
        if url == f"{HOST}/" and top and not self.loads:
            self._answer(request, b"<!doctype html><meta charset=utf-8><body style='margin:0;overflow:hidden'></body>", "text/html")
            return
        if url == _EMPTY and params.get("frameId") != self.frame:
            self._answer(request, b"<!doctype html>", "text/html")
            return
        navigates = params.get("resourceType") == "Document"
        origin = self._origin if self._origin and url.startswith(f"{self._origin}/") else HOST
        if url.startswith(f"{origin}/") and not top and (not navigates or origin != HOST):
            path = file_path(url)
            data = self._site.get(path)
            if data is not None:
                self._answer(request, data, media_type(path))
                return
            if navigates:
                body = f"<!doctype html><title>Not found</title><h1>Not found</h1><p>There is no page {escape(path)}.</p>".encode()
                self._answer(request, body, "text/html", 404)
                return
            self.send("Fetch.fulfillRequest", {"requestId": request, "responseCode": 404})
            return
        if self._network and url.startswith(("http://", "https://")) and not url.startswith(f"{HOST}/"):
            self.send("Fetch.continueRequest", {"requestId": request})
            return
        # "Aborted" leaves the document in place where a refused navigation would put an error page.
        self.send("Fetch.failRequest", {"requestId": request, "errorReason": "Aborted" if navigates else "BlockedByClient"})
        if navigates:
            self._moving = False
            self._arrived.set()
        if not url.endswith("/favicon.ico"):
            self.notes.add(f"The address {url[:100]} was blocked: there is no network beyond the task's own pages.")

    def _answer(self, request: str, data: bytes, kind: str, code: int = 200) -> None:
        headers = [{"name": "Content-Type", "value": kind}, {"name": "Access-Control-Allow-Origin", "value": "*"}]
        body = base64.b64encode(data).decode()
        self.send("Fetch.fulfillRequest", {"requestId": request, "responseCode": code, "responseHeaders": headers, "body": body})

    def _dialog(self, params: Json) -> None:
        kind = params.get("type", "")
        accept = kind in ("alert", "beforeunload") or self.accept_dialogs
        answer: Json = {"accept": accept}
        if accept and kind == "prompt":
            answer["promptText"] = params.get("defaultPrompt", "")
        self.send("Page.handleJavaScriptDialog", answer)
        if kind != "beforeunload":
            self.notes.add(f"A dialog ({kind}) said {params.get('message', '')[:200]!r}; it was {'accepted' if accept else 'dismissed'}.")


@lru_cache
def _script(name: str) -> str:
    return (Path(__file__).parent / "js" / name).read_text(encoding="utf-8")
