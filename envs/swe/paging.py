"""How much of a file or an output an agent is shown, and how it gets at the rest. Every text here has gone through ``visible``."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence

from ..sandbox.base import visible
from ..tools.tool import ToolError

KEPT_OUTPUTS = 8
"""Long outputs of an episode that can still be paged through."""
MAX_LINE = 2000
"""Characters of one line that ``view`` and ``find`` show."""


def whole(data: bytes) -> str:
    """All of ``data`` as an agent may read it."""
    return visible(data, 4 * len(data) + 16)


class Pager:
    """Cuts the middle out of outputs longer than ``most`` characters, and keeps the last ``KEPT_OUTPUTS`` of them by number."""

    def __init__(self, most: int) -> None:
        self.most = most
        self.count = 0
        self.outputs: OrderedDict[int, str] = OrderedDict()

    def show(self, text: str) -> str:
        """The text, or its beginning and end with a note how to read the rest."""
        if len(text) <= self.most:
            return text
        self.count += 1
        self.outputs[self.count] = text
        while len(self.outputs) > KEPT_OUTPUTS:
            self.outputs.popitem(last=False)
        half = self.most // 2
        pages = -(-len(text) // self.most)
        note = f"[... {len(text) - 2 * half} characters left out; page(number=1, output={self.count}) to page(number={pages}, "
        return f"{text[:half]}\n{note}output={self.count}) show everything ...]\n{text[len(text) - half :]}"

    def page(self, number: int, output: int = 0) -> str:
        """Page ``number`` (from 1) of a long output; 0: the last one. Raises ``ToolError`` where there is no such page."""
        if not self.outputs:
            raise ToolError("no output of this episode was longer than what is shown; nothing to page through")
        wanted = output or next(reversed(self.outputs))
        if wanted not in self.outputs:
            raise ToolError(f"there is no long output {output}; allowed: {', '.join(map(str, self.outputs))}, or 0 for the last")
        text = self.outputs[wanted]
        pages = -(-len(text) // self.most)
        if not 1 <= number <= pages:
            raise ToolError(f"output {wanted} has {pages} pages; seen: {number}, allowed: 1 to {pages}")
        return f"{text[(number - 1) * self.most : number * self.most]}\n[page {number} of {pages} of output {wanted}]"


def numbered(lines: Sequence[bytes], first: int, last: int, most: int) -> tuple[str, int]:
    """Lines ``first`` to ``last`` (from 1, inclusive) with their numbers, as many as fit into ``most`` characters, at least one; and the
    number of the last line that is shown."""
    shown: list[str] = []
    size, number = 0, first - 1
    for number in range(first, last + 1):
        line = f"{number}\t{one_line(lines[number - 1])}"
        size += len(line) + 1
        if shown and size > most:
            return "\n".join(shown), number - 1
        shown.append(line)
    return "\n".join(shown), number


def one_line(line: bytes) -> str:
    """A line as shown: without its end, long ones cut."""
    if len(line) <= MAX_LINE and line.isascii() and line.rstrip(b"\r").replace(b"\t", b"").decode().isprintable() and b"<" not in line:
        return line.rstrip(b"\r").decode()  # what nearly all lines are
    return visible(line.rstrip(b"\r"), MAX_LINE).replace("\n", " ")
