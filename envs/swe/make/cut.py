"""Withholding tests: they are cut out of the files that the agent is given."""

from __future__ import annotations

import ast
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator

from ...sandbox.tree import File, Tree
from .text import FunctionNode, Text, decode, parse, statement_lists


def function_of(test: str) -> tuple[str, str]:
    """File and dotted name of the function of a test id: "tests/test_a.py::TestB::test_c[1-2]" -> ("tests/test_a.py", "TestB.test_c")."""
    path, _, rest = test.partition("::")
    return path, rest.split("[", 1)[0].replace("::", ".")


def cut(tree: Tree, functions: Iterable[tuple[str, str]]) -> dict[str, File]:
    """The test files without these (file, dotted name), all else as it was; a body that becomes empty gets ``pass``.

    Raises ``ValueError`` where a function is not written in its file (an inherited test) or shares its line with something else.
    """
    wanted: defaultdict[str, set[str]] = defaultdict(set)
    for path, name in functions:
        wanted[path].add(name)
    found: dict[str, File] = {}
    for path, names in sorted(wanted.items()):
        if path not in tree:
            raise ValueError(f"{path!r} is not among the files")
        text = decode(tree[path].data)
        found[path] = File(text.encoded(_without(path, text, names)), tree[path].executable)
    return found


def _without(path: str, text: Text, names: Collection[str]) -> str:
    module = parse(text.text)
    drops: dict[int, str] = {}
    seen: set[str] = set()
    for body, inner in _bodies(module, ""):
        gone = [node for name, node in inner if name in names]
        seen.update(name for name, _ in inner if name in names)
        for node in gone:
            first, last = _lines(text, node, path)
            drops.update((line, "") for line in range(first, last + 1))
        if gone and len(gone) == len(body):
            first = min(_lines(text, node, path)[0] for node in gone)
            drops[first] = " " * gone[0].col_offset + "pass" + text.newline
    if seen != set(names):
        raise ValueError(f"{path}: {', '.join(sorted(set(names) - seen))} is not defined there, so it cannot be cut out")
    result = "".join(drops.get(number, line) for number, line in enumerate(text.lines, 1))
    parse(result)
    return result


def _bodies(node: ast.AST, prefix: str) -> Iterator[tuple[list[ast.stmt], list[tuple[str, FunctionNode]]]]:
    """Every list of statements outside functions, with the functions that stand in it."""
    for statements in statement_lists(node):
        yield statements, [(prefix + s.name, s) for s in statements if isinstance(s, ast.FunctionDef | ast.AsyncFunctionDef)]
        for statement in statements:
            if isinstance(statement, ast.ClassDef):
                yield from _bodies(statement, f"{prefix}{statement.name}.")
            elif not isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef):
                yield from _bodies(statement, prefix)


def _lines(text: Text, node: FunctionNode, path: str) -> tuple[int, int]:
    start, end = text.span(node)
    (first, _), (last, column) = text.place(start), text.place(end)
    before, after = text.lines[first - 1][: node.col_offset], text.lines[last - 1][column:]
    if before.strip() or (after.strip() and not after.lstrip().startswith("#")):
        raise ValueError(f"{path}:{first}: {node.name} shares a line with something else, so it cannot be cut out")
    return first, last
