"""The files of a container of an image: what changed in its work folder, and many of them in or out at once.

What is in the work folder now, and when each file last changed, programs in the container say (``find``, ``tar``), because the daemon
takes seconds for it: code that breaks or replaces them changes what it hands in, as it may anyway. What the image holds, only the
daemon says. Where those programs fail, the daemon copies out both folders.
"""

from __future__ import annotations

import contextlib
import io
import tarfile
import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import PurePosixPath
from typing import Any, TypeAlias

from .base import ExecResult, SandboxError
from .container import Container
from .daemon import client, missing, speaking
from .tree import MAX_TREE_MB, Changes, File, check_path, difference, tree_of_tar

Run: TypeAlias = Callable[[list[str], bytes], ExecResult]
"""Runs a program with this input, and keeps its output, large as it may be."""
Listing: TypeAlias = Mapping[str, str]
"""Path in the work folder -> kind, size, rights and time of the last change (of the file or its rights; nobody can set it)."""
MAX_SINGLE = 50
"""Above so many files to compare, the whole folder of the image is copied out: each single one takes a request of its own."""


def listing(run: Run, work: str) -> Listing | None:
    """``None``: programs in the container cannot tell."""
    done = run(["find", work, "-xdev", "(", "-type", "f", "-o", "-type", "l", ")", "-printf", r"%P\0%y %s %m %C@\0"], b"")
    words = done.stdout.decode("utf-8", "surrogateescape").split("\0")
    if not done.ok or done.truncated or len(words) % 2 == 0 or not all(words[:-1:2]):
        return None
    return dict(zip(words[:-1:2], words[1::2], strict=True))


def changes_of(
    run: Run, container: Container, reference: Container, work: str, before: Listing | None, known: dict[str, File | None]
) -> dict[str, File | None]:
    """What differs in ``work`` from ``reference``, a container of the image in which nothing ever ran.

    ``before``: the listing at the start; ``known``: files of the image that were fetched already, which grows.
    """
    now = listing(run, work) if before is not None else None
    if before is not None and now is not None:
        touched = [path for path in now if now[path] != before.get(path)]
        found = pack(run, work, touched)
        if found is not None:
            doubtful = [path for path in found if path in before and before[path].split()[:2] == now[path].split()[:2]]
            _learn(reference, work, doubtful, known)
            changed: dict[str, File | None] = {p: file for p, file in found.items() if p not in doubtful or known.get(p) != file}
            changed.update((path, None) for path in before if path not in now)
            return dict(sorted(changed.items()))
    return difference(tree_at(reference, work), tree_at(container, work))


def pack(run: Run, work: str, paths: Iterable[str]) -> dict[str, File] | None:
    """These files of the work folder; ``None``: programs in the container cannot tell."""
    wanted = sorted(paths)
    if not wanted:
        return {}
    names = "\0".join(f"./{path}" for path in wanted)
    argv = ["tar", "--create", "--directory", work, "--null", "--no-recursion", "--files-from=-", "--file=-"]
    done = run(argv, names.encode("utf-8", "surrogateescape"))
    if not done.ok or done.truncated:
        return None
    with contextlib.suppress(ValueError):  # damaged, or too large
        found = tree_of_tar(done.stdout)
        return found if list(found) == wanted else None
    return None


def _learn(reference: Container, work: str, paths: list[str], known: dict[str, File | None]) -> None:
    new = [path for path in paths if path not in known]
    if len(new) > MAX_SINGLE:
        with contextlib.suppress(ValueError):  # too large in one piece
            whole = tree_at(reference, work)
            known.update((path, whole.get(path)) for path in new)
            return
    for path in new:
        found = _fetch(reference, f"{work}/{path}")
        known[path] = None if found is None else next(iter(tree_of_tar(found).values()), None)


def tree_at(container: Container, path: str) -> dict[str, File]:
    """The files below the folder ``path``, as the daemon sees them; none where there is no such folder. Raises ``ValueError``."""
    found = _fetch(container, path)
    return {} if found is None else tree_of_tar(found, strip=1)


def _fetch(container: Container, path: str) -> bytes | None:
    """A tar archive of a file or folder; ``None``: there is none. Folders in memory are not seen."""
    try:
        with speaking(f"copy {path!r} out"):
            stream, _ = client().get_archive(container.id, path.encode("utf-8", "surrogateescape"), chunk_size=1 << 20)
    except SandboxError as error:
        if missing(error) and "No such container" not in str(error):
            return None
        raise
    found = bytearray()
    try:
        with speaking(f"copy {path!r} out"):
            for piece in stream:
                found += piece
                if len(found) > (MAX_TREE_MB << 20) + (32 << 20):
                    raise ValueError(f"{path!r} holds more than {MAX_TREE_MB} MB; it was not copied out")
    finally:
        stream.close()
    return bytes(found)


def unpack(container: Container, archive: bytes) -> None:
    """At the root: of an archive for a folder the daemon refuses links that lead out of it."""
    with speaking("put files into the container"):
        client().put_archive(container.id, "/", archive)


def archive_of(changes: Changes, work: str, owner: tuple[int, int]) -> bytes:
    """A tar archive with the folders on the way, to unpack at the root: what is no folder there gives way."""
    root = work.strip("/")
    out = io.BytesIO()
    now = int(time.time())  # Python's caches go by time and size
    made: set[str] = set()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.GNU_FORMAT) as archive:
        for path, file in sorted(changes.items()):
            if file is None:
                continue
            for folder in reversed(PurePosixPath(check_path(path)).parents[:-1]):
                if str(folder) not in made:
                    made.add(str(folder))
                    archive.addfile(_member(f"{root}/{folder}", 0o755, now, owner, tarfile.DIRTYPE))
            about = _member(f"{root}/{path}", 0o755 if file.executable else 0o644, now, owner, tarfile.REGTYPE)
            if file.link is not None:
                about.type, about.linkname, about.mode = tarfile.SYMTYPE, file.link, 0o777
            about.size = len(file.data)
            archive.addfile(about, io.BytesIO(file.data))
    return out.getvalue()


def _member(name: str, mode: int, mtime: int, owner: tuple[int, int], kind: bytes) -> tarfile.TarInfo:
    about = tarfile.TarInfo(name)
    about.mode, about.mtime, about.type = mode, mtime, kind
    about.uid, about.gid = owner
    return about


def image_id(image: str) -> str:
    with speaking(f"look for the image {image!r}"):
        about: dict[str, Any] = client().inspect_image(image)
    return str(about["Id"])
