"""Python sources as text with positions that can be edited: encodings, line ends and the byte columns of ``ast`` are dealt with here."""

from __future__ import annotations

import ast
import codecs
import io
import re
import tokenize
import warnings
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, TypeAlias, cast

_LINE = re.compile(r"[^\r\n]*(?:\r\n|\r|\n|$)")

FunctionNode: TypeAlias = ast.FunctionDef | ast.AsyncFunctionDef
ScopeNode: TypeAlias = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef


@dataclass(frozen=True, slots=True)
class Text:
    """A decoded source. ``lines`` keep their ends; Python's lines, so a form feed or U+2028 ends none."""

    text: str
    encoding: str
    lines: tuple[str, ...]
    starts: tuple[int, ...] = field(repr=False)

    @property
    def newline(self) -> str:
        """How its first line ends."""
        return re.sub(r"[^\r\n]", "", self.lines[0]) or "\n" if self.lines else "\n"

    def offset(self, line: int, column: int) -> int:
        """Of a position of ``ast``: line from 1, column in UTF-8 bytes from 0."""
        return self.starts[line - 1] + len(self.lines[line - 1].encode("utf-8")[:column].decode("utf-8"))

    def place(self, offset: int) -> tuple[int, int]:
        """Line from 1 and column in characters from 0."""
        line = next(n for n in range(len(self.starts), 0, -1) if self.starts[n - 1] <= offset)
        return line, offset - self.starts[line - 1]

    def span(self, node: ast.AST) -> tuple[int, int]:
        """Where a node stands, as offsets; decorators count as part of what they decorate."""
        assert isinstance(node, ast.expr | ast.stmt | ast.arg | ast.keyword)
        assert node.end_lineno is not None
        assert node.end_col_offset is not None
        first, column = node.lineno, node.col_offset
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef) and node.decorator_list:
            first, column = node.decorator_list[0].lineno, node.col_offset
        return self.offset(first, column), self.offset(node.end_lineno, node.end_col_offset)

    def of(self, node: ast.AST) -> str:
        start, end = self.span(node)
        return self.text[start:end]

    def encoded(self, text: str) -> bytes:
        """Another text in this one's encoding. Raises ``UnicodeEncodeError``."""
        return text.encode(self.encoding)


def decode(data: bytes) -> Text:
    """A source in its declared encoding. Raises ``ValueError`` (also as ``SyntaxError``) where it cannot be decoded or is no Python."""
    try:
        encoding = tokenize.detect_encoding(io.BytesIO(data).readline)[0]
        if codecs.lookup(encoding).name == "utf-8" and data.startswith(codecs.BOM_UTF8):
            encoding = "utf-8-sig"
        text = data.decode(encoding)
    except (SyntaxError, UnicodeDecodeError, LookupError) as error:
        raise ValueError(f"this is not a readable Python source ({error})") from error
    return of_text(text, encoding)


def of_text(text: str, encoding: str = "utf-8") -> Text:
    lines = tuple(found.group() for found in _LINE.finditer(text) if found.group())
    starts: list[int] = []
    at = 0
    for line in lines:
        starts.append(at)
        at += len(line)
    return Text(text, encoding, lines or ("",), tuple(starts) or (0,))


def parse(text: str) -> ast.Module:
    """The syntax tree, without warnings about the source's own escapes. Raises ``ValueError`` where it does not parse."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return ast.parse(text)
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        raise ValueError(f"this does not parse ({error})") from error


def functions(tree: ast.AST, prefix: str = "") -> Iterator[tuple[str, FunctionNode]]:
    """The functions and methods with their dotted names, in the order of the source; functions inside functions belong to the outer one."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield prefix + node.name, node
        elif isinstance(node, ast.ClassDef):
            yield from functions(node, f"{prefix}{node.name}.")
        else:
            yield from functions(node, prefix)


def statement_lists(node: ast.AST) -> list[list[ast.stmt]]:
    """The non-empty lists of statements that a node holds itself: its body, its ``else``."""
    values: list[Any] = [value for _, value in ast.iter_fields(node)]
    found = [[item for item in cast("list[Any]", value) if isinstance(item, ast.stmt)] for value in values if isinstance(value, list)]
    return [statements for statements in found if statements]
