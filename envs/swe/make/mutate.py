"""Mutations by syntax tree: small wrong edits of a source that leave its layout and its comments as they are.

    mutations(path, data) -> [Mutation(kind="comparison", path="a.py", line=3, ..., old="<", new="<="), ...]
    mutate(files, [mutation, ...]) -> {"a.py": File(...)}

Which edits are likely to be noticed by a test, yet look like something a person might write, follows the operator sets of mutation
testing (DeMillo, Lipton and Sayward 1978; Offutt et al. 1996): here also swapped arguments, lost guards and confused names.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, cast

from ...sandbox.tree import File, Tree
from .kinds import KINDS, Edit, Site
from .text import FunctionNode, Text, decode, functions, parse


@dataclass(frozen=True, slots=True, kw_only=True)
class Mutation:
    """One edit: ``old`` at line ``line`` (from 1), column ``column`` (characters, from 0) of ``path`` becomes ``new``.

    ``kind`` is a key of ``KINDS``; ``function`` the dotted name of what it is in; ``probe`` and ``probe_last`` the lines that a test must
    run to be able to notice it.
    """

    kind: str
    path: str
    function: str
    line: int
    column: int
    end_line: int
    end_column: int
    old: str
    new: str
    probe: int = 0
    probe_last: int = 0

    def to_data(self) -> dict[str, Any]:
        data = asdict(self)
        del data["probe"], data["probe_last"]
        return data

    @classmethod
    def from_data(cls, data: Mapping[str, Any]) -> Mutation:
        """Raises ``ValueError`` for missing and unknown keys and values of another type."""
        texts, numbers = ("kind", "path", "function", "old", "new"), ("line", "column", "end_line", "end_column")
        wrong = [k for k in texts if not isinstance(data.get(k), str)] + [k for k in numbers if type(data.get(k)) is not int]
        if wrong or set(data) != {*texts, *numbers}:
            raise ValueError(f"this is not a mutation: {dict(data)!r}; expected the texts {texts} and the numbers {numbers}")
        return cls(**cast("Any", dict(data)))


def mutations(path: str, data: bytes) -> list[Mutation]:
    """The mutations of the functions of a source, in the order of the source, some of which may not parse (``parses``).

    Raises ``ValueError`` where the source itself does not.
    """
    text = decode(data)
    found: list[Mutation] = []
    for name, function in functions(parse(text.text)):
        found.extend(_of_function(path, text, name, function))
    return found


def mutate(files: Tree, chosen: Sequence[Mutation]) -> dict[str, File]:
    """The files that the mutations change, changed. Raises ``ValueError`` where a span does not hold what it should, or two overlap."""
    changed: dict[str, File] = {}
    for path in sorted({m.path for m in chosen}):
        if path not in files:
            raise ValueError(f"a mutation is of {path!r}, which is not among the files")
        text = decode(files[path].data)
        result, limit = text.text, len(text.text) + 1
        for mutation in sorted((m for m in chosen if m.path == path), key=lambda m: (m.line, m.column), reverse=True):
            start, end = span(text, mutation)
            if end > limit or text.text[start:end] != mutation.old:
                raise ValueError(
                    f"{path}:{mutation.line} holds {text.text[start:end]!r} where {mutation.old!r} was to be edited; is it another version?"
                )
            result, limit = result[:start] + mutation.new + result[end:], start
        changed[path] = File(text.encoded(result), files[path].executable)
    return changed


def span(text: Text, mutation: Mutation) -> tuple[int, int]:
    """Where a mutation's ``old`` stands, as offsets. Raises ``ValueError`` beyond the end."""
    if not 1 <= mutation.line <= mutation.end_line <= len(text.lines):
        raise ValueError(f"{mutation.path} has {len(text.lines)} lines; a mutation is of line {mutation.line}")
    return text.starts[mutation.line - 1] + mutation.column, text.starts[mutation.end_line - 1] + mutation.end_column


def _of_function(path: str, text: Text, name: str, function: FunctionNode) -> Iterator[Mutation]:
    site = Site.of(text, function)
    for node in site.nodes:
        for kind, generate in KINDS.items():
            for edit in generate(site, node):
                if edit.new != text.text[edit.start : edit.end]:
                    yield _mutation(path, text, name, kind, edit)


def _mutation(path: str, text: Text, name: str, kind: str, edit: Edit) -> Mutation:
    (line, column), (end_line, end_column) = text.place(edit.start), text.place(edit.end)
    return Mutation(
        kind=kind,
        path=path,
        function=name,
        line=line,
        column=column,
        end_line=end_line,
        end_column=end_column,
        old=text.text[edit.start : edit.end],
        new=edit.new,
        probe=edit.probe[0],
        probe_last=edit.probe[1],
    )


def parses(files: Tree, mutation: Mutation) -> bool:
    """Whether the source still is Python with it."""
    try:
        parse(decode(mutate(files, [mutation])[mutation.path].data).text)
    except ValueError:
        return False
    return True


def sources(tree: Tree, paths: Sequence[str]) -> dict[str, list[Mutation]]:
    """The mutations of those of ``paths`` that parse, by path."""
    found: dict[str, list[Mutation]] = {}
    for path in sorted(paths):
        try:
            found[path] = mutations(path, tree[path].data)
        except ValueError:
            continue
    return found
