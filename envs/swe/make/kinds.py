"""The kinds of mutation: for a node of a function's syntax tree, the edits that can be made there."""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from .text import FunctionNode, Text

_COMPARE = {
    "<": ("<=", ">"), "<=": ("<",), ">": (">=", "<"), ">=": (">",), "==": ("!=",), "!=": ("==",),
    "in": ("not in",), "not in": ("in",), "is": ("is not",), "is not": ("is",),
}  # fmt: skip
_ARITHMETIC = {
    "+": ("-",), "-": ("+",), "*": ("+", "//"), "/": ("//", "*"), "//": ("/", "%"), "%": ("//",), "**": ("*",),
    "<<": (">>",), ">>": ("<<",), "&": ("|",), "|": ("&",), "^": ("|",),
}  # fmt: skip
_PAIRS = (
    "min max, any all, lstrip rstrip, startswith endswith, find rfind, split rsplit, partition rpartition, upper lower, append extend, "
    "keys values, ljust rjust, match search, floor ceil, union intersection, issubset issuperset, isupper islower"
)
_TWINS = {
    **{a: b for pair in _PAIRS.split(", ") for a, b in (pair.split(), pair.split()[::-1])},
    **{"strip": "rstrip", "index": "rindex", "appendleft": "append", "popleft": "pop", "isdigit": "isalnum", "isalpha": "isalnum"},
    **{"sorted": "list", "reversed": "list", "update": "setdefault"},
}
_OPERATOR = re.compile(r"not\s+in|is\s+not|in\b|is\b|<=|>=|==|!=|<<|>>|\*\*|//|and\b|or\b|[-+*/%<>&|^@]")
_COMMENT = re.compile(r"#[^\r\n]*")
_SIMPLE_STRING = re.compile(r"^[rRbB]{0,2}(['\"])(.*)\1$", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Edit:
    """Put ``new`` in the place of the characters ``start`` to ``end``.

    ``probe``: the first and last of the lines of which one must run for it to be noticed.
    """

    start: int
    end: int
    new: str
    probe: tuple[int, int]


@dataclass(frozen=True, slots=True)
class Site:
    """A function, and what the kinds of mutation want to know of it."""

    text: Text
    function: FunctionNode
    nodes: tuple[ast.AST, ...]
    """Its nodes in source order, without docstrings, annotations, messages of exceptions and what only warns."""
    parents: dict[ast.AST, ast.AST]
    names: tuple[str, ...]
    """Parameters and local variables, in order of appearance."""

    @classmethod
    def of(cls, text: Text, function: FunctionNode) -> Site:
        nodes: list[ast.AST] = []
        parents: dict[ast.AST, ast.AST] = {}
        names: dict[str, None] = {arg.arg: None for arg in _parameters(function)}

        def visit(node: ast.AST) -> None:
            for child in ast.iter_child_nodes(node):
                if _dull(child, node):
                    continue
                parents[child] = node
                nodes.append(child)
                if isinstance(child, ast.Name) and isinstance(child.ctx, ast.Store):
                    names[child.id] = None
                visit(child)

        for statement in function.body:
            if not _is_docstring(statement):
                parents[statement] = function
                nodes.append(statement)
                visit(statement)
        nodes.extend(default for default in [*function.args.defaults, *function.args.kw_defaults] if default is not None)
        return cls(text, function, tuple(nodes), parents, tuple(names))

    def edit(self, node: ast.AST, new: str) -> Edit:
        """Replace a whole node."""
        start, end = self.text.span(node)
        return Edit(start, end, new, self.probe(node))

    def probe(self, node: ast.AST) -> tuple[int, int]:
        """The lines of the expression or of the simple statement; of a default: of the function's first statement."""
        first = self.function.body[0]
        at = node if isinstance(node, ast.expr | ast.stmt) or node not in self.parents else self.parents[node]
        if node not in self.parents and getattr(node, "lineno", 0) < first.lineno:
            return first.lineno, self.function.end_lineno or first.lineno
        assert isinstance(at, ast.expr | ast.stmt | ast.arg | ast.keyword)
        last = at.lineno if isinstance(at, ast.stmt) and not isinstance(at, ast.Expr | ast.Assign | ast.Return) else at.end_lineno
        return at.lineno, last or at.lineno

    def between(self, left: ast.AST, right: ast.AST) -> tuple[int, str] | None:
        """The operator between two operands and where it stands."""
        start, end = self.text.span(left)[1], self.text.span(right)[0]
        gap = _COMMENT.sub(lambda found: " " * len(found.group()), self.text.text[start:end])
        found = _OPERATOR.search(gap)
        return (start + found.start(), found.group()) if found else None


def comparison(site: Site, node: ast.AST) -> Iterator[Edit]:
    if isinstance(node, ast.Compare):
        for left, right in zip([node.left, *node.comparators], node.comparators, strict=False):
            yield from _swapped_operator(site, node, left, right, _COMPARE)


def arithmetic(site: Site, node: ast.AST) -> Iterator[Edit]:
    if isinstance(node, ast.BinOp) and not any(isinstance(side, ast.JoinedStr) or _is_text(side) for side in (node.left, node.right)):
        yield from _swapped_operator(site, node, node.left, node.right, _ARITHMETIC)
    elif isinstance(node, ast.AugAssign) and not _is_text(node.value):
        yield from _swapped_operator(site, node, node.target, node.value, _ARITHMETIC)


def boolean(site: Site, node: ast.AST) -> Iterator[Edit]:
    if isinstance(node, ast.BoolOp):
        for left, right in zip(node.values, node.values[1:], strict=False):
            yield from _swapped_operator(site, node, left, right, {"and": ("or",), "or": ("and",)})


def negation(site: Site, node: ast.AST) -> Iterator[Edit]:
    """A condition turned round, a lost ``not``."""
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not):
        yield site.edit(node, site.text.of(node.operand))
    elif isinstance(node, ast.If | ast.While | ast.IfExp) and not isinstance(node.test, ast.UnaryOp | ast.Compare | ast.Constant):
        yield site.edit(node.test, f"not {_bracketed(site, node.test)}")
    elif isinstance(node, ast.comprehension):
        for test in node.ifs:
            if not isinstance(test, ast.UnaryOp | ast.Compare):
                yield site.edit(test, f"not {_bracketed(site, test)}")


