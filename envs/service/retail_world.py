"""A shop's world: catalogue, customers, their orders.

shop("train", 0).customers[0].orders[0].id    # "O481"
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import lru_cache

import numpy as np

from ..search.world import SPLITS, SplitName
from ..tools.database import Database, Rows
from .tasks import TASKS_PER_WORLD, Ids, namer
from .world import TRANSFERS

PRODUCTS: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "desk lamp": (("black", "white", "brass"), ("small", "large")),
    "backpack": (("grey", "green", "blue"), ("20 litres", "30 litres")),
    "kettle": (("steel", "red", "white"), ("1 litre", "2 litres")),
    "headphones": (("black", "silver", "blue"), ("wired", "wireless")),
    "blanket": (("cream", "green", "red"), ("single", "double")),
    "notebook": (("plain", "lined", "dotted"), ("pocket", "desk")),
    "running shoes": (("black", "orange", "blue"), ("size 40", "size 42")),
    "teapot": (("glass", "clay", "steel"), ("2 cups", "4 cups")),
    "umbrella": (("black", "yellow", "red"), ("folding", "long")),
    "wall clock": (("wood", "white", "black"), ("silent", "ticking")),
}
REASONS = ("no longer needed", "ordered by mistake")
STATUSES = ("pending", "delivered", "shipped")
SCHEMA = (
    """
CREATE TABLE customers (id TEXT PRIMARY KEY, first_name TEXT, last_name TEXT, email TEXT, street TEXT, city TEXT, zip TEXT);
CREATE TABLE methods (id TEXT PRIMARY KEY, customer TEXT REFERENCES customers(id), kind TEXT, balance INTEGER);
CREATE TABLE items (id TEXT PRIMARY KEY, product TEXT, style TEXT, version TEXT, price INTEGER, stock INTEGER);
CREATE TABLE orders (id TEXT PRIMARY KEY, customer TEXT REFERENCES customers(id), status TEXT, method TEXT REFERENCES methods(id),
                     street TEXT, city TEXT, zip TEXT, reason TEXT);
