"""From a failing test to a few lines that show the fault without it: the call, with what it needs, taken from the test's source.

    reproductions(source, failure) -> [Snippet(setup="from toolz import take", expression="list(take(2, [1, 2, 3]))"), ...]

They are then run on the project and on the mutant: what they give there, not what the test says, is the expected and the actual value.
"""

from __future__ import annotations

import ast
import builtins
import textwrap
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from .bench import Failure
from .text import FunctionNode, functions, of_text, parse, statement_lists

MAX_SETUP, MAX_EXPRESSION, MAX_STATEMENT, MAX_SHOWN = 12, 200, 6, 8
_TELLING = (ast.Call, ast.Attribute, ast.Subscript, ast.BinOp, ast.Compare)
_BUILTINS = set(dir(builtins))
_RAISES = ("raises", "assertRaises", "assertRaisesRegex", "assertRaisesRegexp", "assert_raises")


@dataclass(frozen=True, slots=True)
class Snippet:
    """Statements, and the expression whose value they are about ("" where the last statement is what fails)."""

    setup: str
    expression: str
    name: str = ""
    """What is called, such as "take" or "SortedList.add"."""


class _Unresolved(Exception):
    """A name has no source that can be shown."""


def reproductions(source: str, failure: Failure) -> list[Snippet]:
    """The snippets that may show this failure, the likeliest first; none where the test needs fixtures or helpers. Never raises."""
    try:
        module = parse(source)
    except ValueError:
        return []
    function = _enclosing(module, failure.line, failure.function)
    if function is None:
        return []
    chain = _chain(function, failure.line)
    found: list[Snippet] = []
    for asserts in (False, True):
        for expression, before in _candidates(chain):
            try:
                found.append(_snippet(module, function, _acting(before) if asserts else before, expression, failure.locals))
            except _Unresolved:
                continue
    return list(dict.fromkeys(found))


def shown_lines(source: str, failure: Failure) -> list[str]:
    """The statement of a test that fails, after what stands before it in at most ``MAX_SHOWN`` lines, without their indentation."""
    try:
        module = parse(source)
    except ValueError:
        return []
    function = _enclosing(module, failure.line, failure.function)
    chain = _chain(function, failure.line) if function is not None else []
    if not chain:
        return []
    last = chain[-1][1]
    end = last.end_lineno or last.lineno
    if statement_lists(last) and not isinstance(last, ast.With):
        end = failure.line
    first = last.lineno
    before = [s for statements, _ in chain for s in statements] + [holder for _, holder in chain[:-1]]
    for statement in sorted(before, key=lambda s: s.lineno, reverse=True):
        told = isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant)
        if last.lineno - statement.lineno > MAX_SHOWN or told:
            break
        first = min(first, statement.lineno)
    lines = [line.rstrip("\r\n") for line in of_text(source).lines[first - 1 : end]]
    return textwrap.dedent("\n".join(lines)).strip("\n").split("\n")


def _enclosing(module: ast.Module, line: int, name: str) -> FunctionNode | None:
    inside = [f for _, f in functions(module) if f.lineno <= line <= (f.end_lineno or 0) and f.name == name]
    return inside[-1] if inside else None


def _chain(function: FunctionNode, line: int) -> list[tuple[list[ast.stmt], ast.stmt]]:
    """From the function's body inward: (the statements before, the statement that holds the line)."""
    found: list[tuple[list[ast.stmt], ast.stmt]] = []
    body: list[ast.stmt] = function.body
    while True:
        at = next((n for n, s in enumerate(body) if s.lineno <= line <= (s.end_lineno or s.lineno)), None)
        if at is None:
            return found
        found.append((body[:at], body[at]))
        following = [b for b in statement_lists(body[at]) if b[0].lineno <= line <= (b[-1].end_lineno or 0)]
        if not following:
            return found
        body = following[0]


def _acting(statements: list[ast.stmt]) -> list[ast.stmt]:
    """With the calls of methods that stand in assertions as statements: ``assert cart.add("a")`` adds."""
    found: list[ast.stmt] = []
    for statement in statements:
        test = statement.test if isinstance(statement, ast.Assert) else None
        call = test.left if isinstance(test, ast.Compare) else test.operand if isinstance(test, ast.UnaryOp) else test
        if isinstance(call, ast.Call) and isinstance(call.func, ast.Attribute):
            found.append(ast.copy_location(ast.Expr(call), statement))
        else:
            found.append(statement)
    return found


def _candidates(chain: list[tuple[list[ast.stmt], ast.stmt]]) -> Iterator[tuple[ast.expr, list[ast.stmt]]]:
    """Expressions that may be what failed, with all statements that ran before them."""
    if not chain:
        return
    before = [statement for statements, _ in chain for statement in statements]
    last = chain[-1][1]
    if isinstance(last, ast.With) and _expects_error(last):  # nothing was raised
        if isinstance(last.body[-1], ast.Expr):
            yield last.body[-1].value, before + last.body[:-1]
        return
    for expression in _expressions(last):
        if isinstance(expression, ast.Name) or any(isinstance(node, _TELLING) for node in ast.walk(expression)):
            yield expression, before


