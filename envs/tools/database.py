"""One in-memory SQLite database per episode: what tools read and change, and what changed, row by row.

db = Database("CREATE TABLE orders (id TEXT PRIMARY KEY, status TEXT)")
with db.atomic(): db.change("UPDATE orders SET status = ? WHERE id = ?", "sent", "W1")
changes(before, db.rows())
"""

from __future__ import annotations

import hashlib
import sqlite3
from collections import Counter
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from typing import Any, TypeAlias, cast

from ...records import canonical_json

Row: TypeAlias = tuple[Any, ...]
Rows: TypeAlias = Mapping[str, Counter[Row]]
"""Table -> its rows with how often each occurs; order means nothing."""
Change: TypeAlias = tuple[str, str, Row]
"""(table, "+" or "-", row); an update is one of each."""


_equal = cast("Callable[[object, object], bool]", dict.__eq__)


class Database:
    """A private SQLite database in memory.

    ``source``: an SQL script that makes it, or the bytes of a ``snapshot``. Values are always bound, never put into SQL text.
    Foreign keys are enforced. Raises ``sqlite3.Error`` for SQL that is wrong.
    """

    def __init__(self, source: str | bytes) -> None:
        self._connection = sqlite3.connect(":memory:", isolation_level=None, check_same_thread=False)
        self._connection.row_factory = sqlite3.Row
        if isinstance(source, str):
            self._connection.execute("PRAGMA foreign_keys = ON")
            self._connection.executescript(source)
        else:
            self.restore(source)

    def query(self, sql: str, *values: Any) -> list[dict[str, Any]]:
        """Rows as dicts."""
        return [dict(row) for row in self._connection.execute(sql, values)]

    def one(self, sql: str, *values: Any) -> dict[str, Any] | None:
        """The first row, or None."""
        row = self._connection.execute(sql, values).fetchone()
        return None if row is None else dict(row)

    def change(self, sql: str, *values: Any) -> int:
        """Run a statement that writes; how many rows it touched."""
        return self._connection.execute(sql, values).rowcount

    @property
    def writes(self) -> int:
        """Rows written since the database was opened or restored: unchanged means that nothing can have changed."""
        return self._connection.total_changes

    @contextmanager
    def atomic(self) -> Generator[None]:
        """All changes inside, or, when something is raised, none. May be nested."""
        self._connection.execute("SAVEPOINT inside")
        try:
            yield
        except BaseException:
            self._connection.execute("ROLLBACK TO inside")
            self._connection.execute("RELEASE inside")
            raise
        self._connection.execute("RELEASE inside")

    def snapshot(self) -> bytes:
        """The whole database, as SQLite serialises it. Not inside ``atomic``: open changes would be in it."""
        if self._connection.in_transaction:
            raise RuntimeError("a snapshot inside atomic() would hold changes that may yet be taken back; take it outside")
        return self._connection.serialize()

    def restore(self, data: bytes) -> None:
        """Become what a ``snapshot`` was. Raises ``ValueError`` for bytes that are none."""
        if self._connection.in_transaction:
            raise RuntimeError("restore inside atomic() cannot work; do it outside")
        if not data.startswith(b"SQLite format 3\0"):
            raise ValueError(f"these {len(data)} bytes are no snapshot of a database; give what snapshot() returned")
        self._connection.deserialize(data)
        self._connection.execute("PRAGMA foreign_keys = ON")

    def tables(self) -> list[str]:
        found = self._connection.execute("SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite_%' ORDER BY name")
        return [str(row[0]) for row in found]

    def rows(self) -> dict[str, Counter[Row]]:
        """Every row of every table."""
        cursor = self._connection.cursor()
        cursor.row_factory = None  # plain tuples, twice as fast
        return {table: Counter(cursor.execute(f'SELECT * FROM "{table}"')) for table in self.tables()}

    def digest(self) -> str:
        """sha256 over all rows; equal for equal contents, whatever their order."""
        rows = {table: sorted(([repr(v) for v in row], n) for row, n in found.items()) for table, found in self.rows().items()}
        return hashlib.sha256(canonical_json(rows).encode("utf-8", "replace")).hexdigest()

    def close(self) -> None:
        self._connection.close()


def changes(before: Rows, after: Rows) -> Counter[Change]:
    """What turns ``before`` into ``after``, with how often."""
    found: Counter[Change] = Counter()
    for table in {*before, *after}:
        old, new = before.get(table, Counter()), after.get(table, Counter())
        if _equal(old, new):  # much faster than subtracting; most tables are untouched
            continue
        found.update({(table, "+", row): n for row, n in (new - old).items()})
        found.update({(table, "-", row): n for row, n in (old - new).items()})
    return found