def off_by_one(site: Site, node: ast.AST) -> Iterator[Edit]:
    """Of an index, a slice's bound, an argument of ``range``, a number that is added or compared."""
    places: list[ast.expr] = []
    if isinstance(node, ast.Slice):
        places = [bound for bound in (node.lower, node.upper) if bound is not None]
    elif isinstance(node, ast.Subscript) and not isinstance(node.slice, ast.Slice | ast.Tuple | ast.Name):
        places = [node.slice]
    elif isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "range":
        places = list(node.args[:2])
    elif isinstance(node, ast.Compare):
        places = [side for side in (node.left, *node.comparators) if _is_number(side) or isinstance(side, ast.Call)]
    elif isinstance(node, ast.BinOp) and _is_number(node.right) and isinstance(node.op, ast.Add | ast.Sub):
        yield site.edit(node, site.text.of(node.left))
    for place in places:
        if isinstance(place, ast.Constant) and type(place.value) is int:
            yield site.edit(place, str(place.value + 1))
            if place.value > 0:
                yield site.edit(place, str(place.value - 1))
        elif isinstance(place, ast.Name | ast.Attribute) or (
            isinstance(place, ast.Call) and _called(place) in ("len", "find", "index", "ord")
        ):
            yield site.edit(place, f"{site.text.of(place)} + 1")
            yield site.edit(place, f"{site.text.of(place)} - 1")