def _expressions(statement: ast.stmt) -> Iterator[ast.expr]:
    if isinstance(statement, ast.Assert):
        test = statement.test
        if isinstance(test, ast.Compare):
            yield from sorted([test.left, *test.comparators], key=lambda side: not _calls(side))
        elif isinstance(test, ast.UnaryOp):
            yield test.operand
        yield test
    elif isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Call):
        call = statement.value
        name = call.func.attr if isinstance(call.func, ast.Attribute) else call.func.id if isinstance(call.func, ast.Name) else ""
        if name in _RAISES and len(call.args) > 1:
            yield ast.Call(call.args[1], call.args[2:], call.keywords)
        elif name.startswith("assert"):
            yield from sorted(call.args, key=lambda side: not _calls(side))
        else:
            yield call
    elif isinstance(statement, ast.Assign | ast.AnnAssign | ast.Return | ast.AugAssign) and statement.value is not None:
        yield statement.value
    elif isinstance(statement, ast.For):
        yield ast.Call(ast.Name("list", ast.Load()), [statement.iter], [])
    elif isinstance(statement, ast.With):
        yield statement.items[0].context_expr


def _snippet(
    module: ast.Module, function: FunctionNode, before: list[ast.stmt], expression: ast.expr, values: Mapping[str, str]
) -> Snippet:
    finder = _Finder(module, function, before, values)
    expression = finder.resolve(expression)
    text = ast.unparse(expression)
    if len(text) > MAX_EXPRESSION:
        raise _Unresolved
    lines = finder.setup()
    if len("\n".join(lines).split("\n")) > MAX_SETUP:
        raise _Unresolved
    return Snippet("\n".join(lines), text, _name(expression, lines))


class _Finder:
    """What an expression needs: imports, assignments and the statements that change what was assigned; other values as literals."""

    def __init__(self, module: ast.Module, function: FunctionNode, before: list[ast.stmt], values: Mapping[str, str]) -> None:
        self.module, self.before, self.values = module, before, values
        self.parameters = {a.arg for a in (*function.args.args, *function.args.kwonlyargs, *function.args.posonlyargs)}
        self.imports: dict[str, set[str]] = {}
        self.globals: dict[int, str] = {}
        self.locals: dict[int, str] = {}
        self._known: set[str] = set()

    def setup(self) -> list[str]:
        imports = [f"{start}{', '.join(sorted(names))}" for start, names in sorted(self.imports.items())]
        return [*imports, *(self.globals[n] for n in sorted(self.globals)), *(self.locals[n] for n in sorted(self.locals))]

    def resolve(self, node: ast.expr) -> ast.expr:
        """The expression, with what it needs found and the values of loop variables and parameters put in."""
        for name in _free(node):
            if name == "self":
                raise _Unresolved
            if name not in self._known and not self._find(name):
                literal = ast.parse(self.values[name], mode="eval").body
                node = _Put(name, literal).visit(node)
        return node

    def _find(self, name: str) -> bool:
        """Whether it is known how the name gets its value; False: put its value in. Raises ``_Unresolved``."""
        bound = [(n, s) for n, s in enumerate(self.before) if name in _bound(s)]
        simple = [s for _, s in bound if isinstance(s, ast.Assign | ast.AnnAssign | ast.AugAssign | ast.Import | ast.ImportFrom)]
        if bound and len(simple) == len(bound):
            self._known.add(name)
            fresh = [n for n, s in bound if isinstance(s, ast.Assign) and _is_fresh(s, name)]
            bound = [(n, s) for n, s in bound if not fresh or n >= fresh[-1]]
            for n, statement in enumerate(self.before):
                if n < bound[0][0]:
                    continue
                if (n, statement) in bound or (
                    isinstance(statement, ast.Expr | ast.For | ast.Delete | ast.Assign) and _changes(statement, name)
                ):
                    self._take(n, statement, self.locals)
            return True
        if bound or name in self.parameters or name in self.values:
            if name not in self.values:
                raise _Unresolved
            return False
        return self._global(name)

    def _global(self, name: str) -> bool:
        for n, statement in enumerate(self.module.body):
            if name in _bound(statement):
                self._known.add(name)
                if isinstance(statement, ast.Import | ast.ImportFrom):
                    self._import(statement, name)
                elif isinstance(statement, ast.Try):
                    raise _Unresolved
                else:
                    self._take(n, statement, self.globals)
                return True
        if name in _BUILTINS:
            self._known.add(name)
            return True
        raise _Unresolved

    def _import(self, statement: ast.Import | ast.ImportFrom, name: str) -> None:
        alias = next(a for a in statement.names if (a.asname or a.name.split(".")[0]) == name)
        words = alias.name + (f" as {alias.asname}" if alias.asname else "")
        if not isinstance(statement, ast.ImportFrom):
            self.imports[f"import {words}"] = {""}
            return
        if statement.level or (statement.module or "").split(".")[0] in ("tests", "test", "pytest", "unittest"):
            raise _Unresolved
        self.imports.setdefault(f"from {statement.module} import ", set()).add(words)

    def _take(self, number: int, statement: ast.stmt, into: dict[int, str]) -> None:
        if number in into:
            return
        text = ast.unparse(statement)
        decorated = isinstance(statement, ast.FunctionDef | ast.ClassDef) and statement.decorator_list
        if text.count("\n") >= MAX_STATEMENT or decorated or isinstance(statement, ast.With | ast.Try | ast.AsyncFunctionDef):
            raise _Unresolved
        into[number] = text
        own = _bound(statement)
        for name in _free(statement):
            if name in own and not isinstance(statement, ast.AugAssign | ast.Assign):
                continue
            if name not in self._known and not self._find(name):
                statement = _Put(name, ast.parse(self.values[name], mode="eval").body).visit(statement)
                into[number] = ast.unparse(statement)


