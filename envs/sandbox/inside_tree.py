"""Files in and out of a sandbox: many written in one go, the whole folder copied out. Nothing here follows a link. See driver.py."""

from __future__ import annotations

import os
import struct

from .inside import WORK, write_all

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

PLAIN, EXECUTABLE, LINK, GONE, SAME, CLOSED = 0, 1, 2, 3, 4, 5
"""What a record is about. SAME: as in the host's tree; CLOSED: it cannot be read."""
RECORD = struct.Struct("!BIQ")
"""kind, bytes of the path, bytes of the content or link target; both follow."""
PIECE = 8 << 20
"""About how much one answer holds, unless a single file is larger."""
DIGEST = 16
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_FORMAT, _REGULAR = 0o170000, 0o100000


class TooMuch(Exception):
    """The folder holds more than may be copied out."""


def remove(path: bytes) -> None:
    """Delete a file, a link, or a folder with all that is in it."""
    try:
        os.unlink(path)
        return
    except FileNotFoundError:
        return
    except (IsADirectoryError, PermissionError):
        if os.path.islink(path) or not os.path.isdir(path):
            raise
    count = 0
    while entries := listed(path):
        for name, is_folder in entries:
            place = os.path.join(path, name)
            if not is_folder:
                os.unlink(place)
                continue
            for below, is_deep in listed(place):
                if not is_deep:
                    os.unlink(os.path.join(place, below))
                    continue
                while os.path.lexists(free := os.path.join(path, b"%d" % count)):
                    count += 1
                os.rename(os.path.join(place, below), free)  # up, so that no path gets too long, however deep it was
            os.rmdir(place)
    os.rmdir(path)


def listed(folder: bytes) -> list[tuple[bytes, bool]]:
    """(name, whether it is a folder) of all in a folder, which is opened for that."""
    os.chmod(folder, 0o700)
    with os.scandir(folder) as found:
        return [(entry.name, entry.is_dir(follow_symlinks=False)) for entry in found]


def put_files(data: bytearray) -> None:
    """Do what the records say. Raises ``OSError`` that names the path."""
    root = os.fsencode(WORK)
    known = {root}
    view = memoryview(data)
    place = 0
    while place < len(view):
        kind, name, size = RECORD.unpack_from(view, place)
        start = place + RECORD.size + name
        path = bytes(view[start - name : start])
        place = start + size
        try:
            if kind == GONE:
                delete(root, path)
            else:
                put_file(root, path, kind, view[start:place], known)
        except OSError as error:
            raise OSError(error.errno, f"{error.strerror} ({path.decode('utf-8', 'replace')!r})") from error


def make_folder(path: bytes, known: set[bytes]) -> None:
    """Make a folder and those above it; a link or file in its place goes. ``known`` are there."""
    if path in known:
        return
    make_folder(os.path.dirname(path), known)
    try:
        os.mkdir(path)
    except FileExistsError:
        if os.path.islink(path) or not os.path.isdir(path):
            os.unlink(path)
            os.mkdir(path)
    known.add(path)


def put_file(root: bytes, path: bytes, kind: int, data: memoryview, known: set[bytes]) -> None:
    """Write a file or link; what is in its place goes, a folder with all that is in it."""
    place = os.path.join(root, path)
    make_folder(os.path.dirname(place), known)
    for attempt in (0, 1):
        try:
            if kind == LINK:
                os.symlink(bytes(data), place)
                return
            fd = os.open(place, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o755 if kind == EXECUTABLE else 0o644)
        except FileExistsError:
            if attempt:
                raise
            remove(place)
            known -= {name for name in known if name.startswith(place)}
        else:
            try:
                write_all(fd, data)
            finally:
                os.close(fd)
            return


