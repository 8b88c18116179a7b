"""Trees on their way into a sandbox and out of it: the host's side of inside_tree.py. What comes out is not believed."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from functools import cached_property

from .inside_tree import CLOSED, DIGEST, EXECUTABLE, GONE, LINK, PIECE, PLAIN, RECORD, SAME
from .tree import MAX_TREE_MB, Changes, File, Tree, apply, check_path

_BLOCK = 4096
_FILE_SPACE = 1024
"""Bytes that a file's or folder's entry takes of a file system in memory, generously."""


class Base:
    """The tree that sandboxes start from, checked and encoded once for all of them. Raises ``ValueError`` for a path that leaves it, or
    more than ``MAX_TREE_MB``."""

    def __init__(self, tree: Tree | None = None, files: Mapping[str, bytes] | None = None) -> None:
        given: dict[str, File | None] = {path: File(data) for path, data in (files or {}).items()}
        self.tree: Tree = apply(tree or {}, given) if given else dict(tree or {})
        size = sum(len(file.data) for file in self.tree.values())
        if size > MAX_TREE_MB << 20:
            raise ValueError(f"the tree holds {size >> 20} MB; a sandbox takes {MAX_TREE_MB} MB: leave files out, or use a container image")
        folders = {path[:end] for path in self.tree for end, letter in enumerate(check_path(path)) if letter == "/"}
        self.entries = len(self.tree) + len(folders)
        """Files, links and folders."""
        self.space = sum(-(-len(file.data) // _BLOCK) * _BLOCK for file in self.tree.values()) + self.entries * _FILE_SPACE
        """Bytes that it takes of a file system."""

    @cached_property
    def pieces(self) -> list[bytes]:
        return list(records(self.tree))

    @cached_property
    def digests(self) -> dict[bytes, bytes]:
        """Path -> hash of kind and content: what need not be sent back."""
        encoded = (_record(path, file) for path, file in self.tree.items())
        return {path: hashlib.blake2b(bytes((kind,)) + data, digest_size=DIGEST).digest() for path, kind, data in encoded}


def records(changes: Changes) -> Iterator[bytes]:
    """What ``put_files`` takes, in pieces of about ``PIECE`` bytes: what is written first, what is deleted last."""
    parts: list[bytes] = []
    held = 0
    for name, file in sorted(changes.items(), key=lambda item: item[1] is None):
        path, kind, data = _record(name, file)
        parts += [RECORD.pack(kind, len(path), len(data)), path, data]
        held += RECORD.size + len(path) + len(data)
        if held >= PIECE:
            yield b"".join(parts)
            parts, held = [], 0
    if parts:
        yield b"".join(parts)


def _record(path: str, file: File | None) -> tuple[bytes, int, bytes]:
    name = to_bytes(check_path(path))
    if file is None:
        return name, GONE, b""
    if file.link is not None:
        return name, LINK, to_bytes(file.link)
    return name, EXECUTABLE if file.executable else PLAIN, file.data


def decode(data: bytes, base: Tree, found: dict[str, File], closed: list[str]) -> int:
    """Add what one piece of a copied folder says to ``found`` and ``closed``; the bytes of it. Raises ``ValueError`` when
    it is not one."""
    place = held = 0
    while place < len(data):
        if len(data) - place < RECORD.size:
            raise ValueError("half a record")
        kind, name, size = RECORD.unpack_from(data, place)
        place += RECORD.size
        end = place + name + size
        if end > len(data):
            raise ValueError("a record that does not end")
        path = check_path(data[place : place + name].decode("utf-8", "surrogateescape"))
        content = data[place + name : end]
        held += size
        place = end
        if kind == SAME and path in base:
            found[path] = base[path]
            held += len(base[path].data)
        elif kind == LINK:
            found[path] = File(link=content.decode("utf-8", "surrogateescape"))
        elif kind in (PLAIN, EXECUTABLE):
            found[path] = File(content, kind == EXECUTABLE)
        elif kind == CLOSED:
            closed.append(path)
        else:
            raise ValueError(f"a record of kind {kind}")
    return held


def to_bytes(text: str) -> bytes:
    """Names that were not UTF-8 on their way in come back as they were; half a surrogate pair that never was a byte is escaped."""
    try:
        return text.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        return text.encode("utf-8", "backslashreplace")