class _Put(ast.NodeTransformer):
    """A literal in the place of a name."""

    def __init__(self, name: str, literal: ast.expr) -> None:
        self.name, self.literal = name, literal

    def visit_Name(self, node: ast.Name) -> ast.expr:
        return self.literal if node.id == self.name and isinstance(node.ctx, ast.Load) else node


def _free(node: ast.AST) -> list[str]:
    """Names that are read and not bound within, in order."""
    inner: set[str] = set()
    if not isinstance(node, ast.Assign | ast.AugAssign | ast.AnnAssign):
        inner = {n.id for n in ast.walk(node) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)}
    inner |= {n.arg for n in ast.walk(node) if isinstance(n, ast.arg)}
    loads = [n for n in ast.walk(node) if isinstance(n, ast.Name) and (isinstance(n.ctx, ast.Load) or isinstance(node, ast.AugAssign))]
    return list(dict.fromkeys(n.id for n in loads if n.id not in inner))


def _bound(statement: ast.stmt) -> set[str]:
    """Names that a statement gives a value."""
    if isinstance(statement, ast.FunctionDef | ast.ClassDef | ast.AsyncFunctionDef):
        return {statement.name}
    names = {n.id for n in ast.walk(statement) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)}
    for node in ast.walk(statement):
        if isinstance(node, ast.Import | ast.ImportFrom):
            names |= {a.asname or a.name.split(".")[0] for a in node.names}
    return names


def _is_fresh(statement: ast.Assign, name: str) -> bool:
    """Whether it gives the name a value that does not depend on the one before."""
    plain = any(isinstance(target, ast.Name) and target.id == name for target in statement.targets)
    return plain and not any(isinstance(n, ast.Name) and n.id == name for n in ast.walk(statement.value))


def _changes(statement: ast.stmt, name: str) -> bool:
    """Whether it may change what the name stands for: a call or an assignment to a part of it."""
    if not isinstance(statement, ast.Expr | ast.For | ast.Delete | ast.Assign):
        return False
    uses = any(isinstance(n, ast.Name) and n.id == name for n in ast.walk(statement))
    if isinstance(statement, ast.Assign):
        return uses and any(isinstance(t, ast.Attribute | ast.Subscript) for t in statement.targets)
    if isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Call):
        func = statement.value.func
        return uses and not (isinstance(func, ast.Attribute) and func.attr.startswith("assert"))
    return uses


def _calls(node: ast.expr) -> bool:
    return any(isinstance(n, ast.Call) for n in ast.walk(node))


def _expects_error(statement: ast.With) -> bool:
    call = statement.items[0].context_expr
    func = call.func if isinstance(call, ast.Call) else None
    return (func.attr if isinstance(func, ast.Attribute) else func.id if isinstance(func, ast.Name) else "") in _RAISES


def _name(expression: ast.expr, setup: Iterable[str]) -> str:
    """What the outermost call that is no built-in calls; what was assigned before goes by the call that made it."""
    made: dict[str, ast.Call] = {}
    for line in setup:
        last = parse(line).body[-1]
        if isinstance(last, ast.Assign) and isinstance(last.value, ast.Call) and isinstance(last.targets[0], ast.Name):
            made[last.targets[0].id] = last.value
    if isinstance(expression, ast.Name) and expression.id in made:
        expression = made[expression.id]
    for node in ast.walk(expression):
        if isinstance(node, ast.Call):
            root, dot, rest = ast.unparse(node.func).partition(".")
            if root in made:
                root = ast.unparse(made[root].func)
            name = root + dot + rest
            if root not in _BUILTINS and name.replace(".", "").replace("_", "").isalnum():
                return name
    return ""
