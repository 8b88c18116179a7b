"""Editing whole lines of a file without touching a byte of the others: line ends, encoding and a missing last line end are kept.

text = TextFile(b"a\\r\\nb\\r\\n"); text.replace(2, 2, "B"); text.data    # b"a\\r\\nB\\r\\n"
"""

from __future__ import annotations

import io
import tokenize

from ..tools.tool import ToolError


class TextFile:
    """``lines`` without "\\n" ("\\r" stays). Raises ``ToolError`` for a binary file."""

    def __init__(self, data: bytes, path: str = "") -> None:
        if b"\0" in data[:8192]:
            raise ToolError(f"{path!r} is a binary file of {len(data)} bytes; only text can be shown and edited here")
        self.path = path
        self.lines = data.split(b"\n")
        self.ends = self.lines[-1] == b""
        if self.ends:
            self.lines.pop()
        self.crlf = sum(line.endswith(b"\r") for line in self.lines) * 2 > len(self.lines)
        self.encoding = _encoding(data, path)

    @property
    def data(self) -> bytes:
        return b"\n".join(self.lines) + (b"\n" if self.ends and self.lines else b"")

    @property
    def note(self) -> str:
        """What one should know of the file besides its lines."""
        notes = ["lines end with CRLF, which is kept"] if self.crlf else []
        if self.encoding == "bytes":
            notes.append("not UTF-8: other bytes are shown as \\xNN")
        elif self.encoding != "utf-8":
            notes.append(f"encoded in {self.encoding}: what is not ASCII is shown as \\xNN")
        return "; ".join(notes)

    def replace(self, start: int, end: int, text: str) -> int:
        """Put ``text`` in place of lines ``start`` to ``end`` (from 1, inclusive; end = start - 1: before line ``start``), and return how
        many lines it has. Raises ``ToolError`` for lines that are not there, and text that the file's encoding does not have."""
        count = len(self.lines)
        if not (1 <= start <= count + 1 and start - 1 <= end <= count):
            file = f"{self.path!r} has {count} lines" if count else f"{self.path!r} is empty or new"
            allowed = (
                f"1 <= start <= {count + 1} and start - 1 <= end <= {count}; end = start - 1 inserts before line start"
                if count
                else "start 1, end 0"
            )
            raise ToolError(f"{file}; seen: start {start}, end {end}; allowed: {allowed}")
        new = self._encoded(text)
        if start > count:  # appended, perhaps after a line without an end
            self.ends = True
        self.lines[start - 1 : end] = new
        return len(new)

    def _encoded(self, text: str) -> list[bytes]:
        if not text:
            return []
        text = text.replace("\r\n", "\n").removesuffix("\n")
        try:
            data = text.encode("utf-8" if self.encoding == "bytes" else self.encoding)
        except UnicodeEncodeError as error:
            where = text[error.start : error.start + 1].encode("ascii", "backslashreplace").decode()
            raise ToolError(f"{self.path!r} is encoded in {self.encoding}, which has no {where}; write it as an escape") from error
        lines = data.split(b"\n")
        return [line + b"\r" for line in lines] if self.crlf else lines


def _encoding(data: bytes, path: str) -> str:
    """ "utf-8", what a Python source declares, or "bytes" for anything else."""
    if path.endswith(".py"):
        try:
            declared = tokenize.detect_encoding(io.BytesIO(data).readline)[0].removesuffix("-sig")
            data.decode(declared)
        except (SyntaxError, UnicodeDecodeError, LookupError):
            return "bytes"
        return "utf-8" if declared in ("utf-8", "ascii") else declared
    try:
        data.decode()
    except UnicodeDecodeError:
        return "bytes"
    return "utf-8"
