"""A small Python package with tests and one planted bug, put together from functions whose right and wrong forms are known.

    Draft(modules of pieces, the bug) -> both versions run on every test call -> Instance

Which tests fail is found by running both versions on the same calls, here and now: the pieces are our own and always end.
"""

from __future__ import annotations

import ast
import hashlib
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ...base import Rng
from ...sandbox.tree import File
from ..instance import Instance, Location

TESTS = 4
"""Test functions of the piece that holds the bug."""
OTHER_TESTS = 2
"""Test functions of every other piece."""
_TRIES = 60


@dataclass(frozen=True, slots=True, kw_only=True)
class Bug:
    """``right`` occurs once in the piece's source and becomes ``wrong``."""

    kind: str
    right: str
    wrong: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Piece:
    """A function or class. ``call(rng)`` writes an expression that uses it; ``needs``: names it takes from other pieces."""

    name: str
    source: str
    call: Callable[[Rng], str]
    bugs: tuple[Bug, ...] = ()
    needs: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """One module of a domain, with more pieces than a package takes."""

    file: str
    about: str
    pieces: tuple[Piece, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Domain:
    """Pieces of the second module may need pieces of the first and earlier ones of their own."""

    about: str
    first: Part
    second: Part


@dataclass(frozen=True, slots=True, kw_only=True)
class Module:
    path: str
    """Such as "shop/prices.py"."""
    pieces: tuple[Piece, ...]
    head: str = ""
    """Text above the first piece: docstring and imports."""
    gap: str = "\n\n"

    def source(self, name: str = "", bug: Bug | None = None) -> str:
        """The module's text, with ``bug`` in the piece called ``name``."""
        return self.head + self.gap.join(planted(p.source, bug) if bug and p.name == name else p.source for p in self.pieces)


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One test function: a call, its right value, and what the buggy package does instead (None: the same)."""

    name: str
    call: str
    value: str
    wrong: str | None

    def source(self) -> str:
        return f"def {self.name}():\n    assert {self.call} == {self.value}\n"


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """``extra``: further files of the base; ``statement(case)`` writes the issue from a failing case."""

    modules: tuple[Module, ...]
    name: str
    """The piece that holds the bug."""
    bug: Bug
    imports: str
    """The first line of the test file."""
    tests: str
    """Path of the test file."""
    statement: Callable[[Case], str]
    extra: Mapping[str, str]
    others: int = OTHER_TESTS


def planted(source: str, bug: Bug) -> str:
    """``source`` with the bug. Raises ``ValueError`` unless its right form occurs exactly once."""
    if source.count(bug.right) != 1:
        raise ValueError(f"{bug.right!r} occurs {source.count(bug.right)} times; a bug needs one place:\n{source}")
    return source.replace(bug.right, bug.wrong)


def pick(rng: Rng, choices: Sequence[Any]) -> Any:
    return choices[int(rng.integers(len(choices)))]


def drawn(rng: Rng, low: int, high: int) -> int:
    """A whole number from ``low`` up to but without ``high``."""
    return int(rng.integers(low, high))


def several(rng: Rng, low: int, high: int, shortest: int = 2, longest: int = 6) -> list[int]:
    """Numbers of ``drawn``, at least ``shortest`` and fewer than ``longest`` of them."""
    return [drawn(rng, low, high) for _ in range(drawn(rng, shortest, longest))]


def compose(draft: Draft, rng: Rng) -> Instance | None:
    """The instance of a draft; None when the calls drawn did not tell the two versions apart twice."""
    cases = _cases(draft, rng)
    if cases is None:
        return None
    failing = [c for c in cases if c.wrong is not None]
    hidden = failing[: (len(failing) + 1) // 2]
    shown = [c for c in cases if c not in hidden]
    right = {**draft.extra, **{m.path: m.source() for m in draft.modules}}
    wrong = {**right, **{m.path: m.source(draft.name, draft.bug) for m in draft.modules}}
    changed = next(path for path in right if right[path] != wrong[path])
    test = _test_file(draft.imports, cases)
    base = {**wrong, draft.tests: _test_file(draft.imports, shown)}
    ids = {case.name: f"{draft.tests}::{case.name}" for case in cases}
    statement = draft.statement(next(c for c in failing if c not in hidden))
    content = "\0".join([statement, test, *(f"{p}\0{t}" for p, t in sorted(base.items()))])
    name = f"tiny-{hashlib.sha256(content.encode()).hexdigest()[:16]}"
    return Instance(
        id=name,
        project=name,
        statement=statement,
        base=_tree(base),
        held=_tree({draft.tests: test}),
        fail_to_pass=tuple(ids[c.name] for c in failing),
        pass_to_pass=tuple(ids[c.name] for c in cases if c.wrong is None),
        withheld=tuple(ids[c.name] for c in hidden),
        gold=_tree({changed: right[changed]}),
        locations=(locate(changed, wrong[changed], right[changed]),),
        timeout_s=20.0,
    )


def _tree(texts: Mapping[str, str]) -> dict[str, File]:
    return {path: File(text.encode()) for path, text in sorted(texts.items())}


def _test_file(imports: str, cases: Sequence[Case]) -> str:
    return f"{imports}\n\n\n" + "\n\n".join(case.source() for case in cases)


def _cases(draft: Draft, rng: Rng) -> list[Case] | None:
    good, bad = _namespace(draft, None), _namespace(draft, draft.bug)
    cases: list[Case] = []
    for piece in (p for m in draft.modules for p in m.pieces):
        holder = piece.name == draft.name
        found: dict[str, tuple[str, str | None]] = {}
        for _ in range(_TRIES):
            if len(found) == (TESTS if holder else draft.others):
                break
            call = piece.call(rng)
            value = _value(call, good)
            if call in found or value.startswith("raises "):
                continue
            other = _value(call, bad)
            wrong = None if _same(value, other) else other
            # Half the tests at least must see the bug: one that is shown and one that is withheld.
            if holder and wrong is None and sum(w is None for _, w in found.values()) >= TESTS - 3:
                continue
            found[call] = (value, wrong)
        if holder and sum(w is not None for _, w in found.values()) < 2:
            return None
        label = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", piece.name).lower()
        cases += [Case(name=f"test_{label}_{n}", call=c, value=v, wrong=w) for n, (c, (v, w)) in enumerate(found.items(), 1)]
    return cases


def _namespace(draft: Draft, bug: Bug | None) -> dict[str, Any]:
    space: dict[str, Any] = {}
    for module in draft.modules:
        lines = [line for line in module.source(draft.name, bug).splitlines() if not line.startswith("from .")]
        exec(compile("\n".join(lines), module.path, "exec"), space)
    return space


def _value(call: str, space: dict[str, Any]) -> str:
    """What the call gives, as Python writes it, or "raises NAME"."""
    try:
        return repr(eval(call, space))
    except Exception as error:  # whatever a planted bug leads to is what the issue reports
        return f"raises {type(error).__name__}"


def _same(left: str, right: str) -> bool:
    """Whether a test that asserts the one passes on the other: 1 == True."""
    if left == right:
        return True
    return not right.startswith("raises ") and ast.literal_eval(left) == ast.literal_eval(right)


def locate(path: str, wrong: str, right: str) -> Location:
    """Where the two texts differ, in the lines of ``wrong``."""
    old, new = wrong.splitlines(), right.splitlines()
    start = next(n for n, (a, b) in enumerate(zip(old, new, strict=False)) if a != b)
    end = next(n for n, (a, b) in enumerate(zip(reversed(old), reversed(new), strict=False)) if a != b)
    first, last = start + 1, max(start + 1, len(old) - end)
    return Location(path=path, first=first, last=last, function=_enclosing(ast.parse(wrong), first))


def _enclosing(node: ast.AST, line: int, names: tuple[str, ...] = ()) -> str:
    """Dotted name of the innermost function or class around a line."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.FunctionDef | ast.ClassDef) and child.lineno <= line <= (child.end_lineno or 0):
            return _enclosing(child, line, (*names, child.name))
    return ".".join(names)