CREATE TABLE order_items (order_id TEXT REFERENCES orders(id), item TEXT REFERENCES items(id), price INTEGER, state TEXT);
CREATE TABLE payments (order_id TEXT REFERENCES orders(id), method TEXT REFERENCES methods(id), amount INTEGER);
"""
    + TRANSFERS
)


@dataclass(frozen=True, slots=True)
class Item:
    """One version of a product. Prices are in cents."""

    id: str
    product: str
    style: str
    version: str
    price: int
    stock: int


@dataclass(frozen=True, slots=True)
class Method:
    id: str
    kind: str
    balance: int


@dataclass(frozen=True, slots=True)
class Order:
    id: str
    status: str
    method: Method
    items: tuple[Item, ...]

    @property
    def total(self) -> int:
        return sum(item.price for item in self.items)


@dataclass(frozen=True, slots=True)
class Customer:
    id: str
    first_name: str
    last_name: str
    email: str
    street: str
    city: str
    zip: str
    methods: tuple[Method, ...]
    orders: tuple[Order, ...]


@dataclass(frozen=True, slots=True)
class Shop:
    split: SplitName
    number: int
    items: dict[str, list[Item]]
    """By product."""
    customers: list[Customer] = field(default_factory=list[Customer])


@lru_cache(maxsize=256)
def shop(split: SplitName, number: int) -> Shop:
    """World ``number`` of a split: eight customers, each with orders of every status, and a catalogue of 60 items."""
    rng = np.random.default_rng(np.random.SeedSequence([SPLITS.index(split), number, 21]))
    ids = Ids(rng, short=True)
    name = namer(split, number)
    made = Shop(split, number, {product: _items(product, ids, rng) for product in PRODUCTS})
    for _ in range(TASKS_PER_WORLD):
        made.customers.append(_customer(made, ids, rng, name))
    return made


def _items(product: str, ids: Ids, rng: np.random.Generator) -> list[Item]:
    """Every version, all prices different, four of six in stock."""
    styles, versions = PRODUCTS[product]
    base = int(rng.integers(900, 9000))
    prices = base + 50 * rng.permutation(40)[:6]
    stocked = set(rng.permutation(6)[:4].tolist())
    return [
        Item(ids.new("I"), product, style, version, int(prices[n]), int(rng.integers(1, 30)) if n in stocked else 0)
        for n, (style, version) in enumerate(itertools.product(styles, versions))
    ]


def _customer(made: Shop, ids: Ids, rng: np.random.Generator, name: Callable[[], tuple[str, str]]) -> Customer:
    first, last = name()
    methods = tuple(
        Method(ids.new("P"), kind, int(rng.integers(200, 400)) * 100 if kind == "gift card" else 0)
        for kind in ("credit card", "gift card", "bank account")
    )
    statuses = [*STATUSES, STATUSES[int(rng.integers(2))], STATUSES[int(rng.integers(2))]]
    orders = [_order(made, status, methods, ids, rng) for status in statuses]
    street, city, zip = STREETS[int(rng.integers(len(STREETS)))], CITIES[int(rng.integers(len(CITIES)))], new_zip(rng)
    email = f"{first}.{last}@example.com".lower()
    shuffled = tuple(orders[int(i)] for i in rng.permutation(len(orders)))
    return Customer(ids.new("C"), first, last, email, street, city, zip, methods, shuffled)


def new_zip(rng: np.random.Generator) -> str:
    """Such as Z481. A number after a space and one after a quotation mark are different tokens; after a letter they are the same,
    so that a small policy can copy it."""
    return f"Z{int(rng.integers(100, 1000))}"


STREETS = tuple(
    f"{place} {kind}"
    for place in ("Mill", "Station", "Park", "Harbour", "Church", "Garden", "Bridge", "Market")
    for kind in ("Lane", "Road", "Street", "Square")
)
CITIES = ("Eastport", "Northfield", "Lakeside", "Millbrook", "Highgate", "Westbury", "Riverton", "Stonebridge")


def _order(made: Shop, status: str, methods: Sequence[Method], ids: Ids, rng: np.random.Generator) -> Order:
    products = [list(PRODUCTS)[int(i)] for i in rng.permutation(len(PRODUCTS))[: int(rng.integers(1, 4))]]
    items = tuple(made.items[p][int(rng.integers(6))] for p in products)
    return Order(ids.new("O"), status, methods[int(rng.integers(2))], items)


@lru_cache(maxsize=256)
def shop_database(split: SplitName, number: int) -> tuple[bytes, Rows]:
    """The shop as a snapshot, and its rows."""
    made = shop(split, number)
    db = Database(SCHEMA)
    with db.atomic():
        for item in itertools.chain.from_iterable(made.items.values()):
            db.change("INSERT INTO items VALUES (?,?,?,?,?,?)", item.id, item.product, item.style, item.version, item.price, item.stock)
        for c in made.customers:
            db.change("INSERT INTO customers VALUES (?,?,?,?,?,?,?)", c.id, c.first_name, c.last_name, c.email, c.street, c.city, c.zip)
            for m in c.methods:
                db.change("INSERT INTO methods VALUES (?,?,?,?)", m.id, c.id, m.kind, m.balance)
            for o in c.orders:
                values = (o.id, c.id, o.status, o.method.id, c.street, c.city, c.zip)
                db.change("INSERT INTO orders VALUES (?,?,?,?,?,?,?,NULL)", *values)
                for item in o.items:
                    db.change("INSERT INTO order_items VALUES (?,?,?,'ordered')", o.id, item.id, item.price)
                db.change("INSERT INTO payments VALUES (?,?,?)", o.id, o.method.id, o.total)
    snapshot, rows = db.snapshot(), db.rows()
    db.close()
    return snapshot, rows
