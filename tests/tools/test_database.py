from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st
from turnwise.envs.tools.database import Database, changes
from turnwise.rewards.tools import state_progress

SCRIPT = """
CREATE TABLE users (id TEXT PRIMARY KEY, city TEXT);
CREATE TABLE orders (id INTEGER PRIMARY KEY, user TEXT NOT NULL REFERENCES users(id), status TEXT);
INSERT INTO users VALUES ('ann', 'Oslo'), ('bo', 'Rome');
INSERT INTO orders VALUES (1, 'ann', 'open'), (2, 'bo', 'open');
"""


@pytest.fixture
def db():
    database = Database(SCRIPT)
    yield database
    database.close()


def test_reading_and_writing(db):
    assert db.query("SELECT id FROM orders WHERE user = ?", "ann") == [{"id": 1}]
    assert db.one("SELECT * FROM users WHERE id = ?", "cy") is None
    assert db.change("UPDATE orders SET status = ? WHERE status = ?", "sent", "open") == 2
    assert db.one("SELECT status FROM orders WHERE id = 2") == {"status": "sent"}


def test_what_changed_row_by_row(db):
    before, writes = db.rows(), db.writes
    assert changes(before, db.rows()) == Counter()
    db.change("UPDATE orders SET status = 'sent' WHERE id = 1")
    db.change("INSERT INTO users VALUES ('cy', 'Bonn')")
    assert db.writes == writes + 2
    assert changes(before, db.rows()) == {
        ("orders", "-", (1, "ann", "open")): 1,
        ("orders", "+", (1, "ann", "sent")): 1,
        ("users", "+", ("cy", "Bonn")): 1,
    }


def test_a_snapshot_brings_everything_back_also_in_another_database(db):
    start, image = db.digest(), db.snapshot()
    db.change("DELETE FROM orders")
    other = Database(image)
    assert (db.digest() != start, other.digest()) == (True, start)
    db.restore(image)
    assert db.digest() == start
    with pytest.raises(Exception, match="FOREIGN KEY"):  # still enforced after a restore
        other.change("INSERT INTO orders VALUES (3, 'nobody', 'open')")
    other.close()
    with pytest.raises(ValueError, match="these 4 bytes are no snapshot"):
        db.restore(b"junk")


def test_atomic_is_all_or_nothing(db):
    start = db.digest()

    def fail():
        with db.atomic():
            db.change("DELETE FROM orders")
            with db.atomic():
                db.change("INSERT INTO users VALUES ('cy', 'Bonn')")
            with pytest.raises(RuntimeError, match="inside atomic"):
                db.snapshot()
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert db.digest() == start
    with db.atomic():
        db.change("DELETE FROM orders WHERE id = 1")
    assert db.query("SELECT id FROM orders") == [{"id": 2}]


@given(st.text())
def test_values_are_never_sql(text):
    database = Database(SCRIPT)
    text = text.encode("utf-8", "replace").decode() + "'; DROP TABLE users; --"
    database.change("UPDATE users SET city = ? WHERE id = 'ann'", text)
    assert database.one("SELECT city FROM users WHERE id = 'ann'") == {"city": text}
    assert database.tables() == ["orders", "users"]
    database.close()


def test_the_digest_does_not_depend_on_the_order_of_rows(db):
    other = Database(SCRIPT.replace("('ann', 'Oslo'), ('bo', 'Rome')", "('bo', 'Rome'), ('ann', 'Oslo')"))
    assert other.digest() == db.digest()
    other.change("UPDATE users SET city = '1' WHERE id = 'ann'")
    one = other.digest()
    other.change("UPDATE users SET city = 1 WHERE id = 'ann'")
    assert other.digest() == one  # the column is TEXT: SQLite stores '1' both times
    other.close()


@pytest.mark.parametrize(
    ("done", "wanted", "value"),
    [
        ("", "", 1.0),
        ("x", "", -0.5),
        ("", "ab", 0.0),
        ("a", "ab", 0.5),
        ("ab", "ab", 1.0),
        ("abx", "ab", 0.75),
        ("aab", "ab", 0.75),
        ("xy", "ab", -0.5),
    ],
)
def test_progress(done, wanted, value):
    assert state_progress(Counter(done), Counter(wanted)) == value


@given(st.text("abc", max_size=6), st.text("abc", max_size=6))
def test_only_the_wanted_state_has_full_progress(done, wanted):
    assert (state_progress(Counter(done), Counter(wanted)) == 1.0) == (Counter(done) == Counter(wanted))
