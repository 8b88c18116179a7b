"""Files of a task's pages, served from memory: a mapping from path ("/index.html") to bytes."""

from __future__ import annotations

import hashlib
import mimetypes
import posixpath
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path, PurePosixPath
from urllib.parse import unquote, urlsplit

_TYPES = {
    ".js": "text/javascript",
    ".mjs": "text/javascript",
    ".html": "text/html; charset=utf-8",
    ".css": "text/css",
    ".svg": "image/svg+xml",
}
_SCRIPT = re.compile(r"<script\b([^>]*?)\bsrc\s*=\s*[\"']([^\"']+)[\"']([^>]*)>\s*</script>", re.I)
_STYLE = re.compile(r"<link\b([^>]*?)\bhref\s*=\s*[\"']([^\"']+)[\"']([^>]*)>", re.I)
_SOURCE = re.compile(r"(<(?:img|source|video|audio|input|embed)\b[^>]*?\bsrc\s*=\s*)([\"'])([^\"']+)\2", re.I)
_PART = re.compile(r"(<script\b[^>]*>.*?</script>|<style\b[^>]*>.*?</style>)", re.I | re.S)
_INNER_STYLE = re.compile(r"(<style\b[^>]*>)(.*?)(</style>)", re.I | re.S)
_FORGET = "\n;document.currentScript&&(document.currentScript.textContent='');"
"""Ends an inlined script: its text, which may be 100 kB of library, need not be part of every later view of the document."""


_SHARED = 4096
"""Characters from which a script or style sheet is kept in the browser for the documents that follow."""


class Folder(Mapping[str, bytes]):
    """The files under ``root``, read when they are first asked for. Nothing outside of it is served, whatever the path or link."""

    def __hash__(self) -> int:
        return id(self)

    def __eq__(self, other: object) -> bool:
        return self is other

    def __init__(self, root: str | Path) -> None:
        self.root = Path(root).resolve(strict=True)
        self._read: dict[str, bytes] = {}

    def __getitem__(self, path: str) -> bytes:
        if path not in self._read:
            file = (self.root / path.lstrip("/")).resolve()
            if not file.is_relative_to(self.root) or not file.is_file():
                raise KeyError(path)
            self._read[path] = file.read_bytes()
        return self._read[path]

    def __iter__(self) -> Iterator[str]:
        return (f"/{file.relative_to(self.root).as_posix()}" for file in sorted(self.root.rglob("*")) if file.is_file())

    def __len__(self) -> int:
        return sum(1 for _ in self)


@dataclass(frozen=True, slots=True)
class Document:
    """What an episode shows: the page at ``path`` of ``site``.

    ``start`` is run in it once it has loaded; its value (awaited) is what ``load`` gives. ``inlined``: its scripts and style sheets are put
    into it, which saves their requests; such a page stands alone: its forms and links, but those to its own parts (#...), lead nowhere.
    Else it is loaded from an address of its own and may have further pages beside it and storage (no cookies, which browsers refuse in
    frames). ``ahead``: a page that stands alone and is shown again and again may be loaded for the next episode while the agent of this one
    thinks; for pages whose scripts wait for ``start``, as they then run unseen, before it, and what they ask for is told to this agent.
    """

    site: Mapping[str, bytes]
    path: str
    start: str = "null"
    inlined: bool = True
    ahead: bool = False


def media_type(path: str) -> str:
    suffix = PurePosixPath(path).suffix.lower()
    return _TYPES.get(suffix) or mimetypes.types_map.get(suffix, "application/octet-stream")


def file_path(url: str) -> str:
    """The path of a file that ``url`` asks for."""
    path = unquote(urlsplit(url).path)
    return f"{path}index.html" if path.endswith("/") else path


@dataclass(frozen=True, slots=True)
class Text:
    """A document's text in pieces: strings, and (key,) for one of the long ``parts``, which several documents may share."""

    pieces: tuple[str | tuple[str], ...]
    parts: Mapping[str, str]


def document_text(site: Mapping[str, bytes], path: str, host: str) -> Text:
    """The page at ``path`` as one document, see ``inline``; that of a ``Folder`` is put together once."""
    return _folder_text(site, path, host) if isinstance(site, Folder) else _cut(inline(site, path, host))


@lru_cache(maxsize=256)
def _folder_text(site: Folder, path: str, host: str) -> Text:
    return _cut(inline(site, path, host))


def _cut(html: str) -> Text:
    pieces, parts = list[str | tuple[str]](), dict[str, str]()
    for piece in _PART.split(html):
        if len(piece) < _SHARED:
            pieces.append(piece)
        else:
            key = hashlib.sha256(piece.encode("utf-8", "replace")).hexdigest()[:32]
            pieces.append((key,))
            parts[key] = piece
    return Text(tuple(pieces), parts)


def inline(site: Mapping[str, bytes], path: str, host: str) -> str:
    """The page at ``path`` with its scripts and style sheets in place, element for element, so that it loads without a request.

    The page then has no address of its own that others could be relative to: those of images and inside style sheets get ``host``.
    Raises ``KeyError`` when there is no such page.
    """
    base = PurePosixPath(path).parent
    html = site[path].decode("utf-8", "replace")

    def text(address: str) -> str | None:
        if urlsplit(address).scheme or address.startswith("//"):
            return None
        data = site.get(_join(base, address))
        return None if data is None else data.decode("utf-8", "replace")

    def script(match: re.Match[str]) -> str:
        body = text(match[2])
        if body is None or "module" in match[1] + match[3]:
            return match[0]
        body = re.sub(r"</(script)", r"<\\/\1", body, flags=re.I).replace("<!--", "<\\!--")
        return f"<script{match[1]}{match[3]}>{body}{_FORGET}</script>"

    def style(match: re.Match[str]) -> str:
        attributes = (match[1] + match[3]).lower()
        sheet = PurePosixPath(urlsplit(match[2]).path)
        body = text(match[2]) if "stylesheet" in attributes else None
        if body is None:
            return match[0]
        moved = _move(body, _join(base, match[2]), host)
        return f"<style data-from={sheet.name!r}>{moved}</style>"

    def source(match: re.Match[str]) -> str:
        address = match[3]
        outside = bool(urlsplit(address).scheme) or address.startswith(("//", "#"))
        return match[0] if outside else f"{match[1]}{match[2]}{host}{_join(base, address)}{match[2]}"

    html = _INNER_STYLE.sub(lambda m: f"{m[1]}{_move(m[2], path, host)}{m[3]}", html)
    # Scripts are put in last, so that no text of theirs is taken for an address of the page.
    return _SCRIPT.sub(script, _STYLE.sub(style, _SOURCE.sub(source, html)))


def _join(base: PurePosixPath, address: str) -> str:
    return posixpath.normpath(posixpath.join(str(base), unquote(urlsplit(address).path)))


def _move(css: str, sheet: str, host: str) -> str:
    """``css`` with addresses made absolute, as they are relative to the sheet and not to the page."""
    folder = PurePosixPath(sheet).parent

    def absolute(match: re.Match[str]) -> str:
        address = match[2].strip()
        if urlsplit(address).scheme or address.startswith(("//", "#")):
            return match[0]
        return f"url({match[1]}{host}{_join(folder, address)}{match[1]})"

    return re.sub(r"url\(\s*([\"']?)([^\"')]+)\1\s*\)", absolute, css)