def delete(root: bytes, path: bytes) -> None:
    """Delete a file or link, then the folders that it leaves empty."""
    parts = path.split(b"/")
    here = root
    for part in parts[:-1]:
        here = os.path.join(here, part)
        if os.path.islink(here):
            return
    place = os.path.join(root, path)
    if os.path.islink(place) or not os.path.isdir(place):
        try:
            os.unlink(place)
        except (FileNotFoundError, NotADirectoryError):
            return
    while (here := os.path.dirname(place)) != root:
        place = here
        try:
            os.rmdir(place)
        except OSError:  # it holds something
            return


def copy_out(same: dict[bytes, bytes], most_files: int, most_bytes: int) -> Iterator[bytes]:
    """Records of all files and links, in pieces of about ``PIECE`` bytes. ``same``: path -> digest of what need not be sent.

    Raises ``TooMuch``.
    """
    from _blake2 import blake2b

    size = 0
    out: list[bytes] = []
    held = 0
    for count, (path, kind, data) in enumerate(walk(most_bytes)):
        size += len(data)
        if count >= most_files:
            raise TooMuch(f"it holds more than {most_files} files")
        if size > most_bytes:
            raise TooMuch(f"it holds more than {most_bytes >> 20} MB")
        known = same.get(path)
        if known is not None and kind != CLOSED and known == blake2b(bytes((kind,)) + data, digest_size=DIGEST).digest():
            kind, data = SAME, b""
        out += [RECORD.pack(kind, len(path), len(data)), path, data]
        held += len(data) + len(path) + RECORD.size
        if held >= PIECE:
            yield b"".join(out)
            out, held = [], 0
    if out:
        yield b"".join(out)


def walk(most: int) -> Iterator[tuple[bytes, int, bytes]]:
    """(path, kind, content) of what is below the work folder; pipes, sockets, devices and other file systems are left out."""
    if not os.path.isdir(WORK):
        return
    if not os.access(WORK, os.R_OK | os.X_OK):
        os.chmod(WORK, 0o755)
    device = os.lstat(WORK).st_dev
    folders = [b""]
    while folders:
        below = folders.pop()
        try:
            fd = os.open(os.path.join(os.fsencode(WORK), below), _FOLDER)
        except FileNotFoundError:
            continue
        except OSError:
            if not below:
                raise
            yield below, CLOSED, b""
            continue
        try:
            if os.fstat(fd).st_dev != device:
                continue
            with os.scandir(fd) as found:
                entries = [(os.fsencode(entry.name), entry.is_dir(follow_symlinks=False)) for entry in found]
            for name, is_folder in entries:
                path = below + b"/" + name if below else name
                if is_folder:
                    folders.append(path)
                elif (record := entry_of(fd, name, most)) is not None:
                    yield path, *record
        finally:
            os.close(fd)


def entry_of(folder: int, name: bytes, most: int) -> tuple[int, bytes] | None:
    """(kind, content) of a file or link; ``None``: it is neither, or gone."""
    try:
        about = os.lstat(name, dir_fd=folder)
        if about.st_mode & _FORMAT == 0o120000:
            return LINK, os.readlink(name, dir_fd=folder)
        if about.st_mode & _FORMAT != _REGULAR:
            return None
        if about.st_size > most:
            raise TooMuch(f"it holds a file of {about.st_size >> 20} MB")
        fd = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=folder)
    except FileNotFoundError:
        return None
    except OSError:
        return CLOSED, b""
    try:
        about = os.fstat(fd)
        if about.st_mode & _FORMAT != _REGULAR:
            return None
        return (EXECUTABLE if about.st_mode & 0o100 else PLAIN), contents(fd, about.st_size, most)
    except OSError:
        return CLOSED, b""
    finally:
        os.close(fd)


def contents(fd: int, size: int, most: int) -> bytes:
    """What an open file holds; up to one byte more than ``most`` when it grows meanwhile."""
    data = os.read(fd, size + 1)
    if len(data) == size:
        return data
    pieces = [data]
    total = len(data)
    while total <= most and (piece := os.read(fd, min(1 << 20, most + 1 - total))):
        pieces.append(piece)
        total += len(piece)
    return b"".join(pieces)
