"""Changes of a tree as the text that ``git diff --binary --full-index`` writes, which ``git apply`` takes.

git_diff({"a.py": File(b"x = 1\\n")}, {"a.py": File(b"x = 2\\n")})    # "diff --git a/a.py b/a.py\\nindex ..."

A file whose bytes are not printable UTF-8 is written as a binary patch, so that the text is always safe to show and to store.
"""

from __future__ import annotations

import base64
import difflib
import hashlib
import zlib
from collections.abc import Iterator, Sequence

from ..sandbox.tree import Changes, File, Tree

CONTEXT = 3
"""Unchanged lines shown around a change."""
_MAX_MATCHED = 4000
"""Lines of a changed region that are compared line by line; a larger one is replaced as a whole, as matching takes quadratic time."""
_NO_NEWLINE = "\\ No newline at end of file"
_NONE = "0" * 40


def git_diff(base: Tree, changes: Changes) -> str:
    """The patch that turns ``base`` into what it is after ``changes``; "" where nothing differs."""
    return "".join(_one(path, base.get(path), changes[path]) for path in sorted(changes) if base.get(path) != changes[path])


def _one(path: str, old: File | None, new: File | None) -> str:
    if old is not None and new is not None and (old.link is None) != (new.link is None):
        return _one(path, old, None) + _one(path, None, new)
    a, b = _quoted(f"a/{path}"), _quoted(f"b/{path}")
    lines = [f"diff --git {a} {b}"]
    if old is None:
        assert new is not None
        lines.append(f"new file mode {_mode(new)}")
    elif new is None:
        lines.append(f"deleted file mode {_mode(old)}")
    elif _mode(old) != _mode(new):
        lines += [f"old mode {_mode(old)}", f"new mode {_mode(new)}"]
    before, after = _content(old), _content(new)
    if old is None or new is None or before != after:
        kept = f" {_mode(new)}" if old is not None and new is not None and _mode(old) == _mode(new) else ""
        lines.append(f"index {_blob(old)}..{_blob(new)}{kept}")
    if before != after:
        if _is_text(before) and _is_text(after):
            lines += [f"--- {a if old is not None else '/dev/null'}", f"+++ {b if new is not None else '/dev/null'}"]
            lines += _hunks(_lines(before.decode()), _lines(after.decode()))
        else:
            lines += ["GIT binary patch", *_literal(after), "", *_literal(before), ""]
    return "\n".join(lines) + "\n"


def _content(file: File | None) -> bytes:
    return b"" if file is None else file.data if file.link is None else file.link.encode("utf-8", "surrogateescape")


def _mode(file: File) -> str:
    return "120000" if file.link is not None else "100755" if file.executable else "100644"


def _blob(file: File | None) -> str:
    if file is None:
        return _NONE
    data = _content(file)
    return hashlib.sha1(b"blob %d\0" % len(data) + data, usedforsecurity=False).hexdigest()


def _is_text(data: bytes) -> bool:
    try:
        text = data.decode()
    except UnicodeDecodeError:
        return False
    return text.isprintable() or all(c.isprintable() or c in "\n\t" for c in text.replace("\r\n", "\n"))


def _lines(text: str) -> list[str]:
    """Lines without their "\\n" ("\\r" stays); a text that does not end with one has the note git writes after its last line."""
    if not text:
        return []
    lines = text.split("\n")
    if lines[-1]:
        lines[-1] += f"\n{_NO_NEWLINE}"
        return lines
    return lines[:-1]


def _hunks(old: Sequence[str], new: Sequence[str]) -> Iterator[str]:
    start = 0
    while start < min(len(old), len(new)) and old[start] == new[start]:
        start += 1
    end = 0
    while end < min(len(old), len(new)) - start and old[-1 - end] == new[-1 - end]:
        end += 1
    skip = max(0, start - CONTEXT)  # lines that take no part
    a, b = old[skip : len(old) - max(0, end - CONTEXT)], new[skip : len(new) - max(0, end - CONTEXT)]
    head, tail = start - skip, min(end, CONTEXT)
    # Only what differs is matched: a match that reached into the lines around it could leave a hunk without the context below it, and git
    # takes such a hunk for the end of the file.
    inner_a, inner_b = a[head : len(a) - tail], b[head : len(b) - tail]
    whole = [[("replace", 0, len(inner_a), 0, len(inner_b))]]
    small = max(len(inner_a), len(inner_b)) <= _MAX_MATCHED
    found = difflib.SequenceMatcher(None, inner_a, inner_b, autojunk=False).get_grouped_opcodes(CONTEXT) if small else whole
    groups = [[(kind, i + head, j + head, k + head, m + head) for kind, i, j, k, m in group] for group in found]
    if groups:
        groups[0].insert(0, ("equal", 0, head, 0, head))
        groups[-1].append(("equal", len(a) - tail, len(a), len(b) - tail, len(b)))
    for group in groups:
        yield f"@@ -{_range(skip + group[0][1], skip + group[-1][2])} +{_range(skip + group[0][3], skip + group[-1][4])} @@"
        for kind, i, j, k, m in group:
            if kind == "equal":
                yield from (f" {line}" for line in a[i:j])
            else:
                yield from (f"-{line}" for line in a[i:j])
                yield from (f"+{line}" for line in b[k:m])


def _range(first: int, last: int) -> str:
    """Lines first..last-1 (from 0) as a hunk names them: an empty range is named by the line before it."""
    count = last - first
    return f"{first + 1}" if count == 1 else f"{first + 1 if count else first},{count}"


def _literal(data: bytes) -> Iterator[str]:
    yield f"literal {len(data)}"
    packed = zlib.compress(data, 9)
    for place in range(0, len(packed), 52):
        piece = packed[place : place + 52]
        length = chr(64 + len(piece)) if len(piece) <= 26 else chr(70 + len(piece))
        yield length + base64.b85encode(piece, pad=True).decode()


_ESCAPES = {7: "\\a", 8: "\\b", 9: "\\t", 10: "\\n", 11: "\\v", 12: "\\f", 13: "\\r", 34: '\\"', 92: "\\\\"}


def _quoted(path: str) -> str:
    data = path.encode("utf-8", "surrogateescape")
    if all(32 <= byte < 127 and byte not in _ESCAPES for byte in data):
        return path
    return '"' + "".join(_ESCAPES.get(byte) or (chr(byte) if 32 <= byte < 127 else f"\\{byte:03o}") for byte in data) + '"'
