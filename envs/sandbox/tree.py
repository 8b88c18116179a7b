"""Trees of files held in memory: what a sandbox starts from, what was changed in it, what is copied out of it.

    tree = tree_of("project")                        # {"src/a.py": File(b"..."), ...}
    changes = difference(tree, box.tree())           # {"src/a.py": File(b"new"), "old.py": None}
    apply(tree, changes) == box.tree()

Paths are relative, with "/", without "." and ".."; folders exist through the files in them.
"""

from __future__ import annotations

import hashlib
import io
import os
import stat
import tarfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TypeAlias

MAX_TREE_MB = 256
"""What a tree may hold in all; larger repositories belong into an image."""


@dataclass(frozen=True, slots=True)
class File:
    """A plain file, or a symbolic link where ``link`` is its target (then ``data`` is empty)."""

    data: bytes = b""
    executable: bool = False
    link: str | None = None


Tree: TypeAlias = Mapping[str, File]
Changes: TypeAlias = Mapping[str, File | None]
"""Path -> its new content; ``None``: deleted."""


def check_path(path: str) -> str:
    """``path`` if it stays inside a tree. Raises ``ValueError``: absolute, "..", empty, NUL, or a trailing slash."""
    parts = path.split("/")
    if "\0" in path or any(part in ("", ".", "..") for part in parts):
        raise ValueError(f"{path!r} is not a path inside a tree; give it relative, with '/', without '.', '..' and empty parts")
    return path


def tree_of(folder: str | Path, keep: Callable[[str], bool] = lambda path: True) -> dict[str, File]:
    """The files and links below ``folder`` for whose path ``keep`` holds, sorted; no pipes, sockets and devices.

    Links are kept as links, never followed. Raises ``NotADirectoryError``, and ``ValueError`` above ``MAX_TREE_MB``.
    """
    root = Path(folder)
    if not root.is_dir():
        raise NotADirectoryError(f"{str(folder)!r} is not a folder; give the folder whose files are wanted")
    found: dict[str, File] = {}
    size = 0
    for here, folders, names in os.walk(root):
        folders.sort()
        for name in sorted([*names, *(f for f in folders if Path(here, f).is_symlink())]):
            place = Path(here, name)
            path = place.relative_to(root).as_posix()
            if not keep(path):
                continue
            mode = place.lstat().st_mode
            if stat.S_ISLNK(mode):
                found[path] = File(link=os.readlink(place))
            elif stat.S_ISREG(mode):
                size = _within(size + place.lstat().st_size, str(folder))
                found[path] = File(place.read_bytes(), bool(mode & 0o100))
    return dict(sorted(found.items()))


def tree_of_tar(data: bytes, strip: int = 0) -> dict[str, File]:
    """The files and links of a tar archive (any compression), without the first ``strip`` parts of their paths.

    Raises ``ValueError`` for a damaged archive, a path that leaves the tree, or more than ``MAX_TREE_MB``.
    """
    found: dict[str, File] = {}
    size = 0
    try:
        with tarfile.open(fileobj=io.BytesIO(data)) as archive:
            for member in archive:
                parts = PurePosixPath(member.name).parts
                path = "/".join(p for p in parts if p != ".").split("/", strip)[-1] if len(parts) > strip else ""
                if not path or not (member.isreg() or member.issym() or member.islnk()):
                    continue
                check_path(path)
                size = _within(size + member.size, "the archive")
                file = None if member.issym() else archive.extractfile(member)  # of a hard link: what it is linked to
                found[path] = File(link=member.linkname) if file is None else File(file.read(), bool(member.mode & 0o100))
    except (tarfile.TarError, EOFError, OSError, KeyError) as error:
        raise ValueError(f"this is not a readable tar archive ({type(error).__name__}: {error})") from error
    return dict(sorted(found.items()))


def tar_of(changes: Changes) -> bytes:
    """An uncompressed tar archive of the files that are there; equal trees give equal bytes."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for path, file in sorted(changes.items()):
            if file is None:
                continue
            about = tarfile.TarInfo(check_path(path))
            about.mode = 0o755 if file.executable else 0o644
            if file.link is not None:
                about.type, about.linkname = tarfile.SYMTYPE, file.link
                archive.addfile(about)
            else:
                about.size = len(file.data)
                archive.addfile(about, io.BytesIO(file.data))
    return out.getvalue()


def put_tree(tree: Tree, folder: str | Path) -> None:
    """Write the files below ``folder``. Links whose target is absolute or leaves it are refused with ``ValueError``."""
    root = Path(folder)
    for path, file in sorted(tree.items()):
        place = root / check_path(path)
        if not place.parent.resolve().is_relative_to(root.resolve()):
            raise ValueError(f"{path!r} lies behind a link that leaves the folder; it was not written")
        place.parent.mkdir(parents=True, exist_ok=True)
        if file.link is not None:
            target = Path(os.path.normpath(PurePosixPath(path).parent / file.link))
            if PurePosixPath(file.link).is_absolute() or target.parts[:1] == ("..",):
                raise ValueError(f"the link {path!r} -> {file.link!r} leaves the folder; it was not written")
            place.symlink_to(file.link)
        else:
            place.write_bytes(file.data)
            place.chmod(0o755 if file.executable else 0o644)


def difference(before: Tree, after: Tree) -> dict[str, File | None]:
    """What turns ``before`` into ``after``."""
    changed: dict[str, File | None] = {path: file for path, file in after.items() if before.get(path) != file}
    changed.update((path, None) for path in before if path not in after)
    return dict(sorted(changed.items()))


def apply(tree: Tree, changes: Changes) -> dict[str, File]:
    """``tree`` with ``changes``. A file that takes the place of a folder, or the other way round, displaces it."""
    result = {path: file for path, file in tree.items() if path not in changes}
    for path, file in changes.items():
        if file is None:
            continue
        parts = path.split("/")
        for end in range(1, len(parts)):
            result.pop("/".join(parts[:end]), None)
        below = path + "/"
        for other in [p for p in result if p.startswith(below)]:
            del result[other]
        result[path] = file
    return dict(sorted(result.items()))


def digest(changes: Changes) -> str:
    """sha256 of the paths and contents, the same for equal trees."""
    found = hashlib.sha256()
    for path, file in sorted(changes.items()):
        kind = "gone" if file is None else f"link {file.link}" if file.link is not None else f"file {file.executable:d} {len(file.data)}"
        found.update(f"{len(path)} {path} {kind}\n".encode("utf-8", "surrogateescape"))
        found.update(b"" if file is None else file.data)
    return found.hexdigest()


def _within(size: int, name: str) -> int:
    if size > MAX_TREE_MB << 20:
        raise ValueError(f"{name} holds more than {MAX_TREE_MB} MB; leave files out, or use a container image")
    return size