def swapped_arguments(site: Site, node: ast.AST) -> Iterator[Edit]:
    if isinstance(node, ast.Call) and not any(isinstance(a, ast.Starred) for a in node.args):
        for left, right in zip(node.args, node.args[1:], strict=False):
            (start, left_end), (right_start, end) = site.text.span(left), site.text.span(right)
            new = site.text.of(right) + site.text.text[left_end:right_start] + site.text.of(left)
            yield Edit(start, end, new, site.probe(node))


def removed_branch(site: Site, node: ast.AST) -> Iterator[Edit]:
    """The body of ``if``, ``elif`` or ``else``, of ``except`` and of a loop's ``else``, where other branches stay."""
    bodies: list[list[ast.stmt]] = []
    if isinstance(node, ast.If) and not (not node.orelse and len(node.body) == 1 and _leaves(node.body[0])):
        bodies = [node.body] + ([node.orelse] if node.orelse and not isinstance(node.orelse[0], ast.If) else [])
    elif isinstance(node, ast.For | ast.While) and node.orelse:
        bodies = [node.orelse]
    for body in bodies:
        start, end = site.text.span(body[0])[0], site.text.span(body[-1])[1]
        yield Edit(start, end, "pass", (body[0].lineno, body[-1].end_lineno or body[0].lineno))


def deleted_guard(site: Site, node: ast.AST) -> Iterator[Edit]:
    """An early return, raise, continue or break under a condition of its own."""
    if isinstance(node, ast.If) and not node.orelse and len(node.body) == 1 and _leaves(node.body[0]):
        parent = site.parents[node]
        if isinstance(parent, ast.If) and parent.orelse == [node]:  # an elif
            yield site.edit(node.body[0], "pass")
        else:
            start, end = site.text.span(node)
            yield Edit(start, end, "pass", (node.body[0].lineno, node.body[0].end_lineno or node.lineno))


def constant(site: Site, node: ast.AST) -> Iterator[Edit]:
    if isinstance(node, ast.Constant) and node in site.parents:
        for new in _other_constants(site.text.of(node), node.value):
            yield site.edit(node, new)


def default(site: Site, node: ast.AST) -> Iterator[Edit]:
    """Of a parameter."""
    if isinstance(node, ast.Constant) and node not in site.parents:
        for new in _other_constants(site.text.of(node), node.value):
            yield site.edit(node, new)


def wrong_name(site: Site, node: ast.AST) -> Iterator[Edit]:
    """Another parameter or variable of the function, another attribute that the function uses of the same object."""
    parent = site.parents.get(node)
    if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load) and node.id in site.names and not isinstance(parent, ast.Return):
        if not (isinstance(parent, ast.Call) and parent.func is node):
            yield from (site.edit(node, other) for other in _neighbours(site.names, node.id))
    elif isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Load) and isinstance(node.value, ast.Name):
        others = dict.fromkeys(
            n.attr for n in site.nodes if isinstance(n, ast.Attribute) and isinstance(n.value, ast.Name) and n.value.id == node.value.id
        )
        end = site.text.span(node)[1]
        for other in _neighbours(tuple(others), node.attr):
            yield Edit(end - len(node.attr), end, other, site.probe(node))


def wrong_return(site: Site, node: ast.AST) -> Iterator[Edit]:
    if isinstance(node, ast.Return) and isinstance(node.value, ast.Name):
        yield from (site.edit(node.value, other) for other in _neighbours(site.names, node.value.id))


def wrong_function(site: Site, node: ast.AST) -> Iterator[Edit]:
    """A built-in or a method taken for its twin, such as ``min`` for ``max``."""
    if isinstance(node, ast.Call):
        name = _called(node)
        if name in _TWINS and name not in site.names:
            _, end = site.text.span(node.func)
            if site.text.text[end - len(name) : end] == name:
                yield Edit(end - len(name), end, _TWINS[name], site.probe(node))


def lost_statement(site: Site, node: ast.AST) -> Iterator[Edit]:
    """A call for its effect, or an assignment to an attribute, an item or a variable that has a value already."""
    called = isinstance(node, ast.Expr) and isinstance(node.value, ast.Call)
    assigned = isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Attribute | ast.Subscript)
    if called or assigned or isinstance(node, ast.AugAssign):
        yield site.edit(node, "pass")


