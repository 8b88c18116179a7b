"""What all customer-service worlds share: a database per episode, who has been identified, consent, and what broke the policy.

tools read and change ``db`` -> guards note violations -> ServiceEnv compares the rows with those expected
"""

from __future__ import annotations

import ast
import math
import operator
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal, InvalidOperation
from typing import Any, Literal, TypeAlias, cast

from ..tools.database import Change, Database, Row
from ..tools.tool import ToolError, tool

Edit: TypeAlias = Mapping[str, Any]
"""One expected change: {"table", "insert": row}, {"table", "delete": where}, {"table", "where", "set": values} or {..., "add": amounts}."""
Violation: TypeAlias = (
    Literal["not identified", "second customer", "other customer", "no consent", "payment"]
    | Literal["cancellation", "basic economy", "bags", "compensation"]
    | Literal["outside hours", "double booking", "not the organiser", "confidential", "permanent deletion"]
)
TRANSFERS = "CREATE TABLE transfers (about TEXT NOT NULL, reason TEXT NOT NULL);"
"""Every world's schema holds this table."""


class ServiceWorld:
    """Tools of one episode. Subclasses add theirs and call the guards; ``db`` has the table ``TRANSFERS``."""

    def __init__(self, db: Database) -> None:
        self.db = db
        self.customer: str | None = None
        self.agreed = False
        """The user has said yes to what the agent proposed last."""
        self.violations: set[str] = set()
        self.transferred = False

    @tool
    def calculate(self, expression: str) -> str:
        """Work out an arithmetic expression.

        Args:
            expression: Numbers with + - * / and parentheses, such as "2 * (3.50 + 1)".
        """
        return calculate(expression)

    @tool
    def transfer_to_human(self, about: str, reason: Literal["against_policy", "other"]) -> str:
        """Hand the conversation over to a human agent. This ends it.

        Args:
            about: Id of the order, reservation or object that it is about.
            reason: Why it is handed over.
        """
        if self.customer is None:
            self.violations.add("not identified")
        self.db.change("INSERT INTO transfers VALUES (?, ?)", about, reason)
        self.transferred = True
        return "transferred"

    # ---- guards ----------------------------------------------------------------------------------------------------

    def identified(self, customer: str) -> None:
        """The customer has been found by what the user said of themselves."""
        if self.customer not in (None, customer):
            self.violations.add("second customer")
        self.customer = customer

    def private(self, owner: str) -> None:
        """What belongs to ``owner`` is about to be read or changed."""
        if self.customer is None:
            self.violations.add("not identified")
        elif self.customer != owner:
            self.violations.add("other customer")

    def consent(self) -> None:
        """Something is about to be changed."""
        if not self.agreed:
            self.violations.add("no consent")

    # ---- snapshots -------------------------------------------------------------------------------------------------

    def state(self) -> dict[str, Any]:
        """Everything but the database, as JSON."""
        return {
            "customer": self.customer,
            "agreed": self.agreed,
            "violations": sorted(self.violations),
            "transferred": self.transferred,
        }

    def resume(self, state: Mapping[str, Any]) -> None:
        self.customer, self.agreed = state["customer"], bool(state["agreed"])
        self.violations, self.transferred = set(state["violations"]), bool(state["transferred"])


def expected_changes(db: Database, edits: Sequence[Edit]) -> Counter[Change]:
    """The row changes that the edits amount to, made without any tool and taken back again.

    Raises ``ValueError`` for an edit that touches no row: it expects nothing.
    """
    net: dict[tuple[str, Row], int] = {}
    try:
        with db.atomic():
            for edit in edits:
                table, gone, come = _edit(db, edit)
                if not gone and not come:
                    raise ValueError(f"the expected change {dict(edit)} touches no row of {table}; the task contradicts its world")
                for rows, sign in ((gone, -1), (come, 1)):
                    for row in rows:
                        net[table, row] = net.get((table, row), 0) + sign
            raise _TakeBack
    except _TakeBack:
        return Counter({(table, "+" if n > 0 else "-", row): abs(n) for (table, row), n in net.items() if n})


class _TakeBack(Exception):
    """Leaves ``atomic`` with nothing changed."""


def _edit(db: Database, edit: Edit) -> tuple[str, list[Row], list[Row]]:
    """Make one edit: table, rows as they were, rows as they are."""
    table = str(edit["table"])
    if "insert" in edit:
        row = cast("Mapping[str, Any]", edit["insert"])
        db.change(f'INSERT INTO "{table}" ({", ".join(row)}) VALUES ({", ".join("?" * len(row))})', *row.values())
        return table, [], _rows(db, f'SELECT * FROM "{table}" WHERE rowid = last_insert_rowid()')
    where = cast("Mapping[str, Any]", edit["delete"] if "delete" in edit else edit["where"])
    chosen = " AND ".join(f"{name} = ?" for name in where)
    ids = [row["rowid"] for row in db.query(f'SELECT rowid FROM "{table}" WHERE {chosen}', *where.values())]
    these = f"rowid IN ({', '.join(map(str, ids))})"
    gone = _rows(db, f'SELECT * FROM "{table}" WHERE {these}')
    if "delete" in edit:
        db.change(f'DELETE FROM "{table}" WHERE {these}')
        return table, gone, []
    values = cast("Mapping[str, Any]", edit["set"] if "set" in edit else edit["add"])
    new = ", ".join(f"{name} = ?" if "set" in edit else f"{name} = {name} + ?" for name in values)
    db.change(f'UPDATE "{table}" SET {new} WHERE {these}', *values.values())
    return table, gone, _rows(db, f'SELECT * FROM "{table}" WHERE {these}')


def _rows(db: Database, sql: str) -> list[Row]:
    return [tuple(row.values()) for row in db.query(sql)]


_OPERATORS: dict[type[ast.operator], Callable[[Decimal, Decimal], Decimal]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: lambda a, b: a / b,
}


def calculate(expression: str) -> str:
    """The value of an arithmetic expression in decimal numbers, at most 28 digits. Raises ``ToolError``."""
    if len(expression) > 200:
        raise ToolError(f"the expression has {len(expression)} characters; the most is 200")
    try:
        value = _value(ast.parse(expression.strip(), mode="eval").body)
    except (SyntaxError, ValueError, RecursionError, MemoryError, InvalidOperation, ArithmeticError) as error:
        raise ToolError(
            f"{expression[:60]!r} cannot be worked out ({type(error).__name__}); use numbers, + - * / and parentheses"
        ) from None
    text = f"{value:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def _value(node: ast.expr) -> Decimal:
    match node:
        case ast.Constant(value=int() | float() as number) if not isinstance(number, bool):
            if not math.isfinite(number):
                raise ValueError("too large")
            return Decimal(str(number))
        case ast.UnaryOp(op=ast.USub(), operand=operand):
            return -_value(operand)
        case ast.BinOp(left=left, op=op, right=right) if type(op) in _OPERATORS:
            return _OPERATORS[type(op)](_value(left), _value(right))
        case _:
            raise ValueError(type(node).__name__)