KINDS: dict[str, Callable[[Site, ast.AST], Iterator[Edit]]] = {
    "comparison": comparison,
    "arithmetic": arithmetic,
    "boolean": boolean,
    "negation": negation,
    "off_by_one": off_by_one,
    "swapped_arguments": swapped_arguments,
    "removed_branch": removed_branch,
    "deleted_guard": deleted_guard,
    "constant": constant,
    "default": default,
    "wrong_name": wrong_name,
    "wrong_return": wrong_return,
    "wrong_function": wrong_function,
    "lost_statement": lost_statement,
}


def _swapped_operator(site: Site, node: ast.AST, left: ast.AST, right: ast.AST, table: dict[str, tuple[str, ...]]) -> Iterator[Edit]:
    found = site.between(left, right)
    if found is None:
        return
    at, operator = found
    for new in table.get(" ".join(operator.split()), ()):
        yield Edit(at, at + len(operator), new, site.probe(node))


def _other_constants(source: str, value: object) -> list[str]:
    if isinstance(value, bool):
        return [str(not value)]
    if isinstance(value, int):
        return [str(value + 1)] + ([str(value - 1)] if value > 1 else ["-1"] if value == 1 else [])
    if isinstance(value, float):
        return [repr(value * 2)] if value else ["1.0"]
    found = _SIMPLE_STRING.match(source) if isinstance(value, str | bytes) else None
    if found is None or "\\" in source or "\n" in source or found.group(1) in found.group(2):
        return []
    inner, end = found.group(2), len(source) - 1
    return [source[: end - len(inner)] + (inner[:-1] or " ") + source[end:]]


def _neighbours(names: tuple[str, ...], name: str) -> list[str]:
    """The two names nearest in order of appearance: those most easily confused."""
    at = names.index(name) if name in names else 0
    others = sorted((abs(i - at), i, other) for i, other in enumerate(names) if other not in (name, "self", "cls", "_"))
    return [other for _, _, other in others[:2]]


def _bracketed(site: Site, node: ast.expr) -> str:
    text = site.text.of(node)
    return text if isinstance(node, ast.Name | ast.Attribute | ast.Call | ast.Subscript | ast.Constant) else f"({text})"


def _called(node: ast.Call) -> str:
    return node.func.id if isinstance(node.func, ast.Name) else node.func.attr if isinstance(node.func, ast.Attribute) else ""


def _leaves(node: ast.stmt) -> bool:
    return isinstance(node, ast.Return | ast.Raise | ast.Continue | ast.Break)


def _is_text(node: ast.AST) -> bool:
    return isinstance(node, ast.Constant) and isinstance(node.value, str | bytes)


def _is_number(node: ast.AST) -> bool:
    return isinstance(node, ast.Constant) and type(node.value) is int


def _is_docstring(node: ast.stmt) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)


def _parameters(function: FunctionNode) -> list[ast.arg]:
    args = function.args
    found = [*args.posonlyargs, *args.args, *args.kwonlyargs]
    return found + [arg for arg in (args.vararg, args.kwarg) if arg is not None]


def _dull(node: ast.AST, parent: ast.AST) -> bool:
    """What no test should be asked to notice: annotations, texts of exceptions and warnings, nested docstrings."""
    if isinstance(node, ast.stmt) and _is_docstring(node):
        return True
    if isinstance(parent, ast.Raise | ast.Assert):
        return not (isinstance(parent, ast.Assert) and node is parent.test)
    if isinstance(parent, ast.AnnAssign):
        return node is parent.annotation
    if isinstance(parent, ast.arg):
        return True
    if isinstance(parent, ast.FunctionDef | ast.AsyncFunctionDef):
        return node is parent.returns or node in parent.decorator_list
    return isinstance(node, ast.Call) and _called(node) in (
        "warn",
        "debug",
        "info",
        "warning",
        "error",
        "exception",
        "isinstance",
        "super",
        "cast",
    )
